// Fax and modem tones in audio (ITU-T T.30 §4.3.3, V.21, V.25): CNG, CED or ANS, and the preamble of V.21 channel 2.

import { Goertzel } from '#gateway/audio/_goertzel.ts'
import { MILLIWATT_PEAK } from '#gateway/audio/level.ts'

const SAMPLE_RATE = 8000
/** 5 ms for V.21, whose bits are 3.3 ms; two of them, 10 ms, for the plain tones. */
const HOP = 40
const TONE_HOPS = 2
const HOP_MS = 5
const LEVEL_MIN_DBM0 = -40
const ENERGY_MIN = MILLIWATT_PEAK ** 2 * 0.5 * HOP * 10 ** (LEVEL_MIN_DBM0 / 10)
/** Share of the energy within the tone: T.30 lets CNG be 38 Hz off, of which a window of 10 ms sees 0.6; CED 15 Hz. */
const CNG_PURITY_MIN = 0.55
const CED_PURITY_MIN = 0.75
const V21_PURITY_MIN = 0.6
/** T.30: CNG is 0.5 s ± 15 % of 1100 Hz; CED 2.6 to 4 s of 2100 Hz, which V.25 may turn in phase each 450 ms. */
const CNG_MIN_MS = 400
const CNG_MAX_MS = 600
const CED_MIN_MS = 500
/** The preamble of flags lasts 1 s ± 15 %. */
const V21_MIN_MS = 200
/** Hops that may fail within a tone: a phase reversal spoils one window. */
const GAP_MS = 25
/** V.21 is two frequencies by turns: each has at least this share of the hops. */
const V21_SHARE_MIN = 0.1

/** CNG: a calling fax; CED: an answering fax or modem; V21: two faxes negotiate. */
export type FaxTone = 'CNG' | 'CED' | 'V21'

/** One tone's progress. */
class Run {
  ms = 0
  gapMs = 0
  reported = false

  /** Adds a stretch; true when a run of at least one good stretch has just ended. `endedMs` has its length then. */
  endedMs = 0
  add(good: boolean, ms: number): boolean {
    if (good) {
      this.ms += ms + (this.ms > 0 ? this.gapMs : 0)
      this.gapMs = 0
      return false
    }
    if (this.ms === 0) return false
    this.gapMs += ms
    if (this.gapMs <= GAP_MS) return false
    this.endedMs = this.ms
    this.ms = 0
    this.gapMs = 0
    this.reported = false
    return true
  }
}

/** Listens to one stream of 8 kHz samples. Each tone is told once while it lasts. */
export class FaxToneDetector {
  readonly #onTone: (tone: FaxTone) => void
  readonly #piece = new Float64Array(HOP)
  readonly #cng = new Goertzel(1100, SAMPLE_RATE, HOP)
  readonly #ced = new Goertzel(2100, SAMPLE_RATE, HOP)
  readonly #mark = new Goertzel(1650, SAMPLE_RATE, HOP)
  readonly #space = new Goertzel(1850, SAMPLE_RATE, HOP)
  readonly #cngRun = new Run()
  readonly #cedRun = new Run()
  readonly #v21Run = new Run()
  #filled = 0
  #hops = 0
  #energy = 0
  #cngReal = 0
  #cngImaginary = 0
  #cedReal = 0
  #cedImaginary = 0
  #marks = 0
  #spaces = 0

  constructor(onTone: (tone: FaxTone) => void) {
    this.#onTone = onTone
  }

  /** Takes the stream's next samples. */
  detect(samples: Int16Array): void {
    for (let i = 0; i < samples.length; i += 1) {
      this.#piece[this.#filled] = samples[i] as number
      this.#filled += 1
      if (this.#filled === HOP) {
        this.#filled = 0
        this.#hop()
      }
    }
  }

  #hop(): void {
    let energy = 0
    for (let i = 0; i < HOP; i += 1) energy += (this.#piece[i] as number) ** 2
    this.#listenV21(energy)
    this.#cng.take(this.#piece)
    this.#ced.take(this.#piece)
    this.#energy += energy
    this.#cngReal += this.#cng.real
    this.#cngImaginary += this.#cng.imaginary
    this.#cedReal += this.#ced.real
    this.#cedImaginary += this.#ced.imaginary
    this.#hops += 1
    if (this.#hops < TONE_HOPS) return
    this.#listenTones()
    this.#hops = 0
    this.#energy = 0
    this.#cngReal = 0
    this.#cngImaginary = 0
    this.#cedReal = 0
    this.#cedImaginary = 0
  }

  #listenTones(): void {
    const ms = TONE_HOPS * HOP_MS
    const whole = (TONE_HOPS * HOP * this.#energy) / 2
    const loud = this.#energy > ENERGY_MIN * TONE_HOPS
    const cng = loud && this.#cngReal ** 2 + this.#cngImaginary ** 2 > CNG_PURITY_MIN * whole
    const ced = loud && this.#cedReal ** 2 + this.#cedImaginary ** 2 > CED_PURITY_MIN * whole
    // A burst of the right length: music and ring tones hold 1100 Hz longer or shorter.
    const ended = this.#cngRun.add(cng, ms)
    if (ended && this.#cngRun.endedMs >= CNG_MIN_MS && this.#cngRun.endedMs <= CNG_MAX_MS) this.#onTone('CNG')
    this.#cedRun.add(ced, ms)
    if (this.#cedRun.ms >= CED_MIN_MS && !this.#cedRun.reported) {
      this.#cedRun.reported = true
      this.#onTone('CED')
    }
  }

  #listenV21(energy: number): void {
    this.#mark.take(this.#piece)
    this.#space.take(this.#piece)
    const mark = this.#mark.real ** 2 + this.#mark.imaginary ** 2
    const space = this.#space.real ** 2 + this.#space.imaginary ** 2
    const good = energy > ENERGY_MIN && (mark + space) * 2 > V21_PURITY_MIN * HOP * energy
    const run = this.#v21Run
    if (run.add(good, HOP_MS) || run.ms === 0) {
      this.#marks = 0
      this.#spaces = 0
    }
    if (!good) return
    if (mark > space) this.#marks += 1
    else this.#spaces += 1
    if (run.reported || run.ms < V21_MIN_MS) return
    if (Math.min(this.#marks, this.#spaces) < V21_SHARE_MIN * (this.#marks + this.#spaces)) return
    run.reported = true
    this.#onTone('V21')
  }
}
