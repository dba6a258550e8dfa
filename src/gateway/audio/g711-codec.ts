// G.711 behind the audio-codec port, with concealment of its own as the encoding has none.

import type { AudioDecoder, AudioEncoder } from '#core/audio-codec.ts'
import { Concealment } from '#gateway/audio/concealment.ts'
import { type CompandingLaw, decodeG711, encodeG711 } from '#gateway/audio/g711.ts'

const SAMPLE_RATE = 8000
const FIRST_LOST_SAMPLES = 160

/** An encoder of PCMU or PCMA. */
export class G711Encoder implements AudioEncoder {
  readonly sampleRate = SAMPLE_RATE
  readonly frameSamples = 1
  readonly #law: CompandingLaw

  constructor(law: CompandingLaw) {
    this.#law = law
  }

  encode(samples: Int16Array, target: Uint8Array): number {
    return samples.length > target.length ? 0 : encodeG711(this.#law, samples, target)
  }

  close(): void {}
}

/** A decoder of PCMU or PCMA. */
export class G711Decoder implements AudioDecoder {
  readonly sampleRate = SAMPLE_RATE
  readonly #law: CompandingLaw
  readonly #concealment = new Concealment(SAMPLE_RATE)
  #lastSamples = FIRST_LOST_SAMPLES

  constructor(law: CompandingLaw) {
    this.#law = law
  }

  decode(payload: Uint8Array, target: Int16Array): number {
    if (payload.length > target.length || payload.length === 0) return 0
    const length = decodeG711(this.#law, payload, target)
    this.#concealment.onGood(target, length)
    this.#lastSamples = length
    return length
  }

  decodeLost(target: Int16Array): number {
    const length = Math.min(this.#lastSamples, target.length)
    this.#concealment.conceal(target, length)
    return length
  }

  close(): void {}
}
