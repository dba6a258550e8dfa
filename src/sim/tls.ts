// TLS as the simulation has it: no cryptography, but who presents what to whom, and what is made of it.

import type { PeerCertificate, TlsContext } from '#core/net.ts'

const PREFIX = 'simulated certificate'

/** A context in which `certificate` says the names and the issuer in words; `authorities` are the issuers trusted. */
export function simTls(identity: {
  readonly names: readonly string[]
  readonly issuer: string
  readonly trusts: readonly string[]
  readonly verifyClients?: boolean
  readonly verifyServers?: boolean
}): TlsContext {
  return {
    certificate: `${PREFIX}\n${identity.issuer}\n${identity.names.join(' ').toLowerCase()}`,
    key: '',
    authorities: identity.trusts.join(' '),
    verifyClients: identity.verifyClients ?? false,
    verifyServers: identity.verifyServers ?? true,
  }
}

/** What both sides know after the handshake, or the word for its failure. */
export function handshake(
  client: TlsContext | null,
  serverName: string | null,
  server: TlsContext | null,
): string | { serverSeenByClient: PeerCertificate | null; clientSeenByServer: PeerCertificate | null } {
  if (client === null && server === null) return { serverSeenByClient: null, clientSeenByServer: null }
  if (client === null || server === null) return 'TLS_HANDSHAKE'
  const serverSeenByClient = seen(server, client)
  const clientSeenByServer = seen(client, server)
  if (client.verifyServers) {
    const named = serverName === null || serverSeenByClient?.names.includes(serverName.toLowerCase()) === true
    if (serverSeenByClient?.verified !== true || !named) return 'TLS_VERIFY'
  }
  if (server.verifyClients && clientSeenByServer?.verified !== true) return 'TLS_VERIFY'
  return { serverSeenByClient, clientSeenByServer }
}

function seen(presented: TlsContext, by: TlsContext): PeerCertificate | null {
  const [prefix, issuer, names] = presented.certificate.split('\n')
  if (prefix !== PREFIX || issuer === undefined || names === undefined) return null
  const verified = by.authorities?.split(' ').includes(issuer) ?? false
  return { names: names.split(' ').filter((name) => name !== ''), verified }
}
