// The loads of the benchmark, each a run of SIPp against one target with the target's CPU time beside it.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { readTree } from '#bench/process-tree.ts'
import { Sipp, type SippCounts } from '#bench/sipp-run.ts'
import { CALLER_HOST, freePort, subscriber, TARGET_HOST, type Target, TRUNK_HOST, USERS } from '#bench/target.ts'

const CALLED_NUMBERS = 5_000

/** One run of a load. */
export interface LoadRun {
  readonly counts: SippCounts
  /** Both ends together. */
  readonly retransmissions: number
  readonly seconds: number
  /** CPU time of the target's process tree by unit of work that succeeded, in microseconds. */
  readonly cpuMicrosPerUnit: number
  /** First errors of the load generator. */
  readonly errors: string
}

/** A way to load a target with so many units a second for so many seconds. */
export type Load = (target: Target, perSecond: number, seconds: number) => Promise<LoadRun>

/** The loads, with their files in `folder`. */
export class Loads {
  readonly #folder: string
  readonly #numbers: string
  readonly #users: string
  /** One port for all registrations: a refresh has the same contact as the first. */
  #registerPort = 0

  constructor(folder: string) {
    this.#folder = folder
    this.#numbers = join(folder, 'numbers.csv')
    this.#users = join(folder, 'users.csv')
    // Spread over the table: 7919 is prime to the number of prefixes.
    const numbers = Array.from({ length: CALLED_NUMBERS }, (_, n) => {
      const number = 10_000_000 + ((n * 7919_00) % 10_000_000)
      return `caller${n};${number}`
    })
    writeFileSync(this.#numbers, `SEQUENTIAL\n${numbers.join('\n')}\n`)
    const users = Array.from({ length: USERS }, (_, n) => {
      const { user, password } = subscriber(n)
      return `${user};[authentication username=${user} password=${password}]`
    })
    writeFileSync(this.#users, `SEQUENTIAL\n${users.join('\n')}\n`)
  }

  /** Calls from the trunk group `in` to the trunk group `out`, hung up at once. */
  readonly calls: Load = async (target, perSecond, seconds) => {
    const trunk = this.trunk(target.trunkPort)
    const from = { host: CALLER_HOST, port: await freePort(CALLER_HOST) }
    const run = await this.#measure(target, 'call.xml', from, this.#numbers, perSecond, perSecond * seconds)
    const answered = await trunk.stop()
    trunk.remove()
    return { ...run, retransmissions: run.retransmissions + answered.retransmissions }
  }

  /** Registrations with challenge, user after user. Without `seconds` × `perSecond` above USERS each registers once. */
  readonly registrations: Load = async (target, perSecond, seconds) => {
    if (this.#registerPort === 0) this.#registerPort = await freePort(CALLER_HOST)
    const from = { host: CALLER_HOST, port: this.#registerPort }
    return this.#measure(target, 'register.xml', from, this.#users, perSecond, perSecond * seconds)
  }

  /** The far end of the trunk group `out`. */
  trunk(port: number): Sipp {
    const from = { host: TRUNK_HOST, port }
    return new Sipp(
      { scenario: 'answer.xml', to: null, from, callsPerSecond: 0, calls: 0, injectionFile: null },
      this.#folder,
    )
  }

  /** Calls that stay up for `pauseMs`. */
  async heldCalls(target: Target, perSecond: number, calls: number, pauseMs: number): Promise<Sipp> {
    const from = { host: CALLER_HOST, port: await freePort(CALLER_HOST) }
    const to = { host: TARGET_HOST, port: target.port }
    const load = { scenario: 'held-call.xml', to, from, callsPerSecond: perSecond, calls, pauseMs }
    return new Sipp({ ...load, injectionFile: this.#numbers }, this.#folder)
  }

  async #measure(
    target: Target,
    scenario: string,
    from: { host: string; port: number },
    injectionFile: string,
    callsPerSecond: number,
    calls: number,
  ): Promise<LoadRun> {
    const to = { host: TARGET_HOST, port: target.port }
    const before = readTree(target.pid)
    const begun = performance.now()
    const sipp = new Sipp({ scenario, to, from, callsPerSecond, calls, injectionFile }, this.#folder)
    const counts = await sipp.finish()
    const after = readTree(target.pid)
    const errors = sipp.errors()
    sipp.remove()
    return {
      counts,
      retransmissions: counts.retransmissions,
      seconds: (performance.now() - begun) / 1000,
      cpuMicrosPerUnit: (after.cpuMicros - before.cpuMicros) / Math.max(1, counts.succeeded),
      errors,
    }
  }
}

/** Whether a target held a load: fewer than 0.1 % failed, fewer than 2 % retransmitted, and the rate was really offered. */
export function held(run: LoadRun, perSecond: number): 'held' | 'failed' | 'loadTooSlow' {
  const { created, succeeded, rate } = run.counts
  // What had no end when the run was given up has failed too.
  const failed = created - succeeded
  if (created === 0 || failed / created >= 0.001 || run.retransmissions / created >= 0.02) return 'failed'
  return rate < perSecond * 0.97 ? 'loadTooSlow' : 'held'
}
