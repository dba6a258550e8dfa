import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakePorts } from '#sip/_fake-ports.ts'
import { LogFlow, parseResponse, type RequestParts, request, Timeline } from '#sip/_rig.test.ts'
import type { Flow, TransportName } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import { InviteServerTransaction } from '#sip/invite-server-transaction.ts'
import type { Request } from '#sip/message.ts'
import { NonInviteServerTransaction } from '#sip/non-invite-server-transaction.ts'
import type { ServerTransaction, ServerTransactionLayer } from '#sip/server-transaction.ts'

class Rig implements ServerTransactionLayer {
  readonly clock = fakePorts().clock
  readonly timeline = new Timeline(this.clock)
  readonly flow: LogFlow
  readonly counted: number[] = []
  ended = 0
  replacement: Flow | null = null

  constructor(transport: TransportName = 'udp') {
    this.flow = new LogFlow(this.timeline, transport)
  }

  flowForResponse(_request: Request, flow: Flow): Flow {
    return this.replacement ?? flow
  }

  statelessTag(): string {
    return 'stateless'
  }

  onServerTerminated(_transaction: ServerTransaction): void {
    this.ended += 1
    this.timeline.note('terminated')
  }

  onResponseSent(_method: string, status: number): void {
    this.counted.push(status)
  }

  invite(parts: RequestParts = {}): InviteServerTransaction {
    const transaction = new InviteServerTransaction(this, 'key', '', request('INVITE', parts), this.flow, 'ours')
    transaction.user = {
      onCancel: () => this.timeline.note('cancel'),
      onNoAck: () => this.timeline.note('noAck'),
    }
    return transaction
  }

  other(method = 'OPTIONS'): NonInviteServerTransaction {
    return new NonInviteServerTransaction(this, 'key', '', request(method), this.flow, 'ours')
  }
}

const HALF_MINUTE = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]

test('a final response other than 2xx is retransmitted on timer G, doubling to T2, until timer H (§17.2.1)', () => {
  const rig = new Rig()
  const transaction = rig.invite()
  transaction.respond(486)
  rig.clock.pass(100_000)
  assert.deepEqual(rig.timeline.entries, [
    '0 486',
    ...HALF_MINUTE.map((at) => `${at} 486`),
    '32000 terminated',
    '32000 noAck',
  ])
  assert.equal(rig.clock.armed, 0)
})

test('over a reliable transport timer G is not started, and timer H still runs (§17.2.1)', () => {
  const rig = new Rig('tcp')
  rig.invite().respond(486)
  rig.clock.pass(100_000)
  assert.deepEqual(rig.timeline.entries, ['0 486', '32000 terminated', '32000 noAck'])
})

test('the ACK ends the retransmissions and is absorbed again until timer I (§17.2.1)', () => {
  const rig = new Rig()
  const transaction = rig.invite()
  transaction.respond(404)
  rig.clock.pass(700)
  transaction.receive(request('ACK'))
  transaction.receive(request('ACK'))
  transaction.receive(request('INVITE'))
  rig.clock.pass(100_000)
  assert.deepEqual(rig.timeline.entries, ['0 404', '500 404', '5700 terminated'])
  const reliable = new Rig('tcp')
  const over = reliable.invite()
  over.respond(404)
  over.receive(request('ACK'))
  reliable.clock.pass(0)
  assert.deepEqual(reliable.timeline.entries, ['0 404', '0 terminated'])
})

test('a retransmitted INVITE gets the last provisional response, and the final response once there is one (§17.2.1)', () => {
  const rig = new Rig()
  const transaction = rig.invite()
  transaction.receive(request('INVITE'))
  transaction.respond(100)
  transaction.receive(request('INVITE'))
  transaction.respond(180)
  transaction.receive(request('INVITE'))
  transaction.respond(486)
  transaction.receive(request('INVITE'))
  assert.deepEqual(rig.timeline.take(), ['0 100', '0 100', '0 180', '0 180', '0 486', '0 486'])
})

test('after a 2xx a retransmitted INVITE is absorbed without an answer until timer L (RFC 6026 §7.1)', () => {
  for (const transport of ['udp', 'tcp'] as const) {
    const rig = new Rig(transport)
    const transaction = rig.invite()
    const text = transaction.respond(200)
    transaction.receive(request('INVITE'))
    rig.clock.pass(500)
    transaction.resend2xx(text)
    rig.clock.pass(100_000)
    transaction.resend2xx(text)
    assert.deepEqual(rig.timeline.entries, ['0 200', '500 200', '32000 terminated'])
  }
})

test('a provisional response does not go out after a final one: that is a fault of ours', () => {
  const rig = new Rig()
  const transaction = rig.invite()
  transaction.respond(486)
  assert.throws(() => transaction.respond(180))
  assert.throws(() => transaction.respond(200))
})

test('a request other than INVITE is answered once, and its retransmissions until timer J (§17.2.2)', () => {
  const rig = new Rig()
  const transaction = rig.other()
  transaction.receive(request('OPTIONS')) // Trying: discarded.
  transaction.respond(200)
  rig.clock.pass(31_999)
  transaction.receive(request('OPTIONS'))
  rig.clock.pass(1)
  transaction.receive(request('OPTIONS'))
  assert.deepEqual(rig.timeline.entries, ['0 200', '31999 200', '32000 terminated'])
  const reliable = new Rig('tcp')
  reliable.other().respond(200)
  reliable.clock.pass(0)
  assert.deepEqual(reliable.timeline.entries, ['0 200', '0 terminated'])
})

