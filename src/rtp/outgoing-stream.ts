// Hot path. One outgoing stream whose source changes: one SSRC, sequence and timestamps without a jump (RFC 3550 §5.1, RFC 7160).

import {
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  SEQUENCE_SPACE,
  sequenceDistance,
  setRtpMarker,
  setRtpSequence,
  setRtpSsrc,
  setRtpTimestamp,
  timestampDistance,
  writeRtpHeader,
} from '#rtp/rtp-packet.ts'
import { DROPOUT_MAX, MISORDER_MAX } from '#rtp/source-statistics.ts'

const NO_SSRC = -1
/** A source's timestamp may be this far ahead of the clock before it counts as a jump. */
const TIMESTAMP_AHEAD_MS_MAX = 2000
/** What is taken as the duration of a packet lies below this. */
const PACKET_MS_MAX = 200
/** Ticks further apart than this belong to two playbacks. */
const STANDSTILL_MS = 1000
/**
 * What passed by (see {@link OutgoingStream.passed}) is counted, but packets that were lost before it are not: another source
 * goes on this much further, so that its numbers are new. A thirty-second of what passed, within these bounds.
 */
const PASSED_LOST_SHARE = 32
const PASSED_LOST_MIN = 16
const PASSED_LOST_MAX = 1000
/** Assumed before two packets of one source have told. */
const PACKET_MS_DEFAULT = 20

/** What goes out to one party. `relay`, `tick` and `write` allocate nothing. */
export class OutgoingStream {
  ssrc: number
  /** Sent packets, and payload octets, as sender reports count them (§6.4.1). */
  packets = 0
  octets = 0
  /** The highest sequence number sent, and how often it wrapped, times 2^16. */
  sequence: number
  cycles = 0
  /** The newest timestamp sent, and when, in milliseconds of the clock. */
  timestamp: number
  timestampMs = 0
  /** In hertz, of what was last sent. */
  clockRate = 8000
  /** How often another source took over. */
  switches = 0
  #inSsrc = NO_SSRC
  #inSequence = 0
  #inTimestamp = 0
  #sequenceOffset = 0
  #timestampOffset = 0
  /** The first sequence number that the present source was sent with. */
  #firstSequence = 0
  #formerSsrc = NO_SSRC
  #formerSequenceOffset = 0
  #formerTimestampOffset = 0
  #formerFirstSequence = 0
  #packetUnits = 0
  #markNext = true
  #generating = false
  #tickTimestamp = 0
  #tickMs = 0
  #tickRate = 8000
  /** Packets that passed by since the last one that was sent here. */
  #passed = 0

  /** Starts at random numbers, as §5.1 asks; the caller draws them. Sequence numbers below 2^15 suit SRTP (RFC 3711 §3.3.1). */
  constructor(ssrc: number, sequence: number, timestamp: number) {
    this.ssrc = ssrc
    this.sequence = (sequence - 1) & 0xffff
    this.timestamp = timestamp >>> 0
  }

