// The keys of a dictionary by their one spelling, each taken once; what nobody takes was not understood.

import { plainName } from '#ng/ng-flag.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

/** Octets of a report on one key. */
const REPORT_OCTETS_MAX = 80
/** Reports of one command. */
export const UNKNOWN_MAX = 64

const ON: ReadonlySet<string> = new Set(['yes', 'on', 'true', '1', 'enable', 'enabled'])
const OFF: ReadonlySet<string> = new Set(['no', 'off', 'false', '0', 'disable', 'disabled'])

export class NgFields {
  readonly #fields = new Map<string, { readonly key: string; readonly value: NgValue }>()
  readonly #unknown: string[] = []

  constructor(dictionary: NgDictionary) {
    for (const key of Object.keys(dictionary)) {
      const value = dictionary[key]
      const name = plainName(key)
      if (value === undefined) continue
      if (this.#fields.has(name)) this.report(key)
      else this.#fields.set(name, { key, value })
    }
  }

  /** The value under the first of `names` (plain) that is there; the others stay. */
  take(...names: readonly string[]): NgValue | null {
    for (const name of names) {
      const field = this.#fields.get(name)
      if (field !== undefined) {
        this.#fields.delete(name)
        return field.value
      }
    }
    return null
  }

  /** A text; an integer is its digits. Anything else is reported. */
  text(...names: readonly string[]): string | null {
    const value = this.take(...names)
    if (typeof value === 'string') return value
    if (typeof value === 'number') return String(value)
    if (value !== null) this.report(names[0] ?? '')
    return null
  }

  /** An integer from `min` to `max`, or its decimal text. Anything else is reported. */
  integer(min: number, max: number, ...names: readonly string[]): number | null {
    const value = this.take(...names)
    if (value === null) return null
    const number = typeof value === 'string' && /^-?[0-9]{1,15}$/.test(value) ? Number(value) : value
    if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number
    this.report(typeof value === 'object' ? (names[0] ?? '') : `${names[0]}=${value}`)
    return null
  }

  /** Texts of a list, or one text alone. */
  list(...names: readonly string[]): string[] {
    const value = this.take(...names)
    if (value === null) return []
    if (typeof value === 'string') return [value]
    if (!Array.isArray(value)) {
      this.report(names[0] ?? '')
      return []
    }
    return value.filter((item): item is string => typeof item === 'string')
  }

  dictionary(...names: readonly string[]): NgFields | null {
    const value = this.take(...names)
    if (value === null) return null
    if (isDictionary(value)) return new NgFields(value)
    this.report(names[0] ?? '')
    return null
  }

  /** Yes or no in any of rtpengine's words. */
  toggle(...names: readonly string[]): boolean | null {
    const text = this.text(...names)
    if (text === null) return null
    const word = text.toLowerCase()
    if (ON.has(word)) return true
    if (OFF.has(word)) return false
    this.report(`${names[0]}=${text}`)
    return null
  }

  /** One of `words` by its plain name, or what `synonyms` make of it. */
  word<T extends string>(words: readonly T[], synonyms: Readonly<Record<string, T>>, ...names: string[]): T | null {
    const text = this.text(...names)
    if (text === null) return null
    const found = wordOf(text, words, synonyms)
    if (found === null) this.report(`${names[0]}=${text}`)
    return found
  }

  /** Notes what was not understood. */
  report(what: string): void {
    if (this.#unknown.length < UNKNOWN_MAX) this.#unknown.push(what.slice(0, REPORT_OCTETS_MAX))
  }

  /** All plain names that are left, in order. */
  names(): string[] {
    return [...this.#fields.keys()]
  }

  /** What was reported, and the keys that nobody took; `prefix` stands before those of a dictionary within. */
  unknown(prefix = ''): readonly string[] {
    for (const { key } of this.#fields.values()) this.report(key)
    this.#fields.clear()
    return this.#unknown.map((text) => prefix + text)
  }
}

/** The word that `text` is in any spelling, or null. */
export function wordOf<T extends string>(
  text: string,
  words: readonly T[],
  synonyms: Readonly<Record<string, T>>,
): T | null {
  const name = plainName(text)
  return words.find((word) => word === name) ?? (Object.hasOwn(synonyms, name) ? (synonyms[name] ?? null) : null)
}

function isDictionary(value: NgValue): value is NgDictionary {
  return typeof value === 'object' && !Array.isArray(value)
}
