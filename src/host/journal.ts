// One journal: a file of lines, written at once, synced in groups, replaced atomically.

import { assert } from '#core/assert.ts'
import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Journal, JournalSink } from '#core/store.ts'
import { errorWord } from '#host/error-word.ts'
import { type FileSystem, syncFolder, writeFully } from '#host/file-system.ts'
import { JournalRewrite } from '#host/journal-rewrite.ts'

/**
 * Lines appended within this time are synced together, in milliseconds: at most ten syncs a second, however many lines.
 * Nothing that a call waits for waits for a sync, so this is what a loss of power may take.
 */
export const SYNC_WINDOW_MS = 100
/** The time between attempts while the storage fails, in milliseconds. */
export const RETRY_MS = 1_000
/** Lines, and octets in them, kept until they are durable. Beyond it: a blocking sync, or, while storage fails, loss. */
export const QUEUED_LINES_MAX = 100_000
export const QUEUED_OCTETS_MAX = 64 * 1_024 * 1_024
/** Octets written by one call when a queue is written after a failure. */
const CHUNK_OCTETS = 256 * 1_024

/** Reported when the queue of a failing journal is full: what is appended now is lost, and its number is passed over. */
export const QUEUE_FULL = 'QUEUE_FULL'

/** An open file to append to. */
export interface JournalFile {
  readonly path: string
  readonly folder: string
  readonly descriptor: number
  readonly octets: number
  /** The file is new: its name is not on stable storage yet. */
  readonly created: boolean
}

/** The bounds of a journal, for tests to make small. */
export interface JournalLimits {
  readonly queuedLinesMax: number
  readonly queuedOctetsMax: number
}

/**
 * A journal on a file that nobody else writes. Every position is ours, not the file's end: a write that failed half-way is
 * made again in its place, and so are all lines since the last good sync when a sync fails, because after that the
 * system may have dropped what it had taken.
 */
export class FileJournal implements Journal, TimerOwner {
  readonly #fs: FileSystem
  readonly #clock: Clock
  readonly #sink: JournalSink
  readonly #path: string
  readonly #folder: string
  readonly #limits: JournalLimits
  readonly #onClosed: () => void
  readonly #syncTimer = new Timer(this)
  readonly #retryTimer = new Timer(this)
  readonly #reportTimer = new Timer(this)
  #descriptor: number
  /** What is not on stable storage, oldest first; the system has the first `#queueWritten` of it. */
  #queue: string[] = []
  #queueOctets = 0
  #queueWritten = 0
  /** Numbers of the last line appended, of the last one on stable storage, and of the last one told. */
  #sequence = 0
  #durable = 0
  #told = 0
  /** Where the next line goes, and where the queue begins. */
  #octets: number
  #durableOctets: number
  /** The word to report, while the storage fails. */
  #failure: string | null = null
  #reported: string | null = null
  #dropping = false
  #syncing = false
  /** The name of the file is not on stable storage. */
  #folderDirty: boolean
  #rewrite: JournalRewrite | null = null
  #closed = false

  constructor(
    fs: FileSystem,
    clock: Clock,
    file: JournalFile,
    sink: JournalSink,
    limits: JournalLimits,
    onClosed: () => void,
  ) {
    this.#fs = fs
    this.#clock = clock
    this.#sink = sink
    this.#path = file.path
    this.#folder = file.folder
    this.#limits = limits
    this.#onClosed = onClosed
    this.#descriptor = file.descriptor
    this.#octets = file.octets
    this.#durableOctets = file.octets
    this.#folderDirty = file.created
  }

  get pending(): number {
    return this.#sequence - this.#durable
  }

  get octets(): number {
    return this.#octets
  }

