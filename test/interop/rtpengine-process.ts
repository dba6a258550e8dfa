// Debian's rtpengine in user space, as a gateway that our switch drives.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

import { udpPort, until } from '#test/interop/carillon-process.ts'
import { peer } from '#test/peers.ts'

const HOST = '127.0.0.1'

export class RtpengineProcess {
  /** Where it listens for ng. */
  readonly port: number
  readonly #child: ChildProcess
  readonly #said: () => string

  private constructor(child: ChildProcess, port: number, said: () => string) {
    this.#child = child
    this.port = port
    this.#said = said
  }

  /** Starts it and waits until it listens. */
  static async start(firstMediaPort: number): Promise<RtpengineProcess> {
    const port = await udpPort(HOST)
    const args = ['--config-file=none', '--foreground', '--table=-1', '--log-stderr', '--log-level=6']
    args.push(`--interface=${HOST}`, `--listen-ng=${HOST}:${port}`, '--num-threads=1', '--delete-delay=0')
    args.push(`--port-min=${firstMediaPort}`, `--port-max=${firstMediaPort + 199}`)
    const child = spawn(peer('rtpengine').path, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    const onOutput = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-200_000)
    }
    child.stdout.on('data', onOutput)
    child.stderr.on('data', onOutput)
    const kill = (): void => void child.kill('SIGKILL')
    process.once('exit', kill)
    child.once('exit', () => process.removeListener('exit', kill))
    await until('rtpengine has started', 10_000, () => {
      if (child.exitCode !== null) throw new Error(`rtpengine ended: ${said}`)
      return Promise.resolve(/Startup complete/.test(said))
    })
    return new RtpengineProcess(child, port, () => said)
  }

  /** Its log. */
  log(): string {
    return this.#said()
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const last = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await ended
    clearTimeout(last)
  }
}
