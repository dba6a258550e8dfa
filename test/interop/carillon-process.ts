// Carillon as its users start it, on free ports with a data folder of its own, for the interoperation tests.

import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import type { Cdr } from '#schema/cdr.ts'

const ROOT = join(import.meta.dirname, '../..')
export const DOMAIN = 'carillon.test'
/** Where Carillon listens in these tests. Callers and trunks have other loopback addresses. */
export const HOST = '127.0.0.1'
const START_MS = 30_000
const STOP_MS = 15_000
/** Between two looks at something that is awaited. */
const LOOK_MS = 20

export interface Ports {
  readonly udp: number
  readonly tcp: number
  readonly tls: number
  readonly http: number
  /** First and last port of the embedded gateway, where a test gives it some. */
  readonly media?: readonly [number, number]
}

/** A started system: supervisor and switch. */
export class CarillonProcess {
  readonly ports: Ports
  readonly folder: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, ports: Ports, folder: string) {
    this.#child = child
    this.ports = ports
    this.folder = folder
  }

  /**
   * Starts one in `folder` and waits until GET /healthz says that all is up. `sections` is YAML that follows domain, sip,
   * media and manager: subscribers, trunkGroups, routes … `media` is that section's content.
   */
  static async start(folder: string, sections: string, media = 'gateways: none'): Promise<CarillonProcess> {
    mkdirSync(join(folder, 'data'), { recursive: true })
    const [udp, tcp, tls, http] = await Promise.all([udpPort(HOST), tcpPort(), tcpPort(), tcpPort()])
    const range = /ports: (\d+)-(\d+)/.exec(media)
    const ports: Ports = {
      udp,
      tcp,
      tls,
      http,
      ...(range === null ? {} : { media: [Number(range[1]), Number(range[2])] as const }),
    }
    const listen = [`udp:${HOST}:${udp}`, `tcp:${HOST}:${tcp}`, `tls:${HOST}:${tls}`]
    const file = join(folder, 'carillon.yaml')
    writeFileSync(
      file,
      [
        `domain: ${DOMAIN}`,
        `sip: {listen: ${JSON.stringify(listen)}}`,
        `media: {${media}}`,
        `manager: {listen: "127.0.0.1:${http}"}`,
        sections,
      ].join('\n'),
    )
    const log = openSync(join(folder, 'carillon.log'), 'a')
    const program = join(ROOT, 'src/bin/carillon.ts')
    const args = [program, 'start', '--config', file, '--data', join(folder, 'data')]
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', log, log] })
    const kill = (): void => void child.kill('SIGKILL')
    process.once('exit', kill)
    child.once('exit', () => process.removeListener('exit', kill))
    const carillon = new CarillonProcess(child, ports, folder)
    try {
      await carillon.untilHealthy(START_MS)
    } catch (error) {
      child.kill('SIGKILL')
      throw new Error(`Carillon did not start: ${String(error)}\n${carillon.log().slice(-4_000)}`)
    }
    return carillon
  }

  /** Waits until GET /healthz answers 200. */
  untilHealthy(timeoutMs: number): Promise<void> {
    return until('GET /healthz answers 200', timeoutMs, async () => {
      if (this.#child.exitCode !== null) throw new Error(`ended with ${this.#child.exitCode}`)
      try {
        return (await fetch(`http://127.0.0.1:${this.ports.http}/healthz`)).status === 200
      } catch {
        return false
      }
    })
  }

  /** Process id of the switch: the child of the supervisor that runs Carillon's program. */
  switchPid(): number {
    return this.#pidOf('switch')
  }

  /** Process id of the embedded media gateway. */
  gatewayPid(): number {
    return this.#pidOf('gateway')
  }

  #pidOf(command: string): number {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
        if (parent !== this.#child.pid) continue
        const words = readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0')
        if (words.includes(command)) return Number(name)
      } catch {
        // It has ended meanwhile.
      }
    }
    throw new Error(`the supervisor has no ${command}`)
  }

  /** All records in DATA/cdr, in the order of the files. */
  cdrs(): Cdr[] {
    const folder = join(this.folder, 'data/cdr')
    let files: string[]
    try {
      files = readdirSync(folder).sort()
    } catch {
      return []
    }
    return files.flatMap((file) =>
      readFileSync(join(folder, file), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Cdr),
    )
  }

  /** Waits for a record that `wanted` accepts. */
  async cdr(what: string, wanted: (record: Cdr) => boolean): Promise<Cdr> {
    let found: Cdr | undefined
    await until(`CDR: ${what}`, 10_000, () => {
      found = this.cdrs().find(wanted)
      return Promise.resolve(found !== undefined)
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; records: ${JSON.stringify(this.cdrs(), null, 1)}`)
    })
    if (found === undefined) throw new Error('unreachable')
    return found
  }

  log(): string {
    return readFileSync(join(this.folder, 'carillon.log'), 'utf8')
  }

  /** Ends it as a service manager does, and kills it when it has not ended in time. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGINT')
    const second = setTimeout(() => this.#child.kill('SIGINT'), STOP_MS / 3)
    const last = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await ended
    clearTimeout(second)
    clearTimeout(last)
  }
}

/** Waits for a fact about another process, which nobody announces. */
export async function until(what: string, timeoutMs: number, fact: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await fact())) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`)
    await pause(LOOK_MS)
  }
}

/** A UDP port that is free on `host` now. */
export async function udpPort(host: string): Promise<number> {
  const socket = createSocket('udp4')
  await once(socket.bind(0, host), 'listening')
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(resolve))
  return port
}

/** A TCP port that is free now. */
export async function tcpPort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, HOST), 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