  append(line: string): number {
    assert(!this.#closed, `append to the closed journal ${this.#path}`)
    assert(!line.includes('\n'), `a line break in a line for ${this.#path}`)
    const sequence = ++this.#sequence
    const text = `${line}\n`
    const octets = Buffer.byteLength(text)
    const { queuedLinesMax, queuedOctetsMax } = this.#limits
    if (this.#queue.length >= queuedLinesMax || this.#queueOctets + octets > queuedOctetsMax) {
      if (!this.#makeRoom()) return sequence
    }
    this.#queue.push(text)
    this.#queueOctets += octets
    this.#rewrite?.keep(text, octets)
    if (this.#failure !== null) return sequence
    try {
      const written = this.#fs.writeSync(this.#descriptor, text, this.#octets)
      if (written < octets) {
        writeFully(this.#fs, this.#descriptor, Buffer.from(text).subarray(written), this.#octets + written)
      }
      this.#octets += octets
      this.#queueWritten++
      if (!this.#syncing && !this.#syncTimer.armed) this.#clock.arm(this.#syncTimer, 'sync', SYNC_WINDOW_MS)
    } catch (error) {
      this.#fail(errorWord(error))
    }
    return sequence
  }

  rewrite(lines: Iterator<string>, done: (succeeded: boolean) => void): void {
    assert(!this.#closed && this.#rewrite === null, `two rewrites at a time of ${this.#path}`)
    this.#rewrite = new JournalRewrite(this.#fs, this.#clock, this.#path, this.#limits.queuedOctetsMax, lines, {
      onCaughtUp: (rewrite) => this.#replace(rewrite, done),
      onFailed: (reason) => {
        this.#rewrite = null
        if (reason !== 'ECANCELED') {
          this.#sink.onStoreError(reason)
          this.#syncSoon()
        }
        done(false)
      },
    })
  }

  close(): void {
    if (this.#closed) return
    this.#rewrite?.abandon('ECANCELED')
    this.#rewrite = null
    this.#writeQueue()
    if (this.#failure === null) this.#syncNow()
    this.#closed = true
    this.#clock.cancel(this.#syncTimer)
    this.#clock.cancel(this.#retryTimer)
    this.#clock.cancel(this.#reportTimer)
    if (this.#failure !== null) this.#sink.onStoreError(this.#failure)
    this.#tellDurable()
    if (!this.#syncing) this.#release()
  }

  /** For the clock. */
  onTimer(name: string): void {
    if (name === 'sync') this.#sync()
    else if (name === 'retry') this.#retry()
    else this.#report()
  }

  #release(): void {
    try {
      this.#fs.closeSync(this.#descriptor)
    } catch {
      // What could be saved is saved; a descriptor that does not close is nothing anybody can act on.
    }
    this.#onClosed()
  }

  /** Room in a full queue: by waiting for the storage when it works, else not at all. */
  #makeRoom(): boolean {
    if (this.#failure === null) {
      this.#syncNow()
      this.#clock.arm(this.#reportTimer, 'report', 0)
      if (this.#failure === null) return true
    }
    this.#dropping = true
    this.#clock.arm(this.#reportTimer, 'report', 0)
    return false
  }

  #fail(reason: string): void {
    this.#failure = reason
    this.#clock.cancel(this.#syncTimer)
    this.#clock.arm(this.#reportTimer, 'report', 0)
    if (!this.#retryTimer.armed) this.#clock.arm(this.#retryTimer, 'retry', RETRY_MS)
  }

  /** A sync failed: what the system had taken since the last good one counts as not written. */
  #failSync(reason: string): void {
    this.#queueWritten = 0
    this.#octets = this.#durableOctets
    this.#fail(reason)
  }

  #report(): void {
    const reason = this.#dropping ? QUEUE_FULL : this.#failure
    if (reason !== null && reason !== this.#reported) {
      this.#reported = reason
      this.#sink.onStoreError(reason)
    }
    this.#tellDurable()
  }

  #tellDurable(): void {
    if (this.#durable === this.#told) return
    this.#told = this.#durable
    this.#reported = null
    this.#sink.onDurable(this.#durable)
  }

  #retry(): void {
    // While a sync is under way its outcome decides which lines are to be written again.
    if (this.#syncing) this.#clock.arm(this.#retryTimer, 'retry', RETRY_MS)
    else if (this.#writeQueue()) this.#sync()
    else this.#clock.arm(this.#retryTimer, 'retry', RETRY_MS)
  }

  /** Writes what the system does not have; false when that fails. */
  #writeQueue(): boolean {
    try {
      while (this.#queueWritten < this.#queue.length) {
        let end = this.#queueWritten
        let text = ''
        while (end < this.#queue.length && text.length < CHUNK_OCTETS) text += this.#queue[end++]
        const bytes = Buffer.from(text)
        writeFully(this.#fs, this.#descriptor, bytes, this.#octets)
        this.#octets += bytes.byteLength
        this.#queueWritten = end
      }
    } catch (error) {
      this.#failure = errorWord(error)
      return false
    }
    this.#failure = null
    this.#dropping = false
    return true
  }

  #syncSoon(): void {
    if ((this.pending > 0 || this.#folderDirty) && this.#failure === null) {
      if (!this.#syncTimer.armed) this.#clock.arm(this.#syncTimer, 'sync', SYNC_WINDOW_MS)
    }
  }

  #sync(): void {
    // While a rewrite catches up, the old file is about to go: its lines become durable with the new one.
    if (this.#syncing || this.#rewrite?.catchingUp === true) return
    const sequence = this.#sequence
    const lines = this.#queueWritten
    const octets = this.#octets
    const descriptor = this.#descriptor
    this.#syncing = true
    const finish = (error: Error | null): void => {
      this.#syncing = false
      if (this.#closed) {
        this.#release()
        return
      }
      if (descriptor !== this.#descriptor) {
        // A rewrite has taken the place of the file; that which was being synced is gone.
        this.#closeOld(descriptor)
        this.#syncSoon()
        return
      }
      if (error !== null) {
        this.#failSync(errorWord(error))
        return
      }
      if (octets > this.#durableOctets) this.#settle(sequence, lines, octets)
      else if (this.#failure === null) this.#durable = Math.max(this.#durable, sequence)
      this.#tellDurable()
      this.#syncSoon()
    }
    const syncFile = (): void => this.#fs.fdatasync(descriptor, finish)
    if (this.#folderDirty) this.#syncFolder(finish, syncFile)
    else syncFile()
  }

  #syncFolder(finish: (error: Error | null) => void, next: () => void): void {
    let folder: number
    try {
      folder = this.#fs.openSync(this.#folder, 'r')
    } catch (error) {
      this.#syncing = false
      this.#failSync(errorWord(error))
      return
    }
    this.#fs.fsync(folder, (error) => {
      this.#fs.closeSync(folder)
      if (error !== null) finish(error)
      else {
        this.#folderDirty = false
        next()
      }
    })
  }

  #syncNow(): void {
    try {
      if (this.#folderDirty) syncFolder(this.#fs, this.#folder)
      this.#folderDirty = false
      this.#fs.fdatasyncSync(this.#descriptor)
      this.#settle(this.#sequence, this.#queueWritten, this.#octets)
    } catch (error) {
      this.#failSync(errorWord(error))
    }
  }

  /** The first `lines` of the queue are on stable storage, which ends at `octets` now. */
  #settle(sequence: number, lines: number, octets: number): void {
    this.#durable = sequence
    this.#queue.splice(0, lines)
    this.#queueWritten -= lines
    this.#queueOctets -= octets - this.#durableOctets
    this.#durableOctets = octets
  }

  /** The last step of a rewrite: the new file takes the name and the place of the old one. */
  #replace(rewrite: JournalRewrite, done: (succeeded: boolean) => void): void {
    let left: readonly string[]
    try {
      left = rewrite.writeRest()
      this.#fs.renameSync(rewrite.path, this.#path)
    } catch (error) {
      rewrite.abandon(errorWord(error))
      return
    }
    this.#rewrite = null
    const old = this.#descriptor
    this.#descriptor = rewrite.handOver()
    if (!this.#syncing) this.#closeOld(old)
    this.#queue = [...left]
    this.#queueWritten = left.length
    this.#octets = rewrite.octets
    this.#durableOctets = rewrite.syncedOctets
    this.#queueOctets = this.#octets - this.#durableOctets
    this.#folderDirty = true
    this.#failure = null
    this.#dropping = false
    this.#clock.cancel(this.#retryTimer)
    this.#clock.cancel(this.#syncTimer)
    if (!this.#syncing) this.#sync()
    done(true)
  }

  #closeOld(descriptor: number): void {
    try {
      this.#fs.closeSync(descriptor)
    } catch {
      // The file has no name any more; nothing is lost with it.
    }
  }
}
