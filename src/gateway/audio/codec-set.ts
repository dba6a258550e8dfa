// All codecs of a gateway: its own (G.711, G.722, L16) before those that the host has through libraries.

import type { AudioCodecs, AudioDecoder, AudioEncoder } from '#core/audio-codec.ts'
import { G711Decoder, G711Encoder } from '#gateway/audio/g711-codec.ts'
import { G722Decoder, G722Encoder } from '#gateway/audio/g722-codec.ts'
import { L16Decoder, L16Encoder } from '#gateway/audio/l16-codec.ts'

/** Rates at which L16 is made; anything else in an offer is nobody's telephone. */
const L16_RATES: readonly number[] = [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
const OWN: readonly string[] = ['G722', 'PCMA', 'PCMU', 'L16']

/** Our own codecs joined with the library codecs of the host. */
export class CodecSet implements AudioCodecs {
  readonly available: readonly string[]
  readonly #libraries: AudioCodecs | null

  /** `libraries` are the host's; null where there are none, as in a simulation. */
  constructor(libraries: AudioCodecs | null) {
    this.#libraries = libraries
    const others = (libraries?.available ?? []).filter((encoding) => !OWN.includes(encoding))
    this.available = [...others.filter((e) => e === 'OPUS'), ...OWN, ...others.filter((e) => e !== 'OPUS')]
  }

  encoder(encoding: string, parameters: string, sampleRate: number): AudioEncoder | null {
    switch (encoding) {
      case 'PCMU':
      case 'PCMA':
        return new G711Encoder(encoding)
      case 'G722':
        return new G722Encoder()
      case 'L16':
        return L16_RATES.includes(sampleRate) ? new L16Encoder(sampleRate) : null
      default:
        return this.#libraries?.encoder(encoding, parameters, sampleRate) ?? null
    }
  }

  decoder(encoding: string, parameters: string, sampleRate: number): AudioDecoder | null {
    switch (encoding) {
      case 'PCMU':
      case 'PCMA':
        return new G711Decoder(encoding)
      case 'G722':
        return new G722Decoder()
      case 'L16':
        return L16_RATES.includes(sampleRate) ? new L16Decoder(sampleRate) : null
      default:
        return this.#libraries?.decoder(encoding, parameters, sampleRate) ?? null
    }
  }
}
