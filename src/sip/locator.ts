// Finding the next hop of a request: RFC 3263, with fail-over and a hold-down for hops that are dead (§4.3).

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import type { DnsRecord, DnsType } from '#core/net.ts'
import { endpointText } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Target } from '#sip/flow.ts'
import { type Answer, type AnswerSink, NameCache, questionKey } from '#sip/name-cache.ts'
import { type Abilities, targetOrder } from '#sip/target-order.ts'
import type { Uri } from '#sip/uri.ts'

/** How long a hop that failed is not preferred. */
export const HOLD_DOWN_MS = 30_000
/** The longest hold-down, whatever a Retry-After says. */
export const HOLD_DOWN_MS_MAX = 3_600_000
/** Dead hops remembered; the oldest is forgotten first. */
export const DEAD_TARGETS_MAX = 4_096
/** Locations that wait for DNS. */
export const LOCATIONS_MAX = 10_000
/** One DNS query may take this long. */
const QUERY_MS_MAX = 2_500
/** One location may take this long. */
const LOCATE_MS_MAX = 8_000
/** Questions of one location: bounds what an answer with many names costs. */
const QUESTIONS_MAX = 64

/** What the process can speak: see {@link Abilities}. */
export type LocatorSettings = Abilities

/** Who asked for the next hops. */
export interface LocationSink {
  /**
   * Once for each `locate`: the hops in the order of trying, dead ones last; or none, and `failure` says why:
   * LOCATE_SCHEME, LOCATE_TRANSPORT, LOCATE_ADDRESS, LOCATE_NAME, LOCATE_NO_SERVICE, LOCATE_NONE, LOCATE_DNS,
   * LOCATE_TIMEOUT, LOCATE_BUSY.
   */
  onLocated(targets: readonly Target[], failure: string | null): void
}

export class Locator {
  readonly #ports: Ports
  readonly #cache: NameCache
  readonly #dead = new Map<string, number>()
  readonly #locations = new Set<Location>()
  readonly #failures: Counter
  #abilities: Abilities

