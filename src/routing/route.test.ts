import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { explainText } from '#routing/explain-text.ts'
import { type Attempt, type Decision, type Ingress, route } from '#routing/route.ts'
import { compileSnapshot } from '#routing/snapshot.ts'
import { loadConfig } from '#schema/config.ts'

const CONFIG = `domain: example.net
sip: {listen: ["udp:192.0.2.1:5060"]}
call: {targetsMax: 4}
subscribers:
- {user: "1001", password: x, number: "+12025550101", name: Alice}
- {user: bob, password: x, number: "2002"}
- {user: "+15", password: x}
trunkGroups:
- {name: east, peers: ["192.0.2.30:5060", "192.0.2.31:5060"]}
- {name: west, peers: ["tls:west.example.com"], direction: out}
- {name: feed, peers: ["192.0.2.40"], direction: in}
- {name: many, peers: [a.b, a.c, a.d, a.e, a.f]}
- {name: plain, peers: ["udp:192.0.2.50", "tcp:192.0.2.50"]}
routes:
- {prefix: "+44", trunkGroups: [east, west]}
- {prefix: "+4420", trunkGroups: [west]}
- {prefix: "44", trunkGroups: [west]}
- {prefix: "+49", trunkGroups: [feed, east]}
- {prefix: "+490", trunkGroups: [feed]}
- {prefix: "+33", trunkGroups: [many]}
- {prefix: "+39", trunkGroups: [plain]}
- {prefix: "0", trunkGroups: [east]}
- {prefix: "*9#", trunkGroups: [west]}
`

const SNAPSHOT = (() => {
  const result = loadConfig(CONFIG, 'test.yaml')
  assert.ok(result.ok, JSON.stringify(result))
  return compileSnapshot(result.config, 'v1')
})()

const ALICE: Ingress = { kind: 'subscriber', user: '1001' }

function attempt(uri: string, ingress: Ingress = ALICE): Attempt {
  const match = /^(sips?|tel):(?:(.*?)@)?(.*)$/.exec(uri)
  assert.ok(match)
  const scheme = match[1] as 'sip' | 'sips' | 'tel'
  const rest = match[3] ?? ''
  const user = scheme === 'tel' ? rest : (match[2] ?? '')
  const host = scheme === 'tel' ? '' : rest
  return { ingress, requestUri: { scheme, user, host, port: null, userIsPhone: scheme === 'tel' }, callerNumber: null }
}

/** The decision in one line. */
function summary(decision: Decision): string {
  switch (decision.outcome) {
    case 'subscriber':
      return `${decision.aor}`
    case 'service':
      return `service ${decision.service.service}`
    case 'trunk':
      return decision.targets.map((t) => `${t.calledNumber}>${t.trunkGroup.name}/${t.peer.text}`).join(' ')
    case 'reject':
      return `${decision.status} ${decision.code} ${decision.q850Cause}`
  }
}

const CASES: readonly (readonly [string, string, Ingress, string])[] = [
  ['a user name leads to the subscriber', 'sip:1001@example.net', ALICE, 'sip:1001@example.net'],
  ['the case of a user name counts', 'sip:Bob@example.net', ALICE, '404 ROUTE_NOT_FOUND 1'],
  ['the case of a host does not', 'sip:bob@EXAMPLE.net', ALICE, 'sip:bob@example.net'],
  ['a listening address is our host', 'sip:bob@192.0.2.1', ALICE, 'sip:bob@example.net'],
  ['a number leads to the subscriber', 'sip:+12025550101@example.net', ALICE, 'sip:1001@example.net'],
  ['separators in a number do not matter', 'sip:+1-202-555-0101@example.net', ALICE, 'sip:1001@example.net'],
  ['a tel URI leads to the subscriber', 'tel:+1-202-555-0101', ALICE, 'sip:1001@example.net'],
  ['a short number leads to the subscriber', 'sip:2002@example.net', ALICE, 'sip:bob@example.net'],
  ['a number may be a user name', 'sip:+15@example.net', ALICE, 'sip:+15@example.net'],
  ['a foreign host is refused', 'sip:1001@example.com', ALICE, '403 ROUTE_FOREIGN_DOMAIN 21'],
  [
    'a foreign host is refused to a trunk group too',
    'sip:+44@example.com',
    { kind: 'trunkGroup', name: 'east' },
    '403 ROUTE_FOREIGN_DOMAIN 21',
  ],
  ['a URI without a user is incomplete', 'sip:example.net', ALICE, '484 ROUTE_ADDRESS_INCOMPLETE 28'],
  ['a name that is no subscriber is not found', 'sip:carol@example.net', ALICE, '404 ROUTE_NOT_FOUND 1'],
  ['a number without a route is not found', 'sip:+81312345678@example.net', ALICE, '404 ROUTE_NOT_FOUND 1'],
  [
    'the groups of a route are tried in order, and their peers',
    'sip:+4416@example.net',
    ALICE,
    '+4416>east/192.0.2.30:5060 +4416>east/192.0.2.31:5060 +4416>west/tls:west.example.com',
  ],
  ['the longest prefix wins', 'sip:+44201@example.net', ALICE, '+44201>west/tls:west.example.com'],
  [
    'a prefix without plus matches the digits as received',
    'sip:441@example.net',
    ALICE,
    '441>west/tls:west.example.com',
  ],
  [
    'the number goes out without separators',
    'tel:+44-16;isub=1',
    ALICE,
    '+4416>east/192.0.2.30:5060 +4416>east/192.0.2.31:5060 +4416>west/tls:west.example.com',
  ],
  [
    'a call does not go back to where it came from',
    'sip:+4416@example.net',
    { kind: 'trunkGroup', name: 'east' },
    '+4416>west/tls:west.example.com',
  ],
  [
    'an incoming group gets no calls',
    'sip:+491@example.net',
    ALICE,
    '+491>east/192.0.2.30:5060 +491>east/192.0.2.31:5060',
  ],
  ['a route without a group left has no target', 'sip:+4901@example.net', ALICE, '404 ROUTE_NO_TARGET 3'],
  [
    'a route back only has no target',
    'sip:01@example.net',
    { kind: 'trunkGroup', name: 'east' },
    '404 ROUTE_NO_TARGET 3',
  ],
  [
    'the trunk groups reach subscribers',
    'sip:+12025550101@192.0.2.1',
    { kind: 'trunkGroup', name: 'feed' },
    'sip:1001@example.net',
  ],
  [
    'no more targets than call.targetsMax',
    'tel:+331',
    ALICE,
    '+331>many/a.b +331>many/a.c +331>many/a.d +331>many/a.e',
  ],
  ['a sips call goes to no peer without TLS', 'sips:+391@example.net', ALICE, '404 ROUTE_NO_TARGET 3'],
  ['a sips call goes over TLS', 'sips:+44201@example.net', ALICE, '+44201>west/tls:west.example.com'],
  ['star codes are digits', 'sip:*9#1@example.net', ALICE, '*9#1>west/tls:west.example.com'],
]

