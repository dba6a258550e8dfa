// The Clock port of a process: one timer wheel on the system's monotonic clock, with one system timer for the next deadline.

import { performance } from 'node:perf_hooks'
import { TimerWheel, type TimeSource } from '#host/timer-wheel.ts'

class SystemTime implements TimeSource {
  #wheel: TimerWheel | null = null
  #timeout: NodeJS.Timeout | null = null
  readonly #turn = (): void => {
    this.#timeout = null
    this.#wheel?.turn()
  }

  drive(wheel: TimerWheel): void {
    this.#wheel = wheel
  }

  now(): number {
    return performance.now()
  }

  wallMs(): number {
    return Date.now()
  }

  sleep(): void {
    if (this.#timeout !== null) clearTimeout(this.#timeout)
    this.#timeout = null
  }

  wakeAfter(delayMs: number): void {
    this.sleep()
    if (delayMs === 0) setImmediate(this.#turn)
    else this.#timeout = setTimeout(this.#turn, delayMs)
  }
}

/** The process's clock. `onFault` gets what a timer's owner throws. A process without armed timers is never woken by it. */
export function systemClock(onFault: (error: unknown) => void): TimerWheel {
  const time = new SystemTime()
  const wheel = new TimerWheel(time, onFault)
  time.drive(wheel)
  return wheel
}
