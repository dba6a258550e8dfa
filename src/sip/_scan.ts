// Scanning pieces of the RFC 3261 §25.1 grammar shared by the decoders of this folder. All are linear and never throw.
// Hot path: native searches and tests of patterns without captures, no loops over characters where there is a choice.
// Every pattern built from these parts decides by the next character, so none can backtrack more than linearly.

const TOKEN_CHARS = "A-Za-z0-9\\-.!%*_+`'~"
// Unquoted values: tokens and hosts, and beyond the grammar what peers send in base64 and the like; no separators that
// would change the structure of the field.
const VALUE_CHARS = '!#-+\\-.\\/0-:=?-\\[\\]-~\\x80-\\xff'

/** Pattern source of linear white space after unfolding. */
export const BLANKS = '[ \\t]*'
/** Pattern source of a token. */
export const TOKEN = `[${TOKEN_CHARS}]+`
/** Pattern source of a quoted-string: any octet but line breaks may be escaped, control characters must be. */
export const QUOTED = '"(?:[^"\\\\\\x00-\\x08\\n-\\x1f\\x7f]|\\\\[^\\r\\n])*"'
/** Pattern source of hostname and IPv4address; underscores, which the grammar forbids, are in use. */
export const HOSTNAME = '\\w+(?:-+\\w+|\\.\\w+)*\\.?'
/** Pattern source of host; what is in brackets is checked by `hostIn`. */
export const HOST = `(?:${HOSTNAME}|\\[[0-9A-Fa-f:.]+\\])`
/** Pattern source of *( SEMI generic-param ). */
export const GENERIC_PARAMS = `(?:${BLANKS};${BLANKS}${TOKEN}(?:${BLANKS}=${BLANKS}(?:[${VALUE_CHARS}]+|${QUOTED}))?)*${BLANKS}`

const TOKEN_ONLY = new RegExp(`^${TOKEN}$`)
const GENERIC_PARAMS_ONLY = new RegExp(`^${GENERIC_PARAMS}$`)
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/

/** Whether all of `text` is one token (§25.1). */
export function isToken(text: string): boolean {
  return TOKEN_ONLY.test(text)
}

/** Whether every '%' in `text` starts an escape of two hexadecimal digits. */
export function areEscapesWhole(text: string): boolean {
  return !text.includes('%') || !BAD_ESCAPE.test(text)
}

/** Whether the character code is SP or HTAB. */
export function isBlank(code: number): boolean {
  return code === 32 || code === 9
}

/** Index of the first character at or after `at` that is not linear white space. */
export function skipBlank(text: string, at: number): number {
  while (at < text.length && isBlank(text.charCodeAt(at))) at += 1
  return at
}

/** `text` without SP and HTAB at both ends. (`trim` would take U+00A0 too, which here is an octet of some UTF-8 character.) */
export function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return end - start === text.length ? text : text.slice(start, end)
}

/** Index just after the closing quote of the quoted-string that opens at `at`, or -1 when it never closes (§25.1). */
export function quotedEnd(text: string, at: number): number {
  const close = text.indexOf('"', at + 1)
  // A quote after anything but a backslash is not escaped.
  if (close < 0 || text.charCodeAt(close - 1) !== 92) return close + (close < 0 ? 0 : 1)
  for (let i = at + 1; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (code === 92) i += 1
    else if (code === 34) return i + 1
  }
  return -1
}

/** The content of a quoted-string given with its quotes, escapes resolved. */
export function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1)
  return inner.includes('\\') ? inner.replace(/\\([\s\S])/g, '$1') : inner
}

/** `text` as a quoted-string. Line breaks, which cannot stand in one, become spaces. */
export function quote(text: string): string {
  return `"${text.replace(/[\r\n]+/g, ' ').replace(/["\\\x00-\x08\x0b-\x1f\x7f]/g, '\\$&')}"`
}

/** The digits of `text` as an integer, or -1 when there are none, something else, or more than `max`. */
export function decimal(text: string, max: number): number {
  if (text.length === 0) return -1
  let value = 0
  for (let i = 0; i < text.length; i += 1) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
    if (value > max) return -1
  }
  return value
}

