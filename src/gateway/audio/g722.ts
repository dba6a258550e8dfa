// ITU-T G.722: 7 kHz audio in 64 kbit/s, sub-band ADPCM of two bands that a quadrature mirror filter makes (mode 1).

import { saturate } from '#gateway/audio/_saturate.ts'

/** §3.1: the quadrature mirror filter's coefficients, half of the symmetric 24 (Table 4, scaled by 2^13). */
const QMF = Int16Array.of(3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11)
/** §6.2.1: quantizer decision levels and codes of the lower band (Table 14 and 16). */
// biome-ignore format: a table
const Q6 = Int16Array.of(
  0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
  1458, 1612, 1765, 1980, 2195, 2557, 2919, 0, 0,
)
// biome-ignore format: a table
const ILN = Uint8Array.of(
  0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5,
  4, 0,
)
// biome-ignore format: a table
const ILP = Uint8Array.of(
  0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34,
  33, 32, 0,
)
/** Inverse quantizers with 4 and 6 bits (Tables 17 and 18), and of the higher band with 2 (Table 20). */
const QM4 = Int16Array.of(
  0,
  -20456,
  -12896,
  -8968,
  -6288,
  -4240,
  -2584,
  -1200,
  20456,
  12896,
  8968,
  6288,
  4240,
  2584,
  1200,
  0,
)
// biome-ignore format: a table
const QM6 = Int16Array.of(
  -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
  -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
  -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
  4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
)
const QM2 = Int16Array.of(-7408, -1616, 7408, 1616)
/** Logarithmic scale factor multipliers (Tables 19 and 21) and their antilogarithm (Table 15). */
const WL = Int16Array.of(-60, -30, 58, 172, 334, 538, 1198, 3042)
const RL42 = Uint8Array.of(0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0)
const WH = Int16Array.of(0, -214, 798)
const RH2 = Uint8Array.of(2, 1, 2, 1)
// biome-ignore format: a table
const ILB = Int16Array.of(
  2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
  3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
)
const IHN = Uint8Array.of(0, 1, 0)
const IHP = Uint8Array.of(0, 3, 2)
/** Upper limits of the logarithmic scale factors (§3.5, NBL and NBH) and the lower band's initial quantizer step. */
const NBL_MAX = 18_432
const NBH_MAX = 22_528
const DETL_FIRST = 32
const DETH_FIRST = 8
/** Samples that the filter of 24 taps looks back beyond a pair, and how many are filtered in one go. */
const QMF_PAST = 22
const CHUNK_SAMPLES = 640

/** The adaptive predictor and quantizer scale of one band: two poles, six zeros (§3.6). */
class Band {
  /** The predicted signal, and the zeros' part of it. */
  s = 0
  #sz = 0
  /** Quantizer step and its logarithm. */
  det: number
  #nb = 0
  readonly #shift: number
  readonly #nbMax: number
  #r1 = 0
  #r2 = 0
  #p1 = 0
  #p2 = 0
  #a1 = 0
  #a2 = 0
  readonly #b = new Int32Array(6)
  readonly #d = new Int32Array(6)

  constructor(det: number, shift: number, nbMax: number) {
    this.det = det
    this.#shift = shift
    this.#nbMax = nbMax
  }

