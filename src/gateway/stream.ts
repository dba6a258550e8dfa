// One stream of the data plane: its sockets, who may send to it, what becomes of its packets, when it was silent too long. Hot path.

import { assert } from '#core/assert.ts'
import { Timer } from '#core/clock.ts'
import type { MediaSink, MediaSocket, MediaSource } from '#core/media-sockets.ts'
import type { Endpoint } from '#core/net.ts'
import { type SrtpKeys, sameSrtpKeys } from '#core/srtp-keys.ts'
import { type DropCode, DropCounts } from '#gateway/drop-counts.ts'
import { Latch } from '#gateway/latch.ts'
import { type FormatTable, formatTable, payloadMap, TELEPHONE_EVENT } from '#gateway/payload-map.ts'
import type { DirectionFacts, PayloadFormat, Source, StreamFacts, StreamId, StreamSettings } from '#gateway/plane.ts'
import { RtpSender } from '#gateway/rtp-sender.ts'
import type { StreamHome } from '#gateway/stream-home.ts'
import { ReceiveStatistics } from '#rtp/receive-statistics.ts'
import { rtpPayloadEnd, rtpPayloadOffset, rtpSsrc } from '#rtp/rtp-packet.ts'
import { SrtpContext } from '#rtp/srtp-context.ts'

/** A larger datagram is no audio of anybody's: the MTU of Ethernet and what tunnels save. */
export const PACKET_OCTETS_MAX = 1_500
/** Packets taken in one second: 10 ms packets ten times over. More is a flood or a loop. */
export const PACKETS_PER_S_MAX = 1_000
/** Streams that may hear the same stream. */
export const LISTENERS_MAX = 64

export type StreamState = 'opening' | 'open' | 'closed'

const NEXT: Readonly<Record<StreamState, readonly StreamState[]>> = {
  opening: ['open', 'closed'],
  open: ['closed'],
  closed: [],
}

const NO_FORMATS: FormatTable = formatTable([])

/** One of the two sockets of a stream. */
class StreamPort implements MediaSink {
  readonly #stream: Stream
  readonly #rtcp: boolean
  socket: MediaSocket | null = null
  bound = false

  constructor(stream: Stream, rtcp: boolean) {
    this.#stream = stream
    this.#rtcp = rtcp
  }

  onPacket(bytes: Buffer, octets: number, source: MediaSource): void {
    if (this.#rtcp) this.#stream.receiveRtcp(bytes, octets, source)
    else this.#stream.receive(bytes, octets, source)
  }

  onBound(_local: Endpoint): void {
    this.bound = true
    this.#stream.onBound()
  }

  onSocketError(reason: string): void {
    this.socket = null
    this.#stream.onSocketError(reason)
  }
}

/** A stream. Orders come from the plane, packets from the sockets. */
export class Stream {
  readonly id: StreamId
  state: StreamState = 'opening'
  settings: StreamSettings | null = null
  readonly sender: RtpSender
  /** Who hears what comes in here. Kept by the listeners themselves. */
  readonly listeners: Stream[] = []
  readonly #home: StreamHome
  readonly #latch: Latch
  readonly #port: StreamPort
  readonly #portRtcp: StreamPort | null
  readonly #drops = new DropCounts()
  readonly #statistics = new ReceiveStatistics()
  #formats: FormatTable = NO_FORMATS
  #keysIn: SrtpKeys | null = null
  #contextIn: SrtpContext | null = null
  #packets = 0
  #octets = 0
  #encoding = ''
  #receivedMs = Number.NEGATIVE_INFINITY
  #activeMs = 0
  #timedOut = false
  #windowMs = 0
  #windowPackets = 0
  #blocksMedia = false
  #blocksDtmf = false
  /** What we send is taken from this stream. */
  #heard: Stream | null = null
  #map: Int8Array | null = null
  readonly #silence = new Timer(this)

