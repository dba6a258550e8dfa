// DTMF digits in audio (ITU-T Q.24): each digit exactly once, and speech never.

import { Goertzel } from '#gateway/audio/_goertzel.ts'
import { DTMF_COLUMNS, DTMF_DIGITS, DTMF_ROWS } from '#gateway/audio/dtmf-generator.ts'
import { MILLIWATT_PEAK } from '#gateway/audio/level.ts'

const SAMPLE_RATE = 8000
/** A hop of 5 ms; what is judged is the window of the last two. */
const HOP = 40
const WINDOW = 2 * HOP
const HOP_MS = (HOP * 1000) / SAMPLE_RATE
/** A window of a digit lies within the two tones to this share of its energy; less of it is edge, noise or speech. */
const PURITY_MIN = 0.7
/** Q.24 table A-1: operates from −25 dBm0 per frequency (AT&T), not below −55. In between it is ours. */
const LEVEL_MIN_DBM0 = -32
/** The two tones may differ by 8 dB when the low one is stronger, and by 6 when the high one is; here with a margin, as each reaches into the other. */
const LOW_STRONGER_DB = 11
const HIGH_STRONGER_DB = 8.5
/** The others of a group are weaker by this; the width of a window's own spectrum allows no more. */
const OTHERS_DB = 3
/** Operates at ±1.5 %, does not at ±3.5 %: the line is drawn in the middle, over all windows of the digit. */
const OFFSET_SHARE_MAX = 0.025
/** No single hop may stray further: speech does, a tone under noise does not. */
const STRAY_SHARE_MAX = 0.08
/** Windows that agree until a digit is one: tones of 40 ms have at least this many, those of 23 ms have not. */
const WINDOWS_MIN = 6
/** Windows that fail until it has ended: breaks of 10 ms are bridged, pauses of 40 ms are not. */
const FAILED_WINDOWS_MAX = 5

/** Told about digits. */
export interface DtmfSink {
  /** A digit was recognised; `levelDbm0` is the high tone's. */
  onDtmfStart(digit: string, levelDbm0: number): void
  /** It ended. `durationMs` is measured from its beginning in the audio, to 5 ms or so. */
  onDtmfEnd(digit: string, durationMs: number): void
}

/** Listens to one stream of 8 kHz samples. */
export class DtmfDetector {
  readonly #sink: DtmfSink
  readonly #piece = new Float64Array(HOP)
  readonly #bins: Goertzel[]
  /** The correlations of the hop before, and the windows' of now and before: real and imaginary parts by turns. */
  readonly #hopBefore = new Float64Array(16)
  readonly #window = new Float64Array(16)
  readonly #windowBefore = new Float64Array(16)
  readonly #energies = new Float64Array(8)
  #filled = 0
  #energyBefore = 0
  /** The digit that the windows agree on, as its place in DTMF_DIGITS; −1 none. */
  #candidate = -1
  #windows = 0
  #rowTurn = 0
  #columnTurn = 0
  #turns = 0
  /** The digit reported and not ended; −1 none. */
  #active = -1
  #activeWindows = 0
  #failed = 0

  constructor(sink: DtmfSink) {
    this.#sink = sink
    this.#bins = [...DTMF_ROWS, ...DTMF_COLUMNS].map((frequency) => new Goertzel(frequency, SAMPLE_RATE, HOP))
  }

  /** True from the first window that looks like a digit: the moment to silence the tone for those who get the event instead. */
  get suspects(): boolean {
    return this.#candidate >= 0 || this.#active >= 0
  }

