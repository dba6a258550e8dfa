// Scanning pieces of the RFC 3261 §25.1 grammar shared by the decoders of this folder. All are linear and never throw.

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/

/** Whether all of `text` is one token (§25.1). */
export function isToken(text: string): boolean {
  return TOKEN.test(text)
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

/** Index just after the closing quote of the quoted-string that opens at `at`, or -1 when it never closes (§25.1). */
export function quotedEnd(text: string, at: number): number {
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

/** `text` as a quoted-string. */
export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
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

/**
 * Splits a comma list (§7.3.1) outside quoted strings and angle brackets, each element trimmed; null when a quote or a
 * bracket never closes or an element is empty.
 */
export function splitList(value: string): string[] | null {
  if (!value.includes(',')) {
    const only = value.trim()
    return only.length === 0 ? null : [only]
  }
  const parts: string[] = []
  let start = 0
  let bracket = false
  for (let i = 0; i <= value.length; i += 1) {
    const code = i === value.length ? 44 : value.charCodeAt(i)
    if (i === value.length && bracket) return null
    if (code === 34 && !bracket) {
      const end = quotedEnd(value, i)
      if (end < 0) return null
      i = end - 1
    } else if (code === 60) bracket = true
    else if (code === 62) bracket = false
    else if (code === 44 && !bracket) {
      const part = value.slice(start, i).trim()
      if (part.length === 0) return null
      parts.push(part)
      start = i + 1
    }
  }
  return parts
}

/**
 * The value of parameter `name` (lower case) in a `;name=value;flag` string: null when absent, '' when it has no value.
 * Quoted values come without quotes.
 */
export function paramIn(params: string, name: string): string | null {
  let at = 0
  while (at < params.length) {
    // `at` is on a ';'.
    let i = skipBlank(params, at + 1)
    const nameStart = i
    while (i < params.length && params.charCodeAt(i) !== 59 && params.charCodeAt(i) !== 61) i += 1
    const hit = i - nameStart >= name.length && params.slice(nameStart, i).trimEnd().toLowerCase() === name
    if (params.charCodeAt(i) !== 61) {
      if (hit) return ''
      at = i
      continue
    }
    const valueStart = skipBlank(params, i + 1)
    let end = valueStart
    if (params.charCodeAt(valueStart) === 34) {
      end = quotedEnd(params, valueStart)
      if (end < 0) return null
      if (hit) return unquote(params.slice(valueStart, end))
      while (end < params.length && params.charCodeAt(end) !== 59) end += 1
    } else {
      while (end < params.length && params.charCodeAt(end) !== 59) end += 1
      if (hit) return params.slice(valueStart, end).trimEnd()
    }
    at = end
  }
  return null
}

const PARAM_NAME_OR_TOKEN_OR_HOST = /^[A-Za-z0-9\-.!%*_+`'~[\]:]+$/

/**
 * Whether `params` is a well-formed sequence of generic parameters `;name[=value]` (§25.1 generic-param; tokens, hosts
 * and quoted strings as values, LWS around separators). The empty string is.
 */
export function areGenericParams(params: string): boolean {
  let at = skipBlank(params, 0)
  while (at < params.length) {
    if (params.charCodeAt(at) !== 59) return false
    let i = at + 1
    while (i < params.length && params.charCodeAt(i) !== 59 && params.charCodeAt(i) !== 61) i += 1
    if (!isToken(params.slice(at + 1, i).trim())) return false
    if (params.charCodeAt(i) === 61) {
      const valueStart = skipBlank(params, i + 1)
      if (params.charCodeAt(valueStart) === 34) {
        i = quotedEnd(params, valueStart)
        if (i < 0) return false
        i = skipBlank(params, i)
        if (i < params.length && params.charCodeAt(i) !== 59) return false
      } else {
        i = valueStart
        while (i < params.length && params.charCodeAt(i) !== 59) i += 1
        if (!PARAM_NAME_OR_TOKEN_OR_HOST.test(params.slice(valueStart, i).trim())) return false
      }
    }
    at = i
  }
  return true
}
