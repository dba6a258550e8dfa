// Replies of a gateway to commands, in the words of the ng protocol.

import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

export type Reply = (reply: NgDictionary) => void

/** Stable codes of what a command was refused for; `error-code` beside rtpengine's `error-reason`. */
export type MediaRefusal =
  | 'MEDIA_CALL_UNKNOWN'
  | 'MEDIA_CALLS_MAX'
  | 'MEDIA_COMMANDS_MAX'
  | 'MEDIA_KEY_WRONG'
  | 'MEDIA_TEXT_MAX'
  | 'MEDIA_PARTIES_MAX'
  | 'MEDIA_PARTY_UNKNOWN'
  | 'MEDIA_NO_OFFER'
  | 'MEDIA_LOOP'
  | 'MEDIA_KEYS'
  | 'MEDIA_PORTS_EXHAUSTED'
  | 'MEDIA_OPEN_FAILED'
  | 'MEDIA_PLANE_SILENT'
  | 'MEDIA_PROMPT'
  | 'MEDIA_RECORDING'
  | 'MEDIA_ROOMS_MAX'
  | 'MEDIA_UNSUPPORTED'
  | `SDP_${string}`
  | `NG_${string}`

/** `result: ok` with more. */
export function okReply(more: Readonly<Record<string, NgValue>> = {}): NgDictionary {
  return { result: 'ok', ...more }
}

/** `result: error` with a sentence for people and a stable code. */
export function errorReply(code: MediaRefusal, reason: string): NgDictionary {
  return { result: 'error', 'error-reason': reason, 'error-code': code }
}

/** What rtpengine says of a call that is not there. */
export function unknownCall(): NgDictionary {
  return errorReply('MEDIA_CALL_UNKNOWN', 'Unknown call-id')
}
