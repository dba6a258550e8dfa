// The location service: bindings, their order, their end, and the journal they live through a crash in.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endpoint, MemoryStore, TestPorts } from '#access/_ports.test.ts'
import { aorFromUri, aorFromUser, Binding, flatCopy } from '#access/binding.ts'
import { LOCATION_JOURNAL, Location } from '#access/location.ts'
import { parseUri } from '#sip/uri.ts'

function binding(
  ports: TestPorts,
  aor: string,
  contact: string,
  expiresS: number,
  more: Partial<Binding> = {},
): Binding {
  return new Binding(
    {
      aor,
      contact,
      q: more.q ?? 1000,
      expiresAtMs: ports.clock.wallMs() + expiresS * 1000,
      callId: more.callId ?? 'call-1',
      cseq: more.cseq ?? 1,
      path: more.path ?? [],
      instanceId: more.instanceId ?? null,
      regId: more.regId ?? 0,
      transport: more.transport ?? 'udp',
      local: endpoint('192.0.2.1'),
      remote: more.remote ?? endpoint('203.0.113.7', 40_000),
      userAgent: more.userAgent ?? 'phone',
      needsFlow: more.needsFlow ?? true,
    },
    ports.clock.now() + expiresS * 1000,
  )
}

const contactsOf = (location: Location, aor: string): string[] => location.bindings(aor).map((b) => b.contact)
const A = 'sip:alice@example.net'

test('Bindings are given best q first, and newest first within the same q', () => {
  const ports = new TestPorts()
  const location = new Location(ports)
  const old = binding(ports, A, 'sip:a@192.0.2.10', 60, { q: 500 })
  location.commit(A, [old])
  const best = binding(ports, A, 'sip:b@192.0.2.10', 60)
  const young = binding(ports, A, 'sip:c@192.0.2.10', 60, { q: 500 })
  location.commit(A, [best, young, old])
  assert.deepEqual(contactsOf(location, A), ['sip:b@192.0.2.10', 'sip:c@192.0.2.10', 'sip:a@192.0.2.10'])
  assert.equal(location.count, 3)
  assert.equal(location.aorCount, 1)
})

test('A binding is gone at the instant it expires, and from memory soon after; then nothing is armed', () => {
  const ports = new TestPorts()
  const location = new Location(ports)
  location.commit(A, [binding(ports, A, 'sip:a@192.0.2.10', 60), binding(ports, A, 'sip:b@192.0.2.10', 90)])
  ports.clock.runUntil(59_999)
  assert.equal(location.bindings(A).length, 2)
  ports.clock.runUntil(60_000)
  assert.deepEqual(contactsOf(location, A), ['sip:b@192.0.2.10'])
  ports.clock.runUntil(61_000)
  assert.equal(location.count, 1)
  ports.clock.runUntil(92_000)
  assert.equal(location.count, 0)
  assert.equal(location.aorCount, 0)
  assert.equal(ports.clock.armed, 0)
})

test('A wall clock that is set forward or back ends no binding early or late', () => {
  const ports = new TestPorts()
  const location = new Location(ports)
  location.commit(A, [binding(ports, A, 'sip:a@192.0.2.10', 60)])
  ports.clock.wallErrorMs = 86_400_000
  ports.clock.runUntil(59_000)
  assert.equal(location.bindings(A).length, 1)
  ports.clock.wallErrorMs = -86_400_000
  ports.clock.runUntil(60_000)
  assert.equal(location.bindings(A).length, 0)
})

test('Many bindings that expire in one second are dropped in portions', () => {
  const ports = new TestPorts()
  const location = new Location(ports)
  for (let i = 0; i < 12_000; i += 1) {
    const aor = `sip:u${i}@example.net`
    location.commit(aor, [binding(ports, aor, 'sip:a@192.0.2.10', 10)])
  }
  ports.clock.runUntil(10_000)
  const left = location.count
  assert.ok(left >= 2_000 && left < 12_000, `${left}`)
  ports.clock.runUntil(11_100)
  assert.equal(location.count, 0)
})

