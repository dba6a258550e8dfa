// A description of one side, rewritten for the other, as a relay in the media path does it: RFC 3264 §5 to §8, RFC 7092 §3.2.

import { attributeOf, lineOf, withAttributes, withLine, withoutAttributes } from '#sdp/attributes.ts'
import { matchCodecs } from '#sdp/codec-match.ts'
import { addressText, hasRtcpMux } from '#sdp/connection.ts'
import { answerDirection, DIRECTIONS, type Direction, directionOf } from '#sdp/direction.ts'
import { iceOf } from '#sdp/ice-attributes.ts'
import {
  bundleGroupsOf,
  HOP_ATTRIBUTES,
  isBundleOnly,
  type LocalMedia,
  localMediaLines,
  packetTimeOf,
} from '#sdp/local-media.ts'
import { type SdpIdentity, withNextOrigin } from '#sdp/next-origin.ts'
import { codecsOf, isRtp, type SdpCodec, withCodecs } from '#sdp/sdp-codec.ts'
import type { MediaDescription, SessionDescription } from '#sdp/session-description.ts'

/** How one stream passes. */
export interface RelayedMedia {
  /** Our side towards whom the description goes. */
  readonly local: LocalMedia
  /** What to offer or answer instead of the codecs that came; null keeps them. Not for what is not RTP. */
  readonly codecs: readonly SdpCodec[] | null
  /** Null keeps the direction that is meant (hold by address becomes an attribute: RFC 3264 §8.4). */
  readonly direction: Direction | null
  /** a=ptime in milliseconds; null keeps it. */
  readonly ptimeMs: number | null
  /** Whether a=extmap passes (RFC 8285): only where RTP headers pass as they are. */
  readonly headerExtensions: boolean
}

/** Whom a rewritten description goes to. */
export interface RelaySide {
  readonly identity: SdpIdentity
  /** What that party got from us last; null at first. Its media keep their places, and its origin the session. */
  readonly previous: SessionDescription | null
  /** s=; null keeps it. */
  readonly name: string | null
  /** For each media description of the offer, in order. Null, or a missing one, rejects the stream. */
  readonly media: readonly (RelayedMedia | null)[]
}

/** What belongs to the sender's own streams and its transport, besides {@link HOP_ATTRIBUTES}. */
const SENDER_ATTRIBUTES: ReadonlySet<string> = new Set([
  'ssrc',
  'ssrc-group',
  'msid',
  'msid-semantic',
  'bundle-only',
  'extmap-allow-mixed',
  'identity',
])
const DIRECTION_ATTRIBUTES: ReadonlySet<string> = new Set<string>(DIRECTIONS)

/**
 * The offer for the other side. Media keep their number and order; streams of port 0 stay rejected, and streams that an offer left out
 * against RFC 3264 §8 come as rejected ones, as the other side had them.
 */
export function relayOffer(offer: SessionDescription, side: RelaySide): SessionDescription {
  const media = offer.media.map((section, at) => {
    const relayed = side.media[at] ?? null
    if (relayed === null || isRejected(section) || hasNoCodec(section, relayed)) return rejectedMedia(section)
    const direction = relayed.direction ?? directionOf(offer, section)
    return relayedSection(section, relayed.local, relayed, direction)
  })
  for (const gone of side.previous?.media.slice(media.length) ?? []) media.push(rejectedMedia(gone))
  return finished(offer, media, side, [])
}

/**
 * The answer for the party whose `offer` it is (as that party sent it): as many media in the same order, with the offer's kinds, profiles
 * and identification tags (RFC 3264 §6, RFC 5888 §9.1). What the answer leaves out is rejected, what it adds is left out. Directions are held to
 * §6.1; rtcp-mux and ICE appear only where they were offered (RFC 5761 §5.1.1, RFC 8839 §4.2.2).
 */
export function relayAnswer(
  answer: SessionDescription,
  offer: SessionDescription,
  side: RelaySide,
): SessionDescription {
  const media = offer.media.map((offered, at) => {
    const relayed = side.media[at] ?? null
    const answered = answer.media[at]
    if (relayed === null || answered === undefined || isRejected(offered)) return rejectedMedia(offered)
    if (answered.port === 0 || answered.kind !== offered.kind || hasNoCodec(answered, relayed)) {
      return rejectedMedia(offered)
    }
    const wanted = relayed.direction ?? directionOf(answer, answered)
    const section = { ...answered, lines: withTag(answered.lines, attributeOf(offered.lines, 'mid')) }
    const local = answeringMedia(offer, offered, relayed.local)
    return relayedSection(section, local, relayed, answerDirection(directionOf(offer, offered), wanted))
  })
  return finished(answer, media, side, bundleLines(offer, media, side.media))
}

/** A stream that is rejected or removed (RFC 3264 §6, §8.2): its m= line with port 0, and what names it. */
export function rejectedMedia(section: MediaDescription): MediaDescription {
  const lines = section.lines.filter((line) => /^a=(?:mid|rtpmap):/.test(line))
  return { ...section, port: 0, portCount: null, lines }
}

/** Our side as an answer may have it: without what was not offered. */
export function answeringMedia(offer: SessionDescription, offered: MediaDescription, local: LocalMedia): LocalMedia {
  return {
    ...local,
    protocol: offered.protocol,
    rtcpMux: local.rtcpMux && hasRtcpMux(offered),
    ice: iceOf(offer, offered) === null ? null : local.ice,
  }
}

