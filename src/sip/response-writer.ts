// Responses that we send: RFC 3261 §8.2.6, §18.2.1, RFC 3581 §4. Hot path: what all responses of a request share is written once.

import type { Endpoint } from '#core/net.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Request } from '#sip/message.ts'
import { hostText } from '#sip/uri.ts'

/** Writes the responses to one request. Keeps no reference to the request. */
export class ResponseWriter {
  /** Via lines with received and rport, From, Call-ID and CSeq lines. */
  readonly #head: string
  readonly #to: string
  readonly #toHasTag: boolean
  readonly #recordRoute: string
  readonly #timestamp: string

  /** `source` is where the request came from. */
  constructor(request: Request, source: Endpoint) {
    let head = viaLines(request, source)
    let recordRoute = ''
    let timestamp = ''
    for (let i = 0; i < request.headerCount; i += 1) {
      const id = request.headerIdOf(i)
      // §10.3: a response to REGISTER has no Record-Route.
      if (id === HeaderId.recordRoute && request.method !== 'REGISTER') {
        recordRoute += `Record-Route: ${request.headerValueOf(i)}\r\n`
      } else if (id === HeaderId.timestamp) timestamp = `Timestamp: ${request.headerValueOf(i)}\r\n`
    }
    head += `From: ${request.header(HeaderId.from) ?? ''}\r\nCall-ID: ${request.callId}\r\n`
    head += `CSeq: ${request.header(HeaderId.cseq) ?? ''}\r\n`
    this.#head = head
    this.#to = request.header(HeaderId.to) ?? ''
    this.#toHasTag = request.to.tag !== null
    this.#recordRoute = recordRoute
    this.#timestamp = timestamp
  }

  /**
   * The whole response as latin1 text. `toTag` is added unless the request had one or the status is 100 (§8.2.6.2);
   * `headers` are complete lines; a body needs its Content-Type among them.
   */
  write(status: number, reason: string, toTag: string, headers: string, body: string): string {
    const to = this.#toHasTag || status === 100 ? this.#to : `${this.#to};tag=${toTag}`
    const routes = status > 100 && status < 300 ? this.#recordRoute : ''
    const timestamp = status === 100 ? this.#timestamp : ''
    return (
      `SIP/2.0 ${status} ${reason}\r\n${this.#head}To: ${to}\r\n${routes}${timestamp}${headers}` +
      `Content-Length: ${body.length}\r\n\r\n${body}`
    )
  }
}

/** The request's Via lines, the topmost with received (§18.2.1) and a filled rport (RFC 3581 §4). */
function viaLines(request: Request, source: Endpoint): string {
  const top = request.topmostVia
  let lines = ''
  let first = true
  for (let i = 0; i < request.headerCount; i += 1) {
    if (request.headerIdOf(i) !== HeaderId.via) continue
    const value = request.headerValueOf(i)
    if (!first) {
      lines += `Via: ${value}\r\n`
      continue
    }
    first = false
    const rport = top.param('rport')
    let element = top.text
    if (rport !== null) element = element.replace(/;[ \t]*rport([ \t]*=[^;]*)?/i, `;rport=${source.port}`)
    // A received that the sender wrote itself would redirect our answer: it is replaced.
    if (top.param('received') !== null) element = element.replace(/;[ \t]*received[ \t]*=[^;]*/gi, '')
    if (rport !== null || top.host !== source.host) element += `;received=${hostText(source.host)}`
    lines = `Via: ${element}${value.slice(top.text.length)}\r\n`
  }
  return lines
}

const REASONS: Readonly<Record<number, string>> = {
  100: 'Trying',
  180: 'Ringing',
  181: 'Call Is Being Forwarded',
  182: 'Queued',
  183: 'Session Progress',
  199: 'Early Dialog Terminated',
  200: 'OK',
  202: 'Accepted',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Moved Temporarily',
  305: 'Use Proxy',
  380: 'Alternative Service',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  410: 'Gone',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  421: 'Extension Required',
  422: 'Session Interval Too Small',
  423: 'Interval Too Brief',
  433: 'Anonymity Disallowed',
  439: 'First Hop Lacks Outbound Support',
  440: 'Max-Breadth Exceeded',
  469: 'Bad Info Package',
  480: 'Temporarily Unavailable',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  484: 'Address Incomplete',
  485: 'Ambiguous',
  486: 'Busy Here',
  487: 'Request Terminated',
  488: 'Not Acceptable Here',
  489: 'Bad Event',
  491: 'Request Pending',
  493: 'Undecipherable',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Server Time-out',
  505: 'Version Not Supported',
  513: 'Message Too Large',
  600: 'Busy Everywhere',
  603: 'Decline',
  604: 'Does Not Exist Anywhere',
  606: 'Not Acceptable',
  607: 'Unwanted',
  608: 'Rejected',
}

/** The usual reason phrase of a status code (§21 and the registry). */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? 'Unknown'
}
