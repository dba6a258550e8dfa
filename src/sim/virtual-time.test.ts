import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { Timer } from '#core/clock.ts'
import { VirtualClock } from '#sim/virtual-clock.ts'

test('timers fire in the order of their deadlines, and of their arming when those are equal', () => {
  const clock = new VirtualClock()
  const fired: string[] = []
  const timer = (name: string, delayMs: number): Timer => {
    const one = new Timer({ onTimer: (fireName) => fired.push(`${clock.now()} ${fireName}`) })
    clock.arm(one, name, delayMs)
    return one
  }
  timer('late', 20)
  timer('first', 10)
  timer('second', 10)
  const cancelled = timer('cancelled', 5)
  const moved = timer('moved', 1)
  clock.cancel(cancelled)
  clock.arm(moved, 'moved', 15)
  assert.equal(clock.runUntilIdle({ limitMs: 1_000 }), true)
  assert.deepEqual(fired, ['10 first', '10 second', '15 moved', '20 late'])
})

test('a timer never fires before its deadline, whatever the fraction', () => {
  const clock = new VirtualClock(undefined, 123_457)
  const timer = new Timer({ onTimer: () => {} })
  for (const delayMs of [0.1, 0.3, 1 / 3, 7.77, 0]) {
    const dueMs = clock.now() + delayMs
    clock.arm(timer, 'x', delayMs)
    clock.step()
    assert.ok(clock.now() >= dueMs)
    assert.equal(clock.now(), timer.deadlineMs)
  }
})

test('a stopped clock fires nothing and arms nothing', () => {
  const clock = new VirtualClock()
  const other = new VirtualClock(clock.time)
  let fired = 0
  const owner = { onTimer: () => fired++ }
  for (let i = 0; i < 50; i++) clock.arm(new Timer(owner), 'x', i % 7)
  other.arm(new Timer(owner), 'y', 3)
  clock.stop()
  clock.arm(new Timer(owner), 'x', 1)
  assert.equal(clock.armed, 0)
  other.runUntilIdle({ limitMs: 1_000 })
  assert.equal(fired, 1)
})

test('any sequence of arming, moving and cancelling fires what a sorted list would', () => {
  const operation = fc.record({ timer: fc.nat(20), delayMs: fc.nat(50), cancel: fc.boolean() })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const clock = new VirtualClock()
      const fired: string[] = []
      const timers = Array.from({ length: 21 }, () => new Timer({ onTimer: (name) => fired.push(name) }))
      const model = new Map<number, { delayMs: number; order: number; name: string }>()
      operations.forEach(({ timer, delayMs, cancel }, order) => {
        const one = timers[timer] as Timer
        if (cancel) {
          clock.cancel(one)
          model.delete(timer)
        } else {
          clock.arm(one, `${order}`, delayMs)
          model.set(timer, { delayMs, order, name: `${order}` })
        }
        assert.equal(clock.armed, model.size)
      })
      clock.runUntilIdle({ limitMs: 100 })
      const expected = [...model.values()].sort((x, y) => x.delayMs - y.delayMs || x.order - y.order)
      assert.deepEqual(
        fired,
        expected.map(({ name }) => name),
      )
    }),
  )
})
