// Comfort noise payloads: level and reflection coefficients (RFC 3389 §3).

/** Octets of a payload with the highest model order that we read or write; coefficients beyond it are left out (§3). */
export const COMFORT_NOISE_OCTETS_MAX = 1 + 12

/** What the noise sounds like. */
export interface ComfortNoise {
  /** Level relative to overload: −127…0 dBov (§3.1). 0 dBov is 6.18 dBm0 in µ-law, 6.15 in A-law. */
  readonly levelDbov: number
  /** k_1…k_M of the all-pole model, each between −1 and 1 (§3.2); none for white noise. */
  readonly coefficients: readonly number[]
}

/** Reads a payload; null when it is empty. The unused bit of the level is ignored. */
export function readComfortNoise(bytes: Uint8Array, offset: number, end: number): ComfortNoise | null {
  if (offset >= end || end > bytes.length) return null
  const level = (bytes[offset] as number) & 0x7f
  const last = Math.min(end, offset + COMFORT_NOISE_OCTETS_MAX)
  const coefficients: number[] = []
  for (let at = offset + 1; at < last; at += 1) {
    const index = bytes[at] as number
    // §3.2: 255 is reserved; the model ends before what cannot be known.
    if (index === 255) break
    coefficients.push((258 * (index - 127)) / 32_768)
  }
  return { levelDbov: level === 0 ? 0 : -level, coefficients }
}

/** Writes a payload at `offset` and gives its length. Values out of range are brought into it. */
export function writeComfortNoise(noise: ComfortNoise, target: Uint8Array, offset: number): number {
  target[offset] = Math.round(Math.min(127, Math.max(0, -noise.levelDbov)))
  const order = Math.min(noise.coefficients.length, COMFORT_NOISE_OCTETS_MAX - 1, target.length - offset - 1)
  for (let i = 0; i < order; i += 1) {
    const index = Math.round(((noise.coefficients[i] as number) * 32_768) / 258) + 127
    target[offset + 1 + i] = Math.min(254, Math.max(0, index))
  }
  return 1 + Math.max(0, order)
}
