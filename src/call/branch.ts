// One INVITE of a call towards one target, with the early dialogs that its responses make (RFC 3261 §13.2.2, §16.7).

import type { CalleeTarget } from '#call/call-host.ts'
import { assert } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { FaultOwner } from '#core/fault-scope.ts'
import type { Response } from '#sip/message.ts'
import type { OutgoingRequest } from '#sip/outgoing-request.ts'
import type { Session } from '#sip/session.ts'
import type { SessionTimerSettings } from '#sip/session-timer.ts'
import type { SipStack } from '#sip/stack.ts'
import { parseUri } from '#sip/uri.ts'
import { type NoResponse, UserAgentClient, type UserAgentClientUser } from '#sip/user-agent-client.ts'

/** Early dialogs of one branch; downstream forks beyond are not followed. */
export const EARLY_DIALOGS_MAX = 12
/** Without any response a target is given up after this, when there is another one to try. */
export const NO_RESPONSE_MS = 5_000

/** The two dialogs that belong together: what the caller sees of one fork, and the fork. */
export interface Pair {
  readonly inbound: Session
  readonly outbound: Session
  /** The fork that the callee's dialog came from. */
  /** Null in a call that an earlier process answered. */
  readonly branch: Branch | null
  /** For the media port: 1, 2 … in order of appearance. */
  readonly number: number
  /** RSeq of the last reliable provisional response in order (RFC 3262 §4), or 0. */
  remoteRseq: number
  /** Whether a reliable provisional response has carried the callee's description: one in the 2xx repeats it (RFC 6337 §2.2). */
  isDescribed: boolean
  /** RSeq values of the callee whose PRACK the caller owes, in the order of what it was sent; 0: ours alone. */
  readonly racks: number[]
}

/** What the branch tells its call. */
export interface BranchOwner extends FaultOwner {
  readonly stack: SipStack
  onBranchProgress(branch: Branch, response: Response): void
  /** A 2xx; again when it is retransmitted. */
  onBranchAnswer(branch: Branch, response: Response): void
  /** The final failure, once. `response` is null when there was none. */
  onBranchFailed(branch: Branch, status: number, response: Response | null, code: string): void
}

type State = 'trying' | 'proceeding' | 'answered' | 'failed'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  trying: ['proceeding', 'answered', 'failed'],
  proceeding: ['answered', 'failed'],
  answered: [],
  failed: [],
}

export class Branch implements UserAgentClientUser, TimerOwner {
  state: State = 'trying'
  readonly target: CalleeTarget
  readonly client: UserAgentClient
  /** What its INVITE asks for (RFC 4028 §7.1). */
  readonly timer: SessionTimerSettings
  /** By the callee's tag. */
  readonly pairs = new Map<string, Pair>()
  readonly #owner: BranchOwner
  readonly #silence = new Timer(this)

  constructor(
    owner: BranchOwner,
    target: CalleeTarget,
    request: OutgoingRequest,
    loopMark: string,
    timer: SessionTimerSettings,
  ) {
    this.#owner = owner
    this.target = target
    this.timer = timer
    this.client = new UserAgentClient(owner.stack, request, this, loopMark)
  }

  get isOpen(): boolean {
    return this.state === 'trying' || this.state === 'proceeding'
  }

  /** Whether it may still answer the call: open, and not taken back. */
  get isLive(): boolean {
    return this.isOpen && !this.client.isCancelled
  }

  /** Sends the INVITE. `hasAlternative`: silence for {@link NO_RESPONSE_MS} is a failure. */
  start(hasAlternative: boolean): void {
    const flow = this.target.flow
    if (hasAlternative) this.#owner.stack.clock.arm(this.#silence, 'silence', NO_RESPONSE_MS)
    if (flow !== null && !flow.closed) {
      this.client.startOn(flow)
      return
    }
    const uri = parseUri(this.target.nextHop)
    if (uri === null || !uri.isSip) {
      this.#fail(503, null, 'SIP_UNRESOLVED')
      return
    }
    this.client.startTowards(uri)
  }

  /** Takes the INVITE back (§9.1); `headers` are Reason lines. */
  cancel(headers: string): void {
    if (!this.isOpen) return
    this.client.cancel(headers)
  }

  onResponse(_client: UserAgentClient, response: Response): void {
    this.#owner.stack.faults.active = this.#owner
    this.#owner.stack.clock.cancel(this.#silence)
    if (response.status >= 200 && response.status < 300) {
      if (this.isOpen) this.#enter('answered')
      this.#owner.onBranchAnswer(this, response)
      return
    }
    if (!this.isOpen) return
    if (response.status < 200) {
      if (this.state === 'trying') this.#enter('proceeding')
      if (response.status > 100) this.#owner.onBranchProgress(this, response)
      return
    }
    this.#fail(response.status, response, 'SIP_FINAL')
  }

  onNoResponse(_client: UserAgentClient, why: NoResponse): void {
    if (this.isOpen) this.#fail(why.status, null, why.code)
  }

  /** Silence: the target is given up; should it answer after all, the client cancels. */
  onTimer(_name: string): void {
    this.#owner.stack.faults.active = this.#owner
    if (!this.isOpen || this.client.heard) return
    this.#fail(408, null, 'SIP_TIMEOUT')
    this.client.cancel('')
  }

  /** Lets the timer go; the client ends by itself. */
  release(): void {
    this.#owner.stack.clock.cancel(this.#silence)
  }

  /** The call is over: its transaction goes on without it. */
  detach(): void {
    this.client.release()
  }

  #fail(status: number, response: Response | null, code: string): void {
    this.#owner.stack.clock.cancel(this.#silence)
    this.#enter('failed')
    this.#owner.onBranchFailed(this, status, response, code)
  }

  #enter(next: State): void {
    assert(NEXT[this.state].includes(next), `branch ${this.state} -> ${next}`)
    this.state = next
  }
}
