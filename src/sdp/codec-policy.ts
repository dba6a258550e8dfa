// What becomes of an offer's codecs for the other side: strip, mask, order and transcode, with the meaning that rtpengine gives these words.

import { eventsFor, sameCodec } from '#sdp/codec-match.ts'
import { type CodecSpec, matchesSpec, parseCodecSpec } from '#sdp/codec-spec.ts'
import { assignPayloadTypes } from '#sdp/payload-types.ts'
import { isSpeech, type SdpCodec, staticPayloadType } from '#sdp/sdp-codec.ts'

/** Lists of codec words: a name with details ("opus/48000/2"), a payload type ("8"), or, to strip, mask and consume, 'all' or 'full'. */
export interface CodecPolicy {
  /** As if never offered. */
  readonly strip: readonly string[]
  /** Stays although 'all' or 'full' is stripped or masked. */
  readonly except: readonly string[]
  /** As `except`, and comes first, in this order. */
  readonly offer: readonly string[]
  /** Not offered on, but taken from the offerer, and converted. */
  readonly mask: readonly string[]
  /** As `mask`. */
  readonly consume: readonly string[]
  /** Offered on, and taken from the offerer even when the other side refuses it. */
  readonly accept: readonly string[]
  /** Offered on although not offered, and converted; what was offered is not converted. */
  readonly transcode: readonly string[]
  /** Settings of codecs that are converted: "opus/48000/2/32000" has the bit rate. */
  readonly set: readonly string[]
}

/** Changes nothing. */
export const CODEC_POLICY_NONE: CodecPolicy = {
  strip: [],
  except: [],
  offer: [],
  mask: [],
  consume: [],
  accept: [],
  transcode: [],
  set: [],
}

/** The outcome for one stream; kept until the answer. */
export interface CodecPlan {
  /** For the other side, in order. */
  readonly offered: readonly SdpCodec[]
  /** Those of `offered` that the offerer does not have. */
  readonly added: readonly SdpCodec[]
  /** What may be taken from the offerer: its codecs but the stripped ones. */
  readonly accepted: readonly SdpCodec[]
  /** Those of `accepted` that may be answered although the other side does not take them: masked, consumed or accepted by name. */
  readonly convertible: readonly SdpCodec[]
  /** Whether packets may have to be converted. */
  readonly transcodes: boolean
  /** Words of `set` and `transcode` that have settings. */
  readonly settings: readonly CodecSpec[]
}

/** What goes beside a conversion; redundancy and the like speak of packets that are not there any more. */
const CONVERSION_PASSES: ReadonlySet<string> = new Set(['TELEPHONE-EVENT', 'CN'])

/** Words of one list that count. */
const WORDS_MAX = 64

/**
 * Applies a policy to the codecs that a side offered. `available` are the codecs that can be converted (their payload types do not
 * matter); `earlier` are all codecs that the other side was offered before, which keep their payload types (RFC 3264 §8.3.2).
 * A policy that leaves nothing changes nothing.
 */
export function planCodecs(
  offered: readonly SdpCodec[],
  policy: CodecPolicy,
  available: readonly SdpCodec[],
  earlier: readonly SdpCodec[] = [],
): CodecPlan {
  const lists = listsOf(policy)
  const stripped = removal(lists.strip, lists.except, lists.transcode)
  const masked = removal([...lists.mask, ...lists.consume], lists.except, lists.transcode)
  const accepted = offered.filter((codec) => !stripped(codec))
  const kept = accepted.filter((codec) => !masked(codec))
  const ordered = inOrder(kept, lists.offer)
  const wanted = wantedFor(lists.transcode, kept, available)
  const convertibleNames = [...lists.mask, ...lists.consume, ...lists.accept]
  const isAvailable = (codec: SdpCodec): boolean => has(available, codec)
  const convertible = accepted.filter(
    (codec) =>
      isSpeech(codec) && isAvailable(codec) && (masked(codec) || convertibleNames.some((spec) => names(spec, codec))),
  )
  const transcodes = wanted.length > 0 || lists.consume.length > 0 || convertible.length > 0
  // What is converted must be understood whoever sends it; the rest could be chosen and then not be.
  const speech =
    wanted.length > 0
      ? ordered.filter((codec) => (isSpeech(codec) ? isAvailable(codec) : CONVERSION_PASSES.has(codec.encoding)))
      : ordered
  // Events and the like come last, as everybody writes them.
  const all =
    wanted.length > 0 ? [...speech, ...wanted].toSorted((a, b) => Number(isSpeech(b)) - Number(isSpeech(a))) : speech
  const numbered = assignPayloadTypes(all, [...speech, ...offered], earlier)
  const list = transcodes ? withEvents(numbered, accepted, offered, earlier) : numbered
  const changed = list.some(isSpeech)
  const final = changed ? list : assignPayloadTypes(offered, offered, earlier)
  return {
    offered: final,
    added: changed ? final.filter((codec) => !has(accepted, codec)) : [],
    accepted: changed ? accepted : offered,
    convertible: changed ? convertible : [],
    transcodes: changed && transcodes,
    settings: [...lists.set, ...lists.transcode.filter((spec) => spec.bitRate !== null || spec.ptimeMs !== null)],
  }
}

