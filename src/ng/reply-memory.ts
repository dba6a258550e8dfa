// What was answered to whom a moment ago: a command that comes again gets the same reply and is not done twice.

import type { Clock } from '#core/clock.ts'

/** A controller repeats for seconds at most. */
export const REMEMBERED_MS = 10_000
/** A command that is worked on for longer than this will not be answered any more. */
export const AT_WORK_MS_MAX = 60_000
export const REMEMBERED_MAX = 16_384
export const REMEMBERED_OCTETS_MAX = 32 * 1_048_576

/** One command: at work while `reply` is null. `Path` is the way back to who asked. */
export interface Remembered<Path> {
  reply: string | null
  path: Path
  sinceMs: number
}

export class ReplyMemory<Path> {
  readonly #clock: Clock
  /** By source and cookie; those that changed last stand last. */
  readonly #entries = new Map<string, Remembered<Path>>()
  #octets = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#entries.size
  }

  find(key: string): Remembered<Path> | null {
    return this.#entries.get(key) ?? null
  }

  /** Notes a command that is begun. False when all places are taken by commands at work. */
  begin(key: string, path: Path): boolean {
    this.sweep()
    if (this.#entries.size >= REMEMBERED_MAX && !this.#dropOldest()) return false
    this.#entries.set(key, { reply: null, path, sinceMs: this.#clock.now() })
    return true
  }

  /** Notes the reply; the way to send it on, or null when the command is forgotten or answered. */
  answer(key: string, reply: string): Path | null {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.reply !== null) return null
    entry.reply = reply
    entry.sinceMs = this.#clock.now()
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    this.#octets += reply.length
    while (this.#octets > REMEMBERED_OCTETS_MAX && this.#dropOldest());
    return entry.path
  }

  /** Forgets what is old. */
  sweep(): void {
    const now = this.#clock.now()
    for (const [key, entry] of this.#entries) {
      const ageMs = now - entry.sinceMs
      if (ageMs < REMEMBERED_MS) return
      if (entry.reply !== null || ageMs >= AT_WORK_MS_MAX) this.#drop(key, entry)
    }
  }

  #dropOldest(): boolean {
    for (const [key, entry] of this.#entries) {
      if (entry.reply !== null) {
        this.#drop(key, entry)
        return true
      }
    }
    return false
  }

  #drop(key: string, entry: Remembered<Path>): void {
    this.#entries.delete(key)
    this.#octets -= entry.reply?.length ?? 0
  }
}
