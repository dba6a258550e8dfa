// The CDR journal: call detail records as JSON lines in rotated files, numbered without gaps over restarts (DESIGN §5).

import { assert, present } from '#core/assert.ts'
import type { Counter, Counters } from '#core/counters.ts'
import type { Log } from '#core/log.ts'
import type { Journal, JournalSink, Store } from '#core/store.ts'
import type { Cdr } from '#schema/cdr.ts'

/** Below the data folder; each file is named by the sequence number of its first record. */
const FOLDER = 'cdr'
/** The calls that were open when the newest file was begun. Outside the folder, whose files hold records only. */
const CHECKPOINT = 'cdr-open.jsonl'
/** Digits of a file name: as many as the greatest safe integer has, so that names sort as numbers. */
const NAME_DIGITS = 16
const FILE_NAME = /(\d{16})\.jsonl$/
const RECORDS_PER_FILE_MAX = 50_000
const OCTETS_PER_FILE_MAX = 64 * 1024 * 1024
/** Records not yet on stable storage; no more are taken beyond. Below the bound of the store's own queue, so it drops none. */
const PENDING_MAX = 40_000
/** No new call should begin beyond: the room above is for the records of calls that are up. */
const PENDING_ACCEPTING_MAX = PENDING_MAX / 2
/** Files that wait for their last sync; while there are so many, the newest file grows past its size. */
const SEGMENTS_MAX = 4
/** Answered calls followed at once. Calls beyond are recorded as well, but not closed after a crash. */
const OPEN_CALLS_MAX = 1_000_000

/** A record as the call gives it; the journal adds its number and the node. */
export type CdrFacts = Omit<Cdr, 'sequence' | 'nodeId'>

/** A call that has a START and no STOP: it died with an earlier process. */
export interface InterruptedCall {
  readonly start: Cdr
  /** Wall milliseconds of the last sign that the process still lived. */
  readonly evidenceAt: number
}

export interface CdrJournalSettings {
  /** Written into every record. */
  readonly nodeId: string
  /** Records a file holds at most. */
  readonly recordsPerFileMax?: number
  /** Octets at which the next file is begun. */
  readonly octetsPerFileMax?: number
  /** Files kept, oldest removed first; null or absent keeps all of them. */
  readonly filesMax?: number | null
}

/** What the journal needs of the ports. */
export interface CdrJournalPorts {
  readonly store: Store
  readonly log: Log
  readonly counters: Counters
}

/** One file of the journal while it is written. */
class Segment implements JournalSink {
  readonly #owner: { onSegmentDurable(): void; onSegmentError(reason: string): void }
  /** Sequence number of the last record that stood in the file when it was opened. */
  base = 0
  appended = 0
  durable = 0

  constructor(owner: { onSegmentDurable(): void; onSegmentError(reason: string): void }) {
    this.#owner = owner
  }

  onDurable(sequence: number): void {
    this.durable = sequence
    this.#owner.onSegmentDurable()
  }

  onStoreError(reason: string): void {
    this.#owner.onSegmentError(reason)
  }
}

/**
 * The records of one node. Numbers count from 1 and have no gap: a number is given only with a line that the operating
 * system has. Opening reads the newest records, cuts a torn tail and finds the calls that died with an earlier process.
 */
export class CdrJournal {
  /** Calls to close with {@link interruptedStop} before any new record; empty after a clean stop. */
  readonly interrupted: readonly InterruptedCall[]

  readonly #store: Store
  readonly #log: Log
  readonly #nodeJson: string
  readonly #recordsPerFileMax: number
  readonly #octetsPerFileMax: number
  readonly #filesMax: number | null
  readonly #written: Record<Cdr['type'], Counter>
  readonly #refused: Counter
  /** START lines of the calls that are up, by Call-ID. */
  readonly #open = new Map<string, string>()
  /** Files with records that wait for their sync, oldest first; the last one is being written. */
  readonly #segments: Segment[] = []
  readonly #checkpoint: Journal
  #journal: Journal
  #sequence: number
  /** Records in the file being written. */
  #records: number
  /** Sequence number of the first record that the checkpoint on disk does not cover. */
  #checkpointFirst = 1
  #checkpointing = false
  #failing = false
  #closed = false

