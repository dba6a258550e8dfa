// One hop's side of a media line: what we write of ourselves towards a party, and what its stream is set to afterwards.

import type { Endpoint } from '#core/net.ts'
import type { Random } from '#core/random.ts'
import { SRTP_SUITES } from '#core/srtp-keys.ts'
import type { ControlStream } from '#gateway/control-streams.ts'
import type { MediaInterface } from '#gateway/gateway-settings.ts'
import type { Agreement, PartyMedia } from '#gateway/party.ts'
import type { DtlsSettings, Latching, SrtpKeys } from '#gateway/plane.ts'
import type { NgSettings } from '#ng/ng-settings.ts'
import { freshSdesKeys } from '#rtp/sdes-keys.ts'
import { type CodecSpec, matchesSpec } from '#sdp/codec-spec.ts'
import { type CryptoAttribute, chooseCrypto, cryptoFrom, keyOctetsOf } from '#sdp/crypto-attribute.ts'
import { answerSetup, bestFingerprint, type Setup } from '#sdp/dtls-attributes.ts'
import { hostPriority, type IceCandidate } from '#sdp/ice-attributes.ts'
import type { LocalDtls, LocalIce, LocalMedia, RemoteMedia } from '#sdp/local-media.ts'
import { isRtp, isSpeech, type SdpCodec } from '#sdp/sdp-codec.ts'
import { freshIceCredentials } from '#stun/ice-credentials.ts'

type Suite = SrtpKeys['suite']

/** In our order of preference. */
const SUITES = Object.keys(SRTP_SUITES) as Suite[]
const PTIME_MS = 20

/** What we are on one hop. */
export interface Hop {
  readonly media: PartyMedia
  readonly stream: ControlStream
  readonly interface: MediaInterface | null
  /** SHA-256 of our certificate; null without DTLS. */
  readonly fingerprint: string | null
  readonly random: Random
}

/** Our side of a line of an offer that goes out to a party. `offered` is what the other party wrote. */
export function localForOffer(hop: Hop, offered: RemoteMedia, settings: NgSettings): LocalMedia {
  const rtp = isRtp(offered.protocol)
  const protocol = rtp ? offerProtocol(offered.protocol, settings) : offered.protocol
  const mux = settings.rtcpMux
  const forwards = !mux.has('demux') && !mux.has('reject')
  const rtcpMux = rtp && (mux.has('offer') || mux.has('require') || (forwards && offered.rtcpMux))
  const asksIce = settings.ice === 'force' || settings.ice === 'optional' || settings.flags.has('webrtc')
  const wantsIce = asksIce || (settings.ice !== 'remove' && offered.ice !== null)
  const secure = isSecure(protocol)
  const dtls = secure && hop.fingerprint !== null && settings.dtls !== 'off'
  // OSRTP (RFC 8643 §3.1): keys beside a profile that does not demand them.
  const opportunistic = rtp && !secure && settings.osrtp.offer === 'rfc'
  const sdes = (secure || opportunistic) && !settings.sdes.off && !/UDP\/TLS/i.test(protocol)
  return {
    endpoint: advertised(hop),
    rtcpPort:
      rtp && !mux.has('require') && !settings.flags.has('no-rtcp-attribute') ? hop.stream.pair.localRtcp.port : null,
    rtcpMux,
    protocol,
    crypto: sdes ? offeredCrypto(hop, offered, settings) : [],
    dtls: dtls ? localDtls(hop.fingerprint ?? '', settings.dtls === 'passive' ? 'passive' : 'actpass') : null,
    ice: rtp && wantsIce ? localIce(hop, rtcpMux && mux.has('require')) : null,
  }
}

/**
 * Our side of a line of the answer that goes back to who offered. `answered` is what the other party wrote, null when
 * there is none (a service of ours, or before the answer).
 */
