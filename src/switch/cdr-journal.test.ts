// The CDR journal over a store in memory: numbers, rotation, torn tails, interrupted calls, storage failures (DESIGN §5).

import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { Counters } from '#core/counters.ts'
import type { Fields } from '#core/log.ts'
import type { Journal, JournalSink, Store } from '#core/store.ts'
import type { Cdr } from '#schema/cdr.ts'
import { type CdrFacts, CdrJournal, interruptedStop } from '#switch/cdr-journal.ts'

/** Keeps files as text. `sync` says when lines become durable; `failing` makes rotation throw. */
class MemoryStore implements Store {
  readonly files = new Map<string, string>()
  readonly opened: string[] = []
  readonly live: MemoryJournal[] = []
  autoSync = true
  failing = false

  open(name: string, each: (line: string) => void, sink: JournalSink): { journal: Journal; torn: boolean } {
    if (this.failing) throw new Error('ENOSPC')
    this.opened.push(name)
    const text = this.files.get(name) ?? ''
    const end = text.lastIndexOf('\n') + 1
    for (const line of text.slice(0, end).split('\n').slice(0, -1)) each(line)
    this.files.set(name, text.slice(0, end))
    const journal = new MemoryJournal(this, name, sink)
    this.live.push(journal)
    return { journal, torn: end < text.length }
  }

  list(folder: string): string[] {
    return [...this.files.keys()].filter((name) => name.startsWith(`${folder}/`)).sort()
  }

  remove(name: string): void {
    this.files.delete(name)
  }

  syncAll(): void {
    for (const journal of this.live) journal.sync()
  }

  records(): Cdr[] {
    return this.list('cdr').flatMap((name) =>
      (this.files.get(name) ?? '')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Cdr),
    )
  }
}

class MemoryJournal implements Journal {
  readonly #store: MemoryStore
  readonly #name: string
  readonly #sink: JournalSink
  #appended = 0
  #durable = 0

  constructor(store: MemoryStore, name: string, sink: JournalSink) {
    this.#store = store
    this.#name = name
    this.#sink = sink
  }

  get pending(): number {
    return this.#appended - this.#durable
  }

  get octets(): number {
    return (this.#store.files.get(this.#name) ?? '').length
  }

  append(line: string): number {
    assert.ok(!line.includes('\n'))
    this.#store.files.set(this.#name, `${this.#store.files.get(this.#name) ?? ''}${line}\n`)
    this.#appended++
    if (this.#store.autoSync) this.sync()
    return this.#appended
  }

  sync(): void {
    if (this.#durable === this.#appended) return
    this.#durable = this.#appended
    this.#sink.onDurable(this.#durable)
  }

  fail(): void {
    this.#sink.onStoreError('ENOSPC')
  }

  rewrite(lines: Iterator<string>, done: (succeeded: boolean) => void): void {
    let text = ''
    for (let next = lines.next(); next.done !== true; next = lines.next()) text += `${next.value}\n`
    this.#store.files.set(this.#name, text)
    done(true)
  }

  close(): void {
    if (this.#store.autoSync) this.sync()
  }
}

class Rig {
  readonly store = new MemoryStore()
  readonly events: string[] = []
  readonly counters = new Counters()
  settings = { nodeId: 'n1', recordsPerFileMax: 50_000, filesMax: null as number | null }

  open(): CdrJournal {
    const log = { event: (_level: string, code: string, _fields: Fields) => void this.events.push(code) }
    return new CdrJournal({ store: this.store, log, counters: this.counters }, this.settings)
  }
}

const T0 = 1_800_000_000_000

function facts(type: Cdr['type'], callId: string, at = T0): CdrFacts {
  const answered = type === 'START' || type === 'STOP'
  return {
    type,
    callId,
    legs: [],
    caller: 'sip:alice@example.net',
    callee: 'sip:+442079460000@example.net',
    callerNumber: '+12025550101',
    calledNumber: '+442079460000',
    translations: [],
    ingressTrunkGroup: null,
    egressTrunkGroup: 'east',
    routesTried: [{ trunkGroup: 'east', status: 200, cause: null, why: 'ROUTE_OK' }],
    invitedAt: at - 1000,
    policyMs: 0.1,
    alertingMs: 300,
    answeredAt: answered ? at : null,
    endedAt: type === 'START' ? null : at,
    durationMs: type === 'STOP' ? 0 : null,
    releaseParty: null,
    sipStatus: 200,
    q850Cause: null,
    releaseCode: null,
    media: null,
    configVersion: '1',
  }
}

test('numbers count from 1 and go on without a gap after a restart', () => {
  const rig = new Rig()
  const first = rig.open()
  assert.deepEqual([first.append(facts('ATTEMPT', 'a')), first.append(facts('ATTEMPT', 'b'))], [1, 2])
  first.close()
  const second = rig.open()
  assert.equal(second.sequence, 2)
  assert.equal(second.append(facts('ATTEMPT', 'c')), 3)
  assert.deepEqual(
    rig.store.records().map((record) => [record.sequence, record.nodeId, record.callId]),
    [
      [1, 'n1', 'a'],
      [2, 'n1', 'b'],
      [3, 'n1', 'c'],
    ],
  )
})

test('a record is one line of JSON whatever stands in its texts', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const rig = new Rig()
      const record = { ...facts('ATTEMPT', 'x'), callee: text }
      rig.open().append(record)
      const [stored] = rig.store.records()
      assert.deepEqual(stored, { sequence: 1, nodeId: 'n1', ...record })
    }),
  )
})

