// RFC 3551 §4.5.11: L16, uncompressed 16-bit samples in network byte order, mono, at the RTP clock rate.

import type { AudioDecoder, AudioEncoder } from '#core/audio-codec.ts'
import { Concealment } from '#gateway/audio/concealment.ts'

const FIRST_LOST_MS = 20

/** An encoder of L16. */
export class L16Encoder implements AudioEncoder {
  readonly sampleRate: number
  readonly frameSamples = 1

  constructor(sampleRate: number) {
    this.sampleRate = sampleRate
  }

  encode(samples: Int16Array, target: Uint8Array): number {
    if (samples.length * 2 > target.length) return 0
    for (let i = 0; i < samples.length; i += 1) {
      const sample = samples[i] as number
      target[2 * i] = sample >> 8
      target[2 * i + 1] = sample
    }
    return samples.length * 2
  }

  close(): void {}
}

/** A decoder of L16. */
export class L16Decoder implements AudioDecoder {
  readonly sampleRate: number
  readonly #concealment: Concealment
  #lastSamples: number

  constructor(sampleRate: number) {
    this.sampleRate = sampleRate
    this.#concealment = new Concealment(sampleRate)
    this.#lastSamples = Math.round((sampleRate * FIRST_LOST_MS) / 1000)
  }

  decode(payload: Uint8Array, target: Int16Array): number {
    const length = payload.length >> 1
    if (length === 0 || length > target.length) return 0
    for (let i = 0; i < length; i += 1) target[i] = ((payload[2 * i] as number) << 8) | (payload[2 * i + 1] as number)
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
