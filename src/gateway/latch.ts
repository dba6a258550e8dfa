// Who may send to a stream, and where it answers: latching (RFC 7362 §4) with limits. Hot path: one compare while nothing moves.

import {
  type MediaDestination,
  type MediaSockets,
  type MediaSource,
  sameHost,
  sameSource,
} from '#core/media-sockets.ts'
import { type Endpoint, sameEndpoint } from '#core/net.ts'
import type { Latching, StreamSettings } from '#gateway/plane.ts'

/** A source that has been silent for so long may be replaced by another that latching allows. */
export const RELATCH_SILENCE_MS = 3_000
/**
 * So long after the first latch a better source (the signalled address before its host, that host before a stranger) still takes
 * the place of a worse one: who came first by guessing loses it to whom it belongs to.
 */
export const CORRECTION_MS = 5_000

/** How well a source is vouched for. */
const STRANGER = 0
const HOST = 1
const ADDRESS = 2

/** The far side of one stream: whom it accepts packets from, and where it sends. */
export class Latch {
  readonly #sockets: MediaSockets
  #latching: Latching = 'none'
  /** As signalled. */
  #signalled: MediaDestination | null = null
  #signalledHost: MediaDestination | null = null
  /** Whom packets are accepted from now; null before the first one. */
  #accepted: MediaSource | null = null
  #rank = STRANGER
  #latchedMs = 0
  #heardMs = 0
  /** Where to send: as signalled until something was latched. */
  destination: MediaDestination | null = null

  constructor(sockets: MediaSockets) {
    this.#sockets = sockets
  }

  /** Where packets really come from and go to. */
  get remote(): Endpoint | null {
    return this.destination?.endpoint ?? null
  }

  /** Takes new settings over. A far side that is signalled anew is learned anew; else what was learned stays. */
  set(settings: Pick<StreamSettings, 'latching' | 'remote' | 'signalledHost'>): void {
    const { remote } = settings
    const before = this.#signalled?.endpoint ?? null
    const moved = before === null || remote === null ? before !== remote : !sameEndpoint(before, remote)
    const stricter = settings.latching !== this.#latching
    this.#latching = settings.latching
    if (moved) this.#signalled = remote === null ? null : this.#sockets.destination(remote)
    const host = settings.signalledHost
    if (host === null) this.#signalledHost = null
    else if (this.#signalledHost?.endpoint.host !== host) {
      this.#signalledHost = this.#sockets.destination({ host, port: 9, family: host.includes(':') ? 6 : 4 })
    }
    if (moved || (stricter && this.#accepted !== null && !this.#may(this.#rankOf(this.#accepted)))) {
      this.#accepted = null
      this.destination = this.#signalled
    }
  }

  /** Far side chosen by other means (ICE, RFC 8445 §8.1.1): accepted at once, in place of what was latched. */
  choose(source: MediaSource, nowMs: number): void {
    if (this.#accepted !== null && sameSource(this.#accepted, source)) return
    this.#take(source, ADDRESS, nowMs)
  }

  /** Whether a packet from `source` may come in. Hot path. */
  accepts(source: MediaSource, nowMs: number): boolean {
    const accepted = this.#accepted
    if (accepted === null || !sameSource(accepted, source)) return false
    this.#heardMs = nowMs
    return true
  }

  /** The far side was heard by another way. */
  hear(nowMs: number): void {
    this.#heardMs = nowMs
  }

  /** Whether packets were accepted from where we send to. */
  get isLatched(): boolean {
    return this.#accepted !== null
  }

  /** Whether a packet that {@link accepts} refused may make its source the far side: ask before the packet is checked at any cost. */
  mayLearn(source: MediaSource, nowMs: number): boolean {
    const rank = this.#rankOf(source)
    if (!this.#may(rank)) return false
    if (this.#accepted === null || nowMs - this.#heardMs >= RELATCH_SILENCE_MS) return true
    return rank > this.#rank && nowMs - this.#latchedMs < CORRECTION_MS
  }

  /** Makes it so, after {@link mayLearn} and the packet's own checks. True when that changed where we send. */
  learn(source: MediaSource, nowMs: number): boolean {
    const before = this.destination
    this.#take(source, this.#rankOf(source), nowMs)
    return this.destination !== before
  }

  #may(rank: number): boolean {
    if (rank === ADDRESS) return true
    return this.#latching === 'first' || (this.#latching === 'signalledHost' && rank === HOST)
  }

  #rankOf(source: MediaSource): number {
    const signalled = this.#signalled?.source ?? null
    if (signalled !== null && sameSource(signalled, source)) return ADDRESS
    if (signalled !== null && sameHost(signalled, source)) return HOST
    if (this.#signalledHost !== null && sameHost(this.#signalledHost.source, source)) return HOST
    return STRANGER
  }

  #take(source: MediaSource, rank: number, nowMs: number): void {
    if (this.#accepted === null) this.#latchedMs = nowMs
    const signalled = this.#signalled
    const known = signalled !== null && sameSource(signalled.source, source)
    this.destination = known ? signalled : this.#sockets.destinationOf(source)
    this.#accepted = this.destination.source
    this.#rank = rank
    this.#heardMs = nowMs
  }
}
