import assert from 'node:assert/strict'
import test from 'node:test'
import type { Journal } from '#core/store.ts'
import { World } from '#sim/world.ts'

const NAME = 'cdr/one.jsonl'

function writer(seed: number) {
  const world = new World({ seed })
  const node = world.node('192.0.2.1', ({ store }) => {
    const read: string[] = []
    const durable: number[] = []
    const errors: string[] = []
    const opened = store.open(NAME, (line) => read.push(line), {
      onDurable: (sequence) => durable.push(sequence),
      onStoreError: (reason) => errors.push(reason),
    })
    return { journal: opened.journal as Journal, torn: opened.torn, read, durable, errors, store }
  })
  return { world, node }
}

test('what append returned for survives the death of the process, durable or not', () => {
  const { world, node } = writer(1)
  for (let i = 0; i < 10; i++) node.application.journal.append(`line ${i}`)
  assert.deepEqual(node.application.durable, [])
  node.crash(false)
  node.start()
  assert.equal(node.application.read.length, 10)
  assert.equal(node.application.torn, false)
  world.runUntilIdle({ limitMs: 1_000 })
})

test('loss of power keeps at least what was durable, in order, and may tear the next line', () => {
  let torn = 0
  for (let seed = 0; seed < 50; seed++) {
    const { world, node } = writer(seed)
    for (let i = 0; i < 40; i++) world.at(i, () => node.application.journal.append(`line ${i}`))
    world.runUntil(30)
    const durable = node.application.durable.at(-1) ?? 0
    node.crash(true)
    node.start()
    const { read } = node.application
    assert.ok(read.length >= durable && read.length <= 31, `${read.length} lines, ${durable} durable`)
    assert.deepEqual(
      read,
      read.map((_, i) => `line ${i}`),
    )
    if (node.application.torn) torn++
  }
  assert.ok(torn > 5, `${torn} torn`)
})

test('while writes fail lines wait, and are durable when the disk is well again', () => {
  const { world, node } = writer(3)
  node.disk.failing = 'ENOSPC'
  node.application.journal.append('one')
  world.runUntil(5_000)
  assert.deepEqual(node.application.errors, ['ENOSPC'])
  assert.equal(node.application.journal.pending, 1)
  node.disk.failing = null
  world.runUntil(10_000)
  assert.deepEqual(node.application.durable, [1])
  assert.deepEqual(node.disk.lines(NAME), ['one'])
})

test('a compaction replaces what was there and keeps what is appended meanwhile; a crash during it leaves the old', () => {
  for (const crash of [false, true]) {
    const { world, node } = writer(4)
    for (let i = 0; i < 10; i++) node.application.journal.append(`line ${i}`)
    let done: boolean | null = null
    node.application.journal.rewrite(['all'].values(), (succeeded) => {
      done = succeeded
    })
    node.application.journal.append('meanwhile')
    if (crash) node.crash(false)
    world.runUntilIdle({ limitMs: 1_000 })
    assert.equal(done, crash ? null : true)
    if (crash) assert.equal(node.disk.lines(NAME).length, 11)
    else assert.deepEqual(node.disk.lines(NAME), ['all', 'meanwhile'])
  }
})
