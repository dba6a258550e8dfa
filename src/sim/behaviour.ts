// How simulated people and carriers behave: plans drawn from a seeded generator.

import type { AnswerPlan, CallPlan, Outcome, SessionChange } from '#sim/call-end.ts'
import type { Generator } from '#sim/generator.ts'

/** Shares of what called agents do; the rest answers. */
export interface BehaviourOptions {
  readonly answerAfterMs: readonly [number, number]
  readonly talkMs: readonly [number, number]
  readonly busy: number
  readonly decline: number
  readonly unavailable: number
  readonly redirect: number
  /** Rings and never answers. */
  readonly silent: number
  /** Does not even say 100. */
  readonly mute: number
  /** 18x with up to so many To tags. */
  readonly forksMax: number
  /** Share of answers that cross with a CANCEL. */
  readonly ignoresCancel: number
  /** Share of calls in which an end changes the session. */
  readonly changes: number
  readonly delayedOffer: number
  /** Share of calls whose caller gives up early. */
  readonly impatient: number
  readonly redirectTo: string
}

export const BEHAVIOUR_DEFAULTS: BehaviourOptions = {
  answerAfterMs: [200, 9_000],
  talkMs: [500, 60_000],
  busy: 0.08,
  decline: 0.04,
  unavailable: 0.03,
  redirect: 0.02,
  silent: 0.03,
  mute: 0.01,
  forksMax: 1,
  ignoresCancel: 0.05,
  changes: 0.3,
  delayedOffer: 0.1,
  impatient: 0.15,
  redirectTo: 'sip:nobody@sim.example',
}

/** What a called agent will do with one call. */
export function drawAnswer(random: Generator, options: BehaviourOptions): AnswerPlan {
  const shares: readonly [Outcome, number][] = [
    ['busy', options.busy],
    ['decline', options.decline],
    ['unavailable', options.unavailable],
    ['redirect', options.redirect],
    ['silent', options.silent],
    ['mute', options.mute],
  ]
  let at = random.fraction()
  let outcome: Outcome = 'answer'
  for (const [one, share] of shares) {
    if (at < share) {
      outcome = one
      break
    }
    at -= share
  }
  const afterMs = random.between(options.answerAfterMs[0], options.answerAfterMs[1])
  return {
    outcome,
    ringAfterMs: random.chance(0.9) ? random.between(20, Math.max(21, afterMs >> 1)) : null,
    afterMs,
    talkMs: random.chance(0.5) ? random.between(options.talkMs[0], options.talkMs[1]) : null,
    forks: random.between(1, options.forksMax),
    ignoresCancel: random.chance(options.ignoresCancel),
    changes: drawChanges(random, options),
    redirectTo: options.redirectTo,
  }
}

/** What a caller will do. It always hangs up in the end, so that no call lasts for ever. */
export function drawCall(random: Generator, options: BehaviourOptions): CallPlan {
  const isImpatient = random.chance(options.impatient)
  return {
    talkMs: random.between(options.talkMs[0], options.talkMs[1]),
    patienceMs: isImpatient ? random.between(0, options.answerAfterMs[1]) : random.between(30_000, 60_000),
    delayedOffer: random.chance(options.delayedOffer),
    changes: drawChanges(random, options),
  }
}

function drawChanges(random: Generator, options: BehaviourOptions): SessionChange[] {
  if (!random.chance(options.changes)) return []
  const method = random.chance(0.5) ? 'INVITE' : 'UPDATE'
  const holdMs = random.between(100, options.talkMs[1] >> 1)
  return [
    { afterMs: holdMs, method, direction: 'sendonly' },
    { afterMs: holdMs + random.between(50, 10_000), method, direction: 'sendrecv' },
  ]
}
