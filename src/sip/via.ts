// The Via header field: RFC 3261 §20.42, RFC 3581.

import { areGenericParams, isToken, paramIn, skipBlank } from '#sip/_scan.ts'
import { parseHostPort } from '#sip/uri.ts'

/** The magic cookie of §8.1.1.7. */
export const MAGIC_COOKIE = 'z9hG4bK'

export class Via {
  /** The whole element as written. */
  readonly text: string
  /** In upper case: UDP, TCP, TLS, WSS, or anything else. */
  readonly transport: string
  /** sent-by host in lower case without brackets. */
  readonly host: string
  readonly port: number | null
  readonly params: string
  /** '' when absent (RFC 2543). */
  readonly branch: string

  constructor(text: string, transport: string, host: string, port: number | null, params: string) {
    this.text = text
    this.transport = transport
    this.host = host
    this.port = port
    this.params = params
    this.branch = params === '' ? '' : (paramIn(params, 'branch') ?? '')
  }

  param(name: string): string | null {
    return this.params === '' ? null : paramIn(this.params, name)
  }

  /** Whether the branch was made by an RFC 3261 element: the cookie and something after it. */
  get hasCookie(): boolean {
    return this.branch.length > MAGIC_COOKIE.length && this.branch.startsWith(MAGIC_COOKIE)
  }

  /** sent-by as one comparable text with the port made explicit (§18.1.2: 5060, or 5061 for TLS). */
  get sentBy(): string {
    return `${this.host}:${this.port ?? (this.transport === 'TLS' || this.transport === 'WSS' ? 5061 : 5060)}`
  }
}

const LOOSE_PROTOCOL = /^SIP[ \t]*\/[ \t]*2\.0[ \t]*\/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+/i

/** Parses one Via element; null when malformed. */
export function parseVia(text: string): Via | null {
  let transport: string
  let at: number
  const space = text.indexOf(' ', 8)
  if (text.startsWith('SIP/2.0/') && space > 8 && isToken(text.slice(8, space))) {
    transport = text.slice(8, space)
    at = skipBlank(text, space)
  } else {
    const match = LOOSE_PROTOCOL.exec(text)
    if (match === null) return null
    transport = match[1] ?? ''
    at = match[0].length
  }
  let end = text.indexOf(';', at)
  if (end < 0) end = text.length
  let sentBy = text.slice(at, end).trimEnd()
  if (sentBy.includes(' ') || sentBy.includes('\t')) sentBy = sentBy.replace(/[ \t]*:[ \t]*/, ':')
  const hostPort = parseHostPort(sentBy)
  if (hostPort === null) return null
  const params = text.slice(end)
  if (!areGenericParams(params)) return null
  return new Via(text, transport.toUpperCase(), hostPort.host, hostPort.port, params)
}
