// The switch: composes border, access, routing and call over one SIP stack, and dispatches every new request (RFC 3261 §8.2).

import { Authenticator } from '#access/authenticator.ts'
import { KeepAlive } from '#access/keep-alive.ts'
import { Location } from '#access/location.ts'
import { Registrar } from '#access/registrar.ts'
import { PeerAddresses, type PeerName } from '#border/peer-addresses.ts'
import {
  forwardsLeft,
  isLoop,
  loopMark,
  type Refusal,
  screenExtensions,
  screenInvite,
  screenRequest,
} from '#border/request-screen.ts'
import { TrunkLoad } from '#border/trunk-load.ts'
import { Call } from '#call/call.ts'
import type {
  CallFacts,
  CallHost,
  CallImage,
  CallPlan,
  CallRefusal,
  CallSummary,
  CdrFacts,
  KeptCall,
} from '#call/call-host.ts'
import type { CallerIdentity } from '#call/caller-identity.ts'
import { ServiceCall } from '#call/service-call.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import { endpointText, type TlsContext } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { randomToken, uniform } from '#core/random.ts'
import type { GatewayRow } from '#media/gateway-pool.ts'
import type { MediaPort } from '#media/media-port.ts'
import type { Ingress } from '#routing/route.ts'
import type { Snapshot } from '#routing/snapshot.ts'
import type { Flow, TransportName } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import { InviteServerTransaction } from '#sip/invite-server-transaction.ts'
import { LateAnswers } from '#sip/late-answers.ts'
import { Locator } from '#sip/locator.ts'
import type { Request } from '#sip/message.ts'
import type { NameAddr } from '#sip/name-addr.ts'
import { reasonPhrase } from '#sip/response-writer.ts'
import type { ServerTransaction } from '#sip/server-transaction.ts'
import { SESSION_METHODS } from '#sip/session.ts'
import { answerSessionTimer, type SessionTimerSettings } from '#sip/session-timer.ts'
import type { SipStack } from '#sip/stack.ts'
import { type RequestUser, TransactionLayer } from '#sip/transaction-layer.ts'
import { parseUri } from '#sip/uri.ts'
import { CallFaults } from '#switch/call-faults.ts'
import { CallJournal } from '#switch/call-journal.ts'
import { CallPlanner } from '#switch/call-planner.ts'
import { CdrJournal, type InterruptedCall, interruptedStop } from '#switch/cdr-journal.ts'
import { MediaPlan } from '#switch/media-plan.ts'
import { MessageRelay, type RelayOwner } from '#switch/message-relay.ts'
import { peerAt, peerSender, type Sender, subscriberSender } from '#switch/sender.ts'
import { SessionIndex } from '#switch/session-index.ts'

/** After a restart the sides of calls that were up are asked whether they are still there, in milliseconds. */
const PROBE_AFTER_MS = 5_000
const PROBE_SPREAD_MS_MIN = 2_000
/** How long a start waits for the addresses of peers with names. */
const PEERS_WAIT_MS = 800
/** Messages at a time that are on their way; more are answered with 503. */
const MESSAGE_RELAYS_MAX = 10_000
/** How often, and for how long, a drained switch looks whether the last BYE has been answered: 64·T1 ends every request. */
const DRAIN_LOOK_MS = 100
const DRAIN_LOOKS_MAX = 320
/** Seconds that a caller refused for load is asked to wait. */
const RETRY_AFTER_S = 5

const ALLOW = `${SESSION_METHODS}, REGISTER`
const OPTIONS_LINES = `Allow: ${ALLOW}\r\nAccept: application/sdp\r\nSupported: timer, 100rel, path, outbound\r\n`

/** Who runs the switch. */
export interface SwitchObserver {
  /** Every listener is bound: "udp:192.0.2.1:5060" … */
  onReady(listening: readonly string[]): void
  /** It cannot do its work; it has stopped. */
  onFatal(reason: string): void
  /** Draining, the last call has ended and its last requests are answered. Once; stopping is safe then. */
  onDrained(): void
}

