// Finding the next hop against RFC 3263 and RFC 2782, in virtual time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DnsRecord } from '#core/net.ts'
import { counted, endpoint, type FakePorts, fakePorts } from '#sip/_fake-ports.ts'
import type { Target } from '#sip/flow.ts'
import { DEAD_TARGETS_MAX, HOLD_DOWN_MS, Locator } from '#sip/locator.ts'
import { RECORDS_MAX } from '#sip/name-cache.ts'
import { type Abilities, TARGETS_MAX } from '#sip/target-order.ts'
import { parseUri, type Uri } from '#sip/uri.ts'

const ABILITIES: Abilities = { transports: ['udp', 'tcp', 'tls'], families: [4, 6] }
type Zone = Readonly<Record<string, readonly DnsRecord[] | string>>

function uriOf(text: string): Uri {
  const uri = parseUri(text)
  assert.ok(uri)
  return uri
}

function a(address: string, ttlS = 300): DnsRecord {
  return { type: address.includes(':') ? 'AAAA' : 'A', address, ttlS }
}

function srv(target: string, port: number, priority = 0, weight = 0): DnsRecord {
  return { type: 'SRV', priority, weight, port, target, ttlS: 300 }
}

function naptr(order: number, preference: number, service: string, replacement: string): DnsRecord {
  return { type: 'NAPTR', order, preference, flags: 's', service, regexp: '', replacement, ttlS: 300 }
}

class Asking {
  readonly ports: FakePorts = fakePorts()
  readonly locator: Locator
  /** What came back, in order: hops as text, or the failure. */
  readonly located: string[] = []
  targets: readonly Target[] = []

  constructor(abilities: Partial<Abilities> = {}) {
    this.locator = new Locator(this.ports, { ...ABILITIES, ...abilities })
  }

  ask(uri: string): this {
    this.locator.locate(uriOf(uri), {
      onLocated: (targets, failure) => {
        this.targets = targets
        this.located.push(failure ?? targets.map(targetText).join(' '))
      },
    })
    return this
  }

  /** Asks, and has all questions answered from `zone`. */
  from(zone: Zone, uri: string): string {
    return this.ask(uri).answer(zone).located.at(-1) ?? 'nothing'
  }

  /** Has all questions answered, and those that follow from the answers: three rounds at most. */
  answer(zone: Zone): this {
    for (let round = 0; round < 4; round += 1) {
      this.ports.net.answer(zone)
      this.ports.clock.pass(0)
    }
    return this
  }
}

function targetText({ transport, endpoint: { host, port }, serverName }: Target): string {
  return `${transport}:${host}:${port}${serverName === null ? '' : `(${serverName})`}`
}

function locate(uri: string, zone: Zone = {}, abilities: Partial<Abilities> = {}): string {
  return new Asking(abilities).from(zone, uri)
}

test('§4.1: a numeric host means UDP for sip and TLS for sips, by default ports, without a question', () => {
  const asking = new Asking()
  assert.equal(asking.ask('sip:a@192.0.2.7').located[0], 'udp:192.0.2.7:5060')
  assert.equal(asking.ask('sips:a@192.0.2.7').located[1], 'tls:192.0.2.7:5061')
  assert.equal(asking.ask('sip:a@[2001:DB8:0:0::7]:5070;transport=tcp').located[2], 'tcp:2001:db8::7:5070')
  assert.equal(asking.ask('sip:a@192.0.2.7;transport=TLS').located[3], 'tls:192.0.2.7:5061')
  assert.equal(asking.ask('sips:a@192.0.2.7;transport=tcp').located[4], 'tls:192.0.2.7:5061')
  assert.deepEqual(asking.ports.net.asked, [])
})

test('§4.1: maddr stands for the host', () => {
  assert.equal(locate('sip:a@example.com;maddr=192.0.2.9'), 'udp:192.0.2.9:5060')
  assert.equal(locate('sip:a@example.com;maddr=[2001:db8::9]'), 'udp:2001:db8::9:5060')
})

