// Answers to requests that cannot be given to a transaction: stateless, rate-limited (RFC 3261 §8.2.6, §8.2.7, §18.2.1).

import type { Clock } from '#core/clock.ts'
import type { Endpoint } from '#core/net.ts'
import { type Random, randomToken } from '#core/random.ts'
import { HeaderId } from '#sip/header-id.ts'
import { sourceKey } from '#sip/ip-address.ts'
import type { ParseProblem, Request } from '#sip/message.ts'
import { parseNameAddr } from '#sip/name-addr.ts'
import { hostText } from '#sip/uri.ts'
import type { Via } from '#sip/via.ts'

/** Refusals to one source address in a second: a device that is broken hears why; a reflector gains nothing. */
export const REFUSALS_PER_SOURCE_MAX = 5
/** Refusals to all sources together in a second. */
export const REFUSALS_MAX = 500
const WINDOW_MS = 1_000

/** Counts refusals for each source over windows of one second. Holds at most {@link REFUSALS_MAX} sources. */
export class RefusalLimiter {
  readonly #clock: Clock
  readonly #sources = new Map<string, number>()
  #windowEndMs = 0
  #total = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether `source` may be answered now; counts it when it may. */
  admit(source: Endpoint): boolean {
    const now = this.#clock.now()
    if (now >= this.#windowEndMs) {
      this.#windowEndMs = now + WINDOW_MS
      this.#total = 0
      this.#sources.clear()
    }
    if (this.#total >= REFUSALS_MAX) return false
    const key = sourceKey(source)
    const count = this.#sources.get(key) ?? 0
    if (count >= REFUSALS_PER_SOURCE_MAX) return false
    this.#sources.set(key, count + 1)
    this.#total += 1
    return true
  }
}

/** The Via element with `received` and the value of `rport` as §18.2.1 and RFC 3581 §4 have the server write them. */
export function viaWithSource(via: Via, source: Endpoint): string {
  const hasRport = via.param('rport') !== null
  if (!hasRport && via.host === source.host) return via.text
  // What the client wrote in these two is not true and is replaced.
  const kept = via.text.replace(/;[ \t]*(?:received|rport)[ \t]*(?:=[^;]*)?(?=;|$)/gi, '')
  const rport = hasRport ? `;rport=${source.port}` : ''
  return `${kept};received=${hostText(source.host)}${rport}`
}

/**
 * The response that refuses `problem.request`, or '' when it must not or cannot be answered: an ACK, a request whose
 * topmost Via is unusable. Header fields that were not read, or that no message may hold, are left out.
 */
export function refusalText(problem: ParseProblem, source: Endpoint, random: Random): string {
  const request = problem.request
  if (request === null || problem.status < 300 || request.method === 'ACK') return ''
  const topmost = request.parseTopmostVia()
  if (topmost === null) return ''
  let text = `SIP/2.0 ${problem.status} ${problem.reason}\r\n${line('Via', viaWithSource(topmost, source))}`
  for (const element of (request.list(HeaderId.via) ?? []).slice(1)) text += line('Via', element)
  text += line('From', request.header(HeaderId.from)) + line('To', taggedTo(request, random))
  text += line('Call-ID', request.header(HeaderId.callId)) + line('CSeq', request.header(HeaderId.cseq))
  return `${text}Content-Length: 0\r\n\r\n`
}

/** A header line, or nothing when there is no value or it has control characters. */
function line(name: string, value: string | null): string {
  return value !== null && /^[\t\x20-\x7e\x80-\xff]*$/.test(value) ? `${name}: ${value}\r\n` : ''
}

/** To with a tag (§8.2.6.2); as it is when it cannot be read. */
function taggedTo(request: Request, random: Random): string | null {
  const to = request.header(HeaderId.to)
  if (to === null) return null
  const address = parseNameAddr(to)
  return address === null || address.tag !== null ? to : `${to};tag=${randomToken(random)}`
}
