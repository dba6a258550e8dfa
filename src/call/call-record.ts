// What a call writes down about itself: the facts of its detail records (DESIGN §5).

import type { CalleeTarget, CallFacts, CallPlan, CallRefusal, CallSummary, CdrFacts } from '#call/call-host.ts'
import type { Clock } from '#core/clock.ts'
import { endpointText } from '#core/net.ts'
import type { Flow } from '#sip/flow.ts'
import type { Request } from '#sip/message.ts'

/** Routes of one call that a record names; further ones are tried but not listed. */
export const ROUTES_TRIED_MAX = 64

type RouteTried = CdrFacts['routesTried'][number]
type Leg = CdrFacts['legs'][number]

/** Collects the facts while the call lives. Times are wall milliseconds. */
export class CallRecord {
  readonly callId: string
  readonly #facts: CallFacts
  readonly #callee: string
  readonly #clock: Clock
  /** `Clock.now` of the INVITE: later times are counted from it, so that no step of the wall clock changes a duration. */
  #sinceMs: number
  readonly #invitedAt: number
  readonly #legs: Leg[]
  readonly #routes: RouteTried[] = []
  #calledNumber: string | null = null
  #translations: readonly string[] = []
  #policyMs = 0
  #alertingMs: number | null = null
  #answeredAt: number | null = null
  #egress: string | null = null
  /** Of a resumed call: the last sign of life of the process that answered it. */
  #evidenceAt = 0
  #endedBefore = false

  private constructor(callId: string, facts: CallFacts, callee: string, legs: Leg[], clock: Clock, invitedAt: number) {
    this.callId = callId
    this.#facts = facts
    this.#callee = callee
    this.#clock = clock
    this.#sinceMs = clock.now()
    this.#invitedAt = invitedAt
    this.#legs = legs
  }

  /** The record of a call that begins with `invite`. `callId` is ours, the same in every record of the call. */
  static begun(callId: string, facts: CallFacts, invite: Request, flow: Flow, clock: Clock): CallRecord {
    const legs: Leg[] = [
      { side: 'caller', callId: invite.callId, localTag: callId, remoteTag: invite.from.tag, remote: remoteOf(flow) },
    ]
    return new CallRecord(callId, facts, invite.uriText, legs, clock, clock.wallMs())
  }

  /** The record of a call that an earlier process answered, from its START. */
  static resumed(start: CdrFacts, facts: CallFacts, clock: Clock, evidenceAt: number): CallRecord {
    const record = new CallRecord(start.callId, facts, start.callee, [...start.legs], clock, start.invitedAt)
    const sinceAnswerMs = Math.max(0, clock.wallMs() - (start.answeredAt ?? start.invitedAt))
    record.#sinceMs = clock.now() - sinceAnswerMs - ((start.answeredAt ?? start.invitedAt) - start.invitedAt)
    record.#evidenceAt = Math.max(evidenceAt, start.answeredAt ?? 0)
    record.#routes.push(...start.routesTried)
    record.#calledNumber = start.calledNumber
    record.#translations = start.translations
    record.#policyMs = start.policyMs
    record.#alertingMs = start.alertingMs
    record.#answeredAt = start.answeredAt
    record.#egress = start.egressTrunkGroup
    return record
  }

  planned(plan: CallPlan): void {
    this.#calledNumber = plan.calledNumber
    this.#translations = plan.translations
    this.#policyMs = this.#elapsedMs
  }

  /** The switch itself answers that number. */
  plannedService(calledNumber: string): void {
    this.#calledNumber = calledNumber
    this.#policyMs = this.#elapsedMs
  }

  redirected(plan: CallPlan): void {
    this.#translations = [...this.#translations, `redirected to ${plan.callee}`]
  }

  refused(refusal: CallRefusal): void {
    this.#calledNumber = refusal.calledNumber
  }

