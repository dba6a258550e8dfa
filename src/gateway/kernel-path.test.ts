// Relays that move into the kernel and back, in virtual time with a kernel that forwards what the test says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assert as ensure } from '#core/assert.ts'
import type { KernelRelay, KernelRelayCounts, KernelRelayPair } from '#core/kernel-relay.ts'
import { at, EVENTS, PCMA, PCMU, PlaneRig, RigParty } from '#gateway/_plane-rig.test.ts'
import type { StreamSettings } from '#gateway/plane.ts'
import { rtpSequence, rtpSsrc, rtpTimestamp } from '#rtp/rtp-packet.ts'

const CALLER = at('198.51.100.1', 4_000)
const CALLEE = at('198.51.100.2', 5_000)
/** IP, UDP and RTP headers, and 20 ms of G.711. */
const PACKET_OCTETS = 200

function present<Value>(value: Value | undefined): Value {
  ensure(value !== undefined, 'there is one')
  return value
}

class RigRelay implements KernelRelay {
  available = true
  refuses = ''
  /** Whether relays forward anything. */
  forwards = true
  added: KernelRelayPair[] = []
  readonly open = new Map<number, { first: number; second: number }>()
  abandoned = 0
  closed = false

  add(pair: KernelRelayPair): number | string {
    if (this.refuses !== '') return this.refuses
    this.added.push(pair)
    this.open.set(this.added.length, { first: 0, second: 0 })
    return this.added.length
  }

  remove(id: number): KernelRelayCounts | null {
    const counts = this.counts(id)
    this.open.delete(id)
    return counts
  }

  abandon(id: number): KernelRelayCounts | null {
    this.abandoned++
    return this.remove(id)
  }

  counts(id: number): KernelRelayCounts | null {
    const relay = this.open.get(id)
    if (relay === undefined) return null
    const { first, second } = relay
    return {
      firstPackets: first,
      firstOctets: first * PACKET_OCTETS,
      secondPackets: second,
      secondOctets: second * PACKET_OCTETS,
      active: this.forwards && first + second > 0,
    }
  }

  close(): void {
    this.closed = true
  }
}

class Rig {
  readonly relay = new RigRelay()
  readonly plane = new PlaneRig(this.relay)
  readonly caller = new RigParty(CALLER, 0x1111_1111)
  readonly callee = new RigParty(CALLEE, 0x2222_2222)
  readonly toCaller
  readonly toCallee

  constructor(one: Partial<StreamSettings> = {}, other: Partial<StreamSettings> = {}) {
    const payloads = [PCMU, EVENTS]
    const base = { latching: 'first' as const, payloads, timeoutInitialMs: 10_000, timeoutMs: 10_000 }
    this.toCaller = this.plane.open(1, { ...base, remote: CALLER, source: { kind: 'stream', stream: 2 }, ...one })
    this.toCallee = this.plane.open(2, { ...base, remote: CALLEE, source: { kind: 'stream', stream: 1 }, ...other })
  }

  /** Both talk, in user space or as the kernel has it, for `count` packets of 20 ms. */
  talk(count: number): void {
    for (let index = 0; index < count; index++) {
      const relay = this.relay.forwards ? [...this.relay.open.values()][0] : undefined
      for (const [party, to] of [
        [this.caller, this.toCaller],
        [this.callee, this.toCallee],
      ] as const) {
        const packet = party.packet(0, new Uint8Array(160).fill(0xd5))
        party.timestamp += 160
        if (this.relay.open.size === 0) this.plane.receive(packet, party.endpoint, to)
      }
      if (relay !== undefined) {
        relay.first++
        relay.second++
      }
      this.plane.clock.pass(20)
    }
  }

  get inKernel(): boolean {
    return this.relay.open.size > 0
  }
}

test('a settled plain relay moves to the kernel, with both latched parties and both streams', () => {
  const rig = new Rig()
  rig.talk(100)
  assert.equal(rig.inKernel, false, 'not before it has settled')
  rig.talk(200)
  assert.equal(rig.inKernel, true)
  const [pair] = rig.relay.added
  const sides = [present(pair).first, present(pair).second]
  assert.deepEqual(new Set(sides.map(({ remote }) => remote.host)), new Set([CALLER.host, CALLEE.host]))
  for (const { local, remote, dscp } of sides) {
    assert.equal(local.port, remote.host === CALLER.host ? rig.toCaller.port : rig.toCallee.port)
    assert.equal(dscp, 46)
  }
})

