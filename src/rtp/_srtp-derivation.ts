// Session keys out of a master key: RFC 3711 §4.3, with a key derivation rate of 0; RFC 7714 §11 for the AEAD suites.

import { createCipheriv } from 'node:crypto'
import type { SrtpKeys } from '#core/srtp-keys.ts'

/** Octets of the HMAC-SHA1 key (RFC 3711 §5.2). */
const AUTHENTICATION_KEY_OCTETS = 20

const BLOCK_OCTETS = 16

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
  const authenticationOctets = keys.suite.startsWith('AEAD') ? 0 : AUTHENTICATION_KEY_OCTETS
  // PRF_n(master key, x) is key stream of AES in counter mode (§4.3.3): the counters are encrypted, those of all three at once.
  const counters = [
    ...countersOf(keys.masterSalt, first + LABEL_ENCRYPTION, keys.masterKey.length),
    ...countersOf(keys.masterSalt, first + LABEL_AUTHENTICATION, authenticationOctets),
    ...countersOf(keys.masterSalt, first + LABEL_SALT, keys.masterSalt.length),
  ]
  const algorithm = keys.masterKey.length === 32 ? 'aes-256-ecb' : 'aes-128-ecb'
  const stream = createCipheriv(algorithm, keys.masterKey, null).update(Buffer.concat(counters))
  const authenticationAt = blocksOf(keys.masterKey.length) * BLOCK_OCTETS
  const saltAt = authenticationAt + blocksOf(authenticationOctets) * BLOCK_OCTETS
  return {
    encryption: new Uint8Array(stream.subarray(0, keys.masterKey.length)),
    authentication: new Uint8Array(stream.subarray(authenticationAt, authenticationAt + authenticationOctets)),
    salt: new Uint8Array(stream.subarray(saltAt, saltAt + keys.masterSalt.length)),
  }
}

/** The counter blocks for so many octets of key stream: from x · 2^16 on, x being the salt combined with the label. */
function countersOf(salt: Uint8Array, label: number, octets: number): Uint8Array[] {
  return Array.from({ length: blocksOf(octets) }, (_, block) => {
    const counter = new Uint8Array(BLOCK_OCTETS)
    // A salt of 96 bits stands at the left of the 112 (RFC 7714 §11).
    counter.set(salt)
    counter[LABEL_AT] = (counter[LABEL_AT] as number) ^ label
    counter[BLOCK_OCTETS - 1] = block
    return counter
  })
}

function blocksOf(octets: number): number {
  return Math.ceil(octets / BLOCK_OCTETS)
}
