// When two URIs name the same: RFC 3261 §19.1.4 for SIP and SIPS, RFC 3966 §4 for tel; and the key of an
// address-of-record, RFC 3261 §10.3.

import { splitParams } from '#sip/_scan.ts'
import { type Uri, unescapeUri } from '#sip/uri.ts'

/** Parameters that count as different when one URI has them and the other does not. */
const NEVER_IGNORED: ReadonlySet<string> = new Set(['transport', 'user', 'ttl', 'method', 'maddr'])
const VISUAL_SEPARATORS = /[-.()]/g

/** Whether the two URIs are equivalent. Not transitive (§19.1.4). Other schemes are compared as texts. */
export function sameUri(a: Uri, b: Uri): boolean {
  if (a.scheme !== b.scheme) return false
  if (a.text === b.text) return true
  if (a.isSip) return sameSipUri(a, b)
  if (a.scheme === 'tel') return sameTelUri(a, b)
  return a.text.slice(a.scheme.length) === b.text.slice(b.scheme.length)
}

/**
 * The key of the address-of-record that a URI names, so that equal addresses have equal keys: scheme, user with escapes
 * resolved, host in lower case; no port, password, parameters or headers. tel: the number without visual separators and
 * its phone-context. Null for other schemes.
 */
export function aorOf(uri: Uri): string | null {
  if (uri.isSip) {
    const host = uri.host.endsWith('.') ? uri.host.slice(0, -1) : uri.host
    return uri.user === '' ? `${uri.scheme}:${host}` : `${uri.scheme}:${unescapeUri(uri.user)}@${host}`
  }
  if (uri.scheme !== 'tel') return null
  const context = uri.user.startsWith('+') ? null : uri.param('phone-context')
  return `tel:${plainNumber(uri.user)}${context === null ? '' : `;phone-context=${plainContext(context)}`}`
}

function sameSipUri(a: Uri, b: Uri): boolean {
  return (
    a.port === b.port &&
    a.host === b.host &&
    comparable(a.user) === comparable(b.user) &&
    (a.password === '') === (b.password === '') &&
    comparable(a.password) === comparable(b.password) &&
    sameSipParams(a.params, b.params) &&
    sameHeaders(a.headers, b.headers)
  )
}

/** Escapes resolved but those of reserved characters, which differ from the character itself, and of '%'. */
function comparable(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9A-Fa-f]{2})/g, (written, hex: string) => {
    const octet = String.fromCharCode(Number.parseInt(hex, 16))
    return /[;/?:@&=+$,%]/.test(octet) ? written.toUpperCase() : octet
  })
}

function paramsOf(params: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const [name, value] of splitParams(params))
    values.set(comparable(name).toLowerCase(), comparable(value).toLowerCase())
  return values
}

function sameSipParams(a: string, b: string): boolean {
  if (a === b) return true
  const left = paramsOf(a)
  const right = paramsOf(b)
  for (const [name, value] of left) {
    const other = right.get(name)
    if (other === undefined ? NEVER_IGNORED.has(name) : other !== value) return false
  }
  for (const name of right.keys()) if (!left.has(name) && NEVER_IGNORED.has(name)) return false
  return true
}

/** Header components are never ignored; their order is. Names are compared without case, values as they are meant. */
function sameHeaders(a: string, b: string): boolean {
  if (a === b) return true
  const left = headersOf(a)
  const right = headersOf(b)
  return left.length === right.length && left.every((header, i) => header === right[i])
}

function headersOf(headers: string): string[] {
  return headers
    .split('&')
    .map((header) => {
      const equal = header.indexOf('=')
      return `${unescapeUri(header.slice(0, equal)).toLowerCase()}=${unescapeUri(header.slice(equal + 1))}`
    })
    .sort()
}

function sameTelUri(a: Uri, b: Uri): boolean {
  if (plainNumber(a.user) !== plainNumber(b.user)) return false
  const left = paramsOf(a.params)
  const right = paramsOf(b.params)
  if (left.size !== right.size) return false
  for (const [name, value] of left) {
    const other = right.get(name)
    if (other === undefined) return false
    if (name === 'phone-context' ? plainContext(other) !== plainContext(value) : !sameTelValue(name, value, other)) {
      return false
    }
  }
  return true
}

function sameTelValue(name: string, a: string, b: string): boolean {
  return a === b || (name === 'ext' && plainNumber(a) === plainNumber(b))
}

function plainNumber(number: string): string {
  return number.replace(VISUAL_SEPARATORS, '').toLowerCase()
}

/** A phone-context is a number or a domain name (RFC 3966 §3). */
function plainContext(context: string): string {
  return context.startsWith('+') ? plainNumber(context) : context.toLowerCase()
}