test('a 100 to a request other than INVITE is repeated to its retransmissions (§17.2.2, RFC 4320 §4.1)', () => {
  const rig = new Rig()
  const transaction = rig.other()
  transaction.respond(100)
  transaction.receive(request('OPTIONS'))
  transaction.respond(200)
  assert.deepEqual(rig.timeline.entries, ['0 100', '0 100', '0 200'])
})

test('no provisional response but 100 goes to a request other than INVITE (RFC 4320 §4.1)', () => {
  const rig = new Rig()
  assert.throws(() => rig.other().respond(180))
})

test('an abandoned request is let go without an answer (RFC 4320 §4.2)', () => {
  const rig = new Rig()
  const transaction = rig.other('INFO')
  transaction.abandon()
  transaction.abandon()
  rig.clock.pass(100_000)
  assert.deepEqual(rig.timeline.entries, ['0 terminated'])
})

test('a refused request other than INVITE leaves nothing behind, and a copy of it gets the same tag (§8.2.7, §26.3.2.4)', () => {
  const rig = new Rig()
  const transaction = rig.other('REGISTER')
  transaction.refuse(401)
  assert.deepEqual(rig.timeline.entries, ['0 401', '0 terminated'])
  assert.match(rig.timeline.texts.at(-1) ?? '', /\r\nTo: [^\r]*;tag=stateless\r\n/)
  assert.equal(rig.ended, 1)
})

test('when the connection of a request has closed its response takes another one (§18.2.2)', () => {
  const rig = new Rig('tcp')
  const transaction = rig.invite()
  transaction.respond(180)
  rig.flow.closed = true
  const timeline = new Timeline(rig.clock)
  rig.replacement = new LogFlow(timeline, 'tcp')
  transaction.respond(486)
  assert.deepEqual(rig.timeline.entries, ['0 180'])
  assert.deepEqual(timeline.entries, ['0 486'])
})

test('retransmissions are not counted as responses', () => {
  const rig = new Rig()
  const transaction = rig.invite()
  transaction.respond(180)
  transaction.receive(request('INVITE'))
  transaction.respond(486)
  rig.clock.pass(100_000)
  assert.deepEqual(rig.counted, [180, 486])
})

test('a response has the Via of its request, From, Call-ID, CSeq, and a To tag of ours (§8.2.6.2)', () => {
  const rig = new Rig()
  const transaction = rig.invite({
    headers: 'Via: SIP/2.0/UDP further.example.net;branch=z9hG4bKb\r\nTimestamp: 54\r\n',
  })
  transaction.respond(100)
  const trying = parseResponse(rig.timeline.texts[0] ?? '')
  assert.equal(trying.to.tag, null)
  assert.equal(trying.header(HeaderId.timestamp), '54', '§8.2.6.1')
  transaction.respond(180, undefined, 'Subject: x\r\n')
  const ringing = parseResponse(rig.timeline.texts[1] ?? '')
  assert.deepEqual(ringing.headers(HeaderId.via), [
    'SIP/2.0/UDP 192.0.2.9;rport=5060;branch=z9hG4bKpeer1;received=192.0.2.9',
    'SIP/2.0/UDP further.example.net;branch=z9hG4bKb',
  ])
  assert.deepEqual([ringing.from.tag, ringing.to.tag, ringing.callId], ['peer', 'ours', 'call-1'])
  assert.deepEqual(ringing.cseq, { number: 1, method: 'INVITE' })
  assert.equal(ringing.header(HeaderId.subject), 'x')
  assert.equal(ringing.has(HeaderId.timestamp), false)
})

type Step = 'invite' | 'ack' | 'cancelled' | 'time' | 'long' | 100 | 183 | 200 | 302 | 486 | 603 | 'abandon'
const STEPS: readonly Step[] = ['invite', 'ack', 'time', 'long', 100, 183, 200, 302, 486, 603, 'abandon']

test('whatever comes in whatever order, an INVITE server transaction ends and leaves nothing armed', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<TransportName>('udp', 'tcp'),
      fc.array(fc.constantFrom(...STEPS), { maxLength: 30, size: 'max' }),
      (transport, steps) => {
        const rig = new Rig(transport)
        const transaction = rig.invite()
        for (const step of steps) {
          if (step === 'invite') transaction.receive(request('INVITE'))
          else if (step === 'ack') transaction.receive(request('ACK'))
          else if (step === 'time') rig.clock.pass(700)
          else if (step === 'long') rig.clock.pass(33_000)
          else if (step === 'abandon') transaction.abandon()
          else if (typeof step === 'number' && !transaction.isAnswered) transaction.respond(step)
        }
        if (!transaction.isAnswered) transaction.respond(500)
        rig.clock.pass(70_000)
        assert.equal(transaction.state, 'terminated')
        assert.equal(rig.ended, 1)
        assert.equal(rig.clock.armed, 0)
      },
    ),
  )
})

test('whatever comes in whatever order, a non-INVITE server transaction ends and leaves nothing armed', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<TransportName>('udp', 'tcp'),
      fc.array(fc.constantFrom<Step>('invite', 'time', 'long', 100, 200, 486, 'abandon'), {
        maxLength: 30,
        size: 'max',
      }),
      (transport, steps) => {
        const rig = new Rig(transport)
        const transaction = rig.other()
        for (const step of steps) {
          if (step === 'invite') transaction.receive(request('OPTIONS'))
          else if (step === 'time') rig.clock.pass(700)
          else if (step === 'long') rig.clock.pass(33_000)
          else if (step === 'abandon') transaction.abandon()
          else if (typeof step === 'number' && !transaction.isAnswered) transaction.respond(step)
        }
        if (!transaction.isAnswered) transaction.respond(500)
        rig.clock.pass(70_000)
        assert.equal(transaction.state, 'terminated')
        assert.equal(rig.ended, 1)
        assert.equal(rig.clock.armed, 0)
      },
    ),
  )
})
