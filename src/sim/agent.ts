// A simulated user agent: registers, dispatches what comes in to its calls, and sends requests with digest.

import type { Connection, Endpoint, Net } from '#core/net.ts'
import { endpointText } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { authorization } from '#sim/agent-digest.ts'
import { AgentMedia } from '#sim/agent-media.ts'
import type { ClientEvents } from '#sim/agent-transactions.ts'
import { AgentClient, AgentServer } from '#sim/agent-transactions.ts'
import type { Way } from '#sim/agent-wire.ts'
import { AgentWire } from '#sim/agent-wire.ts'
import type { AnswerPlan, CallPlan } from '#sim/call-end.ts'
import { CallEnd } from '#sim/call-end.ts'
import { Generator } from '#sim/generator.ts'
import type { Ledger, MediaRecord } from '#sim/ledger.ts'
import { familyOf } from '#sim/machine.ts'
import { hostOf, SipText, uriOf } from '#sim/sip-text.ts'
import type { VirtualClock } from '#sim/virtual-clock.ts'

const AUTHORIZATIONS_MAX = 2
const REASONS: Readonly<Record<number, string>> = {
  100: 'Trying',
  180: 'Ringing',
  183: 'Session Progress',
  200: 'OK',
  302: 'Moved Temporarily',
  405: 'Method Not Allowed',
  481: 'Call/Transaction Does Not Exist',
  486: 'Busy Here',
  487: 'Request Terminated',
  491: 'Request Pending',
  500: 'Server Internal Error',
  503: 'Service Unavailable',
  603: 'Decline',
}

/** Who an agent is and where its server stands. */
export interface AgentProfile {
  /** Marks every identifier that this agent mints, so that a leak shows whose it is. */
  readonly index: number
  readonly name: string
  /** Its own address, private when behind a NAT. */
  readonly host: string
  readonly port: number
  /** Its address of record, without the scheme. */
  readonly address: string
  readonly password: string | null
  readonly algorithm: 'MD5' | 'SHA-256'
  readonly server: Endpoint
  readonly transport: 'udp' | 'tcp' | 'tls'
  /** Null for agents that do not register, as carriers. */
  readonly expiresS: number | null
  readonly reliable: boolean
  readonly sessionTimer: boolean
  readonly allowUpdate: boolean
  /** From one RTP packet to the next; null sends none. */
  readonly packetMs: number | null
  /** Hangs up before the ACK of its 2xx, which RFC 3261 §15 forbids and some do. */
  readonly hasty: boolean
}

export class Agent {
  readonly profile: AgentProfile
  readonly random: Generator
  readonly ledger: Ledger
  readonly clock: VirtualClock
  readonly calls = new Set<CallEnd>()
  registered = false
  /** Contacts in the last answer to a REGISTER, as their URIs. */
  bindings: string[] = []
  readonly #wire: AgentWire
  readonly #clients = new Map<string, AgentClient>()
  readonly #servers = new Map<string, AgentServer>()
  readonly #answer: (invite: SipText) => AnswerPlan
  readonly #registerCallId: string
  readonly #net: Net
  /** Draws of its own: what is done on the signalling side stays the same with media and without. */
  readonly #mediaRandom: Generator
  #mediaPort: number
  #registerSequence = 0
  #registering = false
  #leaving = false
  #minted = 0

  constructor(ports: Ports, profile: AgentProfile, ledger: Ledger, answer: (invite: SipText) => AnswerPlan) {
    this.profile = profile
    this.ledger = ledger
    this.#answer = answer
    this.clock = ports.clock as VirtualClock
    this.random = new Generator(ports.random.uint32(), profile.name)
    this.#net = ports.net
    this.#mediaRandom = this.random.fork('media')
    this.#mediaPort = 2 * this.#mediaRandom.between(5_000, 15_000)
    this.#wire = new AgentWire(ports, profile.host, profile.port, this)
    this.#registerCallId = this.mint()
    if (profile.expiresS !== null) this.after(this.random.between(10, 2_000), () => this.register())
  }

