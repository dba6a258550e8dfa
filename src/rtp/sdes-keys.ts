// Keys in session descriptions: the inline key parameter of a=crypto, RFC 4568 §6.1 and §9.2; and fresh keys.

import type { Random } from '#core/random.ts'
import { SRTP_SUITES, type SrtpKeys, type SrtpSuite } from '#core/srtp-keys.ts'

/** A master key identifier is not longer than this (RFC 4568 §6.1). */
const MKI_OCTETS_MAX = 128

/** A text longer than this is not looked at: the longest key takes 64 characters, lifetime and MKI some more. */
const PARAMETER_LENGTH_MAX = 512

const METHOD = 'inline:'

/** RFC 4568 §9.2: base64 with its padding. */
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/** "2^20" or a number of packets (§6.1). */
const LIFETIME = /^(?:2\^[0-9]{1,2}|[0-9]{1,15})$/

/** Value and length in octets (§6.1). */
const MKI = /^([0-9]{1,39}):([0-9]{1,3})$/

/**
 * The keys of "inline:…" for a suite, or null when the text is none, or has the wrong length for the suite. Of several keys the
 * first is taken (§6.1: each has an MKI then). The lifetime is read and not kept: no call lasts for 2^31 packets, and
 * the contexts end where the standard does.
 */
export function parseSdesKeys(suite: SrtpSuite, keyParameters: string): SrtpKeys | null {
  if (keyParameters.length > PARAMETER_LENGTH_MAX) return null
  const first = keyParameters.split(';', 1)[0] as string
  if (first.slice(0, METHOD.length).toLowerCase() !== METHOD) return null
  const [base64 = '', ...rest] = first.slice(METHOD.length).split('|')
  if (!BASE64.test(base64)) return null
  const octets = Buffer.from(base64, 'base64')
  const lengths = SRTP_SUITES[suite]
  if (octets.length !== lengths.masterKey + lengths.masterSalt) return null
  // [|lifetime][|MKI:length], each at most once and in this order.
  if (rest.length > 0 && LIFETIME.test(rest[0] as string)) rest.shift()
  if (rest.length > 1) return null
  const mki = rest.length === 0 ? null : parseMki(rest[0] as string)
  if (rest.length > 0 && mki === null) return null
  const keys = {
    suite,
    masterKey: new Uint8Array(octets.subarray(0, lengths.masterKey)),
    masterSalt: new Uint8Array(octets.subarray(lengths.masterKey)),
  }
  return mki === null ? keys : { ...keys, mki }
}

/** "inline:…" of the keys, with their MKI if they have one (§6.1). */
export function writeSdesKeys(keys: SrtpKeys): string {
  const base64 = Buffer.concat([keys.masterKey, keys.masterSalt]).toString('base64')
  if (keys.mki === undefined) return METHOD + base64
  return `${METHOD}${base64}|${BigInt(`0x${Buffer.from(keys.mki).toString('hex')}`)}:${keys.mki.length}`
}

/** Fresh keys without an MKI, from the source of secrets. */
export function freshSdesKeys(suite: SrtpSuite, random: Random): SrtpKeys {
  const lengths = SRTP_SUITES[suite]
  const masterKey = new Uint8Array(lengths.masterKey)
  const masterSalt = new Uint8Array(lengths.masterSalt)
  random.bytes(masterKey)
  random.bytes(masterSalt)
  return { suite, masterKey, masterSalt }
}

/** The suite of that name, or null when we have none (§6.2; names are compared as they stand). */
export function sdesSuite(name: string): SrtpSuite | null {
  return Object.hasOwn(SRTP_SUITES, name) ? (name as SrtpSuite) : null
}

/** The identifier in so many octets, big-endian; null when it is none, or does not fit. */
function parseMki(text: string): Uint8Array | null {
  const match = MKI.exec(text)
  if (match === null) return null
  const length = Number(match[2])
  if (length < 1 || length > MKI_OCTETS_MAX) return null
  const digits = BigInt(match[1] as string).toString(16)
  if (digits.length > 2 * length) return null
  return new Uint8Array(Buffer.from(digits.padStart(2 * length, '0'), 'hex'))
}
