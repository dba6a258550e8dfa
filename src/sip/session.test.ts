import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endpoint } from '#sip/_fake-ports.ts'
import {
  nameOf,
  parseRequest,
  parseResponse,
  type RequestParts,
  request,
  requestText,
  responseText,
  SDP,
  SDP_2,
  StackRig,
} from '#sip/_rig.test.ts'
import { Dialog } from '#sip/dialog.ts'
import { HeaderId } from '#sip/header-id.ts'
import { InviteServerTransaction } from '#sip/invite-server-transaction.ts'
import type { Request, Response } from '#sip/message.ts'
import { OutgoingRequest } from '#sip/outgoing-request.ts'
import type { ServerTransaction } from '#sip/server-transaction.ts'
import { Session, type SessionLoss, type SessionUser } from '#sip/session.ts'
import type { UserAgentClient } from '#sip/user-agent-client.ts'

const SETTINGS = { sessionExpiresS: 1_800, minSeS: 90 }
const OUR_TAG = 'ours'

/** One session with its peer played by the test, and what its owner is told. */
class Rig extends StackRig implements SessionUser {
  readonly told: string[] = []
  readonly table = new Set<Session>()
  readonly pending: ServerTransaction[] = []
  session!: Session
  invite: InviteServerTransaction | null = null
  #sequence = 100
  readonly #isUas: boolean

  constructor(role: 'uas' | 'uac', settings = SETTINGS, parts: RequestParts = { sdp: SDP }, seed = 1) {
    super(seed)
    this.#isUas = role === 'uas'
    this.onEachAck = (ack) => this.session.receiveAck(ack)
    const table = { add: (s: Session) => this.table.add(s), remove: (s: Session) => this.table.delete(s) }
    if (role === 'uas') {
      this.answer = (transaction) => {
        assert.ok(transaction instanceof InviteServerTransaction)
        this.invite = transaction
        const dialog = Dialog.fromRequest(transaction.request, OUR_TAG, 0)
        dialog.flow = transaction.flow
        this.session = new Session(this.stack, dialog, this, table, settings)
        this.session.attach(transaction)
      }
      this.receive(requestText('INVITE', parts))
    } else {
      const outgoing = new OutgoingRequest({
        method: 'INVITE',
        uriText: 'sip:peer@192.0.2.9:5060',
        from: `<sip:bob@example.net>;tag=${OUR_TAG}`,
        to: '<sip:peer@example.net>',
        callId: 'call-1',
        sequence: 1,
        contactUser: OUR_TAG,
      })
      const ok = this.#answerTo(outgoing, parts.headers ?? '')
      const dialog = Dialog.fromResponse(outgoing, OUR_TAG, ok)
      dialog.flow = this.layer.transport.flowTo({
        transport: 'udp',
        endpoint: endpoint('192.0.2.9', 5060),
        serverName: null,
      })
      this.session = new Session(this.stack, dialog, this, table, settings)
      this.session.confirmed(ok)
      this.session.noteSent(SDP)
      this.session.acknowledge(1, '', '')
      assert.deepEqual(this.names(), ['ACK'])
    }
    this.answer = (transaction) => this.session.receive(transaction)
  }

  /** Answers the INVITE and takes the ACK. */
  establish(headers = ''): this {
    const invite = this.invite
    assert.ok(invite !== null)
    this.session.accept(invite, 200, 'OK', headers, 'application/sdp', SDP)
    this.ack(1)
    this.sent()
    this.told.length = 0
    return this
  }

  ack(sequence: number, sdp = ''): void {
    this.receive(this.#text('ACK', { sequence, sdp, branch: `z9hG4bKack${sequence}` }))
  }

  /** A request of the peer within the dialog. */
  peer(method: string, parts: RequestParts = {}): void {
    this.#sequence += 1
    this.receive(this.#text(method, { sequence: this.#sequence, branch: `z9hG4bK${this.#sequence}`, ...parts }))
  }

  get lastSequence(): number {
    return this.#sequence
  }

  onSessionRequest(_session: Session, transaction: ServerTransaction): void {
    this.told.push(`request ${transaction.method}`)
    this.pending.push(transaction)
  }

  onSessionAck(_session: Session, ack: Request): void {
    this.told.push(ack.hasSdp ? 'ack with answer' : 'ack')
  }

  onSessionBye(): void {
    this.told.push('bye')
  }

  onSessionLost(session: Session, loss: SessionLoss): void {
    this.told.push(`lost ${loss}`)
    session.bye('')
  }

  onResponse(client: UserAgentClient, response: Response): void {
    if (response.status >= 200) this.session.concluded(client, response)
    this.told.push(`${client.request.method} ${response.status}`)
  }

  onNoResponse(client: UserAgentClient): void {
    this.session.concluded(client, null)
    this.told.push(`${client.request.method} nothing`)
  }

  override assertIdle(): void {
    super.assertIdle()
    assert.equal(this.table.size, 0)
  }

  /** Takes the last pending request of the peer. */
  take(): ServerTransaction {
    const transaction = this.pending.pop()
    assert.ok(transaction !== undefined)
    return transaction
  }

  takeInvite(): InviteServerTransaction {
    const transaction = this.take()
    assert.ok(transaction instanceof InviteServerTransaction)
    return transaction
  }

  #text(method: string, parts: RequestParts): string {
    const to = `<sip:bob@example.net>;tag=${OUR_TAG}`
    const tags = this.#isUas ? { to } : { to, from: '<sip:peer@example.net>;tag=remote' }
    return requestText(method, { ...tags, ...parts })
  }

  #answerTo(outgoing: OutgoingRequest, headers: string): Response {
    const sent = request('INVITE', { from: outgoing.from, to: outgoing.to })
    return parseResponse(responseText(sent, 200, { headers }))
  }
}

