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
      const family = type === 'A' ? '.' : ':'
      const hosts = (table[name] ?? []).filter((host) => host.includes(family))
      const records = hosts.map((address) => ({ type, address, ttlS: 60 }) as DnsRecord)
      sink.onResolved(name, type, failure === null ? records : [], failure)
    }
  }

  pass(ms: number): void {
    this.clock.runUntil(this.clock.now() + ms)
  }
}

test('the addresses of both families lead to the names that have them', () => {
  const rig = new Rig()
  rig.addresses.watch(['a.example', 'b.example', 'a.example'])
  rig.answer({ 'a.example': ['192.0.2.1', '2001:db8::1'], 'b.example': ['192.0.2.1', '192.0.2.2'] })
  assert.equal(rig.asked, 4)
  assert.deepEqual([...rig.addresses.namesOf('192.0.2.1')].sort(), ['a.example', 'b.example'])
  assert.deepEqual(rig.addresses.namesOf('2001:db8::1'), ['a.example'])
  assert.deepEqual(rig.addresses.namesOf('192.0.2.3'), [])
})

test('each round replaces the addresses of a name, a failed look-up keeps them and is tried again soon', () => {
  const rig = new Rig()
  rig.addresses.watch(['a.example'])
  rig.answer({ 'a.example': ['192.0.2.1'] })
  rig.pass(60_000)
  rig.answer({ 'a.example': ['192.0.2.2'] })
  assert.deepEqual(rig.addresses.namesOf('192.0.2.1'), [])
  assert.deepEqual(rig.addresses.namesOf('192.0.2.2'), ['a.example'])
  rig.pass(60_000)
  rig.answer({}, 'ETIMEOUT')
  assert.deepEqual(rig.addresses.namesOf('192.0.2.2'), ['a.example'])
  const before = rig.asked
  rig.pass(4_999)
  assert.equal(rig.asked, before)
  rig.pass(1)
  assert.equal(rig.asked, before + 2)
  rig.answer({ 'a.example': [] })
  assert.deepEqual(rig.addresses.namesOf('192.0.2.2'), [])
})

test('a name that is watched no more is forgotten, with an answer that is still to come', () => {
  const rig = new Rig()
  rig.addresses.watch(['a.example', 'b.example'])
  rig.answer({ 'a.example': ['192.0.2.1'], 'b.example': ['192.0.2.1'] })
  rig.pass(60_000)
  rig.addresses.watch(['b.example'])
  rig.answer({ 'a.example': ['192.0.2.9'], 'b.example': ['192.0.2.1'] })
  assert.deepEqual(rig.addresses.namesOf('192.0.2.1'), ['b.example'])
  assert.deepEqual(rig.addresses.namesOf('192.0.2.9'), [])
})

test('look-ups at a time and addresses of a name are bounded', () => {
  const rig = new Rig()
  const names = Array.from({ length: 500 }, (_, i) => `p${i}.example`)
  rig.addresses.watch(names)
  assert.equal(rig.open.length, LOOK_UPS_MAX)
  // A new configuration while the round is on asks no more at a time.
  rig.addresses.watch(names)
  assert.equal(rig.open.length, LOOK_UPS_MAX)
  const many = Array.from({ length: 200 }, (_, i) => `192.0.2.${i}`)
  rig.answer({ 'p7.example': many, 'p499.example': ['198.51.100.1'] })
  assert.equal(many.filter((host) => rig.addresses.namesOf(host).length > 0).length, ADDRESSES_PER_NAME_MAX)
  assert.deepEqual(rig.addresses.namesOf('198.51.100.1'), ['p499.example'])
})

test('once stopped it asks nothing and takes no answer', () => {
  const rig = new Rig()
  rig.addresses.watch(['a.example'])
  rig.addresses.stop()
  rig.answer({ 'a.example': ['192.0.2.1'] })
  rig.pass(600_000)
  assert.equal(rig.asked, 2)
  assert.deepEqual(rig.addresses.namesOf('192.0.2.1'), [])
  assert.equal(rig.clock.armed, 0)
})
