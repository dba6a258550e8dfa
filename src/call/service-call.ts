// A call that ends in the switch itself: one side, a service of the media gateway, and a record like any other call's.

import type { CallFacts, CallHost, ServicePlan } from '#call/call-host.ts'
import { CallRecord } from '#call/call-record.ts'
import { mediaOf } from '#call/media-move.ts'
import { OwnOffer, type OwnOfferUser } from '#call/own-offer.ts'
import { pinnedFlow } from '#call/pinned-flow.ts'
import { causeFromReason, reasonLine } from '#call/q850.ts'
import { assert } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type {
  DescriptionRole,
  DescriptionSink,
  MediaFailure,
  MediaSession,
  MediaUser,
  SessionDescription,
} from '#media/media-port.ts'
import { Dialog } from '#sip/dialog.ts'
import { HeaderId } from '#sip/header-id.ts'
import { InviteServerTransaction, type InviteServerUser } from '#sip/invite-server-transaction.ts'
import type { Request, Response } from '#sip/message.ts'
import { reasonPhrase } from '#sip/response-writer.ts'
import type { ServerTransaction } from '#sip/server-transaction.ts'
import { SESSION_METHODS, Session, type SessionLoss, type SessionUser } from '#sip/session.ts'

type State = 'answering' | 'connected' | 'released'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  answering: ['connected', 'released'],
  connected: ['released'],
  released: [],
}

/** Q.850: resource unavailable; recovery on timer expiry; temporary failure. */
const NO_MEDIA_CAUSE = 47
const TIMEOUT_CAUSE = 102
const FAILURE_CAUSE = 41

export class ServiceCall implements SessionUser, InviteServerUser, MediaUser, OwnOfferUser, TimerOwner {
  state: State = 'answering'
  readonly facts: CallFacts
  readonly record: CallRecord
  readonly #host: CallHost
  readonly #invite: InviteServerTransaction
  readonly #plan: ServicePlan
  readonly #media: MediaSession
  readonly #session: Session
  readonly #duration = new Timer(this)
  readonly #intermediate = new Timer(this)
  /** The request whose description is with the gateway. */
  #pending: ServerTransaction | null = null
  /** Our offer in a 2xx waits for the answer in its ACK. */
  #awaitsAnswer = false
  #offer: OwnOffer | null = null

  constructor(host: CallHost, facts: CallFacts, invite: InviteServerTransaction, plan: ServicePlan) {
    this.#host = host
    this.facts = facts
    this.#invite = invite
    this.#plan = plan
    invite.user = this
    const { request } = invite
    this.#media = host.media.open(invite.toTag, this)
    this.record = CallRecord.begun(invite.toTag, facts, request, invite.flow, host.stack.clock)
    this.record.plannedService(plan.calledNumber)
    const dialog = Dialog.fromRequest(request, invite.toTag, 0)
    dialog.pin(pinnedFlow(invite.flow, request, facts.pinCaller))
    this.#session = new Session(host.stack, dialog, this, host.sessions, facts.sessionTimer)
    this.#session.attach(invite)
  }

  start(): void {
    this.#host.stack.faults.active = this
    this.#invite.respond(100)
    this.#serve(this.#invite, (body) => this.#answer(body))
  }

