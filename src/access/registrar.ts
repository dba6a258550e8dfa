// The registrar: RFC 3261 §10.3 step by step, with Path (RFC 3327) and client-initiated connections (RFC 5626).
// Hot path: a REGISTER in at most 75 µs.

import type { Authenticator } from '#access/authenticator.ts'
import { aorFromUri, aorFromUser, Binding, flatCopy, needsFlow, storedPath } from '#access/binding.ts'
import type { Location } from '#access/location.ts'
import { RegisteredFlows } from '#access/registered-flows.ts'
import {
  type ContactRequest,
  type ExpiryBounds,
  type RegisterRefusal,
  type Registration,
  readRegistration,
  refusal,
} from '#access/registration.ts'
import type { Endpoint } from '#core/net.ts'
import { endpointText } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Flow } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Request } from '#sip/message.ts'
import { sameUri } from '#sip/uri-equal.ts'

/** What the registrar needs of a server transaction. */
export interface RegisterTransaction {
  readonly request: Request
  readonly flow: Flow
  /** `headers` are complete lines with CRLF. */
  respond(status: number, reason?: string, headers?: string): unknown
  /** Answers somebody who has not shown who he is: without keeping state for a copy of the request (§8.2.7). */
  refuse(status: number, reason?: string, headers?: string): void
}

export interface RegistrarSettings extends ExpiryBounds {
  /** Domain of the addresses of record, in lower case. */
  readonly domain: string
  /** Contacts of one address of record. */
  readonly contactsMax: number
  /** Bindings of all. */
  readonly bindingsMax: number
  /** Told to clients with outbound support on UDP (RFC 5626 §4.4). */
  readonly keepAliveS: number
  /** Whether a host of a URI stands for the domain. */
  isOwnHost(host: string): boolean
}

/** Option tags in Require that are understood (step 2). */
const EXTENSIONS: ReadonlySet<string> = new Set(['path', 'outbound'])
const USER_AGENT_LENGTH_MAX = 128
/** RFC 5626 §4.4.1: the interval of keep-alives on connections. */
const STREAM_FLOW_TIMER_S = 120
/** Retry-After when no more bindings can be held, in seconds. */
const FULL_RETRY_S = 300

export class Registrar {
  readonly #ports: Ports
  readonly #location: Location
  readonly #authenticator: Authenticator
  #settings: RegistrarSettings
  readonly #flows: RegisteredFlows
  #full = false
  #dateSecond = -1
  #dateLine = ''

