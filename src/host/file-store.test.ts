// Journals: what survives a kill at any octet, a failing storage, and compaction while lines are appended.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as nodeFs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { Journal, JournalSink } from '#core/store.ts'
import { FileStore } from '#host/file-store.ts'
import type { FileSystem } from '#host/file-system.ts'
import { QUEUE_FULL } from '#host/journal.ts'
import { TimerWheel, type TimeSource } from '#host/timer-wheel.ts'

const ROOT = nodeFs.mkdtempSync(join(tmpdir(), 'carillon-store-'))
after(() => nodeFs.rmSync(ROOT, { recursive: true }))

class FakeTime implements TimeSource {
  nowMs = 0
  wakeAtMs = Number.POSITIVE_INFINITY
  now(): number {
    return this.nowMs
  }
  wallMs(): number {
    return this.nowMs
  }
  wakeAfter(delayMs: number): void {
    this.wakeAtMs = this.nowMs + delayMs
  }
  sleep(): void {
    this.wakeAtMs = Number.POSITIVE_INFINITY
  }
}

/** A storage in a folder of its own, whose calls fail when the test says so, and whose asynchronous calls wait for the test. */
class Rig implements JournalSink {
  readonly folder = nodeFs.mkdtempSync(join(ROOT, 'x'))
  readonly time = new FakeTime()
  readonly clock = new TimerWheel(this.time, (error) => {
    throw error
  })
  readonly events: string[] = []
  readonly lines: string[] = []
  /** The error of each call by name; the calls not named succeed. */
  readonly failures = new Map<string, string>()
  /** Octets that a failing write takes before it fails. */
  partialOctets = 0
  readonly #waiting: (() => void)[] = []
  readonly store: FileStore
  journal: Journal | null = null
  torn = false

  constructor(limits = {}) {
    this.store = new FileStore(this.folder, this.clock, this.#fs(), limits)
  }

  onDurable(sequence: number): void {
    this.events.push(`durable ${sequence}`)
  }

  onStoreError(reason: string): void {
    this.events.push(reason)
  }

  open(): Journal {
    this.lines.length = 0
    const opened = this.store.open('cdr/x.jsonl', (line) => this.lines.push(line), this)
    this.torn = opened.torn
    this.journal = opened.journal
    return opened.journal
  }

  /** Timers for `ms`, with every asynchronous call completed. */
  run(ms: number): void {
    const untilMs = this.time.nowMs + ms
    for (;;) {
      const call = this.#waiting.shift()
      if (call !== undefined) call()
      else if (this.time.wakeAtMs <= untilMs) {
        this.time.nowMs = Math.max(this.time.nowMs, this.time.wakeAtMs)
        this.time.wakeAtMs = Number.POSITIVE_INFINITY
        this.clock.turn()
      } else break
    }
    this.time.nowMs = untilMs
  }

  /** Completes one asynchronous call; false when none is under way. */
  complete(): boolean {
    const call = this.#waiting.shift()
    call?.()
    return call !== undefined
  }

  content(): string {
    return nodeFs.readFileSync(join(this.folder, 'cdr/x.jsonl'), 'utf8')
  }

  names(): string[] {
    return nodeFs.readdirSync(join(this.folder, 'cdr'))
  }

  #fail(call: string): Error | null {
    const code = this.failures.get(call)
    return code === undefined ? null : Object.assign(new Error(code), { code })
  }

