// Our own side of one media stream, as it is written into descriptions, and its twin: the far side as its description has it.

import type { Endpoint } from '#core/net.ts'
import { attributeOf, attributesOf, hasAttribute } from '#sdp/attributes.ts'
import { endpointOf, hasRtcpMux, rtcpEndpointOf } from '#sdp/connection.ts'
import { type CryptoAttribute, cryptoOf, cryptoText } from '#sdp/crypto-attribute.ts'
import { type Direction, directionOf } from '#sdp/direction.ts'
import { type Fingerprint, fingerprintsOf, fingerprintText, type Setup, setupOf } from '#sdp/dtls-attributes.ts'
import { type FaxParameters, faxOf } from '#sdp/fax-attributes.ts'
import { candidateText, ICE_ATTRIBUTES, type IceCandidate, type IceDescription, iceOf } from '#sdp/ice-attributes.ts'
import { codecsOf, isRtp, type SdpCodec } from '#sdp/sdp-codec.ts'
import type { MediaDescription, SessionDescription } from '#sdp/session-description.ts'
import { type SsrcAttribute, ssrcsOf } from '#sdp/ssrc-attribute.ts'

/** Our address and protection for one media stream towards one party. */
export interface LocalMedia {
  /** RTP's, or UDPTL's. */
  readonly endpoint: Endpoint
  /** Written as a=rtcp (RFC 3605) when not the port after RTP's; null when RTCP has no port of its own, which needs rtcp-mux on both sides. */
  readonly rtcpPort: number | null
  /** Write a=rtcp-mux (RFC 5761 §5.1.1). */
  readonly rtcpMux: boolean
  /** The profile to write: RTP/AVP, RTP/SAVP, RTP/AVPF, RTP/SAVPF, UDP/TLS/RTP/SAVPF, udptl … */
  readonly protocol: string
  /** a=crypto lines in order (RFC 4568); empty without SDES. */
  readonly crypto: readonly CryptoAttribute[]
  /** DTLS-SRTP (RFC 5763); null without. */
  readonly dtls: LocalDtls | null
  /** ICE (RFC 8839); null without. */
  readonly ice: LocalIce | null
}

export interface LocalDtls {
  readonly fingerprint: Fingerprint
  /** actpass in offers, active or passive in answers (RFC 5763 §5). */
  readonly setup: Setup
}

export interface LocalIce {
  readonly ufrag: string
  readonly password: string
  readonly lite: boolean
  readonly candidates: readonly IceCandidate[]
}

/** What a description says of one media stream, all together. */
export interface RemoteMedia {
  readonly kind: string
  readonly protocol: string
  /** Port 0: rejected or removed (RFC 3264 §6, §8.2). */
  readonly rejected: boolean
  /** Null: rejected, no address, or a name for one. */
  readonly endpoint: Endpoint | null
  /** Where RTCP goes when it is not multiplexed; null: nowhere. */
  readonly rtcpEndpoint: Endpoint | null
  readonly rtcpMux: boolean
  /** Hold by an unspecified address included (RFC 3264 §8.4). */
  readonly direction: Direction
  readonly codecs: readonly SdpCodec[]
  /** Milliseconds (RFC 8866 §6.4); null when absent. */
  readonly ptimeMs: number | null
  readonly maxptimeMs: number | null
  readonly crypto: readonly CryptoAttribute[]
  readonly fingerprints: readonly Fingerprint[]
  readonly setup: Setup | null
  readonly ice: IceDescription | null
  /** a=mid (RFC 5888 §4), a=label (RFC 4574); null when absent. */
  readonly mid: string | null
  readonly label: string | null
  /** T.38; null for what is no fax over UDPTL. */
  readonly fax: FaxParameters | null
  /** a=ssrc with cname, in order (RFC 5576 §4.1). */
  readonly ssrcs: readonly SsrcAttribute[]
}

