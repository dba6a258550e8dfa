// The Store port: journals as files below the node's data folder.

import * as nodeFs from 'node:fs'
import { dirname, join } from 'node:path'
import { assert } from '#core/assert.ts'
import type { Clock } from '#core/clock.ts'
import type { Journal, JournalSink, Store } from '#core/store.ts'
import { type FileSystem, syncFolder } from '#host/file-system.ts'
import { FileJournal, type JournalLimits, QUEUED_LINES_MAX, QUEUED_OCTETS_MAX } from '#host/journal.ts'
import { REWRITE_SUFFIX } from '#host/journal-rewrite.ts'

/** Journals are for the user who runs the node alone: they hold numbers and addresses of people. */
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** Octets read at once when a journal is opened. */
const READ_OCTETS = 1_024 * 1_024
/** Journals open at a time. */
export const JOURNALS_MAX = 1_024

const NAME = /^(?!.*(?:^|\/)\.)[a-z0-9._-]+(?:\/[a-z0-9._-]+)*$/
const LINE_BREAK = 0x0a

/** Files of one folder. Nobody else may write them while this process does. */
export class FileStore implements Store {
  readonly #folder: string
  readonly #clock: Clock
  readonly #fs: FileSystem
  readonly #limits: JournalLimits
  readonly #open = new Set<string>()

  constructor(folder: string, clock: Clock, fs: FileSystem = nodeFs, limits: Partial<JournalLimits> = {}) {
    this.#folder = folder
    this.#clock = clock
    this.#fs = fs
    this.#limits = { queuedLinesMax: QUEUED_LINES_MAX, queuedOctetsMax: QUEUED_OCTETS_MAX, ...limits }
  }

  open(name: string, each: (line: string) => void, sink: JournalSink): { journal: Journal; torn: boolean } {
    const path = this.#path(name)
    assert(!this.#open.has(name), `journal ${name} is open already`)
    assert(this.#open.size < JOURNALS_MAX, `more than ${JOURNALS_MAX} open journals`)
    const folder = dirname(path)
    this.#makeFolder(folder)
    this.#unlink(path + REWRITE_SUFFIX)
    const { descriptor, created } = this.#openFile(path)
    try {
      const { octets, torn } = this.#read(descriptor, each)
      if (torn) this.#fs.ftruncateSync(descriptor, octets)
      this.#open.add(name)
      const file = { path, folder, descriptor, octets, created }
      const onClosed = (): void => {
        this.#open.delete(name)
      }
      return { journal: new FileJournal(this.#fs, this.#clock, file, sink, this.#limits, onClosed), torn }
    } catch (error) {
      this.#fs.closeSync(descriptor)
      throw error
    }
  }

  /** Names as `open` takes them: with the folder. */
  list(folder: string): string[] {
    try {
      return this.#fs
        .readdirSync(this.#path(folder), { withFileTypes: true })
        .filter((entry) => entry.isFile() && NAME.test(entry.name) && !entry.name.endsWith(REWRITE_SUFFIX))
        .map((entry) => `${folder}/${entry.name}`)
        .sort()
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }

  remove(name: string): void {
    assert(!this.#open.has(name), `journal ${name} is open`)
    this.#unlink(this.#path(name))
  }

  #path(name: string): string {
    assert(NAME.test(name) && !name.endsWith(REWRITE_SUFFIX), `journal name ${name}`)
    return join(this.#folder, name)
  }

  #openFile(path: string): { descriptor: number; created: boolean } {
    try {
      return { descriptor: this.#fs.openSync(path, 'r+'), created: false }
    } catch (error) {
      if (!isMissing(error)) throw error
      return { descriptor: this.#fs.openSync(path, 'wx+', FILE_MODE), created: true }
    }
  }

  /** Makes the folder and those above it, and syncs each that got a new name in it. */
  #makeFolder(folder: string): void {
    const first = this.#fs.mkdirSync(folder, { recursive: true, mode: FOLDER_MODE })
    if (first === undefined) return
    for (let made = folder; made.length >= first.length; made = dirname(made)) syncFolder(this.#fs, dirname(made))
  }

  #unlink(path: string): void {
    try {
      this.#fs.unlinkSync(path)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  /** Gives every whole line to `each`; `octets` is the length of them all, without a torn last one. */
  #read(descriptor: number, each: (line: string) => void): { octets: number; torn: boolean } {
    let buffer = Buffer.allocUnsafeSlow(READ_OCTETS)
    let filled = 0
    let octets = 0
    for (;;) {
      if (filled === buffer.byteLength) {
        // A line longer than the buffer.
        const larger = Buffer.allocUnsafeSlow(buffer.byteLength * 2)
        buffer.copy(larger, 0, 0, filled)
        buffer = larger
      }
      const count = this.#fs.readSync(descriptor, buffer, filled, buffer.byteLength - filled, octets + filled)
      if (count === 0) return { octets, torn: filled > 0 }
      filled += count
      const whole = buffer.subarray(0, filled).lastIndexOf(LINE_BREAK) + 1
      if (whole === 0) continue
      const text = buffer.toString('utf8', 0, whole)
      let start = 0
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
        each(text.slice(start, end))
        start = end + 1
      }
      buffer.copyWithin(0, whole, filled)
      filled -= whole
      octets += whole
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
