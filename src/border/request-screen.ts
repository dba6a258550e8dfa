// What a new request must pass before anything is looked up for it: RFC 3261 §8.2.2, §8.2.3, §16.3, RFC 5393 §4.2.

import { decimal } from '#sip/_scan.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Request } from '#sip/message.ts'
import { parseVia } from '#sip/via.ts'

/** How a request is refused. `headers` are complete lines. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly headers: string
}

/** Extensions that a peer may require of us (§8.2.2.3, §20.32). */
const OPTION_TAGS: ReadonlySet<string> = new Set(['100rel', 'timer', 'path', 'outbound'])
/** Hops left for a request that has no Max-Forwards (RFC 2543 elements). */
const MAX_FORWARDS_ABSENT = 70

/** Whether the request must be refused before its sender or target is looked at; null when it may pass. */
export function screenRequest(request: Request): Refusal | null {
  const { scheme } = request.uri
  if (scheme !== 'sip' && scheme !== 'sips' && scheme !== 'tel') {
    return { status: 416, code: 'SIP_URI_SCHEME', headers: '' }
  }
  return screenExtensions(request)
}

/** §8.2.2.3: what we do not support and the peer requires. */
export function screenExtensions(request: Request): Refusal | null {
  if (!request.has(HeaderId.require) && !request.has(HeaderId.proxyRequire)) return null
  const unsupported: string[] = []
  for (const id of [HeaderId.require, HeaderId.proxyRequire] as const) {
    const tags = request.list(id)
    if (tags === null) return { status: 400, code: 'SIP_HEADER_MALFORMED', headers: '' }
    for (const tag of tags) if (!OPTION_TAGS.has(tag.toLowerCase())) unsupported.push(tag)
  }
  if (unsupported.length === 0) return null
  return { status: 420, code: 'SIP_BAD_EXTENSION', headers: `Unsupported: ${unsupported.join(', ')}\r\n` }
}

/** What an INVITE carries must be something that we pass on (§8.2.3), and its answer something the caller takes. */
export function screenInvite(request: Request): Refusal | null {
  if (request.hasBody) {
    const type = request.contentType
    const encoding = request.header(HeaderId.contentEncoding)
    if (encoding !== null && encoding.toLowerCase() !== 'identity') {
      return { status: 415, code: 'SIP_CONTENT_ENCODING', headers: 'Accept-Encoding: identity\r\n' }
    }
    if (type !== 'application/sdp' && !type.startsWith('multipart/')) {
      return { status: 415, code: 'SIP_CONTENT_TYPE', headers: 'Accept: application/sdp\r\n' }
    }
  }
  const accept = request.header(HeaderId.accept)
  if (
    accept !== null &&
    !/(?:application|\*)\/(?:sdp|\*)(?![\w.+-])/i.test(request.headers(HeaderId.accept).join(','))
  ) {
    return { status: 406, code: 'SIP_ACCEPT', headers: 'Accept: application/sdp\r\n' }
  }
  return null
}

/** Max-Forwards for the request that we send on (§16.6 step 3), or null when there is no hop left (§16.3 step 3). */
export function forwardsLeft(request: Request): number | null {
  const value = request.header(HeaderId.maxForwards)
  const left = value === null ? MAX_FORWARDS_ABSENT : decimal(value, 255)
  return left <= 0 ? null : left - 1
}

/**
 * The mark that this request leaves in the branch of what we send on (RFC 5393 §4.2.1): from what decides where it goes,
 * and nothing else, so that a spiral to another user is none. `key` is this process's own: the same request at another
 * switch of ours on its way is no loop, and nobody can write a mark that stops the calls of others.
 */
export function loopMark(request: Request, key: string): string {
  let hash = 0x811c_9dc5
  const text = `${key} ${request.uriText} ${request.from.uri.user}`
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193)
  return `.${(hash >>> 0).toString(36)}`
}

/** Whether a Via of the request carries `mark`: it has been here before with the same target (RFC 5393 §4.2.2). */
export function isLoop(request: Request, mark: string): boolean {
  if (!request.topmostVia.branch.endsWith(mark) && request.headers(HeaderId.via).join().indexOf(mark) < 0) return false
  return (request.list(HeaderId.via) ?? []).some((element) => parseVia(element)?.branch.endsWith(mark) === true)
}
