// Fresh credentials of our side: RFC 8445 §5.3, RFC 8839 §5.4.

import type { Random } from '#core/random.ts'

/** 48 and 144 random bits; RFC 8445 §5.3 demands 24 and 128. Multiples of three, so that base64 has no padding. */
const UFRAG_OCTETS = 6
const PASSWORD_OCTETS = 18

/** A fresh ufrag and password, of ice-char only. */
export function freshIceCredentials(random: Random): { readonly ufrag: string; readonly password: string } {
  return { ufrag: iceChars(random, UFRAG_OCTETS), password: iceChars(random, PASSWORD_OCTETS) }
}

/** The alphabet of base64 is that of ice-char (RFC 8839 §5.4). */
function iceChars(random: Random, octets: number): string {
  const bytes = Buffer.alloc(octets)
  random.bytes(bytes)
  return bytes.toString('base64')
}