  /** Takes the stream's next samples. */
  detect(samples: Int16Array): void {
    const piece = this.#piece
    for (let i = 0; i < samples.length; i += 1) {
      piece[this.#filled] = samples[i] as number
      this.#filled += 1
      if (this.#filled === HOP) {
        this.#filled = 0
        this.#hop()
      }
    }
  }

  /** The stream ended or was interrupted: a digit that sounds ends now. */
  flush(): void {
    this.#end()
    this.#candidate = -1
    this.#windows = 0
  }

  #hop(): void {
    let energy = 0
    for (let i = 0; i < HOP; i += 1) energy += (this.#piece[i] as number) ** 2
    const total = energy + this.#energyBefore
    this.#energyBefore = energy
    for (let i = 0; i < 8; i += 1) {
      const bin = this.#bins[i] as Goertzel
      bin.take(this.#piece)
      const real = 2 * i
      const imaginary = real + 1
      this.#windowBefore[real] = this.#window[real] as number
      this.#windowBefore[imaginary] = this.#window[imaginary] as number
      this.#window[real] = bin.real + (this.#hopBefore[real] as number)
      this.#window[imaginary] = bin.imaginary + (this.#hopBefore[imaginary] as number)
      this.#hopBefore[real] = bin.real
      this.#hopBefore[imaginary] = bin.imaginary
      this.#energies[i] = (this.#window[real] as number) ** 2 + (this.#window[imaginary] as number) ** 2
    }
    const place = this.#place(total)
    if (place < 0 || !this.#agrees(place)) this.#fail(place)
    this.#settle()
  }

  /** What the window of now looks like: a place in DTMF_DIGITS, or −1. */
  #place(total: number): number {
    const row = this.#strongest(0)
    const column = this.#strongest(4)
    if (row < 0 || column < 0) return -1
    const low = this.#energies[row] as number
    const high = this.#energies[column] as number
    if (low < ENERGY_MIN || high < ENERGY_MIN) return -1
    if (low > high * LOW_STRONGER || high > low * HIGH_STRONGER) return -1
    // A sine of peak A has A²/2 for each sample and a correlation of A·N/2.
    if ((low + high) * 2 < PURITY_MIN * WINDOW * total) return -1
    return row * 4 + (column - 4)
  }

  #strongest(first: number): number {
    let best = first
    for (let i = first + 1; i < first + 4; i += 1) {
      if ((this.#energies[i] as number) > (this.#energies[best] as number)) best = i
    }
    for (let i = first; i < first + 4; i += 1) {
      if (i !== best && (this.#energies[i] as number) * OTHERS > (this.#energies[best] as number)) return -1
    }
    return best
  }

  /** Counts the window for `place`; false when its frequencies stray. */
  #agrees(place: number): boolean {
    if (place !== this.#candidate) {
      this.#candidate = place
      this.#windows = 1
      this.#rowTurn = 0
      this.#columnTurn = 0
      this.#turns = 0
    } else {
      const row = this.#turn(place >> 2)
      const column = this.#turn(4 + (place & 3))
      if (Math.abs(row) > (TURN_MAX[place >> 2] as number)) return false
      if (Math.abs(column) > (TURN_MAX[4 + (place & 3)] as number)) return false
      this.#rowTurn += row
      this.#columnTurn += column
      this.#turns += 1
      this.#windows += 1
    }
    if (place === this.#active) {
      this.#activeWindows += 1 + this.#failed
      this.#failed = 0
    }
    return true
  }

  /** By how much the correlation with frequency `index` turned since the window before, in radians. */
  #turn(index: number): number {
    const real = this.#window[2 * index] as number
    const imaginary = this.#window[2 * index + 1] as number
    const realBefore = this.#windowBefore[2 * index] as number
    const imaginaryBefore = this.#windowBefore[2 * index + 1] as number
    return Math.atan2(imaginary * realBefore - real * imaginaryBefore, real * realBefore + imaginary * imaginaryBefore)
  }

  #fail(place: number): void {
    this.#candidate = -1
    this.#windows = 0
    if (this.#active >= 0 && place !== this.#active) {
      this.#failed += 1
      if (this.#failed >= FAILED_WINDOWS_MAX) this.#end()
    }
  }

  /** Reports the candidate once it has lasted, unless it is the digit that sounds already. */
  #settle(): void {
    if (this.#windows < WINDOWS_MIN || this.#candidate === this.#active) return
    const place = this.#candidate
    const rowMax = OFFSET_TURN[place >> 2] as number
    const columnMax = OFFSET_TURN[4 + (place & 3)] as number
    if (Math.abs(this.#rowTurn) > rowMax * this.#turns || Math.abs(this.#columnTurn) > columnMax * this.#turns) return
    this.#end()
    this.#active = place
    this.#activeWindows = this.#windows
    this.#failed = 0
    const peak = (Math.sqrt(this.#energies[4 + (place & 3)] as number) * 2) / WINDOW
    this.#sink.onDtmfStart(DTMF_DIGITS.charAt(place), 20 * Math.log10(peak / MILLIWATT_PEAK))
  }

  #end(): void {
    if (this.#active < 0) return
    const digit = DTMF_DIGITS.charAt(this.#active)
    const windows = this.#activeWindows
    this.#active = -1
    this.#activeWindows = 0
    this.#failed = 0
    // Windows that pass cover the tone but for a share of the first and the last: about one hop in sum.
    this.#sink.onDtmfEnd(digit, (windows + 1) * HOP_MS)
  }
}

const ENERGY_MIN = ((MILLIWATT_PEAK * 10 ** (LEVEL_MIN_DBM0 / 20) * WINDOW) / 2) ** 2
const LOW_STRONGER = 10 ** (LOW_STRONGER_DB / 10)
const HIGH_STRONGER = 10 ** (HIGH_STRONGER_DB / 10)
const OTHERS = 10 ** (OTHERS_DB / 10)
const HOP_TURN = [...DTMF_ROWS, ...DTMF_COLUMNS].map((frequency) => (2 * Math.PI * frequency * HOP) / SAMPLE_RATE)
/** Radians for each hop that the frequencies may be off: on the whole, and once. */
const OFFSET_TURN = Float64Array.from(HOP_TURN, (turn) => turn * OFFSET_SHARE_MAX)
const TURN_MAX = Float64Array.from(HOP_TURN, (turn) => turn * STRAY_SHARE_MAX)
