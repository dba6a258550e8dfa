// The data folder of a node: made for its user alone, held by one switch process at a time, with secrets nobody else reads.

import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
/** A predecessor that is being killed frees the folder within this time. */
export const HOLD_PATIENCE_MS = 3_000
const HOLD_POLL_MS = 50

/** Makes the folder when it is not there. Gives its real path. Throws when that is impossible. */
export function dataFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: FOLDER_MODE })
  return realpathSync(path)
}

/** Writes a file that only our user reads: beside it first, then renamed, so that a reader never sees half of it. */
export function writePrivate(path: string, text: string): void {
  const beside = `${path}.new`
  const file = openSync(beside, 'w', FILE_MODE)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  chmodSync(beside, FILE_MODE)
  renameSync(beside, path)
}

/** The text of a file, or null when it is not there. */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The secret in DATA/`name`; a fresh one from `make` is written the first time. */
export function keptSecret(folder: string, name: string, make: () => string): string {
  const path = join(folder, name)
  const kept = readIfThere(path)?.trim()
  if (kept !== undefined && kept !== '') return kept
  const secret = make()
  writePrivate(path, `${secret}\n`)
  return secret
}

/**
 * Holds the folder in a role until this process ends, however it ends: two switches that write the same journals would
 * spoil them.
 * Uses an abstract socket name, which the kernel frees with its process; elsewhere than on Linux nothing is held.
 * False when another process holds it, also after {@link HOLD_PATIENCE_MS}.
 */
export async function holdDataFolder(folder: string, role: string, patienceMs = HOLD_PATIENCE_MS): Promise<boolean> {
  if (process.platform !== 'linux') return true
  // Socket names end after 107 octets; the hash keeps long paths apart.
  const name = `\0carillon-data-${createHash('sha256').update(`${role} ${folder}`).digest('hex')}`
  for (let waitedMs = 0; ; waitedMs += HOLD_POLL_MS) {
    if (await bindName(name)) return true
    if (waitedMs >= patienceMs) return false
    await new Promise((resolve) => setTimeout(resolve, HOLD_POLL_MS))
  }
}

function bindName(name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer((socket) => socket.destroy())
    server.unref()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false)
      else reject(error)
    })
    server.listen({ path: name }, () => resolve(true))
  })
}
