// The port of media sockets: datagrams at tens of thousands a second, without an object or a string for any of them.

import type { Endpoint } from '#core/net.ts'

/**
 * Who sent a packet, as integers: comparing two is a few integer compares. IPv4 uses the first address word only, the others are 0.
 * An implementation gives one such object again and again; {@link MediaSource.copy} keeps one.
 */
export class MediaSource {
  /** 4 or 6. */
  family: 4 | 6 = 4
  port = 0
  /** The address in words of 32 bits (signed), each with its first octet lowest. */
  word0 = 0
  word1 = 0
  word2 = 0
  word3 = 0

  /** Takes over all of `other`. */
  copy(other: MediaSource): void {
    this.family = other.family
    this.port = other.port
    this.word0 = other.word0
    this.word1 = other.word1
    this.word2 = other.word2
    this.word3 = other.word3
  }
}

/** Whether two sources are the same transport address. */
export function sameSource(a: MediaSource, b: MediaSource): boolean {
  return (
    a.port === b.port &&
    a.word0 === b.word0 &&
    a.family === b.family &&
    (a.family === 4 || (a.word1 === b.word1 && a.word2 === b.word2 && a.word3 === b.word3))
  )
}

/** Whether two sources are of the same host. */
export function sameHost(a: MediaSource, b: MediaSource): boolean {
  return (
    a.word0 === b.word0 &&
    a.family === b.family &&
    (a.family === 4 || (a.word1 === b.word1 && a.word2 === b.word2 && a.word3 === b.word3))
  )
}

/** A remote address made ready for sending: made once for each, by the sockets that it is used with. */
export interface MediaDestination {
  readonly endpoint: Endpoint
  /** The same address as packets from it are marked with. Never changes. */
  readonly source: MediaSource
}

/** Receives what one media socket brings. */
export interface MediaSink {
  /**
   * A datagram: the first `octets` of `bytes`. The memory and `source` are the sockets' own and are used again after the call; until then
   * the packet may be changed in place, and made longer up to the end of `bytes` (at least {@link TAIL_ROOM} octets).
   */
  onPacket(bytes: Buffer, octets: number, source: MediaSource): void
  /** The socket is bound; `local` has the real port when 0 was asked for. */
  onBound(local: Endpoint): void
  /** Binding failed, or the socket broke. It is closed then. `reason` is a stable word such as EADDRINUSE. */
  onSocketError(reason: string): void
}

/** Octets free behind every received datagram: for what SRTP adds (RFC 3711 §3.1, §3.4). */
export const TAIL_ROOM = 160

export interface MediaSocket {
  /** Sends the first `octets` of `bytes`. They are taken before the call returns. Loss is silent, as on the wire. */
  send(bytes: Buffer, octets: number, to: MediaDestination): void
  /** Nothing comes after. */
  close(): void
}

/** The port. No call throws; what fails is reported to the sink, never before the call has returned. */
export interface MediaSockets {
  /** `dscp` is the differentiated services code point of what is sent (RFC 2474), 0…63. */
  open(local: Endpoint, dscp: number, sink: MediaSink): MediaSocket
  /** Null when the endpoint's host is no numeric address, or its port none. */
  destination(endpoint: Endpoint): MediaDestination | null
  /** The destination that answers `source`. */
  destinationOf(source: MediaSource): MediaDestination
}
