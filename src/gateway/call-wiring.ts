// Who hears whom: the settings of a call's streams from what was agreed with each party.

import type { ControlStream, ControlStreams } from '#gateway/control-streams.ts'
import type { GatewaySettings } from '#gateway/gateway-settings.ts'
import type { MediaCall } from '#gateway/media-call.ts'
import type { Party, PartyMedia } from '#gateway/party.ts'
import type { Segment, Source, StreamSettings } from '#gateway/plane.ts'
import { receives, sends } from '#sdp/direction.ts'

const RECORDING_NAME_MAX = 128

/** Sets the streams of all parties that something is agreed with. */
export function wireCall(call: MediaCall, streams: ControlStreams, settings: GatewaySettings): void {
  for (const party of call.parties) {
    for (const media of party.medias) {
      const { stream, agreed } = media
      if (stream === null || agreed === null) continue
      streams.set(stream, settingsOf(call, media, agreed, settings))
      // A stream that was opened anew knows nothing of what was ordered before.
      if (media.blockedMedia || media.blockedDtmf || media.silencedMedia) blockMedia(media, streams)
      streams.record(stream, recordingOf(call, stream, settings), call.recordingPaused)
    }
  }
}

/** Keeps back what comes from a media line, as it is ordered now. */
export function blockMedia(media: PartyMedia, streams: ControlStreams): void {
  const { stream, blockedMedia, blockedDtmf, silencedMedia } = media
  if (stream !== null) streams.block(stream, blockedMedia, blockedDtmf, silencedMedia)
}

/** Plays towards the parties, on the audio line of each. */
export function playTo(
  streams: ControlStreams,
  parties: readonly Party[],
  segments: readonly Segment[],
  repeat: number,
  durationMs = 0,
): void {
  for (const party of parties) {
    const media = party.medias.find((line) => line.kind === 'audio' && line.stream !== null)
    if (media?.stream != null) media.play = streams.play(media.stream, segments, repeat, durationMs)
  }
}

/** The file that a stream is recorded to; null for none. */
function recordingOf(call: MediaCall, stream: ControlStream, settings: GatewaySettings): string | null {
  const { recordingsFolder } = settings
  if (call.recording === null || recordingsFolder === null) return null
  return `${recordingsFolder}/${call.recording}-${call.createdMs}-${stream.id}.wav`
}

/** The name of a recording as part of a file name: no way leads out of the folder. */
export function recordingName(wanted: string): string {
  return wanted
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^\.+/, '_')
    .slice(0, RECORDING_NAME_MAX)
}

function settingsOf(
  call: MediaCall,
  media: PartyMedia,
  agreed: NonNullable<PartyMedia['agreed']>,
  settings: GatewaySettings,
): StreamSettings {
  const receiving = sends(agreed.direction)
  const hasEvents = agreed.payloads.some((format) => format.encoding === 'TELEPHONE-EVENT')
  return {
    remote: agreed.remote,
    remoteRtcp: agreed.remoteRtcp,
    rtcpMux: agreed.rtcpMux,
    latching: agreed.latching,
    signalledHost: agreed.signalledHost,
    sends: receives(agreed.direction),
    receives: receiving,
    datagrams: agreed.datagrams,
    payloads: agreed.payloads,
    ptimeMs: agreed.ptimeMs,
    protectIn: agreed.protectIn,
    protectOut: agreed.protectOut,
    dtls: agreed.dtls,
    ice: agreed.ice,
    source: sourceOf(call, media),
    reportsDtmf: call.reportsDtmf,
    passesDtmf: true,
    listensForTones: call.listensForTones && !hasEvents && agreed.kind === 'audio',
    timeoutInitialMs: receiving ? settings.timeoutInitialMs : settings.timeoutHeldMs,
    timeoutMs: receiving ? settings.timeoutRunningMs : settings.timeoutHeldMs,
  }
}

function sourceOf(call: MediaCall, media: PartyMedia): Source {
  const { party, stream } = media
  if (call.dropsTraffic || party.echo === 'nothing') return { kind: 'none' }
  if (stream !== null && (party.echo === 'self' || party.service?.kind === 'echo')) {
    return { kind: 'stream', stream: stream.id }
  }
  if (party.service?.kind === 'room') return { kind: 'room', room: party.service.room }
  const from = heardBy(party)?.medias[media.index]
  // One line became another (T.38): until both sides have it, nothing passes between them.
  if (from?.stream == null || (from.agreed !== null && from.agreed.kind !== media.agreed?.kind)) return { kind: 'none' }
  return { kind: 'stream', stream: from.stream.id }
}

/** Whom a party hears. */
function heardBy(party: Party): Party | null {
  return party.service === null ? (party.subscribedTo ?? party.peer) : null
}
