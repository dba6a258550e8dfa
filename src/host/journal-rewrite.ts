// The compaction of one journal: the new content is written beside the old file, synced, and handed over to take its place.

import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import { errorWord } from '#host/error-word.ts'
import { type FileSystem, writeFully } from '#host/file-system.ts'

/** One portion drawn from the caller: it is held for about a millisecond. */
export const PORTION_LINES = 1_000
export const PORTION_OCTETS = 256 * 1_024
/** Rounds of writing and syncing what was appended meanwhile, before the last step takes what is left. */
const ROUNDS_MAX = 8
/** After a round that left no more lines than this the last step is taken. */
const REST_LINES = 1_000
/** What a file that is being written is called: the journal's name and this. A journal's name never ends so. */
export const REWRITE_SUFFIX = '.rewrite'

/** Told how a rewrite goes. */
export interface RewriteOwner {
  /** Everything but the last lines is in the new file and on stable storage. */
  onCaughtUp(rewrite: JournalRewrite): void
  /** It was given up; the new file is deleted. */
  onFailed(reason: string): void
}

/** A rewrite under way. */
export class JournalRewrite implements TimerOwner {
  readonly path: string
  /** The old file needs no more syncs: all its lines are, or will be, in the new one. */
  catchingUp = false
  descriptor: number | null = null
  /** Octets written, and octets on stable storage. */
  octets = 0
  syncedOctets = 0
  readonly #fs: FileSystem
  readonly #clock: Clock
  readonly #owner: RewriteOwner
  readonly #sinceOctetsMax: number
  readonly #lines: Iterator<string>
  readonly #timer = new Timer(this)
  /** Lines appended since the rewrite began that are not in the new file. */
  #since: string[] = []
  #sinceOctets = 0
  #rounds = 0
  #ended = false
  /** A call of ours is with the system; the descriptor stays open until it is back. */
  #busy = false

  constructor(
    fs: FileSystem,
    clock: Clock,
    journalPath: string,
    sinceOctetsMax: number,
    lines: Iterator<string>,
    owner: RewriteOwner,
  ) {
    this.#fs = fs
    this.#clock = clock
    this.path = journalPath + REWRITE_SUFFIX
    this.#sinceOctetsMax = sinceOctetsMax
    this.#lines = lines
    this.#owner = owner
    clock.arm(this.#timer, 'begin', 0)
  }

  /** A line was appended to the old file. */
  keep(text: string, octets: number): void {
    if (this.#ended) return
    this.#since.push(text)
    this.#sinceOctets += octets
    if (this.#sinceOctets > this.#sinceOctetsMax) this.abandon('EFBIG')
  }

  /** Writes what is left, for the owner's last step, and gives it. Throws what the system says. */
  writeRest(): readonly string[] {
    const rest = this.#since
    const bytes = Buffer.from(rest.join(''))
    writeFully(this.#fs, this.descriptor as number, bytes, this.octets)
    this.octets += bytes.byteLength
    return rest
  }

  /** The owner has the new file, under the journal's name. */
  handOver(): number {
    this.#ended = true
    return this.descriptor as number
  }

  /** Gives up, deletes the new file and tells the owner. */
  abandon(reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#since = []
    this.#clock.cancel(this.#timer)
    try {
      if (this.descriptor !== null) this.#fs.unlinkSync(this.path)
    } catch {
      // A file left over is deleted when the journal is opened next.
    }
    if (!this.#busy) this.#release()
    this.#owner.onFailed(reason)
  }

  /** For the clock. */
  onTimer(): void {
    try {
      this.descriptor = this.#fs.openSync(this.path, 'w', 0o600)
    } catch (error) {
      this.abandon(errorWord(error))
      return
    }
    this.#drawPortion()
  }

  #release(): void {
    try {
      if (this.descriptor !== null) this.#fs.closeSync(this.descriptor)
    } catch {
      // Nothing is lost with it.
    }
    this.descriptor = null
  }

  #drawPortion(): void {
    let text = ''
    let count = 0
    try {
      while (count < PORTION_LINES && text.length < PORTION_OCTETS) {
        const next = this.#lines.next()
        if (next.done === true) {
          this.catchingUp = true
          break
        }
        text += `${next.value}\n`
        count++
      }
    } catch (error) {
      this.abandon(errorWord(error))
      return
    }
    this.#write(Buffer.from(text), 0, () => (this.catchingUp ? this.#catchUp() : this.#drawPortion()))
  }

  #catchUp(): void {
    const text = this.#since.join('')
    this.#since = []
    this.#sinceOctets = 0
    this.#rounds++
    this.#write(Buffer.from(text), 0, () => {
      this.#call(
        (back) => this.#fs.fdatasync(this.descriptor as number, back),
        () => {
          this.syncedOctets = this.octets
          if (this.#since.length > REST_LINES && this.#rounds < ROUNDS_MAX) this.#catchUp()
          else this.#owner.onCaughtUp(this)
        },
      )
    })
  }

  #write(bytes: Buffer, offset: number, next: () => void): void {
    if (offset === bytes.byteLength) {
      next()
      return
    }
    const length = bytes.byteLength - offset
    this.#call(
      (back) => this.#fs.write(this.descriptor as number, bytes, offset, length, this.octets, back),
      (written) => {
        this.octets += written
        this.#write(bytes, offset + written, next)
      },
    )
  }

  /** One asynchronous call; `next` comes only when it succeeded and nobody gave up meanwhile. */
  #call(start: (back: (error: Error | null, result?: number) => void) => void, next: (result: number) => void): void {
    this.#busy = true
    start((error, result) => {
      this.#busy = false
      if (this.#ended) this.#release()
      else if (error !== null) this.abandon(errorWord(error))
      else next(result ?? 0)
    })
  }
}
