// The answered calls of a switch, written down so that the process after this one goes on with them (DESIGN §4.3).

import type { CallImage, CdrFacts, KeptCall } from '#call/call-host.ts'
import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter, Counters } from '#core/counters.ts'
import type { Log } from '#core/log.ts'
import type { Journal, JournalSink, Store } from '#core/store.ts'

export const CALL_JOURNAL = 'calls.journal'

/** The journal is compacted when it has more lines than this, and than this many times the calls that are kept. */
const COMPACTION_LINES_MIN = 10_000
const COMPACTION_FACTOR = 4
/** An image longer than this is not kept: such a call ends with its process. */
const IMAGE_OCTETS_MAX = 65_536
/** Of what an image holds: one of another version is not read. */
const VERSION = 1

/** Changes are written together after this time: what a call that came to rest just before a crash may lose. */
const GROUP_MS = 50
/** Stands between the changes of one group; no image has it, for JSON writes it as \\t. */
const SEPARATOR = '\t'

interface CallJournalPorts {
  readonly clock: Clock
  readonly store: Store
  readonly log: Log
  readonly counters: Counters
}

/**
 * A line is a group of changes: "+CALL-ID image" for a call that has come to rest or has changed, "=CALL-ID record" for one
 * that has ended and whose record waits for its last facts, "-CALL-ID" for one that is over. A call that is over within the group is never written.
 */
export class CallJournal implements JournalSink, TimerOwner {
  readonly #clock: Clock
  readonly #log: Log
  readonly #journal: Journal
  readonly #refused: Counter
  /** Images as written, by Call-ID. */
  readonly #kept = new Map<string, string>()
  /** Records as written of calls that have ended, by Call-ID. */
  readonly #ended = new Map<string, string>()
  /** Calls to write down with the next group. */
  readonly #changed = new Map<string, KeptCall>()
  /** Calls of the journal that are over. */
  readonly #over: string[] = []
  readonly #groupTimer = new Timer(this)
  #lines = 0
  #compacting = false
  /** After a failed compaction: not again before the journal has so many lines. */
  #retryAtLines = 0
  #failing = false

  /** Reads what an earlier process left. Throws only when the store does (see `Store.open`). */
  constructor(ports: CallJournalPorts) {
    this.#clock = ports.clock
    this.#log = ports.log
    this.#refused = ports.counters.counter(
      'carillon_calls_not_kept_total',
      'Answered calls too long to be written down.',
    )
    ports.counters.gauge('carillon_calls_kept', 'Answered calls that a restart goes on with.', () => this.#kept.size)
    this.#journal = ports.store.open(CALL_JOURNAL, (line) => this.#replay(line), this).journal
  }

  /** What is kept of a call; null when nothing is, or it cannot be read. */
  find(callId: string): CallImage | null {
    const text = this.#kept.get(callId)
    if (text === undefined) return null
    try {
      const image = JSON.parse(text) as ({ readonly version?: unknown } & Partial<CallImage>) | null
      if (image?.version !== VERSION || image.caller === undefined || image.callee === undefined) return null
      return image as CallImage
    } catch {
      return null
    }
  }

  /** The record of a call that had ended and whose last facts were waited for; null when there is none. */
  findRecord(callId: string): CdrFacts | null {
    const text = this.#ended.get(callId)
    if (text === undefined) return null
    try {
      return JSON.parse(text) as CdrFacts | null
    } catch {
      return null
    }
  }

  /** Forgets every call but these: what an earlier process left and nobody goes on with. */
  keepOnly(callIds: ReadonlySet<string>): void {
    for (const callId of [...this.#kept.keys(), ...this.#ended.keys()]) if (!callIds.has(callId)) this.remove(callId)
  }

  /** Writes `call` down with the next group, as it is then. */
  put(callId: string, call: KeptCall): void {
    this.#changed.set(callId, call)
    this.#plan()
  }

  /** The call has ended, and its record waits for last facts: should the process die meanwhile, the next one writes it as it is. */
  end(callId: string, record: CdrFacts): void {
    this.#changed.delete(callId)
    this.#kept.delete(callId)
    const text = JSON.stringify(record)
    this.#ended.set(callId, text)
    this.#append(`=${callId} ${text}`)
  }

  remove(callId: string): void {
    this.#changed.delete(callId)
    const wasKept = this.#kept.delete(callId)
    if (!this.#ended.delete(callId) && !wasKept) return
    this.#over.push(callId)
    this.#plan()
  }

  /** Syncs and closes. What is kept stays. */
  close(): void {
    this.#clock.cancel(this.#groupTimer)
    this.#write()
    this.#journal.close()
  }

  onTimer(): void {
    this.#write()
    this.#compactIfDue()
  }

  onDurable(): void {
    if (!this.#failing) return
    this.#failing = false
    this.#log.event('info', 'CALL_STORE_RESTORED', {})
  }

  /** Calls go on; the lines are queued in the store. */
  onStoreError(reason: string): void {
    if (this.#failing) return
    this.#failing = true
    this.#log.event('error', 'CALL_STORE_FAILED', { reason })
  }

  #plan(): void {
    if (!this.#groupTimer.armed) this.#clock.arm(this.#groupTimer, 'group', GROUP_MS)
  }

  #write(): void {
    let line = ''
    for (const callId of this.#over) line += `${line === '' ? '' : SEPARATOR}-${callId}`
    this.#over.length = 0
    for (const [callId, call] of this.#changed) {
      const image = call.image()
      if (image === null) continue
      const text = JSON.stringify({ version: VERSION, ...image })
      if (text.length > IMAGE_OCTETS_MAX) {
        this.#refused.add()
        continue
      }
      this.#kept.set(callId, text)
      line += `${line === '' ? '' : SEPARATOR}+${callId} ${text}`
    }
    this.#changed.clear()
    if (line !== '') this.#append(line)
  }

  #append(line: string): void {
    this.#journal.append(line)
    this.#lines += 1
  }

  #replay(line: string): void {
    this.#lines += 1
    for (const change of line.split(SEPARATOR)) {
      const space = change.indexOf(' ')
      const callId = change.slice(1, space < 0 ? undefined : space)
      if (!change.startsWith('+')) this.#kept.delete(callId)
      if (!change.startsWith('=')) this.#ended.delete(callId)
      if (change.startsWith('+') && space > 0) this.#kept.set(callId, change.slice(space + 1))
      else if (change.startsWith('=') && space > 0) this.#ended.set(callId, change.slice(space + 1))
    }
  }

  #compactIfDue(): void {
    if (this.#compacting || this.#lines < this.#retryAtLines) return
    if (this.#lines < Math.max(COMPACTION_LINES_MIN, this.#kept.size * COMPACTION_FACTOR)) return
    this.#compacting = true
    const linesBefore = this.#lines
    const drawn = { lines: 0 }
    this.#journal.rewrite(this.#liveLines(drawn), (succeeded) => {
      this.#compacting = false
      if (succeeded) {
        this.#lines = drawn.lines + this.#lines - linesBefore
        this.#retryAtLines = 0
      } else {
        this.#retryAtLines = this.#lines * COMPACTION_FACTOR
        this.#log.event('warn', 'CALL_COMPACTION_FAILED', { lines: this.#lines })
      }
    })
  }

  /** Each line says what holds when it is drawn; what changes later is appended after it. */
  *#liveLines(drawn: { lines: number }): Generator<string> {
    for (const [callId, text] of this.#kept) {
      drawn.lines += 1
      yield `+${callId} ${text}`
    }
    for (const [callId, text] of this.#ended) {
      drawn.lines += 1
      yield `=${callId} ${text}`
    }
  }
}
