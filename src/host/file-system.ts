// What the journals need of node:fs, as a type so that tests can make it fail, and two steps made of it.

import type * as fs from 'node:fs'

/** The calls of node:fs that the journals make. `node:fs` itself is one. */
export type FileSystem = Pick<
  typeof fs,
  | 'closeSync'
  | 'fdatasync'
  | 'fdatasyncSync'
  | 'fsync'
  | 'fsyncSync'
  | 'ftruncateSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readdirSync'
  | 'readSync'
  | 'renameSync'
  | 'unlinkSync'
  | 'write'
  | 'writeSync'
>

/** Writes all of `bytes` at `position`; throws what the system says, having written some of it perhaps. */
export function writeFully(fs: FileSystem, descriptor: number, bytes: Uint8Array, position: number): void {
  let offset = 0
  while (offset < bytes.byteLength) {
    offset += fs.writeSync(descriptor, bytes, offset, bytes.byteLength - offset, position + offset)
  }
}

/** Syncs a folder, so that the names made, changed and removed in it are on stable storage. */
export function syncFolder(fs: FileSystem, folder: string): void {
  const descriptor = fs.openSync(folder, 'r')
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