test('§4.1: a name with a port means UDP (TLS for sips), and asks for addresses only', () => {
  const asking = new Asking()
  const zone = { 'A gw.example.com': [a('192.0.2.7')], 'AAAA gw.example.com': [a('2001:db8::7')] }
  assert.equal(asking.from(zone, 'sip:a@gw.example.com:5080'), 'udp:192.0.2.7:5080 udp:2001:db8::7:5080')
  assert.deepEqual(asking.ports.net.asked, ['A gw.example.com', 'AAAA gw.example.com'])
  assert.equal(asking.from(zone, 'sips:a@GW.example.com.:5080').split(' ')[0], 'tls:192.0.2.7:5080(gw.example.com)')
})

test('§4.1: NAPTR chooses the transport by order, then preference; services that we do not speak do not count', () => {
  const zone: Zone = {
    'NAPTR example.com': [
      naptr(50, 90, 'SIP+D2T', '_sip._tcp.example.com'),
      naptr(50, 50, 'SIPS+D2T', '_sips._tcp.example.com'),
      naptr(10, 10, 'SIP+D2S', '_sip._sctp.example.com'),
      naptr(90, 10, 'SIP+D2U', '_sip._udp.example.com'),
    ],
    'SRV _sips._tcp.example.com': [srv('s.example.com', 5_061)],
    'SRV _sip._tcp.example.com': [srv('t.example.com', 5_060)],
    'SRV _sip._udp.example.com': [srv('u.example.com', 5_060)],
    'A s.example.com': [a('192.0.2.1')],
    'A t.example.com': [a('192.0.2.2')],
    'A u.example.com': [a('192.0.2.3')],
  }
  assert.equal(locate('sip:a@example.com', zone), 'tls:192.0.2.1:5061(example.com) tcp:192.0.2.2:5060')
  assert.equal(locate('sips:a@example.com', zone), 'tls:192.0.2.1:5061(example.com)')
  assert.equal(locate('sip:a@example.com', zone, { transports: ['udp'] }), 'udp:192.0.2.3:5060')
})

test('§4.1: without NAPTR, SRV is asked for each transport that we speak, in our order', () => {
  const asking = new Asking()
  const zone = {
    'SRV _sip._tcp.example.com': [srv('t.example.com', 5_070)],
    'SRV _sip._udp.example.com': [srv('u.example.com', 5_080)],
    'A t.example.com': [a('192.0.2.2')],
    'A u.example.com': [a('192.0.2.3')],
  }
  assert.equal(asking.from(zone, 'sip:a@example.com'), 'udp:192.0.2.3:5080 tcp:192.0.2.2:5070')
  assert.deepEqual(asking.ports.net.asked.slice(0, 4), [
    'NAPTR example.com',
    'SRV _sip._udp.example.com',
    'SRV _sip._tcp.example.com',
    'SRV _sips._tcp.example.com',
  ])
})

test('§4.1, §4.2: sips without NAPTR asks for _sips._tcp only and never leaves TLS', () => {
  const asking = new Asking()
  assert.equal(
    asking.from({ 'A example.com': [a('192.0.2.4')] }, 'sips:a@example.com'),
    'tls:192.0.2.4:5061(example.com)',
  )
  assert.ok(asking.ports.net.asked.every((question) => !question.includes('_sip._')))
  assert.equal(locate('sips:a@example.com', {}, { transports: ['udp', 'tcp'] }), 'LOCATE_TRANSPORT')
  assert.equal(locate('sips:a@192.0.2.1;transport=udp'), 'LOCATE_TRANSPORT')
})

test('§4.2: with a transport parameter only its SRV records are asked for, without NAPTR', () => {
  const asking = new Asking()
  const zone = { 'SRV _sip._tcp.example.com': [srv('t.example.com', 5_070)], 'A t.example.com': [a('192.0.2.2')] }
  assert.equal(asking.from(zone, 'sip:a@example.com;transport=tcp'), 'tcp:192.0.2.2:5070')
  assert.equal(asking.ports.net.asked[0], 'SRV _sip._tcp.example.com')
})

