// The media of calls through gateways that speak the ng protocol (rtpengine's): the media port that anchors every call.

import type { Clock } from '#core/clock.ts'
import type { Counter, Counters } from '#core/counters.ts'
import type { Log } from '#core/log.ts'
import type { GatewayPool } from '#media/gateway-pool.ts'
import type { MediaFailure, MediaImage, MediaPort, MediaSession, MediaUser } from '#media/media-port.ts'
import { NgSession } from '#media/ng-session.ts'

/** Which codecs an offer may have (docs/configuration.md `media.codecs`). */
export interface CodecPolicy {
  readonly allow: readonly string[]
  readonly transcode: readonly string[]
}

export interface NgMediaSettings {
  /** What becomes of a call while no gateway takes any. */
  readonly withoutGateway: 'refuse' | 'endToEnd'
  /** The policy of offers to that trunk group; null: to subscribers. */
  codecs(trunkGroup: string | null): CodecPolicy
}

export interface NgMediaPorts {
  readonly clock: Clock
  readonly log: Log
  readonly counters: Counters
}

export class NgMedia implements MediaPort {
  readonly serves = true
  readonly clock: Clock
  readonly log: Log
  readonly pool: GatewayPool
  readonly #counters: Counters
  readonly #failures = new Map<MediaFailure, Counter>()
  /** Sessions that are not over: those of calls, and those that wait for their last facts. */
  readonly #sessions = new Set<NgSession>()
  settings: NgMediaSettings

  constructor(ports: NgMediaPorts, pool: GatewayPool, settings: NgMediaSettings) {
    this.clock = ports.clock
    this.log = ports.log
    this.#counters = ports.counters
    this.pool = pool
    this.settings = settings
    ports.counters.gauge('carillon_media_sessions', 'Calls with media on a gateway.', () => this.#sessions.size)
  }

  open(callId: string, user: MediaUser): MediaSession {
    const session = new NgSession(this, callId, user)
    this.#sessions.add(session)
    return session
  }

  resume(callId: string, image: MediaImage | null, user: MediaUser): MediaSession {
    const session = new NgSession(this, callId, user)
    this.#sessions.add(session)
    if (image === null) session.stayEndToEnd()
    else session.resume(image)
    return session
  }

  /** What the names of our calls begin with towards gateways, which others may use too. */
  get mark(): string {
    return this.pool.mark
  }

  /** Sessions that are not over. */
  get count(): number {
    return this.#sessions.size
  }

  /** Calls whose media could not be had, by why. */
  noteFailure(failure: MediaFailure): void {
    let counter = this.#failures.get(failure)
    if (counter === undefined) {
      const name = `carillon_media_failures_total{code="${failure}"}`
      counter = this.#counters.counter(name, 'Session descriptions that no gateway passed, by code.')
      this.#failures.set(failure, counter)
    }
    counter.add()
  }

  onSessionOver(session: NgSession): void {
    this.#sessions.delete(session)
  }

  /** Lets everything go: what waits for facts gets none. Calls have ended before. */
  stop(): void {
    for (const session of [...this.#sessions]) session.abandon()
    this.pool.stop()
  }
}
