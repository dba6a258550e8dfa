// name-addr and addr-spec with header parameters: From, To, Contact, Route, P-Asserted-Identity … (RFC 3261 §20.10, §25.1).

import { areGenericParams, isBlank, paramIn, quotedEnd, skipBlank, unquote } from '#sip/_scan.ts'
import { parseUri, type Uri } from '#sip/uri.ts'

const DISPLAY_TOKENS = /^[A-Za-z0-9\-.!%*_+`'~ \t\x80-\xff]*$/

export class NameAddr {
  /** The whole element as written. */
  readonly text: string
  /** Display name without quotes, escapes resolved; latin1 carriage of what is UTF-8 on the wire. '' when there is none. */
  readonly displayName: string
  readonly uri: Uri
  /** Header parameters as written, ';tag=…', or ''. */
  readonly params: string

  constructor(text: string, displayName: string, uri: Uri, params: string) {
    this.text = text
    this.displayName = displayName
    this.uri = uri
    this.params = params
  }

  /** The value of a header parameter (name in lower case): null when absent, '' when it has none. */
  param(name: string): string | null {
    return this.params === '' ? null : paramIn(this.params, name)
  }

  /** The tag (§19.3), or null. */
  get tag(): string | null {
    const tag = this.param('tag')
    return tag === '' ? null : tag
  }
}

/**
 * Parses one element. Null when malformed: a quote or bracket that never closes, a URI that is none, a bare URI with
 * '?' or ',' in it (§20: then it MUST be bracketed), or malformed parameters.
 */
export function parseNameAddr(text: string): NameAddr | null {
  const start = skipBlank(text, 0)
  let displayName = ''
  let open = start
  if (text.charCodeAt(start) === 34) {
    const end = quotedEnd(text, start)
    if (end < 0) return null
    displayName = unquote(text.slice(start, end))
    open = skipBlank(text, end)
    if (text.charCodeAt(open) !== 60) return null
  } else {
    open = text.indexOf('<', start)
    if (open > start) {
      displayName = text.slice(start, open).trimEnd()
      if (!DISPLAY_TOKENS.test(displayName)) return null
    }
  }
  if (open < 0) return parseAddrSpec(text, start)
  const close = text.indexOf('>', open)
  if (close < 0) return null
  const uri = parseUri(text.slice(open + 1, close))
  if (uri === null) return null
  const params = text.slice(close + 1).trim()
  return areGenericParams(params) ? new NameAddr(text, displayName, uri, params) : null
}

function parseAddrSpec(text: string, start: number): NameAddr | null {
  let end = text.indexOf(';', start)
  // A semicolon before '@' belongs to the user part (§25.1 user-unreserved); one after it starts the header parameters.
  const at = text.indexOf('@', start)
  if (at >= 0 && end >= 0 && end < at) end = text.indexOf(';', at)
  if (end < 0) end = text.length
  let uriEnd = end
  while (uriEnd > start && isBlank(text.charCodeAt(uriEnd - 1))) uriEnd -= 1
  const uriText = text.slice(start, uriEnd)
  const uri = parseUri(uriText)
  if (uri === null || uri.headers !== '' || uriText.includes(',') || uriText.includes('?')) return null
  const params = text.slice(end).trim()
  return areGenericParams(params) ? new NameAddr(text, '', uri, params) : null
}
