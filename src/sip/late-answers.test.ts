import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRequest, parseResponse, type ResponseParts, request, responseText, StackRig } from '#sip/_rig.test.ts'
import { HeaderId } from '#sip/header-id.ts'

function end(rig: StackRig, parts: ResponseParts = {}, status = 200): void {
  const invite = request('INVITE', { from: '<sip:alice@example.net>;tag=ours', callId: 'ours-1', sequence: 3 })
  const flow = rig.layer.transport.flowTo({
    transport: 'udp',
    endpoint: { host: '192.0.2.9', port: 5060, family: 4 },
    serverName: null,
  })
  assert.ok(flow !== null)
  rig.stack.lateAnswers.end(parseResponse(responseText(invite, status, parts)), flow)
}

test('a 2xx that nobody waits for is acknowledged and ended by what it says itself (§13.2.2.4)', () => {
  const rig = new StackRig()
  end(rig, { toTag: 'theirs', contact: '<sip:far@192.0.2.9:5090>' })
  const [ack, bye] = rig.sent().map(parseRequest)
  assert.deepEqual([ack?.method, ack?.cseq.number, ack?.uriText], ['ACK', 3, 'sip:far@192.0.2.9:5090'])
  assert.deepEqual([bye?.method, bye?.from.tag, bye?.to.tag, bye?.callId], ['BYE', 'ours', 'theirs', 'ours-1'])
  assert.ok((bye?.cseq.number ?? 0) > 3, 'beyond what the early dialog may have had')
  if (bye !== undefined) rig.receive(responseText(bye, 481))
  rig.clock.pass(40_000)
  rig.assertIdle()
})

test('its ACK and BYE take the route that it recorded (§12.1.2)', () => {
  const rig = new StackRig()
  end(rig, { headers: 'Record-Route: <sip:192.0.2.20;lr>\r\n' })
  const [ack, bye] = rig.sent().map(parseRequest)
  assert.equal(ack?.header(HeaderId.route), '<sip:192.0.2.20;lr>')
  assert.equal(bye?.header(HeaderId.route), '<sip:192.0.2.20;lr>')
})

test('a response without a To tag makes no dialog that could be ended', () => {
  const rig = new StackRig()
  end(rig, { toTag: null })
  assert.deepEqual(rig.names(), [])
})
