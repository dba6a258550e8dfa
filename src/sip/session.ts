// One side's INVITE usage of a dialog (RFC 5057 §4): ACK and 2xx (RFC 3261 §13), re-INVITE (§14), BYE (§15), reliable provisional
// responses (RFC 3262), UPDATE (RFC 3311), session timer (RFC 4028), offer/answer glare (RFC 3264, RFC 6337 §4).

import { assert } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { FaultOwner } from '#core/fault-scope.ts'
import { uniform } from '#core/random.ts'
import { Dialog, type DialogImage } from '#sip/dialog.ts'
import type { Flow } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import { InviteServerTransaction } from '#sip/invite-server-transaction.ts'
import type { Message, Request, Response } from '#sip/message.ts'
import { branchFrom, contactUri, type OutgoingRequest, writeRequest } from '#sip/outgoing-request.ts'
import type { ServerTransaction } from '#sip/server-transaction.ts'
import {
  answerSessionTimer,
  askSessionTimer,
  minSeOf,
  type SessionTimerSettings,
  type SessionTimerTerms,
  sessionTimerFrom,
} from '#sip/session-timer.ts'
import type { SipStack } from '#sip/stack.ts'
import { T1, T2, TRANSACTION_TIMEOUT } from '#sip/timers.ts'
import { type NoResponse, UserAgentClient, type UserAgentClientUser } from '#sip/user-agent-client.ts'

/** Methods that a dialog of ours takes (§20.5). */
export const SESSION_METHODS = 'INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, MESSAGE'
/** Reliable provisional responses waiting for their turn (RFC 3262 §3). */
const RELIABLE_MAX = 8
/** The longest interval that a peer's Min-SE can make us ask for, in seconds. */
const MIN_SE_S_MAX = 86_400
/** Refreshes tried again before the session is given up (RFC 4028 §10). */
const REFRESH_TRIES_MAX = 4

/** Why a session ended without a BYE of the peer. */
export type SessionLoss =
  /** No ACK to our 2xx in 64·T1 (§13.3.1.4). */
  | 'noAck'
  /** No PRACK in 64·T1 (RFC 3262 §3). */
  | 'noPrack'
  /** No refresh in time (RFC 4028 §10). */
  | 'expired'
  /** The peer does not know the dialog, or does not answer in it (§12.2.1.2: 481 and 408). */
  | 'gone'

/** Who owns a session: one side of a call. What breaks in an event of the session is its owner's affair. */
export interface SessionUser extends FaultOwner {
  /** A request within the dialog that concerns the other side too: re-INVITE, UPDATE with an offer, PRACK, INFO, MESSAGE … */
  onSessionRequest(session: Session, transaction: ServerTransaction): void
  /** The first ACK to a 2xx of ours. */
  onSessionAck(session: Session, ack: Request): void
  /** The peer hung up; the BYE is answered. */
  onSessionBye(session: Session, bye: Request): void
  /** The session is of no use any more; the owner ends it (with BYE) and the call. */
  onSessionLost(session: Session, loss: SessionLoss): void
}

/** Where sessions are found by the tags of a request. */
export interface SessionTable {
  add(session: Session): void
  remove(session: Session): void
}

/** A confirmed session written down. Plain data. */
export interface SessionImage {
  readonly dialog: DialogImage
  readonly peerAllowsUpdate: boolean
  /** The last description that we sent, for refreshes by re-INVITE. */
  readonly localSdp: string
  readonly minSeS: number
  readonly terms: SessionTimerTerms | null
}

interface Accepted {
  readonly transaction: InviteServerTransaction
  readonly text: string
  readonly sequence: number
  readonly sinceMs: number
  intervalMs: number
}

interface ReliableResponse {
  readonly transaction: InviteServerTransaction
  readonly sequence: number
  readonly status: number
  readonly reason: string
  readonly headers: string
  readonly body: string
  rseq: number
  sinceMs: number
  intervalMs: number
}

interface HeldAnswer {
  readonly transaction: InviteServerTransaction
  readonly status: number
  readonly reason: string
  readonly headers: string
  readonly contentType: string
  readonly body: string
}

