// Who is at the far side of a TLS connection, and whether it is the domain that was meant (RFC 5922 §7).

import type { TLSSocket } from 'node:tls'
import type { PeerCertificate } from '#core/net.ts'

/** The names that a certificate's subjectAltName holds, in lower case, each with its type: DNS, URI, IP Address … */
export function subjectAltNames(text: string): { type: string; value: string }[] {
  // A value with a comma or quotation mark in it is written as a JSON string, so that no value can pass for two.
  const entry = /\s*([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)/y
  const names: { type: string; value: string }[] = []
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text)
    if (match === null) break
    const [, type = '', written = ''] = match
    names.push({ type, value: unquoted(written).toLowerCase() })
  }
  return names
}

function unquoted(written: string): string {
  if (!written.startsWith('"')) return written
  try {
    return String(JSON.parse(written))
  } catch {
    return ''
  }
}

/**
 * Whether the names identify the SIP domain: a URI that is `sip:` and the domain with no user part, or a DNS name
 * equal to it, without wildcards (RFC 5922 §7.2); the common name only when there is neither (§7.1).
 */
export function identifiesDomain(
  alternatives: readonly { type: string; value: string }[],
  commonName: string | null,
  domain: string,
): boolean {
  const wanted = domain.toLowerCase().replace(/\.$/, '')
  const uris = alternatives.filter((name) => name.type === 'URI' && name.value.startsWith('sip:'))
  const hosts = alternatives.filter((name) => name.type === 'DNS')
  if (uris.some((name) => name.value === `sip:${wanted}`)) return true
  if (hosts.some((name) => name.value.replace(/\.$/, '') === wanted)) return true
  return uris.length === 0 && hosts.length === 0 && commonName?.toLowerCase() === wanted
}

/** What the TLS library knows of the far side after the handshake; null when it showed no certificate. */
export function peerCertificate(socket: TLSSocket): PeerCertificate | null {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return null
  const names = subjectAltNames(certificate.subjectAltName ?? '')
    .filter((name) => name.type === 'DNS' || name.type === 'URI')
    .map((name) => name.value)
  const common = commonName(socket)
  if (common !== null) names.unshift(common)
  return { names: [...new Set(names)], verified: socket.authorized }
}

/**
 * Whether an outgoing connection reached whom it was meant for: the chain verifies, and the certificate is the domain's.
 * A numeric peer has no domain: its address must be in the certificate, unless authorities of our own choice signed it.
 */
export function isIntendedServer(socket: TLSSocket, serverName: string | null, host: string, own: boolean): boolean {
  const certificate = socket.getPeerX509Certificate()
  if (!socket.authorized || certificate === undefined) return false
  if (serverName === null) return own || certificate.checkIP(host) !== undefined
  return identifiesDomain(subjectAltNames(certificate.subjectAltName ?? ''), commonName(socket), serverName)
}

function commonName(socket: TLSSocket): string | null {
  const subject: { CN?: string | string[] } | undefined = socket.getPeerCertificate(false).subject
  const name = subject?.CN
  const last = Array.isArray(name) ? name.at(-1) : name
  return last?.toLowerCase() ?? null
}
