// One request of ours, until its final response: RFC 3261 §8.1, with the next hops of RFC 3263 tried in turn and CANCEL (§9.1).

import { Timer, type TimerOwner } from '#core/clock.ts'
import { endpointText } from '#core/net.ts'
import type { ClientTransaction, ClientTransactionUser } from '#sip/client-transaction.ts'
import type { Flow, Target } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import { InviteClientTransaction } from '#sip/invite-client-transaction.ts'
import type { Response } from '#sip/message.ts'
import { type OutgoingRequest, writeRequest } from '#sip/outgoing-request.ts'
import type { SipStack } from '#sip/stack.ts'
import { TRANSACTION_TIMEOUT } from '#sip/timers.ts'
import type { Uri } from '#sip/uri.ts'

/** Next hops tried for one request. */
export const TARGETS_MAX = 8
/** Hold-down of a target that answered 503 without Retry-After, in seconds. */
const HOLD_DOWN_S = 30
/** Longest hold-down that a Retry-After can ask for, in seconds. */
const HOLD_DOWN_MAX_S = 300

/** Why a request got no response: what a user agent makes of it (§8.1.3.1: 408 for a time-out, 503 for the transport). */
export interface NoResponse {
  readonly status: 408 | 503
  /** Stable code: SIP_TIMEOUT, SIP_TRANSPORT, SIP_UNRESOLVED. */
  readonly code: string
  readonly reason: string
}

/** Who sent the request. Exactly one final response or one `onNoResponse` comes, except for INVITE: 2xx may come again. */
export interface UserAgentClientUser {
  onResponse(client: UserAgentClient, response: Response): void
  onNoResponse(client: UserAgentClient, why: NoResponse): void
}

const TIMED_OUT: NoResponse = { status: 408, code: 'SIP_TIMEOUT', reason: 'No response' }
const CANCELLED: NoResponse = { status: 408, code: 'SIP_CANCELLED', reason: 'Cancelled before it was sent' }

export class UserAgentClient implements ClientTransactionUser, TimerOwner {
  readonly request: OutgoingRequest
  readonly #stack: SipStack
  readonly #user: UserAgentClientUser
  readonly #branchSuffix: string
  readonly #cancelWait = new Timer(this)
  #transaction: ClientTransaction | null = null
  #targets: readonly Target[] = []
  #next = 0
  #cancelHeaders: string | null = null
  #done = false
  /** Whether any response came to the request as it is out now. */
  heard = false

  /** `branchSuffix` goes into the Via branch (loop detection). */
  constructor(stack: SipStack, request: OutgoingRequest, user: UserAgentClientUser, branchSuffix = '') {
    this.#stack = stack
    this.request = request
    this.#user = user
    this.#branchSuffix = branchSuffix
  }

  /** The flow that the request went out on; null before it is sent. */
  get flow(): Flow | null {
    return this.#transaction === null ? null : this.#transaction.flow
  }

  get isDone(): boolean {
    return this.#done
  }

  /** Sends it on a known flow. */
  startOn(flow: Flow): void {
    this.#send(flow)
  }