test('§4.2: without SRV records the addresses of the host are used at the default port', () => {
  assert.equal(locate('sip:a@example.com', { 'A example.com': [a('192.0.2.4')] }), 'udp:192.0.2.4:5060')
  assert.equal(
    locate('sip:a@example.com;transport=tls', { 'A example.com': [a('192.0.2.4')] }),
    'tls:192.0.2.4:5061(example.com)',
  )
})

test('RFC 5922 §7: the name to verify is the domain of the URI, not the host that SRV gave', () => {
  const zone = {
    'SRV _sips._tcp.example.com': [srv('host9.hoster.example', 5_061)],
    'A host9.hoster.example': [a('192.0.2.4')],
  }
  assert.equal(locate('sips:a@example.com', zone), 'tls:192.0.2.4:5061(example.com)')
})

test('RFC 2782: a target of "." says that the service is not there', () => {
  const zone = { 'SRV _sip._tcp.example.com': [srv('.', 0)], 'A example.com': [a('192.0.2.4')] }
  assert.equal(locate('sip:a@example.com;transport=tcp', zone), 'LOCATE_NO_SERVICE')
})

test('SRV hops follow priority, each with its addresses', () => {
  const zone = {
    'SRV _sip._udp.example.com': [srv('b.example.com', 5_062, 20), srv('a.example.com', 5_061, 10)],
    'A a.example.com': [a('192.0.2.1')],
    'AAAA a.example.com': [a('2001:db8::1')],
    'A b.example.com': [a('192.0.2.2')],
  }
  assert.equal(
    locate('sip:a@example.com;transport=udp', zone),
    'udp:192.0.2.1:5061 udp:2001:db8::1:5061 udp:192.0.2.2:5062',
  )
})

test('addresses of a family that we do not have are neither asked for nor used', () => {
  const asking = new Asking({ families: [6] })
  const zone = { 'A gw.example.com': [a('192.0.2.7')], 'AAAA gw.example.com': [a('2001:db8::7')] }
  assert.equal(asking.from(zone, 'sip:a@gw.example.com:5060'), 'udp:2001:db8::7:5060')
  assert.deepEqual(asking.ports.net.asked, ['AAAA gw.example.com'])
  assert.equal(asking.ask('sip:a@192.0.2.1').located.at(-1), 'LOCATE_ADDRESS')
})

test('nothing is ever sent to unspecified, multicast, broadcast or reserved addresses or to port 0', () => {
  for (const host of [
    '0.0.0.0',
    '224.0.1.75',
    '255.255.255.255',
    '240.0.0.1',
    '[::]',
    '[ff02::1]',
    '[::ffff:224.0.0.1]',
  ]) {
    assert.equal(locate(`sip:a@${host}`), 'LOCATE_ADDRESS', host)
  }
  const bad = [a('0.0.0.0'), a('239.1.1.1'), a('255.255.255.255'), a('::'), a('nonsense')]
  assert.equal(
    locate('sip:a@example.com:5060', { 'A example.com': bad, 'AAAA example.com': [a('ff05::1')] }),
    'LOCATE_NONE',
  )
  const zone = { 'SRV _sip._udp.example.com': [srv('a.example.com', 0)], 'A a.example.com': [a('192.0.2.1')] }
  assert.equal(locate('sip:a@example.com;transport=udp', zone), 'LOCATE_NO_SERVICE')
})

test('an IPv4-mapped address is the IPv4 address it stands for', () => {
  assert.equal(locate('sip:a@[::FFFF:192.0.2.7]'), 'udp:192.0.2.7:5060')
})

test('what is no SIP URI, no transport of ours or no name is refused with its word', () => {
  assert.equal(locate('tel:+12025550101'), 'LOCATE_SCHEME')
  assert.equal(locate('sip:a@example.com;transport=sctp'), 'LOCATE_TRANSPORT')
  assert.equal(locate('sip:a@192.0.2.1;transport=ws'), 'LOCATE_TRANSPORT')
  // Addresses in disguise, which a resolver might read as numbers.
  assert.equal(locate('sip:a@1.2.3'), 'LOCATE_NAME')
  assert.equal(locate('sip:a@010.1.1.1'), 'LOCATE_NAME')
  assert.equal(locate(`sip:a@${'x'.repeat(64)}.example.com`), 'LOCATE_NAME')
  assert.equal(locate('sip:a@nowhere.example.com'), 'LOCATE_NONE')
})

