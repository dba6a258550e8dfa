// name-addr and addr-spec with header parameters: From, To, Contact, Route, P-Asserted-Identity … (RFC 3261 §20.10, §25.1).

import {
  areGenericParams,
  BLANKS,
  GENERIC_PARAMS,
  paramIn,
  QUOTED,
  quotedEnd,
  skipBlank,
  trimBlanks,
  unquote,
} from '#sip/_scan.ts'
import { cutSipUri, readUri, SIP_URI, type Uri } from '#sip/uri.ts'

// *(token LWS) of §25.1; UTF-8 without quotes is not in the grammar, but common.
const DISPLAY_TOKENS = "[A-Za-z0-9\\-.!%*_+`'~ \\t\\x80-\\xff]*"
const DISPLAY_TOKENS_ONLY = new RegExp(`^${DISPLAY_TOKENS}$`)
const QUOTED_ONLY = new RegExp(`^${QUOTED}$`)
// What nearly every address looks like: decided by one test.
const SIP_NAME_ADDR = new RegExp(`^(?:${QUOTED}${BLANKS}|${DISPLAY_TOKENS})<${SIP_URI}>${GENERIC_PARAMS}$`)

export class NameAddr {
  /** The whole element as written. */
  readonly text: string
  readonly uri: Uri
  /** Header parameters as written, ';tag=…', or ''. */
  readonly params: string
  readonly #displayEnd: number
  #tag: string | null | undefined = undefined

  /** The display name stands before `displayEnd`. Made by `readNameAddr`. */
  constructor(text: string, displayEnd: number, uri: Uri, params: string) {
    this.text = text
    this.uri = uri
    this.params = params
    this.#displayEnd = displayEnd
  }

  /** Display name without quotes, escapes resolved; latin1 carriage of what is UTF-8 on the wire. '' when there is none. */
  get displayName(): string {
    const written = trimBlanks(this.text.slice(0, this.#displayEnd))
    return written.charCodeAt(0) === 34 ? unquote(written) : written
  }

  /** The value of a header parameter (name in lower case): null when absent, '' when it has none. */
  param(name: string): string | null {
    return this.params === '' ? null : paramIn(this.params, name)
  }

  /** The tag (§19.3), or null. */
  get tag(): string | null {
    if (this.#tag === undefined) {
      const tag = this.param('tag')
      this.#tag = tag === '' ? null : tag
    }
    return this.#tag
  }
}

/**
 * Parses one element. Null when malformed: a quote or bracket that never closes, a URI that is none, a bare URI with
 * '?' or ',' in it (§20: then it MUST be bracketed), or malformed parameters.
 */
export function parseNameAddr(text: string): NameAddr | null {
  const address = readNameAddr(text)
  return typeof address === 'string' ? null : address
}

/** As `parseNameAddr`, but says in words what is wrong. */
export function readNameAddr(text: string): NameAddr | string {
  if (!SIP_NAME_ADDR.test(text)) return readUnusual(text)
  const open = text.indexOf('<', text.charCodeAt(0) === 34 ? quotedEnd(text, 0) : 0)
  const close = text.indexOf('>', open)
  const isSips = (text.charCodeAt(open + 4) | 32) === 115
  const uri = cutSipUri(text.slice(open + 1, close), isSips ? 'sips' : 'sip')
  return typeof uri === 'string' ? `bad URI: ${uri}` : new NameAddr(text, open, uri, text.slice(close + 1))
}

/** Other schemes, no brackets, white space in front, or something wrong. */
function readUnusual(text: string): NameAddr | string {
  const start = skipBlank(text, 0)
  let open = start
  if (text.charCodeAt(start) === 34) {
    const end = quotedEnd(text, start)
    if (end < 0) return 'unterminated quoted string'
    if (!QUOTED_ONLY.test(text.slice(start, end))) return 'control character in quoted string'
    open = skipBlank(text, end)
    if (text.charCodeAt(open) !== 60) return 'no "<" after the display name'
  } else if (text.charCodeAt(start) !== 60) {
    open = text.indexOf('<', start)
    // A '<' within a quoted parameter value opens nothing.
    if (open < 0 || text.slice(start, open).includes('"')) return readAddrSpec(text, start)
    if (!DISPLAY_TOKENS_ONLY.test(text.slice(start, open))) return 'display name must be quoted'
  }
  const close = text.indexOf('>', open)
  if (close < 0) return 'missing ">"'
  const uri = readUri(text.slice(open + 1, close))
  if (typeof uri === 'string') return `bad URI: ${uri}`
  const params = text.slice(close + 1)
  return areGenericParams(params) ? new NameAddr(text, open, uri, params) : 'bad parameter'
}

function readAddrSpec(text: string, start: number): NameAddr | string {
  // §20: without brackets, everything after the first semicolon is a header parameter.
  const semicolon = text.indexOf(';', start)
  const end = semicolon < 0 ? text.length : semicolon
  const uriText = trimBlanks(text.slice(start, end))
  if (uriText === '') return 'no URI'
  if (/[?,]/.test(uriText)) return 'URI with "?" or "," must be in <>'
  const uri = readUri(uriText)
  if (typeof uri === 'string') return `bad URI: ${uri}`
  const params = text.slice(end)
  // "sip:alice;x=y@host": the user part was meant to go on. A guess would name another host.
  const at = params.indexOf('@')
  if (at >= 0 && uri.user === '' && !params.slice(0, at).includes('"')) return 'URI with ";" must be in <>'
  return areGenericParams(params) ? new NameAddr(text, 0, uri, params) : 'bad parameter'
}
