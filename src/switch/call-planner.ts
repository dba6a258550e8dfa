// From a routing decision to the places an INVITE is sent to: registered contacts or trunk peers (RFC 3261 §16.5, §16.6).

import { aorFromUser } from '#access/binding.ts'
import type { Binding, Location } from '#access/location.ts'
import type { PeerAddresses } from '#border/peer-addresses.ts'
import type { CalleeTarget, CallPlan, CallRefusal, ServicePlan } from '#call/call-host.ts'
import { latin1FromUtf8 } from '#call/caller-identity.ts'
import { endpointText } from '#core/net.ts'
import { type Attempt, type Ingress, type RequestUriFacts, route } from '#routing/route.ts'
import type { Peer, Snapshot } from '#routing/snapshot.ts'
import { familyOf } from '#sip/own-addresses.ts'
import type { SipTransport } from '#sip/transport.ts'
import { escapeUser, hostText, parseUri, type Uri, unescapeUri } from '#sip/uri.ts'

/** What routing needs of a Request-URI; texts of UTF-8 carriage become Unicode. */
export function requestUriFacts(uri: Uri): RequestUriFacts {
  const isTel = uri.scheme === 'tel'
  return {
    scheme: isTel ? 'tel' : uri.scheme === 'sips' ? 'sips' : 'sip',
    user: isTel ? uri.user + uri.params : unicodeFrom(unescapeUri(uri.user)),
    host: uri.host,
    port: uri.port,
    userIsPhone: isTel || uri.param('user')?.toLowerCase() === 'phone',
  }
}

/** JavaScript text from latin1 carriage of UTF-8 octets. */
function unicodeFrom(text: string): string {
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, 'latin1').toString('utf8')
}

export class CallPlanner {
  readonly #location: Location
  readonly #transport: SipTransport
  readonly #peerAddresses: PeerAddresses

  constructor(location: Location, transport: SipTransport, peerAddresses: PeerAddresses) {
    this.#location = location
    this.#transport = transport
    this.#peerAddresses = peerAddresses
  }

  /** Where a call to `uri` goes, or why nowhere. */
  plan(
    uri: Uri,
    ingress: Ingress,
    callerNumber: string | null,
    snapshot: Snapshot,
  ): CallPlan | ServicePlan | CallRefusal {
    const attempt: Attempt = { ingress, requestUri: requestUriFacts(uri), callerNumber }
    const decision = route(attempt, snapshot)
    if (decision.outcome === 'reject') {
      const { status, reason, code, q850Cause, calledNumber } = decision
      return { status, reason, code, q850Cause, calledNumber, headers: '' }
    }
    if (decision.outcome === 'service') {
      const { service, room } = decision.service
      return { service, room, calledNumber: decision.calledNumber }
    }
    const { settings } = snapshot
    if (decision.outcome === 'trunk') {
      const { calledNumber } = decision
      return {
        stages: decision.targets.map((target) => [
          this.#trunkTarget(target.peer, target.calledNumber, uri.scheme === 'sips'),
        ]),
        noAnswerMs: settings.call.noAnswerS * 1_000,
        calledNumber,
        callee: calledNumber,
        translations: [],
      }
    }
    const aor = aorFromUser(decision.user, settings.domain)
    const to = `<${aor}>`
    const stage: CalleeTarget[] = []
    for (const binding of this.#location.bindings(aor)) {
      if (stage.length >= settings.call.ringForksMax) break
      const target = this.#contactTarget(binding, to, snapshot)
      if (target !== null && (uri.scheme !== 'sips' || binding.transport === 'tls')) stage.push(target)
    }
    if (stage.length === 0) {
      // Q.850 cause 20: the subscriber is absent.
      const { calledNumber } = decision
      const reason = 'Temporarily Unavailable'
      return { status: 480, reason, code: 'CALLEE_NOT_REGISTERED', q850Cause: 20, calledNumber, headers: '' }
    }
    return {
      stages: [stage],
      noAnswerMs: settings.access.noAnswerS * 1_000,
      calledNumber: decision.calledNumber,
      callee: aor,
      translations: [],
    }
  }

  /** `secure`: the call may leave over TLS only (RFC 3261 §26.2.2), whatever the peer has else. */
  #trunkTarget(peer: Peer, calledNumber: string, secure: boolean): CalleeTarget {
    const user = escapeUser(latin1FromUtf8(calledNumber))
    const port = peer.port === null ? '' : `:${peer.port}`
    const transport = peer.transport === null ? '' : `;transport=${peer.transport}`
    const isPhone = /^\+?[0-9]+$/.test(calledNumber) ? ';user=phone' : ''
    const host = hostText(peer.host)
    const nextHop = secure ? `sips:${host}${port}` : `sip:${host}${port}${transport}`
    return {
      uriText: `sip:${user}@${host}${port}${isPhone}`,
      to: `<sip:${user}@${host}${port}${isPhone}>`,
      routes: '',
      flow: null,
      nextHop,
      trunkGroup: peer.trunkGroup,
      label: peer.text,
    }
  }

  #contactTarget(binding: Binding, to: string, snapshot: Snapshot): CalleeTarget | null {
    const { contact, path } = binding
    const first = path[0]
    const routes = path.length === 0 ? '' : `Route: ${path.join(', ')}\r\n`
    const nextHop = first === undefined ? withoutHeaders(contact) : uriInBrackets(first)
    const { transport, local, remote } = binding
    const live = binding.isCutOff ? null : this.#transport.flowFrom(transport, local, remote)
    const isBound = (first === undefined && binding.needsFlow) || !this.#mayFollow(nextHop, binding, snapshot)
    const flow = isBound || (first === undefined && live?.reliable === true) ? live : null
    if (isBound && flow === null) return null
    return {
      uriText: withoutHeaders(contact),
      to,
      routes,
      flow,
      nextHop,
      trunkGroup: null,
      label: `${binding.transport}:${endpointText(binding.remote)}`,
    }
  }

  /**
   * Whether a contact or Path is called where it says, rather than where its REGISTER came from. A subscriber writes what he
   * likes there, and carriers trust our address: followed to a trunk peer, or back to ourselves, it would be a call to any
   * number that nobody is charged for. A name could lead there too, as soon as its owner likes.
   */
  #mayFollow(nextHop: string, binding: Binding, snapshot: Snapshot): boolean {
    const uri = parseUri(nextHop)
    if (uri === null || !uri.isSip) return false
    const { host } = uri
    if (host === binding.remote.host) return true
    if (familyOf(host) === 0) return false
    return !snapshot.isOwnHost(host) && !snapshot.isPeerHost(host) && this.#peerAddresses.namesOf(host) === null
  }
}

/** §19.1.5: header parameters of a contact are not part of a Request-URI; method parameters neither. */
function withoutHeaders(uri: string): string {
  const question = uri.indexOf('?')
  return question < 0 ? uri : uri.slice(0, question)
}

function uriInBrackets(element: string): string {
  const open = element.indexOf('<')
  return open < 0 ? element : element.slice(open + 1, element.indexOf('>', open))
}
