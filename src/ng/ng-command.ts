// The commands of the ng protocol, typed: what a gateway is told, and what a switch tells it (rtpengine's ng protocol).

import type { NgSettings } from '#ng/ng-settings.ts'

/** Which parties of a call, or flows between them, a command is for (`all`). */
export type NgAll = 'none' | 'all' | 'offer-answer' | 'except-offer-answer' | 'flows'

/** The call, and who of it, that a command is for. Texts are latin1 carriage. */
export interface NgParticipant {
  readonly callId: string
  readonly fromTag: string | null
  readonly toTag: string | null
  readonly viaBranch: string | null
  /** Names a party for later, or chooses one by name, as the command has it. */
  readonly label: string | null
  readonly toLabel: string | null
  /** Gives a name where `label` chooses. */
  readonly setLabel: string | null
  /** Chooses the party whose description has this media address. */
  readonly address: string | null
  readonly all: NgAll
  readonly fromTags: readonly string[]
}

interface Reported {
  /** Keys and flags that were not understood, as they stood; of a value `key=value`. Writing leaves them out. */
  readonly unknown: readonly string[]
}

export interface NgPing extends Reported {
  readonly command: 'ping'
}

/** A session description on its way to the other side. `fromTag` is who offers, `toTag` who answers. */
export interface NgOfferAnswer extends NgParticipant, Reported {
  readonly command: 'offer' | 'answer'
  readonly fromTag: string
  readonly sdp: string
  readonly settings: NgSettings
}

/** A sender of media that others may subscribe to; answered with a description of ours. */
export interface NgPublish extends NgParticipant, Reported {
  readonly command: 'publish'
  readonly fromTag: string
  readonly sdp: string
  readonly settings: NgSettings
}

/** Asks for a copy of what parties send. */
export interface NgSubscribeRequest extends NgParticipant, Reported {
  readonly command: 'subscribe request'
  readonly sdp: string | null
  readonly settings: NgSettings
}

export interface NgSubscribeAnswer extends NgParticipant, Reported {
  readonly command: 'subscribe answer'
  readonly toTag: string
  readonly sdp: string
  readonly settings: NgSettings
}

export interface NgUnsubscribe extends NgParticipant, Reported {
  readonly command: 'unsubscribe'
  readonly toTag: string
}

export interface NgDelete extends NgParticipant, Reported {
  readonly command: 'delete'
  /** Null is the gateway's own; 0 at once. */
  readonly deleteDelayS: number | null
  /** An unknown call is an error, not a warning. */
  readonly fatal: boolean
}

export interface NgQuery extends NgParticipant, Reported {
  readonly command: 'query'
}

export interface NgList extends Reported {
  readonly command: 'list'
  readonly limit: number
}

export interface NgStatistics extends Reported {
  readonly command: 'statistics'
}

export interface NgRecording extends NgParticipant, Reported {
  readonly command: 'start recording' | 'stop recording' | 'pause recording'
  readonly outputDestination: string | null
  readonly metadata: string | null
  readonly settings: NgSettings
}

/** Commands that stop or let through something of one party, of one flow or of a whole call. */
export interface NgBlock extends NgParticipant, Reported {
  readonly command:
    | 'block DTMF'
    | 'unblock DTMF'
    | 'block media'
    | 'unblock media'
    | 'silence media'
    | 'unsilence media'
    | 'start forwarding'
    | 'stop forwarding'
  /** `settings.dtmf` says how digits are blocked. */
  readonly settings: NgSettings
}

export interface NgPlayMedia extends NgParticipant, Reported {
  readonly command: 'play media'
  /** A file of the gateway, the octets of one, or a row of its database. */
  readonly source:
    | { readonly kind: 'file'; readonly name: string }
    | { readonly kind: 'blob'; readonly octets: string }
    | { readonly kind: 'database'; readonly row: number }
  /** 0 is for ever as far as `repeatDurationMs` lets it. */
  readonly repeatTimes: number
  readonly repeatDurationMs: number | null
  readonly startPositionMs: number
  readonly settings: NgSettings
}

export interface NgStopMedia extends NgParticipant, Reported {
  readonly command: 'stop media'
}

export interface NgPlayDtmf extends NgParticipant, Reported {
  readonly command: 'play DTMF'
  /** One of `0123456789*#ABCD`. */
  readonly digit: string
  readonly durationMs: number
  readonly pauseMs: number
  /** 0 … -63 dBm0. */
  readonly volumeDb: number
}

export type NgCommand =
  | NgPing
  | NgOfferAnswer
  | NgPublish
  | NgSubscribeRequest
  | NgSubscribeAnswer
  | NgUnsubscribe
  | NgDelete
  | NgQuery
  | NgList
  | NgStatistics
  | NgRecording
  | NgBlock
  | NgPlayMedia
  | NgStopMedia
  | NgPlayDtmf

export type NgCommandName = NgCommand['command']

/** What stands when a command says nothing of its party. */
export const NG_PARTICIPANT: NgParticipant = Object.freeze({
  callId: '',
  fromTag: null,
  toTag: null,
  viaBranch: null,
  label: null,
  toLabel: null,
  setLabel: null,
  address: null,
  all: 'none',
  fromTags: [],
})