// ── 2xx and its ACK ──────────────────────────────────────────────────────────────────────────────────────────────

test('a 2xx is retransmitted, doubling to T2, until its ACK comes (§13.3.1.4)', () => {
  const rig = new Rig('uas')
  assert.ok(rig.invite !== null)
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  rig.clock.pass(8_000)
  assert.deepEqual(rig.names(), ['200', '200', '200', '200', '200'])
  rig.ack(1)
  rig.ack(1)
  assert.deepEqual(rig.told, ['ack'])
  rig.clock.pass(24_000)
  assert.deepEqual(rig.names(), [])
})

test('a 2xx that is never acknowledged loses the session after 64·T1, over a reliable transport too; the BYE follows (§13.3.1.4)', () => {
  const rig = new Rig('uas')
  assert.ok(rig.invite !== null)
  const startMs = rig.clock.nowMs
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  rig.clock.pass(31_999)
  assert.equal(rig.names().length, 11)
  assert.deepEqual(rig.told, [])
  rig.clock.pass(1)
  assert.equal(rig.clock.nowMs - startMs, 32_000)
  assert.deepEqual(rig.told, ['lost noAck'])
  assert.deepEqual(rig.names(), ['BYE'])
})

test('who has answered does not send a BYE before the ACK (§15)', () => {
  const rig = new Rig('uas')
  assert.ok(rig.invite !== null)
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  rig.session.bye('Reason: Q.850;cause=16\r\n')
  rig.clock.pass(600)
  assert.deepEqual(rig.names(), ['200', '200'])
  rig.ack(1)
  const bye = rig.onlyRequest()
  assert.equal(bye.method, 'BYE')
  assert.equal(bye.header(HeaderId.reason), 'Q.850;cause=16')
  rig.receive(responseText(bye, 200))
  assert.deepEqual(rig.told, [], 'the owner let it go')
  rig.clock.pass(40_000)
  rig.assertIdle()
})

test('a BYE that waits for an ACK goes out when there is none to come, and not when the peer hangs up itself (§15)', () => {
  for (const peerHangsUp of [false, true]) {
    const rig = new Rig('uas')
    assert.ok(rig.invite !== null)
    rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
    rig.session.bye('')
    rig.sent()
    if (peerHangsUp) {
      rig.peer('BYE')
      assert.deepEqual(rig.names(), ['200'])
      rig.clock.pass(40_000)
      assert.deepEqual(rig.names(), [])
    } else {
      rig.clock.pass(32_000)
      assert.deepEqual(rig.names().slice(-1), ['BYE'])
      rig.clock.pass(32_000)
    }
    rig.clock.pass(40_000)
    rig.assertIdle()
  }
})

test('a retransmitted 2xx gets the same ACK again (§13.2.2.4)', () => {
  const rig = new Rig('uac')
  const client = rig.session.send('INVITE', { contentType: 'application/sdp', body: SDP_2 }, rig)
  const invite = rig.onlyRequest()
  const ok = parseResponse(responseText(invite, 200, { sdp: SDP }))
  assert.equal(rig.session.acknowledgeAgain(ok), false)
  rig.session.concluded(client, ok)
  rig.session.acknowledge(invite.cseq.number, '', '')
  const ack = rig.only()
  assert.equal(rig.session.acknowledgeAgain(ok), true)
  assert.equal(rig.only(), ack)
  assert.equal(parseRequest(ack).cseq.number, invite.cseq.number)
  assert.notEqual(parseRequest(ack).topmostVia.branch, invite.topmostVia.branch, '§13.2.2.4: a transaction of its own')
})

test('an INVITE without a description is answered by an offer, and the ACK carries the answer (§13.2.1)', () => {
  const rig = new Rig('uas', SETTINGS, {})
  assert.ok(rig.invite !== null)
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  assert.equal(rig.session.offer, 'local')
  rig.ack(1, SDP_2)
  assert.equal(rig.session.offer, 'none')
  assert.deepEqual(rig.told, ['ack with answer'])
})

