// What a call needs of the switch that it runs in, and what the switch tells it: plain data, so that the call knows neither
// registrar nor routing tables.

import type { CallerIdentity } from '#call/caller-identity.ts'
import type { MediaImage, MediaPort, MediaService } from '#media/media-port.ts'
import type { Cdr } from '#schema/cdr.ts'
import type { Flow } from '#sip/flow.ts'
import type { NameAddr } from '#sip/name-addr.ts'
import type { SessionImage, SessionTable } from '#sip/session.ts'
import type { SessionTimerSettings } from '#sip/session-timer.ts'
import type { SipStack } from '#sip/stack.ts'

/** A call detail record without what the journal adds. */
export type CdrFacts = Omit<Cdr, 'sequence' | 'nodeId'>

/** One place to send the INVITE to. */
export interface CalleeTarget {
  /** Request-URI. */
  readonly uriText: string
  /** To value. */
  readonly to: string
  /** Complete Route lines (Path of a registration, RFC 3327), or ''. */
  readonly routes: string
  /** The flow to use (a registration's, RFC 5626 §5.3); null: by RFC 3263 from the first route or the Request-URI. */
  readonly flow: Flow | null
  /** URI text that is located when there is no flow. */
  readonly nextHop: string
  /** Trunk group, or null for a subscriber's contact. */
  readonly trunkGroup: string | null
  /** For records and logs: the peer or the contact as configured or registered. */
  readonly label: string
}

/** Targets that ring at the same time. Stages are tried one after the other. */
export type Stage = readonly CalleeTarget[]

/** Where a call goes. */
export interface CallPlan {
  readonly stages: readonly Stage[]
  /** Longest ringing, in milliseconds. */
  readonly noAnswerMs: number
  /** Called number or user, for the record. */
  readonly calledNumber: string | null
  readonly callee: string
  /** What was done to the numbers, for the record. */
  readonly translations: readonly string[]
}

/** The switch itself is the callee. */
export interface ServicePlan {
  readonly service: MediaService
  /** Conference room, or ''. */
  readonly room: string
  readonly calledNumber: string
}

/** What a plan can be instead. */
export interface CallRefusal {
  readonly status: number
  readonly reason: string
  readonly code: string
  readonly q850Cause: number
  readonly calledNumber: string | null
  /** Complete header lines, or ''. */
  readonly headers: string
}

/** What is fixed when the INVITE is admitted. */
export interface CallFacts {
  readonly caller: CallerIdentity
  /** Address of record or trunk peer, for the record. */
  readonly callerName: string
  readonly ingressTrunkGroup: string | null
  /** Whether the caller's contact must be reached over the flow it came on. */
  readonly pinCaller: boolean
  readonly configVersion: string
  readonly domain: string
  readonly userAgent: string
  readonly sessionTimer: SessionTimerSettings
  readonly durationMaxMs: number
  readonly intermediateMs: number
  readonly redirects: 'follow' | 'pass' | 'refuse'
  readonly redirectsMax: number
  /** Goes into the branch of what we send, so that the INVITE is known again (RFC 5393 §4.2). */
  readonly loopMark: string
  readonly maxForwards: number
}

/** An answered call written down, beside the START of its record. Plain data. */
export interface CallImage {
  readonly caller: SessionImage
  readonly callee: SessionImage
  /** The branch that won, for the media port. */
  readonly branch: number
  /** What its media session needs to go on; null when media goes end to end. */
  readonly media: MediaImage | null
}

/** A call that can be written down. */
export interface KeptCall {
  /** What it is now; null while it is not at rest. */
  image(): CallImage | null
}

/** The switch, as a call sees it. */
export interface CallHost {
  readonly stack: SipStack
  readonly sessions: SessionTable
  readonly media: MediaPort
  /** Takes one channel of the trunk group for an outgoing call; false when there is none. */
  seizeTrunk(name: string): boolean
  releaseTrunk(name: string): void
  /** Where the contacts of a 3xx lead, or null when nowhere that we serve. */
  planRedirect(call: { readonly facts: CallFacts }, contacts: readonly NameAddr[]): CallPlan | null
  writeRecord(facts: CdrFacts): void
  /** The call is answered and at rest, or has changed: it is to be written down, for the process after this one. */
  keep(callId: string, call: KeptCall): void
  /** An answered call has ended, and its record waits for the last facts of its media. */
  keepRecord(record: CdrFacts): void
  /** An answered call is over: nothing of it is kept. */
  forget(callId: string): void
  /** The call is over, its record written. Once. */
  onCallEnded(call: unknown, summary: CallSummary): void
}

/** For the log: one line a call. */
export interface CallSummary {
  readonly callId: string
  readonly caller: string
  readonly callee: string
  readonly status: number
  readonly releaseCode: string
  readonly releaseParty: string
  readonly durationMs: number
  readonly answered: boolean
}
