// The Random port on the system's CSPRNG, drawn in pools so that a number costs nanoseconds.

import { randomFillSync } from 'node:crypto'
import type { Random } from '#core/random.ts'

/** Numbers drawn at once: a refill costs some microseconds, once in so many numbers. */
const POOL_NUMBERS = 2_048

/** Randomness of the operating system's grade. What was given out is wiped from the pool. */
export class SystemRandom implements Random {
  readonly #pool = new Uint32Array(POOL_NUMBERS)
  #next = POOL_NUMBERS

  bytes(target: Uint8Array): void {
    if (target.byteLength > 0) randomFillSync(target)
  }

  uint32(): number {
    if (this.#next === POOL_NUMBERS) {
      randomFillSync(this.#pool)
      this.#next = 0
    }
    const value = this.#pool[this.#next] as number
    this.#pool[this.#next++] = 0
    return value
  }
}
