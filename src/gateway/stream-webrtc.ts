// ICE-lite and DTLS-SRTP of one stream (RFC 8445 §2.5, RFC 5763): who is the far side, and with which keys.

import type { Dtls, DtlsSession, DtlsSink } from '#core/dtls.ts'
import type { MediaDestination, MediaSocket, MediaSource } from '#core/media-sockets.ts'
import type { Endpoint } from '#core/net.ts'
import type { SrtpKeys } from '#core/srtp-keys.ts'
import type { DtlsSettings, IceSettings } from '#gateway/plane.ts'
import type { StreamHome } from '#gateway/stream-home.ts'
import { IceLiteAgent, type IceLiteSink } from '#stun/ice-lite.ts'

/** The stream, as this file sees it. */
export interface WebrtcSink {
  /** ICE has chosen; null when consent is lost. */
  onChosen(remote: MediaDestination | null): void
  onKeys(inbound: SrtpKeys, outbound: SrtpKeys): void
  /** Where DTLS goes now. */
  readonly destination: MediaDestination | null
}

/** Datagrams that are neither RTP nor RTCP. */
export class StreamWebrtc implements DtlsSink, IceLiteSink {
  readonly #home: StreamHome
  readonly #socket: MediaSocket
  readonly #sink: WebrtcSink
  #ice: IceLiteAgent | null = null
  #iceSettings: IceSettings | null = null
  #dtls: DtlsSession | null = null
  #dtlsSettings: DtlsSettings | null = null

  constructor(home: StreamHome, socket: MediaSocket, sink: WebrtcSink) {
    this.#home = home
    this.#socket = socket
    this.#sink = sink
  }

  /** Takes settings over; what did not change goes on. True when new keys are awaited. */
  set(ice: IceSettings | null, dtls: DtlsSettings | null): boolean {
    const { clock } = this.#home.ports
    if (!same(this.#iceSettings, ice)) {
      this.#iceSettings = ice
      this.#ice?.close()
      this.#ice = ice === null ? null : new IceLiteAgent(clock, ice, this)
    }
    if (same(this.#dtlsSettings, dtls)) return false
    this.#dtlsSettings = dtls
    this.#dtls?.close()
    const port: Dtls | null = this.#home.ports.dtls
    this.#dtls = dtls === null || port === null ? null : port.open({ ...dtls, sink: this })
    return dtls !== null
  }

  /** STUN, whose first octet is 0 to 3. From anybody: it proves itself by its integrity. */
  onStun(bytes: Buffer, octets: number, source: MediaSource): boolean {
    if (this.#ice === null) return false
    const to = this.#home.ports.sockets.destinationOf(source)
    const answer = this.#ice.onStun(bytes.subarray(0, octets), to.endpoint)
    if (answer !== null) this.#socket.send(Buffer.from(answer), answer.length, to)
    return true
  }

  /** DTLS, whose first octet is 20 to 63. */
  onDtls(bytes: Buffer, octets: number): boolean {
    if (this.#dtls === null) return false
    this.#dtls.onDatagram(bytes.subarray(0, octets))
    return true
  }

  onNominated(remote: Endpoint): void {
    const destination = this.#home.ports.sockets.destination(remote)
    if (destination !== null) this.#sink.onChosen(destination)
  }

  onConsentLost(): void {
    this.#sink.onChosen(null)
  }

  onDtlsSend(bytes: Uint8Array): void {
    const to = this.#sink.destination
    if (to !== null) this.#socket.send(Buffer.from(bytes), bytes.length, to)
  }

  onDtlsKeys(inbound: SrtpKeys, outbound: SrtpKeys): void {
    this.#sink.onKeys(inbound, outbound)
  }

  /** No keys come: nothing passes, and the time-out of the stream tells. */
  onDtlsFailed(_reason: string): void {
    this.#dtls = null
  }

  onDtlsClosed(): void {
    this.#dtls = null
  }

  close(): void {
    this.#ice?.close()
    this.#dtls?.close()
  }
}

function same<T extends object>(a: T | null, b: T | null): boolean {
  if (a === null || b === null) return a === b
  return (Object.keys(a) as (keyof T)[]).every((key) => a[key] === b[key])
}
