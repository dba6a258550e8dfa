import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { unreachable } from '#core/assert.ts'
import { counted, endpoint } from '#sip/_fake-ports.ts'
import { parseRequest, parseResponse, requestText, responseText, StackRig } from '#sip/_rig.test.ts'
import type { Flow } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import { InviteClientTransaction } from '#sip/invite-client-transaction.ts'
import { InviteServerTransaction } from '#sip/invite-server-transaction.ts'
import { OutgoingRequest } from '#sip/outgoing-request.ts'

const FAR = endpoint('192.0.2.9', 5060)

function flow(rig: StackRig): Flow {
  const out = rig.layer.transport.flowTo({ transport: 'udp', endpoint: FAR, serverName: null })
  assert.ok(out !== null)
  return out
}

function outgoing(method: string): OutgoingRequest {
  return new OutgoingRequest({
    method,
    uriText: 'sip:bob@192.0.2.9',
    from: '<sip:alice@example.net>;tag=ours',
    to: '<sip:bob@example.net>',
    callId: 'ours-1',
    sequence: 1,
    contactUser: 'u',
  })
}

test('a retransmission is matched by branch, sent-by and method, and does not go up again (§17.2.3)', () => {
  const rig = new StackRig()
  rig.answer = (transaction) => transaction.respond(180)
  const text = requestText('INVITE')
  rig.receive(text)
  rig.receive(text)
  assert.equal(rig.requests.length, 1)
  assert.deepEqual(rig.names(), ['180', '180'])
  rig.receive(
    requestText('INVITE', { via: 'SIP/2.0/UDP other.example.net;rport;branch=z9hG4bKpeer1', callId: 'call-2' }),
  )
  assert.equal(rig.requests.length, 2, 'the same branch of another sent-by is another transaction')
})

test('the same INVITE over another path is answered 482 (§8.2.2.2)', () => {
  const rig = new StackRig()
  rig.receive(requestText('INVITE', { branch: 'z9hG4bKone' }))
  rig.receive(requestText('INVITE', { branch: 'z9hG4bKtwo' }))
  assert.equal(rig.requests.length, 1)
  assert.deepEqual(rig.names(), ['482'])
  // A request within a dialog is never merged, and neither is one with another CSeq.
  rig.receive(requestText('INVITE', { branch: 'z9hG4bKthree', to: '<sip:bob@example.net>;tag=x' }))
  rig.receive(requestText('INVITE', { branch: 'z9hG4bKfour', sequence: 2 }))
  assert.equal(rig.requests.length, 3)
})

test('when the first transaction has ended the same request is new again', () => {
  const rig = new StackRig()
  rig.answer = (transaction) => transaction.respond(200)
  rig.receive(requestText('OPTIONS', { branch: 'z9hG4bKone' }))
  rig.clock.pass(33_000)
  rig.receive(requestText('OPTIONS', { branch: 'z9hG4bKtwo' }))
  assert.deepEqual(rig.names(), ['200', '200'])
  rig.clock.pass(33_000)
  rig.assertIdle()
})

test('an ACK without a transaction goes up, and one for a refusal does not (§17.1.1.3, §17.2.1)', () => {
  const rig = new StackRig()
  rig.answer = (transaction) => transaction.respond(486)
  rig.receive(requestText('INVITE'))
  rig.receive(requestText('ACK', { to: '<sip:bob@example.net>;tag=x' }))
  assert.equal(rig.acks.length, 0)
  rig.receive(requestText('ACK', { branch: 'z9hG4bKack', to: '<sip:bob@example.net>;tag=x' }))
  assert.equal(rig.acks.length, 1)
})

test('an ACK for a 2xx goes up also when its client gives it the branch of the INVITE (RFC 6026 §7.1)', () => {
  const rig = new StackRig()
  rig.answer = (transaction) => transaction.respond(200)
  rig.receive(requestText('INVITE'))
  rig.receive(requestText('ACK', { to: '<sip:bob@example.net>;tag=x' }))
  assert.equal(rig.acks.length, 1)
})

