// Randomness as an argument: the CSPRNG in production, a seeded generator in simulation.

import { assert } from '#core/assert.ts'

/** The randomness port. Everything secret or unique (tags, branches, nonces, keys) comes from it. */
export interface Random {
  /** Fills `target` with random octets. */
  bytes(target: Uint8Array): void
  /** A uniform integer in [0, 2^32). */
  uint32(): number
}

const SPACE = 2 ** 32

/** A uniform integer in [0, bound), bound ≤ 2^32, without modulo bias. */
export function uniform(random: Random, bound: number): number {
  assert(bound > 0 && bound <= SPACE, `uniform bound ${bound}`)
  const limit = SPACE - (SPACE % bound)
  let value = random.uint32()
  while (value >= limit) value = random.uint32()
  return value % bound
}

/** A token of RFC 3261 §25.1 characters with 62 random bits or more: tags, branches, Call-IDs. */
export function randomToken(random: Random): string {
  return random.uint32().toString(36) + random.uint32().toString(36).padStart(7, '0')
}