/** Whether `text` has `lower` (lower case) at `at`, without regard to case. */
export function hasAt(text: string, at: number, lower: string): boolean {
  if (at + lower.length > text.length) return false
  for (let i = 0; i < lower.length; i += 1) {
    let code = text.charCodeAt(at + i)
    if (code >= 65 && code <= 90) code += 32
    if (code !== lower.charCodeAt(i)) return false
  }
  return true
}

/**
 * Splits a comma list (§7.3.1) outside quoted strings and angle brackets, each element trimmed; null when a quote or a
 * bracket never closes or an element is empty.
 */
export function splitList(value: string): string[] | null {
  const parts = splitOutsideQuotes(value)
  return typeof parts === 'string' ? null : parts
}

/** As `splitList`, but says what is wrong in words. */
export function splitOutsideQuotes(value: string): string[] | string {
  if (!value.includes(',')) {
    const only = trimBlanks(value)
    return only.length === 0 ? 'empty element' : [only]
  }
  const parts: string[] = []
  let start = 0
  let bracket = false
  for (let i = 0; i <= value.length; i += 1) {
    const code = i === value.length ? 44 : value.charCodeAt(i)
    if (i === value.length && bracket) return 'missing ">"'
    if (code === 34 && !bracket) {
      const end = quotedEnd(value, i)
      if (end < 0) return 'unterminated quoted string'
      i = end - 1
    } else if (code === 60) bracket = true
    else if (code === 62) bracket = false
    else if (code === 44 && !bracket) {
      const part = trimBlanks(value.slice(start, i))
      if (part.length === 0) return 'empty element'
      parts.push(part)
      start = i + 1
    }
  }
  return parts
}

/** Index of the ';' that ends the parameter at `at`, or the length, when quoted strings may hold a ';'. */
function paramEnd(params: string, at: number): number {
  // Walked, not searched: a search for the next quote looks beyond this parameter, and the optimiser may even lift it
  // out of the branch it stands in. Many parameters would make that quadratic.
  for (let i = at; i < params.length; i += 1) {
    const code = params.charCodeAt(i)
    if (code === 59) return i
    if (code === 34) {
      const close = quotedEnd(params, i)
      if (close < 0) return params.length
      i = close - 1
    }
  }
  return params.length
}

/**
 * The value of parameter `name` (lower case) in a `;name=value;flag` string: null when absent, '' when it has no value.
 * Quoted values come without quotes.
 */
export function paramIn(params: string, name: string): string | null {
  const quoted = params.includes('"')
  for (let at = params.indexOf(';'); at >= 0 && at < params.length; ) {
    const nameStart = skipBlank(params, at + 1)
    const semicolon = quoted ? paramEnd(params, nameStart) : params.indexOf(';', nameStart)
    const end = semicolon < 0 ? params.length : semicolon
    if (hasAt(params, nameStart, name)) {
      const i = skipBlank(params, nameStart + name.length)
      if (i >= end) return ''
      if (params.charCodeAt(i) === 61) {
        const value = trimBlanks(params.slice(i + 1, end))
        return value.charCodeAt(0) === 34 ? unquote(value) : value
      }
    }
    at = end
  }
  return null
}

/** Names and values of a `;name=value;flag` string without quoted strings, as written; flags have the value ''. */
export function splitParams(params: string): [string, string][] {
  const pairs: [string, string][] = []
  for (const param of params.split(';').slice(1)) {
    const equal = param.indexOf('=')
    pairs.push(equal < 0 ? [param, ''] : [param.slice(0, equal), param.slice(equal + 1)])
  }
  return pairs
}

/**
 * Whether `params` is a well-formed sequence of generic parameters `;name[=value]` (§25.1 generic-param; tokens, hosts
 * and quoted strings as values, LWS around separators). The empty string is.
 */
export function areGenericParams(params: string): boolean {
  return GENERIC_PARAMS_ONLY.test(params)
}
