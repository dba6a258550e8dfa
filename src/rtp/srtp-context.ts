// Hot path. A cryptographic context of one direction: SRTP and SRTCP, RFC 3711 §3, RFC 7714.

import { assert } from '#core/assert.ts'
import { SRTP_SUITES, type SrtpKeys } from '#core/srtp-keys.ts'
import { ReplayWindow } from '#rtp/_replay-window.ts'
import { deriveSessionKeys, type SrtpSessionKeys } from '#rtp/_srtp-derivation.ts'
import { CounterModeTransform, GaloisTransform, type SrtpTransform } from '#rtp/_srtp-transform.ts'
import { RTP_HEADER_OCTETS, readUint32, rtpSequence, rtpSsrc } from '#rtp/rtp-packet.ts'

/** Octets that protection adds at most, to have room for behind a packet: tag, index of SRTCP, MKI. */
export const SRTP_OCTETS_MORE_MAX = 16 + 4 + 128

/** Sources of one context. Each has windows of its own (§3.2.3); only authentic packets make one. */
const SOURCES_MAX = 64

/** Packets of RTP with one key, and with it the end of indices (§9.2). */
const RTP_INDEX_MAX = 2 ** 48 - 1

/** The same of RTCP. */
const RTCP_INDEX_MAX = 2 ** 31 - 1

const SEQUENCE_SPACE = 65_536
const RTCP_HEADER_OCTETS = 8
const MKI_OCTETS_MAX = 128
const NO_MKI = new Uint8Array(0)

/**
 * Why a packet was refused: no RTP or RTCP, or too short to be protected; no room behind it for the tag; a wrong tag (wrong key, changed
 * on its way) or MKI; came already, or is older than the window; more sources than may be; an index that has come to its end (§9.2).
 */
export type SrtpRefusal =
  | ''
  | 'MEDIA_MALFORMED'
  | 'MEDIA_OVERSIZED'
  | 'MEDIA_AUTH'
  | 'MEDIA_REPLAY'
  | 'MEDIA_SSRC_MAX'
  | 'MEDIA_KEY_EXPIRED'

/** What is kept of one source. */
class Source {
  readonly ssrc: number
  readonly rtp = new ReplayWindow()
  readonly rtcp = new ReplayWindow()

  constructor(ssrc: number) {
    this.ssrc = ssrc
  }
}

/**
 * Protects what we send, or unprotects what we receive: one context for each direction and never one for both, and as long as
 * the keys stay the same, one and the same context. Nothing that comes makes it throw.
 */
export class SrtpContext {
  /** Why the last call gave −1. */
  refusal: SrtpRefusal = ''
  readonly #rtp: SrtpTransform
  /** Made with the first packet of RTCP. */
  #rtcp: SrtpTransform | null = null
  readonly #keys: SrtpKeys
  readonly #session: SrtpSessionKeys | null
  readonly #rtpMore: number
  readonly #rtcpMore: number
  readonly #mki: Uint8Array
  readonly #sources = new Map<number, Source>()
  /** The source of the last packet: nearly always that of the next. */
  #last: Source | null = null

