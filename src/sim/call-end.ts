// One end of a call at a simulated agent: the INVITE and its dialog (RFC 3261 §12–§15, RFC 3262, RFC 3311, RFC 4028).

import type { Agent } from '#sim/agent.ts'
import type { AgentMedia } from '#sim/agent-media.ts'
import type { AgentClient, AgentServer } from '#sim/agent-transactions.ts'
import { LIFETIME_MS, T1_MS } from '#sim/agent-transactions.ts'
import type { Way } from '#sim/agent-wire.ts'
import type { EndRecord } from '#sim/ledger.ts'
import { parameter, SipText, uriOf } from '#sim/sip-text.ts'

/** How a caller behaves. */
export interface CallPlan {
  /** Hangs up so long after the answer; null leaves it to the other side. */
  readonly talkMs: number | null
  /** Cancels so long after the INVITE when there is no answer. */
  readonly patienceMs: number
  /** No offer in the INVITE: the 2xx has it, the ACK the answer. */
  readonly delayedOffer: boolean
  /** Changes to the session so long after the answer. */
  readonly changes: readonly SessionChange[]
}

export interface SessionChange {
  readonly afterMs: number
  readonly method: 'INVITE' | 'UPDATE'
  readonly direction: 'sendonly' | 'sendrecv'
}

export type Outcome = 'answer' | 'busy' | 'decline' | 'unavailable' | 'redirect' | 'silent' | 'mute'

/** How a called agent behaves. */
export interface AnswerPlan {
  readonly outcome: Outcome
  /** 18x after so long; null sends none. */
  readonly ringAfterMs: number | null
  /** The final response after so long. */
  readonly afterMs: number
  readonly talkMs: number | null
  /** 18x with so many different To tags, as from a forking proxy downstream. */
  readonly forks: number
  /** Answers although a CANCEL came (the two crossed). */
  readonly ignoresCancel: boolean
  readonly changes: readonly SessionChange[]
  /** Where `redirect` points to. */
  readonly redirectTo: string
}

type State = 'inviting' | 'cancelling' | 'up' | 'ending' | 'ended'

const SESSION_EXPIRES_S = 90
/** Who calls it hears himself (DESIGN §5). */
export const ECHO_NUMBER = '600'
const STATUS: Readonly<Partial<Record<Outcome, number>>> = { busy: 486, decline: 603, unavailable: 503, redirect: 302 }

export class CallEnd {
  readonly record: EndRecord
  state: State = 'inviting'
  readonly #agent: Agent
  readonly #callId: string
  readonly #localTag: string
  #remoteTag = ''
  #remoteTarget = ''
  #routes: string[] = []
  #localParty = ''
  #remoteParty = ''
  #localSequence: number
  #remoteSequence = -1
  #client: AgentClient | null = null
  #server: AgentServer | null = null
  /** The ACK of our INVITE's 2xx, for its copies, by To tag. */
  readonly #acks = new Map<string, { text: string; way: Way }>()
  readonly #pracked = new Set<string>()
  /** An offer of ours or theirs is open. */
  #changing: AgentClient | null = null
  /** A 2xx of ours has no ACK yet. */
  #unacknowledged: AgentServer | null = null
  #answeredReliably = false
  #ignoresCancel = false
  #rseq = 0
  #unpracked = 0
  #sdpVersion = 0
  #direction = 'sendrecv'
  #sessionTask: { cancel(): void } | null = null
  #peerAllows = ''
  readonly #media: AgentMedia | null

