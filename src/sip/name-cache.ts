// DNS answers kept as long as their TTL says, within bounds; queries for the same name are one (RFC 1035, RFC 2308, RFC 8767).

import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import type { DnsRecord, DnsSink, DnsType } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'

/** Answers kept; the one not asked for the longest goes first. */
export const NAME_CACHE_MAX = 20_000
/** Queries on the way; above it a look-up fails with EBUSY. */
export const NAME_QUERIES_MAX = 2_000
/** Records taken of one answer; what is beyond is left out. */
export const RECORDS_MAX = 32

const TTL_MIN_MS = 5_000
const TTL_MAX_MS = 3_600_000
/** How long "no such name or type" is believed (RFC 2308 §5: the SOA's minimum, which the port does not tell). */
const NEGATIVE_TTL_MS = 30_000
/** How long a failure is not asked again. */
const FAILURE_TTL_MS = 5_000
/** An answer that ran out is used for so long when it cannot be had anew (RFC 8767). */
const STALE_MAX_MS = 86_400_000

/** What is known of one name and type. */
export class Answer {
  readonly records: readonly DnsRecord[]
  /** The resolver's word when the query failed, else null. An empty answer without failure: there is none. */
  readonly failure: string | null
  readonly expiresMs: number
  /** When the records were fresh last. */
  readonly freshMs: number

  constructor(records: readonly DnsRecord[], failure: string | null, expiresMs: number, freshMs: number) {
    this.records = records
    this.failure = failure
    this.expiresMs = expiresMs
    this.freshMs = freshMs
  }
}

/** Who waits for an answer. Told once for each `lookUp` that gave null. */
export interface AnswerSink {
  onAnswer(key: string, answer: Answer): void
}

/** The key under which the answer to a question is known. */
export function questionKey(name: string, type: DnsType): string {
  return `${type} ${name}`
}

/** One query on the way. */
class Query implements DnsSink, TimerOwner {
  readonly key: string
  readonly timer = new Timer(this)
  readonly waiting: AnswerSink[] = []
  readonly #cache: NameCache

  constructor(cache: NameCache, key: string) {
    this.#cache = cache
    this.key = key
  }

  onResolved(_name: string, type: DnsType, records: readonly DnsRecord[], failure: string | null): void {
    this.#cache.onAnswered(
      this,
      records.filter((record) => record.type === type),
      failure,
    )
  }

  onTimer(_name: string): void {
    this.#cache.onAnswered(this, [], 'ETIMEOUT')
  }
}

export class NameCache {
  readonly #ports: Ports
  readonly #clock: Clock
  readonly #queryMs: number
  readonly #answers = new Map<string, Answer>()
  readonly #queries = new Map<string, Query>()
  readonly #hits: Counter
  readonly #misses: Counter
  readonly #failures: Counter
  readonly #stale: Counter

  /** @param queryMs how long an answer is waited for */
  constructor(ports: Ports, queryMs: number) {
    this.#ports = ports
    this.#clock = ports.clock
    this.#queryMs = queryMs
    const { counters } = ports
    this.#hits = counters.counter('carillon_dns_hits_total', 'Look-ups answered from the cache.')
    this.#misses = counters.counter('carillon_dns_queries_total', 'DNS queries made.')
    this.#failures = counters.counter('carillon_dns_failures_total', 'DNS queries that failed or timed out.')
    this.#stale = counters.counter('carillon_dns_stale_total', 'Answers used after their time because DNS failed.')
    counters.gauge('carillon_dns_cached', 'DNS answers kept.', () => this.#answers.size)
  }

  get size(): number {
    return this.#answers.size
  }

  get pending(): number {
    return this.#queries.size
  }

  /** The answer when it is known (or cannot be asked for); else null, and `sink` is told later. */
  lookUp(name: string, type: DnsType, sink: AnswerSink): Answer | null {
    const key = questionKey(name, type)
    const known = this.#answers.get(key)
    if (known !== undefined && this.#clock.now() < known.expiresMs) {
      this.#hits.add()
      // The most recent stand last.
      this.#answers.delete(key)
      this.#answers.set(key, known)
      return known
    }
    let query = this.#queries.get(key)
    if (query === undefined) {
      if (this.#queries.size >= NAME_QUERIES_MAX) return new Answer([], 'EBUSY', 0, 0)
      query = new Query(this, key)
      this.#queries.set(key, query)
      this.#misses.add()
      this.#clock.arm(query.timer, 'query', this.#queryMs)
      query.waiting.push(sink)
      this.#ports.net.resolve(name, type, query)
      return null
    }
    query.waiting.push(sink)
    return null
  }

  /** `sink` does not wait any more. */
  forget(sink: AnswerSink): void {
    for (const query of this.#queries.values()) {
      // One that asks for many names may wait for the same answer twice.
      for (let at = query.waiting.length - 1; at >= 0; at -= 1)
        if (query.waiting[at] === sink) query.waiting.splice(at, 1)
    }
  }

  /** For the queries only. An answer that comes after its time-out is kept, though nobody waits for it. */
  onAnswered(query: Query, records: readonly DnsRecord[], failure: string | null): void {
    const { key } = query
    if (this.#queries.get(key) === query) this.#queries.delete(key)
    this.#clock.cancel(query.timer)
    const answer = this.#answerOf(key, records.slice(0, RECORDS_MAX), failure)
    this.#answers.delete(key)
    if (this.#answers.size >= NAME_CACHE_MAX) {
      const [oldest] = this.#answers.keys()
      if (oldest !== undefined) this.#answers.delete(oldest)
    }
    this.#answers.set(key, answer)
    for (const sink of query.waiting.splice(0)) sink.onAnswer(key, answer)
  }

  stop(): void {
    for (const query of this.#queries.values()) this.#clock.cancel(query.timer)
    this.#queries.clear()
    this.#answers.clear()
  }

  #answerOf(key: string, records: readonly DnsRecord[], failure: string | null): Answer {
    const now = this.#clock.now()
    if (failure !== null) {
      this.#failures.add()
      const before = this.#answers.get(key)
      if (before !== undefined && before.records.length > 0 && now - before.freshMs < STALE_MAX_MS) {
        this.#stale.add()
        return new Answer(before.records, null, now + FAILURE_TTL_MS, before.freshMs)
      }
      return new Answer([], failure, now + FAILURE_TTL_MS, now)
    }
    if (records.length === 0) return new Answer([], null, now + NEGATIVE_TTL_MS, now)
    let ttlMs = TTL_MAX_MS
    for (const { ttlS } of records) ttlMs = Math.min(ttlMs, ttlS * 1_000)
    return new Answer(records, null, now + Math.max(ttlMs, TTL_MIN_MS), now)
  }
}
