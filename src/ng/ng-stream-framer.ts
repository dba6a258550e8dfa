// Messages of the ng protocol on a TCP stream: one behind another, each as long as its dictionary says (bencode, JSON).

import { COOKIE_OCTETS_MAX, MESSAGE_OCTETS_MAX } from '#ng/ng-limits.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import { OctetBuffer } from '#ng/octet-buffer.ts'

const LENGTH_DIGITS_MAX = 9
const INTEGER_OCTETS_MAX = 24

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const LETTER_D = 0x64
const LETTER_E = 0x65
const LETTER_I = 0x69
const LETTER_L = 0x6c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

type State = 'cookie' | 'body' | 'bencode' | 'json' | 'broken'

/** Finds where messages end, each octet looked at about once however the stream is cut. */
export class NgStreamFramer {
  readonly #buffer = new OctetBuffer()
  #state: State = 'cookie'
  /** Octets of the message at hand that are looked at. */
  #scanned = 0
  #depth = 0
  #inString = false
  #escaped = false

  push(bytes: Uint8Array): void {
    this.#buffer.append(bytes)
  }

  /** The next whole message (latin1 carriage), null when it is not all here yet, or why the stream cannot be read on. */
  next(): string | NgProblem | null {
    let ended = false
    while (!ended) {
      const before = this.#scanned
      const state = this.#state
      const problem = this.#step()
      if (problem !== null) {
        this.#state = 'broken'
        return problem
      }
      ended = this.#state === 'cookie' && state !== 'cookie'
      if (this.#scanned > MESSAGE_OCTETS_MAX) {
        this.#state = 'broken'
        return new NgProblem('NG_OCTETS_MAX', before, `the message is over ${MESSAGE_OCTETS_MAX} octets`)
      }
      if (!ended && this.#scanned === before && this.#state === state) return null
    }
    const octets = this.#scanned
    this.#scanned = 0
    return this.#buffer.take(octets)
  }

  #step(): NgProblem | null {
    switch (this.#state) {
      case 'cookie':
        return this.#cookie()
      case 'body':
        return this.#body()
      case 'bencode':
        return this.#bencode()
      case 'json':
        return this.#json()
      case 'broken':
        return new NgProblem('NG_SYNTAX', 0, 'the stream was broken before')
      default:
        return this.#state satisfies never
    }
  }

  #cookie(): NgProblem | null {
    const buffer = this.#buffer
    // Line ends between messages come from people with a terminal.
    while (this.#scanned === 0 && buffer.length > 0 && isSpace(buffer.bytes[buffer.start])) buffer.skip(1)
    const { bytes, start, end } = buffer
    for (let at = start + this.#scanned; at < end; at++) {
      if (at - start > COOKIE_OCTETS_MAX) {
        return new NgProblem('NG_COOKIE_MAX', COOKIE_OCTETS_MAX, `no space within ${COOKIE_OCTETS_MAX} octets`)
      }
      this.#scanned++
      if (bytes[at] === SPACE) {
        this.#state = 'body'
        return null
      }
    }
    return null
  }

  #body(): NgProblem | null {
    const { bytes, start, end } = this.#buffer
    const at = start + this.#scanned
    if (at >= end) return null
    const code = bytes[at]
    if (code !== LETTER_D && code !== OPEN_BRACE) {
      return new NgProblem('NG_NOT_A_DICTIONARY', this.#scanned, `no dictionary begins at octet ${this.#scanned}`)
    }
    this.#state = code === LETTER_D ? 'bencode' : 'json'
    this.#depth = 1
    this.#inString = false
    this.#escaped = false
    this.#scanned++
    return null
  }

  /** One value of the skeleton: nesting, and how far strings and integers reach. */
  #bencode(): NgProblem | null {
    const { bytes, start, end } = this.#buffer
    let at = start + this.#scanned
    while (at < end) {
      const code = bytes[at] ?? 0
      if (code === LETTER_E) {
        at++
        this.#depth--
      } else if (code === LETTER_D || code === LETTER_L) {
        at++
        this.#depth++
      } else if (code === LETTER_I) {
        const close = bytes.subarray(at, Math.min(end, at + INTEGER_OCTETS_MAX)).indexOf(LETTER_E)
        if (close < 0 && end - at < INTEGER_OCTETS_MAX) return null
        if (close < 0) return this.#wrong(at - start)
        at += close + 1
      } else if (code >= ZERO && code <= NINE) {
        const colon = bytes.subarray(at, Math.min(end, at + LENGTH_DIGITS_MAX + 1)).indexOf(COLON)
        if (colon < 0 && end - at <= LENGTH_DIGITS_MAX) return null
        const length = colon < 0 ? Number.NaN : Number(bytes.toString('latin1', at, at + colon))
        if (!Number.isInteger(length)) return this.#wrong(at - start)
        const next = at + colon + 1 + length
        if (next - start > MESSAGE_OCTETS_MAX) {
          return new NgProblem('NG_OCTETS_MAX', at - start, `the message is over ${MESSAGE_OCTETS_MAX} octets`)
        }
        if (next > end) return null
        at = next
      } else {
        return this.#wrong(at - start)
      }
      this.#scanned = at - start
      if (this.#depth === 0) {
        this.#state = 'cookie'
        return null
      }
    }
    return null
  }

  #json(): NgProblem | null {
    const { bytes, start, end } = this.#buffer
    for (let at = start + this.#scanned; at < end; at++) {
      this.#scanned++
      const code = bytes[at]
      if (this.#escaped) this.#escaped = false
      else if (this.#inString) {
        if (code === BACKSLASH) this.#escaped = true
        else if (code === QUOTE) this.#inString = false
      } else if (code === QUOTE) this.#inString = true
      else if (code === OPEN_BRACE || code === OPEN_LIST) this.#depth++
      else if (code === CLOSE_BRACE || code === CLOSE_LIST) {
        this.#depth--
        if (this.#depth === 0) {
          this.#state = 'cookie'
          return null
        }
      }
      if (this.#scanned > MESSAGE_OCTETS_MAX) return null
    }
    return null
  }

  #wrong(position: number): NgProblem {
    return new NgProblem('NG_SYNTAX', position, `a value is expected at octet ${position}`)
  }
}

function isSpace(code: number | undefined): boolean {
  return code === SPACE || code === LF || code === CR || code === TAB
}
