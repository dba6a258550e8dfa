// SIP messages: RFC 3261 §7. A message is its bytes: one latin1 text, header positions indexed once, decoded on first use.
// Hot path: every datagram passes here.

import { assert, present } from '#core/assert.ts'
import { decimal, isBlank, isToken, paramIn, splitList } from '#sip/_scan.ts'
import { HeaderId, headerIdAt } from '#sip/header-id.ts'
import { type NameAddr, parseNameAddr } from '#sip/name-addr.ts'
import { parseUri, type Uri } from '#sip/uri.ts'
import { parseVia, type Via } from '#sip/via.ts'

/** Octets of one message: what a UDP datagram can carry. Streams have their own limit. */
export const MESSAGE_OCTETS_MAX = 65_535
/** Header field lines of one message. */
export const HEADER_LINES_MAX = 256

/** CSeq number and method (§20.16). */
export interface CSeq {
  readonly number: number
  readonly method: string
}

// Positions of header line i stand at 4·i: line start, value start, value end, id.
const STRIDE = 4

/** What requests and responses share. Getters of single fields expect a message that `checkRequest`/`checkResponse` passed. */
export abstract class Message {
  /** The whole message, one character an octet. */
  readonly text: string
  /** Index of the first character of the body. */
  readonly bodyStart: number
  /** Index after the last character of the body. */
  readonly bodyEnd: number
  readonly #marks: readonly number[]
  #via: Via | null = null
  #from: NameAddr | null = null
  #to: NameAddr | null = null
  #callId: string | null = null
  #cseq: CSeq | null = null

  constructor(text: string, marks: readonly number[], bodyStart: number, bodyEnd: number) {
    this.text = text
    this.#marks = marks
    this.bodyStart = bodyStart
    this.bodyEnd = bodyEnd
  }

  /** Number of header field lines. */
  get headerCount(): number {
    return this.#marks.length / STRIDE
  }

