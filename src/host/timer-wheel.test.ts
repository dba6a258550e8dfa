// The wheel against a naive sorted model, and its promises one by one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Timer } from '#core/clock.ts'
import { DELAY_MS_MAX, FIRED_PER_TURN_MAX, LATE_MS_MAX, TimerWheel, type TimeSource } from '#host/timer-wheel.ts'

class FakeTime implements TimeSource {
  nowMs: number
  wakeAtMs = Number.POSITIVE_INFINITY
  wakeUps = 0

  constructor(startMs = 0) {
    this.nowMs = startMs
  }

  now(): number {
    return this.nowMs
  }

  wallMs(): number {
    return this.nowMs
  }

  wakeAfter(delayMs: number): void {
    assert.ok(Number.isInteger(delayMs) && delayMs >= 0)
    this.wakeAtMs = this.nowMs + delayMs
  }

  sleep(): void {
    this.wakeAtMs = Number.POSITIVE_INFINITY
  }

  /** Sleeps until the wake-up asked for, or not beyond `limitMs`; whether there was one. */
  step(wheel: TimerWheel, limitMs = Number.POSITIVE_INFINITY, lateMs = 0): boolean {
    if (this.wakeAtMs > limitMs || this.wakeAtMs === Number.POSITIVE_INFINITY) {
      this.nowMs = Math.max(this.nowMs, Math.min(limitMs, this.wakeAtMs))
      return false
    }
    this.nowMs = Math.max(this.nowMs, this.wakeAtMs) + lateMs
    this.wakeAtMs = Number.POSITIVE_INFINITY
    this.wakeUps++
    wheel.turn()
    return true
  }
}

function rig(startMs = 0): { time: FakeTime; wheel: TimerWheel; faults: unknown[] } {
  const faults: unknown[] = []
  const time = new FakeTime(startMs)
  return { time, wheel: new TimerWheel(time, (error) => faults.push(error)), faults }
}

/** When the wheel plans a timer: its deadline, rounded up to the granularity of its delay. */
function plannedMs(deadlineMs: number, delayMs: number): number {
  const granularityMs = delayMs < 256 ? 1 : delayMs < 1_024 ? 4 : delayMs < 4_096 ? 16 : 64
  return Math.ceil(deadlineMs / granularityMs) * granularityMs
}

type Step =
  | { kind: 'arm'; timer: number; delayMs: number }
  | { kind: 'cancel'; timer: number }
  | { kind: 'sleep'; ms: number }
  | { kind: 'plan'; timer: number; action: 'cancel' | 'arm'; other: number; delayMs: number }

const TIMERS = 12
const delayMs = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.double({ min: 0, max: 70_000, noNaN: true }),
  fc.integer({ min: 0, max: 2 ** 40 }),
)
const timer = fc.nat(TIMERS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('arm' as const), timer, delayMs }),
  fc.record({ kind: fc.constant('cancel' as const), timer }),
  fc.record({ kind: fc.constant('sleep' as const), ms: fc.double({ min: 0, max: 5_000, noNaN: true }) }),
  fc.record({
    kind: fc.constant('plan' as const),
    timer,
    action: fc.constantFrom('cancel' as const, 'arm' as const),
    other: timer,
    delayMs,
  }),
)

test('the wheel fires what a sorted list would, in its order, never early and never later than planned', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60, size: 'max' }),
      fc.double({ min: 0, max: 2 ** 41, noNaN: true }),
      (steps, startMs) => {
        const { time, wheel, faults } = rig(startMs)
        /** The model: every armed timer with its planned time and the order of arming. */
        const armed = new Map<number, { atMs: number; order: number }>()
        const plans = new Map<number, Step & { kind: 'plan' }>()
        let order = 0
        let lastMs = 0
        const arm = (index: number, delay: number): void => {
          const atMs = plannedMs(time.nowMs + delay, delay)
          armed.set(index, { atMs: Math.max(atMs, lastMs), order: order++ })
          wheel.arm(timers[index] as Timer, String(index), delay)
        }
        const fired = (index: number): void => {
          const entry = armed.get(index)
          assert.ok(entry !== undefined, `timer ${index} fired and is not armed`)
          assert.ok(time.nowMs >= (timers[index] as Timer).deadlineMs, 'fired early')
          for (const other of armed.values()) {
            const isBefore: boolean =
              other.atMs < entry.atMs || (other.atMs === entry.atMs && other.order < entry.order)
            assert.ok(!isBefore, 'another timer was to fire before')
          }
          armed.delete(index)
          // What is armed from a callback is planned for a later millisecond than the one being worked off.
          lastMs = entry.atMs + 1
          const plan = plans.get(index)
          plans.delete(index)
          if (plan?.action === 'arm') arm(plan.other, plan.delayMs)
          if (plan?.action === 'cancel') {
            wheel.cancel(timers[plan.other] as Timer)
            armed.delete(plan.other)
          }
          lastMs = 0
        }
        const timers = Array.from({ length: TIMERS }, (_, index) => new Timer({ onTimer: () => fired(index) }))
        for (const { kind, ...rest } of steps) {
          const now = { kind, ...rest } as Step
          if (now.kind === 'arm') arm(now.timer, now.delayMs)
          else if (now.kind === 'plan') plans.set(now.timer, now)
          else if (now.kind === 'cancel') {
            wheel.cancel(timers[now.timer] as Timer)
            armed.delete(now.timer)
          } else {
            const untilMs = time.nowMs + now.ms
            while (time.step(wheel, untilMs));
            // A wake-up is a whole number of milliseconds away, at least one.
            for (const { atMs } of armed.values()) assert.ok(atMs > time.nowMs - 1.01, 'not fired in its time')
          }
          assert.equal(wheel.size, armed.size)
          if (faults.length > 0) throw faults[0]
        }
        while (armed.size > 0) assert.ok(time.step(wheel), 'armed timers, and no wake-up asked for')
        if (faults.length > 0) throw faults[0]
        assert.equal(wheel.size, 0)
      },
    ),
    { numRuns: 1_000 },
  )
})

