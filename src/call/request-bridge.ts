// One request within a dialog on its way to the other side of a call: re-INVITE, UPDATE, PRACK, INFO, MESSAGE (RFC 7092 §3.2.2).

import { requestPassOn, responsePassOn } from '#call/pass-on.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { FaultOwner } from '#core/fault-scope.ts'
import type { DescriptionRole, DescriptionSink, MediaFailure, MediaFailureSink, MediaSide } from '#media/media-port.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { InviteServerUser } from '#sip/invite-server-transaction.ts'
import {
  type InviteServerTransaction as InviteServer,
  InviteServerTransaction,
} from '#sip/invite-server-transaction.ts'
import type { Request, Response } from '#sip/message.ts'
import { NonInviteServerTransaction } from '#sip/non-invite-server-transaction.ts'
import type { ServerTransaction } from '#sip/server-transaction.ts'
import type { Session } from '#sip/session.ts'
import type { SipStack } from '#sip/stack.ts'
import type { NoResponse, UserAgentClient, UserAgentClientUser } from '#sip/user-agent-client.ts'

/** How long the other side may take to answer a re-INVITE before it is cancelled. */
const REINVITE_WAIT_MS = 60_000

/** Who owns the bridge: the call. */
export interface BridgeOwner extends FaultOwner {
  readonly stack: SipStack
  /** Takes a session description through the media of the call; exactly one of the two sinks is called, unless the call ends. */
  passDescription(
    bridge: RequestBridge,
    side: MediaSide,
    role: DescriptionRole,
    body: string,
    source: string | null,
    sink: DescriptionSink,
    onFailed: MediaFailureSink,
  ): void
  /** A description that cannot be taken back could not be passed: the call cannot go on. */
  onBridgeMediaFailed(failure: MediaFailure): void
  onBridgeDone(bridge: RequestBridge): void
  /** The other side does not know the dialog any more, or does not answer in it. */
  onBridgeLost(session: Session): void
  /** A 2xx with an offer was passed to `from`; the ACK of `from` carries the answer for `to`. */
  awaitAckAnswer(from: Session, to: Session, sequence: number): void
}

export class RequestBridge implements UserAgentClientUser, InviteServerUser, TimerOwner {
  readonly from: Session
  readonly to: Session
  readonly #owner: BridgeOwner
  readonly #transaction: ServerTransaction
  /** Early dialog or branch of the pair, for the media port. */
  readonly branch: number
  readonly #side: MediaSide
  readonly #wait = new Timer(this)
  #client: UserAgentClient | null = null
  /** The other side has given its final response. */
  #concluded = false
  #answered = false
  #headers = ''
  #timedOut = false
  #asksLonger = false
  /** The ACK of `from` will carry the answer that `to` waits for. */
  #awaitsAnswer = false

  constructor(
    owner: BridgeOwner,
    transaction: ServerTransaction,
    from: Session,
    to: Session,
    side: MediaSide,
    branch: number,
  ) {
    this.#owner = owner
    this.#transaction = transaction
    this.from = from
    this.to = to
    this.#side = side
    this.branch = branch
  }

  get method(): string {
    return this.#transaction.method
  }

