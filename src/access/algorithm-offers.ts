// Which digest algorithms a client is offered: all of them, unless it is one that a challenge with SHA-256 stops.
//
// RFC 3261 §22.2 has a client pass over challenges that it does not support, and RFC 8760 §2.4 take the topmost that it does.
// Many in the field look at the first field only, and some give up when any one has an algorithm that they do not know.
// Offering such a client MD5 alone takes nothing from its security: MD5 is among the offers in any case, and whoever can
// change messages on the way can strike out the others.

import { sourceKey } from '#access/guess-guard.ts'
import { assert } from '#core/assert.ts'
import type { Endpoint } from '#core/net.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Request } from '#sip/message.ts'

/** `md5First`: both, but MD5 on top. */
export type Offer = 'all' | 'md5First' | 'md5Only'

/** Clients whose challenge is open, and those that were found to need MD5; the longest unheard of make room. */
const CLIENTS_MAX = 65_536
/** A client that asks again without credentials after so long did not take the challenge for one that it can answer. */
const UNANSWERED_MS = 1_500
/** After so long a client may have learned. */
const FORGET_MS = 7 * 86_400_000
const USER_LENGTH_MAX = 64

interface Client {
  /** When the open challenge, or the last word, was. */
  atMs: number
  needsMd5: boolean
}

export class AlgorithmOffers {
  readonly #clients = new Map<string, Client>()

  /** Clients in memory. */
  get size(): number {
    return this.#clients.size
  }

  /** The offer for a request without credentials, whose sender is said to be `user`. */
  onRequest(request: Request, source: Endpoint, user: string, nowMs: number): Offer {
    const known = knownOffer(request)
    if (known !== 'all') return known
    const key = keyOf(source, user)
    let client = this.#clients.get(key)
    if (client === undefined || nowMs - client.atMs > FORGET_MS) client = { atMs: nowMs, needsMd5: false }
    else if (nowMs - client.atMs >= UNANSWERED_MS) {
      client.needsMd5 = true
      client.atMs = nowMs
    }
    this.#keep(key, client)
    return client.needsMd5 ? 'md5Only' : 'all'
  }

  /** The offer for a request with credentials that are not good enough; they show what the client can. */
  onCredentials(request: Request, source: Endpoint, user: string, isMd5: boolean, nowMs: number): Offer {
    const known = knownOffer(request)
    if (known !== 'all') return known
    return this.onAnswer(source, user, isMd5, nowMs) ? 'md5Only' : 'all'
  }

  /** A client answered its challenge. Whether it is one that needs MD5. */
  onAnswer(source: Endpoint, user: string, isMd5: boolean, nowMs: number): boolean {
    if (this.#clients.size === 0) return false
    const key = keyOf(source, user)
    const client = this.#clients.get(key)
    if (client === undefined) return false
    if (isMd5 && client.needsMd5) {
      client.atMs = nowMs
      return true
    }
    this.#clients.delete(key)
    return false
  }

  #keep(key: string, client: Client): void {
    this.#clients.delete(key)
    this.#clients.set(key, client)
    if (this.#clients.size <= CLIENTS_MAX) return
    const oldest = this.#clients.keys().next()
    assert(oldest.done !== true, 'a full table has an oldest entry')
    this.#clients.delete(oldest.value)
  }
}

function keyOf(source: Endpoint, user: string): string {
  return `${sourceKey(source)} ${user.slice(0, USER_LENGTH_MAX)}`
}

/** What is known of a client before it has failed once. */
function knownOffer(request: Request): Offer {
  // SIPp before 3.7 ends when the first challenge is not MD5. Its branches have one form: process, call, message.
  const { branch } = request.topmostVia
  if (branch.startsWith('z9hG4bK-') && SIPP_BRANCH.test(branch)) return 'md5First'
  // baresip before 3.12 refuses the whole response when any challenge in it is not MD5.
  const userAgent = request.header(HeaderId.userAgent)
  if (userAgent === null || !userAgent.startsWith('baresip v')) return 'all'
  const version = BARESIP_VERSION.exec(userAgent)
  if (version === null) return 'all'
  const major = Number(version[1])
  return major < 3 || (major === 3 && Number(version[2]) < 12) ? 'md5Only' : 'all'
}

const SIPP_BRANCH = /^z9hG4bK-[0-9]{1,10}-[0-9]{1,10}-[0-9]{1,5}$/
const BARESIP_VERSION = /^baresip v([0-9]{1,4})\.([0-9]{1,4})/
