// Digest authentication of requests: RFC 3261 §22, RFC 7616, RFC 8760. Says who sent a request, or what to answer.
// Hot path: every REGISTER and every call of a subscriber passes here. ACK and CANCEL must not be brought (§22.1).

import { AlgorithmOffers, type Offer } from '#access/algorithm-offers.ts'
import { GuessGuard, sourceKey } from '#access/guess-guard.ts'
import { Nonces } from '#access/nonces.ts'
import type { Counter } from '#core/counters.ts'
import type { Endpoint } from '#core/net.ts'
import { endpointText } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import {
  type Credentials,
  type DigestAlgorithm,
  isDigest,
  parseCredentials,
  verifyCredentials,
  writeChallenge,
} from '#sip/digest.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Request } from '#sip/message.ts'
import { parseUri, type Uri, unescapeUri } from '#sip/uri.ts'

/** Who sent a request, or how to refuse it: the status, its reason phrase, a stable code for log and CDR, and header lines. */
export type AuthOutcome =
  | { readonly ok: true; readonly user: string }
  | {
      readonly ok: false
      readonly status: 400 | 401 | 403 | 407
      readonly reason: string
      readonly code: AuthCode
      /** Complete header lines, each with CRLF, or ''. */
      readonly headers: string
    }

export type AuthCode =
  | 'AUTH_REQUIRED'
  | 'AUTH_FAILED'
  | 'AUTH_STALE_NONCE'
  | 'AUTH_REPLAYED'
  | 'AUTH_MALFORMED'
  | 'AUTH_QOP'
  | 'AUTH_URI'
  | 'AUTH_HELD_BACK'

/** H(A1) of a user under each algorithm, in lower-case hexadecimal digits; '' for one that is not stored. */
export interface StoredCredentials {
  readonly ha1Md5: string
  readonly ha1Sha256: string
}

/** Where users are looked up, by Unicode name. */
export interface CredentialStore {
  find(user: string): StoredCredentials | null
}

export interface AuthenticatorSettings {
  /** The domain (RFC 3261 §22.1). */
  readonly realm: string
  /** Offered in this order (RFC 8760 §2.3). */
  readonly algorithms: readonly ('SHA-256' | 'MD5')[]
  readonly nonceLifetimeS: number
  /** Wrong answers in a row after which one is held back, and for how long. */
  readonly failuresMax: number
  readonly backOffMinS: number
  readonly backOffMaxS: number
}

/** Whether `user` is registered from exactly this transport address. */
export type FlowRecognition = (user: string, source: Endpoint) => boolean

/** Lines of log about wrong answers in one second; the counters have them all. */
const FAILURE_LOGS_PER_SECOND_MAX = 10
const NONCE_COUNT = /^[0-9a-fA-F]{8}$/

export class Authenticator {
  readonly #ports: Ports
  readonly #credentials: CredentialStore
  #settings: AuthenticatorSettings
  readonly #nonces: Nonces
  readonly #guard: GuessGuard
  readonly #offers = new AlgorithmOffers()
  readonly #opaque: string
  /** Stands in for the secret of a user who does not exist, so that both take the same time. */
  readonly #dummy: StoredCredentials
  #isKnown: FlowRecognition = () => false
  #logSecond = 0
  #logLines = 0
  readonly #succeeded: Counter
  readonly #challenged: Counter
  readonly #failed: Counter
  readonly #stale: Counter
  readonly #replayed: Counter
  readonly #malformed: Counter
  readonly #heldBack: Counter

