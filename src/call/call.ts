// The back-to-back user agent: one call, its caller and the forks towards its callee (RFC 3261 §6 B2BUA, §16.7; RFC 7092 §3.2).

import { Branch, type BranchOwner, EARLY_DIALOGS_MAX, type Pair } from '#call/branch.ts'
import type {
  CalleeTarget,
  CallFacts,
  CallHost,
  CallImage,
  CallPlan,
  CallRefusal,
  CdrFacts,
  KeptCall,
  Stage,
} from '#call/call-host.ts'
import { CallRecord } from '#call/call-record.ts'
import { fromValue, identityLines } from '#call/caller-identity.ts'
import { MediaMove, type MediaMoveOwner } from '#call/media-move.ts'
import { invitePassOn, requestPassOn, responsePassOn } from '#call/pass-on.ts'
import { pinnedFlow } from '#call/pinned-flow.ts'
import { causeFromReason, causeFromStatus, reasonLine } from '#call/q850.ts'
import { type BridgeOwner, RequestBridge } from '#call/request-bridge.ts'
import { isBetterFailure, isHunting, shownStatus } from '#call/response-choice.ts'
import { assert } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { FaultOwner } from '#core/fault-scope.ts'
import type {
  DescriptionRole,
  DescriptionSink,
  MediaFacts,
  MediaFailure,
  MediaFailureSink,
  MediaSession,
  MediaSide,
  MediaUser,
} from '#media/media-port.ts'
import { decimal } from '#sip/_scan.ts'
import { Dialog } from '#sip/dialog.ts'
import type { Flow } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { InviteServerTransaction, InviteServerUser } from '#sip/invite-server-transaction.ts'
import type { Request, Response } from '#sip/message.ts'
import { OutgoingRequest } from '#sip/outgoing-request.ts'
import { reasonPhrase } from '#sip/response-writer.ts'
import type { ServerTransaction } from '#sip/server-transaction.ts'
import { SESSION_METHODS, Session, type SessionLoss, type SessionUser } from '#sip/session.ts'
import { askSessionTimer, minSeOf, type SessionTimerSettings } from '#sip/session-timer.ts'
import type { SipStack } from '#sip/stack.ts'
import { parseUri } from '#sip/uri.ts'

type State = 'routing' | 'inviting' | 'ringing' | 'connected' | 'releasing' | 'released'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  routing: ['inviting', 'releasing', 'released'],
  inviting: ['ringing', 'connected', 'releasing', 'released'],
  ringing: ['inviting', 'connected', 'releasing', 'released'],
  connected: ['releasing', 'released'],
  releasing: ['released'],
  released: [],
}

/** Requests in flight between the two sides of one call. */
const BRIDGES_MAX = 16
/** The longest Min-SE of a callee that is met (RFC 4028 §7.3), in seconds. */
const MIN_SE_S_MAX = 86_400
/** INVITEs of one call sent again with a longer session interval. */
const LONGER_TRIES_MAX = 8
/** Q.850: resource unavailable, unspecified; RFC 3398 pairs it with 503. */
const NO_MEDIA_CAUSE = 47
/** Q.850: recovery on timer expiry. */
const TIMEOUT_CAUSE = 102
/** The call was taken by another branch (RFC 3326 §3.1). */
const COMPLETED_ELSEWHERE = 'Reason: SIP;cause=200;text="Call completed elsewhere"\r\n'

/** Who let the call go, for its record. */
export type ReleaseParty = 'caller' | 'callee' | 'switch'

interface Failure {
  readonly status: number
  readonly response: Response | null
  readonly code: string
  /** Q.850; from the response or the status when absent. */
  readonly cause?: number
}

