// Descriptions of our own, where we are the far end: an answer to an offer, and a fresh offer (RFC 3264 §5, §6, §8).

import { attributeOf } from '#sdp/attributes.ts'
import { commonCodecs } from '#sdp/codec-match.ts'
import { addressText } from '#sdp/connection.ts'
import { answerDirection, type Direction, directionOf } from '#sdp/direction.ts'
import { isBundleOnly, type LocalMedia, localMediaLines } from '#sdp/local-media.ts'
import { type SdpIdentity, withNextOrigin } from '#sdp/next-origin.ts'
import { answeringMedia, bundleLines, rejectedMedia, withSessionAddress } from '#sdp/relay-description.ts'
import { codecLines, codecsOf, isRtp, isSpeech, type SdpCodec } from '#sdp/sdp-codec.ts'
import type { MediaDescription, SessionDescription } from '#sdp/session-description.ts'

/** What we can and want on one stream. */
export interface OwnMedia {
  readonly local: LocalMedia
  /** What we can do, in our order of preference. In an answer the payload types are the offer's; TELEPHONE-EVENT stands for every clock rate. */
  readonly codecs: readonly SdpCodec[]
  /** What we want; an answer has what the offer leaves of it (RFC 3264 §6.1). */
  readonly direction: Direction
  /** a=ptime in milliseconds; null writes none. */
  readonly ptimeMs: number | null
}

export interface AnswerChoice {
  readonly identity: SdpIdentity
  /** What that party got from us last; null at first. */
  readonly previous: SessionDescription | null
  /** Whose order of preference the answer has: the offer's makes asymmetry less likely (RFC 3264 §6.1). */
  readonly order: 'ours' | 'theirs'
  /** For each media description of the offer, in order. Null, or a missing one, rejects the stream. */
  readonly media: readonly (OwnMedia | null)[]
}

/** Why an offer gets no answer but 488 (RFC 3261 §21.4.26). */
export interface AnswerRefusal {
  readonly refusal: 'SDP_NO_MEDIA' | 'SDP_NO_CODEC'
  readonly message: string
}

export interface OfferChoice {
  readonly identity: SdpIdentity
  readonly previous: SessionDescription | null
  /** s=; "-" says nothing (RFC 8866 §5.3). */
  readonly name: string
  readonly media: readonly { readonly kind: string; readonly own: OwnMedia }[]
}

export function isRefusal(answer: SessionDescription | AnswerRefusal): answer is AnswerRefusal {
  return 'refusal' in answer
}

/** The place of the first RTP audio stream of an offer that is not rejected and has a codec of ours; -1 when there is none. */
export function answerableAudio(offer: SessionDescription, codecs: readonly SdpCodec[]): number {
  return offer.media.findIndex(
    (section) =>
      section.kind === 'audio' &&
      (section.port !== 0 || isBundleOnly(section)) &&
      isRtp(section.protocol) &&
      commonCodecs(codecsOf(section), codecs, 'theirs').some(isSpeech),
  )
}

/** Our answer; a refusal when no stream would be left of an offer that has some. */
export function answerOffer(offer: SessionDescription, choice: AnswerChoice): SessionDescription | AnswerRefusal {
  let codecMissing = false
  const media = offer.media.map((offered, at) => {
    const own = choice.media[at] ?? null
    if (own === null || !isRtp(offered.protocol) || (offered.port === 0 && !isBundleOnly(offered))) {
      return rejectedMedia(offered)
    }
    const codecs = commonCodecs(codecsOf(offered), own.codecs, choice.order)
    if (!codecs.some(isSpeech)) {
      codecMissing = true
      return rejectedMedia(offered)
    }
    const direction = answerDirection(directionOf(offer, offered), own.direction)
    const local = answeringMedia(offer, offered, own.local)
    return ownSection(offered.kind, { ...own, local, codecs, direction }, attributeOf(offered.lines, 'mid'))
  })
  if (media.length > 0 && media.every((section) => section.port === 0)) {
    const offersNone = offer.media.every((section) => section.port === 0 && !isBundleOnly(section))
    // §8.2: an offer that ends its last stream is answered in kind.
    if (!offersNone) return refusal(codecMissing)
  }
  const lines = ['t=0 0', ...bundleLines(offer, media, choice.media)]
  return finished('-', lines, media, choice)
}

/** A fresh offer, or a changed one: streams of `previous` beyond ours stay in place with port 0 (RFC 3264 §8.2). */
export function makeOffer(choice: OfferChoice): SessionDescription {
  const media = choice.media.map(({ kind, own }) => ownSection(kind, own, null))
  for (const gone of choice.previous?.media.slice(media.length) ?? []) media.push(rejectedMedia(gone))
  return finished(choice.name, ['t=0 0'], media, { ...choice, media: choice.media.map(({ own }) => own) })
}

function ownSection(kind: string, own: OwnMedia, mid: string | null): MediaDescription {
  const { local, codecs } = own
  const lines = [
    `c=${addressText(local.endpoint)}`,
    ...(mid === null ? [] : [`a=mid:${mid}`]),
    ...codecLines(codecs),
    ...(own.ptimeMs === null ? [] : [`a=ptime:${own.ptimeMs}`]),
    `a=${own.direction}`,
    ...localMediaLines(local),
  ]
  const formats = codecs.map((codec) => String(codec.payloadType))
  return { kind, port: local.endpoint.port, portCount: null, protocol: local.protocol, formats, lines }
}

function finished(
  name: string,
  lines: readonly string[],
  media: readonly MediaDescription[],
  choice: Pick<AnswerChoice, 'identity' | 'previous' | 'media'>,
): SessionDescription {
  const { identity, previous } = choice
  const lite = choice.media.some((own) => own?.local.ice?.lite === true) ? ['a=ice-lite'] : []
  const { host, family } = identity.address
  const origin = {
    username: '-',
    sessionId: '0',
    sessionVersion: '1',
    address: { network: 'IN', type: `IP${family}`, host },
  }
  return withNextOrigin(
    withSessionAddress({ origin, name, lines: [...lines, ...lite], media }, identity),
    identity,
    previous,
  )
}

function refusal(codecMissing: boolean): AnswerRefusal {
  return codecMissing
    ? { refusal: 'SDP_NO_CODEC', message: 'The offer has no codec that we have.' }
    : { refusal: 'SDP_NO_MEDIA', message: 'The offer has no stream that we take.' }
}
