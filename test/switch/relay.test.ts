// No open relay: what strangers and subscribers cannot make the switch send, and to whom.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SipText } from '#sim/sip-text.ts'
import { configText, DOMAIN, type RawAgent, type RawDialog, SDP, SWITCH_HOST, SwitchRig } from '#test/switch/rig.ts'

const STRANGER = '198.51.100.99'
const VICTIM = '198.51.100.200'

/** Everything that the switch sent since `from` went back to `host` or to the others named. */
function wentOnlyTo(rig: SwitchRig, from: number, ...hosts: string[]): void {
  const others = rig.sent.slice(from).filter(({ to }) => !hosts.includes(to))
  assert.deepEqual(
    others.map(({ to, text }) => `${to}: ${text.slice(0, text.indexOf('\r\n'))}`),
    [],
  )
}

const TARGETS = [
  'sip:1001@example.net',
  'sip:+442012345678@example.net',
  'sip:+442012345678@203.0.113.1',
  'sip:+442012345678@203.0.113.1:5070',
  'sips:+442012345678@example.net',
  'tel:+442012345678',
  'tel:+19005551234',
  'sip:bob@elsewhere.example',
  `sip:bob@${VICTIM}`,
  `sip:+442012345678@${VICTIM};user=phone`,
  `sip:1001@example.net;maddr=${VICTIM}`,
  `sip:1001@example.net;transport=udp;maddr=${VICTIM};lr`,
  `sip:1001%40${VICTIM}@example.net`,
  'sip:example.net',
  'sip:203.0.113.1;lr',
  'sip:1001:password@example.net',
]

for (const method of [
  'INVITE',
  'MESSAGE',
  'OPTIONS',
  'SUBSCRIBE',
  'NOTIFY',
  'REFER',
  'PUBLISH',
  'INFO',
  'BYE',
  'UPDATE',
  'PRACK',
]) {
  test(`a stranger's ${method} reaches nobody, whatever it is for and whatever stands in Route, From and Contact`, () => {
    const rig = new SwitchRig()
    rig.phone(1)
    const stranger = rig.agent(STRANGER)
    const from = rig.sent.length
    const froms = [
      '<sip:1002@example.net>',
      '<sip:+442012345678@198.51.100.10>',
      '<sip:x@203.0.113.1>',
      '"Alice" <sip:1001@example.net>',
    ]
    for (const [at, uri] of TARGETS.entries()) {
      for (const route of ['', `<sip:${VICTIM};lr>`, `<sip:${SWITCH_HOST};lr>, <sip:${VICTIM};lr>`]) {
        const headers: [string, string][] = route === '' ? [] : [['route', route]]
        headers.push(
          ['record-route', `<sip:${VICTIM};lr>`],
          ['path', `<sip:${VICTIM};lr>`],
          ['refer-to', `<sip:${VICTIM}>`],
        )
        headers.push(['event', 'presence'], ['p-asserted-identity', '<sip:1001@example.net>'], ['rack', '1 1 INVITE'])
        headers.push(['reply-to', `<sip:${VICTIM}>`], ['referred-by', '<sip:1001@example.net>'])
        const request = stranger.request(method, uri, {
          from: `${froms[at % froms.length]};tag=${stranger.mint()}`,
          contact: `<sip:x@${VICTIM}>`,
          headers,
          ...(method === 'MESSAGE' ? { body: 'hello', type: 'text/plain' } : {}),
        })
        stranger.send(request)
        rig.run()
        const status = stranger.final(request).status
        assert.ok(method === 'OPTIONS' ? status === 200 || status >= 400 : status >= 400, `${uri}: ${status}`)
        if (method === 'INVITE' || method === 'MESSAGE') assert.equal(status, 407, uri)
      }
    }
    rig.run(40_000)
    wentOnlyTo(rig, from, STRANGER, '192.0.2.1')
    assert.deepEqual(
      rig.sentTo('192.0.2.1', from).filter((text) => !text.startsWith('OPTIONS ')),
      [],
      'keep-alives only',
    )
    rig.settle()
  })
}

