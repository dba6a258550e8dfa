// Back-off against guessing of passwords: who is held back, for how long (RFC 7616 §5.4, §5.8).
//
// What is counted is a wrong answer to a nonce that was given to that very address, so that nobody can fail in another's
// name by forging a source. Three measures work together:
// - a pair (source, user) that fails in a row is held back, doubling;
// - a source that fails for many users has a leaky bucket; full, it holds back what is not a registered flow;
// - a user that many sources fail for is never held back as such (that would lock the owner out): new sources have one guess.

import { assert } from '#core/assert.ts'
import { type Endpoint, endpointText } from '#core/net.ts'

export interface GuessLimits {
  /** Wrong answers in a row after which a pair of source and user is held back. */
  readonly failuresMax: number
  readonly backOffMinS: number
  readonly backOffMaxS: number
}

/** Entries of each of the three tables; the longest untouched makes room. */
const ENTRIES_MAX = 65_536
/** A pair that did nothing for so long begins anew. */
const FORGET_MS = 3_600_000
/** Failures that a bucket holds, in multiples of `failuresMax`; it drains in `backOffMaxS`. */
const SOURCE_BURST = 10
const USER_BURST = 4
/** Characters of a user name that the tables keep. */
const USER_LENGTH_MAX = 64

interface Pair {
  failures: number
  lastMs: number
  heldUntilMs: number
}

interface Bucket {
  level: number
  lastMs: number
}

export class GuessGuard {
  #limits: GuessLimits
  readonly #pairs = new Map<string, Pair>()
  readonly #sources = new Map<string, Bucket>()
  readonly #users = new Map<string, Bucket>()

  constructor(limits: GuessLimits) {
    this.#limits = limits
  }

  replaceLimits(limits: GuessLimits): void {
    this.#limits = limits
  }

  /** Nobody has failed lately: everybody may try. */
  get isIdle(): boolean {
    return this.#pairs.size === 0 && this.#sources.size === 0
  }

  /** Entries in all tables. */
  get size(): number {
    return this.#pairs.size + this.#sources.size + this.#users.size
  }

  /**
   * Milliseconds for which `user` from `source` is held back; 0 when it may try. `isKnown`: the user is registered from
   * that very transport address, which therefore does not suffer for its neighbours.
   */
  heldMs(source: Endpoint, user: string, isKnown: boolean, nowMs: number): number {
    const pair = this.#pairs.get(pairKey(source, user, isKnown))
    if (pair !== undefined && pair.heldUntilMs > nowMs) return pair.heldUntilMs - nowMs
    if (isKnown) return 0
    const bucket = this.#sources.get(sourceKey(source))
    if (bucket === undefined) return 0
    const capacity = this.#limits.failuresMax * SOURCE_BURST
    const excess = this.#level(bucket, capacity, nowMs) - capacity + 1
    return excess <= 0 ? 0 : (excess * this.#limits.backOffMaxS * 1000) / capacity
  }

  /** Takes a wrong answer; gives the milliseconds for which the pair is held back from now, 0 for none. */
  onFailure(source: Endpoint, user: string, isKnown: boolean, nowMs: number): number {
    const { failuresMax, backOffMinS, backOffMaxS } = this.#limits
    this.#fill(this.#sources, sourceKey(source), failuresMax * SOURCE_BURST, nowMs)
    const userLevel = this.#fill(this.#users, user.slice(0, USER_LENGTH_MAX), failuresMax * USER_BURST, nowMs)
    const key = pairKey(source, user, isKnown)
    let pair = this.#pairs.get(key)
    if (pair === undefined || nowMs - Math.max(pair.lastMs, pair.heldUntilMs) > FORGET_MS) {
      pair = { failures: 0, lastMs: nowMs, heldUntilMs: 0 }
    }
    pair.failures += 1
    pair.lastMs = nowMs
    touch(this.#pairs, key, pair)
    const allowed = userLevel >= failuresMax * USER_BURST ? 1 : failuresMax
    if (pair.failures < allowed) return 0
    const doublings = Math.min(pair.failures - allowed, 30)
    const heldMs = Math.min(backOffMinS * 2 ** doublings, Math.max(backOffMinS, backOffMaxS)) * 1000
    pair.heldUntilMs = nowMs + heldMs
    return heldMs
  }

  /** A right answer: the pair begins anew. The source does not: one good account must not pay for guesses at others. */
  onSuccess(source: Endpoint, user: string, isKnown: boolean): void {
    this.#pairs.delete(pairKey(source, user, isKnown))
  }

  #level(bucket: Bucket, capacity: number, nowMs: number): number {
    const drained = ((nowMs - bucket.lastMs) * capacity) / (this.#limits.backOffMaxS * 1000)
    return Math.max(0, bucket.level - drained)
  }

  #fill(table: Map<string, Bucket>, key: string, capacity: number, nowMs: number): number {
    const bucket = table.get(key) ?? { level: 0, lastMs: nowMs }
    bucket.level = Math.min(capacity, this.#level(bucket, capacity, nowMs) + 1)
    bucket.lastMs = nowMs
    touch(table, key, bucket)
    return bucket.level
  }
}

/** What stands for one party at the other end: an IPv4 address, or the /64 that one IPv6 customer has. */
export function sourceKey(source: Endpoint): string {
  return source.family === 4 || source.host.includes('.') ? source.host : network64(source.host)
}

function network64(host: string): string {
  const [head = '', tail] = host.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':')
    while (groups.length + after.length < 8) groups.push('0')
    groups.push(...after)
  }
  return `${groups.slice(0, 4).join(':')}::/64`
}

function pairKey(source: Endpoint, user: string, isKnown: boolean): string {
  return `${isKnown ? endpointText(source) : sourceKey(source)} ${user.slice(0, USER_LENGTH_MAX)}`
}

/** Puts an entry at the young end of a table and drops the oldest when it is full. */
function touch<T>(table: Map<string, T>, key: string, entry: T): void {
  table.delete(key)
  table.set(key, entry)
  if (table.size <= ENTRIES_MAX) return
  const oldest = table.keys().next()
  assert(oldest.done !== true, 'a full table has an oldest entry')
  table.delete(oldest.value)
}
