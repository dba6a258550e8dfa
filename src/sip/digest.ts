// Digest access authentication: RFC 7616 and RFC 8760 as RFC 3261 §22 uses them. Credentials, challenges, responses.
// Hot path: every REGISTER and every call of a subscriber passes here. All texts are latin1 carriage of octets.

import { hash } from 'node:crypto'
import { isBlank, quote, quotedEnd, skipBlank } from '#sip/_scan.ts'

/** The hash algorithms of RFC 8760 §2.1, in their registered spelling. */
export type DigestAlgorithm = 'MD5' | 'SHA-256' | 'SHA-512-256'

/** The way to name one of {@link DigestAlgorithm} to the crypto library. */
const HASH: Readonly<Record<DigestAlgorithm, string>> = {
  MD5: 'md5',
  'SHA-256': 'sha256',
  'SHA-512-256': 'sha512-256',
}

/** Parameters of one challenge or one set of credentials. */
const PARAMS_MAX = 32
const NON_ASCII = /[^\x00-\x7f]/

/** What an Authorization or Proxy-Authorization field says (RFC 7616 §3.4). Absent parameters are ''. */
export class Credentials {
  /** Quotes and escapes resolved; from `username*` when it came that way (RFC 7616 §3.4). */
  username = ''
  realm = ''
  nonce = ''
  /** The digest-uri, as between the quotes. */
  uri = ''
  response = ''
  /** null when the algorithm is one that we do not know; a missing one is MD5 (RFC 7616 §3.3). */
  algorithm: DigestAlgorithm | null = 'MD5'
  /** A -sess variant of `algorithm`. */
  session = false
  cnonce = ''
  opaque = ''
  /** In lower case; '' for a client of RFC 2069. */
  qop = ''
  /** The nonce-count as written: eight hexadecimal digits. */
  nc = ''
  /** Whether `username` is a hash of the name (RFC 7616 §3.4.4). */
  userhash = false
}

/** What one WWW-Authenticate or Proxy-Authenticate field says (RFC 7616 §3.3). */
export class Challenge {
  realm = ''
  nonce = ''
  opaque = ''
  /** null when it is one that we do not know. */
  algorithm: DigestAlgorithm | null = 'MD5'
  session = false
  /** The algorithm as written, to be sent back; '' when absent. */
  algorithmText = ''
  /** qop-options in lower case; empty when the server is one of RFC 2069. */
  qop: readonly string[] = []
  stale = false
}

/** Whether a header value is of the Digest scheme (without regard to case, RFC 3261 §25.1). */
export function isDigest(value: string): boolean {
  return (
    (value.startsWith('Digest') || value.slice(0, 6).toLowerCase() === 'digest') &&
    (value.length === 6 || isBlank(value.charCodeAt(6)))
  )
}

/**
 * Parses the value of Authorization or Proxy-Authorization; null when it is not of the Digest scheme or is malformed: bad
 * syntax, a parameter twice, or one missing that must be there (RFC 7616 §3.4: username, realm, nonce, uri, response).
 */
export function parseCredentials(value: string): Credentials | null {
  if (!isDigest(value)) return null
  const params = scanParams(value, 6)
  if (params === null) return null
  const credentials = new Credentials()
  let seen = 0
  for (let i = 0; i < params.length; i += 2) {
    const text = params[i + 1] ?? ''
    let bit = 0
    switch (params[i]) {
      case 'username':
        bit = 1
        credentials.username = unescapeQuoted(text)
        break
      case 'username*': {
        bit = 1
        const name = extendedValue(text)
        if (name === null) return null
        credentials.username = name
        break
      }
      case 'realm':
        bit = 2
        credentials.realm = unescapeQuoted(text)
        break
      case 'nonce':
        bit = 4
        credentials.nonce = text
        break
      case 'uri':
        bit = 8
        credentials.uri = text
        break
      case 'response':
        bit = 16
        credentials.response = text
        break
      case 'algorithm': {
        bit = 32
        const session = isSession(text)
        credentials.session = session
        credentials.algorithm = algorithmFrom(session ? text.slice(0, -5) : text)
        break
      }
      case 'cnonce':
        bit = 64
        credentials.cnonce = text
        break
      case 'opaque':
        bit = 128
        credentials.opaque = text
        break
      case 'qop':
        bit = 256
        credentials.qop = text === 'auth' ? text : text.toLowerCase()
        break
      case 'nc':
        bit = 512
        credentials.nc = text
        break
      case 'userhash':
        bit = 1024
        credentials.userhash = text.toLowerCase() === 'true'
        break
      default:
      // §3.4: any other parameter is ignored.
    }
    if ((seen & bit) !== 0) return null
    seen |= bit
  }
  return (seen & 31) === 31 ? credentials : null
}

