// Time as an argument. Hosts drive one wheel from the system's monotonic clock; the simulation owns virtual time.

/** Who is told when a timer fires. `name` is the one it was armed with: an RFC letter ('A', 'H') or a word ('noAnswer'). */
export interface TimerOwner {
  onTimer(name: string): void
}

/** A timer, embedded in its owner: arming it allocates nothing. It is armed at most once at a time; arming again moves it. */
export class Timer {
  readonly owner: TimerOwner
  name = ''
  /** Absolute time in milliseconds of `Clock.now`; meaningful while `armed`. */
  deadlineMs = 0
  armed = false
  /** For the clock's own use: neighbours in its slot, and the slot or order number. */
  previous: Timer | null = null
  next: Timer | null = null
  slot = -1

  constructor(owner: TimerOwner) {
    this.owner = owner
  }
}

/** The time port. */
export interface Clock {
  /** Monotonic milliseconds (fractions allowed). Only differences mean anything. */
  now(): number
  /** Milliseconds since 1970-01-01T00:00:00Z. For records and nonces, never for timers. */
  wallMs(): number
  /** Arms `timer` to fire `delayMs` (≥ 0) from now under `name`; moves it when it is armed already. */
  arm(timer: Timer, name: string, delayMs: number): void
  /** Disarms; a timer that is not armed is left alone. */
  cancel(timer: Timer): void
}