test('what may move one day leaves with the SSRC, sequence numbers and timestamps that it came with', () => {
  const rig = new Rig()
  rig.talk(5)
  const [first] = rig.plane.take(CALLEE)
  const bytes = present(first).bytes
  assert.deepEqual([rtpSsrc(bytes), rtpSequence(bytes), rtpTimestamp(bytes)], [0x1111_1111, 100, 5_000])
})

test('without a kernel the SSRC is our own', () => {
  const rig = new Rig()
  rig.relay.available = false
  rig.talk(5)
  assert.notEqual(rtpSsrc(present(rig.plane.take(CALLEE)[0]).bytes), 0x1111_1111)
})

test('the counts of the kernel are those of the streams, and nobody times out', () => {
  const rig = new Rig()
  rig.talk(1_000)
  assert.equal(rig.inKernel, true)
  const { received, sent, silentMs } = rig.plane.facts(1)
  assert.deepEqual([received.packets, sent.packets], [1_000, 1_000])
  assert.deepEqual([received.octets, sent.octets], [172_000, 172_000])
  assert.equal(received.lost, 0)
  assert.ok(silentMs < 2_000)
  assert.equal(
    rig.plane.reports.some(({ report }) => report === 'timeout'),
    false,
  )
})

test('silence in the kernel is silence', () => {
  const rig = new Rig()
  rig.talk(500)
  assert.equal(rig.inKernel, true)
  rig.plane.clock.pass(12_000)
  assert.equal(rig.plane.reports.filter(({ report }) => report === 'timeout').length, 2)
})

const CHANGES: Readonly<Record<string, (rig: Rig) => void>> = {
  'new settings': ({ plane }) => plane.set(1, { remote: CALLER, source: { kind: 'none' } }),
  'a block': ({ plane }) => plane.plane.order({ order: 'block', stream: 2, media: true, dtmf: false }),
  'a playback': ({ plane }) => plane.plane.order({ order: 'play', stream: 1, play: 1, segments: [], repeat: 1 }),
  'a recording': ({ plane }) => plane.plane.order({ order: 'record', stream: 2, file: 'a', format: 'pcap' }),
  'the end of a stream': ({ plane }) => plane.plane.order({ order: 'close', stream: 2 }),
  'a third stream that listens': ({ plane }) => {
    plane.open(3, { remote: at('198.51.100.3', 6_000), source: { kind: 'stream', stream: 1 } })
  },
}

for (const [name, change] of Object.entries(CHANGES)) {
  test(`${name} brings the relay back before anything else happens`, () => {
    const rig = new Rig()
    rig.talk(500)
    assert.equal(rig.inKernel, true)
    change(rig)
    assert.equal(rig.inKernel, false)
  })
}

test('back in user space nothing jumps: numbers, statistics and duplicates', () => {
  const rig = new Rig()
  rig.talk(5_000)
  assert.equal(rig.inKernel, true)
  rig.plane.sent.length = 0
  rig.plane.set(1, {
    remote: CALLER,
    latching: 'first',
    payloads: [PCMU, EVENTS],
    source: { kind: 'stream', stream: 2 },
  })
  rig.talk(10)
  const sent = rig.plane.take(CALLEE)
  assert.deepEqual(
    sent.map(({ bytes }) => rtpSequence(bytes)),
    Array.from({ length: 10 }, (_, index) => 5_100 + index),
  )
  const { received, dropped } = rig.plane.facts(1)
  assert.deepEqual([received.packets, received.lost, dropped], [5_010, 0, {}])
  rig.talk(400)
  assert.equal(rig.inKernel, true, 'and it moves again')
})

