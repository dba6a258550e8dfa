// What is measured: a SIP server on one core, started fresh, loaded from the other core.

import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** The target has the first core, the load the second, so neither takes time from the other. */
export const TARGET_CORE = 0
export const LOAD_CORE = 1
export const TARGET_HOST = '127.0.0.1'
export const CALLER_HOST = '127.0.0.2'
export const TRUNK_HOST = '127.0.0.3'
export const USERS = 10_000

const READY_MS = 60_000
const STOP_MS = 10_000

/** A running server. */
export interface Target {
  readonly name: string
  readonly pid: number
  readonly port: number
  readonly trunkPort: number
  /** Ends it and waits for it. */
  stop(): Promise<void>
}

export interface TargetKind {
  readonly name: string
  version(): string
  /** Starts one with its files in `folder`, calls to 1… going to TRUNK_HOST:`trunkPort`; ready for calls when it resolves. */
  start(folder: string, trunkPort: number): Promise<Target>
}

/** Starts `command` pinned to the target's core and waits until it answers OPTIONS. */
export async function startPinned(
  name: string,
  command: readonly string[],
  options: { log: string; cwd: string; port: number; trunkPort: number; env?: Record<string, string> },
): Promise<Target> {
  const log = openSync(options.log, 'a')
  const child = spawn('taskset', ['-c', String(TARGET_CORE), ...command], {
    cwd: options.cwd,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...options.env },
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${name} did not start: ${command.join(' ')}`)
  const target: Target = {
    name,
    pid,
    port: options.port,
    trunkPort: options.trunkPort,
    stop: () => stop(child),
  }
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.removeListener('exit', kill))
  if (!(await answers(options.port, child))) {
    await target.stop()
    throw new Error(`${name} does not answer OPTIONS on port ${options.port}; its output is in ${options.log}`)
  }
  return target
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  // A server that drains may wait for its calls; the bench does not.
  const timer = setTimeout(() => child.kill('SIGINT'), STOP_MS / 2)
  const last = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await ended
  clearTimeout(timer)
  clearTimeout(last)
}

/** Asks with OPTIONS until there is any response. */
async function answers(port: number, child: ChildProcess): Promise<boolean> {
  const socket = createSocket('udp4')
  let heard = false
  socket.on('message', () => {
    heard = true
  })
  await new Promise<void>((resolve) => socket.bind(0, CALLER_HOST, resolve))
  const local = socket.address()
  const deadline = Date.now() + READY_MS
  for (let n = 1; !heard && Date.now() < deadline && child.exitCode === null; n++) {
    const request = [
      `OPTIONS sip:${TARGET_HOST}:${port} SIP/2.0`,
      `Via: SIP/2.0/UDP ${CALLER_HOST}:${local.port};branch=z9hG4bKready${n}`,
      `From: <sip:ready@${CALLER_HOST}>;tag=ready`,
      `To: <sip:${TARGET_HOST}:${port}>`,
      `Call-ID: ready${n}@${CALLER_HOST}`,
      `CSeq: ${n} OPTIONS`,
      'Max-Forwards: 70',
      'Content-Length: 0',
    ].join('\r\n')
    socket.send(`${request}\r\n\r\n`, port, TARGET_HOST)
    await sleep(100)
  }
  socket.close()
  return heard
}

/** A UDP port that nobody has on `host` now. */
export async function freePort(host: string): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, host, resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(resolve))
  return port
}

/** A subscriber of the bench: user name and password. */
export function subscriber(index: number): { user: string; password: string } {
  const digits = String(index).padStart(6, '0')
  return { user: `u${digits}`, password: `pw${digits}` }
}

/** The prefixes that are routed to the trunk: 10000–19999 and 20000–29999. */
export function* prefixes(): Generator<string> {
  for (let n = 10_000; n < 30_000; n++) yield String(n)
}