  #fs(): FileSystem {
    const check = (call: string): void => {
      const error = this.#fail(call)
      if (error !== null) throw error
    }
    const later = (call: string, work: () => number, done: (error: Error | null, result: number) => void): void => {
      this.#waiting.push(() => {
        const error = this.#fail(call)
        if (error !== null) done(error, 0)
        else done(null, work())
      })
    }
    const own = {
      writeSync: (descriptor: number, data: string | Uint8Array, ...rest: number[]) => {
        const error = this.#fail('writeSync')
        const [offset = 0, length = 0, position = 0] =
          typeof data === 'string' ? [0, Buffer.byteLength(data), rest[0]] : rest
        const bytes = Buffer.from(data).subarray(offset, offset + length)
        if (error !== null && this.partialOctets > 0) {
          const octets = Math.min(this.partialOctets, bytes.byteLength)
          this.partialOctets = 0
          return nodeFs.writeSync(descriptor, bytes, 0, octets, position)
        }
        if (error !== null) throw error
        return nodeFs.writeSync(descriptor, bytes, 0, bytes.byteLength, position)
      },
      fdatasyncSync: (descriptor: number) => {
        check('fdatasyncSync')
        nodeFs.fdatasyncSync(descriptor)
      },
      renameSync: (from: string, to: string) => {
        check('renameSync')
        nodeFs.renameSync(from, to)
      },
      openSync: (path: string, flags: string, mode?: number) => {
        check(path.endsWith('.rewrite') ? 'openRewrite' : 'openSync')
        return nodeFs.openSync(path, flags, mode)
      },
      fdatasync: (_descriptor: number, done: (error: Error | null, result: number) => void) =>
        later('fdatasync', () => 0, done),
      fsync: (_descriptor: number, done: (error: Error | null, result: number) => void) =>
        later('fsync', () => 0, done),
      write: (
        descriptor: number,
        bytes: Uint8Array,
        offset: number,
        length: number,
        position: number,
        done: (error: Error | null, result: number) => void,
      ) => later('write', () => nodeFs.writeSync(descriptor, bytes, offset, length, position), done),
    }
    return { ...nodeFs, ...own } as unknown as FileSystem
  }
}

test('a line is in the file when append returns, and durable after the window', () => {
  const rig = new Rig()
  const journal = rig.open()
  assert.equal(journal.append('{"a":1}'), 1)
  assert.equal(journal.append('ünï'), 2)
  assert.equal(rig.content(), '{"a":1}\nünï\n')
  assert.equal(journal.pending, 2)
  assert.deepEqual(rig.events, [])
  rig.run(200)
  assert.deepEqual(rig.events, ['durable 2'])
  assert.equal(journal.pending, 0)
  assert.equal(journal.octets, Buffer.byteLength('{"a":1}\nünï\n'))
  assert.equal(rig.clock.size, 0, 'an idle journal has no timers')
  journal.append('3')
  journal.close()
  assert.deepEqual(rig.events, ['durable 2', 'durable 3'])
  rig.open()
  assert.deepEqual(rig.lines, ['{"a":1}', 'ünï', '3'])
  assert.equal(rig.torn, false)
})

test('lines appended during a sync are made durable by the next one', () => {
  const rig = new Rig()
  const journal = rig.open()
  journal.append('1')
  rig.run(200)
  journal.append('2')
  rig.time.nowMs += 150
  rig.clock.turn()
  journal.append('3')
  assert.ok(rig.complete())
  assert.deepEqual(rig.events, ['durable 1', 'durable 2'])
  assert.equal(journal.pending, 1)
  rig.run(200)
  assert.deepEqual(rig.events.at(-1), 'durable 3')
})

test('files are for their owner only, folders are made, names are listed and removed', () => {
  const rig = new Rig()
  const journal = rig.open()
  const path = join(rig.folder, 'cdr/x.jsonl')
  assert.equal(nodeFs.statSync(path).mode & 0o777, 0o600)
  assert.equal(nodeFs.statSync(join(rig.folder, 'cdr')).mode & 0o777, 0o700)
  assert.deepEqual(rig.store.list('cdr'), ['cdr/x.jsonl'])
  assert.deepEqual(rig.store.list('nothing'), [])
  assert.throws(() => rig.store.remove('cdr/x.jsonl'), /open/)
  assert.throws(() => rig.store.open('cdr/x.jsonl', () => {}, rig), /open already/)
  journal.close()
  rig.store.remove('cdr/x.jsonl')
  rig.store.remove('cdr/x.jsonl')
  assert.deepEqual(rig.store.list('cdr'), [])
  for (const name of ['../x', '/x', 'a//b', 'A', '.x', 'a/../b', 'a/', '', 'x.rewrite']) {
    assert.throws(() => rig.store.open(name, () => {}, rig), /journal name/, name)
  }
})

