// What a call writes down about itself: the facts of its detail records (DESIGN §5).

import type { CalleeTarget, CallFacts, CallPlan, CallRefusal, CallSummary, CdrFacts } from '#call/call-host.ts'
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
  readonly #invitedAt: number
  readonly #legs: Leg[]
  readonly #routes: RouteTried[] = []
  #calledNumber: string | null = null
  #translations: readonly string[] = []
  #policyMs = 0
  #alertingMs: number | null = null
  #answeredAt: number | null = null
  #egress: string | null = null

  /** `callId` is ours, the same in every record of the call. */
  constructor(callId: string, facts: CallFacts, invite: Request, flow: Flow, nowMs: number) {
    this.callId = callId
    this.#facts = facts
    this.#callee = invite.uriText
    this.#invitedAt = nowMs
    this.#legs = [
      { side: 'caller', callId: invite.callId, localTag: callId, remoteTag: invite.from.tag, remote: remoteOf(flow) },
    ]
  }

  planned(plan: CallPlan, nowMs: number): void {
    this.#calledNumber = plan.calledNumber
    this.#translations = plan.translations
    this.#policyMs = nowMs - this.#invitedAt
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

  alerted(nowMs: number): void {
    this.#alertingMs ??= nowMs - this.#invitedAt
  }

  answered(
    target: CalleeTarget,
    leg: { callId: string; localTag: string; remoteTag: string | null; flow: Flow | null },
    nowMs: number,
  ): void {
    this.#answeredAt = nowMs
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

  get isAnswered(): boolean {
    return this.#answeredAt !== null
  }

  start(): CdrFacts {
    return this.#write('START', null, null, null, null, null, null)
  }

  intermediate(nowMs: number): CdrFacts {
    return this.#write('INTERMEDIATE', null, nowMs - (this.#answeredAt ?? nowMs), null, null, null, null)
  }

  /** STOP of an answered call, ATTEMPT of any other. */
  end(party: 'caller' | 'callee' | 'switch', status: number, code: string, cause: number, nowMs: number): CdrFacts {
    const answeredAt = this.#answeredAt
    if (answeredAt === null) return this.#write('ATTEMPT', nowMs, null, party, status, cause, code)
    return this.#write('STOP', nowMs, Math.max(0, nowMs - answeredAt), party, 200, cause, code)
  }

  summary(party: string, status: number, code: string, nowMs: number): CallSummary {
    return {
      callId: this.callId,
      caller: this.#facts.callerName,
      callee: this.#callee,
      status,
      releaseCode: code,
      releaseParty: party,
      durationMs: this.#answeredAt === null ? 0 : Math.max(0, nowMs - this.#answeredAt),
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