test('a resolver that fails gives LOCATE_DNS, one that says nothing ends in time', () => {
  const zone = { 'A gw.example.com': 'ESERVFAIL', 'AAAA gw.example.com': 'ESERVFAIL' }
  assert.equal(locate('sip:a@gw.example.com:5060', zone), 'LOCATE_DNS')
  const asking = new Asking().ask('sip:a@example.com')
  asking.ports.clock.pass(10_000)
  assert.equal(asking.located.length, 1)
  assert.equal(asking.ports.clock.armed, 0)
  assert.deepEqual({ ...asking.locator.audit(), answers: 0 }, { answers: 0, queries: 0, locations: 0, dead: 0 })
})

test('a resolver that drops NAPTR questions only delays', () => {
  const asking = new Asking().ask('sip:a@example.com')
  asking.ports.clock.pass(2_500)
  // The late answer is worth nothing any more to this location.
  asking.answer({ 'A example.com': [a('192.0.2.4')] })
  assert.deepEqual(asking.located, ['udp:192.0.2.4:5060'])
})

test('answers are kept as long as their TTL says, questions for one name are asked once', () => {
  const asking = new Asking({ families: [4] })
  const zone = { 'A gw.example.com': [a('192.0.2.7', 60)] }
  const uri = 'sip:a@gw.example.com:5060'
  asking.ask(uri).ask(uri).ask(uri)
  asking.answer(zone)
  assert.equal(asking.located.length, 3)
  asking.ports.clock.pass(59_999)
  assert.equal(asking.ask(uri).located.length, 4)
  assert.equal(asking.ports.net.asked.length, 1)
  asking.ports.clock.pass(1)
  assert.equal(asking.ask(uri).located.length, 4)
  assert.equal(asking.ports.net.asked.length, 2)
})

test('TTL is kept within bounds: never less than some seconds, never more than an hour', () => {
  const asking = new Asking({ families: [4] })
  asking.from({ 'A zero.example.com': [a('192.0.2.7', 0)] }, 'sip:zero.example.com:5060')
  asking.from({ 'A week.example.com': [a('192.0.2.8', 604_800)] }, 'sip:week.example.com:5060')
  asking.ports.clock.pass(4_999)
  asking.ask('sip:zero.example.com:5060')
  assert.equal(asking.ports.net.asked.length, 2)
  asking.ports.clock.pass(3_595_001)
  asking.ask('sip:week.example.com:5060')
  assert.equal(asking.ports.net.asked.length, 3)
})

test('RFC 2308: that there is no such name is kept too', () => {
  const asking = new Asking({ families: [4] })
  assert.equal(asking.from({}, 'sip:none.example.com:5060'), 'LOCATE_NONE')
  assert.equal(asking.ask('sip:none.example.com:5060').located.length, 2)
  assert.equal(asking.ports.net.asked.length, 1)
})

test('RFC 8767: when the resolver fails, what it said before goes on being used', () => {
  const asking = new Asking({ families: [4] })
  const uri = 'sip:a@gw.example.com:5060'
  asking.from({ 'A gw.example.com': [a('192.0.2.7', 60)] }, uri)
  asking.ports.clock.pass(3_600_000)
  assert.equal(asking.from({ 'A gw.example.com': 'ETIMEOUT' }, uri), 'udp:192.0.2.7:5060')
  assert.equal(counted(asking.ports, 'carillon_dns_stale_total'), 1)
})