  constructor(ports: Ports, settings: LocatorSettings) {
    this.#ports = ports
    this.#abilities = settings
    this.#cache = new NameCache(ports, QUERY_MS_MAX)
    const { counters } = ports
    this.#failures = counters.counter('carillon_sip_locate_failures_total', 'URIs for which no next hop was found.')
    counters.gauge('carillon_sip_dead_targets', 'Next hops in hold-down.', () => this.#dead.size)
  }

  /** Finds the next hops of `uri`. Calls back before it returns when the host is numeric or everything is known. */
  locate(uri: Uri, sink: LocationSink): void {
    if (this.#locations.size >= LOCATIONS_MAX) {
      this.finish(null, [], 'LOCATE_BUSY', sink)
      return
    }
    const location = new Location(this, this.#ports, this.#cache, this.#abilities, uri, sink)
    this.#locations.add(location)
    location.advance()
  }

  /** What `target` got was no answer, a transport error or a 503: others are tried before it for `forMs`. */
  markDead(target: Target, forMs: number = HOLD_DOWN_MS): void {
    const key = keyOf(target)
    this.#dead.delete(key)
    if (this.#dead.size >= DEAD_TARGETS_MAX) {
      const [oldest] = this.#dead.keys()
      if (oldest !== undefined) this.#dead.delete(oldest)
    }
    this.#dead.set(key, this.#ports.clock.now() + Math.min(Math.max(forMs, 0), HOLD_DOWN_MS_MAX))
  }

  /** `target` answered: its hold-down ends. */
  markAlive(target: Target): void {
    if (this.#dead.size > 0) this.#dead.delete(keyOf(target))
  }

  /** Whether `target` is in hold-down. */
  isDead(target: Target): boolean {
    if (this.#dead.size === 0) return false
    const key = keyOf(target)
    const untilMs = this.#dead.get(key)
    if (untilMs === undefined) return false
    if (this.#ports.clock.now() < untilMs) return true
    this.#dead.delete(key)
    return false
  }

  /** New transports or families; locations on the way keep the old ones. */
  replaceSettings(settings: LocatorSettings): void {
    this.#abilities = settings
  }

  /** What is held now. */
  audit(): { readonly answers: number; readonly queries: number; readonly locations: number; readonly dead: number } {
    const { size: answers, pending: queries } = this.#cache
    return { answers, queries, locations: this.#locations.size, dead: this.#dead.size }
  }

  /** Ends everything; those who wait are not told. */
  stop(): void {
    for (const location of this.#locations) location.stop()
    this.#locations.clear()
    this.#cache.stop()
    this.#dead.clear()
  }

  /** For locations: the end of one. */
  finish(location: Location | null, targets: readonly Target[], failure: string | null, sink: LocationSink): void {
    if (location !== null) this.#locations.delete(location)
    if (failure !== null) this.#failures.add()
    sink.onLocated(this.#deadLast(targets), failure)
  }

  #deadLast(targets: readonly Target[]): readonly Target[] {
    if (this.#dead.size === 0 || targets.length < 2) return targets
    const dead = targets.filter((target) => this.isDead(target))
    return dead.length === 0 ? targets : [...targets.filter((target) => !dead.includes(target)), ...dead]
  }
}

/** One location: keeps the answers it has got, so that none is asked twice however short its TTL. */
class Location implements AnswerSink, TimerOwner {
  readonly #locator: Locator
  readonly #ports: Ports
  readonly #cache: NameCache
  readonly #abilities: Abilities
  readonly #uri: Uri
  readonly #sink: LocationSink
  readonly #timer = new Timer(this)
  readonly #next = new Timer(this)
  readonly #answers = new Map<string, Answer>()
  #waiting = 0
  #questions = 0
  #failed = false

  constructor(locator: Locator, ports: Ports, cache: NameCache, abilities: Abilities, uri: Uri, sink: LocationSink) {
    this.#locator = locator
    this.#ports = ports
    this.#cache = cache
    this.#abilities = abilities
    this.#uri = uri
    this.#sink = sink
  }

  /** Goes on as far as the answers allow. */
  advance(): void {
    const order = targetOrder(this.#uri, this.#abilities, (name, type) => this.#ask(name, type), this.#ports.random)
    if (order === null) {
      if (!this.#timer.armed) this.#ports.clock.arm(this.#timer, 'locate', LOCATE_MS_MAX)
      return
    }
    this.#ports.clock.cancel(this.#timer)
    if (typeof order !== 'string') this.#locator.finish(this, order, null, this.#sink)
    else this.#locator.finish(this, [], order === 'LOCATE_NONE' && this.#failed ? 'LOCATE_DNS' : order, this.#sink)
  }

  onAnswer(key: string, answer: Answer): void {
    this.#note(key, answer)
    this.#waiting -= 1
    // From the clock, so that a fault of whoever asked stays his own.
    if (this.#waiting === 0) this.#ports.clock.arm(this.#next, 'advance', 0)
  }

  onTimer(name: string): void {
    if (name === 'advance') {
      this.advance()
      return
    }
    this.#ports.clock.cancel(this.#next)
    this.#cache.forget(this)
    this.#locator.finish(this, [], 'LOCATE_TIMEOUT', this.#sink)
  }

  stop(): void {
    this.#ports.clock.cancel(this.#timer)
    this.#ports.clock.cancel(this.#next)
    this.#cache.forget(this)
  }

  #ask(name: string, type: DnsType): readonly DnsRecord[] | null {
    const key = questionKey(name, type)
    const known = this.#answers.get(key)
    if (known !== undefined) return known.records
    if (this.#questions >= QUESTIONS_MAX) return []
    this.#questions += 1
    const answer = this.#cache.lookUp(name, type, this)
    if (answer === null) {
      this.#waiting += 1
      return null
    }
    this.#note(key, answer)
    return answer.records
  }

  #note(key: string, answer: Answer): void {
    this.#answers.set(key, answer)
    if (answer.failure !== null) this.#failed = true
  }
}

function keyOf(target: Target): string {
  return `${target.transport} ${endpointText(target.endpoint)}`
}
