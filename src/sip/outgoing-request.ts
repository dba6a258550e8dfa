// A request that we send, before its Via: RFC 3261 §8.1.1. Hot path: one string per message.

import { MAGIC_COOKIE } from '#sip/via.ts'

/** Initial Max-Forwards (§8.1.1.6). */
export const MAX_FORWARDS = 70

/** A request in parts. `from`, `to` and `uriText` are complete values; `routes` and `headers` complete lines with CRLF, or ''. */
export class OutgoingRequest {
  readonly method: string
  readonly uriText: string
  readonly from: string
  readonly to: string
  readonly callId: string
  readonly sequence: number
  readonly maxForwards: number
  readonly routes: string
  readonly headers: string
  /** Complete Contact line, or '': made when the flow is known, since it names the local address. */
  readonly contactUser: string | null
  readonly contentType: string
  readonly body: string

  constructor(parts: {
    method: string
    uriText: string
    from: string
    to: string
    callId: string
    sequence: number
    maxForwards?: number
    routes?: string
    headers?: string
    contactUser?: string | null
    contentType?: string
    body?: string
  }) {
    this.method = parts.method
    this.uriText = parts.uriText
    this.from = parts.from
    this.to = parts.to
    this.callId = parts.callId
    this.sequence = parts.sequence
    this.maxForwards = parts.maxForwards ?? MAX_FORWARDS
    this.routes = parts.routes ?? ''
    this.headers = parts.headers ?? ''
    this.contactUser = parts.contactUser ?? null
    this.contentType = parts.contentType ?? ''
    this.body = parts.body ?? ''
  }
}

/** What of a flow goes into a message: how we are reached on it. */
export interface SentBy {
  readonly transport: 'udp' | 'tcp' | 'tls'
  readonly sentBy: string
}

const VIA_TRANSPORT = { udp: 'UDP', tcp: 'TCP', tls: 'TLS' } as const

/** The Contact URI with which a peer on this flow reaches us (§8.1.1.8). */
export function contactUri(user: string, flow: SentBy): string {
  return flow.transport === 'udp'
    ? `sip:${user}@${flow.sentBy}`
    : `sip:${user}@${flow.sentBy};transport=${flow.transport}`
}

/** The Via line of our own (§8.1.1.7; RFC 3581 §3 rport). */
function viaLine(flow: SentBy, branch: string): string {
  return `Via: SIP/2.0/${VIA_TRANSPORT[flow.transport]} ${flow.sentBy};rport;branch=${branch}\r\n`
}

/** The whole request as latin1 text. */
export function writeRequest(request: OutgoingRequest, flow: SentBy, branch: string): string {
  const contact = request.contactUser === null ? '' : `Contact: <${contactUri(request.contactUser, flow)}>\r\n`
  const content =
    request.body === ''
      ? 'Content-Length: 0\r\n\r\n'
      : `Content-Type: ${request.contentType}\r\nContent-Length: ${request.body.length}\r\n\r\n${request.body}`
  return (
    `${request.method} ${request.uriText} SIP/2.0\r\n${viaLine(flow, branch)}Max-Forwards: ${request.maxForwards}\r\n` +
    `${request.routes}From: ${request.from}\r\nTo: ${request.to}\r\nCall-ID: ${request.callId}\r\n` +
    `CSeq: ${request.sequence} ${request.method}\r\n${contact}${request.headers}${content}`
  )
}

/** The ACK for a non-2xx final response (§17.1.1.3): same Via, the response's To. */
export function writeHopAck(request: OutgoingRequest, flow: SentBy, branch: string, to: string): string {
  return (
    `ACK ${request.uriText} SIP/2.0\r\n${viaLine(flow, branch)}Max-Forwards: ${request.maxForwards}\r\n` +
    `${request.routes}From: ${request.from}\r\nTo: ${to}\r\nCall-ID: ${request.callId}\r\n` +
    `CSeq: ${request.sequence} ACK\r\nContent-Length: 0\r\n\r\n`
  )
}

/** The CANCEL for a request (§9.1): same Request-URI, Call-ID, To, From, CSeq number, Route and topmost Via. */
export function writeCancel(request: OutgoingRequest, flow: SentBy, branch: string, headers: string): string {
  return (
    `CANCEL ${request.uriText} SIP/2.0\r\n${viaLine(flow, branch)}Max-Forwards: ${request.maxForwards}\r\n` +
    `${request.routes}From: ${request.from}\r\nTo: ${request.to}\r\nCall-ID: ${request.callId}\r\n` +
    `CSeq: ${request.sequence} CANCEL\r\n${headers}Content-Length: 0\r\n\r\n`
  )
}

/** A branch from a token of ours (§8.1.1.7). */
export function branchFrom(token: string): string {
  return `${MAGIC_COOKIE}${token}`
}