  tried(trunkGroup: string | null, status: number | null, cause: number, why: string): void {
    if (this.#routes.length < ROUTES_TRIED_MAX) this.#routes.push({ trunkGroup, status, cause, why })
  }

  alerted(): void {
    this.#alertingMs ??= this.#elapsedMs
  }

  answered(
    target: CalleeTarget,
    leg: { callId: string; localTag: string; remoteTag: string | null; flow: Flow | null },
  ): void {
    this.#answeredAt = this.#nowMs
    this.#egress = target.trunkGroup
    const { callId, localTag, remoteTag, flow } = leg
    this.#legs.push({
      side: 'callee',
      callId,
      localTag,
      remoteTag,
      remote: flow === null ? target.label : remoteOf(flow),
    })
  }

  /** Answered by the switch itself: there is no other leg. */
  answeredHere(): void {
    this.#answeredAt = this.#nowMs
  }

  /** A resumed call turned out to be over: nobody knows since when, so it lasted until the last sign of life before the restart. */
  endedBefore(): void {
    this.#endedBefore = true
  }

  get isAnswered(): boolean {
    return this.#answeredAt !== null
  }

  start(): CdrFacts {
    return this.#write('START', null, null, null, null, null, null)
  }

  intermediate(): CdrFacts {
    return this.#write('INTERMEDIATE', null, this.durationMs, null, null, null, null)
  }

  /** STOP of an answered call, ATTEMPT of any other. `status` is what the caller got. */
  end(party: 'caller' | 'callee' | 'switch', status: number, code: string, cause: number): CdrFacts {
    if (this.#answeredAt === null) return this.#write('ATTEMPT', this.#nowMs, null, party, status, cause, code)
    return this.#write('STOP', this.#nowMs, this.durationMs, party, status, cause, code)
  }

  summary(party: string, status: number, code: string): CallSummary {
    return {
      callId: this.callId,
      caller: this.#facts.callerName,
      callee: this.#callee,
      status,
      releaseCode: code,
      releaseParty: party,
      durationMs: this.durationMs,
      answered: this.isAnswered,
    }
  }

  /** For lists of calls. */
  get row(): {
    readonly callId: string
    readonly caller: string
    readonly callee: string
    readonly callerNumber: string | null
    readonly calledNumber: string | null
    readonly invitedAt: number
    readonly answeredAt: number | null
    readonly ingressTrunkGroup: string | null
    readonly egressTrunkGroup: string | null
  } {
    return {
      callId: this.callId,
      caller: this.#facts.callerName,
      callee: this.#callee,
      callerNumber: this.#facts.caller.number,
      calledNumber: this.#calledNumber,
      invitedAt: this.#invitedAt,
      answeredAt: this.#answeredAt,
      ingressTrunkGroup: this.#facts.ingressTrunkGroup,
      egressTrunkGroup: this.#egress,
    }
  }

  /** Milliseconds since the INVITE, whole. */
  get #elapsedMs(): number {
    return Math.round(this.#clock.now() - this.#sinceMs)
  }

  /** Wall milliseconds now, as counted from the INVITE. */
  get #nowMs(): number {
    return this.#endedBefore ? this.#evidenceAt : this.#invitedAt + this.#elapsedMs
  }

  /** Milliseconds since the answer; 0 before it. */
  get durationMs(): number {
    return this.#answeredAt === null ? 0 : this.#nowMs - this.#answeredAt
  }

  #write(
    type: CdrFacts['type'],
    endedAt: number | null,
    durationMs: number | null,
    releaseParty: CdrFacts['releaseParty'],
    sipStatus: number | null,
    q850Cause: number | null,
    releaseCode: string | null,
  ): CdrFacts {
    const facts = this.#facts
    return {
      type,
      callId: this.callId,
      legs: this.#legs,
      caller: facts.callerName,
      callee: this.#callee,
      callerNumber: facts.caller.number,
      calledNumber: this.#calledNumber,
      translations: this.#translations,
      ingressTrunkGroup: facts.ingressTrunkGroup,
      egressTrunkGroup: this.#egress,
      routesTried: this.#routes,
      invitedAt: this.#invitedAt,
      policyMs: this.#policyMs,
      alertingMs: this.#alertingMs,
      answeredAt: this.#answeredAt,
      endedAt,
      durationMs,
      releaseParty,
      sipStatus,
      q850Cause,
      releaseCode,
      media: null,
      configVersion: facts.configVersion,
    }
  }
}

function remoteOf(flow: Flow): string {
  return `${flow.transport}:${endpointText(flow.remote)}`
}
