// What `query` and `delete` tell of a call: tags, their media and streams with figures, as rtpengine arranges them.

import type { Endpoint } from '#core/net.ts'
import type { ControlStream } from '#gateway/control-streams.ts'
import type { MediaCall } from '#gateway/media-call.ts'
import type { Party, PartyMedia } from '#gateway/party.ts'
import type { StreamFacts } from '#gateway/plane.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

/** Media lines without RTP have one stream only. */
const DATAGRAM_PROTOCOL = /udptl/i

/** The facts of a call in rtpengine's structure. Streams are told as `ControlStreams.query` found them last. */
export function describeCall(call: MediaCall): Record<string, NgValue> {
  const tags: Record<string, NgValue> = Object.create(null) as Record<string, NgValue>
  let packets = 0
  let octets = 0
  let errors = 0
  for (const party of call.parties) {
    tags[party.tag] = describeParty(party)
    for (const stream of party.streams) {
      packets += stream.facts.received.packets
      octets += stream.facts.received.octets
      errors += droppedOf(stream.facts)
    }
  }
  return {
    created: seconds(call.createdMs),
    created_us: (call.createdMs % 1000) * 1000,
    'last signal': seconds(call.lastSignalMs),
    last_signal: seconds(call.lastSignalMs),
    tags,
    SSRC: {},
    totals: {
      RTP: { packets, bytes: octets, errors },
      RTCP: { packets: 0, bytes: 0, errors: 0 },
    },
  }
}

function describeParty(party: Party): NgDictionary {
  const result: Record<string, NgValue> = {
    tag: party.tag,
    created: seconds(party.createdMs),
    medias: party.medias.filter((media) => media.stream !== null).map(describeMedia),
  }
  if (party.label !== '') result['label'] = party.label
  if (party.viaBranch !== '') result['via-branch'] = party.viaBranch
  if (party.peer !== null && party.subscribedTo === null) result['in dialogue with'] = party.peer.tag
  if (party.subscribedTo !== null) result['subscriptions'] = [{ tag: party.subscribedTo.tag, type: 'pub/sub' }]
  if (party.forkTags.length > 0) result['fork tags'] = [...party.forkTags]
  return result
}

function describeMedia(media: PartyMedia): NgDictionary {
  const { stream, agreed } = media
  const flags: string[] = ['initialized']
  if (agreed?.rtcpMux === true) flags.push('rtcp-mux')
  if (agreed?.dtls) flags.push('DTLS-SRTP')
  if (agreed?.protectOut) flags.push('SDES')
  if (agreed?.ice) flags.push('ICE')
  const streams: NgValue[] = []
  if (stream !== null) {
    streams.push(describeStream(stream, media, 'RTP'))
    if (!DATAGRAM_PROTOCOL.test(media.protocol)) streams.push(describeStream(stream, media, 'RTCP'))
  }
  return { index: media.index + 1, type: media.kind, protocol: media.protocol, flags, streams }
}

function describeStream(stream: ControlStream, media: PartyMedia, kind: 'RTP' | 'RTCP'): NgDictionary {
  const { facts, pair } = stream
  const rtp = kind === 'RTP'
  const flags: string[] = [kind]
  const advertised = (rtp ? media.agreed?.remote : media.agreed?.remoteRtcp) ?? null
  const endpoint = rtp ? (facts.remote ?? advertised) : advertised
  if (endpoint !== null) flags.push('filled')
  if (rtp && facts.remote !== null) flags.push('confirmed')
  const result: Record<string, NgValue> = {
    'local port': rtp ? pair.local.port : pair.localRtcp.port,
    'local address': pair.local.host,
    family: pair.local.family === 4 ? 'IPv4' : 'IPv6',
    flags,
    'last packet': rtp ? seconds(stream.lastPacketMs) : 0,
    stats: rtp
      ? { packets: facts.received.packets, bytes: facts.received.octets, errors: droppedOf(facts) }
      : { packets: 0, bytes: 0, errors: 0 },
  }
  if (endpoint !== null) result['endpoint'] = describeEndpoint(endpoint)
  if (advertised !== null) result['advertised endpoint'] = describeEndpoint(advertised)
  if (media.agreed?.protectOut) result['crypto suite'] = media.agreed.protectOut.suite
  if (rtp) {
    result['egress stats'] = { packets: facts.sent.packets, bytes: facts.sent.octets, errors: 0 }
    result['carillon quality'] = describeQuality(facts)
  }
  return result
}

/**
 * What rtpengine has no place for: per direction the losses, the jitter and the round trip in milliseconds, and the mean
 * opinion score in hundredths, as bencode has integers only; −1 unknown.
 */
function describeQuality(facts: StreamFacts): NgDictionary {
  return {
    received: describeDirection(facts.received),
    sent: describeDirection(facts.sent),
    dropped: facts.dropped,
    'silent ms': Math.round(facts.silentMs),
    ...(facts.talks === undefined ? {} : { talks: facts.talks ? 1 : 0 }),
  }
}

function describeDirection(facts: StreamFacts['received']): NgDictionary {
  return {
    packets: facts.packets,
    bytes: facts.octets,
    lost: facts.lost,
    'jitter us': facts.jitterMs < 0 ? -1 : Math.round(facts.jitterMs * 1000),
    'round trip us': facts.roundTripMs < 0 ? -1 : Math.round(facts.roundTripMs * 1000),
    'mos x100': facts.mos < 0 ? -1 : Math.round(facts.mos * 100),
    codec: facts.encoding,
  }
}

function describeEndpoint(endpoint: Endpoint): NgDictionary {
  return { family: endpoint.family === 4 ? 'IPv4' : 'IPv6', address: endpoint.host, port: endpoint.port }
}

/** All packets of a stream that reached nobody. */
export function droppedOf(facts: StreamFacts): number {
  return Object.values(facts.dropped).reduce((sum, count) => sum + count, 0)
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000)
}
