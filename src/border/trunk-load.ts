// How much each trunk group carries: channels and new calls a second (features A13, C04). Counts calls that exist, no more.

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

  /** Takes a channel of the group for a new call. False when its channels or its calls of this second are used up. */
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

  /** Gives a channel back. */
  release(name: string): void {
    const load = this.#loads.get(name)
    if (load !== undefined && load.channels > 0) load.channels -= 1
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
