// RIFF WAVE files as they grow: a header first, samples as they come, and the lengths put right at the end.

import { encodeG711 } from '#gateway/audio/g711.ts'

/** RIFF lengths have 32 bits; what is longer goes into another file. */
const DATA_OCTETS_MAX = 0xffff_ffff - 4096
const FORMAT_PCM = 1
const FORMAT_MULAW = 7
const PCM_HEADER_OCTETS = 44
/** Anything but PCM has an (empty) extension in its format and a fact chunk with the number of samples. */
const MULAW_HEADER_OCTETS = 58

/** PCM of 16 bits, or µ-law. */
export type WavEncoding = 'pcm16' | 'mulaw'

/** The octets of one file. The caller writes what `header` and `write` give, in order, and in the end `header` over the beginning. */
export class WavWriter {
  readonly #sampleRate: number
  readonly #channels: number
  readonly #encoding: WavEncoding
  #octets = 0

  /** Samples of two channels are interleaved. */
  constructor(sampleRate: number, channels: 1 | 2, encoding: WavEncoding) {
    this.#sampleRate = sampleRate
    this.#channels = channels
    this.#encoding = encoding
  }

  /** Octets of samples so far. */
  get octets(): number {
    return this.#octets
  }

  /** Encodes `samples` into `target` (two octets each, or one) and gives the octets written; 0 when the file is full. */
  write(samples: Int16Array, target: Uint8Array): number {
    const octets = samples.length * (this.#encoding === 'pcm16' ? 2 : 1)
    if (this.#octets + octets > DATA_OCTETS_MAX || octets > target.length) return 0
    if (this.#encoding === 'mulaw') encodeG711('PCMU', samples, target)
    else {
      for (let i = 0; i < samples.length; i += 1) {
        const sample = samples[i] as number
        target[2 * i] = sample
        target[2 * i + 1] = sample >> 8
      }
    }
    this.#octets += octets
    return octets
  }

  /**
   * The header for what has been written so far: always as long. At the beginning it says that the length is unknown, so
   * that a recording that was cut off by the loss of power can still be played.
   */
  header(): Uint8Array {
    const mulaw = this.#encoding === 'mulaw'
    const header = new Uint8Array(mulaw ? MULAW_HEADER_OCTETS : PCM_HEADER_OCTETS)
    const view = new DataView(header.buffer)
    const each = mulaw ? 1 : 2
    const block = each * this.#channels
    const padding = this.#octets & 1
    const unknown = this.#octets === 0
    fourcc(view, 0, 'RIFF')
    view.setUint32(4, unknown ? 0xffff_ffff : header.length - 8 + this.#octets + padding, true)
    fourcc(view, 8, 'WAVE')
    fourcc(view, 12, 'fmt ')
    view.setUint32(16, mulaw ? 18 : 16, true)
    view.setUint16(20, mulaw ? FORMAT_MULAW : FORMAT_PCM, true)
    view.setUint16(22, this.#channels, true)
    view.setUint32(24, this.#sampleRate, true)
    view.setUint32(28, this.#sampleRate * block, true)
    view.setUint16(32, block, true)
    view.setUint16(34, each * 8, true)
    if (mulaw) {
      fourcc(view, 38, 'fact')
      view.setUint32(42, 4, true)
      view.setUint32(46, Math.floor(this.#octets / this.#channels), true)
    }
    fourcc(view, header.length - 8, 'data')
    view.setUint32(header.length - 4, unknown ? 0xffff_ffff : this.#octets, true)
    return header
  }

  /** Octets to write after the last samples: chunks have even lengths. */
  padding(): number {
    return this.#octets & 1
  }
}

function fourcc(view: DataView, position: number, name: string): void {
  for (let i = 0; i < 4; i += 1) view.setUint8(position + i, name.charCodeAt(i))
}
