// A self-signed TLS certificate for trials, made on first start, and word of changed certificate files.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, watch, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { generate } from 'selfsigned'
import { type Clock, Timer } from '#core/clock.ts'

/** How long a trial certificate is good for; a year later the next start makes another. */
const VALID_DAYS = 365
/** A certificate with less time than this left is replaced on start. */
const RENEW_DAYS = 30
const DAY_MS = 86_400_000
/** Files change in several steps (written, renamed, key after certificate); so long without another one is the end. */
export const SETTLE_MS = 500

/** A certificate and its key, as PEM texts. */
export interface CertificatePair {
  readonly certificate: string
  readonly key: string
}

/**
 * The certificate and key in `folder` (server.crt, server.key), made when missing, broken or nearly expired, for these DNS
 * names and addresses. One that an authority signed is taken as it is. The key is readable by the owner only. Rejects only
 * when the folder cannot be read or written.
 */
export async function selfSigned(folder: string, names: readonly string[], wallMs: number): Promise<CertificatePair> {
  const certificatePath = join(folder, 'server.crt')
  const keyPath = join(folder, 'server.key')
  if (existsSync(certificatePath) && existsSync(keyPath)) {
    const kept = { certificate: readFileSync(certificatePath, 'utf8'), key: readFileSync(keyPath, 'utf8') }
    if (isUsable(kept, wallMs)) return kept
  }
  const pair = await makeCertificate(names, wallMs)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeWhole(keyPath, pair.key, 0o600)
  writeWhole(certificatePath, pair.certificate, 0o644)
  return pair
}

/** Whether the pair belongs together and is good for a while, or is somebody's own, which is not ours to replace. */
function isUsable(pair: CertificatePair, wallMs: number): boolean {
  try {
    const certificate = new X509Certificate(pair.certificate)
    if (certificate.issuer !== certificate.subject) return true
    const leftMs = Date.parse(certificate.validTo) - wallMs
    return leftMs > RENEW_DAYS * DAY_MS && certificate.checkPrivateKey(createPrivateKey(pair.key))
  } catch {
    return false
  }
}

/** A new self-signed certificate for the names: the first is the common name, all are subjectAltNames. */
export async function makeCertificate(names: readonly string[], wallMs: number): Promise<CertificatePair> {
  const commonName = names[0] ?? 'localhost'
  const alternatives = (names.length === 0 ? [commonName] : names).map((name) =>
    isIP(name) === 0 ? { type: 2 as const, value: name } : { type: 7 as const, ip: name },
  )
  const made = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // An hour back, for peers whose clock is behind.
    notBeforeDate: new Date(wallMs - 3_600_000),
    notAfterDate: new Date(wallMs + VALID_DAYS * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: alternatives },
    ],
  })
  return { certificate: made.cert, key: made.private }
}

/** Tells of the change of any of several files until closed. */
export interface FileWatch {
  close(): void
}

/**
 * Calls `onChange` once after any of `paths` has changed and nothing has for {@link SETTLE_MS}. Their folders are watched, so a file
 * that is replaced, or a symbolic link turned, is seen. A folder that cannot be watched is `onFault`'s; the others are.
 */
export function watchFiles(
  paths: readonly string[],
  clock: Clock,
  onChange: () => void,
  onFault: (error: unknown) => void,
): FileWatch {
  const settle = new Timer({ onTimer: onChange })
  const folders = new Map<string, Set<string>>()
  for (const path of paths) {
    const names = folders.get(dirname(path)) ?? new Set()
    folders.set(dirname(path), names.add(basename(path)))
  }
  const watchers = [...folders].flatMap(([folder, names]) => {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        // "..data" is the link that Kubernetes turns when a mounted secret changes.
        if (name === null || names.has(name) || name === '..data') clock.arm(settle, 'settle', SETTLE_MS)
      })
      watcher.on('error', onFault)
      return [watcher]
    } catch (error) {
      onFault(error)
      return []
    }
  })
  return {
    close: () => {
      clock.cancel(settle)
      for (const watcher of watchers) watcher.close()
    },
  }
}

/** Written beside and renamed, so that nobody reads half of it; never with more rights than `mode`. */
function writeWhole(path: string, text: string, mode: number): void {
  const beside = `${path}.new`
  writeFileSync(beside, text, { mode })
  chmodSync(beside, mode)
  renameSync(beside, path)
}
