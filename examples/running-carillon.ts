// Carillon as the examples run it: from a configuration file, in a temporary folder, asked through its own command line.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Cdr } from '#schema/cdr.ts'

const PROGRAM = join(import.meta.dirname, '../src/bin/carillon.ts')
/** A machine with much to do takes its time; the example goes on as soon as Carillon says that it is ready. */
const START_MAX_MS = 30_000
const CDR_MAX_MS = 10_000
const STOP_MAX_MS = 10_000
const LOOK_MS = 50

export class RunningCarillon {
  /** Temporary: everything that the example writes is below it. */
  readonly folder: string
  /** Listening points as Carillon reports them, with the ports that the system chose: "udp:127.0.0.1:41234". */
  readonly listening: readonly string[]
  readonly #child: ChildProcess

  private constructor(folder: string, listening: readonly string[], child: ChildProcess) {
    this.folder = folder
    this.listening = listening
    this.#child = child
  }

  /**
   * Starts one with the configuration in `file` and waits until it is up. `replacements` are put into the text first: a
   * file for people has the ports that one knows, an example takes free ones. Throws when it does not come up.
   */
  static async start(file: string, replacements: Readonly<Record<string, string>> = {}): Promise<RunningCarillon> {
    const folder = mkdtempSync(join(tmpdir(), 'carillon-example-'))
    let text = readFileSync(file, 'utf8')
    for (const [from, to] of Object.entries(replacements)) text = text.replaceAll(from, to)
    writeFileSync(join(folder, 'carillon.yaml'), text)
    const child = spawn(process.execPath, [PROGRAM, 'start', ...configAndData(folder)], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const kill = (): void => void child.kill('SIGKILL')
    process.once('exit', kill)
    child.once('exit', () => process.removeListener('exit', kill))
    try {
      return new RunningCarillon(folder, await listeningOf(child), child)
    } catch (error) {
      child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** The port of the first listening point of that transport. */
  port(transport: 'udp' | 'tcp' | 'tls'): number {
    const point = this.listening.find((address) => address.startsWith(`${transport}:`))
    if (point === undefined) throw new Error(`Carillon does not listen on ${transport}`)
    return Number(point.slice(point.lastIndexOf(':') + 1))
  }

  /** What `carillon COMMAND …` prints for this system. */
  async ask(command: string, ...args: string[]): Promise<string> {
    const run = promisify(execFile)
    const { stdout } = await run(process.execPath, [PROGRAM, command, ...args], {
      cwd: this.folder,
      env: { ...process.env, CARILLON_DATA: join(this.folder, 'data') },
    })
    return stdout
  }

  /** The record of the first call that was answered and has ended. It is there when it is on disk, moments after the BYE. */
  async stopRecord(): Promise<Cdr> {
    const deadline = performance.now() + CDR_MAX_MS
    while (performance.now() < deadline) {
      const { items } = JSON.parse(await this.ask('cdrs', '--json')) as { items: Cdr[] }
      const found = items.find((record) => record.type === 'STOP')
      if (found !== undefined) return found
      await pause(LOOK_MS)
    }
    throw new Error(`no STOP record after ${CDR_MAX_MS} ms`)
  }

  /** Stops it at once, and removes what it wrote. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit')
      this.#child.kill('SIGINT')
      const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MAX_MS)
      await ended
      clearTimeout(late)
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function configAndData(folder: string): string[] {
  return ['--config', join(folder, 'carillon.yaml'), '--data', join(folder, 'data')]
}

/** Where it listens, from the line of its log that says that all is up. */
async function listeningOf(child: ChildProcess): Promise<string[]> {
  if (child.stdout === null) throw new Error('its output is not piped')
  const lines = createInterface({ input: child.stdout })
  const late = setTimeout(() => lines.close(), START_MAX_MS)
  for await (const line of lines) {
    const { code, listening } = JSON.parse(line) as { code: string; listening?: string }
    if (code !== 'SYSTEM_READY' || listening === undefined) continue
    clearTimeout(late)
    child.stdout.resume()
    return listening.split(' ')
  }
  clearTimeout(late)
  throw new Error(`Carillon did not come up within ${START_MAX_MS} ms`)
}
