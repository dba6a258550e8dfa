// Session keys out of a master key: RFC 3711 §4.3, with a key derivation rate of 0; RFC 7714 §11 for the AEAD suites.

import { createCipheriv } from 'node:crypto'
import type { SrtpKeys } from '#core/srtp-keys.ts'

/** Octets of the HMAC-SHA1 key (RFC 3711 §5.2). */
const AUTHENTICATION_KEY_OCTETS = 20

/** Where the label stands in the 14 octets that are combined with the salt (§4.3.1). */
const LABEL_AT = 7

/** The labels of §4.3.2: encryption, authentication, salt. RTCP's are three further. */
const LABEL_ENCRYPTION = 0
const LABEL_AUTHENTICATION = 1
const LABEL_SALT = 2
const LABELS_RTCP = 3

/** What protects packets of one kind. `authentication` is empty for the AEAD suites. */
export interface SrtpSessionKeys {
  readonly encryption: Uint8Array
  readonly authentication: Uint8Array
  readonly salt: Uint8Array
}

/** The session keys for RTP or RTCP. */
export function deriveSessionKeys(keys: SrtpKeys, rtcp: boolean): SrtpSessionKeys {
  const first = rtcp ? LABELS_RTCP : 0
  const aead = keys.suite.startsWith('AEAD')
  return {
    encryption: derive(keys, first + LABEL_ENCRYPTION, keys.masterKey.length),
    authentication: derive(keys, first + LABEL_AUTHENTICATION, aead ? 0 : AUTHENTICATION_KEY_OCTETS),
    salt: derive(keys, first + LABEL_SALT, keys.masterSalt.length),
  }
}

/** PRF_n(master key, x): key stream of AES in counter mode (§4.3.3), whose counter begins at x · 2^16. */
function derive(keys: SrtpKeys, label: number, octets: number): Uint8Array {
  const counter = new Uint8Array(16)
  // A salt of 96 bits stands at the left of the 112 (RFC 7714 §11).
  counter.set(keys.masterSalt)
  counter[LABEL_AT] = (counter[LABEL_AT] as number) ^ label
  const cipher = createCipheriv(keys.masterKey.length === 32 ? 'aes-256-ctr' : 'aes-128-ctr', keys.masterKey, counter)
  return new Uint8Array(cipher.update(new Uint8Array(octets)))
}
