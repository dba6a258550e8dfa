// What the switch's own code costs for one call, without sockets, disk and load generator: both phones are string templates in this process.
// node bench/call-cpu.ts [calls]; add --cpu-prof to see where it goes.

import { Counters } from '#core/counters.ts'
import type { DatagramSink, Endpoint, Net } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Store } from '#core/store.ts'
import { SystemRandom } from '#host/system-random.ts'
import { compileSnapshot } from '#routing/snapshot.ts'
import { loadConfig } from '#schema/config.ts'
import { VirtualClock } from '#sim/virtual-clock.ts'
import { Switch } from '#switch/switch.ts'

const CALLS = Number(process.argv[2] ?? 50_000)
const SWITCH: Endpoint = { host: '127.0.0.1', port: 5060, family: 4 }
const CALLER: Endpoint = { host: '127.0.0.2', port: 5082, family: 4 }
const CALLEE: Endpoint = { host: '127.0.0.3', port: 5080, family: 4 }
const SDP =
  'v=0\r\no=uac 53655765 2353687637 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0 8 101\r\n' +
  'a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n'

const routes = Array.from({ length: 20_000 }, (_, i) => `  - {prefix: "${10_000 + i}", trunkGroups: [out]}`).join('\n')
const loaded = loadConfig(
  `domain: 127.0.0.1\nsip: {listen: ["udp:127.0.0.1:5060"]}\nlimits: {callsPerSecondMax: 1000000, callsMax: 1000000}\ntrunkGroups:\n` +
    '  - {name: in, peers: ["127.0.0.2"], direction: in, channelsMax: 1000000, cpsMax: 100000}\n' +
    `  - {name: out, peers: ["127.0.0.3:5080"], direction: out, channelsMax: 1000000, cpsMax: 100000}\nroutes:\n${routes}\n`,
  'bench',
)
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))

const clock = new VirtualClock()
const outbox: { text: string; to: Endpoint }[] = []
let sink: DatagramSink | null = null
const net: Net = {
  udp: (_local, given) => {
    sink = given
    return {
      send: (bytes, to) => {
        outbox.push({ text: (bytes as Buffer).toString('latin1'), to })
      },
      close: () => {},
    }
  },
  listen: () => ({ replaceTls: () => {}, close: () => {} }),
  connect: () => {
    throw new Error('no streams here')
  },
  resolve: () => {},
}
const store: Store = {
  open: (_name, _each, journalSink) => {
    let count = 0
    const append = (): number => {
      count += 1
      journalSink.onDurable(count)
      return count
    }
    return {
      journal: { append, pending: 0, octets: 0, rewrite: (_lines, done) => done(true), close: () => {} },
      torn: false,
    }
  },
  list: () => [],
  remove: () => {},
}
const ports: Ports = {
  clock,
  random: new SystemRandom(),
  net,
  store,
  log: { event: () => {} },
  counters: new Counters(),
}
const running = new Switch(
  ports,
  compileSnapshot(loaded.config, 'v1', ['127.0.0.1']),
  { nodeId: 'n', shard: 0, tls: null },
  { onReady: () => {}, onFatal: (reason) => console.log(reason), onDrained: () => {} },
)
running.start()
const target: DatagramSink =
  sink ??
  (() => {
    throw new Error('not listening')
  })()
target.onListening(SWITCH)

const deliver = (text: string, from: Endpoint): void => target.onDatagram(Buffer.from(text, 'latin1'), from)
const value = (text: string, name: string): string => {
  const at = text.indexOf(`\r\n${name}: `) + name.length + 4
  return text.slice(at, text.indexOf('\r\n', at))
}
const taken = (): { text: string; to: Endpoint }[] => outbox.splice(0)
let answered = 0

function oneCall(i: number): void {
  const called = `1${String(i % 10_000).padStart(4, '0')}5551234`
  const id = `${i}-1234@127.0.0.2`
  const head = (branch: string, to: string, cseq: string): string =>
    `Via: SIP/2.0/UDP 127.0.0.2:5082;branch=z9hG4bK-${i}-${branch}\r\nFrom: <sip:caller@127.0.0.1:5060>;tag=1234c${i}\r\nTo: ${to}\r\n` +
    `Call-ID: ${id}\r\nCSeq: ${cseq}\r\n`
  deliver(
    `INVITE sip:${called}@127.0.0.1:5060 SIP/2.0\r\n${head('0', `<sip:${called}@127.0.0.1:5060>`, '1 INVITE')}` +
      'Contact: <sip:caller@127.0.0.2:5082>\r\nMax-Forwards: 70\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE\r\nSupported: timer\r\n' +
      `User-Agent: bench\r\nContent-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
    CALLER,
  )
  const invite = taken().find((message) => message.to.host === CALLEE.host)?.text ?? ''
  const echo = (request: string, tag: string): string =>
    `Via: ${value(request, 'Via')}\r\nFrom: ${value(request, 'From')}\r\nTo: ${value(request, 'To')}${tag}\r\n` +
    `Call-ID: ${value(request, 'Call-ID')}\r\nCSeq: ${value(request, 'CSeq')}\r\n`
  const tag = `;tag=77u${i}`
  const contact = 'Contact: <sip:uas@127.0.0.3:5080>\r\n'
  deliver(`SIP/2.0 180 Ringing\r\n${echo(invite, tag)}${contact}Content-Length: 0\r\n\r\n`, CALLEE)
  deliver(
    `SIP/2.0 200 OK\r\n${echo(invite, tag)}${contact}Content-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
    CALLEE,
  )
  const ok = taken().find((message) => message.text.startsWith('SIP/2.0 200'))?.text ?? ''
  const to = value(ok, 'To')
  const uri = value(ok, 'Contact').slice(1, -1)
  deliver(`ACK ${uri} SIP/2.0\r\n${head('1', to, '1 ACK')}Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n`, CALLER)
  deliver(`BYE ${uri} SIP/2.0\r\n${head('2', to, '2 BYE')}Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n`, CALLER)
  for (const message of taken()) {
    if (message.text.startsWith('BYE ')) {
      deliver(`SIP/2.0 200 OK\r\n${echo(message.text, '')}Content-Length: 0\r\n\r\n`, CALLEE)
      answered += 1
    }
  }
}

const ROUND = 5_000
let best = Number.POSITIVE_INFINITY
for (let i = 0; i < CALLS; i += ROUND) {
  const before = process.cpuUsage()
  for (let j = 0; j < ROUND; j += 1) {
    oneCall(i + j)
    // 1,000 calls a second of virtual time: transactions end as they would.
    clock.runUntil(clock.now() + 1)
  }
  const used = process.cpuUsage(before)
  const perCall = (used.user + used.system) / ROUND
  best = Math.min(best, perCall)
  console.log(`${i + ROUND} calls: ${perCall.toFixed(1)} µs a call`)
}
console.log(`answered ${answered}; best round ${best.toFixed(1)} µs; held`, running.audit())
