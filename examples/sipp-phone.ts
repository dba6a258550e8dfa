// SIPp as a telephone or as another carrier's switch: runs one of the scenarios in sipp/.

import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { peer } from '#test/peers.ts'

const SCENARIOS = join(import.meta.dirname, 'sipp')
const SCENARIO_MAX_S = 15
const LISTENS_MAX_MS = 10_000
const LOOK_MS = 20

export interface SippOptions {
  /** Name in sipp/, without extension. */
  readonly scenario: string
  readonly host: string
  readonly port: number
  /** Carillon's "host:port"; absent for a scenario that waits to be called. */
  readonly to?: string
  /** [NAME] in the scenario. */
  readonly keys?: Readonly<Record<string, string>>
  readonly user?: string
  readonly password?: string
  /** The Request-URI without its scheme, which the digest is made over; SIPp would take the address that it sends to. */
  readonly digestUri?: string
}

export class SippPhone {
  readonly #name: string
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  /** Starts the scenario; what it writes goes below `folder`. Throws where SIPp is not installed. */
  constructor(folder: string, options: SippOptions) {
    const sipp = peer('sipp')
    if (sipp.options.skip !== false) throw new Error(sipp.options.skip)
    this.#name = options.scenario
    this.#folder = mkdtempSync(join(folder, `${options.scenario}-`))
    const args = ['-sf', join(SCENARIOS, `${options.scenario}.xml`), '-nostdin', '-m', '1']
    args.push('-i', options.host, '-p', String(options.port), '-timeout', `${SCENARIO_MAX_S}s`, '-timeout_error')
    args.push('-trace_msg', '-message_file', 'messages', '-trace_err', '-error_file', 'errors')
    args.push('-trace_stat', '-stf', 'stats', '-fd', '1')
    if (options.user !== undefined) args.push('-s', options.user, '-au', options.user)
    if (options.password !== undefined) args.push('-ap', options.password)
    if (options.digestUri !== undefined) args.push('-auth_uri', options.digestUri)
    for (const [name, value] of Object.entries(options.keys ?? {})) args.push('-key', name, value)
    if (options.to !== undefined) args.push(options.to)
    this.#child = spawn(sipp.path, args, { cwd: this.#folder, stdio: 'ignore' })
    const kill = (): void => void this.#child.kill('SIGKILL')
    process.once('exit', kill)
    this.#ended = once(this.#child, 'exit').finally(() => process.removeListener('exit', kill))
  }

  /** Waits until it listens: SIPp begins its statistics after it has opened its socket. */
  async listens(): Promise<this> {
    const deadline = performance.now() + LISTENS_MAX_MS
    while (!existsSync(join(this.#folder, 'stats'))) {
      if (this.#child.exitCode !== null || performance.now() > deadline)
        throw new Error(`${this.#name} does not listen`)
      await pause(LOOK_MS)
    }
    return this
  }

  /** Waits for its end. Throws, with the messages that it saw, when something went otherwise than the scenario says. */
  async finish(): Promise<void> {
    await this.#ended
    if (this.#child.exitCode === 0) return
    throw new Error(`${this.#name}: ${this.#read('errors')}\n${this.#read('messages')}`)
  }

  /** Ends it, if it has not ended. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #read(name: string): string {
    const file = join(this.#folder, name)
    return existsSync(file) ? readFileSync(file, 'latin1') : ''
  }
}

/** A UDP port that is free on `host` now. */
export async function freePort(host: string): Promise<number> {
  const socket = createSocket('udp4')
  await once(socket.bind(0, host), 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}
