// One simulated node: a machine, its disk, and the process that runs on it now.

import { assert } from '#core/assert.ts'
import { Counters } from '#core/counters.ts'
import type { Ports } from '#core/ports.ts'
import type { LogEvent } from '#sim/collecting-log.ts'
import { CollectingLog } from '#sim/collecting-log.ts'
import { Disk } from '#sim/disk.ts'
import type { Generator } from '#sim/generator.ts'
import type { Machine } from '#sim/machine.ts'
import { SimNet } from '#sim/net.ts'
import type { Network } from '#sim/network.ts'
import { VirtualClock } from '#sim/virtual-clock.ts'

/** Makes and starts the application of one process with that process's ports. Called again after a crash. */
export type ApplicationFactory<A extends object> = (ports: Ports) => A

export class SimNode<A extends object = object> {
  readonly machine: Machine
  readonly disk: Disk
  /** How often a process was started, and how often one died. */
  starts = 0
  crashes = 0
  /** The instant of the last death of a process, in world time; −1 when none died. */
  crashedAtMs = -1
  readonly #network: Network
  readonly #random: Generator
  readonly #factory: ApplicationFactory<A>
  readonly #watch: (event: LogEvent) => void
  #application: A | null = null
  #clock: VirtualClock | null = null
  #net: SimNet | null = null
  #log: CollectingLog | null = null
  #counters: Counters | null = null
  #wallErrorMs = 0

  constructor(
    network: Network,
    machine: Machine,
    random: Generator,
    factory: ApplicationFactory<A>,
    watch: (event: LogEvent) => void,
  ) {
    this.#network = network
    this.machine = machine
    this.#random = random
    this.#factory = factory
    this.#watch = watch
    this.disk = new Disk(random.fork('disk'))
  }

  get name(): string {
    return this.machine.name
  }

  get isRunning(): boolean {
    return this.#application !== null
  }

  /** The application, which must be running. */
  get application(): A {
    assert(this.#application !== null, `nothing runs on ${this.name}`)
    return this.#application
  }

  /** Names of the timers that the process has armed now; none when none runs. */
  get armedTimers(): readonly string[] {
    return this.#clock?.armedNames() ?? []
  }

  get openSockets(): number {
    return this.#net?.openSockets ?? 0
  }

  get log(): CollectingLog | null {
    return this.#log
  }

  get counters(): Counters | null {
    return this.#counters
  }

  start(): void {
    assert(this.#application === null, `${this.name} runs already`)
    this.machine.up = true
    const random = this.#random.fork(`process ${this.starts++}`)
    // A process sees a monotonic clock that began when its machine did: no two have the same.
    const clock = new VirtualClock(this.#network.time, random.between(0, 1_000_000))
    clock.wallErrorMs = this.#wallErrorMs
    this.#clock = clock
    this.#net = new SimNet(this.#network, this.machine, clock)
    this.#log = new CollectingLog({ now: () => this.#network.time.nowMs }, this.#watch)
    this.#counters = new Counters()
    const store = this.disk.store(clock)
    const ports = { clock, random, net: this.#net, store, log: this.#log, counters: this.#counters }
    this.#application = this.#factory(ports)
  }

  /** kill -9 of the process, or loss of power of the whole machine. */
  crash(power: boolean): void {
    if (this.#application === null) return
    this.crashes++
    this.crashedAtMs = this.#network.time.nowMs
    this.#application = null
    this.#clock?.stop()
    this.#net?.kill(power)
    this.disk.untaken = 0
    if (power) {
      this.machine.up = false
      this.disk.losePower()
    }
  }

  /** The wall clock jumps by `byMs`, as when NTP finds it wrong. */
  stepWallClock(byMs: number): void {
    this.#wallErrorMs += byMs
    if (this.#clock !== null) this.#clock.wallErrorMs = this.#wallErrorMs
  }
}