test('a stranger in the place of an address in Via gets no answer sent to a third party', () => {
  const rig = new SwitchRig()
  const stranger = rig.agent(STRANGER)
  const options = stranger.request('OPTIONS', `sip:${DOMAIN}`)
  for (const via of [
    `SIP/2.0/UDP ${VICTIM}:5060;branch=z9hG4bKa`,
    `SIP/2.0/UDP ${VICTIM}:5060;branch=z9hG4bKb;maddr=${VICTIM}`,
    `SIP/2.0/UDP ${VICTIM}:5060;branch=z9hG4bKc;received=${VICTIM}`,
    `SIP/2.0/UDP ${VICTIM}:5060;branch=z9hG4bKd;rport=5060;received=${VICTIM}`,
    `SIP/2.0/TCP ${VICTIM}:5060;branch=z9hG4bKe`,
  ]) {
    options.remove('via')
    options.headers.unshift(['via', via])
    stranger.send(options)
    rig.run()
  }
  wentOnlyTo(rig, 0, STRANGER)
})

test('a subscriber reaches subscribers and routes, and nothing at another host', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  rig.phone(2)
  const from = rig.sent.length
  const refused: readonly (readonly [uri: string, status: number])[] = [
    ['sip:bob@elsewhere.example', 403],
    [`sip:+442012345678@${VICTIM}`, 403],
    [`sip:1002@${VICTIM}`, 403],
    ['sip:example.net', 484],
    ['sip:+12125550199@example.net', 404],
    ['tel:+12125550199', 404],
    ['sip:nobody@example.net', 404],
    [`sip:1002%40${VICTIM}@example.net`, 404],
    ['sip:+551155550199@example.net', 404],
  ]
  for (const method of ['INVITE', 'MESSAGE']) {
    for (const [uri, status] of refused) {
      const body = method === 'INVITE' ? {} : { body: 'x', type: 'text/plain' }
      const headers = [['route', `<sip:${VICTIM};lr>`]] as const
      const request = alice.exchange(alice.request(method, uri, { headers, ...body }))
      assert.equal(alice.final(request).status, status, uri)
      if (method === 'INVITE') alice.ackFailure(request, alice.final(request))
    }
  }
  wentOnlyTo(rig, from, '192.0.2.1')
  rig.settle()
})

test('Route, maddr and port of the Request-URI do not lead a call anywhere but to the callee', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  for (const uri of [
    `sip:1002@example.net;maddr=${VICTIM}`,
    'sip:1002@203.0.113.1:5099',
    'sip:1002@EXAMPLE.net.;transport=tcp',
  ]) {
    const from = rig.sent.length
    const invite = alice.exchange(alice.invite(uri, { headers: [['route', `<sip:${VICTIM};lr>`]] }))
    const got = bob.last('INVITE')
    assert.ok(!got.toText().includes(VICTIM))
    bob.respond(got, 486)
    rig.run()
    assert.equal(alice.final(invite).status, 486)
    alice.ackFailure(invite, alice.final(invite))
    wentOnlyTo(rig, from, '192.0.2.1', '192.0.2.2')
  }
  rig.settle()
})

test("another subscriber's name in From changes nothing: the caller is who has the password", () => {
  const rig = new SwitchRig()
  const bob = rig.phone(2)
  const carol = rig.phone(3)
  const from = '"Alice" <sip:1001@example.net>;tag=spoof'
  const invite = carol.exchange(carol.invite('sip:1002@example.net', { from }))
  const got = bob.last('INVITE')
  assert.match(got.get('from'), /<sip:1003@example\.net>/)
  assert.equal(got.get('p-asserted-identity'), '<sip:1003@example.net>')
  bob.respond(got, 603)
  rig.run()
  carol.ackFailure(invite, carol.final(invite))
  assert.equal(rig.records()[0]?.['caller'], 'sip:1003@example.net')
  rig.settle()
})

