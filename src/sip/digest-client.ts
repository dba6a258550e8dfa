// The client's side of digest authentication: RFC 3261 §22.2–22.3, RFC 7616 §3.4, RFC 8760 §2.4.

import { type Random, randomToken } from '#core/random.ts'
import { quote } from '#sip/_scan.ts'
import { type Challenge, ha1From, parseChallenge, requestDigest, sessionHa1 } from '#sip/digest.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Response } from '#sip/message.ts'

/** Realms that one client answers at a time: more than one proxy may challenge (RFC 3261 §22.3). */
const REALMS_MAX = 8

/**
 * What became of a challenge. `refused`: our credentials were wrong, and trying again is of no use; `unanswerable`: there is
 * no challenge, or none whose algorithm and qop we have.
 */
export type ChallengeOutcome = 'answerable' | 'refused' | 'unanswerable'

interface Standing {
  readonly challenge: Challenge
  readonly field: 'Authorization' | 'Proxy-Authorization'
  readonly ha1: string
  readonly cnonce: string
  count: number
}

/** One user's credentials towards the servers that ask for them. Nonces are used again, with a nonce-count, until refused. */
export class DigestClient {
  readonly #random: Random
  readonly #user: string
  readonly #password: string
  readonly #realms = new Map<string, Standing>()

  /** `user` and `password` are Unicode. */
  constructor(random: Random, user: string, password: string) {
    this.#random = random
    this.#user = user
    this.#password = password
  }

  /** Takes the challenges of a 401 or 407 (RFC 8760 §2.4: of each realm, the topmost that we support). */
  receive(response: Response): ChallengeOutcome {
    let outcome: ChallengeOutcome = 'unanswerable'
    const isProxy = response.status === 407
    const taken = new Set<string>()
    for (const value of response.headers(isProxy ? HeaderId.proxyAuthenticate : HeaderId.wwwAuthenticate)) {
      const challenge = parseChallenge(value)
      if (challenge === null || challenge.algorithm === null || taken.has(challenge.realm)) continue
      // auth-int would need the body as sent; a server that offers nothing else is not answered.
      if (challenge.qop.length > 0 && !challenge.qop.includes('auth')) continue
      taken.add(challenge.realm)
      const before = this.#realms.get(challenge.realm)
      // RFC 7616 §3.3: without stale=true, what we sent was wrong.
      if (before !== undefined && before.count > 0 && !challenge.stale) {
        this.#realms.delete(challenge.realm)
        return 'refused'
      }
      if (before === undefined && this.#realms.size >= REALMS_MAX) continue
      const cnonce = randomToken(this.#random)
      const ha1 = ha1From(challenge.algorithm, this.#user, latin1ToUnicode(challenge.realm), this.#password)
      this.#realms.set(challenge.realm, {
        challenge,
        field: isProxy ? 'Proxy-Authorization' : 'Authorization',
        ha1: challenge.session ? sessionHa1(challenge.algorithm, ha1, challenge.nonce, cnonce) : ha1,
        cnonce,
        count: 0,
      })
      outcome = 'answerable'
    }
    return outcome
  }

  /** Complete header lines for a request of `method` to `uri`; '' before the first challenge. ACK repeats the INVITE's (§22.1): do not ask anew. */
  headers(method: string, uri: string): string {
    let lines = ''
    for (const standing of this.#realms.values())
      lines += `${standing.field}: ${this.#credentials(standing, method, uri)}\r\n`
    return lines
  }

  #credentials(standing: Standing, method: string, uri: string): string {
    const { challenge, cnonce, ha1 } = standing
    standing.count += 1
    const nc = standing.count.toString(16).padStart(8, '0')
    const qop = challenge.qop.length === 0 ? '' : 'auth'
    const digest = requestDigest(challenge.algorithm ?? 'MD5', ha1, method, uri, challenge.nonce, nc, cnonce, qop)
    let text = `Digest username=${quote(unicodeToLatin1(this.#user))}, realm=${quote(challenge.realm)}, nonce="${challenge.nonce}", uri="${uri}", response="${digest}"`
    if (challenge.algorithmText !== '') text += `, algorithm=${challenge.algorithmText}`
    if (challenge.opaque !== '') text += `, opaque="${challenge.opaque}"`
    if (qop !== '') text += `, qop=auth, nc=${nc}, cnonce="${cnonce}"`
    else if (challenge.session) text += `, cnonce="${cnonce}"`
    return text
  }
}

function unicodeToLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

function latin1ToUnicode(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}
