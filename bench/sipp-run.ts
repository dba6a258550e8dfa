// SIPp as the load: one run of a scenario on the load's core, and what its statistics say.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { LOAD_CORE } from '#bench/target.ts'

/** Octets asked for as socket buffers, so that the load drops nothing itself. */
const BUFFER_OCTETS = 4_000_000
const CALLS_MAX = 15_000
/** Time past the planned end after which a run is given up. */
const OVERTIME_S = 12

/** What SIPp counted. */
export interface SippCounts {
  readonly created: number
  readonly succeeded: number
  readonly failed: number
  readonly retransmissions: number
  /** Calls per second over the whole run. */
  readonly rate: number
}

export interface SippLoad {
  readonly scenario: string
  /** Where the scenario sends to; null for one that waits. */
  readonly to: { host: string; port: number } | null
  readonly from: { host: string; port: number }
  readonly callsPerSecond: number
  readonly calls: number
  /** File of values, one line a call, taken in turn; null for none. */
  readonly injectionFile: string | null
  /** Length of a <pause/> in the scenario, in milliseconds. */
  readonly pauseMs?: number
}

export const SCENARIOS = join(import.meta.dirname, 'sipp')

/** A SIPp that runs on its own, such as the answering side. */
export class Sipp {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #ended: Promise<void>
  /** When its run should be over; it is ended then. */
  readonly #endMs: number

  /** `folder` is for its files; it is kept by the caller. */
  constructor(load: SippLoad, folder: string) {
    this.#folder = mkdtempSync(join(folder, 'sipp-'))
    const args = ['-c', String(LOAD_CORE), 'sipp', '-sf', join(SCENARIOS, load.scenario), '-nostdin']
    if (load.to !== null) args.push(`${load.to.host}:${load.to.port}`)
    args.push('-i', load.from.host, '-p', String(load.from.port), '-buff_size', String(BUFFER_OCTETS))
    args.push('-trace_stat', '-stf', this.#stats, '-fd', '1', '-trace_err', '-error_file', join(this.#folder, 'errors'))
    if (load.to !== null) {
      args.push('-r', String(load.callsPerSecond), '-m', String(load.calls), '-l', String(CALLS_MAX))
    }
    const planned = load.to === null ? 0 : Math.ceil(load.calls / load.callsPerSecond)
    this.#endMs = (planned + OVERTIME_S) * 1000
    if (load.injectionFile !== null) args.push('-inf', load.injectionFile)
    if (load.pauseMs !== undefined) args.push('-d', String(load.pauseMs))
    this.#child = spawn('taskset', args, { cwd: this.#folder, stdio: 'ignore' })
    const kill = (): void => void this.#child.kill('SIGKILL')
    process.once('exit', kill)
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => {
        process.removeListener('exit', kill)
        resolve()
      })
    })
  }

  /** Waits until it has made all its calls, or until the time for them is over. */
  async finish(): Promise<SippCounts> {
    // SIPp's own time limit waits for its last call, which an overloaded target may keep for minutes.
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), this.#endMs)
    await this.#ended
    clearTimeout(timer)
    return this.#read()
  }

  /** Asks it to end (SIGUSR1: calls in progress are given up) and gives what it counted. */
  async stop(): Promise<SippCounts> {
    this.#child.kill('SIGUSR1')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3_000)
    await this.#ended
    clearTimeout(timer)
    return this.#read()
  }

  /** What it has counted up to about a second ago. */
  counts(): SippCounts {
    return this.#read()
  }

  /** The first errors it noted; empty when there are none. */
  errors(): string {
    try {
      return readFileSync(join(this.#folder, 'errors'), 'latin1').slice(0, 2_000)
    } catch {
      return ''
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  get #stats(): string {
    return join(this.#folder, 'stats.csv')
  }

  #read(): SippCounts {
    let rows: string[]
    try {
      rows = readFileSync(this.#stats, 'latin1').trim().split('\n')
    } catch {
      rows = []
    }
    const names = rows[0]?.split(';') ?? []
    const values = (rows.length > 1 ? rows.at(-1) : undefined)?.split(';') ?? []
    const value = (name: string): number => Number(values[names.indexOf(name)] ?? 0)
    return {
      created: value('TotalCallCreated'),
      succeeded: value('SuccessfulCall(C)'),
      failed: value('FailedCall(C)'),
      retransmissions: value('Retransmissions(C)'),
      rate: value('CallRate(C)'),
    }
  }
}
