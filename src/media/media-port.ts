// The media port: what the switch asks of whoever carries the media of a call. Session descriptions go through it on their way.

/** Which side of the call a description comes from. */
export type MediaSide = 'caller' | 'callee'

/** What a description is in the exchange that it belongs to (RFC 3264 §4). */
export type DescriptionRole = 'offer' | 'answer'

/** Receives what goes on to the other side. Called exactly once for each `pass`, possibly before it returns. */
export type DescriptionSink = (description: string) => void

/** The media of one call. */
export interface MediaSession {
  /**
   * Takes a session description from `side` within early dialog or branch `branch` (0 is the caller's own) and gives
   * the one for the other side. `body` and result are latin1 carriage of the octets.
   */
  pass(side: MediaSide, branch: number, role: DescriptionRole, body: string, sink: DescriptionSink): void
  /** The call is over; nothing is passed after it. */
  release(): void
}

/** Gives each call its media session. */
export interface MediaPort {
  open(callId: string): MediaSession
}

const END_TO_END_SESSION: MediaSession = {
  pass: (_side, _branch, _role, body, sink) => sink(body),
  release: () => {},
}

/** Media end to end: descriptions pass untouched, so the phones exchange media themselves. */
export const END_TO_END_MEDIA: MediaPort = {
  open: () => END_TO_END_SESSION,
}
