// Notices from a gateway to its switches, fetched by the command `carillon events`: a bounded ring with numbers.

import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter, Counters } from '#core/counters.ts'

/** Notices that are kept for those who have not fetched them. */
export const EVENTS_MAX = 4096
/** Notices in one reply, so that it fits a datagram. */
const BATCH_MAX = 64
/** Fetchers that wait at a time; one more lets the oldest go with nothing. */
const WAITING_MAX = 16
/** The longest wait. */
export const EVENT_WAIT_MAX_MS = 30_000

/** One notice. `sequence` counts from 1 for each start of the gateway. */
export interface GatewayEvent {
  readonly sequence: number
  /** What happened: `media timeout`, `media silent`, `call removed`, `dtmf`, `fax`, `playback ended`. */
  readonly event: string
  readonly callId: string
  readonly tag: string
  /** What else is told; keys as the ng protocol spells them. */
  readonly details: Readonly<Record<string, string | number>>
}

/** What a fetcher gets. */
export interface EventBatch {
  readonly events: readonly GatewayEvent[]
  /** What to ask `after` next time. */
  readonly last: number
  /** Notices that were dropped because nobody fetched them in time. */
  readonly lost: number
}

class Waiter implements TimerOwner {
  readonly after: number
  readonly reply: (batch: EventBatch) => void
  readonly timer: Timer
  readonly #queue: EventQueue

  constructor(queue: EventQueue, after: number, reply: (batch: EventBatch) => void) {
    this.#queue = queue
    this.after = after
    this.reply = reply
    this.timer = new Timer(this)
  }

  onTimer(): void {
    this.#queue.answer(this)
  }
}

/**
 * The queue. It keeps nothing about who fetches: each fetcher says what it had last, so a repeated or lost reply costs
 * nothing and several switches may listen.
 */
export class EventQueue {
  readonly #clock: Clock
  readonly #events: GatewayEvent[] = []
  readonly #waiters = new Set<Waiter>()
  readonly #dropped: Counter
  #head = 0
  #last = 0

  constructor(clock: Clock, counters: Counters) {
    this.#clock = clock
    this.#dropped = counters.counter('carillon_media_events_dropped_total', 'Notices that nobody fetched in time.')
  }

  /** The number of the last notice. */
  get last(): number {
    return this.#last
  }

  /** Fetchers that wait. */
  get waiting(): number {
    return this.#waiters.size
  }

  /** Adds a notice and wakes who waits for it. */
  push(event: string, callId: string, tag: string, details: GatewayEvent['details'] = {}): void {
    this.#last += 1
    const notice = { sequence: this.#last, event, callId, tag, details }
    if (this.#events.length < EVENTS_MAX) {
      this.#events.push(notice)
    } else {
      this.#events[this.#head] = notice
      this.#head = (this.#head + 1) % EVENTS_MAX
      this.#dropped.add()
    }
    for (const waiter of [...this.#waiters]) this.answer(waiter)
  }

  /**
   * Calls `reply` once: at once when there are notices after number `after`, else when there is one or after `waitMs`. A
   * number from the future (the gateway was started again) is taken as 0.
   */
  fetch(after: number, waitMs: number, reply: (batch: EventBatch) => void): void {
    const from = after > this.#last || after < 0 ? 0 : after
    const waiter = new Waiter(this, from, reply)
    this.#waiters.add(waiter)
    if (from < this.#last || waitMs <= 0) {
      this.answer(waiter)
      return
    }
    this.#clock.arm(waiter.timer, 'events', Math.min(waitMs, EVENT_WAIT_MAX_MS))
    const [oldest] = this.#waiters
    if (this.#waiters.size > WAITING_MAX && oldest !== undefined) this.answer(oldest)
  }

  /** Lets all fetchers go. */
  close(): void {
    for (const waiter of [...this.#waiters]) this.answer(waiter)
  }

  /** Answers one fetcher with what there is. Called by its timer. */
  answer(waiter: Waiter): void {
    if (!this.#waiters.delete(waiter)) return
    this.#clock.cancel(waiter.timer)
    const oldest = this.#last - this.#events.length
    const from = Math.max(waiter.after, oldest)
    const count = Math.min(this.#last - from, BATCH_MAX)
    const events: GatewayEvent[] = []
    for (let i = 0; i < count; i++) {
      const event = this.#events[(this.#head + from - oldest + i) % this.#events.length]
      if (event !== undefined) events.push(event)
    }
    waiter.reply({ events, last: from + count, lost: from - waiter.after })
  }
}