export class Session implements TimerOwner, UserAgentClientUser {
  readonly dialog: Dialog
  readonly #stack: SipStack
  readonly #user: SessionUser
  readonly #table: SessionTable
  readonly #settings: SessionTimerSettings
  readonly #timer = new Timer(this)
  readonly #ackWait = new Timer(this)
  readonly #prackWait = new Timer(this)
  #ended = false
  #isProven = true
  /** An offer not yet answered, and whose (RFC 6337 §3.2). */
  offer: 'none' | 'local' | 'remote' = 'none'
  /** The last session description that we sent and its type, for refreshes by re-INVITE. */
  #localSdp = ''
  #peerAllowsUpdate = false
  #inviteIn: InviteServerTransaction | null = null
  #inviteOut: UserAgentClient | null = null
  #accepted: Accepted | null = null
  #ackText = ''
  #ackFlow: Flow | null = null
  #ackSequence = -1
  #reliable: ReliableResponse[] = []
  #rseq = 0
  #held: HeldAnswer | null = null
  #terms: SessionTimerTerms | null = null
  #askedTerms: { readonly terms: SessionTimerTerms; readonly headers: string } | null = null
  #intervalS: number
  /** The largest Min-SE that this dialog has seen (RFC 4028 §7.4), at least ours. */
  #minSeS: number
  /** The lines of a BYE that waits for the ACK to our 2xx (RFC 3261 §15). */
  #byeHeaders: string | null = null
  #byeOut: UserAgentClient | null = null
  #refresh: UserAgentClient | null = null
  #probe: UserAgentClient | null = null
  #refreshTries = 0
  #deadlineMs = 0

  constructor(stack: SipStack, dialog: Dialog, user: SessionUser, table: SessionTable, settings: SessionTimerSettings) {
    this.#stack = stack
    this.dialog = dialog
    this.#user = user
    this.#table = table
    this.#settings = settings
    this.#intervalS = settings.sessionExpiresS
    this.#minSeS = settings.minSeS
    table.add(this)
  }

