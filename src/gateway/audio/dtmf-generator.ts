// DTMF digits as tones (ITU-T Q.23), one after the other with pauses.

import { ToneGenerator } from '#gateway/audio/tone-generator.ts'

/** Q.23 §6: the low group by row and the high group by column, in hertz. */
export const DTMF_ROWS: readonly number[] = [697, 770, 852, 941]
export const DTMF_COLUMNS: readonly number[] = [1209, 1336, 1477, 1633]
/** The digits row by row. */
export const DTMF_DIGITS = '123A456B789C*0#D'

/** Q.23 §7 as applied in networks: the high group is 2 dB above the low one, as lines lose more of it. */
const TWIST_DB = 2
const DIGITS_MAX = 256

/** Plays a string of digits. What is no digit (but `,` for a pause of two seconds) is left out. */
export class DtmfGenerator {
  readonly #tones: ToneGenerator
  readonly #perMs: number
  readonly #digits: string
  readonly #levelDbm0: number
  readonly #toneSamples: number
  readonly #pauseSamples: number
  #index = -1
  #sounding = false
  #left = 0

  /** `levelDbm0` is the high group's; a digit sounds for `ms`, then it is silent for `pauseMs`. */
  constructor(sampleRate: number, digits: string, ms: number, pauseMs: number, levelDbm0: number) {
    this.#perMs = sampleRate / 1000
    this.#tones = new ToneGenerator(sampleRate)
    this.#digits = [...digits.toUpperCase().slice(0, DIGITS_MAX)]
      .filter((digit) => digit === ',' || DTMF_DIGITS.includes(digit))
      .join('')
    this.#levelDbm0 = levelDbm0
    this.#toneSamples = Math.round(ms * this.#perMs)
    this.#pauseSamples = Math.round(pauseMs * this.#perMs)
  }

  /** Fills `target` from its beginning and gives the samples written: fewer than its length once all is played. */
  generate(target: Int16Array): number {
    let written = 0
    while (written < target.length) {
      if (this.#left === 0 && !this.#next()) break
      const length = Math.min(this.#left, target.length - written)
      if (this.#sounding) this.#tones.generate(target, written, length)
      else target.fill(0, written, written + length)
      this.#left -= length
      written += length
    }
    return written
  }

  #next(): boolean {
    if (this.#sounding && this.#pauseSamples > 0) {
      this.#sounding = false
      this.#left = this.#pauseSamples
      return true
    }
    if (this.#index + 1 >= this.#digits.length) return false
    this.#index += 1
    const digit = this.#digits.charAt(this.#index)
    if (digit === ',') {
      this.#sounding = false
      this.#left = 2000 * this.#perMs
      return true
    }
    const place = DTMF_DIGITS.indexOf(digit)
    this.#tones.set([], 0)
    this.#tones.setOne(0, DTMF_ROWS[place >> 2] as number, this.#levelDbm0 - TWIST_DB)
    this.#tones.setOne(1, DTMF_COLUMNS[place & 3] as number, this.#levelDbm0)
    this.#sounding = true
    this.#left = this.#toneSamples
    return this.#toneSamples > 0
  }
}
