// SIP, SIPS and tel URIs: RFC 3261 §19.1 and §25.1, RFC 3966.

import { paramIn } from '#sip/_scan.ts'

const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*$/
const USER = /^(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|%[0-9A-Fa-f]{2})+$/
const PASSWORD = /^(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*$/
const HOST = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9\-_]*[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9\-_]*[A-Za-z0-9_])?\.?$/
const IPV6_REFERENCE = /^\[[0-9A-Fa-f:]+(?:\d{1,3}(?:\.\d{1,3}){3})?\]$/
const PARAMS =
  /^(?:;(?:[A-Za-z0-9\-_.!~*'()[\]/:&+$]|%[0-9A-Fa-f]{2})+(?:=(?:[A-Za-z0-9\-_.!~*'()[\]/:&+$]|%[0-9A-Fa-f]{2})*)?)*$/
const HEADERS = /^(?:[A-Za-z0-9\-_.!~*'()[\]/?:+$=&]|%[0-9A-Fa-f]{2})+$/
const TEL_NUMBER = /^(?:\+[0-9\-.()]*[0-9][0-9\-.()]*|[0-9A-Fa-f*#\-.()]*[0-9A-Fa-f*#][0-9A-Fa-f*#\-.()]*)$/

/** Whether `host` is a host of §25.1: a name, an IPv4 address or an IPv6 reference in brackets. */
export function isHost(host: string): boolean {
  return host.charCodeAt(0) === 91 ? IPV6_REFERENCE.test(host) : HOST.test(host)
}

/** Decodes %HH escapes to the octets they stand for (latin1, so lossless); malformed ones stay. */
export function unescapeUri(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** Escapes what may not stand in a user part (§25.1 user). Non-latin1 characters become UTF-8 octets. */
export function escapeUser(user: string): string {
  return user.replace(/[^A-Za-z0-9\-_.!~*'()&=+$,;?/]/g, (c) => {
    const code = c.charCodeAt(0)
    if (code < 256) return `%${code.toString(16).toUpperCase().padStart(2, '0')}`
    return encodeURIComponent(c)
  })
}

/** A parsed URI. Parts are as written (escaped); `host` is in lower case and without brackets. */
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
  const colon = text.indexOf(':')
  if (colon <= 0) return null
  const scheme = text.slice(0, colon).toLowerCase()
  if (scheme === 'sip' || scheme === 'sips') return parseSipUri(text, scheme, colon + 1)
  if (scheme === 'tel') return parseTelUri(text, colon + 1)
  if (!SCHEME.test(scheme) || colon + 1 === text.length) return null
  return /^[\x21\x23-\x3b\x3d\x3f-\x7e]+$/.test(text) ? new Uri(text, scheme, '', '', '', null, '', '') : null
}

function parseSipUri(text: string, scheme: string, start: number): Uri | null {
  const at = text.indexOf('@', start)
  let user = ''
  let password = ''
  if (at >= 0) {
    user = text.slice(start, at)
    const colon = user.indexOf(':')
    if (colon >= 0) {
      password = user.slice(colon + 1)
      user = user.slice(0, colon)
      if (!PASSWORD.test(password)) return null
    }
    if (!USER.test(user)) return null
    start = at + 1
  }
  let end = text.length
  const question = text.indexOf('?', start)
  let headers = ''
  if (question >= 0) {
    headers = text.slice(question + 1)
    if (!HEADERS.test(headers)) return null
    end = question
  }
  const semicolon = text.indexOf(';', start)
  let params = ''
  if (semicolon >= 0 && semicolon < end) {
    params = text.slice(semicolon, end)
    if (!PARAMS.test(params)) return null
    end = semicolon
  }
  const hostPort = parseHostPort(text.slice(start, end))
  if (hostPort === null) return null
  return new Uri(text, scheme, user, password, hostPort.host, hostPort.port, params, headers)
}

function parseTelUri(text: string, start: number): Uri | null {
  const semicolon = text.indexOf(';', start)
  const end = semicolon < 0 ? text.length : semicolon
  const number = text.slice(start, end)
  if (!TEL_NUMBER.test(number)) return null
  const params = text.slice(end)
  if (!PARAMS.test(params)) return null
  return new Uri(text, 'tel', number, '', '', null, params, '')
}

/** Parses `host[:port]` (§25.1 hostport). `host` comes in lower case without brackets. Null when malformed or the port is not 1–65535. */
export function parseHostPort(text: string): { host: string; port: number | null } | null {
  let hostEnd = text.length
  let port: number | null = null
  const colon = text.charCodeAt(0) === 91 ? text.indexOf(':', text.indexOf(']')) : text.indexOf(':')
  if (colon >= 0) {
    hostEnd = colon
    if (text.length - colon < 2 || text.length - colon > 6) return null
    port = 0
    for (let i = colon + 1; i < text.length; i += 1) {
      const digit = text.charCodeAt(i) - 48
      if (digit < 0 || digit > 9) return null
      port = port * 10 + digit
    }
    if (port < 1 || port > 65_535) return null
  }
  const host = text.slice(0, hostEnd)
  if (!isHost(host)) return null
  const bare = host.charCodeAt(0) === 91 ? host.slice(1, -1) : host
  return { host: bare.toLowerCase(), port }
}

/** How a host is written in SIP: IPv6 addresses in brackets. */
export function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
