// Keys in session descriptions: the inline key parameter of a=crypto, RFC 4568 §6.1, and fresh keys.

import type { Random } from '#core/random.ts'
import type { SrtpKeys, SrtpSuite } from '#core/srtp-keys.ts'

/** The keys of "inline:…" for a suite, or null when the text is none, or of the wrong length for the suite. */
export function parseSdesKeys(_suite: SrtpSuite, _keyParameters: string): SrtpKeys | null {
  return null
}

/** "inline:…" of the keys, with their MKI if they have one (§6.1). */
export function writeSdesKeys(_keys: SrtpKeys): string {
  return ''
}

/** Fresh keys without an MKI. */
export function freshSdesKeys(suite: SrtpSuite, random: Random): SrtpKeys {
  const masterKey = new Uint8Array(16)
  random.bytes(masterKey)
  return { suite, masterKey, masterSalt: masterKey }
}

/** The suite of that name, or null when we have none (§6.2; names are compared as they stand). */
export function sdesSuite(_name: string): SrtpSuite | null {
  return null
}
