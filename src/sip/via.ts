// The Via header field: RFC 3261 §20.42, RFC 3581.
// Hot path: one pattern test decides, native searches cut.

import { areGenericParams, BLANKS, GENERIC_PARAMS, HOST, isBlank, paramIn, skipBlank, TOKEN } from '#sip/_scan.ts'
import { readHostPort } from '#sip/uri.ts'

/** The magic cookie of §8.1.1.7. */
export const MAGIC_COOKIE = 'z9hG4bK'

export class Via {
  /** The whole element as written. */
  readonly text: string
  /** In upper case: UDP, TCP, TLS, WSS, or anything else. */
  readonly transport: string
  /** sent-by host in lower case without brackets, IPv6 in its canonical spelling. */
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

  /** The value of a parameter (name in lower case): null when absent, '' when it has none. */
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

const SENT_PROTOCOL = `[Ss][Ii][Pp]${BLANKS}\\/${BLANKS}2\\.0${BLANKS}\\/${BLANKS}${TOKEN}[ \\t]+`
const VIA = new RegExp(`^${SENT_PROTOCOL}${HOST}(?:${BLANKS}:${BLANKS}\\d{1,5})?${GENERIC_PARAMS}$`)
const PROTOCOL_START = new RegExp(`^${SENT_PROTOCOL}`)

/** Parses one Via element; null when malformed. */
export function parseVia(text: string): Via | null {
  const via = readVia(text)
  return typeof via === 'string' ? null : via
}

/** As `parseVia`, but says in words what is wrong. */
export function readVia(text: string): Via | string {
  if (!VIA.test(text)) return viaFault(text)
  const start = skipBlank(text, text.indexOf('/', text.indexOf('/') + 1) + 1)
  let transportEnd = text.indexOf(' ', start)
  if (transportEnd < 0 || isBlank(text.charCodeAt(transportEnd - 1)) || text.includes('\t')) {
    transportEnd = start
    while (!isBlank(text.charCodeAt(transportEnd))) transportEnd += 1
  }
  const hostStart = skipBlank(text, transportEnd)
  const semicolon = text.indexOf(';', hostStart)
  const end = semicolon < 0 ? text.length : semicolon
  const hostPort = readHostPort(withoutBlanks(text.slice(hostStart, end)))
  if (typeof hostPort === 'string') return hostPort
  const transport = transportName(text.slice(start, transportEnd))
  return new Via(text, transport, hostPort.host, hostPort.port, text.slice(end))
}

function transportName(written: string): string {
  if (written === 'UDP') return 'UDP'
  if (written === 'TCP') return 'TCP'
  if (written === 'TLS') return 'TLS'
  return written.toUpperCase()
}

function withoutBlanks(sentBy: string): string {
  return sentBy.includes(' ') || sentBy.includes('\t') ? sentBy.replace(/[ \t]+/g, '') : sentBy
}

function viaFault(text: string): string {
  const protocol = PROTOCOL_START.exec(text)
  if (protocol === null) return 'bad protocol'
  const rest = text.slice(protocol[0].length)
  const semicolon = rest.indexOf(';')
  const sentBy = withoutBlanks(semicolon < 0 ? rest : rest.slice(0, semicolon))
  if (sentBy === '') return 'no sent-by'
  const hostPort = readHostPort(sentBy)
  if (typeof hostPort === 'string') return hostPort
  return semicolon >= 0 && !areGenericParams(rest.slice(semicolon)) ? 'bad parameter' : 'bad sent-by'
}