export interface SwitchOptions {
  readonly nodeId: string
  /** 0–35: written into every identifier that this process mints. */
  readonly shard: number
  readonly tls: TlsContext | null
  /** This machine's numeric addresses, preferred first. */
  readonly machineAddresses?: readonly string[]
  /** Where the embedded media gateway takes commands, `udp:127.0.0.1:2223`; null while there is none. */
  readonly embeddedGateway?: string | null
}

export interface SwitchStatus {
  readonly ready: boolean
  readonly reason: string
  readonly listening: readonly string[]
  readonly calls: number
  readonly registrations: number
  readonly draining: boolean
  readonly configVersion: string
  /** Media gateways; none while media goes end to end. */
  readonly gateways: readonly GatewayRow[]
}

export interface CallRow {
  readonly callId: string
  readonly state: string
  readonly caller: string
  readonly callee: string
  readonly callerNumber: string | null
  readonly calledNumber: string | null
  readonly ingressTrunkGroup: string | null
  readonly egressTrunkGroup: string | null
  readonly invitedAt: number
  readonly answeredAt: number | null
}

export interface RegistrationRow {
  readonly aor: string
  readonly contact: string
  readonly transport: string
  readonly source: string
  readonly expiresAt: number
  readonly userAgent: string
}

/** What is held right now, for audits: all zero at idle but for listeners and registrations. */
export interface SwitchAudit {
  readonly serverTransactions: number
  readonly clientTransactions: number
  readonly calls: number
  readonly sessions: number
  readonly relays: number
  readonly trunkChannels: number
  /** Media of calls, and of those whose record waits for its last facts. */
  readonly mediaSessions: number
}

type State = 'starting' | 'running' | 'draining' | 'stopped'

/** Where a call came from. */
interface Origin {
  /** For what is routed later: redirections. */
  readonly ingress: Ingress
  /** The trunk group that it holds a channel of for its caller, or null. */
  readonly channel: string | null
}

/** A call of a trunk group beyond its bounds; Q.850 cause 34: no circuit available. */
const TRUNK_GROUP_FULL: CallRefusal = {
  status: 503,
  reason: 'Service Unavailable',
  code: 'TRUNK_CHANNELS_MAX',
  q850Cause: 34,
  calledNumber: null,
  headers: `Retry-After: ${RETRY_AFTER_S}\r\n`,
}

export class Switch implements RequestUser, CallHost, RelayOwner, TimerOwner {
  readonly stack: SipStack
  readonly sessions = new SessionIndex()
  readonly #mediaPlan: MediaPlan
  readonly #ports: Ports
  readonly #observer: SwitchObserver
  readonly #journal: CdrJournal
  readonly #callJournal: CallJournal
  /** Calls of an earlier process whose paths are not found again yet. */
  readonly #resumed = new Map<Call, CallImage>()
  readonly #location: Location
  readonly #authenticator: Authenticator
  readonly #registrar: Registrar
  readonly #keepAlive: KeepAlive
  readonly #planner: CallPlanner
  readonly #peerAddresses: PeerAddresses
  readonly #trunks: TrunkLoad
  readonly #calls = new Map<Call | ServiceCall, Origin>()
  readonly #relays = new Set<MessageRelay>()
  readonly #callsStarted: Counter
  readonly #callsAnswered: Counter
  readonly #faults: Counter
  readonly #refusals = new Map<string, Counter>()
  #snapshot: Snapshot
  #state: State = 'starting'
  #reason = 'starting'
  /** Second of `Clock.now` that `#startedInSecond` counts. */
  #second = 0
  #startedInSecond = 0
  readonly #loopKey: string
  readonly #drainLook = new Timer(this)
  readonly #peersWait = new Timer(this)
  #drainLooks = 0
  #drained = false

