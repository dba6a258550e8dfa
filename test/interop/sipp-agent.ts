// SIPp as a telephone or as another switch in the interoperation tests.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { until } from '#test/interop/carillon-process.ts'
import { peer } from '#test/peers.ts'

const SCENARIOS = join(import.meta.dirname, 'sipp')
/** A scenario that has not ended by then has failed; tests wait for its end, not for this time. */
const SCENARIO_MS = 40_000

export interface SippOptions {
  /** Name in sipp/, without extension. */
  readonly scenario: string
  readonly from: { readonly host: string; readonly port: number }
  /** Absent for a scenario that waits. */
  readonly to?: { readonly host: string; readonly port: number }
  readonly transport?: 'udp' | 'tcp'
  /** -key NAME VALUE pairs: [NAME] in the scenario. */
  readonly keys?: Readonly<Record<string, string>>
  /** Credentials for [authentication]. */
  readonly user?: string
  readonly password?: string
  /** The digest's uri, without scheme; SIPp would write the address it sends to, which is not the Request-URI. */
  readonly digestUri?: string
  readonly calls?: number
  readonly callsPerSecond?: number
  /** Injection file. */
  readonly fields?: string
}

export interface SippResult {
  /** 0: every call of the scenario went as written. */
  readonly exitCode: number | null
  /** What SIPp says was unexpected. */
  readonly errors: string
  /** Everything sent and received. */
  readonly messages: string
  readonly succeeded: number
  readonly failed: number
}

export class SippAgent {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #ended: Promise<unknown>
  #output = ''

  /** Starts the scenario; its files go below `folder`. */
  constructor(folder: string, options: SippOptions) {
    this.#folder = mkdtempSync(join(folder, `${options.scenario}-`))
    const args = ['-sf', join(SCENARIOS, `${options.scenario}.xml`), '-nostdin']
    args.push('-i', options.from.host, '-p', String(options.from.port), '-m', String(options.calls ?? 1))
    args.push('-t', options.transport === 'tcp' ? 't1' : 'u1', '-timeout', `${SCENARIO_MS / 1000}s`, '-timeout_error')
    args.push('-trace_msg', '-message_file', join(this.#folder, 'messages'))
    args.push('-trace_err', '-error_file', join(this.#folder, 'errors'))
    args.push('-trace_stat', '-stf', join(this.#folder, 'stats'), '-fd', '1')
    if (options.user !== undefined) args.push('-s', options.user, '-au', options.user)
    if (options.password !== undefined) args.push('-ap', options.password)
    if (options.digestUri !== undefined) args.push('-auth_uri', options.digestUri)
    if (options.callsPerSecond !== undefined) args.push('-r', String(options.callsPerSecond))
    if (options.fields !== undefined) args.push('-inf', options.fields)
    for (const [name, value] of Object.entries(options.keys ?? {})) args.push('-key', name, value)
    if (options.to !== undefined) args.push(`${options.to.host}:${options.to.port}`)
    this.#child = spawn(peer('sipp').path, args, { cwd: this.#folder, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString('latin1')).slice(-20_000)
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString('latin1')).slice(-20_000)
    })
    const kill = (): void => void this.#child.kill('SIGKILL')
    process.once('exit', kill)
    this.#ended = once(this.#child, 'close').then(() => process.removeListener('exit', kill))
  }

  /** Waits until it listens, for the scenarios that wait. SIPp opens its message log after its socket. */
  async ready(): Promise<this> {
    await until('SIPp listens', 10_000, () => Promise.resolve(existsSync(join(this.#folder, 'stats'))))
    return this
  }

  /** Waits until `text` stands in what was sent or received. */
  async saw(text: string, timeoutMs = 15_000): Promise<void> {
    await until(`SIPp sees ${JSON.stringify(text)}`, timeoutMs, () => Promise.resolve(this.messages().includes(text)))
  }

  /** Waits for its end. */
  async finish(): Promise<SippResult> {
    await this.#ended
    const stats = this.#read('stats').trim().split('\n')
    const names = stats[0]?.split(';') ?? []
    const values = stats.at(-1)?.split(';') ?? []
    const value = (name: string): number => Number(values[names.indexOf(name)] ?? 0)
    return {
      exitCode: this.#child.exitCode,
      errors: this.#read('errors') || this.#output.slice(-2_000),
      messages: this.messages(),
      succeeded: value('SuccessfulCall(C)'),
      failed: value('FailedCall(C)'),
    }
  }

  /** Ends it: calls in progress are given up. */
  async stop(): Promise<SippResult> {
    this.#child.kill('SIGUSR1')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3_000)
    const result = await this.finish()
    clearTimeout(timer)
    return result
  }

  messages(): string {
    return this.#read('messages')
  }

  #read(name: string): string {
    const file = join(this.#folder, name)
    return existsSync(file) ? readFileSync(file, 'latin1') : ''
  }
}
