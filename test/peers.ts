// The programs of others that the interoperation tests talk to: where they are, and what it means when one is not there.

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where to find each program, beside PATH (some live in sbin), and the Debian package that has it. */
const PEERS = {
  sipp: 'sip-tester',
  baresip: 'baresip-core',
  tshark: 'tshark',
  kamailio: 'kamailio',
  rtpengine: 'rtpengine-daemon',
  ip: 'iproute2',
  openssl: 'openssl',
  chromium: 'chromium',
} as const

export type PeerName = keyof typeof PEERS

/**
 * The path of a peer, for a test's options: `test('…', peer('sipp').options, () => …)`. On a laptop without the program the
 * test is skipped and says what to install; under CI=true its absence fails the test run.
 */
export interface Peer {
  /** Empty when the program is absent. */
  readonly path: string
  /** Options for node:test: `skip` holds the reason. */
  readonly options: { readonly skip: string | false }
}

/** Looks a peer up. Throws under CI=true when it is absent: there, a skipped test would be a hole nobody sees. */
export function peer(name: PeerName): Peer {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin']
  return findPeer(name, folders, process.env['CI'] === 'true')
}

/** As {@link peer}, in these folders; `demanded` makes an absent one an error. */
export function findPeer(name: PeerName, folders: readonly string[], demanded: boolean): Peer {
  for (const folder of folders) {
    const path = join(folder, name)
    if (folder !== '' && isExecutable(path)) return { path, options: { skip: false } }
  }
  const reason = `${name} is not installed (Debian: apt-get install ${PEERS[name]})`
  if (demanded) throw new Error(reason)
  return { path: '', options: { skip: reason } }
}

/** Several peers at once; the test is skipped when one is absent. */
export function peers(...names: PeerName[]): { readonly options: Peer['options'] } {
  const absent = names.map((name) => peer(name)).find((found) => found.options.skip !== false)
  return { options: absent?.options ?? { skip: false } }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
