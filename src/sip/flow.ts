// One path to one remote transport address: RFC 3261 §18, RFC 5626 §3.1 ("flow").

import type { Endpoint, PeerCertificate } from '#core/net.ts'
import type { Request } from '#sip/message.ts'

/** The transports of RFC 3261 that we speak, as configuration and URI parameters write them. */
export type TransportName = 'udp' | 'tcp' | 'tls'

/** The next hop of a request: where, how, and by which name a TLS peer is verified (RFC 5922 §7). */
export interface Target {
  readonly transport: TransportName
  readonly endpoint: Endpoint
  /** For SNI and verification; null when the hop was given as a number or is not TLS. */
  readonly serverName: string | null
}

/** Who is told of the end of a connection. */
export interface FlowWatcher {
  /** The connection closed, or never opened. `reason` is a stable word: closed, idle, ECONNREFUSED, ETIMEDOUT … Told once. */
  onFlowClosed(flow: Flow, reason: string): void
}

/**
 * A path to one remote address: a UDP socket and the address, or a connection. UDP flows never close, and there may be
 * several objects for one address: compare with {@link isSameFlow}. A connection has exactly one.
 */
export abstract class Flow {
  readonly transport: TransportName
  /** Whether the transport repeats what is lost (§17). */
  readonly reliable: boolean
  /** The listener's own address (UDP), or the connection's. */
  abstract readonly local: Endpoint
  readonly remote: Endpoint
  /** "host:port" for Via sent-by and Contact of messages on this flow; IPv6 in brackets. */
  readonly sentBy: string
  /** What the far side's certificate says; null without TLS or without a certificate. */
  peer: PeerCertificate | null = null
  closed = false

  constructor(transport: TransportName, remote: Endpoint, sentBy: string) {
    this.transport = transport
    this.reliable = transport !== 'udp'
    this.remote = remote
    this.sentBy = sentBy
  }

  /**
   * Sends one message, one character an octet. Queued while the connection is opening; dropped and counted when the flow
   * is closed or its queue is full.
   */
  abstract send(text: string): void

  /**
   * Has `watcher` told when the connection ends, and keeps it from being closed as idle. Adding one twice is adding it
   * once. On a flow that is closed already nobody is told.
   */
  abstract watch(watcher: FlowWatcher): void

  abstract unwatch(watcher: FlowWatcher): void

  /** The flow on which a response to `request`, which came on this one, leaves: `SipTransport.flowForResponse`. */
  forResponse(_request: Request): Flow {
    return this
  }
}

/** Whether two flows are the same path: the same connection, or the same UDP socket and remote address. */
export function isSameFlow(a: Flow, b: Flow): boolean {
  if (a === b) return true
  if (a.reliable || b.reliable) return false
  return (
    a.local.port === b.local.port &&
    a.local.host === b.local.host &&
    a.remote.port === b.remote.port &&
    a.remote.host === b.remote.host
  )
}
