// The origin of a description that we write: the same session throughout, its version one higher for each change (RFC 3264 §5, §8).

import type { Endpoint } from '#core/net.ts'
import { type SdpOrigin, type SessionDescription, writeSdp } from '#sdp/session-description.ts'

/** Who the descriptions towards one party come from. */
export interface SdpIdentity {
  /** "-" or a name without blanks (RFC 8866 §5.2). */
  readonly username: string
  /** Digits; globally unique with the address. */
  readonly sessionId: string
  readonly address: Pick<Endpoint, 'host' | 'family'>
}

/** The description with its origin: `previous`'s when nothing else differs, else with the version one higher; 1 when there is none. */
export function withNextOrigin(
  description: SessionDescription,
  identity: SdpIdentity,
  previous: SessionDescription | null,
): SessionDescription {
  const { username, sessionId, address } = identity
  const first: SdpOrigin = {
    username,
    sessionId,
    sessionVersion: '1',
    address: { network: 'IN', type: `IP${address.family}`, host: address.host },
  }
  if (previous === null) return { ...description, origin: first }
  const unchanged = { ...description, origin: previous.origin }
  if (writeSdp(unchanged) === writeSdp(previous)) return unchanged
  // The session is one, so what came before keeps its identity (§8); only the version moves.
  const sessionVersion = (BigInt(previous.origin.sessionVersion) + 1n).toString()
  return { ...description, origin: { ...previous.origin, sessionVersion } }
}
