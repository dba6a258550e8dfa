// What a received message must have before anything acts on it: RFC 3261 §8.1.1, §8.2, §16.3, §18.3, §20.
// Hot path: every message passes here. What is decoded is kept in the message.

import { decimal } from '#sip/_scan.ts'
import { HeaderId, headerName } from '#sip/header-id.ts'
import { CALL_ID_OCTETS_MAX, type Message, ParseProblem, type Request, type Response } from '#sip/message.ts'
import { isKnownMethod } from '#sip/method.ts'

// word [ "@" word ] of §25.1, and what else is visible: it is compared, never taken apart.
const CALL_ID = new RegExp(`^[\\x21-\\x7e\\x80-\\xff]{1,${CALL_ID_OCTETS_MAX}}$`)

const IDS = Math.max(...Object.values(HeaderId)) + 1

/** Place of each field that may stand once only (§7.3.1: not comma lists) in a set of bits; 0 for the others. */
const SINGLE_BIT: readonly number[] = (() => {
  const bits = new Array<number>(IDS).fill(0)
  const singles = [
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
    HeaderId.subscriptionState,
    HeaderId.maxBreadth,
    HeaderId.join,
    HeaderId.targetDialog,
  ]
  for (const [place, id] of singles.entries()) bits[id] = 1 << place
  return bits
})()

function missing(request: Request | null, id: HeaderId): ParseProblem {
  return new ParseProblem('SIP_HEADER_MISSING', statusFor(request), `Missing ${headerName(id)} header field`, request)
}

/** `fault` is '', ': what' or ' number: what'. */
function malformed(request: Request | null, id: HeaderId, fault: string): ParseProblem {
  const reason = `Malformed ${headerName(id)} header field${fault}`
  return new ParseProblem('SIP_HEADER_MALFORMED', statusFor(request), reason, request)
}

function statusFor(request: Request | null): number {
  return request === null ? 0 : 400
}

function checkCommon(message: Message, request: Request | null): ParseProblem | null {
  let seen = 0
  for (let line = 0; line < message.headerCount; line += 1) {
    const bit = SINGLE_BIT[message.headerIdOf(line)] ?? 0
    if ((seen & bit) !== 0) {
      const reason = `More than one ${headerName(message.headerIdOf(line))} header field`
      return new ParseProblem('SIP_HEADER_REPEATED', statusFor(request), reason, request)
    }
    seen |= bit
  }
  const vias = message.readVias()
  if (typeof vias === 'string') return malformed(request, HeaderId.via, vias)
  if (vias === 0) return missing(request, HeaderId.via)
  const from = message.readFrom()
  if (from === null) return missing(request, HeaderId.from)
  if (typeof from === 'string') return malformed(request, HeaderId.from, `: ${from}`)
  const to = message.readTo()
  if (to === null) return missing(request, HeaderId.to)
  if (typeof to === 'string') return malformed(request, HeaderId.to, `: ${to}`)
  if (!CALL_ID.test(message.callId)) {
    return message.has(HeaderId.callId) ? malformed(request, HeaderId.callId, '') : missing(request, HeaderId.callId)
  }
  const cseq = message.readCSeq()
  if (cseq === null) return missing(request, HeaderId.cseq)
  if (typeof cseq === 'string') return malformed(request, HeaderId.cseq, `: ${cseq}`)
  return null
}

const ROUTES = [HeaderId.route, HeaderId.recordRoute, HeaderId.path] as const

/** Route and Record-Route, which dialogs are built from, and Path (RFC 3327), which bindings are. */
function checkRoutes(message: Message, request: Request | null): ParseProblem | null {
  for (const id of ROUTES) {
    if (!message.has(id)) continue
    const addresses = message.readNameAddrs(id)
    if (typeof addresses === 'string') return malformed(request, id, addresses)
  }
  return null
}

/**
 * Checks a parsed request: mandatory fields present once and well-formed, Request-URI, CSeq method, Contact of the
 * methods that make dialogs, Max-Forwards, routes. Null when all is well; otherwise what to answer.
 */
export function checkRequest(request: Request): ParseProblem | null {
  const common = checkCommon(request, request)
  if (common !== null) return common
  if (request.cseq.method !== request.method) {
    return isKnownMethod(request.method)
      ? new ParseProblem('SIP_CSEQ_METHOD', 400, 'CSeq method does not match the request', request)
      : new ParseProblem('SIP_METHOD_UNKNOWN', 501, 'Not Implemented', request)
  }
  const uri = request.readUri()
  if (typeof uri === 'string') {
    return new ParseProblem('SIP_REQUEST_URI', 400, `Malformed Request-URI: ${uri}`, request)
  }
  if (uri.headers !== '') {
    // §19.1.1: header parameters are not allowed in a Request-URI.
    return new ParseProblem('SIP_REQUEST_URI', 400, 'Header parameters in Request-URI', request)
  }
  const maxForwards = request.header(HeaderId.maxForwards)
  if (maxForwards !== null && decimal(maxForwards, 255) < 0) {
    return malformed(request, HeaderId.maxForwards, ': not a number from 0 to 255')
  }
  return checkContact(request) ?? checkRoutes(request, request)
}

function checkContact(request: Request): ParseProblem | null {
  const first = request.header(HeaderId.contact)
  if (first === null) {
    // §8.1.1.8 demands a Contact; RFC 2543 elements, known by their branch, may leave it out.
    return request.method === 'INVITE' && request.topmostVia.hasCookie ? missing(request, HeaderId.contact) : null
  }
  // §10.2.2: for REGISTER only, and alone.
  if (first === '*' && request.method === 'REGISTER' && request.headers(HeaderId.contact).length === 1) return null
  const contacts = request.readNameAddrs(HeaderId.contact)
  if (typeof contacts === 'string') return malformed(request, HeaderId.contact, contacts)
  if (request.method !== 'INVITE') return null
  if (contacts.length !== 1) return malformed(request, HeaderId.contact, ': an INVITE has exactly one')
  return contacts[0]?.uri.isSip === true ? null : malformed(request, HeaderId.contact, ': not a SIP URI')
}

/** Checks a parsed response. A problem means: drop it (§18.1.2, §8.1.3.3). */
export function checkResponse(response: Response): ParseProblem | null {
  const common = checkCommon(response, null)
  if (common !== null) return common
  // The Contact of a failure is advice (§21.3, §20.10), that of others becomes the remote target of a dialog.
  if (response.status >= 300) return null
  const contacts = response.readNameAddrs(HeaderId.contact)
  if (typeof contacts === 'string') return malformed(null, HeaderId.contact, contacts)
  return checkRoutes(response, null)
}
