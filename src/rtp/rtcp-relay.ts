// RTCP of one party passed on to the other, in the terms of the streams that we send (RFC 3550 §7.1 translators, RFC 3611).

import type { OutgoingStream } from '#rtp/outgoing-stream.ts'
import { REPORT_BLOCK_OCTETS, RtcpType, XrBlock } from '#rtp/rtcp-packet.ts'
import { readUint32, sequenceDistance, writeUint32 } from '#rtp/rtp-packet.ts'
import type { SourceStatistics } from '#rtp/source-statistics.ts'

/** The two directions of a relay, as the packet of party A, on its way to party B, meets them. */
export interface RtcpDirections {
  /** What we send to B: A's stream under our SSRC. */
  readonly toward: OutgoingStream
  /** What we send to A, which A's reports speak of. */
  readonly back: OutgoingStream
  /** Statistics of B's source that `back` relays, by whose cycles an extended sequence number is B's again; or null. */
  readonly backSource: SourceStatistics | null
}

/**
 * Rewrites a compound packet of A, which passed `checkRtcp`, in place into what B is to get, and gives its new length, 0 when
 * nothing is left: A's SSRC becomes the one that B knows; counts and timestamp of a sender report are those that B received;
 * report blocks speak of B's own SSRC and sequence numbers, and those that B cannot know are taken out. NTP times pass as they
 * are, so that B's round trip is that to A. APP and feedback pass when they are about B's stream.
 */
export function relayRtcp(bytes: Uint8Array, length: number, directions: RtcpDirections): number {
  let written = 0
  for (let at = 0; at + 8 <= length; ) {
    const octets = (uint16(bytes, at + 2) + 1) * 4
    const padding = ((bytes[at] as number) & 0x20) === 0 ? 0 : (bytes[at + octets - 1] as number)
    const end = Math.min(length, at + octets) - padding
    const size = end < at + 8 ? 0 : rewrite(bytes, at, end, directions)
    if (size > 0) {
      bytes.copyWithin(written, at, at + size)
      bytes[written] = (bytes[written] as number) & 0xdf
      const words = size / 4 - 1
      bytes[written + 2] = words >> 8
      bytes[written + 3] = words
      written += size
    }
    at += octets
  }
  // A report has to stand first (§6.1).
  const first = bytes[1] as number
  return written > 0 && (first === RtcpType.SR || first === RtcpType.RR) ? written : 0
}

/** Rewrites the packet at `at`; gives its octets, which may be fewer, or 0 to leave it out. */
function rewrite(bytes: Uint8Array, at: number, end: number, directions: RtcpDirections): number {
  const { toward } = directions
  const count = (bytes[at] as number) & 0x1f
  switch (bytes[at + 1]) {
    case RtcpType.SR:
      if (at + 28 > end) return 0
      writeUint32(bytes, at + 4, toward.ssrc)
      writeUint32(bytes, at + 16, toward.mapTimestamp(readUint32(bytes, at + 16)))
      writeUint32(bytes, at + 20, toward.packets)
      writeUint32(bytes, at + 24, toward.octets)
      return 28 + rewriteBlocks(bytes, at, at + 28, end, count, directions)
    case RtcpType.RR:
      writeUint32(bytes, at + 4, toward.ssrc)
      return 8 + rewriteBlocks(bytes, at, at + 8, end, count, directions)
    case RtcpType.SDES:
    case RtcpType.BYE:
      // Of several sources B knows the one.
      if (count === 0) return 0
      writeUint32(bytes, at + 4, toward.ssrc)
      return count === 1 ? end - at : 0
    case RtcpType.XR:
      writeUint32(bytes, at + 4, toward.ssrc)
      return 8 + rewriteExtended(bytes, at + 8, end, directions)
    case RtcpType.RTPFB:
    case RtcpType.PSFB:
      if (at + 12 > end || readUint32(bytes, at + 8) !== directions.back.ssrc) return 0
      if (directions.back.relayedSsrc < 0) return 0
      writeUint32(bytes, at + 4, toward.ssrc)
      writeUint32(bytes, at + 8, directions.back.relayedSsrc)
      return end - at
    case RtcpType.APP:
      writeUint32(bytes, at + 4, toward.ssrc)
      return end - at
    default:
      return 0
  }
}

/** Keeps the blocks about what we sent from B; gives their octets. */
function rewriteBlocks(
  bytes: Uint8Array,
  packetAt: number,
  at: number,
  end: number,
  count: number,
  directions: RtcpDirections,
): number {
  const { back, backSource } = directions
  const start = at
  let to = at
  let kept = 0
  for (let i = 0; i < count && at + REPORT_BLOCK_OCTETS <= end; i += 1, at += REPORT_BLOCK_OCTETS) {
    if (readUint32(bytes, at) !== back.ssrc || back.relayedSsrc < 0) continue
    writeUint32(bytes, at, back.relayedSsrc)
    const sequence = back.unmapSequence(readUint32(bytes, at + 8) & 0xffff)
    writeUint32(bytes, at + 8, extended(sequence, backSource))
    bytes.copyWithin(to, at, at + REPORT_BLOCK_OCTETS)
    to += REPORT_BLOCK_OCTETS
    kept += 1
  }
  bytes[packetAt] = 0x80 | kept
  return to - start
}

/** Keeps the blocks that B can make sense of; gives their octets. */
function rewriteExtended(bytes: Uint8Array, at: number, end: number, directions: RtcpDirections): number {
  const { back } = directions
  const start = at
  let to = at
  while (at + 4 <= end) {
    const octets = (uint16(bytes, at + 2) + 1) * 4
    if (at + octets > end) break
    const type = bytes[at]
    let keeps = type === XrBlock.referenceTime
    if (type === XrBlock.statistics || type === XrBlock.voip || type === XrBlock.delaySinceReference) {
      // Of several answers, only the first is read: a party has one SSRC here.
      keeps = octets >= 8 && readUint32(bytes, at + 4) === back.ssrc && back.relayedSsrc >= 0
      if (keeps) writeUint32(bytes, at + 4, back.relayedSsrc)
      if (keeps && type === XrBlock.statistics && octets >= 12) {
        writeUint16(bytes, at + 8, back.unmapSequence(uint16(bytes, at + 8)))
        writeUint16(bytes, at + 10, back.unmapSequence(uint16(bytes, at + 10)))
      }
    }
    if (keeps) {
      bytes.copyWithin(to, at, at + octets)
      to += octets
    }
    at += octets
  }
  return to - start
}

/** The extended number of `sequence` that is nearest to what the source has reached. */
function extended(sequence: number, source: SourceStatistics | null): number {
  if (source === null) return sequence
  const highest = source.extendedHighest
  return Math.max(0, highest + sequenceDistance(highest & 0xffff, sequence))
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value
}