for (const [name, uri, ingress, expected] of CASES) {
  test(name, () => assert.equal(summary(route(attempt(uri, ingress), SNAPSHOT)), expected))
}

test('the explanation never changes the decision, and is always there when asked for', () => {
  const user = fc.oneof(
    fc.constantFrom('1001', 'bob', '2002', '+12025550101', '', 'alice'),
    fc.string({ unit: fc.constantFrom(...'+04923*#-'), maxLength: 8 }),
    fc.string({ maxLength: 12 }),
  )
  const facts = fc.record({
    scheme: fc.constantFrom('sip' as const, 'sips' as const, 'tel' as const),
    user,
    host: fc.oneof(fc.constantFrom('example.net', '192.0.2.1', 'example.com'), fc.string({ maxLength: 12 })),
    port: fc.constant(null),
    userIsPhone: fc.boolean(),
  })
  const ingress = fc.oneof(
    fc.constant(ALICE),
    fc.constantFrom('east', 'west', 'feed').map((name): Ingress => ({ kind: 'trunkGroup', name })),
  )
  fc.assert(
    fc.property(facts, ingress, (requestUri, from) => {
      const asked: Attempt = { ingress: from, requestUri, callerNumber: null }
      const plain = route(asked, SNAPSHOT)
      const explained = route(asked, SNAPSHOT, true)
      assert.deepEqual(plain.steps, [])
      assert.ok(explained.steps.length > 0)
      assert.deepEqual({ ...explained, steps: [] }, plain)
      if (explained.outcome === 'reject')
        assert.ok(explained.steps.some((step) => explained.code === step.code || step.code === 'ROUTE_NOT_A_NUMBER'))
      assert.ok(explainText(explained).startsWith('Result: '))
    }),
    { numRuns: 2000 },
  )
})

test('the explanation names each candidate and why it was kept or left', () => {
  const { steps } = route(attempt('sip:+44201@example.net', { kind: 'trunkGroup', name: 'east' }), SNAPSHOT, true)
  assert.deepEqual(
    steps.map((step) => step.code),
    [
      'ROUTE_CALLER',
      'ROUTE_OWN_HOST',
      'ROUTE_NO_SUCH_USER',
      'ROUTE_NUMBER',
      'ROUTE_NO_SUCH_NUMBER',
      'ROUTE_PREFIX_LONGEST',
      'ROUTE_PREFIX_SHORTER',
      'ROUTE_GROUP_CHOSEN',
      'ROUTE_PEER_CHOSEN',
    ],
  )
  assert.equal(steps[6]?.fields['prefix'], '+44')
})

test('the explanation reads as text', () => {
  assert.equal(
    explainText(route(attempt('sip:+4416@example.net', { kind: 'trunkGroup', name: 'east' }), SNAPSHOT, true)),
    `Result: +4416 goes out over trunk group west

How it was found:
  1. The call comes from trunk group east.                                 [ROUTE_CALLER]
  2. "example.net" is ours.                                                [ROUTE_OWN_HOST]
  3. No subscriber has the user name "+4416".                              [ROUTE_NO_SUCH_USER]
  4. The called number is +4416.                                           [ROUTE_NUMBER]
  5. No subscriber has the number +4416.                                   [ROUTE_NO_SUCH_NUMBER]
  6. The longest prefix that begins +4416 is +44; it leads to east, west.  [ROUTE_PREFIX_LONGEST]
  7. Trunk group east is skipped: the call came from it.                   [ROUTE_GROUP_IS_INGRESS]
  8. Trunk group west may take the call.                                   [ROUTE_GROUP_CHOSEN]
  9. Peer tls:west.example.com is number 1 in the order of trial.          [ROUTE_PEER_CHOSEN]

Peers, in the order of trial:
  1. +4416 to tls:west.example.com of trunk group west
`,
  )
})

test('a decision holds no secret', () => {
  assert.ok(!/[0-9a-f]{32}/.test(JSON.stringify(route(attempt('sip:1001@example.net'), SNAPSHOT, true))))
})