test('credentials answer for their own request: not for another target, not twice, not from elsewhere', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const thief = rig.agent(STRANGER)
  const challenge = alice.ask(alice.request('MESSAGE', 'sip:1001@example.net', { body: 'x', type: 'text/plain' }), null)
  const probe = alice.request('INVITE', 'sip:+442012345678@example.net')
  alice.send(probe)
  rig.run()
  assert.equal(challenge.status, 407)
  const good = alice.authorized(probe, alice.final(probe))
  const stolen = (more: (request: SipText) => void): number => {
    const copy = thief.request('INVITE', good.uri)
    copy.add('proxy-authorization', good.get('proxy-authorization'))
    more(copy)
    thief.send(copy)
    rig.run()
    return thief.final(copy).status
  }
  assert.equal(
    stolen(() => {}),
    407,
    'the nonce was for another address',
  )
  const elsewhere = alice.request('INVITE', 'sip:+19005551234@example.net')
  elsewhere.add('proxy-authorization', good.get('proxy-authorization'))
  assert.equal(alice.ask(elsewhere, null).status, 400, 'the digest is for another URI')
  rig.agent('198.51.100.10')
  alice.send(good)
  rig.run()
  const again = alice.request('INVITE', good.uri)
  again.add('proxy-authorization', good.get('proxy-authorization'))
  assert.equal(alice.ask(again, null).status, 407, 'the nonce count was used')
})

test('an ACK to nowhere is answered by nothing', () => {
  const rig = new SwitchRig()
  const stranger = rig.agent(STRANGER)
  for (const to of ['<sip:1001@example.net>', '<sip:1001@example.net>;tag=guess']) {
    stranger.send(stranger.request('ACK', 'sip:1001@example.net', { to, contact: null, body: '' }))
  }
  rig.run(60_000)
  assert.deepEqual(rig.sent, [])
  rig.settle()
})

interface Talk {
  readonly rig: SwitchRig
  readonly alice: RawAgent
  readonly bob: RawAgent
  readonly invite: SipText
  readonly caller: RawDialog
  readonly callee: RawDialog
}

/** A call that is up between two telephones. */
function talk(rig = new SwitchRig()): Talk {
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  const got = bob.last('INVITE')
  bob.respond(got, 200)
  rig.run()
  const caller = alice.callerDialog(invite, alice.final(invite))
  alice.send(alice.within(caller, 'ACK'))
  rig.run()
  assert.equal(rig.switch.audit().calls, 1)
  return { rig, alice, bob, invite, caller, callee: bob.calleeDialog(got) }
}

test('requests with guessed tags are answered 481 and change nothing', () => {
  const { rig, alice, caller, callee } = talk()
  const stranger = rig.agent(STRANGER)
  const tagOf = (value: string): string => /tag=([^;>]*)/.exec(value)?.[1] ?? ''
  const guesses: RawDialog[] = [
    { ...caller, remote: `<sip:1002@example.net>;tag=${tagOf(caller.local)}` },
    { ...caller, local: `<sip:1001@example.net>;tag=other` },
    { ...caller, callId: 'another-call' },
    { ...caller, local: callee.local },
    { ...caller, local: `<sip:1001@example.net>;tag=${tagOf(callee.remote)}` },
  ]
  const from = rig.sent.length
  for (const guess of guesses) {
    for (const method of ['BYE', 'INVITE', 'UPDATE', 'INFO', 'REFER', 'MESSAGE']) {
      const request = stranger.within({ ...guess, sequence: 50 }, method, {
        contact: `<sip:x@${STRANGER}>`,
        body: method === 'INVITE' ? SDP : '',
      })
      assert.equal(stranger.ask(request).status, 481, `${method} with ${JSON.stringify(guess)}`)
    }
  }
  wentOnlyTo(rig, from, STRANGER)
  assert.equal(rig.switch.audit().calls, 1)
  assert.equal(alice.ask(alice.within(caller, 'BYE')).status, 200)
  rig.settle()
})

test('a request with all the right tags is the peer, from wherever it comes: telephones roam', () => {
  const { rig, alice, bob, caller } = talk()
  const roaming = rig.agent('192.0.2.201')
  assert.equal(roaming.ask(roaming.within(caller, 'BYE')).status, 200)
  rig.run()
  assert.equal(bob.requests('BYE').length, 1)
  assert.equal(alice.requests('BYE').length, 0)
  bob.respond(bob.last('BYE'), 200)
  rig.settle()
})