test('an ACK for another INVITE acknowledges nothing', () => {
  const rig = new Rig('uas')
  assert.ok(rig.invite !== null)
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  rig.ack(2)
  assert.deepEqual(rig.told, [])
})

// ── Reliable provisional responses ───────────────────────────────────────────────────────────────────────────────

function rack(rig: Rig, rseq: number, sequence = 1, sdp = ''): void {
  rig.peer('PRACK', { headers: `RAck: ${rseq} ${sequence} INVITE\r\n`, sdp })
}

function rseqOf(text: string): number {
  return Number(parseResponse(text).header(HeaderId.rseq))
}

test('reliable provisional responses count up by one, and each waits for the PRACK of the one before (RFC 3262 §3)', () => {
  const rig = new Rig('uas')
  rig.session.progress(183, 'Session Progress', '', SDP, true)
  rig.session.progress(180, 'Ringing', '', '', true)
  const first = rig.only()
  assert.ok(parseResponse(first).hasOption(HeaderId.require, '100rel'))
  const rseq = rseqOf(first)
  assert.ok(rseq >= 1 && rseq < 2 ** 31)
  rack(rig, rseq)
  rig.session.answer(rig.take(), 200, 'OK', '', '')
  const [second, prack] = rig.sent()
  assert.equal(rseqOf(second ?? ''), rseq + 1)
  assert.deepEqual([nameOf(second ?? ''), nameOf(prack ?? '')], ['180', '200'])
})

test('a reliable provisional response is retransmitted, doubling from T1, until its PRACK or 64·T1 (RFC 3262 §3)', () => {
  const rig = new Rig('uas')
  const startMs = rig.clock.nowMs
  const at: number[] = []
  rig.session.progress(180, 'Ringing', '', '', true)
  for (let ms = 0; ms <= 32_100; ms += 100) {
    for (const name of rig.names()) at.push(name === '180' ? rig.clock.nowMs - startMs : -1)
    rig.clock.pass(100)
  }
  assert.deepEqual(at, [0, 500, 1500, 3500, 7500, 15500, 31500])
  assert.deepEqual(rig.told, ['lost noPrack'])
})

test('a PRACK that matches nothing is answered 481 (RFC 3262 §3)', () => {
  const rig = new Rig('uas')
  rack(rig, 1)
  rig.session.progress(180, 'Ringing', '', '', true)
  const ringing = rig.sent().find((text) => nameOf(text) === '180') ?? ''
  rack(rig, rseqOf(ringing) + 1)
  rack(rig, rseqOf(ringing), 2)
  rig.peer('PRACK')
  assert.deepEqual(rig.names(), ['481', '481', '481'])
  rack(rig, rseqOf(ringing))
  assert.deepEqual(rig.told, ['request PRACK'])
  rack(rig, rseqOf(ringing))
  assert.deepEqual(rig.names(), ['481'], 'acknowledged already')
})

test('the 2xx waits while a reliable response with a description is not acknowledged (RFC 3262 §3)', () => {
  const rig = new Rig('uas')
  assert.ok(rig.invite !== null)
  rig.session.progress(183, 'Session Progress', '', SDP, true)
  const rseq = rseqOf(rig.only())
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  assert.equal(rig.session.progress(180, 'Ringing', '', '', false), false, 'nothing provisional after the answer')
  assert.deepEqual(rig.names(), [])
  rack(rig, rseq)
  assert.deepEqual(rig.names(), ['200'])
  assert.equal(rig.session.dialog.state, 'confirmed')
})

test('the 2xx does not wait for one without a description, whose PRACK is still answered after it (RFC 3262 §3)', () => {
  const rig = new Rig('uas')
  assert.ok(rig.invite !== null)
  rig.session.progress(180, 'Ringing', '', '', true)
  const rseq = rseqOf(rig.only())
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  assert.deepEqual(rig.names(), ['200'])
  rack(rig, rseq)
  assert.deepEqual(rig.told, ['request PRACK'])
  rig.session.answer(rig.take(), 200, 'OK', '', '')
  assert.deepEqual(rig.names(), ['200'])
  rig.ack(1)
  rig.clock.pass(40_000)
  assert.deepEqual(rig.names(), [], 'the 180 is not sent again')
})

test('no more reliable responses than a bound wait for their turn', () => {
  const rig = new Rig('uas')
  const taken = Array.from({ length: 12 }, () => rig.session.progress(180, 'Ringing', '', '', true))
  assert.equal(taken.filter(Boolean).length, 8)
})

test('the answer in a reliable response completes the exchange, so that UPDATE may offer anew (RFC 3262 §5, RFC 3311 §5.1)', () => {
  const rig = new Rig('uas')
  rig.peer('UPDATE', { sdp: SDP_2 })
  const [refused] = rig.sent()
  assert.equal(parseResponse(refused ?? '').status, 500, 'the offer of the INVITE is not answered yet')
  rig.session.progress(183, 'Session Progress', '', SDP, true)
  rack(rig, rseqOf(rig.only()))
  rig.session.answer(rig.take(), 200, 'OK', '', '')
  rig.peer('UPDATE', { sdp: SDP_2 })
  assert.deepEqual(rig.told, ['request PRACK', 'request UPDATE'])
})