export class Call
  implements
    BranchOwner,
    BridgeOwner,
    KeptCall,
    SessionUser,
    InviteServerUser,
    MediaUser,
    MediaMoveOwner,
    TimerOwner,
    FaultOwner
{
  state: State = 'routing'
  readonly facts: CallFacts
  readonly stack: SipStack
  readonly record: CallRecord
  readonly #host: CallHost
  readonly #media: MediaSession
  /** Null in a call that an earlier process answered. */
  readonly #inviteIn: InviteServerTransaction | null
  /** The INVITE, until the call is answered or refused: what later stages are made from. */
  #request: Request | null
  readonly #branches: Branch[] = []
  readonly #bridges = new Set<RequestBridge>()
  readonly #ringTimer = new Timer(this)
  readonly #durationTimer = new Timer(this)
  readonly #recordTimer = new Timer(this)
  /** The body of the INVITEs: the caller's, its description as the media port gives it for the other side. */
  #offered = ''
  /** The trunk group that {@link #offered} was made for; undefined while there is none. */
  #offeredTo: string | null | undefined
  #stages: readonly Stage[] = []
  #nextStage = 0
  #noAnswerMs = 0
  #redirects = 0
  #best: Failure | null = null
  #pairCount = 0
  #pair: Pair | null = null
  #ackAnswer: { readonly from: Session; readonly to: Session; readonly sequence: number } | null = null
  #seized: string | null = null
  /** On its way to another media gateway. */
  #move: MediaMove | null = null
  #longerTries = 0

  private constructor(
    host: CallHost,
    facts: CallFacts,
    invite: InviteServerTransaction | null,
    openMedia: (user: MediaUser) => MediaSession,
    record: CallRecord,
  ) {
    this.#host = host
    this.stack = host.stack
    this.facts = facts
    this.#inviteIn = invite
    this.#request = invite?.request ?? null
    this.#media = openMedia(this)
    this.record = record
  }

  /** The call that `invite` asks for; {@link start} or {@link refuse} follows. */
  static invited(host: CallHost, facts: CallFacts, invite: InviteServerTransaction): Call {
    const { request, toTag, flow } = invite
    const record = CallRecord.begun(toTag, facts, request, flow, host.stack.clock)
    const call = new Call(host, facts, invite, (user) => host.media.open(toTag, user), record)
    invite.user = call
    return call
  }

  /**
   * Goes on with a call that an earlier process answered and wrote down: BYE, re-INVITE, refreshes and the record, as if
   * nothing had happened. Its trunk channels are the host's to count. `evidenceAt` is the last sign of life of that process;
   * after `probeMs` both sides are asked whether they are still there.
   */
  static resumed(
    host: CallHost,
    facts: CallFacts,
    start: CdrFacts,
    evidenceAt: number,
    image: CallImage,
    probeMs: number,
  ): Call {
    const { stack, sessions } = host
    const record = CallRecord.resumed(start, facts, stack.clock, evidenceAt)
    const { callId } = start
    const call = new Call(host, facts, null, (user) => host.media.resume(callId, image.media, user), record)
    const inbound = Session.fromImage(stack, image.caller, call, sessions, facts.sessionTimer, probeMs)
    const outbound = Session.fromImage(stack, image.callee, call, sessions, facts.sessionTimer, probeMs)
    call.#pair = { branch: null, inbound, outbound, number: image.branch, remoteRseq: 0, isDescribed: false, racks: [] }
    call.#seized = start.egressTrunkGroup
    call.#offeredTo = start.egressTrunkGroup
    call.state = 'connected'
    if (facts.intermediateMs > 0) stack.clock.arm(call.#recordTimer, 'intermediate', facts.intermediateMs)
    stack.clock.arm(call.#durationTimer, 'duration', Math.max(0, facts.durationMaxMs - record.durationMs))
    return call
  }

  /** Finds the paths of a resumed call again, once the sockets are bound. */
  reconnect(image: CallImage): void {
    const pair = this.#pair
    if (pair === null) return
    const { transport } = this.stack.layer
    for (const [session, { dialog }] of [
      [pair.inbound, image.caller],
      [pair.outbound, image.callee],
    ] as const) {
      const { path } = dialog
      if (path === null || session.dialog.flow !== null) continue
      session.dialog.flow = transport.flowFrom(path.transport, path.local, path.remote)
    }
  }

  /** The call written down, when it is answered and at rest. */
  image(): CallImage | null {
    const pair = this.#pair
    if (this.state !== 'connected' || pair === null || pair.inbound.isEnded || pair.outbound.isEnded) return null
    if (pair.inbound.dialog.state !== 'confirmed' || pair.outbound.dialog.state !== 'confirmed') return null
    const media = this.#media.image()
    return { caller: pair.inbound.image(), callee: pair.outbound.image(), branch: pair.number, media }
  }

  get #invite(): InviteServerTransaction {
    assert(this.#inviteIn !== null, 'a call that is being set up has its INVITE')
    return this.#inviteIn
  }

  /** Whether the caller's INVITE has its final response. */
  get #isInviteAnswered(): boolean {
    return this.#inviteIn?.isAnswered ?? true
  }

  /** Sends the call on its way. */
  start(plan: CallPlan): void {
    assert(this.state === 'routing', `start in ${this.state}`)
    this.stack.faults.active = this
    this.record.planned(plan)
    this.#invite.respond(100)
    this.#take(plan)
    this.#advance()
  }

  /** Refuses the call. */
  refuse(refusal: CallRefusal): void {
    this.stack.faults.active = this
    this.record.refused(refusal)
    const lines = refusal.headers + reasonLine(refusal.q850Cause)
    this.#invite.respond(refusal.status, refusal.reason, lines)
    this.#finish('switch', refusal.status, refusal.code, refusal.q850Cause)
  }

  get isConnected(): boolean {
    return this.state === 'connected'
  }

  // ── Hunting ─────────────────────────────────────────────────────────────────────────────────────────────────

  #take(plan: CallPlan): void {
    this.#stages = plan.stages
    this.#nextStage = 0
    this.#noAnswerMs = plan.noAnswerMs
  }

  /** Starts the next stage, or gives the caller the best failure. */
  #advance(): void {
    while (this.#nextStage < this.#stages.length) {
      const stage = this.#stages[this.#nextStage] ?? []
      this.#nextStage += 1
      if (this.#startStage(stage, this.#nextStage < this.#stages.length)) return
    }
    const best = this.#best ?? { status: 480, response: null, code: 'CALL_NO_TARGET' }
    this.#fail(best)
  }

  #startStage(stage: Stage, hasAlternative: boolean): boolean {
    const group = stage[0]?.trunkGroup ?? null
    if (group !== null && !this.#host.seizeTrunk(group)) {
      this.record.tried(group, 503, 34, 'TRUNK_CHANNELS_MAX')
      this.#noteFailure({ status: 503, response: null, code: 'TRUNK_CHANNELS_MAX', cause: 34 })
      return false
    }
    this.#seized = group
    this.#offer(group, () => this.#ring(stage, hasAlternative))
    return true
  }

  /** Makes the offer for the targets of `group`, through the media port, unless the last one was for it. */
  #offer(group: string | null, go: () => void): void {
    const request = this.#request
    assert(request !== null, 'the INVITE is kept while the call hunts')
    if (this.#offeredTo === group) {
      go()
      return
    }
    this.#offeredTo = group
    const take = (offered: string): void => {
      if (this.#isOver) return
      this.#offered = offered
      go()
    }
    if (request.hasSdp) {
      const { host } = this.#invite.flow.remote
      this.#pass('caller', 0, 'offer', request.body, host, take, (failure) => this.#onMediaFailed(failure))
    } else take(request.body)
  }

  #ring(stage: Stage, hasAlternative: boolean): void {
    this.#enter('inviting')
    this.stack.clock.arm(this.#ringTimer, 'noAnswer', this.#noAnswerMs)
    // All branches exist before the first one starts: a target that fails at once must not look like the last one.
    const branches = stage.map((target) => this.#branch(target, this.facts.sessionTimer))
    this.#branches.push(...branches)
    for (const branch of branches) if (branch.isOpen) branch.start(hasAlternative && stage.length === 1)
  }

  #branch(target: CalleeTarget, timer: SessionTimerSettings): Branch {
    const { facts } = this
    const request = this.#request
    assert(request !== null, 'the INVITE is kept while the call hunts')
    const trusted = target.trunkGroup !== null
    const localTag = this.stack.layer.mint()
    const has100rel = request.hasOption(HeaderId.supported, '100rel') || request.hasOption(HeaderId.require, '100rel')
    const lines =
      `Allow: ${SESSION_METHODS}\r\nSupported: timer${has100rel ? ', 100rel' : ''}\r\n` +
      askSessionTimer(timer, null) +
      identityLines(facts.caller, facts.domain, trusted) +
      `User-Agent: ${facts.userAgent}\r\n${invitePassOn(request)}`
    const outgoing = new OutgoingRequest({
      method: 'INVITE',
      uriText: target.uriText,
      from: `${fromValue(facts.caller, facts.domain)};tag=${localTag}`,
      to: target.to,
      callId: this.stack.layer.mint(),
      sequence: 1,
      maxForwards: facts.maxForwards,
      routes: target.routes,
      headers: lines,
      contactUser: localTag,
      contentType: request.header(HeaderId.contentType) ?? '',
      body: this.#offered,
    })
    return new Branch(this, target, outgoing, facts.loopMark, timer)
  }

  // ── What the branches say ───────────────────────────────────────────────────────────────────────────────────

  onBranchProgress(branch: Branch, response: Response): void {
    this.stack.faults.active = this
    if (!this.#isHunting || branch.client.isCancelled) return
    if (this.state === 'inviting') this.#enter('ringing')
    if (response.status === 180 || response.status === 183) this.record.alerted()
    const lines = responsePassOn(response)
    // §12.1.2: a peer of RFC 2543 gives no tag; its dialog is that of the empty one.
    if (branch.pairs.size >= EARLY_DIALOGS_MAX && !branch.pairs.has(response.to.tag ?? '')) return
    const pair = this.#pairFor(branch, response)
    if (pair.outbound.isEnded) return
    const rseq = reliableSequence(response)
    if (rseq > 0) {
      // RFC 3262 §4: only the next in order is taken; the first may have any number.
      if (pair.remoteRseq !== 0 && rseq !== pair.remoteRseq + 1) return
      pair.remoteRseq = rseq
      if (response.hasSdp) {
        pair.outbound.offer = this.#isDelayed ? 'remote' : 'none'
        pair.isDescribed = true
      }
    }
    this.#relayProgress(pair, response, lines, rseq)
  }

  #relayProgress(pair: Pair, response: Response, lines: string, rseq: number): void {
    const request = this.#request
    if (request === null) return
    const supports = request.hasOption(HeaderId.supported, '100rel')
    const requires = request.hasOption(HeaderId.require, '100rel')
    const reliable = (rseq > 0 && (supports || requires)) || requires
    const send = (body: string): void => {
      if (pair.inbound.isEnded) return
      const taken = pair.inbound.progress(response.status, reasonPhrase(response.status), lines, body, reliable)
      if (!reliable) return
      if (taken) pair.racks.push(rseq)
      else if (rseq > 0 && !pair.outbound.isEnded) this.#prackOurselves(pair, response, rseq)
    }
    // A caller without 100rel: the callee's reliable response is ours to acknowledge.
    if (rseq > 0 && !reliable) this.#prackOurselves(pair, response, rseq)
    if (!response.hasSdp) {
      send('')
      return
    }
    // Without its description an unreliable response is as good; a reliable one waits for an answer, or gave the only one.
    const fail = (failure: MediaFailure): void => (rseq > 0 ? this.#onMediaFailed(failure) : send(''))
    const role = this.#isDelayed ? 'offer' : 'answer'
    this.#pass('callee', pair.number, role, response.body, hostOf(pair.branch?.client.flow ?? null), send, fail)
  }

  #prackOurselves(pair: Pair, response: Response, rseq: number): void {
    const headers = `RAck: ${rseq} ${response.cseq.number} INVITE\r\n`
    pair.outbound.send('PRACK', { headers }, { onResponse: () => {}, onNoResponse: () => {} })
  }

  onBranchAnswer(branch: Branch, response: Response): void {
    this.stack.faults.active = this
    const pair = this.#pair
    const known = branch.pairs.get(response.to.tag ?? '')
    if (known?.outbound.acknowledgeAgain(response)) return
    // Its ACK waits for the caller's (delayed offer).
    if (pair !== null && known === pair && !pair.outbound.isEnded) return
    if (!this.#isHunting || branch.client.isCancelled) {
      this.#refuseAnswer(branch, response, known ?? null)
      return
    }
    if (known?.outbound.isEnded) {
      this.#onHungUp(branch, response)
      return
    }
    this.#connect(branch, this.#pairFor(branch, response), response)
  }

  #connect(branch: Branch, winner: Pair, response: Response): void {
    const request = this.#request
    assert(request !== null, 'the INVITE is kept until the answer')
    this.#pair = winner
    this.#enter('connected')
    this.stack.clock.cancel(this.#ringTimer)
    this.#cancelBranches(branch, COMPLETED_ELSEWHERE)
    this.#endOtherPairs(winner)
    this.record.tried(branch.target.trunkGroup, response.status, 16, 'ANSWERED')
    const { callId, localTag, remoteTag } = winner.outbound.dialog
    this.record.answered(branch.target, { callId, localTag, remoteTag, flow: branch.client.flow })
    this.#host.writeRecord(this.record.start())
    if (this.facts.intermediateMs > 0) {
      this.stack.clock.arm(this.#recordTimer, 'intermediate', this.facts.intermediateMs)
    }
    this.stack.clock.arm(this.#durationTimer, 'duration', this.facts.durationMaxMs)
    const { inbound, outbound } = winner
    outbound.confirmed(response)
    const sequence = response.cseq.number
    const delayed = this.#isDelayed
    const offered = delayed && response.hasSdp && !winner.isDescribed
    if (offered) {
      outbound.offer = 'remote'
      this.#ackAnswer = { from: inbound, to: outbound, sequence }
    } else {
      if (!delayed) outbound.offer = 'none'
      outbound.acknowledge(sequence, '', '')
    }
    outbound.noteSent(request.hasSdp ? this.#offered : '')
    const type = response.header(HeaderId.contentType) ?? 'application/sdp'
    const lines = responsePassOn(response)
    const send = (body: string): void => {
      if (!inbound.isEnded) inbound.accept(this.#invite, 200, 'OK', lines, type, body)
    }
    this.#request = null
    this.#media.choose(winner.number)
    if (!response.hasSdp) {
      send(response.body)
      return
    }
    const role = delayed ? 'offer' : 'answer'
    const fail = (failure: MediaFailure): void => this.#onMediaFailed(failure)
    this.#pass('callee', winner.number, role, response.body, hostOf(branch.client.flow), send, fail)
  }

  /** A 2xx that nobody waits for (§13.2.2.4: it is acknowledged and ended): it crossed a CANCEL, or another fork won. */
  #refuseAnswer(branch: Branch, response: Response, known: Pair | null): void {
    if (known !== null && !known.outbound.isEnded) {
      known.outbound.confirmed(response)
      known.outbound.acknowledge(response.cseq.number, '', '')
      known.outbound.bye(COMPLETED_ELSEWHERE)
    } else if (branch.client.flow !== null) this.stack.lateAnswers.end(response, branch.client.flow)
    // Early dialogs of the branch that have not answered are over with its INVITE (§13.2.2.4).
    for (const pair of branch.pairs.values()) this.#endPair(pair)
    this.#settle()
  }

  /** The callee's BYE overtook its own 2xx (RFC 5407 §3.1.3): it answered and is gone. */
  #onHungUp(branch: Branch, response: Response): void {
    const { flow } = branch.client
    if (flow !== null) this.stack.lateAnswers.end(response, flow)
    this.record.tried(branch.target.trunkGroup, response.status, 16, 'CALLEE_HUNG_UP')
    this.#noteFailure({ status: 480, response: null, code: 'CALLEE_HUNG_UP' })
    for (const pair of branch.pairs.values()) this.#endPair(pair)
    if (!this.#hasLive) this.#stageFailed(branch, 480)
  }

  onBranchFailed(branch: Branch, status: number, response: Response | null, code: string): void {
    this.stack.faults.active = this
    for (const pair of branch.pairs.values()) this.#endPair(pair)
    const group = branch.target.trunkGroup
    const cause = causeFromReason(response?.header(HeaderId.reason) ?? null) ?? causeFromStatus(status)
    this.record.tried(group, status, cause, code)
    if (!this.#isHunting) {
      this.#settle()
      return
    }
    if (branch.client.isCancelled) return // It was taken back: the call goes on without it.
    if (status === 422 && response !== null && this.#retryLonger(branch, response)) return
    if (status >= 300 && status < 400 && response !== null && this.#redirect(branch, response)) return
    this.#noteFailure({ status: isUnreachable(branch, status, response) ? 480 : status, response, code })
    if (status >= 600) this.#cancelBranches(branch, '') // §16.7 step 5.
    if (!this.#hasLive) this.#stageFailed(branch, status)
  }

  #stageFailed(branch: Branch, status: number): void {
    this.stack.clock.cancel(this.#ringTimer)
    if (this.#seized !== null) this.#host.releaseTrunk(this.#seized)
    this.#seized = null
    const best = this.#best
    if (branch.target.trunkGroup !== null && !isHunting(status)) this.#nextStage = this.#stages.length
    if (best !== null && best.status >= 600) this.#nextStage = this.#stages.length
    this.#advance()
  }

  /** RFC 4028 §7.4: a 422 is answered by the same request with the interval that it asks for. */
  #retryLonger(branch: Branch, response: Response): boolean {
    const minSeS = minSeOf(response)
    if (minSeS <= branch.timer.minSeS || minSeS > MIN_SE_S_MAX || this.#longerTries >= LONGER_TRIES_MAX) return false
    this.#longerTries += 1
    const sessionExpiresS = Math.max(branch.timer.sessionExpiresS, minSeS)
    const again = this.#branch(branch.target, { sessionExpiresS, minSeS })
    this.#branches.push(again)
    again.start(false)
    return true
  }

  /** §8.1.3.4: tries what a 3xx names, when policy has it and we serve it. */
  #redirect(branch: Branch, response: Response): boolean {
    if (this.facts.redirects !== 'follow' || this.#redirects >= this.facts.redirectsMax) return false
    const contacts = response.nameAddrs(HeaderId.contact)
    const plan = contacts === null || contacts.length === 0 ? null : this.#host.planRedirect(this, contacts)
    if (plan === null || plan.stages.length === 0) return false
    this.#redirects += 1
    this.record.redirected(plan)
    this.#cancelBranches(branch, '')
    if (this.#seized !== null) this.#host.releaseTrunk(this.#seized)
    this.#seized = null
    this.stack.clock.cancel(this.#ringTimer)
    this.#take(plan)
    this.#advance()
    return true
  }

  #noteFailure(failure: Failure): void {
    if (this.#best === null || isBetterFailure(failure.status, this.#best.status)) this.#best = failure
  }

  /** Gives the caller the failure of the whole call. */
  #fail(failure: Failure): void {
    const passes3xx = this.facts.redirects === 'pass' && failure.status < 400
    // A 503 of our own stands; one of another element speaks of that element (§16.7 step 6).
    const stands = passes3xx || failure.cause !== undefined
    const status = stands ? failure.status : shownStatus(failure.status)
    const response = failure.response
    const reason = response?.header(HeaderId.reason) ?? null
    const cause = failure.cause ?? causeFromReason(reason) ?? causeFromStatus(failure.status)
    let lines = reasonLine(cause) + (response === null ? '' : responsePassOn(response))
    if (passes3xx && response !== null) lines += contactLines(response)
    this.#invite.respond(status, reasonPhrase(status), lines)
    const party = response === null ? 'switch' : 'callee'
    this.#finish(party, status, failure.code === 'SIP_FINAL' ? `SIP_${failure.status}` : failure.code, cause)
  }

  // ── What the caller says ────────────────────────────────────────────────────────────────────────────────────

  onCancel(_transaction: InviteServerTransaction, cancel: Request): void {
    this.stack.faults.active = this
    if (this.state === 'released' || this.#isInviteAnswered) return
    const reason = cancel.header(HeaderId.reason)
    if (this.state === 'connected') {
      // Answered, but the 2xx still waits for a PRACK of the caller (RFC 3262 §3).
      this.#release('caller', 'CALLER_CANCELLED', causeFromReason(reason) ?? 16, passableReason(reason))
      return
    }
    this.#giveUp('caller', 487, 'CALLER_CANCELLED', causeFromReason(reason) ?? 16, passableReason(reason))
  }

  onNoAck(_transaction: InviteServerTransaction): void {
    // The caller never acknowledged our refusal: nothing is left to end.
  }

  /** Ends a call that is not answered: final response to the caller, CANCEL to all branches. */
  #giveUp(party: ReleaseParty, status: number, code: string, cause: number, cancelHeaders: string): void {
    if (!this.#isInviteAnswered) {
      const lines = party === 'caller' ? '' : reasonLine(cause)
      this.#invite.respond(status, reasonPhrase(status), lines)
    }
    this.#cancelBranches(null, cancelHeaders)
    for (const branch of this.#branches) for (const pair of branch.pairs.values()) this.#endPair(pair)
    this.#finish(party, status, code, cause)
  }

  // ── What the sessions say ───────────────────────────────────────────────────────────────────────────────────

  onSessionRequest(session: Session, transaction: ServerTransaction): void {
    this.stack.faults.active = this
    const pair = this.#pairOf(session)
    if (pair === null) {
      transaction.respond(481)
      return
    }
    const fromCaller = session === pair.inbound
    const other = fromCaller ? pair.outbound : pair.inbound
    const side: MediaSide = fromCaller ? 'caller' : 'callee'
    switch (transaction.method) {
      case 'PRACK':
        this.#onPrack(pair, session, transaction)
        return
      case 'INVITE':
        if (other.isBusy || this.#move !== null) session.refuse(transaction, 491, 'Request Pending', '')
        else this.#bridge(pair, session, other, side, transaction, '')
        return
      case 'UPDATE':
        this.#onUpdate(pair, session, other, side, transaction)
        return
      case 'INFO':
      case 'MESSAGE':
        this.#bridge(pair, session, other, side, transaction, '')
        return
      case 'REFER': // RFC 3515 §2.4.2: transfer is not offered.
        transaction.respond(603)
        return
      case 'SUBSCRIBE':
        transaction.respond(489)
        return
      default:
        transaction.respond(405, undefined, `Allow: ${SESSION_METHODS}\r\n`)
    }
  }

  /** RFC 3311 §5.1: an unanswered offer stands in its way; a pending INVITE does when it has to become one itself. */
  #onUpdate(pair: Pair, session: Session, other: Session, side: MediaSide, transaction: ServerTransaction): void {
    const passes = other.peerAllowsUpdate
    if (this.#move !== null) session.refuse(transaction, 491, undefined, '')
    else if (!passes && other.dialog.state === 'early') session.refuse(transaction, 488, undefined, '')
    else if (passes ? other.offer !== 'none' : other.isBusy) session.refuse(transaction, 491, undefined, '')
    else this.#bridge(pair, session, other, side, transaction, '')
  }

  #onPrack(pair: Pair, session: Session, transaction: ServerTransaction): void {
    const rseq = pair.racks.shift() ?? 0
    if (session !== pair.inbound || rseq === 0) {
      session.answer(transaction, 200, 'OK', '', '')
      return
    }
    const headers = `RAck: ${rseq} 1 INVITE\r\n`
    this.#bridge(pair, session, pair.outbound, 'caller', transaction, headers)
  }

  #bridge(
    pair: Pair,
    from: Session,
    to: Session,
    side: MediaSide,
    transaction: ServerTransaction,
    headers: string,
  ): void {
    if (to.isEnded) {
      transaction.respond(481)
      return
    }
    if (this.#bridges.size >= BRIDGES_MAX) {
      from.refuse(transaction, 503, 'Too Many Requests Pending', '')
      return
    }
    const bridge = new RequestBridge(this, transaction, from, to, side, pair.number)
    this.#bridges.add(bridge)
    bridge.start(headers)
  }

  onBridgeDone(bridge: RequestBridge): void {
    this.#bridges.delete(bridge)
    // A re-INVITE is kept with its ACK; an UPDATE has none.
    if (bridge.method === 'UPDATE') this.#keep()
  }

  passDescription(
    bridge: RequestBridge,
    side: MediaSide,
    role: DescriptionRole,
    body: string,
    source: string | null,
    sink: DescriptionSink,
    onFailed: MediaFailureSink,
  ): void {
    this.#pass(side, bridge.branch, role, body, source, sink, onFailed)
  }

  onBridgeMediaFailed(failure: MediaFailure): void {
    this.#onMediaFailed(failure)
  }

  onBridgeLost(session: Session): void {
    this.onSessionLost(session, 'gone')
  }

  awaitAckAnswer(from: Session, to: Session, sequence: number): void {
    this.#ackAnswer = { from, to, sequence }
  }

  onSessionAck(session: Session, ack: Request): void {
    this.stack.faults.active = this
    const waiting = this.#ackAnswer
    if (waiting === null || waiting.from !== session) {
      this.#keep()
      return
    }
    this.#ackAnswer = null
    const pair = this.#pairOf(session)
    const type = ack.header(HeaderId.contentType) ?? 'application/sdp'
    const send = (body: string): void => {
      if (!waiting.to.isEnded) waiting.to.acknowledge(waiting.sequence, type, body)
      this.#keep()
    }
    if (pair === null || !ack.hasSdp) {
      send('')
      return
    }
    // Should the media fail, the release acknowledges what waits.
    this.#ackAnswer = waiting
    const take = (body: string): void => {
      this.#ackAnswer = null
      send(body)
    }
    const side = session === pair.inbound ? 'caller' : 'callee'
    const host = hostOf(session.dialog.flow)
    this.#pass(side, pair.number, 'answer', ack.body, host, take, (failure) => this.#onMediaFailed(failure))
  }

  onSessionBye(session: Session, bye: Request): void {
    this.stack.faults.active = this
    const reason = bye.header(HeaderId.reason)
    const pair = this.#pairOf(session)
    const party = pair !== null && session === pair.outbound ? 'callee' : 'caller'
    const cause = causeFromReason(reason) ?? 16
    if (this.state === 'connected' && pair !== null && pair === this.#pair) {
      this.#release(party, 'NORMAL', cause, passableReason(reason) + requestPassOn(bye))
      return
    }
    if (this.#isHunting) {
      // §15: a BYE in an early dialog ends the caller's whole attempt; a callee may not send one (§15).
      if (party === 'caller') this.#giveUp('caller', 487, 'CALLER_CANCELLED', cause, passableReason(reason))
      else if (pair !== null) this.#endPair(pair)
    }
  }

  onSessionLost(session: Session, loss: SessionLoss): void {
    this.stack.faults.active = this
    if (this.state === 'releasing' || this.state === 'released') {
      session.end()
      return
    }
    if (!session.isProven) this.record.endedBefore()
    const code = session.isProven ? LOSS_CODES[loss] : 'NODE_RESTART'
    if (this.state === 'connected') {
      const cause = loss === 'noAck' ? 102 : 41
      this.#release('switch', code, cause, reasonLine(cause))
      return
    }
    // RFC 3262 §3: an INVITE whose reliable response was never acknowledged is refused with 5xx.
    this.#giveUp('switch', 504, code, 102, '')
  }

  // ── What the media says ─────────────────────────────────────────────────────────────────────────────────────

  onMediaTimeout(_side: MediaSide): void {
    this.stack.faults.active = this
    if (this.state === 'connected') this.#release('switch', 'MEDIA_TIMEOUT', TIMEOUT_CAUSE, reasonLine(TIMEOUT_CAUSE))
  }

  onGatewayLost(): void {
    this.stack.faults.active = this
    const pair = this.#pair
    if (this.#isOver) return
    if (this.state !== 'connected' || pair === null || !this.#isInviteAnswered || !this.#media.move()) {
      this.#endWithoutMedia('MEDIA_GATEWAY_LOST')
      return
    }
    this.#move?.cancel()
    this.#move = new MediaMove(this, this.stack, this.#media, pair.inbound, pair.outbound)
    this.#move.start()
  }

  onMoved(_move: MediaMove): void {
    this.#move = null
  }

  onMoveFailed(_move: MediaMove): void {
    this.#move = null
    if (!this.#isOver) this.#endWithoutMedia('MEDIA_GATEWAY_LOST')
  }

  #onMediaFailed(failure: MediaFailure): void {
    this.stack.faults.active = this
    if (!this.#isOver) this.#endWithoutMedia(failure)
  }

  #endWithoutMedia(code: string): void {
    const lines = reasonLine(NO_MEDIA_CAUSE)
    if (this.state === 'connected') this.#release('switch', code, NO_MEDIA_CAUSE, lines, 503)
    else this.#giveUp('switch', 503, code, NO_MEDIA_CAUSE, lines)
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends the call from outside: an operator, a process that stops. */
  terminate(code: string): void {
    this.stack.faults.active = this
    if (this.state === 'released') return
    if (this.state === 'connected') this.#release('switch', code, 41, reasonLine(41))
    else this.#giveUp('switch', 503, code, 41, '')
  }

  /** A broken invariant in this call: it alone ends (DESIGN §4). */
  onFault(_error: unknown): void {
    if (this.state === 'released') return
    const status = this.#isInviteAnswered ? 200 : 500
    if (status === 500) this.#invite.respond(500)
    this.#cancelBranches(null, '')
    this.#acknowledgeOwed()
    if (this.#pair !== null) {
      this.#pair.inbound.bye(reasonLine(41))
      this.#pair.outbound.bye(reasonLine(41))
    }
    for (const branch of this.#branches) for (const pair of branch.pairs.values()) this.#endPair(pair)
    this.#finish('switch', status, 'INTERNAL', 41)
    this.#settle()
  }

  /** Ends an answered call: BYE to every side that has not hung up itself. */
  #release(party: ReleaseParty, code: string, cause: number, headers: string, unanswered = 504): void {
    const pair = this.#pair
    assert(pair !== null, 'a connected call has two sides')
    const isAnswered = this.#isInviteAnswered
    const status = isAnswered ? 200 : party === 'caller' ? 487 : party === 'callee' ? 480 : unanswered
    // A record stands before anything of the release is on the wire to the other side.
    this.#finish(party, status, code, cause)
    // The 2xx that the caller never got because it owes a PRACK (RFC 3262 §3).
    if (!isAnswered) this.#invite.respond(status, undefined, party === 'caller' ? '' : reasonLine(cause))
    this.#acknowledgeOwed()
    pair.inbound.bye(headers)
    pair.outbound.bye(headers)
  }

  /** §13.2.2.4: a 2xx whose ACK waited for an answer of the other side is acknowledged without one. */
  #acknowledgeOwed(): void {
    const waiting = this.#ackAnswer
    this.#ackAnswer = null
    waiting?.to.acknowledge(waiting.sequence, '', '')
  }

  /** Writes the record and lets go of everything that the call holds. Branches that are still open end by themselves. */
  #finish(party: ReleaseParty, status: number, code: string, cause: number): void {
    if (this.state === 'released' || this.state === 'releasing') return
    const isKept = this.state === 'connected'
    this.#enter('releasing')
    const clock = this.stack.clock
    clock.cancel(this.#ringTimer)
    clock.cancel(this.#durationTimer)
    clock.cancel(this.#recordTimer)
    this.#request = null
    this.#offered = ''
    // What others count on comes first: should anything of this call be broken further down, they are not concerned.
    if (this.#seized !== null) this.#host.releaseTrunk(this.#seized)
    this.#seized = null
    const record = this.record.end(party, status, code, cause)
    let isWritten = false
    const write = (media: MediaFacts | null): void => {
      isWritten = true
      this.#host.writeRecord({ ...record, media })
      if (isKept) this.#host.forget(record.callId)
    }
    // The quality of the media is the gateway's to tell, and soon; without media there is nothing to wait for.
    if (this.record.isAnswered) this.#media.release(write)
    else write(null)
    // Should the process die while the record waits, the next one writes it, and does not go on with a call that has ended.
    if (!isWritten) this.#host.keepRecord(record)
    this.#host.onCallEnded(this, this.record.summary(party, status, code))
    const bridges = [...this.#bridges]
    this.#bridges.clear()
    for (const bridge of bridges) bridge.abort()
    this.#move?.cancel()
    if (!this.record.isAnswered) this.#media.release(null)
    this.#settle()
  }

  #settle(): void {
    if (this.state !== 'releasing' || this.#branches.some((branch) => branch.isOpen)) return
    this.#enter('released')
    // Transactions outlive the call by 32 seconds; nothing of the call is to be kept for that.
    if (this.#inviteIn !== null) this.#inviteIn.user = null
    for (const branch of this.#branches) {
      for (const pair of branch.pairs.values()) this.#endPair(pair)
      branch.detach()
    }
  }

  #cancelBranches(except: Branch | null, headers: string): void {
    for (const branch of this.#branches) {
      if (branch === except) continue
      branch.release()
      branch.cancel(headers)
    }
  }

  // ── Timers ──────────────────────────────────────────────────────────────────────────────────────────────────

  onTimer(name: string): void {
    this.stack.faults.active = this
    switch (name) {
      case 'noAnswer':
        this.#onNoAnswer()
        return
      case 'duration':
        this.#release('switch', 'CALL_DURATION_MAX', 31, reasonLine(31))
        return
      case 'intermediate':
        this.#host.writeRecord(this.record.intermediate())
        this.stack.clock.arm(this.#recordTimer, 'intermediate', this.facts.intermediateMs)
        return
    }
  }

  #onNoAnswer(): void {
    const silent = this.#branches.find((branch) => branch.isLive)
    if (this.state === 'inviting' && silent !== undefined && this.#nextStage < this.#stages.length) {
      // Nothing rang: the route swallows calls, and the next one is tried.
      this.#cancelBranches(null, '')
      this.#noteFailure({ status: 408, response: null, code: 'SIP_TIMEOUT' })
      this.#stageFailed(silent, 408)
      return
    }
    // Whatever rang did not answer: Q.850 cause 19, and there is no other route after alerting.
    this.#giveUp('switch', 480, 'CALL_NO_ANSWER', 19, reasonLine(19, 'No answer'))
  }

  // ── Pieces ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether the call is on its way to an answer. */
  get #isHunting(): boolean {
    return this.state === 'inviting' || this.state === 'ringing'
  }

  get #isOver(): boolean {
    return this.state === 'releasing' || this.state === 'released'
  }

  /** Whether a branch may still answer. */
  get #hasLive(): boolean {
    return this.#branches.some((branch) => branch.isLive)
  }

  /** Whether the caller left the offer to the callee (RFC 3261 §13.2.1). */
  get #isDelayed(): boolean {
    return this.#request !== null && !this.#request.hasSdp
  }

  /** The pair of the early dialog that `response` belongs to, made when it is new. */
  #pairFor(branch: Branch, response: Response): Pair {
    const tag = response.to.tag ?? ''
    const known = branch.pairs.get(tag)
    if (known !== undefined) return known
    const request = this.#request
    assert(request !== null, 'the INVITE is kept while the call hunts')
    const { sessionTimer } = this.facts
    this.#pairCount += 1
    const inboundTag = this.#pairCount === 1 ? this.#invite.toTag : this.stack.layer.mint()
    const inboundDialog = Dialog.fromRequest(request, inboundTag, 0)
    inboundDialog.pin(pinnedFlow(this.#invite.flow, request, this.facts.pinCaller))
    const inbound = new Session(this.stack, inboundDialog, this, this.#host.sessions, sessionTimer)
    inbound.attach(this.#invite)
    const outgoing = branch.client.request
    const outboundDialog = Dialog.fromResponse(outgoing, tagOf(outgoing.from), response)
    outboundDialog.pin(pinnedFlow(branch.client.flow, response, branch.target.trunkGroup === null))
    const outbound = new Session(this.stack, outboundDialog, this, this.#host.sessions, branch.timer)
    outbound.notePeer(response)
    if (request.hasSdp) outbound.offer = 'local'
    const number = this.#pairCount
    const pair: Pair = { inbound, outbound, branch, number, remoteRseq: 0, isDescribed: false, racks: [] }
    branch.pairs.set(tag, pair)
    return pair
  }

  #pairOf(session: Session): Pair | null {
    const pair = this.#pair
    if (pair !== null && (pair.inbound === session || pair.outbound === session)) return pair
    for (const branch of this.#branches) {
      for (const other of branch.pairs.values()) {
        if (other.inbound === session || other.outbound === session) return other
      }
    }
    return null
  }

  #endPair(pair: Pair): void {
    if (pair === this.#pair) return
    pair.inbound.end()
    pair.outbound.end()
  }

  #endOtherPairs(winner: Pair): void {
    for (const branch of this.#branches) {
      for (const pair of branch.pairs.values()) {
        if (pair === winner) continue
        pair.inbound.end()
        if (!branch.isOpen) pair.outbound.end()
      }
    }
  }

  #keep(): void {
    if (this.state === 'connected') this.#host.keep(this.record.callId, this)
  }

  #pass(
    side: MediaSide,
    branch: number,
    role: DescriptionRole,
    body: string,
    source: string | null,
    sink: DescriptionSink,
    onFailed: MediaFailureSink,
  ): void {
    const towards = side === 'callee' ? this.facts.ingressTrunkGroup : (this.#offeredTo ?? null)
    const take: DescriptionSink = (description) => {
      this.stack.faults.active = this
      sink(description)
    }
    this.#media.pass({ side, branch, role, body, source, towards }, take, onFailed)
  }

  #enter(next: State): void {
    if (this.state === next) return
    assert(NEXT[this.state].includes(next), `call ${this.state} -> ${next}`)
    this.state = next
  }
}

const LOSS_CODES: Readonly<Record<SessionLoss, string>> = {
  noAck: 'SESSION_NO_ACK',
  noPrack: 'SESSION_NO_PRACK',
  expired: 'SESSION_EXPIRED',
  gone: 'SESSION_GONE',
}

function hostOf(flow: Flow | null): string | null {
  return flow === null ? null : flow.remote.host
}

/** A subscriber's phone to which there is no way: it is the callee that is not there, no fault of ours (§21.4.18). */
function isUnreachable(branch: Branch, status: number, response: Response | null): boolean {
  return response === null && status === 503 && branch.target.trunkGroup === null
}

/** RSeq of a reliable provisional response (RFC 3262 §4), or 0. */
function reliableSequence(response: Response): number {
  if (!response.hasOption(HeaderId.require, '100rel')) return 0
  return Math.max(0, decimal(response.header(HeaderId.rseq) ?? '', 0xffff_ffff))
}

/** The tag in an address value of our own making. */
function tagOf(address: string): string {
  return address.slice(address.lastIndexOf(';tag=') + 5)
}

/** A Reason line that tells no more than protocol and cause (RFC 3326): texts may name one side's network. */
function passableReason(reason: string | null): string {
  if (reason === null) return ''
  const match = /^(SIP|Q\.850)[ \t]*;[ \t]*cause[ \t]*=[ \t]*(\d{1,3})/i.exec(reason)
  return match === null ? '' : `Reason: ${(match[1] ?? '').toUpperCase()};cause=${match[2]}\r\n`
}

/** The contacts of a 3xx as they go on to the caller: the users only, in our own domain's stead nothing else is shown. */
function contactLines(response: Response): string {
  let lines = ''
  for (const contact of response.nameAddrs(HeaderId.contact) ?? []) {
    if (parseUri(contact.uri.text) !== null) lines += `Contact: <${contact.uri.text}>\r\n`
  }
  return lines
}