  /** Finds the next hops of `uri` (RFC 3263) and sends it. */
  startTowards(uri: Uri): void {
    this.#stack.locator.locate(uri, {
      onLocated: (targets, failure) => {
        if (this.#done) return
        if (this.#cancelHeaders !== null) {
          this.#finish(CANCELLED)
          return
        }
        if (targets.length === 0) {
          this.#finish({ status: 503, code: 'SIP_UNRESOLVED', reason: failure ?? `No address for ${uri.host}` })
          return
        }
        this.#targets = targets
        this.#advance({ status: 503, code: 'SIP_TRANSPORT', reason: 'No transport to the next hop' })
      },
    })
  }

  /**
   * Cancels (§9.1): at once when a provisional response has come, else when one comes. The final response is still
   * delivered. `headers` are complete lines (Reason, RFC 3326). Again: nothing.
   */
  cancel(headers: string): void {
    if (this.#done || this.#cancelHeaders !== null) return
    this.#cancelHeaders = headers
    const transaction = this.#transaction
    if (transaction instanceof InviteClientTransaction && transaction.state === 'proceeding')
      this.#sendCancel(transaction)
  }

  /**
   * The owner is over: what may still come (a 2xx again, or of another fork) is ended without it, so that the transaction,
   * which lives for 64·T1 (RFC 6026 §7.2), keeps nothing of the call. Only after the final response.
   */
  release(): void {
    if (!this.#done || this.#transaction === null) return
    this.#transaction.user = this.#stack.lateAnswers
    this.#transaction = null
  }

  get isCancelled(): boolean {
    return this.#cancelHeaders !== null
  }

  onResponse(transaction: ClientTransaction, response: Response): void {
    if (transaction !== this.#transaction) return
    this.heard = true
    if (response.status < 200) {
      if (this.#cancelHeaders !== null && transaction instanceof InviteClientTransaction) this.#sendCancel(transaction)
      this.#user.onResponse(this, response)
      return
    }
    if (response.status === 503 && !this.#done && this.#holdDown(response) && this.#hasNext()) {
      this.#advance(TIMED_OUT)
      return
    }
    this.#done = true
    this.#stack.clock.cancel(this.#cancelWait)
    this.#user.onResponse(this, response)
  }

  onTimeout(transaction: ClientTransaction): void {
    this.#markDead(transaction, HOLD_DOWN_S)
    this.#advance(TIMED_OUT)
  }

  onTransportError(transaction: ClientTransaction, reason: string): void {
    const target = this.#targets[this.#next - 1]
    if (target?.transport === 'udp' && transaction.flow.reliable && !this.heard && this.#cancelHeaders === null) {
      // §18.1.1: it went over TCP for its size alone, which the far side does not speak; UDP is tried after all.
      this.#stack.locator.markDead({ ...target, transport: 'tcp' }, HOLD_DOWN_S * 1_000)
      const flow = this.#stack.layer.transport.flowTo(target)
      if (flow !== null) {
        this.#send(flow)
        return
      }
    }
    this.#markDead(transaction, HOLD_DOWN_S)
    this.#advance({ status: 503, code: 'SIP_TRANSPORT', reason })
  }

  /** 64·T1 after the CANCEL without a final response: the request is over (§9.1). */
  onTimer(_name: string): void {
    if (this.#transaction instanceof InviteClientTransaction) this.#transaction.abandon()
    this.#finish(TIMED_OUT)
  }

  #hasNext(): boolean {
    return this.#cancelHeaders === null && this.#next < Math.min(this.#targets.length, TARGETS_MAX)
  }

  /** Tries the next hop; `otherwise` is the outcome when there is none left. */
  #advance(otherwise: NoResponse): void {
    if (this.#done) return
    while (this.#hasNext()) {
      const target = this.#targets[this.#next]
      this.#next += 1
      if (target === undefined) break
      const flow = this.#stack.layer.transport.flowTo(target)
      if (flow === null || flow.closed) continue
      this.#send(this.#fitting(flow, target))
      return
    }
    this.#finish(otherwise)
  }

  /** §18.1.1: what is too large for UDP goes over TCP when that is possible. */
  #fitting(flow: Flow, target: Target): Flow {
    if (flow.reliable || this.request.body.length + this.request.headers.length < 600) return flow
    const transport = this.#stack.layer.transport
    if (transport.fitsUdp(writeRequest(this.request, flow, '').length + BRANCH_OCTETS)) return flow
    const overTcp: Target = { ...target, transport: 'tcp' }
    if (this.#stack.locator.isDead(overTcp)) return flow
    const reliable = transport.flowTo(overTcp)
    return reliable === null || reliable.closed ? flow : reliable
  }

  #send(flow: Flow): void {
    this.heard = false
    this.#transaction = this.#stack.layer.sendRequest(this.request, flow, this, this.#branchSuffix)
  }

  #sendCancel(transaction: InviteClientTransaction): void {
    this.#stack.layer.sendCancel(transaction, this.#cancelHeaders ?? '')
    if (!this.#cancelWait.armed) this.#stack.clock.arm(this.#cancelWait, 'cancelled', TRANSACTION_TIMEOUT)
  }

  /** Notes a 503 (RFC 3263 §4.3, §21.5.4). True: another hop may be tried. */
  #holdDown(response: Response): boolean {
    const match = /^\d{1,6}/.exec(response.header(HeaderId.retryAfter) ?? '')
    const seconds = match === null ? HOLD_DOWN_S : Math.min(Number(match[0]), HOLD_DOWN_MAX_S)
    if (this.#transaction !== null && seconds > 0 && this.#targets.length > 1)
      this.#markDead(this.#transaction, seconds)
    return true
  }

  #markDead(transaction: ClientTransaction, seconds: number): void {
    const target = this.#targets[this.#next - 1]
    if (target === undefined || endpointText(target.endpoint) !== endpointText(transaction.flow.remote)) return
    this.#stack.locator.markDead(target, seconds * 1_000)
  }

  #finish(why: NoResponse): void {
    if (this.#done) return
    this.#done = true
    this.#stack.clock.cancel(this.#cancelWait)
    this.#user.onNoResponse(this, why)
  }
}

/** Octets of a branch of ours, which is not known yet when the size of a request is. */
const BRANCH_OCTETS = 32