  constructor(home: StreamHome, id: StreamId, local: Endpoint, localRtcp: Endpoint | null, dscp: number) {
    this.#home = home
    this.id = id
    const { sockets, random } = home.ports
    this.#latch = new Latch(sockets)
    this.sender = new RtpSender(random)
    this.#port = new StreamPort(this, false)
    this.#port.socket = sockets.open(local, dscp, this.#port)
    this.sender.bind(this.#port.socket)
    this.#portRtcp = localRtcp === null ? null : new StreamPort(this, true)
    if (this.#portRtcp !== null && localRtcp !== null) {
      this.#portRtcp.socket = sockets.open(localRtcp, dscp, this.#portRtcp)
    }
  }

  /** A socket is bound. */
  onBound(): void {
    if (this.state !== 'opening' || !this.#port.bound || this.#portRtcp?.bound === false) return
    this.#enter('open')
    this.#home.report({ report: 'opened', stream: this.id })
  }

  /** A socket is gone, so the stream is. */
  onSocketError(reason: string): void {
    if (this.state === 'closed') return
    const opening = this.state === 'opening'
    const facts = this.facts()
    this.close()
    if (opening) this.#home.report({ report: 'openFailed', stream: this.id, reason })
    else this.#home.report({ report: 'closed', stream: this.id, facts })
  }

  /** Takes settings over, as a whole. */
  set(settings: StreamSettings): void {
    const first = this.settings === null
    const received = this.settings?.receives === true
    this.settings = settings
    if (this.#formatsChanged(settings.payloads)) {
      this.#formats = formatTable(settings.payloads)
      for (const listener of this.listeners) listener.#map = null
      this.#map = null
    }
    this.#latch.set(settings)
    this.sender.destination = this.#latch.destination
    this.#unprotect(settings.protectIn)
    this.sender.protect(settings.protectOut)
    this.#hear(settings.source)
    if (first || (settings.receives && !received)) this.#activeMs = this.#home.ports.clock.now()
    this.#watchSilence()
  }

  block(media: boolean, dtmf: boolean): void {
    this.#blocksMedia = media
    this.#blocksDtmf = dtmf
  }

  /** A datagram on the RTP port: RTP, and with mux RTCP, STUN and DTLS (RFC 7983 §7). Hot path. */
  receive(bytes: Buffer, octets: number, source: MediaSource): void {
    if (this.settings === null) return
    const first = octets < 2 ? 0 : (bytes[0] as number)
    if (first < 128 || first > 191) {
      this.#drops.add('MEDIA_MALFORMED')
      return
    }
    const second = bytes[1] as number
    if (second >= 192 && second <= 223) this.receiveRtcp(bytes, octets, source)
    else this.#receiveRtp(bytes, octets, source)
  }

  /** RTCP, on its own port or the other's. */
  receiveRtcp(_bytes: Buffer, _octets: number, _source: MediaSource): void {
    if (this.settings === null) return
  }

  #receiveRtp(bytes: Buffer, octets: number, source: MediaSource): boolean {
    const settings = this.settings as StreamSettings
    if (octets > PACKET_OCTETS_MAX) return this.#refuse('MEDIA_OVERSIZED')
    if (octets < 12) return this.#refuse('MEDIA_MALFORMED')
    const nowMs = this.#home.ports.clock.now()
    const known = this.#latch.accepts(source, nowMs)
    if (!known && (!settings.receives || !this.#latch.mayLearn(source, nowMs))) return this.#refuse('MEDIA_SOURCE')
    if (!settings.receives) return this.#refuse('MEDIA_HELD')
    const format = this.#formats[(bytes[1] as number) & 0x7f] as PayloadFormat | null
    if (format === null) return this.#refuse('MEDIA_PAYLOAD')
    if (!this.#withinRate(nowMs)) return this.#refuse('MEDIA_RATE_MAX')
    const context = this.#contextIn
    if (context !== null) {
      octets = context.unprotectRtp(bytes, octets)
      if (octets < 0) return this.#refuse(context.refusal === '' ? 'MEDIA_AUTH' : context.refusal)
    }
    const offset = rtpPayloadOffset(bytes, octets)
    if (offset < 0) return this.#refuse('MEDIA_MALFORMED')
    if (!known) this.#learn(source, nowMs)
    const payloadOctets = rtpPayloadEnd(bytes, octets) - offset
    this.#packets++
    this.#octets += octets
    this.#receivedMs = nowMs
    this.#encoding = format.encoding
    const reception = this.#statistics.receive(bytes, nowMs, format.clockRate, payloadOctets)
    if (reception === 'duplicate') return this.#refuse('MEDIA_DUPLICATE')
    if (reception === 'jump') return this.#refuse('MEDIA_SEQUENCE')
    if (this.#timedOut) this.#watchSilence()
    this.#pass(bytes, octets, format, payloadOctets, nowMs)
    return true
  }

  #refuse(code: DropCode): false {
    this.#drops.add(code)
    return false
  }

  /** To everybody who hears this stream. */
  #pass(bytes: Buffer, octets: number, format: PayloadFormat, payloadOctets: number, nowMs: number): void {
    const event = format.encoding === TELEPHONE_EVENT
    if (event ? this.#blocksDtmf || !this.settings?.passesDtmf : this.#blocksMedia) return
    const { listeners } = this
    const last = listeners.length - 1
    if (last < 0) return
    const { payloadType, clockRate } = format
    for (let index = 0; index < last; index++) {
      // Each changes the packet, so all but one get a copy.
      const copy = Buffer.allocUnsafe(octets + 160)
      bytes.copy(copy, 0, 0, octets)
      ;(listeners[index] as Stream).#relay(this, copy, octets, payloadType, clockRate, payloadOctets, event, nowMs)
    }
    ;(listeners[last] as Stream).#relay(this, bytes, octets, payloadType, clockRate, payloadOctets, event, nowMs)
  }

  /** Sends on what came in on `from`. */
  #relay(
    from: Stream,
    bytes: Buffer,
    octets: number,
    payloadType: number,
    clockRate: number,
    payloadOctets: number,
    event: boolean,
    nowMs: number,
  ): void {
    const settings = this.settings as StreamSettings
    if (!settings.sends) return
    this.#map ??= payloadMap(from.settings?.payloads ?? [], settings.payloads)
    const type = this.#map[payloadType] as number
    if (type < 0) return
    if (rtpSsrc(bytes) === this.sender.outgoing.ssrc) from.#drops.add('MEDIA_LOOP')
    else this.sender.relay(bytes, octets, type, clockRate, payloadOctets, event, nowMs)
  }

  facts(): StreamFacts {
    const source = this.#statistics.current
    const received: DirectionFacts = {
      packets: this.#packets,
      octets: this.#octets,
      lost: this.#statistics.lost,
      jitterMs: source === null ? -1 : source.jitterMs,
      roundTripMs: -1,
      mos: -1,
      encoding: this.#encoding,
    }
    const sent: DirectionFacts = {
      packets: this.sender.packets,
      octets: this.sender.octets,
      lost: -1,
      jitterMs: -1,
      roundTripMs: -1,
      mos: -1,
      encoding: this.sender.encoding,
    }
    const silentMs = this.#receivedMs < 0 ? -1 : this.#home.ports.clock.now() - this.#receivedMs
    return { received, sent, remote: this.#latch.remote, dropped: this.#drops.facts(), silentMs }
  }

  /** Closes the sockets and lets go of everybody. Reports nothing. */
  close(): void {
    if (this.state === 'closed') return
    this.#enter('closed')
    this.#home.ports.clock.cancel(this.#silence)
    this.#port.socket?.close()
    this.#portRtcp?.socket?.close()
    this.#unhear()
    // What they sent from here ends; the control says what they send instead.
    for (const listener of [...this.listeners]) listener.#unhear()
    this.#home.forget(this)
  }

  onTimer(_name: string): void {
    const settings = this.settings
    if (settings === null || this.state === 'closed') return
    const initial = this.#receivedMs < this.#activeMs
    const limitMs = initial ? settings.timeoutInitialMs : settings.timeoutMs
    if (limitMs <= 0) return
    const leftMs = Math.max(this.#receivedMs, this.#activeMs) + limitMs - this.#home.ports.clock.now()
    if (leftMs > 0) {
      this.#home.ports.clock.arm(this.#silence, 'silence', leftMs)
      return
    }
    this.#timedOut = true
    this.#home.report({ report: 'timeout', stream: this.id, initial })
  }

  /** Another stream opened under a number that this one wants to hear. */
  onStreamOpened(): void {
    if (this.settings !== null && this.#heard === null) this.#hear(this.settings.source)
  }

  #watchSilence(): void {
    const { clock } = this.#home.ports
    const settings = this.settings as StreamSettings
    this.#timedOut = false
    const initial = this.#receivedMs < this.#activeMs
    const limitMs = initial ? settings.timeoutInitialMs : settings.timeoutMs
    if (!settings.receives || limitMs <= 0) {
      clock.cancel(this.#silence)
      return
    }
    const since = Math.max(this.#receivedMs, this.#activeMs)
    clock.arm(this.#silence, 'silence', Math.max(0, since + limitMs - clock.now()))
  }

  #learn(source: MediaSource, nowMs: number): void {
    const moved = this.#latch.learn(source, nowMs)
    this.sender.destination = this.#latch.destination
    const remote = this.#latch.remote
    if (moved && remote !== null) this.#home.report({ report: 'latched', stream: this.id, remote })
  }

  #withinRate(nowMs: number): boolean {
    if (nowMs - this.#windowMs >= 1_000) {
      this.#windowMs = nowMs
      this.#windowPackets = 0
    }
    return ++this.#windowPackets <= PACKETS_PER_S_MAX
  }

  #unprotect(keys: SrtpKeys | null): void {
    if (sameSrtpKeys(this.#keysIn, keys)) return
    this.#keysIn = keys
    this.#contextIn = keys === null ? null : new SrtpContext(keys)
  }

  #formatsChanged(payloads: readonly PayloadFormat[]): boolean {
    const table = formatTable(payloads)
    return table.some((format, index) => {
      const before = this.#formats[index] as PayloadFormat | null
      if (format === null || before === null) return format !== before
      return format.encoding !== before.encoding || format.clockRate !== before.clockRate
    })
  }

  #hear(source: Source): void {
    const heard = source.kind === 'stream' ? this.#home.stream(source.stream) : null
    if (source.kind === 'stream' && heard === null) this.#home.awaitStream(this, source.stream)
    if (heard === this.#heard) return
    this.#unhear()
    if (heard === null || heard.listeners.length >= LISTENERS_MAX) return
    this.#heard = heard
    heard.listeners.push(this)
    this.sender.outgoing.switchSource()
  }

  #unhear(): void {
    const heard = this.#heard
    if (heard === null) return
    this.#heard = null
    this.#map = null
    const at = heard.listeners.indexOf(this)
    if (at >= 0) heard.listeners.splice(at, 1)
  }

  #enter(next: StreamState): void {
    assert(NEXT[this.state].includes(next), `${this.state} -> ${next}`)
    this.state = next
  }
}
