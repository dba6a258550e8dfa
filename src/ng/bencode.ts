// Bencode: the native text of the ng protocol (BEP 3). Linear time, bounded depth and number of values.

import { assert } from '#core/assert.ts'
import { DEPTH_MAX, ENTRIES_MAX } from '#ng/ng-limits.ts'
import { NgProblem, type NgProblemCode } from '#ng/ng-problem.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

/** Digits of the largest integer of 64 bits, and of the length of a string that could be kept. */
const INTEGER_DIGITS_MAX = 20
const LENGTH_DIGITS_MAX = 9

const COLON = 0x3a
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39
const LETTER_D = 0x64
const LETTER_E = 0x65
const LETTER_I = 0x69
const LETTER_L = 0x6c

/**
 * The value that `text` (latin1 carriage) is, with nothing after it, or where it breaks. Keys may come in any order, as
 * Kamailio sends them; of a key that stands twice the first counts, as in rtpengine. Integers beyond 2^53 are rounded.
 */
export function decodeBencode(text: string): NgValue | NgProblem {
  const reader = new Reader(text)
  const value = reader.value(0)
  if (reader.problem !== null) return reader.problem
  if (reader.position < text.length) {
    return new NgProblem('NG_SYNTAX', reader.position, `octets after the end of the value at ${reader.position}`)
  }
  return value
}

/** The text of a value. Keys are sorted as BEP 3 asks; a number that is no integer goes as its decimal text. */
export function encodeBencode(value: NgValue): string {
  if (typeof value === 'string') return `${value.length}:${value}`
  if (typeof value === 'number') return encodeNumber(value)
  if (isList(value)) {
    let text = 'l'
    for (const item of value) text += encodeBencode(item)
    return `${text}e`
  }
  let text = 'd'
  for (const key of Object.keys(value).sort(byOctets)) {
    const item = value[key]
    if (item !== undefined) text += `${key.length}:${key}${encodeBencode(item)}`
  }
  return `${text}e`
}

function encodeNumber(value: number): string {
  assert(Number.isFinite(value), 'a number of the ng protocol is finite')
  if (Number.isInteger(value)) return `i${BigInt(value)}e`
  const text = String(value)
  return `${text.length}:${text}`
}

function byOctets(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function isList(value: readonly NgValue[] | NgDictionary): value is readonly NgValue[] {
  return Array.isArray(value)
}

class Reader {
  position = 0
  problem: NgProblem | null = null
  readonly #text: string
  #entries = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): NgValue {
    this.#entries++
    if (this.#entries > ENTRIES_MAX) return this.#fail('NG_ENTRIES_MAX', `over ${ENTRIES_MAX} values`)
    const code = this.#peek()
    if (code >= ZERO && code <= NINE) return this.#string()
    if (code === LETTER_I) return this.#integer()
    if (code !== LETTER_L && code !== LETTER_D) return this.#failHere('a value')
    if (depth >= DEPTH_MAX) return this.#fail('NG_DEPTH_MAX', `lists and dictionaries over ${DEPTH_MAX} deep`)
    this.position++
    return code === LETTER_L ? this.#list(depth + 1) : this.#dictionary(depth + 1)
  }

  #list(depth: number): NgValue {
    const items: NgValue[] = []
    while (this.#peek() !== LETTER_E) {
      const item = this.value(depth)
      if (this.problem !== null) return ''
      items.push(item)
    }
    this.position++
    return items
  }

  #dictionary(depth: number): NgValue {
    const dictionary: Record<string, NgValue> = Object.create(null)
    while (this.#peek() !== LETTER_E) {
      const code = this.#peek()
      const key = code >= ZERO && code <= NINE ? this.#string() : this.#failHere('a key')
      if (this.problem !== null) return ''
      const value = this.value(depth)
      if (this.problem !== null) return ''
      if (!(key in dictionary)) dictionary[key] = value
    }
    this.position++
    return dictionary
  }

  #string(): string {
    const start = this.position
    const length = this.#digits(LENGTH_DIGITS_MAX)
    if (this.problem !== null) return ''
    if (this.#peek() !== COLON) return this.#failHere("':' after the length of a string")
    const begin = this.position + 1
    if (begin + length > this.#text.length) {
      this.position = start
      return this.#fail('NG_TRUNCATED', `a string of ${length} octets is cut off`)
    }
    this.position = begin + length
    return this.#text.slice(begin, begin + length)
  }

  #integer(): NgValue {
    this.position++
    const negative = this.#peek() === MINUS
    if (negative) this.position++
    const magnitude = this.#digits(INTEGER_DIGITS_MAX)
    if (this.problem !== null) return ''
    if (this.#peek() !== LETTER_E) return this.#failHere("'e' after an integer")
    if (negative && magnitude === 0) return this.#fail('NG_SYNTAX', 'an integer is minus zero')
    this.position++
    return negative ? -magnitude : magnitude
  }

  /** Decimal digits without leading zeros. */
  #digits(digitsMax: number): number {
    const start = this.position
    let value = 0
    for (let code = this.#peek(); code >= ZERO && code <= NINE; code = this.#peek()) {
      if (this.position - start === digitsMax) this.#fail('NG_SYNTAX', `over ${digitsMax} digits`)
      if (this.position > start && value === 0) this.#fail('NG_SYNTAX', 'a leading zero')
      if (this.problem !== null) return 0
      value = value * 10 + (code - ZERO)
      this.position++
    }
    if (this.position === start) this.#failHere('a digit')
    return value
  }

  /** The octet at the position, or -1 at the end. */
  #peek(): number {
    return this.position < this.#text.length ? this.#text.charCodeAt(this.position) : -1
  }

  #failHere(wanted: string): string {
    const cut = this.position >= this.#text.length
    return this.#fail(cut ? 'NG_TRUNCATED' : 'NG_SYNTAX', `${wanted} is expected`)
  }

  #fail(code: NgProblemCode, reason: string): string {
    this.problem ??= new NgProblem(code, this.position, `${reason} at octet ${this.position}`)
    return ''
  }
}
