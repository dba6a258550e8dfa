// The seeded generator of the simulation: xoshiro128** (Blackman and Vigna), the Random port of every simulated node.

import type { Random } from '#core/random.ts'
import { uniform } from '#core/random.ts'

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/** A deterministic source of randomness: the same seed and label give the same sequence on every machine. */
export class Generator implements Random {
  readonly #seed: number
  readonly #label: string
  #a: number
  #b: number
  #c: number
  #d: number

  /** @param seed any integer; its low 32 bits and the rest above them both count. */
  constructor(seed: number, label = '') {
    this.#seed = seed
    this.#label = label
    let state = mix(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, label)
    const next = (): number => {
      // splitmix32 spreads whatever the seed was over the four words.
      state = (state + 0x9e3779b9) >>> 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      return (z ^ (z >>> 16)) >>> 0
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1
  }

  /** An independent generator for one purpose, so that more draws in one place do not change those in another. */
  fork(label: string): Generator {
    return new Generator(this.#seed, `${this.#label}/${label}`)
  }

  uint32(): number {
    const result = Math.imul(rotate(Math.imul(this.#b, 5), 7), 9) >>> 0
    const shifted = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= shifted
    this.#d = rotate(this.#d, 11)
    return result
  }

  bytes(target: Uint8Array): void {
    for (let at = 0; at < target.length; at += 4) {
      const word = this.uint32()
      for (let i = 0; i < 4 && at + i < target.length; i++) target[at + i] = (word >>> (8 * i)) & 0xff
    }
  }

  /** A uniform number in [0, 1). */
  fraction(): number {
    return this.uint32() / 2 ** 32
  }

  /** Whether an event of this probability happens. Draws also at 0 and 1, so that probabilities do not shift the sequence. */
  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** A uniform integer from `low` up to and including `high`. */
  between(low: number, high: number): number {
    return low + uniform(this, high - low + 1)
  }

  /** One element of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[uniform(this, list.length)] as T
  }

  /** A token of lower-case letters and digits. */
  word(length: number): string {
    let text = ''
    while (text.length < length) text += this.uint32().toString(36)
    return text.slice(0, length)
  }
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

function mix(low: number, high: number, label: string): number {
  let hash = Math.imul(FNV_OFFSET ^ low, FNV_PRIME)
  hash = Math.imul(hash ^ (hash >>> 15) ^ high, FNV_PRIME)
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), FNV_PRIME)
  return hash >>> 0
}