  /**
   * Rewrites SSRC, sequence number and timestamp of a received packet, which passed `rtpPayloadOffset`, in place. `event`
   * says that the payload is a telephone-event, whose timestamp stands still. False: it must not be sent, for it is from
   * before the source took over, and its number is another packet's. `octets` are those of the payload as sent.
   */
  relay(bytes: Uint8Array, nowMs: number, clockRate: number, octets: number, event: boolean): boolean {
    const ssrc = rtpSsrc(bytes)
    const inSequence = rtpSequence(bytes)
    const inTimestamp = rtpTimestamp(bytes)
    if (this.#passed > 0 && this.#inSsrc !== NO_SSRC && !this.#generating) this.#resume(ssrc, inSequence, inTimestamp)
    else if (ssrc !== this.#inSsrc || this.#generating) {
      if (ssrc === this.#formerSsrc && !this.#generating) {
        const late = (inSequence + this.#formerSequenceOffset) & 0xffff
        const before = sequenceDistance(late, this.#firstSequence)
        if (before > 0 && before <= MISORDER_MAX) {
          return this.#relayFormer(bytes, late, inTimestamp, octets)
        }
      }
      this.#adopt(ssrc, inSequence, inTimestamp, nowMs, clockRate)
    } else {
      const step = sequenceDistance(this.#inSequence, inSequence)
      if (step >= DROPOUT_MAX || step <= -MISORDER_MAX) this.#adopt(ssrc, inSequence, inTimestamp, nowMs, clockRate)
      else if (step > 0) {
        if (!event) this.#follow(inTimestamp, step, nowMs, clockRate)
        this.#inSequence = inSequence
      } else if (sequenceDistance(this.#firstSequence, (inSequence + this.#sequenceOffset) & 0xffff) < 0) return false
    }
    const sequence = (inSequence + this.#sequenceOffset) & 0xffff
    const timestamp = (inTimestamp + this.#timestampOffset) >>> 0
    setRtpSsrc(bytes, this.ssrc)
    setRtpSequence(bytes, sequence)
    setRtpTimestamp(bytes, timestamp)
    if (this.#markNext && !event) {
      this.#markNext = false
      setRtpMarker(bytes, true)
    }
    this.#sent(sequence, timestamp, nowMs, clockRate, octets, !event)
    return true
  }

  /**
   * The timestamp of the tick that begins now, for packets that we make: to be called once for each tick of `units`
   * timestamp units, whether a packet is sent in it or not. The first after another source, or after a standstill, follows
   * what was sent last as the clock says.
   */
  tick(units: number, nowMs: number, clockRate: number): number {
    let timestamp = this.#tickTimestamp
    const standstill = Math.abs(nowMs - this.#tickMs) > STANDSTILL_MS
    if (!this.#generating || clockRate !== this.#tickRate || standstill) timestamp = this.#continued(nowMs, clockRate)
    if (!this.#generating) {
      this.#markNext = true
      this.#skipPassed()
      if (this.packets > 0) this.switches += 1
    }
    this.#generating = true
    this.#tickTimestamp = (timestamp + units) >>> 0
    this.#tickMs = nowMs
    this.#tickRate = clockRate
    return timestamp
  }

  /**
   * Writes the header of a packet that we make, and gives where the payload goes. `timestamp` is of {@link tick}, of this
   * tick or (telephone-events) of an earlier one. The marker is set when `marker` is, and on the first packet after the
   * source changed.
   */
  write(
    target: Uint8Array,
    payloadType: number,
    marker: boolean,
    timestamp: number,
    nowMs: number,
    clockRate: number,
    octets: number,
  ): number {
    const sequence = (this.sequence + 1) & 0xffff
    const mark = marker || this.#markNext
    this.#markNext = false
    this.#sent(sequence, timestamp, nowMs, clockRate, octets, true)
    return writeRtpHeader(target, payloadType, mark, sequence, timestamp, this.ssrc)
  }

  /** The next packet is of another source, though its SSRC may be the same (re-INVITE, playback, conversion). */
  switchSource(): void {
    this.#inSsrc = NO_SSRC
    this.#formerSsrc = NO_SSRC
    this.#generating = false
    this.#markNext = true
  }

  /**
   * The first packet of all goes out as it is, and what follows of its source too (see {@link isUnchanged}). To be called
   * before {@link relay}, and only while nothing was sent.
   */
  beginAs(bytes: Uint8Array): void {
    this.ssrc = rtpSsrc(bytes)
    this.sequence = (rtpSequence(bytes) - 1) & 0xffff
    this.timestamp = rtpTimestamp(bytes)
  }

  /** Whether what comes from the present source goes out with the SSRC, sequence numbers and timestamps that it came with. */
  get isUnchanged(): boolean {
    return (
      this.packets > 0 &&
      this.#inSsrc === this.ssrc &&
      !this.#generating &&
      (this.#sequenceOffset & 0xffff) === 0 &&
      (this.#timestampOffset | 0) === 0
    )
  }

  /** Packets of the present source reached the far side {@link isUnchanged unchanged} by another way; `octets` are of payload. */
  passed(packets: number, octets: number): void {
    if (packets <= 0) return
    this.packets += packets
    this.octets += octets
    this.#passed += packets
    this.#advance(packets)
  }

  /** Another SSRC, after a collision (§8.2); counts begin anew (§6.4.1). */
  changeSsrc(ssrc: number): void {
    this.ssrc = ssrc
    this.packets = 0
    this.octets = 0
  }

  /** The timestamp that a sample of this moment has (§6.4.1). */
  timestampAt(nowMs: number): number {
    return (this.timestamp + Math.round(((nowMs - this.timestampMs) * this.clockRate) / 1000)) >>> 0
  }

  /** The SSRC that is relayed now, as the source chose it; −1 none. */
  get relayedSsrc(): number {
    return this.#generating ? NO_SSRC : this.#inSsrc
  }

  /** The timestamp that the relayed source's `timestamp` goes out with. */
  mapTimestamp(timestamp: number): number {
    return (timestamp + this.#timestampOffset) >>> 0
  }

  /** The sequence number (16 bits) that the relayed source gave to what went out with `sequence`. */
  unmapSequence(sequence: number): number {
    return (sequence - this.#sequenceOffset) & 0xffff
  }

  /** The extended highest sequence number sent. */
  get extendedHighest(): number {
    return (this.cycles + this.sequence) % 2 ** 32
  }

  #adopt(ssrc: number, inSequence: number, inTimestamp: number, nowMs: number, clockRate: number): void {
    this.#skipPassed()
    // What was made after the former source has taken the numbers of what may still come of it.
    this.#formerSsrc = this.#generating || this.#inSsrc === ssrc ? NO_SSRC : this.#inSsrc
    this.#formerSequenceOffset = this.#sequenceOffset
    this.#formerTimestampOffset = this.#timestampOffset
    this.#formerFirstSequence = this.#firstSequence
    this.#inSsrc = ssrc
    this.#inSequence = inSequence
    this.#inTimestamp = inTimestamp
    this.#generating = false
    this.#firstSequence = (this.sequence + 1) & 0xffff
    this.#sequenceOffset = this.#firstSequence - inSequence
    this.#timestampOffset = timestampDistance(inTimestamp, this.#continued(nowMs, clockRate))
    this.#markNext = true
    if (this.packets > 0) this.switches += 1
  }

  /** The source went on unchanged while its packets passed by: nobody knows better than it where it is. */
  #resume(ssrc: number, inSequence: number, inTimestamp: number): void {
    this.#passed = 0
    this.ssrc = ssrc
    this.#inSsrc = ssrc
    this.#formerSsrc = NO_SSRC
    this.#inSequence = inSequence
    this.#inTimestamp = inTimestamp
    this.#firstSequence = inSequence
    this.sequence = (inSequence - 1) & 0xffff
    this.timestamp = inTimestamp
  }

  #skipPassed(): void {
    if (this.#passed === 0) return
    const lost = Math.trunc(this.#passed / PASSED_LOST_SHARE)
    this.#advance(Math.min(PASSED_LOST_MAX, Math.max(PASSED_LOST_MIN, lost)))
    this.#passed = 0
  }

  #advance(packets: number): void {
    const sequence = this.sequence + packets
    this.cycles += sequence - (sequence % SEQUENCE_SPACE)
    this.sequence = sequence % SEQUENCE_SPACE
  }

  /** Keeps the time base when a source that goes on changes its own. */
  #follow(inTimestamp: number, step: number, nowMs: number, clockRate: number): void {
    const ahead = timestampDistance(this.#inTimestamp, inTimestamp)
    const elapsed = ((nowMs - this.timestampMs) * clockRate) / 1000
    if (ahead < 0 || ahead > elapsed + (TIMESTAMP_AHEAD_MS_MAX * clockRate) / 1000) {
      this.#timestampOffset = timestampDistance(inTimestamp, this.#continued(nowMs, clockRate))
      this.#markNext = true
    } else if (step === 1 && ahead > 0 && ahead * 1000 <= PACKET_MS_MAX * clockRate) this.#packetUnits = ahead
    this.#inTimestamp = inTimestamp
  }

  #relayFormer(bytes: Uint8Array, sequence: number, inTimestamp: number, octets: number): boolean {
    if (sequenceDistance(this.#formerFirstSequence, sequence) < 0) return false
    setRtpSsrc(bytes, this.ssrc)
    setRtpSequence(bytes, sequence)
    setRtpTimestamp(bytes, (inTimestamp + this.#formerTimestampOffset) >>> 0)
    this.packets += 1
    this.octets += octets
    return true
  }

  /** The timestamp of what follows the last packet: as late as the clock says, and at least a packet later. */
  #continued(nowMs: number, clockRate: number): number {
    if (this.packets === 0) return this.timestamp
    const least =
      clockRate === this.clockRate && this.#packetUnits > 0 ? this.#packetUnits : (PACKET_MS_DEFAULT * clockRate) / 1000
    const elapsed = Math.round(((nowMs - this.timestampMs) * clockRate) / 1000)
    return (this.timestamp + Math.max(least, elapsed)) >>> 0
  }

  /** Counts a packet. `isClock`: time goes on with its timestamp; a relayed event may have a rate of its own, and an older one. */
  #sent(sequence: number, timestamp: number, nowMs: number, clockRate: number, octets: number, isClock: boolean): void {
    if (sequenceDistance(this.sequence, sequence) > 0) {
      if (sequence < this.sequence) this.cycles += SEQUENCE_SPACE
      this.sequence = sequence
    }
    const isFirst = this.packets === 0
    this.packets += 1
    this.octets += octets
    if (!isClock && !isFirst) return
    if (clockRate !== this.clockRate) {
      this.clockRate = clockRate
      this.#packetUnits = 0
    }
    if (isFirst || timestampDistance(this.timestamp, timestamp) > 0) {
      this.timestamp = timestamp
      this.timestampMs = nowMs
    }
  }
}
