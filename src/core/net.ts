// The network port: datagrams, streams and names. Addresses are numeric everywhere inside; names are resolved through `resolve`.

/**
 * One transport address. `host` is the numeric text without brackets ("192.0.2.1", "2001:db8::1"), in the one canonical
 * spelling of the port's implementation. Implementations may share one frozen object for repeated addresses, so
 * compare with {@link sameEndpoint} and never change one.
 */
export interface Endpoint {
  readonly host: string
  readonly port: number
  readonly family: 4 | 6
}

/** Whether two endpoints are the same transport address. */
export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a === b || (a.port === b.port && a.host === b.host)
}

/** "192.0.2.1:5060" or "[2001:db8::1]:5060": how an endpoint is written for people and in SIP (RFC 3261 §25.1 hostport). */
export function endpointText(endpoint: Endpoint): string {
  return endpoint.family === 6 ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`
}

/** Receives what a datagram socket brings. `bytes` is valid only during the call: the socket may use its memory again. */
export interface DatagramSink {
  onDatagram(bytes: Uint8Array, source: Endpoint): void
  /** The socket is bound; `local` has the real port when 0 was asked for. */
  onListening(local: Endpoint): void
  /** Binding failed, or the socket broke. It is closed then. `reason` is a stable word such as EADDRINUSE. */
  onSocketError(reason: string): void
}

export interface DatagramSocket {
  /** Sends one datagram. The octets are taken before the call returns. Loss is silent, as on the wire. */
  send(bytes: Uint8Array, to: Endpoint): void
  close(): void
}

/** What is known of the far side of a TLS connection. */
export interface PeerCertificate {
  /** Subject common name and subjectAltName entries of DNS and URI type, in lower case. */
  readonly names: readonly string[]
  /** Whether the chain verified against the configured authorities. */
  readonly verified: boolean
}

/** Receives the events of one stream connection. After `onClose` nothing more comes. */
export interface ConnectionSink {
  /** An outgoing connection is established (TLS: handshake complete). Not called for accepted connections. */
  onOpen(connection: Connection): void
  /** `bytes` is valid only during the call. */
  onBytes(connection: Connection, bytes: Uint8Array): void
  /** Closed by either side, or never opened. `reason` is a stable word: closed, ECONNREFUSED, ETIMEDOUT, TLS_VERIFY … */
  onClose(connection: Connection, reason: string): void
}

export interface Connection {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly secure: boolean
  /** TLS only; null otherwise and before the handshake. */
  readonly peer: PeerCertificate | null
  /** Octets accepted by `send` that the kernel has not taken yet. */
  readonly queuedOctets: number
  send(bytes: Uint8Array): void
  /** Closes after what is queued is written; `abort` drops the queue. */
  close(): void
  abort(): void
}

/** TLS settings of a listener or of outgoing connections. PEM texts. */
export interface TlsContext {
  readonly certificate: string
  readonly key: string
  /** Authorities to verify peers against; null means the system's. */
  readonly authorities: string | null
  /** Listener: ask for and demand a client certificate that verifies. */
  readonly verifyClients: boolean
  /** Outgoing: the server's certificate must verify and be for the name that we wanted (RFC 5922 §7). */
  readonly verifyServers: boolean
}

export interface Listener {
  /** New handshakes use the new context; established connections stay. */
  replaceTls(tls: TlsContext): void
  close(): void
}

export interface ListenerSink {
  /** A connection was accepted (TLS: handshake complete). Answers with the sink of its events, or null to refuse it. */
  onAccept(connection: Connection): ConnectionSink | null
  onListening(local: Endpoint): void
  onSocketError(reason: string): void
}

/** A DNS answer as used by RFC 3263. `ttlS` is in seconds. */
export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly address: string; readonly ttlS: number }
  | {
      readonly type: 'SRV'
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
      readonly ttlS: number
    }
  | {
      readonly type: 'NAPTR'
      readonly order: number
      readonly preference: number
      readonly flags: string
      readonly service: string
      readonly regexp: string
      readonly replacement: string
      readonly ttlS: number
    }

export type DnsType = DnsRecord['type']

export interface DnsSink {
  /** Exactly once for each `resolve`. No such name or type is an empty list; `failure` is null then. A failed look-up has a word: ETIMEOUT, ESERVFAIL … */
  onResolved(name: string, type: DnsType, records: readonly DnsRecord[], failure: string | null): void
}

/** The network port. No call throws; what fails is reported to the sink, never before the call has returned. */
export interface Net {
  udp(local: Endpoint, sink: DatagramSink): DatagramSocket
  listen(local: Endpoint, tls: TlsContext | null, sink: ListenerSink): Listener
  /** `serverName` is for SNI and verification (RFC 5922); null outside TLS or for a numeric peer. */
  connect(remote: Endpoint, tls: TlsContext | null, serverName: string | null, sink: ConnectionSink): Connection
  resolve(name: string, type: DnsType, sink: DnsSink): void
}
