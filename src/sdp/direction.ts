// The direction of a media stream: RFC 3264 §5.1, §6.1, §8.4; RFC 8866 §6.7.

import { hasAttribute } from '#sdp/attributes.ts'
import { addressOf } from '#sdp/connection.ts'
import type { MediaDescription, SessionDescription } from '#sdp/session-description.ts'

/** As the side that wrote it sees it: whether it sends and whether it takes media. */
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive'

export const DIRECTIONS: readonly Direction[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive']

/** The attribute of the media description, else the session's, else sendrecv (RFC 8866 §6.7). */
export function attributeDirection(description: SessionDescription, media: MediaDescription): Direction {
  const own = DIRECTIONS.find((direction) => hasAttribute(media.lines, direction))
  return own ?? DIRECTIONS.find((direction) => hasAttribute(description.lines, direction)) ?? 'sendrecv'
}

/** The direction that is meant: an unspecified address is hold as RFC 2543 had it: nothing may be sent there (RFC 3264 §8.4). */
export function directionOf(description: SessionDescription, media: MediaDescription): Direction {
  const direction = attributeDirection(description, media)
  return isUnspecified(description, media) ? directionFrom(sends(direction), false) : direction
}

/** Whether the connection address is 0.0.0.0 or ::. */
export function isUnspecified(description: SessionDescription, media: MediaDescription): boolean {
  const host = addressOf(description, media)?.host ?? ''
  return host === '0.0.0.0' || (host.includes(':') && /^[0:]+$/.test(host))
}

export function directionFrom(sending: boolean, receiving: boolean): Direction {
  if (sending) return receiving ? 'sendrecv' : 'sendonly'
  return receiving ? 'recvonly' : 'inactive'
}

export function sends(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'sendonly'
}

export function receives(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'recvonly'
}

/** What the other side sees: sendonly becomes recvonly. */
export function reversed(direction: Direction): Direction {
  return directionFrom(receives(direction), sends(direction))
}

/** The nearest to `wanted` that may answer `offered` (RFC 3264 §6.1). */
export function answerDirection(offered: Direction, wanted: Direction): Direction {
  return directionFrom(sends(wanted) && receives(offered), receives(wanted) && sends(offered))
}
