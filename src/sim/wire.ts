// What an observer of the simulated network is told about each packet.

import type { Endpoint } from '#core/net.ts'

export type WireFate = 'sent' | 'lost' | 'delivered' | 'filtered' | 'unreachable' | 'opened' | 'closed'

/** One event on the wire. `source` and `destination` are as the machine `at` sees them, so NATs show. */
export interface WireEvent {
  readonly atMs: number
  readonly fate: WireFate
  readonly transport: 'udp' | 'tcp' | 'tls'
  /** The machine on which this was seen. */
  readonly at: string
  readonly source: Endpoint
  readonly destination: Endpoint
  /** For streams: the number of the connection, the same on both sides; 0 for datagrams. */
  readonly connection: number
  /** What was sent or delivered; valid only during the call. */
  readonly bytes: Uint8Array
}

export interface WireObserver {
  onWire(event: WireEvent): void
}
