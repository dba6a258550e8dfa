// SIP messages: RFC 3261 §7. A message is its bytes: one latin1 text, header positions indexed once, decoded on first use.
// Hot path: every datagram passes here.

import { unreachable } from '#core/assert.ts'
import { HeaderIndex } from '#sip/_header-index.ts'
import { decimal, isToken, paramIn, skipBlank, splitOutsideQuotes, trimBlanks } from '#sip/_scan.ts'
import { HeaderId } from '#sip/header-id.ts'
import { knownMethod } from '#sip/method.ts'
import { type NameAddr, readNameAddr } from '#sip/name-addr.ts'
import { readUri, type Uri } from '#sip/uri.ts'
import { readVia, salvageVia, type Via } from '#sip/via.ts'

export { HEADER_LINES_MAX } from '#sip/_header-index.ts'

/** Octets of one message: what a UDP datagram can carry. Streams have their own limit. */
export const MESSAGE_OCTETS_MAX = 65_535
/** Via elements of one message: no request passes so many elements (§20.22). */
export const VIAS_MAX = 256
/** Characters of a Call-ID. */
export const CALL_ID_OCTETS_MAX = 256

/** CSeq number and method (§20.16). */
export interface CSeq {
  readonly number: number
  readonly method: string
}

/**
 * What requests and responses share. Getters of single fields expect a message that `checkRequest`/`checkResponse`
 * passed. The `read…` methods are for the check and for the curious: they give null when the field is absent and, in
 * words, what is wrong when it is malformed; what they decode is kept for the getters.
 */
export abstract class Message {
  /** The whole message, one character an octet. */
  readonly text: string
  /** Index after the last character of the body. */
  readonly bodyEnd: number
  readonly #index: HeaderIndex
  #via: Via | null = null
  #from: NameAddr | null = null
  #to: NameAddr | null = null
  #contacts: readonly NameAddr[] | null = null
  #callId: string | null = null
  #cseq: CSeq | null = null

  constructor(text: string, index: HeaderIndex, bodyEnd: number) {
    this.text = text
    this.#index = index
    this.bodyEnd = bodyEnd
  }

  /** Index of the first character of the body. */
  get bodyStart(): number {
    return this.#index.bodyStart
  }

  /** Number of header field lines. */
  get headerCount(): number {
    return this.#index.count
  }

  /** Id of header line `line`, counted from 0. */
  headerIdOf(line: number): HeaderId {
    return this.#index.idOf(line)
  }

  /** Name of header line `line` as written. */
  headerNameOf(line: number): string {
    return this.#index.nameOf(line)
  }

  /** Value of header line `line`: unfolded (§7.3.1), trimmed. */
  headerValueOf(line: number): string {
    return this.#index.valueOf(line)
  }

  /** Value of the first line of field `id`, or null. */
  header(id: HeaderId): string | null {
    const line = this.#index.first(id)
    return line < 0 ? null : this.#index.valueOf(line)
  }

  /** Whether there is a line of field `id`. */
  has(id: HeaderId): boolean {
    return this.#index.first(id) >= 0
  }

  /** Values of all lines of field `id`, in order. */
  headers(id: HeaderId): string[] {
    const index = this.#index
    const values: string[] = []
    for (let i = index.first(id); i >= 0; i = index.next(id, i + 1)) values.push(index.valueOf(i))
    return values
  }

  /** All elements of the comma-list field `id` over all its lines, in order (§7.3.1); null when one line is malformed. */
  list(id: HeaderId): string[] | null {
    const elements = this.#readList(id)
    return typeof elements === 'string' ? null : elements
  }