test('a PRACK without a description leaves the offer of the INVITE unanswered (RFC 6337 §3.2)', () => {
  const rig = new Rig('uas')
  rig.session.progress(180, 'Ringing', '', '', true)
  rack(rig, rseqOf(rig.only()))
  rig.session.answer(rig.take(), 200, 'OK', '', '')
  assert.equal(rig.session.offer, 'remote')
})

// ── Glare ────────────────────────────────────────────────────────────────────────────────────────────────────────

type Pending =
  | 'nothing'
  | 'our INVITE'
  | 'our UPDATE'
  | 'our empty INVITE'
  | 'their INVITE'
  | 'their UPDATE'
  | 'their empty INVITE'
const GLARE: readonly (readonly [Pending, 'INVITE' | 'UPDATE' | 'empty INVITE' | 'empty UPDATE', number])[] = [
  // 0: it goes up. RFC 3261 §14.2, RFC 3311 §5.2.
  ['nothing', 'INVITE', 0],
  ['nothing', 'UPDATE', 0],
  ['nothing', 'empty UPDATE', 200],
  ['our INVITE', 'INVITE', 491],
  ['our INVITE', 'empty INVITE', 491],
  ['our INVITE', 'UPDATE', 491],
  ['our INVITE', 'empty UPDATE', 200],
  ['our empty INVITE', 'INVITE', 491],
  ['our UPDATE', 'INVITE', 491],
  ['our UPDATE', 'UPDATE', 491],
  ['our UPDATE', 'empty UPDATE', 200],
  ['their INVITE', 'INVITE', 500],
  ['their INVITE', 'empty INVITE', 500],
  ['their INVITE', 'UPDATE', 500],
  ['their INVITE', 'empty UPDATE', 200],
  ['their empty INVITE', 'INVITE', 500],
  ['their UPDATE', 'UPDATE', 500],
  ['their UPDATE', 'INVITE', 500],
]

for (const [pending, arrives, status] of GLARE) {
  test(`while ${pending} is pending, ${arrives === 'INVITE' ? 'an INVITE' : `an ${arrives}`} ${status === 0 ? 'goes up' : `is answered ${status}`} (§14.2, RFC 3311 §5.2)`, () => {
    const rig = new Rig('uas').establish()
    const offer = { contentType: 'application/sdp', body: SDP_2 }
    if (pending === 'our INVITE') rig.session.send('INVITE', offer, rig)
    else if (pending === 'our empty INVITE') rig.session.send('INVITE', {}, rig)
    else if (pending === 'our UPDATE') rig.session.send('UPDATE', offer, rig)
    else if (pending === 'their INVITE') rig.peer('INVITE', { sdp: SDP_2 })
    else if (pending === 'their empty INVITE') rig.peer('INVITE')
    else if (pending === 'their UPDATE') rig.peer('UPDATE', { sdp: SDP_2 })
    rig.sent()
    rig.told.length = 0
    rig.peer(arrives.replace('empty ', ''), arrives.startsWith('empty') ? {} : { sdp: SDP_2 })
    if (status === 0) {
      assert.deepEqual(rig.told, [`request ${arrives}`])
      return
    }
    assert.deepEqual(rig.told, [])
    const response = parseResponse(rig.only())
    assert.equal(response.status, status)
    if (status === 500) {
      const seconds = Number(response.header(HeaderId.retryAfter))
      assert.ok(seconds >= 0 && seconds <= 10, '§14.2: Retry-After between 0 and 10 seconds')
    }
  })
}

test('an INFO between them does not end an exchange that is pending', () => {
  const rig = new Rig('uas').establish()
  rig.session.send('INVITE', { contentType: 'application/sdp', body: SDP_2 }, rig)
  rig.session.send('INFO', {}, rig)
  const info = rig
    .sent()
    .map(parseRequest)
    .find((sent) => sent.method === 'INFO')
  assert.ok(info !== undefined)
  rig.receive(responseText(info, 200))
  assert.equal(rig.session.offer, 'local')
  rig.peer('INFO')
  rig.session.refuse(rig.take(), 500, undefined, '')
  assert.equal(rig.session.offer, 'local')
  const theirs = new Rig('uas').establish()
  theirs.peer('INVITE', { sdp: SDP_2 })
  theirs.peer('INFO')
  theirs.session.refuse(theirs.take(), 500, undefined, '')
  assert.equal(theirs.session.offer, 'remote')
  theirs.session.accept(theirs.takeInvite(), 200, 'OK', '', 'application/sdp', SDP)
  assert.equal(theirs.session.offer, 'none')
})