  get nowMs(): number {
    return this.clock.time.nowMs
  }

  readonly after = (delayMs: number, run: () => void): { cancel(): void } => this.clock.after(delayMs, run)

  /** An identifier of this agent's: tag, Call-ID or the rest of a branch. */
  mint(): string {
    return `Zq${this.profile.index}x${(this.#minted++).toString(36)}x${this.random.word(10)}`
  }

  /** How others reach this agent, as it believes. */
  get contact(): string {
    const { index, host, port, transport } = this.profile
    const at = endpointText({ host, port, family: familyOf(host) })
    return `<sip:Zq${index}xc@${at}${transport === 'udp' ? '' : `;transport=${transport}`}>`
  }

  get serverWay(): Way {
    return this.#wire.way(this.profile.server, this.profile.transport)
  }

  /** The way to the first of the route set, or to the target. */
  wayTo(uri: string): Way {
    const { host, port, transport } = hostOf(uri)
    if (!/^[\d.]+$|:/.test(host)) return this.serverWay
    return this.#wire.way({ host, port: port || 5060, family: familyOf(host) }, transport)
  }

  call(target: string, plan: CallPlan): CallEnd {
    return CallEnd.toCall(this, target, plan)
  }

  /** A media port for a call's end; null when this agent has no media. */
  media(record: MediaRecord, speaks: () => boolean): AgentMedia | null {
    const { host, packetMs } = this.profile
    if (packetMs === null) return null
    this.#mediaPort += 2
    return new AgentMedia({
      net: this.#net,
      host,
      port: this.#mediaPort,
      packetMs,
      ssrc: this.#mediaRandom.uint32(),
      record,
      now: () => this.nowMs,
      after: (delayMs, run) => void this.after(delayMs, run),
      speaks,
    })
  }

