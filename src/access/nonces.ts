// Digest nonces without a table of them: time, number and a keyed MAC in the nonce itself (RFC 7616 §3.3, §5.4).

import { hash } from 'node:crypto'
import type { Random } from '#core/random.ts'

/** Nonces whose nonce-counts are remembered, a power of two: an older one is stale, whatever its time. 12 octets each. */
const NONCES_MAX = 262_144
/** Nonce-counts below the highest seen that may still come, out of order. */
const WINDOW = 32
/** A nonce from the future is one from before the wall clock was set back. */
const SKEW_S = 60
const STAMP_LENGTH = 8
const NUMBER_LENGTH = 8
const MAC_LENGTH = 22
const KEY_OCTETS = 32

/** What a nonce is: `foreign` was not made by this process for this source; `expired` was, too long ago. */
export type NonceState = 'fresh' | 'expired' | 'foreign'

export class Nonces {
  readonly #key: string
  #next: number
  // Ring by number: which nonce has the slot, its highest nonce-count (0 = unused), and a bit for each of the counts before.
  readonly #numbers = new Uint32Array(NONCES_MAX)
  readonly #highest = new Uint32Array(NONCES_MAX)
  readonly #windows = new Uint32Array(NONCES_MAX)

  constructor(random: Random) {
    const key = new Uint8Array(KEY_OCTETS)
    random.bytes(key)
    this.#key = Buffer.from(key).toString('hex')
    this.#next = random.uint32()
  }

  /** A nonce for `source`, at `wallMs`. */
  issue(source: string, wallMs: number): string {
    const number = this.#next
    this.#next = (number + 1) >>> 0
    const slot = number % NONCES_MAX
    this.#numbers[slot] = number
    this.#highest[slot] = 0
    this.#windows[slot] = 0
    const head = hex8(Math.floor(wallMs / 1000) >>> 0) + hex8(number)
    return head + this.#mac(head, source)
  }

  /** Judges a nonce that came from `source`. */
  state(nonce: string, source: string, wallMs: number, lifetimeS: number): NonceState {
    if (nonce.length !== STAMP_LENGTH + NUMBER_LENGTH + MAC_LENGTH) return 'foreign'
    const head = nonce.slice(0, STAMP_LENGTH + NUMBER_LENGTH)
    if (!equalText(this.#mac(head, source), nonce, STAMP_LENGTH + NUMBER_LENGTH)) return 'foreign'
    const ageS = Math.floor(wallMs / 1000) - Number.parseInt(nonce.slice(0, STAMP_LENGTH), 16)
    if (ageS > lifetimeS || ageS < -SKEW_S) return 'expired'
    const number = numberOf(nonce)
    return this.#numbers[number % NONCES_MAX] === number ? 'fresh' : 'expired'
  }

  /** Uses nonce-count `count` (≥ 1) of a fresh nonce; false when it was used before or lies too far back. */
  use(nonce: string, count: number): boolean {
    const slot = numberOf(nonce) % NONCES_MAX
    const highest = this.#highest[slot] ?? 0
    const window = this.#windows[slot] ?? 0
    if (count > highest) {
      const shift = count - highest
      this.#highest[slot] = count
      this.#windows[slot] = shift >= WINDOW ? 1 : (window << shift) | 1
      return true
    }
    const back = highest - count
    if (back >= WINDOW || (window & (1 << back)) !== 0) return false
    this.#windows[slot] = window | (1 << back)
    return true
  }

  /** A key before a text of which the digest is cut to 132 bits: a MAC in one hash, which cannot be extended. */
  #mac(head: string, source: string): string {
    return hash('sha256', `${this.#key}${head}${source}`, 'base64url').slice(0, MAC_LENGTH)
  }
}

function numberOf(nonce: string): number {
  return Number.parseInt(nonce.slice(STAMP_LENGTH, STAMP_LENGTH + NUMBER_LENGTH), 16)
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0')
}

/** Whether `given` from `at` on is `expected`, in a time that does not depend on where they differ. */
function equalText(expected: string, given: string, at: number): boolean {
  let difference = 0
  for (let i = 0; i < expected.length; i += 1) difference |= expected.charCodeAt(i) ^ given.charCodeAt(at + i)
  return difference === 0
}