test('a process without armed timers is not woken', () => {
  const { time, wheel } = rig()
  wheel.arm(new Timer({ onTimer: () => {} }), 'A', 500)
  while (time.step(wheel));
  assert.equal(time.wakeAtMs, Number.POSITIVE_INFINITY)
  assert.equal(wheel.size, 0)
  const timer = new Timer({ onTimer: () => {} })
  wheel.arm(timer, 'B', 500)
  wheel.cancel(timer)
  assert.equal(time.wakeAtMs, Number.POSITIVE_INFINITY)
})

test('a far deadline costs few wake-ups', () => {
  const { time, wheel } = rig(123_456.7)
  let firedMs = 0
  wheel.arm(new Timer({ onTimer: () => (firedMs = time.nowMs) }), 'A', 86_400_000)
  while (time.step(wheel));
  assert.ok(firedMs >= 123_456.7 + 86_400_000 && firedMs <= 123_456.7 + 86_400_000 + LATE_MS_MAX)
  assert.ok(time.wakeUps <= 6, `${time.wakeUps} wake-ups`)
})

test('an infinite delay is taken as the longest one, and can be cancelled', () => {
  const { wheel } = rig()
  const timer = new Timer({ onTimer: () => {} })
  wheel.arm(timer, 'A', Number.POSITIVE_INFINITY)
  assert.equal(timer.deadlineMs, DELAY_MS_MAX)
  wheel.cancel(timer)
  assert.equal(wheel.size, 0)
})

test('transactions that end within the same 64 ms share a wake-up', () => {
  const { time, wheel } = rig()
  let fired = 0
  for (let index = 0; index < 100; index++) {
    time.nowMs = index * 0.5
    wheel.arm(new Timer({ onTimer: () => fired++ }), 'J', 32_000)
  }
  while (time.step(wheel));
  assert.equal(fired, 100)
  assert.ok(time.wakeUps <= 4, `${time.wakeUps} wake-ups`)
})

test('what an owner throws goes to onFault, and the other timers of the millisecond fire', () => {
  const { time, wheel, faults } = rig()
  const fired: string[] = []
  wheel.arm(new Timer({ onTimer: (name) => fired.push(name) }), 'A', 10)
  wheel.arm(
    new Timer({
      onTimer: () => {
        throw new Error('broken')
      },
    }),
    'B',
    10,
  )
  wheel.arm(new Timer({ onTimer: (name) => fired.push(name) }), 'C', 10)
  while (time.step(wheel));
  assert.deepEqual(fired, ['A', 'C'])
  assert.equal(faults.length, 1)
})

test('a timer re-armed with no delay from its own callback does not hold the turn', () => {
  const { time, wheel } = rig()
  let fired = 0
  const timer = new Timer({
    onTimer: () => {
      if (++fired < 50) wheel.arm(timer, 'A', 0)
    },
  })
  wheel.arm(timer, 'A', 0)
  time.step(wheel)
  assert.ok(fired <= 2)
  while (time.step(wheel));
  assert.equal(fired, 50)
})

test('after a long stop the catching up is spread over turns, and everything fires', () => {
  const { time, wheel } = rig()
  let fired = 0
  const armed = 100_000
  for (let index = 0; index < armed; index++) {
    wheel.arm(new Timer({ onTimer: () => fired++ }), 'A', 5_000 + (index % 300_000))
  }
  time.nowMs = 10_000_000
  time.wakeAtMs = 0
  let turns = 0
  let before = 0
  while (time.step(wheel)) {
    assert.ok(fired - before <= FIRED_PER_TURN_MAX)
    before = fired
    turns++
  }
  assert.equal(fired, armed)
  assert.ok(turns >= armed / FIRED_PER_TURN_MAX)
})

test('a million timers can be armed, and each cancelled from a callback of another', () => {
  const { time, wheel } = rig()
  const timers = Array.from({ length: 1_000_000 }, () => new Timer({ onTimer: () => assert.fail('was cancelled') }))
  for (const [index, timer] of timers.entries()) wheel.arm(timer, 'B', 1_000 + ((index * 7_919) % 3_600_000))
  assert.equal(wheel.size, 1_000_000)
  wheel.arm(
    new Timer({
      onTimer: () => {
        for (const timer of timers) wheel.cancel(timer)
      },
    }),
    'A',
    1,
  )
  time.step(wheel)
  assert.equal(wheel.size, 0)
  while (time.step(wheel));
})