test('an RFC 2543 client without the cookie is matched by its fields (§17.2.3)', () => {
  const rig = new StackRig()
  const via = 'SIP/2.0/UDP 192.0.2.9:5060'
  rig.receive(requestText('INVITE', { via }))
  rig.receive(requestText('INVITE', { via }))
  assert.equal(rig.requests.length, 1)
  rig.requests[0]?.respond(486)
  rig.receive(requestText('ACK', { via, to: '<sip:bob@example.net>;tag=theirs' }))
  assert.equal(rig.acks.length, 0)
  rig.clock.pass(5_000)
  assert.equal(rig.layer.audit().serverTransactions, 0, 'confirmed, and over after timer I')
  rig.receive(requestText('INVITE', { via, sequence: 2 }))
  assert.equal(rig.requests.length, 2)
})

test('a CANCEL is answered 200 with the To tag of the INVITE, and told once to who answers it (§9.2)', () => {
  const rig = new StackRig()
  const cancels: string[] = []
  rig.answer = (transaction) => {
    assert.ok(transaction instanceof InviteServerTransaction)
    transaction.user = {
      onCancel: (_invite, cancel) => {
        cancels.push(cancel.header(HeaderId.reason) ?? '')
        transaction.respond(487)
      },
      onNoAck: () => {},
    }
    transaction.respond(180)
  }
  rig.receive(requestText('INVITE'))
  const ringing = parseResponse(rig.only())
  const cancel = requestText('CANCEL', { headers: 'Reason: SIP;cause=200\r\n', contact: null })
  rig.receive(cancel)
  const [okay, terminated] = rig.sent().map(parseResponse)
  assert.deepEqual([okay?.status, okay?.cseq.method, terminated?.status], [200, 'CANCEL', 487])
  assert.equal(okay?.to.tag, ringing.to.tag)
  rig.receive(cancel)
  assert.deepEqual(rig.names(), ['200'])
  assert.deepEqual(cancels, ['SIP;cause=200'])
  rig.receive(requestText('ACK', { to: ringing.to.text }))
  rig.clock.pass(40_000)
  rig.assertIdle()
})

test('a CANCEL after the final response has no effect and is answered 200; one without its INVITE 481 (§9.2)', () => {
  const rig = new StackRig()
  rig.answer = (transaction) => transaction.respond(200)
  rig.receive(requestText('INVITE'))
  rig.receive(requestText('CANCEL', { contact: null }))
  rig.receive(requestText('CANCEL', { contact: null, branch: 'z9hG4bKnothing' }))
  assert.deepEqual(rig.names(), ['200', '200', '481'])
  rig.clock.pass(40_000)
  rig.assertIdle()
})

test('a response is matched by branch and CSeq method; others are counted and dropped (§17.1.3)', () => {
  const rig = new StackRig()
  const statuses: number[] = []
  const user = {
    onResponse: (_t: unknown, response: { status: number }) => statuses.push(response.status),
    onTimeout: () => {},
    onTransportError: () => {},
  }
  rig.layer.sendRequest(outgoing('OPTIONS'), flow(rig), user)
  const sent = rig.onlyRequest()
  const stray = responseText(sent, 200)
  rig.receive(stray.replace('1 OPTIONS', '1 INVITE'))
  rig.receive(stray.replace(sent.topmostVia.branch, 'z9hG4bKother'))
  rig.receive(stray.replace('1 OPTIONS', '1 CANCEL'))
  assert.deepEqual(statuses, [])
  assert.equal(counted(rig.ports, 'carillon_sip_unmatched_responses_total'), 3)
  rig.receive(stray)
  rig.receive(stray)
  assert.deepEqual(statuses, [200])
  rig.clock.pass(6_000)
  rig.assertIdle()
})

test('a CANCEL of ours is a transaction of its own beside its INVITE, once (§9.1)', () => {
  const rig = new StackRig()
  const statuses: number[] = []
  const user = {
    onResponse: (_t: unknown, response: { status: number }) => statuses.push(response.status),
    onTimeout: () => {},
    onTransportError: () => {},
  }
  const invite = rig.layer.sendRequest(outgoing('INVITE'), flow(rig), user)
  assert.ok(invite instanceof InviteClientTransaction)
  const sent = rig.onlyRequest()
  rig.receive(responseText(sent, 180))
  rig.layer.sendCancel(invite, '')
  rig.layer.sendCancel(invite, '')
  const cancel = rig.onlyRequest()
  assert.equal(cancel.topmostVia.branch, sent.topmostVia.branch)
  rig.clock.pass(500)
  assert.deepEqual(rig.names(), ['CANCEL'], 'timer E')
  rig.receive(responseText(cancel, 200))
  rig.clock.pass(5_000)
  assert.deepEqual(rig.names(), [])
  rig.receive(responseText(sent, 487))
  assert.deepEqual(rig.names(), ['ACK'])
  assert.deepEqual(statuses, [180, 487])
  rig.clock.pass(40_000)
  rig.assertIdle()
})

