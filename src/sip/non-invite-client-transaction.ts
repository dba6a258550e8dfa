// Non-INVITE client transaction: RFC 3261 §17.1.2.

import { assert } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import { ClientTransaction } from '#sip/client-transaction.ts'
import type { Flow } from '#sip/flow.ts'
import type { Response } from '#sip/message.ts'
import { T1, T2, T4, TRANSACTION_TIMEOUT } from '#sip/timers.ts'

type State = 'trying' | 'proceeding' | 'completed' | 'terminated'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  trying: ['proceeding', 'completed', 'terminated'],
  proceeding: ['completed', 'terminated'],
  completed: ['terminated'],
  terminated: [],
}

export class NonInviteClientTransaction extends ClientTransaction implements TimerOwner {
  state: State = 'trying'
  readonly #retransmit = new Timer(this)
  readonly #lifetime = new Timer(this)
  #intervalMs = T1

  protected armInitial(): void {
    const clock = this.layer.clock
    if (!this.flow.reliable) clock.arm(this.#retransmit, 'E', T1)
    clock.arm(this.#lifetime, 'F', TRANSACTION_TIMEOUT)
  }

  get isWaiting(): boolean {
    return this.state === 'trying' || this.state === 'proceeding'
  }

  receive(response: Response): void {
    switch (this.state) {
      case 'trying':
      case 'proceeding':
        if (response.status >= 200) this.#enter('completed')
        else if (this.state === 'trying') this.#enter('proceeding')
        this.user.onResponse(this, response)
        return
      case 'completed': // Absorbed until timer K.
      case 'terminated':
        return
      default:
        this.state satisfies never
    }
  }

  /** Gives up: only for a process that stops. */
  abandon(): void {
    if (this.state !== 'terminated') this.#enter('terminated')
  }

  onTimer(name: string): void {
    if (name === 'E') {
      this.resend()
      // §17.1.2.2: doubling to T2 in 'trying', T2 in 'proceeding'.
      this.#intervalMs = this.state === 'proceeding' ? T2 : Math.min(this.#intervalMs * 2, T2)
      this.layer.clock.arm(this.#retransmit, 'E', this.#intervalMs)
      return
    }
    this.#enter('terminated')
    if (name === 'F') this.user.onTimeout(this)
  }

  onFlowClosed(_flow: Flow, reason: string): void {
    if (this.state !== 'trying' && this.state !== 'proceeding') return
    this.#enter('terminated')
    this.user.onTransportError(this, reason)
  }

  #enter(next: State): void {
    assert(NEXT[this.state].includes(next), `non-INVITE client transaction ${this.state} -> ${next}`)
    this.state = next
    if (next === 'proceeding') return // Timers E and F go on.
    const clock = this.layer.clock
    clock.cancel(this.#retransmit)
    clock.cancel(this.#lifetime)
    if (this.flow.reliable) this.flow.unwatch(this)
    this.text = ''
    this.request = null
    if (next === 'completed') clock.arm(this.#lifetime, 'K', this.flow.reliable ? 0 : T4)
    else this.layer.onClientTerminated(this)
  }
}
