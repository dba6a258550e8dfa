// Route choice: one pure function from an attempt and a snapshot to a decision that explains itself. Hot: once a call.

import type { Fields } from '#core/log.ts'
import { parseNumber } from '#routing/number.ts'
import type { Peer, Route, ServiceNumber, Snapshot, TrunkGroup } from '#routing/snapshot.ts'
import type { Subscriber } from '#schema/config.ts'

/** What the Request-URI says (RFC 3261 §19.1.1, RFC 3966). */
export interface RequestUriFacts {
  readonly scheme: 'sip' | 'sips' | 'tel'
  /** User part, unescaped; for tel the number with its parameters. "" when there is none. */
  readonly user: string
  /** Host; "" for tel. */
  readonly host: string
  readonly port: number | null
  /** Whether `user=phone` is there, or the scheme is tel. */
  readonly userIsPhone: boolean
}

/** Who calls: an authenticated subscriber, or a trunk group that the source address belongs to. */
export type Ingress =
  | { readonly kind: 'subscriber'; readonly user: string }
  | { readonly kind: 'trunkGroup'; readonly name: string }

export interface Attempt {
  readonly ingress: Ingress
  readonly requestUri: RequestUriFacts
  readonly callerNumber: string | null
}

/** One trunk target. `calledNumber` is the number to put into its Request-URI. */
export interface Target {
  readonly trunkGroup: TrunkGroup
  readonly peer: Peer
  readonly calledNumber: string
}

/** One step of the explanation: a stable code, a plain sentence, and the values in it. */
export interface Step {
  readonly code: RouteStepCode
  readonly text: string
  readonly fields: Fields
}

/** Why an attempt is refused. */
export type RouteRejectCode =
  /** The Request-URI names a host that is not ours: we are no open relay. 403, Q.850 cause 21. */
  | 'ROUTE_FOREIGN_DOMAIN'
  /** The Request-URI has no user part. 484, cause 28. */
  | 'ROUTE_ADDRESS_INCOMPLETE'
  /** Neither a subscriber nor a route. 404, cause 1. */
  | 'ROUTE_NOT_FOUND'
  /** A route, but none of its trunk groups may take this call. 404, cause 3. */
  | 'ROUTE_NO_TARGET'

export type RouteStepCode =
  | RouteRejectCode
  | 'ROUTE_CALLER'
  | 'ROUTE_OWN_HOST'
  | 'ROUTE_NUMBER'
  | 'ROUTE_NOT_A_NUMBER'
  | 'ROUTE_SUBSCRIBER_BY_USER'
  | 'ROUTE_NO_SUCH_USER'
  | 'ROUTE_SUBSCRIBER_BY_NUMBER'
  | 'ROUTE_NO_SUCH_NUMBER'
  | 'ROUTE_SERVICE'
  | 'ROUTE_SERVICE_SUBSCRIBERS_ONLY'
  | 'ROUTE_PREFIX_LONGEST'
  | 'ROUTE_PREFIX_SHORTER'
  | 'ROUTE_GROUP_CHOSEN'
  | 'ROUTE_GROUP_INCOMING_ONLY'
  | 'ROUTE_GROUP_IS_INGRESS'
  | 'ROUTE_PEER_CHOSEN'
  | 'ROUTE_PEER_NOT_SECURE'
  | 'ROUTE_TARGETS_MAX'

export interface SubscriberDecision {
  readonly outcome: 'subscriber'
  readonly user: string
  /** Address of record: `sip:user@domain`, the user unescaped. */
  readonly aor: string
  /** The subscriber's name, for people; nothing else of the subscriber, so that a decision can be shown as it is. */
  readonly name: string | null
  readonly calledNumber: string | null
  readonly steps: readonly Step[]
}

export interface TrunkDecision {
  readonly outcome: 'trunk'
  /** In order of trial; at least one. */
  readonly targets: readonly Target[]
  /** The prefix that decided. */
  readonly prefix: string
  readonly calledNumber: string
  readonly steps: readonly Step[]
}

export interface RejectDecision {
  readonly outcome: 'reject'
  readonly status: number
  readonly reason: string
  readonly code: RouteRejectCode
  readonly q850Cause: number
  readonly calledNumber: string | null
  readonly steps: readonly Step[]
}

/** The switch answers itself. */
export interface ServiceDecision {
  readonly outcome: 'service'
  readonly service: ServiceNumber
  readonly calledNumber: string
  readonly steps: readonly Step[]
}

export type Decision = SubscriberDecision | ServiceDecision | TrunkDecision | RejectDecision

const NO_STEPS: readonly Step[] = Object.freeze([])

