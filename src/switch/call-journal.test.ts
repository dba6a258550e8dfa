import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallImage, CdrFacts } from '#call/call-host.ts'
import { Counters } from '#core/counters.ts'
import type { Journal, Store } from '#core/store.ts'
import { VirtualClock } from '#sim/virtual-clock.ts'
import { CallJournal } from '#switch/call-journal.ts'

/** A store that keeps its lines in memory. */
class MemoryStore implements Store {
  lines: string[] = []
  rewrites = 0

  open(_name: string, each: (line: string) => void): { journal: Journal; torn: boolean } {
    for (const line of this.lines) each(line)
    const journal: Journal = {
      pending: 0,
      octets: 0,
      append: (line) => this.lines.push(line),
      rewrite: (lines, done) => {
        this.rewrites += 1
        this.lines = [...Iterator.from(lines)]
        done(true)
      },
      close: () => {},
    }
    return { journal, torn: false }
  }

  list(): string[] {
    return []
  }

  remove(): void {}
}

function imageOf(branch: number): CallImage {
  const session = {
    dialog: {
      callId: `call ${branch}`,
      ownsCallId: true,
      localTag: 'l',
      remoteTag: 'r',
      localAddress: '<sip:a@example.net>;tag=l',
      remoteAddress: '"t\tab" <sip:b@example.net>;tag=r',
      routeSet: [],
      remoteTarget: 'sip:b@192.0.2.1',
      localSequence: 1,
      remoteSequence: -1,
      path: null,
    },
    peerAllowsUpdate: false,
    localSdp: 'v=0\r\n',
    minSeS: 90,
    terms: null,
  }
  return { caller: session, callee: session, branch, media: null }
}

function journalOn(store: MemoryStore, clock = new VirtualClock()): { journal: CallJournal; clock: VirtualClock } {
  const log = { event: () => {} }
  const journal = new CallJournal({ clock, store, log, counters: new Counters() })
  return { journal, clock }
}

test('what is kept is found by the next process, and what is over is not', () => {
  const store = new MemoryStore()
  const { journal, clock } = journalOn(store)
  journal.put('one', { image: () => imageOf(1) })
  journal.put('two', { image: () => imageOf(2) })
  clock.runUntil(clock.now() + 100)
  assert.equal(store.lines.length, 1, 'one line a group')
  journal.remove('one')
  journal.close()
  const next = journalOn(store).journal
  assert.equal(next.find('one'), null)
  assert.equal(next.find('two')?.branch, 2)
  assert.equal(next.find('two')?.callee.dialog.remoteAddress, imageOf(2).callee.dialog.remoteAddress)
})

test('a call that is over within its group, or not at rest at its end, is never written', () => {
  const store = new MemoryStore()
  const { journal, clock } = journalOn(store)
  journal.put('short', { image: () => imageOf(1) })
  journal.remove('short')
  journal.put('busy', { image: () => null })
  clock.runUntil(clock.now() + 100)
  assert.deepEqual(store.lines, [])
})

test('the last image of a call counts', () => {
  const store = new MemoryStore()
  const { journal, clock } = journalOn(store)
  for (const branch of [1, 2]) {
    journal.put('one', { image: () => imageOf(branch) })
    clock.runUntil(clock.now() + 100)
  }
  assert.equal(journalOn(store).journal.find('one')?.branch, 2)
})

test('a line that nobody wrote, or of another version, is no call', () => {
  const store = new MemoryStore()
  store.lines = ['', '+', '+x', '+x {', '+y null', '+z {"version":0}', 'rubbish\t\t-', '+w {"version":1,"branch":3}']
  const { journal } = journalOn(store)
  for (const callId of ['', 'x', 'y', 'z', 'w']) assert.equal(journal.find(callId), null, callId)
})

test('calls that nobody goes on with are forgotten', () => {
  const store = new MemoryStore()
  const { journal, clock } = journalOn(store)
  for (const callId of ['one', 'two']) journal.put(callId, { image: () => imageOf(1) })
  clock.runUntil(clock.now() + 100)
  journal.keepOnly(new Set(['two']))
  clock.runUntil(clock.now() + 100)
  const next = journalOn(store).journal
  assert.equal(next.find('one'), null)
  assert.notEqual(next.find('two'), null)
})

test('the journal is compacted to the calls that are up', () => {
  const store = new MemoryStore()
  const { journal, clock } = journalOn(store)
  journal.put('stays', { image: () => imageOf(1) })
  for (let n = 0; n < 6_000; n++) {
    journal.put(`call${n}`, { image: () => imageOf(2) })
    clock.runUntil(clock.now() + 60)
    journal.remove(`call${n}`)
    clock.runUntil(clock.now() + 60)
  }
  assert.equal(store.rewrites, 1)
  assert.ok(store.lines.length < 3_000)
  assert.equal(journalOn(store).journal.find('stays')?.branch, 1)
})

test('the record of a call that had ended is found by the next process, until it was written', () => {
  const store = new MemoryStore()
  const { journal, clock } = journalOn(store)
  journal.put('one', { image: () => imageOf(1) })
  clock.runUntil(clock.now() + 100)
  const record = { callId: 'one', durationMs: 5 } as CdrFacts
  journal.end('one', record)
  const next = journalOn(store).journal
  assert.equal(next.find('one'), null)
  assert.deepEqual(next.findRecord('one'), record)
  journal.remove('one')
  clock.runUntil(clock.now() + 100)
  assert.equal(journalOn(store).journal.findRecord('one'), null)
})