test('a file cut at any octet of its last line opens with all lines before it', () => {
  const rig = new Rig()
  const whole = 'first\nsecond ü\n'
  const last = '{"third":"æøå"}\n'
  rig.open().close()
  const path = join(rig.folder, 'cdr/x.jsonl')
  const bytes = Buffer.from(whole + last)
  for (let octets = Buffer.byteLength(whole); octets <= bytes.byteLength; octets++) {
    nodeFs.writeFileSync(path, bytes.subarray(0, octets))
    const journal = rig.open()
    const complete = octets === bytes.byteLength
    assert.deepEqual(rig.lines, ['first', 'second ü', ...(complete ? [last.trimEnd()] : [])])
    assert.equal(rig.torn, !complete && octets > Buffer.byteLength(whole))
    journal.append('next')
    journal.close()
    assert.equal(rig.content(), `${whole}${complete ? last : ''}next\n`)
  }
})

test('lines longer than what is read at once, and many of them, are read whole', () => {
  const rig = new Rig()
  const long = 'x'.repeat(3 * 1_024 * 1_024)
  const lines = ['a', long, 'b', '', ...Array.from({ length: 200_000 }, (_, index) => `line ${index}`)]
  rig.open().close()
  nodeFs.writeFileSync(join(rig.folder, 'cdr/x.jsonl'), `${lines.join('\n')}\n`)
  rig.open()
  assert.deepEqual(rig.lines, lines)
})

test('while the storage is full lines wait, and are written in order when there is room', () => {
  const rig = new Rig()
  const journal = rig.open()
  journal.append('1')
  rig.run(200)
  rig.failures.set('writeSync', 'ENOSPC')
  rig.partialOctets = 2
  journal.append('second')
  journal.append('third')
  assert.deepEqual(rig.events, ['durable 1'], 'nothing is told from within append')
  rig.run(5_000)
  assert.deepEqual(rig.events, ['durable 1', 'ENOSPC'])
  assert.equal(journal.pending, 2)
  rig.failures.clear()
  journal.append('fourth')
  rig.run(2_000)
  assert.deepEqual(rig.events, ['durable 1', 'ENOSPC', 'durable 4'])
  assert.equal(rig.content(), '1\nsecond\nthird\nfourth\n')
})

test('when a sync fails, all lines since the last good one are written and synced again', () => {
  const rig = new Rig()
  const journal = rig.open()
  journal.append('1')
  rig.run(200)
  rig.failures.set('fdatasync', 'EIO')
  journal.append('2')
  journal.append('3')
  rig.run(200)
  assert.deepEqual(rig.events, ['durable 1', 'EIO'])
  // The system has dropped the pages that it could not write.
  nodeFs.writeFileSync(join(rig.folder, 'cdr/x.jsonl'), '1\n\0\0\0\0')
  rig.failures.clear()
  journal.append('4')
  rig.run(2_000)
  assert.deepEqual(rig.events, ['durable 1', 'EIO', 'durable 4'])
  assert.equal(rig.content(), '1\n2\n3\n4\n')
})

test('the queue of a failing journal is bounded, keeps the oldest, and says that lines are lost', () => {
  const rig = new Rig({ queuedLinesMax: 3 })
  const journal = rig.open()
  rig.failures.set('writeSync', 'ENOSPC')
  for (let line = 1; line <= 6; line++) journal.append(String(line))
  rig.run(500)
  assert.deepEqual(rig.events, [QUEUE_FULL])
  rig.failures.clear()
  rig.run(2_000)
  assert.equal(rig.content(), '1\n2\n3\n')
  assert.equal(rig.events.at(-1), 'durable 6')
  assert.equal(journal.append('7'), 7)
  rig.run(200)
  assert.equal(rig.content(), '1\n2\n3\n7\n')
  assert.equal(rig.events.at(-1), 'durable 7')
})

test('when lines come faster than they are synced, append waits for the storage and loses nothing', () => {
  const rig = new Rig({ queuedLinesMax: 3 })
  const journal = rig.open()
  for (let line = 1; line <= 10; line++) journal.append(String(line))
  assert.ok(journal.pending <= 3)
  rig.run(200)
  assert.equal(rig.content(), '1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n')
  assert.equal(rig.events.at(-1), 'durable 10')
})

