// The audio codecs of libraries behind the port: Opus as WebAssembly, G.729 from the system's libbcg729 where it is installed.

import type { AudioCodecs, AudioDecoder, AudioEncoder } from '#core/audio-codec.ts'
import type { Log } from '#core/log.ts'
import { type G729Library, g729Library } from '#host/g729-library.ts'
import { type OpusLibrary, opusLibrary } from '#host/opus-library.ts'

/** Encoders and decoders open at once in this process; a stream needs one of each. */
const CODECS_OPEN_MAX = 20_000

/** The codecs that libraries gave us. */
class LibraryCodecs implements AudioCodecs {
  readonly available: readonly string[]
  readonly #opus: OpusLibrary | null
  readonly #g729: G729Library | null
  #open = 0

  constructor(opus: OpusLibrary | null, g729: G729Library | null) {
    this.#opus = opus
    this.#g729 = g729
    this.available = [...(opus === null ? [] : ['OPUS']), ...(g729 === null ? [] : ['G729'])]
  }

  encoder(encoding: string, parameters: string, sampleRate: number): AudioEncoder | null {
    if (this.#open >= CODECS_OPEN_MAX) return null
    if (encoding === 'OPUS') return this.#count(this.#opus?.encoder(parameters, sampleRate, this.#onClose))
    if (encoding === 'G729') return this.#count(this.#g729?.encoder(parameters, this.#onClose))
    return null
  }

  decoder(encoding: string, parameters: string, sampleRate: number): AudioDecoder | null {
    if (this.#open >= CODECS_OPEN_MAX) return null
    if (encoding === 'OPUS') return this.#count(this.#opus?.decoder(parameters, sampleRate, this.#onClose))
    if (encoding === 'G729') return this.#count(this.#g729?.decoder(this.#onClose))
    return null
  }

  readonly #onClose = (): void => {
    this.#open -= 1
  }

  #count<T>(codec: T | null | undefined): T | null {
    if (codec === null || codec === undefined) return null
    this.#open += 1
    return codec
  }
}

/**
 * Loads the libraries, once in each thread. One that cannot be loaded takes its encoding out of `available`, with one
 * notice (`CODEC_UNAVAILABLE`): nothing else suffers.
 */
export async function audioCodecs(log: Log): Promise<AudioCodecs> {
  const opus = await opusLibrary()
  if (typeof opus === 'string') log.event('warn', 'CODEC_UNAVAILABLE', { encoding: 'OPUS', reason: opus })
  const g729 = g729Library()
  if (typeof g729 === 'string') log.event('info', 'CODEC_UNAVAILABLE', { encoding: 'G729', reason: g729 })
  return new LibraryCodecs(typeof opus === 'string' ? null : opus, typeof g729 === 'string' ? null : g729)
}