/**
 * The codecs to answer the offerer with, when the other side has answered with `answered`: what both have, with the offerer's payload
 * types and the answer's parameters, then what is accepted anyway; when both have nothing, all that can be converted. Empty: nothing fits.
 */
export function answerCodecs(
  plan: CodecPlan,
  answered: readonly SdpCodec[],
  available: readonly SdpCodec[],
): SdpCodec[] {
  const common: SdpCodec[] = []
  for (const codec of answered) {
    const own = plan.accepted.find((other) => sameCodec(other, codec))
    const offered = plan.offered.some((other) => sameCodec(other, codec))
    if (own === undefined || !offered || !isSpeech(own) || common.some((other) => sameCodec(other, own))) continue
    common.push({ ...own, parameters: codec.parameters })
  }
  const canConvert = plan.accepted.filter((codec) => isSpeech(codec) && has(available, codec))
  const converting = answered.some((codec) => isSpeech(codec) && has(available, codec))
  const more = common.length > 0 ? plan.convertible : plan.transcodes ? canConvert : []
  const speech = converting
    ? [...common, ...more.filter((codec) => !common.some((other) => sameCodec(other, codec)))]
    : common
  if (speech.length === 0) return []
  const converts = speech.length > common.length || common.length === 0
  const answeredEvents = answered.some((codec) => codec.encoding === 'TELEPHONE-EVENT')
  const events = converts || answeredEvents ? eventsFor(speech, plan.accepted) : []
  // Where everything is converted, noise is made and played here whatever the other side has; else it has to pass as it is.
  const rates = new Set(speech.map((codec) => codec.clockRate))
  const comfort = plan.accepted.filter(
    (codec) =>
      codec.encoding === 'CN' && (common.length === 0 ? rates.has(codec.clockRate) : !converts && has(answered, codec)),
  )
  const others = converts
    ? []
    : plan.accepted.filter(
        (codec) => !isSpeech(codec) && !/^(?:CN|TELEPHONE-EVENT)$/.test(codec.encoding) && has(answered, codec),
      )
  return [...speech, ...comfort, ...events, ...others]
}

function has(codecs: readonly SdpCodec[], codec: SdpCodec): boolean {
  return codecs.some((other) => sameCodec(other, codec))
}

interface Lists {
  readonly strip: readonly CodecSpec[]
  /** `except` and `offer` together: both keep. */
  readonly except: readonly CodecSpec[]
  readonly offer: readonly CodecSpec[]
  readonly mask: readonly CodecSpec[]
  readonly consume: readonly CodecSpec[]
  readonly accept: readonly CodecSpec[]
  readonly transcode: readonly CodecSpec[]
  readonly set: readonly CodecSpec[]
}

function listsOf(policy: CodecPolicy): Lists {
  const offer = specsOf(policy.offer)
  return {
    strip: specsOf(policy.strip),
    except: [...specsOf(policy.except), ...offer],
    offer,
    mask: specsOf(policy.mask),
    consume: specsOf(policy.consume),
    accept: specsOf(policy.accept),
    transcode: specsOf(policy.transcode).filter((spec) => !isWhole(spec)),
    set: specsOf(policy.set).filter((spec) => !isWhole(spec)),
  }
}