  /** §3.5: adapts the scale by the multiplier of the code just sent. */
  scale(multiplier: number): void {
    let nb = ((this.#nb * 127) >> 7) + multiplier
    nb = Math.max(0, Math.min(nb, this.#nbMax))
    this.#nb = nb
    const exponent = this.#shift - (nb >> 11)
    const mantissa = ILB[(nb >> 6) & 31] as number
    this.det = (exponent < 0 ? mantissa << -exponent : mantissa >> exponent) << 2
  }

  /** §3.6: adapts the predictor to the quantized difference `d` and predicts the next sample. */
  predict(d: number): void {
    const r = saturate(this.s + d)
    const p = saturate(this.#sz + d)
    this.#adaptPoles(p)
    this.#r2 = this.#r1
    this.#r1 = r
    this.#p2 = this.#p1
    this.#p1 = p
    const poles = saturate(((this.#a1 * saturate(2 * this.#r1)) >> 15) + ((this.#a2 * saturate(2 * this.#r2)) >> 15))
    this.#sz = saturate(this.#zeros(d))
    this.s = saturate(poles + this.#sz)
  }

  /** Blocks UPPOL2 and UPPOL1: sign-driven steps, with the stability limits of the second-order section. */
  #adaptPoles(p: number): void {
    const same1 = p < 0 === this.#p1 < 0
    const same2 = p < 0 === this.#p2 < 0
    const four = saturate(this.#a1 << 2)
    let a2 = (same1 ? -four : four) >= 32_768 ? 32_767 : same1 ? -four : four
    a2 = (a2 >> 7) + (same2 ? 128 : -128) + ((this.#a2 * 32_512) >> 15)
    a2 = Math.max(-12_288, Math.min(a2, 12_288))
    let a1 = (same1 ? 192 : -192) + ((this.#a1 * 32_640) >> 15)
    const limit = saturate(15_360 - a2)
    a1 = Math.max(-limit, Math.min(a1, limit))
    this.#a1 = a1
    this.#a2 = a2
  }

  /** Blocks UPZERO, DELAYA and FILTEZ in one pass from the oldest difference to `d`, the newest. */
  #zeros(d: number): number {
    const step = d === 0 ? 0 : 128
    const differences = this.#d
    const coefficients = this.#b
    let zeros = 0
    for (let i = 5; i >= 0; i -= 1) {
      const same = d < 0 === (differences[i] as number) < 0
      const coefficient = saturate((same ? step : -step) + (((coefficients[i] as number) * 32_640) >> 15))
      const difference = i === 0 ? d : (differences[i - 1] as number)
      coefficients[i] = coefficient
      differences[i] = difference
      zeros += (coefficient * saturate(2 * difference)) >> 15
    }
    return zeros
  }
}

/** The encoder's state: 16 kHz samples to octets, two samples each. */
export class G722Encoding {
  readonly #low = new Band(DETL_FIRST, 8, NBL_MAX)
  readonly #high = new Band(DETH_FIRST, 10, NBH_MAX)
  readonly #work = new Int16Array(QMF_PAST + CHUNK_SAMPLES)

  /** Encodes an even number of `samples` into half as many octets; gives their number. */
  encode(samples: Int16Array, target: Uint8Array): number {
    const octets = samples.length >> 1
    for (let start = 0; start < samples.length; start += CHUNK_SAMPLES) {
      this.#chunk(samples, start, Math.min(CHUNK_SAMPLES, 2 * octets - start), target)
    }
    return octets
  }

  /** The transmit filter (§3.1) over samples that lie in a row with their past: nothing is moved for each of them. */
  #chunk(samples: Int16Array, start: number, length: number, target: Uint8Array): void {
    const x = this.#work
    for (let i = 0; i < length; i += 1) x[QMF_PAST + i] = samples[start + i] as number
    for (let n = 0; n < length; n += 2) {
      let odd = 0
      let even = 0
      for (let i = 0; i < 12; i += 1) {
        odd += (x[n + 2 * i] as number) * (QMF[i] as number)
        even += (x[n + 2 * i + 1] as number) * (QMF[11 - i] as number)
      }
      target[(start + n) >> 1] = (this.#encodeHigh((even - odd) >> 14) << 6) | this.#encodeLow((even + odd) >> 14)
    }
    x.copyWithin(0, length, length + QMF_PAST)
  }

  #encodeLow(x: number): number {
    const band = this.#low
    const difference = saturate(x - band.s)
    const magnitude = difference >= 0 ? difference : -(difference + 1)
    // The first of the rising decision levels that is above the magnitude, by halving.
    let i = 1
    let last = 30
    while (i < last) {
      const middle = (i + last) >> 1
      if (magnitude >= ((Q6[middle] as number) * band.det) >> 12) i = middle + 1
      else last = middle
    }
    const code = (difference < 0 ? ILN[i] : ILP[i]) as number
    const short = code >> 2
    const d = (band.det * (QM4[short] as number)) >> 15
    band.scale(WL[RL42[short] as number] as number)
    band.predict(d)
    return code
  }

  #encodeHigh(x: number): number {
    const band = this.#high
    const difference = saturate(x - band.s)
    const magnitude = difference >= 0 ? difference : -(difference + 1)
    const i = magnitude >= (564 * band.det) >> 12 ? 2 : 1
    const code = (difference < 0 ? IHN[i] : IHP[i]) as number
    const d = (band.det * (QM2[code] as number)) >> 15
    band.scale(WH[RH2[code] as number] as number)
    band.predict(d)
    return code
  }
}

/** The decoder's state: octets to 16 kHz samples. */
export class G722Decoding {
  readonly #low = new Band(DETL_FIRST, 8, NBL_MAX)
  readonly #high = new Band(DETH_FIRST, 10, NBH_MAX)
  readonly #work = new Int16Array(QMF_PAST + CHUNK_SAMPLES)

  /** Decodes `payload` into twice as many samples; gives their number. */
  decode(payload: Uint8Array, target: Int16Array): number {
    const chunk = CHUNK_SAMPLES / 2
    for (let start = 0; start < payload.length; start += chunk) {
      this.#chunk(payload, start, Math.min(chunk, payload.length - start), target)
    }
    return payload.length * 2
  }

  /** The receive filter (§4.4), as the transmit one. */
  #chunk(payload: Uint8Array, start: number, length: number, target: Int16Array): void {
    const x = this.#work
    for (let n = 0; n < length; n += 1) {
      const octet = payload[start + n] as number
      const low = this.#decodeLow(octet & 0x3f)
      const high = this.#decodeHigh(octet >> 6)
      x[QMF_PAST + 2 * n] = low + high
      x[QMF_PAST + 2 * n + 1] = low - high
    }
    for (let n = 0; n < length; n += 1) {
      let first = 0
      let second = 0
      for (let i = 0; i < 12; i += 1) {
        second += (x[2 * (n + i)] as number) * (QMF[i] as number)
        first += (x[2 * (n + i) + 1] as number) * (QMF[11 - i] as number)
      }
      target[2 * (start + n)] = saturate(first >> 11)
      target[2 * (start + n) + 1] = saturate(second >> 11)
    }
    x.copyWithin(0, 2 * length, 2 * length + QMF_PAST)
  }

  #decodeLow(code: number): number {
    const band = this.#low
    const full = band.s + ((band.det * (QM6[code] as number)) >> 15)
    const short = code >> 2
    const d = (band.det * (QM4[short] as number)) >> 15
    band.scale(WL[RL42[short] as number] as number)
    band.predict(d)
    return limit15(full)
  }

  #decodeHigh(code: number): number {
    const band = this.#high
    const d = (band.det * (QM2[code] as number)) >> 15
    const full = band.s + d
    band.scale(WH[RH2[code] as number] as number)
    band.predict(d)
    return limit15(full)
  }
}

/** Block LIMIT: the bands are 15-bit signals. */
function limit15(value: number): number {
  return Math.max(-16_384, Math.min(value, 16_383))
}
