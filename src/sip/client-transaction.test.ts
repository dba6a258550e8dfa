import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakePorts } from '#sip/_fake-ports.ts'
import { LogFlow, parseRequest, parseResponse, responseText, Timeline } from '#sip/_rig.test.ts'
import type { ClientTransaction, ClientTransactionLayer, ClientTransactionUser } from '#sip/client-transaction.ts'
import type { TransportName } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import { InviteClientTransaction } from '#sip/invite-client-transaction.ts'
import type { Response } from '#sip/message.ts'
import { NonInviteClientTransaction } from '#sip/non-invite-client-transaction.ts'
import { OutgoingRequest } from '#sip/outgoing-request.ts'

class Rig implements ClientTransactionLayer, ClientTransactionUser {
  readonly clock = fakePorts().clock
  readonly timeline = new Timeline(this.clock)
  readonly flow: LogFlow
  ended = 0

  constructor(transport: TransportName = 'udp') {
    this.flow = new LogFlow(this.timeline, transport)
  }

  onClientTerminated(_transaction: ClientTransaction): void {
    this.ended += 1
    this.timeline.note('terminated')
  }

  onRequestSent(): void {}

  onResponse(_transaction: ClientTransaction, response: Response): void {
    this.timeline.note(`up ${response.status}`)
  }

  onTimeout(): void {
    this.timeline.note('timeout')
  }

  onTransportError(_transaction: ClientTransaction, reason: string): void {
    this.timeline.note(`transport ${reason}`)
  }

  invite(): InviteClientTransaction {
    const transaction = new InviteClientTransaction(this, this, outgoing('INVITE'), this.flow, 'z9hG4bKours')
    transaction.start()
    return transaction
  }

  other(): NonInviteClientTransaction {
    const transaction = new NonInviteClientTransaction(this, this, outgoing('OPTIONS'), this.flow, 'z9hG4bKours')
    transaction.start()
    return transaction
  }
}

function outgoing(method: string): OutgoingRequest {
  return new OutgoingRequest({
    method,
    uriText: 'sip:bob@192.0.2.9',
    from: '<sip:alice@example.net>;tag=ours',
    to: '<sip:bob@example.net>',
    callId: 'ours-1',
    sequence: 7,
    routes: 'Route: <sip:proxy.example.net;lr>\r\n',
    contactUser: 'u',
  })
}

function response(rig: Rig, status: number, toTag = 'remote'): Response {
  return parseResponse(responseText(parseRequest(rig.timeline.texts[0] ?? ''), status, { toTag }))
}

test('an INVITE is retransmitted on timer A, doubling without bound, until timer B (§17.1.1.2)', () => {
  const rig = new Rig()
  rig.invite()
  rig.clock.pass(100_000)
  assert.deepEqual(rig.timeline.entries, [
    '0 INVITE',
    '500 INVITE',
    '1500 INVITE',
    '3500 INVITE',
    '7500 INVITE',
    '15500 INVITE',
    '31500 INVITE',
    '32000 terminated',
    '32000 timeout',
  ])
})

test('over a reliable transport an INVITE is not retransmitted; timer B still runs (§17.1.1.2)', () => {
  const rig = new Rig('tcp')
  rig.invite()
  rig.clock.pass(100_000)
  assert.deepEqual(rig.timeline.entries, ['0 INVITE', '32000 terminated', '32000 timeout'])
  assert.equal(rig.flow.watchers.size, 0)
})

test('a provisional response ends the retransmissions and the wait; the user bounds it (§17.1.1.2)', () => {
  const rig = new Rig()
  const transaction = rig.invite()
  rig.clock.pass(600)
  transaction.receive(response(rig, 100))
  transaction.receive(response(rig, 180))
  rig.clock.pass(600_000)
  assert.deepEqual(rig.timeline.entries, ['0 INVITE', '500 INVITE', '600 up 100', '600 up 180'])
  assert.equal(rig.clock.armed, 0)
})

test('each final response other than 2xx is acknowledged, until timer D (§17.1.1.2)', () => {
  const rig = new Rig()
  const transaction = rig.invite()
  transaction.receive(response(rig, 486))
  rig.clock.pass(10_000)
  transaction.receive(response(rig, 486))
  transaction.receive(response(rig, 180))
  transaction.receive(response(rig, 200))
  rig.clock.pass(100_000)
  assert.deepEqual(rig.timeline.entries, ['0 INVITE', '0 ACK', '0 up 486', '10000 ACK', '32000 terminated'])
  const reliable = new Rig('tcp')
  const over = reliable.invite()
  over.receive(response(reliable, 486))
  reliable.clock.pass(0)
  assert.deepEqual(reliable.timeline.entries, ['0 INVITE', '0 ACK', '0 up 486', '0 terminated'])
})

test('the ACK of a refusal has the Request-URI, Via, From, Call-ID, CSeq number and Route of the INVITE, and the To of the response (§17.1.1.3)', () => {
  const rig = new Rig()
  rig.invite().receive(response(rig, 486, 'theirs'))
  const invite = parseRequest(rig.timeline.texts[0] ?? '')
  const ack = parseRequest(rig.timeline.texts[1] ?? '')
  assert.equal(ack.uriText, invite.uriText)
  for (const id of [HeaderId.via, HeaderId.from, HeaderId.callId, HeaderId.route, HeaderId.maxForwards]) {
    assert.deepEqual(ack.headers(id), invite.headers(id))
  }
  assert.equal(ack.to.tag, 'theirs')
  assert.deepEqual(ack.cseq, { number: 7, method: 'ACK' })
  assert.equal(ack.hasBody, false)
})