test('§4.3: a hop in hold-down is tried last, and again first when it is over', () => {
  const asking = new Asking({ families: [4] })
  const uri = 'sip:a@example.com;transport=udp'
  const zone = {
    'SRV _sip._udp.example.com': [srv('a.example.com', 5_060, 1), srv('b.example.com', 5_060, 2)],
    'A a.example.com': [a('192.0.2.1')],
    'A b.example.com': [a('192.0.2.2')],
  }
  assert.equal(asking.from(zone, uri), 'udp:192.0.2.1:5060 udp:192.0.2.2:5060')
  const [first, second] = asking.targets
  assert.ok(first && second)
  asking.locator.markDead(first)
  assert.equal(asking.locator.isDead({ ...first, endpoint: { ...first.endpoint } }), true)
  assert.equal(asking.ask(uri).located.at(-1), 'udp:192.0.2.2:5060 udp:192.0.2.1:5060')
  asking.locator.markDead(second)
  assert.equal(asking.ask(uri).located.at(-1), 'udp:192.0.2.1:5060 udp:192.0.2.2:5060')
  asking.locator.markAlive(second)
  asking.ports.clock.pass(HOLD_DOWN_MS)
  assert.equal(asking.locator.isDead(first), false)
  assert.equal(asking.ask(uri).located.at(-1), 'udp:192.0.2.1:5060 udp:192.0.2.2:5060')
})

test('hold-downs are bounded in number and time', () => {
  const { locator, ports } = new Asking()
  for (let port = 1; port <= DEAD_TARGETS_MAX + 10; port += 1) {
    locator.markDead({ transport: 'udp', endpoint: endpoint('192.0.2.1', port), serverName: null }, 1e12)
  }
  assert.equal(locator.audit().dead, DEAD_TARGETS_MAX)
  ports.clock.pass(3_600_000)
  assert.equal(locator.isDead({ transport: 'udp', endpoint: endpoint('192.0.2.1', 100), serverName: null }), false)
})

test('an answer of any size costs a bounded number of questions and gives a bounded number of hops', () => {
  const many = Array.from({ length: 500 }, (_, i) => srv(`h${i}.example.com`, 5_060, i))
  const addresses = Array.from({ length: 500 }, (_, i) => a(`192.0.${i >> 8}.${i & 255}`))
  const zone: Record<string, readonly DnsRecord[]> = { 'SRV _sip._udp.example.com': many }
  for (let i = 0; i < 500; i += 1) zone[`A h${i}.example.com`] = addresses
  const asking = new Asking()
  asking.from(zone, 'sip:a@example.com;transport=udp')
  assert.equal(asking.targets.length, Math.min(TARGETS_MAX, RECORDS_MAX))
  assert.ok(asking.ports.net.asked.length <= 64)
})

test('each hop stands once, however many names lead to it', () => {
  const zone = {
    'SRV _sip._udp.example.com': [
      srv('a.example.com', 5_060, 1),
      srv('b.example.com', 5_060, 2),
      srv('a.example.com', 5_060, 3),
    ],
    'A a.example.com': [a('192.0.2.1')],
    'A b.example.com': [a('192.0.2.1')],
  }
  assert.equal(locate('sip:a@example.com;transport=udp', zone), 'udp:192.0.2.1:5060')
})

test('kept addresses of one name are spread over: each is first in its turn', () => {
  const asking = new Asking({ families: [4] })
  const zone = { 'A gw.example.com': [a('192.0.2.1'), a('192.0.2.2'), a('192.0.2.3')] }
  const first = new Map<string, number>()
  for (let i = 0; i < 600; i += 1) {
    asking.from(zone, 'sip:a@gw.example.com:5060')
    const host = asking.targets[0]?.endpoint.host ?? ''
    first.set(host, (first.get(host) ?? 0) + 1)
  }
  assert.equal(first.size, 3)
  for (const count of first.values()) assert.ok(count > 120, `${count}`)
})

test('stop leaves nothing armed', () => {
  const asking = new Asking().ask('sip:a@example.com')
  asking.locator.stop()
  assert.equal(asking.ports.clock.armed, 0)
  asking.ports.net.answer({})
  assert.deepEqual(asking.located, [])
})
