// The DTLS-SRTP port: RFC 5763, RFC 5764. Datagrams in and out; it owns no socket.

import type { SrtpKeys } from '#core/srtp-keys.ts'

/** Receives the events of one session, never before `open` has returned. After `onDtlsFailed` or `onDtlsClosed` nothing comes. */
export interface DtlsSink {
  /** A datagram for the far side. `bytes` is valid only during the call. */
  onDtlsSend(bytes: Uint8Array): void
  /** The handshake is done and the far side's certificate has the fingerprint. Once. */
  onDtlsKeys(inbound: SrtpKeys, outbound: SrtpKeys): void
  /** No keys will come. `reason` is a stable word: DTLS_TIMEOUT, DTLS_FINGERPRINT, DTLS_PROFILE, DTLS_ALERT, DTLS_HANDSHAKE … */
  onDtlsFailed(reason: string): void
  /** The far side has closed the association (close_notify) after the handshake. The keys stay as they are. */
  onDtlsClosed(): void
}

export interface DtlsOptions {
  /** Active sends the first flight (a=setup:active, RFC 5763 §5). */
  readonly role: 'active' | 'passive'
  /** SHA-256 of the far side's certificate, hexadecimal with colons (RFC 8122 §5). */
  readonly fingerprint: string
  readonly sink: DtlsSink
}

/** One association. */
export interface DtlsSession {
  /** Takes a datagram whose first octet is 20 to 63 (RFC 5764 §5.1.2). Anything may be in it. */
  onDatagram(bytes: Uint8Array): void
  /** Ends it; sends close_notify when the handshake was done. Nothing comes after. */
  close(): void
}

/** The port. */
export interface Dtls {
  /** SHA-256 of our certificate, upper-case hexadecimal with colons, for a=fingerprint (RFC 8122 §5). */
  readonly fingerprint: string
  /** Begins a session, or null when as many are open as may be. */
  open(options: DtlsOptions): DtlsSession | null
}
