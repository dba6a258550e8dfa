// Which codecs of two sides are the same: for answers (RFC 3264 §6.1), and for what passes between them as it is.

import { formatParameter, isSpeech, type SdpCodec, sameCoding } from '#sdp/sdp-codec.ts'

/** The payload types of two sides beside each other. */
export interface CodecMatch {
  /** The same codec on both sides: packets pass, the payload type is rewritten where it differs. In the left side's order. */
  readonly pairs: readonly { readonly left: SdpCodec; readonly right: SdpCodec }[]
  /** What the right side does not have: it needs a conversion. */
  readonly leftOnly: readonly SdpCodec[]
  readonly rightOnly: readonly SdpCodec[]
  /** Whether the sides have no speech codec in common. */
  readonly converts: boolean
}

/** Format parameters that both sides must have alike, with what stands for an absent one: RFC 4867 §8.1, RFC 6184 §8.2.2, RFC 5577 §4. */
const DISTINCT: ReadonlyMap<string, readonly (readonly [name: string, absent: string])[]> = new Map([
  [
    'AMR',
    [
      ['octet-align', '0'],
      ['crc', '0'],
      ['robust-sorting', '0'],
      ['interleaving', ''],
    ],
  ],
  [
    'AMR-WB',
    [
      ['octet-align', '0'],
      ['crc', '0'],
      ['robust-sorting', '0'],
      ['interleaving', ''],
    ],
  ],
  [
    'H264',
    [
      ['packetization-mode', '0'],
      ['profile-level-id', '42000a'],
    ],
  ],
  ['G7221', [['bitrate', '']]],
])

/** Whether both are one codec: packets of the one can be sent as the other. */
export function sameCodec(a: SdpCodec, b: SdpCodec): boolean {
  if (!sameCoding(a, b)) return false
  const distinct = DISTINCT.get(a.encoding) ?? []
  return distinct.every(([name, absent]) => {
    const [left, right] = [a, b].map((codec) => (formatParameter(codec.parameters, name) ?? absent).toLowerCase())
    // Profile and constraints, not the level (RFC 6184 §8.2.2).
    return name === 'profile-level-id' ? left?.slice(0, 4) === right?.slice(0, 4) : left === right
  })
}

/** Sets the codecs of two sides beside each other. Each is used once. */
export function matchCodecs(left: readonly SdpCodec[], right: readonly SdpCodec[]): CodecMatch {
  const rest = [...right]
  const pairs: { left: SdpCodec; right: SdpCodec }[] = []
  const leftOnly: SdpCodec[] = []
  for (const codec of left) {
    const at = rest.findIndex((other) => sameCodec(codec, other))
    const [other] = at < 0 ? [] : rest.splice(at, 1)
    if (other === undefined) leftOnly.push(codec)
    else pairs.push({ left: codec, right: other })
  }
  return { pairs, leftOnly, rightOnly: rest, converts: !pairs.some((pair) => isSpeech(pair.left)) }
}

/**
 * The codecs for our answer: the common ones under the offer's payload types with our parameters, speech before the rest. Of the
 * telephone-events those whose clock rate a common codec has (RFC 4733 §2.5.1.1), or the first when none fits.
 */
export function commonCodecs(
  offered: readonly SdpCodec[],
  ours: readonly SdpCodec[],
  order: 'ours' | 'theirs',
): SdpCodec[] {
  const { pairs } = matchCodecs(offered, ours)
  const ordered = order === 'ours' ? pairs.toSorted((a, b) => ours.indexOf(a.right) - ours.indexOf(b.right)) : pairs
  const common = ordered.map(({ left, right }) => ({ ...right, payloadType: left.payloadType }))
  const speech = common.filter(isSpeech)
  const comfort = common.filter((codec) => codec.encoding === 'CN')
  const ourEvents = ours.find((codec) => codec.encoding === 'TELEPHONE-EVENT')
  if (speech.length === 0 || ourEvents === undefined) return [...speech, ...comfort]
  const events = eventsFor(speech, offered).map((event) => ({ ...event, parameters: ourEvents.parameters }))
  return [...speech, ...comfort, ...events]
}

/** The telephone-events among `codecs` for the clock rates of `speech`; the first one when none fits, as events then go at that rate. */
export function eventsFor(speech: readonly SdpCodec[], codecs: readonly SdpCodec[]): SdpCodec[] {
  const events = codecs.filter((codec) => codec.encoding === 'TELEPHONE-EVENT')
  const rates = new Set(speech.map((codec) => codec.clockRate))
  const seen = new Set<number>()
  const fitting = events.filter((event) => {
    const fits = rates.has(event.clockRate) && !seen.has(event.clockRate)
    seen.add(event.clockRate)
    return fits
  })
  return fitting.length > 0 ? fitting : events.slice(0, 1)
}
