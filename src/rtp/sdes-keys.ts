// Fresh keys of our own for a session description: RFC 4568 §5.1.1.

import type { Random } from '#core/random.ts'
import { SRTP_SUITES, type SrtpKeys, type SrtpSuite } from '#core/srtp-keys.ts'

/** Fresh keys without an MKI, from the source of secrets. */
export function freshSdesKeys(suite: SrtpSuite, random: Random): SrtpKeys {
  const lengths = SRTP_SUITES[suite]
  const masterKey = new Uint8Array(lengths.masterKey)
  const masterSalt = new Uint8Array(lengths.masterSalt)
  random.bytes(masterKey)
  random.bytes(masterSalt)
  return { suite, masterKey, masterSalt }
}