  /** Throws when the data folder can be neither read nor written (see `Store.open`). */
  constructor(ports: CdrJournalPorts, settings: CdrJournalSettings) {
    this.#store = ports.store
    this.#log = ports.log
    this.#nodeJson = JSON.stringify(settings.nodeId)
    this.#recordsPerFileMax = settings.recordsPerFileMax ?? RECORDS_PER_FILE_MAX
    this.#octetsPerFileMax = settings.octetsPerFileMax ?? OCTETS_PER_FILE_MAX
    this.#filesMax = settings.filesMax ?? null
    assert(this.#recordsPerFileMax >= 1, 'a CDR file holds at least one record')
    assert(this.#filesMax === null || this.#filesMax >= 1, 'at least one CDR file is kept')
    const written = (type: Cdr['type']): Counter =>
      ports.counters.counter(`carillon_cdr_records_total{type="${type}"}`, 'Call detail records written')
    this.#written = {
      START: written('START'),
      STOP: written('STOP'),
      ATTEMPT: written('ATTEMPT'),
      INTERMEDIATE: written('INTERMEDIATE'),
    }
    this.#refused = ports.counters.counter('carillon_cdr_refused_total', 'Call detail records lost: storage failing')
    ports.counters.gauge('carillon_cdr_pending', 'Call detail records not yet on stable storage', () => this.pending)
    ports.counters.gauge('carillon_cdr_open_calls', 'Answered calls without a STOP record', () => this.#open.size)

    const reader = new Reader(this.#open)
    this.#checkpoint = this.#openCheckpoint(reader)
    const files = this.#files()
    const newest = files.at(-1) ?? 1
    // The checkpoint covers what stands before it; a file that holds its first record may begin earlier.
    const from = files.filter((first) => first <= this.#checkpointFirst).at(-1) ?? newest
    for (const first of files) if (first >= from && first < newest) this.#readFile(first, reader, IGNORED).close()
    const segment = new Segment(this)
    this.#journal = this.#readFile(newest, reader, segment)
    this.#sequence = reader.last
    this.#records = reader.last - newest + 1
    segment.base = this.#sequence
    this.#segments.push(segment)
    this.interrupted = reader.interrupted()
  }

  /** Number of the last record appended; 0 when there is none yet. */
  get sequence(): number {
    return this.#sequence
  }

  /** Number of the last record that is on stable storage together with all before it. */
  get durableSequence(): number {
    const oldest = present(this.#segments[0], 'a CDR file is open')
    return oldest.base + oldest.durable
  }

  /** Records not yet on stable storage. */
  get pending(): number {
    return this.#sequence - this.durableSequence
  }

  /** Whether new calls may begin: false while the storage lags so far that their records might find no room. */
  get accepting(): boolean {
    return this.pending < PENDING_ACCEPTING_MAX
  }

  /**
   * Writes one record and gives its number. When the call returns the record survives the death of the process. Gives
   * 0, and writes nothing, when the storage has been failing for so long that the bounded queue is full.
   */
  append(facts: CdrFacts): number {
    assert(!this.#closed, 'append to a closed CDR journal')
    if (this.pending >= PENDING_MAX) {
      this.#refused.value++
      return 0
    }
    if (this.#records >= this.#recordsPerFileMax || this.#journal.octets >= this.#octetsPerFileMax) this.#rotate()
    const sequence = this.#sequence + 1
    const line = `{"sequence":${sequence},"nodeId":${this.#nodeJson},${JSON.stringify(facts).slice(1)}`
    this.#journal.append(line)
    present(this.#segments.at(-1), 'a CDR file is open').appended++
    this.#sequence = sequence
    this.#records++
    this.#written[facts.type].value++
    if (facts.type === 'START') {
      if (this.#open.size < OPEN_CALLS_MAX) this.#open.set(facts.callId, line)
    } else if (facts.type === 'STOP') this.#open.delete(facts.callId)
    return sequence
  }

  /** Syncs and closes. Calls that are still open then are found as interrupted at the next opening. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#journal.close()
    this.#checkpoint.close()
  }

  /** For the files of this journal only. */
  onSegmentDurable(): void {
    if (this.#failing) {
      this.#failing = false
      this.#log.event('info', 'CDR_STORAGE_BACK', { sequence: this.#sequence })
    }
    let oldest = present(this.#segments[0], 'a CDR file is open')
    while (this.#segments.length > 1 && oldest.durable >= oldest.appended) {
      this.#segments.shift()
      oldest = present(this.#segments[0], 'a CDR file is open')
    }
  }

  /** For the files of this journal only. */
  onSegmentError(reason: string): void {
    if (this.#failing) return
    this.#failing = true
    this.#log.event('error', 'CDR_STORAGE_FAILING', { reason, sequence: this.#sequence })
  }

  /** Begins the next file. When that fails, the file at hand is written on, and the next record tries again. */
  #rotate(): void {
    if (this.#failing || this.#segments.length >= SEGMENTS_MAX) return
    const first = this.#sequence + 1
    const segment = new Segment(this)
    segment.base = this.#sequence
    let journal: Journal
    try {
      journal = this.#store.open(fileName(first), () => undefined, segment).journal
    } catch (error) {
      this.onSegmentError(error instanceof Error ? error.message : String(error))
      return
    }
    const full = this.#journal
    this.#journal = journal
    this.#records = 0
    this.#segments.push(segment)
    full.close()
    this.onSegmentDurable()
    this.#writeCheckpoint(first)
  }

  /** Notes the open calls, so that a start needs to read no file older than `first`, however long calls last. */
  #writeCheckpoint(first: number): void {
    if (this.#checkpointing) return
    this.#checkpointing = true
    const lines = [JSON.stringify({ first }), ...this.#open.values()]
    this.#checkpoint.rewrite(lines.values(), (succeeded) => {
      this.#checkpointing = false
      if (!succeeded) return
      this.#checkpointFirst = first
      this.#removeOldest()
    })
  }

  #openCheckpoint(reader: Reader): Journal {
    let header = true
    const each = (line: string): void => {
      if (header) this.#checkpointFirst = checkpointFirst(line)
      else reader.readOpen(line)
      header = false
    }
    return this.#store.open(CHECKPOINT, each, IGNORED).journal
  }

  #readFile(first: number, reader: Reader, sink: JournalSink): Journal {
    const file = fileName(first)
    reader.begin(first)
    const { journal, torn } = this.#store.open(file, (line) => reader.read(line), sink)
    if (torn) this.#log.event('warn', 'CDR_TORN_TAIL', { file })
    if (reader.unreadable > 0) this.#log.event('error', 'CDR_UNREADABLE', { file, lines: reader.unreadable })
    if (reader.missing > 0) this.#log.event('error', 'CDR_GAP', { file, records: reader.missing })
    return journal
  }

  /** First numbers of the files, ascending. */
  #files(): number[] {
    const firsts: number[] = []
    for (const name of this.#store.list(FOLDER)) {
      const digits = FILE_NAME.exec(name)?.[1]
      if (digits !== undefined) firsts.push(Number(digits))
    }
    return firsts.sort((a, b) => a - b)
  }

  /** Retention. A file that a start after a crash would read stays, whatever the setting. */
  #removeOldest(): void {
    if (this.#filesMax === null) return
    const files = this.#files()
    const excess = files.slice(0, Math.max(0, files.length - this.#filesMax))
    for (const [index, first] of excess.entries()) {
      const next = files[index + 1]
      if (next === undefined || next > this.#checkpointFirst) return
      this.#store.remove(fileName(first))
      this.#log.event('info', 'CDR_FILE_REMOVED', { file: fileName(first) })
    }
  }
}

/**
 * The STOP of a call that died with an earlier process: it lasted until the last sign of life. Q.850 cause 41 (temporary
 * failure); the party is the switch itself.
 */
export function interruptedStop(call: InterruptedCall): CdrFacts {
  const { sequence: _sequence, nodeId: _nodeId, ...start } = call.start
  const answeredAt = start.answeredAt ?? start.invitedAt
  const endedAt = Math.max(call.evidenceAt, answeredAt)
  return {
    ...start,
    type: 'STOP',
    endedAt,
    durationMs: endedAt - answeredAt,
    releaseParty: 'switch',
    sipStatus: 200,
    q850Cause: 41,
    releaseCode: 'NODE_RESTART',
  }
}

/** Nothing is written through these openings. */
const IGNORED: JournalSink = { onDurable: () => undefined, onStoreError: () => undefined }

function fileName(first: number): string {
  return `${FOLDER}/${String(first).padStart(NAME_DIGITS, '0')}.jsonl`
}

function checkpointFirst(line: string): number {
  const value = parseLine(line)
  const first = value === null ? null : value['first']
  // An unreadable checkpoint covers nothing: every file is read then.
  return typeof first === 'number' && Number.isSafeInteger(first) && first >= 1 ? first : 1
}

/** The object in a line; null when it is none. */
function parseLine(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

/** What opening learns from the lines: the last number, the open calls and the last sign of life. */
class Reader {
  last = 0
  /** Lines of the file at hand that are no records. */
  unreadable = 0
  /** Numbers that should stand in the file at hand and do not. */
  missing = 0
  readonly #open: Map<string, string>
  #evidenceAt = 0

  constructor(open: Map<string, string>) {
    this.#open = open
  }

  begin(first: number): void {
    this.last = first - 1
    this.unreadable = 0
    this.missing = 0
  }

  read(line: string): void {
    const record = parseLine(line)
    const sequence = record === null ? null : record['sequence']
    if (record === null || typeof sequence !== 'number') {
      // A line that the disk spoiled was a record, and its number is never given again.
      this.last++
      this.unreadable++
      return
    }
    if (sequence > this.last + 1) this.missing += sequence - this.last - 1
    this.last = Math.max(this.last, sequence)
    this.#evidenceAt = Math.max(this.#evidenceAt, recordAt(record))
    const callId = record['callId']
    if (typeof callId !== 'string') return
    if (record['type'] === 'START') {
      if (this.#open.size < OPEN_CALLS_MAX) this.#open.set(callId, line)
    } else if (record['type'] === 'STOP') this.#open.delete(callId)
  }

  /** A START that the checkpoint carries. */
  readOpen(line: string): void {
    const record = parseLine(line)
    const callId = record === null ? null : record['callId']
    if (record === null || typeof callId !== 'string') return
    this.#open.set(callId, line)
    this.#evidenceAt = Math.max(this.#evidenceAt, recordAt(record))
  }

  interrupted(): InterruptedCall[] {
    const calls: InterruptedCall[] = []
    for (const line of this.#open.values()) {
      const record = present(parseLine(line), 'an open call was read from a record')
      calls.push({ start: record as Cdr, evidenceAt: this.#evidenceAt })
    }
    return calls
  }
}

/** Wall milliseconds at which a record was written, as far as it tells. */
function recordAt(record: Record<string, unknown>): number {
  const { invitedAt, answeredAt, endedAt, durationMs } = record
  let at = typeof invitedAt === 'number' ? invitedAt : 0
  if (typeof answeredAt === 'number') at = Math.max(at, answeredAt + (typeof durationMs === 'number' ? durationMs : 0))
  if (typeof endedAt === 'number') at = Math.max(at, endedAt)
  return at
}
