// Who the callee is told that calls: asserted identity (RFC 3325), privacy (RFC 3323), and names that inject nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SipText } from '#sim/sip-text.ts'
import { type RawAgent, type RequestParts, SwitchRig } from '#test/switch/rig.ts'

const CARRIER = '198.51.100.10'

/** One call from Alice, a subscriber, or from a carrier; gives the INVITE that the callee gets. */
function called(from: 'subscriber' | 'trunk', to: 'subscriber' | 'trunk', parts: RequestParts, n = 1): SipText {
  const rig = new SwitchRig()
  const caller: RawAgent = from === 'subscriber' ? rig.phone(n) : rig.agent(CARRIER)
  const callee = to === 'subscriber' ? rig.phone(2) : rig.agent('198.51.100.20')
  const uri = to === 'subscriber' ? 'sip:1002@example.net' : 'sip:+442012345678@203.0.113.1'
  const invite = caller.exchange(caller.invite(uri, parts))
  if (from === 'subscriber' && to === 'trunk') {
    // The first group of the route does not answer.
    rig.run(25_000)
  }
  const got = callee.last('INVITE')
  callee.respond(got, 486)
  rig.run(100)
  caller.ackFailure(invite, caller.final(invite))
  rig.settle()
  return got
}

const FORGED: readonly (readonly [string, string])[] = [
  ['p-asserted-identity', '"Mallory" <sip:+19005550000@evil.example>'],
  ['p-preferred-identity', '<sip:+19005550000@evil.example>'],
  ['remote-party-id', '"Mallory" <sip:+19005550000@evil.example>;party=calling;screen=yes'],
  ['p-charging-vector', 'icid-value=1234'],
  ['diversion', '<sip:+19005550000@evil.example>;reason=unconditional'],
  ['history-info', '<sip:+19005550000@evil.example>;index=1'],
  ['identity', 'eyJhbGciOiJFUzI1NiJ9..sig;info=<https://evil.example/c>'],
  ['referred-by', '<sip:+19005550000@evil.example>'],
  ['call-info', '<http://evil.example/p.png>;purpose=icon'],
  ['alert-info', '<http://evil.example/ring.wav>'],
  ['reply-to', '<sip:mallory@evil.example>'],
  ['authorization', 'Digest username="x"'],
]

for (const to of ['subscriber', 'trunk'] as const) {
  test(`what a subscriber says of himself does not reach a ${to}: only the subscription is asserted`, () => {
    const from = '"Mallory" <sip:mallory@evil.example>;tag=1'
    const got = called('subscriber', to, { from, headers: FORGED })
    assert.equal(got.get('p-asserted-identity'), '"Alice" <sip:+12025550101@example.net>')
    assert.match(got.get('from'), /^"Alice" <sip:\+12025550101@example\.net>;tag=/)
    const text = got.toText()
    for (const word of ['evil', 'mallory', 'Mallory', '1900', 'icid'])
      assert.ok(!text.includes(word), `${word} in\n${text}`)
  })

  test(`a name from a subscriber's From is shown to a ${to} but not asserted`, () => {
    const got = called('subscriber', to, { from: '"The Bank" <sip:1003@example.net>;tag=1' }, 3)
    assert.match(got.get('from'), /^"The Bank" <sip:1003@example\.net>/)
    assert.equal(got.get('p-asserted-identity'), '<sip:1003@example.net>')
  })

  const asserting = (privacy: string | null): RequestParts => ({
    from: '"Someone" <sip:anonymous@anonymous.invalid>;tag=1',
    headers: [
      ['p-asserted-identity', '"Carol" <sip:+493012345@carrier.example>'],
      ...(privacy === null ? [] : [['privacy', privacy] as const]),
    ],
  })
  const trunkRows: readonly (readonly [privacy: string | null, hidden: boolean])[] = [
    [null, true],
    ['none', false],
    ['id', true],
    ['user', true],
    ['user;id', true],
    ['header;critical', true],
  ]
  for (const [privacy, hidden] of trunkRows) {
    test(`a carrier's call with Privacy ${privacy ?? 'absent'} and an anonymous From to a ${to}`, () => {
      const got = called('trunk', to, asserting(privacy))
      if (hidden) {
        assert.match(got.get('from'), /^"Anonymous" <sip:anonymous@anonymous\.invalid>;tag=/)
        assert.equal(got.get('privacy'), 'id')
      } else assert.match(got.get('from'), /^"Carol" <sip:\+493012345@example\.net>;tag=/)
      const asserted = '"Carol" <sip:+493012345@example.net>'
      assert.equal(got.get('p-asserted-identity'), hidden && to === 'subscriber' ? '' : asserted)
      if (hidden && to === 'subscriber') assert.ok(!got.toText().includes('4930'))
    })
  }

  const privacyRows: readonly (readonly [privacy: string | null, hidden: boolean])[] = [
    [null, false],
    ['none', false],
    ['id', true],
    ['user', true],
    ['header', true],
    ['ID; User', true],
    ['session', false],
    ['critical', false],
    ['none;id', false],
  ]
  for (const [privacy, hidden] of privacyRows) {
    test(`a subscriber's call with Privacy ${privacy ?? 'absent'} to a ${to} ${hidden ? 'hides' : 'shows'} who calls`, () => {
      const got = called('subscriber', to, privacy === null ? {} : { headers: [['privacy', privacy]] })
      const shown = '"Alice" <sip:+12025550101@example.net>'
      assert.equal(got.get('p-asserted-identity'), hidden && to === 'subscriber' ? '' : shown)
      assert.equal(got.get('privacy'), hidden ? 'id' : '')
      if (!hidden) assert.ok(got.get('from').startsWith(shown))
      else {
        assert.match(got.get('from'), /^"Anonymous" <sip:anonymous@anonymous\.invalid>;tag=/)
        if (to === 'subscriber') assert.ok(!/Alice|2025550101|1001@/.test(got.toText()), got.toText())
      }
    })
  }
}

