// Signal levels of 16-bit linear samples: dBov (RFC 6464 §3, the overload point) and dBm0 (G.711's digital milliwatt).

import { saturate } from '#gateway/audio/_saturate.ts'

const FULL_SCALE = 32_768
/** Below one step of sixteen bits there is nothing: −127 dBov is what RFC 6464 and RFC 3389 write for silence. */
export const SILENCE_DBOV = -127

/**
 * The root of the mean square of a 0 dBm0 signal, from G.711 table 5: the repeating µ-law octets 1E 0B 0B 1E 9E 8B 8B 9E
 * stand for ±8828 and ±20860 once expanded.
 */
const MILLIWATT_RMS = Math.sqrt((8828 ** 2 + 20_860 ** 2) / 2)

/** The peak of a sine at 0 dBm0. */
export const MILLIWATT_PEAK = MILLIWATT_RMS * Math.SQRT2

/** What is added to a level in dBov to have it in dBm0. */
export const DBM0_ABOVE_DBOV = 20 * Math.log10(FULL_SCALE / MILLIWATT_RMS)

/** The level of `samples`' first `length` in dBov: 0 at the most, −127 for silence. A full-scale sine has −3.01. */
export function levelDbov(samples: Int16Array, length: number): number {
  let sum = 0
  for (let i = 0; i < length; i += 1) {
    const sample = samples[i] as number
    sum += sample * sample
  }
  if (sum === 0 || length === 0) return SILENCE_DBOV
  return Math.max(SILENCE_DBOV, 10 * Math.log10(sum / length / (FULL_SCALE * FULL_SCALE)))
}

/** The peak of a sine at `levelDbm0`. */
export function peakOfDbm0(levelDbm0: number): number {
  return MILLIWATT_PEAK * 10 ** (levelDbm0 / 20)
}

/** Amplifies the first `length` of `samples` in place by `gain` (linear; see {@link gainOfDb}), saturating. */
export function applyGain(samples: Int16Array, length: number, gain: number): void {
  for (let i = 0; i < length; i += 1) {
    samples[i] = saturate(Math.round((samples[i] as number) * gain))
  }
}

/** The factor of a gain in decibels. */
export function gainOfDb(decibels: number): number {
  return 10 ** (decibels / 20)
}
