import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CALLER_HOST, CallRig } from '#call/_rig.test.ts'
import type { CalleeTarget } from '#call/call-host.ts'
import { present, unreachable } from '#core/assert.ts'
import type { MediaSession } from '#media/media-port.ts'
import { nameOf, parseRequest, parseResponse, responseText, SDP, SDP_2 } from '#sip/_rig.test.ts'
import { HeaderId } from '#sip/header-id.ts'

function statuses(texts: string[]): string {
  return texts.map(nameOf).join(' ')
}

// ── Up and down ──────────────────────────────────────────────────────────────────────────────────────────────────

test('a call is set up and ended with identifiers of its own on each side (RFC 7092 §3.1.3)', () => {
  const rig = new CallRig()
  rig.invite()
  assert.deepEqual(rig.caller.names(), ['100'])
  const invite = rig.callee(0).request()
  assert.equal(invite.uriText, 'sip:bob@192.0.2.11:5060')
  assert.equal(invite.header(HeaderId.maxForwards), '68')
  assert.equal(invite.header(HeaderId.pAssertedIdentity), '"Alice" <sip:1001@example.net>')
  assert.equal(invite.from.uri.text, 'sip:1001@example.net')
  assert.ok(invite.topmostVia.branch.endsWith('.mark'))
  assert.equal(invite.body, SDP)
  rig.callee(0).reply(invite, 180)
  const ringing = rig.caller.response()
  assert.equal(ringing.status, 180)
  rig.callee(0).reply(invite, 200, { sdp: SDP_2 })
  const okay = rig.caller.response()
  assert.deepEqual([okay.status, okay.body], [200, SDP_2])
  assert.equal(okay.to.tag, ringing.to.tag)
  assert.deepEqual(rig.callee(0).names(), ['ACK'])
  assert.equal(rig.recordTypes(), 'START')
  rig.caller.joined(okay)
  rig.caller.ask('ACK', { sequence: 1 })
  rig.clock.pass(10_000)
  rig.caller.ask('BYE', { headers: 'Reason: Q.850;cause=16;text="at 192.0.2.3"\r\n' })
  assert.deepEqual(rig.caller.names(), ['200'])
  const bye = rig.callee(0).request()
  assert.deepEqual([bye.method, bye.header(HeaderId.reason)], ['BYE', 'Q.850;cause=16'])
  rig.callee(0).reply(bye, 200)
  rig.assertOver()
  const { durationMs, releaseParty, sipStatus, q850Cause, releaseCode, routesTried, legs } = rig.last
  assert.deepEqual([durationMs, releaseParty, sipStatus, q850Cause, releaseCode], [10_000, 'caller', 200, 16, 'NORMAL'])
  assert.deepEqual(routesTried, [{ trunkGroup: null, status: 200, cause: 16, why: 'ANSWERED' }])
  assert.deepEqual(
    legs.map(({ side, remote }) => `${side} ${remote}`),
    ['caller udp:192.0.2.3:5060', 'callee udp:192.0.2.11:5060'],
  )
})

test('the callee hangs up, and the caller gets the BYE', () => {
  const rig = new CallRig().connect()
  rig.callee(0).ask('BYE', { headers: 'Reason: Q.850;cause=31\r\n' })
  assert.deepEqual(rig.callee(0).names(), ['200'])
  const bye = rig.caller.request()
  assert.deepEqual([bye.method, bye.header(HeaderId.reason)], ['BYE', 'Q.850;cause=31'])
  rig.caller.reply(bye, 200)
  rig.assertOver()
  assert.deepEqual([rig.last.releaseParty, rig.last.q850Cause], ['callee', 31])
})

test('BYEs that cross are both answered 200 (RFC 5407 §3.2.1)', () => {
  const rig = new CallRig().connect()
  rig.caller.ask('BYE')
  rig.callee(0).ask('BYE')
  assert.equal(statuses(rig.callee(0).texts()), 'BYE 200')
  rig.assertOver()
  assert.equal(rig.last.releaseParty, 'caller')
})

test('the ACK that never comes ends the call after 32 seconds, with BYE to both sides (§13.3.1.4)', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  rig.callee(0).texts()
  rig.clock.pass(31_999)
  assert.deepEqual(rig.callee(0).names(), [])
  rig.clock.pass(1)
  assert.deepEqual(rig.callee(0).names(), ['BYE'])
  assert.equal(rig.caller.names().at(-1), 'BYE')
  rig.assertOver()
  assert.deepEqual([rig.last.releaseCode, rig.last.releaseParty, rig.last.sipStatus], ['SESSION_NO_ACK', 'switch', 200])
})

test('a callee that hangs up before the caller has acknowledged is let go; the BYE to the caller waits for its ACK (§15)', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  rig.caller.joined(parseResponse(rig.caller.texts().at(-1) ?? ''))
  rig.callee(0).ask('BYE')
  assert.deepEqual(rig.caller.names(), [])
  rig.caller.ask('ACK', { sequence: 1 })
  assert.deepEqual(rig.caller.names(), ['BYE'])
  rig.assertOver()
})

test('a caller that hangs up before its ACK is answered, and its 2xx is not sent again (RFC 5407 §3.1.3, §3.1.6)', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 180)
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  rig.caller.joined(parseResponse(rig.caller.texts().at(-1) ?? ''))
  rig.caller.ask('BYE')
  assert.deepEqual(rig.caller.names(), ['200'])
  assert.equal(statuses(rig.callee(0).texts()), 'ACK BYE')
  rig.clock.pass(40_000)
  assert.deepEqual(rig.caller.names(), [])
  rig.assertOver()
})

test('the longest duration ends the call on both sides', () => {
  const rig = new CallRig({ facts: { durationMaxMs: 60_000, intermediateMs: 25_000 } }).connect()
  rig.clock.pass(60_000)
  assert.deepEqual([rig.caller.names(), rig.callee(0).names()], [['BYE'], ['BYE']])
  rig.assertOver()
  assert.equal(rig.recordTypes(), 'START INTERMEDIATE INTERMEDIATE STOP')
  assert.equal(rig.last.releaseCode, 'CALL_DURATION_MAX')
})

test('a session that is not refreshed ends the call on both sides (RFC 4028 §10)', () => {
  const rig = new CallRig({ facts: { sessionTimer: { sessionExpiresS: 600, minSeS: 90 } } })
  rig.connect({
    caller: { sdp: SDP, headers: 'Supported: timer\r\n' },
    callee: { headers: 'Session-Expires: 600;refresher=uac\r\n' },
  })
  rig.clock.pass(300_000)
  const refresh = rig.callee(0).request()
  rig.callee(0).reply(refresh, 200, { sdp: SDP, headers: 'Session-Expires: 600;refresher=uac\r\n' })
  rig.callee(0).texts()
  rig.clock.pass(270_000)
  assert.deepEqual([rig.caller.names()[0], rig.callee(0).names()[0]], ['BYE', 'BYE'])
  rig.assertOver()
  assert.equal(rig.last.releaseCode, 'SESSION_EXPIRED')
})

