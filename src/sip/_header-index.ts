// Where the header fields of a message stand: RFC 3261 §7.3, §25.1. One pass with native searches over the text.
// Hot path: every message passes here.

import { isBlank, isToken, trimBlanks } from '#sip/_scan.ts'
import { HeaderId, headerIdAt } from '#sip/header-id.ts'

/** Header field lines of one message. */
export const HEADER_LINES_MAX = 256

// Line i stands at 4·i: line start, value start, value end, id and whether the value is folded.
const STRIDE = 4
const ID_MASK = 0xff
const FOLDED = 0x100
/** Lines for which room is made at once. */
const LINES_USUAL = 20

const LF = 10
const BACKSLASH = 92

export class HeaderIndex {
  readonly #text: string
  readonly #marks: number[] = new Array<number>(LINES_USUAL * STRIDE)
  // The first line of each field of small id, which are those that every message is asked for.
  readonly #first: number[] = [-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1]
  /** Number of header field lines. */
  count = 0
  /** Index of the first character of the body; the length of the text when the header fields do not end. */
  bodyStart = 0
  /** Stable code of the first fault, '' when there is none. Lines that could be read are indexed all the same. */
  faultCode = ''
  /** What is wrong, and in which line, counted from 1 after the start line. */
  faultReason = ''

  /** Indexes the header fields of `text` from `at` on. */
  constructor(text: string, at: number) {
    this.#text = text
    this.bodyStart = this.#indexLines(at)
    this.#checkNul()
  }

  /** Id of line `line`. */
  idOf(line: number): HeaderId {
    return ((this.#marks[line * STRIDE + 3] ?? 0) & ID_MASK) as HeaderId
  }

  /** The first line of field `id`, or -1. */
  first(id: HeaderId): number {
    return this.#first[id] ?? this.next(id, 0)
  }

  /** The first line of field `id` at or after `from`, or -1. */
  next(id: HeaderId, from: number): number {
    const marks = this.#marks
    for (let line = from; line < this.count; line += 1) {
      if (((marks[line * STRIDE + 3] ?? 0) & ID_MASK) === id) return line
    }
    return -1
  }

  /** Name of line `line` as written. */
  nameOf(line: number): string {
    const start = this.#marks[line * STRIDE] ?? 0
    return trimBlanks(this.#text.slice(start, this.#text.indexOf(':', start)))
  }

  /** Value of line `line`: unfolded (§7.3.1), without white space at its ends. */
  valueOf(line: number): string {
    const i = line * STRIDE
    const value = this.#text.slice(this.#marks[i + 1] ?? 0, this.#marks[i + 2] ?? 0)
    return ((this.#marks[i + 3] ?? 0) & FOLDED) === 0 ? value : unfolded(value)
  }

  #indexLines(at: number): number {
    const text = this.#text
    const marks = this.#marks
    const first = this.#first
    let mark = 0
    for (let lineNumber = 1; ; lineNumber += 1) {
      const cr = text.indexOf('\r', at)
      const isEmpty = cr === at && text.charCodeAt(at + 1) === LF
      // A message may lack the empty line when the datagram ends with its last header line.
      if (isEmpty || at >= text.length) {
        this.count = mark / STRIDE
        return isEmpty ? at + 2 : at
      }
      let end = cr < 0 ? text.length : cr
      if (text.indexOf('\n', at) !== (cr < 0 ? -1 : cr + 1)) {
        this.#fault('SIP_BARE_LINE_BREAK', `CR or LF alone in header line ${lineNumber}`)
        const next = text.indexOf('\r\n', at)
        end = next < 0 ? text.length : next
      } else if (lineNumber > HEADER_LINES_MAX) {
        this.#fault('SIP_HEADERS_MAX', `More than ${HEADER_LINES_MAX} header lines`)
        end = text.length
      } else if (isBlank(text.charCodeAt(at))) {
        // §7.3.1 folding: belongs to the line before.
        if (mark === 0) {
          this.#fault('SIP_FOLD_FIRST', 'White space before the first header field')
        } else {
          const previousEnd = marks[mark - 2] ?? 0
          const valueEnd = trimmedEnd(text, at, end)
          // A line of nothing but white space adds nothing (it is legal: SWS after the colon).
          if (valueEnd > at) {
            marks[mark - 2] = valueEnd
            if (previousEnd === (marks[mark - 3] ?? 0)) marks[mark - 3] = skipBlanks(text, at, end)
            else marks[mark - 1] = (marks[mark - 1] ?? 0) | FOLDED
          }
        }
      } else {
        const colon = text.indexOf(':', at)
        let nameEnd = colon
        while (nameEnd > at && isBlank(text.charCodeAt(nameEnd - 1))) nameEnd -= 1
        const id = colon < end ? headerIdAt(text, at, nameEnd) : HeaderId.other
        if (colon < 0 || colon > end) {
          this.#fault('SIP_NO_COLON', `No colon in header line ${lineNumber}`)
        } else if (id === HeaderId.other && !isToken(text.slice(at, nameEnd))) {
          this.#fault('SIP_HEADER_NAME', `Malformed name in header line ${lineNumber}`)
        } else {
          const valueStart = skipBlanks(text, colon + 1, end)
          marks[mark] = at
          marks[mark + 1] = valueStart
          marks[mark + 2] = trimmedEnd(text, valueStart, end)
          marks[mark + 3] = id
          if (first[id] === -1) first[id] = mark / STRIDE
          mark += STRIDE
        }
      }
      at = Math.min(end + 2, text.length)
    }
  }

  /** NUL stands in a header field only as a quoted-pair (§25.1), in a body wherever it likes. */
  #checkNul(): void {
    const text = this.#text
    for (let nul = text.indexOf('\0'); nul >= 0 && nul < this.bodyStart; nul = text.indexOf('\0', nul + 1)) {
      if (text.charCodeAt(nul - 1) === BACKSLASH) continue
      this.#fault('SIP_NUL', 'NUL in the header fields')
      return
    }
  }

  #fault(code: string, reason: string): void {
    if (this.faultCode !== '') return
    this.faultCode = code
    this.faultReason = reason
  }
}

function skipBlanks(text: string, start: number, end: number): number {
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  return start
}

function trimmedEnd(text: string, start: number, end: number): number {
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return end
}

function unfolded(value: string): string {
  return value.split('\r\n').map(trimBlanks).join(' ')
}