test('a re-INVITE moves the Contact of a telephone, but its requests stay on the path that it came on', () => {
  const { rig, alice, bob, caller } = talk()
  rig.agent(VICTIM)
  const again = alice.within(caller, 'INVITE', { contact: `<sip:x@${VICTIM}>`, body: SDP })
  alice.send(again)
  rig.run()
  bob.respond(bob.last('INVITE'), 200)
  rig.run()
  alice.send(alice.within(caller, 'ACK', { sequence: again.sequence }))
  rig.run()
  const from = rig.sent.length
  bob.send(bob.within(bob.calleeDialog(bob.requests('INVITE')[0] as SipText), 'BYE'))
  rig.run()
  wentOnlyTo(rig, from, '192.0.2.1', '192.0.2.2')
  assert.equal(alice.requests('BYE').length, 1)
  alice.respond(alice.last('BYE'), 200)
  rig.settle()
})

test('REFER and Replaces are refused: nobody is transferred', () => {
  const { rig, alice, bob, caller } = talk()
  const carol = rig.phone(3)
  const from = rig.sent.length
  const refer = alice.within(caller, 'REFER', { headers: [['refer-to', `<sip:x@${VICTIM}>`]], contact: alice.contact })
  assert.equal(alice.ask(refer).status, 603)
  const replaces = `${caller.callId};to-tag=${/tag=(.*)/.exec(caller.remote)?.[1]};from-tag=${/tag=(.*)/.exec(caller.local)?.[1]}`
  const invite = carol.exchange(carol.invite('sip:1002@example.net', { headers: [['replaces', replaces]] }))
  assert.equal(carol.final(invite).status, 481)
  wentOnlyTo(rig, from, '192.0.2.1', '192.0.2.3')
  assert.equal(alice.ask(alice.within(caller, 'BYE')).status, 200)
  rig.run()
  bob.respond(bob.last('BYE'), 200)
  rig.settle()
})

test('a re-INVITE that requires what we do not have is refused with 420 (RFC 3261 §8.2.2.3)', () => {
  const { rig, alice, bob, caller } = talk()
  const again = alice.within(caller, 'INVITE', {
    body: SDP,
    contact: alice.contact,
    headers: [['require', 'replaces, foo']],
  })
  const answer = alice.ask(again)
  assert.equal(answer.status, 420)
  assert.equal(answer.get('unsupported'), 'replaces, foo')
  alice.ackFailure(again, answer)
  assert.equal(bob.requests('INVITE').length, 1)
  assert.equal(alice.ask(alice.within(caller, 'BYE', { headers: [['require', 'foo']] })).status, 420)
  assert.equal(alice.ask(alice.within(caller, 'BYE')).status, 200)
  rig.run()
  bob.respond(bob.last('BYE'), 200)
  rig.settle()
})

// ── Redirections ──────────────────────────────────────────────────────────────────────────────────────────────

/** Bob answers 302 with these contacts; gives what the caller was told. */
function redirected(
  contacts: string,
  rig = new SwitchRig(),
  callee = 'sip:1002@example.net',
): { rig: SwitchRig; status: number; from: number } {
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  bob.onMessage = (message) => {
    if (message.method === 'INVITE') bob.respond(message, 302, { headers: [['contact', contacts]] })
  }
  const from = rig.sent.length
  const invite = alice.exchange(alice.invite(callee))
  rig.run(2_000)
  const final = alice.responses(invite).find(({ status }) => status >= 200)
  if (final !== undefined) alice.ackFailure(invite, final)
  return { rig, status: final?.status ?? 0, from }
}

test('a callee that redirects to another domain, or nowhere that we serve, is a callee that cannot be reached', () => {
  for (const contact of [
    `<sip:x@${VICTIM}>`,
    '<sip:+442012345678@carrier.example>',
    '<sip:x@198.51.100.10>',
    '<mailto:x@example.net>',
    '<sip:nobody@example.net>',
    '<sip:+12125550199@example.net>',
  ]) {
    const { rig, status, from } = redirected(contact)
    assert.equal(status, 480, contact)
    wentOnlyTo(rig, from, '192.0.2.1', '192.0.2.2')
    rig.settle()
  }
})