  /** The lengths of `keys` are those of their suite. `session` is for tests with session keys that a standard gives. */
  constructor(keys: SrtpKeys, session: SrtpSessionKeys | null = null) {
    const lengths = SRTP_SUITES[keys.suite]
    this.#keys = keys
    this.#session = session
    this.#mki = keys.mki ?? NO_MKI
    assert(keys.masterKey.length === lengths.masterKey, `master key of ${keys.masterKey.length} octets`)
    assert(keys.masterSalt.length === lengths.masterSalt, `master salt of ${keys.masterSalt.length} octets`)
    assert(this.#mki.length <= MKI_OCTETS_MAX, `MKI of ${this.#mki.length} octets`)
    this.#rtp = transformOf(keys, session ?? deriveSessionKeys(keys, false), lengths.rtpTag)
    this.#rtpMore = lengths.rtpTag + this.#mki.length
    this.#rtcpMore = lengths.rtcpTag + this.#mki.length + 4
  }

  /**
   * Encrypts the RTP packet in the first `length` octets of `bytes` in place, which has room for
   * {@link SRTP_OCTETS_MORE_MAX} more. The new length; −1 when refused. A sequence number is taken once only: a second packet
   * under it would show both (§9.1).
   */
  protectRtp(bytes: Uint8Array, length: number): number {
    if (bytes.length < length + this.#rtpMore) return this.#refuse('MEDIA_OVERSIZED')
    const from = headerOctets(bytes, length)
    if (from < 0) return this.#refuse('MEDIA_MALFORMED')
    const ssrc = rtpSsrc(bytes)
    const source = this.#source(ssrc)
    if (source === null && this.#sources.size >= SOURCES_MAX) return this.#refuse('MEDIA_SSRC_MAX')
    const index = estimateIndex(source === null ? -1 : source.rtp.highest, rtpSequence(bytes))
    if (index > RTP_INDEX_MAX) return this.#refuse('MEDIA_KEY_EXPIRED')
    if (index < 0 || (source !== null && !source.rtp.isFresh(index))) return this.#refuse('MEDIA_REPLAY')
    this.#keep(source, ssrc).rtp.note(index)
    const rollover = Math.floor(index / SEQUENCE_SPACE)
    return this.#rtp.protectRtp(bytes, from, length, ssrc, rollover, index % SEQUENCE_SPACE, this.#mki)
  }

  /** The same for a compound RTCP packet (§3.4). Its index counts from 0 for each source. */
  protectRtcp(bytes: Uint8Array, length: number): number {
    if (bytes.length < length + this.#rtcpMore) return this.#refuse('MEDIA_OVERSIZED')
    if (!isRtcpPacket(bytes, length)) return this.#refuse('MEDIA_MALFORMED')
    const ssrc = readUint32(bytes, 4)
    const known = this.#source(ssrc)
    if (known === null && this.#sources.size >= SOURCES_MAX) return this.#refuse('MEDIA_SSRC_MAX')
    const source = this.#keep(known, ssrc)
    const index = source.rtcp.highest + 1
    if (index > RTCP_INDEX_MAX) return this.#refuse('MEDIA_KEY_EXPIRED')
    source.rtcp.note(index)
    return this.#rtcpTransform().protectRtcp(bytes, length, ssrc, index, this.#mki)
  }

  /**
   * Checks and decrypts the SRTP packet in the first `length` octets in place. The length of the RTP packet; −1 when refused, and
   * what stands in `bytes` is then of no use. Padding has not been looked at: what a key holder sends may still be no RTP.
   */
  unprotectRtp(bytes: Uint8Array, length: number): number {
    const end = length - this.#rtpMore
    const from = end < 0 ? -1 : headerOctets(bytes, end)
    if (from < 0) return this.#refuse('MEDIA_MALFORMED')
    const mki = this.#mki
    if (mki.length > 0 && !standsAt(mki, bytes, this.#rtp.rtpMkiAt(end))) return this.#refuse('MEDIA_AUTH')
    const ssrc = rtpSsrc(bytes)
    const source = this.#source(ssrc)
    const index = estimateIndex(source === null ? -1 : source.rtp.highest, rtpSequence(bytes))
    if (index > RTP_INDEX_MAX) return this.#refuse('MEDIA_KEY_EXPIRED')
    // §3.3: before the tag, as it is cheaper; noted after it only.
    if (index < 0 || (source !== null && !source.rtp.isFresh(index))) return this.#refuse('MEDIA_REPLAY')
    const rollover = Math.floor(index / SEQUENCE_SPACE)
    if (!this.#rtp.unprotectRtp(bytes, from, end, ssrc, rollover, index % SEQUENCE_SPACE, mki.length)) {
      return this.#refuse('MEDIA_AUTH')
    }
    if (source === null && this.#sources.size >= SOURCES_MAX) return this.#refuse('MEDIA_SSRC_MAX')
    this.#keep(source, ssrc).rtp.note(index)
    return end
  }

  /** The same for an SRTCP packet (§3.4), encrypted or only authenticated, as its E bit says. */
  unprotectRtcp(bytes: Uint8Array, length: number): number {
    const end = length - this.#rtcpMore
    if (!isRtcpPacket(bytes, end)) return this.#refuse('MEDIA_MALFORMED')
    const mki = this.#mki
    const transform = this.#rtcpTransform()
    if (mki.length > 0 && !standsAt(mki, bytes, transform.rtcpMkiAt(end))) return this.#refuse('MEDIA_AUTH')
    const ssrc = readUint32(bytes, 4)
    const source = this.#source(ssrc)
    const word = readUint32(bytes, transform.wordAt(end))
    const index = word & RTCP_INDEX_MAX
    if (source !== null && !source.rtcp.isFresh(index)) return this.#refuse('MEDIA_REPLAY')
    if (!transform.unprotectRtcp(bytes, end, ssrc, word, mki.length)) return this.#refuse('MEDIA_AUTH')
    if (source === null && this.#sources.size >= SOURCES_MAX) return this.#refuse('MEDIA_SSRC_MAX')
    this.#keep(source, ssrc).rtcp.note(index)
    return end
  }

  #rtcpTransform(): SrtpTransform {
    const keys = this.#keys
    this.#rtcp ??= transformOf(keys, this.#session ?? deriveSessionKeys(keys, true), SRTP_SUITES[keys.suite].rtcpTag)
    return this.#rtcp
  }

  #source(ssrc: number): Source | null {
    if (this.#last !== null && this.#last.ssrc === ssrc) return this.#last
    return this.#sources.get(ssrc) ?? null
  }

  #keep(known: Source | null, ssrc: number): Source {
    const source = known ?? new Source(ssrc)
    if (known === null) this.#sources.set(ssrc, source)
    this.#last = source
    return source
  }

  #refuse(refusal: SrtpRefusal): -1 {
    this.refusal = refusal
    return -1
  }
}

/**
 * The index that a sequence number stands for, after the highest one so far (−1: none): §3.3.1 and Appendix A. Negative when it
 * would be before the first packet of all.
 */
export function estimateIndex(highest: number, sequence: number): number {
  if (highest < 0) return sequence
  const last = highest % SEQUENCE_SPACE
  const index = highest - last + sequence
  const half = SEQUENCE_SPACE / 2
  if (last < half) return sequence - last > half ? index - SEQUENCE_SPACE : index
  return last - half > sequence ? index + SEQUENCE_SPACE : index
}

function transformOf(keys: SrtpKeys, session: SrtpSessionKeys, tagOctets: number): SrtpTransform {
  return keys.suite.startsWith('AEAD') ? new GaloisTransform(session) : new CounterModeTransform(session, tagOctets)
}

/** Where the part to encrypt begins (§3.1), or −1. The count of padding is encrypted itself, so it cannot be judged. */
function headerOctets(bytes: Uint8Array, length: number): number {
  if (length < RTP_HEADER_OCTETS) return -1
  const first = bytes[0] as number
  if (first >> 6 !== 2) return -1
  let octets = RTP_HEADER_OCTETS + (first & 15) * 4
  if ((first & 0x10) !== 0) {
    if (octets + 4 > length) return -1
    octets += 4 + (((bytes[octets + 2] as number) << 8) | (bytes[octets + 3] as number)) * 4
  }
  return octets > length ? -1 : octets
}

function isRtcpPacket(bytes: Uint8Array, length: number): boolean {
  return length >= RTCP_HEADER_OCTETS && (bytes[0] as number) >> 6 === 2
}

function standsAt(octets: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < octets.length; i += 1) if (octets[i] !== bytes[at + i]) return false
  return true
}
