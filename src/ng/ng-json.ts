// The JSON text of the ng protocol (RFC 8259), read and written in the carriage that bencode has: one character an octet of UTF-8.

import { assert } from '#core/assert.ts'
import { DEPTH_MAX, ENTRIES_MAX } from '#ng/ng-limits.ts'
import { NgProblem, type NgProblemCode } from '#ng/ng-problem.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

const NUMBER_OCTETS_MAX = 32
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
/** As many octets of a string as need no change. */
const PLAIN = /[^"\\\x00-\x1f]*/y
const SPACE = /[ \t\r\n]*/y
/** What a string must not have as it is (§7). */
const ESCAPED = /["\\\x00-\x1f]/g

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}
const SURROGATES_FROM = 0xd800
const LOW_SURROGATES_FROM = 0xdc00
const SURROGATES_END = 0xe000
const REPLACEMENT = 0xfffd

/**
 * The value that `text` (latin1 carriage of UTF-8) is, or where it breaks. `true` is 1, `false` 0, and what is `null`
 * is not there; of a key that stands twice the first counts.
 */
export function decodeNgJson(text: string): NgValue | NgProblem {
  const reader = new Reader(text)
  reader.space()
  const value = reader.value(0)
  reader.space()
  if (reader.problem !== null) return reader.problem
  if (reader.position < text.length) {
    return new NgProblem('NG_SYNTAX', reader.position, `octets after the end of the value at ${reader.position}`)
  }
  return value ?? new NgProblem('NG_SYNTAX', 0, 'the value is null')
}

/** The JSON text of a value. Octets that are no UTF-8 go as they are. */
export function encodeNgJson(value: NgValue): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'number') {
    assert(Number.isFinite(value), 'a number of the ng protocol is finite')
    return String(value)
  }
  if (isList(value)) return `[${value.map(encodeNgJson).join(',')}]`
  let text = ''
  for (const key of Object.keys(value)) {
    const item = value[key]
    if (item !== undefined) text += `${text === '' ? '' : ','}${quoted(key)}:${encodeNgJson(item)}`
  }
  return `{${text}}`
}

function isList(value: readonly NgValue[] | NgDictionary): value is readonly NgValue[] {
  return Array.isArray(value)
}

function quoted(text: string): string {
  return `"${text.replace(ESCAPED, escaped)}"`
}