test('a request that goes out carries a branch of ours with the cookie and rport (§8.1.1.7, RFC 3581 §3)', () => {
  const rig = new StackRig()
  rig.layer.sendRequest(
    outgoing('OPTIONS'),
    flow(rig),
    { onResponse() {}, onTimeout() {}, onTransportError() {} },
    '.loop',
  )
  const { topmostVia } = rig.onlyRequest()
  assert.ok(topmostVia.hasCookie)
  assert.ok(topmostVia.branch.startsWith('z9hG4bK0') && topmostVia.branch.endsWith('.loop'))
  assert.equal(topmostVia.param('rport'), '')
  assert.equal(topmostVia.sentBy, '192.0.2.1:5060')
})

test('a fault in the event of one owner is its own affair, and one of nobody goes to the process', () => {
  const rig = new StackRig()
  const told: string[] = []
  rig.answer = (transaction) => {
    if (transaction.method === 'INVITE') rig.stack.faults.active = { onFault: () => told.push('call') }
    unreachable('broken')
  }
  rig.receive(requestText('INVITE'))
  assert.deepEqual([told.length, rig.faults.length], [1, 0])
  rig.receive(requestText('OPTIONS', { branch: 'z9hG4bKx', callId: 'x' }))
  assert.deepEqual([told.length, rig.faults.length], [1, 1], 'the owner of one event is not that of the next')
  assert.equal(rig.stack.faults.active, null)
})

test('after each event no owner is left to be blamed for the next one', () => {
  const rig = new StackRig()
  rig.answer = () => {
    rig.stack.faults.active = { onFault: () => assert.fail('not this one') }
  }
  rig.receive(requestText('INVITE'))
  assert.equal(rig.stack.faults.active, null)
})

test('whatever messages come in whatever order, every transaction ends and the tables are empty', () => {
  const methods = ['INVITE', 'ACK', 'CANCEL', 'OPTIONS', 'BYE'] as const
  const event = fc.record({
    method: fc.constantFrom(...methods),
    branch: fc.constantFrom('z9hG4bK1', 'z9hG4bK2', 'x'),
    tagged: fc.boolean(),
    status: fc.constantFrom(0, 100, 200, 404),
    ms: fc.constantFrom(0, 0, 700, 6_000),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40, size: 'max' }), (events) => {
      const rig = new StackRig()
      for (const { method, branch, tagged, status, ms } of events) {
        rig.answer = (transaction) => {
          if (status >= 200) transaction.respond(status)
          else if (status > 0) transaction.respond(100)
        }
        const to = tagged ? { to: '<sip:bob@example.net>;tag=t' } : {}
        rig.receive(requestText(method, { branch, ...to }))
        rig.clock.pass(ms)
      }
      for (const transaction of rig.requests) {
        const isOpen =
          transaction instanceof InviteServerTransaction
            ? !transaction.isAnswered
            : 'isAnswered' in transaction && transaction.isAnswered === false
        if (isOpen) transaction.respond(500)
      }
      rig.clock.pass(70_000)
      rig.assertIdle()
      for (const text of rig.sent()) parseResponse(text)
    }),
  )
})

test('every request that a stack sends is one that it would take itself', () => {
  const rig = new StackRig()
  for (const method of ['INVITE', 'OPTIONS', 'MESSAGE']) {
    rig.layer.sendRequest(outgoing(method), flow(rig), { onResponse() {}, onTimeout() {}, onTransportError() {} })
    const sent = parseRequest(rig.only())
    assert.equal(sent.method, method)
    assert.equal(sent.header(HeaderId.maxForwards), '70')
    assert.equal(sent.header(HeaderId.contentLength), '0')
  }
})
