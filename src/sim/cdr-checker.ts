// Compares the call detail records that a switch left on its disk with what was on the wire.

import type { Cdr } from '#schema/cdr.ts'
import type { Disk } from '#sim/disk.ts'
import type { LegTimes } from '#sim/switch-checker.ts'

/** Rounding to whole milliseconds on both sides. */
const TOLERANCE_MS = 5
/** How long an answer may be with the media gateway: the patience with each of a few commands. */
const DESCRIBING_MS = 8_000

/**
 * What is wrong with the records; empty when nothing. `invited` are the callers' Call-IDs of the calls that rang somewhere:
 * each has a record. `powerLost` allows that records never synced are missing, `clockStepped` that a call over a crash has
 * another duration: it is counted in wall time then.
 */
export function checkCdrs(
  disk: Disk,
  legs: ReadonlyMap<string, LegTimes>,
  invited: ReadonlySet<string>,
  powerLost: boolean,
  clockStepped: boolean,
): string[] {
  const problems: string[] = []
  const records: Cdr[] = []
  for (const name of disk.names('cdr')) for (const line of disk.lines(name)) records.push(JSON.parse(line))
  records.forEach((record, at) => {
    if (record.sequence !== at + 1) problems.push(`record ${at + 1} has number ${record.sequence}`)
  })
  const byCall = new Map<string, Cdr[]>()
  for (const record of records) byCall.set(record.callId, [...(byCall.get(record.callId) ?? []), record])
  const seen = new Map<string, Cdr[]>()
  const attemptsOn = new Map<string, number>()
  for (const own of byCall.values()) {
    const leg = callerLegOf(own)
    if (leg !== undefined) attemptsOn.set(leg, (attemptsOn.get(leg) ?? 0) + 1)
  }
  for (const [callId, own] of byCall) {
    const kinds = own.filter(({ type }) => type !== 'INTERMEDIATE').map(({ type }) => type)
    const shape = kinds.join(' ')
    if (shape !== 'ATTEMPT' && shape !== 'START STOP') problems.push(`call ${callId} has the records '${shape}'`)
    const callerLeg = callerLegOf(own)
    if (callerLeg !== undefined) seen.set(callerLeg, own)
    // A caller that asks again under the same Call-ID (challenged anew) has several calls on one leg: times would mix.
    if ((attemptsOn.get(callerLeg ?? '') ?? 0) <= 1) problems.push(...compare(own, legs, powerLost, clockStepped))
  }
  if (powerLost) return problems
  for (const [callId, leg] of legs) {
    // A leg of which the switch answered the INVITE is a caller's.
    if (leg.answeredMs >= 0 && !seen.has(callId)) problems.push(`the answered call ${callId} has no record`)
  }
  for (const callId of invited) {
    if (!seen.has(callId) && legs.get(callId)?.crashed === false) problems.push(`the call ${callId} has no record`)
  }
  return problems
}

/** The caller's Call-ID in the records of one call. */
function callerLegOf(records: readonly Cdr[]): string | undefined {
  return records[0]?.legs.find(({ side }) => side === 'caller')?.callId
}

function compare(
  records: readonly Cdr[],
  legs: ReadonlyMap<string, LegTimes>,
  powerLost: boolean,
  clockStepped: boolean,
): string[] {
  const last = records.at(-1)
  const callerLeg = last?.legs.find(({ side }) => side === 'caller')?.callId
  const caller = callerLeg === undefined ? undefined : legs.get(callerLeg)
  if (last === undefined || caller === undefined || last.type === 'START') return []
  const name = `call ${last.callId}`
  const crashed = last.legs.some(({ callId }) => legs.get(callId)?.crashed)
  // After a loss of power the record of the call before, on the same leg, may be missing.
  if (last.type === 'ATTEMPT') {
    return caller.answeredMs >= 0 && !powerLost ? [`${name} was answered and has an ATTEMPT`] : []
  }
  // The callee answered, and while its description was with the media gateway the call ended, or the gateway did not answer.
  const isWithoutCaller = last.legs.some(({ callId }) => (legs.get(callId)?.acceptedMs ?? -1) >= 0)
  if (caller.answeredMs < 0 && isWithoutCaller && (last.durationMs ?? 0) <= DESCRIBING_MS) return []
  if (caller.answeredMs < 0) return crashed || caller.cutOff ? [] : [`${name} has a STOP and was never answered`]
  // What a restart closes has the last sign of life as its end.
  if (last.releaseCode === 'NODE_RESTART' || (crashed && clockStepped)) return []
  const ends = last.legs.flatMap(({ callId }) => legs.get(callId) ?? []).filter((leg) => leg.endedMs >= 0)
  const [first] = ends.toSorted((one, other) => one.endedMs - other.endedMs)
  // A BYE on a broken connection was never on the wire, and all were broken when the process died.
  if (first === undefined) return caller.cutOff || crashed ? [] : [`${name} has a STOP and no BYE was seen`]
  const { endedMs, heldMs } = first
  const wireMs = endedMs - caller.answeredMs
  const accepted = last.legs.map(({ callId }) => legs.get(callId)?.acceptedMs ?? -1).filter((atMs) => atMs >= 0)
  // A STOP that the disk never took is lost: the next process goes on with the call, and its other end may hang up later.
  const longestMs = powerLost ? Number.POSITIVE_INFINITY : endedMs - Math.min(caller.answeredMs, ...accepted)
  const recordMs = last.durationMs ?? Number.NaN
  return recordMs >= wireMs - TOLERANCE_MS - heldMs && recordMs <= longestMs + TOLERANCE_MS
    ? []
    : [`${name} lasted ${wireMs} ms on the wire, ${recordMs} in its STOP`]
}