/** Words that mean nothing are passed over. */
function specsOf(words: readonly string[]): CodecSpec[] {
  return words
    .slice(0, WORDS_MAX)
    .map(parseCodecSpec)
    .filter((spec) => spec !== null)
}

function isWhole(spec: CodecSpec): boolean {
  return spec.encoding === 'ALL' || spec.encoding === 'FULL'
}

function names(spec: CodecSpec, codec: SdpCodec): boolean {
  return !isWhole(spec) && matchesSpec(codec, spec)
}

/**
 * What a list takes away: whom it names; with 'all' or 'full' everything but what is excepted. After 'all', what is asked for by
 * `transcode` is restored; after 'full' it is not, and comes as a new, converted codec.
 */
function removal(
  list: readonly CodecSpec[],
  except: readonly CodecSpec[],
  transcode: readonly CodecSpec[],
): (codec: SdpCodec) => boolean {
  const all = list.some((spec) => spec.encoding === 'ALL')
  const full = list.some((spec) => spec.encoding === 'FULL')
  return (codec) => {
    if (list.some((spec) => names(spec, codec))) return true
    if (!all && !full) return false
    if (except.some((spec) => matchesSpec(codec, spec))) return false
    return full || !transcode.some((spec) => matchesSpec(codec, spec))
  }
}

/** Those that `first` names, in its order, then the others in theirs. */
function inOrder(codecs: readonly SdpCodec[], first: readonly CodecSpec[]): SdpCodec[] {
  const rest = [...codecs]
  const result: SdpCodec[] = []
  for (const spec of first) {
    for (
      let at = rest.findIndex((codec) => names(spec, codec));
      at >= 0;
      at = rest.findIndex((codec) => names(spec, codec))
    ) {
      result.push(...rest.splice(at, 1))
    }
  }
  return [...result, ...rest]
}

/** What `transcode` asks for, is not there, and can be converted. */
function wantedFor(
  transcode: readonly CodecSpec[],
  kept: readonly SdpCodec[],
  available: readonly SdpCodec[],
): SdpCodec[] {
  const wanted: SdpCodec[] = []
  for (const spec of transcode) {
    if (kept.some((codec) => matchesSpec(codec, spec))) continue
    const found = available.find((codec) =>
      spec.payloadType === null ? matchesSpec(codec, spec) : staticPayloadType(codec) === spec.payloadType,
    )
    if (found === undefined || wanted.some((codec) => sameCodec(codec, found))) continue
    wanted.push(spec.parameters === '' ? found : { ...found, parameters: spec.parameters })
  }
  return wanted
}

/**
 * The list with one telephone-event for each clock rate of its speech (RFC 4733 §2.5.1.1), when the offerer has events: they are passed on
 * at the other rate. Those of rates that no codec has any more go.
 */
function withEvents(
  codecs: readonly SdpCodec[],
  accepted: readonly SdpCodec[],
  offered: readonly SdpCodec[],
  earlier: readonly SdpCodec[],
): SdpCodec[] {
  const event = accepted.find((codec) => codec.encoding === 'TELEPHONE-EVENT')
  if (event === undefined) return [...codecs]
  const rates = new Set(codecs.filter(isSpeech).map((codec) => codec.clockRate))
  const fitting = codecs.filter((codec) => codec.encoding !== 'TELEPHONE-EVENT' || rates.has(codec.clockRate))
  const missing: SdpCodec[] = []
  for (const clockRate of rates) {
    if (fitting.some((codec) => codec.encoding === 'TELEPHONE-EVENT' && codec.clockRate === clockRate)) continue
    const parameters = event.parameters === '' ? '0-15' : event.parameters
    const own = accepted.find((codec) => codec.encoding === 'TELEPHONE-EVENT' && codec.clockRate === clockRate)
    missing.push(own ?? { ...event, clockRate, parameters, payloadType: -1 })
  }
  return assignPayloadTypes([...fitting, ...missing], [...fitting, ...offered], earlier)
}
