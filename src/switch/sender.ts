// Who sends a request: a subscriber, by digest, or a peer of a trunk group, by the address that it sends from.

import type { PeerAddresses } from '#border/peer-addresses.ts'
import { type CallerIdentity, peerIdentity, subscriberIdentity } from '#call/caller-identity.ts'
import type { Ingress } from '#routing/route.ts'
import { accepts, type Peer, type Snapshot } from '#routing/snapshot.ts'
import type { Subscriber } from '#schema/config.ts'
import type { Flow } from '#sip/flow.ts'
import type { Request } from '#sip/message.ts'

/** Whoever may call. */
export interface Sender {
  readonly ingress: Ingress
  readonly caller: CallerIdentity
  /** For records: an address of record, or a user at the peer as configured. */
  readonly name: string
}

/** The peer that `flow` comes from, by its configured address or one that its name has now; null for anybody else. */
export function peerAt(flow: Flow, snapshot: Snapshot, addresses: PeerAddresses): Peer | null {
  const { remote, transport } = flow
  const peer = snapshot.ingressPeer(transport, remote.host, remote.port)
  if (peer !== null || snapshot.hostNamePeers.length === 0) return peer
  const names = addresses.namesOf(remote.host)
  if (names === null) return null
  const isIt = (one: Peer): boolean => names.has(one.host) && accepts(one, transport, remote.port)
  return snapshot.hostNamePeers.find(isIt) ?? null
}

export function peerSender(request: Request, peer: Peer): Sender {
  const caller = peerIdentity(request)
  const name = caller.user === '' ? peer.text : `sip:${caller.user}@${peer.text}`
  return { ingress: { kind: 'trunkGroup', name: peer.trunkGroup }, caller, name }
}

export function subscriberSender(request: Request, subscriber: Subscriber, domain: string): Sender {
  const { user } = subscriber
  return {
    ingress: { kind: 'subscriber', user },
    caller: subscriberIdentity(request, subscriber),
    name: `sip:${user}@${domain}`,
  }
}
