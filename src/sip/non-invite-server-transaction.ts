// Non-INVITE server transaction: RFC 3261 §17.2.2 as amended by RFC 4320.

import { assert } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Request } from '#sip/message.ts'
import { ServerTransaction } from '#sip/server-transaction.ts'
import { TRANSACTION_TIMEOUT } from '#sip/timers.ts'

type State = 'trying' | 'proceeding' | 'completed' | 'terminated'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  trying: ['proceeding', 'completed', 'terminated'],
  proceeding: ['completed', 'terminated'],
  completed: ['terminated'],
  terminated: [],
}

export class NonInviteServerTransaction extends ServerTransaction implements TimerOwner {
  state: State = 'trying'
  readonly #lifetime = new Timer(this)
  #last = ''

  receive(_request: Request): void {
    switch (this.state) {
      case 'trying': // §17.2.2: retransmissions are discarded.
      case 'terminated':
        return
      case 'proceeding':
      case 'completed':
        this.retransmit(this.#last)
        return
      default:
        this.state satisfies never
    }
  }

  protected send(status: number, text: string): void {
    assert(this.state === 'trying' || this.state === 'proceeding', `response ${status} in ${this.state}`)
    // RFC 4320 §4.1: no provisional response but 100, and that not before T2 has passed; our users send none.
    assert(status >= 200 || status === 100, `provisional ${status} to ${this.method}`)
    this.transmit(status, text)
    this.#last = text
    if (status >= 200) this.#enter('completed')
    else if (this.state === 'trying') this.#enter('proceeding')
  }

  /** Without state (§8.2.7, §26.3.2.4): a copy of the request is answered anew, and costs a stranger's victim no memory. */
  override refuse(status: number, reason?: string, headers = ''): void {
    this.respond(status, reason, headers, '', this.layer.statelessTag(this.request))
    if (this.state === 'completed') this.#enter('terminated')
  }

  /** Whether a final response was sent. */
  get isAnswered(): boolean {
    return this.state === 'completed' || this.state === 'terminated'
  }

  /** Ends it without an answer (RFC 4320 §4.2: a late 408 is of no use to anybody). */
  abandon(): void {
    if (this.state !== 'terminated') this.#enter('terminated')
  }

  onTimer(_name: string): void {
    this.#enter('terminated') // Timer J.
  }

  #enter(next: State): void {
    assert(NEXT[this.state].includes(next), `non-INVITE server transaction ${this.state} -> ${next}`)
    this.state = next
    const clock = this.layer.clock
    if (next === 'completed') {
      this.releaseRequest()
      clock.arm(this.#lifetime, 'J', this.reliable ? 0 : TRANSACTION_TIMEOUT)
    } else if (next === 'terminated') {
      clock.cancel(this.#lifetime)
      this.#last = ''
      this.layer.onServerTerminated(this)
    }
  }
}