test('a callee that redirects to himself for ever is followed call.redirectsMax times', () => {
  const { rig, status } = redirected('<sip:1002@example.net>')
  assert.equal(status, 480)
  assert.equal(rig.sentTo('192.0.2.2').filter((text) => text.startsWith('INVITE')).length, 4)
  rig.settle()
})

test("a subscriber's redirection to a number is followed only as the caller's own call could go, and the record says so", () => {
  const rig = new SwitchRig()
  const west = rig.agent('198.51.100.20')
  west.onMessage = (message) => {
    if (message.method === 'INVITE') west.respond(message, 486)
  }
  const { status } = redirected('<sip:+19005551234@example.net>', rig)
  assert.equal(status, 486)
  const record = rig.records().at(-1)
  assert.deepEqual(record?.['translations'], ['redirected to +19005551234'])
  assert.equal(record?.['caller'], 'sip:1001@example.net')
  rig.settle()
})

test('call.redirects: refuse follows none', () => {
  const rig = new SwitchRig(configText({ call: 'call: {redirects: refuse}' }))
  const { status, from } = redirected('<sip:1003@example.net>', rig)
  assert.equal(status, 480)
  wentOnlyTo(rig, from, '192.0.2.1', '192.0.2.2')
})

// ── CANCEL ────────────────────────────────────────────────────────────────────────────────────────────────────

test('a CANCEL from another host than the INVITE came from is not obeyed (RFC 3261 §22.1)', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const stranger = rig.agent(STRANGER)
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  bob.respond(bob.last('INVITE'), 180)
  rig.run()
  const cancel = (agent: RawAgent, callId = invite.callId): number => {
    const request = agent.request('CANCEL', invite.uri, {
      contact: null,
      body: '',
      callId,
      sequence: invite.sequence,
      from: invite.get('from'),
    })
    request.remove('via')
    request.headers.unshift(['via', invite.get('via')])
    agent.send(request)
    rig.run()
    return agent.inbox.filter((message) => message.sequenceMethod === 'CANCEL').at(-1)?.status ?? 0
  }
  assert.equal(cancel(stranger), 481)
  assert.equal(bob.requests('CANCEL').length, 0)
  assert.equal(rig.switch.audit().calls, 1)
  assert.equal(cancel(alice), 200)
  rig.run()
  assert.equal(bob.requests('CANCEL').length, 1)
  bob.respond(bob.last('CANCEL'), 200)
  bob.respond(bob.last('INVITE'), 487)
  rig.run()
  assert.equal(alice.final(invite).status, 487)
  alice.ackFailure(invite, alice.final(invite))
  rig.settle()
})

test('a CANCEL of another Call-ID with the same branch is not obeyed (RFC 3261 §9.1)', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  const cancel = alice.request('CANCEL', invite.uri, { contact: null, body: '', sequence: invite.sequence })
  cancel.remove('via')
  cancel.headers.unshift(['via', invite.get('via')])
  alice.send(cancel)
  rig.run()
  assert.equal(alice.inbox.at(-1)?.status, 481)
  bob.respond(bob.last('INVITE'), 486)
  rig.run()
  alice.ackFailure(invite, alice.final(invite))
  rig.settle()
})

// ── Registered contacts ───────────────────────────────────────────────────────────────────────────────────────

