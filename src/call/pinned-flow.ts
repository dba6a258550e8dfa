// Whether the requests of a dialog go back over the path that the peer came on, whatever its Contact says: NAT and connection
// reuse (RFC 5626 §5.3, RFC 5923 §4, RFC 3581).

import type { Flow } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Message } from '#sip/message.ts'
import { parseNameAddr } from '#sip/name-addr.ts'

/**
 * `flow` when requests should stay on it, else null (RFC 3263 from the dialog's next hop). `always`: the peer is a
 * subscriber's phone, which only its flow surely reaches, and whose Contact must not aim our requests at somebody else.
 */
export function pinnedFlow(flow: Flow | null, message: Message, always: boolean): Flow | null {
  if (flow === null || message.has(HeaderId.recordRoute)) return null
  if (always) return flow
  const contact = parseNameAddr(message.header(HeaderId.contact) ?? '')
  if (contact === null || !contact.uri.isSip) return flow
  const { host, port } = contact.uri
  if (host === flow.remote.host) {
    // The phone is where it says: its own Contact is followed, which is the same path when the ports agree.
    return flow.reliable || (port ?? 5060) === flow.remote.port ? flow : null
  }
  return isUnreachable(host, flow.remote.host) ? flow : null
}

/** A private or link-local Contact seen from outside its network (RFC 1918, RFC 3927, RFC 4193). */
function isUnreachable(contactHost: string, remoteHost: string): boolean {
  return isPrivate(contactHost) && !isPrivate(remoteHost)
}

function isPrivate(host: string): boolean {
  if (host.includes(':')) return /^(?:f[cd]|fe[89ab])/i.test(host)
  const match = /^(\d{1,3})\.(\d{1,3})\.\d{1,3}\.\d{1,3}$/.exec(host)
  if (match === null) return false
  const a = Number(match[1])
  const b = Number(match[2])
  return a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168) || (a === 169 && b === 254)
}
