// Hot path. The two ways to protect a packet: AES-CM with HMAC-SHA1 (RFC 3711 §4), AES-GCM (RFC 7714).

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { AesCounter } from '#rtp/_aes-counter.ts'
import { HmacSha1 } from '#rtp/_hmac-sha1.ts'
import type { SrtpSessionKeys } from '#rtp/_srtp-derivation.ts'
import { writeUint32 } from '#rtp/rtp-packet.ts'

/** Of AES-GCM (RFC 7714 §13.2): no shorter one is used. */
const GCM_TAG_OCTETS = 16

/** The first octets of an RTCP packet that stay in the clear: header and SSRC (RFC 3711 §3.4). */
const RTCP_CLEAR_OCTETS = 8

/** The E bit (RFC 3711 §3.4). */
const ENCRYPTED = 0x80000000

/**
 * What is done to the packets of one kind. `end` is where the packet ends in the clear; what protection adds follows it. Room
 * for that is the caller's. The index of RTP comes as rollover counter and sequence number; that of RTCP has 31 bits.
 */
export interface SrtpTransform {
  /** Encrypts from `from` to `end` and appends the tag; `mki` goes where it belongs. The new end. */
  protectRtp(
    bytes: Uint8Array,
    from: number,
    end: number,
    ssrc: number,
    rollover: number,
    sequence: number,
    mki: Uint8Array,
  ): number
  /** Checks the tag, decrypts. Whether it was authentic. */
  unprotectRtp(
    bytes: Uint8Array,
    from: number,
    end: number,
    ssrc: number,
    rollover: number,
    sequence: number,
    mkiOctets: number,
  ): boolean
  /** Encrypts all but the first 8 octets; appends index, MKI, tag in the order of the suite. The new end. */
  protectRtcp(bytes: Uint8Array, end: number, ssrc: number, index: number, mki: Uint8Array): number
  /** `word` is the E bit and the index, as they came. */
  unprotectRtcp(bytes: Uint8Array, end: number, ssrc: number, word: number, mkiOctets: number): boolean
  /** Where the word of E bit and index begins, in a packet of `length` octets whose part in the clear ends at `end`. */
  wordAt(end: number): number
  /** Where the MKI begins. */
  rtpMkiAt(end: number): number
  rtcpMkiAt(end: number): number
}

/** AES_CM_128_HMAC_SHA1_80 and _32: packet, [index,] MKI, tag. */
export class CounterModeTransform implements SrtpTransform {
  readonly #counter: AesCounter
  readonly #hmac: HmacSha1
  readonly #tagOctets: number
  readonly #tag = new Uint8Array(20)

  constructor(keys: SrtpSessionKeys, tagOctets: number) {
    this.#counter = new AesCounter(keys.encryption, keys.salt)
    this.#hmac = new HmacSha1(keys.authentication)
    this.#tagOctets = tagOctets
  }

  protectRtp(
    bytes: Uint8Array,
    from: number,
    end: number,
    ssrc: number,
    rollover: number,
    sequence: number,
    mki: Uint8Array,
  ): number {
    this.#counter.crypt(bytes, from, end, ssrc, rollover, sequence)
    // §4.2: the sum is over the packet and the rollover counter, which is not sent.
    writeUint32(bytes, end, rollover)
    const tagAt = end + mki.length
    this.#hmac.sum(bytes, end + 4, this.#tag, 0, this.#tagOctets)
    bytes.set(mki, end)
    this.#putTag(bytes, tagAt)
    return tagAt + this.#tagOctets
  }

  unprotectRtp(
    bytes: Uint8Array,
    from: number,
    end: number,
    ssrc: number,
    rollover: number,
    sequence: number,
    mkiOctets: number,
  ): boolean {
    const tag = this.#tag
    const octets = this.#tagOctets
    const tagAt = end + mkiOctets
    // The counter takes the place of four octets behind the packet; the tag that came stays beside the one that is computed.
    for (let i = 0; i < octets; i += 1) tag[i] = bytes[tagAt + i] as number
    writeUint32(bytes, end, rollover)
    this.#hmac.sum(bytes, end + 4, tag, 10, octets)
    if (!sameTags(tag, octets)) return false
    this.#counter.crypt(bytes, from, end, ssrc, rollover, sequence)
    return true
  }

  protectRtcp(bytes: Uint8Array, end: number, ssrc: number, index: number, mki: Uint8Array): number {
    this.#counter.crypt(bytes, RTCP_CLEAR_OCTETS, end, ssrc, index >>> 16, index & 0xffff)
    writeUint32(bytes, end, ENCRYPTED | index)
    this.#hmac.sum(bytes, end + 4, this.#tag, 0, this.#tagOctets)
    bytes.set(mki, end + 4)
    this.#putTag(bytes, end + 4 + mki.length)
    return end + 4 + mki.length + this.#tagOctets
  }

