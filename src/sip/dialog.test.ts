import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseResponse, request, responseText } from '#sip/_rig.test.ts'
import { Dialog, ROUTES_MAX } from '#sip/dialog.ts'
import type { Response } from '#sip/message.ts'
import { OutgoingRequest } from '#sip/outgoing-request.ts'

const OUTGOING = new OutgoingRequest({
  method: 'INVITE',
  uriText: 'sip:peer@192.0.2.9',
  from: '"Bob" <sip:bob@example.net>;tag=ours',
  to: '<sip:peer@example.net>',
  callId: 'call-1',
  sequence: 4,
})

function response(status: number, headers = '', contact: string | null = '<sip:peer@192.0.2.77:5070>'): Response {
  const invite = request('INVITE', { from: OUTGOING.from, to: OUTGOING.to, sequence: 4 })
  return parseResponse(responseText(invite, status, { headers, contact }))
}

const TWO = 'Record-Route: <sip:p2.example.net;lr>, <sip:p1.example.net;lr>;x=y\r\n'

test('a UAS takes the route set in order, the Contact as remote target and the CSeq of the request (§12.1.1)', () => {
  const dialog = Dialog.fromRequest(request('INVITE', { headers: TWO, sequence: 7 }), 'ours', 0)
  assert.deepEqual(dialog.routeSet, ['<sip:p2.example.net;lr>', '<sip:p1.example.net;lr>;x=y'])
  assert.equal(dialog.remoteTarget, 'sip:peer@192.0.2.9:5060')
  assert.deepEqual([dialog.callId, dialog.localTag, dialog.remoteTag], ['call-1', 'ours', 'peer'])
  assert.deepEqual([dialog.remoteSequence, dialog.localSequence, dialog.ownsCallId], [7, 0, false])
  const { from, to } = dialog.request('BYE', {})
  assert.deepEqual([from, to], ['<sip:bob@example.net>;tag=ours', '<sip:peer@example.net>;tag=peer'])
})

test('a UAC takes the route set in reverse order (§12.1.2)', () => {
  const dialog = Dialog.fromResponse(OUTGOING, 'ours', response(180, TWO))
  assert.deepEqual(dialog.routeSet, ['<sip:p1.example.net;lr>;x=y', '<sip:p2.example.net;lr>'])
  assert.equal(dialog.remoteTarget, 'sip:peer@192.0.2.77:5070')
  assert.deepEqual([dialog.state, dialog.remoteTag, dialog.remoteSequence], ['early', 'remote', -1])
  const bye = dialog.request('BYE', {})
  assert.deepEqual([bye.sequence, bye.from, bye.callId], [5, OUTGOING.from, 'call-1'])
  assert.equal(
    dialog.request('ACK', { sequence: 4 }).sequence,
    4,
    '§13.2.2.4: the ACK has the CSeq number of the INVITE',
  )
  assert.equal(dialog.request('INFO', {}).sequence, 6)
})

test('a request through loose routers keeps the remote target as Request-URI (§12.2.1.1)', () => {
  const dialog = Dialog.fromResponse(OUTGOING, 'ours', response(200, TWO))
  const bye = dialog.request('BYE', {})
  assert.equal(bye.uriText, 'sip:peer@192.0.2.77:5070')
  assert.equal(bye.routes, 'Route: <sip:p1.example.net;lr>;x=y\r\nRoute: <sip:p2.example.net;lr>\r\n')
  assert.equal(dialog.nextHop?.host, 'p1.example.net')
})

test('a strict router gets its own URI as Request-URI, and the remote target becomes the last Route (§12.2.1.1)', () => {
  const strict = 'Record-Route: <sip:p2.example.net;lr>, <sip:p1.example.net>\r\n'
  const dialog = Dialog.fromResponse(OUTGOING, 'ours', response(200, strict))
  const bye = dialog.request('BYE', {})
  assert.equal(bye.uriText, 'sip:p1.example.net')
  assert.equal(bye.routes, 'Route: <sip:p2.example.net;lr>\r\nRoute: <sip:peer@192.0.2.77:5070>\r\n')
  assert.equal(dialog.nextHop?.host, 'p1.example.net')
})

test('without a route set the remote target is the next hop (§8.1.2)', () => {
  const dialog = Dialog.fromResponse(OUTGOING, 'ours', response(200))
  assert.equal(dialog.request('BYE', {}).routes, '')
  assert.deepEqual([dialog.nextHop?.host, dialog.nextHop?.port], ['192.0.2.77', 5070])
})

test('the 2xx recomputes the route set of an early dialog, and later messages do not (§13.2.2.4, §12.2)', () => {
  const dialog = Dialog.fromResponse(OUTGOING, 'ours', response(180))
  dialog.confirm(response(200, TWO))
  assert.equal(dialog.routeSet.length, 2)
  dialog.confirm(response(200))
  assert.equal(dialog.routeSet.length, 2)
})

test('a message without a usable Contact leaves the remote target (§12.2.1.2)', () => {
  const dialog = Dialog.fromResponse(OUTGOING, 'ours', response(200))
  dialog.refreshTarget(response(200, '', null))
  dialog.refreshTarget(response(200, '', '<tel:+12025550100>'))
  assert.equal(dialog.remoteTarget, 'sip:peer@192.0.2.77:5070')
  dialog.refreshTarget(response(200, '', '<sip:new@192.0.2.78>;expires=3'))
  assert.equal(dialog.remoteTarget, 'sip:new@192.0.2.78')
  assert.equal(Dialog.fromResponse(OUTGOING, 'ours', response(200, '', null)).remoteTarget, OUTGOING.uriText)
})

test('a response without a To tag still makes a dialog: RFC 2543 peers have none (§12.1.2)', () => {
  const invite = request('INVITE', { from: OUTGOING.from, to: OUTGOING.to, sequence: 4 })
  const dialog = Dialog.fromResponse(OUTGOING, 'ours', parseResponse(responseText(invite, 200, { toTag: null })))
  assert.equal(dialog.remoteTag, '')
})

test('the first CSeq of the peer may be any, later ones count up (§12.2.2)', () => {
  const dialog = Dialog.fromResponse(OUTGOING, 'ours', response(200))
  assert.equal(dialog.acceptSequence(0), true)
  assert.equal(dialog.acceptSequence(9), true)
  assert.equal(dialog.acceptSequence(8), false)
  assert.equal(dialog.acceptSequence(10), true)
})

test('a dialog takes a bounded route set', () => {
  const many = `Record-Route: ${Array.from({ length: 40 }, (_, i) => `<sip:p${i}.example.net;lr>`).join(', ')}\r\n`
  assert.equal(Dialog.fromRequest(request('INVITE', { headers: many }), 'ours', 0).routeSet.length, ROUTES_MAX)
})

test('a dialog goes from early to confirmed to terminated, and never back', () => {
  const dialog = Dialog.fromResponse(OUTGOING, 'ours', response(180))
  dialog.enter('confirmed')
  assert.throws(() => dialog.enter('early'))
  dialog.enter('terminated')
  assert.throws(() => dialog.enter('confirmed'))
})
