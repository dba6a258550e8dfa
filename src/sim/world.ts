// A simulated world: nodes, NATs and links in virtual time, wholly determined by a seed.

import { assert } from '#core/assert.ts'
import type { LogEvent } from '#sim/collecting-log.ts'
import { Dns } from '#sim/dns.ts'
import { Generator } from '#sim/generator.ts'
import type { Link, LinkOptions } from '#sim/link.ts'
import { LINK_DEFAULTS } from '#sim/link.ts'
import { Machine } from '#sim/machine.ts'
import type { NatOptions } from '#sim/nat.ts'
import { Nat } from '#sim/nat.ts'
import { Network } from '#sim/network.ts'
import type { ApplicationFactory } from '#sim/node.ts'
import { SimNode } from '#sim/node.ts'
import type { Task } from '#sim/virtual-time.ts'
import { VirtualTime } from '#sim/virtual-time.ts'
import type { WireObserver } from '#sim/wire.ts'

/** What one failing run tells at most. */
const VIOLATIONS_MAX = 12

/** How a test or a checker says that the system under test did wrong. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

export interface NodeOptions {
  /** More addresses of the same machine. */
  readonly addresses?: readonly string[]
  /** The NAT that the node is behind; `host` is private then. */
  readonly behind?: Nat
  /** The name in traces; the address when absent. */
  readonly name?: string
}

export interface CrashOptions {
  readonly atMs: number
  /** Counted from the crash; it stays dead when absent. */
  readonly restartAfterMs?: number
  /** The machine loses power, not only the process its life. */
  readonly power?: boolean
}

/** What can stand at the end of a link. */
export interface LinkEnd {
  readonly machine: Machine
}

export class World {
  readonly seed: number
  readonly time = new VirtualTime()
  readonly random: Generator
  readonly dns: Dns
  readonly network: Network
  /** Log events of level 'error' whose code is here stop the run: only our own mistakes write them. */
  readonly fatalCodes = new Set<string>()
  readonly #nodes = new Map<string, SimNode>()
  readonly #repeating: { running: boolean }[] = []
  readonly #violations: string[] = []

  constructor(options: { readonly seed: number; readonly links?: Partial<LinkOptions> }) {
    this.seed = options.seed
    this.random = new Generator(options.seed)
    this.dns = new Dns(this.random.fork('dns'))
    this.network = new Network(this.time, this.random.fork('network'), this.dns)
    this.network.linkDefaults = { ...LINK_DEFAULTS, ...options.links }
  }

  get nowMs(): number {
    return this.time.nowMs
  }

  get nodes(): Iterable<SimNode> {
    return this.#nodes.values()
  }

  /** Puts a machine at `host` and starts the application on it. */
  node<A extends object>(host: string, factory: ApplicationFactory<A>, options: NodeOptions = {}): SimNode<A> {
    const name = options.name ?? (options.behind === undefined ? host : `${host}@${options.behind.outerHost}`)
    assert(!this.#nodes.has(name), `a node named ${name} exists`)
    const realm = options.behind?.inner ?? this.network.publicRealm
    const machine = new Machine(name, [host, ...(options.addresses ?? [])], realm)
    const node = new SimNode(this.network, machine, this.random.fork(`node ${name}`), factory, (event) =>
      this.#onLog(name, event),
    )
    this.#nodes.set(name, node)
    node.start()
    return node
  }

  /** A NAT with `outerHost` as its address, in the public realm or behind another NAT. */
  nat(outerHost: string, options: Partial<NatOptions> = {}, behind?: Nat): Nat {
    const realm = behind?.inner ?? this.network.publicRealm
    return new Nat(realm, outerHost, options, this.random.fork(`nat ${outerHost}`), () => this.time.nowMs)
  }

  /** Sets what the way between two nodes does to packets. */
  link(left: LinkEnd, right: LinkEnd, options: Partial<LinkOptions> = {}): Link {
    const link = this.network.link(left.machine, right.machine)
    link.options = { ...this.network.linkDefaults, ...options }
    return link
  }

  /** Nothing passes between the two from `fromMs` to `untilMs` (world time). */
  partition(left: LinkEnd, right: LinkEnd, span: { readonly fromMs: number; readonly untilMs: number }): void {
    const link = this.network.link(left.machine, right.machine)
    this.at(span.fromMs, () => link.cuts++)
    this.at(span.untilMs, () => link.cuts--)
  }

  crash(node: SimNode, options: CrashOptions): void {
    this.at(options.atMs, () => {
      if (!node.isRunning) return
      node.crash(options.power ?? false)
      if (options.restartAfterMs === undefined) return
      this.after(options.restartAfterMs, () => {
        if (!node.isRunning) node.start()
      })
    })
  }

  /** Calls `run` at an instant of world time, at once when it is past. */
  at(atMs: number, run: () => void): Task {
    return this.time.after(Math.max(0, atMs - this.nowMs), run)
  }

  after(delayMs: number, run: () => void): Task {
    return this.time.after(delayMs, run)
  }

  /** Calls `run` every `periodMs` until `quiesce` or cancelled. */
  every(periodMs: number, run: () => void): Task {
    const repeat = { running: true }
    const again = (): void => {
      if (!repeat.running) return
      run()
      this.after(periodMs, again)
    }
    this.#repeating.push(repeat)
    this.after(periodMs, again)
    return {
      cancel: () => {
        repeat.running = false
      },
    }
  }

  /** Ends everything that `every` began. */
  quiesce(): void {
    for (const repeat of this.#repeating) repeat.running = false
  }

  observe(observer: WireObserver): void {
    this.network.observe(observer)
  }

  /** Reports that the system under test did wrong: the run ends with this after the event that is being handled. */
  violation(message: string): void {
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push(`at ${this.nowMs.toFixed(1)} ms: ${message}`)
  }

  /** Throws what was reported and not thrown yet. */
  raise(): void {
    if (this.#violations.length > 0) throw new Violation(this.#violations.splice(0).join('\n'))
  }

  /** Fires one event. An assertion inside the system under test comes out of here as it is. */
  step(): boolean {
    const stepped = this.time.step()
    this.raise()
    return stepped
  }

  runUntil(untilMs: number): void {
    while (this.time.nextMs <= untilMs) this.step()
    this.time.runUntil(untilMs)
  }

  /** Runs until no event is left or `limitMs` have passed; true when none is left. */
  runUntilIdle(limits: { readonly limitMs: number }): boolean {
    const untilMs = this.nowMs + limits.limitMs
    while (this.time.nextMs <= untilMs) this.step()
    return this.time.size === 0
  }

  #onLog(node: string, event: LogEvent): void {
    if (event.level !== 'error' || !this.fatalCodes.has(event.code)) return
    this.violation(`${node} logged ${event.code} ${JSON.stringify(event.fields)}`)
  }
}
