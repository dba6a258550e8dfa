// The media port: what the switch asks of whoever carries the media of a call. Session descriptions go through it on their way.

import type { Cdr } from '#schema/cdr.ts'

/** Which side of the call a description comes from. */
export type MediaSide = 'caller' | 'callee'

/** What a description is in the exchange that it belongs to (RFC 3264 §4). */
export type DescriptionRole = 'offer' | 'answer'

/** A session description on its way from one side of a call to the other. */
export interface SessionDescription {
  readonly side: MediaSide
  /** The early dialog or branch that it belongs to; 0 is the caller's own, for an offer that goes to every branch. */
  readonly branch: number
  readonly role: DescriptionRole
  /** Latin1 carriage of the octets. */
  readonly body: string
  /** Numeric host that its message came from, for a far side behind address translation (RFC 7362); null when unknown. */
  readonly source: string | null
  /** Trunk group of the side that it goes to; null for a subscriber. Codec policy hangs on it. */
  readonly towards: string | null
}

/** Receives what goes on to the other side, latin1 carriage. */
export type DescriptionSink = (description: string) => void

/** Why a description could not be passed; stable codes. */
export type MediaFailure =
  /** No gateway takes calls now, and media end to end is not allowed. */
  | 'MEDIA_NO_GATEWAY'
  /** The gateway of the call did not answer in time. */
  | 'MEDIA_GATEWAY_SILENT'
  /** The gateway answered with an error: it cannot make anything of the description, or has no room. */
  | 'MEDIA_GATEWAY_REFUSED'
  /** Too many requests wait for gateways. */
  | 'MEDIA_REQUESTS_MAX'

export type MediaFailureSink = (failure: MediaFailure) => void

/** What the switch's own end of a call does with the audio. */
export type MediaService = 'echo' | 'milliwatt' | 'time' | 'conference'

/** Media of each side, as a call detail record shows it. */
export type MediaFacts = NonNullable<Cdr['media']>

/** What a call is told of its media. Never called after `release`, and never from within a call of the session. */
export interface MediaUser {
  /** Nothing has come from a side for longer than is allowed. */
  onMediaTimeout(side: MediaSide): void
  /** The gateway is gone and with it the session: {@link MediaSession.moved} and new offers bring it to another. */
  onGatewayLost(): void
}

/** The media session of an answered call written down. Plain data. */
export interface MediaImage {
  /** Name of the gateway that has the call. */
  readonly gateway: string
  /** How often it was moved: its name towards the gateway has that in it. */
  readonly moves: number
  /** The branch that answered. */
  readonly chosen: number
  /** The last description of each side, for a move; null when there is none. */
  readonly caller: SessionDescription | null
  readonly callee: SessionDescription | null
}

/** The media of one call. */
export interface MediaSession {
  /**
   * Takes a session description and gives the one for the other side to `sink`, or says in `onFailed` why not. Exactly
   * one of the two is called, once, possibly before `pass` returns; neither after `release`.
   */
  pass(description: SessionDescription, sink: DescriptionSink, onFailed: MediaFailureSink): void
  /**
   * The switch itself is the callee: gives the description of its own end. An `offer` of the caller is answered; a
   * body of '' asks for an offer (delayed offer), whose `answer` comes later and yields ''. `room` names a conference.
   */
  serve(
    service: MediaService,
    room: string,
    description: SessionDescription,
    sink: DescriptionSink,
    onFailed: MediaFailureSink,
  ): void
  /** The branch that answered the call; what the others had is of no use any more. */
  choose(branch: number): void
  /** The last description of that side, of the branch that answered, as it came; null when there is none, or media goes end to end. */
  last(side: MediaSide): SessionDescription | null
  /** What another process needs to go on with the session of an answered call; null when media goes end to end. */
  image(): MediaImage | null
  /** Whether the session can be brought to another gateway after {@link MediaUser.onGatewayLost}; takes it there when true. */
  move(): boolean
  /**
   * The call is over; nothing is passed after it. With `onFacts` the quality of the media is asked for: it is called once, soon
   * (bounded), possibly before `release` returns; null when it is not known.
   */
  release(onFacts: ((media: MediaFacts | null) => void) | null): void
}

/** Gives each call its media session. */
export interface MediaPort {
  /** `callId` is ours and unique: it names the call towards gateways. */
  open(callId: string, user: MediaUser): MediaSession
  /** Goes on with the session of a call that an earlier process answered: under the same `callId`, where that one left it. */
  resume(callId: string, image: MediaImage | null, user: MediaUser): MediaSession
  /** Whether calls can end in the switch's own services. */
  readonly serves: boolean
}

const END_TO_END_SESSION: MediaSession = {
  pass: (description, sink) => sink(description.body),
  serve: (_service, _room, _description, _sink, onFailed) => onFailed('MEDIA_NO_GATEWAY'),
  choose: () => {},
  last: () => null,
  image: () => null,
  move: () => false,
  release: (onFacts) => onFacts?.(null),
}

/** Media end to end: descriptions pass untouched, so the phones exchange media themselves. */
export const END_TO_END_MEDIA: MediaPort = {
  open: () => END_TO_END_SESSION,
  resume: () => END_TO_END_SESSION,
  serves: false,
}
