// Intervals of RTCP against RFC 3550 §6.2 and §6.3, in virtual time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock, Timer } from '#core/clock.ts'
import type { Random } from '#core/random.ts'
import { RtcpSchedule } from '#rtp/rtcp-schedule.ts'

class OneTimerClock implements Clock {
  #now = 1000
  #timer: Timer | null = null
  now(): number {
    return this.#now
  }
  wallMs(): number {
    return this.#now
  }
  arm(timer: Timer, name: string, delayMs: number): void {
    timer.armed = true
    timer.name = name
    timer.deadlineMs = this.#now + delayMs
    this.#timer = timer
  }
  cancel(timer: Timer): void {
    timer.armed = false
  }
  pass(ms: number): void {
    const end = this.#now + ms
    while (this.#timer?.armed === true && this.#timer.deadlineMs <= end) {
      this.#now = this.#timer.deadlineMs
      this.#timer.armed = false
      this.#timer.owner.onTimer(this.#timer.name)
    }
    this.#now = end
  }
}

function lcg(seed: number): Random {
  let state = seed
  return {
    bytes: () => undefined,
    uint32: () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state
    },
  }
}

function reports(
  bandwidth: number,
  intervalMs: number,
  ms: number,
  members = 2,
  seed = 1,
): { times: number[]; schedule: RtcpSchedule; clock: OneTimerClock } {
  const clock = new OneTimerClock()
  const times: number[] = []
  const sink = {
    onReportDue: () => {
      times.push(clock.now() - 1000)
      return 100
    },
  }
  const schedule = new RtcpSchedule(clock, lcg(seed), { bandwidth, intervalMs }, sink)
  schedule.participants(members, 2, true)
  schedule.start()
  clock.pass(ms)
  return { times, schedule, clock }
}

test('§6.3.1: the first report comes after half the least interval, the others after the whole, within 0.5…1.5, compensated', () => {
  for (let seed = 1; seed < 50; seed += 1) {
    const { times } = reports(4000, 5000, 60_000, 2, seed)
    assert.ok((times[0] as number) >= (2500 * 0.5) / 1.21828)
    assert.ok((times[0] as number) <= (2500 * 1.5) / 1.21828)
    for (let i = 1; i < times.length; i += 1) {
      const interval = (times[i] as number) - (times[i - 1] as number)
      assert.ok(interval >= 2052 && interval <= 6157, `${interval}`)
    }
  }
})

test('§6.3.1: on average the interval is that of the bandwidth', () => {
  const { times } = reports(4000, 5000, 20_000_000)
  const mean = (times.at(-1) as number) / times.length
  assert.ok(mean > 4500 && mean < 5500, `${mean}`)
})

test('§6.2: members share the bandwidth, so that more of them report less often', () => {
  const { schedule } = reports(4000, 5000, 60_000, 100)
  // One hundred members, two of them senders, of which we are one: a quarter of the bandwidth for the senders.
  assert.equal(schedule.deterministicMs, 5000)
  schedule.participants(100, 2, false)
  assert.ok(schedule.deterministicMs > 30_000)
})

test('§6.3.4: when members leave, the next report is earlier', () => {
  const { schedule, clock, times } = reports(4000, 5000, 10, 1000)
  schedule.participants(1000, 0, false)
  clock.pass(10_000)
  const before = times.length
  schedule.participants(2, 0, false)
  clock.pass(13_000)
  assert.ok(times.length > before)
})

test('a schedule that is stopped reports no more', () => {
  const { schedule, clock, times } = reports(4000, 5000, 20_000)
  schedule.stop()
  const before = times.length
  clock.pass(100_000)
  assert.equal(times.length, before)
})

test('without bandwidth the least interval stands', () => {
  const { schedule } = reports(0, 5000, 20_000)
  assert.equal(schedule.deterministicMs, 5000)
})
