// Comfort noise (RFC 3389): the level and colour of a pause in a few octets, and noise made from them.

import { saturate } from '#gateway/audio/_saturate.ts'
import { levelDbov } from '#gateway/audio/level.ts'

/** RFC 3389 §3.2: the order is the sender's choice; G.711 Appendix II uses up to ten, and more says nothing more. */
const ORDER = 8
const ORDER_MAX = 24
/** §3.1: 0 … −127 dBov in seven bits. */
const LEVEL_MASK = 0x7f
/**
 * §3.2: k = 258·(N − 127) in units of 2^−15, with the sign of G.729's recursion: the first is −R(1)/R(0). Here inside it is the
 * other sign, that of a predictor.
 */
const REFLECTION_STEP = 258 / 32_768
const REFLECTION_MIDDLE = 127
const REFLECTION_OCTET_MAX = 254
/** A filter nearer to the edge of stability than this rings. */
const REFLECTION_MAX = 0.99
/** Smoothing of the analysis from frame to frame, and of the level that is played, so that changes are not steps. */
const ANALYSIS_SMOOTHING = 0.2
const GAIN_SMOOTHING_MS = 80
/** Twelve uniform numbers make a normal one well enough for noise; here four, whose sum has a variance of a third each. */
const UNIFORMS = 4
const UNIFORM_SCALE = Math.sqrt(3 / UNIFORMS)

/** Describes the noise of a pause. One for each stream that is sent with discontinuous transmission. */
export class ComfortNoiseAnalysis {
  readonly #correlation = new Float64Array(ORDER + 1)
  readonly #reflection = new Float64Array(ORDER)
  readonly #predictor = new Float64Array(ORDER + 1)
  readonly #swap = new Float64Array(ORDER + 1)
  #power = 0

  /** Takes a frame of a pause. */
  observe(samples: Int16Array): void {
    const length = samples.length
    if (length <= ORDER) return
    const weight = this.#power === 0 ? 1 : ANALYSIS_SMOOTHING
    for (let lag = 0; lag <= ORDER; lag += 1) {
      let sum = 0
      for (let i = lag; i < length; i += 1) sum += (samples[i] as number) * (samples[i - lag] as number)
      this.#correlation[lag] = (this.#correlation[lag] as number) * (1 - weight) + (sum / length) * weight
    }
    this.#power = this.#correlation[0] as number
  }

  /** Forgets the last pause. */
  reset(): void {
    this.#correlation.fill(0)
    this.#power = 0
  }

  /** Writes the payload (§3) and gives its octets; `target` has room for nine. */
  write(target: Uint8Array): number {
    const dbov = this.#power < 1 ? 127 : Math.round(-10 * Math.log10(this.#power / (32_768 * 32_768)))
    target[0] = Math.max(0, Math.min(dbov, 127))
    this.#levinson()
    for (let i = 0; i < ORDER; i += 1) {
      const octet = REFLECTION_MIDDLE - Math.round((this.#reflection[i] as number) / REFLECTION_STEP)
      target[1 + i] = Math.max(0, Math.min(octet, REFLECTION_OCTET_MAX))
    }
    return 1 + ORDER
  }

  /** The Levinson-Durbin recursion: reflection coefficients of the smoothed correlation. */
  #levinson(): void {
    const r = this.#correlation
    const a = this.#predictor
    a.fill(0)
    this.#reflection.fill(0)
    // A little white noise keeps the recursion away from singular signals.
    let error = (r[0] as number) * 1.0001 + 1
    for (let i = 1; i <= ORDER; i += 1) {
      let sum = r[i] as number
      for (let j = 1; j < i; j += 1) sum -= (a[j] as number) * (r[i - j] as number)
      const k = Math.max(-REFLECTION_MAX, Math.min(sum / error, REFLECTION_MAX))
      this.#reflection[i - 1] = k
      this.#swap.set(a)
      for (let j = 1; j < i; j += 1) a[j] = (this.#swap[j] as number) - k * (this.#swap[i - j] as number)
      a[i] = k
      error *= 1 - k * k
    }
  }
}

/** Makes noise as described. One for each stream that is received with discontinuous transmission. */
export class ComfortNoise {
  readonly #reflection = new Float64Array(ORDER_MAX)
  readonly #delay = new Float64Array(ORDER_MAX + 1)
  readonly #smoothing: number
  #order = 0
  #gain = 0
  #targetGain = 0
  #seed: number

  /** `seed` only makes two streams' noise different; it is no secret. */
  constructor(sampleRate: number, seed: number) {
    this.#smoothing = 1000 / (GAIN_SMOOTHING_MS * sampleRate)
    this.#seed = seed >>> 0 || 1
  }

  /** Takes a payload (§3); false when it is empty. Coefficients beyond what we take are left out, as §3.2 allows. */
  read(payload: Uint8Array): boolean {
    if (payload.length === 0) return false
    const level = (payload[0] as number) & LEVEL_MASK
    this.#order = Math.min(payload.length - 1, ORDER_MAX)
    // The synthesis filter adds power; what is left for the excitation is the product of 1 − k².
    let residue = 1
    for (let i = 0; i < this.#order; i += 1) {
      const octet = Math.min(payload[1 + i] as number, REFLECTION_OCTET_MAX)
      const k = Math.max(-REFLECTION_MAX, Math.min((REFLECTION_MIDDLE - octet) * REFLECTION_STEP, REFLECTION_MAX))
      this.#reflection[i] = k
      residue *= 1 - k * k
    }
    this.#targetGain = level === LEVEL_MASK ? 0 : 32_768 * 10 ** (-level / 20) * Math.sqrt(residue)
    return true
  }

  /** White noise as loud as `samples`: for a far side that falls silent without a description (RFC 3389 §5.1). */
  follow(samples: Int16Array, length: number): void {
    this.#order = 0
    this.#targetGain = 32_768 * 10 ** (levelDbov(samples, length) / 20)
  }

  /** Fills the first `length` of `target`. */
  generate(target: Int16Array, length: number): void {
    const order = this.#order
    const k = this.#reflection
    const delay = this.#delay
    for (let n = 0; n < length; n += 1) {
      this.#gain += (this.#targetGain - this.#gain) * this.#smoothing
      // The all-pole lattice: forward error down the stages, backward errors delayed.
      let forward = this.#noise() * this.#gain
      for (let i = order - 1; i >= 0; i -= 1) {
        const backward = delay[i] as number
        forward += (k[i] as number) * backward
        delay[i + 1] = backward - (k[i] as number) * forward
      }
      delay[0] = forward
      target[n] = saturate(Math.round(forward))
    }
  }

  /** A nearly normal number of variance one. */
  #noise(): number {
    let sum = 0
    for (let i = 0; i < UNIFORMS; i += 1) {
      let seed = this.#seed
      seed ^= seed << 13
      seed ^= seed >>> 17
      seed ^= seed << 5
      this.#seed = seed
      sum += seed / 2 ** 31
    }
    return sum * UNIFORM_SCALE
  }
}
