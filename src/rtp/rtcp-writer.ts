// Compound RTCP packets as we send them (RFC 3550 §6.1, §6.4–6.6, RFC 3611).

import { assert } from '#core/assert.ts'
import { type ReportBlock, RtcpType, type StatisticsSummary, type VoipMetrics, XrBlock } from '#rtp/rtcp-packet.ts'
import { writeUint32 } from '#rtp/rtp-packet.ts'

/** Octets of a compound packet that we write at most; what does not fit is left out. */
export const RTCP_OCTETS_MAX = 1200
/** Report blocks in one report (§6.4.1). */
const REPORT_BLOCKS_MAX = 31
const TEXT_OCTETS_MAX = 255

/**
 * Writes one compound packet after the other into a buffer of its own. Begin with `senderReport` or `receiverReport` and its
 * blocks, then `cname` (§6.1), then what else there is.
 */
export class RtcpWriter {
  readonly bytes = new Uint8Array(RTCP_OCTETS_MAX)
  /** Octets written. */
  length = 0
  #reportAt = -1
  #extendedAt = -1

  /** SR (§6.4.1). The packet begins anew. */
  senderReport(
    ssrc: number,
    seconds: number,
    fraction: number,
    timestamp: number,
    packets: number,
    octets: number,
  ): this {
    this.length = 0
    this.#header(RtcpType.SR, ssrc)
    this.#word(seconds).#word(fraction).#word(timestamp).#word(packets).#word(octets)
    return this.#close(this.#reportAt)
  }

  /** RR (§6.4.2), also an empty one. The packet begins anew. */
  receiverReport(ssrc: number): this {
    this.length = 0
    return this.#header(RtcpType.RR, ssrc)
  }