  /**
   * Goes on with a session of an earlier process. The peer is asked after `probeMs` whether it still has the session, unless
   * it has shown so by then.
   */
  static fromImage(
    stack: SipStack,
    image: SessionImage,
    user: SessionUser,
    table: SessionTable,
    settings: SessionTimerSettings,
    probeMs: number,
  ): Session {
    const session = new Session(stack, Dialog.fromImage(image.dialog), user, table, settings)
    session.#isProven = false
    session.#peerAllowsUpdate = image.peerAllowsUpdate
    session.#localSdp = image.localSdp
    session.#minSeS = Math.max(image.minSeS, settings.minSeS)
    if (image.terms !== null) session.#startTimer(image.terms)
    // No PRACK is awaited any more: its timer is free.
    stack.clock.arm(session.#prackWait, 'probe', probeMs)
    return session
  }

  /** All that another process needs to go on with a confirmed session. */
  image(): SessionImage {
    return {
      dialog: this.dialog.image(),
      peerAllowsUpdate: this.#peerAllowsUpdate,
      localSdp: this.#localSdp,
      minSeS: this.#minSeS,
      terms: this.#terms,
    }
  }

  get isEnded(): boolean {
    return this.#ended
  }

  /** Whether the peer has shown in this process that it has the session. */
  get isProven(): boolean {
    return this.#isProven
  }

  /** User part of our Contact in this dialog. */
  get contactUser(): string {
    return this.dialog.localTag
  }

  /** Whether requests with an offer may be sent now. */
  get isBusy(): boolean {
    return this.#inviteIn !== null || this.#inviteOut !== null || this.offer !== 'none'
  }

  get peerAllowsUpdate(): boolean {
    return this.#peerAllowsUpdate
  }

  /** Notes what a message of the peer says it can do (§20.5 Allow). */
  notePeer(message: Message): void {
    if (message.has(HeaderId.allow)) this.#peerAllowsUpdate = message.hasOption(HeaderId.allow, 'update')
  }

  // ── As UAS ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes the INVITE that makes this dialog; its offer is unanswered until a reliable response carries a description. */
  attach(transaction: InviteServerTransaction): void {
    this.#inviteIn = transaction
    if (transaction.request.hasSdp) this.offer = 'remote'
    this.notePeer(transaction.request)
  }

  /**
   * Sends a provisional response of this dialog; reliably (RFC 3262 §3) when asked. A body is a session description.
   * False when it is dropped: the INVITE is answered, or too many wait for their PRACK.
   */
  progress(status: number, reason: string, headers: string, body: string, reliable: boolean): boolean {
    const transaction = this.#inviteIn
    if (this.#ended || this.#held !== null || transaction === null || transaction.isAnswered) return false
    const lines = `${this.#contactLine(transaction.flow)}${headers}${body === '' ? '' : SDP_TYPE}`
    if (!reliable) {
      transaction.respond(status, reason, lines, body, this.dialog.localTag)
      return true
    }
    if (this.#reliable.length >= RELIABLE_MAX) return false
    if (this.#rseq === 0) this.#rseq = 1 + uniform(this.#stack.random, 2 ** 30)
    this.#reliable.push({
      transaction,
      sequence: transaction.request.cseq.number,
      status,
      reason,
      headers: lines,
      body,
      rseq: 0,
      sinceMs: 0,
      intervalMs: T1,
    })
    if (this.#reliable.length === 1) this.#sendReliable()
    return true
  }

  #sendReliable(): void {
    const next = this.#reliable[0]
    if (next === undefined || next.transaction.isAnswered) return
    next.rseq = this.#rseq
    this.#rseq += 1
    next.sinceMs = this.#stack.clock.now()
    if (next.body !== '') this.#noteLocalSdp(next.body, this.offer === 'remote' ? 'none' : 'local')
    this.#transmitReliable(next)
  }

  #transmitReliable(next: ReliableResponse): void {
    const lines = `Require: 100rel\r\nRSeq: ${next.rseq}\r\n${next.headers}`
    next.transaction.respond(next.status, next.reason, lines, next.body, this.dialog.localTag)
    this.#stack.clock.arm(this.#prackWait, 'prack', next.intervalMs)
  }

  /**
   * Sends the final 2xx to an INVITE, and again until its ACK comes (§13.3.1.4). `body` is a description or ''. Held back
   * while a reliable provisional response with a description waits for its PRACK (RFC 3262 §3).
   */
  accept(
    transaction: InviteServerTransaction,
    status: number,
    reason: string,
    headers: string,
    contentType: string,
    body: string,
  ): void {
    if (this.#ended || transaction.isAnswered) return
    if (this.#reliable.some((response) => response.body !== '' && response.transaction === transaction)) {
      this.#held = { transaction, status, reason, headers, contentType, body }
      return
    }
    // RFC 3262 §3: what was sent is not sent again, but its PRACK may still come.
    if (this.#reliable.length > 1) this.#reliable.length = 1
    this.#stack.clock.cancel(this.#prackWait)
    const timer = this.#askedTerms ?? this.#timerAnswer(transaction.request)
    this.#askedTerms = null
    const sequence = transaction.request.cseq.number
    const type = body === '' ? '' : `Content-Type: ${contentType}\r\n`
    const lines = `${this.#contactLine(transaction.flow)}${ALLOW_LINES}${timer.headers}${headers}${type}`
    if (body !== '') this.#noteLocalSdp(body, transaction.request.hasSdp || this.offer === 'remote' ? 'none' : 'local')
    else this.offer = 'none'
    const text = transaction.respond(status, reason, lines, body, this.dialog.localTag)
    if (this.dialog.state === 'early') this.dialog.enter('confirmed')
    if (this.#inviteIn === transaction) this.#inviteIn = null
    this.#accepted = { transaction, text, sequence, sinceMs: this.#stack.clock.now(), intervalMs: T1 }
    this.#stack.clock.arm(this.#ackWait, 'ack', T1)
    this.#startTimer(timer.terms)
  }

  #timerAnswer(request: Request): { terms: SessionTimerTerms; headers: string } {
    const answer = answerSessionTimer(request, this.#settings)
    if (answer.ok) return answer
    // The 422 was given when the request came; a peer without the extension gets our shortest.
    return { terms: { intervalS: this.#settings.minSeS, weRefresh: true }, headers: '' }
  }

  /** Refuses a re-INVITE or another request of this dialog. */
  refuse(transaction: ServerTransaction, status: number, reason: string | undefined, headers: string): void {
    if (transaction === this.#inviteIn) this.#inviteIn = null
    if (this.offer === 'remote' && transaction.request.hasSdp) this.offer = 'none'
    this.#askedTerms = null
    transaction.respond(status, reason, headers, '', this.dialog.localTag)
  }

  /** Answers an UPDATE or PRACK with 2xx; a body is a session description. */
  answer(transaction: ServerTransaction, status: number, reason: string, headers: string, body: string): void {
    let lines = headers
    if (transaction.method === 'UPDATE') {
      const timer = this.#askedTerms ?? this.#timerAnswer(transaction.request)
      this.#askedTerms = null
      lines = `${this.#contactLine(transaction.flow)}${ALLOW_LINES}${timer.headers}${headers}`
      this.#startTimer(timer.terms)
    }
    if (body !== '') {
      this.#noteLocalSdp(body, 'none')
      lines += SDP_TYPE
    }
    if (this.offer === 'remote' && transaction.request.hasSdp) this.offer = 'none'
    transaction.respond(status, reason, lines, body)
  }

  // ── Requests of the peer ──────────────────────────────────────────────────────────────────────────────────

  /** A request within this dialog (§12.2.2). */
  receive(transaction: ServerTransaction): void {
    this.#stack.faults.active = this.#user
    const request = transaction.request
    if (this.#ended) {
      this.#receiveAtEnd(transaction)
      return
    }
    if (!this.dialog.acceptSequence(request.cseq.number)) {
      transaction.respond(500, 'CSeq out of order')
      return
    }
    this.#isProven = true
    switch (request.method) {
      case 'BYE':
        this.#receiveBye(transaction)
        return
      case 'INVITE':
        this.#receiveInvite(transaction)
        return
      case 'UPDATE':
        this.#receiveUpdate(transaction)
        return
      case 'PRACK':
        this.#receivePrack(transaction)
        return
      case 'OPTIONS':
        transaction.respond(200, 'OK', `${ALLOW_LINES}Accept: application/sdp\r\n`)
        return
      default:
        this.#user.onSessionRequest(this, transaction)
    }
  }

  /** RFC 5407 §3.2.1: a BYE that crosses ours is answered 200; everything else comes too late. */
  #receiveAtEnd(transaction: ServerTransaction): void {
    if (transaction.method !== 'BYE') {
      transaction.respond(481)
      return
    }
    transaction.respond(200)
    if (this.#byeHeaders === null) return
    this.#byeHeaders = null
    this.#accepted = null
    this.#stack.clock.cancel(this.#ackWait)
    this.#table.remove(this)
  }

  #receiveBye(transaction: ServerTransaction): void {
    const request = transaction.request
    transaction.respond(200)
    this.end()
    this.#user.onSessionBye(this, request)
  }

  #receiveInvite(transaction: ServerTransaction): void {
    if (!(transaction instanceof InviteServerTransaction)) return
    const retryAfter = `Retry-After: ${uniform(this.#stack.random, 11)}\r\n`
    if (this.#inviteIn !== null || this.offer === 'remote') {
      transaction.respond(500, 'Request Pending', retryAfter) // §14.2.
      return
    }
    if (this.#inviteOut !== null || this.offer === 'local') {
      transaction.respond(491) // §14.2.
      return
    }
    if (!this.#takeTimer(transaction)) return
    // RFC 5407 §3.1.5: an INVITE that overtakes the ACK of the last one shows that our 2xx has arrived.
    this.#accepted = null
    this.#stack.clock.cancel(this.#ackWait)
    this.#refreshFrom(transaction)
    this.#inviteIn = transaction
    if (transaction.request.hasSdp) this.offer = 'remote'
    transaction.respond(100)
    this.#user.onSessionRequest(this, transaction)
  }

  /** Target refresh by a request of the peer (§12.2.2). A phone that is reached over its flow is reached where it is now. */
  #refreshFrom(transaction: ServerTransaction): void {
    const { request } = transaction
    this.dialog.refreshTarget(request)
    if (this.dialog.isPinned) this.dialog.flow = transaction.flow
    this.notePeer(request)
  }

  #receiveUpdate(transaction: ServerTransaction): void {
    const request = transaction.request
    if (request.hasSdp) {
      // RFC 3311 §5.2.
      if (this.offer === 'remote') {
        transaction.respond(500, 'Offer Pending', `Retry-After: ${uniform(this.#stack.random, 11)}\r\n`)
        return
      }
      if (this.offer === 'local') {
        transaction.respond(491)
        return
      }
    }
    if (!this.#takeTimer(transaction)) return
    this.#refreshFrom(transaction)
    if (!request.hasSdp) {
      this.answer(transaction, 200, 'OK', '', '')
      return
    }
    this.offer = 'remote'
    this.#user.onSessionRequest(this, transaction)
  }

  /** Negotiates the session timer of a refresh request; false when it was refused with 422 (RFC 4028 §9). */
  #takeTimer(transaction: ServerTransaction): boolean {
    const answer = answerSessionTimer(transaction.request, this.#settings)
    this.#minSeS = Math.max(this.#minSeS, Math.min(minSeOf(transaction.request), MIN_SE_S_MAX))
    if (!answer.ok) {
      transaction.respond(422, undefined, answer.headers)
      return false
    }
    this.#askedTerms = answer
    return true
  }

  #receivePrack(transaction: ServerTransaction): void {
    const waiting = this.#reliable[0]
    const rack = /^(\d+)[ \t]+(\d+)[ \t]+INVITE$/i.exec(transaction.request.header(HeaderId.rack) ?? '')
    if (
      waiting === undefined ||
      rack === null ||
      Number(rack[1]) !== waiting.rseq ||
      Number(rack[2]) !== waiting.sequence
    ) {
      transaction.respond(481) // RFC 3262 §3.
      return
    }
    this.#reliable.shift()
    this.#stack.clock.cancel(this.#prackWait)
    if (transaction.request.hasSdp) this.offer = this.offer === 'local' ? 'none' : 'remote'
    this.#user.onSessionRequest(this, transaction)
    if (this.#ended) return
    if (this.#reliable.length > 0) {
      this.#sendReliable()
      return
    }
    const held = this.#held
    this.#held = null
    if (held !== null)
      this.accept(held.transaction, held.status, held.reason, held.headers, held.contentType, held.body)
  }

  /** An ACK within this dialog. Only the first for the 2xx in question goes up. */
  receiveAck(ack: Request): void {
    this.#stack.faults.active = this.#user
    const accepted = this.#accepted
    if (accepted === null || ack.cseq.number !== accepted.sequence) return
    this.#accepted = null
    this.#stack.clock.cancel(this.#ackWait)
    if (this.#ended) {
      this.#sendHeldBye()
      return
    }
    if (this.offer === 'local') this.offer = 'none' // The ACK carries the answer, or there is none to come.
    this.#user.onSessionAck(this, ack)
  }

  // ── As UAC ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** A description that the INVITE of this dialog offered, or that a response answered with: for refreshes. */
  noteSent(sdp: string): void {
    if (sdp !== '') this.#localSdp = sdp
  }

  /** Sends a request within the dialog. Its responses go to `user`. A body is a session description when `contentType` says so. */
  send(
    method: string,
    parts: { headers?: string; contentType?: string; body?: string },
    user: UserAgentClientUser,
  ): UserAgentClient {
    assert(!this.#ended || method === 'BYE', `${method} in an ended session`)
    const refresh = method === 'INVITE' || method === 'UPDATE'
    const timer = refresh ? this.#timerLines(null) : ''
    const lines = refresh ? `${ALLOW_LINES}${timer}${parts.headers ?? ''}` : (parts.headers ?? '')
    const body = parts.body ?? ''
    const request = this.dialog.request(method, {
      ...parts,
      headers: lines,
      contactUser: refresh ? this.contactUser : null,
    })
    const client = new UserAgentClient(this.#stack, request, user)
    if (method === 'INVITE') this.#inviteOut = client
    if (body !== '' && parts.contentType === SDP) {
      this.#localSdp = body
      if (method !== 'PRACK' || this.offer === 'none') this.offer = 'local'
      else if (this.offer === 'remote') this.offer = 'none'
    }
    this.#start(client)
    return client
  }

  #start(client: UserAgentClient): void {
    const flow = this.dialog.flow
    const nextHop = this.dialog.nextHop
    if (flow !== null && !flow.closed) client.startOn(flow)
    else if (nextHop === null) client.startOn(this.#unreachable(flow))
    else client.startTowards(nextHop)
  }

  #unreachable(flow: Flow | null): Flow {
    assert(flow !== null, 'a dialog has a next hop or a flow')
    return flow
  }

  /** Takes the final response to an INVITE or UPDATE that {@link send} sent: glare state, target refresh, session timer. */
  concluded(client: UserAgentClient, response: Response | null): void {
    if (client === this.#inviteOut) this.#inviteOut = null
    if (this.#ended) return
    const method = client.request.method
    const { body } = client.request
    const exchange = method === 'INVITE' || (body !== '' && client.request.contentType === SDP)
    if (response === null || response.status >= 300) {
      if (this.offer === 'local' && exchange) this.offer = 'none'
      if (response?.status === 422) this.#noteMinSe(response)
      return
    }
    this.#isProven = true
    if (method === 'INVITE' || method === 'UPDATE') {
      this.dialog.refreshTarget(response)
      this.notePeer(response)
      this.#startTimer(sessionTimerFrom(response, this.#settings))
    }
    if (method === 'INVITE' && body === '') this.offer = response.hasSdp ? 'remote' : 'none'
    else if (exchange) this.offer = 'none'
  }

  /** Starts the session timer from the 2xx to the INVITE that made this dialog (RFC 4028 §7.2). */
  confirmed(response: Response): void {
    this.dialog.confirm(response)
    this.notePeer(response)
    this.#startTimer(sessionTimerFrom(response, this.#settings))
  }

  /** Sends the ACK for a 2xx to the INVITE with `sequence` (§13.2.2.4). */
  acknowledge(sequence: number, contentType: string, body: string): void {
    if (body !== '') {
      this.#localSdp = body
      this.offer = 'none'
    }
    const request = this.dialog.request('ACK', { sequence, contentType, body })
    this.#ackSequence = sequence
    this.#ackFlow = null
    const flow = this.dialog.flow
    if (flow !== null && !flow.closed) {
      this.#sendAck(request, flow)
      return
    }
    const nextHop = this.dialog.nextHop
    if (nextHop === null) return
    this.#stack.locator.locate(nextHop, {
      onLocated: (targets) => {
        for (const target of targets) {
          const out = this.#stack.layer.transport.flowTo(target)
          if (out === null || out.closed) continue
          this.#sendAck(request, out)
          return
        }
      },
    })
  }

  #sendAck(request: OutgoingRequest, flow: Flow): void {
    this.#ackText = writeRequest(request, flow, branchFrom(this.#stack.layer.mint()))
    this.#ackFlow = flow
    flow.send(this.#ackText)
    this.#stack.layer.onRequestSent('ACK')
  }

  /** A 2xx came again: the same ACK is sent again (§13.2.2.4). False when none was sent for it yet. */
  acknowledgeAgain(response: Response): boolean {
    if (response.cseq.number !== this.#ackSequence || this.#ackFlow === null) return false
    this.#ackFlow.send(this.#ackText)
    return true
  }

  /**
   * Ends the session with a BYE (§15.1.1). An early dialog ends without one. `headers` are complete lines (Reason). Who has
   * answered waits for the ACK, or for the end of the wait for it (§15).
   */
  bye(headers: string): void {
    if (this.#ended) return
    if (this.dialog.state !== 'confirmed') {
      this.end()
      return
    }
    const accepted = this.#accepted
    this.#letGo()
    if (accepted === null) {
      this.#sendBye(headers)
      return
    }
    this.#accepted = accepted
    this.#byeHeaders = headers
    const leftMs = accepted.sinceMs + TRANSACTION_TIMEOUT - this.#stack.clock.now()
    this.#stack.clock.arm(this.#ackWait, 'ack', Math.max(0, Math.min(accepted.intervalMs, leftMs)))
  }

  #sendHeldBye(): void {
    const headers = this.#byeHeaders
    this.#byeHeaders = null
    if (headers !== null) this.#sendBye(headers)
  }

  /** The session stays known until the BYE is answered, for one of the peer that crosses it. */
  #sendBye(headers: string): void {
    const client = new UserAgentClient(this.#stack, this.dialog.request('BYE', { headers }), this)
    this.#byeOut = client
    this.#start(client)
  }

  #byeDone(client: UserAgentClient): void {
    this.#byeOut = null
    client.release()
    this.#table.remove(this)
  }

  /** Lets everything go without a word: the dialog is over. */
  end(): void {
    if (this.#ended) return
    this.#letGo()
    this.#table.remove(this)
  }

  #letGo(): void {
    this.#ended = true
    const clock = this.#stack.clock
    clock.cancel(this.#timer)
    clock.cancel(this.#ackWait)
    clock.cancel(this.#prackWait)
    this.#reliable = []
    this.#held = null
    this.#accepted = null
    this.#inviteIn = null
    this.#inviteOut = null
    const refresh = this.#refresh
    this.#refresh = null
    this.#probe = null
    if (refresh?.request.method === 'INVITE') refresh.cancel('')
    this.#ackText = ''
    this.#ackFlow = null
    this.#ackSequence = -1
    if (this.dialog.state !== 'terminated') this.dialog.enter('terminated')
  }

  // ── Timers ──────────────────────────────────────────────────────────────────────────────────────────────────

  onTimer(name: string): void {
    this.#stack.faults.active = this.#user
    switch (name) {
      case 'ack':
        this.#resendAccepted()
        return
      case 'prack':
        this.#resendReliable()
        return
      case 'refresh':
        this.#sendRefresh()
        return
      case 'probe':
        this.#sendProbe()
        return
      case 'refreshWait': // A re-INVITE that is not answered has no end of its own.
        this.#refresh?.cancel('')
        return
      case 'expire':
        this.#user.onSessionLost(this, 'expired')
        return
    }
  }

  #resendAccepted(): void {
    const accepted = this.#accepted
    if (accepted === null) return
    if (this.#stack.clock.now() - accepted.sinceMs >= TRANSACTION_TIMEOUT - 1) {
      this.#accepted = null
      if (this.#ended) this.#sendHeldBye()
      else this.#user.onSessionLost(this, 'noAck')
      return
    }
    accepted.transaction.resend2xx(accepted.text)
    accepted.intervalMs = Math.min(accepted.intervalMs * 2, T2)
    const leftMs = accepted.sinceMs + TRANSACTION_TIMEOUT - this.#stack.clock.now()
    this.#stack.clock.arm(this.#ackWait, 'ack', Math.max(0, Math.min(accepted.intervalMs, leftMs)))
  }

  #resendReliable(): void {
    const waiting = this.#reliable[0]
    if (waiting === undefined || waiting.transaction.isAnswered) return
    if (this.#stack.clock.now() - waiting.sinceMs >= TRANSACTION_TIMEOUT - 1) {
      this.#user.onSessionLost(this, 'noPrack')
      return
    }
    waiting.intervalMs *= 2 // RFC 3262 §3: doubling, without the T2 bound.
    const leftMs = waiting.sinceMs + TRANSACTION_TIMEOUT - this.#stack.clock.now()
    waiting.intervalMs = Math.max(0, Math.min(waiting.intervalMs, leftMs))
    this.#transmitReliable(waiting)
  }

  /** RFC 4028 §7.2, §10: refresh at half time, or wait until shortly before the end. */
  #startTimer(terms: SessionTimerTerms): void {
    if (this.dialog.state !== 'confirmed') return // It runs from the 2xx to the INVITE; ringing has a limit of its own.
    this.#terms = terms
    this.#intervalS = Math.max(this.#minSeS, Math.min(terms.intervalS, this.#settings.sessionExpiresS))
    this.#refreshTries = 0
    const intervalMs = terms.intervalS * 1_000
    const graceMs = Math.min(32_000, intervalMs / 3)
    this.#deadlineMs = this.#stack.clock.now() + intervalMs - graceMs
    if (terms.weRefresh) this.#stack.clock.arm(this.#timer, 'refresh', intervalMs / 2)
    else this.#stack.clock.arm(this.#timer, 'expire', intervalMs - graceMs)
  }

  /** Asks the peer whether it has the session still: OPTIONS changes nothing in it (§11.2, RFC 5057 §5.1). */
  #sendProbe(): void {
    if (this.#ended || this.#isProven) return
    const client = new UserAgentClient(this.#stack, this.dialog.request('OPTIONS', {}), this)
    this.#probe = client
    this.#start(client)
  }

  #probed(isThere: boolean): void {
    this.#probe = null
    if (this.#isProven) return
    if (isThere) this.#isProven = true
    else this.#user.onSessionLost(this, 'gone')
  }

  #sendRefresh(): void {
    if (this.#ended || this.#terms === null) return
    if (this.isBusy) {
      this.#tryLater(T2)
      return
    }
    const byUpdate = this.#peerAllowsUpdate || this.#localSdp === ''
    const request = this.dialog.request(byUpdate ? 'UPDATE' : 'INVITE', {
      headers: ALLOW_LINES + this.#timerLines('uac'),
      contactUser: this.contactUser,
      ...(byUpdate ? {} : { contentType: SDP, body: this.#localSdp }),
    })
    const client = new UserAgentClient(this.#stack, request, this)
    this.#refresh = client
    if (!byUpdate) {
      this.#inviteOut = client
      this.offer = 'local'
      this.#stack.clock.arm(this.#timer, 'refreshWait', TRANSACTION_TIMEOUT)
    }
    this.#start(client)
  }

  /** Tries the refresh again a little later; past the deadline the session is lost. */
  #tryLater(delayMs: number): void {
    this.#refreshTries += 1
    const leftMs = this.#deadlineMs - this.#stack.clock.now()
    if (this.#refreshTries > REFRESH_TRIES_MAX && leftMs <= 0) {
      this.#user.onSessionLost(this, 'expired')
      return
    }
    this.#stack.clock.arm(this.#timer, 'refresh', Math.max(delayMs, 100))
  }

  /** The response to a refresh of ours. */
  onResponse(client: UserAgentClient, response: Response): void {
    this.#stack.faults.active = this.#user
    if (response.status < 200) return
    if (client === this.#byeOut) {
      this.#byeDone(client)
      return
    }
    if (client === this.#probe) {
      this.#probed(response.status !== 481 && response.status !== 408)
      return
    }
    const isInvite = client.request.method === 'INVITE'
    if (client !== this.#refresh) {
      if (isInvite && response.status < 300 && !this.acknowledgeAgain(response)) {
        this.acknowledge(client.request.sequence, '', '')
      }
      return
    }
    this.#refreshDone(isInvite)
    const status = response.status
    if (status < 300) {
      this.#isProven = true
      this.dialog.refreshTarget(response)
      if (isInvite) this.acknowledge(client.request.sequence, '', '')
      this.#startTimer(sessionTimerFrom(response, this.#settings))
    } else if (status === 481 || status === 408) {
      this.#user.onSessionLost(this, 'gone')
    } else if (status === 422) {
      this.#noteMinSe(response)
      this.#tryLater(100)
    } else if (status === 491) {
      // §14.1: the owner of the Call-ID waits 2.1–4 s, the other 0–2 s.
      const ownsCallId = this.dialog.ownsCallId
      const steps = uniform(this.#stack.random, ownsCallId ? 191 : 201)
      this.#tryLater((ownsCallId ? 2_100 : 0) + steps * 10)
    } else {
      if ((status === 405 || status === 501) && !isInvite) this.#peerAllowsUpdate = false
      this.#tryLater(T2)
    }
  }

  /** No response to a refresh of ours: the peer is gone (§12.2.1.2, RFC 4028 §10). */
  onNoResponse(client: UserAgentClient, _why: NoResponse): void {
    this.#stack.faults.active = this.#user
    if (client === this.#byeOut) this.#byeDone(client)
    if (client === this.#probe) this.#probed(false)
    if (client !== this.#refresh) return
    this.#refreshDone(client.request.method === 'INVITE')
    this.#user.onSessionLost(this, 'gone')
  }

  #refreshDone(byInvite: boolean): void {
    this.#refresh = null
    if (!byInvite) return
    this.#stack.clock.cancel(this.#timer)
    this.#inviteOut = null
    this.offer = 'none'
  }

  // ── Pieces ──────────────────────────────────────────────────────────────────────────────────────────────────

  #timerLines(refresher: 'uac' | null): string {
    const minSeS = this.#minSeS
    return askSessionTimer({ sessionExpiresS: Math.max(this.#intervalS, minSeS), minSeS }, refresher)
  }

  /** RFC 4028 §7.4: the next refresh asks for no less than a 422 wants. */
  #noteMinSe(response: Response): void {
    this.#minSeS = Math.max(this.#minSeS, Math.min(minSeOf(response), MIN_SE_S_MAX))
    this.#intervalS = Math.max(this.#intervalS, this.#minSeS)
  }

  #contactLine(flow: Flow): string {
    return `Contact: <${contactUri(this.contactUser, flow)}>\r\n`
  }

  #noteLocalSdp(sdp: string, offer: 'none' | 'local'): void {
    this.#localSdp = sdp
    this.offer = offer
  }
}

const SDP = 'application/sdp'
const SDP_TYPE = 'Content-Type: application/sdp\r\n'
const ALLOW_LINES = `Allow: ${SESSION_METHODS}\r\nSupported: timer\r\n`
