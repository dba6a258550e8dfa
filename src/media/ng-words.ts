// The ng commands of a call as dictionaries: offer, answer and our own `carillon service`, with the flags that the switch asks for.

import type { MediaService, MediaSide, SessionDescription } from '#media/media-port.ts'
import type { CodecPolicy } from '#media/ng-media.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

/** Tags towards the gateway are ours: those of the dialogs belong to the two sides. */
export const callerTag = 'caller'
const CALLEE = 'callee-'

export function calleeTag(branch: number): string {
  return `${CALLEE}${branch}`
}

export function sideOfTag(tag: string): MediaSide | null {
  return tag === callerTag ? 'caller' : tag.startsWith(CALLEE) ? 'callee' : null
}

/** Not codecs of their own: digits (RFC 4733) and silence (RFC 3389) pass with any. */
const COMPANIONS = ['telephone-event', 'CN']
/** No address of one side is shown to the other. */
const REPLACE = ['origin', 'session-connection', 'sdp-version']

/**
 * An offer of `fromTag`, to `toTag` when that side is known to the gateway. `counterpart` is what the other side described
 * last, or null: it is spoken to as it speaks itself, and in plain RTP when that is not known.
 */
export function offerCommand(
  callId: string,
  fromTag: string,
  toTag: string | null,
  description: SessionDescription,
  counterpart: string | null,
  policy: CodecPolicy,
): NgDictionary {
  const command: Record<string, NgValue> = {
    command: 'offer',
    'call-id': callId,
    'from-tag': fromTag,
    sdp: description.body,
    replace: REPLACE,
  }
  if (toTag !== null) command['to-tag'] = toTag
  const protocol = counterpart === null ? null : protocolOf(counterpart)
  const hasIce = counterpart?.includes('\na=ice-ufrag:') === true
  command['ICE'] = hasIce ? 'force' : 'remove'
  const own = protocolOf(description.body)
  if (protocol !== null) command['transport-protocol'] = protocol
  else if (own !== null && isSpecial(own)) {
    // What a plain telephone does not speak is no reason to lose the call; one that can take keys finds them (RFC 8643).
    command['transport-protocol'] = 'RTP/AVP'
    if (isSecure(own)) command['OSRTP'] = ['offer']
  }
  if (!hasIce) command['rtcp-mux'] = ['demux']
  addSource(command, description.source)
  const codec = codecWords(policy)
  if (codec !== null) command['codec'] = codec
  return command
}

export function answerCommand(
  callId: string,
  fromTag: string,
  toTag: string,
  description: SessionDescription,
): NgDictionary {
  const command: Record<string, NgValue> = {
    command: 'answer',
    'call-id': callId,
    'from-tag': fromTag,
    'to-tag': toTag,
    sdp: description.body,
    replace: REPLACE,
  }
  addSource(command, description.source)
  return command
}

/** Our own end of a call: without a description it asks for an offer, which an answer follows. */
export function serviceCommand(
  callId: string,
  service: MediaService,
  room: string,
  description: SessionDescription,
): NgDictionary {
  const command: Record<string, NgValue> = {
    command: 'carillon service',
    'call-id': callId,
    'from-tag': callerTag,
    service,
    replace: REPLACE,
  }
  if (description.body !== '') command['sdp'] = description.body
  if (room !== '') command['room'] = room
  addSource(command, description.source)
  return command
}

function addSource(command: Record<string, NgValue>, source: string | null): void {
  if (source !== null) command['received-from'] = [source.includes(':') ? 'IP6' : 'IP4', source]
}

function codecWords(policy: CodecPolicy): NgDictionary | null {
  const { allow, transcode } = policy
  const words: Record<string, NgValue> = {}
  if (allow.length > 0) {
    words['strip'] = ['all']
    words['offer'] = [...allow, ...COMPANIONS]
  }
  const isAllowed = (name: string): boolean =>
    allow.length === 0 || allow.some((other) => other.toLowerCase() === name.toLowerCase())
  const added = transcode.filter(isAllowed)
  if (added.length > 0) words['transcode'] = added
  return added.length === 0 && allow.length === 0 ? null : words
}

/** The transport protocol of the first audio line (RFC 8866 §5.14), or null. */
function protocolOf(body: string): string | null {
  return /^m=audio \d+(?:\/\d+)? (\S+)/m.exec(body)?.[1] ?? null
}

/** Profiles of browsers and of encryption (RFC 5764, RFC 4585, RFC 3711). */
function isSpecial(protocol: string): boolean {
  return isSecure(protocol) || protocol.endsWith('AVPF')
}

function isSecure(protocol: string): boolean {
  return protocol.includes('SAVP')
}
