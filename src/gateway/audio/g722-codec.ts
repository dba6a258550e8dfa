// G.722 at 64 kbit/s behind the audio-codec port (RFC 3551 §4.5.2: 16 kHz samples under an 8 kHz RTP clock).

import type { AudioDecoder, AudioEncoder } from '#core/audio-codec.ts'
import { Concealment } from '#gateway/audio/concealment.ts'
import { G722Decoding, G722Encoding } from '#gateway/audio/g722.ts'

const SAMPLE_RATE = 16_000
const FIRST_LOST_SAMPLES = 320

/** An encoder of G722. */
export class G722Encoder implements AudioEncoder {
  readonly sampleRate = SAMPLE_RATE
  readonly frameSamples = 2
  readonly #encoding = new G722Encoding()

  encode(samples: Int16Array, target: Uint8Array): number {
    if (samples.length % 2 !== 0 || samples.length / 2 > target.length) return 0
    return this.#encoding.encode(samples, target)
  }

  close(): void {}
}

/** A decoder of G722. */
export class G722Decoder implements AudioDecoder {
  readonly sampleRate = SAMPLE_RATE
  readonly #decoding = new G722Decoding()
  readonly #concealment = new Concealment(SAMPLE_RATE)
  #lastSamples = FIRST_LOST_SAMPLES

  decode(payload: Uint8Array, target: Int16Array): number {
    if (payload.length === 0 || payload.length * 2 > target.length) return 0
    const length = this.#decoding.decode(payload, target)
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