  /** Sends the request on. `headers` are added to what passes by the allow list (RAck). */
  start(headers: string): void {
    const request = this.#transaction.request
    this.#headers = headers + requestPassOn(request)
    if (this.#transaction instanceof InviteServerTransaction) {
      this.#transaction.user = this
      this.#owner.stack.clock.arm(this.#wait, 'reinvite', REINVITE_WAIT_MS)
    }
    // RFC 3311 §5.1: a peer without UPDATE gets a re-INVITE, which only an established dialog can take.
    const method =
      request.method === 'UPDATE' && !this.to.peerAllowsUpdate && this.to.dialog.state === 'confirmed'
        ? 'INVITE'
        : request.method
    const send = (body: string): void => {
      if (this.#answered) return
      if (this.to.isEnded) {
        this.#giveUp(481)
        return
      }
      const contentType = request.header(HeaderId.contentType) ?? ''
      const type = request.hasSdp ? 'application/sdp' : contentType
      this.#client = this.to.send(method, { headers: this.#headers, contentType: type, body }, this)
    }
    if (!request.hasSdp) {
      send(request.body)
      return
    }
    // RFC 3262 §5: a PRACK answers the offer of its response, or makes one of its own.
    const isOffer = request.method !== 'PRACK' || this.from.offer === 'remote'
    const fail = (failure: MediaFailure): void => this.#onOfferFailed(failure, isOffer && request.method !== 'PRACK')
    const host = this.#transaction.flow.remote.host
    this.#pass(this.#side, isOffer ? 'offer' : 'answer', request.body, host, send, fail)
  }

  /** An offer that nobody has seen yet changes nothing (RFC 3261 §14.1); what a PRACK carries cannot be refused. */
  #onOfferFailed(failure: MediaFailure, isRefusable: boolean): void {
    if (this.#answered) return
    if (isRefusable) this.#giveUp(failure === 'MEDIA_GATEWAY_REFUSED' ? 488 : 503)
    else this.#owner.onBridgeMediaFailed(failure)
  }

  /** Answers the request itself: it cannot go on to the other side. */
  #giveUp(status: number): void {
    this.#done()
    this.from.refuse(this.#transaction, status, undefined, '')
    this.#owner.onBridgeDone(this)
  }

  #done(): void {
    this.#answered = true
    this.#owner.stack.clock.cancel(this.#wait)
  }

