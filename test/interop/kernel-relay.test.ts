// A relay that moves into the kernel, between two network namespaces, with real packets and the real nftables.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { Timer } from '#core/clock.ts'
import type { Log } from '#core/log.ts'
import type { MediaSink, MediaSocket, MediaSockets, MediaSource } from '#core/media-sockets.ts'
import type { Endpoint } from '#core/net.ts'
import { CodecSet } from '#gateway/audio/codec-set.ts'
import { MediaPlane } from '#gateway/media-plane.ts'
import type { Report, StreamFacts, StreamSettings } from '#gateway/plane.ts'
import { epollCalls } from '#host/epoll-calls.ts'
import { EpollSockets } from '#host/epoll-sockets.ts'
import { MediaLoop } from '#host/media-loop.ts'
import { NftRelay } from '#host/nft-relay.ts'
import { endpointOfSource } from '#host/socket-name.ts'
import { SystemRandom } from '#host/system-random.ts'
import { rtpSequence, rtpSsrc, writeRtpHeader } from '#rtp/rtp-packet.ts'
import { NETWORK, NetworkNamespaces, type Place } from '#test/interop/network-namespaces.ts'

const PATH = '/usr/sbin:/sbin:/usr/bin:/bin'
const PACKET_MS = 20
const WAIT_MS_MAX = 20_000
const RTP_OCTETS = 172

/** What arrives at the callee with the code point of media, and what without. */
const WATCH = `table inet watch {
  chain input {
    type filter hook input priority 0;
    udp sport 30000-31000 ip dscp ef counter comment "marked"
    udp sport 30000-31000 ip6 dscp ef counter comment "marked"
    udp sport 30000-31000 counter comment "all"
  }
}`

const namespaces = process.platform === 'linux' ? NetworkNamespaces.open() : 'not Linux'
const missing = typeof namespaces === 'string' ? namespaces : false
// A machine that tests for everybody has to be able to.
if (missing !== false && process.env['CI'] === 'true') throw new Error(missing)

interface Heard {
  readonly from: string
  readonly ssrc: number
  readonly sequence: number
}

class Party implements MediaSink {
  readonly heard: Heard[] = []
  readonly endpoint: Endpoint
  readonly #lab: Lab
  readonly #socket: MediaSocket
  readonly #packet = Buffer.alloc(RTP_OCTETS)
  readonly #beat = new Timer(this)
  readonly #ssrc: number
  #to: Endpoint | null = null
  sequence = 1_000

  constructor(lab: Lab, place: Place, endpoint: Endpoint, ssrc: number) {
    this.#lab = lab
    this.endpoint = endpoint
    this.#ssrc = ssrc
    this.#socket = lab.namespaces.at(place, () => lab.sockets.open(endpoint, 0, this))
  }

  talk(to: Endpoint | null): void {
    this.#to = to
    if (to === null) this.#lab.clock.cancel(this.#beat)
    else this.onTimer()
  }

  onTimer(): void {
    const to = this.#to === null ? null : this.#lab.sockets.destination(this.#to)
    if (to === null) return
    writeRtpHeader(this.#packet, 0, false, this.sequence & 0xffff, this.sequence * 160, this.#ssrc)
    this.sequence++
    this.#socket.send(this.#packet, RTP_OCTETS, to)
    this.#lab.clock.arm(this.#beat, 'packet', PACKET_MS)
  }

  onPacket(bytes: Buffer, _octets: number, source: MediaSource): void {
    const { host, port } = endpointOfSource(source)
    this.heard.push({ from: `${host} ${port}`, ssrc: rtpSsrc(bytes), sequence: rtpSequence(bytes) })
  }

  onBound(): void {}

  onSocketError(reason: string): void {
    assert.fail(`${this.endpoint.host}: ${reason}`)
  }

  close(): void {
    this.talk(null)
    this.#socket.close()
  }
}

/** The gateway's plane in the namespace between the parties, and what came to it in user space. */
class Lab {
  readonly namespaces: NetworkNamespaces
  readonly sockets: EpollSockets
  readonly loop: MediaLoop
  readonly relay: NftRelay
  readonly plane: MediaPlane
  readonly events: string[] = []
  readonly reports: Report[] = []
  /** RTP that user space got. */
  userSpace = 0
  #query = 0

