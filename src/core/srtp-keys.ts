// The keys of one direction of SRTP and SRTCP: RFC 3711 §3.2, RFC 4568 §6.2, RFC 7714.

/** A protection profile. The names are those of a=crypto (RFC 4568 §6.2, RFC 7714 §14.2). */
export type SrtpSuite = 'AES_CM_128_HMAC_SHA1_80' | 'AES_CM_128_HMAC_SHA1_32' | 'AEAD_AES_128_GCM' | 'AEAD_AES_256_GCM'

/** Master key and salt of one direction. Plain data. */
export interface SrtpKeys {
  readonly suite: SrtpSuite
  /** 16 octets; 32 for AEAD_AES_256_GCM. */
  readonly masterKey: Uint8Array
  /** 14 octets for AES_CM, 12 for AEAD. */
  readonly masterSalt: Uint8Array
  /** The master key identifier that every packet carries (RFC 3711 §3.1), 1 to 128 octets; none when it is left out. */
  readonly mki?: Uint8Array
}

/** What a suite is made of; lengths in octets (RFC 4568 §6.2 table 1, RFC 7714 §12). */
export interface SrtpSuiteParameters {
  readonly masterKey: number
  readonly masterSalt: number
  /** Of the authentication tag of an RTP packet. RTCP's is longer for AES_CM_128_HMAC_SHA1_32 (RFC 4568 §6.2). */
  readonly rtpTag: number
  readonly rtcpTag: number
  /** The protection profile of DTLS-SRTP (RFC 5764 §4.1.2, RFC 7714 §14.2). */
  readonly profile: number
}

export const SRTP_SUITES: Readonly<Record<SrtpSuite, SrtpSuiteParameters>> = {
  AES_CM_128_HMAC_SHA1_80: { masterKey: 16, masterSalt: 14, rtpTag: 10, rtcpTag: 10, profile: 1 },
  AES_CM_128_HMAC_SHA1_32: { masterKey: 16, masterSalt: 14, rtpTag: 4, rtcpTag: 10, profile: 2 },
  AEAD_AES_128_GCM: { masterKey: 16, masterSalt: 12, rtpTag: 16, rtcpTag: 16, profile: 7 },
  AEAD_AES_256_GCM: { masterKey: 32, masterSalt: 12, rtpTag: 16, rtcpTag: 16, profile: 8 },
}

/**
 * Whether both are the same keys. A context whose keys did not change must be kept over a new offer and answer: a second
 * one of the same keys would begin with the rollover counter at 0 (RFC 3711 §3.3.1) and use key stream twice (§9.1).
 */
export function sameSrtpKeys(a: SrtpKeys | null, b: SrtpKeys | null): boolean {
  if (a === null || b === null) return a === b
  return (
    a.suite === b.suite &&
    sameOctets(a.masterKey, b.masterKey) &&
    sameOctets(a.masterSalt, b.masterSalt) &&
    sameOctets(a.mki ?? NONE, b.mki ?? NONE)
  )
}

const NONE = new Uint8Array(0)

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i += 1) difference |= (a[i] as number) ^ (b[i] as number)
  return difference === 0
}
