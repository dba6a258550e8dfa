// All calls of a gateway, what is left of those that ended, and which local port belongs to whom.

import type { Clock } from '#core/clock.ts'
import type { Counter, Counters } from '#core/counters.ts'
import { describeCall } from '#gateway/call-query.ts'
import type { ControlStream, ControlStreams } from '#gateway/control-streams.ts'
import type { GatewaySettings } from '#gateway/gateway-settings.ts'
import { MediaCall, type MediaCallOwner } from '#gateway/media-call.ts'
import type { PartyMedia } from '#gateway/party.ts'
import type { NgValue } from '#ng/ng-value.ts'

/** Ended calls whose facts are kept. */
const FINAL_MAX = 4096
/** Streams that one packet may pass before it is clear that it goes in a circle. */
const HOPS_MAX = 16

/** The facts of a call that ended. */
export interface FinalFacts {
  readonly untilMs: number
  readonly facts: Readonly<Record<string, NgValue>>
}

/** Why a call ended; a stable word, and a label of the counter. */
export type CallEnd = 'deleted' | 'timeout' | 'unanswered' | 'failed' | 'closed'

/** The table. */
export class CallTable {
  readonly #calls = new Map<string, MediaCall>()
  readonly #finals = new Map<string, FinalFacts>()
  /** Who a local address belongs to: the bound one and the advertised one. */
  readonly #locals = new Map<string, PartyMedia>()
  readonly #clock: Clock
  readonly #settings: GatewaySettings
  readonly #streams: ControlStreams
  readonly #counters: Counters
  readonly #created: Counter
  readonly #refused: Counter

  constructor(clock: Clock, counters: Counters, settings: GatewaySettings, streams: ControlStreams) {
    this.#clock = clock
    this.#settings = settings
    this.#streams = streams
    this.#counters = counters
    this.#created = counters.counter('carillon_media_calls_total', 'Calls that were anchored.')
    this.#refused = counters.counter('carillon_media_calls_refused_total', 'Calls refused because callsMax stand.')
    counters.gauge('carillon_media_calls', 'Calls that are anchored.', () => this.#calls.size)
  }

  get size(): number {
    return this.#calls.size
  }

  /** Milliseconds since 1970. */
  wallMs(): number {
    return this.#clock.wallMs()
  }

  get created(): number {
    return this.#created.value
  }

  get refused(): number {
    return this.#refused.value
  }

  /** How many calls ended that way. */
  ended(end: CallEnd): number {
    return this.#endCounter(end).value
  }

  get(callId: string): MediaCall | null {
    return this.#calls.get(callId) ?? null
  }

  /** The call-ids, oldest first. */
  list(limit: number): string[] {
    const found: string[] = []
    for (const callId of this.#calls.keys()) {
      if (found.length >= limit) break
      found.push(callId)
    }
    return found
  }

  all(): MediaCall[] {
    return [...this.#calls.values()]
  }

  /** A new call; null when there are as many as may be. */
  create(callId: string, owner: MediaCallOwner): MediaCall | null {
    if (this.#calls.size >= this.#settings.callsMax) {
      this.#refused.add()
      return null
    }
    const call = new MediaCall(callId, this.#clock, owner)
    this.#calls.set(callId, call)
    this.#created.add()
    return call
  }

  /** Takes the call out, closes its streams, and calls `done` with its last facts. */
  remove(call: MediaCall, end: CallEnd, done: (facts: Readonly<Record<string, NgValue>>) => void): void {
    if (call.gone) {
      done(this.final(call.callId) ?? {})
      return
    }
    call.end()
    this.#calls.delete(call.callId)
    this.#endCounter(end).add()
    for (const party of call.parties) for (const media of party.medias) this.unindex(media)
    this.#streams.close(call.streams, () => {
      const facts = describeCall(call)
      this.#keep(call.callId, facts)
      done(facts)
    })
  }

  /** The facts of a call that ended not long ago. */
  final(callId: string): Readonly<Record<string, NgValue>> | null {
    const final = this.#finals.get(callId)
    return final === undefined || final.untilMs < this.#clock.now() ? null : final.facts
  }

  /** Remembers whose the stream's ports are. */
  index(media: PartyMedia): void {
    this.unindex(media)
    media.localKeys = this.#keysOf(media.stream)
    for (const key of media.localKeys) this.#locals.set(key, media)
  }

  /** Forgets them, also after the stream is gone. */
  unindex(media: PartyMedia): void {
    for (const key of media.localKeys) if (this.#locals.get(key) === media) this.#locals.delete(key)
    media.localKeys = []
  }

  /** Local addresses that are known. */
  get indexed(): number {
    return this.#locals.size
  }

  /**
   * Whether media of `media` would come back to it when it were sent to `host` and `port`: to a port of the same call, or
   * through other calls of ours in a circle (the media's kin of RFC 3261 §16.3's loops).
   */
  isLoop(media: PartyMedia, host: string, port: number): boolean {
    let target = this.#locals.get(`${host} ${port}`)
    for (let hops = 0; target !== undefined; hops++) {
      if (hops >= HOPS_MAX || target.party.owner === media.party.owner) return true
      const next = target.party.peer?.medias[target.index]
      const remote = next?.agreed?.remote ?? null
      target = remote === null ? undefined : this.#locals.get(`${remote.host} ${remote.port}`)
    }
    return false
  }

  #keysOf(stream: ControlStream | null): string[] {
    if (stream === null) return []
    const { local } = stream.pair
    const hosts = new Set([local.host])
    for (const iface of this.#settings.interfaces)
      if (iface.address === local.host && iface.advertise !== null) hosts.add(iface.advertise)
    return [...hosts].flatMap((host) => [`${host} ${local.port}`, `${host} ${local.port + 1}`])
  }

  #keep(callId: string, facts: Readonly<Record<string, NgValue>>): void {
    const nowMs = this.#clock.now()
    for (const [key, final] of this.#finals) {
      if (final.untilMs >= nowMs && this.#finals.size < FINAL_MAX) break
      this.#finals.delete(key)
    }
    this.#finals.delete(callId)
    this.#finals.set(callId, { untilMs: nowMs + this.#settings.finalFactsMs, facts })
  }

  #endCounter(end: CallEnd): Counter {
    return this.#counters.counter(`carillon_media_calls_ended_total{reason="${end}"}`, 'Calls that ended, by reason.')
  }
}