  constructor(spaces: NetworkNamespaces) {
    this.namespaces = spaces
    const calls = epollCalls()
    assert.ok(calls !== null)
    this.sockets = new EpollSockets(calls, { gatherMicros: 0, now: () => performance.now() })
    this.loop = new MediaLoop(this.sockets, { take: () => undefined }, (error) => {
      throw error
    })
    const log: Log = { event: (_level, code, fields) => this.events.push(`${code} ${fields['reason']}`) }
    this.relay = new NftRelay(log)
    this.plane = new MediaPlane(
      {
        clock: this.clock,
        random: new SystemRandom(),
        sockets: this.#counting(),
        codecs: new CodecSet({ available: [], encoder: () => null, decoder: () => null }),
        files: null,
        dtls: null,
        kernel: this.relay,
        log,
      },
      { onReport: (report) => this.reports.push(report) },
    )
  }

  get clock(): MediaLoop['clock'] {
    return this.loop.clock
  }

  get inKernel(): number {
    return this.plane.kernel?.size ?? 0
  }

  open(stream: number, local: Endpoint, settings: Partial<StreamSettings>): void {
    this.plane.order({ order: 'open', stream, local, localRtcp: null, dscp: 46 })
    this.set(stream, settings)
  }

  set(stream: number, settings: Partial<StreamSettings>): void {
    this.plane.order({ order: 'set', stream, settings: { ...SETTINGS, ...settings } })
  }

  async facts(stream: number): Promise<StreamFacts> {
    const query = ++this.#query
    this.plane.order({ order: 'query', stream, query })
    let found: StreamFacts | undefined
    await this.until('facts', () => {
      const report = this.reports.find((one) => one.report === 'facts' && one.query === query)
      found = report?.report === 'facts' ? report.facts : undefined
      return found !== undefined
    })
    assert.ok(found !== undefined)
    return found
  }

  /** Waits for something to come true. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const endsMs = performance.now() + WAIT_MS_MAX
    this.loop.start()
    while (!condition()) {
      assert.ok(performance.now() < endsMs, `waited in vain: ${what}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  close(): void {
    this.plane.close()
    this.loop.stop()
    this.sockets.close()
  }

  #counting(): MediaSockets {
    const { sockets } = this
    return {
      open: (local, dscp, sink) =>
        sockets.open(local, dscp, {
          onPacket: (bytes, octets, source) => {
            this.userSpace++
            sink.onPacket(bytes, octets, source)
          },
          onBound: (bound) => sink.onBound(bound),
          onSocketError: (reason) => sink.onSocketError(reason),
        }),
      destination: (endpoint) => sockets.destination(endpoint),
      destinationOf: (source) => sockets.destinationOf(source),
    }
  }
}

const SETTINGS: StreamSettings = {
  remote: null,
  remoteRtcp: null,
  rtcpMux: false,
  latching: 'first',
  signalledHost: null,
  sends: true,
  receives: true,
  datagrams: false,
  payloads: [{ payloadType: 0, encoding: 'PCMU', clockRate: 8_000, channels: 1, parameters: '' }],
  ptimeMs: 20,
  protectIn: null,
  protectOut: null,
  dtls: null,
  ice: null,
  source: { kind: 'none' },
  reportsDtmf: false,
  passesDtmf: true,
  listensForTones: false,
  timeoutInitialMs: 60_000,
  timeoutMs: 60_000,
}

/** One call of two parties in one address family. */
class Call {
  readonly lab: Lab
  readonly family: 4 | 6
  readonly caller: Party
  readonly callee: Party
  readonly toCaller: Endpoint
  readonly toCallee: Endpoint
  readonly #first: number

