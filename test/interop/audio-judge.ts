// Judges a recording: which tones are in it, and how loud it is.

import { readFileSync } from 'node:fs'

/** Octets of the header that baresip writes before the samples. */
const HEADER_OCTETS = 44
const SAMPLE_OCTETS = 2

/** The first channel of a WAV file of 16 bits that may still be growing. */
export class Recording {
  readonly samples: Int16Array
  readonly rate: number

  constructor(samples: Int16Array, rate: number) {
    this.samples = samples
    this.rate = rate
  }

  /** Reads what is there; null before there is a second of it. */
  static read(file: string): Recording | null {
    let bytes: Buffer
    try {
      bytes = readFileSync(file)
    } catch {
      return null
    }
    if (bytes.length < HEADER_OCTETS) return null
    const frameOctets = bytes.readUInt16LE(22) * SAMPLE_OCTETS
    const rate = bytes.readUInt32LE(24)
    const count = frameOctets === 0 ? 0 : Math.floor((bytes.length - HEADER_OCTETS) / frameOctets)
    if (count < rate) return null
    const samples = new Int16Array(count)
    for (let n = 0; n < count; n++) samples[n] = bytes.readInt16LE(HEADER_OCTETS + n * frameOctets)
    return new Recording(samples, rate)
  }

  /** Seconds of it. */
  get seconds(): number {
    return this.samples.length / this.rate
  }

  /** The last second of it. */
  lastSecond(): Recording {
    return new Recording(this.samples.slice(-this.rate), this.rate)
  }

  /** Mean square of the samples. */
  get power(): number {
    let sum = 0
    for (const sample of this.samples) sum += sample * sample
    return sum / Math.max(1, this.samples.length)
  }

  /** The share of the power that is in a tone of so many hertz: 1 for a pure one (Goertzel). */
  share(hertz: number): number {
    const coefficient = 2 * Math.cos((2 * Math.PI * hertz) / this.rate)
    let one = 0
    let two = 0
    for (const sample of this.samples) {
      const next = sample + coefficient * one - two
      two = one
      one = next
    }
    const energy = one * one + two * two - coefficient * one * two
    const count = Math.max(1, this.samples.length)
    return this.power === 0 ? 0 : (2 * energy) / (count * count) / this.power
  }
}