test('a carrier without an asserted identity asserts none; its From is shown with our domain', () => {
  const got = called('trunk', 'subscriber', { from: '"Dave" <sip:+33123456789@carrier.example;user=phone>;tag=1' })
  assert.equal(got.get('p-asserted-identity'), '')
  assert.match(got.get('from'), /^"Dave" <sip:\+33123456789@example\.net>;tag=/)
})

test('a carrier may assert a tel URI; its visual separators go', () => {
  const headers = [['p-asserted-identity', '"Eve" <tel:+33-(1)23.45;phone-context=x>']] as const
  const got = called('trunk', 'subscriber', { headers })
  assert.equal(got.get('p-asserted-identity'), '"Eve" <sip:+3312345@example.net>')
})

test('a display name cannot inject a header field, end the quotation, or carry control characters', () => {
  for (const name of [
    '"Eve\\" <sip:evil@evil.example>;tag=x, \\"x"',
    '"back\\\\slash"',
    '"J\u00c3\u00b6rg \u00e2\u0098\u0083"',
    '"tab\there"',
    '"nul\\\u0000 and bell \\\u0007"',
    '"folded\r\n here"',
    '"long \\"quote"',
    '"<sip:a@b>"',
    'Two Tokens',
  ]) {
    const got = called('subscriber', 'subscriber', { from: `${name} <sip:1003@example.net>;tag=1` }, 3)
    const value = got.get('from')
    const match = /^(?:"((?:[^"\\]|\\.)*)" )?<sip:1003@example\.net>;tag=[^;]+$/s.exec(value)
    assert.ok(match !== null, JSON.stringify(value))
    assert.ok(!/[\x00-\x08\x0a-\x1f\x7f]/.test(value), JSON.stringify(value))
  }
})

test('whatever a carrier puts into names and users, what we send on is well-formed and says no more than one caller', () => {
  const rig = new SwitchRig()
  const carrier = rig.agent(CARRIER)
  const bob = rig.phone(2)
  const octet = fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code))
  const inQuotes = fc.array(octet, { maxLength: 20 }).map((chars) => chars.join('').replace(/["\\\x7f]/g, '\\$&'))
  const user = fc.stringMatching(/^[A-Za-z0-9+._~!*'()&=$,;?/-]{1,16}$/)
  fc.assert(
    fc.property(inQuotes, user, fc.boolean(), (name, part, asserted) => {
      const value = `"${name}" <sip:${part}@carrier.example>`
      const headers: [string, string][] = asserted ? [['p-asserted-identity', value]] : []
      const from = bob.requests('INVITE').length
      const invite = carrier.send(carrier.invite('sip:1002@203.0.113.1', { from: `${value};tag=1`, headers }))
      rig.run()
      if (bob.requests('INVITE').length === from) {
        // A display name that is not UTF-8, or a user that is no user: refused, not mended.
        assert.equal(carrier.final(invite).status, 400)
        return
      }
      const got = bob.last('INVITE')
      assert.equal(got.all('from').length, 1)
      assert.ok(got.all('p-asserted-identity').length <= 1)
      assert.ok(!got.toText().includes('carrier.example'))
      bob.respond(got, 486)
      rig.run()
      carrier.ackFailure(invite, carrier.final(invite))
    }),
    { numRuns: 150 },
  )
  rig.settle()
})