  private constructor(agent: Agent, role: EndRecord['role'], callId: string, key: string, isEcho: boolean) {
    this.#agent = agent
    this.#callId = callId
    this.#localTag = agent.mint()
    this.#localSequence = agent.random.between(1, 1_000)
    this.record = {
      agent: agent.profile.name,
      role,
      key,
      callId,
      startedMs: agent.nowMs,
      answeredMs: -1,
      endedMs: -1,
      how: '',
      hungUp: '',
      status: 0,
      cancelled: false,
      media: null,
    }
    const number = agent.ledger.ends.push(this.record)
    const media = {
      number,
      isEcho,
      family: agent.profile.server.family,
      sent: 0,
      firstSentMs: -1,
      lastSentMs: -1,
      heldMs: -1,
      heard: new Map(),
    }
    this.#media = agent.media(media, () => this.#speaks)
    if (this.#media !== null) this.record.media = media
    agent.calls.add(this)
  }

  /** An outgoing call. */
  static toCall(agent: Agent, target: string, plan: CallPlan): CallEnd {
    const callId = agent.mint()
    const call = new CallEnd(agent, 'caller', callId, `key-${callId}`, target.startsWith(`sip:${ECHO_NUMBER}@`))
    call.#localParty = `"Caller" <sip:${agent.profile.address}>;tag=${call.#localTag}`
    call.#remoteParty = `<${target}>`
    call.#remoteTarget = target
    call.#invite(plan, null)
    agent.after(plan.patienceMs, () => call.#onImpatient())
    return call
  }

  /** An incoming call. */
  static called(agent: Agent, server: AgentServer, plan: AnswerPlan): CallEnd {
    const invite = server.request
    const call = new CallEnd(agent, 'callee', invite.callId, keyOf(invite), false)
    call.#server = server
    call.#remoteTag = invite.fromTag
    call.#remoteTarget = uriOf(invite.get('contact'))
    call.#routes = invite.all('record-route')
    call.#localParty = `${invite.get('to')};tag=${call.#localTag}`
    call.#remoteParty = invite.get('from')
    call.#remoteSequence = invite.sequence
    call.#peerAllows = invite.get('allow')
    call.#media?.describe(invite.body)
    call.#follow(plan)
    return call
  }

  /** Whether a request belongs to this dialog. */
  matches(request: SipText): boolean {
    return (
      request.callId === this.#callId &&
      request.toTag === this.#localTag &&
      (this.#remoteTag === '' || request.fromTag === this.#remoteTag)
    )
  }

  /** Whether `server` is the transaction of the INVITE that made this call. */
  isServing(server: AgentServer): boolean {
    return this.#server === server
  }

  hangUp(how: string): void {
    if (this.state === 'inviting' && this.record.role === 'caller') this.#onImpatient()
    else if (this.state === 'inviting') this.#refuse(486)
    else if (this.state === 'up') this.#bye(how)
  }

  /** The agent's process is gone; nothing is said on the wire. */
  forget(how: string): void {
    this.#end(how, '')
  }

  onRequest(server: AgentServer): void {
    const { request } = server
    // RFC 3261 §12.2.2: lower numbers than the last are out of order.
    if (request.sequence <= this.#remoteSequence) {
      server.respond(this.#agent.response(request, 500, this.#localTag))
      return
    }
    this.#remoteSequence = request.sequence
    this.#learn(request)
    if (request.method === 'BYE') this.#onBye(server)
    else if (request.method === 'PRACK') this.#onPrack(server)
    else if (request.method === 'INVITE' || request.method === 'UPDATE') this.#onChange(server)
    else if (request.method === 'OPTIONS' || request.method === 'INFO') this.#reply(server, 200)
    else this.#reply(server, 405)
  }

  onAck(ack: SipText): void {
    this.#learn(ack)
    this.#media?.describe(ack.body)
    if (this.#unacknowledged !== null && ack.sequence === this.#unacknowledged.request.sequence) {
      this.#unacknowledged.acknowledged = true
      this.#unacknowledged = null
    }
  }

  onCancel(): void {
    if (this.state !== 'inviting' || this.#server === null) return
    this.record.cancelled = true
    if (this.#ignoresCancel) return
    this.#server.respond(this.#agent.response(this.#server.request, 487, this.#localTag))
    this.#finish(487, 'cancelled', 'remote')
  }

  // ── calling ────────────────────────────────────────────────────────────────────────────────────────────

  #invite(plan: CallPlan, minSe: string | null): void {
    const { profile } = this.#agent
    const request = SipText.request('INVITE', this.#remoteTarget)
    request.add('from', this.#localParty).add('to', this.#remoteParty).add('call-id', this.#callId)
    request.add('cseq', `${++this.#localSequence} INVITE`).add('contact', this.#agent.contact)
    this.#addCapabilities(request)
    if (profile.sessionTimer) {
      request.add('session-expires', minSe ?? `${SESSION_EXPIRES_S}`)
      if (minSe !== null) request.add('min-se', minSe)
    }
    if (!plan.delayedOffer) this.#addSession(request)
    this.#agent.send(request, this.#agent.serverWay, {
      onSent: (client) => {
        this.#client = client
      },
      onResponse: (response) => this.#onInviteResponse(response, plan),
      onNoAnswer: () => this.#end('noAnswerAtAll', ''),
    })
  }

  #onInviteResponse(response: SipText, plan: CallPlan): void {
    this.#localSequence = Math.max(this.#localSequence, response.sequence)
    if (response.status < 200) {
      if (this.#acks.size === 0) this.#media?.describe(response.body)
      if (response.lists('require', '100rel')) this.#prack(response, plan)
      return
    }
    if (response.status < 300) {
      this.#onAnswered(response, plan)
      return
    }
    const minSe = response.get('min-se')
    if (response.status === 422 && minSe !== '' && this.state === 'inviting') this.#invite(plan, minSe)
    else this.#finish(response.status, this.record.cancelled ? 'cancelled' : 'refused', 'remote')
  }

  #onAnswered(response: SipText, plan: CallPlan): void {
    const known = this.#acks.get(response.toTag)
    if (known !== undefined) {
      this.#agent.resend(known.text, known.way)
      return
    }
    const first = this.#acks.size === 0
    const saved = { tag: this.#remoteTag, target: this.#remoteTarget, routes: this.#routes, party: this.#remoteParty }
    this.#adopt(response)
    const ack = this.#inDialog('ACK', response.sequence)
    if (plan.delayedOffer && !this.#answeredReliably) this.#addSession(ack)
    const way = this.#nextWay()
    this.#acks.set(response.toTag, { text: this.#agent.sendAck(ack, way), way })
    if (!first || this.state === 'ended') {
      // Another branch answered as well (or we had given up): RFC 3261 §13.2.2.4, this dialog is ended at once.
      this.#agent.send(this.#inDialog('BYE'), way, { onResponse: () => {}, onNoAnswer: () => {} })
      this.#remoteTag = saved.tag
      this.#remoteTarget = saved.target
      this.#routes = saved.routes
      this.#remoteParty = saved.party
      return
    }
    this.#media?.describe(response.body)
    this.record.status = response.status
    this.record.answeredMs = this.#agent.nowMs
    const leaving = this.state === 'cancelling'
    this.state = 'up'
    this.#learn(response)
    this.#watchSession(response, 'uac')
    if (leaving) this.#bye('answeredTooLate')
    else this.#talk(plan)
  }

  #prack(response: SipText, plan: CallPlan): void {
    const rack = `${response.get('rseq')} ${response.get('cseq')}`
    const id = `${response.toTag} ${rack}`
    if (this.#pracked.has(id)) return
    this.#pracked.add(id)
    if (this.#acks.size > 0) return
    this.#adopt(response)
    const request = this.#inDialog('PRACK').add('rack', rack)
    if (plan.delayedOffer && response.body !== '' && !this.#answeredReliably) {
      this.#answeredReliably = true
      this.#addSession(request)
    }
    this.#agent.send(request, this.#nextWay(), { onResponse: () => {}, onNoAnswer: () => {} })
  }

  #onImpatient(): void {
    if (this.state !== 'inviting' || this.#client === null) return
    this.state = 'cancelling'
    this.record.cancelled = true
    const cancel = (): void => {
      const client = this.#client
      if (this.state !== 'cancelling' || client === null) return
      // RFC 3261 §9.1: not before a provisional response.
      if (client.provisionals === 0) this.#agent.after(T1_MS, cancel)
      else {
        this.#agent.cancel(client)
        this.#agent.after(LIFETIME_MS, () => {
          if (this.state !== 'cancelling') return
          client.abandon()
          this.#end('cancelUnanswered', '')
        })
      }
    }
    cancel()
  }

  // ── called ─────────────────────────────────────────────────────────────────────────────────────────────

  #follow(plan: AnswerPlan): void {
    const server = this.#server
    if (server === null || plan.outcome === 'mute') return
    this.#ignoresCancel = plan.ignoresCancel
    server.respond(this.#agent.response(server.request, 100, this.#localTag))
    if (plan.ringAfterMs !== null) this.#agent.after(plan.ringAfterMs, () => this.#ring(plan.forks))
    if (plan.outcome === 'silent') return
    this.#agent.after(plan.afterMs, () => this.#decide(plan))
  }

  #ring(forks: number): void {
    if (this.state !== 'inviting' || this.#server === null || this.#server.final !== null) return
    const { request } = this.#server
    if (this.#agent.profile.reliable && request.lists('supported', '100rel')) {
      const response = this.#agent.response(request, 183, this.#localTag).add('require', '100rel')
      response.add('rseq', `${++this.#rseq}`).add('contact', this.#agent.contact)
      if (request.body !== '') {
        this.#answeredReliably = true
        this.#addSession(response)
      }
      this.#unpracked++
      this.#repeatReliable(this.#server, response, this.#rseq, T1_MS)
      return
    }
    for (let fork = 0; fork < forks; fork++) {
      const tag = fork === forks - 1 ? this.#localTag : this.#agent.mint()
      this.#server.respond(this.#agent.response(request, 180, tag).add('contact', this.#agent.contact))
    }
  }

  /** RFC 3262 §3: a reliable provisional response is repeated until its PRACK. */
  #repeatReliable(server: AgentServer, response: SipText, rseq: number, intervalMs: number): void {
    if (this.#unpracked === 0 || server.final !== null || this.state === 'ended') return
    if (intervalMs > LIFETIME_MS) {
      this.#refuse(500)
      return
    }
    server.respond(response)
    this.#agent.after(intervalMs, () => this.#repeatReliable(server, response, rseq, 2 * intervalMs))
  }

  #decide(plan: AnswerPlan): void {
    if (this.state !== 'inviting' || this.#server === null) return
    if (plan.outcome === 'answer') {
      // RFC 3262 §3: no 2xx while a description in a provisional response is not acknowledged.
      if (this.#unpracked > 0) this.#agent.after(T1_MS, () => this.#decide(plan))
      else this.#accept(plan)
      return
    }
    this.#refuse(STATUS[plan.outcome] ?? 480, plan.outcome === 'redirect' ? plan.redirectTo : '')
  }

  #accept(plan: AnswerPlan): void {
    const server = this.#server
    if (server === null) return
    const response = this.#agent.response(server.request, 200, this.#localTag).add('contact', this.#agent.contact)
    this.#addCapabilities(response)
    this.#addTimer(server.request, response)
    if (!this.#answeredReliably) this.#addSession(response)
    this.record.status = 200
    this.record.answeredMs = this.#agent.nowMs
    this.state = 'up'
    this.#watchSession(response, 'uas')
    this.#respondInvite(server, response)
    this.#talk(plan)
  }

  #refuse(status: number, contact = ''): void {
    if (this.#server === null) return
    const response = this.#agent.response(this.#server.request, status, this.#localTag)
    if (contact !== '') response.add('contact', `<${contact}>`)
    this.#server.respond(response)
    this.#finish(status, 'refused', 'local')
  }

  // ── in the dialog ──────────────────────────────────────────────────────────────────────────────────────

  #talk(plan: { readonly talkMs: number | null; readonly changes: readonly SessionChange[] }): void {
    if (plan.talkMs !== null) this.#agent.after(plan.talkMs, () => this.#bye('hungUp'))
    for (const change of plan.changes) this.#agent.after(change.afterMs, () => this.#change(change, 0))
  }

  #change(change: SessionChange, attempt: number): void {
    if (this.state !== 'up') return
    if (this.#changing !== null || this.#unacknowledged !== null) {
      if (attempt < 5) this.#agent.after(2_000, () => this.#change(change, attempt + 1))
      return
    }
    const method = change.method === 'UPDATE' && !/\bUPDATE\b/.test(this.#peerAllows) ? 'INVITE' : change.method
    const request = this.#inDialog(method).add('contact', this.#agent.contact)
    this.#addCapabilities(request)
    this.#turn(change.direction)
    this.#addSession(request)
    if (this.#agent.profile.sessionTimer) request.add('session-expires', `${SESSION_EXPIRES_S}`)
    this.#sendChange(request, (response) => {
      // RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, the other side up to 2 s.
      if (response.status !== 491 || attempt >= 5) return
      const { random } = this.#agent
      const waitMs = this.record.role === 'caller' ? random.between(2_100, 4_000) : random.between(0, 2_000)
      this.#agent.after(waitMs, () => this.#change(change, attempt + 1))
    })
  }

  #sendChange(request: SipText, onFinal: (response: SipText) => void): void {
    const way = this.#nextWay()
    const client = this.#agent.send(request, way, {
      onResponse: (response) => {
        this.#localSequence = Math.max(this.#localSequence, response.sequence)
        if (response.status < 200) return
        if (request.method === 'INVITE' && response.status < 300) {
          const id = `${response.toTag} ${response.sequence}`
          const known = this.#acks.get(id)
          if (known !== undefined) {
            this.#agent.resend(known.text, known.way)
            return
          }
          this.#learn(response)
          if (response.get('contact') !== '') this.#remoteTarget = uriOf(response.get('contact'))
          const ack = this.#inDialog('ACK', response.sequence)
          this.#acks.set(id, { text: this.#agent.sendAck(ack, way), way })
        }
        if (this.#changing === client) this.#changing = null
        if (response.status < 300) {
          this.#media?.describe(response.body)
          this.#watchSession(response, 'uac')
        }
        // RFC 3261 §12.2.1.2: these say that the dialog is gone.
        if (response.status === 481 || response.status === 408) this.#bye('refreshFailed')
        else onFinal(response)
      },
      onNoAnswer: () => {
        if (this.#changing === client) this.#changing = null
        this.#bye('refreshFailed')
      },
    })
    this.#changing = client
  }

  #onChange(server: AgentServer): void {
    const { request } = server
    if (this.state !== 'up') {
      // An UPDATE in the early dialog is a thing we do not offer.
      this.#reply(server, this.state === 'inviting' ? 491 : 481)
      return
    }
    if (this.#changing !== null || this.#unacknowledged !== null) {
      this.#reply(server, 491)
      return
    }
    if (request.get('contact') !== '') this.#remoteTarget = uriOf(request.get('contact'))
    const response = this.#agent.response(request, 200, this.#localTag).add('contact', this.#agent.contact)
    this.#addCapabilities(response)
    this.#addTimer(request, response)
    if (request.body !== '' || request.method === 'INVITE') {
      const offered = /\na=(sendonly|recvonly|inactive|sendrecv)/.exec(request.body)?.[1] ?? 'sendrecv'
      this.#turn(offered === 'sendonly' ? 'recvonly' : offered === 'recvonly' ? 'sendonly' : offered)
      this.#media?.describe(request.body)
      this.#addSession(response)
    }
    this.#watchSession(response, 'uas')
    if (request.method === 'INVITE') this.#respondInvite(server, response)
    else server.respond(response)
  }

  #respondInvite(server: AgentServer, response: SipText): void {
    this.#unacknowledged = server
    server.respond(response)
    this.#agent.after(LIFETIME_MS, () => {
      // RFC 3261 §13.3.1.4: no ACK came, the session is ended.
      if (this.#unacknowledged === server) this.#bye('noAck')
    })
  }

  #onPrack(server: AgentServer): void {
    this.#reply(server, 200)
    this.#media?.describe(server.request.body)
    this.#unpracked = 0
  }

  #onBye(server: AgentServer): void {
    this.#reply(server, 200)
    if (this.state === 'inviting' && this.#server !== null) this.#refuse(487)
    // §15.1.2 for a caller: the 2xx was lost; its copies may still come and are acknowledged.
    else if (this.state === 'inviting' || this.state === 'cancelling') this.#end('hungUp', 'remote')
    else if (this.state === 'up') this.#end('hungUp', 'remote')
    else if (this.state === 'ending') this.#end('crossed', 'remote')
  }

  #bye(how: string): void {
    if (this.state !== 'up') return
    // §15: a callee waits for the ACK of its 2xx, or until it will not come any more.
    if (
      this.record.role === 'callee' &&
      this.#unacknowledged !== null &&
      how !== 'noAck' &&
      !this.#agent.profile.hasty
    ) {
      this.#agent.after(T1_MS, () => this.#bye(how))
      return
    }
    this.state = 'ending'
    this.record.endedMs = this.#agent.nowMs
    const end = (): void => this.#end(how, 'local')
    this.#agent.send(this.#inDialog('BYE'), this.#nextWay(), {
      onResponse: (response) => {
        if (response.status >= 200) end()
      },
      onNoAnswer: end,
    })
  }

  #reply(server: AgentServer, status: number): void {
    server.respond(this.#agent.response(server.request, status, this.#localTag))
  }

  // ── session timer (RFC 4028) ───────────────────────────────────────────────────────────────────────────

  /** UAS: accepts what is asked; the refresher is the caller where it can, else we. */
  #addTimer(request: SipText, response: SipText): void {
    const asked = request.get('session-expires')
    if (asked === '' || !this.#agent.profile.sessionTimer) return
    const able = request.lists('supported', 'timer')
    const wanted = parameter(asked, 'refresher')
    const refresher = wanted !== '' ? wanted : able && this.#agent.random.chance(0.7) ? 'uac' : 'uas'
    response.add('session-expires', `${Number.parseInt(asked, 10)};refresher=${refresher}`)
    if (refresher === 'uac') response.add('require', 'timer')
  }

  #watchSession(response: SipText, role: 'uac' | 'uas'): void {
    this.#sessionTask?.cancel()
    this.#sessionTask = null
    const value = response.get('session-expires')
    if (value === '' || !this.#agent.profile.sessionTimer) return
    const seconds = Number.parseInt(value, 10)
    if (parameter(value, 'refresher') === role) {
      this.#sessionTask = this.#agent.after(500 * seconds, () => this.#refresh(seconds, 0))
    } else {
      const slackS = Math.min(32, seconds / 3)
      this.#sessionTask = this.#agent.after(1_000 * (seconds - slackS), () => this.#bye('sessionExpired'))
    }
  }

  #refresh(seconds: number, attempt: number): void {
    if (this.state !== 'up') return
    if (this.#changing !== null || this.#unacknowledged !== null) {
      this.#sessionTask = this.#agent.after(2_000, () => this.#refresh(seconds, attempt))
      return
    }
    const method = /\bUPDATE\b/.test(this.#peerAllows) ? 'UPDATE' : 'INVITE'
    const request = this.#inDialog(method).add('contact', this.#agent.contact)
    this.#addCapabilities(request)
    request.add('session-expires', `${seconds};refresher=uac`)
    if (method === 'INVITE') this.#addSession(request)
    this.#sendChange(request, (response) => {
      if (response.status < 300 || attempt >= 5) return
      this.#sessionTask = this.#agent.after(2_100 + this.#agent.random.between(0, 1_000), () =>
        this.#refresh(seconds, attempt + 1),
      )
    })
  }

  // ── parts of messages ──────────────────────────────────────────────────────────────────────────────────

  #inDialog(method: string, sequence = 0): SipText {
    const request = SipText.request(method, this.#remoteTarget)
    for (const route of this.#routes) request.add('route', route)
    request.add('from', this.#localParty).add('to', this.#remoteParty).add('call-id', this.#callId)
    return request.add('cseq', `${sequence || ++this.#localSequence} ${method}`)
  }

  #nextWay(): Way {
    const first = this.#routes[0]
    return this.#agent.wayTo(first === undefined ? this.#remoteTarget : uriOf(first))
  }

  #adopt(response: SipText): void {
    this.#remoteTag = response.toTag
    this.#remoteParty = response.get('to')
    if (response.get('contact') !== '') this.#remoteTarget = uriOf(response.get('contact'))
    this.#routes = response.all('record-route').reverse()
  }

  #addCapabilities(message: SipText): void {
    const { reliable, sessionTimer, allowUpdate } = this.#agent.profile
    const supported = [reliable ? '100rel' : '', sessionTimer ? 'timer' : ''].filter((one) => one !== '')
    message.add(
      'allow',
      `INVITE, ACK, CANCEL, BYE, OPTIONS${allowUpdate ? ', UPDATE' : ''}${reliable ? ', PRACK' : ''}`,
    )
    if (supported.length > 0) message.add('supported', supported.join(', '))
  }

  #addSession(message: SipText): void {
    const { host, index } = this.#agent.profile
    const family = host.includes(':') ? 'IP6' : 'IP4'
    const lines = [
      'v=0',
      `o=- ${1_000 + index} ${++this.#sdpVersion} IN ${family} ${host}`,
      `s=${this.record.key === '' ? '-' : this.record.key}`,
      `c=IN ${family} ${host}`,
      't=0 0',
      `m=audio ${this.#media?.port ?? 40_000} RTP/AVP 8 0`,
      `a=${this.#direction}`,
    ]
    message.add('content-type', 'application/sdp')
    message.body = `${lines.join('\r\n')}\r\n`
  }

  /** A caller speaks to whoever described himself; a callee that is called without a description has told none before the answer. */
  get #speaks(): boolean {
    if (this.state === 'up') return true
    return this.state === 'inviting' && (this.record.role === 'caller' || this.#answeredReliably)
  }

  #turn(direction: string): void {
    this.#direction = direction
    this.#media?.turn(direction)
  }

  #learn(message: SipText): void {
    if (this.record.role === 'callee' && this.record.key === '') this.record.key = keyOf(message)
    if (message.get('allow') !== '') this.#peerAllows = message.get('allow')
  }

  #finish(status: number, how: string, hungUp: EndRecord['hungUp']): void {
    this.record.status = status
    this.#end(how, hungUp)
  }

  #end(how: string, hungUp: EndRecord['hungUp']): void {
    if (this.state === 'ended') return
    this.state = 'ended'
    this.#media?.close()
    this.record.how = how
    this.record.hungUp = hungUp
    if (this.record.endedMs < 0) this.record.endedMs = this.#agent.nowMs
    this.#sessionTask?.cancel()
    if (this.#unacknowledged !== null) this.#unacknowledged.acknowledged = true
    // Copies of what came late are still answered from the transactions; the end itself is kept for them a while.
    this.#agent.after(LIFETIME_MS, () => this.#agent.calls.delete(this))
  }
}

/** The key that the caller put into its session name; '' when the message has no description. */
function keyOf(message: SipText): string {
  return /^s=(key-\S+)/m.exec(message.body)?.[1] ?? ''
}
