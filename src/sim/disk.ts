// The stable storage of one simulated machine, and the Store port over it. It outlives processes; power loss keeps what was synced.

import { assert } from '#core/assert.ts'
import type { Journal, JournalSink, Store } from '#core/store.ts'
import type { Generator } from '#sim/generator.ts'
import type { VirtualClock } from '#sim/virtual-clock.ts'
import type { Task } from '#sim/virtual-time.ts'

const NAME = /^[a-z0-9._-]+(\/[a-z0-9._-]+)*$/
/** Lines taken from a compaction's iterator at one go. */
const REWRITE_PORTION = 256
/** Lines that wait in the process while the storage fails; later ones are dropped (oldest kept). */
const QUEUED_MAX = 100_000
const RETRY_MS = 1_000

interface File {
  /** What the operating system has. */
  lines: string[]
  /** How many of them are on stable storage. */
  durable: number
  /** A last line without its line break, as a power loss may leave it. */
  torn: string | null
}

/** The disk. A machine's processes come and go; this stays. */
export class Disk {
  readonly #files = new Map<string, File>()
  readonly #random: Generator
  /** Bounds of the time that a sync takes. */
  syncMs: readonly [number, number] = [1, 8]
  /** The word with which every write fails now; null while the disk is well. */
  failing: string | null = null
  syncs = 0
  /** Lines that processes hold because writing failed: they die with their process. */
  untaken = 0

  constructor(random: Generator) {
    this.#random = random
  }

