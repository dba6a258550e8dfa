// The Clock port of one simulated process: its own origin and wall clock over the shared virtual time.

import type { Clock } from '#core/clock.ts'
import { Timer } from '#core/clock.ts'
import type { Task, TimerAccount } from '#sim/virtual-time.ts'
import { VirtualTime } from '#sim/virtual-time.ts'

/** 2026-01-01T00:00:00Z: where wall time begins in every world. */
const WALL_ORIGIN_MS = Date.UTC(2026, 0, 1)

/** A clock that lives as long as its process. Alone (`new VirtualClock()`) it is a clock for unit tests. */
export class VirtualClock implements Clock, TimerAccount {
  readonly time: VirtualTime
  /** Timers armed now. */
  armed = 0
  /** What this machine's wall clock is wrong by; may change at any moment, as when NTP steps it. */
  wallErrorMs = 0
  readonly #originMs: number
  #stopped = false

  /** @param originMs what `now` is at the beginning of the world: a whole number, so that sums stay exact. */
  constructor(time = new VirtualTime(), originMs = 0) {
    this.time = time
    this.#originMs = originMs
  }

  now(): number {
    return this.time.nowMs + this.#originMs
  }

  wallMs(): number {
    return Math.floor(WALL_ORIGIN_MS + this.time.nowMs + this.wallErrorMs)
  }

  arm(timer: Timer, name: string, delayMs: number): void {
    if (this.#stopped) return
    timer.name = name
    timer.deadlineMs = this.time.arm(timer, this, delayMs) + this.#originMs
  }

  cancel(timer: Timer): void {
    this.time.cancel(timer)
  }

  /** Names of the timers armed now, sorted. */
  armedNames(): string[] {
    return this.time.namesOf(this)
  }

  /** Calls `run` after `delayMs` unless the process dies before. */
  after(delayMs: number, run: () => void): Task {
    const timer = new Timer({ onTimer: run })
    this.arm(timer, 'task', delayMs)
    return { cancel: () => this.cancel(timer) }
  }

  /** The process is gone: nothing of it fires any more. */
  stop(): void {
    this.#stopped = true
    this.time.cancelAll(this)
  }

  step(): boolean {
    return this.time.step()
  }

  runUntil(untilMs: number): void {
    this.time.runUntil(untilMs - this.#originMs)
  }

  runUntilIdle(limits: { limitMs: number }): boolean {
    return this.time.runUntilIdle(limits)
  }
}