export function localForAnswer(
  hop: Hop,
  offered: RemoteMedia,
  answered: RemoteMedia | null,
  offerSettings: NgSettings,
  answerSettings: NgSettings,
): LocalMedia {
  const rtp = isRtp(offered.protocol)
  const mux = offerSettings.rtcpMux
  const accepts =
    answered === null ||
    answered.rtcpMux ||
    mux.has('demux') ||
    mux.has('accept') ||
    answerSettings.rtcpMux.has('accept')
  const rtcpMux = rtp && offered.rtcpMux && accepts && !mux.has('reject') && !answerSettings.rtcpMux.has('reject')
  const ice =
    rtp && offered.ice !== null && answerSettings.ice !== 'remove' && !offerSettings.flags.has('reject-ice')
      ? localIce(hop, rtcpMux)
      : null
  const secure = isSecure(offered.protocol)
  // OSRTP (RFC 8643 §3.2).
  const opportunistic = rtp && !secure && (offerSettings.osrtp.acceptRfc || answerSettings.osrtp.acceptRfc)
  const dtls =
    secure &&
    hop.fingerprint !== null &&
    answerSettings.dtls !== 'off' &&
    bestFingerprint(offered.fingerprints, ['sha-256'])
      ? localDtls(hop.fingerprint, answerSetup(offered.setup, preferredRole(offerSettings)))
      : null
  return {
    endpoint: advertised(hop),
    rtcpPort: rtp && !rtcpMux ? hop.stream.pair.localRtcp.port : null,
    rtcpMux,
    protocol: offered.protocol,
    crypto: (secure || opportunistic) && dtls === null ? answeredCrypto(hop, offered) : [],
    dtls,
    ice,
  }
}

/** Whether a line that asks for encryption has keys. False: nothing may be sent on it, and it is refused. */
export function isProtected(local: LocalMedia): boolean {
  return !isSecure(local.protocol) || local.dtls !== null || local.crypto.length > 0
}

/** What is agreed with a party after `local` went to it and `remote` came from it. */
export function agreementOf(
  hop: Hop,
  local: LocalMedia,
  remote: RemoteMedia,
  codecs: readonly SdpCodec[],
  settings: NgSettings,
  signalled: SignalledAddress,
  isOfferer: boolean,
): Agreement {
  const rtcpMux = local.rtcpMux && remote.rtcpMux
  const endpoint = rewritten(remote.endpoint, hop.stream.family, signalled)
  const datagrams = !isRtp(local.protocol)
  const rtcp = rtcpMux || datagrams ? null : rewritten(remote.rtcpEndpoint, hop.stream.family, signalled)
  const keys = isOfferer ? keysAsAnswerer(hop, local, remote) : keysAsOfferer(hop, local, remote)
  return {
    kind: remote.kind,
    datagrams,
    remote: endpoint,
    remoteRtcp: rtcp,
    rtcpMux,
    direction: remote.direction,
    payloads: codecs.map(({ payloadType, encoding, clockRate, channels, parameters }) => ({
      payloadType,
      encoding,
      clockRate,
      channels,
      parameters,
    })),
    ptimeMs: packetTime(remote, settings, isOfferer),
    ...keys,
    dtls: local.dtls === null ? null : dtlsOf(local.dtls, remote),
    ice: iceSettings(hop.media, local, remote),
    ...latchingOf(signalled, settings),
  }
}

/** The agreement with the bit rates and packet times that `codec-set` and `codec-transcode` ask of what we encode ourselves. */
export function withCodecSettings(agreement: Agreement, settings: readonly CodecSpec[]): Agreement {
  if (settings.length === 0) return agreement
  const payloads = agreement.payloads.map((format) => {
    const bitRate = settings.find((spec) => spec.bitRate !== null && matchesSpec(format, spec))?.bitRate ?? null
    // The only encoding here that has a choice of its own.
    return bitRate === null || format.encoding !== 'OPUS'
      ? format
      : { ...format, parameters: withBitRate(format.parameters, bitRate) }
  })
  const first = payloads.find(isSpeech)
  const wanted = settings.find((spec) => spec.ptimeMs !== null && first !== undefined && matchesSpec(first, spec))
  return { ...agreement, payloads, ptimeMs: wanted?.ptimeMs ?? agreement.ptimeMs }
}

/** RFC 7587 §6.1: no more than that, nor than the far side takes. */
function withBitRate(parameters: string, bitRate: number): string {
  const others = parameters.split(';').filter((part) => !/^\s*maxaveragebitrate=/i.test(part) && part.trim() !== '')
  const theirs = Number(/(?:^|;)\s*maxaveragebitrate=(\d{1,7})/i.exec(parameters)?.[1] ?? bitRate)
  return [...others, `maxaveragebitrate=${Math.min(bitRate, theirs)}`].join(';')
}