  /** Answers the request because the call ends (§15.1.2: 487 for what is pending). */
  abort(): void {
    if (this.#answered) return
    this.#done()
    if (!this.#concluded) this.#client?.cancel('')
    const status = this.#transaction.method === 'INVITE' ? 487 : 481
    this.#transaction.respond(status, undefined, '', '', this.from.dialog.localTag)
  }

  onResponse(client: UserAgentClient, response: Response): void {
    this.#owner.stack.faults.active = this.#owner
    const status = response.status
    if (status < 200) return
    if (this.#answered || this.#concluded) {
      this.#late(client, response)
      return
    }
    this.to.concluded(client, response)
    if (status === 422 && this.#askLonger(client)) return
    this.#concluded = true
    this.#owner.stack.clock.cancel(this.#wait)
    if (status < 300) this.#succeed(client, response)
    else {
      this.#done()
      this.#fail(status, response)
      this.#owner.onBridgeDone(this)
    }
    // RFC 5057 §5.1. A 481 to PRACK may mean no more than that its response is not waited for (RFC 3262 §3).
    if (status === 408 || (status === 481 && client.request.method !== 'PRACK')) this.#owner.onBridgeLost(this.to)
  }

  /** RFC 4028 §7.3: the session has taken the Min-SE of a 422; the request goes out again, once. */
  #askLonger(client: UserAgentClient): boolean {
    if (this.#asksLonger || this.to.isEnded) return false
    this.#asksLonger = true
    const { method, contentType, body } = client.request
    this.#client = this.to.send(method, { headers: this.#headers, contentType, body }, this)
    return true
  }

  onNoResponse(client: UserAgentClient, why: NoResponse): void {
    this.#owner.stack.faults.active = this.#owner
    if (this.#answered || this.#concluded) return
    this.#concluded = true
    this.#done()
    this.to.concluded(client, null)
    this.#refuse(why.status === 408 ? 408 : 500, why.reason, '')
    this.#owner.onBridgeDone(this)
    this.#owner.onBridgeLost(this.to) // §12.2.1.2.
  }

  /** The side that sent the re-INVITE takes it back. */
  onCancel(_transaction: InviteServer, _cancel: Request): void {
    this.#client?.cancel('')
  }

  onNoAck(_transaction: InviteServer): void {
    // The refused re-INVITE changed nothing.
  }

  onTimer(_name: string): void {
    this.#owner.stack.faults.active = this.#owner
    this.#timedOut = true
    if (!this.#concluded) this.#client?.cancel('')
  }

  #succeed(client: UserAgentClient, response: Response): void {
    const transaction = this.#transaction
    const lines = responsePassOn(response)
    const isInvite = client.request.method === 'INVITE'
    const isDelayed = isInvite && client.request.body === ''
    if (isInvite && !(isDelayed && response.hasSdp)) this.to.acknowledge(client.request.sequence, '', '')
    if (transaction instanceof InviteServerTransaction) {
      if (isDelayed && response.hasSdp) {
        this.#awaitsAnswer = true
        this.#owner.awaitAckAnswer(this.from, this.to, client.request.sequence)
      }
      this.#answerSide(response, isDelayed ? 'offer' : 'answer', (body) =>
        this.from.accept(transaction, 200, 'OK', lines, 'application/sdp', body),
      )
      return
    }
    if (transaction.method === 'UPDATE' || transaction.method === 'PRACK') {
      this.#answerSide(response, 'answer', (body) => this.from.answer(transaction, 200, 'OK', lines, body))
      return
    }
    this.#done()
    const type = response.header(HeaderId.contentType)
    const content = type === null || !response.hasBody ? '' : `Content-Type: ${type}\r\n`
    transaction.respond(response.status, undefined, lines + content, response.body, this.from.dialog.localTag)
    this.#owner.onBridgeDone(this)
  }

  #answerSide(response: Response, role: DescriptionRole, send: (body: string) => void): void {
    const answer = (body: string): void => {
      if (this.#answered) return
      this.#done()
      if (this.from.isEnded) this.#transaction.respond(481)
      else send(body)
      this.#owner.onBridgeDone(this)
    }
    if (!response.hasSdp) {
      answer('')
      return
    }
    const side = this.#side === 'caller' ? 'callee' : 'caller'
    const fail = (failure: MediaFailure): void => {
      if (this.#answered) return
      // Nobody can answer the offer of the other side now; an answer that is lost leaves this side as it was.
      if (role === 'offer' || this.#transaction.method === 'PRACK') this.#owner.onBridgeMediaFailed(failure)
      else this.#giveUp(503)
    }
    this.#pass(side, role, response.body, this.#client?.flow?.remote.host ?? null, answer, fail)
  }

  #fail(status: number, response: Response): void {
    // We cannot satisfy a challenge of the other side for this one; to this side it is a refusal of the offer.
    const shown = status === 401 || status === 407 ? 488 : this.#timedOut && status === 487 ? 408 : status
    const retryAfter = response.header(HeaderId.retryAfter)
    const seconds = retryAfter === null ? null : /^\d+/.exec(retryAfter)
    const lines = responsePassOn(response) + (seconds === null ? '' : `Retry-After: ${seconds[0]}\r\n`)
    this.#refuse(shown, undefined, lines)
  }

  #refuse(status: number, reason: string | undefined, lines: string): void {
    const transaction = this.#transaction
    // RFC 4320 §4.2: a 408 to anything but INVITE comes too late for everybody.
    if (status === 408 && transaction instanceof NonInviteServerTransaction) transaction.abandon()
    else this.from.refuse(transaction, status, reason, lines)
  }

  /** A response after the request was answered: a 2xx again, or one that crossed our giving up. */
  #late(client: UserAgentClient, response: Response): void {
    if (client.request.method !== 'INVITE' || response.status >= 300) return
    // Also when the BYE is under way: every 2xx is acknowledged (RFC 3261 §13.2.2.4, RFC 5407 §3.2).
    if (this.to.acknowledgeAgain(response)) return
    if (this.#awaitsAnswer && !this.to.isEnded) return // Its ACK carries the answer, which is not here yet.
    this.to.acknowledge(client.request.sequence, '', '')
  }

  #pass(
    side: MediaSide,
    role: DescriptionRole,
    body: string,
    source: string | null,
    sink: DescriptionSink,
    onFailed: MediaFailureSink,
  ): void {
    this.#owner.passDescription(this, side, role, body, source, sink, onFailed)
  }
}
