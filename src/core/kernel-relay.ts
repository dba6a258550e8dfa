// The port of relays in the kernel: two parties' RTP exchanged by address translation, without a packet in user space.

import type { Endpoint } from '#core/net.ts'

/** One side of a relay: where its party sends to and what the other party's packets come to it from, and where the party is. */
export interface RelaySide {
  /** The stream's own address. The unspecified address means the one that the system would answer `remote` from. */
  readonly local: Endpoint
  /** The party, as it was learned from its packets. */
  readonly remote: Endpoint
  /** Differentiated services code point of what is sent to the party (RFC 2474), 0…63. */
  readonly dscp: number
}

/** Both directions of one RTP relay. The sides have one address family. */
export interface KernelRelayPair {
  readonly first: RelaySide
  readonly second: RelaySide
}

/** What the kernel relayed of what came from each side, since the relay was added. Octets are those of IP packets. */
export interface KernelRelayCounts {
  readonly firstPackets: number
  readonly firstOctets: number
  readonly secondPackets: number
  readonly secondOctets: number
  /** Whether the kernel has relayed something in the present translation. */
  readonly active: boolean
}

/** The number of a relay in the kernel; never used twice. */
export type KernelRelayId = number

/** The port. Everything takes effect before the call returns; nothing throws. */
export interface KernelRelay {
  /** Whether relays can be added at all on this system. Becomes false when the right or the table was lost. */
  readonly available: boolean
  /** Adds a relay: its number, or a stable word why the kernel does not take it. */
  add(pair: KernelRelayPair): KernelRelayId | string
  /** Ends a relay at once: the next packet is user space's. Its last counts; null when there is no such relay. */
  remove(id: KernelRelayId): KernelRelayCounts | null
  /** As {@link remove}, of a relay that the kernel did not serve though packets came for it. */
  abandon(id: KernelRelayId): KernelRelayCounts | null
  /** Its counts so far; null when there is no such relay. */
  counts(id: KernelRelayId): KernelRelayCounts | null
  /** Ends all. */
  close(): void
}
