// Tones of one to four frequencies, whose phase goes on from frame to frame.

import { saturate } from '#gateway/audio/_saturate.ts'
import { peakOfDbm0 } from '#gateway/audio/level.ts'

/** ITU-T E.180 and its tables know no tone of more. */
const FREQUENCIES_MAX = 4

/** The oscillators of one tone. */
export class ToneGenerator {
  readonly #sampleRate: number
  /** For each oscillator: where its pointer is, and by what it turns with each sample. */
  readonly #cosine = new Float64Array(FREQUENCIES_MAX)
  readonly #sine = new Float64Array(FREQUENCIES_MAX)
  readonly #turnCosine = new Float64Array(FREQUENCIES_MAX)
  readonly #turnSine = new Float64Array(FREQUENCIES_MAX)
  readonly #peak = new Float64Array(FREQUENCIES_MAX)
  readonly #frequency = new Float64Array(FREQUENCIES_MAX)
  #count = 0

  constructor(sampleRate: number) {
    this.#sampleRate = sampleRate
  }

  /** Sets the tone: hertz, each at `levelDbm0`. A frequency that stays keeps its phase; none is silence. */
  set(frequencies: readonly number[], levelDbm0: number): void {
    const count = Math.min(frequencies.length, FREQUENCIES_MAX)
    for (let i = 0; i < count; i += 1) this.setOne(i, frequencies[i] as number, levelDbm0)
    this.#count = count
  }

  /** Sets oscillator `index` alone (0…3), and how many sound to `index` + 1 when they were fewer. */
  setOne(index: number, frequency: number, levelDbm0: number): void {
    if (index >= this.#count || this.#frequency[index] !== frequency) {
      this.#cosine[index] = 1
      this.#sine[index] = 0
      const turn = (2 * Math.PI * frequency) / this.#sampleRate
      this.#turnCosine[index] = Math.cos(turn)
      this.#turnSine[index] = Math.sin(turn)
      this.#frequency[index] = frequency
    }
    this.#peak[index] = peakOfDbm0(levelDbm0)
    this.#count = Math.max(this.#count, index + 1)
  }

  /** Fills `target` from `start` for `length` samples, saturating. */
  generate(target: Int16Array, start: number, length: number): void {
    const count = this.#count
    for (let n = 0; n < length; n += 1) {
      let sum = 0
      for (let i = 0; i < count; i += 1) {
        const cosine = this.#cosine[i] as number
        const sine = this.#sine[i] as number
        sum += sine * (this.#peak[i] as number)
        this.#cosine[i] = cosine * (this.#turnCosine[i] as number) - sine * (this.#turnSine[i] as number)
        this.#sine[i] = sine * (this.#turnCosine[i] as number) + cosine * (this.#turnSine[i] as number)
      }
      target[start + n] = saturate(Math.round(sum))
    }
    this.#renormalise()
  }

  /** Rounding makes the pointers longer or shorter in the course of days; each frame brings them back to length one. */
  #renormalise(): void {
    for (let i = 0; i < this.#count; i += 1) {
      const cosine = this.#cosine[i] as number
      const sine = this.#sine[i] as number
      const scale = 1 / Math.sqrt(cosine * cosine + sine * sine)
      this.#cosine[i] = cosine * scale
      this.#sine[i] = sine * scale
    }
  }
}