  /** Id of header line `index`. */
  headerIdOf(index: number): HeaderId {
    return present(this.#marks[index * STRIDE + 3], 'header index') as HeaderId
  }

  /** Name of header line `index` as written. */
  headerNameOf(index: number): string {
    const start = present(this.#marks[index * STRIDE], 'header index')
    return this.text.slice(start, this.text.indexOf(':', start)).trimEnd()
  }

  /** Value of header line `index`: unfolded (§7.3.1), trimmed. */
  headerValueOf(index: number): string {
    const start = present(this.#marks[index * STRIDE + 1], 'header index')
    const end = present(this.#marks[index * STRIDE + 2], 'header index')
    const value = this.text.slice(start, end)
    return value.includes('\n') ? value.replace(/[ \t]*\r\n[ \t]+/g, ' ').trim() : value
  }

  /** Value of the first line of field `id`, or null. */
  header(id: HeaderId): string | null {
    const marks = this.#marks
    for (let i = 3; i < marks.length; i += STRIDE) if (marks[i] === id) return this.headerValueOf((i - 3) / STRIDE)
    return null
  }

  /** Whether there is a line of field `id`. */
  has(id: HeaderId): boolean {
    const marks = this.#marks
    for (let i = 3; i < marks.length; i += STRIDE) if (marks[i] === id) return true
    return false
  }

  /** Values of all lines of field `id`, in order. */
  headers(id: HeaderId): string[] {
    const values: string[] = []
    for (let i = 0; i < this.headerCount; i += 1) if (this.headerIdOf(i) === id) values.push(this.headerValueOf(i))
    return values
  }

  /** All elements of the comma-list field `id` over all its lines, in order (§7.3.1); null when one line is malformed. */
  list(id: HeaderId): string[] | null {
    const elements: string[] = []
    for (let i = 0; i < this.headerCount; i += 1) {
      if (this.headerIdOf(i) !== id) continue
      const value = this.headerValueOf(i)
      if (value === '') continue
      const split = splitList(value)
      if (split === null) return null
      elements.push(...split)
    }
    return elements
  }

  /** All elements of field `id` as name-addrs; null when one is malformed. */
  nameAddrs(id: HeaderId): NameAddr[] | null {
    const elements = this.list(id)
    if (elements === null) return null
    const addresses: NameAddr[] = []
    for (const element of elements) {
      const address = parseNameAddr(element)
      if (address === null) return null
      addresses.push(address)
    }
    return addresses
  }

  /** Whether the comma list of option tags `id` (Require, Supported …) has `tag` (lower case; compared without case). */
  hasOption(id: HeaderId, tag: string): boolean {
    for (let i = 0; i < this.headerCount; i += 1) {
      if (this.headerIdOf(i) !== id) continue
      const value = this.headerValueOf(i)
      if (value === tag) return true
      for (const option of value.split(',')) if (option.trim().toLowerCase() === tag) return true
    }
    return false
  }

  /** Values of the lines of a field that has no id, by name without regard to case. */
  extension(name: string): string[] {
    const lower = name.toLowerCase()
    const values: string[] = []
    for (let i = 0; i < this.headerCount; i += 1) {
      if (this.headerIdOf(i) === HeaderId.other && this.headerNameOf(i).toLowerCase() === lower) {
        values.push(this.headerValueOf(i))
      }
    }
    return values
  }

  /** The topmost Via element (§20.42). */
  get topmostVia(): Via {
    this.#via ??= this.parseTopmostVia()
    return present(this.#via, 'Via passed the check')
  }

  /** The topmost Via element, or null when missing or malformed. */
  parseTopmostVia(): Via | null {
    const value = this.header(HeaderId.via)
    if (value === null) return null
    const comma = value.indexOf(',')
    if (comma < 0) return parseVia(value)
    const first = splitList(value)?.[0]
    return first === undefined ? null : parseVia(first)
  }

  get from(): NameAddr {
    this.#from ??= parseNameAddr(this.header(HeaderId.from) ?? '')
    return present(this.#from, 'From passed the check')
  }

  get to(): NameAddr {
    this.#to ??= parseNameAddr(this.header(HeaderId.to) ?? '')
    return present(this.#to, 'To passed the check')
  }

  /** Call-ID (§20.8), compared octet by octet. */
  get callId(): string {
    this.#callId ??= this.header(HeaderId.callId) ?? ''
    return this.#callId
  }

  get cseq(): CSeq {
    this.#cseq ??= parseCSeq(this.header(HeaderId.cseq) ?? '')
    return present(this.#cseq, 'CSeq passed the check')
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
    const semicolon = value.indexOf(';')
    return (semicolon < 0 ? value : value.slice(0, semicolon)).trim().toLowerCase()
  }

  /** Whether the body is a session description. */
  get hasSdp(): boolean {
    return this.hasBody && this.contentType === 'application/sdp'
  }
}

export class Request extends Message {
  readonly method: string
  /** Request-URI as written. */
  readonly uriText: string
  #uri: Uri | null = null

  constructor(
    text: string,
    marks: readonly number[],
    bodyStart: number,
    bodyEnd: number,
    method: string,
    uriText: string,
  ) {
    super(text, marks, bodyStart, bodyEnd)
    this.method = method
    this.uriText = uriText
  }

  /** The Request-URI. */
  get uri(): Uri {
    this.#uri ??= parseUri(this.uriText)
    return present(this.#uri, 'Request-URI passed the check')
  }
}

export class Response extends Message {
  readonly status: number
  readonly reason: string

  constructor(
    text: string,
    marks: readonly number[],
    bodyStart: number,
    bodyEnd: number,
    status: number,
    reason: string,
  ) {
    super(text, marks, bodyStart, bodyEnd)
    this.status = status
    this.reason = reason
  }
}

/** Why octets are no message. `message` is there when enough of a request could be read to answer it. */
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
  const match = /^(\d+)[ \t]+(\S+)$/.exec(value)
  if (match === null) return null
  const number = decimal(match[1] ?? '', 0x7fff_ffff)
  const method = match[2] ?? ''
  return number < 0 || !isToken(method) ? null : { number, method }
}

/**
 * Parses one complete message that fills `text` (a datagram, or what a stream's framing cut out). Octets beyond
 * Content-Length are ignored (§18.3). Start line and header lines are checked here; the content of header
 * fields by `checkRequest` and `checkResponse`. Never throws.
 */
export function parseMessage(text: string): Message | ParseProblem {
  assert(text.length <= MESSAGE_OCTETS_MAX, 'message size')
  // §7.5: CRLF before the start-line is ignored.
  let at = 0
  while (text.startsWith('\r\n', at)) at += 2
  const lineEnd = text.indexOf('\r\n', at)
  if (lineEnd < 0) return new ParseProblem('SIP_NO_START_LINE', 0, 'No start line', null)
  const isResponse = text.startsWith('SIP/2.0 ', at)
  const marks: number[] = []
  const bodyStart = indexHeaders(text, lineEnd + 2, marks)
  if (isResponse) {
    if (typeof bodyStart !== 'number') return new ParseProblem(bodyStart.code, 0, bodyStart.reason, null)
    return responseFrom(text, at, lineEnd, marks, bodyStart)
  }
  return requestFrom(text, at, lineEnd, marks, bodyStart)
}

interface HeaderFault {
  readonly code: string
  readonly reason: string
}

/** Fills `marks`; answers the index of the body, or what is wrong. */
function indexHeaders(text: string, at: number, marks: number[]): number | HeaderFault {
  const length = text.length
  for (;;) {
    const lineEnd = text.indexOf('\r', at)
    if (lineEnd === at && text.charCodeAt(at + 1) === 10) return at + 2
    // A message may lack the empty line when the datagram ends with its last header line.
    if (at >= length) return length
    const end = lineEnd < 0 ? length : lineEnd
    if (lineEnd >= 0 && text.charCodeAt(lineEnd + 1) !== 10) {
      return { code: 'SIP_BARE_CR', reason: `Bare CR in header line ${marks.length / STRIDE + 1}` }
    }
    const newline = text.indexOf('\n', at)
    if (newline >= 0 && newline < end) {
      return { code: 'SIP_BARE_LF', reason: `Bare LF in header line ${marks.length / STRIDE + 1}` }
    }
    if (isBlank(text.charCodeAt(at))) {
      // §7.3.1 folding: belongs to the line before.
      if (marks.length === 0) return { code: 'SIP_FOLD_FIRST', reason: 'White space before the first header field' }
      marks[marks.length - 2] = trimmedEnd(text, at, end)
    } else {
      if (marks.length === HEADER_LINES_MAX * STRIDE) {
        return { code: 'SIP_HEADERS_MAX', reason: `More than ${HEADER_LINES_MAX} header lines` }
      }
      const colon = text.indexOf(':', at)
      if (colon <= at || colon > end) {
        return { code: 'SIP_NO_COLON', reason: `No colon in header line ${marks.length / STRIDE + 1}` }
      }
      let nameEnd = colon
      while (nameEnd > at && isBlank(text.charCodeAt(nameEnd - 1))) nameEnd -= 1
      const id = headerIdAt(text, at, nameEnd)
      if (id === HeaderId.other && !isToken(text.slice(at, nameEnd))) {
        return { code: 'SIP_HEADER_NAME', reason: `Malformed name in header line ${marks.length / STRIDE + 1}` }
      }
      let valueStart = colon + 1
      while (valueStart < end && isBlank(text.charCodeAt(valueStart))) valueStart += 1
      marks.push(at, valueStart, trimmedEnd(text, valueStart, end), id)
    }
    if (lineEnd < 0) return length
    at = lineEnd + 2
  }
}

function trimmedEnd(text: string, start: number, end: number): number {
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return end
}

function requestFrom(
  text: string,
  at: number,
  lineEnd: number,
  marks: number[],
  bodyStart: number | HeaderFault,
): Request | ParseProblem {
  const firstSpace = text.indexOf(' ', at)
  const lastSpace = text.lastIndexOf(' ', lineEnd)
  const headersEnd = typeof bodyStart === 'number' ? bodyStart : text.length
  if (firstSpace < 0 || firstSpace > lineEnd || lastSpace <= firstSpace) {
    return new ParseProblem('SIP_START_LINE', 0, 'Malformed start line', null)
  }
  const method = text.slice(at, firstSpace)
  if (!isToken(method)) return new ParseProblem('SIP_START_LINE', 0, 'Malformed method in start line', null)
  const version = text.slice(lastSpace + 1, lineEnd)
  const uriText = text.slice(firstSpace + 1, lastSpace)
  const bare = new Request(text, marks, headersEnd, headersEnd, method, uriText)
  if (version !== 'SIP/2.0' && version.toUpperCase() !== 'SIP/2.0') {
    if (/^SIP\/\d+\.\d+$/i.test(version)) return new ParseProblem('SIP_VERSION', 505, 'Version Not Supported', bare)
    return new ParseProblem('SIP_START_LINE', 400, 'Malformed start line: SIP version', bare)
  }
  if (typeof bodyStart !== 'number') return new ParseProblem(bodyStart.code, 400, bodyStart.reason, bare)
  const bodyEnd = bodyEndOf(bare, text, bodyStart)
  if (typeof bodyEnd !== 'number') return new ParseProblem(bodyEnd.code, 400, bodyEnd.reason, bare)
  if (uriText.includes(' ') || uriText.includes('\t')) {
    return new ParseProblem('SIP_START_LINE', 400, 'White space in Request-URI', bare)
  }
  return bodyEnd === bodyStart && bodyStart === headersEnd
    ? bare
    : new Request(text, marks, bodyStart, bodyEnd, method, uriText)
}

function responseFrom(
  text: string,
  at: number,
  lineEnd: number,
  marks: number[],
  bodyStart: number,
): Response | ParseProblem {
  const status = decimal(text.slice(at + 8, at + 11), 699)
  const after = text.charCodeAt(at + 11)
  if (status < 100 || (after !== 32 && at + 11 !== lineEnd)) {
    return new ParseProblem('SIP_STATUS', 0, 'Malformed status code', null)
  }
  const response = new Response(text, marks, bodyStart, bodyStart, status, text.slice(at + 12, lineEnd))
  const bodyEnd = bodyEndOf(response, text, bodyStart)
  if (typeof bodyEnd !== 'number') return new ParseProblem(bodyEnd.code, 0, bodyEnd.reason, null)
  return bodyEnd === bodyStart
    ? response
    : new Response(text, marks, bodyStart, bodyEnd, response.status, response.reason)
}

/** Index after the body: by Content-Length, or the end of the datagram (§18.3). */
function bodyEndOf(message: Message, text: string, bodyStart: number): number | HeaderFault {
  const value = message.header(HeaderId.contentLength)
  if (value === null) return text.length
  const length = decimal(value, MESSAGE_OCTETS_MAX)
  if (length < 0) return { code: 'SIP_CONTENT_LENGTH', reason: 'Malformed Content-Length' }
  if (bodyStart + length > text.length) {
    return { code: 'SIP_CONTENT_LENGTH', reason: `Content-Length ${length} exceeds the message` }
  }
  return bodyStart + length
}

/** The value of a `;name=value` parameter of a header value like Session-Expires or Reason (name in lower case). */
export function valueParam(value: string, name: string): string | null {
  const semicolon = value.indexOf(';')
  return semicolon < 0 ? null : paramIn(value.slice(semicolon), name)
}
