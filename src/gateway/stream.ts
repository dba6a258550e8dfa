// One stream of the data plane: its sockets, who may send to it, what becomes of its packets, when it was silent too long. Hot path.

import { assert } from '#core/assert.ts'
import { Timer } from '#core/clock.ts'
import type { RelaySide } from '#core/kernel-relay.ts'
import {
  type MediaDestination,
  type MediaSink,
  type MediaSocket,
  type MediaSource,
  sameHost,
} from '#core/media-sockets.ts'
import type { Endpoint } from '#core/net.ts'
import { type SrtpKeys, sameSrtpKeys } from '#core/srtp-keys.ts'
import type { FaxTone } from '#gateway/audio/fax-tone-detector.ts'
import { convertG711 } from '#gateway/audio/g711.ts'
import { AudioInput } from '#gateway/audio-input.ts'
import { type DropCode, DropCounts } from '#gateway/drop-counts.ts'
import { isPlain, KERNEL_SETTLED_MS, type KernelEntry, type KernelLeg, samePayloads } from '#gateway/kernel-path.ts'
import { Latch } from '#gateway/latch.ts'
import {
  type FormatTable,
  formatTable,
  isAudio,
  isG711,
  PAYLOAD_CONVERT,
  PAYLOAD_EVENT,
  payloadMap,
  TELEPHONE_EVENT,
} from '#gateway/payload-map.ts'
import type {
  DirectionFacts,
  PayloadFormat,
  Segment,
  Source,
  StreamFacts,
  StreamId,
  StreamSettings,
} from '#gateway/plane.ts'
import { PcapRecording, type Recording, WavRecording } from '#gateway/recording.ts'
import { type PacketTap, RtpSender } from '#gateway/rtp-sender.ts'
import type { StreamHome } from '#gateway/stream-home.ts'
import { StreamReports } from '#gateway/stream-reports.ts'
import { StreamSound } from '#gateway/stream-sound.ts'
import { StreamWebrtc, type WebrtcSink } from '#gateway/stream-webrtc.ts'
import { mouthToEarMs, quality } from '#rtp/quality.ts'
import { ReceiveStatistics } from '#rtp/receive-statistics.ts'
import { rtpMarker, rtpPayloadEnd, rtpPayloadOffset, rtpSsrc, rtpTimestamp } from '#rtp/rtp-packet.ts'
import { SrtpContext } from '#rtp/srtp-context.ts'
import { TelephoneEventReceiver, type TelephoneEventSink } from '#rtp/telephone-event-receiver.ts'

/** A larger datagram is no audio of anybody's: the MTU of Ethernet and what tunnels save. */
export const PACKET_OCTETS_MAX = 1_500
/** Packets taken in one second: 10 ms packets ten times over. More is a flood or a loop. */
export const PACKETS_PER_S_MAX = 1_000
/** So long after somebody last listened, decoding ends. */
const INPUT_UNUSED_MS = 1_000
/** Somebody who was heard within this speaks. */
const SPEAKS_MS = 1_000
/** Octets of IP and UDP headers, by address family, in what the kernel counts; and of RTP's fixed header. */
const TRANSPORT_OCTETS: Readonly<Record<4 | 6, number>> = { 4: 28, 6: 48 }
const RTP_OCTETS = 12
/** Our SSRC changes once in so long: ten of the longest intervals of RTCP (RFC 3550 §8.2). */
const COLLISION_MS = 75_000
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
    try {
      if (this.#rtcp) this.#stream.receiveRtcp(bytes, octets, source)
      else this.#stream.receive(bytes, octets, source)
    } catch (error) {
      this.#stream.onFault(error)
    }
  }

  onBound(local: Endpoint): void {
    this.bound = true
    this.#stream.onBound(this.#rtcp ? null : local)
  }

  onSocketError(reason: string): void {
    this.socket = null
    this.#stream.onSocketError(reason)
  }
}

