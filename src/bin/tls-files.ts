// The TLS context of the switch from the files that the configuration names, or from the certificate for trials.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { besideConfig, type Loaded } from '#bin/config-source.ts'
import { localAddresses, machineName } from '#bin/machine.ts'
import type { TlsContext } from '#core/net.ts'
import { selfSigned } from '#host/self-signed.ts'

export type TlsResult =
  | { readonly ok: true; readonly tls: TlsContext | null }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Null when nothing listens on TLS and no certificate is named. */
export async function tlsContext(loaded: Loaded, dataFolder: string): Promise<TlsResult> {
  const { certificate, key, authorities, verifyClients, verifyServers } = loaded.config.sip.tls
  const listens = loaded.config.sip.listen.some((address) => address.startsWith('tls:'))
  if (certificate === null && !listens) return { ok: true, tls: null }
  try {
    const pair =
      certificate === null || key === null
        ? await selfSigned(join(dataFolder, 'tls'), trialNames(loaded), Date.now())
        : { certificate: readPem(loaded, certificate), key: readPem(loaded, key) }
    const trusted = authorities === null ? null : readPem(loaded, authorities)
    const tls = { ...pair, authorities: trusted, verifyClients, verifyServers }
    createSecureContext({
      cert: tls.certificate,
      key: tls.key,
      ...(tls.authorities === null ? {} : { ca: tls.authorities }),
    })
    return { ok: true, tls }
  } catch (error) {
    return { ok: false, problems: [`${loaded.file}: sip.tls: ${(error as Error).message} [TLS_FILES]`] }
  }
}

/** The files that the context was read from: when one changes it is read again. */
export function tlsPaths(loaded: Loaded): string[] {
  const { certificate, key, authorities } = loaded.config.sip.tls
  return [certificate, key, authorities].filter((path) => path !== null).map((path) => besideConfig(loaded.file, path))
}

function readPem(loaded: Loaded, path: string): string {
  return readFileSync(besideConfig(loaded.file, path), 'latin1')
}

/** What a telephone might be told to connect to. */
function trialNames(loaded: Loaded): string[] {
  const { domain, sip } = loaded.config
  const plain = localAddresses().filter((address) => !address.startsWith('fe80:'))
  const names = [
    domain,
    ...(sip.advertise === null ? [] : [sip.advertise]),
    ...sip.aliases,
    machineName(),
    'localhost',
    ...plain,
  ]
  return [...new Set(names)]
}
