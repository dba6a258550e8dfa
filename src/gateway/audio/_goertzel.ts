// The Goertzel algorithm: one bin of a Fourier transform, with its phase kept against a common origin.

/** Correlates pieces of a signal with one frequency. */
export class Goertzel {
  /** The last piece's correlation, turned to the origin of time: pieces in a row may simply be added. */
  real = 0
  imaginary = 0
  readonly #coefficient: number
  readonly #cosine: number
  readonly #sine: number
  /** The turn of one piece, and the pointer that has turned since the origin. */
  readonly #pieceCosine: number
  readonly #pieceSine: number
  #turnedCosine = 1
  #turnedSine = 0

  constructor(frequency: number, sampleRate: number, pieceSamples: number) {
    const turn = (2 * Math.PI * frequency) / sampleRate
    this.#coefficient = 2 * Math.cos(turn)
    this.#cosine = Math.cos(turn)
    this.#sine = Math.sin(turn)
    this.#pieceCosine = Math.cos(turn * pieceSamples)
    this.#pieceSine = Math.sin(turn * pieceSamples)
  }

  /** Correlates one piece. */
  take(piece: Float64Array): void {
    let s1 = 0
    let s2 = 0
    const coefficient = this.#coefficient
    for (let i = 0; i < piece.length; i += 1) {
      const s0 = (piece[i] as number) + coefficient * s1 - s2
      s2 = s1
      s1 = s0
    }
    // The sum of x[n]·e^(−jωn) over the piece is this value times e^(−jω(N−1)); together with the turn before it, e^(−jω·now).
    const real = s1 - s2 * this.#cosine
    const imaginary = s2 * this.#sine
    this.#turn()
    // Turned back by one sample, as the pointer stands at the end of the piece.
    const cosine = this.#turnedCosine * this.#cosine + this.#turnedSine * this.#sine
    const sine = this.#turnedSine * this.#cosine - this.#turnedCosine * this.#sine
    this.real = real * cosine + imaginary * sine
    this.imaginary = imaginary * cosine - real * sine
  }

  #turn(): void {
    const cosine = this.#turnedCosine * this.#pieceCosine - this.#turnedSine * this.#pieceSine
    const sine = this.#turnedSine * this.#pieceCosine + this.#turnedCosine * this.#pieceSine
    const scale = 1 / Math.sqrt(cosine * cosine + sine * sine)
    this.#turnedCosine = cosine * scale
    this.#turnedSine = sine * scale
  }
}