/** What the command says of addresses beside the description. */
export interface SignalledAddress {
  /** Stands for the address of the description. */
  readonly instead: string | null
  /** Where the SIP message came from. */
  readonly host: string | null
}

/** The addresses that a command names: `media address` before the source of the message, when that is to be used. */
export function signalledAddress(settings: NgSettings): SignalledAddress {
  const source = settings.flags.has('sip-source-address') && !settings.flags.has('trust-address')
  return { instead: settings.mediaAddress ?? (source ? settings.receivedFrom : null), host: settings.receivedFrom }
}

/**
 * Addresses that nobody's media may be sent to: unspecified, multicast and broadcast ones, which make one packet many, and
 * the port 0.
 */
export function isUnicast(endpoint: Endpoint): boolean {
  if (endpoint.port === 0) return false
  if (endpoint.family === 6) return endpoint.host !== '::' && !/^ff/i.test(endpoint.host)
  const first = Number(endpoint.host.split('.')[0])
  return first > 0 && first < 224
}

function rewritten(endpoint: Endpoint | null, family: 4 | 6, signalled: SignalledAddress): Endpoint | null {
  if (endpoint === null) return null
  const { instead } = signalled
  const host = instead ?? endpoint.host
  const result: Endpoint = { host, port: endpoint.port, family: host.includes(':') ? 6 : 4 }
  return result.family === family && isUnicast(result) ? result : null
}

/**
 * Who may become the far side: nobody for an asymmetric party; with the source of its signalling known only that host and
 * the one of its description, so that no third party takes the stream (RFC 7362 §4); else whoever is first.
 */
function latchingOf(
  signalled: SignalledAddress,
  settings: NgSettings,
): { latching: Latching; signalledHost: string | null } {
  const { flags, endpointLearning } = settings
  if (flags.has('asymmetric') || endpointLearning === 'off') return { latching: 'none', signalledHost: null }
  const strict = flags.has('strict-source') || (signalled.host !== null && endpointLearning === null)
  return { latching: strict ? 'signalledHost' : 'first', signalledHost: signalled.host }
}

function offerProtocol(offered: string, settings: NgSettings): string {
  const { transportProtocol } = settings
  if (transportProtocol === null || transportProtocol === 'ACCEPT' || transportProtocol === 'accept') {
    return settings.flags.has('webrtc') ? 'UDP/TLS/RTP/SAVPF' : offered
  }
  return transportProtocol
}

function isSecure(protocol: string): boolean {
  return /SAVPF?$/i.test(protocol)
}

function advertised(hop: Hop): Endpoint {
  const { local } = hop.stream.pair
  return { ...local, host: hop.interface?.advertise ?? local.host }
}

function packetTime(remote: RemoteMedia, settings: NgSettings, isOfferer: boolean): number {
  const wanted = (isOfferer ? settings.ptimeReverseMs : settings.ptimeMs) ?? remote.ptimeMs ?? PTIME_MS
  return remote.maxptimeMs === null ? wanted : Math.min(wanted, remote.maxptimeMs)
}

/** Suites as the flags leave them, each with a key of its own that stays over re-offers. */
function offeredCrypto(hop: Hop, offered: RemoteMedia, settings: NgSettings): CryptoAttribute[] {
  const { sdes } = settings
  const allowed = SUITES.filter((suite) => {
    if (sdes.noNew) return offered.crypto.some((crypto) => crypto.suite === suite)
    return sdes.only.length > 0 ? sdes.only.includes(suite) : !sdes.no.includes(suite)
  })
  const ordered = [
    ...sdes.order.flatMap((suite) => allowed.filter((candidate) => candidate === suite)),
    ...allowed.filter((suite) => !sdes.order.includes(suite)),
  ]
  return ordered.map((suite, at) => {
    const keys = keysFor(hop, suite)
    return cryptoFrom(at + 1, suite, keys.masterKey, keys.masterSalt)
  })
}

