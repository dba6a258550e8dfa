// Security descriptions, a=crypto: the whole grammar of RFC 4568 §9, and the choice of §5.1.2.

import { attributesOf } from '#sdp/attributes.ts'
import type { MediaDescription } from '#sdp/session-description.ts'

/** A crypto attribute whose key method is inline (RFC 4568 §6.1). */
export interface CryptoAttribute {
  readonly tag: number
  /** AES_CM_128_HMAC_SHA1_80 and the like, as written. */
  readonly suite: string
  /** At least one. */
  readonly keys: readonly CryptoKey[]
  /** Session parameters as written (§6.3): KDR=1, UNENCRYPTED_SRTCP … */
  readonly parameters: readonly string[]
}

export interface CryptoKey {
  /** Master key and salt together, in base 64 as written. */
  readonly keySalt: string
  /** Packets that it may protect; null when not given. 2^48 at most. */
  readonly lifetime: number | null
  /** Master key identifier and its length in octets. */
  readonly mki: { readonly value: string; readonly octets: number } | null
}

/** Attributes of one media description that are read; each is an SRTP context to come. */
export const CRYPTO_MAX = 16
const KEYS_MAX = 16

/** Octets of master key and salt of the suites that have a meaning here (RFC 4568 §6.2, RFC 7714 §14.2, RFC 6188 §4). */
const SUITES: Readonly<Record<string, { readonly keyOctets: number; readonly saltOctets: number }>> = {
  AES_CM_128_HMAC_SHA1_80: { keyOctets: 16, saltOctets: 14 },
  AES_CM_128_HMAC_SHA1_32: { keyOctets: 16, saltOctets: 14 },
  F8_128_HMAC_SHA1_80: { keyOctets: 16, saltOctets: 14 },
  AES_192_CM_HMAC_SHA1_80: { keyOctets: 24, saltOctets: 14 },
  AES_192_CM_HMAC_SHA1_32: { keyOctets: 24, saltOctets: 14 },
  AES_256_CM_HMAC_SHA1_80: { keyOctets: 32, saltOctets: 14 },
  AES_256_CM_HMAC_SHA1_32: { keyOctets: 32, saltOctets: 14 },
  AEAD_AES_128_GCM: { keyOctets: 16, saltOctets: 12 },
  AEAD_AES_256_GCM: { keyOctets: 32, saltOctets: 12 },
}

/** Key and salt lengths in octets of a suite, or null when it is unknown. */
export function suiteOctets(suite: string): { readonly keyOctets: number; readonly saltOctets: number } | null {
  return Object.hasOwn(SUITES, suite) ? (SUITES[suite] ?? null) : null
}

/** The well-formed crypto attributes in order of preference; malformed ones and other key methods are passed over (§5.1.2). */
export function cryptoOf(media: MediaDescription): CryptoAttribute[] {
  const found: CryptoAttribute[] = []
  for (const value of attributesOf(media.lines, 'crypto')) {
    if (found.length === CRYPTO_MAX) break
    const crypto = parseCrypto(value)
    if (crypto !== null && found.every((other) => other.tag !== crypto.tag)) found.push(crypto)
  }
  return found
}

/** Parses the value of a=crypto; null when malformed, or when a key is not inline or of the wrong length for a known suite. */
export function parseCrypto(value: string): CryptoAttribute | null {
  const [tag, suite, keyParameters, ...parameters] = value.split(/[ \t]+/).filter((field) => field !== '')
  if (tag === undefined || !/^\d{1,9}$/.test(tag)) return null
  if (suite === undefined || !/^[A-Za-z0-9_]+$/.test(suite) || keyParameters === undefined) return null
  const keyTexts = keyParameters.split(';')
  if (keyTexts.length > KEYS_MAX) return null
  const keys: CryptoKey[] = []
  for (const text of keyTexts) {
    const key = parseKey(text, suite)
    if (key === null) return null
    keys.push(key)
  }
  // §6.1: with more than one key each has an MKI, and all of one length.
  const octets = keys[0]?.mki?.octets
  if (keys.length > 1 && keys.some((key) => key.mki === null || key.mki.octets !== octets)) return null
  return parameters.every(isSessionParameter) ? { tag: Number(tag), suite, keys, parameters } : null
}

/** The value of a=crypto. */
export function cryptoText(crypto: CryptoAttribute): string {
  const keys = crypto.keys.map((key) => {
    const lifetime = key.lifetime === null ? '' : `|${lifetimeText(key.lifetime)}`
    const mki = key.mki === null ? '' : `|${key.mki.value}:${key.mki.octets}`
    return `inline:${key.keySalt}${lifetime}${mki}`
  })
  return [String(crypto.tag), crypto.suite, keys.join(';'), ...crypto.parameters].join(' ')
}

