// What a received message must have before anything acts on it: RFC 3261 §8.1.1, §8.2, §16.3, §18.3.

import { decimal, splitList } from '#sip/_scan.ts'
import { HeaderId, headerName } from '#sip/header-id.ts'
import { type Message, ParseProblem, parseCSeq, type Request, type Response } from '#sip/message.ts'
import { parseNameAddr } from '#sip/name-addr.ts'
import { parseUri } from '#sip/uri.ts'
import { parseVia } from '#sip/via.ts'

/** Fields that may stand once only (§7.3.1: not comma lists). */
const SINGLE: ReadonlySet<HeaderId> = new Set([
  HeaderId.from,
  HeaderId.to,
  HeaderId.callId,
  HeaderId.cseq,
  HeaderId.maxForwards,
  HeaderId.contentLength,
  HeaderId.contentType,
  HeaderId.expires,
  HeaderId.minExpires,
  HeaderId.rseq,
  HeaderId.rack,
  HeaderId.sessionExpires,
  HeaderId.minSe,
  HeaderId.referTo,
  HeaderId.replaces,
  HeaderId.event,
])

const METHODS: ReadonlySet<string> = new Set([
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'REGISTER',
  'OPTIONS',
  'PRACK',
  'UPDATE',
  'INFO',
  'MESSAGE',
  'SUBSCRIBE',
  'NOTIFY',
  'REFER',
  'PUBLISH',
])

function missing(request: Request | null, id: HeaderId): ParseProblem {
  return new ParseProblem(
    'SIP_HEADER_MISSING',
    request === null ? 0 : 400,
    `Missing ${headerName(id)} header field`,
    request,
  )
}

function malformed(request: Request | null, id: HeaderId): ParseProblem {
  return new ParseProblem(
    'SIP_HEADER_MALFORMED',
    request === null ? 0 : 400,
    `Malformed ${headerName(id)} header field`,
    request,
  )
}

function checkCommon(message: Message, request: Request | null): ParseProblem | null {
  let seen = 0n
  for (let i = 0; i < message.headerCount; i += 1) {
    const id = message.headerIdOf(i)
    if (!SINGLE.has(id)) continue
    const bit = 1n << BigInt(id)
    if ((seen & bit) !== 0n) {
      const reason = `More than one ${headerName(id)} header field`
      return new ParseProblem('SIP_HEADER_REPEATED', request === null ? 0 : 400, reason, request)
    }
    seen |= bit
  }
  const vias = message.list(HeaderId.via)
  if (vias === null) return malformed(request, HeaderId.via)
  if (vias.length === 0) return missing(request, HeaderId.via)
  for (const via of vias) if (parseVia(via) === null) return malformed(request, HeaderId.via)
  for (const id of [HeaderId.from, HeaderId.to] as const) {
    const value = message.header(id)
    if (value === null) return missing(request, id)
    if (parseNameAddr(value) === null) return malformed(request, id)
  }
  const callId = message.header(HeaderId.callId)
  if (callId === null) return missing(request, HeaderId.callId)
  if (!/^[\x21-\x7e\x80-\xff]{1,256}$/.test(callId)) return malformed(request, HeaderId.callId)
  const cseq = message.header(HeaderId.cseq)
  if (cseq === null) return missing(request, HeaderId.cseq)
  if (parseCSeq(cseq) === null) return malformed(request, HeaderId.cseq)
  return null
}

/**
 * Checks a parsed request: mandatory fields present once and well-formed, Request-URI, CSeq method, Contact of the
 * methods that make dialogs, Max-Forwards. Null when all is well; otherwise what to answer.
 */
export function checkRequest(request: Request): ParseProblem | null {
  const common = checkCommon(request, request)
  if (common !== null) return common
  if (request.cseq.method !== request.method) {
    return METHODS.has(request.method)
      ? new ParseProblem('SIP_CSEQ_METHOD', 400, 'CSeq method does not match the request', request)
      : new ParseProblem('SIP_METHOD_UNKNOWN', 501, 'Not Implemented', request)
  }
  const uri = parseUri(request.uriText)
  if (uri === null) return new ParseProblem('SIP_REQUEST_URI', 400, 'Malformed Request-URI', request)
  if (uri.headers !== '') {
    // §19.1.1: header parameters are not allowed in a Request-URI.
    return new ParseProblem('SIP_REQUEST_URI', 400, 'Header parameters in Request-URI', request)
  }
  const maxForwards = request.header(HeaderId.maxForwards)
  if (maxForwards !== null && decimal(maxForwards, 255) < 0) return malformed(request, HeaderId.maxForwards)
  const contacts = request.headers(HeaderId.contact)
  if (contacts.length > 0 && !(contacts.length === 1 && contacts[0] === '*')) {
    const addresses = request.nameAddrs(HeaderId.contact)
    if (addresses === null) return malformed(request, HeaderId.contact)
    if (request.method === 'INVITE' && addresses.length !== 1) return malformed(request, HeaderId.contact)
  } else if (request.method === 'INVITE') {
    if (contacts.length > 0) return malformed(request, HeaderId.contact)
    // §8.1.1.8 demands a Contact; RFC 2543 elements, known by their branch, may leave it out.
    if (request.topmostVia.hasCookie) return missing(request, HeaderId.contact)
  }
  for (const id of [HeaderId.route, HeaderId.recordRoute] as const) {
    if (request.has(id) && request.nameAddrs(id) === null) return malformed(request, id)
  }
  return null
}

/** Checks a parsed response. A problem means: drop it (§18.1.2, §8.1.3.3). */
export function checkResponse(response: Response): ParseProblem | null {
  const common = checkCommon(response, null)
  if (common !== null) return common
  if (response.status >= 200) return null
  const contact = response.header(HeaderId.contact)
  if (contact !== null && splitList(contact) === null) return malformed(null, HeaderId.contact)
  return null
}
