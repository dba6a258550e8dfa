// MESSAGE outside of a call (RFC 3428): to whom it goes, what the sender is told, and what is held for it. And a fault in one call.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SipText } from '#sim/sip-text.ts'
import { type RawAgent, SwitchRig } from '#test/switch/rig.ts'

function message(from: RawAgent, to: string, body = 'Gr\u00c3\u00bc\u00c3\u009fe'): SipText {
  const headers = [
    ['subject', 'hello'],
    ['expires', '30'],
  ] as const
  return from.request('MESSAGE', to, { body, type: 'text/plain;charset=UTF-8', headers })
}

test('a message reaches every telephone of the callee with its type, its octets and who sent it', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const desk = rig.agent('192.0.2.52', bob.account)
  assert.equal(desk.register().status, 200)
  const sent = alice.exchange(message(alice, 'sip:+12025550102@example.net'))
  for (const phone of [bob, desk]) {
    const got = phone.last('MESSAGE')
    assert.equal(got.body, 'Gr\u00c3\u00bc\u00c3\u009fe')
    assert.equal(got.get('content-type'), 'text/plain;charset=UTF-8')
    assert.equal(got.get('p-asserted-identity'), '"Alice" <sip:+12025550101@example.net>')
    assert.equal(got.get('subject'), 'hello')
    assert.equal(got.get('contact'), '')
  }
  bob.respond(bob.last('MESSAGE'), 480)
  desk.respond(desk.last('MESSAGE'), 202)
  rig.run()
  assert.equal(alice.final(sent).status, 202)
  assert.equal(rig.switch.audit().relays, 0)
  rig.settle()
})

test('of several refusals the sender is told the best, and a challenge of the callee is not his to answer', () => {
  for (const [first, second, told] of [
    [486, 404, 486],
    [404, 603, 603],
    [401, 401, 500],
    [503, 404, 404],
    [302, 302, 480],
  ] as const) {
    const rig = new SwitchRig()
    const alice = rig.phone(1)
    const bob = rig.phone(2)
    const desk = rig.agent('192.0.2.52', bob.account)
    desk.register()
    const sent = alice.exchange(message(alice, 'sip:1002@example.net'))
    bob.respond(bob.last('MESSAGE'), first)
    desk.respond(desk.last('MESSAGE'), second)
    rig.run()
    assert.equal(alice.final(sent).status, told, `${first} and ${second}`)
    rig.settle()
  }
})

test('a message over a trunk goes on to the next peer when one cannot take it', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const first = rig.agent('198.51.100.10')
  const second = rig.agent('198.51.100.11')
  const sent = alice.exchange(message(alice, 'sip:+442012345678@example.net'))
  first.respond(first.last('MESSAGE'), 503)
  rig.run()
  second.respond(second.last('MESSAGE'), 200)
  rig.run()
  assert.equal(alice.final(sent).status, 200)
  assert.equal(rig.switch.audit().trunkChannels, 0)
  rig.settle()
})

test('a message that nobody answers is never answered with 408 (RFC 4320 §4.2), and nothing is held for it', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  rig.phone(2)
  const sent = alice.exchange(message(alice, 'sip:1002@example.net'))
  rig.run(40_000)
  assert.equal(alice.final(sent).status, 480)
  rig.settle()
})

test('a message for nobody is refused as a call would be', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  for (const [uri, status] of [
    ['sip:nobody@example.net', 404],
    ['sip:1003@example.net', 480],
    ['sip:x@elsewhere.example', 403],
    ['sip:example.net', 484],
  ] as const) {
    assert.equal(alice.ask(message(alice, uri)).status, status)
  }
  rig.settle()
})

test('a broken invariant in one call ends that call with a record, is logged and counted, and leaves the others alone', () => {
  const rig = new SwitchRig()
  rig.world.fatalCodes.clear()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const connect = (): { caller: ReturnType<RawAgent['callerDialog']>; got: SipText } => {
    const invite = alice.exchange(alice.invite('sip:1002@example.net'))
    const got = bob.last('INVITE')
    bob.respond(got, 200, { tag: `t${got.branch}` })
    rig.run()
    const caller = alice.callerDialog(invite, alice.final(invite))
    alice.send(alice.within(caller, 'ACK'))
    rig.run()
    return { caller, got }
  }
  const other = connect()
  const broken = connect()
  // Whatever breaks: here the search for a dialog, once, while the second call is at work.
  const { sessions } = rig.switch
  const find = sessions.find.bind(sessions)
  sessions.find = (request) => {
    const session = find(request)
    if (session === null || request.callId !== broken.caller.callId) return session
    return Object.assign(Object.create(session) as typeof session, {
      receive: (transaction: Parameters<typeof session.receive>[0]) => {
        session.receive(transaction)
        throw new Error('an invariant is broken')
      },
    })
  }
  alice.send(alice.within(broken.caller, 'INFO', { body: 'x', type: 'text/plain' }))
  rig.run(100)
  assert.equal(rig.node.log?.counts.get('INTERNAL'), 1)
  assert.equal(rig.counter('carillon_faults_total'), 1)
  assert.equal(rig.switch.audit().calls, 1)
  const last = rig.records().at(-1)
  assert.deepEqual([last?.['type'], last?.['releaseCode']], ['STOP', 'INTERNAL'])
  assert.equal(alice.requests('BYE').length, 1)
  assert.equal(bob.requests('BYE').length, 1)
  alice.respond(alice.last('BYE'), 200)
  bob.respond(bob.last('BYE'), 200)
  bob.respond(bob.last('INFO'), 200)
  sessions.find = find
  rig.run()
  assert.equal(alice.ask(alice.within(other.caller, 'BYE')).status, 200)
  rig.run()
  bob.respond(bob.last('BYE'), 200)
  rig.settle()
})
