// Packet loss concealment by pitch waveform substitution, in the manner of ITU-T G.711 Appendix I.

/** Appendix I §I.2: pitch between 66 and 200 Hz, searched over 20 ms; fading from the second lost 10 ms, silent after 60 ms. */
const PITCH_MIN_HZ = 66
const PITCH_MAX_HZ = 200
const CORRELATION_MS = 20
const FADE_START_MS = 10
const FADE_END_MS = 60
/** The repeated signal is one period at first, two from the second 10 ms, three from the third (§I.2.6). */
const PERIODS_MAX = 3
const PERIOD_STEP_MS = 10
/** Cross-fade between what was made up and what comes after the loss. */
const JOIN_MS = 4

/** The recent past of one stream of samples, and what to play when the next packet is not there. */
export class Concealment {
  /** The last samples, oldest first: enough for three periods and the correlation window. */
  readonly #history: Float32Array
  readonly #perMs: number
  readonly #pitchMin: number
  readonly #pitchMax: number
  readonly #window: number
  /** Samples made up since the last good packet. 0: none. */
  #lost = 0
  #pitch = 0
  /** Samples in the repeated buffer, and where in it we are. */
  #cycle = 0
  #offset = 0
  #periods = 0

  constructor(sampleRate: number) {
    this.#perMs = sampleRate / 1000
    this.#pitchMin = Math.floor(sampleRate / PITCH_MAX_HZ)
    this.#pitchMax = Math.ceil(sampleRate / PITCH_MIN_HZ)
    this.#window = CORRELATION_MS * this.#perMs
    this.#history = new Float32Array(this.#pitchMax * PERIODS_MAX + this.#window + (this.#pitchMax >> 2))
  }

  /** Takes `length` good samples; after a loss their beginning is changed in place, so that no edge is heard. */
  onGood(samples: Int16Array, length: number): void {
    if (this.#lost > 0) this.#join(samples, length)
    this.#lost = 0
    this.#remember(samples, length)
  }

  /** Makes up `length` samples into `target`. */
  conceal(target: Int16Array, length: number): void {
    if (this.#lost === 0) this.#begin()
    for (let i = 0; i < length; i += 1) target[i] = this.#next()
  }

  #begin(): void {
    this.#pitch = this.#findPitch()
    this.#periods = 1
    this.#setCycle()
  }

  #setCycle(): void {
    this.#cycle = this.#pitch * this.#periods
    this.#offset = 0
  }

  /** One made-up sample: the repeated past, its seam smoothed over a quarter period, fading with the length of the loss. */
  #next(): number {
    const history = this.#history
    if (this.#offset === this.#cycle) {
      const wanted = Math.min(PERIODS_MAX, 1 + Math.floor(this.#lost / (PERIOD_STEP_MS * this.#perMs)))
      this.#periods = wanted
      this.#setCycle()
    }
    const start = history.length - this.#cycle
    const quarter = this.#pitch >> 2
    const fromEnd = this.#cycle - this.#offset
    let value = history[start + this.#offset] as number
    if (fromEnd <= quarter) {
      // The end of the cycle blends into what came before its beginning, so that the repetition has no seam.
      const weight = fromEnd / (quarter + 1)
      value = value * weight + (history[start - fromEnd] as number) * (1 - weight)
    }
    this.#offset += 1
    const lostMs = this.#lost / this.#perMs
    this.#lost += 1
    if (lostMs >= FADE_END_MS) return 0
    const gain = lostMs <= FADE_START_MS ? 1 : 1 - (lostMs - FADE_START_MS) / (FADE_END_MS - FADE_START_MS)
    return Math.round(value * gain)
  }

  /** The period whose repetition resembles the last 20 ms best: coarse over every second lag, then fine around it. */
  #findPitch(): number {
    const coarse = this.#bestLag(this.#pitchMin, this.#pitchMax, 2, 2)
    return this.#bestLag(Math.max(this.#pitchMin, coarse - 1), Math.min(this.#pitchMax, coarse + 1), 1, 1)
  }

  #bestLag(first: number, last: number, lagStep: number, step: number): number {
    const history = this.#history
    const end = history.length
    let best = first
    let bestScore = Number.NEGATIVE_INFINITY
    for (let lag = first; lag <= last; lag += lagStep) {
      let product = 0
      let energy = 1
      for (let i = end - this.#window; i < end; i += step) {
        const past = history[i - lag] as number
        product += (history[i] as number) * past
        energy += past * past
      }
      const score = product / Math.sqrt(energy)
      if (score > bestScore) {
        bestScore = score
        best = lag
      }
    }
    return best
  }

  #join(samples: Int16Array, length: number): void {
    const overlap = Math.min(length, Math.round(JOIN_MS * this.#perMs))
    for (let i = 0; i < overlap; i += 1) {
      const weight = (i + 1) / (overlap + 1)
      samples[i] = Math.round((samples[i] as number) * weight + this.#next() * (1 - weight))
    }
  }

  #remember(samples: Int16Array, length: number): void {
    const history = this.#history
    const kept = Math.min(length, history.length)
    history.copyWithin(0, kept)
    const start = history.length - kept
    for (let i = 0; i < kept; i += 1) history[start + i] = samples[length - kept + i] as number
  }
}