/** A stream. Orders come from the plane, packets from the sockets. */
export class Stream implements PacketTap, TelephoneEventSink, WebrtcSink, KernelLeg {
  readonly id: StreamId
  state: StreamState = 'opening'
  settings: StreamSettings | null = null
  readonly sender: RtpSender
  /** Who hears what comes in here. Kept by the listeners themselves. */
  readonly listeners: Stream[] = []
  kernelEntry: KernelEntry | null = null
  kernelAttempts = 0
  readonly packetsPerSMax = PACKETS_PER_S_MAX
  readonly #dscp: number
  readonly #home: StreamHome
  readonly #latch: Latch
  readonly #port: StreamPort
  readonly #portRtcp: StreamPort | null
  readonly #drops = new DropCounts()
  readonly #statistics = new ReceiveStatistics()
  #formats: FormatTable = NO_FORMATS
  /** Keys are awaited from DTLS: nothing passes. */
  #locked = false
  #keysIn: SrtpKeys | null = null
  #contextIn: SrtpContext | null = null
  #packets = 0
  #octets = 0
  #encoding = ''
  #receivedMs = Number.NEGATIVE_INFINITY
  #activeMs = 0
  /** When something of the stream last changed. */
  #changedMs = 0
  #timedOut = false
  /** The clock rate of the last speech; 0 none yet. */
  #audioRate = 0
  #collidedMs = Number.NEGATIVE_INFINITY
  #windowMs = 0
  #windowPackets = 0
  #blocksMedia = false
  #blocksDtmf = false
  /** What comes in is made silence for those who hear it. */
  #silences = false
  #silenceFrame = new Int16Array(0)
  /** What we send is taken from this stream. */
  #heard: Stream | null = null
  #map: Int8Array | null = null
  readonly #silence = new Timer(this)
  /** What only some streams need, made when it is needed. */
  #input: AudioInput | null = null
  #sound: StreamSound | null = null
  #events: TelephoneEventReceiver | null = null
  #eventType = -1
  readonly #faxTones = new Set<FaxTone>()
  #recording: Recording | null = null
  #recordingFile: string | null = null
  #webrtc: StreamWebrtc | null = null
  #reports: StreamReports | null = null
  /** Whom ICE has nominated. */
  #chosen: MediaDestination | null = null
  #remoteRtcp: MediaDestination | null = null
  #local: Endpoint

