// The supervisor of one process, the switch or the media gateway: keeps it running, answers for its health, passes orders to it.

import { assert } from '#core/assert.ts'
import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Log } from '#core/log.ts'
import type { Order, Question, Report, StatusAnswer } from '#host/supervisor-channel.ts'

/** A restart waits this long at first, twice as long after each further death, never longer than the maximum. */
export const RESTART_DELAY_MIN_MS = 100
export const RESTART_DELAY_MAX_MS = 10_000
/** A switch that stayed up this long starts from the shortest delay again. */
export const STEADY_MS = 60_000
/** The switch is asked for its status this often. */
export const HEARTBEAT_MS = 1_000
/** Without an answer for this long the switch counts as unhealthy. */
export const ANSWER_LATE_MS = 5_000
/** Without an answer for this long the switch is taken for hung, killed and started again. */
export const HUNG_MS = 30_000
/** A stopped switch that is still there after this time is killed. */
export const STOP_MAX_MS = 5_000
/** Questions under way at a time; more are answered with null. */
export const QUESTIONS_MAX = 1_000
const QUESTION_MAX_MS = 3_000
/** A reload reads and compiles the whole configuration. */
const RELOAD_MAX_MS = 60_000

/** A running switch process as the supervisor sees it. */
export interface SwitchProcess {
  readonly pid: number
  send(order: Order): void
  kill(): void
}

/** Receives what a process reports. After `onExit` nothing more comes. */
export interface SwitchProcessSink {
  onReport(report: Report): void
  onExit(why: string): void
}

/** Starts a switch process; `restart` is false the first time. */
export type SwitchLauncher = (sink: SwitchProcessSink, restart: boolean) => SwitchProcess

/** What is supervised, for logs and people. */
export interface Supervised {
  /** Completes "the … died". */
  readonly title: string
  /** Stable code of its death (docs/errors.md). */
  readonly diedCode: 'SWITCH_DIED' | 'GATEWAY_DIED'
}

const SWITCH: Supervised = { title: 'switch', diedCode: 'SWITCH_DIED' }

export interface SupervisorObserver {
  /** The switch takes calls; `first` only the first time. */
  onReady(listening: readonly string[], first: boolean): void
  /** The switch has ended for good: told to, drained, or it could not start the first time (`failure` says why). */
  onEnd(failure: string | null): void
  /** The process has died; another is started soon. */
  onDeath?(): void
}

type State = 'starting' | 'up' | 'waiting' | 'draining' | 'stopping' | 'ended'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  starting: ['up', 'waiting', 'stopping', 'ended'],
  up: ['waiting', 'draining', 'stopping', 'ended'],
  waiting: ['starting', 'ended'],
  draining: ['stopping', 'ended'],
  stopping: ['ended'],
  ended: [],
}

interface Waiting {
  readonly deadlineMs: number
  readonly resolve: (body: unknown) => void
}

/** Whether all is up, and if not, why not. */
export interface Health {
  readonly up: boolean
  /** A sentence; empty when up. */
  readonly reason: string
}

export class Supervisor implements TimerOwner, SwitchProcessSink {
  state: State = 'starting'
  restarts = 0
  readonly #clock: Clock
  readonly #log: Log
  readonly #launch: SwitchLauncher
  readonly #observer: SupervisorObserver
  readonly #supervised: Supervised
  readonly #restart = new Timer(this)
  readonly #heartbeat = new Timer(this)
  readonly #end = new Timer(this)
  readonly #questions = new Map<number, Waiting>()
  #process: SwitchProcess | null = null
  #everReady = false
  #failure = ''
  #restartDelayMs = RESTART_DELAY_MIN_MS
  #readySinceMs = 0
  #answeredMs = 0
  #status: StatusAnswer | null = null
  #nextId = 1

  /** Where the embedded media gateway takes commands; undefined while there is nothing to say of one. */
  #gateway: string | null | undefined

  constructor(
    clock: Clock,
    log: Log,
    launch: SwitchLauncher,
    observer: SupervisorObserver,
    supervised: Supervised = SWITCH,
  ) {
    this.#clock = clock
    this.#log = log
    this.#launch = launch
    this.#observer = observer
    this.#supervised = supervised
  }

  start(): void {
    this.#spawn()
  }

  /** The process number of the switch, or null while there is none. */
  get pid(): number | null {
    return this.#process?.pid ?? null
  }

  /** The last status that the switch gave, at most {@link HEARTBEAT_MS} old while it is healthy; null while there is none. */
  get status(): StatusAnswer | null {
    return this.#status
  }

  /** Tells the switch, now and whenever it is started again, where the embedded media gateway is; null: it is gone. */
  setGateway(address: string | null): void {
    this.#gateway = address
    this.#process?.send({ type: 'gateway', address })
  }

