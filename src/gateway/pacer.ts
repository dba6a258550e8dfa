// The beat of everything that is made and not passed on: 20 ms ticks, while somebody needs them.

import { type Clock, Timer } from '#core/clock.ts'

/** One tick, in milliseconds. */
export const TICK_MS = 20
/** Ticks made up for at once after the thread was held up; more are left out. */
const BEHIND_TICKS_MAX = 5

/** Who is called on every tick. */
export interface Paced {
  onTick(tick: number, nowMs: number): void
}

/** One beat for all of a plane. */
export class Pacer {
  readonly #clock: Clock
  readonly #paced = new Set<Paced>()
  readonly #timer = new Timer(this)
  #tick = 0
  #dueMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Who is called now. */
  get size(): number {
    return this.#paced.size
  }

  add(paced: Paced): void {
    this.#paced.add(paced)
    if (this.#timer.armed) return
    this.#dueMs = this.#clock.now() + TICK_MS
    this.#clock.arm(this.#timer, 'tick', TICK_MS)
  }

  remove(paced: Paced): void {
    this.#paced.delete(paced)
    if (this.#paced.size === 0) this.#clock.cancel(this.#timer)
  }

  onTimer(_name: string): void {
    const nowMs = this.#clock.now()
    const behind = Math.floor((nowMs - this.#dueMs) / TICK_MS)
    if (behind > BEHIND_TICKS_MAX) this.#dueMs += (behind - BEHIND_TICKS_MAX) * TICK_MS
    this.#dueMs += TICK_MS
    this.#tick++
    for (const paced of this.#paced) paced.onTick(this.#tick, nowMs)
    if (this.#paced.size > 0) this.#clock.arm(this.#timer, 'tick', Math.max(0, this.#dueMs - this.#clock.now()))
  }
}
