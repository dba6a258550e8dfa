// Virtual time: one queue of timers ordered by (deadline, arming order) that every clock of a simulated world shares.

import { assert } from '#core/assert.ts'
import type { TimerOwner } from '#core/clock.ts'
import { Timer } from '#core/clock.ts'

/** Instants are multiples of 1/1024 ms: sums of them are exact, so a timer never fires an ulp before its deadline. */
const GRID = 1_024

/** Something to be called later; `cancel` takes it back. */
export interface Task {
  cancel(): void
}

/** Whoever arms timers in the queue: told of each that leaves it, to count its own. */
export interface TimerAccount {
  armed: number
}

/** The queue. Nothing moves unless `step` or one of the `run…` methods is called. */
export class VirtualTime {
  /** Milliseconds since the beginning of the world. */
  nowMs = 0
  /** Timers fired so far. */
  fired = 0
  readonly #own: TimerAccount = { armed: 0 }
  // A binary heap in parallel arrays; a timer's `slot` is its place, so that cancelling is O(log n) without a search.
  readonly #timers: Timer[] = []
  readonly #deadlines: number[] = []
  readonly #orders: number[] = []
  readonly #accounts: TimerAccount[] = []
  #order = 0

  /** Timers in the queue. */
  get size(): number {
    return this.#timers.length
  }

  /** The instant of the next timer, or Infinity. */
  get nextMs(): number {
    return this.#deadlines[0] ?? Number.POSITIVE_INFINITY
  }

  /** Puts `timer` in the queue for the instant `delayMs` from now, rounded up to the grid; moves it when it is there already. */
  arm(timer: Timer, account: TimerAccount, delayMs: number): number {
    assert(delayMs >= 0 && Number.isFinite(delayMs), `delay of ${delayMs} ms`)
    if (timer.armed) this.cancel(timer)
    const deadline = this.nowMs + Math.ceil(delayMs * GRID) / GRID
    const at = this.#timers.length
    this.#timers.push(timer)
    this.#deadlines.push(deadline)
    this.#orders.push(this.#order++)
    this.#accounts.push(account)
    timer.slot = at
    timer.armed = true
    account.armed++
    this.#rise(at)
    return deadline
  }

  cancel(timer: Timer): void {
    if (!timer.armed) return
    assert(this.#timers[timer.slot] === timer, 'a timer is cancelled in the clock that armed it')
    this.#remove(timer.slot)
  }

  /** Takes every timer of one account out of the queue: its process is gone. */
  cancelAll(account: TimerAccount): void {
    if (account.armed === 0) return
    for (let at = this.#timers.length - 1; at >= 0; at--) {
      while (at < this.#timers.length && this.#accounts[at] === account) this.#remove(at)
    }
    // A removal moves the last entry up or down past the scan at most once; a second pass proves there is none left.
    if (account.armed > 0) this.cancelAll(account)
  }

  /** Names of the timers that one account has in the queue, sorted. */
  namesOf(account: TimerAccount): string[] {
    return this.#timers.flatMap(({ name }, at) => (this.#accounts[at] === account ? [name] : [])).sort()
  }

  /** Calls `run` once after `delayMs`. For the world itself; nodes use their clocks. */
  after(delayMs: number, run: () => void): Task {
    const owner: TimerOwner = { onTimer: run }
    const timer = new Timer(owner)
    this.arm(timer, this.#own, delayMs)
    return { cancel: () => this.cancel(timer) }
  }

  /** Fires the next timer; false when there is none. */
  step(): boolean {
    const timer = this.#timers[0]
    if (timer === undefined) return false
    this.nowMs = this.#deadlines[0] as number
    this.#remove(0)
    this.fired++
    timer.owner.onTimer(timer.name)
    return true
  }

  /** Fires everything up to and including the instant `untilMs`, which is the time afterwards. */
  runUntil(untilMs: number): void {
    while (this.nextMs <= untilMs) this.step()
    if (untilMs > this.nowMs) this.nowMs = Math.ceil(untilMs * GRID) / GRID
  }

  /** Fires until nothing is queued or `limitMs` from now have passed; true when nothing is queued. */
  runUntilIdle(limits: { limitMs: number }): boolean {
    const untilMs = this.nowMs + limits.limitMs
    while (this.nextMs <= untilMs) this.step()
    return this.size === 0
  }

  #remove(at: number): void {
    const timer = this.#timers[at] as Timer
    timer.armed = false
    timer.slot = -1
    ;(this.#accounts[at] as TimerAccount).armed--
    const last = this.#timers.length - 1
    if (at !== last) this.#move(last, at)
    this.#timers.pop()
    this.#deadlines.pop()
    this.#orders.pop()
    this.#accounts.pop()
    if (at !== last) this.#sink(this.#rise(at))
  }

  #move(from: number, to: number): void {
    const timer = this.#timers[from] as Timer
    this.#timers[to] = timer
    this.#deadlines[to] = this.#deadlines[from] as number
    this.#orders[to] = this.#orders[from] as number
    this.#accounts[to] = this.#accounts[from] as TimerAccount
    timer.slot = to
  }

  #before(left: number, right: number): boolean {
    const difference = (this.#deadlines[left] as number) - (this.#deadlines[right] as number)
    return difference < 0 || (difference === 0 && (this.#orders[left] as number) < (this.#orders[right] as number))
  }

  #swap(left: number, right: number): void {
    const timer = this.#timers[left] as Timer
    const deadline = this.#deadlines[left] as number
    const order = this.#orders[left] as number
    const account = this.#accounts[left] as TimerAccount
    this.#move(right, left)
    this.#timers[right] = timer
    this.#deadlines[right] = deadline
    this.#orders[right] = order
    this.#accounts[right] = account
    timer.slot = right
  }

  #rise(at: number): number {
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#before(at, parent)) break
      this.#swap(at, parent)
      at = parent
    }
    return at
  }

  #sink(at: number): void {
    const size = this.#timers.length
    for (;;) {
      let least = at
      const left = 2 * at + 1
      if (left < size && this.#before(left, least)) least = left
      if (left + 1 < size && this.#before(left + 1, least)) least = left + 1
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }
}