  health(): Health {
    const { title } = this.#supervised
    switch (this.state) {
      case 'starting':
        return { up: false, reason: `the ${title} is starting` }
      case 'waiting':
        return { up: false, reason: `the ${title} died (${this.#failure}) and is about to be started again` }
      case 'draining':
        return { up: false, reason: 'draining: calls go on, new ones are refused' }
      case 'stopping':
      case 'ended':
        return { up: false, reason: 'stopping' }
      case 'up': {
        if (this.#clock.now() - this.#answeredMs > ANSWER_LATE_MS)
          return { up: false, reason: `the ${title} does not answer` }
        const status = this.#status
        if (status !== null && !status.ready) return { up: false, reason: status.reason }
        return { up: true, reason: '' }
      }
      default:
        return this.state satisfies never
    }
  }

  /** Asks the switch. Null when there is none to ask, or no answer came in time. */
  ask(question: Question, limit = 0): Promise<unknown> {
    const target = this.#process
    const answerable = this.state === 'up' || this.state === 'draining'
    if (target === null || !answerable || this.#questions.size >= QUESTIONS_MAX) return Promise.resolve(null)
    return new Promise((resolve) => {
      const id = this.#nextId++
      const patienceMs = question === 'reload' ? RELOAD_MAX_MS : QUESTION_MAX_MS
      this.#questions.set(id, { deadlineMs: this.#clock.now() + patienceMs, resolve })
      target.send({ type: 'ask', id, question, limit })
    })
  }

  /** Takes no new calls; ends when the last call has ended, or after `limitMs` (Infinity: however long it takes). */
  drain(limitMs: number): void {
    if (this.state === 'up') {
      this.#enter('draining')
      this.#process?.send({ type: 'drain' })
    } else if (this.state !== 'draining') {
      this.stop()
      return
    }
    if (limitMs !== Number.POSITIVE_INFINITY) this.#clock.arm(this.#end, 'drainEnds', limitMs)
  }

  /** Ends the switch and all its calls now. */
  stop(): void {
    if (this.state === 'stopping' || this.state === 'ended') return
    if (this.state === 'waiting') {
      this.#finish(null)
      return
    }
    this.#enter('stopping')
    this.#process?.send({ type: 'stop' })
    this.#clock.arm(this.#end, 'kill', STOP_MAX_MS)
  }

  onReport(report: Report): void {
    switch (report.type) {
      case 'ready':
        if (this.state !== 'starting') return
        this.#enter('up')
        this.#readySinceMs = this.#clock.now()
        this.#answeredMs = this.#readySinceMs
        this.#beat()
        this.#observer.onReady(report.listening, !this.#everReady)
        this.#everReady = true
        return
      case 'fatal':
        this.#failure = report.reason
        return
      case 'drained':
        if (this.state === 'draining') this.stop()
        return
      case 'answer': {
        const waiting = this.#questions.get(report.id)
        this.#questions.delete(report.id)
        waiting?.resolve(report.body)
        return
      }
      default:
        report satisfies never
    }
  }

  onExit(why: string): void {
    this.#process = null
    this.#status = null
    this.#clock.cancel(this.#heartbeat)
    for (const waiting of this.#questions.values()) waiting.resolve(null)
    this.#questions.clear()
    if (this.#failure === '') this.#failure = why
    const orderly = this.state === 'draining' || this.state === 'stopping'
    if (orderly) this.#finish(null)
    else if (!this.#everReady) this.#finish(this.#failure)
    else {
      this.#waitForRestart()
      this.#observer.onDeath?.()
    }
  }

  onTimer(name: string): void {
    if (name === 'restart') {
      this.#enter('starting')
      this.restarts += 1
      this.#spawn()
    } else if (name === 'heartbeat') {
      this.#beat()
    } else if (name === 'drainEnds') {
      this.#log.event('warn', 'DRAIN_ENDED_BY_LIMIT', { calls: this.#status?.calls ?? 0 })
      this.stop()
    } else {
      assert(name === 'kill', `timer ${name}`)
      this.#process?.kill()
    }
  }

  #spawn(): void {
    this.#failure = ''
    this.#process = this.#launch(this, this.#everReady)
    if (this.#gateway !== undefined) this.#process.send({ type: 'gateway', address: this.#gateway })
  }

  #waitForRestart(): void {
    if (this.state === 'up' && this.#clock.now() - this.#readySinceMs >= STEADY_MS) {
      this.#restartDelayMs = RESTART_DELAY_MIN_MS
    }
    this.#log.event('error', this.#supervised.diedCode, { why: this.#failure, restartInMs: this.#restartDelayMs })
    this.#enter('waiting')
    this.#clock.arm(this.#restart, 'restart', this.#restartDelayMs)
    this.#restartDelayMs = Math.min(this.#restartDelayMs * 2, RESTART_DELAY_MAX_MS)
  }

  /** Once a heartbeat: asks for the status, gives up questions that are overdue, and ends a switch that hangs. */
  #beat(): void {
    const now = this.#clock.now()
    for (const [id, waiting] of this.#questions) {
      if (now < waiting.deadlineMs) continue
      this.#questions.delete(id)
      waiting.resolve(null)
    }
    if (now - this.#answeredMs > HUNG_MS) {
      this.#failure = `no answer for ${HUNG_MS / 1_000} s`
      this.#process?.kill()
      return
    }
    this.#clock.arm(this.#heartbeat, 'heartbeat', HEARTBEAT_MS)
    void this.ask('status').then((body) => {
      if (body === null) return
      this.#status = body as StatusAnswer
      this.#answeredMs = this.#clock.now()
    })
  }

  #finish(failure: string | null): void {
    this.#enter('ended')
    this.#observer.onEnd(failure)
  }

  #enter(next: State): void {
    assert(NEXT[this.state].includes(next), `supervisor ${this.state} -> ${next}`)
    this.state = next
    this.#clock.cancel(this.#restart)
    if (next === 'stopping' || next === 'ended') this.#clock.cancel(this.#end)
  }
}