  /** Begins or refreshes the registration; `contact` null fetches the bindings only. */
  register(options: { readonly fetch?: boolean; readonly expiresS?: number } = {}): void {
    if (this.#registering || this.profile.expiresS === null) return
    this.#registering = true
    const expiresS = options.expiresS ?? this.profile.expiresS
    const domain = this.profile.address.split('@')[1] ?? ''
    const request = SipText.request('REGISTER', `sip:${domain}`)
    request.add('from', `<sip:${this.profile.address}>;tag=${this.mint()}`).add('to', `<sip:${this.profile.address}>`)
    request.add('call-id', this.#registerCallId).add('cseq', `${++this.#registerSequence} REGISTER`)
    if (options.fetch !== true) request.add('contact', `${this.contact};expires=${expiresS}`)
    this.send(request, this.serverWay, {
      onResponse: (response) => {
        if (response.status < 200) return
        this.#registerSequence = Math.max(this.#registerSequence, response.sequence)
        this.#onRegistered(response, options.fetch === true, expiresS)
      },
      onNoAnswer: () => {
        this.#registering = false
        this.registered = false
        if (!this.#leaving) this.after(this.random.between(1_000, 8_000), () => this.register())
      },
    })
  }

  /** Ends the registration and every call, and begins nothing more. */
  leave(): void {
    this.#leaving = true
    for (const call of this.calls) call.hangUp('leaving')
    this.#unregister()
  }

  /** The process is about to die: the ledger says so. */
  onCrash(): void {
    for (const call of this.calls) call.forget('crash')
    for (const invite of this.ledger.invites)
      if (invite.agent === this.profile.name && invite.finals.length === 0) invite.crashed = true
  }

  /** Sends a request with Via, Max-Forwards and our name, and again with credentials when it is challenged. */
  send(request: SipText, way: Way, events: ClientEvents, attempt = 0): AgentClient {
    const branch = `z9hG4bK${this.mint()}`
    const { host, port } = this.profile
    const at = endpointText({ host, port, family: familyOf(host) })
    const via = `SIP/2.0/${transportOf(way)} ${at};branch=${branch};rport`
    request.remove('via').remove('max-forwards').remove('user-agent')
    request.headers.unshift(['via', via], ['max-forwards', '70'])
    request.add('user-agent', 'simulated')
    const key = `${branch} ${request.method}`
    const onResponse = (response: SipText): void => {
      const retried = attempt < AUTHORIZATIONS_MAX && this.#authorized(request, response)
      if (retried === false) events.onResponse(response)
      else this.send(retried, way, events, attempt + 1)
    }
    const record = {
      agent: this.profile.name,
      callId: request.callId,
      branch,
      sentMs: this.nowMs,
      finals: [] as string[],
      gaveUp: false,
      crashed: false,
    }
    const isInvite = request.method === 'INVITE'
    if (isInvite) this.ledger.invites.push(record)
    const client = new AgentClient(
      request,
      way,
      this.after,
      (text, to) => this.#wire.send(text, to),
      {
        onResponse: (response) => {
          const final = `${response.status}/${response.toTag}`
          if (response.status >= 200 && !record.finals.includes(final)) record.finals.push(final)
          onResponse(response)
        },
        onNoAnswer: () => {
          record.gaveUp = true
          events.onNoAnswer()
        },
      },
      () => {
        if (record.finals.length === 0) record.gaveUp = true
        this.#clients.delete(key)
      },
    )
    this.#clients.set(key, client)
    events.onSent?.(client)
    return client
  }

  /** CANCEL of a request of ours: same Via, same everything (RFC 3261 §9.1). */
  cancel(client: AgentClient): void {
    const invite = client.request
    const cancel = SipText.request('CANCEL', invite.uri)
    for (const name of ['via', 'route', 'max-forwards', 'from', 'to', 'call-id']) {
      for (const value of invite.all(name)) cancel.add(name, value)
    }
    cancel.add('cseq', `${invite.sequence} CANCEL`)
    const key = `${invite.branch} CANCEL`
    const events = { onResponse: () => {}, onNoAnswer: () => {} }
    const send = (text: string, to: Way): void => this.#wire.send(text, to)
    this.#clients.set(
      key,
      new AgentClient(cancel, client.way, this.after, send, events, () => this.#clients.delete(key)),
    )
  }

  /** Sends a message outside of any transaction: the ACK of a 2xx. */
  sendAck(ack: SipText, way: Way): string {
    const { host, port } = this.profile
    const at = endpointText({ host, port, family: familyOf(host) })
    const via = `SIP/2.0/${transportOf(way)} ${at};branch=z9hG4bK${this.mint()};rport`
    ack.headers.unshift(['via', via], ['max-forwards', '70'])
    const text = ack.toText()
    this.#wire.send(text, way)
    return text
  }

  resend(text: string, way: Way): void {
    this.#wire.send(text, way)
  }

  /** A response to `request` with the headers that RFC 3261 §8.2.6.2 wants. */
  response(request: SipText, status: number, toTag: string): SipText {
    const response = new SipText()
    response.status = status
    response.reason = REASONS[status] ?? 'Response'
    for (const [name, value] of request.headers) {
      if (name === 'via' || name === 'from' || name === 'call-id' || name === 'cseq') response.add(name, value)
      else if (name === 'record-route' && status > 100 && status < 300) response.add(name, value)
      else if (name === 'to') response.add(name, request.toTag === '' && status > 100 ? `${value};tag=${toTag}` : value)
    }
    return response
  }

  onMessage(message: SipText, way: Way): void {
    this.ledger.messages++
    if (message.isRequest) this.#onRequest(message, way)
    else {
      const client = this.#clients.get(`${message.branch} ${message.sequenceMethod}`)
      if (client !== undefined) client.receive(message)
      else this.ledger.strays.push(`${this.profile.name} ${message.status} ${message.get('cseq')} ${message.callId}`)
    }
  }

  onWayLost(connection: Connection): void {
    for (const client of [...this.#clients.values()]) if (client.way.connection === connection) client.onWayLost()
    if (!this.registered || this.profile.transport === 'udp') return
    // The binding is of no use without its connection.
    this.registered = false
    if (!this.#leaving) this.after(this.random.between(500, 5_000), () => this.register())
  }

  #onRequest(request: SipText, way: Way): void {
    const branch = request.branch
    const key = `${branch} ${request.method === 'ACK' || request.method === 'CANCEL' ? 'INVITE' : request.method}`
    const known = this.#servers.get(key)
    const call = [...this.calls].find((one) => one.matches(request))
    if (request.method === 'ACK') {
      if (known !== undefined && (known.final?.status ?? 0) >= 300) known.acknowledged = true
      else call?.onAck(request)
      return
    }
    if (request.method === 'CANCEL') {
      this.#serve(request, way, `${branch} CANCEL`)?.respond(
        this.response(request, known === undefined ? 481 : 200, this.mint()),
      )
      if (known !== undefined) for (const one of this.calls) if (one.isServing(known)) one.onCancel()
      return
    }
    const server = this.#serve(request, way, key)
    if (server === null) return
    if (call !== undefined) call.onRequest(server)
    else if (request.toTag !== '') server.respond(this.response(request, 481, request.toTag))
    else if (request.method === 'INVITE' && !this.#leaving) CallEnd.called(this, server, this.#answer(request))
    else if (request.method === 'INVITE') server.respond(this.response(request, 486, this.mint()))
    else if (request.method === 'OPTIONS') server.respond(this.response(request, 200, this.mint()))
    else server.respond(this.response(request, 405, this.mint()).add('allow', 'INVITE, ACK, CANCEL, BYE, OPTIONS'))
  }

  /** A new server transaction; null when the request is a copy, which is answered as before. */
  #serve(request: SipText, way: Way, key: string): AgentServer | null {
    const known = this.#servers.get(key)
    if (known !== undefined) {
      known.again()
      return null
    }
    const send = (text: string, to: Way): void => this.#wire.send(text, to)
    const server = new AgentServer(request, way, this.after, send, () => this.#servers.delete(key))
    this.#servers.set(key, server)
    return server
  }

  /** The request again with credentials, or false when the response is no challenge that we can answer. */
  #authorized(request: SipText, response: SipText): SipText | false {
    const { password, algorithm, address } = this.profile
    if (password === null || (response.status !== 401 && response.status !== 407)) return false
    const names =
      response.status === 401 ? ['www-authenticate', 'authorization'] : ['proxy-authenticate', 'proxy-authorization']
    const [challenge = '', credentials = ''] = names
    const user = address.split('@')[0] ?? ''
    const value = authorization(response.all(challenge), request, { user, password, algorithm }, this.random)
    if (value === null) return false
    const again = SipText.request(request.method, request.uri)
    again.headers.push(...request.headers.filter(([name]) => name !== credentials && name !== 'cseq'))
    again.body = request.body
    return again.add('cseq', `${request.sequence + 1} ${request.method}`).add(credentials, value)
  }

  #onRegistered(response: SipText, fetched: boolean, expiresS: number): void {
    this.#registering = false
    if (response.status >= 300) {
      this.registered = false
      const retryS = Number(response.get('retry-after').split(/[ ;(]/)[0] || 5)
      if (!this.#leaving) this.after(1_000 * Math.max(1, retryS) + this.random.between(0, 2_000), () => this.register())
      return
    }
    this.bindings = response.all('contact').map(uriOf)
    if (fetched) return
    this.registered = expiresS > 0 && !this.#leaving
    if (this.#leaving && expiresS > 0) this.#unregister()
    else if (this.registered) {
      const mine = response.all('contact').find((contact) => uriOf(contact) === uriOf(this.contact))
      const grantedS = Number(/;\s*expires=(\d+)/i.exec(mine ?? '')?.[1] ?? expiresS)
      this.after(grantedS * this.random.between(500, 900), () => {
        if (!this.#leaving) this.register()
      })
    }
  }

  #unregister(): void {
    this.registered = false
    if (this.profile.expiresS !== null) this.register({ expiresS: 0 })
  }
}

/** As Via has it. */
function transportOf(way: Way): string {
  if (way.connection === null) return 'UDP'
  return way.connection.secure ? 'TLS' : 'TCP'
}
