// Candidate lines of our side: RFC 8445 §5.1.2, RFC 8839 §5.1; and fresh credentials, RFC 8839 §5.4.

import type { Endpoint } from '#core/net.ts'
import type { Random } from '#core/random.ts'

/** The value of a=candidate for a host candidate. `component` 1 is RTP, 2 RTCP. `preference` 0 to 65535 orders several addresses. */
export function hostCandidate(local: Endpoint, component: 1 | 2, preference = 65_535): string {
  return `${local.host} ${component} ${preference}`
}

/** A fresh ufrag and password. */
export function freshIceCredentials(random: Random): { readonly ufrag: string; readonly password: string } {
  return { ufrag: String(random.uint32()), password: '' }
}
