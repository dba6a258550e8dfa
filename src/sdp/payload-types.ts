// Payload types of an offer: static ones where RFC 3551 has them, dynamic ones without collision, and never a second meaning for one.

import { sameCodec } from '#sdp/codec-match.ts'
import { DYNAMIC_MAX, DYNAMIC_MIN, type SdpCodec, staticPayloadType } from '#sdp/sdp-codec.ts'

/** What nearly everybody uses for telephone-event/8000. */
const USUAL_EVENT = 101
/** Upper dynamic ones first, as devices are set in their ways with the lower; then what is neither static nor RTCP's (RFC 5761 §4). */
const FREE: readonly number[] = [
  ...range(107, DYNAMIC_MAX),
  ...range(DYNAMIC_MIN, 106),
  ...range(35, 63),
  ...range(20, 24),
  ...[27, 29, 30],
]

/**
 * The codecs with a payload type each. Those in `fixed` keep the number that they have there; one that `earlier` has gets its number of
 * then, and no number of `earlier` gets another meaning (RFC 3264 §8.3.2). A codec for which no number is left is left out.
 */
export function assignPayloadTypes(
  codecs: readonly SdpCodec[],
  fixed: readonly SdpCodec[] = [],
  earlier: readonly SdpCodec[] = [],
): SdpCodec[] {
  const taken = new Set([...earlier, ...fixed].map((codec) => codec.payloadType))
  const result: SdpCodec[] = []
  const used = new Set<number>()
  for (const codec of codecs) {
    const payloadType = numberFor(codec, fixed, earlier, taken, used)
    if (payloadType < 0) continue
    used.add(payloadType)
    result.push(codec.payloadType === payloadType ? codec : { ...codec, payloadType })
  }
  return result
}

function numberFor(
  codec: SdpCodec,
  fixed: readonly SdpCodec[],
  earlier: readonly SdpCodec[],
  taken: ReadonlySet<number>,
  used: ReadonlySet<number>,
): number {
  const meansElse = (number: number): boolean =>
    used.has(number) || earlier.some((other) => other.payloadType === number && !sameCodec(other, codec))
  const known = [...fixed, ...earlier].find(
    (other) => sameCodec(other, codec) && other.payloadType >= 0 && !meansElse(other.payloadType),
  )
  if (fixed.includes(codec) && codec.payloadType >= 0 && !meansElse(codec.payloadType)) return codec.payloadType
  if (known !== undefined) return known.payloadType
  const usual = codec.encoding === 'TELEPHONE-EVENT' && codec.clockRate === 8000 ? [USUAL_EVENT] : []
  const candidates = [staticPayloadType(codec), ...usual, ...FREE]
  return candidates.find((number) => number >= 0 && !taken.has(number) && !used.has(number)) ?? -1
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}
