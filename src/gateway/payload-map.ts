// Which payload type of one stream is which of another, when packets pass between them as they are (RFC 3551 §6, RFC 8866 §6.6).

import type { PayloadFormat } from '#gateway/plane.ts'

/** Answers of a map besides payload types. */
export const PAYLOAD_CONVERT = -1
export const PAYLOAD_DROP = -2
export const PAYLOAD_EVENT = -3

export const TELEPHONE_EVENT = 'TELEPHONE-EVENT'
export const COMFORT_NOISE = 'CN'

/** The formats of a stream by payload type. */
export type FormatTable = readonly (PayloadFormat | null)[]

/** Whether the format is speech: neither digits nor noise. */
export function isAudio(format: PayloadFormat): boolean {
  return format.encoding !== TELEPHONE_EVENT && format.encoding !== COMFORT_NOISE
}

/** G.711, whose samples stand for themselves (RFC 3551 §4.5.14): what fax and comfort noise (RFC 3389 §4) are used with. */
export function isG711(format: PayloadFormat): boolean {
  return format.encoding === 'PCMU' || format.encoding === 'PCMA'
}

/** The payload type of comfort noise beside `format`, −1 for none: at its clock rate, and not for what has its own (RFC 3389 §4). */
export function noiseTypeFor(format: PayloadFormat, payloads: readonly PayloadFormat[]): number {
  if (!isG711(format)) return -1
  const noise = payloads.find((other) => other.encoding === COMFORT_NOISE && other.clockRate === format.clockRate)
  return noise?.payloadType ?? -1
}

export function formatTable(payloads: readonly PayloadFormat[]): FormatTable {
  const table = new Array<PayloadFormat | null>(128).fill(null)
  for (const format of payloads) {
    const { payloadType } = format
    // The first of two lines for one number is meant; 64…95 cannot be told from RTCP (RFC 5761 §4).
    if (payloadType >= 0 && payloadType < 128 && table[payloadType] === null) table[payloadType] = format
  }
  return table
}

/**
 * For each payload type of `from`: the one of `to` with the same encoding, or what else is to be done with the packet: speech is
 * converted, a digit is made anew as tones, noise is dropped.
 */
export function payloadMap(from: readonly PayloadFormat[], to: readonly PayloadFormat[]): Int8Array {
  const map = new Int8Array(128).fill(PAYLOAD_DROP)
  const done = new Set<number>()
  for (const format of from) {
    const { payloadType } = format
    if (payloadType < 0 || payloadType > 127 || done.has(payloadType)) continue
    done.add(payloadType)
    // The number itself when it fits, so that a stream towards itself keeps its numbers.
    const same = to.filter((candidate) => isSame(format, candidate))
    const match = same.find((candidate) => candidate.payloadType === payloadType) ?? same[0]
    if (match !== undefined) map[payloadType] = match.payloadType
    else if (format.encoding === TELEPHONE_EVENT) map[payloadType] = PAYLOAD_EVENT
    else if (isAudio(format)) map[payloadType] = PAYLOAD_CONVERT
  }
  return map
}

function isSame(a: PayloadFormat, b: PayloadFormat): boolean {
  return a.encoding === b.encoding && a.clockRate === b.clockRate && a.channels === b.channels
}
