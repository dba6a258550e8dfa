// Keeps many flows open by a double CRLF in turn: RFC 5626 §3.5.1, §4.4.1; RFC 4787 REQ-5 for how often.
// One timer for all of them: a million registrations behind NATs cost a list element each.

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import type { Ports } from '#core/ports.ts'
import type { Flow } from '#sip/flow.ts'

/** NATs that forget a UDP mapping after 30 s are common (RFC 4787 §4.3 asks for 120 s). */
export const KEEP_ALIVE_MS = 25_000
/** Flows kept open; those beyond are not, and counted. */
export const KEPT_FLOWS_MAX = 2_000_000
/** The work is spread over the interval in steps of this length. */
const STEP_MS = 100

/** One flow that is kept open; what `add` gave is what `remove` takes. */
export class KeptFlow {
  readonly flow: Flow
  readonly demandsPong: boolean
  previous: KeptFlow | null = null
  next: KeptFlow | null = null
  kept = false

  constructor(flow: Flow, demandsPong: boolean) {
    this.flow = flow
    this.demandsPong = demandsPong
  }
}

export class KeepAlive implements TimerOwner {
  readonly #ports: Ports
  readonly #intervalMs: number
  readonly #timer = new Timer(this)
  // A ring: #at is the next one due.
  #at: KeptFlow | null = null
  #size = 0
  /** What is due and not sent yet, as a fraction of a flow. */
  #due = 0
  readonly #sent: Counter
  readonly #refused: Counter

  /** @param intervalMs each flow is sent to once in this time */
  constructor(ports: Ports, intervalMs: number = KEEP_ALIVE_MS) {
    this.#ports = ports
    this.#intervalMs = intervalMs
    this.#sent = ports.counters.counter('carillon_sip_keep_alives_sent_total', 'Keep-alives sent.')
    this.#refused = ports.counters.counter('carillon_sip_keep_alives_refused_total', 'Flows above the bound.')
    ports.counters.gauge('carillon_sip_kept_flows', 'Flows kept open by keep-alives.', () => this.#size)
  }

  get size(): number {
    return this.#size
  }

  /** Keeps `flow` open from now on; the first keep-alive goes out within the interval. `demandsPong`: see {@link Flow.keepAlive}. */
  add(flow: Flow, demandsPong: boolean): KeptFlow {
    const one = new KeptFlow(flow, demandsPong)
    if (this.#size >= KEPT_FLOWS_MAX) {
      this.#refused.add()
      return one
    }
    one.kept = true
    this.#size += 1
    // The new one comes last: just before the next one due.
    const next = this.#at ?? one
    const previous = next.previous ?? one
    one.next = next
    one.previous = previous
    previous.next = one
    next.previous = one
    this.#at = next
    if (!this.#timer.armed) this.#ports.clock.arm(this.#timer, 'step', STEP_MS)
    return one
  }

  remove(one: KeptFlow): void {
    const { previous, next } = one
    if (!one.kept || previous === null || next === null) return
    one.kept = false
    one.previous = null
    one.next = null
    this.#size -= 1
    if (next === one) {
      this.#at = null
      this.#due = 0
      this.#ports.clock.cancel(this.#timer)
      return
    }
    previous.next = next
    next.previous = previous
    if (this.#at === one) this.#at = next
  }

  /** Lets go of all. */
  stop(): void {
    while (this.#at !== null) this.remove(this.#at)
  }

  onTimer(_name: string): void {
    this.#ports.clock.arm(this.#timer, 'step', STEP_MS)
    this.#due += (this.#size * STEP_MS) / this.#intervalMs
    for (; this.#due >= 1 && this.#at !== null; this.#due -= 1) {
      const one: KeptFlow = this.#at
      this.#at = one.next
      if (one.flow.closed) {
        this.remove(one)
        continue
      }
      this.#sent.add()
      // Last, because it may end the flow.
      one.flow.keepAlive(one.demandsPong)
    }
  }
}
