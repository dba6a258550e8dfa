// ITU-T G.711: 8-bit logarithmic companding, µ-law and A-law.

/** A companding law by its RTP encoding name (RFC 3551 §4.5.14). */
export type CompandingLaw = 'PCMU' | 'PCMA'

/** The octet of silence: µ-law positive zero; A-law's smallest positive value, as it has no zero. */
export const MULAW_SILENCE = 0xff
export const ALAW_SILENCE = 0xd5

const MULAW_BIAS = 0x84
const MULAW_CLIP = 32_635

/** 16-bit linear of each octet, left-justified from the 14-bit (µ) and 13-bit (A) values of the recommendation. */
const LINEAR_OF_MULAW = new Int16Array(256)
const LINEAR_OF_ALAW = new Int16Array(256)
/** The octet of each 16-bit linear value, indexed by its two's complement bits. */
const MULAW_OF_LINEAR = new Uint8Array(65_536)
const ALAW_OF_LINEAR = new Uint8Array(65_536)
const ALAW_OF_MULAW = new Uint8Array(256)
const MULAW_OF_ALAW = new Uint8Array(256)

/** G.711 §3 table 2: the value of one µ-law octet, as 16-bit linear (the recommendation's value times four). */
function expandMulaw(octet: number): number {
  const bits = ~octet & 0xff
  const magnitude = ((((bits & 0x0f) << 3) + MULAW_BIAS) << ((bits & 0x70) >> 4)) - MULAW_BIAS
  return (bits & 0x80) !== 0 ? -magnitude : magnitude
}

/** G.711 §3 table 1: the value of one A-law octet, as 16-bit linear (the recommendation's value times eight). */
function expandAlaw(octet: number): number {
  const bits = octet ^ 0x55
  const segment = (bits & 0x70) >> 4
  const step = ((bits & 0x0f) << 4) + 8
  const magnitude = segment === 0 ? step : (step + 0x100) << (segment - 1)
  return (bits & 0x80) !== 0 ? magnitude : -magnitude
}

function compressMulaw(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0
  const magnitude = Math.min(sample < 0 ? -sample : sample, MULAW_CLIP) + MULAW_BIAS
  const segment = 24 - Math.clz32(magnitude)
  return ~(sign | (segment << 4) | ((magnitude >> (segment + 3)) & 0x0f)) & 0xff
}

function compressAlaw(sample: number): number {
  // One's complement for negatives: −1 is the decision value's lower side (G.711 table 1, note).
  const sign = sample >= 0 ? 0x80 : 0
  const magnitude = (sample >= 0 ? sample : ~sample) >> 3
  const segment = magnitude < 0x20 ? 0 : 27 - Math.clz32(magnitude)
  const interval = segment === 0 ? (magnitude >> 1) & 0x0f : (magnitude >> segment) & 0x0f
  return (sign | (segment << 4) | interval) ^ 0x55
}

for (let octet = 0; octet < 256; octet += 1) {
  LINEAR_OF_MULAW[octet] = expandMulaw(octet)
  LINEAR_OF_ALAW[octet] = expandAlaw(octet)
}
for (let sample = -32_768; sample < 32_768; sample += 1) {
  MULAW_OF_LINEAR[sample & 0xffff] = compressMulaw(sample)
  ALAW_OF_LINEAR[sample & 0xffff] = compressAlaw(sample)
}
for (let octet = 0; octet < 256; octet += 1) {
  ALAW_OF_MULAW[octet] = compressAlaw(expandMulaw(octet))
  MULAW_OF_ALAW[octet] = compressMulaw(expandAlaw(octet))
}

/** Compresses `samples` into `target` (at least as long) and gives the octets written. */
export function encodeG711(law: CompandingLaw, samples: Int16Array, target: Uint8Array): number {
  const table = law === 'PCMU' ? MULAW_OF_LINEAR : ALAW_OF_LINEAR
  const length = Math.min(samples.length, target.length)
  for (let i = 0; i < length; i += 1) target[i] = table[(samples[i] as number) & 0xffff] as number
  return length
}

/** Expands `payload` into `target` (at least as long) and gives the samples written. */
export function decodeG711(law: CompandingLaw, payload: Uint8Array, target: Int16Array): number {
  const table = law === 'PCMU' ? LINEAR_OF_MULAW : LINEAR_OF_ALAW
  const length = Math.min(payload.length, target.length)
  for (let i = 0; i < length; i += 1) target[i] = table[payload[i] as number] as number
  return length
}

/** Changes the law of `payload` in place: the short way between the two, without linear samples (G.711 §4). */
export function convertG711(from: CompandingLaw, payload: Uint8Array): void {
  const table = from === 'PCMU' ? ALAW_OF_MULAW : MULAW_OF_ALAW
  for (let i = 0; i < payload.length; i += 1) payload[i] = table[payload[i] as number] as number
}