  constructor(home: StreamHome, id: StreamId, local: Endpoint, localRtcp: Endpoint | null, dscp: number) {
    this.#home = home
    this.id = id
    this.#local = local
    this.#dscp = dscp
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

  /** A socket is bound; `local` is RTP's. */
  onBound(local: Endpoint | null): void {
    if (local !== null) this.#local = local
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

  /** One of our own invariants is broken: the stream ends, and no other. */
  onFault(error: unknown): void {
    this.#home.fault(this, error)
  }

  /** Takes settings over, as a whole. */
  set(settings: StreamSettings): void {
    this.#changes()
    this.kernelAttempts = 0
    const first = this.settings === null
    const received = this.settings?.receives === true
    this.settings = settings
    if (this.#formatsChanged(settings.payloads)) {
      this.#formats = formatTable(settings.payloads)
      this.#faxTones.clear()
      for (const listener of this.listeners) listener.#map = null
      this.#map = null
      this.#input?.setFormats(this.#formats)
    }
    this.#latch.set(settings)
    this.#secure(settings)
    this.#address(settings)
    this.#setRtcp(settings)
    this.#hear(settings.source)
    if (settings.datagrams) this.#sound?.convert(false)
    if (settings.source.kind === 'room') this.#soundOf().enterRoom(this.#home.room(settings.source.room))
    else this.#sound?.enterRoom(null)
    if (settings.listensForTones || this.#sound !== null) this.#soundOf().onSettings()
    if (first || (settings.receives && !received)) this.#activeMs = this.#home.ports.clock.now()
    this.#watchSilence()
  }

  block(media: boolean, dtmf: boolean, silences: boolean): void {
    this.#changes()
    this.#silences = silences
    this.#blocksMedia = media
    this.#blocksDtmf = dtmf
  }

  play(play: number, segments: readonly Segment[], repeat: number, durationMs: number): void {
    this.#changes()
    if (this.settings !== null) this.#soundOf().play(play, segments, repeat, durationMs)
  }

  stopPlay(play: number): void {
    this.#sound?.stopPlay(play)
  }

  /** Records into that file, or no more; of the file that is written already it only says whether that pauses. */
  record(file: string | null, format: 'wav' | 'pcap', paused: boolean): void {
    this.#changes()
    const before = this.#recording
    if (before !== null && file === this.#recordingFile) {
      before.paused = paused
      return
    }
    this.#recording = null
    this.#recordingFile = file
    this.sender.tap = null
    this.#sound?.record(null)
    before?.close()
    const { files } = this.#home.ports
    if (file === null || files === null) return
    const sink = { onFileError: (): void => this.record(null, format, false) }
    const recording = format === 'wav' ? new WavRecording(files, file, sink) : new PcapRecording(files, file, sink)
    recording.paused = paused
    this.#recording = recording
    if (recording.paced) this.#soundOf().record(recording)
    else this.sender.tap = this
  }

  /** A datagram on the RTP port: RTP, and with mux RTCP, STUN and DTLS (RFC 7983 §7). Hot path. */
  receive(bytes: Buffer, octets: number, source: MediaSource): void {
    if (this.settings === null) return
    if (this.settings.datagrams) {
      this.#receiveDatagram(this.settings, bytes, octets, source)
      return
    }
    const first = octets < 2 ? 0 : (bytes[0] as number)
    if (first < 128 || first > 191) {
      this.#receiveOther(bytes, octets, source, first)
      return
    }
    const second = bytes[1] as number
    if (second >= 192 && second <= 223) this.receiveRtcp(bytes, octets, source)
    else this.#receiveRtp(bytes, octets, source)
  }

  /** RTCP, on its own port or the other's. */
  receiveRtcp(bytes: Buffer, octets: number, source: MediaSource): void {
    if (this.settings === null || this.#reports === null || this.settings.datagrams) return
    const nowMs = this.#home.ports.clock.now()
    // Whoever may send RTP may send RTCP, from any port of the same host: it has one of its own (RFC 3550 §11).
    const remote = this.#latch.destination
    if (remote === null || !sameHost(remote.source, source)) this.#drops.add('MEDIA_SOURCE')
    else if (octets > PACKET_OCTETS_MAX) this.#drops.add('MEDIA_OVERSIZED')
    else if (!this.#withinRate(nowMs)) this.#drops.add('MEDIA_RATE_MAX')
    else if (this.#locked) this.#drops.add('MEDIA_UNPROTECTED')
    else this.#takeRtcp(this.#reports, bytes, octets)
  }

  #takeRtcp(reports: StreamReports, bytes: Buffer, octets: number): void {
    const context = this.#contextIn
    if (context !== null) {
      octets = context.unprotectRtcp(bytes, octets)
      if (octets < 0) {
        this.#drops.add(context.refusal === '' ? 'MEDIA_AUTH' : context.refusal)
        return
      }
    }
    if (reports.receive(bytes, octets)) this.#passRtcp(bytes, octets)
    else this.#drops.add('MEDIA_MALFORMED')
  }

  /** Between two parties whose packets are only relayed, reports are theirs: losses and round trip are those of the whole way. */
  #passRtcp(bytes: Buffer, octets: number): void {
    const peer = this.#heard
    if (peer === null || peer === this || !this.#relays(peer) || !peer.#relays(this)) return
    const back = this.sender.outgoing
    const backSource = peer.#statistics.source(back.relayedSsrc)
    peer.#reports?.pass(bytes, octets, { toward: peer.sender.outgoing, back, backSource })
  }

  /** Whether what comes from `from`, and nothing else, goes to the far side as it is. */
  #relays(from: Stream): boolean {
    const sound = this.#sound
    return this.#heard === from && from.listeners.length === 1 && sound?.converts !== true && sound?.speaks !== true
  }

  /** STUN and DTLS (RFC 7983 §7); everything else is junk. */
  #receiveOther(bytes: Buffer, octets: number, source: MediaSource, first: number): void {
    const nowMs = this.#home.ports.clock.now()
    const webrtc = this.#webrtc
    if (webrtc === null || octets < 2) this.#drops.add('MEDIA_MALFORMED')
    else if (!this.#withinRate(nowMs)) this.#drops.add('MEDIA_RATE_MAX')
    else if (first <= 3) {
      if (!webrtc.onStun(bytes, octets, source)) this.#drops.add('MEDIA_MALFORMED')
    } else if (first < 20 || first > 63) this.#drops.add('MEDIA_MALFORMED')
    else if (!this.#latch.accepts(source, nowMs) && !this.#latch.mayLearn(source, nowMs)) {
      this.#drops.add('MEDIA_SOURCE')
    } else {
      // The handshake may be all that comes for a while: it is answered to where it comes from.
      if (!this.#latch.accepts(source, nowMs)) this.#learn(source, nowMs)
      if (!webrtc.onDtls(bytes, octets)) this.#drops.add('MEDIA_MALFORMED')
    }
  }

  #receiveRtp(bytes: Buffer, octets: number, source: MediaSource): boolean {
    const settings = this.settings as StreamSettings
    if (octets > PACKET_OCTETS_MAX) return this.#refuse('MEDIA_OVERSIZED')
    if (octets < 12) return this.#refuse('MEDIA_MALFORMED')
    const nowMs = this.#home.ports.clock.now()
    const known = this.#latch.accepts(source, nowMs)
    if (!known && (!settings.receives || !this.#latch.mayLearn(source, nowMs))) return this.#refuse('MEDIA_SOURCE')
    if (!settings.receives) return this.#refuse('MEDIA_HELD')
    if (this.kernelEntry !== null && known && !this.#home.kernel?.onStray(this)) return this.#refuse('MEDIA_LATE')
    const format = this.#formats[(bytes[1] as number) & 0x7f] as PayloadFormat | null
    if (format === null) return this.#refuse('MEDIA_PAYLOAD')
    if (!this.#withinRate(nowMs)) return this.#refuse('MEDIA_RATE_MAX')
    if (this.#locked) return this.#refuse('MEDIA_UNPROTECTED')
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
    if (isAudio(format)) this.#audioRate = format.clockRate
    // The timestamps of events and noise at another rate than the speech say nothing of the network.
    const clockRate = format.clockRate === this.#audioRate ? this.#audioRate : 0
    const statistics = this.#statistics
    statistics.ownSsrc = this.sender.outgoing.ssrc
    let reception = statistics.receive(bytes, nowMs, clockRate, payloadOctets)
    if (reception === 'collision') {
      if (!this.#leaveSsrc(nowMs)) return this.#refuse('MEDIA_LOOP')
      reception = statistics.receive(bytes, nowMs, clockRate, payloadOctets)
    }
    if (reception === 'duplicate') return this.#refuse('MEDIA_DUPLICATE')
    if (reception === 'jump') return this.#refuse('MEDIA_SEQUENCE')
    if (this.#timedOut) this.#watchSilence()
    if (this.#recording?.paced === false) this.#recordPacket(bytes, octets)
    if (format.encoding === TELEPHONE_EVENT) this.#receiveEvent(bytes, offset, payloadOctets, format, nowMs)
    else if (this.#input !== null) this.#feed(this.#input, bytes, offset, payloadOctets, format, nowMs)
    this.#pass(bytes, octets, format, payloadOctets, nowMs)
    return true
  }

  /** What is no RTP, such as UDPTL (T.38): latched and counted as RTP is, and passed on as it came. */
  #receiveDatagram(settings: StreamSettings, bytes: Buffer, octets: number, source: MediaSource): void {
    const nowMs = this.#home.ports.clock.now()
    const known = this.#latch.accepts(source, nowMs)
    if (octets === 0) this.#drops.add('MEDIA_MALFORMED')
    else if (octets > PACKET_OCTETS_MAX) this.#drops.add('MEDIA_OVERSIZED')
    else if (!known && (!settings.receives || !this.#latch.mayLearn(source, nowMs))) this.#drops.add('MEDIA_SOURCE')
    else if (!settings.receives) this.#drops.add('MEDIA_HELD')
    else if (!this.#withinRate(nowMs)) this.#drops.add('MEDIA_RATE_MAX')
    else if (this.#locked || this.#contextIn !== null) this.#drops.add('MEDIA_UNPROTECTED')
    else {
      if (!known) this.#learn(source, nowMs)
      this.#packets++
      this.#octets += octets
      this.#receivedMs = nowMs
      if (this.#timedOut) this.#watchSilence()
      if (this.#recording?.paced === false) this.#recordPacket(bytes, octets)
      if (this.#blocksMedia) return
      for (const listener of this.listeners) {
        const { settings: to, sender } = listener
        if (to?.datagrams && to.sends) sender.sendDatagram(bytes, octets)
      }
    }
  }

  /**
   * The far side sends with the SSRC that we chose: ours changes (RFC 3550 §8.2). Once in a while only: who goes on with each new
   * one sends us our own packets, and is a loop.
   */
  #leaveSsrc(nowMs: number): boolean {
    if (nowMs - this.#collidedMs < COLLISION_MS) return false
    this.#collidedMs = nowMs
    const { outgoing } = this.sender
    const ssrc = this.#home.ports.random.uint32()
    if (this.#reports === null) outgoing.changeSsrc(ssrc)
    else this.#reports.changeSsrc(ssrc)
    this.#statistics.ownSsrc = ssrc
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
    const sound = this.#sound
    if (sound !== null && (sound.speaks || (from.#suspectsTone && this.#takesEvents))) return
    const mapped = this.#mapOf(from)[payloadType] as number
    const type = from.#silences && !event && mapped >= 0 ? PAYLOAD_CONVERT : mapped
    if (type < 0) {
      if (type === PAYLOAD_CONVERT && !from.#silences && this.carriesFax) {
        const format = this.#faxFormat(from, payloadType)
        if (format !== null) {
          sound?.convert(false)
          const offset = rtpPayloadOffset(bytes, octets)
          const law = format.encoding === 'PCMA' ? 'PCMU' : 'PCMA'
          convertG711(law, bytes.subarray(offset, offset + payloadOctets))
          this.sender.encoding = format.encoding
          this.sender.relay(bytes, octets, format.payloadType, clockRate, payloadOctets, false, nowMs)
          return
        }
      }
      if (type === PAYLOAD_CONVERT) {
        this.#soundOf().convert(true)
        from.#openInput(nowMs)
      }
      return
    }
    if (sound !== null && !event) sound.convert(false)
    this.sender.encoding = from.#encoding
    const { outgoing } = this.sender
    if (outgoing.packets === 0 && this.#mayPassUnchanged(from, settings)) {
      outgoing.beginAs(bytes)
      this.#home.kernel?.watch(this)
    }
    if (rtpSsrc(bytes) === outgoing.ssrc && outgoing.packets > 0 && !outgoing.isUnchanged) from.#drops.add('MEDIA_LOOP')
    else this.sender.relay(bytes, octets, type, clockRate, payloadOctets, event, nowMs)
  }

  /** A fax between the two laws of G.711 passes packet by packet: the format of the other law, null when this is no such case. */
  #faxFormat(from: Stream, payloadType: number): PayloadFormat | null {
    const format = from.#formats[payloadType] ?? null
    const own = this.settings?.payloads.find(isAudio) ?? null
    return format !== null && own !== null && isG711(format) && isG711(own) ? own : null
  }

  /** Whether packets may leave as they come, so that the kernel can take over one day. */
  #mayPassUnchanged(from: Stream, settings: StreamSettings): boolean {
    if (this.#home.kernel?.available !== true || from === this || from.settings === null) return false
    return isPlain(settings) && isPlain(from.settings)
  }

  kernelPeer(nowMs: number): Stream | null {
    const peer = this.#heard
    if (peer === null || peer === this || peer.#heard !== this) return null
    if (!this.#isSettled(nowMs) || !peer.#isSettled(nowMs)) return null
    return samePayloads(this.settings?.payloads ?? [], peer.settings?.payloads ?? []) ? peer : null
  }

  /** Whether this stream passes everything on unchanged, has been heard for a while, and asks for nothing else. */
  #isSettled(nowMs: number): boolean {
    const { settings, sender } = this
    return (
      this.state === 'open' &&
      this.kernelEntry === null &&
      settings !== null &&
      isPlain(settings) &&
      this.listeners.length === 1 &&
      nowMs - this.#changedMs >= KERNEL_SETTLED_MS &&
      nowMs - this.#receivedMs < SPEAKS_MS &&
      this.#latch.isLatched &&
      sender.destination !== null &&
      sender.outgoing.isUnchanged &&
      this.#recording === null &&
      !this.#blocksMedia &&
      !this.#blocksDtmf &&
      !this.#silences &&
      this.#sound?.speaks !== true &&
      this.#events?.isActive !== true
    )
  }

  relaySide(): RelaySide {
    const remote = this.sender.destination?.endpoint ?? this.#local
    return { local: this.#local, remote, dscp: this.#dscp }
  }

  onKernelCounts(received: number, receivedOctets: number, sent: number, sentOctets: number, nowMs: number): void {
    const headers = TRANSPORT_OCTETS[this.#local.family]
    if (received > 0) {
      this.#packets += received
      this.#octets += receivedOctets - received * headers
      this.#receivedMs = nowMs
      this.#latch.hear(nowMs)
      if (this.#timedOut) this.#watchSilence()
    }
    if (sent > 0) this.sender.passed(sent, sentOctets - sent * headers, sentOctets - sent * (headers + RTP_OCTETS))
  }

  onKernelLeft(): void {
    this.#changedMs = this.#home.ports.clock.now()
    // What it sent meanwhile was not lost, though nobody here saw it.
    const source = this.#statistics.current
    if (source !== null) this.#statistics.remove(source.ssrc)
  }

  /** Something of the stream is about to change: its packets are wanted here. */
  #changes(): void {
    this.#changedMs = this.#home.ports.clock.now()
    this.#home.kernel?.leave(this)
  }

  facts(): StreamFacts {
    this.#home.kernel?.refresh(this)
    const source = this.#statistics.current
    const session = this.#reports?.session ?? null
    const roundTripMs = session?.roundTripMs ?? -1
    const { lost } = this.#statistics
    const received: DirectionFacts = {
      packets: this.#packets,
      octets: this.#octets,
      lost,
      jitterMs: source === null ? -1 : source.jitterMs,
      roundTripMs,
      mos:
        this.#packets === 0
          ? -1
          : mos(
              this.#encoding,
              lost,
              this.#packets,
              source?.pattern.burstRatio ?? 1,
              roundTripMs,
              source?.jitterMs ?? 0,
            ),
      encoding: this.#encoding,
    }
    const remoteLost = session?.remoteLost ?? -1
    const remoteJitterMs = session?.remoteJitterMs ?? -1
    const { packets, octets, encoding } = this.sender
    const sent: DirectionFacts = {
      packets,
      octets,
      lost: remoteLost,
      jitterMs: remoteJitterMs,
      roundTripMs,
      mos: remoteLost < 0 ? -1 : mos(encoding, remoteLost, packets - remoteLost, 1, roundTripMs, remoteJitterMs),
      encoding,
    }
    const silentMs = this.#receivedMs < 0 ? -1 : this.#home.ports.clock.now() - this.#receivedMs
    const talks = this.#sound?.talks
    const facts = { received, sent, remote: this.#latch.remote, dropped: this.#drops.facts(), silentMs }
    return talks === undefined ? facts : { ...facts, talks }
  }

  /** Samples per second of {@link inputFrame}. */
  get inputRate(): number {
    return this.#input?.sampleRate ?? 8_000
  }

  get heardRate(): number {
    return this.#heard?.inputRate ?? 8_000
  }

  /** The sound that came in, for this tick; null when nothing is heard. */
  inputFrame(tick: number, nowMs: number): Int16Array | null {
    return this.#openInput(nowMs).frame(tick, nowMs)
  }

  /** What the far side says to everybody else: nothing when it is blocked. */
  spokenFrame(tick: number, nowMs: number): Int16Array | null {
    if (this.#blocksMedia || this.settings?.receives !== true) return null
    const frame = this.inputFrame(tick, nowMs)
    if (frame === null || !this.#silences) return frame
    if (this.#silenceFrame.length !== frame.length) this.#silenceFrame = new Int16Array(frame.length)
    return this.#silenceFrame
  }

  /** Whether one of both ends is a fax or a modem: then nothing is made better on the way (V.152 §6). */
  get carriesFax(): boolean {
    const heard = this.#heard
    return this.#faxTones.size > 0 || (heard !== null && heard.#faxTones.size > 0)
  }

  get hearsG711(): boolean {
    return this.#heard?.settings?.payloads.find(isAudio)?.encoding.startsWith('PCM') === true
  }

  /** The far side is a fax: told once for each kind of tone. */
  onFax(tone: FaxTone): void {
    if (this.#faxTones.has(tone)) return
    this.#faxTones.add(tone)
    this.#home.report({ report: 'fax', stream: this.id, tone })
  }

  onHeardFax(tone: FaxTone): void {
    this.#heard?.onFax(tone)
  }

  /** The sound of the stream that is heard. */
  heardFrame(tick: number, nowMs: number): Int16Array | null {
    const heard = this.#heard
    const frame = heard?.spokenFrame(tick, nowMs) ?? null
    if (frame === null || heard === null || !heard.#suspectsTone || !this.#takesEvents) return frame
    return new Int16Array(frame.length)
  }

  /** Whether a digit of the far side has begun and not ended. */
  get eventIsActive(): boolean {
    return this.#events?.isActive === true
  }

  expireEvents(nowMs: number): void {
    this.#events?.expire(nowMs)
  }

  onStart(_digit: string): void {
    // The end may be lost: the beat looks after it.
    this.#soundOf().wake()
  }

  onDigit(digit: string, durationMs: number, levelDbm0: number): void {
    const { settings } = this
    if (settings?.reportsDtmf) this.#reportDigit(digit, durationMs, levelDbm0)
    if (!settings?.passesDtmf || this.#blocksDtmf) return
    for (const listener of this.listeners) {
      const converts = listener.#mapOf(this)[this.#eventType] === PAYLOAD_EVENT
      if (converts && listener.settings?.sends) listener.#soundOf().sendDigit(digit, durationMs, levelDbm0)
    }
  }

  /** A digit was heard in the audio. */
  onTone(digit: string, durationMs: number, levelDbm0: number): void {
    const { settings } = this
    if (settings?.reportsDtmf) this.#reportDigit(digit, durationMs, levelDbm0)
    if (!settings?.passesDtmf || this.#blocksDtmf) return
    for (const listener of this.listeners) {
      if (listener.#takesEvents && listener.settings?.sends) {
        listener.#soundOf().sendDigit(digit, durationMs, levelDbm0)
      }
    }
  }

  /** Sees what is sent, for a recording of packets. */
  onSent(bytes: Buffer, octets: number): void {
    const to = this.sender.destination?.endpoint ?? null
    if (to !== null) this.#recording?.onPacket(bytes, octets, this.#local, to, this.#home.ports.clock.wallMs())
  }

  get destination(): MediaDestination | null {
    return this.#latch.destination
  }

  onChosen(remote: MediaDestination | null): void {
    this.#chosen = remote
    if (remote === null) {
      this.sender.destination = null
      return
    }
    this.#changes()
    const before = this.#latch.remote
    this.#latch.choose(remote.source, this.#home.ports.clock.now())
    this.sender.destination = this.#latch.destination
    const now = this.#latch.remote
    if (now !== null && now !== before) this.#home.report({ report: 'latched', stream: this.id, remote: now })
  }

  onKeys(inbound: SrtpKeys, outbound: SrtpKeys): void {
    this.#unprotect(inbound)
    this.sender.protect(outbound)
    this.#locked = false
    this.sender.locked = false
    this.#home.report({ report: 'secured', stream: this.id })
  }

  /** Closes the sockets and lets go of everybody. Reports nothing. */
  close(): void {
    if (this.state === 'closed') return
    this.#home.kernel?.forget(this)
    this.#reports?.bye()
    this.#enter('closed')
    this.#home.ports.clock.cancel(this.#silence)
    this.#sound?.close()
    this.record(null, 'wav', false)
    this.#input?.close()
    this.#webrtc?.close()
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

  get #takesEvents(): boolean {
    return this.settings?.payloads.some((format) => format.encoding === TELEPHONE_EVENT) === true
  }

  /** Whether a digit sounds in what comes in, that others get as an event. */
  get #suspectsTone(): boolean {
    return this.#sound?.suspectsTone === true
  }

  #mapOf(from: Stream): Int8Array {
    this.#map ??= payloadMap(from.settings?.payloads ?? [], this.settings?.payloads ?? [])
    return this.#map
  }

  #soundOf(): StreamSound {
    this.#sound ??= new StreamSound(this.#home, this)
    return this.#sound
  }

  #openInput(nowMs: number): AudioInput {
    if (this.#input === null) {
      const clockRate = this.settings?.payloads[0]?.clockRate ?? 8_000
      this.#input = new AudioInput(this.#home.ports.codecs, this.#formats, clockRate, nowMs)
    }
    return this.#input
  }

  #feed(
    input: AudioInput,
    bytes: Buffer,
    offset: number,
    payloadOctets: number,
    format: PayloadFormat,
    nowMs: number,
  ): void {
    if (nowMs - input.usedMs > INPUT_UNUSED_MS) {
      this.#input = null
      input.close()
    } else input.put(bytes, offset, offset + payloadOctets, format, nowMs)
  }

  #receiveEvent(bytes: Buffer, offset: number, payloadOctets: number, format: PayloadFormat, nowMs: number): void {
    this.#input?.putOther(bytes)
    this.#eventType = format.payloadType
    this.#events ??= new TelephoneEventReceiver(this)
    const end = offset + payloadOctets
    const { clockRate } = format
    this.#events.receive(bytes, offset, end, rtpSsrc(bytes), rtpTimestamp(bytes), rtpMarker(bytes), nowMs, clockRate)
  }

  #reportDigit(digit: string, durationMs: number, levelDbm0: number): void {
    this.#home.report({ report: 'dtmf', stream: this.id, digit, ms: Math.round(durationMs), levelDbm0 })
  }

  #recordPacket(bytes: Buffer, octets: number): void {
    const from = this.#latch.remote
    if (from !== null) this.#recording?.onPacket(bytes, octets, from, this.#local, this.#home.ports.clock.wallMs())
  }

  #secure(settings: StreamSettings): void {
    if (settings.ice !== null || settings.dtls !== null) {
      const socket = this.#port.socket
      if (this.#webrtc === null && socket !== null) this.#webrtc = new StreamWebrtc(this.#home, socket, this)
    }
    const awaits = this.#webrtc?.set(settings.ice, settings.dtls) === true
    if (settings.dtls === null) {
      this.#locked = false
      this.#unprotect(settings.protectIn)
      this.sender.protect(settings.protectOut)
    } else if (awaits) this.#locked = true
    this.sender.locked = this.#locked
  }

  /** Where we send: with ICE nowhere before it has chosen (RFC 8445 §12.1), and then there whatever the description says. */
  #address(settings: StreamSettings): void {
    if (settings.ice === null) this.#chosen = null
    else if (this.#chosen !== null) this.#latch.choose(this.#chosen.source, this.#home.ports.clock.now())
    const waits = settings.ice !== null && this.#chosen === null
    this.sender.destination = waits ? null : this.#latch.destination
  }

  #setRtcp(settings: StreamSettings): void {
    const { clock, random, sockets } = this.#home.ports
    const { remoteRtcp, rtcpMux } = settings
    this.#remoteRtcp = remoteRtcp === null ? null : sockets.destination(remoteRtcp)
    if (settings.datagrams || (remoteRtcp === null && !rtcpMux)) {
      this.#reports?.stop()
      return
    }
    this.#reports ??= new StreamReports(clock, random, this.sender, this.#statistics, (bytes, octets) =>
      this.#sendRtcp(bytes, octets),
    )
    this.#reports.start()
  }

  /** To where RTCP goes: RTP's place with mux; else as signalled, at the host that was latched (RFC 7362 §4). */
  #sendRtcp(bytes: Buffer, octets: number): boolean {
    const remote = this.sender.destination
    if (remote === null || this.state === 'closed') return false
    if (this.settings?.rtcpMux) {
      this.#port.socket?.send(bytes, octets, remote)
      return true
    }
    let to = this.#remoteRtcp
    if (to === null) return false
    if (!sameHost(to.source, remote.source)) {
      const signalled = this.settings?.remote ?? null
      const moved = signalled !== null && signalled.host !== remote.endpoint.host
      // A far side behind a translator: its RTCP is the next port of where its RTP comes from.
      if (moved) to = this.#home.ports.sockets.destination({ ...remote.endpoint, port: remote.endpoint.port + 1 })
    }
    if (to === null) return false
    ;(this.#portRtcp ?? this.#port).socket?.send(bytes, octets, to)
    return true
  }

  #learn(source: MediaSource, nowMs: number): void {
    this.#changes()
    const moved = this.#latch.learn(source, nowMs)
    if (this.settings !== null) this.#address(this.settings)
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
    heard.#changes()
    this.#heard = heard
    heard.listeners.push(this)
    this.sender.outgoing.switchSource()
  }

  #unhear(): void {
    const heard = this.#heard
    if (heard === null) return
    this.#changes()
    this.#heard = null
    this.#map = null
    this.#sound?.convert(false)
    const at = heard.listeners.indexOf(this)
    if (at >= 0) heard.listeners.splice(at, 1)
  }

  #enter(next: StreamState): void {
    assert(NEXT[this.state].includes(next), `${this.state} -> ${next}`)
    this.state = next
  }
}

/** The mean opinion score of one direction (ITU-T G.107), as far as it is known. */
function mos(
  encoding: string,
  lost: number,
  received: number,
  burstRatio: number,
  roundTripMs: number,
  jitterMs: number,
): number {
  const lossRate = lost <= 0 ? 0 : lost / Math.max(1, lost + received)
  // A receiver's buffer holds about twice the jitter (G.1020), and the usual packet is 20 ms.
  const delayMs = mouthToEarMs(roundTripMs, 2 * jitterMs, 20)
  return quality({ encoding, lossRate, burstRatio, delayMs }).mos
}