test('a rewrite replaces the content, keeps what is appended meanwhile, and draws in portions', () => {
  const rig = new Rig()
  const journal = rig.open()
  for (let line = 0; line < 10; line++) journal.append(`old ${line}`)
  rig.run(200)
  let drawn = 0
  let mostAtOnce = 0
  let before = 0
  function* state(): Generator<string> {
    for (let line = 0; line < 5_000; line++) {
      drawn++
      yield `new ${line}`
    }
  }
  const done: boolean[] = []
  journal.rewrite(state(), (succeeded) => done.push(succeeded))
  assert.equal(drawn, 0, 'nothing is drawn within the call')
  assert.throws(() => journal.rewrite([].values(), () => {}), /two rewrites/)
  rig.time.nowMs += 2
  rig.clock.turn()
  const appended: string[] = []
  do {
    mostAtOnce = Math.max(mostAtOnce, drawn - before)
    before = drawn
    if (done.length === 0) {
      appended.push(`meanwhile ${appended.length}`)
      journal.append(appended.at(-1) as string)
    }
  } while (rig.complete())
  rig.run(200)
  assert.deepEqual(done, [true])
  assert.ok(mostAtOnce <= 1_000)
  assert.ok(appended.length >= 5)
  journal.append('after')
  rig.run(200)
  assert.equal(rig.events.at(-1), `durable ${10 + appended.length + 1}`)
  assert.equal(journal.pending, 0)
  assert.equal(journal.octets, Buffer.byteLength(rig.content()))
  assert.deepEqual(rig.names(), ['x.jsonl'])
  journal.close()
  rig.open()
  const rewritten = Array.from({ length: 5_000 }, (_, line) => `new ${line}`)
  assert.deepEqual(rig.lines, [...rewritten, ...appended, 'after'])
})

for (const [call, code] of [
  ['openRewrite', 'EACCES'],
  ['write', 'ENOSPC'],
  ['fdatasync', 'EIO'],
  ['renameSync', 'EIO'],
] as const) {
  test(`a rewrite whose ${call} fails leaves the old content, and the next one may succeed`, () => {
    const rig = new Rig()
    const journal = rig.open()
    journal.append('old')
    rig.run(200)
    rig.failures.set(call, code)
    const done: boolean[] = []
    journal.rewrite(['new'].values(), (succeeded) => done.push(succeeded))
    journal.append('meanwhile')
    rig.run(10)
    assert.deepEqual(done, [false])
    assert.equal(rig.content(), 'old\nmeanwhile\n')
    assert.deepEqual(rig.names(), ['x.jsonl'])
    rig.failures.clear()
    rig.run(3_000)
    assert.equal(rig.events.at(-1), 'durable 2')
    journal.rewrite(['new'].values(), (succeeded) => done.push(succeeded))
    rig.run(200)
    assert.deepEqual(done, [false, true])
    assert.equal(rig.content(), 'new\n')
  })
}

test('a rewrite frees a journal that could not write, and its waiting lines are in the new content', () => {
  const rig = new Rig()
  const journal = rig.open()
  journal.append('1')
  rig.failures.set('writeSync', 'ENOSPC')
  journal.append('2')
  rig.run(10)
  rig.failures.clear()
  const done: boolean[] = []
  journal.rewrite(['1 and 2'].values(), (succeeded) => done.push(succeeded))
  journal.append('3')
  rig.run(200)
  assert.deepEqual(done, [true])
  assert.equal(rig.content(), '1 and 2\n3\n')
  assert.equal(rig.events.at(-1), 'durable 3')
  assert.equal(journal.pending, 0)
})

test('closing during a rewrite gives it up, keeps the old content and leaves no file behind', () => {
  const rig = new Rig()
  const journal = rig.open()
  journal.append('old')
  const done: boolean[] = []
  journal.rewrite(['new'].values(), (succeeded) => done.push(succeeded))
  rig.time.nowMs += 2
  rig.clock.turn()
  journal.append('meanwhile')
  journal.close()
  while (rig.complete());
  assert.deepEqual(done, [false])
  assert.deepEqual(rig.events, ['durable 2'])
  assert.deepEqual(rig.names(), ['x.jsonl'])
  assert.equal(rig.content(), 'old\nmeanwhile\n')
  rig.open()
})

