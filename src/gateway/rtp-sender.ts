// What a stream sends: one SSRC, keys, destination, counters. Hot path: a relayed packet is patched where it lies.

import type { MediaDestination, MediaSocket } from '#core/media-sockets.ts'
import type { Random } from '#core/random.ts'
import { type SrtpKeys, sameSrtpKeys } from '#core/srtp-keys.ts'
import { OutgoingStream } from '#rtp/outgoing-stream.ts'
import { setRtpPayloadType } from '#rtp/rtp-packet.ts'
import { SrtpContext } from '#rtp/srtp-context.ts'

/** Sees every packet of a stream before protection, for a recording. */
export interface PacketTap {
  onSent(bytes: Buffer, octets: number): void
}

/** The sending half of one stream. */
export class RtpSender {
  readonly outgoing: OutgoingStream
  /** As many as were given to the socket, with all their octets. */
  packets = 0
  octets = 0
  /** Encoding name of the last packet. */
  encoding = ''
  destination: MediaDestination | null = null
  tap: PacketTap | null = null
  /** Packets wait for keys: DTLS is not done. */
  locked = false
  #socket: MediaSocket | null = null
  #keys: SrtpKeys | null = null
  #context: SrtpContext | null = null

  constructor(random: Random) {
    this.outgoing = new OutgoingStream(random.uint32(), random.uint32() & 0x7fff, random.uint32())
  }

  bind(socket: MediaSocket): void {
    this.#socket = socket
  }

  /** Keys of what is sent; a context whose keys stay is kept (RFC 3711 §9.1). */
  protect(keys: SrtpKeys | null): void {
    if (sameSrtpKeys(this.#keys, keys)) return
    this.#keys = keys
    this.#context = keys === null ? null : new SrtpContext(keys)
  }

  /** Protects RTCP in place; the new length, −1 when it must not be sent. */
  protectRtcp(bytes: Buffer, octets: number): number {
    if (this.locked) return -1
    return this.#context === null ? octets : this.#context.protectRtcp(bytes, octets)
  }

  /** Sends a received packet on as another payload type. `payloadOctets` are without header and padding. Hot path. */
  relay(
    bytes: Buffer,
    octets: number,
    payloadType: number,
    clockRate: number,
    payloadOctets: number,
    event: boolean,
    nowMs: number,
  ): void {
    if (this.destination === null || this.locked) return
    if (!this.outgoing.relay(bytes, nowMs, clockRate, payloadOctets, event)) return
    setRtpPayloadType(bytes, payloadType)
    this.#send(bytes, octets)
  }

  /** Sends a packet whose header and payload were written through {@link outgoing}. */
  sendMade(packet: Buffer, octets: number): void {
    if (this.destination !== null && !this.locked && octets > 0) this.#send(packet, octets)
  }

  /** Packets of the source passed to the far side unchanged by another way; `payloadOctets` are without their headers. */
  passed(packets: number, octets: number, payloadOctets: number): void {
    this.packets += packets
    this.octets += octets
    this.outgoing.passed(packets, payloadOctets)
  }

  /** Sends what is no RTP as it is: nowhere when there are keys, which it could not be protected with. */
  sendDatagram(bytes: Buffer, octets: number): void {
    if (this.destination === null || this.locked || this.#context !== null) return
    if (this.tap !== null) this.tap.onSent(bytes, octets)
    this.packets++
    this.octets += octets
    ;(this.#socket as MediaSocket).send(bytes, octets, this.destination)
  }

  #send(bytes: Buffer, octets: number): void {
    if (this.tap !== null) this.tap.onSent(bytes, octets)
    const context = this.#context
    if (context !== null) {
      octets = context.protectRtp(bytes, octets)
      if (octets < 0) return
    }
    this.packets++
    this.octets += octets
    ;(this.#socket as MediaSocket).send(bytes, octets, this.destination as MediaDestination)
  }
}