  /** A block of the report that was written last. */
  reportBlock(block: ReportBlock): this {
    const count = (this.bytes[this.#reportAt] as number) & 0x1f
    if (count >= REPORT_BLOCKS_MAX || !this.#fits(24)) return this
    this.bytes[this.#reportAt] = 0x80 | (count + 1)
    this.#word(block.ssrc)
    this.#word(((block.fractionLost & 0xff) << 24) | (block.cumulativeLost & 0xffffff))
    this.#word(block.extendedHighest).#word(block.jitter).#word(block.lastSr).#word(block.delaySinceLastSr)
    return this.#close(this.#reportAt)
  }

  /** SDES with the CNAME alone (§6.5.1); `cname` is latin1, cut to 255 octets. */
  cname(ssrc: number, cname: string): this {
    const length = Math.min(TEXT_OCTETS_MAX, cname.length)
    if (!this.#fits(12 + length + 4)) return this
    const at = this.length
    this.bytes[at] = 0x81
    this.bytes[at + 1] = RtcpType.SDES
    this.length += 4
    this.#word(ssrc)
    this.bytes[this.length] = 1
    this.#text(this.length + 1, cname, length)
    // §6.5: at least one null octet, up to the next word.
    this.#pad(this.length + 2 + length, (this.length + 2 + length + 4) & ~3)
    return this.#close(at)
  }

  /** BYE (§6.6); an empty reason is left out. */
  bye(ssrc: number, reason: string): this {
    const length = Math.min(TEXT_OCTETS_MAX, reason.length)
    if (!this.#fits(12 + length + 4)) return this
    const at = this.length
    this.bytes[at] = 0x81
    this.bytes[at + 1] = RtcpType.BYE
    this.length += 4
    this.#word(ssrc)
    if (length > 0) {
      this.#text(this.length, reason, length)
      this.#pad(this.length + 1 + length, (this.length + 1 + length + 3) & ~3)
    }
    return this.#close(at)
  }

  /** Begins an XR packet (RFC 3611 §2); its blocks follow. */
  extendedReport(ssrc: number): this {
    assert(this.length > 0, 'an extended report stands after a report')
    if (!this.#fits(8)) return this
    this.#extendedAt = this.length
    this.bytes[this.length] = 0x80
    this.bytes[this.length + 1] = RtcpType.XR
    this.length += 4
    return this.#word(ssrc).#close(this.#extendedAt)
  }

  /** Receiver reference time (RFC 3611 §4.4). */
  referenceTime(seconds: number, fraction: number): this {
    if (!this.#block(XrBlock.referenceTime, 0, 2)) return this
    return this.#word(seconds).#word(fraction).#close(this.#extendedAt)
  }

  /** DLRR with one sub-block (RFC 3611 §4.5). */
  delaySinceReference(ssrc: number, lastRr: number, delay: number): this {
    if (!this.#block(XrBlock.delaySinceReference, 0, 3)) return this
    return this.#word(ssrc).#word(lastRr).#word(delay).#close(this.#extendedAt)
  }

  /** Statistics summary (RFC 3611 §4.6); a −1 is flagged as not reported. */
  statisticsSummary(summary: StatisticsSummary): this {
    const hasJitter = summary.jitterMax >= 0
    const flags = (summary.lost >= 0 ? 0x80 : 0) | (summary.duplicates >= 0 ? 0x40 : 0) | (hasJitter ? 0x20 : 0)
    if (!this.#block(XrBlock.statistics, flags, 9)) return this
    this.#word(summary.ssrc).#word((summary.beginSequence << 16) | summary.endSequence)
    this.#word(Math.max(0, summary.lost)).#word(Math.max(0, summary.duplicates))
    this.#word(hasJitter ? summary.jitterMin : 0).#word(hasJitter ? summary.jitterMax : 0)
    this.#word(hasJitter ? summary.jitterMean : 0).#word(hasJitter ? summary.jitterDeviation : 0)
    return this.#word(0).#close(this.#extendedAt)
  }

  /** VoIP metrics (RFC 3611 §4.7). */
  voipMetrics(m: VoipMetrics): this {
    if (!this.#block(XrBlock.voip, 0, 8)) return this
    this.#word(m.ssrc)
    this.#octets(m.lossRate, m.discardRate, m.burstDensity, m.gapDensity)
    this.#halves(m.burstMs, m.gapMs).#halves(m.roundTripMs, m.endSystemMs)
    this.#octets(m.signalLevel, m.noiseLevel, m.residualEchoLoss, m.gmin)
    this.#octets(m.rFactor, m.externalRFactor, m.mosLq, m.mosCq)
    this.#octets(m.rxConfig, 0, 0, 0)
    this.length -= 2
    this.#half(m.jitterBufferNominalMs)
    return this.#halves(m.jitterBufferMaximumMs, m.jitterBufferAbsoluteMaximumMs).#close(this.#extendedAt)
  }

  #header(type: number, ssrc: number): this {
    this.#reportAt = this.length
    this.#extendedAt = -1
    this.bytes[this.length] = 0x80
    this.bytes[this.length + 1] = type
    this.length += 4
    return this.#word(ssrc).#close(this.#reportAt)
  }

  /** Begins an XR block of so many words; false when there is no room, or no XR packet. */
  #block(type: number, flags: number, words: number): boolean {
    if (this.#extendedAt < 0 || !this.#fits(4 + words * 4)) return false
    this.bytes[this.length] = type
    this.bytes[this.length + 1] = flags
    this.length += 2
    this.#half(words)
    return true
  }

  #fits(octets: number): boolean {
    return this.length + octets <= RTCP_OCTETS_MAX
  }

  /** Sets the length field of the packet that begins at `at` and ends here. */
  #close(at: number): this {
    const words = (this.length - at) / 4 - 1
    this.bytes[at + 2] = words >> 8
    this.bytes[at + 3] = words
    return this
  }

  #word(value: number): this {
    writeUint32(this.bytes, this.length, value)
    this.length += 4
    return this
  }

  #half(value: number): this {
    const bounded = Math.min(0xffff, Math.max(0, Math.round(value)))
    this.bytes[this.length] = bounded >> 8
    this.bytes[this.length + 1] = bounded
    this.length += 2
    return this
  }

  #halves(first: number, second: number): this {
    return this.#half(first).#half(second)
  }

  #octets(a: number, b: number, c: number, d: number): this {
    this.bytes[this.length] = a
    this.bytes[this.length + 1] = b
    this.bytes[this.length + 2] = c
    this.bytes[this.length + 3] = d
    this.length += 4
    return this
  }

  /** A length octet and the text. */
  #text(at: number, text: string, length: number): void {
    this.bytes[at] = length
    for (let i = 0; i < length; i += 1) this.bytes[at + 1 + i] = text.charCodeAt(i)
  }

  #pad(from: number, to: number): void {
    this.bytes.fill(0, from, to)
    this.length = to
  }
}
