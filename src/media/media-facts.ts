// The quality of a call's media, from what a gateway tells of it in its reply to `delete`: rtpengine's words, and our own beside them.

import { dictionaryOf } from '#media/media-gateway.ts'
import type { MediaFacts, MediaSide } from '#media/media-port.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

type SideFacts = NonNullable<MediaFacts['caller']>

const HUNDREDTHS = 100
const MICROSECONDS = 1_000
/** rtpengine tells the MOS of an SSRC in tenths. */
const TENTHS = 10
const MOS_MIN = 1
const MOS_MAX = 5

/** The facts of both sides, or null when the reply tells nothing. `sideOf` knows whose tag it is. */
export function mediaFactsFrom(reply: NgDictionary, sideOf: (tag: string) => MediaSide | null): MediaFacts | null {
  const tags = dictionaryOf(reply['tags'])
  if (tags === null) return null
  let caller: SideFacts | null = null
  let callee: SideFacts | null = null
  const ssrcs = dictionaryOf(reply['SSRC'])
  for (const [tag, value] of Object.entries(tags)) {
    const side = sideOf(tag)
    const facts = sideFrom(dictionaryOf(value), ssrcs)
    if (side === 'caller') caller = better(caller, facts)
    else if (side === 'callee') callee = better(callee, facts)
  }
  return caller === null && callee === null ? null : { caller, callee }
}

/** Of several branches the one that was talked with. */
function better(one: SideFacts | null, other: SideFacts | null): SideFacts | null {
  if (one === null || other === null) return one ?? other
  return other.packets > one.packets ? other : one
}

/** The first RTP stream of the first audio line. */
function sideFrom(party: NgDictionary | null, ssrcs: NgDictionary | null): SideFacts | null {
  for (const line of listOf(party?.['medias'])) {
    const media = dictionaryOf(line)
    const stream = dictionaryOf(listOf(media?.['streams'])[0])
    if (stream === null || (media?.['type'] ?? 'audio') !== 'audio') continue
    const quality = dictionaryOf(dictionaryOf(stream['carillon quality'])?.['received'])
    return quality === null ? plainFacts(stream, ssrcs) : ownFacts(quality)
  }
  return null
}

function ownFacts(quality: NgDictionary): SideFacts {
  return {
    codec: textOf(quality['codec']),
    packets: countOf(quality['packets']),
    lost: countOf(quality['lost']),
    jitterMs: countOf(quality['jitter us']) / MICROSECONDS,
    mos: mosFrom(quality['mos x100'], HUNDREDTHS),
  }
}

/** What rtpengine tells: counts by stream, quality by SSRC. */
function plainFacts(stream: NgDictionary, ssrcs: NgDictionary | null): SideFacts {
  const ssrc = dictionaryOf(ssrcs?.[String(stream['SSRC'] ?? '')])
  const average = dictionaryOf(ssrc?.['average MOS'])
  return {
    codec: '',
    packets: countOf(dictionaryOf(stream['stats'])?.['packets']),
    lost: countOf(average?.['packet loss']),
    jitterMs: countOf(average?.['jitter']),
    mos: mosFrom(average?.['MOS'], TENTHS),
  }
}

function mosFrom(value: NgValue | undefined, scale: number): number | null {
  const mos = Number(value ?? Number.NaN) / scale
  return mos >= MOS_MIN && mos <= MOS_MAX ? mos : null
}

/** A count; −1 and whatever is none is 0. */
function countOf(value: NgValue | undefined): number {
  return typeof value === 'number' && value > 0 ? value : 0
}

function textOf(value: NgValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

function listOf(value: NgValue | undefined): readonly NgValue[] {
  return Array.isArray(value) ? (value as readonly NgValue[]) : []
}