test('every 2xx goes up until timer M, and what else comes is dropped (RFC 6026 §7.2)', () => {
  for (const transport of ['udp', 'tcp'] as const) {
    const rig = new Rig(transport)
    const transaction = rig.invite()
    transaction.receive(response(rig, 200))
    rig.clock.pass(31_000)
    transaction.receive(response(rig, 200, 'fork'))
    transaction.receive(response(rig, 486))
    transaction.receive(response(rig, 180))
    rig.clock.pass(1_000)
    transaction.receive(response(rig, 200))
    assert.deepEqual(rig.timeline.entries, ['0 INVITE', '0 up 200', '31000 up 200', '32000 terminated'])
  }
})

test('a connection that breaks before the final response is a transport error, once (§17.1.4)', () => {
  for (const heard of [false, true]) {
    const rig = new Rig('tcp')
    const transaction = rig.invite()
    if (heard) transaction.receive(response(rig, 180))
    rig.flow.break('ECONNRESET')
    rig.clock.pass(100_000)
    assert.deepEqual(rig.timeline.entries.slice(heard ? 2 : 1), ['0 terminated', '0 transport ECONNRESET'])
  }
  const answered = new Rig('tcp')
  answered.invite().receive(response(answered, 200))
  answered.flow.break()
  assert.deepEqual(answered.timeline.entries, ['0 INVITE', '0 up 200'])
})

test('the CANCEL has the Request-URI, topmost Via, To, From, Call-ID, CSeq number and Route of its INVITE (§9.1)', () => {
  const rig = new Rig()
  const transaction = rig.invite()
  transaction.receive(response(rig, 180))
  const invite = parseRequest(rig.timeline.texts[0] ?? '')
  const cancel = parseRequest(transaction.cancelText('Reason: SIP;cause=200\r\n'))
  assert.equal(cancel.uriText, invite.uriText)
  for (const id of [HeaderId.via, HeaderId.from, HeaderId.to, HeaderId.callId, HeaderId.route]) {
    assert.deepEqual(cancel.headers(id), invite.headers(id))
  }
  assert.deepEqual(cancel.cseq, { number: 7, method: 'CANCEL' })
  assert.equal(cancel.header(HeaderId.reason), 'SIP;cause=200')
  assert.equal(cancel.has(HeaderId.require), false, '§9.1: no Require')
})

test('another request is retransmitted on timer E, doubling to T2, until timer F (§17.1.2.2)', () => {
  const rig = new Rig()
  rig.other()
  rig.clock.pass(100_000)
  const at = [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]
  assert.deepEqual(rig.timeline.entries, [...at.map((ms) => `${ms} OPTIONS`), '32000 terminated', '32000 timeout'])
})

test('after a provisional response timer E runs at T2 and timer F goes on (§17.1.2.2)', () => {
  const rig = new Rig()
  const transaction = rig.other()
  rig.clock.pass(100)
  transaction.receive(response(rig, 100))
  rig.clock.pass(100_000)
  const at = [0, 500, 4500, 8500, 12500, 16500, 20500, 24500, 28500]
  const sent = rig.timeline.entries.filter((entry) => entry.endsWith('OPTIONS'))
  assert.deepEqual(
    sent,
    at.map((ms) => `${ms} OPTIONS`),
  )
  assert.deepEqual(rig.timeline.entries.slice(-2), ['32000 terminated', '32000 timeout'])
})

test('retransmitted final responses are absorbed until timer K (§17.1.2.2)', () => {
  const rig = new Rig()
  const transaction = rig.other()
  transaction.receive(response(rig, 200))
  rig.clock.pass(4_000)
  transaction.receive(response(rig, 200))
  rig.clock.pass(100_000)
  assert.deepEqual(rig.timeline.entries, ['0 OPTIONS', '0 up 200', '5000 terminated'])
  const reliable = new Rig('tcp')
  reliable.other().receive(response(reliable, 404))
  reliable.clock.pass(0)
  assert.deepEqual(reliable.timeline.entries, ['0 OPTIONS', '0 up 404', '0 terminated'])
  assert.equal(reliable.flow.watchers.size, 0)
})

type Step = number | 'time' | 'long' | 'break' | 'abandon'
const STEPS: readonly Step[] = [100, 180, 200, 202, 302, 404, 486, 503, 603, 'time', 'long', 'break', 'abandon']

for (const kind of ['invite', 'other'] as const) {
  test(`whatever comes in whatever order, a client transaction (${kind}) ends, tells its user one outcome and leaves nothing armed`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom<TransportName>('udp', 'tcp'),
        fc.array(fc.constantFrom(...STEPS), { maxLength: 30, size: 'max' }),
        (transport, steps) => {
          const rig = new Rig(transport)
          const transaction = rig[kind]()
          let abandoned = false
          for (const step of steps) {
            if (step === 'time') rig.clock.pass(700)
            else if (step === 'long') rig.clock.pass(33_000)
            else if (step === 'break') rig.flow.break()
            else if (step === 'abandon') {
              abandoned = true
              transaction.abandon()
            } else transaction.receive(response(rig, step))
          }
          rig.clock.pass(70_000)
          if (transaction.state === 'proceeding') transaction.receive(response(rig, 487))
          rig.clock.pass(70_000)
          assert.equal(transaction.state, 'terminated')
          assert.equal(rig.ended, 1)
          assert.equal(rig.clock.armed, 0)
          assert.equal(rig.flow.watchers.size, 0)
          const outcomes = rig.timeline.entries.filter((entry) => /timeout|transport|up [3-6]/.test(entry)).length
          const answers = rig.timeline.entries.filter((entry) => /up 2/.test(entry)).length
          assert.ok(outcomes <= 1)
          if (!abandoned) assert.equal(outcomes + Math.min(answers, 1), 1)
          if (kind === 'other') assert.ok(answers <= 1)
        },
      ),
    )
  })
}
