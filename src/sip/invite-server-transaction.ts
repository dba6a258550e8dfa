// INVITE server transaction: RFC 3261 §17.2.1 as amended by RFC 6026 §7.1.

import { assert } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Flow } from '#sip/flow.ts'
import type { Request } from '#sip/message.ts'
import { ServerTransaction, type ServerTransactionLayer } from '#sip/server-transaction.ts'
import { T1, T2, T4, TRANSACTION_TIMEOUT } from '#sip/timers.ts'

type State = 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  proceeding: ['accepted', 'completed', 'terminated'],
  accepted: ['terminated'],
  completed: ['confirmed', 'terminated'],
  confirmed: ['terminated'],
  terminated: [],
}

/** Who answers an INVITE. */
export interface InviteServerUser {
  /** A CANCEL for it arrived and has been answered (§9.2). */
  onCancel(transaction: InviteServerTransaction, cancel: Request): void
  /** Timer H: no ACK for a non-2xx final response (§17.2.1). The transaction is over. */
  onNoAck(transaction: InviteServerTransaction): void
}

export class InviteServerTransaction extends ServerTransaction implements TimerOwner {
  state: State = 'proceeding'
  /** Set by the transaction user that takes it. */
  user: InviteServerUser | null = null
  readonly #retransmit = new Timer(this)
  readonly #lifetime = new Timer(this)
  #intervalMs = T1
  /** Whether the final response is sent again by timer G. */
  #repeats = true
  #last = ''

  constructor(
    layer: ServerTransactionLayer,
    key: string,
    mergeKey: string,
    request: Request,
    flow: Flow,
    toTag: string,
  ) {
    super(layer, key, mergeKey, request, flow, toTag)
  }

  override refuse(status: number, reason?: string, headers = ''): void {
    this.#repeats = false
    super.refuse(status, reason, headers)
  }

  receive(request: Request): void {
    switch (this.state) {
      case 'proceeding': // §17.2.1: a retransmission gets the last provisional response again.
        if (request.method === 'INVITE') this.#resend()
        return
      case 'completed':
        if (request.method === 'ACK') this.#enter('confirmed')
        else this.#resend()
        return
      case 'accepted': // RFC 6026 §7.1: the INVITE is absorbed. (The layer hands an ACK up.)
      case 'confirmed':
      case 'terminated':
        return
      default:
        this.state satisfies never
    }
  }

  /** Whether a final response was sent. */
  get isAnswered(): boolean {
    return this.state !== 'proceeding'
  }

  protected send(status: number, text: string): void {
    assert(this.state === 'proceeding', `response ${status} in ${this.state}`)
    this.transmit(status, text)
    this.#last = status < 300 && status >= 200 ? '' : text
    if (status >= 300) this.#enter('completed')
    else if (status >= 200) this.#enter('accepted')
  }

  /** Sends a 2xx again (§13.3.1.4); nothing once the transaction has ended. */
  resend2xx(text: string): void {
    if (this.state === 'accepted') this.retransmit(text)
  }

  /** Ends it without an answer: only for a process that stops. */
  abandon(): void {
    if (this.state !== 'terminated') this.#enter('terminated')
  }

  onTimer(name: string): void {
    if (name === 'G') {
      this.#resend()
      this.#intervalMs = Math.min(this.#intervalMs * 2, T2)
      this.layer.clock.arm(this.#retransmit, 'G', this.#intervalMs)
      return
    }
    const timedOut = name === 'H'
    this.#enter('terminated')
    if (timedOut) this.user?.onNoAck(this)
  }

  #resend(): void {
    if (this.#last !== '') this.retransmit(this.#last)
  }

  #enter(next: State): void {
    assert(NEXT[this.state].includes(next), `INVITE server transaction ${this.state} -> ${next}`)
    this.state = next
    const clock = this.layer.clock
    clock.cancel(this.#retransmit)
    clock.cancel(this.#lifetime)
    if (next === 'accepted') {
      this.releaseRequest()
      clock.arm(this.#lifetime, 'L', TRANSACTION_TIMEOUT)
    } else if (next === 'completed') {
      clock.arm(this.#lifetime, 'H', TRANSACTION_TIMEOUT)
      if (!this.reliable && this.#repeats) clock.arm(this.#retransmit, 'G', this.#intervalMs)
    } else if (next === 'confirmed') {
      this.releaseRequest()
      this.#last = ''
      clock.arm(this.#lifetime, 'I', this.reliable ? 0 : T4)
    } else if (next === 'terminated') {
      this.#last = ''
      this.layer.onServerTerminated(this)
    }
  }
}