  unprotectRtcp(bytes: Uint8Array, end: number, ssrc: number, word: number, mkiOctets: number): boolean {
    const tag = this.#tag
    for (let i = 0; i < this.#tagOctets; i += 1) tag[i] = bytes[end + 4 + mkiOctets + i] as number
    this.#hmac.sum(bytes, end + 4, tag, 10, this.#tagOctets)
    if (!sameTags(tag, this.#tagOctets)) return false
    const index = word & ~ENCRYPTED
    if ((word & ENCRYPTED) !== 0) {
      this.#counter.crypt(bytes, RTCP_CLEAR_OCTETS, end, ssrc, index >>> 16, index & 0xffff)
    }
    return true
  }

  wordAt(end: number): number {
    return end
  }

  rtpMkiAt(end: number): number {
    return end
  }

  rtcpMkiAt(end: number): number {
    return end + 4
  }

  #putTag(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < this.#tagOctets; i += 1) bytes[at + i] = this.#tag[i] as number
  }
}

/** Compares the tag at 0 with the one at 10, in the same time wherever they differ. */
function sameTags(tags: Uint8Array, octets: number): boolean {
  let difference = 0
  for (let i = 0; i < octets; i += 1) difference |= (tags[i] as number) ^ (tags[10 + i] as number)
  return difference === 0
}

/** AEAD_AES_128_GCM and AEAD_AES_256_GCM: packet with its tag, [index,] MKI (RFC 7714 §8.2, §9.2). */
export class GaloisTransform implements SrtpTransform {
  readonly #algorithm: 'aes-128-gcm' | 'aes-256-gcm'
  readonly #key: KeyObject
  readonly #salt: Uint8Array
  readonly #iv = new Uint8Array(12)
  readonly #clear = new Uint8Array(RTCP_CLEAR_OCTETS + 4)

  constructor(keys: SrtpSessionKeys) {
    this.#algorithm = keys.encryption.length === 32 ? 'aes-256-gcm' : 'aes-128-gcm'
    this.#key = createSecretKey(keys.encryption)
    this.#salt = keys.salt
  }

  protectRtp(
    bytes: Uint8Array,
    from: number,
    end: number,
    ssrc: number,
    rollover: number,
    sequence: number,
    mki: Uint8Array,
  ): number {
    this.#setIv(ssrc, rollover, sequence)
    this.#seal(bytes, from, end, bytes.subarray(0, from))
    bytes.set(mki, end + GCM_TAG_OCTETS)
    return end + GCM_TAG_OCTETS + mki.length
  }

  unprotectRtp(
    bytes: Uint8Array,
    from: number,
    end: number,
    ssrc: number,
    rollover: number,
    sequence: number,
    _mkiOctets: number,
  ): boolean {
    this.#setIv(ssrc, rollover, sequence)
    return this.#open(bytes, from, end, bytes.subarray(0, from))
  }

  protectRtcp(bytes: Uint8Array, end: number, ssrc: number, index: number, mki: Uint8Array): number {
    this.#setIv(ssrc, index >>> 16, index & 0xffff)
    this.#seal(bytes, RTCP_CLEAR_OCTETS, end, this.#clearPart(bytes, ENCRYPTED | index))
    writeUint32(bytes, end + GCM_TAG_OCTETS, ENCRYPTED | index)
    bytes.set(mki, end + GCM_TAG_OCTETS + 4)
    return end + GCM_TAG_OCTETS + 4 + mki.length
  }

  unprotectRtcp(bytes: Uint8Array, end: number, ssrc: number, word: number, _mkiOctets: number): boolean {
    const index = word & ~ENCRYPTED
    this.#setIv(ssrc, index >>> 16, index & 0xffff)
    if ((word & ENCRYPTED) !== 0) {
      return this.#open(bytes, RTCP_CLEAR_OCTETS, end, this.#clearPart(bytes, word))
    }
    // §9.3: all of it is in the clear, and the word follows.
    const clear = new Uint8Array(end + 4)
    clear.set(bytes.subarray(0, end))
    writeUint32(clear, end, word)
    return this.#open(bytes, end, end, clear)
  }

  wordAt(end: number): number {
    return end + GCM_TAG_OCTETS
  }

  rtpMkiAt(end: number): number {
    return end + GCM_TAG_OCTETS
  }

  rtcpMkiAt(end: number): number {
    return end + GCM_TAG_OCTETS + 4
  }

  /** §8.1, §9.1: two zero octets, SSRC, index of 48 bits; combined with the salt. */
  #setIv(ssrc: number, high: number, low: number): void {
    const iv = this.#iv
    iv[0] = 0
    iv[1] = 0
    writeUint32(iv, 2, ssrc)
    writeUint32(iv, 6, high)
    iv[10] = low >>> 8
    iv[11] = low
    for (let i = 0; i < 12; i += 1) iv[i] = (iv[i] as number) ^ (this.#salt[i] as number)
  }

  /** §9.2: the first octets of the packet and the word of E bit and index. */
  #clearPart(bytes: Uint8Array, word: number): Uint8Array {
    for (let i = 0; i < RTCP_CLEAR_OCTETS; i += 1) this.#clear[i] = bytes[i] as number
    writeUint32(this.#clear, RTCP_CLEAR_OCTETS, word)
    return this.#clear
  }

  #seal(bytes: Uint8Array, from: number, end: number, clear: Uint8Array): void {
    const cipher = createCipheriv(this.#algorithm, this.#key, this.#iv)
    cipher.setAAD(clear)
    bytes.set(cipher.update(bytes.subarray(from, end)), from)
    cipher.final()
    bytes.set(cipher.getAuthTag(), end)
  }

  #open(bytes: Uint8Array, from: number, end: number, clear: Uint8Array): boolean {
    const cipher = createDecipheriv(this.#algorithm, this.#key, this.#iv, { authTagLength: GCM_TAG_OCTETS })
    cipher.setAAD(clear)
    cipher.setAuthTag(bytes.subarray(end, end + GCM_TAG_OCTETS))
    const text = cipher.update(bytes.subarray(from, end))
    try {
      cipher.final()
    } catch {
      return false // The tag is wrong: what came out is not looked at.
    }
    bytes.set(text, from)
    return true
  }
}