  /** Throws when the data folder can be neither read nor written: the process cannot do its work then. */
  constructor(ports: Ports, snapshot: Snapshot, options: SwitchOptions, observer: SwitchObserver) {
    this.#ports = ports
    this.#snapshot = snapshot
    this.#observer = observer
    const { settings } = snapshot
    const faults = new CallFaults((error) => this.#noteFault(error))
    this.#loopKey = randomToken(ports.random)
    const transportSettings = {
      listen: settings.listen.filter(isSpoken),
      advertise: settings.sip.advertise,
      machineAddresses: options.machineAddresses ?? [],
      udpSizeMax: settings.sip.udpSizeMax,
      tls: options.tls,
      limits: {
        connectionsMax: settings.limits.connectionsMax,
        connectionsPerAddressMax: settings.limits.connectionsPerAddressMax,
      },
    }
    const shard = options.shard.toString(36)
    const layer = new TransactionLayer(ports, transportSettings, faults, shard, this)
    const families = new Set<4 | 6>(settings.listen.map((listen) => (listen.host.includes(':') ? 6 : 4)))
    const transports = new Set(transportSettings.listen.map((listen) => listen.transport))
    const locator = new Locator(ports, { transports: [...transports], families: [...families] })
    const lateAnswers = new LateAnswers(layer, locator)
    layer.transactionsMax = settings.limits.transactionsMax
    this.stack = { clock: ports.clock, random: ports.random, faults, layer, locator, lateAnswers }
    this.#journal = new CdrJournal(ports, {
      nodeId: options.nodeId,
      recordsPerFileMax: settings.cdr.fileRecordsMax,
    })
    this.#callJournal = new CallJournal(ports)
    this.#location = new Location(ports)
    this.#authenticator = new Authenticator(
      ports,
      { find: (user) => this.#credentialsOf(user) },
      this.#authenticatorSettings(),
    )
    this.#registrar = new Registrar(ports, this.#location, this.#authenticator, this.#registrarSettings())
    this.#keepAlive = new KeepAlive(ports, this.#location, layer.transport, this.#keepAliveSettings())
    this.#peerAddresses = new PeerAddresses(ports, () => this.#onPeersKnown())
    this.#planner = new CallPlanner(this.#location, layer.transport, this.#peerAddresses)
    this.#trunks = new TrunkLoad(ports.clock)
    this.#mediaPlan = new MediaPlan(ports, snapshot, options.embeddedGateway ?? null, options.nodeId)
    const { counters } = ports
    this.#callsStarted = counters.counter('carillon_calls_total', 'Calls admitted.')
    this.#callsAnswered = counters.counter('carillon_calls_answered_total', 'Calls answered.')
    this.#faults = counters.counter('carillon_faults_total', 'Broken invariants; each ended one call.')
    counters.gauge('carillon_calls', 'Calls up or being set up.', () => this.#calls.size)
    counters.gauge('carillon_sessions', 'Dialogs held.', () => this.sessions.size)
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  start(): void {
    this.#mediaPlan.start()
    this.#watchPeers()
    // A peer with a name is a stranger until its name is known: its calls would be challenged, and lost.
    if (this.#peerAddresses.isRunning) this.stack.clock.arm(this.#peersWait, 'peers', PEERS_WAIT_MS)
    else this.#listen()
  }

  /** Calls of the process before this one go on from here: what they send has a way, and what comes finds them. */
  #listen(): void {
    this.#resumeCalls()
    this.stack.layer.transport.start()
  }

  #onPeersKnown(): void {
    if (!this.#peersWait.armed) return
    this.stack.clock.cancel(this.#peersWait)
    this.#listen()
  }

  onListening(): void {
    this.#state = 'running'
    this.#reason = ''
    for (const [call, image] of this.#resumed) call.reconnect(image)
    this.#resumed.clear()
    this.#observer.onReady(this.#listening())
  }

  onListenFailed(reason: string): void {
    this.#reason = `cannot listen: ${reason}`
    this.stop()
    this.#observer.onFatal(this.#reason)
  }

  /** Takes a new configuration as a whole. Listening addresses change with the next start only. */
  replaceSnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot
    this.#authenticator.replaceSettings(this.#authenticatorSettings())
    this.#registrar.replaceSettings(this.#registrarSettings())
    this.#keepAlive.replaceSettings(this.#keepAliveSettings())
    this.#trunks.keepOnly(snapshot.trunkGroups)
    this.#mediaPlan.replaceSnapshot(snapshot)
    this.stack.layer.transactionsMax = snapshot.settings.limits.transactionsMax
    this.#watchPeers()
  }

  /** The embedded media gateway takes commands there now; null: it is gone, and its calls are to be moved. */
  setEmbeddedGateway(address: string | null): void {
    this.#mediaPlan.setEmbedded(address)
  }

  /** The media of a new call. */
  get media(): MediaPort {
    return this.#mediaPlan.port
  }

  replaceTls(tls: TlsContext): void {
    this.stack.layer.transport.replaceTls(tls)
  }

  /** Refuses new calls; {@link SwitchObserver.onDrained} when the last one has ended. */
  drain(): void {
    if (this.#state !== 'running') return
    this.#state = 'draining'
    this.#reason = 'draining'
    this.#checkDrained()
  }

  /** Ends every call at once and closes what is open. */
  stop(): void {
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    this.stack.clock.cancel(this.#drainLook)
    this.stack.clock.cancel(this.#peersWait)
    for (const call of [...this.#calls.keys()]) call.terminate('NODE_STOPPED')
    this.#keepAlive.stop()
    this.#peerAddresses.stop()
    this.stack.locator.stop()
    this.stack.layer.transport.stop()
    this.#mediaPlan.stop()
    this.#location.close()
    this.#journal.close()
    this.#callJournal.close()
  }

  status(): SwitchStatus {
    return {
      ready: this.#state === 'running',
      reason: this.#reason,
      listening: this.#listening(),
      calls: this.#calls.size,
      registrations: this.#location.count,
      draining: this.#state === 'draining',
      configVersion: this.#snapshot.version,
      gateways: this.#mediaPlan.rows(),
    }
  }

  audit(): SwitchAudit {
    return {
      ...this.stack.layer.audit(),
      calls: this.#calls.size,
      sessions: this.sessions.size,
      relays: this.#relays.size,
      trunkChannels: this.#trunks.total,
      mediaSessions: this.#mediaPlan.sessions,
    }
  }

  /** The calls that are up or being set up, oldest first. */
  calls(limit = 1_000): CallRow[] {
    const rows: CallRow[] = []
    for (const call of this.#calls.keys()) {
      if (rows.length >= limit) break
      rows.push({ ...call.record.row, state: call.state })
    }
    return rows
  }

  registrations(limit: number): RegistrationRow[] {
    const rows: RegistrationRow[] = []
    for (const aor of this.#location.aors()) {
      for (const binding of this.#location.bindings(aor)) {
        if (rows.length >= limit) return rows
        const { contact, transport, remote, expiresAtMs, userAgent } = binding
        rows.push({ aor, contact, transport, source: endpointText(remote), expiresAt: expiresAtMs, userAgent })
      }
    }
    return rows
  }

  // ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────

  onRequest(transaction: ServerTransaction): void {
    const { request } = transaction
    if (this.#state === 'stopped') {
      transaction.refuse(503)
      return
    }
    if (request.to.tag !== null) {
      this.#onDialogRequest(transaction)
      return
    }
    const refusal = screenRequest(request)
    if (refusal !== null) {
      this.#refuse(transaction, refusal)
      return
    }
    switch (request.method) {
      case 'INVITE':
        if (transaction instanceof InviteServerTransaction) this.#onInvite(transaction)
        return
      case 'REGISTER':
        this.#registrar.onRequest(transaction)
        return
      case 'OPTIONS':
        this.#onOptions(transaction)
        return
      case 'MESSAGE':
        this.#onMessage(transaction)
        return
      case 'BYE':
      case 'PRACK':
      case 'UPDATE':
      case 'INFO':
        transaction.respond(481)
        return
      case 'SUBSCRIBE':
        transaction.respond(489, undefined, `Allow: ${ALLOW}\r\n`)
        return
      case 'REFER':
      case 'NOTIFY':
      case 'PUBLISH':
        transaction.respond(405, undefined, `Allow: ${ALLOW}\r\n`)
        return
      default:
        transaction.respond(501, undefined, `Allow: ${ALLOW}\r\n`)
    }
  }

  onAck(request: Request, _flow: Flow): void {
    this.sessions.find(request)?.receiveAck(request)
  }

  onFault(error: unknown): void {
    this.#noteFault(error)
  }

  /** A timer's owner threw: ends the call that it belongs to. False when it belongs to none. */
  endFaulty(error: unknown): boolean {
    return this.stack.faults.report(error)
  }

  onTimer(name: string): void {
    if (name === 'peers') {
      this.#listen()
      return
    }
    this.#drainLooks += 1
    const isBusy = this.stack.layer.waiting > 0 || this.#mediaPlan.sessions > 0
    if (isBusy && this.#drainLooks < DRAIN_LOOKS_MAX) {
      this.stack.clock.arm(this.#drainLook, 'drained', DRAIN_LOOK_MS)
      return
    }
    this.#drained = true
    this.#observer.onDrained()
  }

  #onDialogRequest(transaction: ServerTransaction): void {
    const session = this.sessions.find(transaction.request)
    if (session === null) {
      transaction.refuse(481) // §12.2.2.
      return
    }
    const refusal = screenExtensions(transaction.request)
    if (refusal !== null) this.#refuse(transaction, refusal)
    else session.receive(transaction)
  }

  #onOptions(transaction: ServerTransaction): void {
    const { uri } = transaction.request
    if (uri.scheme !== 'tel' && !this.#snapshot.isOwnHost(uri.host)) {
      if (forwardsLeft(transaction.request) === null) transaction.respond(483)
      else transaction.respond(404)
      return
    }
    transaction.respond(200, 'OK', OPTIONS_LINES)
  }

  // ── Calls ───────────────────────────────────────────────────────────────────────────────────────────────────

  #onInvite(transaction: InviteServerTransaction): void {
    const { request } = transaction
    const maxForwards = forwardsLeft(request)
    const mark = loopMark(request, this.#loopKey)
    const refusal =
      this.#screenLoad() ??
      (maxForwards === null ? { status: 483, code: 'SIP_MAX_FORWARDS', headers: '' } : null) ??
      (isLoop(request, mark) ? { status: 482, code: 'SIP_LOOP', headers: '' } : null) ??
      screenInvite(request) ??
      screenReplaces(request) ??
      screenSessionTimer(request, this.#snapshot.settings.sip)
    if (refusal !== null) {
      this.#refuse(transaction, refusal)
      return
    }
    const sender = this.#identify(transaction, request)
    if (sender === null) return
    const snapshot = this.#snapshot
    const facts = this.#callFacts(snapshot, sender, mark, maxForwards ?? 0)
    const { ingress } = sender
    this.#startedInSecond += 1
    const group = facts.ingressTrunkGroup
    const isBlocked = group !== null && !this.seizeTrunk(group)
    const plan = isBlocked ? TRUNK_GROUP_FULL : this.#planner.plan(request.uri, ingress, sender.caller.number, snapshot)
    const origin = { ingress, channel: isBlocked ? null : group }
    this.#callsStarted.add()
    if ('service' in plan) {
      const call = new ServiceCall(this, facts, transaction, plan)
      this.#calls.set(call, origin)
      call.start()
      return
    }
    const call = Call.invited(this, facts, transaction)
    this.#calls.set(call, origin)
    if ('stages' in plan) call.start(plan)
    else call.refuse(plan)
  }

  /**
   * Whether there is room for one more call. Only calls that are admitted count against `callsPerSecondMax`: strangers could
   * use it up otherwise, without a password.
   */
  #screenLoad(): Refusal | null {
    const { limits } = this.#snapshot.settings
    if (this.#state === 'draining') return overload('NODE_DRAINING')
    if (this.#calls.size >= limits.callsMax) return overload('CALLS_MAX')
    if (!this.#journal.accepting) return overload('CDR_STORE_FAILING')
    const second = Math.floor(this.stack.clock.now() / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#startedInSecond = 0
    }
    return this.#startedInSecond >= limits.callsPerSecondMax ? overload('CALLS_PER_SECOND_MAX') : null
  }

  /** Who sends this: a configured peer by its address, or a subscriber by digest. Null: it has been answered. */
  #identify(transaction: ServerTransaction, request: Request): Sender | null {
    const { flow } = transaction
    const snapshot = this.#snapshot
    const peer = peerAt(flow, snapshot, this.#peerAddresses)
    if (peer !== null) return peerSender(request, peer)
    const outcome = this.#authenticator.authenticate(request, flow.remote, 'proxy')
    if (!outcome.ok) {
      this.#countRefusal(outcome.code)
      transaction.refuse(outcome.status, outcome.reason, outcome.headers)
      return null
    }
    const subscriber = snapshot.subscriberByUser(outcome.user)
    if (subscriber !== null) return subscriberSender(request, subscriber, snapshot.settings.domain)
    transaction.refuse(403)
    return null
  }

  #callFacts(snapshot: Snapshot, sender: Sender, mark: string, maxForwards: number): CallFacts {
    const { settings } = snapshot
    const { ingress } = sender
    return {
      caller: sender.caller,
      callerName: sender.name,
      ingressTrunkGroup: ingress.kind === 'trunkGroup' ? ingress.name : null,
      pinCaller: ingress.kind === 'subscriber',
      configVersion: snapshot.version,
      domain: settings.domain,
      userAgent: settings.sip.userAgent,
      sessionTimer: settings.sip,
      durationMaxMs: settings.call.durationMaxS * 1_000,
      intermediateMs: settings.cdr.intermediateS * 1_000,
      redirects: settings.call.redirects,
      redirectsMax: settings.call.redirectsMax,
      loopMark: mark,
      maxForwards,
    }
  }

  /**
   * Goes on with the calls that an earlier process answered. One that was not at rest yet when it died, or that nobody can
   * read, is closed: its record says so.
   */
  #resumeCalls(): void {
    const resumed = new Set<string>()
    for (const interrupted of this.#journal.interrupted) {
      const { start } = interrupted
      const record = this.#callJournal.findRecord(start.callId)
      const image = this.#callJournal.find(start.callId)
      if (record !== null) this.#journal.append(record)
      else if (image === null) this.#journal.append(interruptedStop(interrupted))
      else {
        this.#resume(interrupted, image)
        resumed.add(start.callId)
      }
    }
    this.#callJournal.keepOnly(resumed)
    if (resumed.size > 0) this.#ports.log.event('info', 'CALLS_RESUMED', { calls: resumed.size })
  }

  /** Not before calls that end by themselves have done so, and not all at once: a thousand a second. */
  #probeDelay(): number {
    const spreadMs = Math.max(PROBE_SPREAD_MS_MIN, this.#journal.interrupted.length)
    return PROBE_AFTER_MS + uniform(this.stack.random, spreadMs)
  }

  #resume({ start, evidenceAt }: InterruptedCall, image: CallImage): void {
    const { ingressTrunkGroup, egressTrunkGroup } = start
    const user = parseUri(start.caller)?.user ?? ''
    const ingress: Ingress =
      ingressTrunkGroup === null ? { kind: 'subscriber', user } : { kind: 'trunkGroup', name: ingressTrunkGroup }
    const caller: CallerIdentity = {
      user,
      displayName: '',
      assertedName: '',
      asserted: true,
      restricted: false,
      number: start.callerNumber,
    }
    const sender = { ingress, caller, name: start.caller }
    const facts = this.#callFacts(this.#snapshot, sender, '', 0)
    const call = Call.resumed(
      this,
      { ...facts, configVersion: start.configVersion },
      start,
      evidenceAt,
      image,
      this.#probeDelay(),
    )
    if (ingressTrunkGroup !== null) this.#trunks.resume(ingressTrunkGroup)
    if (egressTrunkGroup !== null) this.#trunks.resume(egressTrunkGroup)
    this.#calls.set(call, { ingress, channel: ingressTrunkGroup })
    this.#resumed.set(call, image)
  }

  keep(callId: string, call: KeptCall): void {
    this.#callJournal.put(callId, call)
  }

  keepRecord(record: CdrFacts): void {
    this.#callJournal.end(record.callId, record)
  }

  forget(callId: string): void {
    this.#callJournal.remove(callId)
  }

  seizeTrunk(name: string): boolean {
    const group = this.#snapshot.trunkGroup(name)
    return group !== null && this.#trunks.seize(group)
  }

  releaseTrunk(name: string): void {
    this.#trunks.release(name)
  }

  /** §8.1.3.4: the first contact of a 3xx that is one of our own users or numbers. */
  planRedirect(call: unknown, contacts: readonly NameAddr[]): CallPlan | null {
    const origin = call instanceof Call ? this.#calls.get(call) : undefined
    if (!(call instanceof Call) || origin === undefined) return null
    const ordered = contacts.toSorted((a, b) => qOf(b) - qOf(a))
    for (const contact of ordered) {
      const { uri } = contact
      if (!uri.isSip && uri.scheme !== 'tel') continue
      const plan = this.#planner.plan(uri, origin.ingress, call.facts.caller.number, this.#snapshot)
      if ('stages' in plan) return plan
    }
    return null
  }

  writeRecord(facts: CdrFacts): void {
    if (facts.type === 'START') this.#callsAnswered.add()
    this.#journal.append(facts)
  }

  onCallEnded(call: unknown, summary: CallSummary): void {
    if (!(call instanceof Call || call instanceof ServiceCall)) return
    const channel = this.#calls.get(call)?.channel ?? null
    this.#calls.delete(call)
    if (channel !== null) this.#trunks.release(channel)
    const { callId, caller, callee, status, releaseCode, releaseParty, durationMs, answered } = summary
    this.#ports.log.event('info', 'CALL_ENDED', {
      callId,
      caller,
      callee,
      status,
      releaseCode,
      releaseParty,
      durationMs,
      answered,
    })
    this.#checkDrained()
  }

  // ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────

  #onMessage(transaction: ServerTransaction): void {
    const { request } = transaction
    const maxForwards = forwardsLeft(request)
    if (maxForwards === null) {
      this.#refuse(transaction, { status: 483, code: 'SIP_MAX_FORWARDS', headers: '' })
      return
    }
    const mark = loopMark(request, this.#loopKey)
    if (isLoop(request, mark)) {
      this.#refuse(transaction, { status: 482, code: 'SIP_LOOP', headers: '' })
      return
    }
    if (this.#relays.size >= MESSAGE_RELAYS_MAX || this.#state === 'draining') {
      this.#refuse(transaction, overload(this.#state === 'draining' ? 'NODE_DRAINING' : 'RELAYS_MAX'))
      return
    }
    const sender = this.#identify(transaction, request)
    if (sender === null) return
    const plan = this.#planner.plan(request.uri, sender.ingress, sender.caller.number, this.#snapshot)
    if ('service' in plan) {
      transaction.respond(405, undefined, 'Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n')
      return
    }
    if (!('stages' in plan)) {
      this.#countRefusal(plan.code)
      transaction.respond(plan.status, plan.reason, plan.headers)
      return
    }
    const { domain } = this.#snapshot.settings
    const relay = new MessageRelay(this.stack, this, transaction, plan, sender.caller, domain, maxForwards, mark)
    this.#relays.add(relay)
    relay.start()
  }

  onRelayDone(relay: MessageRelay): void {
    this.#relays.delete(relay)
  }

  // ── Pieces ──────────────────────────────────────────────────────────────────────────────────────────────────

  #refuse(transaction: ServerTransaction, refusal: Refusal): void {
    this.#countRefusal(refusal.code)
    transaction.refuse(refusal.status, reasonPhrase(refusal.status), refusal.headers)
  }

  #countRefusal(code: string): void {
    let counter = this.#refusals.get(code)
    if (counter === undefined) {
      counter = this.#ports.counters.counter(
        `carillon_requests_refused_total{code="${code}"}`,
        'Requests refused before they became a call, by code.',
      )
      this.#refusals.set(code, counter)
    }
    counter.add()
  }

  #credentialsOf(user: string): { ha1Md5: string; ha1Sha256: string } | null {
    const subscriber = this.#snapshot.subscriberByUser(user)
    return subscriber === null ? null : { ha1Md5: subscriber.ha1 ?? '', ha1Sha256: subscriber.ha1Sha256 ?? '' }
  }