test('an INVITE that overtakes the ACK shows that the 2xx has arrived (RFC 5407 §3.1.4)', () => {
  const rig = new Rig('uas')
  assert.ok(rig.invite !== null)
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  rig.sent()
  rig.peer('INVITE', { sdp: SDP_2 })
  assert.deepEqual(rig.told, ['request INVITE'])
  rig.clock.pass(40_000)
  assert.deepEqual(rig.names(), ['100'])
})

test('an INVITE that overtakes the ACK with the answer to our offer is refused with 491 (RFC 5407 §3.1.5)', () => {
  const rig = new Rig('uas', SETTINGS, {})
  assert.ok(rig.invite !== null)
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  rig.sent()
  rig.peer('INVITE', { sdp: SDP_2 })
  assert.deepEqual(rig.names(), ['491'])
})

// ── Requests within the dialog ───────────────────────────────────────────────────────────────────────────────────

test('a request with a lower CSeq is answered 500, gaps are allowed (§12.2.2)', () => {
  const rig = new Rig('uas').establish()
  rig.peer('INFO', { sequence: 500 })
  rig.peer('INFO', { sequence: 499 })
  assert.deepEqual(rig.names(), ['500'])
  rig.peer('INFO', { sequence: 501 })
  assert.deepEqual(rig.told, ['request INFO', 'request INFO'])
})

test('OPTIONS within the dialog is answered with what the session takes (§11.2)', () => {
  const rig = new Rig('uas').establish()
  rig.peer('OPTIONS')
  const okay = parseResponse(rig.only())
  assert.equal(okay.status, 200)
  assert.ok(okay.hasOption(HeaderId.allow, 'update'))
})

test('a BYE ends the session at once; what comes after it is answered 481 (§15.1.2)', () => {
  const rig = new Rig('uas').establish()
  rig.peer('BYE')
  rig.peer('INFO')
  assert.deepEqual(rig.names(), ['200', '481'])
  assert.deepEqual(rig.told, ['bye'])
  assert.equal(rig.table.size, 0)
  rig.clock.pass(40_000)
  rig.assertIdle()
})

test('crossing BYEs are both answered 200 (RFC 5407 §3.2.1)', () => {
  const rig = new Rig('uas').establish()
  rig.session.bye('')
  const bye = rig.onlyRequest()
  rig.peer('BYE')
  assert.deepEqual(rig.names(), ['200'])
  assert.deepEqual(rig.told, [])
  rig.receive(responseText(bye, 200))
  assert.equal(rig.table.size, 0)
  rig.clock.pass(40_000)
  rig.assertIdle()
})

test('after our BYE a re-INVITE or UPDATE is answered 481 (RFC 5407 §3.2.2)', () => {
  const rig = new Rig('uas').establish()
  rig.session.bye('')
  rig.sent()
  rig.peer('INVITE', { sdp: SDP_2 })
  rig.peer('UPDATE', { sdp: SDP_2 })
  assert.deepEqual(rig.names(), ['481', '481'])
})

test('a BYE that is never answered ends the session all the same (§15.1.1)', () => {
  const rig = new Rig('uas').establish()
  rig.session.bye('')
  rig.clock.pass(70_000)
  rig.assertIdle()
})

test('a re-INVITE or UPDATE refreshes the remote target, and so does its 2xx (§12.2.1.2, §12.2.2, RFC 3311 §5.2)', () => {
  const rig = new Rig('uas').establish()
  rig.peer('UPDATE', { contact: '<sip:peer@192.0.2.9:5099>' })
  assert.equal(rig.session.dialog.remoteTarget, 'sip:peer@192.0.2.9:5099')
  rig.sent()
  rig.session.send('INVITE', { contentType: 'application/sdp', body: SDP_2 }, rig)
  const invite = rig.onlyRequest()
  assert.equal(invite.uriText, 'sip:peer@192.0.2.9:5099')
  rig.receive(responseText(invite, 200, { contact: '<sip:other@192.0.2.9>', sdp: SDP }))
  assert.equal(rig.session.dialog.remoteTarget, 'sip:other@192.0.2.9')
  rig.peer('INFO', { contact: '<sip:third@192.0.2.9>' })
  assert.equal(rig.session.dialog.remoteTarget, 'sip:other@192.0.2.9', 'INFO refreshes no target')
})

// ── Session timer ────────────────────────────────────────────────────────────────────────────────────────────────

const SHORT = { sessionExpiresS: 600, minSeS: 90 }
const TIMER = 'Supported: timer\r\n'

test('a UAC that supports timers refreshes; without a refresh the session is lost before it expires (RFC 4028 §9, §10)', () => {
  const rig = new Rig('uas', SHORT, { sdp: SDP, headers: `${TIMER}Session-Expires: 600\r\n` })
  assert.ok(rig.invite !== null)
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  const okay = parseResponse(rig.only())
  assert.equal(okay.header(HeaderId.sessionExpires), '600;refresher=uac')
  assert.ok(okay.hasOption(HeaderId.require, 'timer'))
  rig.ack(1)
  rig.clock.pass(567_000)
  assert.deepEqual(rig.told, ['ack'])
  rig.clock.pass(1_000)
  assert.deepEqual(rig.told, ['ack', 'lost expired'])
})

