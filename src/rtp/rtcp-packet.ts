// RTCP compound packets as they are received: check and reading (RFC 3550 §6, A.2, RFC 3611).

import { readUint32 } from '#rtp/rtp-packet.ts'

/** Packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2). */
export const RtcpType = { SR: 200, RR: 201, SDES: 202, BYE: 203, APP: 204, RTPFB: 205, PSFB: 206, XR: 207 } as const

/** Block types of extended reports (RFC 3611 §4). */
export const XrBlock = { referenceTime: 4, delaySinceReference: 5, statistics: 6, voip: 7 } as const

/** Octets of a report block (§6.4.1). */
export const REPORT_BLOCK_OCTETS = 24

/** CNAME and reason text are latin1 strings of at most 255 octets. */
const SDES_CNAME = 1
const TEXT_OCTETS_MAX = 255

/** A report block: what a participant receives of one source (§6.4.1). */
export interface ReportBlock {
  readonly ssrc: number
  /** Since the last report, of 256. */
  readonly fractionLost: number
  /** −2^23…2^23−1. */
  readonly cumulativeLost: number
  readonly extendedHighest: number
  /** In timestamp units. */
  readonly jitter: number
  readonly lastSr: number
  /** In units of 1/65536 second. */
  readonly delaySinceLastSr: number
}

/** VoIP metrics (RFC 3611 §4.7), with 127 as "unavailable" where the RFC has it. Rates and densities are of 256. */
export interface VoipMetrics {
  readonly ssrc: number
  readonly lossRate: number
  readonly discardRate: number
  readonly burstDensity: number
  readonly gapDensity: number
  readonly burstMs: number
  readonly gapMs: number
  readonly roundTripMs: number
  readonly endSystemMs: number
  /** dBm0, signed; 127 unavailable. */
  readonly signalLevel: number
  readonly noiseLevel: number
  readonly residualEchoLoss: number
  readonly gmin: number
  readonly rFactor: number
  readonly externalRFactor: number
  /** Ten times the MOS. */
  readonly mosLq: number
  readonly mosCq: number
  readonly rxConfig: number
  readonly jitterBufferNominalMs: number
  readonly jitterBufferMaximumMs: number
  readonly jitterBufferAbsoluteMaximumMs: number
}

/** A statistics summary (RFC 3611 §4.6); −1 for what is not reported. Jitter is in timestamp units. */
export interface StatisticsSummary {
  readonly ssrc: number
  readonly beginSequence: number
  readonly endSequence: number
  readonly lost: number
  readonly duplicates: number
  readonly jitterMin: number
  readonly jitterMax: number
  readonly jitterMean: number
  readonly jitterDeviation: number
}

/** Who is told what a compound packet says, in its order. All are optional. */
export interface RtcpSink {
  onSenderReport?(
    ssrc: number,
    seconds: number,
    fraction: number,
    timestamp: number,
    packets: number,
    octets: number,
  ): void
  onReportBlock?(reporter: number, block: ReportBlock): void
  onCname?(ssrc: number, cname: string): void
  onBye?(ssrc: number, reason: string): void
  /** APP and feedback, whole packets in place. */
  onOther?(type: number, ssrc: number, at: number, length: number): void
  /** RFC 3611 §4.4: the reporter's clock. */
  onReferenceTime?(reporter: number, seconds: number, fraction: number): void
  /** RFC 3611 §4.5: `ssrc` is whose reference time is answered. */
  onDelaySinceReference?(reporter: number, ssrc: number, lastRr: number, delay: number): void
  onVoipMetrics?(reporter: number, metrics: VoipMetrics): void
  onStatisticsSummary?(reporter: number, summary: StatisticsSummary): void
}

/**
 * Whether the first `length` octets are a compound packet (§6.1, A.2): version, report first, lengths that add up, padding on
 * the last only. With `reducedSize` (RFC 5506 §3.4.2) any packet may stand first and alone.
 */
