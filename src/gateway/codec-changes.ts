// The codec manipulations of the ng protocol (strip, mask, offer, transcode …) as pure functions over lists of codecs.

import type { NgCodecs } from '#ng/ng-settings.ts'
import { matchCodecs } from '#sdp/codec-match.ts'
import { DYNAMIC_MAX, DYNAMIC_MIN, isSpeech, type SdpCodec, staticPayloadType } from '#sdp/sdp-codec.ts'

/** What an added codec is when the command gives its name only (RFC 3551 §6, RFC 7587 §7, RFC 4733 §7.1.1). */
const CODINGS: Readonly<Record<string, Omit<SdpCodec, 'payloadType' | 'encoding'>>> = {
  PCMU: { clockRate: 8000, channels: 1, parameters: '' },
  PCMA: { clockRate: 8000, channels: 1, parameters: '' },
  G722: { clockRate: 8000, channels: 1, parameters: '' },
  G729: { clockRate: 8000, channels: 1, parameters: '' },
  OPUS: { clockRate: 48_000, channels: 2, parameters: 'useinbandfec=1' },
  L16: { clockRate: 16_000, channels: 1, parameters: '' },
  CN: { clockRate: 8000, channels: 1, parameters: '' },
  'TELEPHONE-EVENT': { clockRate: 8000, channels: 1, parameters: '0-16' },
}

/** What is offered to the other side, and what of the offerer's codecs may be used towards him. */
export interface ChangedOffer {
  readonly offered: readonly SdpCodec[]
  readonly usable: readonly SdpCodec[]
}

/** Whether the manipulations ask for nothing. */
export function changesNothing(changes: NgCodecs): boolean {
  return Object.values(changes).every((list: readonly string[]) => list.length === 0)
}

/** The codecs of an offer as the command wants them. `available` are the encodings that we can convert. */
export function changeOffer(
  codecs: readonly SdpCodec[],
  changes: NgCodecs,
  available: readonly string[],
): ChangedOffer {
  const keeps = (codec: SdpCodec): boolean => names([...changes.offer, ...changes.except], codec)
  const usable = codecs.filter((codec) => !isRemoved(changes.strip, codec) || keeps(codec) || restores(changes, codec))
  const hidden = [...changes.mask, ...changes.consume]
  let offered = usable.filter((codec) => !isRemoved(hidden, codec) || keeps(codec) || restores(changes, codec))
  if (changes.offer.length > 0 && !isAll(changes.strip) && !isAll(hidden)) {
    offered = offered.filter((codec) => !isSpeech(codec) || names(changes.offer, codec))
  }
  offered = inOrder(offered, changes.offer)
  for (const text of changes.transcode) {
    const added = addedCodec(text, [...codecs, ...offered], available)
    if (added !== null && !offered.some((codec) => matches(text, codec))) offered = [...offered, added]
  }
  // Without any codec there would be nothing to talk with: the list stays as it was.
  if (!offered.some(isSpeech)) return { offered: codecs, usable: usable.some(isSpeech) ? usable : codecs }
  return { offered, usable: usable.length > 0 ? usable : codecs }
}

/**
 * The codecs of the answer for who offered `usable`: those that the other side took, under the offer's payload types; when
 * they share none, or the command accepts more, the ones that we convert. Empty when nothing is left.
 */
export function changeAnswer(
  usable: readonly SdpCodec[],
  answered: readonly SdpCodec[],
  changes: NgCodecs,
  available: readonly string[],
  single: boolean,
): readonly SdpCodec[] {
  const { pairs } = matchCodecs(answered, usable)
  const shared = pairs.map(({ left, right }) => ({ ...left, payloadType: right.payloadType }))
  const accepts = (codec: SdpCodec): boolean =>
    isSpeech(codec) && available.includes(codec.encoding) && canConvert(answered, available)
  const wanted = usable.filter((codec) => accepts(codec) && isRemoved([...changes.accept, ...changes.consume], codec))
  const speech = shared.filter(isSpeech)
  const extra = speech.length === 0 ? usable.filter(accepts) : wanted
  const more = extra.filter((codec) => !speech.some((taken) => taken.payloadType === codec.payloadType))
  const all = [...speech, ...more]
  const first = all[0]
  if (first === undefined) return []
  const events = usable.filter(
    (codec) =>
      !isSpeech(codec) &&
      (shared.some((taken) => taken.payloadType === codec.payloadType) || (speech.length === 0 && isEvent(codec))),
  )
  return [...(single ? [first] : all), ...events]
}

function canConvert(answered: readonly SdpCodec[], available: readonly string[]): boolean {
  return answered.some((codec) => isSpeech(codec) && available.includes(codec.encoding))
}

function isEvent(codec: SdpCodec): boolean {
  return codec.encoding === 'TELEPHONE-EVENT'
}

/** A codec that `all` removed comes back when it is named for transcoding; one that was named itself does not. */
function restores(changes: NgCodecs, codec: SdpCodec): boolean {
  const removed = [...changes.strip, ...changes.mask, ...changes.consume]
  return removed.includes('all') && !names(removed, codec) && names(changes.transcode, codec)
}

function isAll(list: readonly string[]): boolean {
  return list.includes('all') || list.includes('full')
}

function isRemoved(list: readonly string[], codec: SdpCodec): boolean {
  return isAll(list) || names(list, codec)
}

function names(list: readonly string[], codec: SdpCodec): boolean {
  return list.some((text) => matches(text, codec))
}

/** "opus", "opus/48000/2" or a payload type; only what is written has to be the same. */
function matches(text: string, codec: SdpCodec): boolean {
  const [name = '', rate = '', channels = ''] = text.split('/')
  if (/^\d+$/.test(name)) return Number(name) === codec.payloadType
  if (name.toUpperCase() !== codec.encoding) return false
  return (rate === '' || Number(rate) === codec.clockRate) && (channels === '' || Number(channels) === codec.channels)
}

function inOrder(codecs: readonly SdpCodec[], order: readonly string[]): SdpCodec[] {
  const first = order.flatMap((text) => codecs.filter((codec) => matches(text, codec)))
  return [...new Set([...first, ...codecs])]
}

/** "opus/48000/2/32000/20/fmtp": a codec that was not offered. Null when we cannot convert it. */
function addedCodec(text: string, taken: readonly SdpCodec[], available: readonly string[]): SdpCodec | null {
  const [name = '', rate = '', channels = '', , , format = ''] = text.split('/')
  const encoding = name.toUpperCase()
  const coding = Object.hasOwn(CODINGS, encoding) ? CODINGS[encoding] : undefined
  if (coding === undefined || !(available.includes(encoding) || encoding === 'TELEPHONE-EVENT')) return null
  const codec = {
    encoding,
    clockRate: /^\d+$/.test(rate) ? Number(rate) : coding.clockRate,
    channels: /^\d+$/.test(channels) ? Number(channels) : coding.channels,
    parameters: format === '' ? coding.parameters : format,
  }
  const payloadType = freePayloadType(codec, taken)
  return payloadType < 0 ? null : { payloadType, ...codec }
}

function freePayloadType(coding: Omit<SdpCodec, 'payloadType'>, taken: readonly SdpCodec[]): number {
  const used = new Set(taken.map((codec) => codec.payloadType))
  const fixed = staticPayloadType(coding)
  if (fixed >= 0 && !used.has(fixed)) return fixed
  for (let payloadType = DYNAMIC_MIN; payloadType <= DYNAMIC_MAX; payloadType++) {
    if (!used.has(payloadType)) return payloadType
  }
  return -1
}