test('a refresh by UPDATE or re-INVITE starts the interval anew (RFC 4028 §7.4, §9)', () => {
  for (const method of ['UPDATE', 'INVITE']) {
    const headers = `${TIMER}Session-Expires: 600;refresher=uac\r\n`
    const rig = new Rig('uas', SHORT, { sdp: SDP, headers }).establish()
    rig.clock.pass(400_000)
    rig.peer(method, { headers, sdp: method === 'INVITE' ? SDP : '' })
    if (method === 'INVITE') {
      rig.session.accept(rig.takeInvite(), 200, 'OK', '', 'application/sdp', SDP)
      rig.ack(rig.lastSequence)
    }
    const okay = parseResponse(rig.sent().at(-1) ?? '')
    assert.equal(okay.header(HeaderId.sessionExpires), '600;refresher=uac')
    rig.told.length = 0
    rig.clock.pass(400_000)
    assert.deepEqual(rig.told, [])
    rig.clock.pass(200_000)
    assert.deepEqual(rig.told, ['lost expired'])
  }
})

test('a UAC without timers is refreshed by us at half the interval (RFC 4028 §9 Table 2)', () => {
  const rig = new Rig('uas', SHORT)
  assert.ok(rig.invite !== null)
  rig.session.accept(rig.invite, 200, 'OK', '', 'application/sdp', SDP)
  const okay = parseResponse(rig.only())
  assert.equal(okay.header(HeaderId.sessionExpires), '600;refresher=uas')
  assert.equal(okay.hasOption(HeaderId.require, 'timer'), false)
  rig.ack(1)
  rig.clock.pass(300_000)
  const refresh = rig.onlyRequest()
  assert.equal(refresh.method, 'INVITE', 'a peer that does not allow UPDATE is refreshed by re-INVITE')
  assert.equal(refresh.body, SDP, 'with the description that it has')
  assert.equal(refresh.header(HeaderId.sessionExpires), '600;refresher=uac')
  rig.receive(responseText(refresh, 200, { sdp: SDP_2 }))
  assert.deepEqual(rig.names(), ['ACK'])
  rig.receive(responseText(refresh, 200, { sdp: SDP_2 }))
  assert.deepEqual(rig.names(), ['ACK'])
  rig.clock.pass(300_000)
  assert.deepEqual(rig.names().slice(0, 1), ['INVITE'])
})

test('a peer that allows UPDATE is refreshed by it, without a description (RFC 4028 §7.4)', () => {
  const rig = new Rig('uac', SHORT, { headers: 'Allow: INVITE, UPDATE\r\nSession-Expires: 600;refresher=uac\r\n' })
  rig.clock.pass(300_000)
  const refresh = rig.onlyRequest()
  assert.deepEqual([refresh.method, refresh.hasBody], ['UPDATE', false])
  rig.receive(responseText(refresh, 200, { headers: 'Session-Expires: 600;refresher=uac\r\n' }))
  rig.clock.pass(300_000)
  assert.deepEqual(rig.names(), ['UPDATE'])
})

test('when the 2xx names the UAS as refresher we wait for it (RFC 4028 §7.2)', () => {
  const rig = new Rig('uac', SHORT, { headers: 'Session-Expires: 300;refresher=uas\r\n' })
  rig.clock.pass(267_000)
  assert.deepEqual([rig.names(), rig.told], [[], []])
  rig.clock.pass(2_000)
  assert.deepEqual(rig.told, ['lost expired'])
})

test('a refresh that is answered 481 or 408, or not at all, ends the session (RFC 4028 §10, RFC 5057 §5.1)', () => {
  for (const status of [481, 408, 0]) {
    for (const update of [true, false]) {
      const allow = update ? 'Allow: UPDATE\r\n' : ''
      const rig = new Rig('uac', SHORT, { headers: `${allow}Session-Expires: 600;refresher=uac\r\n` })
      rig.clock.pass(300_000)
      const refresh = rig.onlyRequest()
      if (status > 0) rig.receive(responseText(refresh, status))
      else rig.clock.pass(32_000)
      assert.deepEqual(rig.told, ['lost gone'])
      rig.clock.pass(70_000)
      rig.assertIdle()
    }
  }
})

test('a refresh that is refused with another error is tried again until the session expires (RFC 4028 §10)', () => {
  const rig = new Rig('uac', SHORT, { headers: 'Allow: UPDATE\r\nSession-Expires: 600;refresher=uac\r\n' })
  rig.clock.pass(300_000)
  for (let i = 0; rig.told.length === 0 && i < 200; i += 1) {
    for (const text of rig.sent()) rig.receive(responseText(parseRequest(text), 500))
    rig.clock.pass(4_000)
  }
  assert.deepEqual(rig.told, ['lost expired'])
  assert.ok(rig.clock.nowMs > 560_000 && rig.clock.nowMs < 600_000)
})