  constructor(ports: Ports, credentials: CredentialStore, settings: AuthenticatorSettings) {
    this.#ports = ports
    this.#credentials = credentials
    this.#settings = settings
    this.#nonces = new Nonces(ports.random)
    this.#guard = new GuessGuard(settings)
    this.#opaque = hexToken(ports, 8)
    this.#dummy = { ha1Md5: hexToken(ports, 16), ha1Sha256: hexToken(ports, 32) }
    const counter = (outcome: string): Counter =>
      ports.counters.counter(`carillon_auth_total{outcome="${outcome}"}`, 'Requests brought to authentication.')
    this.#succeeded = counter('succeeded')
    this.#challenged = counter('challenged')
    this.#failed = counter('failed')
    this.#stale = counter('stale')
    this.#replayed = counter('replayed')
    this.#malformed = counter('malformed')
    this.#heldBack = counter('heldBack')
    const help = 'Users and sources that failed lately.'
    ports.counters.gauge('carillon_auth_back_off_entries', help, () => this.#guard.size)
    ports.counters.gauge(
      'carillon_auth_open_challenges',
      'Challenges not yet answered, and clients that need MD5.',
      () => this.#offers.size,
    )
  }

  /** New settings take effect at once; nonces given out before stay good for as long as the new lifetime says. */
  replaceSettings(settings: AuthenticatorSettings): void {
    this.#settings = settings
    this.#guard.replaceLimits(settings)
  }

  /** Sets who knows which users are registered from where: such a flow is not held back for what others do. */
  recogniseFlows(isKnown: FlowRecognition): void {
    this.#isKnown = isKnown
  }

  /** `www` for a server that acts on the request itself (401), `proxy` for calls that pass on (407). `source` is where it came from. */
  authenticate(request: Request, source: Endpoint, kind: 'www' | 'proxy'): AuthOutcome {
    const nowMs = this.#ports.clock.now()
    const credentials = this.#select(request, kind)
    if (credentials === 'malformed') return this.#refuse('AUTH_MALFORMED', 'Malformed credentials')
    if (credentials === null) {
      const claimed = claimedUser(request, kind)
      if (this.#isHeld(claimed, source, nowMs)) return this.#holdBack()
      this.#challenged.value += 1
      const offer = this.#offers.onRequest(request, source, claimed, nowMs)
      return this.#challenge('AUTH_REQUIRED', false, claimed, source, kind, offer)
    }
    if (credentials.qop !== '' && credentials.qop !== 'auth') {
      return this.#refuse('AUTH_QOP', 'Quality of protection was not offered')
    }
    if (credentials.qop !== '' && (credentials.cnonce === '' || !NONCE_COUNT.test(credentials.nc))) {
      return this.#refuse('AUTH_MALFORMED', 'Credentials lack nc or cnonce')
    }
    if (credentials.uri !== request.uriText && !isSameResource(credentials.uri, request.uri)) {
      return this.#refuse('AUTH_URI', 'Digest uri does not match the Request-URI')
    }
    return this.#judge(request, source, kind, credentials, nowMs)
  }

  #judge(
    request: Request,
    source: Endpoint,
    kind: 'www' | 'proxy',
    credentials: Credentials,
    nowMs: number,
  ): AuthOutcome {
    const user = unicode(credentials.username)
    const isMd5 = credentials.algorithm === 'MD5'
    const again = (code: AuthCode, stale: boolean): AuthOutcome =>
      this.#challenge(code, stale, user, source, kind, this.#offers.onCredentials(request, source, user, isMd5, nowMs))
    if (this.#isHeld(user, source, nowMs)) return this.#holdBack()
    const state = this.#nonces.state(
      credentials.nonce,
      sourceKey(source),
      this.#ports.clock.wallMs(),
      this.#settings.nonceLifetimeS,
    )
    if (state === 'foreign') {
      // RFC 7616 §3.3: the nonce is invalid; whether the password is right is not looked at, so this tells a guesser nothing.
      this.#stale.value += 1
      return again('AUTH_STALE_NONCE', true)
    }
    const stored = this.#credentials.find(user)
    const own = stored ?? this.#dummy
    const ha1 = isMd5 ? own.ha1Md5 : own.ha1Sha256
    // A user without a secret under this algorithm is as one who does not exist.
    const isRight = verifyCredentials(credentials, ha1 === '' ? this.#dummy.ha1Sha256 : ha1, request.method)
    if (!isRight || stored === null || ha1 === '') {
      this.#onFailure(source, user, stored !== null, nowMs)
      return again('AUTH_FAILED', false)
    }
    if (!this.#guard.isIdle) this.#guard.onSuccess(source, user, this.#isKnown(user, source))
    if (state === 'expired') {
      this.#stale.value += 1
      return again('AUTH_STALE_NONCE', true)
    }
    // A client without qop has no nonce-count: each nonce serves it once.
    const count = credentials.qop === '' ? 1 : Number.parseInt(credentials.nc, 16)
    if (count === 0 || !this.#nonces.use(credentials.nonce, count)) {
      this.#replayed.value += 1
      return again('AUTH_REPLAYED', true)
    }
    this.#succeeded.value += 1
    this.#offers.onAnswer(source, user, isMd5, nowMs)
    return { ok: true, user }
  }

  #isHeld(user: string, source: Endpoint, nowMs: number): boolean {
    if (this.#guard.isIdle) return false
    return this.#guard.heldMs(source, user, this.#isKnown(user, source), nowMs) > 0
  }

  /** The credentials for our realm under an algorithm that we offer (RFC 3261 §22.1); others are none. */
  #select(request: Request, kind: 'www' | 'proxy'): Credentials | 'malformed' | null {
    const id = kind === 'www' ? HeaderId.authorization : HeaderId.proxyAuthorization
    if (!request.has(id)) return null
    let malformed = false
    for (const value of request.headers(id)) {
      const credentials = parseCredentials(value)
      if (credentials === null) {
        malformed ||= isDigest(value)
      } else if (
        credentials.realm === this.#settings.realm &&
        !credentials.session &&
        !credentials.userhash &&
        isOffered(this.#settings.algorithms, credentials.algorithm)
      ) {
        return credentials
      }
    }
    return malformed ? 'malformed' : null
  }

  #challenge(
    code: AuthCode,
    stale: boolean,
    user: string,
    source: Endpoint,
    kind: 'www' | 'proxy',
    offer: Offer,
  ): AuthOutcome {
    const { realm, algorithms } = this.#settings
    const nonce = this.#nonces.issue(sourceKey(source), this.#ports.clock.wallMs())
    const stored = this.#credentials.find(user)
    let headers = ''
    for (const algorithm of offer === 'all' ? algorithms : reordered(algorithms, offer)) {
      // A user who has a secret under one algorithm only could not answer to the other, and would prefer it.
      if (stored !== null && (algorithm === 'MD5' ? stored.ha1Md5 : stored.ha1Sha256) === '') continue
      const challenge = writeChallenge(realm, nonce, this.#opaque, algorithm, stale)
      headers += `${kind === 'www' ? 'WWW-Authenticate' : 'Proxy-Authenticate'}: ${challenge}\r\n`
    }
    return kind === 'www'
      ? { ok: false, status: 401, reason: 'Unauthorized', code, headers }
      : { ok: false, status: 407, reason: 'Proxy Authentication Required', code, headers }
  }

  #refuse(code: AuthCode, reason: string): AuthOutcome {
    this.#malformed.value += 1
    return { ok: false, status: 400, reason, code, headers: '' }
  }

  #holdBack(): AuthOutcome {
    this.#heldBack.value += 1
    return { ok: false, status: 403, reason: 'Too Many Failed Attempts', code: 'AUTH_HELD_BACK', headers: '' }
  }

  #onFailure(source: Endpoint, user: string, exists: boolean, nowMs: number): void {
    this.#failed.value += 1
    const heldMs = this.#guard.onFailure(source, user, this.#isKnown(user, source), nowMs)
    const second = Math.floor(nowMs / 1000)
    if (second !== this.#logSecond) {
      this.#logSecond = second
      this.#logLines = 0
    }
    this.#logLines += 1
    if (this.#logLines > FAILURE_LOGS_PER_SECOND_MAX) return
    // RFC 7616 §3.4: people type passwords into the name field; only names that exist are written down.
    const fields = { user: exists ? user : null, source: endpointText(source) }
    if (heldMs === 0) this.#ports.log.event('info', 'AUTH_FAILED', fields)
    else this.#ports.log.event('warn', 'AUTH_HELD_BACK', { ...fields, heldMs })
  }
}

function isOffered(offered: readonly string[], algorithm: DigestAlgorithm | null): boolean {
  return algorithm !== null && offered.includes(algorithm)
}

/** The algorithms for a client that needs MD5; the configured ones when MD5 is not allowed. */
function reordered(
  algorithms: AuthenticatorSettings['algorithms'],
  offer: 'md5First' | 'md5Only',
): AuthenticatorSettings['algorithms'] {
  if (algorithms.length === 1 || !algorithms.includes('MD5')) return algorithms
  return offer === 'md5First' ? MD5_FIRST : MD5_ONLY
}

const MD5_FIRST = ['MD5', 'SHA-256'] as const
const MD5_ONLY = ['MD5'] as const

/** The user part that the request names as its sender: of To in a REGISTER, of From otherwise. Nothing is believed of it. */
function claimedUser(request: Request, kind: 'www' | 'proxy'): string {
  const uri = kind === 'www' && request.method === 'REGISTER' ? request.to.uri : request.from.uri
  return unicode(unescapeUri(uri.user))
}

/** Octets in latin1 carriage as the UTF-8 that they are. */
function unicode(text: string): string {
  return /[^\x00-\x7f]/.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text
}

/**
 * Whether a digest-uri names what the Request-URI names (RFC 7616 §3.4.6): user and host. Ports and parameters are left out
 * of account, because phones differ in whether they write them in both places.
 */
function isSameResource(digestUri: string, requestUri: Uri): boolean {
  const uri = parseUri(digestUri)
  if (uri === null) return false
  if (!uri.isSip || !requestUri.isSip) return uri.text === requestUri.text
  return uri.host === requestUri.host && unescapeUri(uri.user) === unescapeUri(requestUri.user)
}

function hexToken(ports: Ports, octets: number): string {
  const bytes = new Uint8Array(octets)
  ports.random.bytes(bytes)
  return Buffer.from(bytes).toString('hex')
}
