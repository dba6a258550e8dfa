// Candidate lines of our side: RFC 8445 §5.1, RFC 8839 §5.1; and fresh credentials, RFC 8839 §5.4.

import type { Endpoint } from '#core/net.ts'
import type { Random } from '#core/random.ts'
import { crc32 } from '#stun/_crc32.ts'

/** RFC 8445 §5.1.2.2. */
const TYPE_PREFERENCE_HOST = 126

/** 48 and 144 random bits; RFC 8445 §5.3 demands 24 and 128. Multiples of three, so that base64 has no padding. */
const UFRAG_OCTETS = 6
const PASSWORD_OCTETS = 18

/** §5.1.2.1, for a host candidate. */
export function hostPriority(component: 1 | 2, preference: number): number {
  return 2 ** 24 * TYPE_PREFERENCE_HOST + 2 ** 8 * preference + (256 - component)
}

/**
 * The value of a=candidate for a host candidate. `component` 1 is RTP, 2 RTCP. `preference` is 0 to 65535: 65535 where there is
 * one address, different ones where there are several (§5.1.2.1). The foundation is that of the address (§5.1.1.3).
 */
export function hostCandidate(local: Endpoint, component: 1 | 2, preference = 65_535): string {
  const foundation = crc32(Buffer.from(local.host, 'latin1'), local.host.length)
  return `${foundation} ${component} UDP ${hostPriority(component, preference)} ${local.host} ${local.port} typ host`
}

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