  constructor(ports: Ports, location: Location, authenticator: Authenticator, settings: RegistrarSettings) {
    this.#ports = ports
    this.#location = location
    this.#authenticator = authenticator
    this.#settings = settings
    this.#flows = new RegisteredFlows(location)
    authenticator.recogniseFlows((user, source) =>
      location.isRegisteredFrom(aorFromUser(user, this.#settings.domain), source),
    )
  }

  /** New settings hold for the next request; bindings stay as they were granted. */
  replaceSettings(settings: RegistrarSettings): void {
    this.#settings = settings
  }

  /** Connections that are watched because a registered phone is reached over them. */
  get watchedFlows(): number {
    return this.#flows.size
  }

  /** Answers a REGISTER that `checkRequest` passed. Requests are dealt with in the order in which they come. */
  onRequest(transaction: RegisterTransaction): void {
    const { request, flow } = transaction
    const { uri } = request
    // Step 1. We do not forward: nobody asked us to relay registrations for others.
    if (!uri.isSip || !this.#settings.isOwnHost(uri.host)) {
      this.#refuse(transaction, refusal(404, 'REGISTER_DOMAIN', 'Not a domain of this registrar'))
      return
    }
    // Step 2.
    const unsupported = unsupportedExtensions(request)
    if (unsupported !== '') {
      const headers = `Unsupported: ${unsupported}\r\n`
      this.#refuse(transaction, refusal(420, 'REGISTER_EXTENSION', 'Bad Extension', headers))
      return
    }
    // Step 3.
    const outcome = this.#authenticator.authenticate(request, flow.remote, 'www')
    if (!outcome.ok) {
      this.#count(outcome.status)
      transaction.refuse(outcome.status, outcome.reason, outcome.headers)
      return
    }
    // Steps 5 and 4.
    const to = request.to.uri
    if (!to.isSip || to.user === '' || !this.#settings.isOwnHost(to.host)) {
      this.#refuse(transaction, refusal(404, 'REGISTER_NOT_FOUND', 'Not Found'))
      return
    }
    const aor = aorFromUri(to, this.#settings.domain)
    if (aor !== aorFromUser(outcome.user, this.#settings.domain)) {
      this.#refuse(transaction, refusal(403, 'REGISTER_NOT_OWN_AOR', 'Not your address of record'))
      return
    }
    // Steps 6 and 7.
    const registration = readRegistration(request, this.#settings)
    if ('status' in registration) {
      this.#refuse(transaction, registration)
      return
    }
    const problem = this.#bind(request, flow, aor, registration)
    if (problem !== null) {
      this.#refuse(transaction, problem)
      return
    }
    // Step 8.
    this.#count(200)
    transaction.respond(200, 'OK', this.#okHeaders(aor, registration, flow))
  }

  /** Changes the bindings of `aor`, all or none; what stands in the way is the answer. */
  #bind(request: Request, flow: Flow, aor: string, registration: Registration): RegisterRefusal | null {
    const { contacts } = registration
    if (contacts.length === 0 && !registration.removesAll) return null
    const current = this.#location.bindings(aor)
    const { callId, cseq } = request
    const isLate = (binding: Binding): boolean => binding.callId === callId && cseq.number <= binding.cseq
    if (registration.removesAll) {
      if (current.some(isLate)) return LATE
      if (current.length > 0) this.#location.commit(aor, [])
      return null
    }
    if (request.to.uri.scheme === 'sips' && contacts.some((c) => c.expiresS > 0 && c.uri.scheme === 'sip')) {
      // §10.2.1: a SIPS address of record that led to contacts without TLS would not be one.
      return refusal(400, 'REGISTER_NOT_SIPS', 'A SIPS address of record needs SIPS contacts')
    }
    const added: Binding[] = []
    let kept = current
    for (const contact of contacts) {
      const existing = current.find((binding) => isSameBinding(binding, contact))
      if (existing !== undefined) {
        if (isLate(existing)) return LATE
        kept = kept.filter((binding) => binding !== existing)
      }
      // The same contact twice in one request: the later one counts.
      const earlier = added.findIndex((binding) => isSameBinding(binding, contact))
      if (earlier >= 0) added.splice(earlier, 1)
      if (contact.expiresS > 0) added.push(this.#binding(request, flow, aor, contact, registration, existing ?? null))
    }
    const room = this.#makeRoom(callId, current, kept, added)
    if (room === null) return refusal(403, 'REGISTER_CONTACTS_MAX', 'Too many contacts')
    if (
      this.#location.count - current.length + room.length > this.#settings.bindingsMax &&
      room.length > current.length
    ) {
      return this.#onFull()
    }
    this.#full = false
    if (added.length === 0 && room.length === current.length) return null
    this.#flows.expect(flow)
    this.#location.commit(aor, room)
    this.#flows.settle(flow)
    return null
  }

  /**
   * The new list, or null when it is too long. Before a phone is refused, what the same phone (by instance-id, else by
   * Call-ID) left behind under other contacts makes room, the oldest first: phones that start anew do not tidy up.
   */
  #makeRoom(
    callId: string,
    current: readonly Binding[],
    kept: readonly Binding[],
    added: readonly Binding[],
  ): readonly Binding[] | null {
    const { contactsMax } = this.#settings
    let excess = kept.length + added.length - contactsMax
    // Limits that were lowered refuse nobody who only refreshes.
    if (excess <= 0 || kept.length + added.length <= current.length) return [...added, ...kept]
    const instances = new Set(added.map((binding) => binding.instanceId))
    const isLeftBehind = (binding: Binding): boolean =>
      binding.instanceId === null ? binding.callId === callId : instances.has(binding.instanceId)
    const oldestFirst = kept.toSorted((a, b) => a.expiresAtMs - b.expiresAtMs)
    const dropped = new Set<Binding>()
    for (const binding of oldestFirst) {
      if (excess <= 0) break
      if (!isLeftBehind(binding)) continue
      dropped.add(binding)
      excess -= 1
    }
    return excess > 0 ? null : [...added, ...kept.filter((binding) => !dropped.has(binding))]
  }

  #binding(
    request: Request,
    flow: Flow,
    aor: string,
    contact: ContactRequest,
    registration: Registration,
    existing: Binding | null,
  ): Binding {
    const { clock } = this.#ports
    const { text } = contact.uri
    const userAgent = request.header(HeaderId.userAgent) ?? ''
    // Equal texts of the binding that this one follows are kept: a refresh copies nothing.
    return new Binding(
      {
        aor: existing?.aor ?? flatCopy(aor),
        contact: existing !== null && existing.contact === text ? existing.contact : flatCopy(text),
        q: contact.q,
        expiresAtMs: clock.wallMs() + contact.expiresS * 1000,
        callId: existing !== null && existing.callId === request.callId ? existing.callId : flatCopy(request.callId),
        cseq: request.cseq.number,
        path: storedPath(registration.path),
        instanceId: contact.instanceId === null ? null : flatCopy(contact.instanceId),
        regId: contact.regId,
        transport: flow.transport,
        local: flow.local,
        remote: ownEndpoint(existing?.remote ?? null, flow.remote),
        userAgent:
          existing !== null && existing.userAgent === userAgent
            ? existing.userAgent
            : this.#location.intern(userAgent.slice(0, USER_AGENT_LENGTH_MAX)),
        needsFlow: needsFlow(contact.uri, request.topmostVia, flow.transport, flow.remote, contact.regId),
      },
      clock.now() + contact.expiresS * 1000,
    )
  }

  #okHeaders(aor: string, registration: Registration, flow: Flow): string {
    const nowMs = this.#ports.clock.now()
    let headers = ''
    for (const binding of this.#location.bindings(aor)) {
      headers += `Contact: <${binding.contact}>;expires=${Math.ceil((binding.deadlineMs - nowMs) / 1000)}`
      if (binding.q < 1000) headers += `;q=${binding.q / 1000}`
      if (binding.instanceId !== null) headers += `;+sip.instance="${binding.instanceId}"`
      if (binding.regId > 0) headers += `;reg-id=${binding.regId}`
      headers += '\r\n'
    }
    for (const value of registration.path) headers += `Path: ${value}\r\n`
    if (registration.outbound) {
      const timerS = flow.reliable ? STREAM_FLOW_TIMER_S : this.#settings.keepAliveS
      headers += `Require: outbound\r\nFlow-Timer: ${timerS}\r\n`
    }
    return `${headers}Supported: path, outbound\r\n${this.#date()}`
  }

  /** §20.17, written once a second. */
  #date(): string {
    const second = Math.floor(this.#ports.clock.wallMs() / 1000)
    if (second !== this.#dateSecond) {
      this.#dateSecond = second
      this.#dateLine = `Date: ${new Date(second * 1000).toUTCString()}\r\n`
    }
    return this.#dateLine
  }

  #onFull(): RegisterRefusal {
    const { bindingsMax } = this.#settings
    if (!this.#full) this.#ports.log.event('error', 'REGISTER_BINDINGS_MAX', { bindingsMax })
    this.#full = true
    return refusal(503, 'REGISTER_BINDINGS_MAX', 'Too many registrations', `Retry-After: ${FULL_RETRY_S}\r\n`)
  }

  #refuse(transaction: RegisterTransaction, problem: RegisterRefusal): void {
    this.#count(problem.status)
    this.#ports.log.event('debug', problem.code, { source: endpointText(transaction.flow.remote) })
    transaction.respond(problem.status, problem.reason, problem.headers)
  }

  #count(status: number): void {
    this.#ports.counters
      .counter(`carillon_registrations_total{status="${status}"}`, 'REGISTER requests answered, by status.')
      .add()
  }
}

const LATE = refusal(400, 'REGISTER_ORDER', 'CSeq is not above that of the registration before')

/** What Require asks for and we do not have (§8.2.2.3), as a list; '' for nothing. */
function unsupportedExtensions(request: Request): string {
  if (!request.has(HeaderId.require)) return ''
  const tags = request.list(HeaderId.require) ?? []
  return tags.filter((tag) => !EXTENSIONS.has(tag.toLowerCase())).join(', ')
}

/** RFC 5626 §6: the same instance and reg-id; otherwise the same contact by §19.1.4. */
function isSameBinding(binding: Binding, contact: ContactRequest): boolean {
  if (contact.regId > 0) return binding.regId === contact.regId && binding.instanceId === contact.instanceId
  if (binding.contact === contact.uri.text) return true
  return sameUri(binding.uri, contact.uri)
}

/** A copy that keeps no message or flow in memory; the one held already when it is the same. */
function ownEndpoint(held: Endpoint | null, remote: Endpoint): Endpoint {
  if (held !== null && held.port === remote.port && held.host === remote.host) return held
  return { host: flatCopy(remote.host), port: remote.port, family: remote.family }
}