test('a file left over from a rewrite that was killed is deleted when the journal is opened', () => {
  const rig = new Rig()
  rig.open().close()
  nodeFs.writeFileSync(join(rig.folder, 'cdr/x.jsonl.rewrite'), 'half a li')
  rig.open()
  assert.deepEqual(rig.names(), ['x.jsonl'])
})

test('a line whose append has returned survives kill -9, also during rewrites', async () => {
  const folder = nodeFs.mkdtempSync(join(ROOT, 'kill'))
  const code = `
    import { writeSync } from 'node:fs'
    import { FileStore } from '#host/file-store.ts'
    import { systemClock } from '#host/system-clock.ts'
    const state = []
    const store = new FileStore(process.argv[1], systemClock(() => {}))
    const { journal } = store.open('x.jsonl', (line) => state.push(line), { onDurable() {}, onStoreError() {} })
    const rewrite = () => journal.rewrite([...state].values(), () => setImmediate(rewrite))
    rewrite()
    const work = () => {
      for (let index = 0; index < 20; index++) {
        state.push('line ' + (state.length + 1))
        journal.append(state.at(-1))
        writeSync(1, state.length + ',')
      }
      setImmediate(work)
    }
    work()`
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', code, folder], { cwd: import.meta.dirname })
    let told = ''
    child.stdout.on('data', (bytes: Buffer) => {
      told += bytes.toString()
      if (told.length > 2_000 * (round + 1)) child.kill('SIGKILL')
    })
    child.stderr.on('data', (bytes: Buffer) => assert.fail(bytes.toString()))
    await once(child, 'close')
    const last = Number(told.split(',').at(-2))
    const lines: string[] = []
    const sink = { onDurable: () => {}, onStoreError: assert.fail }
    const clock = new TimerWheel(new FakeTime(), (error) => assert.fail(String(error)))
    new FileStore(folder, clock).open('x.jsonl', (line) => lines.push(line), sink).journal.close()
    assert.ok(lines.length >= last && last > 100)
    assert.deepEqual(
      lines,
      lines.map((_, index) => `line ${index + 1}`),
    )
  }
})

test('whatever fails and when, no line is lost or doubled, and a durable one is in the file', () => {
  const step = fc.oneof(
    fc.constant('append' as const),
    fc.constant('append' as const),
    fc.constant('complete' as const),
    fc.constant('time' as const),
    fc.constant('rewrite' as const),
    fc.constantFrom('writeSync', 'fdatasync', 'fsync', 'write', 'renameSync', 'openRewrite', 'openSync'),
    fc.constant('heal' as const),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), fc.nat(8), (steps, partialOctets) => {
      const rig = new Rig()
      const journal = rig.open()
      const appended: string[] = []
      let rewriting = false
      for (const each of steps) {
        if (each === 'append') {
          appended.push(`line ${appended.length}`)
          journal.append(appended.at(-1) as string)
        } else if (each === 'complete') rig.complete()
        else if (each === 'time') {
          rig.time.nowMs += 600
          rig.clock.turn()
        } else if (each === 'heal') rig.failures.clear()
        else if (each === 'rewrite') {
          if (!rewriting) {
            rewriting = true
            journal.rewrite([...appended].values(), () => {
              rewriting = false
            })
          }
        } else {
          rig.failures.set(each, 'EIO')
          rig.partialOctets = partialOctets
        }
        const durable = appended.length - journal.pending
        const present = rig.content().split('\n').slice(0, -1)
        assert.deepEqual(present.slice(0, durable), appended.slice(0, durable))
      }
      rig.failures.clear()
      rig.run(10_000)
      assert.deepEqual(rig.content().split('\n').slice(0, -1), appended)
      assert.equal(journal.pending, 0)
      assert.equal(rewriting, false)
      if (appended.length > 0) assert.equal(rig.events.at(-1), `durable ${appended.length}`)
      journal.close()
      nodeFs.rmSync(rig.folder, { recursive: true })
    }),
    { numRuns: 300 },
  )
})