  constructor(lab: Lab, family: 4 | 6, number: number, any = false) {
    this.lab = lab
    this.family = family
    this.#first = 2 * number + 1
    const hosts = NETWORK[family]
    const at = (host: string, port: number): Endpoint => ({ host, port: port + 10 * number, family })
    this.caller = new Party(lab, 'caller', at(hosts.caller, 20_000), 0x1111)
    this.callee = new Party(lab, 'callee', at(hosts.callee, 20_002), 0x2222)
    this.toCaller = at(hosts.toCaller, 30_000)
    this.toCallee = at(hosts.toCallee, 30_002)
    const unspecified = family === 4 ? '0.0.0.0' : '::'
    const local = (endpoint: Endpoint): Endpoint => (any ? { ...endpoint, host: unspecified } : endpoint)
    lab.open(this.#first, local(this.toCaller), { remote: this.caller.endpoint, source: this.#hears(1) })
    lab.open(this.#first + 1, local(this.toCallee), { remote: this.callee.endpoint, source: this.#hears(0) })
    this.caller.talk(this.toCaller)
    this.callee.talk(this.toCallee)
  }

  #hears(other: number): StreamSettings['source'] {
    return { kind: 'stream', stream: this.#first + other }
  }

  /** The callee's description changes: a re-offer. */
  moveCallee(remote: Endpoint): void {
    this.lab.set(this.#first + 1, { remote, source: this.#hears(0) })
  }

  facts(): Promise<StreamFacts> {
    return this.lab.facts(this.#first)
  }

  close(): void {
    this.caller.close()
    this.callee.close()
    this.lab.plane.order({ order: 'close', stream: this.#first })
    this.lab.plane.order({ order: 'close', stream: this.#first + 1 })
  }
}

const labs: Lab[] = []
function theLab(): Lab {
  const [lab] = labs
  assert.ok(lab !== undefined)
  return lab
}

before(() => {
  if (typeof namespaces === 'string') return
  const env = { PATH }
  namespaces.at('callee', () => spawnSync('nft', ['-f', '-'], { input: WATCH, env }))
  labs.push(new Lab(namespaces))
})

after(() => {
  for (const lab of labs) lab.close()
  if (typeof namespaces !== 'string') namespaces.close()
})

/** Sequence numbers that are missing between the first and the last. */
function gaps(heard: readonly Heard[]): number {
  const numbers = new Set(heard.map(({ sequence }) => sequence))
  const all = [...numbers]
  return all.length === 0 ? 0 : Math.max(...all) - Math.min(...all) + 1 - numbers.size
}

/** Packets that the counters of that comment saw. */
function watched(spaces: NetworkNamespaces, comment: string): number {
  const listed = spaces.at('callee', () => nft('list', 'table', 'inet', 'watch'))
  const found = listed.matchAll(new RegExp(`counter packets (\\d+) bytes \\d+ comment "${comment}"`, 'g'))
  return [...found].reduce((sum, [, packets]) => sum + Number(packets), 0)
}

function nft(...args: string[]): string {
  return spawnSync('nft', args, { encoding: 'utf8', env: { PATH } }).stdout
}

const CASES = [
  { name: 'IPv4', family: 4, any: false },
  { name: 'IPv6', family: 6, any: false },
  { name: 'sockets of no particular address', family: 4, any: true },
] as const

for (const [number, { name, family, any }] of CASES.entries()) {
  test(`${name}: packets pass in the kernel, and user space sees none of them`, { skip: missing }, async () => {
    const here = theLab()
    assert.deepEqual(here.events, [])
    const call = new Call(here, family, number, any)
    try {
      await here.until('the move', () => here.inKernel === 1)
      const { caller, callee } = call
      const moved = callee.heard.length
      await here.until('packets after it', () => callee.heard.length > moved + 50 && caller.heard.length > moved + 50)
      const marked = watched(here.namespaces, 'marked')
      const seen = here.userSpace
      const before = await call.facts()
      const heard = callee.heard.length
      await here.until('more', () => callee.heard.length > heard + 50)
      const facts = await call.facts()
      assert.equal(here.userSpace, seen)
      assert.ok(watched(here.namespaces, 'marked') >= marked + 50, 'with the code point of media')
      assert.equal(watched(here.namespaces, 'marked'), watched(here.namespaces, 'all'))
      assert.ok(facts.received.packets >= before.received.packets + 50, 'conntrack counts them')
      assert.ok(facts.sent.packets >= before.sent.packets + 49)
      assert.equal(facts.received.octets, facts.received.packets * RTP_OCTETS)
      const last = callee.heard.at(-1)
      assert.equal(last?.from, `${call.toCallee.host} ${call.toCallee.port}`)
      assert.equal(last?.ssrc, 0x1111)
      assert.equal(caller.heard.at(-1)?.from, `${call.toCaller.host} ${call.toCaller.port}`)
      assert.ok(gaps(callee.heard) <= 1 && gaps(caller.heard) <= 1, 'nothing is lost by the move')
    } finally {
      call.close()
    }
    await here.until('user space', () => here.inKernel === 0)
    assert.doesNotMatch(nft('list', 'ruleset'), /elements/)
  })
}

test('a re-offer ends the old way at once, and nothing is lost but what was on its way', {
  skip: missing,
}, async () => {
  const here = theLab()
  const call = new Call(here, 4, 4)
  const { caller, callee } = call
  const moved = new Party(here, 'callee', { ...callee.endpoint, port: callee.endpoint.port + 100 }, 0x3333)
  try {
    await here.until('the move', () => here.inKernel === 1)
    const before = callee.heard.length
    await here.until('packets after it', () => callee.heard.length > before + 30)
    callee.talk(null)
    call.moveCallee(moved.endpoint)
    moved.talk(call.toCallee)
    assert.equal(here.inKernel, 0)
    const atOnce = callee.heard.length
    await here.until('the new way', () => moved.heard.length > 20)
    assert.ok(callee.heard.length <= atOnce + 1, 'the old address hears nothing more')
    assert.ok(gaps([...callee.heard, ...moved.heard]) <= 1, 'nothing is lost by the way back')
    assert.equal(moved.heard[0]?.ssrc, 0x1111)
    await here.until('the second move', () => here.inKernel === 1)
    const again = moved.heard.length
    await here.until('packets after it', () => moved.heard.length > again + 30)
    assert.ok(caller.heard.some(({ ssrc }) => ssrc === 0x3333))
  } finally {
    call.close()
    moved.close()
  }
})

test('a stranger is not relayed, nor takes the place of who was latched', { skip: missing }, async () => {
  const here = theLab()
  const call = new Call(here, 4, 5)
  const stranger = new Party(here, 'caller', { ...call.caller.endpoint, port: 666 }, 0x6666)
  try {
    await here.until('the move', () => here.inKernel === 1)
    stranger.talk(call.toCaller)
    // Longer than it takes to latch anew to somebody else when the first is silent.
    const since = call.callee.heard.length
    await here.until('four seconds of packets', () => call.callee.heard.length > since + 200)
    assert.equal(here.inKernel, 1)
    const facts = await call.facts()
    assert.ok((facts.dropped['MEDIA_SOURCE'] ?? 0) > 100)
    assert.equal(facts.remote?.port, call.caller.endpoint.port)
    assert.ok(call.callee.heard.every(({ ssrc }) => ssrc === 0x1111))
    assert.deepEqual(stranger.heard, [])
  } finally {
    stranger.close()
    call.close()
  }
})

test('a relay outlives what conntrack forgets, whoever speaks first after that', { skip: missing }, async () => {
  const here = theLab()
  for (const name of ['nf_conntrack_udp_timeout', 'nf_conntrack_udp_timeout_stream']) {
    writeFileSync(`/proc/sys/net/netfilter/${name}`, '1')
  }
  const call = new Call(here, 4, 6)
  const { caller, callee } = call
  try {
    await here.until('the move', () => here.inKernel === 1)
    const moved = caller.heard.length
    await here.until('packets after it', () => caller.heard.length > moved + 30 && callee.heard.length > moved + 30)
    const before = await call.facts()
    caller.talk(null)
    callee.talk(null)
    const tracked = (): string => spawnSync('conntrack', ['-L', '-p', 'udp'], { encoding: 'utf8' }).stdout ?? ''
    await here.until('the entry to end', () => !tracked().includes(`dport=${call.toCaller.port}`))
    const [atCaller, atCallee] = [caller.heard.length, callee.heard.length]
    callee.talk(call.toCallee)
    await here.until('the callee', () => caller.heard.length > atCaller + 20)
    caller.talk(call.toCaller)
    await here.until('the caller', () => callee.heard.length > atCallee + 20)
    assert.equal(here.inKernel, 1)
    const facts = await call.facts()
    assert.ok(facts.received.packets >= before.received.packets + 20)
    assert.ok(facts.sent.packets >= before.sent.packets + 30)
  } finally {
    call.close()
  }
})

test('without the right it says so once, and is not available', { skip: missing }, () => {
  const program = `
    import { NftRelay } from '#host/nft-relay.ts'
    const events = []
    const relay = new NftRelay({ event: (level, code, fields) => events.push(code + ' ' + fields.reason) })
    const side = { local: { host: '10.99.1.1', port: 4, family: 4 }, remote: { host: '10.99.1.2', port: 4, family: 4 }, dscp: 0 }
    console.log(JSON.stringify([relay.available, relay.add({ first: side, second: side }), events]))`
  const args = ['--bounding-set', '-net_admin', process.execPath, '--input-type=module', '-e', program]
  const { stdout, stderr } = spawnSync('setpriv', args, { encoding: 'utf8' })
  assert.deepEqual(JSON.parse(stdout || `"${stderr}"`), [false, 'UNAVAILABLE', ['KERNEL_RELAY_UNAVAILABLE EPERM']])
})

test('the table has this process as its owner, and goes with it', { skip: missing }, () => {
  const here = theLab()
  assert.match(nft('list', 'tables'), new RegExp(here.relay.tableName))
  here.plane.close()
  assert.doesNotMatch(nft('list', 'tables'), /carillon/)
  assert.equal(here.relay.available, false)
})