test('files are rotated by their number of records and named by their first sequence number', () => {
  const rig = new Rig()
  rig.settings = { ...rig.settings, recordsPerFileMax: 3 }
  const journal = rig.open()
  for (let n = 1; n <= 8; n++) journal.append(facts('ATTEMPT', `c${n}`))
  assert.deepEqual(rig.store.list('cdr'), [
    'cdr/0000000000000001.jsonl',
    'cdr/0000000000000004.jsonl',
    'cdr/0000000000000007.jsonl',
  ])
  assert.deepEqual(
    rig.store.records().map((record) => record.sequence),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
})

test('a new file that is still empty goes on with the number in its name', () => {
  const rig = new Rig()
  rig.store.files.set('cdr/0000000000000041.jsonl', '')
  assert.equal(rig.open().append(facts('ATTEMPT', 'a')), 41)
})

test('a torn tail is cut, told, and its number is given again', () => {
  const rig = new Rig()
  const first = rig.open()
  first.append(facts('ATTEMPT', 'a'))
  first.append(facts('ATTEMPT', 'b'))
  const name = 'cdr/0000000000000001.jsonl'
  rig.store.files.set(name, (rig.store.files.get(name) ?? '').slice(0, -20))
  const second = rig.open()
  assert.ok(rig.events.includes('CDR_TORN_TAIL'))
  assert.equal(second.append(facts('ATTEMPT', 'c')), 2)
})

test('a line spoiled by the disk is told, and its number is not given again', () => {
  const rig = new Rig()
  const first = rig.open()
  for (const callId of ['a', 'b', 'c']) first.append(facts('ATTEMPT', callId))
  const name = 'cdr/0000000000000001.jsonl'
  const lines = (rig.store.files.get(name) ?? '').split('\n')
  rig.store.files.set(name, [lines[0], '\u0000\u0000', lines[2], ''].join('\n'))
  const second = rig.open()
  assert.ok(rig.events.includes('CDR_UNREADABLE'))
  assert.ok(!rig.events.includes('CDR_GAP'))
  assert.equal(second.sequence, 3)
})

test('a call with a START and no STOP is given back once, ended at the last sign of life', () => {
  const rig = new Rig()
  const first = rig.open()
  first.append(facts('START', 'gone', T0))
  first.append(facts('START', 'ended', T0))
  first.append(facts('STOP', 'ended', T0 + 5000))
  first.append(facts('ATTEMPT', 'last', T0 + 9000))
  const second = rig.open()
  assert.deepEqual(
    second.interrupted.map((call) => call.start.callId),
    ['gone'],
  )
  for (const call of second.interrupted) second.append(interruptedStop(call))
  const stop = rig.store.records().at(-1)
  assert.equal(stop?.type, 'STOP')
  assert.equal(stop?.sequence, 5)
  assert.equal(stop?.callId, 'gone')
  assert.equal(stop?.durationMs, 9000)
  assert.equal(stop?.releaseCode, 'NODE_RESTART')
  assert.deepEqual(rig.open().interrupted, [])
})

test('interrupted calls are found without reading the files before the last rotation', () => {
  const rig = new Rig()
  rig.settings = { ...rig.settings, recordsPerFileMax: 2 }
  const first = rig.open()
  first.append(facts('START', 'long', T0))
  for (let n = 0; n < 9; n++) first.append(facts('ATTEMPT', `c${n}`, T0 + n))
  rig.store.opened.length = 0
  const second = rig.open()
  assert.deepEqual(rig.store.opened, ['cdr-open.jsonl', 'cdr/0000000000000009.jsonl'])
  assert.deepEqual(
    second.interrupted.map((call) => call.start.callId),
    ['long'],
  )
})

test('without a checkpoint all files are read', () => {
  const rig = new Rig()
  rig.settings = { ...rig.settings, recordsPerFileMax: 2 }
  const first = rig.open()
  first.append(facts('START', 'long', T0))
  for (let n = 0; n < 9; n++) first.append(facts('ATTEMPT', `c${n}`, T0 + n))
  rig.store.remove('cdr-open.jsonl')
  assert.deepEqual(
    rig.open().interrupted.map((call) => call.start.callId),
    ['long'],
  )
})

test('a number counts as durable only when all before it are, across files', () => {
  const rig = new Rig()
  rig.settings = { ...rig.settings, recordsPerFileMax: 2 }
  rig.store.autoSync = false
  const journal = rig.open()
  for (let n = 0; n < 3; n++) journal.append(facts('ATTEMPT', `c${n}`))
  rig.store.live.at(-1)?.sync()
  assert.equal(journal.durableSequence, 0)
  rig.store.syncAll()
  assert.equal(journal.durableSequence, 3)
  assert.equal(journal.pending, 0)
})

test('when the next file cannot be made the one at hand is written on', () => {
  const rig = new Rig()
  rig.settings = { ...rig.settings, recordsPerFileMax: 2 }
  const journal = rig.open()
  rig.store.failing = true
  for (let n = 0; n < 4; n++) assert.equal(journal.append(facts('ATTEMPT', `c${n}`)), n + 1)
  assert.ok(rig.events.includes('CDR_STORAGE_FAILING'))
  rig.store.failing = false
  assert.equal(journal.append(facts('ATTEMPT', 'c4')), 5)
  assert.deepEqual(
    rig.store.records().map((record) => record.sequence),
    [1, 2, 3, 4, 5],
  )
})

test('while the storage fails new calls are not accepted past half of the queue, and at its end no number is given', () => {
  const rig = new Rig()
  rig.store.autoSync = false
  const journal = rig.open()
  rig.store.live.at(-1)?.fail()
  const record = facts('ATTEMPT', 'c')
  for (let n = 1; n < 20_000; n++) journal.append(record)
  assert.ok(journal.accepting)
  journal.append(record)
  assert.ok(!journal.accepting)
  for (let n = 20_001; n <= 40_000; n++) journal.append(record)
  assert.equal(journal.append(record), 0)
  rig.store.syncAll()
  assert.ok(journal.accepting)
  assert.deepEqual(rig.events, ['CDR_STORAGE_FAILING', 'CDR_STORAGE_BACK'])
  assert.equal(journal.append(record), 40_001)
})

test('the oldest files are removed only when a number of files is configured', () => {
  const rig = new Rig()
  rig.settings = { ...rig.settings, recordsPerFileMax: 1, filesMax: 3 }
  const journal = rig.open()
  for (let n = 0; n < 9; n++) journal.append(facts('ATTEMPT', `c${n}`))
  assert.deepEqual(rig.store.list('cdr'), [
    'cdr/0000000000000007.jsonl',
    'cdr/0000000000000008.jsonl',
    'cdr/0000000000000009.jsonl',
  ])
  assert.equal(rig.open().sequence, 9)
})

test('whatever the interleaving of records, rotations and deaths, numbers have no gap and every START gets one STOP', () => {
  const step = fc.constantFrom('start', 'stop', 'attempt', 'die', 'tear')
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (steps, recordsPerFileMax) => {
      const rig = new Rig()
      rig.settings = { ...rig.settings, recordsPerFileMax }
      let journal = rig.open()
      let calls = 0
      const up: string[] = []
      for (const what of steps) {
        if (what === 'start') {
          up.push(`call${++calls}`)
          journal.append(facts('START', `call${calls}`))
        } else if (what === 'stop') {
          const callId = up.shift()
          if (callId !== undefined) journal.append(facts('STOP', callId))
        } else if (what === 'attempt') journal.append(facts('ATTEMPT', 'x'))
        else {
          const name = rig.store.list('cdr').at(-1)
          if (what === 'tear' && name !== undefined) {
            rig.store.files.set(name, `${rig.store.files.get(name) ?? ''}{"sequence":`)
          }
          journal = rig.open()
          assert.deepEqual(journal.interrupted.map((call) => call.start.callId).sort(), up.splice(0).sort())
          for (const call of journal.interrupted) journal.append(interruptedStop(call))
        }
      }
      const records = rig.store.records()
      assert.deepEqual(
        records.map((record) => record.sequence),
        records.map((_, index) => index + 1),
      )
      const stops = records.filter((record) => record.type === 'STOP').map((record) => record.callId)
      assert.equal(new Set(stops).size, stops.length)
      assert.ok(!rig.events.includes('CDR_GAP') && !rig.events.includes('CDR_UNREADABLE'))
    }),
  )
})
