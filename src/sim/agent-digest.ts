// Digest credentials of the simulated agents (RFC 7616), computed from the password and independent of the product's own.

import { createHash } from 'node:crypto'
import type { Generator } from '#sim/generator.ts'

/** The Authorization value that answers one of `challenges`, or null when none of them has a known algorithm. */
export function authorization(
  challenges: readonly string[],
  request: { readonly method: string; readonly uri: string },
  account: { readonly user: string; readonly password: string; readonly algorithm: 'MD5' | 'SHA-256' },
  random: Generator,
): string | null {
  const parsed = challenges.map(fields)
  const algorithmOf = (challenge: Map<string, string>): string => challenge.get('algorithm')?.toUpperCase() ?? 'MD5'
  const challenge =
    parsed.find((one) => algorithmOf(one) === account.algorithm) ??
    parsed.find((one) => ['MD5', 'SHA-256'].includes(algorithmOf(one)))
  if (challenge === undefined) return null
  const algorithm = algorithmOf(challenge)
  const hash = (text: string): string =>
    createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
      .update(text)
      .digest('hex')
  const realm = challenge.get('realm') ?? ''
  const nonce = challenge.get('nonce') ?? ''
  const ha1 = hash(`${account.user}:${realm}:${account.password}`)
  const ha2 = hash(`${request.method}:${request.uri}`)
  const opaque = challenge.get('opaque')
  const tail = opaque === undefined ? '' : `, opaque="${opaque}"`
  const head = `Digest username="${account.user}", realm="${realm}", nonce="${nonce}", uri="${request.uri}", algorithm=${algorithm}`
  if (challenge.get('qop') === undefined) return `${head}, response="${hash(`${ha1}:${nonce}:${ha2}`)}"${tail}`
  const cnonce = random.word(12)
  const response = hash(`${ha1}:${nonce}:00000001:${cnonce}:auth:${ha2}`)
  return `${head}, response="${response}", qop=auth, nc=00000001, cnonce="${cnonce}"${tail}`
}

function fields(challenge: string): Map<string, string> {
  const map = new Map<string, string>()
  for (const match of challenge
    .replace(/^Digest\s+/i, '')
    .matchAll(/([a-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))/gi)) {
    map.set((match[1] ?? '').toLowerCase(), match[2] ?? match[3] ?? '')
  }
  return map
}