/** a=group:BUNDLE of an answer: the offer's groups with those of our streams that share one address (RFC 9143 §7.3). */
export function bundleLines(
  offer: SessionDescription,
  media: readonly MediaDescription[],
  ours: readonly ({ readonly local: LocalMedia } | null)[],
): string[] {
  const lines: string[] = []
  for (const tags of bundleGroupsOf(offer)) {
    let first: LocalMedia | null = null
    const bundled: string[] = []
    for (const tag of tags) {
      const at = media.findIndex((section) => attributeOf(section.lines, 'mid') === tag && section.port !== 0)
      const local = ours[at]?.local
      if (local === undefined) continue
      first ??= local
      if (local.endpoint.port === first.endpoint.port && local.endpoint.host === first.endpoint.host) bundled.push(tag)
    }
    if (bundled.length > 0) lines.push(`a=group:BUNDLE ${bundled.join(' ')}`)
  }
  return lines
}

function isRejected(section: MediaDescription): boolean {
  return section.port === 0 && !isBundleOnly(section)
}

function hasNoCodec(section: MediaDescription, relayed: RelayedMedia): boolean {
  return isRtp(section.protocol) && relayed.codecs !== null && relayed.codecs.length === 0
}

function relayedSection(
  section: MediaDescription,
  local: LocalMedia,
  relayed: RelayedMedia,
  direction: Direction,
): MediaDescription {
  const coded =
    relayed.codecs === null || !isRtp(section.protocol) || codecsEqual(section, relayed.codecs)
      ? section
      : withCodecs(section, relayed.codecs)
  // A bandwidth is that of the codecs it was written for.
  const sameSet = coded === section || matchCodecs(codecsOf(coded), codecsOf(section)).leftOnly.length === 0
  const dropped = sameSet ? /^[ck]=/ : /^[bck]=/
  let lines = withoutAttributes(coded.lines, SENDER_ATTRIBUTES).filter((line) => !dropped.test(line))
  if (isRtp(local.protocol)) lines = withAttributes(lines, DIRECTION_ATTRIBUTES, [`a=${direction}`])
  lines = withAttributes(lines, HOP_ATTRIBUTES, localMediaLines(local))
  if (!/AVPF/i.test(local.protocol)) lines = lines.filter((line) => !line.startsWith('a=rtcp-fb:'))
  if (!relayed.headerExtensions) lines = lines.filter((line) => !line.startsWith('a=extmap'))
  if (relayed.ptimeMs !== null) lines = withPacketTime(lines, coded, relayed.ptimeMs)
  lines = withLine(lines, 'c', addressText(local.endpoint))
  const { kind, formats } = coded
  return { kind, port: local.endpoint.port, portCount: null, protocol: local.protocol, formats, lines }
}

const PTIME: ReadonlySet<string> = new Set(['ptime'])

/** A maximum under the packet time would contradict it (RFC 8866 §6.5), so it goes. */
function withPacketTime(lines: readonly string[], media: MediaDescription, ptimeMs: number): string[] {
  const replaced = withAttributes(lines, PTIME, [`a=ptime:${ptimeMs}`])
  const most = packetTimeOf(media, 'maxptime')
  return most !== null && most < ptimeMs ? replaced.filter((line) => !line.startsWith('a=maxptime')) : replaced
}

function codecsEqual(section: MediaDescription, codecs: readonly SdpCodec[]): boolean {
  const own = codecsOf(section)
  return own.length === section.formats.length && JSON.stringify(own) === JSON.stringify(codecs)
}

function withTag(lines: readonly string[], mid: string | null): string[] {
  return withAttributes(lines, MID, mid === null ? [] : [`a=mid:${mid}`])
}

const MID: ReadonlySet<string> = new Set(['mid'])

/** The session level for the other side. `groups` are the lines that replace a=group:BUNDLE. */
function finished(
  from: SessionDescription,
  media: readonly MediaDescription[],
  side: RelaySide,
  groups: readonly string[],
): SessionDescription {
  let lines = withoutAttributes(from.lines, HOP_ATTRIBUTES).filter(
    (line) => !line.startsWith('k=') && !/^a=group:BUNDLE(?:[ \t]|$)/.test(line),
  )
  lines = withoutAttributes(withoutAttributes(lines, SENDER_ATTRIBUTES), DIRECTION_ATTRIBUTES)
  lines = [...lines, ...groups]
  if (side.media.some((relayed) => relayed?.local.ice?.lite === true)) lines.push('a=ice-lite')
  const session = { origin: from.origin, name: side.name ?? from.name, lines, media }
  return withNextOrigin(withSessionAddress(session, side.identity), side.identity, side.previous)
}

/**
 * The description with a c= line for the session, as some devices look for it there only, and none in the media that have the same. Every
 * description has a t= line (RFC 8866 §5.9).
 */
export function withSessionAddress(description: SessionDescription, identity: SdpIdentity): SessionDescription {
  const first = description.media.find((section) => section.port !== 0)
  const value = (first === undefined ? null : lineOf(first.lines, 'c')) ?? addressText(identity.address)
  const lines = withLine(description.lines, 'c', value)
  return {
    ...description,
    lines: lineOf(lines, 't') === null ? withLine(lines, 't', '0 0') : lines,
    media: description.media.map((section) =>
      lineOf(section.lines, 'c') === value ? { ...section, lines: withLine(section.lines, 'c', null) } : section,
    ),
  }
}