  #answer(body: string): void {
    this.#enter('connected')
    this.record.answeredHere()
    this.#host.writeRecord(this.record.start())
    const { clock } = this.#host.stack
    const { intermediateMs, durationMaxMs } = this.facts
    clock.arm(this.#duration, 'duration', durationMaxMs)
    if (intermediateMs > 0) clock.arm(this.#intermediate, 'intermediate', intermediateMs)
    this.#session.accept(this.#invite, 200, 'OK', '', 'application/sdp', body)
  }

  // ── What the caller says ────────────────────────────────────────────────────────────────────────────────────

  onCancel(_transaction: InviteServerTransaction, cancel: Request): void {
    this.#host.stack.faults.active = this
    if (this.state !== 'answering') return
    this.#end('caller', 487, 'CALLER_CANCELLED', causeFromReason(cancel.header(HeaderId.reason)) ?? 16)
  }

  onNoAck(_transaction: InviteServerTransaction): void {
    // The caller never acknowledged our refusal: nothing is left to end.
  }

  onSessionRequest(_session: Session, transaction: ServerTransaction): void {
    this.#host.stack.faults.active = this
    switch (transaction.method) {
      case 'INVITE':
      case 'UPDATE':
        if (this.#pending !== null || this.#offer !== null) {
          this.#session.refuse(transaction, 491, 'Request Pending', '')
          return
        }
        this.#serve(transaction, (body) => {
          if (transaction instanceof InviteServerTransaction) {
            this.#session.accept(transaction, 200, 'OK', '', 'application/sdp', body)
          } else this.#session.answer(transaction, 200, 'OK', '', body)
        })
        return
      case 'INFO':
        transaction.respond(200)
        return
      case 'REFER':
        transaction.respond(603)
        return
      case 'SUBSCRIBE':
        transaction.respond(489)
        return
      default:
        transaction.respond(405, undefined, `Allow: ${SESSION_METHODS}\r\n`)
    }
  }

  onSessionAck(_session: Session, ack: Request): void {
    this.#host.stack.faults.active = this
    if (!this.#awaitsAnswer) return
    this.#awaitsAnswer = false
    if (!ack.hasSdp) return // Nothing was agreed: the media time-out ends such a call.
    const source = this.#session.dialog.flow?.remote.host ?? null
    this.#ask(
      'answer',
      ack.body,
      source,
      () => {},
      (failure) => this.#endWithoutMedia(failure),
    )
  }

  onSessionBye(_session: Session, bye: Request): void {
    this.#host.stack.faults.active = this
    const cause = causeFromReason(bye.header(HeaderId.reason)) ?? 16
    if (this.state === 'answering') this.#end('caller', 487, 'CALLER_CANCELLED', cause)
    else this.#end('caller', 200, 'NORMAL', cause)
  }

  onSessionLost(_session: Session, loss: SessionLoss): void {
    this.#host.stack.faults.active = this
    this.#end('switch', 200, LOSS_CODES[loss], loss === 'noAck' ? TIMEOUT_CAUSE : FAILURE_CAUSE)
  }

  // ── What the media says ─────────────────────────────────────────────────────────────────────────────────────

  onMediaTimeout(): void {
    this.#host.stack.faults.active = this
    if (this.state === 'connected') this.#end('switch', 200, 'MEDIA_TIMEOUT', TIMEOUT_CAUSE)
  }

  /** The caller is offered the addresses of another gateway. */
  onGatewayLost(): void {
    this.#host.stack.faults.active = this
    const caller = this.#media.last('caller')
    if (this.state !== 'connected' || caller === null || this.#pending !== null || !this.#media.move()) {
      this.#endWithoutMedia('MEDIA_GATEWAY_LOST')
      return
    }
    const fail = (): void => this.#endWithoutMedia('MEDIA_GATEWAY_LOST')
    const offer = (body: string): void => {
      this.#offer = new OwnOffer(this.#host.stack, this.#session, body, this)
      this.#offer.start()
    }
    this.#ask('offer', caller.body, caller.source, offer, fail)
  }

  onOfferAnswered(_offer: OwnOffer, response: Response): void {
    this.#offer = null
    const caller = this.#media.last('caller')
    if (!response.hasSdp || caller === null) {
      this.#endWithoutMedia('MEDIA_GATEWAY_LOST')
    } else if (mediaOf(response.body) !== mediaOf(caller.body)) {
      const fail = (): void => this.#endWithoutMedia('MEDIA_GATEWAY_LOST')
      this.#ask('offer', response.body, caller.source, () => {}, fail)
    }
  }

  onOfferFailed(): void {
    this.#offer = null
    this.#endWithoutMedia('MEDIA_GATEWAY_LOST')
  }

  /** Has the description of a request answered by the gateway; `go` gets ours. */
  #serve(transaction: ServerTransaction, go: DescriptionSink): void {
    const { request } = transaction
    this.#pending = transaction
    this.#awaitsAnswer = !request.hasSdp && transaction.method === 'INVITE'
    const body = request.hasSdp ? request.body : ''
    const take = (own: string): void => {
      this.#pending = null
      go(own)
    }
    const fail = (failure: MediaFailure): void => {
      this.#pending = null
      if (this.state === 'answering') this.#endWithoutMedia(failure)
      else this.#session.refuse(transaction, failure === 'MEDIA_GATEWAY_REFUSED' ? 488 : 503, undefined, '')
    }
    this.#ask('offer', body, transaction.flow.remote.host, take, fail)
  }

  #ask(
    role: DescriptionRole,
    body: string,
    source: string | null,
    sink: DescriptionSink,
    onFailed: (failure: MediaFailure) => void,
  ): void {
    const description: SessionDescription = {
      side: 'caller',
      branch: 0,
      role,
      body,
      source,
      towards: this.facts.ingressTrunkGroup,
    }
    const take = (own: string): void => {
      this.#host.stack.faults.active = this
      if (this.state !== 'released') sink(own)
    }
    const fail = (failure: MediaFailure): void => {
      this.#host.stack.faults.active = this
      if (this.state !== 'released') onFailed(failure)
    }
    this.#media.serve(this.#plan.service, this.#plan.room, description, take, fail)
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends the call from outside: an operator, a process that stops. */
  terminate(code: string): void {
    this.#host.stack.faults.active = this
    this.#end('switch', this.state === 'connected' ? 200 : 503, code, FAILURE_CAUSE)
  }

  /** A broken invariant in this call: it alone ends (DESIGN §4). */
  onFault(_error: unknown): void {
    this.#end('switch', this.#invite.isAnswered ? 200 : 500, 'INTERNAL', FAILURE_CAUSE)
  }

  onTimer(name: string): void {
    this.#host.stack.faults.active = this
    if (name === 'duration') this.#end('switch', 200, 'CALL_DURATION_MAX', 31)
    else {
      this.#host.writeRecord(this.record.intermediate())
      this.#host.stack.clock.arm(this.#intermediate, 'intermediate', this.facts.intermediateMs)
    }
  }

  #endWithoutMedia(code: string): void {
    this.#end('switch', this.#invite.isAnswered ? 200 : 503, code, NO_MEDIA_CAUSE)
  }

  /** Writes the record, answers what is open and hangs up. */
  #end(party: 'caller' | 'switch', status: number, code: string, cause: number): void {
    if (this.state === 'released') return
    this.#enter('released')
    const { clock } = this.#host.stack
    clock.cancel(this.#duration)
    clock.cancel(this.#intermediate)
    const record = this.record.end(party, status, code, cause)
    if (this.record.isAnswered) {
      let isWritten = false
      this.#media.release((media) => {
        isWritten = true
        this.#host.writeRecord({ ...record, media })
        this.#host.forget(record.callId)
      })
      if (!isWritten) this.#host.keepRecord(record)
    } else {
      this.#host.writeRecord(record)
      this.#media.release(null)
    }
    this.#host.onCallEnded(this, this.record.summary(party, status, code))
    this.#offer?.cancel()
    const reason = party === 'switch' ? reasonLine(cause) : ''
    const pending = this.#pending
    this.#pending = null
    if (!this.#invite.isAnswered) this.#invite.respond(status, reasonPhrase(status), reason)
    else if (pending !== null) {
      const pendingStatus = pending.method === 'INVITE' ? 487 : 481
      pending.respond(pendingStatus, undefined, '', '', this.#session.dialog.localTag)
    }
    this.#session.bye(reason)
    this.#invite.user = null
  }

  #enter(next: State): void {
    assert(NEXT[this.state].includes(next), `service call ${this.state} -> ${next}`)
    this.state = next
  }
}

const LOSS_CODES: Readonly<Record<SessionLoss, string>> = {
  noAck: 'SESSION_NO_ACK',
  noPrack: 'SESSION_NO_PRACK',
  expired: 'SESSION_EXPIRED',
  gone: 'SESSION_GONE',
}
