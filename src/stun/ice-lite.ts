// The lite agent of one stream: RFC 8445 §2.5 and §7.3, consent as the lite side sees it (RFC 7675).

import type { Clock } from '#core/clock.ts'
import type { Endpoint } from '#core/net.ts'

/** Credentials of both sides (RFC 8839 §5.4). */
export interface IceCredentials {
  readonly localUfrag: string
  readonly localPassword: string
  readonly remoteUfrag: string
  readonly remotePassword: string
}

/** Who is told. Called during `onStun` or from a timer. */
export interface IceLiteSink {
  /** The controlling side has nominated this address (§7.3.1.5), or moved to another. */
  onNominated(remote: Endpoint): void
  /** Nothing valid has come from the nominated address for 30 s (RFC 7675 §5.1): do not send to it until it is nominated again. */
  onConsentLost(): void
}

/** Answers connectivity checks of one component. Make a new one when the credentials change (ICE restart). */
export class IceLiteAgent {
  readonly #sink: IceLiteSink

  constructor(_clock: Clock, _credentials: IceCredentials, sink: IceLiteSink) {
    this.#sink = sink
  }

  /** Takes a datagram that begins with 0 to 3 (RFC 5764 §5.1.2). The answer, valid until the next call; null for none. */
  onStun(_bytes: Uint8Array, source: Endpoint): Uint8Array | null {
    this.#sink.onNominated(source)
    return null
  }

  /** Disarms its timer. */
  close(): void {}
}