  /** The port of one process. */
  store(clock: VirtualClock): SimStore {
    return new SimStore(this, clock, this.#random)
  }

  /** What the operating system has of `name`, as a reader of the file sees it; empty when there is no such file. */
  lines(name: string): readonly string[] {
    return this.#files.get(name)?.lines ?? []
  }

  names(folder: string): string[] {
    return [...this.#files.keys()].filter((name) => name.startsWith(`${folder}/`)).sort()
  }

  file(name: string): File {
    let file = this.#files.get(name)
    if (file === undefined) {
      file = { lines: [], durable: 0, torn: null }
      this.#files.set(name, file)
    }
    return file
  }

  remove(name: string): void {
    this.#files.delete(name)
  }

  drawSyncMs(): number {
    return this.#random.between(this.syncMs[0], this.syncMs[1])
  }

  /** Power is lost: of what was not synced a part from the beginning is there, the next line perhaps torn. */
  losePower(): void {
    for (const file of this.#files.values()) {
      const unsynced = file.lines.length - file.durable
      const kept = file.durable + (unsynced === 0 ? 0 : this.#random.between(0, unsynced))
      const next = file.lines[kept]
      file.torn =
        next !== undefined && next.length > 1 && this.#random.chance(0.5) ? next.slice(0, next.length >> 1) : null
      file.lines.length = kept
      file.durable = kept
    }
  }
}

/** The Store port of one process. */
export class SimStore implements Store {
  readonly #disk: Disk
  readonly #clock: VirtualClock
  readonly #open = new Map<string, SimJournal>()
  readonly #random: Generator

  constructor(disk: Disk, clock: VirtualClock, random: Generator) {
    this.#disk = disk
    this.#clock = clock
    this.#random = random
  }

  open(name: string, each: (line: string) => void, sink: JournalSink): { journal: Journal; torn: boolean } {
    assert(NAME.test(name), `the journal name '${name}'`)
    assert(!this.#open.has(name), `the journal '${name}' is open already`)
    const file = this.#disk.file(name)
    const torn = file.torn !== null
    file.torn = null
    for (const line of file.lines) each(line)
    const journal = new SimJournal(this.#disk, file, this.#clock, this.#random, sink, () => this.#open.delete(name))
    this.#open.set(name, journal)
    return { journal, torn }
  }

  list(folder: string): string[] {
    return this.#disk.names(folder)
  }

  remove(name: string): void {
    assert(!this.#open.has(name), `the journal '${name}' is open`)
    this.#disk.remove(name)
  }
}

class SimJournal implements Journal {
  readonly #disk: Disk
  readonly #file: File
  readonly #clock: VirtualClock
  readonly #random: Generator
  readonly #sink: JournalSink
  readonly #closed: () => void
  #isOpen = true
  #appended = 0
  #durable = 0
  #octets = 0
  /** Lines that the operating system has not taken: they die with the process. */
  #queued: string[] = []
  #sync: Task | null = null
  #retry: Task | null = null
  #rewriting = false

  constructor(disk: Disk, file: File, clock: VirtualClock, random: Generator, sink: JournalSink, closed: () => void) {
    this.#disk = disk
    this.#file = file
    this.#clock = clock
    this.#random = random
    this.#sink = sink
    this.#closed = closed
    for (const line of file.lines) this.#octets += line.length + 1
  }

  get pending(): number {
    return this.#appended - this.#durable
  }

  get octets(): number {
    return this.#octets
  }

  append(line: string): number {
    assert(this.#isOpen, 'append to a closed journal')
    assert(!line.includes('\n'), 'a line break in a journal line')
    const sequence = ++this.#appended
    if (this.#disk.failing === null && this.#queued.length === 0) this.#write(line)
    else if (this.#queued.length < QUEUED_MAX) {
      this.#queued.push(line)
      this.#disk.untaken++
      if (this.#retry === null) {
        const reason = this.#disk.failing ?? 'EIO'
        this.#clock.after(0, () => this.#sink.onStoreError(reason))
        this.#retryLater()
      }
    }
    return sequence
  }

  rewrite(lines: Iterator<string>, done: (succeeded: boolean) => void): void {
    assert(this.#isOpen && !this.#rewriting, 'one compaction of an open journal at a time')
    this.#rewriting = true
    const fresh: string[] = []
    const before = this.#file.lines.length
    const draw = (): void => {
      for (let i = 0; i < REWRITE_PORTION; i++) {
        const next = lines.next()
        if (next.done === true) {
          this.#clock.after(this.#disk.drawSyncMs(), () => finish())
          return
        }
        fresh.push(next.value)
      }
      this.#clock.after(1 + this.#random.fraction(), draw)
    }
    const finish = (): void => {
      this.#rewriting = false
      if (this.#disk.failing !== null || !this.#isOpen) {
        done(false)
        return
      }
      this.#file.lines = [...fresh, ...this.#file.lines.slice(before)]
      this.#file.durable = this.#file.lines.length
      this.#octets = this.#file.lines.reduce((sum, line) => sum + line.length + 1, 0)
      done(true)
      this.#syncLater()
    }
    this.#clock.after(1, draw)
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#closed()
    this.#sync?.cancel()
    this.#retry?.cancel()
    if (this.#disk.failing !== null) return
    this.#writeQueued()
    this.#sync?.cancel()
    this.#file.durable = this.#file.lines.length
    if (this.#durable < this.#appended) {
      this.#durable = this.#appended
      this.#clock.after(0, () => this.#sink.onDurable(this.#appended))
    }
  }

  #writeQueued(): void {
    this.#disk.untaken -= this.#queued.length
    for (const line of this.#queued.splice(0)) this.#write(line)
  }

  #write(line: string): void {
    this.#file.lines.push(line)
    this.#octets += line.length + 1
    this.#syncLater()
  }

  #syncLater(): void {
    if (this.#sync !== null) return
    this.#sync = this.#clock.after(this.#disk.drawSyncMs(), () => {
      this.#sync = null
      // Group commit: all that the system had when the sync began; what came meanwhile waits for the next one.
      const upTo = this.#appended - this.#queued.length
      const content = this.#file.lines
      const lines = content.length
      this.#disk.syncs++
      this.#sync = this.#clock.after(this.#disk.drawSyncMs(), () => {
        this.#sync = null
        if (this.#disk.failing === null) this.#synced(upTo, content, lines)
        else this.#failedSync()
      })
    })
  }

  #synced(upTo: number, content: readonly string[], lines: number): void {
    // After a compaction the file is another one, and the sync was of the old.
    if (content === this.#file.lines) this.#file.durable = Math.max(this.#file.durable, lines)
    if (upTo > this.#durable) {
      this.#durable = upTo
      this.#sink.onDurable(upTo)
    }
    if (this.#isOpen && this.#durable < this.#appended - this.#queued.length) this.#syncLater()
  }

  #failedSync(): void {
    this.#sink.onStoreError(this.#disk.failing ?? 'EIO')
    this.#retryLater()
  }

  #retryLater(): void {
    if (this.#retry !== null) return
    this.#retry = this.#clock.after(RETRY_MS, () => {
      this.#retry = null
      if (!this.#isOpen) return
      if (this.#disk.failing !== null) {
        this.#retryLater()
        return
      }
      this.#writeQueued()
      this.#syncLater()
    })
  }
}
