// How much each trunk group carries: channels and new calls a second (features A13, C04). Counts calls that exist, no more.

import { assert } from '#core/assert.ts'
import type { Clock } from '#core/clock.ts'

interface Load {
  channels: number
  /** Second of `Clock.now` that `started` counts. */
  second: number
  started: number
}

/** Bounds of one trunk group. */
export interface TrunkBounds {
  readonly name: string
  readonly channelsMax: number
  readonly cpsMax: number
}

export class TrunkLoad {
  readonly #clock: Clock
  readonly #loads = new Map<string, Load>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Takes a channel of the group for a new call, of whichever direction. False when its channels, or its calls of this second
   * (as the clock counts them), are used up.
   */
  seize(group: TrunkBounds): boolean {
    let load = this.#loads.get(group.name)
    if (load === undefined) {
      load = { channels: 0, second: 0, started: 0 }
      this.#loads.set(group.name, load)
    }
    const second = Math.floor(this.#clock.now() / 1_000)
    if (load.second !== second) {
      load.second = second
      load.started = 0
    }
    if (load.channels >= group.channelsMax || load.started >= group.cpsMax) return false
    load.channels += 1
    load.started += 1
    return true
  }

  /** Takes a channel for a call that is up already, whatever the bounds. */
  resume(name: string): void {
    const load = this.#loads.get(name) ?? { channels: 0, second: 0, started: 0 }
    load.channels += 1
    this.#loads.set(name, load)
  }

  /** Gives a channel back that {@link seize} or {@link resume} took. */
  release(name: string): void {
    const load = this.#loads.get(name)
    assert(load !== undefined && load.channels > 0, `a channel of ${name} is given back that was not taken`)
    load.channels -= 1
  }

  /** Forgets groups that are configured no more, once their last call has ended. */
  keepOnly(names: { has(name: string): boolean }): void {
    for (const [name, load] of this.#loads) if (load.channels === 0 && !names.has(name)) this.#loads.delete(name)
  }

  /** Channels in use. */
  channels(name: string): number {
    return this.#loads.get(name)?.channels ?? 0
  }

  /** Channels in use over all groups: equals the calls of trunk groups that exist. */
  get total(): number {
    let sum = 0
    for (const load of this.#loads.values()) sum += load.channels
    return sum
  }
}
