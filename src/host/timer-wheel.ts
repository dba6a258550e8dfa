// One hierarchical timer wheel (Varghese and Lauck) behind the Clock port: arming and cancelling are O(1) and allocate nothing.

import { assert } from '#core/assert.ts'
import type { Clock, Timer } from '#core/clock.ts'

/** Slots of one level. Level n has slots of 64ⁿ milliseconds; eight levels reach further than any delay. */
const SLOTS = 64
const LEVELS = 8
/** Longer delays, also infinite ones, are taken as this one: 4,462 years. */
export const DELAY_MS_MAX = 2 ** 47
/** `Timer.slot` holds the slot number and, times this, the code of the granularity that the deadline was rounded up to. */
const GRANULARITY_SHIFT = 10
const SLOT_MASK = (1 << GRANULARITY_SHIFT) - 1

/**
 * Timers fired in one turn before sockets get their chance again. Firing one costs some microseconds, some tens when it
 * sends, so this bounds a turn to a few milliseconds however far behind the wheel is.
 */
export const FIRED_PER_TURN_MAX = 256
/** Timers moved down a level in one turn. Moving one costs well under a microsecond. */
export const MOVED_PER_TURN_MAX = 20_000
/** The longest sleep asked of the source at once; `setTimeout` takes no more than 2³¹ − 1 ms. */
export const SLEEP_MS_MAX = 2 ** 30

/**
 * The coarser rounding of longer delays: the rounded deadline is never early and late by at most 1.6 %, and never by
 * more than 64 ms. Timers that end transactions (5 s, 32 s) then share wake-ups instead of having one each.
 */
const GRANULARITIES = [
  { delayMsMin: 0, ms: 1 },
  { delayMsMin: 256, ms: 4 },
  { delayMsMin: 1_024, ms: 16 },
  { delayMsMin: 4_096, ms: 64 },
] as const
/** How late beyond its deadline the wheel plans a timer at most, in milliseconds. */
export const LATE_MS_MAX = 64

const WIDTHS = Float64Array.from({ length: LEVELS + 1 }, (_, level) => SLOTS ** level)
const GRANULARITY_MS = Float64Array.from(GRANULARITIES, (granularity) => granularity.ms)

/** Where the wheel's time and its wake-ups come from. */
export interface TimeSource {
  /** Monotonic milliseconds, fractions allowed. */
  now(): number
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  wallMs(): number
  /**
   * Calls {@link TimerWheel.turn} once after `delayMs` (an integer ≥ 1), or as soon as input has had its turn when it is 0.
   * A wake-up asked for earlier is replaced.
   */
  wakeAfter(delayMs: number): void
  /** Forgets the wake-up asked for: nothing is armed. */
  sleep(): void
}

/** The Clock port on a wheel. The source calls {@link turn}; between deadlines nothing runs. */
export class TimerWheel implements Clock {
  readonly #source: TimeSource
  readonly #onFault: (error: unknown) => void
  readonly #heads: (Timer | null)[] = new Array<Timer | null>(LEVELS * SLOTS).fill(null)
  readonly #tails: (Timer | null)[] = new Array<Timer | null>(LEVELS * SLOTS).fill(null)
  /** One bit a slot, two words a level. */
  readonly #occupied = new Int32Array(LEVELS * 2)
  /** Where the part of time that each level covers ends: the next multiple of the level's whole span after `#tick`. */
  readonly #ends = new Float64Array(LEVELS)
  /** The millisecond the wheel stands at. Every slot that begins at or before it, but level 0's own, is empty. */
  #tick: number
  #firing = false
  /** The slot above level 0 whose timers are being moved down, across turns when they are many; else −1. */
  #moving = -1
  /** When the source will wake the wheel; Infinity when it will not. */
  #wakeMs = Number.POSITIVE_INFINITY
  #size = 0

  /** `onFault` gets what an owner's `onTimer` throws; the other timers go on. */
  constructor(source: TimeSource, onFault: (error: unknown) => void) {
    this.#source = source
    this.#onFault = onFault
    this.#tick = Math.floor(source.now())
    this.#moveEnds()
  }

  /** Timers armed now. */
  get size(): number {
    return this.#size
  }

  now(): number {
    return this.#source.now()
  }

  wallMs(): number {
    return this.#source.wallMs()
  }