  #readList(id: HeaderId): string[] | string {
    const index = this.#index
    const elements: string[] = []
    for (let i = index.first(id); i >= 0; i = index.next(id, i + 1)) {
      const value = index.valueOf(i)
      if (value === '') continue
      if (value.includes(',')) {
        const split = splitOutsideQuotes(value)
        if (typeof split === 'string') return split
        for (const element of split) elements.push(element)
      } else elements.push(value)
    }
    return elements
  }

  /** All elements of field `id` as name-addrs; null when one is malformed. Shared: not to be changed. */
  nameAddrs(id: HeaderId): readonly NameAddr[] | null {
    const addresses = this.readNameAddrs(id)
    return typeof addresses === 'string' ? null : addresses
  }

  /** As `nameAddrs`, but says in words which element is malformed and how. */
  readNameAddrs(id: HeaderId): readonly NameAddr[] | string {
    if (id === HeaderId.contact && this.#contacts !== null) return this.#contacts
    const elements = this.#readList(id)
    if (typeof elements === 'string') return `: ${elements}`
    const addresses: NameAddr[] = []
    for (let i = 0; i < elements.length; i += 1) {
      const address = readNameAddr(elements[i] ?? '')
      if (typeof address === 'string') return ` ${i + 1}: ${address}`
      addresses.push(address)
    }
    if (id === HeaderId.contact) this.#contacts = addresses
    return addresses
  }

  /** Whether the comma list of option tags `id` (Require, Supported …) has `tag` (lower case; compared without case). */
  hasOption(id: HeaderId, tag: string): boolean {
    const index = this.#index
    for (let i = index.first(id); i >= 0; i = index.next(id, i + 1)) {
      const value = index.valueOf(i)
      if (value === tag) return true
      for (const option of value.split(',')) if (trimBlanks(option).toLowerCase() === tag) return true
    }
    return false
  }

  /** Values of the lines of a field that has no id, by name without regard to case. */
  extension(name: string): string[] {
    const index = this.#index
    const lower = name.toLowerCase()
    const values: string[] = []
    for (let i = index.first(HeaderId.other); i >= 0; i = index.next(HeaderId.other, i + 1)) {
      if (index.nameOf(i).toLowerCase() === lower) values.push(index.valueOf(i))
    }
    return values
  }

  /** The topmost Via element (§20.42). */
  get topmostVia(): Via {
    return this.parseTopmostVia() ?? unreachable('Via passed the check')
  }

  /**
   * The topmost Via element, of a malformed one what is well-formed at its beginning (enough to refuse a request), or null
   * when there is none.
   */
  parseTopmostVia(): Via | null {
    if (this.#via !== null) return this.#via
    const value = this.header(HeaderId.via)
    if (value === null) return null
    const split = value.includes(',') ? splitOutsideQuotes(value) : value
    const element = typeof split === 'string' ? value : (split[0] ?? '')
    const via = readVia(element)
    if (typeof via === 'string') return salvageVia(element)
    this.#via = via
    return via
  }

  /** Decodes all Via elements and keeps the topmost: how many there are, or what is wrong with which. */
  readVias(): number | string {
    const index = this.#index
    let count = 0
    for (let i = index.first(HeaderId.via); i >= 0; i = index.next(HeaderId.via, i + 1)) {
      const value = index.valueOf(i)
      const split = value.includes(',') ? splitOutsideQuotes(value) : null
      if (typeof split === 'string') return `: ${split}`
      const elements = split === null ? 1 : split.length
      if (count + elements > VIAS_MAX) return `: more than ${VIAS_MAX}`
      for (let k = 0; k < elements; k += 1) {
        count += 1
        if (count === 1 && this.#via !== null) continue
        const via = readVia(split === null ? value : (split[k] ?? ''))
        if (typeof via === 'string') return ` ${count}: ${via}`
        if (count === 1) this.#via = via
      }
    }
    return count
  }

  get from(): NameAddr {
    return this.#from ?? passed(this.readFrom(), 'From passed the check')
  }

  readFrom(): NameAddr | string | null {
    if (this.#from !== null) return this.#from
    const value = this.header(HeaderId.from)
    if (value === null) return null
    const address = readNameAddr(value)
    if (typeof address !== 'string') this.#from = address
    return address
  }

  get to(): NameAddr {
    return this.#to ?? passed(this.readTo(), 'To passed the check')
  }

  readTo(): NameAddr | string | null {
    if (this.#to !== null) return this.#to
    const value = this.header(HeaderId.to)
    if (value === null) return null
    const address = readNameAddr(value)
    if (typeof address !== 'string') this.#to = address
    return address
  }

  /** Call-ID (§20.8), compared octet by octet; '' when it is missing. */
  get callId(): string {
    this.#callId ??= this.header(HeaderId.callId) ?? ''
    return this.#callId
  }

  get cseq(): CSeq {
    return this.#cseq ?? passed(this.readCSeq(), 'CSeq passed the check')
  }

  readCSeq(): CSeq | string | null {
    if (this.#cseq !== null) return this.#cseq
    const value = this.header(HeaderId.cseq)
    if (value === null) return null
    this.#cseq = parseCSeq(value)
    return this.#cseq ?? 'not a number below 2^31 and a method'
  }

  /** The body, one character an octet. */
  get body(): string {
    return this.text.slice(this.bodyStart, this.bodyEnd)
  }

  get hasBody(): boolean {
    return this.bodyEnd > this.bodyStart
  }

  /** Media type of the body in lower case without parameters ('application/sdp'), or '' when there is none. */
  get contentType(): string {
    const value = this.header(HeaderId.contentType)
    if (value === null) return ''
    if (value === 'application/sdp') return value
    const semicolon = value.indexOf(';')
    return (semicolon < 0 ? value : value.slice(0, semicolon)).replace(/[ \t]+/g, '').toLowerCase()
  }

  /** Whether the body is a session description. */
  get hasSdp(): boolean {
    return this.hasBody && this.contentType === 'application/sdp'
  }
}

function passed<T>(value: T | string | null, what: string): T {
  return value === null || typeof value === 'string' ? unreachable(what) : value
}

export class Request extends Message {
  readonly method: string
  /** Request-URI as written. */
  readonly uriText: string
  #uri: Uri | null = null

  constructor(text: string, index: HeaderIndex, bodyEnd: number, method: string, uriText: string) {
    super(text, index, bodyEnd)
    this.method = method
    this.uriText = uriText
  }

  /** The Request-URI. */
  get uri(): Uri {
    return this.#uri ?? passed(this.readUri(), 'Request-URI passed the check')
  }

  readUri(): Uri | string {
    if (this.#uri !== null) return this.#uri
    const uri = readUri(this.uriText)
    if (typeof uri !== 'string') this.#uri = uri
    return uri
  }
}

export class Response extends Message {
  readonly status: number
  readonly reason: string

  constructor(text: string, index: HeaderIndex, bodyEnd: number, status: number, reason: string) {
    super(text, index, bodyEnd)
    this.status = status
    this.reason = reason
  }
}

/** Why octets are no message. `request` is there when enough of a request could be read to answer it. */
export class ParseProblem {
  /** Stable code: SIP_… */
  readonly code: string
  /** Status to answer with (400, 505 …); 0 when nothing can be answered. */
  readonly status: number
  /** What is wrong and where, fit for a reason phrase. */
  readonly reason: string
  readonly request: Request | null

  constructor(code: string, status: number, reason: string, request: Request | null) {
    this.code = code
    this.status = status
    this.reason = reason
    this.request = request
  }
}

/** Parses CSeq (§20.16: a number below 2^31 and a method); null when malformed. */
export function parseCSeq(value: string): CSeq | null {
  let digits = 0
  while (digits < value.length && value.charCodeAt(digits) >= 48 && value.charCodeAt(digits) <= 57) digits += 1
  const number = decimal(value.slice(0, digits), 0x7fff_ffff)
  const methodStart = skipBlank(value, digits)
  if (number < 0 || methodStart === digits) return null
  const method = methodIn(value.slice(methodStart))
  return method === null ? null : { number, method }
}

function methodIn(text: string): string | null {
  return knownMethod(text) ?? (isToken(text) ? text : null)
}

/**
 * Parses one complete message that fills `text` (a datagram, or what a stream's framing cut out). Octets beyond
 * Content-Length are ignored (§18.3). Start line and header lines are checked here; the content of header
 * fields by `checkRequest` and `checkResponse`. Never throws.
 */
export function parseMessage(text: string): Message | ParseProblem {
  if (text.length > MESSAGE_OCTETS_MAX) {
    return new ParseProblem('SIP_MESSAGE_MAX', 0, `More than ${MESSAGE_OCTETS_MAX} octets`, null)
  }
  // §7.5: CRLF before the start-line is ignored.
  let at = 0
  while (text.startsWith('\r\n', at)) at += 2
  const lineEnd = text.indexOf('\r', at)
  if (lineEnd < 0 || text.indexOf('\n', at) !== lineEnd + 1) {
    return new ParseProblem('SIP_START_LINE', 0, 'No start line', null)
  }
  const index = new HeaderIndex(text, lineEnd + 2)
  // A method cannot have a slash in it.
  return text.charCodeAt(at + 3) === 47 ? responseFrom(text, at, lineEnd, index) : requestFrom(text, at, lineEnd, index)
}

function requestFrom(text: string, at: number, lineEnd: number, index: HeaderIndex): Request | ParseProblem {
  const firstSpace = text.indexOf(' ', at)
  const lastSpace = text.lastIndexOf(' ', lineEnd)
  if (firstSpace < 0 || lastSpace <= firstSpace) {
    return new ParseProblem('SIP_START_LINE', 0, 'Malformed start line', null)
  }
  const method = methodIn(text.slice(at, firstSpace))
  if (method === null) return new ParseProblem('SIP_START_LINE', 0, 'Malformed method in start line', null)
  const uriText = text.slice(firstSpace + 1, lastSpace)
  const bodyEnd = bodyEndOf(text, index)
  const request = new Request(text, index, typeof bodyEnd === 'number' ? bodyEnd : index.bodyStart, method, uriText)
  const version = text.slice(lastSpace + 1, lineEnd)
  if (version !== 'SIP/2.0' && version.toUpperCase() !== 'SIP/2.0') {
    if (/^SIP\/\d+\.\d+$/i.test(version)) return new ParseProblem('SIP_VERSION', 505, 'Version Not Supported', request)
    return new ParseProblem('SIP_START_LINE', 400, 'Malformed start line: SIP version', request)
  }
  if (index.faultCode !== '') return new ParseProblem(index.faultCode, 400, index.faultReason, request)
  if (typeof bodyEnd !== 'number') return new ParseProblem('SIP_CONTENT_LENGTH', 400, bodyEnd, request)
  if (uriText.includes(' ') || uriText.includes('\t')) {
    return new ParseProblem('SIP_START_LINE', 400, 'Malformed start line: white space in Request-URI', request)
  }
  return request
}

function responseFrom(text: string, at: number, lineEnd: number, index: HeaderIndex): Response | ParseProblem {
  if (!text.startsWith('SIP/2.0 ', at) && text.slice(at, at + 8).toUpperCase() !== 'SIP/2.0 ') {
    return new ParseProblem('SIP_VERSION', 0, 'Response of another version', null)
  }
  const status = decimal(text.slice(at + 8, at + 11), 699)
  if (status < 100 || (text.charCodeAt(at + 11) !== 32 && at + 11 !== lineEnd)) {
    return new ParseProblem('SIP_STATUS', 0, 'Malformed status code', null)
  }
  if (index.faultCode !== '') return new ParseProblem(index.faultCode, 0, index.faultReason, null)
  const bodyEnd = bodyEndOf(text, index)
  if (typeof bodyEnd !== 'number') return new ParseProblem('SIP_CONTENT_LENGTH', 0, bodyEnd, null)
  return new Response(text, index, bodyEnd, status, text.slice(at + 12, lineEnd))
}

/** Index after the body: by Content-Length, or the end of the datagram (§18.3); or what is wrong. */
function bodyEndOf(text: string, index: HeaderIndex): number | string {
  const line = index.first(HeaderId.contentLength)
  if (line < 0) return text.length
  const length = decimal(index.valueOf(line), 0xffff_ffff)
  if (length < 0) return 'Malformed Content-Length header field'
  const missing = index.bodyStart + length - text.length
  return missing > 0 ? `Content-Length ${length} exceeds the message by ${missing}` : index.bodyStart + length
}

/** The value of a `;name=value` parameter of a header value like Session-Expires or Reason (name in lower case). */
export function valueParam(value: string, name: string): string | null {
  const semicolon = value.indexOf(';')
  return semicolon < 0 ? null : paramIn(value.slice(semicolon), name)
}