test('After a crash the journal gives every binding back as it was', () => {
  const store = new MemoryStore()
  const ports = new TestPorts(store)
  const location = new Location(ports)
  const whole = binding(ports, A, 'sips:alice@[2001:db8::1]:5062;transport=tls', 60, {
    q: 700,
    callId: 'x'.repeat(40),
    cseq: 77,
    path: ['<sip:p1.example.net;lr;ob>', '"a, b" <sip:p2.example.net;lr>'],
    instanceId: '<urn:uuid:00000000-0000-1000-8000-000A95A0E128>',
    regId: 2,
    transport: 'tls',
    remote: endpoint('2001:db8::1', 50_000),
    userAgent: 'caf\xe9 1.0',
  })
  location.commit(A, [whole])
  const again = new Location(new TestPorts(store))
  const [restored] = again.bindings(A)
  assert.ok(restored)
  const asWritten = { ...restored, isCutOff: false, next: null }
  assert.deepEqual(JSON.stringify(asWritten), JSON.stringify({ ...whole, next: null }))
})

test('A binding over a connection is cut off from it when the process dies; one over UDP is not (RFC 5626 §5.3)', () => {
  const ports = new TestPorts()
  const location = new Location(ports)
  const next = [
    binding(ports, A, 'sip:a@192.0.2.10;transport=tls', 60, { transport: 'tls' }),
    binding(ports, A, 'sip:b@192.0.2.10', 60),
  ]
  location.commit(A, next)
  assert.deepEqual(
    location.bindings(A).map(({ isCutOff }) => isCutOff),
    [false, false],
  )
  const again = new Location(ports)
  assert.deepEqual(
    again.bindings(A).map(({ transport, isCutOff }) => [transport, isCutOff]),
    [
      ['tls', true],
      ['udp', false],
    ],
  )
})

test('What expired while the process was dead is not loaded; a removal is not undone', () => {
  const store = new MemoryStore()
  const ports = new TestPorts(store)
  const location = new Location(ports)
  location.commit(A, [binding(ports, A, 'sip:a@192.0.2.10', 60), binding(ports, A, 'sip:b@192.0.2.10', 600)])
  const B = 'sip:bob@example.net'
  location.commit(B, [binding(ports, B, 'sip:a@192.0.2.10', 60)])
  location.commit(B, [])
  const later = new TestPorts(store)
  later.clock.wallErrorMs = 100_000
  const again = new Location(later)
  assert.deepEqual(contactsOf(again, A), ['sip:b@192.0.2.10'])
  assert.deepEqual(contactsOf(again, B), [])
  assert.equal(again.count, 1)
})

test('A corrupt line is skipped and counted, a torn one cut off; the others stand', () => {
  const store = new MemoryStore()
  const ports = new TestPorts(store)
  const location = new Location(ports)
  for (const user of ['a', 'b', 'c']) {
    const aor = `sip:${user}@example.net`
    location.commit(aor, [binding(ports, aor, `sip:${user}@192.0.2.10`, 60)])
  }
  const lines = (store.files.get(LOCATION_JOURNAL) ?? '').split('\n')
  lines[1] = lines[1]?.replace('40000', '40001') ?? ''
  store.files.set(LOCATION_JOURNAL, `${lines.join('\n').slice(0, -5)}`)
  const next = new TestPorts(store)
  const again = new Location(next)
  assert.equal(again.count, 1)
  assert.equal(next.counted('carillon_location_corrupt_lines_total'), 1)
  assert.deepEqual(next.events[0], {
    level: 'warn',
    code: 'LOCATION_LOADED',
    fields: { bindings: 1, aors: 1, lines: 2, corrupt: 1, torn: true },
  })
})

test('The journal is compacted when most of its lines no longer count, and changes meanwhile are kept', () => {
  const store = new MemoryStore()
  store.holdRewrites = true
  const ports = new TestPorts(store)
  const location = new Location(ports)
  const B = 'sip:bob@example.net'
  for (let i = 0; i < 10_000; i += 1) {
    const aor = i % 2 === 0 ? A : B
    location.commit(aor, [binding(ports, aor, `sip:${i}@192.0.2.10`, 60)])
  }
  assert.equal(store.rewrites, 1)
  location.commit(A, [binding(ports, A, 'sip:young@192.0.2.10', 60)])
  location.commit(B, [])
  store.finishRewrite()
  assert.ok((store.files.get(LOCATION_JOURNAL) ?? '').split('\n').length < 10)
  const again = new Location(new TestPorts(store))
  assert.deepEqual(contactsOf(again, A), ['sip:young@192.0.2.10'])
  assert.deepEqual(contactsOf(again, B), [])
})