/** Status, reason phrase and Q.850 cause of each refusal (causes as RFC 3398 §8.2.6.1 pairs them). */
const REJECTS: Readonly<Record<RouteRejectCode, { status: number; reason: string; q850Cause: number }>> = {
  ROUTE_FOREIGN_DOMAIN: { status: 403, reason: 'Domain Not Served Here', q850Cause: 21 },
  ROUTE_ADDRESS_INCOMPLETE: { status: 484, reason: 'Address Incomplete', q850Cause: 28 },
  ROUTE_NOT_FOUND: { status: 404, reason: 'Not Found', q850Cause: 1 },
  ROUTE_NO_TARGET: { status: 404, reason: 'No Route To Destination', q850Cause: 3 },
}

/**
 * Where a call goes: to one of our subscribers by user name, then by number; then to a service of our own; else to the trunk
 * groups of the longest prefix that begins the number. `explain` fills `steps`; it never changes the decision.
 */
export function route(attempt: Attempt, snapshot: Snapshot, explain = false): Decision {
  const { scheme, user, host } = attempt.requestUri
  const steps: Step[] | null = explain ? [callerStep(attempt)] : null
  if (scheme !== 'tel') {
    if (!snapshot.isOwnHost(host)) {
      if (steps !== null)
        add(
          steps,
          'ROUTE_FOREIGN_DOMAIN',
          `${quoted(host)} is not a host of ours, and calls are not relayed elsewhere.`,
          { host },
        )
      return reject('ROUTE_FOREIGN_DOMAIN', null, steps)
    }
    if (steps !== null) add(steps, 'ROUTE_OWN_HOST', `${quoted(host)} is ours.`, { host })
  }
  if (user === '') {
    if (steps !== null) add(steps, 'ROUTE_ADDRESS_INCOMPLETE', 'The request names nobody: it has no user part.', {})
    return reject('ROUTE_ADDRESS_INCOMPLETE', null, steps)
  }
  const calledNumber = parseNumber(user)
  const byUser = snapshot.subscriberByUser(user)
  if (byUser !== null) {
    if (steps !== null)
      add(steps, 'ROUTE_SUBSCRIBER_BY_USER', `${quoted(user)} is the user name of a subscriber.`, { user })
    return toSubscriber(byUser, calledNumber, snapshot, steps)
  }
  if (steps !== null) add(steps, 'ROUTE_NO_SUCH_USER', `No subscriber has the user name ${quoted(user)}.`, { user })
  if (calledNumber === null) {
    if (steps !== null)
      add(steps, 'ROUTE_NOT_A_NUMBER', `${quoted(user)} is not a telephone number, so no route is looked for.`, {
        user,
      })
    return reject('ROUTE_NOT_FOUND', null, steps)
  }
  if (steps !== null) add(steps, 'ROUTE_NUMBER', `The called number is ${calledNumber}.`, { calledNumber })
  const byNumber = snapshot.subscriberByNumber(calledNumber)
  if (byNumber !== null) {
    if (steps !== null)
      add(
        steps,
        'ROUTE_SUBSCRIBER_BY_NUMBER',
        `${calledNumber} is the number of subscriber ${quoted(byNumber.user)}.`,
        { user: byNumber.user },
      )
    return toSubscriber(byNumber, calledNumber, snapshot, steps)
  }
  if (steps !== null)
    add(steps, 'ROUTE_NO_SUCH_NUMBER', `No subscriber has the number ${calledNumber}.`, { calledNumber })
  const service = snapshot.service(calledNumber)
  if (service !== null) {
    if (attempt.ingress.kind === 'subscriber' || service.trunkGroups) {
      if (steps !== null)
        add(steps, 'ROUTE_SERVICE', `${calledNumber} is the service ${quoted(service.service)} of our own.`, {
          service: service.service,
        })
      return { outcome: 'service', service, calledNumber, steps: steps ?? NO_STEPS }
    }
    if (steps !== null)
      add(steps, 'ROUTE_SERVICE_SUBSCRIBERS_ONLY', `${calledNumber} is a service for subscribers alone.`, {
        service: service.service,
      })
  }
  const chosen = snapshot.longestRoute(calledNumber)
  if (chosen === null) {
    if (steps !== null)
      add(steps, 'ROUTE_NOT_FOUND', `No route has a prefix that begins ${calledNumber}.`, { calledNumber })
    return reject('ROUTE_NOT_FOUND', calledNumber, steps)
  }
  if (steps !== null) explainPrefixes(steps, snapshot, calledNumber)
  return toTrunks(attempt, chosen, calledNumber, snapshot, steps)
}

function toSubscriber(
  { user, name }: Subscriber,
  calledNumber: string | null,
  snapshot: Snapshot,
  steps: Step[] | null,
): Decision {
  const aor = `sip:${user}@${snapshot.settings.domain}`
  return { outcome: 'subscriber', user, aor, name, calledNumber, steps: steps ?? NO_STEPS }
}

