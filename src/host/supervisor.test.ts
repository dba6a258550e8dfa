// The supervisor against processes that only exist as objects, in virtual time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock, Timer } from '#core/clock.ts'
import {
  ANSWER_LATE_MS,
  HEARTBEAT_MS,
  HUNG_MS,
  RESTART_DELAY_MAX_MS,
  STEADY_MS,
  STOP_MAX_MS,
  Supervisor,
  type SwitchProcess,
  type SwitchProcessSink,
} from '#host/supervisor.ts'
import type { Order } from '#host/supervisor-channel.ts'

class ManualClock implements Clock {
  #nowMs = 0
  readonly #armed = new Set<Timer>()

  now(): number {
    return this.#nowMs
  }
  wallMs(): number {
    return this.#nowMs
  }
  arm(timer: Timer, name: string, delayMs: number): void {
    timer.name = name
    timer.deadlineMs = this.#nowMs + delayMs
    timer.armed = true
    this.#armed.add(timer)
  }
  cancel(timer: Timer): void {
    timer.armed = false
    this.#armed.delete(timer)
  }
  /** Moves time on by `ms`, firing what is due in order; promises run between the timers. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms
    for (;;) {
      const due = [...this.#armed]
        .filter((timer) => timer.deadlineMs <= end)
        .sort((a, b) => a.deadlineMs - b.deadlineMs)[0]
      if (due === undefined) break
      this.#nowMs = due.deadlineMs
      this.cancel(due)
      due.owner.onTimer(due.name)
      await null
      await null
    }
    this.#nowMs = end
  }
}

class FakeProcess implements SwitchProcess {
  readonly pid: number
  readonly orders: Order[] = []
  readonly sink: SwitchProcessSink
  killed = false
  answers = true

  constructor(pid: number, sink: SwitchProcessSink) {
    this.pid = pid
    this.sink = sink
  }
  send(order: Order): void {
    this.orders.push(order)
    if (order.type !== 'ask' || !this.answers) return
    const body =
      order.question === 'status'
        ? { ready: true, reason: '', listening: [], calls: 1, registrations: 2, draining: false, configVersion: 'v' }
        : [order.question, order.limit]
    this.sink.onReport({ type: 'answer', id: order.id, body })
  }
  kill(): void {
    this.killed = true
    this.sink.onExit('killed by SIGKILL')
  }
  ready(): void {
    this.sink.onReport({ type: 'ready', listening: ['udp:127.0.0.1:5060'] })
  }
}

class Rig {
  readonly clock = new ManualClock()
  readonly processes: FakeProcess[] = []
  readonly restarts: boolean[] = []
  readonly told: string[] = []
  readonly codes: string[] = []
  readonly supervisor: Supervisor

  constructor() {
    this.supervisor = new Supervisor(
      this.clock,
      { event: (_level, code) => this.codes.push(code) },
      (sink, restart) => {
        this.restarts.push(restart)
        const made = new FakeProcess(this.processes.length + 1, sink)
        this.processes.push(made)
        return made
      },
      {
        onReady: (_listening, first) => this.told.push(first ? 'ready first' : 'ready'),
        onEnd: (failure) => this.told.push(`end ${failure}`),
      },
    )
    this.supervisor.start()
  }

  get process(): FakeProcess {
    const last = this.processes.at(-1)
    assert.ok(last)
    return last
  }
}

test('a switch that dies is started again, waiting twice as long each time up to the maximum', async () => {
  const rig = new Rig()
  rig.process.ready()
  const delays: number[] = []
  for (let death = 0; death < 9; death++) {
    const count = rig.processes.length
    rig.process.sink.onExit('killed by SIGKILL')
    let waitedMs = 0
    while (rig.processes.length === count) {
      await rig.clock.advance(100)
      waitedMs += 100
    }
    delays.push(waitedMs)
    rig.process.ready()
  }
  assert.deepEqual(delays, [100, 200, 400, 800, 1_600, 3_200, 6_400, RESTART_DELAY_MAX_MS, RESTART_DELAY_MAX_MS])
  assert.deepEqual(rig.restarts.slice(0, 3), [false, true, true])
  assert.equal(rig.supervisor.restarts, 9)
  assert.equal(rig.codes.filter((code) => code === 'SWITCH_DIED').length, 9)
})

test('a switch that stayed up for a minute starts from the shortest delay again', async () => {
  const rig = new Rig()
  rig.process.ready()
  rig.process.sink.onExit('exit 1')
  await rig.clock.advance(100)
  rig.process.ready()
  await rig.clock.advance(STEADY_MS)
  rig.process.sink.onExit('exit 1')
  await rig.clock.advance(100)
  assert.equal(rig.processes.length, 3)
})

test('a switch that cannot start the first time ends the supervisor with its reason', () => {
  const rig = new Rig()
  rig.process.sink.onReport({ type: 'fatal', reason: 'udp:0.0.0.0:5060 is in use' })
  rig.process.sink.onExit('exit 1')
  assert.deepEqual(rig.told, ['end udp:0.0.0.0:5060 is in use'])
})

test('a switch that cannot start again is tried until it can', async () => {
  const rig = new Rig()
  rig.process.ready()
  rig.process.sink.onExit('killed by SIGKILL')
  await rig.clock.advance(100)
  rig.process.sink.onReport({ type: 'fatal', reason: 'EADDRINUSE' })
  rig.process.sink.onExit('exit 1')
  assert.match(rig.supervisor.health().reason, /EADDRINUSE/)
  await rig.clock.advance(200)
  rig.process.ready()
  assert.deepEqual(rig.told, ['ready first', 'ready'])
  assert.equal(rig.supervisor.health().up, true)
})

test('health tells each state, with a reason while it is not up', async () => {
  const rig = new Rig()
  assert.deepEqual(rig.supervisor.health(), { up: false, reason: 'the switch is starting' })
  rig.process.ready()
  await rig.clock.advance(HEARTBEAT_MS)
  assert.deepEqual(rig.supervisor.health(), { up: true, reason: '' })
  assert.equal(rig.supervisor.status?.registrations, 2)
  rig.process.answers = false
  await rig.clock.advance(ANSWER_LATE_MS + 2 * HEARTBEAT_MS)
  assert.deepEqual(rig.supervisor.health(), { up: false, reason: 'the switch does not answer' })
})

test('a switch that hangs is killed and started again', async () => {
  const rig = new Rig()
  rig.process.ready()
  rig.process.answers = false
  await rig.clock.advance(HUNG_MS + 3 * HEARTBEAT_MS)
  assert.equal(rig.processes[0]?.killed, true)
  assert.equal(rig.processes.length, 2)
})

test('draining tells the switch, and ends when the switch has drained', () => {
  const rig = new Rig()
  rig.process.ready()
  rig.supervisor.drain(60_000)
  assert.ok(rig.process.orders.some((order) => order.type === 'drain'))
  rig.process.sink.onReport({ type: 'drained' })
  assert.equal(rig.process.orders.at(-1)?.type, 'stop')
  rig.process.sink.onExit('exit 0')
  assert.deepEqual(rig.told, ['ready first', 'end null'])
})

test('draining is cut off at its limit, and a switch that does not stop is killed', async () => {
  const rig = new Rig()
  rig.process.ready()
  rig.supervisor.drain(60_000)
  await rig.clock.advance(60_000)
  assert.equal(rig.process.orders.at(-1)?.type, 'stop')
  assert.ok(rig.codes.includes('DRAIN_ENDED_BY_LIMIT'))
  await rig.clock.advance(STOP_MAX_MS)
  assert.equal(rig.process.killed, true)
  assert.deepEqual(rig.told, ['ready first', 'end null'])
})

test('stopping while a restart waits ends at once', () => {
  const rig = new Rig()
  rig.process.ready()
  rig.process.sink.onExit('exit 1')
  rig.supervisor.stop()
  assert.deepEqual(rig.told, ['ready first', 'end null'])
})

test('a question without an answer becomes null, and so do all when the switch dies', async () => {
  const rig = new Rig()
  rig.process.ready()
  assert.deepEqual(await rig.supervisor.ask('calls', 5), ['calls', 5])
  rig.process.answers = false
  const late = rig.supervisor.ask('calls', 5)
  await rig.clock.advance(3_000 + HEARTBEAT_MS)
  assert.equal(await late, null)
  const lost = rig.supervisor.ask('calls', 5)
  rig.process.sink.onExit('exit 1')
  assert.equal(await lost, null)
  assert.equal(await rig.supervisor.ask('calls', 5), null)
})
