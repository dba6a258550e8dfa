// The loop of a media thread: packets, timers and orders in turn, blocking in epoll_wait between them. Nothing else runs in the thread.

import { performance } from 'node:perf_hooks'
import type { EpollSockets } from '#host/epoll-sockets.ts'
import { TimerWheel, type TimeSource } from '#host/timer-wheel.ts'

/** The longest wait for packets, in milliseconds: the thread's own event loop gets its turn then. */
const WAIT_MS_MAX = 100
/** How long the loop goes on before the event loop of the thread gets a turn, in milliseconds. */
const SLICE_MS = 200

/** Time of the loop: the wheel's wake-up bounds the wait for packets. */
class LoopTime implements TimeSource {
  wakeMs = Number.POSITIVE_INFINITY
  onWake: (() => void) | null = null
  readonly #sockets: EpollSockets

  constructor(sockets: EpollSockets) {
    this.#sockets = sockets
  }

  /** Whether packets are being served: one reading of the clock is for all that came together. */
  serving = false

  now(): number {
    return this.serving ? this.#sockets.wokenMs : performance.now()
  }

  wallMs(): number {
    return Date.now()
  }

  wakeAfter(delayMs: number): void {
    this.wakeMs = performance.now() + delayMs
    this.onWake?.()
  }

  sleep(): void {
    this.wakeMs = Number.POSITIVE_INFINITY
  }
}

/** What the loop takes orders from. */
export interface LoopOrders {
  /** Takes what has come; called on every turn, so it has to be quick when there is nothing. */
  take(): void
}

/** Runs sockets and timers of one thread. */
export class MediaLoop {
  readonly clock: TimerWheel
  readonly #time: LoopTime
  readonly #sockets: EpollSockets
  readonly #orders: LoopOrders
  #planned = false
  #stopped = false
  readonly #run = (): void => {
    this.#planned = false
    this.#slice()
  }

  /** `onFault` gets what a timer's owner throws. */
  constructor(sockets: EpollSockets, orders: LoopOrders, onFault: (error: unknown) => void) {
    this.#sockets = sockets
    this.#orders = orders
    this.#time = new LoopTime(sockets)
    this.clock = new TimerWheel(this.#time, onFault)
    this.#time.onWake = () => this.start()
  }

  /** Goes on until there are no sockets and no timers; to be called again when an order came. */
  start(): void {
    if (this.#planned || this.#stopped) return
    this.#planned = true
    setImmediate(this.#run)
  }

  stop(): void {
    this.#stopped = true
  }

  #slice(): void {
    const endsMs = performance.now() + SLICE_MS
    const sockets = this.#sockets
    const time = this.#time
    this.#planned = true
    let nowMs = performance.now()
    while (!this.#stopped && nowMs < endsMs) {
      if (this.#idle) break
      const waitMs = sockets.pending ? 0 : Math.ceil(Math.min(time.wakeMs - nowMs, WAIT_MS_MAX))
      time.serving = true
      const packets = sockets.turn(Math.max(0, waitMs))
      time.serving = false
      const wokenMs = performance.now()
      if (time.wakeMs <= wokenMs) {
        time.wakeMs = Number.POSITIVE_INFINITY
        this.clock.turn()
      }
      this.#orders.take()
      sockets.report()
      if (packets > 0) sockets.gather(wokenMs)
      nowMs = performance.now()
    }
    this.#planned = false
    if (!this.#idle) this.start()
  }

  /** Nothing to wait for but orders, which come through the event loop then. */
  get #idle(): boolean {
    const sockets = this.#sockets
    return sockets.size === 0 && !sockets.pending && this.#time.wakeMs === Number.POSITIVE_INFINITY
  }
}