test('When the storage fails registrations go on, and one event says so and one that it works again', () => {
  const ports = new TestPorts()
  const location = new Location(ports)
  ports.store.fail('ENOSPC')
  ports.store.fail('ENOSPC')
  location.commit(A, [binding(ports, A, 'sip:a@192.0.2.10', 60)])
  assert.equal(location.bindings(A).length, 1)
  ports.store.recover()
  ports.store.recover()
  assert.deepEqual(ports.codes(), ['LOCATION_LOADED', 'LOCATION_STORE_FAILED', 'LOCATION_STORE_RESTORED'])
})

test('Whatever is registered and whenever the process dies, the journal gives back the state of its last whole line', () => {
  const change = fc.record({
    user: fc.integer({ min: 0, max: 3 }),
    contacts: fc.array(fc.record({ host: fc.integer({ min: 1, max: 5 }), q: fc.integer({ min: 0, max: 2 }) }), {
      maxLength: 3,
    }),
    expiresS: fc.integer({ min: 1, max: 30 }),
    waitMs: fc.integer({ min: 0, max: 8_000 }),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), fc.nat(), (changes, cut) => {
      const store = new MemoryStore()
      const ports = new TestPorts(store)
      const location = new Location(ports)
      // What a reader saw after each change, by octets of journal.
      const states: { octets: number; bindings: Map<string, Binding[]> }[] = [{ octets: 0, bindings: new Map() }]
      for (const { user, contacts, expiresS, waitMs } of changes) {
        ports.clock.runUntil(ports.clock.now() + waitMs)
        const aor = `sip:u${user}@example.net`
        const next = contacts.map((c) => binding(ports, aor, `sip:x@192.0.2.${c.host}`, expiresS, { q: c.q * 500 }))
        const kept = location.bindings(aor).filter((old) => !next.some((b) => b.contact === old.contact))
        const unique = next.filter((b, i) => next.findIndex((o) => o.contact === b.contact) === i)
        location.commit(aor, contacts.length === 0 ? [] : [...unique, ...kept])
        const bindings = new Map<string, Binding[]>()
        for (let u = 0; u < 4; u += 1)
          bindings.set(`sip:u${u}@example.net`, [...location.bindings(`sip:u${u}@example.net`)])
        states.push({ octets: store.files.get(LOCATION_JOURNAL)?.length ?? 0, bindings })
      }
      const text = store.files.get(LOCATION_JOURNAL) ?? ''
      const octets = cut % (text.length + 1)
      const expected = states.findLast((state) => state.octets <= octets)
      const dead = new MemoryStore()
      dead.files.set(LOCATION_JOURNAL, text.slice(0, octets))
      const later = new TestPorts(dead)
      later.clock.wallErrorMs = ports.clock.now()
      const again = new Location(later)
      for (let u = 0; u < 4; u += 1) {
        const aor = `sip:u${u}@example.net`
        const alive = (expected?.bindings.get(aor) ?? []).filter((b) => b.expiresAtMs > later.clock.wallMs())
        assert.deepEqual(
          again.bindings(aor).map((b) => [b.contact, b.q, b.expiresAtMs]),
          alive.map((b) => [b.contact, b.q, b.expiresAtMs]),
        )
      }
    }),
    { numRuns: 200 },
  )
})

test('§10.3 step 5: parameters go and escapes are resolved in the canonical form of an address of record', () => {
  const aor = (text: string): string => aorFromUri(parseUri(text) ?? assert.fail(text), 'example.net')
  assert.equal(aor('sip:%61lice@EXAMPLE.net:5060;user=phone'), 'sip:alice@example.net')
  assert.equal(aor('sips:alice@other.example'), 'sip:alice@example.net')
  assert.equal(aor('sip:a%20b@example.net'), 'sip:a%20b@example.net')
  assert.notEqual(aor('sip:Alice@example.net'), 'sip:alice@example.net')
  assert.equal(aorFromUser('j\u00f6rg', 'example.net'), aor('sip:j%C3%B6rg@example.net'))
})

test('A kept text has no control characters', () => {
  assert.equal(flatCopy('a\tb'), 'a b')
  assert.equal(flatCopy('a longer text\x1fwith one'), 'a longer text with one')
})