test('a refresh by re-INVITE that only gets provisional responses is taken back and does not hold the session for ever', () => {
  const rig = new Rig('uac', SHORT, { headers: 'Session-Expires: 600;refresher=uac\r\n' })
  rig.clock.pass(300_000)
  rig.receive(responseText(rig.onlyRequest(), 100))
  rig.clock.pass(32_000)
  assert.deepEqual(rig.names(), ['CANCEL'])
  rig.clock.pass(70_000)
  assert.deepEqual(rig.told, ['lost gone'])
  rig.clock.pass(70_000)
  rig.assertIdle()
})

test('a BYE takes back a refresh that is still pending (§9.1)', () => {
  const rig = new Rig('uac', SHORT, { headers: 'Session-Expires: 600;refresher=uac\r\n' })
  rig.clock.pass(300_000)
  const refresh = rig.onlyRequest()
  rig.receive(responseText(refresh, 100))
  rig.session.bye('')
  assert.deepEqual(rig.names(), ['CANCEL', 'BYE'])
  rig.receive(responseText(refresh, 200, { sdp: SDP }))
  assert.deepEqual(rig.names(), ['ACK'], 'a 2xx that crosses it is acknowledged')
  rig.clock.pass(70_000)
  rig.assertIdle()
})

test('while a refresh by re-INVITE is pending an offer of the peer is refused with 491 (§14.2, RFC 3311 §5.2)', () => {
  const rig = new Rig('uac', SHORT, { headers: 'Session-Expires: 600;refresher=uac\r\n' })
  rig.clock.pass(300_000)
  const refresh = rig.onlyRequest()
  rig.peer('INVITE', { sdp: SDP_2 })
  rig.peer('UPDATE', { sdp: SDP_2 })
  assert.deepEqual(rig.names(), ['491', '491'])
  rig.receive(responseText(refresh, 200, { sdp: SDP }))
  rig.peer('UPDATE', { sdp: SDP_2 })
  assert.deepEqual(rig.told, ['request UPDATE'])
})

test('a 422 to a refresh raises the interval and is answered by another refresh with that Min-SE (RFC 4028 §7.3, §7.4)', () => {
  const rig = new Rig('uac', SHORT, { headers: 'Allow: UPDATE\r\nSession-Expires: 600;refresher=uac\r\n' })
  rig.clock.pass(300_000)
  rig.receive(responseText(rig.onlyRequest(), 422, { headers: 'Min-SE: 900\r\n' }))
  rig.clock.pass(100)
  const again = rig.onlyRequest()
  assert.equal(again.header(HeaderId.sessionExpires), '900;refresher=uac')
  assert.equal(again.header(HeaderId.minSe), '900')
})

test('a refresh that asks for less than our minimum is refused with 422 and Min-SE (RFC 4028 §9)', () => {
  const rig = new Rig('uas', { sessionExpiresS: 1_800, minSeS: 120 }).establish()
  for (const method of ['INVITE', 'UPDATE']) {
    rig.peer(method, { headers: `${TIMER}Session-Expires: 100\r\n`, sdp: method === 'INVITE' ? SDP : '' })
    const refused = parseResponse(rig.only())
    assert.deepEqual([refused.status, refused.header(HeaderId.minSe)], [422, '120'])
  }
  assert.deepEqual(rig.told, [])
})

test('a peer that refuses UPDATE is refreshed by re-INVITE from then on', () => {
  const rig = new Rig('uac', SHORT, { headers: 'Allow: UPDATE\r\nSession-Expires: 600;refresher=uac\r\n' })
  rig.clock.pass(300_000)
  rig.receive(responseText(rig.onlyRequest(), 405))
  rig.clock.pass(4_000)
  assert.equal(rig.onlyRequest().method, 'INVITE')
})

test('after a 491 the owner of the Call-ID waits 2.1 to 4 seconds and the other side up to 2 (§14.1)', () => {
  const waits = { uac: new Set<number>(), uas: new Set<number>() }
  for (let seed = 1; seed <= 200; seed += 1) {
    for (const role of ['uac', 'uas'] as const) {
      const headers = `Allow: UPDATE\r\n${role === 'uac' ? 'Session-Expires: 600;refresher=uac\r\n' : ''}`
      const rig = new Rig(role, SHORT, { headers, sdp: SDP }, seed)
      if (role === 'uas') rig.establish()
      rig.clock.pass(300_000)
      rig.receive(responseText(rig.onlyRequest(), 491))
      const sinceMs = rig.clock.nowMs
      while (rig.names().length === 0) rig.clock.pass(10)
      waits[role].add(rig.clock.nowMs - sinceMs)
    }
  }
  const owner = [...waits.uac].sort((a, b) => a - b)
  const other = [...waits.uas].sort((a, b) => a - b)
  assert.ok((owner[0] ?? 0) >= 2_100 && (owner.at(-1) ?? 0) <= 4_000)
  assert.ok((other.at(-1) ?? 0) <= 2_000)
  assert.ok(owner.length > 80 && other.length > 80, 'spread in steps of 10 ms')
})

