// INVITE client transaction: RFC 3261 §17.1.1 as amended by RFC 6026 §7.2.

import { assert, present } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import { ClientTransaction, type ClientTransactionLayer, type ClientTransactionUser } from '#sip/client-transaction.ts'
import type { Flow } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Response } from '#sip/message.ts'
import { type OutgoingRequest, writeCancel, writeHopAck } from '#sip/outgoing-request.ts'
import { T1, TIMER_D, TRANSACTION_TIMEOUT } from '#sip/timers.ts'

type State = 'calling' | 'proceeding' | 'accepted' | 'completed' | 'terminated'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  calling: ['proceeding', 'accepted', 'completed', 'terminated'],
  proceeding: ['accepted', 'completed', 'terminated'],
  accepted: ['terminated'],
  completed: ['terminated'],
  terminated: [],
}

export class InviteClientTransaction extends ClientTransaction implements TimerOwner {
  state: State = 'calling'
  readonly #retransmit = new Timer(this)
  readonly #lifetime = new Timer(this)
  #intervalMs = T1
  #ack = ''

  constructor(
    layer: ClientTransactionLayer,
    user: ClientTransactionUser,
    request: OutgoingRequest,
    flow: Flow,
    branch: string,
  ) {
    super(layer, user, request, flow, branch)
  }

  protected armInitial(): void {
    const clock = this.layer.clock
    if (!this.flow.reliable) clock.arm(this.#retransmit, 'A', T1)
    clock.arm(this.#lifetime, 'B', TRANSACTION_TIMEOUT)
  }

  get isWaiting(): boolean {
    return this.state === 'calling' || this.state === 'proceeding'
  }

  receive(response: Response): void {
    const status = response.status
    switch (this.state) {
      case 'calling':
      case 'proceeding':
        if (status < 200) {
          if (this.state === 'calling') this.#enter('proceeding')
        } else if (status < 300) {
          this.#enter('accepted')
        } else {
          this.#acknowledge(response)
          this.#enter('completed')
        }
        this.user.onResponse(this, response)
        return
      case 'accepted': // RFC 6026 §7.2: any 2xx goes up; all else is dropped.
        if (status >= 200 && status < 300) this.user.onResponse(this, response)
        return
      case 'completed': // §17.1.1.2: a retransmitted final response gets the ACK again.
        if (status >= 300) this.flow.send(this.#ack)
        return
      case 'terminated':
        return
      default:
        this.state satisfies never
    }
  }

  /** The text of the CANCEL for this request (§9.1). Only in 'proceeding'. */
  cancelText(headers: string): string {
    return writeCancel(present(this.request, 'request'), this.flow, this.branch, headers)
  }

  /** Gives up waiting for a final response: 64·T1 after a CANCEL (§9.1), or a process that stops. */
  abandon(): void {
    if (this.state !== 'terminated') this.#enter('terminated')
  }

  onTimer(name: string): void {
    if (name === 'A') {
      this.resend()
      this.#intervalMs *= 2
      this.layer.clock.arm(this.#retransmit, 'A', this.#intervalMs)
      return
    }
    this.#enter('terminated')
    if (name === 'B') this.user.onTimeout(this)
  }

  onFlowClosed(_flow: Flow, reason: string): void {
    if (this.state !== 'calling' && this.state !== 'proceeding') return
    this.#enter('terminated')
    this.user.onTransportError(this, reason)
  }

  #acknowledge(response: Response): void {
    const to = response.header(HeaderId.to) ?? ''
    this.#ack = writeHopAck(present(this.request, 'request'), this.flow, this.branch, to)
    this.flow.send(this.#ack)
    this.layer.onRequestSent('ACK')
  }

  #enter(next: State): void {
    assert(NEXT[this.state].includes(next), `INVITE client transaction ${this.state} -> ${next}`)
    this.state = next
    const clock = this.layer.clock
    clock.cancel(this.#retransmit)
    clock.cancel(this.#lifetime)
    this.text = ''
    if (next === 'proceeding') return // The transaction user bounds the wait (timer C, no answer).
    if (this.flow.reliable) this.flow.unwatch(this)
    this.request = null
    if (next === 'accepted') clock.arm(this.#lifetime, 'M', TRANSACTION_TIMEOUT)
    else if (next === 'completed') clock.arm(this.#lifetime, 'D', this.flow.reliable ? 0 : TIMER_D)
    else {
      this.#ack = ''
      this.layer.onClientTerminated(this)
    }
  }
}
