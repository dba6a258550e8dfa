// Who may use the HTTP interface: the admin token, one-time sign-in codes, browser sessions, and a limit on guessing.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

const SECRET_OCTETS = 32
/** One-time codes stand in a line that a person reads; 128 bits cannot be guessed either. */
const CODE_OCTETS = 16
/** A sign-in link not used by then is worthless. */
export const SIGN_IN_CODE_LIFETIME_MS = 24 * 3_600_000
export const SESSION_LIFETIME_MS = 12 * 3_600_000
/** Bounds of the tables; the oldest entry gives way. */
export const SIGN_IN_CODES_MAX = 64
export const SESSIONS_MAX = 1_000
export const GUESSERS_MAX = 10_000
/** Wrong secrets from one address in a window, after which it is told to wait. */
export const GUESSES_MAX = 20
export const GUESS_WINDOW_MS = 60_000

/** A fresh secret of `octets` random octets (256 bits unless told), in characters that need no quoting anywhere. */
export function freshSecret(octets = SECRET_OCTETS): string {
  return randomBytes(octets).toString('base64url')
}

function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Secrets that expire, kept as digests: what leaks from memory opens nothing, and a look-up's time tells nothing. */
class ExpiringSecrets {
  readonly #lifetimeMs: number
  readonly #countMax: number
  readonly #octets: number
  readonly #expiries = new Map<string, number>()

  constructor(lifetimeMs: number, countMax: number, octets: number) {
    this.#lifetimeMs = lifetimeMs
    this.#countMax = countMax
    this.#octets = octets
  }

  issue(nowMs: number): string {
    const oldest = this.#expiries.keys().next().value
    if (this.#expiries.size >= this.#countMax && oldest !== undefined) this.#expiries.delete(oldest)
    const secret = freshSecret(this.#octets)
    this.#expiries.set(digest(secret).toString('base64'), nowMs + this.#lifetimeMs)
    return secret
  }

  holds(secret: string, nowMs: number): boolean {
    return (this.#expiries.get(digest(secret).toString('base64')) ?? 0) > nowMs
  }

  /** Whether the secret was good; it is not any more. */
  take(secret: string, nowMs: number): boolean {
    const good = this.holds(secret, nowMs)
    this.#expiries.delete(digest(secret).toString('base64'))
    return good
  }
}

/** Times in milliseconds since 1970. */
export class HttpAccess {
  readonly #tokenDigest: Buffer
  readonly #signInCodes = new ExpiringSecrets(SIGN_IN_CODE_LIFETIME_MS, SIGN_IN_CODES_MAX, CODE_OCTETS)
  readonly #sessions = new ExpiringSecrets(SESSION_LIFETIME_MS, SESSIONS_MAX, SECRET_OCTETS)
  readonly #guesses = new Map<string, { count: number; sinceMs: number }>()

  constructor(adminToken: string) {
    this.#tokenDigest = digest(adminToken)
  }

  isAdminToken(token: string): boolean {
    return timingSafeEqual(digest(token), this.#tokenDigest)
  }

  issueSignInCode(nowMs: number): string {
    return this.#signInCodes.issue(nowMs)
  }

  /** A session for a sign-in code that was never used before, or null. */
  redeem(code: string, nowMs: number): string | null {
    return this.#signInCodes.take(code, nowMs) ? this.#sessions.issue(nowMs) : null
  }

  isSession(session: string, nowMs: number): boolean {
    return this.#sessions.holds(session, nowMs)
  }

  endSession(session: string, nowMs: number): void {
    this.#sessions.take(session, nowMs)
  }

  /** Whether this address has shown too many wrong secrets of late. */
  isGuessing(address: string, nowMs: number): boolean {
    const entry = this.#guesses.get(address)
    return entry !== undefined && nowMs - entry.sinceMs < GUESS_WINDOW_MS && entry.count >= GUESSES_MAX
  }

  countGuess(address: string, nowMs: number): void {
    const entry = this.#guesses.get(address)
    if (entry !== undefined && nowMs - entry.sinceMs < GUESS_WINDOW_MS) {
      entry.count += 1
      return
    }
    this.#guesses.delete(address)
    const oldest = this.#guesses.keys().next().value
    if (this.#guesses.size >= GUESSERS_MAX && oldest !== undefined) this.#guesses.delete(oldest)
    this.#guesses.set(address, { count: 1, sinceMs: nowMs })
  }
}
