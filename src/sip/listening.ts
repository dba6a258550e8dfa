// What the listeners of all transports have in common.

import type { Endpoint } from '#core/net.ts'
import type { TransportName } from '#sip/flow.ts'

/** A listener that broke after it was bound is opened again after this time. */
export const REOPEN_AFTER_MS = 1_000

/** One listener. */
export interface Listening {
  readonly transport: TransportName
  /** The address asked for; with the real port once bound. */
  readonly local: Endpoint
  readonly bound: boolean
  start(): void
  stop(): void
}

/** Who is told of a listener's states. */
export interface ListenerWatcher {
  /** Bound for the first time, or again after it broke. */
  onBound(listener: Listening): void
  /** Could not be bound at the start. */
  onBindFailed(listener: Listening, reason: string): void
}
