// Pairs of ports for RTP and RTCP (RFC 3550 §11: even, and the next odd one), from a range for each local address.

import { assert, present } from '#core/assert.ts'
import type { Clock } from '#core/clock.ts'
import type { Counter, Counters } from '#core/counters.ts'
import type { Log } from '#core/log.ts'
import type { Endpoint } from '#core/net.ts'
import { type Random, uniform } from '#core/random.ts'
import type { MediaInterface } from '#gateway/gateway-settings.ts'

/** Two ports of one address. */
export interface PortPair {
  readonly local: Endpoint
  readonly localRtcp: Endpoint
}

/** What the pool works with. */
export interface PortPoolPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly counters: Counters
}

const FREE = 0
const TAKEN = 1
const QUARANTINED = 2

/** The pairs of one address. */
class Range {
  readonly interface: MediaInterface
  readonly first: number
  readonly pairs: number
  readonly state: Uint8Array
  /** A ring of the pairs in quarantine, in the order in which they leave it. */
  readonly #resting: Uint32Array
  readonly #restingUntilMs: Float64Array
  #head = 0
  resting = 0
  taken = 0
  cursor: number

  constructor(iface: MediaInterface, random: Random) {
    this.interface = iface
    this.first = iface.portFirst + (iface.portFirst % 2)
    this.pairs = Math.max(0, Math.floor((iface.portLast - this.first + 1) / 2))
    this.state = new Uint8Array(this.pairs)
    this.#resting = new Uint32Array(this.pairs)
    this.#restingUntilMs = new Float64Array(this.pairs)
    this.cursor = this.pairs === 0 ? 0 : uniform(random, this.pairs)
  }

  /** The next free pair after the last one given; −1 when there is none. */
  take(nowMs: number): number {
    this.#wake(nowMs)
    if (this.taken + this.resting >= this.pairs) return -1
    while (this.state[this.cursor] !== FREE) this.cursor = (this.cursor + 1) % this.pairs
    const pair = this.cursor
    this.cursor = (pair + 1) % this.pairs
    this.state[pair] = TAKEN
    this.taken += 1
    return pair
  }

  rest(pair: number, untilMs: number): void {
    assert(this.state[pair] === TAKEN, 'a port pair is given back once')
    this.state[pair] = QUARANTINED
    this.taken -= 1
    const at = (this.#head + this.resting) % this.pairs
    this.#resting[at] = pair
    this.#restingUntilMs[at] = untilMs
    this.resting += 1
  }

  #wake(nowMs: number): void {
    while (this.resting > 0 && present(this.#restingUntilMs[this.#head], 'ring') <= nowMs) {
      this.state[present(this.#resting[this.#head], 'ring')] = FREE
      this.#head = (this.#head + 1) % this.pairs
      this.resting -= 1
    }
  }
}

/**
 * The ports of a gateway. The search begins at a random place and goes on from the last pair given, so that a port is not
 * guessed and not used again at once; a pair that is given back rests for `quarantineMs`.
 */
export class PortPool {
  readonly #clock: Clock
  readonly #log: Log
  readonly #quarantineMs: number
  readonly #ranges: Range[]
  readonly #exhausted: Counter
  readonly #inUse: Counter
  /** Whether the alarm of an exhausted interface stands, so that it is raised once. */
  readonly #alarmed = new Set<string>()

  constructor(interfaces: readonly MediaInterface[], quarantineMs: number, ports: PortPoolPorts) {
    this.#clock = ports.clock
    this.#log = ports.log
    this.#quarantineMs = quarantineMs
    this.#ranges = interfaces.map((iface) => new Range(iface, ports.random))
    this.#exhausted = ports.counters.counter(
      'carillon_media_ports_exhausted_total',
      'Streams refused because an interface had no free pair of ports.',
    )
    this.#inUse = ports.counters.counter(
      'carillon_media_ports_in_use_total',
      'Pairs of ports that somebody else had bound.',
    )
    ports.counters.gauge('carillon_media_port_pairs_taken', 'Pairs of ports in use.', () => this.taken)
    ports.counters.gauge('carillon_media_port_pairs_free', 'Pairs of ports that can be given.', () => this.free)
  }

  /** Pairs that are held by streams. */
  get taken(): number {
    return this.#ranges.reduce((sum, range) => sum + range.taken, 0)
  }

  /** Pairs that are neither held nor in quarantine, as of the last request. */
  get free(): number {
    return this.#ranges.reduce((sum, range) => sum + range.pairs - range.taken - range.resting, 0)
  }

  /** A pair on the interface of that name and family; null when it has none free (MEDIA_PORTS_EXHAUSTED is logged once). */
  take(name: string, family: 4 | 6): PortPair | null {
    const nowMs = this.#clock.now()
    for (const range of this.#ranges) {
      if (range.interface.name !== name || range.interface.family !== family) continue
      const pair = range.take(nowMs)
      if (pair < 0) continue
      const host = range.interface.address
      const port = range.first + 2 * pair
      this.#alarmed.delete(`${name}/${family}`)
      return { local: { host, port, family }, localRtcp: { host, port: port + 1, family } }
    }
    this.#exhausted.add()
    if (!this.#alarmed.has(`${name}/${family}`)) {
      this.#alarmed.add(`${name}/${family}`)
      this.#log.event('error', 'MEDIA_PORTS_EXHAUSTED', { interface: name, family, alarm: true })
    }
    return null
  }

  /** Gives a pair back; it rests for the quarantine. */
  release(pair: PortPair): void {
    const range = this.#rangeOf(pair)
    range.rest((pair.local.port - range.first) / 2, this.#clock.now() + this.#quarantineMs)
  }

  /** The pair could not be bound: somebody else has it. It rests, and another one is taken instead. */
  refuse(pair: PortPair): void {
    this.#inUse.add()
    this.release(pair)
  }

  /** Whether `host` and `port` are inside the ranges of this pool: media sent there would come back to us. */
  isOwn(host: string, port: number): boolean {
    return this.#ranges.some(
      (range) =>
        (range.interface.address === host || range.interface.advertise === host) &&
        port >= range.first &&
        port < range.first + 2 * range.pairs,
    )
  }

  #rangeOf(pair: PortPair): Range {
    const range = this.#ranges.find(
      (candidate) =>
        candidate.interface.address === pair.local.host &&
        pair.local.port >= candidate.first &&
        pair.local.port < candidate.first + 2 * candidate.pairs,
    )
    return present(range, 'a port pair belongs to a range')
  }
}
