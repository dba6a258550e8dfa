// SIP, SIPS and tel URIs: RFC 3261 §19.1 and §25.1, RFC 3966.
// Hot path: one pattern test decides, native searches cut; what is wrong is found out only when something is.

import { areEscapesWhole, HOST, hasAt, paramIn } from '#sip/_scan.ts'
import { ipv6Text } from '#sip/ipv6.ts'

// '%' stands in each class; that it starts an escape is checked apart. '#', which must be escaped, is common in numbers.
const USER = "[A-Za-z0-9\\-_.!~*'()&=+$,;?/#%]+"
const PASSWORD = "[A-Za-z0-9\\-_.!~*'()&=+$,%]*"
const PARAM = "[A-Za-z0-9\\-_.!~*'()[\\]/:&+$%]"
const PARAMS = `(?:;${PARAM}+(?:=${PARAM}*)?)*`
const HEADER = "[A-Za-z0-9\\-_.!~*'()[\\]/?:+$%]"
const HEADERS = `\\?${HEADER}+=${HEADER}*(?:&${HEADER}+=${HEADER}*)*`
const REST = `${HOST}(?::\\d{1,5})?${PARAMS}(?:${HEADERS})?$`

const SIP_URI_WITH_USER = new RegExp(`^[Ss][Ii][Pp][Ss]?:${USER}(?::${PASSWORD})?@${REST}`)
const SIP_URI_OF_HOST = new RegExp(`^[Ss][Ii][Pp][Ss]?:${REST}`)
const USER_INFO = new RegExp(`^${USER}(?::${PASSWORD})?$`)
const PARAMS_ONLY = new RegExp(`^${PARAMS}$`)
const HEADERS_ONLY = new RegExp(`^${HEADERS}$`)
const HOST_ONLY = new RegExp(`^${HOST}$`)
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*$/
const OPAQUE = /^[\x21\x23-\x3b\x3d\x3f-\x7e]+$/
const TEL_NUMBER = /^(?:\+[-.()]*[0-9][0-9\-.()]*|[-.()]*[0-9A-Fa-f*#][0-9A-Fa-f*#\-.()]*)$/

/** Whether `host` is a host of §25.1: a name, an IPv4 address or an IPv6 reference in brackets. */
export function isHost(host: string): boolean {
  return HOST_ONLY.test(host) && (host.charCodeAt(0) !== 91 || ipv6Text(host.slice(1, -1)) !== null)
}

/** Decodes %HH escapes to the octets they stand for (latin1, so lossless); malformed ones stay. */
export function unescapeUri(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** Escapes what may not stand in a user part (§25.1 user). Non-latin1 characters become UTF-8 octets. */
export function escapeUser(user: string): string {
  return user.toWellFormed().replace(/[^A-Za-z0-9\-_.!~*'()&=+$,;?/]/gu, (c) => {
    const code = c.charCodeAt(0)
    if (code < 256) return `%${code.toString(16).toUpperCase().padStart(2, '0')}`
    return encodeURIComponent(c)
  })
}

/** A parsed URI. Parts are as written (escaped); `host` is in lower case, without brackets, IPv6 in its canonical spelling. */
export class Uri {
  readonly text: string
  /** In lower case: sip, sips, tel, or any other. */
  readonly scheme: string
  /** sip: the escaped user part ('' when there is none). tel: the number with its visual separators. Others: ''. */
  readonly user: string
  readonly password: string
  readonly host: string
  readonly port: number | null
  /** ';name=value…' as written, or ''. */
  readonly params: string
  /** What follows '?', or ''. */
  readonly headers: string

  constructor(
    text: string,
    scheme: string,
    user: string,
    password: string,
    host: string,
    port: number | null,
    params: string,
    headers: string,
  ) {
    this.text = text
    this.scheme = scheme
    this.user = user
    this.password = password
    this.host = host
    this.port = port
    this.params = params
    this.headers = headers
  }

  get isSip(): boolean {
    return this.scheme === 'sip' || this.scheme === 'sips'
  }

  /** The value of a URI parameter (name in lower case): null when absent, '' when it has none. */
  param(name: string): string | null {
    return this.params === '' ? null : paramIn(this.params, name)
  }

  /** Whether this names a host that routes loosely (§19.1.1 lr). */
  get isLoose(): boolean {
    return this.param('lr') !== null
  }
}

/** Parses a URI of any scheme; null when it is malformed. Unknown schemes give an {@link Uri} with only `scheme` and `text`. */
export function parseUri(text: string): Uri | null {
  const uri = readUri(text)
  return typeof uri === 'string' ? null : uri
}

/** As `parseUri`, but says in words what is wrong. */
export function readUri(text: string): Uri | string {
  if (hasAt(text, 0, 'sip:')) return readSipUri(text, 'sip', 4)
  if (hasAt(text, 0, 'sips:')) return readSipUri(text, 'sips', 5)
  if (hasAt(text, 0, 'tel:')) return readTelUri(text)
  const colon = text.indexOf(':')
  if (colon <= 0) return 'no scheme'
  if (!SCHEME.test(text.slice(0, colon))) return 'bad scheme'
  if (colon + 1 === text.length || !OPAQUE.test(text)) return 'bad character'
  return new Uri(text, text.slice(0, colon).toLowerCase(), '', '', '', null, '', '')
}

function readSipUri(text: string, scheme: string, start: number): Uri | string {
  const at = text.indexOf('@', start)
  if (!(at < 0 ? SIP_URI_OF_HOST : SIP_URI_WITH_USER).test(text) || !areEscapesWhole(text)) {
    return sipUriFault(text, start)
  }
  let user = ''
  let password = ''
  if (at >= 0) {
    const colon = text.indexOf(':', start)
    user = text.slice(start, colon >= 0 && colon < at ? colon : at)
    if (user.length !== at - start) password = text.slice(colon + 1, at)
    start = at + 1
  }
  let end = text.length
  let headers = ''
  const question = text.indexOf('?', start)
  if (question >= 0) {
    headers = text.slice(question + 1)
    end = question
  }
  let params = ''
  const semicolon = text.indexOf(';', start)
  if (semicolon >= 0 && semicolon < end) {
    params = text.slice(semicolon, end)
    end = semicolon
  }
  const ipv6 = text.charCodeAt(start) === 91
  const colon = text.indexOf(':', ipv6 ? text.indexOf(']', start) : start)
  const hostEnd = colon >= 0 && colon < end ? colon : end
  const port = hostEnd === end ? null : portIn(text, hostEnd + 1, end)
  if (port === -1) return 'bad port'
  const host = ipv6 ? ipv6Text(text.slice(start + 1, hostEnd - 1)) : text.slice(start, hostEnd).toLowerCase()
  if (host === null) return 'bad IPv6 address'
  return new Uri(text, scheme, user, password, host, port, params, headers)
}

/** Which part of a SIP URI is at fault. */
function sipUriFault(text: string, start: number): string {
  if (/[^\x21-\x7e]/.test(text)) return 'bad character'
  if (!areEscapesWhole(text)) return 'bad escape'
  const at = text.indexOf('@', start)
  if (at >= 0 && !USER_INFO.test(text.slice(start, at))) return 'bad user part'
  const rest = text.slice(at >= 0 ? at + 1 : start)
  const question = rest.indexOf('?')
  const parts = question < 0 ? rest : rest.slice(0, question)
  const semicolon = parts.indexOf(';')
  const hostPort = semicolon < 0 ? parts : parts.slice(0, semicolon)
  if (hostPort === '') return 'no host'
  const fault = readHostPort(hostPort)
  if (typeof fault === 'string') return fault
  if (semicolon >= 0 && !PARAMS_ONLY.test(parts.slice(semicolon))) return 'bad parameter'
  return question >= 0 && !HEADERS_ONLY.test(rest.slice(question)) ? 'bad headers' : 'bad character'
}

function readTelUri(text: string): Uri | string {
  const semicolon = text.indexOf(';', 4)
  const end = semicolon < 0 ? text.length : semicolon
  const number = text.slice(4, end)
  if (!TEL_NUMBER.test(number)) return 'bad telephone number'
  const params = text.slice(end)
  if (!PARAMS_ONLY.test(params)) return 'bad parameter'
  return areEscapesWhole(params) ? new Uri(text, 'tel', number, '', '', null, params, '') : 'bad escape'
}

/** The port in [start, end): 1 to 65535, or -1. */
function portIn(text: string, start: number, end: number): number {
  if (end <= start || end - start > 5) return -1
  let port = 0
  for (let i = start; i < end; i += 1) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    port = port * 10 + digit
  }
  return port >= 1 && port <= 65_535 ? port : -1
}

/** A host in lower case without brackets (IPv6 canonical), and the port when one is written. */
export interface HostPort {
  readonly host: string
  readonly port: number | null
}

/** Parses `host[:port]` (§25.1 hostport); null when malformed or the port is not 1–65535. */
export function parseHostPort(text: string): HostPort | null {
  const hostPort = readHostPort(text)
  return typeof hostPort === 'string' ? null : hostPort
}

/** As `parseHostPort`, but says in words what is wrong. */
export function readHostPort(text: string): HostPort | string {
  const ipv6 = text.charCodeAt(0) === 91
  const colon = ipv6 ? text.indexOf(':', Math.max(0, text.indexOf(']'))) : text.indexOf(':')
  const hostEnd = colon < 0 ? text.length : colon
  const host = text.slice(0, hostEnd)
  if (!HOST_ONLY.test(host)) return 'bad host'
  const port = colon < 0 ? null : portIn(text, colon + 1, text.length)
  if (port === -1) return 'bad port'
  const bare = ipv6 ? ipv6Text(host.slice(1, -1)) : host.toLowerCase()
  return bare === null ? 'bad IPv6 address' : { host: bare, port }
}

/** How a host is written in SIP: IPv6 addresses in brackets. */
export function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
