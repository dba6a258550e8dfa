// The Via header field: RFC 3261 §20.42, RFC 3581.
// Hot path: one pattern test decides, native searches cut.

import { areGenericParams, BLANKS, GENERIC_PARAMS, HOST, isBlank, paramIn, skipBlank, TOKEN } from '#sip/_scan.ts'
import { hostIn, portColonIn, portIn, readHostPort } from '#sip/uri.ts'

/** The magic cookie of §8.1.1.7. */
export const MAGIC_COOKIE = 'z9hG4bK'

/** One Via element: its text and where its parts stand. */
export class Via {
  /** The whole element as written. */
  readonly text: string
  readonly port: number | null
  readonly #transportStart: number
  readonly #transportEnd: number
  readonly #hostEnd: number
  readonly #paramsStart: number
  #host: string | null = null
  #branch: string | null = null

  /** Positions in `text`; made by `readVia`. */
  constructor(
    text: string,
    transportStart: number,
    transportEnd: number,
    hostEnd: number,
    port: number | null,
    paramsStart: number,
  ) {
    this.text = text
    this.port = port
    this.#transportStart = transportStart
    this.#transportEnd = transportEnd
    this.#hostEnd = hostEnd
    this.#paramsStart = paramsStart
  }

  /** In upper case: UDP, TCP, TLS, WSS, or anything else. */
  get transport(): string {
    return transportName(this.text.slice(this.#transportStart, this.#transportEnd))
  }

  /** sent-by host in lower case without brackets, IPv6 in its canonical spelling. */
  get host(): string {
    this.#host ??= hostIn(this.text, skipBlank(this.text, this.#transportEnd), this.#hostEnd)
    return this.#host
  }

  /** ';name=value…' as written, or ''. */
  get params(): string {
    return this.text.slice(this.#paramsStart)
  }

  /** '' when absent (RFC 2543). */
  get branch(): string {
    this.#branch ??= this.param('branch') ?? ''
    return this.#branch
  }

  /** The value of a parameter (name in lower case): null when absent, '' when it has none. */
  param(name: string): string | null {
    return this.#paramsStart === this.text.length ? null : paramIn(this.params, name)
  }

  /** Whether the branch was made by an RFC 3261 element: the cookie and something after it. */
  get hasCookie(): boolean {
    return this.branch.length > MAGIC_COOKIE.length && this.branch.startsWith(MAGIC_COOKIE)
  }

  /** sent-by as one comparable text with the port made explicit (§18.1.2: 5060, or 5061 for TLS). */
  get sentBy(): string {
    const { transport } = this
    return `${this.host}:${this.port ?? (transport === 'TLS' || transport === 'WSS' ? 5061 : 5060)}`
  }
}

// Of any protocol and version: a request of another version must be answered too (RFC 4475 §3.1.2.16).
const SENT_PROTOCOL = `${TOKEN}${BLANKS}\\/${BLANKS}${TOKEN}${BLANKS}\\/${BLANKS}${TOKEN}[ \\t]+`
const ELEMENT = `${SENT_PROTOCOL}${HOST}(?:${BLANKS}:${BLANKS}\\d{1,5})?${GENERIC_PARAMS}`
const VIA = new RegExp(`^${ELEMENT}$`)
const VIA_START = new RegExp(`^${ELEMENT}`)
const PROTOCOL_START = new RegExp(`^${SENT_PROTOCOL}`)

/** Parses one Via element; null when malformed. */
export function parseVia(text: string): Via | null {
  const via = readVia(text)
  return typeof via === 'string' ? null : via
}

/**
 * The well-formed beginning of a malformed Via element, so that the request can be refused with what its sender knows it
 * by; null when there is not even a sent-by.
 */
export function salvageVia(text: string): Via | null {
  const start = VIA_START.exec(text)?.[0]
  return start === undefined ? null : parseVia(start)
}

/** As `parseVia`, but says in words what is wrong. */
export function readVia(text: string): Via | string {
  if (!VIA.test(text)) return viaFault(text)
  const start = skipBlank(text, text.indexOf('/', text.indexOf('/') + 1) + 1)
  let transportEnd = start + 1
  while (!isBlank(text.charCodeAt(transportEnd)) && transportEnd < text.length) transportEnd += 1
  const hostStart = skipBlank(text, transportEnd)
  const semicolon = text.indexOf(';', hostStart)
  const paramsStart = semicolon < 0 ? text.length : semicolon
  const colon = portColonIn(text, hostStart, paramsStart)
  let end = paramsStart
  let port: number | null = null
  if (colon >= 0) {
    port = portIn(text, skipBlank(text, colon + 1), endBefore(text, paramsStart))
    if (port < 0) return 'bad port'
    end = colon
  }
  const hostEnd = endBefore(text, end)
  if (text.charCodeAt(hostStart) === 91 && hostIn(text, hostStart, hostEnd) === '') return 'bad IPv6 address'
  return new Via(text, start, transportEnd, hostEnd, port, paramsStart)
}

/** `end`, less the white space before it. */
function endBefore(text: string, end: number): number {
  while (isBlank(text.charCodeAt(end - 1))) end -= 1
  return end
}

function transportName(written: string): string {
  if (written === 'UDP') return 'UDP'
  if (written === 'TCP') return 'TCP'
  if (written === 'TLS') return 'TLS'
  return written.toUpperCase()
}

function viaFault(text: string): string {
  const protocol = PROTOCOL_START.exec(text)
  if (protocol === null) return 'bad protocol'
  const rest = text.slice(protocol[0].length)
  const semicolon = rest.indexOf(';')
  const sentBy = (semicolon < 0 ? rest : rest.slice(0, semicolon)).replace(/[ \t]+/g, '')
  if (sentBy === '') return 'no sent-by'
  const hostPort = readHostPort(sentBy)
  if (typeof hostPort === 'string') return hostPort
  return semicolon >= 0 && !areGenericParams(rest.slice(semicolon)) ? 'bad parameter' : 'bad sent-by'
}
