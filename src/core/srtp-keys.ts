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
