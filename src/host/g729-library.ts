// G.729 Annexes A and B (RTP payload RFC 3551 §4.5.6) through the system's libbcg729, loaded only where it is installed.

import { createRequire } from 'node:module'
import type { AudioDecoder, AudioEncoder } from '#core/audio-codec.ts'
import { errorWord } from '#host/error-word.ts'

const LIBRARIES: readonly string[] = ['libbcg729.so.0', 'libbcg729.so', 'libbcg729.dylib']
const SAMPLE_RATE = 8000
const FRAME_SAMPLES = 80
const FRAME_OCTETS = 10
/** Annex B: a silence descriptor, which may only end a packet. */
const SILENCE_OCTETS = 2
/** 200 ms, the longest packet of RFC 3551 §4.2. */
const FRAMES_MAX = 20

interface Calls {
  openEncoder(discontinuous: number): unknown
  closeEncoder(encoder: unknown): void
  encode(encoder: unknown, samples: Int16Array, octets: Uint8Array, length: Uint8Array): void
  openDecoder(): unknown
  closeDecoder(decoder: unknown): void
  decode(
    decoder: unknown,
    octets: Uint8Array,
    length: number,
    erased: number,
    silence: number,
    rfc3389: number,
    samples: Int16Array,
  ): void
}

/** The library, with the buffers that cross into it: each call is over before the next. */
export class G729Library {
  readonly calls: Calls
  readonly samples = new Int16Array(FRAME_SAMPLES)
  readonly octets = new Uint8Array(FRAME_OCTETS)
  readonly length = new Uint8Array(1)

  constructor(calls: Calls) {
    this.calls = calls
  }

  /**
   * Annex B's discontinuous transmission is not used even where `annexb` allows it: it is the sender's choice, and a pause
   * between two frames of one packet has no form in RTP.
   */
  encoder(_parameters: string, onClose: () => void): AudioEncoder | null {
    const encoder = this.calls.openEncoder(0)
    return encoder === null ? null : new G729Encoder(this, encoder, onClose)
  }

  decoder(onClose: () => void): AudioDecoder | null {
    const decoder = this.calls.openDecoder()
    return decoder === null ? null : new G729Decoder(this, decoder, onClose)
  }
}

class G729Encoder implements AudioEncoder {
  readonly sampleRate = SAMPLE_RATE
  readonly frameSamples = FRAME_SAMPLES
  readonly #library: G729Library
  readonly #onClose: () => void
  #encoder: unknown

  constructor(library: G729Library, encoder: unknown, onClose: () => void) {
    this.#library = library
    this.#encoder = encoder
    this.#onClose = onClose
  }

  encode(samples: Int16Array, target: Uint8Array): number {
    const frames = samples.length / FRAME_SAMPLES
    if (this.#encoder === null || !Number.isInteger(frames) || frames * FRAME_OCTETS > target.length) return 0
    const library = this.#library
    let written = 0
    for (let frame = 0; frame < frames; frame += 1) {
      for (let i = 0; i < FRAME_SAMPLES; i += 1) library.samples[i] = samples[frame * FRAME_SAMPLES + i] as number
      library.calls.encode(this.#encoder, library.samples, library.octets, library.length)
      for (let i = 0; i < FRAME_OCTETS; i += 1) target[written + i] = library.octets[i] as number
      written += FRAME_OCTETS
    }
    return written
  }

  close(): void {
    if (this.#encoder === null) return
    this.#library.calls.closeEncoder(this.#encoder)
    this.#encoder = null
    this.#onClose()
  }
}

class G729Decoder implements AudioDecoder {
  readonly sampleRate = SAMPLE_RATE
  readonly #library: G729Library
  readonly #onClose: () => void
  #decoder: unknown
  #lastFrames = 2

  constructor(library: G729Library, decoder: unknown, onClose: () => void) {
    this.#library = library
    this.#decoder = decoder
    this.#onClose = onClose
  }

  decode(payload: Uint8Array, target: Int16Array): number {
    const speech = Math.floor(payload.length / FRAME_OCTETS)
    const rest = payload.length % FRAME_OCTETS
    const frames = speech + (rest === 0 ? 0 : 1)
    if (frames === 0 || frames > FRAMES_MAX || (rest !== 0 && rest !== SILENCE_OCTETS)) return 0
    if (this.#decoder === null || frames * FRAME_SAMPLES > target.length) return 0
    for (let frame = 0; frame < speech; frame += 1) {
      this.#frame(payload, frame * FRAME_OCTETS, FRAME_OCTETS, target, frame)
    }
    if (rest !== 0) this.#frame(payload, speech * FRAME_OCTETS, SILENCE_OCTETS, target, speech)
    this.#lastFrames = frames
    return frames * FRAME_SAMPLES
  }

  decodeLost(target: Int16Array): number {
    const frames = Math.min(this.#lastFrames, Math.floor(target.length / FRAME_SAMPLES))
    if (this.#decoder === null) return 0
    for (let frame = 0; frame < frames; frame += 1) this.#frame(null, 0, 0, target, frame)
    return frames * FRAME_SAMPLES
  }

  #frame(payload: Uint8Array | null, start: number, length: number, target: Int16Array, frame: number): void {
    const { calls, octets, samples } = this.#library
    for (let i = 0; payload !== null && i < length; i += 1) octets[i] = payload[start + i] as number
    const silence = length === SILENCE_OCTETS ? 1 : 0
    calls.decode(this.#decoder, octets, length, payload === null ? 1 : 0, silence, 0, samples)
    for (let i = 0; i < FRAME_SAMPLES; i += 1) target[frame * FRAME_SAMPLES + i] = samples[i] as number
  }

  close(): void {
    if (this.#decoder === null) return
    this.#library.calls.closeDecoder(this.#decoder)
    this.#decoder = null
    this.#onClose()
  }
}

/** Loads the first library of `names` that is there, or says why there is none. */
export function g729Library(names: readonly string[] = LIBRARIES): G729Library | string {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const library = loadFirst(koffi, names)
    if (library === null) return 'libbcg729 is not installed'
    const calls = {
      openEncoder: library.func('void *initBcg729EncoderChannel(uint8_t)'),
      closeEncoder: library.func('void closeBcg729EncoderChannel(void *)'),
      encode: library.func('void bcg729Encoder(void *, void *, void *, void *)'),
      openDecoder: library.func('void *initBcg729DecoderChannel()'),
      closeDecoder: library.func('void closeBcg729DecoderChannel(void *)'),
      decode: library.func('void bcg729Decoder(void *, void *, uint8_t, uint8_t, uint8_t, uint8_t, void *)'),
    } as unknown as Calls
    return new G729Library(calls)
  } catch (error) {
    return errorWord(error)
  }
}

function loadFirst(koffi: typeof import('koffi'), names: readonly string[]): ReturnType<typeof koffi.load> | null {
  for (const name of names) {
    try {
      return koffi.load(name)
    } catch {
      // The next name, or none: not being installed is an ordinary answer.
    }
  }
  return null
}