for (const [what, contact] of [
  ['a carrier', '<sip:+19005551234@198.51.100.20>'],
  ['a carrier at another port', '<sip:+19005551234@198.51.100.20:5080>'],
  ['a carrier that calls go to only', '<sip:+19005551234@198.51.100.40>'],
  ['a carrier by name', '<sip:+19005551234@carrier.example>'],
  ['ourselves', '<sip:+19005551234@203.0.113.1>'],
] as const) {
  test(`a telephone that registers ${what} as its contact does not get calls sent there`, () => {
    const rig = new SwitchRig()
    rig.world.dns.set('carrier.example', [{ type: 'A', address: '198.51.100.20', ttlS: 60 }])
    const alice = rig.phone(1)
    const bob = rig.agent('192.0.2.2', { user: '1002', password: 'secret2', algorithm: 'SHA-256' })
    assert.equal(bob.register(3_600, contact).status, 200)
    const from = rig.sent.length
    const invite = alice.exchange(alice.invite('sip:1002@example.net'))
    rig.run(2_000)
    wentOnlyTo(rig, from, '192.0.2.1', '192.0.2.2')
    const got = bob.requests('INVITE').at(-1)
    if (got !== undefined) bob.respond(got, 486)
    rig.run()
    alice.ackFailure(invite, alice.final(invite))
    rig.settle()
  })
}

test('a telephone that puts a carrier into Path does not get calls sent there', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.agent('192.0.2.2', { user: '1002', password: 'secret2', algorithm: 'SHA-256' })
  const headers = [
    ['path', '<sip:198.51.100.20;lr>'],
    ['supported', 'path'],
  ] as const
  const register = bob.request('REGISTER', `sip:${DOMAIN}`, {
    to: `<${bob.address}>`,
    headers,
    contact: '<sip:+19005551234@198.51.100.20>',
  })
  assert.equal(bob.ask(register).status, 200)
  const from = rig.sent.length
  alice.exchange(alice.invite('sip:1002@example.net'))
  rig.run(2_000)
  wentOnlyTo(rig, from, '192.0.2.1', '192.0.2.2')
})

test('a contact at another host than the registration came from is called there (RFC 3261 §10)', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.agent('192.0.2.2', { user: '1002', password: 'secret2', algorithm: 'SHA-256' })
  const desk = rig.agent('192.0.2.52')
  assert.equal(bob.register(3_600, '<sip:bob@192.0.2.52>').status, 200)
  alice.exchange(alice.invite('sip:1002@example.net'))
  rig.run()
  assert.equal(desk.requests('INVITE').length, 1)
})

test('a sips call does not leave without TLS: not to a trunk peer, not to a telephone (RFC 3261 §26.2.2)', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  rig.phone(2)
  rig.agent('198.51.100.10')
  const from = rig.sent.length
  for (const [uri, status] of [
    ['sips:+442012345678@example.net', 500],
    ['sips:1002@example.net', 480],
  ] as const) {
    const invite = alice.exchange(alice.invite(uri, { contact: '<sips:me@192.0.2.1>' }))
    rig.run(60_000)
    assert.equal(alice.final(invite).status, status)
    alice.ackFailure(invite, alice.final(invite))
  }
  assert.deepEqual(
    rig.sent.slice(from).filter(({ text }) => text.startsWith('INVITE')),
    [],
  )
  rig.settle()
})

// ── Amplification ─────────────────────────────────────────────────────────────────────────────────────────────

test('a forged source draws one datagram for one, with at most four octets for each', () => {
  for (const method of ['OPTIONS', 'INVITE', 'MESSAGE', 'REGISTER', 'SUBSCRIBE', 'BYE', 'ACK', 'CANCEL', 'FOO']) {
    const rig = new SwitchRig()
    const stranger = rig.agent(STRANGER)
    // As small as a request can be and still be one.
    const lines = [
      `${method} sip:a@example.net SIP/2.0`,
      `v:SIP/2.0/UDP ${STRANGER};branch=z9hG4bKa`,
      'f:<sip:a@b.c>;tag=1',
      't:<sip:a@b.c>',
      'i:1',
      `CSeq:1 ${method}`,
      ...(method === 'INVITE' ? ['m:<sip:a@b.c>'] : []),
    ]
    stranger.raw(`${lines.join('\r\n')}\r\n\r\n`)
    rig.run(60_000)
    const octets = rig.sent.reduce((sum, { text }) => sum + text.length, 0)
    const row = `${method}: ${rig.sent.length} datagrams, ${(octets / stranger.octetsSent).toFixed(1)} times the octets`
    assert.ok(rig.sent.length <= 1, row)
    assert.ok(octets <= stranger.octetsSent * 4, row)
    rig.settle()
  }
})