/** Parses one WWW-Authenticate or Proxy-Authenticate value; null when it is not Digest, malformed, or lacks realm or nonce. */
export function parseChallenge(value: string): Challenge | null {
  if (!isDigest(value)) return null
  const params = scanParams(value, 6)
  if (params === null) return null
  const challenge = new Challenge()
  let seen = 0
  for (let i = 0; i < params.length; i += 2) {
    const text = params[i + 1] ?? ''
    let bit = 0
    switch (params[i]) {
      case 'realm':
        bit = 1
        challenge.realm = unescapeQuoted(text)
        break
      case 'nonce':
        bit = 2
        challenge.nonce = text
        break
      case 'opaque':
        bit = 4
        challenge.opaque = text
        break
      case 'algorithm': {
        bit = 8
        const session = isSession(text)
        challenge.session = session
        challenge.algorithm = algorithmFrom(session ? text.slice(0, -5) : text)
        challenge.algorithmText = text
        break
      }
      case 'qop':
        bit = 16
        challenge.qop = text
          .toLowerCase()
          .split(',')
          .map((option) => option.trim())
          .filter((option) => option !== '')
        break
      case 'stale':
        bit = 32
        challenge.stale = text.toLowerCase() === 'true'
        break
      default:
    }
    if ((seen & bit) !== 0) return null
    seen |= bit
  }
  return (seen & 3) === 3 ? challenge : null
}

/** The value of a challenge with qop="auth" (RFC 7616 §3.3; RFC 3261 §22.4 demands qop). `realm` is given without quotes. */
export function writeChallenge(
  realm: string,
  nonce: string,
  opaque: string,
  algorithm: DigestAlgorithm,
  stale: boolean,
): string {
  return `Digest realm=${quote(realm)}, nonce="${nonce}", opaque="${opaque}", ${stale ? 'stale=true, ' : ''}algorithm=${algorithm}, qop="auth"`
}

/** A1 hashed (RFC 7616 §3.4.2): what is stored in place of a password. The three texts are Unicode; 64 or 32 lower-case hexadecimal digits. */
export function ha1From(algorithm: DigestAlgorithm, user: string, realm: string, password: string): string {
  return hash(HASH[algorithm], `${user}:${realm}:${password}`)
}

/**
 * The request-digest (RFC 7616 §3.4.1) for qop 'auth', or for '' that of RFC 2069 without nonce-count (RFC 3261 §22.4).
 * `ha1` is H(A1), of a -sess algorithm the session's (see {@link sessionHa1}).
 */
export function requestDigest(
  algorithm: DigestAlgorithm,
  ha1: string,
  method: string,
  uri: string,
  nonce: string,
  nc: string,
  cnonce: string,
  qop: string,
): string {
  const ha2 = octetHash(algorithm, `${method}:${uri}`)
  return octetHash(algorithm, qop === '' ? `${ha1}:${nonce}:${ha2}` : `${ha1}:${nonce}:${nc}:${cnonce}:${qop}:${ha2}`)
}

/** H(A1) of a -sess algorithm (RFC 7616 §3.4.2). */
export function sessionHa1(algorithm: DigestAlgorithm, ha1: string, nonce: string, cnonce: string): string {
  return octetHash(algorithm, `${ha1}:${nonce}:${cnonce}`)
}