test('an UPDATE in an early dialog starts no session timer: ringing has a limit of its own', () => {
  const rig = new Rig('uas', SHORT, { sdp: SDP, headers: TIMER })
  rig.session.progress(183, 'Session Progress', '', SDP, true)
  rack(rig, rseqOf(rig.only()))
  rig.session.answer(rig.take(), 200, 'OK', '', '')
  rig.peer('UPDATE', { headers: `${TIMER}Session-Expires: 90;refresher=uac\r\n` })
  rig.clock.pass(200_000)
  assert.deepEqual(rig.told, ['request PRACK'])
})

// ── Faults and everything ────────────────────────────────────────────────────────────────────────────────────────

test('what breaks in an event of a session is told to its owner', () => {
  const rig = new Rig('uas').establish()
  rig.onSessionRequest = () => {
    throw new Error('broken')
  }
  let told = 0
  rig.onFault = () => {
    told += 1
  }
  rig.peer('INFO')
  assert.equal(told, 1)
  rig.clock.pass(900_000)
  assert.equal(rig.stack.faults.active, rig, 'in timers too')
})

test('whatever comes in whatever order, a session ends and leaves nothing behind', () => {
  const events = [
    'INVITE',
    'empty INVITE',
    'UPDATE',
    'empty UPDATE',
    'INFO',
    'PRACK',
    'BYE',
    'ACK',
    'OPTIONS',
    'we INVITE',
    'we UPDATE',
    'we INFO',
    'we BYE',
    'answer',
    'refuse',
    'reply 200',
    'reply 491',
    'reply 481',
    'reply 100',
    'reliable',
    '1 s',
    '40 s',
    '1000 s',
  ] as const
  fc.assert(
    fc.property(
      fc.constantFrom<'uas' | 'uac'>('uas', 'uac'),
      fc.boolean(),
      fc.array(fc.constantFrom(...events), { maxLength: 40, size: 'max' }),
      (role, early, steps) => {
        const rig = new Rig(role, SHORT)
        if (role === 'uas' && !early) rig.establish()
        const out: Request[] = []
        const drain = (): void => {
          for (const text of rig.sent()) {
            if (!text.startsWith('SIP/') && nameOf(text) !== 'CANCEL') out.push(parseRequest(text))
          }
        }
        const answer = (ok: boolean): void => {
          const transaction = rig.pending.pop() ?? (rig.invite?.isAnswered === false ? rig.invite : undefined)
          if (transaction === undefined || rig.session.isEnded) {
            if (transaction instanceof InviteServerTransaction && !transaction.isAnswered) transaction.respond(487)
            else if (transaction !== undefined && !(transaction instanceof InviteServerTransaction))
              transaction.respond(481)
          } else if (!ok) rig.session.refuse(transaction, 488, undefined, '')
          else if (transaction instanceof InviteServerTransaction) {
            rig.session.accept(transaction, 200, 'OK', '', 'application/sdp', SDP)
          } else rig.session.answer(transaction, 200, 'OK', '', transaction.request.hasSdp ? SDP : '')
        }
        for (const step of steps) {
          if (step === 'ACK') rig.ack(rig.lastSequence)
          else if (step === 'answer' || step === 'refuse') answer(step === 'answer')
          else if (step === 'reliable') rig.session.progress(183, 'x', '', '', true)
          else if (step === '1 s') rig.clock.pass(1_000)
          else if (step === '40 s') rig.clock.pass(40_000)
          else if (step === '1000 s') rig.clock.pass(1_000_000)
          else if (step === 'we BYE') rig.session.bye('')
          else if (step.startsWith('we ')) {
            const method = step.slice(3)
            const free = method === 'INFO' || !rig.session.isBusy
            if (!rig.session.isEnded && free) {
              rig.session.send(method, method === 'INFO' ? {} : { contentType: 'application/sdp', body: SDP_2 }, rig)
            }
          } else if (step.startsWith('reply ')) {
            const sent = out.at(-1)
            if (sent !== undefined && sent.method !== 'ACK') rig.receive(responseText(sent, Number(step.slice(6))))
          } else {
            const method = step.replace('empty ', '')
            rig.peer(method, step.startsWith('empty') || !/INVITE|UPDATE/.test(method) ? {} : { sdp: SDP_2 })
          }
          drain()
        }
        while (rig.pending.length > 0) answer(true)
        rig.session.bye('')
        drain()
        for (const sent of out) {
          if (sent.method === 'INVITE') rig.receive(responseText(sent, 487))
        }
        if (rig.invite?.isAnswered === false) rig.invite.respond(487)
        rig.clock.pass(200_000)
        rig.assertIdle()
      },
    ),
    { numRuns: 300 },
  )
})
