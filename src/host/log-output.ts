// Log lines to a file descriptor: in batches, without waiting, bounded, and never held up by a reader that has gone away.

import { write, writeSync } from 'node:fs'

/** Octets collected before they are written without waiting. */
export const BATCH_OCTETS = 8 * 1_024
/** Octets waiting for a reader that does not read; what comes then is lost. */
export const QUEUED_OCTETS_MAX = 4 * 1_024 * 1_024
/** A reader that is full is tried again after this time. */
const RETRY_MS = 50
/** How often, when the process is to end and the reader is full. */
const LAST_TRIES_MAX = 20

/** What is needed of node:fs; a type so that tests can make it fail. */
export interface OutputFiles {
  write(fd: number, bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null, octets: number) => void): void
  writeSync(fd: number, bytes: Uint8Array): number
  /** Holds the process up. */
  pause(ms: number): void
}

const FILES: OutputFiles = {
  write,
  writeSync,
  pause: (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
}

export class LogOutput {
  readonly #fd: number
  readonly #files: OutputFiles
  /** Lines that are not under way yet. */
  #lines = ''
  /** What is left of the batch that the system is writing, or null. */
  #underWay: Uint8Array | null = null
  /** A flush came while a batch was under way. */
  #wanted = false
  #gone = false

  constructor(fd: number, files: OutputFiles = FILES) {
    this.#fd = fd
    this.#files = files
  }

  /** Whether the reader has gone away: nothing is kept any more. */
  get gone(): boolean {
    return this.#gone
  }

  /** Takes a line with its line break. */
  write(line: string): void {
    if (this.#gone || this.#lines.length + line.length > QUEUED_OCTETS_MAX) return
    this.#lines += line
    if (this.#lines.length >= BATCH_OCTETS) this.flush()
  }

  /** Hands over what waits; does not wait for it. */
  flush(): void {
    if (this.#lines === '') return
    this.#wanted = true
    if (this.#underWay !== null) return
    this.#wanted = false
    this.#underWay = Buffer.from(this.#lines)
    this.#lines = ''
    this.#put()
  }

  /** Writes what waits before it returns, for the end of the process; a reader that stays full is given up after a second. */
  flushNow(): void {
    let rest: Uint8Array = Buffer.from(this.#lines)
    this.#lines = ''
    for (let tries = 0; rest.length > 0 && !this.#gone && tries < LAST_TRIES_MAX; ) {
      try {
        rest = rest.subarray(this.#files.writeSync(this.#fd, rest))
      } catch (error) {
        if (isFull(error)) this.#files.pause(RETRY_MS)
        else this.#lose()
        tries += 1
      }
    }
  }

  #put(): void {
    const batch = this.#underWay
    if (batch === null) return
    this.#files.write(this.#fd, batch, (error, octets) => {
      if (error === null) this.#onWritten(batch.subarray(octets))
      else if (isFull(error)) setTimeout(() => this.#put(), RETRY_MS).unref()
      else this.#lose()
    })
  }

  #onWritten(rest: Uint8Array): void {
    if (rest.length > 0) {
      this.#underWay = rest
      this.#put()
      return
    }
    this.#underWay = null
    if (this.#wanted || this.#lines.length >= BATCH_OCTETS) this.flush()
  }

  /** The calls go on without a log: there is nowhere else to say it. */
  #lose(): void {
    this.#gone = true
    this.#underWay = null
    this.#lines = ''
  }
}

function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EAGAIN' || code === 'EBUSY'
}
