// SIP, SIPS and tel URIs: RFC 3261 §19.1 and §25.1, RFC 3966.
// Hot path: one pattern test decides, native searches cut; what is wrong is found out only when something is.

import { areEscapesWhole, HOST, hasAt, paramIn } from '#sip/_scan.ts'
import { parseIp } from '#sip/ip-address.ts'

// '%' stands in each class; that it starts an escape is checked apart. '#', which must be escaped, is common in numbers.
const USER = "[A-Za-z0-9\\-_.!~*'()&=+$,;?/#%]+"
const PASSWORD = "[A-Za-z0-9\\-_.!~*'()&=+$,%]*"
const PARAM = "[A-Za-z0-9\\-_.!~*'()[\\]/:&+$%]"
const PARAMS = `(?:;${PARAM}+(?:=${PARAM}*)?)*`
const HEADER = "[A-Za-z0-9\\-_.!~*'()[\\]/?:+$%]"
const HEADERS = `\\?${HEADER}+=${HEADER}*(?:&${HEADER}+=${HEADER}*)*`
const REST = `${HOST}(?::\\d{1,5})?${PARAMS}(?:${HEADERS})?`

/** Pattern source of a SIP or SIPS URI. */
export const SIP_URI = `[Ss][Ii][Pp][Ss]?:(?:${USER}(?::${PASSWORD})?@)?${REST}`
// Two patterns decide faster than one: without '@', the host would be taken for a user part first.
const SIP_URI_WITH_USER = new RegExp(`^[Ss][Ii][Pp][Ss]?:${USER}(?::${PASSWORD})?@${REST}$`)
const SIP_URI_OF_HOST = new RegExp(`^[Ss][Ii][Pp][Ss]?:${REST}$`)
const USER_INFO = new RegExp(`^${USER}(?::${PASSWORD})?$`)
const PARAMS_ONLY = new RegExp(`^${PARAMS}$`)
const HEADERS_ONLY = new RegExp(`^${HEADERS}$`)
const HOST_ONLY = new RegExp(`^${HOST}$`)
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*$/
const OPAQUE = /^[\x21\x23-\x3b\x3d\x3f-\x7e]+$/
const TEL_NUMBER = /^(?:\+[-.()]*[0-9][0-9\-.()]*|[-.()]*[0-9A-Fa-f*#][0-9A-Fa-f*#\-.()]*)$/

/** Whether `host` is a host of §25.1: a name, an IPv4 address or an IPv6 reference in brackets. */
export function isHost(host: string): boolean {
  return HOST_ONLY.test(host) && hostIn(host, 0, host.length) !== ''
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

/** A parsed URI: its text and where its parts stand. Parts are as written (escaped). */
export class Uri {
  readonly text: string
  /** In lower case: sip, sips, tel, or any other. */
  readonly scheme: string
  readonly port: number | null
  readonly #userEnd: number
  readonly #hostStart: number
  readonly #hostEnd: number
  readonly #paramsEnd: number
  #host: string | null = null

  /** Positions in `text`: ends of user part, host and parameters, and the start of the host. Made by `readUri`. */
  constructor(
    text: string,
    scheme: string,
    userEnd: number,
    hostStart: number,
    hostEnd: number,
    port: number | null,
    paramsEnd: number,
  ) {
    this.text = text
    this.scheme = scheme
    this.port = port
    this.#userEnd = userEnd
    this.#hostStart = hostStart
    this.#hostEnd = hostEnd
    this.#paramsEnd = paramsEnd
  }

  get isSip(): boolean {
    return this.scheme === 'sip' || this.scheme === 'sips'
  }

  /** sip: the escaped user part ('' when there is none). tel: the number with its visual separators. Others: ''. */
  get user(): string {
    return this.text.slice(this.scheme.length + 1, this.#userEnd)
  }

  /** What follows ':' in the userinfo, or ''. */
  get password(): string {
    return this.isSip ? this.text.slice(this.#userEnd + 1, this.#hostStart - 1) : ''
  }

  /** In lower case, without brackets, IPv6 in its canonical spelling; '' for other schemes than sip and sips. */
  get host(): string {
    this.#host ??= hostIn(this.text, this.#hostStart, this.#hostEnd)
    return this.#host
  }

  /** ';name=value…' as written, or ''. */
  get params(): string {
    const start = this.#paramsStart
    return start === this.#paramsEnd ? '' : this.text.slice(start, this.#paramsEnd)
  }

  get #paramsStart(): number {
    if (this.#hostEnd === this.#paramsEnd) return this.#paramsEnd
    const semicolon = this.text.indexOf(';', this.#hostEnd)
    return semicolon >= 0 && semicolon < this.#paramsEnd ? semicolon : this.#paramsEnd
  }

  /** What follows '?', or ''. */
  get headers(): string {
    return this.#paramsEnd === this.text.length ? '' : this.text.slice(this.#paramsEnd + 1)
  }

  /** The value of a URI parameter (name in lower case): null when absent, '' when it has none. */
  param(name: string): string | null {
    const params = this.params
    return params === '' ? null : paramIn(params, name)
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
  if (hasAt(text, 0, 'sip')) {
    if (text.charCodeAt(3) === 58) return readSipUri(text, 'sip', 4)
    if (hasAt(text, 3, 's:')) return readSipUri(text, 'sips', 5)
  }
  if (hasAt(text, 0, 'tel:')) return readTelUri(text)
  const colon = text.indexOf(':')
  if (colon <= 0) return 'no scheme'
  if (!SCHEME.test(text.slice(0, colon))) return 'bad scheme'
  if (colon + 1 === text.length || !OPAQUE.test(text)) return 'bad character'
  return new Uri(text, text.slice(0, colon).toLowerCase(), colon + 1, text.length, text.length, null, text.length)
}

function readSipUri(text: string, scheme: string, start: number): Uri | string {
  const withUser = text.includes('@')
  return (withUser ? SIP_URI_WITH_USER : SIP_URI_OF_HOST).test(text)
    ? cutSipUri(text, scheme)
    : sipUriFault(text, start)
}

/** Cuts a SIP or SIPS URI that matches {@link SIP_URI}; or says what is wrong beyond that. */
export function cutSipUri(text: string, scheme: string): Uri | string {
  if (!areEscapesWhole(text)) return 'bad escape'
  const userStart = scheme.length + 1
  const at = text.indexOf('@', userStart)
  let userEnd = userStart
  if (at >= 0) {
    const colon = text.indexOf(':', userStart)
    userEnd = colon >= 0 && colon < at ? colon : at
  }
  const hostStart = at >= 0 ? at + 1 : userStart
  const question = text.indexOf('?', hostStart)
  const paramsEnd = question < 0 ? text.length : question
  const semicolon = text.indexOf(';', hostStart)
  let hostEnd = semicolon >= 0 && semicolon < paramsEnd ? semicolon : paramsEnd
  let port: number | null = null
  const colon = portColonIn(text, hostStart, hostEnd)
  if (colon >= 0) {
    port = portIn(text, colon + 1, hostEnd)
    if (port < 0) return 'bad port'
    hostEnd = colon
  }
  if (text.charCodeAt(hostStart) === 91 && hostIn(text, hostStart, hostEnd) === '') return 'bad IPv6 address'
  return new Uri(text, scheme, userEnd, hostStart, hostEnd, port, paramsEnd)
}

/** Index of the ':' before the port of the hostport in [start, end), or -1. */
export function portColonIn(text: string, start: number, end: number): number {
  const colon = text.indexOf(':', text.charCodeAt(start) === 91 ? Math.max(start, text.indexOf(']', start)) : start)
  return colon < end ? colon : -1
}

/** The host in [start, end), which is well-formed but for the inside of brackets: in its comparable form, or ''. */
export function hostIn(text: string, start: number, end: number): string {
  if (text.charCodeAt(start) !== 91) return text.slice(start, end).toLowerCase()
  // RFC 5118 §4.10: the grammar of RFC 3261 allows one colon too many before an embedded IPv4 address.
  const address = text.slice(start + 1, end - 1).replace(/:::(?=\d{1,3}\.)/, '::')
  return address.includes(':') ? (parseIp(address)?.host ?? '') : ''
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
  return areEscapesWhole(params) ? new Uri(text, 'tel', end, end, end, null, text.length) : 'bad escape'
}

/** The port in [start, end): 1 to 65535, or -1. */
export function portIn(text: string, start: number, end: number): number {
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
  const colon = portColonIn(text, 0, text.length)
  const hostEnd = colon < 0 ? text.length : colon
  if (!HOST_ONLY.test(text.slice(0, hostEnd))) return 'bad host'
  const port = colon < 0 ? null : portIn(text, colon + 1, text.length)
  if (port === -1) return 'bad port'
  const host = hostIn(text, 0, hostEnd)
  return host === '' ? 'bad IPv6 address' : { host, port }
}

/** How a host is written in SIP: IPv6 addresses in brackets. */
export function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
