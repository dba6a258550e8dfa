// Mixing of a conference room: everybody hears the sum of all others, made from one sum (N − 1).

import { saturate } from '#gateway/audio/_saturate.ts'

/** Parties summed at once; 32 bits hold 65,536 full-scale signals. */
const PARTIES_MAX = 65_536

/** Sums frames of one length and rate. A round is `begin`, `add` for each talking party, `without` for each listener. */
export class Mixer {
  readonly #sum: Int32Array
  #parties = 0

  /** `samplesMax` is the longest frame. */
  constructor(samplesMax: number) {
    this.#sum = new Int32Array(samplesMax)
  }

  /** Parties added in this round. */
  get parties(): number {
    return this.#parties
  }

  begin(): void {
    this.#sum.fill(0)
    this.#parties = 0
  }

  /** Adds one party's frame; false when there are too many. */
  add(samples: Int16Array): boolean {
    if (this.#parties === PARTIES_MAX) return false
    this.#parties += 1
    const sum = this.#sum
    const length = Math.min(samples.length, sum.length)
    for (let i = 0; i < length; i += 1) sum[i] = (sum[i] as number) + (samples[i] as number)
    return true
  }

  /** Everybody but `own` (a frame that was added in this round; null for a mere listener) into `target`, saturating. */
  without(own: Int16Array | null, target: Int16Array): void {
    const sum = this.#sum
    const length = Math.min(target.length, sum.length)
    const ownLength = own === null ? 0 : Math.min(own.length, length)
    for (let i = 0; i < length; i += 1) {
      const value = i < ownLength ? (sum[i] as number) - ((own as Int16Array)[i] as number) : (sum[i] as number)
      target[i] = saturate(value)
    }
  }
}
