// The port of recordings on the file system: written in large pieces, so that the disk is asked seldom.

import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { MediaFile, MediaFileSink, MediaFiles } from '#core/media-files.ts'
import { errorWord } from '#host/error-word.ts'

/** Octets gathered before they are written: two seconds of G.711 in both directions, as linear samples. */
const PIECE_OCTETS = 64 * 1_024

class RecordingFile implements MediaFile {
  readonly #sink: MediaFileSink
  readonly #piece = Buffer.allocUnsafe(PIECE_OCTETS)
  #used = 0
  /** Where the piece goes in the file. */
  #position = 0
  #descriptor = -1

  constructor(path: string, sink: MediaFileSink) {
    this.#sink = sink
    this.#try(() => {
      mkdirSync(dirname(path), { recursive: true })
      this.#descriptor = openSync(path, 'w', 0o640)
    })
  }

  append(bytes: Uint8Array): void {
    if (this.#descriptor < 0) return
    if (this.#used + bytes.byteLength > PIECE_OCTETS) this.#flush()
    if (bytes.byteLength > PIECE_OCTETS) {
      this.#write(bytes, this.#position)
      this.#position += bytes.byteLength
      return
    }
    this.#piece.set(bytes, this.#used)
    this.#used += bytes.byteLength
  }

  replace(position: number, bytes: Uint8Array): void {
    this.#flush()
    this.#write(bytes, position)
  }

  close(): void {
    this.#flush()
    const descriptor = this.#descriptor
    this.#descriptor = -1
    if (descriptor >= 0) this.#try(() => closeSync(descriptor))
  }

  #flush(): void {
    if (this.#used === 0) return
    const octets = this.#used
    this.#used = 0
    this.#write(this.#piece.subarray(0, octets), this.#position)
    this.#position += octets
  }

  #write(bytes: Uint8Array, position: number): void {
    if (this.#descriptor < 0) return
    this.#try(() => {
      for (let done = 0; done < bytes.byteLength; ) {
        done += writeSync(this.#descriptor, bytes, done, bytes.byteLength - done, position + done)
      }
    })
  }

  #try(step: () => void): void {
    try {
      step()
    } catch (error) {
      const descriptor = this.#descriptor
      this.#descriptor = -1
      try {
        if (descriptor >= 0) closeSync(descriptor)
      } catch {
        // It is given up in any case.
      }
      const reason = errorWord(error)
      setImmediate(() => this.#sink.onFileError(reason))
    }
  }
}

/** Recordings as files. */
export class SystemMediaFiles implements MediaFiles {
  create(path: string, sink: MediaFileSink): MediaFile {
    return new RecordingFile(path, sink)
  }
}