test('an operator or the end of the process ends a call in any state', () => {
  const ringing = new CallRig()
  ringing.invite()
  ringing.callee(0).reply(ringing.callee(0).request(), 180)
  ringing.call?.terminate('NODE_STOPPED')
  assert.equal(statuses(ringing.caller.texts()), '100 180 503')
  assert.deepEqual(ringing.callee(0).names(), ['CANCEL'])
  ringing.ackRefusal()
  ringing.assertOver()
  const up = new CallRig().connect()
  up.call?.terminate('NODE_STOPPED')
  up.call?.terminate('NODE_STOPPED')
  assert.deepEqual([up.caller.names(), up.callee(0).names()], [['BYE'], ['BYE']])
  up.assertOver()
})

// ── Forks ────────────────────────────────────────────────────────────────────────────────────────────────────────

test('all telephones ring; the others are cancelled with a Reason when one answers (RFC 3326 §3.1)', () => {
  const rig = new CallRig({ stages: [[0, 1, 2]] })
  rig.invite()
  const invites = [0, 1, 2].map((index) => rig.callee(index).request())
  assert.equal(new Set(invites.map(({ callId }) => callId)).size, 3)
  for (const [index, invite] of invites.entries()) rig.callee(index).reply(invite, 180)
  const tags = new Set(
    rig.caller
      .texts()
      .map(parseResponse)
      .map(({ to }) => to.tag),
  )
  tags.delete(null)
  assert.equal(tags.size, 3, 'each fork is an early dialog of its own for the caller')
  rig.callee(1).reply(invites[1] ?? unreachable('invite'), 200, { sdp: SDP })
  for (const index of [0, 2]) {
    const cancel = rig.callee(index).request()
    assert.equal(cancel.method, 'CANCEL')
    assert.equal(cancel.header(HeaderId.reason), 'SIP;cause=200;text="Call completed elsewhere"')
    rig.callee(index).reply(cancel, 200)
    rig.callee(index).reply(invites[index] ?? unreachable('invite'), 487)
  }
  rig.caller.joined(rig.caller.response())
  rig.caller.ask('ACK', { sequence: 1 })
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('a fork that answers while its CANCEL is on the way is acknowledged and ended (§9.1, §13.2.2.4)', () => {
  const rig = new CallRig({ stages: [[0, 1]] })
  rig.invite()
  const first = rig.callee(0).request()
  const second = rig.callee(1).request()
  rig.callee(1).reply(second, 180)
  rig.callee(1).reply(second, 183, { toTag: 'fork-2' })
  rig.callee(0).reply(first, 200, { sdp: SDP })
  rig.callee(1).reply(second, 200, { sdp: SDP })
  assert.equal(statuses(rig.callee(1).texts()), 'CANCEL ACK BYE')
  rig.callee(1).reply(second, 200, { sdp: SDP })
  assert.equal(statuses(rig.callee(1).texts()).split(' ')[0], 'ACK', 'every 2xx is acknowledged')
  rig.caller.joined(parseResponse(rig.caller.texts().at(-1) ?? ''))
  rig.caller.ask('ACK', { sequence: 1 })
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('an answer that is sent again after the BYE is acknowledged, also while another fork has not ended (§13.2.2.4)', () => {
  const rig = new CallRig({ stages: [[0, 1]] })
  rig.invite()
  const first = rig.callee(0).request()
  rig.callee(1).reply(rig.callee(1).request(), 180)
  rig.callee(0).reply(first, 200, { sdp: SDP })
  rig.caller.joined(parseResponse(rig.caller.texts().at(-1) ?? ''))
  rig.caller.ask('ACK', { sequence: 1 })
  rig.caller.ask('BYE')
  assert.equal(statuses(rig.callee(0).texts()), 'ACK BYE')
  rig.callee(0).reply(first, 200, { sdp: SDP })
  assert.equal(rig.callee(0).names()[0], 'ACK')
  rig.assertOver()
})

test('a second 2xx of one branch, from a fork further on, is acknowledged and ended (§13.2.2.4)', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 180, { toTag: 'fork-b' })
  rig.callee(0).reply(invite, 200, { toTag: 'fork-a', sdp: SDP })
  rig.callee(0).texts()
  rig.callee(0).reply(invite, 200, { toTag: 'fork-b', sdp: SDP })
  const [ack, bye] = rig.callee(0).texts().map(parseRequest)
  assert.deepEqual([ack?.method, bye?.method, ack?.to.tag, bye?.to.tag], ['ACK', 'BYE', 'fork-b', 'fork-b'])
  assert.deepEqual(rig.finals(), [200])
  rig.caller.joined(parseResponse(rig.caller.texts().at(-1) ?? ''))
  rig.caller.ask('ACK', { sequence: 1 })
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('early media of each fork goes to the caller in its own early dialog (§13.2.2.4, RFC 3960)', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 183, { toTag: 'fork-a', sdp: SDP })
  rig.callee(0).reply(invite, 183, { toTag: 'fork-b', sdp: SDP_2 })
  rig.callee(0).reply(invite, 180, { toTag: 'fork-a' })
  const [, a, b, again] = rig.caller.texts().map(parseResponse)
  assert.deepEqual([a?.body, b?.body], [SDP, SDP_2])
  assert.notEqual(a?.to.tag, b?.to.tag)
  assert.equal(again?.to.tag, a?.to.tag)
  rig.callee(0).reply(invite, 200, { toTag: 'fork-b', sdp: SDP_2 })
  const okay = rig.caller.response()
  assert.equal(okay.to.tag, b?.to.tag, 'the answer comes in the dialog of the fork that answered')
  rig.caller.joined(okay)
  rig.caller.ask('ACK', { sequence: 1 })
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('a callee without To tags, as of RFC 2543, makes a dialog like any other (§12.1.2)', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  const bare = (status: number, sdp = ''): void =>
    rig.callee(0).send(responseText(invite, status, { toTag: null, contact: '<sip:far@192.0.2.11:5060>', sdp }))
  bare(180)
  const ringing = parseResponse(rig.caller.texts().at(-1) ?? '')
  assert.ok(ringing.has(HeaderId.contact), 'the caller can end it early')
  bare(200, SDP)
  const okay = rig.caller.response()
  assert.equal(okay.to.tag, ringing.to.tag)
  rig.caller.joined(okay)
  rig.caller.ask('ACK', { sequence: 1 })
  rig.caller.ask('BYE')
  const [, bye] = rig.callee(0).texts().map(parseRequest)
  assert.deepEqual([bye?.method, bye?.to.tag], ['BYE', null])
  rig.assertOver()
})

test('early dialogs of one branch are bounded, and an answer beyond the bound is still an answer', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  for (let i = 0; i < 20; i += 1) rig.callee(0).reply(invite, 180, { toTag: `fork-${i}` })
  assert.equal(rig.caller.texts().length, 1 + 12)
  rig.callee(0).reply(invite, 200, { toTag: 'fork-19', sdp: SDP })
  assert.deepEqual(rig.finals(), [200])
  rig.callee(0).ask('BYE')
  rig.assertOver()
})

test('a 6xx ends all forks, and the caller has it at once (§16.7 step 5)', () => {
  const rig = new CallRig({ stages: [[0, 1], [2]] })
  rig.invite()
  const first = rig.callee(0).request()
  const second = rig.callee(1).request()
  rig.callee(1).reply(second, 180)
  rig.callee(0).reply(first, 603)
  assert.equal(statuses(rig.callee(1).texts()), 'CANCEL')
  assert.equal(statuses(rig.caller.texts()), '100 180 603')
  rig.callee(1).reply(second, 200, { sdp: SDP })
  assert.equal(statuses(rig.callee(1).texts()), 'ACK BYE')
  rig.ackRefusal()
  rig.assertOver()
  assert.deepEqual(rig.callee(2).names(), [], 'no other stage')
  assert.equal(rig.last.sipStatus, 603)
})

for (const [answers, shown] of [
  [[486, 404], 486],
  [[404, 480], 404],
  [[408, 480], 480],
  [[503, 486], 486],
  [[503, 500], 500],
  [[503, 503], 500],
  [[401, 500], 500],
  [[302, 486], 480],
  [[600, 200], 600],
  [[487, 404], 404],
  [[488, 480], 488],
] as const) {
  test(`of ${answers.join(' and ')} the caller is told ${shown} (§16.7 step 6)`, () => {
    const rig = new CallRig({ stages: [[0, 1]], facts: { redirects: 'refuse' } })
    rig.invite()
    const invites = [0, 1].map((index) => rig.callee(index).request())
    for (const [index, invite] of invites.entries()) {
      if (answers[index] !== 200) rig.callee(index).reply(invite, answers[index] ?? 500)
    }
    assert.deepEqual(rig.finals(), [shown])
    rig.ackRefusal()
    rig.assertOver()
    assert.equal(rig.last.type, 'ATTEMPT')
  })
}

test('nobody answers: 480 with Q.850 cause 19, and the forks are cancelled', () => {
  const rig = new CallRig()
  rig.invite()
  rig.callee(0).reply(rig.callee(0).request(), 180)
  rig.clock.pass(60_000)
  assert.deepEqual(rig.callee(0).names(), ['CANCEL'])
  const refusal = parseResponse(rig.caller.texts().at(-1) ?? '')
  assert.deepEqual([refusal.status, refusal.header(HeaderId.reason)], [480, 'Q.850;cause=19'])
  rig.ackRefusal()
  rig.assertOver()
  assert.equal(rig.last.releaseCode, 'CALL_NO_ANSWER')
})

// ── CANCEL ───────────────────────────────────────────────────────────────────────────────────────────────────────

test('a CANCEL of the caller before any response waits for the first one (§9.1)', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  rig.cancel('Reason: SIP;cause=200\r\n')
  assert.equal(statuses(rig.caller.texts()), '100 200 487')
  assert.deepEqual(rig.callee(0).names(), [])
  rig.callee(0).reply(invite, 100)
  const cancel = rig.callee(0).request()
  assert.deepEqual([cancel.method, cancel.header(HeaderId.reason)], ['CANCEL', 'SIP;cause=200'])
  rig.callee(0).reply(cancel, 200)
  rig.callee(0).reply(invite, 487)
  rig.ackRefusal()
  rig.assertOver()
  assert.deepEqual([rig.last.sipStatus, rig.last.releaseCode], [487, 'CALLER_CANCELLED'])
})

test('an answer that crosses the CANCEL is acknowledged and ended (§9.1)', () => {
  for (const ringing of [true, false]) {
    const rig = new CallRig()
    rig.invite()
    const invite = rig.callee(0).request()
    if (ringing) rig.callee(0).reply(invite, 180)
    rig.cancel()
    rig.callee(0).texts()
    rig.callee(0).reply(invite, 200, { sdp: SDP })
    assert.equal(statuses(rig.callee(0).texts()), 'ACK BYE')
    rig.ackRefusal()
    rig.assertOver()
    assert.equal(rig.recordTypes(), 'ATTEMPT')
  }
})

test('a cancelled branch that never answers is forgotten after 64·T1 (§9.1)', () => {
  const rig = new CallRig()
  rig.invite()
  rig.callee(0).reply(rig.callee(0).request(), 180)
  rig.cancel()
  rig.ackRefusal()
  rig.assertOver()
})

test('a CANCEL that comes after the answer changes nothing (§9.2)', () => {
  const rig = new CallRig().connect()
  rig.cancel()
  assert.deepEqual(rig.caller.names(), ['200'])
  assert.deepEqual(rig.callee(0).names(), [])
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('a BYE of the caller in an early dialog ends the whole attempt (§15.1.2)', () => {
  const rig = new CallRig()
  rig.invite()
  rig.callee(0).reply(rig.callee(0).request(), 180)
  rig.caller.joined(parseResponse(rig.caller.texts().at(-1) ?? ''))
  rig.caller.ask('BYE')
  assert.equal(statuses(rig.caller.texts()), '200 487')
  assert.deepEqual(rig.callee(0).names(), ['CANCEL'])
  rig.ackRefusal()
  rig.assertOver()
})

// ── Hunting ──────────────────────────────────────────────────────────────────────────────────────────────────────

for (const status of [408, 430, 500, 502, 503, 504]) {
  test(`${status} of a trunk leads to the next one`, () => {
    const rig = new CallRig({ stages: [[0], [1]], trunks: true })
    rig.invite()
    rig.callee(0).reply(rig.callee(0).request(), status)
    assert.equal(rig.seized.get('trunk0'), 0)
    rig.callee(1).reply(rig.callee(1).request(), 200, { sdp: SDP })
    assert.deepEqual(rig.finals(), [200])
    rig.callee(1).ask('BYE')
    rig.assertOver()
    assert.deepEqual(
      rig.last.routesTried.map(({ trunkGroup, status: tried }) => `${trunkGroup} ${tried}`),
      [`trunk0 ${status}`, 'trunk1 200'],
    )
    assert.equal(rig.last.egressTrunkGroup, 'trunk1')
  })
}

for (const status of [404, 486, 480, 487, 484, 501, 603]) {
  test(`${status} of a trunk is the end: the called side has been reached`, () => {
    const rig = new CallRig({ stages: [[0], [1]], trunks: true })
    rig.invite()
    rig.callee(0).reply(rig.callee(0).request(), status)
    assert.deepEqual(rig.finals(), [status])
    rig.ackRefusal()
    rig.assertOver()
    assert.deepEqual(rig.callee(1).names(), [])
  })
}

test('a trunk that is silent is given up after five seconds when there is another; should it answer late, it is ended', () => {
  const rig = new CallRig({ stages: [[0], [1]], trunks: true })
  rig.invite()
  rig.clock.pass(4_999)
  const invite = parseRequest(rig.callee(0).texts()[0] ?? '')
  assert.deepEqual(rig.callee(1).names(), [])
  rig.clock.pass(1)
  rig.callee(1).reply(rig.callee(1).request(), 180)
  rig.callee(0).reply(invite, 180)
  assert.deepEqual(rig.callee(0).names(), ['CANCEL'])
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  assert.equal(statuses(rig.callee(0).texts()), 'ACK BYE')
  assert.deepEqual(rig.finals(), [])
  rig.cancel()
  rig.ackRefusal()
  rig.assertOver()
  assert.deepEqual(rig.last.routesTried.map(({ why }) => why)[0], 'SIP_TIMEOUT')
})

test('a trunk that answers 100 and never rings leads to the next one when the time is over', () => {
  const rig = new CallRig({ stages: [[0], [1]], trunks: true })
  rig.invite()
  rig.callee(0).reply(rig.callee(0).request(), 100)
  rig.clock.pass(60_000)
  assert.deepEqual(rig.callee(0).names(), ['CANCEL'])
  rig.callee(1).reply(rig.callee(1).request(), 200, { sdp: SDP })
  assert.deepEqual(rig.finals(), [200])
  rig.callee(1).ask('BYE')
  rig.assertOver()
})

test('when all circuits are busy the caller gets 503 with Q.850 cause 34', () => {
  const rig = new CallRig({ stages: [[0], [1]], trunks: true, channels: 0 })
  rig.invite()
  const refusal = parseResponse(rig.caller.texts().at(-1) ?? '')
  assert.deepEqual([refusal.status, refusal.header(HeaderId.reason)], [503, 'Q.850;cause=34'])
  rig.ackRefusal()
  rig.assertOver()
  assert.equal(rig.last.releaseCode, 'TRUNK_CHANNELS_MAX')
})

test('a callee that never answers anything is a time-out for the caller', () => {
  const rig = new CallRig()
  rig.invite()
  rig.clock.pass(32_000)
  assert.deepEqual(rig.finals(), [408])
  rig.ackRefusal()
  rig.assertOver()
  assert.equal(rig.last.releaseCode, 'SIP_TIMEOUT')
})

test('a 422 of each fork is answered by an INVITE with the Min-SE that it asks for (RFC 4028 §7.3)', () => {
  const rig = new CallRig({ stages: [[0, 1]] })
  rig.invite()
  for (const index of [0, 1]) rig.callee(index).reply(rig.callee(index).request(), 422, { headers: 'Min-SE: 3600\r\n' })
  for (const index of [0, 1]) {
    const again = rig.callee(index).texts().map(parseRequest).at(-1)
    assert.deepEqual(
      [again?.method, again?.header(HeaderId.sessionExpires), again?.header(HeaderId.minSe)],
      ['INVITE', '3600', '3600'],
    )
    if (again !== undefined && index === 1)
      rig.callee(1).reply(again, 200, { sdp: SDP, headers: 'Session-Expires: 3600;refresher=uac\r\n' })
  }
  assert.deepEqual(rig.finals(), [200])
  rig.callee(1).ask('BYE')
  rig.assertOver()
})

test('a callee that answers 422 again and again is not asked for ever', () => {
  const rig = new CallRig()
  rig.invite()
  let minSe = 100
  for (let i = 0; i < 50; i += 1) {
    const invite = rig
      .callee(0)
      .texts()
      .map(parseRequest)
      .findLast(({ method }) => method === 'INVITE')
    if (invite === undefined) break
    rig.callee(0).reply(invite, 422, { headers: `Min-SE: ${minSe++}\r\n` })
  }
  assert.deepEqual(rig.finals(), [500])
  rig.ackRefusal()
  rig.assertOver()
})

test('a call that is refused at once has its final response, with the cause, and one record', () => {
  const refusal = {
    status: 404,
    reason: 'Not Found',
    code: 'ROUTE_NONE',
    q850Cause: 3,
    calledNumber: '999',
    headers: 'Retry-After: 9\r\n',
  }
  const rig = new CallRig({ refusal })
  rig.invite()
  const response = rig.caller.response()
  assert.deepEqual([response.status, response.header(HeaderId.reason)], [404, 'Q.850;cause=3'])
  assert.equal(response.header(HeaderId.retryAfter), '9')
  rig.ackRefusal()
  rig.assertOver()
  assert.deepEqual(
    [rig.last.calledNumber, rig.last.releaseCode, rig.last.releaseParty],
    ['999', 'ROUTE_NONE', 'switch'],
  )
})

test('a target that cannot be reached at all leads to the next one at once', () => {
  const target = (given: CalleeTarget): CalleeTarget =>
    given.label === 'callee 0' ? { ...given, nextHop: 'tel:+12025550101' } : given
  const rig = new CallRig({ stages: [[0], [1]], trunks: true, target })
  rig.invite()
  rig.callee(1).reply(rig.callee(1).request(), 404)
  assert.deepEqual(rig.finals(), [404])
  rig.ackRefusal()
  rig.assertOver()
  assert.equal(rig.last.routesTried[0]?.why, 'SIP_UNRESOLVED')
  const alone = new CallRig({ trunks: true, target })
  alone.invite()
  assert.deepEqual(alone.finals(), [500])
  alone.ackRefusal()
  alone.assertOver()
})

test('a telephone to which there is no way is temporarily unavailable (§21.4.18)', () => {
  const rig = new CallRig({ target: (given) => ({ ...given, nextHop: 'tel:+12025550101' }) })
  rig.invite()
  assert.deepEqual(rig.finals(), [480])
  rig.ackRefusal()
  rig.assertOver()
  assert.equal(rig.last.releaseCode, 'SIP_UNRESOLVED')
})

test('a registered telephone is called over its flow, and everything in the dialog goes there (RFC 5626 §5.3)', () => {
  const target = (given: CalleeTarget, rig: CallRig): CalleeTarget => {
    const phone = { host: '192.0.2.11', port: 5060, family: 4 } as const
    const flow = rig.layer.transport.flowTo({ transport: 'udp', endpoint: phone, serverName: null })
    return { ...given, uriText: 'sip:bob@10.0.0.9:5060', nextHop: 'sip:bob@10.0.0.9:5060', flow }
  }
  const rig = new CallRig({ target }).connect({ callee: { contact: '<sip:bob@10.0.0.9:5060>' } })
  rig.caller.ask('BYE')
  const bye = rig.callee(0).request()
  assert.deepEqual([bye.method, bye.uriText], ['BYE', 'sip:bob@10.0.0.9:5060'])
  rig.assertOver()
})

test('a callee behind a proxy that records its route gets ACK and BYE through it (§12.2.1.1)', () => {
  const rig = new CallRig()
  rig.invite()
  const route = '<sip:192.0.2.14;lr>'
  rig.callee(0).reply(rig.callee(0).request(), 200, { sdp: SDP, headers: `Record-Route: ${route}\r\n` })
  rig.caller.joined(parseResponse(rig.caller.texts().at(-1) ?? ''))
  rig.caller.ask('ACK', { sequence: 1 })
  rig.caller.ask('BYE')
  const requests = rig.callee(3).texts().map(parseRequest)
  assert.deepEqual(
    requests.map(({ method }) => method),
    ['ACK', 'BYE'],
  )
  for (const request of requests) {
    assert.deepEqual([request.uriText, request.header(HeaderId.route)], ['sip:far@192.0.2.11:5060', route])
  }
  rig.assertOver()
})

// ── Redirection ──────────────────────────────────────────────────────────────────────────────────────────────────

const MOVED = { headers: '', contact: '<sip:carol@example.net>' }

test('a 3xx is followed to where it leads within what we serve, a bounded number of times (§8.1.3.4)', () => {
  const rig: CallRig = new CallRig({ stages: [[0]], planRedirect: () => rig.plan([[1]]) })
  rig.invite()
  rig.callee(0).reply(rig.callee(0).request(), 302, MOVED)
  rig.callee(1).reply(rig.callee(1).request(), 302, MOVED)
  const third = rig.callee(1).texts().map(parseRequest).at(-1)
  rig.callee(1).reply(third ?? unreachable('third'), 302, MOVED)
  assert.deepEqual(rig.finals(), [480])
  rig.ackRefusal()
  rig.assertOver()
  assert.equal(rig.last.translations.length, 2)
})

test('a redirection takes back what rings, and the late answer of what was taken back is ended', () => {
  const rig: CallRig = new CallRig({ stages: [[0, 1]], planRedirect: () => rig.plan([[2]]) })
  rig.invite()
  const first = rig.callee(0).request()
  const second = rig.callee(1).request()
  rig.callee(1).reply(second, 180)
  rig.callee(0).reply(first, 302, MOVED)
  const third = rig.callee(2).request()
  rig.callee(1).reply(second, 200, { sdp: SDP })
  assert.equal(statuses(rig.callee(1).texts()), 'CANCEL ACK BYE')
  rig.callee(2).reply(third, 486)
  assert.deepEqual(rig.finals(), [486])
  rig.ackRefusal()
  rig.assertOver()
})

test('what was taken back has no say any more: neither its redirection nor its refusal counts', () => {
  const rig: CallRig = new CallRig({ stages: [[0, 1]], planRedirect: () => rig.plan([[2]]) })
  rig.invite()
  const first = rig.callee(0).request()
  const second = rig.callee(1).request()
  rig.callee(1).reply(second, 180)
  rig.callee(0).reply(first, 302, MOVED)
  const third = rig.callee(2).request()
  rig.callee(1).reply(second, 183, { sdp: SDP })
  assert.equal(statuses(rig.caller.texts()), '100 180', 'its progress is not shown')
  rig.callee(1).reply(second, 302, MOVED)
  assert.deepEqual(rig.callee(2).names(), [])
  rig.callee(2).reply(third, 404)
  assert.deepEqual(rig.finals(), [404])
  rig.ackRefusal()
  rig.assertOver()
})

test('policy passes a 3xx with its Contact, or refuses it', () => {
  const pass = new CallRig({ facts: { redirects: 'pass' } })
  pass.invite()
  pass.callee(0).reply(pass.callee(0).request(), 302, MOVED)
  const moved = parseResponse(pass.caller.texts().at(-1) ?? '')
  assert.deepEqual([moved.status, moved.header(HeaderId.contact)], [302, '<sip:carol@example.net>'])
  pass.ackRefusal()
  pass.assertOver()
  const refuse = new CallRig({ facts: { redirects: 'refuse' } })
  refuse.invite()
  refuse.callee(0).reply(refuse.callee(0).request(), 302, MOVED)
  assert.deepEqual(refuse.finals(), [480])
  refuse.ackRefusal()
  refuse.assertOver()
})

// ── Offers and answers ───────────────────────────────────────────────────────────────────────────────────────────

test('an INVITE without a description: the offer of the 2xx goes to the caller, its answer with the ACK to the callee (§13.2.1)', () => {
  const rig = new CallRig()
  rig.invite({})
  const invite = rig.callee(0).request()
  assert.equal(invite.hasBody, false)
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  assert.deepEqual(rig.callee(0).names(), [], 'the ACK waits for the answer')
  const okay = parseResponse(rig.caller.texts().at(-1) ?? '')
  assert.equal(okay.body, SDP)
  rig.caller.joined(okay)
  rig.caller.ask('ACK', { sequence: 1, sdp: SDP_2 })
  const ack = rig.callee(0).request()
  assert.deepEqual([ack.method, ack.body, ack.cseq.number], ['ACK', SDP_2, invite.cseq.number])
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  assert.equal(rig.callee(0).request().body, SDP_2, 'again with the answer')
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('when the answer of the caller never comes, the callee is acknowledged before its BYE', () => {
  const rig = new CallRig()
  rig.invite({})
  rig.callee(0).reply(rig.callee(0).request(), 200, { sdp: SDP })
  rig.clock.pass(32_000)
  assert.equal(statuses(rig.callee(0).texts()), 'ACK BYE')
  rig.assertOver()
})

test('hold and resume pass as re-INVITEs in either direction, each ACK on its own side (§14)', () => {
  const rig = new CallRig().connect()
  const pairs = [
    [rig.caller, rig.callee(0)],
    [rig.callee(0), rig.caller],
  ] as const
  for (const [from, to] of pairs) {
    const sequence = from.ask('INVITE', { sdp: SDP_2 })
    const invite = to.request()
    assert.deepEqual([invite.method, invite.body], ['INVITE', SDP_2])
    to.reply(invite, 180)
    to.reply(invite, 200, { sdp: SDP })
    assert.deepEqual(to.names(), ['ACK'])
    to.reply(invite, 200, { sdp: SDP })
    assert.deepEqual(to.names(), ['ACK'], 'a retransmitted 2xx gets the ACK again')
    assert.deepEqual(statuses(from.texts()), '100 200')
    from.ask('ACK', { sequence })
  }
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('a re-INVITE without a description takes its answer along with the ACK (§14.1)', () => {
  const rig = new CallRig().connect()
  const sequence = rig.caller.ask('INVITE')
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  assert.deepEqual(rig.callee(0).names(), [])
  rig.caller.ask('ACK', { sequence, sdp: SDP_2 })
  assert.equal(rig.callee(0).request().body, SDP_2)
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('a re-INVITE that is refused leaves the call as it was, with the reason passed on (§14.1)', () => {
  for (const [status, shown] of [
    [488, 488],
    [491, 491],
    [401, 488],
    [500, 500],
  ] as const) {
    const rig = new CallRig().connect()
    rig.caller.ask('INVITE', { sdp: SDP_2 })
    rig.callee(0).reply(rig.callee(0).request(), status, { headers: status === 500 ? 'Retry-After: 7\r\n' : '' })
    const refusal = parseResponse(rig.caller.texts().at(-1) ?? '')
    assert.equal(refusal.status, shown)
    assert.equal(refusal.header(HeaderId.retryAfter), status === 500 ? '7' : null)
    assert.equal(rig.call?.isConnected, true)
    rig.caller.ask('BYE')
    rig.assertOver()
  }
})

test('re-INVITEs of both sides that cross are both refused with 491 (§14.2)', () => {
  const rig = new CallRig().connect()
  rig.caller.ask('INVITE', { sdp: SDP_2 })
  rig.callee(0).ask('INVITE', { sdp: SDP_2 })
  const [invite, refused] = rig.callee(0).texts()
  assert.equal(nameOf(refused ?? ''), '491')
  rig.callee(0).reply(parseRequest(invite ?? ''), 491)
  assert.equal(statuses(rig.caller.texts()), '100 491')
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('a re-INVITE that the other side leaves pending is cancelled after a minute, and refused with 408', () => {
  const rig = new CallRig().connect()
  rig.caller.ask('INVITE', { sdp: SDP_2 })
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 180)
  rig.clock.pass(60_000)
  rig.callee(0).reply(rig.callee(0).request(), 200)
  rig.callee(0).reply(invite, 487)
  assert.equal(nameOf(rig.caller.texts().at(-1) ?? ''), '408')
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('a BYE while a re-INVITE is pending: 487 for the re-INVITE, and what answers it late is acknowledged (§15.1.2, RFC 5407 §3.2.2)', () => {
  const rig = new CallRig().connect()
  rig.caller.ask('INVITE', { sdp: SDP_2 })
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 100)
  rig.caller.ask('BYE')
  assert.equal(statuses(rig.caller.texts()), '100 200 487')
  assert.equal(statuses(rig.callee(0).texts()), 'CANCEL BYE')
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  assert.deepEqual(rig.callee(0).names(), ['ACK'])
  rig.assertOver()
})

test('a 422 to a re-INVITE on its way is met by asking again (RFC 4028 §7.3)', () => {
  const rig = new CallRig().connect()
  rig.caller.ask('INVITE', { sdp: SDP_2 })
  rig.callee(0).reply(rig.callee(0).request(), 422, { headers: 'Min-SE: 3600\r\n' })
  const again = rig.callee(0).texts().map(parseRequest).at(-1)
  assert.deepEqual([again?.method, again?.header(HeaderId.minSe), again?.body], ['INVITE', '3600', SDP_2])
  rig.callee(0).reply(again ?? unreachable('again'), 200, { sdp: SDP })
  assert.equal(statuses(rig.caller.texts()), '100 200')
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('an UPDATE with an offer passes to a side that allows it, and becomes a re-INVITE for one that does not (RFC 3311 §5.1)', () => {
  for (const allows of [true, false]) {
    const rig = new CallRig().connect({ callee: { headers: allows ? 'Allow: INVITE, UPDATE\r\n' : '' } })
    rig.caller.ask('UPDATE', { sdp: SDP_2 })
    const passed = rig.callee(0).request()
    assert.deepEqual([passed.method, passed.body], [allows ? 'UPDATE' : 'INVITE', SDP_2])
    rig.callee(0).reply(passed, 200, { sdp: SDP })
    assert.deepEqual(rig.callee(0).names(), allows ? [] : ['ACK'])
    const okay = rig.caller.response()
    assert.deepEqual([okay.status, okay.cseq.method, okay.body], [200, 'UPDATE', SDP])
    rig.caller.ask('BYE')
    rig.assertOver()
  }
})

test('an UPDATE without an offer is the affair of one side', () => {
  const rig = new CallRig().connect()
  rig.caller.ask('UPDATE')
  assert.deepEqual([rig.caller.names(), rig.callee(0).names()], [['200'], []])
  rig.caller.ask('BYE')
  rig.assertOver()
})

// ── Reliable provisional responses ───────────────────────────────────────────────────────────────────────────────

const RELIABLE = 'Supported: 100rel\r\n'

function reliable(rseq: number): { headers: string } {
  return { headers: `Require: 100rel\r\nRSeq: ${rseq}\r\nAllow: INVITE, UPDATE\r\n` }
}

test('a reliable response passes reliably, and the PRACK of the caller goes to the callee (RFC 3262 §3, §4)', () => {
  const rig = new CallRig()
  rig.invite({ sdp: SDP, headers: RELIABLE })
  const invite = rig.callee(0).request()
  assert.ok(invite.hasOption(HeaderId.supported, '100rel'))
  rig.callee(0).reply(invite, 183, { sdp: SDP_2, ...reliable(700) })
  rig.callee(0).reply(invite, 183, { sdp: SDP_2, ...reliable(700) })
  rig.callee(0).reply(invite, 180, reliable(702))
  const texts = rig.caller.texts()
  assert.equal(statuses(texts), '100 183', 'retransmissions and gaps are not passed')
  const progress = parseResponse(texts[1] ?? '')
  const rseq = progress.header(HeaderId.rseq)
  assert.notEqual(rseq, '700')
  rig.caller.joined(progress)
  rig.caller.ask('PRACK', { headers: `RAck: ${rseq} 1 INVITE\r\n` })
  const prack = rig.callee(0).request()
  assert.deepEqual([prack.method, prack.header(HeaderId.rack)], ['PRACK', `700 ${invite.cseq.number} INVITE`])
  rig.callee(0).reply(prack, 200)
  assert.deepEqual(rig.caller.names(), ['200'])
  rig.callee(0).reply(invite, 200)
  assert.deepEqual(rig.finals(), [200])
  rig.callee(0).ask('BYE')
  rig.assertOver()
})

test('an offer that a reliable response made is not made again by the 2xx: the callee gets its ACK at once (RFC 6337 §2.2)', () => {
  const rig = new CallRig()
  rig.invite({ headers: RELIABLE })
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 183, { sdp: SDP, ...reliable(5) })
  const progress = parseResponse(rig.caller.texts().at(-1) ?? '')
  rig.caller.joined(progress)
  rig.caller.ask('PRACK', { headers: `RAck: ${progress.header(HeaderId.rseq)} 1 INVITE\r\n`, sdp: SDP_2 })
  const prack = rig.callee(0).request()
  assert.equal(prack.body, SDP_2)
  rig.callee(0).reply(prack, 200)
  rig.caller.texts()
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  assert.deepEqual(rig.callee(0).names(), ['ACK'])
  rig.caller.texts()
  rig.caller.ask('ACK', { sequence: 1 })
  rig.callee(0).ask('BYE')
  rig.assertOver()
})

test('in an early dialog with its exchange complete, UPDATE passes in either direction (RFC 3311 §5.1)', () => {
  const rig = new CallRig()
  rig.invite({ sdp: SDP, headers: `${RELIABLE}Allow: INVITE, UPDATE\r\n` })
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 183, { sdp: SDP_2, ...reliable(1) })
  const progress = parseResponse(rig.caller.texts().at(-1) ?? '')
  rig.caller.joined(progress)
  rig.caller.ask('PRACK', { headers: `RAck: ${progress.header(HeaderId.rseq)} 1 INVITE\r\n` })
  rig.callee(0).reply(rig.callee(0).request(), 200)
  rig.caller.texts()
  for (const [from, to] of [
    [rig.caller, rig.callee(0)],
    [rig.callee(0), rig.caller],
  ] as const) {
    from.ask('UPDATE', { sdp: SDP_2 })
    const update = to.request()
    assert.equal(update.method, 'UPDATE')
    to.reply(update, 200, { sdp: SDP })
    assert.equal(from.response().status, 200)
  }
  rig.cancel()
  rig.ackRefusal()
  rig.assertOver()
})

test('a caller without 100rel gets the response as it is, and the PRACK is ours (RFC 3262 §4)', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 183, { sdp: SDP, ...reliable(9) })
  const prack = rig.callee(0).request()
  assert.deepEqual([prack.method, prack.header(HeaderId.rack)], ['PRACK', `9 ${invite.cseq.number} INVITE`])
  rig.callee(0).reply(prack, 200)
  const progress = parseResponse(rig.caller.texts().at(-1) ?? '')
  assert.equal(progress.has(HeaderId.rseq), false)
  rig.cancel()
  rig.ackRefusal()
  rig.assertOver()
})

test('a reliable response in a dialog that its callee has ended disturbs nothing', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 180)
  rig.callee(0).ask('BYE')
  rig.callee(0).reply(invite, 183, { sdp: SDP, ...reliable(9) })
  assert.deepEqual(rig.faults, [])
  rig.callee(0).reply(invite, 486)
  assert.deepEqual(rig.finals(), [486])
  rig.ackRefusal()
  rig.assertOver()
})

test('a caller that requires 100rel gets reliable responses of a callee without it; the PRACKs are ours to answer (RFC 3262 §3)', () => {
  const rig = new CallRig()
  rig.invite({ sdp: SDP, headers: 'Require: 100rel\r\n' })
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 180)
  rig.callee(0).reply(invite, 183, { sdp: SDP_2 })
  for (const status of [180, 183]) {
    const progress = parseResponse(rig.caller.texts().at(-1) ?? '')
    assert.deepEqual([progress.status, progress.hasOption(HeaderId.require, '100rel')], [status, true])
    rig.caller.joined(progress)
    rig.caller.ask('PRACK', { headers: `RAck: ${progress.header(HeaderId.rseq)} 1 INVITE\r\n` })
  }
  assert.deepEqual(rig.callee(0).names(), [])
  rig.callee(0).reply(invite, 200, { sdp: SDP_2 })
  assert.deepEqual(rig.finals(), [200])
  rig.callee(0).ask('BYE')
  rig.assertOver()
})

test('more reliable responses than the caller acknowledges: those beyond the bound are acknowledged by us', () => {
  const rig = new CallRig()
  rig.invite({ sdp: SDP, headers: RELIABLE })
  const invite = rig.callee(0).request()
  for (let rseq = 1; rseq <= 10; rseq += 1) rig.callee(0).reply(invite, 180, reliable(rseq))
  const pracks = rig.callee(0).texts().map(parseRequest)
  assert.deepEqual(
    pracks.map((prack) => prack.header(HeaderId.rack)),
    ['9 1 INVITE', '10 1 INVITE'],
  )
  rig.cancel()
  rig.ackRefusal()
  rig.assertOver()
})

test('a BYE of the callee that overtakes its 2xx: it is acknowledged, ended, and the caller told (RFC 5407 §3.1.3)', () => {
  const rig = new CallRig()
  rig.invite()
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 180)
  rig.callee(0).ask('BYE')
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  assert.equal(statuses(rig.callee(0).texts()), '200 ACK BYE')
  assert.deepEqual(rig.finals(), [480])
  rig.ackRefusal()
  rig.assertOver()
  assert.deepEqual([rig.recordTypes(), rig.last.releaseCode], ['ATTEMPT', 'CALLEE_HUNG_UP'])
})

test('no PRACK for 64·T1: the INVITE is refused with 5xx and the callee let go (RFC 3262 §3)', () => {
  const rig = new CallRig()
  rig.invite({ sdp: SDP, headers: RELIABLE })
  rig.callee(0).reply(rig.callee(0).request(), 183, { sdp: SDP_2, ...reliable(1) })
  rig.clock.pass(32_000)
  assert.deepEqual(rig.finals(), [504])
  assert.equal(rig.callee(0).names().at(-1), 'CANCEL')
  rig.ackRefusal()
  rig.assertOver()
  assert.equal(rig.last.releaseCode, 'SESSION_NO_PRACK')
})

for (const [how, shown] of [
  ['the caller cancels', 487],
  ['the callee hangs up', 480],
  ['the PRACK never comes', 504],
] as const) {
  test(`while the 2xx waits for a PRACK ${how}: the caller gets ${shown}, and everything is let go (RFC 3262 §3)`, () => {
    const rig = new CallRig()
    rig.invite({ sdp: SDP, headers: RELIABLE })
    const invite = rig.callee(0).request()
    rig.callee(0).reply(invite, 183, { sdp: SDP_2, ...reliable(1) })
    rig.callee(0).reply(invite, 200, { sdp: SDP_2 })
    assert.deepEqual(rig.finals(), [])
    if (shown === 487) rig.cancel()
    else if (shown === 480) rig.callee(0).ask('BYE')
    else rig.clock.pass(32_000)
    assert.deepEqual(rig.finals(), [shown])
    rig.ackRefusal()
    rig.assertOver()
    assert.deepEqual([rig.recordTypes(), rig.last.sipStatus], ['START STOP', shown])
  })
}

test('a 481 to a PRACK that came late does not end the call', () => {
  const rig = new CallRig()
  rig.invite({ sdp: SDP, headers: RELIABLE })
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 180, reliable(1))
  const ringing = parseResponse(rig.caller.texts().at(-1) ?? '')
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  rig.caller.joined(parseResponse(rig.caller.texts().at(-1) ?? ''))
  rig.caller.ask('PRACK', { headers: `RAck: ${ringing.header(HeaderId.rseq)} 1 INVITE\r\n` })
  const prack = rig
    .callee(0)
    .texts()
    .map(parseRequest)
    .find(({ method }) => method === 'PRACK')
  rig.callee(0).reply(prack ?? unreachable('prack'), 481)
  assert.equal(rig.call?.isConnected, true)
  rig.caller.ask('ACK', { sequence: 1 })
  rig.caller.ask('BYE')
  rig.assertOver()
})

// ── Other requests ───────────────────────────────────────────────────────────────────────────────────────────────

test('INFO and MESSAGE pass with their content, and their responses come back', () => {
  const rig = new CallRig().connect()
  for (const method of ['INFO', 'MESSAGE']) {
    const sequence = rig.callee(0).ask(method, { headers: 'Info-Package: x\r\nX-Secret: 192.0.2.11\r\n' })
    const passed = rig.caller.request()
    assert.deepEqual(
      [passed.method, passed.header(HeaderId.infoPackage), passed.extension('X-Secret')],
      [method, 'x', []],
    )
    rig.caller.reply(passed, 200)
    const okay = rig.callee(0).response()
    assert.deepEqual([okay.status, okay.cseq.number], [200, sequence])
  }
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('a request in the dialog that is answered 481 or 408 ends the call on both sides; no 408 goes to a non-INVITE (RFC 5057 §5.1, RFC 4320 §4.2)', () => {
  for (const status of [481, 408, 0]) {
    const rig = new CallRig().connect()
    rig.caller.ask('INFO')
    const info = rig.callee(0).request()
    if (status > 0) rig.callee(0).reply(info, status)
    else rig.clock.pass(32_000)
    const names = rig.caller.names()
    assert.deepEqual(names, status === 481 ? ['481', 'BYE'] : ['BYE'])
    rig.assertOver()
    assert.equal(rig.last.releaseCode, 'SESSION_GONE')
  }
})

test('REFER and SUBSCRIBE are refused, other methods are not allowed (RFC 3515 §2.4.2, §8.2.1)', () => {
  const rig = new CallRig().connect()
  for (const method of ['REFER', 'SUBSCRIBE', 'NOTIFY', 'PUBLISH']) rig.caller.ask(method)
  const texts = rig.caller.texts()
  assert.equal(statuses(texts), '603 489 405 405')
  assert.ok(parseResponse(texts[3] ?? '').hasOption(HeaderId.allow, 'bye'))
  assert.deepEqual(rig.callee(0).names(), [])
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('requests between the sides of one call are bounded', () => {
  const rig = new CallRig().connect()
  for (let i = 0; i < 20; i += 1) rig.caller.ask('INFO')
  assert.equal(rig.callee(0).texts().length, 16)
  assert.equal(statuses(rig.caller.texts()), '503 503 503 503')
  rig.caller.ask('BYE')
  rig.assertOver()
})

test('privacy: an anonymous caller is shown to nobody, its identity to trunks only (RFC 3323 §4.1, RFC 3325 §7)', () => {
  for (const trunks of [false, true]) {
    const caller = {
      user: '1001',
      displayName: 'Alice',
      assertedName: 'Alice',
      asserted: true,
      restricted: true,
      number: '1001',
    }
    const rig = new CallRig({ facts: { caller }, trunks })
    rig.invite()
    const invite = rig.callee(0).request()
    assert.equal(invite.from.uri.host, 'anonymous.invalid')
    assert.equal(invite.header(HeaderId.privacy), 'id')
    assert.equal(invite.has(HeaderId.pAssertedIdentity), trunks)
    rig.callee(0).reply(invite, 486)
    rig.ackRefusal()
    rig.assertOver()
  }
})

/** The rest of a media session whose passing is what a test looks at. */
const IDLE_MEDIA = {
  serve: () => {},
  choose: () => {},
  last: () => null,
  image: () => null,
  move: () => false,
} as const satisfies Partial<MediaSession>

// ── Faults ───────────────────────────────────────────────────────────────────────────────────────────────────────

test('a broken invariant in one call ends that call alone, with 500 or BYE, and a record that says so (DESIGN §4)', () => {
  let passed = 0
  const broken: MediaSession = {
    pass: ({ body }, sink) => {
      passed += 1
      if (passed > 1) unreachable('broken')
      sink(body)
    },
    ...IDLE_MEDIA,
    release: (onFacts) => onFacts?.(null),
  }
  const rig = new CallRig({ media: { open: () => broken, resume: () => broken, serves: true } })
  rig.invite()
  rig.callee(0).reply(rig.callee(0).request(), 183, { sdp: SDP })
  assert.deepEqual(rig.finals(), [500])
  assert.deepEqual(rig.callee(0).names(), ['CANCEL'])
  rig.ackRefusal()
  rig.assertOver()
  assert.deepEqual([rig.last.releaseCode, rig.last.type], ['INTERNAL', 'ATTEMPT'])

  let count = 0
  const later: MediaSession = {
    pass: ({ body }, sink) => {
      count += 1
      if (count > 2) unreachable('broken')
      sink(body)
    },
    ...IDLE_MEDIA,
    release: (onFacts) => onFacts?.(null),
  }
  const up = new CallRig({ media: { open: () => later, resume: () => later, serves: true } }).connect()
  up.caller.ask('INVITE', { sdp: SDP_2 })
  assert.deepEqual(up.callee(0).names(), ['BYE'])
  assert.equal(statuses(up.caller.texts()), '100 BYE 487')
  up.assertOver()
  assert.deepEqual([up.last.releaseCode, up.last.sipStatus], ['INTERNAL', 200])
})

test('the offer goes through the media port before any INVITE is sent, and a CANCEL meanwhile ends the call', () => {
  let give: ((body: string) => void) | null = null
  const slow: MediaSession = {
    pass: (_description, sink) => {
      give = sink
    },
    ...IDLE_MEDIA,
    release: (onFacts) => onFacts?.(null),
  }
  const rig = new CallRig({ media: { open: () => slow, resume: () => slow, serves: true } })
  rig.invite({ sdp: SDP })
  assert.equal(rig.callee(0).texts().length, 0)
  present<(body: string) => void>(give, 'the offer was passed')(SDP_2)
  assert.equal(rig.callee(0).request().body, SDP_2)

  const impatient = new CallRig({ media: { open: () => slow, resume: () => slow, serves: true } })
  impatient.invite({ sdp: SDP })
  impatient.cancel()
  assert.deepEqual(impatient.finals(), [487])
  present<(body: string) => void>(give, 'the offer was passed')(SDP_2)
  assert.equal(impatient.callee(0).texts().length, 0)
})

test('a call that has ended is no longer kept, also while its record waits for the facts of the media', () => {
  let tell: ((media: null) => void) | null = null
  const slow: MediaSession = {
    pass: (description, sink) => sink(description.body),
    ...IDLE_MEDIA,
    release: (onFacts) => {
      tell = onFacts
    },
  }
  const rig = new CallRig({ media: { open: () => slow, resume: () => slow, serves: true } }).connect()
  assert.equal(rig.kept.size, 1)
  rig.caller.ask('BYE')
  assert.equal(rig.kept.size, 0)
  present<(media: null) => void>(tell, 'the facts were asked for')(null)
  assert.equal(rig.last.type, 'STOP')
})

test('a caller behind address translation is reached where it came from (RFC 3581, RFC 5626 §5.3)', () => {
  const rig = new CallRig()
  rig.invite({ sdp: SDP, contact: '<sip:alice@10.0.0.7:5060>' })
  const invite = rig.callee(0).request()
  rig.callee(0).reply(invite, 200, { sdp: SDP })
  rig.caller.joined(parseResponse(rig.caller.texts().at(-1) ?? ''))
  rig.caller.ask('ACK', { sequence: 1 })
  rig.callee(0).ask('BYE')
  const bye = rig.caller.request()
  assert.equal(bye.uriText, 'sip:alice@10.0.0.7:5060', `sent to ${CALLER_HOST}`)
  rig.caller.reply(bye, 200)
  rig.assertOver()
})