/** Attributes that say where and how media flows on one hop; each hop has its own. */
export const HOP_ATTRIBUTES: ReadonlySet<string> = new Set([
  'rtcp',
  'rtcp-mux',
  'rtcp-mux-only',
  'rtcp-rsize',
  'crypto',
  'fingerprint',
  'setup',
  'tls-id',
  'connection',
  'key-mgmt',
  'zrtp-hash',
  ...ICE_ATTRIBUTES,
])

const PTIME_MAX_MS = 1_000

/** Everything that a description says of one of its media. */
export function remoteMediaOf(description: SessionDescription, media: MediaDescription): RemoteMedia {
  return {
    kind: media.kind,
    protocol: media.protocol,
    rejected: media.port === 0 && !isBundleOnly(media),
    endpoint: endpointOf(description, media),
    rtcpEndpoint: isRtp(media.protocol) ? rtcpEndpointOf(description, media) : null,
    rtcpMux: hasRtcpMux(media),
    direction: directionOf(description, media),
    codecs: codecsOf(media),
    ptimeMs: packetTimeOf(media, 'ptime'),
    maxptimeMs: packetTimeOf(media, 'maxptime'),
    crypto: cryptoOf(media),
    fingerprints: fingerprintsOf(description, media),
    setup: setupOf(description, media),
    ice: iceOf(description, media),
    mid: attributeOf(media.lines, 'mid'),
    label: attributeOf(media.lines, 'label'),
    fax: faxOf(media),
    ssrcs: ssrcsOf(media),
  }
}

/** a=ptime or a=maxptime in milliseconds (RFC 8866 §6.4, §6.5); null when absent, malformed, 0 or over a second. */
export function packetTimeOf(media: MediaDescription, name: 'ptime' | 'maxptime'): number | null {
  const value = attributeOf(media.lines, name)
  if (value === null || !/^\d{1,6}(?:\.\d{1,6})?[ \t]*$/.test(value)) return null
  const ms = Number(value)
  return ms > 0 && ms <= PTIME_MAX_MS ? ms : null
}

/** The attribute lines of our side of a stream; the rest of a media description stands around them. */
export function localMediaLines(local: LocalMedia): string[] {
  const lines: string[] = []
  if (isRtp(local.protocol)) {
    const { rtcpPort, rtcpMux } = local
    if (rtcpPort !== null && rtcpPort !== local.endpoint.port + 1) lines.push(`a=rtcp:${rtcpPort}`)
    else if (rtcpPort === null && rtcpMux) lines.push(`a=rtcp:${local.endpoint.port}`)
    if (rtcpMux) lines.push('a=rtcp-mux')
  }
  for (const crypto of local.crypto) lines.push(`a=crypto:${cryptoText(crypto)}`)
  if (local.ice !== null) {
    // RFC 8839 §5.6: an agent of RFC 8445 says so.
    lines.push(`a=ice-ufrag:${local.ice.ufrag}`, `a=ice-pwd:${local.ice.password}`, 'a=ice-options:ice2')
    for (const candidate of local.ice.candidates) lines.push(`a=candidate:${candidateText(candidate)}`)
    if (local.ice.candidates.length > 0) lines.push('a=end-of-candidates')
  }
  if (local.dtls !== null) {
    lines.push(`a=fingerprint:${fingerprintText(local.dtls.fingerprint)}`, `a=setup:${local.dtls.setup}`)
  }
  return lines
}

/** Stream identification tags of a=group:BUNDLE (RFC 9143 §7), one list for each group. */
export function bundleGroupsOf(description: SessionDescription): string[][] {
  return attributesOf(description.lines, 'group')
    .map((value) => value.split(/[ \t]+/).filter((part) => part !== ''))
    .filter((parts) => parts[0] === 'BUNDLE')
    .map((parts) => parts.slice(1))
}

/** Whether the section has no transport of its own but its BUNDLE group's (RFC 9143 §6). */
export function isBundleOnly(media: MediaDescription): boolean {
  return media.port === 0 && hasAttribute(media.lines, 'bundle-only')
}