test('a playback after the kernel has new numbers and goes on in time', () => {
  const rig = new Rig()
  rig.talk(1_000)
  rig.plane.sent.length = 0
  const tone = { kind: 'tone' as const, frequencies: [440], levelDbm0: -10, ms: 1_000 }
  rig.plane.plane.order({ order: 'play', stream: 2, play: 1, segments: [tone], repeat: 1 })
  rig.plane.clock.pass(100)
  const [first] = rig.plane.take(CALLEE)
  const bytes = present(first).bytes
  assert.equal(rtpSsrc(bytes), 0x1111_1111)
  const ahead = rtpSequence(bytes) - (rig.caller.sequence - 1)
  assert.ok(ahead > 0 && ahead < 50, `${ahead}`)
  const late = rtpTimestamp(bytes) - rig.caller.timestamp
  assert.ok(late >= -160 && late < 1_600, `${late}`)
})

test('a stranger neither passes nor takes the place of who talks through the kernel', () => {
  const rig = new Rig()
  rig.talk(1_000)
  const stranger = new RigParty(at('198.51.100.66', 666), 0x6666_6666)
  rig.plane.sent.length = 0
  rig.plane.receive(stranger.packet(0, new Uint8Array(160)), stranger.endpoint, rig.toCaller)
  assert.equal(rig.inKernel, true)
  assert.equal(rig.plane.sent.filter(({ to }) => to.port === CALLEE.port).length, 0)
  assert.equal(rig.plane.facts(1).dropped['MEDIA_SOURCE'], 1)
})

test('what was under way is not sent beside the translation; what still comes later brings the relay back', () => {
  const rig = new Rig()
  while (!rig.inKernel) rig.talk(1)
  rig.plane.sent.length = 0
  rig.plane.receive(rig.caller.packet(0, new Uint8Array(160)), CALLER, rig.toCaller)
  assert.equal(rig.plane.take(CALLEE).length, 0)
  assert.equal(rig.inKernel, true)
  rig.talk(50)
  rig.plane.receive(rig.caller.packet(0, new Uint8Array(160)), CALLER, rig.toCaller)
  assert.equal(rig.inKernel, false)
  assert.equal(rig.plane.take(CALLEE).length, 1)
})

test('a kernel that forwards nothing is left after 300 ms, three times', () => {
  const rig = new Rig()
  rig.relay.forwards = false
  rig.talk(250)
  rig.talk(2_000)
  assert.equal(rig.inKernel, false)
  assert.deepEqual([rig.relay.added.length, rig.relay.abandoned], [3, 3])
})

test('a refused relay stays in user space', () => {
  const rig = new Rig()
  rig.relay.refuses = 'LOCAL_PEER'
  rig.talk(1_000)
  assert.equal(rig.inKernel, false)
  assert.equal(rig.plane.facts(2).sent.packets, 1_000)
})

test('more packets than anybody may send come back to where they are limited', () => {
  const rig = new Rig()
  rig.talk(500)
  const relay = present([...rig.relay.open.values()][0])
  relay.first += 5_000
  rig.plane.clock.pass(1_100)
  assert.equal(rig.inKernel, false)
})

test('the right is lost: everything is in user space again', () => {
  const rig = new Rig()
  rig.talk(500)
  rig.relay.available = false
  rig.relay.open.clear()
  rig.plane.clock.pass(200)
  rig.plane.sent.length = 0
  rig.talk(10)
  assert.equal(rig.plane.take(CALLEE).length, 10)
})

const STAYS: Readonly<Record<string, readonly [Partial<StreamSettings>, Partial<StreamSettings>]>> = {
  'digits are watched': [{ reportsDtmf: true }, {}],
  'digits are held back': [{}, { passesDtmf: false }],
  'tones are listened to': [{}, { listensForTones: true }],
  'RTCP shares the port': [{ rtcpMux: true }, {}],
  'formats differ': [{ payloads: [PCMU, PCMA, EVENTS] }, {}],
  'payload types differ': [{ payloads: [PCMU, { ...EVENTS, payloadType: 96 }] }, {}],
}
for (const [name, [one, other]] of Object.entries(STAYS)) {
  test(`it stays in user space when ${name}`, () => {
    const rig = new Rig(one, other)
    rig.talk(500)
    assert.equal(rig.inKernel, false)
    assert.ok(rig.plane.facts(1).sent.packets >= 400)
  })
}

test('closing the plane ends what is in the kernel', () => {
  const rig = new Rig()
  rig.talk(500)
  rig.plane.plane.close()
  assert.equal(rig.inKernel, false)
  assert.equal(rig.relay.closed, true)
  assert.equal(rig.plane.clock.armed, 0)
})
