// What the listeners of all transports have in common.

import type { Endpoint } from '#core/net.ts'
import type { TransportName } from '#sip/flow.ts'
import { commonLabels, isLoopback, isUnspecified } from '#sip/own-addresses.ts'

/** A listener that broke after it was bound is opened again after this time. */
export const REOPEN_AFTER_MS = 1_000

/** One listener. */
export interface Listening {
  readonly transport: TransportName
  /** The address asked for; with the real port once bound. */
  readonly local: Endpoint
  readonly bound: boolean
}

/** Who is told of a listener's states. */
export interface ListenerWatcher {
  /** Bound for the first time, or again after it broke. */
  onBound(listener: Listening): void
  /** Could not be bound at the start. */
  onBindFailed(listener: Listening, reason: string): void
}

/**
 * The bound listener of `transport` from which `remote` is best reached: of its family; on an address near to it before one
 * on all addresses before any other; never on loopback for what is elsewhere. The first of equals; null when there is none.
 */
export function bestListener<L extends Listening>(
  listeners: readonly L[],
  transport: TransportName,
  remote: Endpoint,
): L | null {
  let best: L | null = null
  let bestRank = 0
  for (const listener of listeners) {
    if (!listener.bound || listener.transport !== transport || listener.local.family !== remote.family) continue
    const rank = rankOf(listener.local.host, remote.host)
    if (rank > bestRank) {
      best = listener
      bestRank = rank
    }
  }
  return best
}

/** 0: never. */
function rankOf(local: string, remote: string): number {
  if (isUnspecified(local)) return 2
  const far = !isLoopback(remote)
  if (isLoopback(local)) return far ? 0 : 4
  // With not even the first octet in common any other path is as good or better.
  const common = far ? commonLabels(local, remote) : 0
  return common === 0 ? 1 : 2 + common
}
