// The Log port of one simulated process: keeps the last events, counts all, and stops the world at those that only we can cause.

import type { Clock } from '#core/clock.ts'
import type { Fields, Log, LogLevel } from '#core/log.ts'

const KEPT_MAX = 500

export interface LogEvent {
  readonly atMs: number
  readonly level: LogLevel
  readonly code: string
  readonly fields: Fields
}

export class CollectingLog implements Log {
  /** How often each code came, at any level. */
  readonly counts = new Map<string, number>()
  readonly #clock: Pick<Clock, 'now'>
  readonly #watch: (event: LogEvent) => void
  #kept: LogEvent[] = []

  constructor(clock: Pick<Clock, 'now'>, watch: (event: LogEvent) => void = () => {}) {
    this.#clock = clock
    this.#watch = watch
  }

  /** The last events, oldest first. */
  get recent(): readonly LogEvent[] {
    return this.#kept
  }

  event(level: LogLevel, code: string, fields: Fields): void {
    const event = { atMs: this.#clock.now(), level, code, fields }
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1)
    this.#kept.push(event)
    if (this.#kept.length >= 2 * KEPT_MAX) this.#kept = this.#kept.slice(-KEPT_MAX)
    this.#watch(event)
  }
}
