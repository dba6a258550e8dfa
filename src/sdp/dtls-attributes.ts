// DTLS-SRTP in a description: a=fingerprint (RFC 8122 §5), a=setup (RFC 4145 §4, RFC 5763 §5), a=tls-id (RFC 8842).

import { attributeOf, attributesOf } from '#sdp/attributes.ts'
import type { MediaDescription, SessionDescription } from '#sdp/session-description.ts'

/** Who begins the handshake. */
export type Setup = 'active' | 'passive' | 'actpass' | 'holdconn'

export interface Fingerprint {
  /** Hash function in lower case: sha-256. */
  readonly hash: string
  /** Octets in upper-case hexadecimal with colons (RFC 8122 §5). */
  readonly value: string
}

/** Octets of the digests that RFC 8122 §5 names. */
const DIGEST_OCTETS: ReadonlyMap<string, number> = new Map([
  ['sha-1', 20],
  ['sha-224', 28],
  ['sha-256', 32],
  ['sha-384', 48],
  ['sha-512', 64],
])

/** Strongest first, of those that are still safe to rely on. */
const PREFERENCE = ['sha-512', 'sha-384', 'sha-256', 'sha-224', 'sha-1']
const FINGERPRINTS_MAX = 8

/** The well-formed fingerprints of a media description, else of the session (RFC 8122 §5). */
export function fingerprintsOf(description: SessionDescription, media: MediaDescription): Fingerprint[] {
  const own = attributesOf(media.lines, 'fingerprint')
  const values = own.length > 0 ? own : attributesOf(description.lines, 'fingerprint')
  return values
    .slice(0, FINGERPRINTS_MAX)
    .map(parseFingerprint)
    .filter((fingerprint) => fingerprint !== null)
}

/** The one to verify a certificate with: the strongest hash, or the strongest of `hashes`. Null when there is none. */
export function bestFingerprint(
  fingerprints: readonly Fingerprint[],
  hashes: readonly string[] = PREFERENCE,
): Fingerprint | null {
  for (const hash of PREFERENCE) {
    const found = hashes.includes(hash) ? fingerprints.find((fingerprint) => fingerprint.hash === hash) : undefined
    if (found !== undefined) return found
  }
  return null
}

/** Parses the value of a=fingerprint; null when malformed, of an unknown hash or of a wrong length. */
export function parseFingerprint(value: string): Fingerprint | null {
  const match = /^([A-Za-z0-9-]{1,16})[ \t]+([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,63})[ \t]*$/.exec(value)
  if (match === null) return null
  const [, hash = '', octets = ''] = match
  const fingerprint = { hash: hash.toLowerCase(), value: octets.toUpperCase() }
  return DIGEST_OCTETS.get(fingerprint.hash) === (octets.length + 1) / 3 ? fingerprint : null
}

/** The value of a=fingerprint. */
export function fingerprintText(fingerprint: Fingerprint): string {
  return `${fingerprint.hash} ${fingerprint.value}`
}

/** a=setup of the media description, else of the session; null when absent or unknown. */
export function setupOf(description: SessionDescription, media: MediaDescription): Setup | null {
  const value = (attributeOf(media.lines, 'setup') ?? attributeOf(description.lines, 'setup'))?.trim()
  return value === 'active' || value === 'passive' || value === 'actpass' || value === 'holdconn' ? value : null
}

/**
 * Our role in the answer to an offer (RFC 4145 §4.1, RFC 5763 §5): what is left to us, and with actpass what we prefer. Without the
 * attribute the offerer is active (RFC 4145 §4).
 */
export function answerSetup(offered: Setup | null, prefer: 'active' | 'passive'): 'active' | 'passive' {
  if (offered === 'actpass') return prefer
  return offered === 'passive' ? 'active' : 'passive'
}