function answeredCrypto(hop: Hop, offered: RemoteMedia): CryptoAttribute[] {
  const chosen = chooseCrypto(offered.crypto, SUITES)
  if (chosen === null) return []
  const keys = keysFor(hop, chosen.suite as Suite)
  return [cryptoFrom(chosen.tag, keys.suite, keys.masterKey, keys.masterSalt)]
}

/** Our keys of that suite on this hop: the same for its whole life, as packets go on counting (RFC 3711 §3.3.1). */
function keysFor(hop: Hop, suite: Suite): SrtpKeys {
  const known = hop.media.ownKeys.get(suite)
  if (known !== undefined) return known
  const keys = freshSdesKeys(suite, hop.random)
  hop.media.ownKeys.set(suite, keys)
  return keys
}

interface KeyPair {
  readonly protectIn: SrtpKeys | null
  readonly protectOut: SrtpKeys | null
}

const UNPROTECTED: KeyPair = { protectIn: null, protectOut: null }

/** The party offered; our answer has one attribute with the tag of the one we chose (RFC 4568 §5.1.2). */
function keysAsAnswerer(hop: Hop, local: LocalMedia, remote: RemoteMedia): KeyPair {
  const own = local.crypto[0]
  const theirs = remote.crypto.find((crypto) => crypto.tag === own?.tag)
  return own === undefined || theirs === undefined ? UNPROTECTED : pairOf(hop, theirs)
}

/** We offered; the answer has the tag of the one that the party chose (RFC 4568 §5.1.3). */
function keysAsOfferer(hop: Hop, local: LocalMedia, remote: RemoteMedia): KeyPair {
  if (local.dtls !== null && remote.fingerprints.length > 0) return UNPROTECTED
  const theirs = remote.crypto.find((crypto) =>
    local.crypto.some((own) => own.tag === crypto.tag && own.suite === crypto.suite),
  )
  return theirs === undefined ? UNPROTECTED : pairOf(hop, theirs)
}

function pairOf(hop: Hop, theirs: CryptoAttribute): KeyPair {
  const key = theirs.keys[0]
  const octets = key === undefined ? null : keyOctetsOf(theirs.suite, key)
  if (octets === null) return UNPROTECTED
  const suite = theirs.suite as Suite
  return { protectIn: { suite, ...octets }, protectOut: keysFor(hop, suite) }
}

function localDtls(fingerprint: string, setup: Setup): LocalDtls {
  return { fingerprint: { hash: 'sha-256', value: fingerprint }, setup }
}

function preferredRole(settings: NgSettings): 'active' | 'passive' {
  return settings.dtlsReverse ?? 'active'
}

/** The roles of RFC 5763 §5: what the party is, we are not. */
function dtlsOf(local: LocalDtls, remote: RemoteMedia): DtlsSettings | null {
  const fingerprint = bestFingerprint(remote.fingerprints, ['sha-256'])
  if (fingerprint === null) return null
  const role =
    local.setup === 'active' || local.setup === 'passive'
      ? local.setup
      : remote.setup === 'passive'
        ? 'active'
        : 'passive'
  return { role, fingerprint: fingerprint.value }
}

function localIce(hop: Hop, rtpOnly: boolean): LocalIce {
  const { media, random } = hop
  if (media.iceUfrag === '') {
    const { ufrag, password } = freshIceCredentials(random)
    media.iceUfrag = ufrag
    media.icePassword = password
  }
  const { host } = advertised(hop)
  const { local, localRtcp } = hop.stream.pair
  const candidates = [candidate(1, host, local.port)]
  if (!rtpOnly) candidates.push(candidate(2, host, localRtcp.port))
  return { ufrag: media.iceUfrag, password: media.icePassword, lite: true, candidates }
}

function candidate(component: number, address: string, port: number): IceCandidate {
  return {
    foundation: '1',
    component,
    transport: 'UDP',
    priority: hostPriority(component, 65_535),
    address,
    port,
    type: 'host',
    relatedAddress: null,
    relatedPort: null,
    extensions: [],
  }
}

function iceSettings(media: PartyMedia, local: LocalMedia, remote: RemoteMedia): Agreement['ice'] {
  if (local.ice === null || remote.ice === null) return null
  return {
    localUfrag: media.iceUfrag,
    localPassword: media.icePassword,
    remoteUfrag: remote.ice.ufrag,
    remotePassword: remote.ice.password,
  }
}