/** Master key, salt and identifier as octets; null for an unknown suite. */
export function keyOctetsOf(
  suite: string,
  key: CryptoKey,
): { readonly masterKey: Uint8Array; readonly masterSalt: Uint8Array; readonly mki?: Uint8Array } | null {
  const octets = suiteOctets(suite)
  if (octets === null) return null
  const bytes = Uint8Array.from(Buffer.from(key.keySalt, 'base64'))
  const end = octets.keyOctets + octets.saltOctets
  if (bytes.length !== end) return null
  const keys = { masterKey: bytes.slice(0, octets.keyOctets), masterSalt: bytes.slice(octets.keyOctets, end) }
  return key.mki === null ? keys : { ...keys, mki: mkiOctets(key.mki) }
}

/** A key of our own as an attribute: no lifetime, no MKI, as most implementations read only that. */
export function cryptoFrom(tag: number, suite: string, masterKey: Uint8Array, masterSalt: Uint8Array): CryptoAttribute {
  const keySalt = Buffer.concat([masterKey, masterSalt]).toString('base64')
  return { tag, suite, keys: [{ keySalt, lifetime: null, mki: null }], parameters: [] }
}

/**
 * The first offered attribute that we can do (§5.1.2, §7.1.2): a suite of `suites`, and no session parameter that must be understood and is
 * not. An answer carries its tag and suite. Null when there is none.
 */
export function chooseCrypto(offered: readonly CryptoAttribute[], suites: readonly string[]): CryptoAttribute | null {
  const found = offered.find(
    (crypto) => suites.includes(crypto.suite) && crypto.parameters.every((parameter) => isIgnorable(parameter)),
  )
  return found ?? null
}

/** §6.3.7: an unknown parameter that begins with a dash may be passed over; WSH is a hint (§6.3.6). */
function isIgnorable(parameter: string): boolean {
  return parameter.startsWith('-') || parameter.startsWith('WSH=')
}

function isSessionParameter(parameter: string): boolean {
  if (!/^[\x21-\x7e]+$/.test(parameter)) return false
  if (parameter.startsWith('KDR=')) return /^KDR=\d{1,2}$/.test(parameter) && Number(parameter.slice(4)) <= 24
  if (parameter.startsWith('WSH=')) return /^WSH=\d{2,9}$/.test(parameter) && Number(parameter.slice(4)) >= 64
  if (parameter.startsWith('FEC_ORDER=')) return /^FEC_ORDER=(?:FEC_SRTP|SRTP_FEC)$/.test(parameter)
  return true
}

function parseKey(text: string, suite: string): CryptoKey | null {
  if (!text.startsWith('inline:')) return null
  const [keySalt = '', ...rest] = text.slice('inline:'.length).split('|')
  if (!isKeySalt(keySalt, suite) || rest.length > 2) return null
  const mkiText = rest.at(-1)?.includes(':') === true ? rest.pop() : undefined
  const mki = mkiText === undefined ? null : parseMki(mkiText)
  if (mkiText !== undefined && mki === null) return null
  const [lifetimeValue, excess] = rest
  if (excess !== undefined) return null
  const lifetime = lifetimeValue === undefined ? null : parseLifetime(lifetimeValue)
  return lifetimeValue !== undefined && lifetime === null ? null : { keySalt, lifetime, mki }
}

/** §6.1: the length must be right; of an unknown suite any base 64 is. */
function isKeySalt(text: string, suite: string): boolean {
  if (!/^[A-Za-z0-9+/]{1,512}={0,2}$/.test(text)) return false
  const octets = suiteOctets(suite)
  return octets === null || Buffer.byteLength(text, 'base64') === octets.keyOctets + octets.saltOctets
}

/** At most 2^48 packets (§6.1); not zero. */
function parseLifetime(text: string): number | null {
  const match = /^(2\^)?(\d{1,15})$/.exec(text)
  if (match === null) return null
  const lifetime = match[1] === undefined ? Number(match[2]) : 2 ** Number(match[2])
  return lifetime >= 1 && lifetime <= 2 ** 48 ? lifetime : null
}

function lifetimeText(lifetime: number): string {
  const exponent = Math.log2(lifetime)
  return Number.isInteger(exponent) ? `2^${exponent}` : String(lifetime)
}

function parseMki(text: string): CryptoKey['mki'] {
  const match = /^(\d{1,309}):(\d{1,3})$/.exec(text)
  const octets = Number(match?.[2])
  if (match === null || octets < 1 || octets > 128) return null
  const mki = { value: match[1] ?? '', octets }
  return BigInt(mki.value) < 1n << BigInt(8 * octets) ? mki : null
}

/** §6.1: the identifier as every packet carries it, big-endian (RFC 3711 §3.1). */
function mkiOctets(mki: NonNullable<CryptoKey['mki']>): Uint8Array {
  const digits = BigInt(mki.value).toString(16)
  return Uint8Array.from(Buffer.from(digits.padStart(2 * mki.octets, '0'), 'hex'))
}