export function checkRtcp(bytes: Uint8Array, length: number, reducedSize = false): boolean {
  if (length < 8 || length % 4 !== 0) return false
  const first = bytes[1] as number
  if (!reducedSize && first !== RtcpType.SR && first !== RtcpType.RR) return false
  let at = 0
  while (at + 4 <= length) {
    const octet = bytes[at] as number
    if (octet >> 6 !== 2) return false
    const next = at + packetLength(bytes, at)
    if (next > length) return false
    if ((octet & 0x20) !== 0) {
      const padding = bytes[next - 1] as number
      if (next !== length || padding === 0 || padding % 4 !== 0 || padding > next - at - 4) return false
    }
    at = next
  }
  return at === length
}

/** Reads a packet that passed {@link checkRtcp}. Packets that are too short for what they say, and unknown ones, are passed over. */
export function readRtcp(bytes: Uint8Array, length: number, sink: RtcpSink): void {
  for (let at = 0; at + 4 <= length; ) {
    const next = at + packetLength(bytes, at)
    const padding = ((bytes[at] as number) & 0x20) === 0 ? 0 : (bytes[next - 1] as number)
    const end = Math.min(length, next) - padding
    if (end >= at + 4) readPacket(bytes, at, end, sink)
    at = next
  }
}

function readPacket(bytes: Uint8Array, at: number, end: number, sink: RtcpSink): void {
  const count = (bytes[at] as number) & 0x1f
  const type = bytes[at + 1] as number
  if (type === RtcpType.SDES) readSdes(bytes, at + 4, end, count, sink)
  else if (type === RtcpType.BYE) readBye(bytes, at + 4, end, count, sink)
  else if (at + 8 <= end) readSourced(bytes, at, end, count, type, sink)
}

/** Packets that begin with the SSRC of who sends them. */
function readSourced(bytes: Uint8Array, at: number, end: number, count: number, type: number, sink: RtcpSink): void {
  const ssrc = readUint32(bytes, at + 4)
  if (type === RtcpType.SR) {
    if (at + 28 > end) return
    sink.onSenderReport?.(
      ssrc,
      readUint32(bytes, at + 8),
      readUint32(bytes, at + 12),
      readUint32(bytes, at + 16),
      readUint32(bytes, at + 20),
      readUint32(bytes, at + 24),
    )
    readBlocks(bytes, at + 28, end, count, ssrc, sink)
  } else if (type === RtcpType.RR) readBlocks(bytes, at + 8, end, count, ssrc, sink)
  else if (type === RtcpType.XR) readExtended(bytes, at + 8, end, ssrc, sink)
  else if (type === RtcpType.APP || type === RtcpType.RTPFB || type === RtcpType.PSFB) {
    sink.onOther?.(type, ssrc, at, end - at)
  }
}

function readBlocks(b: Uint8Array, at: number, end: number, count: number, reporter: number, sink: RtcpSink): void {
  if (sink.onReportBlock === undefined) return
  for (let i = 0; i < count && at + REPORT_BLOCK_OCTETS <= end; i += 1, at += REPORT_BLOCK_OCTETS) {
    sink.onReportBlock(reporter, {
      ssrc: readUint32(b, at),
      fractionLost: b[at + 4] as number,
      cumulativeLost: (readUint32(b, at + 4) << 8) >> 8,
      extendedHighest: readUint32(b, at + 8),
      jitter: readUint32(b, at + 12),
      lastSr: readUint32(b, at + 16),
      delaySinceLastSr: readUint32(b, at + 20),
    })
  }
}

/** §6.5: chunks of an SSRC and items; each list ends with a null octet, and the next chunk begins at a word. */
function readSdes(bytes: Uint8Array, at: number, end: number, count: number, sink: RtcpSink): void {
  for (let chunk = 0; chunk < count && at + 4 <= end; chunk += 1) {
    const ssrc = readUint32(bytes, at)
    at += 4
    while (at < end && bytes[at] !== 0) {
      if (at + 2 > end) return
      const length = bytes[at + 1] as number
      if (at + 2 + length > end) return
      if (bytes[at] === SDES_CNAME) sink.onCname?.(ssrc, textOf(bytes, at + 2, length))
      at += 2 + length
    }
    at = (at + 4) & ~3
  }
}