function toTrunks(
  attempt: Attempt,
  chosen: Route,
  calledNumber: string,
  snapshot: Snapshot,
  steps: Step[] | null,
): Decision {
  const { ingress } = attempt
  const secure = attempt.requestUri.scheme === 'sips'
  const targetsMax = snapshot.settings.call.targetsMax
  const targets: Target[] = []
  for (const trunkGroup of chosen.trunkGroups) {
    const { name } = trunkGroup
    if (trunkGroup.direction === 'in') {
      if (steps !== null)
        add(steps, 'ROUTE_GROUP_INCOMING_ONLY', `Trunk group ${name} is skipped: its direction is "in".`, {
          trunkGroup: name,
        })
      continue
    }
    if (ingress.kind === 'trunkGroup' && ingress.name === name) {
      if (steps !== null)
        add(steps, 'ROUTE_GROUP_IS_INGRESS', `Trunk group ${name} is skipped: the call came from it.`, {
          trunkGroup: name,
        })
      continue
    }
    if (steps !== null) add(steps, 'ROUTE_GROUP_CHOSEN', `Trunk group ${name} may take the call.`, { trunkGroup: name })
    for (const peer of trunkGroup.peers) {
      if (secure && peer.transport !== null && peer.transport !== 'tls') {
        // RFC 3261 §26.2.2: a sips call goes over TLS on every hop.
        if (steps !== null)
          add(steps, 'ROUTE_PEER_NOT_SECURE', `Peer ${peer.text} is skipped: a sips call needs TLS.`, {
            trunkGroup: name,
            peer: peer.text,
          })
      } else if (targets.length >= targetsMax) {
        if (steps !== null)
          add(steps, 'ROUTE_TARGETS_MAX', `Peer ${peer.text} is left out: call.targetsMax is ${targetsMax}.`, {
            trunkGroup: name,
            peer: peer.text,
            targetsMax,
          })
      } else {
        targets.push({ trunkGroup, peer, calledNumber })
        if (steps !== null)
          add(steps, 'ROUTE_PEER_CHOSEN', `Peer ${peer.text} is number ${targets.length} in the order of trial.`, {
            trunkGroup: name,
            peer: peer.text,
            position: targets.length,
          })
      }
    }
  }
  if (targets.length > 0) {
    return { outcome: 'trunk', targets, prefix: chosen.prefix, calledNumber, steps: steps ?? NO_STEPS }
  }
  if (steps !== null)
    add(steps, 'ROUTE_NO_TARGET', `The route ${prefixText(chosen.prefix)} has no trunk group left for this call.`, {
      prefix: chosen.prefix,
    })
  return reject('ROUTE_NO_TARGET', calledNumber, steps)
}

function reject(code: RouteRejectCode, calledNumber: string | null, steps: Step[] | null): Decision {
  const { status, reason, q850Cause } = REJECTS[code]
  return { outcome: 'reject', status, reason, code, q850Cause, calledNumber, steps: steps ?? NO_STEPS }
}

/** The candidates among the prefixes: each that begins the number, and the longest of them, which wins. */
function explainPrefixes(steps: Step[], snapshot: Snapshot, calledNumber: string): void {
  const matching = snapshot.matchingRoutes(calledNumber).reverse()
  for (const [i, { prefix, trunkGroups }] of matching.entries()) {
    const groups = trunkGroups.map((group) => group.name).join(', ')
    if (i === 0) {
      const text = `The longest prefix that begins ${calledNumber} is ${prefixText(prefix)}; it leads to ${groups}.`
      add(steps, 'ROUTE_PREFIX_LONGEST', text, { prefix, trunkGroups: groups })
    } else {
      add(steps, 'ROUTE_PREFIX_SHORTER', `Prefix ${prefixText(prefix)} (to ${groups}) fits too, but is shorter.`, {
        prefix,
        trunkGroups: groups,
      })
    }
  }
}

function callerStep({ ingress, callerNumber }: Attempt): Step {
  const number = callerNumber === null ? '' : `, number ${callerNumber}`
  return ingress.kind === 'subscriber'
    ? {
        code: 'ROUTE_CALLER',
        text: `The caller is subscriber ${quoted(ingress.user)}${number}.`,
        fields: { user: ingress.user, callerNumber },
      }
    : {
        code: 'ROUTE_CALLER',
        text: `The call comes from trunk group ${ingress.name}${number}.`,
        fields: { trunkGroup: ingress.name, callerNumber },
      }
}

function add(steps: Step[], code: RouteStepCode, text: string, fields: Fields): void {
  steps.push({ code, text, fields })
}

function quoted(text: string): string {
  return JSON.stringify(text)
}

function prefixText(prefix: string): string {
  return prefix === '' ? '"" (every number)' : prefix
}