function escaped(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

class Reader {
  position = 0
  problem: NgProblem | null = null
  readonly #text: string
  #entries = 0

  constructor(text: string) {
    this.#text = text
  }

  space(): void {
    this.position = matchEnd(SPACE, this.#text, this.position)
  }

  /** Null for `null`, and when there is a problem. */
  value(depth: number): NgValue | null {
    this.#entries++
    if (this.#entries > ENTRIES_MAX) return this.#fail('NG_ENTRIES_MAX', `over ${ENTRIES_MAX} values`)
    const character = this.#text.charAt(this.position)
    if (character === '"') return this.#string()
    if (character === '{' || character === '[') {
      if (depth >= DEPTH_MAX) return this.#fail('NG_DEPTH_MAX', `lists and dictionaries over ${DEPTH_MAX} deep`)
      this.position++
      return character === '[' ? this.#list(depth + 1) : this.#dictionary(depth + 1)
    }
    if (character === '-' || (character >= '0' && character <= '9')) return this.#number()
    return this.#word()
  }

  #word(): NgValue | null {
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.position)) {
        this.position += word.length
        return value
      }
    }
    return this.#failHere('a value')
  }

  #number(): NgValue | null {
    const end = matchEnd(NUMBER, this.#text, this.position)
    if (end === this.position) return this.#failHere('a number')
    if (end - this.position > NUMBER_OCTETS_MAX) {
      return this.#fail('NG_SYNTAX', `a number of over ${NUMBER_OCTETS_MAX} octets`)
    }
    const value = Number(this.#text.slice(this.position, end))
    if (!Number.isFinite(value)) return this.#fail('NG_SYNTAX', 'a number without end')
    this.position = end
    // Minus zero is the integer 0: bencode has no other.
    return value === 0 ? 0 : value
  }

  #list(depth: number): NgValue | null {
    const items: NgValue[] = []
    this.space()
    if (this.#take(']')) return items
    for (;;) {
      this.space()
      const item = this.value(depth)
      if (this.problem !== null) return null
      if (item !== null) items.push(item)
      this.space()
      if (this.#take(']')) return items
      if (!this.#take(',')) return this.#failHere("',' or ']'")
    }
  }

  #dictionary(depth: number): NgValue | null {
    const dictionary: Record<string, NgValue> = Object.create(null)
    this.space()
    if (this.#take('}')) return dictionary
    for (;;) {
      this.space()
      if (this.#text.charAt(this.position) !== '"') return this.#failHere('a key')
      const key = this.#string()
      this.space()
      if (key === null || !this.#take(':')) return this.#failHere("':'")
      this.space()
      const value = this.value(depth)
      if (this.problem !== null) return null
      if (value !== null && !(key in dictionary)) dictionary[key] = value
      this.space()
      if (this.#take('}')) return dictionary
      if (!this.#take(',')) return this.#failHere("',' or '}'")
    }
  }

  #take(character: string): boolean {
    if (this.#text.charAt(this.position) !== character) return false
    this.position++
    return true
  }

  #string(): string | null {
    this.position++
    let value = ''
    for (;;) {
      const end = matchEnd(PLAIN, this.#text, this.position)
      value += this.#text.slice(this.position, end)
      this.position = end
      if (this.#take('"')) return value
      if (!this.#take('\\')) return this.#failHere('a character or the end of a string')
      const character = this.#text.charAt(this.position)
      const plain = Object.hasOwn(ESCAPES, character) ? ESCAPES[character] : undefined
      if (plain !== undefined) {
        value += plain
        this.position++
      } else {
        const octets = this.#unicode()
        if (octets === null) return null
        value += octets
      }
    }
  }

  /** The UTF-8 octets of `uXXXX`, or of two that are surrogates (§7). A surrogate alone is the replacement character. */
  #unicode(): string | null {
    const unit = this.#hex()
    if (unit === null) return this.#failHere('an escape')
    let point = unit
    if (unit >= SURROGATES_FROM && unit < SURROGATES_END) {
      const before = this.position
      point = REPLACEMENT
      if (unit < LOW_SURROGATES_FROM && this.#take('\\')) {
        const low = this.#hex()
        if (low !== null && low >= LOW_SURROGATES_FROM && low < SURROGATES_END) {
          point = 0x10000 + ((unit - SURROGATES_FROM) << 10) + (low - LOW_SURROGATES_FROM)
        } else {
          this.position = before
        }
      }
    }
    return Buffer.from(String.fromCodePoint(point), 'utf8').toString('latin1')
  }

  #hex(): number | null {
    const text = this.#text.slice(this.position, this.position + 5)
    if (!/^u[0-9a-fA-F]{4}$/.test(text)) return null
    this.position += 5
    return Number.parseInt(text.slice(1), 16)
  }

  #failHere(wanted: string): null {
    const cut = this.position >= this.#text.length
    return this.#fail(cut ? 'NG_TRUNCATED' : 'NG_SYNTAX', `${wanted} is expected`)
  }

  #fail(code: NgProblemCode, reason: string): null {
    this.problem ??= new NgProblem(code, this.position, `${reason} at octet ${this.position}`)
    return null
  }
}

const WORDS: readonly (readonly [string, NgValue | null])[] = [
  ['true', 1],
  ['false', 0],
  ['null', null],
]

/** Where the match of a sticky pattern that may be empty ends. */
function matchEnd(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from
  return pattern.test(text) ? pattern.lastIndex : from
}