  arm(timer: Timer, name: string, delayMs: number): void {
    assert(delayMs >= 0, `timer ${name} armed with ${delayMs} ms`)
    const now = this.#source.now()
    if (timer.armed) this.#unlink(timer)
    else {
      timer.armed = true
      this.#size++
    }
    // Nothing is due before the wake-up, so the wheel may step to the present, and the timer lands as low as it can.
    const tick = Math.floor(now)
    if (tick > this.#tick && tick < this.#wakeMs && !this.#firing) this.#stepTo(tick)
    timer.name = name
    timer.deadlineMs = now + Math.min(delayMs, DELAY_MS_MAX)
    const granularity = delayMs < 256 ? 0 : delayMs < 1_024 ? 1 : delayMs < 4_096 ? 2 : 3
    const beginsMs = this.#place(timer, granularity)
    if (beginsMs < this.#wakeMs && !this.#firing) this.#wakeAt(beginsMs, now)
  }

  cancel(timer: Timer): void {
    if (!timer.armed) return
    this.#unlink(timer)
    timer.armed = false
    this.#size--
    // The wake-up stays: one turn for nothing is cheaper than moving the source's timer on every answer that comes. But
    // when nothing is armed, a process with nothing else to do may end.
    if (this.#size === 0 && !this.#firing) {
      this.#wakeMs = Number.POSITIVE_INFINITY
      this.#source.sleep()
    }
  }

  /** Fires what is due. For the source, and for nobody else. */
  turn(): void {
    this.#wakeMs = Number.POSITIVE_INFINITY
    let finished = false
    try {
      finished = this.#advance(Math.floor(this.#source.now()))
    } finally {
      // Also when `onFault` itself throws: the timers left must not be forgotten.
      if (finished) {
        const beginsMs = this.#nextMs()
        if (beginsMs !== Number.POSITIVE_INFINITY) this.#wakeAt(beginsMs, this.#source.now())
      } else {
        this.#wakeMs = this.#tick
        this.#source.wakeAfter(0)
      }
    }
  }

  #wakeAt(beginsMs: number, now: number): void {
    this.#wakeMs = beginsMs
    this.#source.wakeAfter(Math.min(SLEEP_MS_MAX, Math.max(1, Math.ceil(beginsMs - now))))
  }

  /** Fires everything up to `target`; false when the turn's share was used up before. */
  #advance(target: number): boolean {
    let firedLeft = FIRED_PER_TURN_MAX
    let movedLeft = MOVED_PER_TURN_MAX
    for (;;) {
      const beginsMs = this.#nextMs()
      if (beginsMs > target) {
        if (target > this.#tick) this.#stepTo(target)
        return true
      }
      if (beginsMs > this.#tick) this.#stepTo(beginsMs)
      const slot = this.#firstSlot()
      if (slot >= SLOTS) {
        movedLeft = this.#moveDown(slot, movedLeft)
        if (movedLeft <= 0) return false
        continue
      }
      let timer = this.#heads[slot] ?? null
      while (timer !== null) {
        if (firedLeft-- === 0) return false
        this.#fire(timer)
        timer = this.#heads[slot] ?? null
      }
    }
  }

  #fire(timer: Timer): void {
    this.#unlink(timer)
    timer.armed = false
    this.#size--
    this.#firing = true
    try {
      timer.owner.onTimer(timer.name)
    } catch (error) {
      this.#onFault(error)
    } finally {
      this.#firing = false
    }
  }

  /** Puts the timers of a slot that begins now where they belong on the levels below. Gives what is left of the share. */
  #moveDown(slot: number, movedLeft: number): number {
    let timer = this.#heads[slot] ?? null
    while (timer !== null && movedLeft > 0) {
      movedLeft--
      const granularity = timer.slot >> GRANULARITY_SHIFT
      this.#unlink(timer)
      this.#place(timer, granularity)
      timer = this.#heads[slot] ?? null
    }
    this.#moving = timer === null ? -1 : slot
    return movedLeft
  }

  /** Links the timer at the tail of its slot and gives the millisecond at which that slot begins. */
  #place(timer: Timer, granularity: number): number {
    const granularityMs = GRANULARITY_MS[granularity] as number
    let tick = Math.ceil(timer.deadlineMs / granularityMs) * granularityMs
    // The present slot is being emptied: what is armed from within a callback comes after it, or a turn might never end.
    if (tick <= this.#tick) tick = this.#firing ? this.#tick + 1 : this.#tick
    const ends = this.#ends
    let level = 0
    while (tick >= (ends[level] as number)) level++
    const width = WIDTHS[level] as number
    const index = Math.floor(tick / width)
    const slot = level * SLOTS + (index % SLOTS)
    const tail = this.#tails[slot] ?? null
    timer.slot = slot | (granularity << GRANULARITY_SHIFT)
    timer.previous = tail
    timer.next = null
    this.#tails[slot] = timer
    if (tail === null) {
      this.#heads[slot] = timer
      this.#occupied[slot >> 5] = (this.#occupied[slot >> 5] as number) | (1 << (slot & 31))
    } else tail.next = timer
    return index * width
  }

  #unlink(timer: Timer): void {
    const slot = timer.slot & SLOT_MASK
    const { previous, next } = timer
    if (previous === null) this.#heads[slot] = next
    else previous.next = next
    if (next === null) this.#tails[slot] = previous
    else next.previous = previous
    if (previous === null && next === null) {
      if (slot === this.#moving) this.#moving = -1
      this.#occupied[slot >> 5] = (this.#occupied[slot >> 5] as number) & ~(1 << (slot & 31))
    }
    timer.previous = null
    timer.next = null
    timer.slot = -1
  }

  /** The first occupied slot in order of time, or −1. What a lower level holds is always before what a higher one holds. */
  #firstSlot(): number {
    if (this.#moving >= 0) return this.#moving
    const occupied = this.#occupied
    for (let word = 0; word < occupied.length; word++) {
      const bits = occupied[word] as number
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits & -bits)
    }
    return -1
  }

  /** When the first occupied slot begins; Infinity when nothing is armed. */
  #nextMs(): number {
    const slot = this.#firstSlot()
    if (slot < 0) return Number.POSITIVE_INFINITY
    const level = Math.floor(slot / SLOTS)
    const span = WIDTHS[level + 1] as number
    return (this.#ends[level] as number) - span + (slot % SLOTS) * (WIDTHS[level] as number)
  }

  #stepTo(tick: number): void {
    this.#tick = tick
    if (tick >= (this.#ends[0] as number)) this.#moveEnds()
  }

  #moveEnds(): void {
    for (let level = 0; level < LEVELS; level++) {
      const span = WIDTHS[level + 1] as number
      this.#ends[level] = (Math.floor(this.#tick / span) + 1) * span
    }
  }
}