/** Whether `credentials`, whose algorithm is known, answer to `ha1` for a request of `method`; the time taken does not depend on how they differ. */
export function verifyCredentials(credentials: Credentials, ha1: string, method: string): boolean {
  const { algorithm, nonce, cnonce } = credentials
  if (algorithm === null) return false
  const a1 = credentials.session ? sessionHa1(algorithm, ha1, nonce, cnonce) : ha1
  const expected = requestDigest(algorithm, a1, method, credentials.uri, nonce, credentials.nc, cnonce, credentials.qop)
  return equalHex(expected, credentials.response)
}

/** Compares hexadecimal texts without regard to case, in a time that depends on their lengths only. */
export function equalHex(expected: string, given: string): boolean {
  if (expected.length !== given.length) return false
  let difference = 0
  for (let i = 0; i < expected.length; i += 1) difference |= (expected.charCodeAt(i) ^ given.charCodeAt(i)) & ~32
  return difference === 0
}

function octetHash(algorithm: DigestAlgorithm, text: string): string {
  // One call for ASCII, which is nearly always; octets above it must not become UTF-8 pairs.
  return NON_ASCII.test(text) ? hash(HASH[algorithm], Buffer.from(text, 'latin1')) : hash(HASH[algorithm], text)
}

function algorithmFrom(text: string): DigestAlgorithm | null {
  if (text === 'MD5' || text === 'SHA-256') return text
  switch (text.toUpperCase()) {
    case 'MD5':
      return 'MD5'
    case 'SHA-256':
      return 'SHA-256'
    case 'SHA-512-256':
      return 'SHA-512-256'
    default:
      return null
  }
}

function isSession(algorithm: string): boolean {
  return algorithm.length > 5 && algorithm.slice(-5).toLowerCase() === '-sess'
}

/** Names (lower case) and values in turn, from a comma list of auth-params that begins at `at`; null when it is malformed. Values lose their quotes, not their escapes. */
function scanParams(text: string, at: number): string[] | null {
  const params: string[] = []
  const { length } = text
  at = skipBlank(text, at)
  while (at < length) {
    if (text.charCodeAt(at) === 44) {
      // RFC 9110 §5.6.1: a recipient puts up with empty elements.
      at = skipBlank(text, at + 1)
      continue
    }
    const equals = text.indexOf('=', at)
    if (equals < 0 || params.length === 2 * PARAMS_MAX) return null
    let nameEnd = equals
    while (nameEnd > at && isBlank(text.charCodeAt(nameEnd - 1))) nameEnd -= 1
    if (!isName(text, at, nameEnd)) return null
    const name = text.slice(at, nameEnd)
    let start = isBlank(text.charCodeAt(equals + 1)) ? skipBlank(text, equals + 1) : equals + 1
    let end: number
    if (text.charCodeAt(start) === 34) {
      const close = quotedEnd(text, start)
      if (close < 0) return null
      start += 1
      end = close - 1
      at = skipBlank(text, close)
    } else {
      at = text.indexOf(',', start)
      if (at < 0) at = length
      end = at
      while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
      if (end === start) return null
    }
    if (at < length) {
      if (text.charCodeAt(at) !== 44) return null
      at = skipBlank(text, at + 1)
    }
    params.push(name.toLowerCase(), text.slice(start, end))
  }
  return params.length === 0 ? null : params
}

/** Whether [start, end) looks like a parameter name: letters, digits, hyphen, asterisk. */
function isName(text: string, start: number, end: number): boolean {
  if (end === start) return false
  for (let i = start; i < end; i += 1) {
    const code = text.charCodeAt(i)
    const letter = code | 32
    const fits =
      (letter >= 97 && letter <= 122) || (code >= 48 && code <= 57) || code === 45 || code === 42 || code === 95
    if (!fits) return false
  }
  return true
}

function unescapeQuoted(text: string): string {
  return text.includes('\\') ? text.replace(/\\([\s\S])/g, '$1') : text
}

/** An ext-value of RFC 8187 in UTF-8 as the octets it stands for; null when it is another charset or malformed. */
function extendedValue(text: string): string | null {
  const match = /^utf-8'[A-Za-z0-9-]*'((?:[A-Za-z0-9!#$&+\-.^_`|~]|%[0-9A-Fa-f]{2})*)$/i.exec(text)
  if (match === null) return null
  return (match[1] ?? '').replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
