// A process that writes call detail records until it is killed: node cdr-writer.ts DATA-FOLDER. One line out for each record written.

import { writeSync } from 'node:fs'

import { Counters } from '#core/counters.ts'
import { FileStore } from '#host/file-store.ts'
import { systemClock } from '#host/system-clock.ts'
import { type CdrFacts, CdrJournal, interruptedStop } from '#switch/cdr-journal.ts'

/** Records between two turns of the event loop, in which syncs end and checkpoints are written. */
const RECORDS_PER_TURN = 7
/** Small, so that deaths fall into rotations too. */
const RECORDS_PER_FILE = 60
const CALLS_UP = 20
const STANDARD_OUTPUT = 1

const clock = systemClock((error) => {
  throw error
})
const store = new FileStore(process.argv[2] ?? '', clock)
const log = { event: (_level: string, code: string) => void writeSync(STANDARD_OUTPUT, `event ${code}\n`) }
const journal = new CdrJournal(
  { store, log, counters: new Counters() },
  { nodeId: 'writer', recordsPerFileMax: RECORDS_PER_FILE },
)
const write = (facts: CdrFacts): void => {
  const sequence = journal.append(facts)
  writeSync(STANDARD_OUTPUT, `record ${sequence} ${facts.type} ${facts.callId}\n`)
}
for (const call of journal.interrupted) write(interruptedStop(call))
writeSync(STANDARD_OUTPUT, 'open\n')

const up: string[] = []
let calls = 0
const turn = (): void => {
  for (let n = 0; n < RECORDS_PER_TURN; n++) {
    const oldest = up.length >= CALLS_UP ? up.shift() : undefined
    if (oldest !== undefined) write(facts('STOP', oldest))
    else {
      const callId = `${process.pid}-${++calls}`
      up.push(callId)
      write(facts('START', callId))
    }
  }
  setImmediate(turn)
}
if (process.argv[3] !== 'once') turn()
else journal.close()

function facts(type: CdrFacts['type'], callId: string): CdrFacts {
  const at = Date.now()
  return {
    type,
    callId,
    legs: [{ side: 'caller', callId, localTag: 'a', remoteTag: 'b', remote: 'udp:192.0.2.1:5060' }],
    caller: 'sip:+12025550101@example.net',
    callee: 'sip:+442079460000@example.net',
    callerNumber: '+12025550101',
    calledNumber: '+442079460000',
    translations: [],
    ingressTrunkGroup: 'in',
    egressTrunkGroup: 'out',
    routesTried: [{ trunkGroup: 'out', status: 200, cause: 16, why: 'ROUTE_ANSWERED' }],
    invitedAt: at,
    policyMs: 0.1,
    alertingMs: 12,
    answeredAt: at,
    endedAt: type === 'STOP' ? at : null,
    durationMs: type === 'STOP' ? 0 : null,
    releaseParty: type === 'STOP' ? 'caller' : null,
    sipStatus: type === 'STOP' ? 200 : null,
    q850Cause: type === 'STOP' ? 16 : null,
    releaseCode: type === 'STOP' ? 'NORMAL' : null,
    media: null,
    configVersion: '1',
  }
}
