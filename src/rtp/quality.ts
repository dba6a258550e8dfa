// How a call sounds, by computation: transmission rating R and mean opinion score (ITU-T G.107, G.107.1, G.113 Appendix I).

/** What is known of one direction of a call, at the ear of its listener. */
export interface QualityFacts {
  /** Encoding name in upper case; one that is not known counts as G.711. */
  readonly encoding: string
  /** Packets that were not played, lost and discarded, of those that were sent: 0…1. */
  readonly lossRate: number
  /** G.107 BurstR: 1 for independent losses, more for losses in rows. */
  readonly burstRatio: number
  /** From mouth to ear, in milliseconds: see {@link mouthToEarMs}. */
  readonly delayMs: number
}

export interface Quality {
  /** Transmission rating on the scale of telephone bandwidth, 0…100; 93.2 is the best of G.711 (G.107). */
  readonly r: number
  /** Conversational: with delay; 1…4.5 (G.107 Annex B). */
  readonly mos: number
  /** Listening: without delay. */
  readonly mosLq: number
}

/** Equipment impairment, robustness against loss in percent (G.113 Appendix I), and the scale that they are on. */
interface Codec {
  readonly ie: number
  readonly bpl: number
  readonly isWideband: boolean
}

/** With concealment (G.711 Appendix I). */
const G711: Codec = { ie: 0, bpl: 25.1, isWideband: false }

const CODECS: Readonly<Record<string, Codec>> = {
  PCMU: G711,
  PCMA: G711,
  G729: { ie: 11, bpl: 19, isWideband: false },
  // G.113 Appendix IV gives Ie,wb = 13 at 64 kbit/s. Its robustness, and Opus as a whole, are estimates of ours: the ITU has none.
  G722: { ie: 13, bpl: 8, isWideband: true },
  OPUS: { ie: 4, bpl: 12, isWideband: true },
}

/** Ro − Is with all other parameters at their defaults (G.107 §7.2, §7.3, Table 3). */
const BASIC_R = 93.36
/** The rating without impairment on the wideband scale (G.107.1 §7), which divided by 1.29 is that of telephone bandwidth. */
const WIDEBAND_R = 129
const WIDEBAND_SCALE = 1.29
/** Defaults of Table 3: talker echo loudness, weighted echo path loss, noise, receive loudness. */
const TELR = 65
const WEPL = 110
const NOISE_DBM0P = -61.18
const RLR = 2
const SLR = 8

/** The rating of one direction. */
export function quality(facts: QualityFacts): Quality {
  const codec = CODECS[facts.encoding] ?? G711
  const loss = Math.min(100, Math.max(0, facts.lossRate * 100))
  const burst = Math.max(1, facts.burstRatio)
  // G.107 §7.5 (7-29).
  const equipment = codec.ie + ((95 - codec.ie) * loss) / (loss / burst + codec.bpl)
  const delayMs = Math.max(0, facts.delayMs)
  const still = rating(codec, equipment, delayImpairment(0))
  const r = rating(codec, equipment, delayImpairment(delayMs))
  return { r, mos: meanOpinionScore(r), mosLq: meanOpinionScore(still) }
}

/**
 * Delay from mouth to ear: half the round trip between RTP interfaces, what the receiver's buffer holds back, and twice the
 * packet (collecting it and coding). An unknown round trip (below 0) counts as none.
 */
export function mouthToEarMs(roundTripMs: number, jitterBufferMs: number, packetMs: number): number {
  return Math.max(0, roundTripMs) / 2 + Math.max(0, jitterBufferMs) + 2 * packetMs
}

/** MOS of a rating (G.107 Annex B). */
export function meanOpinionScore(r: number): number {
  if (r <= 0) return 1
  if (r >= 100) return 4.5
  return Math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
}

function rating(codec: Codec, equipment: number, delay: number): number {
  const r = codec.isWideband ? (WIDEBAND_R - equipment) / WIDEBAND_SCALE - delay : BASIC_R - equipment - delay
  return Math.min(100, Math.max(0, r))
}

/** Id: talker echo, listener echo and absolute delay (G.107 §7.4) for a one-way delay in milliseconds. */
function delayImpairment(delayMs: number): number {
  const ro = 15 - 1.5 * (SLR + NOISE_DBM0P)
  const terv = TELR - 40 * Math.log10((1 + delayMs / 10) / (1 + delayMs / 150)) + 6 * Math.exp(-0.3 * delayMs ** 2)
  const talker = root(-1.5 * (NOISE_DBM0P - RLR) - (80 + 2.5 * (terv - 14)), 100) - 1
  const idte = delayMs < 1 ? 0 : talker * (1 - Math.exp(-delayMs))
  const idle = root(ro - 10.5 * (WEPL + 7) * (2 * delayMs + 1) ** -0.25, 169)
  if (delayMs <= 100) return idte + idle
  const x = Math.log2(delayMs / 100)
  return idte + idle + 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
}

function root(difference: number, addend: number): number {
  return difference / 2 + Math.sqrt(difference ** 2 / 4 + addend)
}
