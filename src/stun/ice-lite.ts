// The lite agent of one component: RFC 8445 §2.5 and §7.3, consent as the lite side sees it (RFC 7675 §5.1).

import { type Clock, Timer } from '#core/clock.ts'
import { type Endpoint, sameEndpoint } from '#core/net.ts'
import { BINDING, hasIntegrity, parseStun, type StunMessage, StunWriter } from '#stun/stun-message.ts'

/** RFC 7675 §5.1: consent expires so long after the last valid check. */
export const CONSENT_MS = 30_000

/**
 * A nomination of lower priority than the present one counts only when no check has come from the present one for so long: checks
 * for consent come every 4 to 6 s (RFC 7675 §5.1).
 */
const NOMINEE_SILENT_MS = 7_000

/** Sums of MESSAGE-INTEGRITY that are computed for one component in a second. A full agent sends one check each 50 ms or less. */
const CHECKS_PER_SECOND_MAX = 200

/** Answers to what has no right credentials, in a second. */
const REFUSALS_PER_SECOND_MAX = 10

/** Credentials of both sides (RFC 8839 §5.4). */
export interface IceCredentials {
  readonly localUfrag: string
  readonly localPassword: string
  readonly remoteUfrag: string
  readonly remotePassword: string
}

/** Who is told. Called during `onStun`, before it returns, or from a timer. */
export interface IceLiteSink {
  /** The controlling side has nominated this address (§7.3.1.5), or another one than before, or consent is there again. */
  onNominated(remote: Endpoint): void
  /** Nothing valid has come from the nominated address for 30 s: nothing may be sent to it until `onNominated`. */
  onConsentLost(): void
}

/** Why the last datagram had no answer, or which error it had. */
export type IceRefusal = '' | 'STUN_MALFORMED' | 'STUN_UNEXPECTED' | 'STUN_AUTH' | 'STUN_RATE' | 'STUN_ROLE'

/** So many in each second. */
class Budget {
  readonly #max: number
  #left: number
  #secondMs: number

  constructor(max: number, nowMs: number) {
    this.#max = max
    this.#left = max
    this.#secondMs = nowMs
  }

  takes(nowMs: number): boolean {
    if (nowMs - this.#secondMs >= 1_000) {
      this.#left = this.#max
      this.#secondMs = nowMs
    }
    if (this.#left === 0) return false
    this.#left -= 1
    return true
  }
}

/** Answers connectivity checks of one component. Make a new one when the credentials change (ICE restart, RFC 8445 §9). */
export class IceLiteAgent {
  /** Where media may go: nominated, with consent. Null before, and after consent has expired. */
  remote: Endpoint | null = null
  /** Of the last call of `onStun`. */
  refusal: IceRefusal = ''
  readonly #clock: Clock
  readonly #credentials: IceCredentials
  readonly #sink: IceLiteSink
  readonly #consent = new Timer(this)
  readonly #writer = new StunWriter()
  readonly #checks: Budget
  readonly #refusals: Budget
  /** The nominated address, with consent or without. */
  #nominee: Endpoint | null = null
  #priority = -1
  #heardMs = 0

  constructor(clock: Clock, credentials: IceCredentials, sink: IceLiteSink) {
    this.#clock = clock
    this.#credentials = credentials
    this.#sink = sink
    this.#checks = new Budget(CHECKS_PER_SECOND_MAX, clock.now())
    this.#refusals = new Budget(REFUSALS_PER_SECOND_MAX, clock.now())
  }

  /** Takes a datagram that begins with 0 to 3 (RFC 7983 §7). The answer, valid until the next call; null for none. */
  onStun(bytes: Uint8Array, source: Endpoint): Uint8Array | null {
    const message = parseStun(bytes)
    if (message === null) return this.#drop('STUN_MALFORMED')
    // We send no requests, so no response is for us; an indication only keeps a NAT open (RFC 8445 §11).
    if (message.stunClass !== 'request' || message.method !== BINDING) return this.#drop('STUN_UNEXPECTED')
    const nowMs = this.#clock.now()
    // RFC 8489 §9.1.3, and RFC 8445 §7.3: the first part of the user name is ours.
    if (message.integrityAt < 0 || message.username === null) return this.#refuse(message, nowMs, 400, 'Bad Request')
    if (!message.username.startsWith(`${this.#credentials.localUfrag}:`)) {
      return this.#refuse(message, nowMs, 401, 'Unauthenticated')
    }
    if (!this.#checks.takes(nowMs)) return this.#drop('STUN_RATE')
    if (!hasIntegrity(bytes, message, this.#credentials.localPassword)) {
      return this.#refuse(message, nowMs, 401, 'Unauthenticated')
    }
    const answer = this.#writer
    if (message.unknown.length > 0) {
      this.refusal = 'STUN_UNEXPECTED'
      answer.begin('error', BINDING, message.transactionId).errorCode(420, 'Unknown Attribute')
      return answer.unknownAttributes(message.unknown).messageIntegrity(this.#credentials.localPassword).end()
    }
    if (message.controlled !== null) {
      // RFC 8445 §7.3.1.1: a lite agent is controlled (§6.1.1) and cannot change.
      this.refusal = 'STUN_ROLE'
      answer.begin('error', BINDING, message.transactionId).errorCode(487, 'Role Conflict')
      return answer.messageIntegrity(this.#credentials.localPassword).end()
    }
    this.refusal = ''
    this.#learn(message, source, nowMs)
    answer.begin('success', BINDING, message.transactionId).xorMappedAddress(source)
    return answer.messageIntegrity(this.#credentials.localPassword).end()
  }

  /** Consent has expired. */
  onTimer(_name: string): void {
    this.remote = null
    this.#sink.onConsentLost()
  }

  /** Disarms its timer. */
  close(): void {
    this.#clock.cancel(this.#consent)
  }

  /** A valid check from there: nomination and consent. */
  #learn(message: StunMessage, source: Endpoint, nowMs: number): void {
    const nominee = this.#nominee
    const isNominee = nominee !== null && sameEndpoint(nominee, source)
    if (!isNominee) {
      if (!message.useCandidate) return
      // §8.1.1: of several nominated pairs the one of the highest priority, as long as it lives. Ours is the same in all.
      const isLower = message.priority < this.#priority
      if (nominee !== null && isLower && this.remote !== null && nowMs - this.#heardMs < NOMINEE_SILENT_MS) return
      this.#nominee = source
    }
    this.#priority = message.priority
    this.#heardMs = nowMs
    this.#clock.arm(this.#consent, 'consent', CONSENT_MS)
    if (isNominee && this.remote !== null) return
    this.remote = source
    this.#sink.onNominated(source)
  }

  #drop(refusal: IceRefusal): null {
    this.refusal = refusal
    return null
  }

  /** An answer without MESSAGE-INTEGRITY (RFC 8489 §9.1.3), no larger than what it answers to by much, and not too many. */
  #refuse(message: StunMessage, nowMs: number, code: number, reason: string): Uint8Array | null {
    this.refusal = 'STUN_AUTH'
    if (!this.#refusals.takes(nowMs)) return null
    return this.#writer.begin('error', BINDING, message.transactionId).errorCode(code, reason).end()
  }
}
