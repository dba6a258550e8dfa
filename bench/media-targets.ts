// The media gateways of the benchmark: Debian's rtpengine in user space, and ours alone as `carillon gateway`.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { NgCalls } from '#bench/ng-calls.ts'
import { freePort, TARGET_CORE } from '#bench/target.ts'

const ROOT = join(import.meta.dirname, '..')
const HOST = '127.0.0.1'
const PORTS = [20_000, 59_999] as const
const STOP_MS = 5_000
const STARTS_MS = 15_000

export interface MediaTarget {
  readonly name: string
  readonly pid: number
  readonly ngPort: number
  stop(): Promise<void>
}

export interface MediaTargetKind {
  readonly name: string
  version(): string
  start(folder: string): Promise<MediaTarget>
}

export const rtpengine: MediaTargetKind = {
  name: 'rtpengine',
  version: () =>
    /(\d[\w.+-]*)/.exec(execFileSync('sh', ['-c', 'rtpengine --version 2>&1'], { encoding: 'utf8' }))?.[1] ?? '?',
  async start(folder) {
    const ngPort = await freePort(HOST)
    const args = [
      '--config-file=none',
      '--foreground',
      '--table=-1',
      '--log-stderr',
      '--log-level=3',
      '--num-threads=1',
    ]
    args.push(`--interface=${HOST}`, `--listen-ng=${HOST}:${ngPort}`, '--delete-delay=0')
    args.push(`--port-min=${PORTS[0]}`, `--port-max=${PORTS[1]}`)
    return started('rtpengine', ['rtpengine', ...args], folder, ngPort)
  },
}

/** `nodeArguments` go before the program (--cpu-prof …). */
export function gateway(nodeArguments: readonly string[] = []): MediaTargetKind {
  return {
    name: 'Carillon',
    version: () => execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim(),
    async start(folder) {
      const ngPort = await freePort(HOST)
      const args = ['--control', `udp:${HOST}:${ngPort}`, '--listen', HOST, '--ports', PORTS.join('-')]
      args.push('--data', join(folder, 'data'), '--log-level', 'warn', '--drain-seconds', '0')
      const program = join(ROOT, 'src/bin/carillon.ts')
      return started('Carillon', [process.execPath, ...nodeArguments, program, 'gateway', ...args], folder, ngPort)
    },
  }
}

async function started(name: string, command: readonly string[], folder: string, ngPort: number): Promise<MediaTarget> {
  const log = openSync(join(folder, 'log'), 'a')
  const child = spawn('taskset', ['-c', String(TARGET_CORE), ...command], { cwd: folder, stdio: ['ignore', log, log] })
  const { pid } = child
  if (pid === undefined) throw new Error(`${name} did not start`)
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.removeListener('exit', kill))
  const ng = await NgCalls.open(ngPort)
  const endsMs = performance.now() + STARTS_MS
  try {
    while (!(await answers(ng))) {
      if (performance.now() > endsMs || child.exitCode !== null)
        throw new Error(`${name} does not answer; see ${folder}/log`)
      await sleep(100)
    }
  } finally {
    ng.close()
  }
  return { name, pid, ngPort, stop: () => stop(child) }
}

async function answers(ng: NgCalls): Promise<boolean> {
  try {
    return (await ng.ask({ command: 'ping' }))['result'] === 'pong'
  } catch {
    return false
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const last = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await ended
  clearTimeout(last)
}
