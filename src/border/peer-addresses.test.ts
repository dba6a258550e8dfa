import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ADDRESSES_PER_NAME_MAX, LOOK_UPS_MAX, PeerAddresses } from '#border/peer-addresses.ts'
import { Counters } from '#core/counters.ts'
import type { DnsRecord, DnsSink, DnsType } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { VirtualClock } from '#sim/virtual-clock.ts'

interface Question {
  readonly name: string
  readonly type: DnsType
  readonly sink: DnsSink
}

/** Name servers that answer when told to. */
class Rig {
  readonly clock = new VirtualClock()
  readonly open: Question[] = []
  asked = 0
  readonly addresses: PeerAddresses

  constructor() {
    const resolve = (name: string, type: DnsType, sink: DnsSink): void => {
      this.asked += 1
      this.open.push({ name, type, sink })
    }
    const ports = { clock: this.clock, net: { resolve }, counters: new Counters() } as unknown as Ports
    this.addresses = new PeerAddresses(ports)
  }

  /** Answers everything that is asked, also what is asked meanwhile. */
  answer(table: Readonly<Record<string, readonly string[]>>, failure: string | null = null): void {
    for (;;) {
      const question = this.open.shift()
      if (question === undefined) return
      const { name, type, sink } = question
      const values = table[name] ?? []
      const hosts = type === 'SRV' ? values : values.filter((host) => host.includes(type === 'A' ? '.' : ':'))
      const records = hosts.map(
        (value) => ({ type, address: value, target: value, port: 5060, priority: 0, weight: 0, ttlS: 60 }) as DnsRecord,
      )
      sink.onResolved(name, type, failure === null ? records : [], failure)
    }
  }

  watch(names: readonly string[], port: number | null = 5060): void {
    this.addresses.watch(names.map((host) => ({ host, port })))
  }

  names(address: string): string[] {
    return [...(this.addresses.namesOf(address) ?? [])].sort()
  }

  pass(ms: number): void {
    this.clock.runUntil(this.clock.now() + ms)
  }
}

test('the addresses of both families lead to the names that have them', () => {
  const rig = new Rig()
  rig.watch(['a.example', 'b.example', 'a.example'])
  rig.answer({ 'a.example': ['192.0.2.1', '2001:db8::1'], 'b.example': ['192.0.2.1', '192.0.2.2'] })
  assert.equal(rig.asked, 4)
  assert.deepEqual(rig.names('192.0.2.1'), ['a.example', 'b.example'])
  assert.deepEqual(rig.names('2001:db8::1'), ['a.example'])
  assert.deepEqual(rig.names('192.0.2.3'), [])
})

test('each round replaces the addresses of a name, a failed look-up keeps them and is tried again soon', () => {
  const rig = new Rig()
  rig.watch(['a.example'])
  rig.answer({ 'a.example': ['192.0.2.1'] })
  rig.pass(60_000)
  rig.answer({ 'a.example': ['192.0.2.2'] })
  assert.deepEqual(rig.names('192.0.2.1'), [])
  assert.deepEqual(rig.names('192.0.2.2'), ['a.example'])
  rig.pass(60_000)
  rig.answer({}, 'ETIMEOUT')
  assert.deepEqual(rig.names('192.0.2.2'), ['a.example'])
  const before = rig.asked
  rig.pass(4_999)
  assert.equal(rig.asked, before)
  rig.pass(1)
  assert.equal(rig.asked, before + 2)
  rig.answer({ 'a.example': [] })
  assert.deepEqual(rig.names('192.0.2.2'), [])
})

test('a name that is watched no more is forgotten, with an answer that is still to come', () => {
  const rig = new Rig()
  rig.watch(['a.example', 'b.example'])
  rig.answer({ 'a.example': ['192.0.2.1'], 'b.example': ['192.0.2.1'] })
  rig.pass(60_000)
  rig.watch(['b.example'])
  rig.answer({ 'a.example': ['192.0.2.9'], 'b.example': ['192.0.2.1'] })
  assert.deepEqual(rig.names('192.0.2.1'), ['b.example'])
  assert.deepEqual(rig.names('192.0.2.9'), [])
})

test('look-ups at a time and addresses of a name are bounded', () => {
  const rig = new Rig()
  const names = Array.from({ length: 500 }, (_, i) => `p${i}.example`)
  rig.watch(names)
  assert.equal(rig.open.length, LOOK_UPS_MAX)
  // A new configuration while the round is on asks no more at a time.
  rig.watch(names)
  assert.equal(rig.open.length, LOOK_UPS_MAX)
  const many = Array.from({ length: 200 }, (_, i) => `192.0.2.${i}`)
  rig.answer({ 'p7.example': many, 'p499.example': ['198.51.100.1'] })
  assert.equal(many.filter((host) => rig.names(host).length > 0).length, ADDRESSES_PER_NAME_MAX)
  assert.deepEqual(rig.names('198.51.100.1'), ['p499.example'])
})

test('once stopped it asks nothing and takes no answer', () => {
  const rig = new Rig()
  rig.watch(['a.example'])
  rig.addresses.stop()
  rig.answer({ 'a.example': ['192.0.2.1'] })
  rig.pass(600_000)
  assert.equal(rig.asked, 2)
  assert.deepEqual(rig.names('192.0.2.1'), [])
  assert.equal(rig.clock.armed, 0)
})

test('a peer without a port has the addresses of the hosts of its SIP services too (RFC 3263 §4.2)', () => {
  const rig = new Rig()
  const table = {
    'a.example': ['192.0.2.1'],
    '_sip._udp.a.example': ['SBC1.a.example.', '.'],
    '_sips._tcp.a.example': ['sbc1.a.example', 'sbc2.a.example'],
    'sbc1.a.example': ['192.0.2.11'],
    'sbc2.a.example': ['2001:db8::12'],
  }
  rig.watch(['a.example'], null)
  rig.answer(table)
  for (const address of ['192.0.2.1', '192.0.2.11', '2001:db8::12']) assert.deepEqual(rig.names(address), ['a.example'])
  assert.equal(rig.asked, 2 + 3 + 4)
  // Failing name servers keep it all; a host that is listed no more goes.
  rig.pass(60_000)
  rig.answer({}, 'ETIMEOUT')
  assert.deepEqual(rig.names('2001:db8::12'), ['a.example'])
  rig.pass(5_000)
  rig.answer({ ...table, '_sips._tcp.a.example': [] })
  assert.deepEqual(rig.names('192.0.2.11'), ['a.example'])
  assert.deepEqual(rig.names('2001:db8::12'), [])
})
