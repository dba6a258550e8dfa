// Change of the sample rate by a polyphase filter: a sinc under a Kaiser window, cut at the lower of the two rates.

import { assert } from '#core/assert.ts'
import { saturate } from '#gateway/audio/_saturate.ts'

/** Zero crossings on each side of the sinc at the lower rate, and the window's shape: stop band below −65 dB. */
const CROSSINGS = 20
const KAISER_BETA = 6.5
/** The middle of the slope, as a share of half the lower rate: at 8 kHz all up to 3.4 kHz passes. */
const PASS_SHARE = 0.95
/** Input is taken in pieces of at most this many samples, so that the work buffer stays small. */
const CHUNK_MAX = 960
const RATE_MIN = 4000
const RATE_MAX = 192_000
/** The rates of codecs, between which streams are converted. Sound files have others too. */
const STREAM_RATES: readonly number[] = [8000, 12_000, 16_000, 24_000, 32_000, 48_000]

/** Phase after phase, each `taps` long. */
interface Filter {
  readonly taps: number
  readonly coefficients: Float64Array
}

/** The state of one stream. */
export class Resampler {
  readonly inputRate: number
  readonly outputRate: number
  readonly #up: number
  readonly #down: number
  readonly #taps: number
  readonly #coefficients: Float64Array
  readonly #work: Float64Array
  /** Position of the next output, in 1/up input samples after the first new sample. */
  #position = 0

  constructor(inputRate: number, outputRate: number) {
    for (const rate of [inputRate, outputRate]) {
      assert(Number.isInteger(rate) && rate >= RATE_MIN && rate <= RATE_MAX, `sample rate ${rate}`)
    }
    this.inputRate = inputRate
    this.outputRate = outputRate
    const divisor = greatestCommonDivisor(inputRate, outputRate)
    this.#up = outputRate / divisor
    this.#down = inputRate / divisor
    const filter = filterOf(this.#up, this.#down)
    this.#taps = filter.taps
    this.#coefficients = filter.coefficients
    this.#work = new Float64Array(filter.taps - 1 + CHUNK_MAX)
  }

  /** The most samples that `resample` gives for `inputSamples`. */
  outputMax(inputSamples: number): number {
    return Math.ceil((inputSamples * this.#up) / this.#down) + 1
  }

  /** Output samples by which the output lags behind the input. */
  get delay(): number {
    return Math.round(((this.#taps / 2) * this.#up) / this.#down)
  }

  /** Takes `input` and gives the number of samples written to `target`, which has room for {@link outputMax}. */
  resample(input: Int16Array, target: Int16Array): number {
    if (this.#up === this.#down) {
      target.set(input)
      return input.length
    }
    let written = 0
    for (let start = 0; start < input.length; start += CHUNK_MAX) {
      written = this.#chunk(input, start, Math.min(CHUNK_MAX, input.length - start), target, written)
    }
    return written
  }

  #chunk(input: Int16Array, start: number, length: number, target: Int16Array, written: number): number {
    const work = this.#work
    const taps = this.#taps
    const coefficients = this.#coefficients
    const kept = taps - 1
    for (let i = 0; i < length; i += 1) work[kept + i] = input[start + i] as number
    const up = this.#up
    const end = length * up
    let position = this.#position
    while (position < end) {
      const phase = position % up
      const first = (position - phase) / up
      // Four sums at once: a single one would wait for each addition. Taps are a multiple of four.
      let [a, b, c, d] = [0, 0, 0, 0]
      const row = phase * taps
      for (let i = 0; i < taps; i += 4) {
        a += (coefficients[row + i] as number) * (work[first + i] as number)
        b += (coefficients[row + i + 1] as number) * (work[first + i + 1] as number)
        c += (coefficients[row + i + 2] as number) * (work[first + i + 2] as number)
        d += (coefficients[row + i + 3] as number) * (work[first + i + 3] as number)
      }
      target[written] = saturate(Math.round(a + b + c + d))
      written += 1
      position += this.#down
    }
    this.#position = position - end
    work.copyWithin(0, length, length + kept)
    return written
  }
}

function filterOf(up: number, down: number): Filter {
  return FILTERS.get(`${up}/${down}`) ?? design(up, down)
}

function design(up: number, down: number): Filter {
  // One lobe of the sinc in input samples: longer when the output is the slower.
  const lobe = Math.max(1, down / up)
  const half = 2 * Math.ceil((CROSSINGS * lobe) / 2)
  const taps = 2 * half
  const coefficients = new Float64Array(up * taps)
  const cut = PASS_SHARE / lobe
  for (let phase = 0; phase < up; phase += 1) {
    let sum = 0
    for (let i = 0; i < taps; i += 1) {
      // The newest tap is the last; the output lies `half` samples back, plus the phase.
      const distance = i - (half - 1) - phase / up
      const value = sinc(cut * distance) * kaiser(distance / half)
      coefficients[phase * taps + i] = value
      sum += value
    }
    // Each phase has gain one at zero, so that a constant stays one: neither cut nor window need a factor of their own.
    for (let i = 0; i < taps; i += 1) {
      coefficients[phase * taps + i] = (coefficients[phase * taps + i] as number) / sum
    }
  }
  return { taps, coefficients }
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)
}

function kaiser(x: number): number {
  return Math.abs(x) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x))
}

/** The modified Bessel function of the first kind, order zero. */
function bessel(x: number): number {
  let term = 1
  let sum = 1
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** The filters of streams, made once and shared: what a sound file needs beyond them it makes for itself. */
const FILTERS: ReadonlyMap<string, Filter> = new Map(
  STREAM_RATES.flatMap((input) =>
    STREAM_RATES.filter((output) => output !== input).map((output): [string, Filter] => {
      const divisor = greatestCommonDivisor(input, output)
      return [`${output / divisor}/${input / divisor}`, design(output / divisor, input / divisor)]
    }),
  ),
)