  #authenticatorSettings(): ConstructorParameters<typeof Authenticator>[2] {
    const { access, domain } = this.#snapshot.settings
    return { ...access, realm: domain }
  }

  #registrarSettings(): ConstructorParameters<typeof Registrar>[3] {
    const { access, limits } = this.#snapshot.settings
    const snapshot = this.#snapshot
    return {
      ...access,
      domain: snapshot.settings.domain,
      bindingsMax: limits.bindingsMax,
      isOwnHost: (host: string) => snapshot.isOwnHost(host),
    }
  }

  #keepAliveSettings(): ConstructorParameters<typeof KeepAlive>[3] {
    return { keepAliveS: this.#snapshot.settings.access.keepAliveS, domain: this.#snapshot.settings.domain }
  }

  #watchPeers(): void {
    const named: PeerName[] = []
    for (const { peers } of this.#snapshot.trunkGroups.values()) {
      for (const peer of peers) if (peer.family === 0) named.push(peer)
    }
    this.#peerAddresses.watch(named)
  }

  #listening(): string[] {
    return this.stack.layer.transport.listening.map(({ transport, local }) => `${transport}:${endpointText(local)}`)
  }

  #checkDrained(): void {
    if (this.#state !== 'draining' || this.#calls.size > 0 || this.#drained || this.#drainLook.armed) return
    // Not at once: the call that just ended has still to say so to its other side.
    this.stack.clock.arm(this.#drainLook, 'drained', 0)
  }

  #noteFault(error: unknown): void {
    this.#faults.add()
    const fault = error instanceof Error ? error : new Error(String(error))
    this.#ports.log.event('error', 'INTERNAL', { message: fault.message, stack: fault.stack ?? '' })
  }
}

/** Web sockets are not spoken here; the loader of the configuration refuses them. */
function isSpoken<T extends { readonly transport: string }>(listen: T): listen is T & { transport: TransportName } {
  return listen.transport === 'udp' || listen.transport === 'tcp' || listen.transport === 'tls'
}

function overload(code: string): Refusal {
  return { status: 503, code, headers: `Retry-After: ${RETRY_AFTER_S}\r\n` }
}

/** RFC 4028 §9: an interval under ours is refused with ours; the caller asks again. */
function screenSessionTimer(request: Request, settings: SessionTimerSettings): Refusal | null {
  const answer = answerSessionTimer(request, settings)
  return answer.ok ? null : { status: 422, code: 'SIP_SESSION_INTERVAL', headers: answer.headers }
}

/** RFC 3891 §3: taking over a dialog is not offered; without a match the answer is 481. */
function screenReplaces(request: Request): Refusal | null {
  return request.has(HeaderId.replaces) ? { status: 481, code: 'SIP_REPLACES', headers: '' } : null
}

function qOf(contact: NameAddr): number {
  const q = Number(contact.param('q') ?? '1')
  return Number.isFinite(q) ? q : 0
}