function readBye(bytes: Uint8Array, at: number, end: number, count: number, sink: RtcpSink): void {
  const reasonAt = at + count * 4
  let reason = ''
  if (reasonAt < end) {
    const length = bytes[reasonAt] as number
    if (reasonAt + 1 + length <= end) reason = textOf(bytes, reasonAt + 1, length)
  }
  for (let i = 0; i < count && at + 4 <= end; i += 1, at += 4) sink.onBye?.(readUint32(bytes, at), reason)
}

function readExtended(b: Uint8Array, at: number, end: number, reporter: number, sink: RtcpSink): void {
  while (at + 4 <= end) {
    const type = b[at] as number
    const length = packetLength(b, at)
    const next = at + length
    if (next > end) return
    if (type === XrBlock.referenceTime && length === 12) {
      sink.onReferenceTime?.(reporter, readUint32(b, at + 4), readUint32(b, at + 8))
    } else if (type === XrBlock.delaySinceReference) {
      for (let sub = at + 4; sub + 12 <= next; sub += 12) {
        sink.onDelaySinceReference?.(reporter, readUint32(b, sub), readUint32(b, sub + 4), readUint32(b, sub + 8))
      }
    } else if (type === XrBlock.statistics && length === 40) {
      sink.onStatisticsSummary?.(reporter, readSummary(b, at))
    } else if (type === XrBlock.voip && length === 36) sink.onVoipMetrics?.(reporter, readVoip(b, at))
    at = next
  }
}

function readSummary(b: Uint8Array, at: number): StatisticsSummary {
  const flags = b[at + 1] as number
  const word = (flag: number, offset: number): number => ((flags & flag) !== 0 ? readUint32(b, at + offset) : -1)
  return {
    ssrc: readUint32(b, at + 4),
    beginSequence: uint16(b, at + 8),
    endSequence: uint16(b, at + 10),
    lost: word(0x80, 12),
    duplicates: word(0x40, 16),
    jitterMin: word(0x20, 20),
    jitterMax: word(0x20, 24),
    jitterMean: word(0x20, 28),
    jitterDeviation: word(0x20, 32),
  }
}

function readVoip(b: Uint8Array, at: number): VoipMetrics {
  const octet = (offset: number): number => b[at + offset] as number
  const signed = (offset: number): number => (octet(offset) << 24) >> 24
  return {
    ssrc: readUint32(b, at + 4),
    lossRate: octet(8),
    discardRate: octet(9),
    burstDensity: octet(10),
    gapDensity: octet(11),
    burstMs: uint16(b, at + 12),
    gapMs: uint16(b, at + 14),
    roundTripMs: uint16(b, at + 16),
    endSystemMs: uint16(b, at + 18),
    signalLevel: signed(20),
    noiseLevel: signed(21),
    residualEchoLoss: octet(22),
    gmin: octet(23),
    rFactor: octet(24),
    externalRFactor: octet(25),
    mosLq: octet(26),
    mosCq: octet(27),
    rxConfig: octet(28),
    jitterBufferNominalMs: uint16(b, at + 30),
    jitterBufferMaximumMs: uint16(b, at + 32),
    jitterBufferAbsoluteMaximumMs: uint16(b, at + 34),
  }
}

/** Octets of the packet or block at `at`, by its length field. */
function packetLength(bytes: Uint8Array, at: number): number {
  return (uint16(bytes, at + 2) + 1) * 4
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function textOf(bytes: Uint8Array, at: number, length: number): string {
  let text = ''
  for (let i = 0; i < Math.min(length, TEXT_OCTETS_MAX); i += 1) text += String.fromCharCode(bytes[at + i] as number)
  return text
}
