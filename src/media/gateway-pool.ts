// The media gateways of a switch: which one takes a call, and what becomes of the calls of one that dies.

import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter, Counters } from '#core/counters.ts'
import type { Log } from '#core/log.ts'
import { type Random, uniform } from '#core/random.ts'
import { type GatewayLink, type GatewayOwner, type GatewayUser, MediaGateway } from '#media/media-gateway.ts'
import type { NgAddress } from '#ng/ng-address.ts'

/** Calls of a dead gateway are moved in portions: so many, and then after so long the next ones. */
export const MOVES_PORTION_MAX = 32
const MOVES_INTERVAL_MS = 50
/** How long they wait for a gateway that takes them. */
export const ORPHAN_PATIENCE_MS = 15_000
/** An alarm that goes on is repeated no sooner. */
const ALARM_INTERVAL_MS = 10_000

/** Where a gateway is. */
export interface GatewayPlace {
  /** As configured, and in logs: `udp:192.0.2.20:2223`. */
  readonly name: string
  readonly address: NgAddress
  /** Its share of new calls beside others, 1…1000. */
  readonly weight: number
}

export interface GatewayPoolPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly counters: Counters
}

/** A gateway, for status pages. */
export interface GatewayRow {
  readonly gateway: string
  readonly state: string
  readonly draining: boolean
  readonly calls: number
}

interface Orphan {
  readonly user: GatewayUser
  readonly sinceMs: number
}

export class GatewayPool implements GatewayOwner, TimerOwner {
  /** What the names of our calls begin with towards gateways. */
  readonly mark: string
  readonly #ports: GatewayPoolPorts
  readonly #connect: (address: NgAddress) => GatewayLink
  readonly #gateways = new Map<string, MediaGateway>()
  /** Calls whose gateway died, the longest waiting first. */
  #orphans: Orphan[] = []
  readonly #moves = new Timer(this)
  readonly #down: Counter
  readonly #moved: Counter
  #alarmedMs = Number.NEGATIVE_INFINITY

  constructor(ports: GatewayPoolPorts, mark: string, connect: (address: NgAddress) => GatewayLink) {
    this.mark = mark
    this.#ports = ports
    this.#connect = connect
    const { counters } = ports
    this.#down = counters.counter('carillon_media_gateways_down_total', 'Times that a media gateway died.')
    this.#moved = counters.counter('carillon_media_calls_moved_total', 'Calls whose media gateway died.')
    counters.gauge('carillon_media_gateways', 'Media gateways that are configured.', () => this.#gateways.size)
    counters.gauge('carillon_media_gateways_up', 'Media gateways that answer.', () => this.#up)
  }

  /** The gateways from now on. One that is not among them any more keeps its calls until they end, and gets no new ones. */
  replace(places: readonly GatewayPlace[]): void {
    const names = new Set(places.map(({ name }) => name))
    for (const gateway of [...this.#gateways.values()]) {
      gateway.isDraining = !names.has(gateway.name)
      if (gateway.isDraining && gateway.calls === 0) this.#drop(gateway)
    }
    for (const { name, address, weight } of places) {
      const known = this.#gateways.get(name)
      if (known !== undefined) {
        known.weight = weight
        continue
      }
      const gateway = new MediaGateway(name, weight, this.#connect(address), this.#ports.clock, this)
      this.#gateways.set(name, gateway)
      gateway.start()
    }
  }

  /** A gateway is known to be gone: its process has ended. */
  lose(name: string): void {
    const gateway = this.#gateways.get(name)
    if (gateway === undefined) return
    this.#orphan(gateway, 'MEDIA_GATEWAY_GONE')
    this.#drop(gateway)
  }

  /** The gateway of that name; null when it is not among ours. */
  find(name: string): MediaGateway | null {
    return this.#gateways.get(name) ?? null
  }

  /** A call of an earlier process whose gateway is not among ours any more: it waits for another. */
  adopt(user: GatewayUser): void {
    this.#orphans.push({ user, sinceMs: this.#ports.clock.now() })
    if (!this.#moves.armed) this.#ports.clock.arm(this.#moves, 'moves', MOVES_INTERVAL_MS)
  }

  /** The gateway for a new call, by load and weight; not one of `except`. Null: none takes calls. */
  choose(except: ReadonlySet<MediaGateway> | null = null): MediaGateway | null {
    let best: MediaGateway | null = null
    let bestLoad = 0
    let ties = 0
    for (const gateway of this.#gateways.values()) {
      if (!gateway.takesCalls || except?.has(gateway) === true) continue
      const load = (gateway.calls + 1) / gateway.weight
      if (best === null || load < bestLoad) {
        best = gateway
        bestLoad = load
        ties = 1
      } else if (load === bestLoad) {
        ties += 1
        if (uniform(this.#ports.random, ties) === 0) best = gateway
      }
    }
    return best
  }

  /** A call found none: an alarm, once in a while. */
  noteNone(): void {
    const now = this.#ports.clock.now()
    if (now - this.#alarmedMs < ALARM_INTERVAL_MS) return
    this.#alarmedMs = now
    this.#ports.log.event('error', 'MEDIA_NO_GATEWAY', { gateways: this.#gateways.size, up: this.#up })
  }

  /** A call that waits to be moved has ended. */
  forget(user: GatewayUser): void {
    if (this.#orphans.length > 0) this.#orphans = this.#orphans.filter((orphan) => orphan.user !== user)
  }

  rows(): GatewayRow[] {
    return [...this.#gateways.values()].map(({ name, state, isDraining, calls }) => ({
      gateway: name,
      state,
      draining: isDraining,
      calls,
    }))
  }

  /** Calls that wait for another gateway. */
  get orphans(): number {
    return this.#orphans.length
  }

  /** Calls on all gateways. */
  get calls(): number {
    let sum = 0
    for (const gateway of this.#gateways.values()) sum += gateway.calls
    return sum
  }

  stop(): void {
    this.#ports.clock.cancel(this.#moves)
    this.#orphans = []
    for (const gateway of this.#gateways.values()) gateway.close()
    this.#gateways.clear()
  }

  onGatewayUp(gateway: MediaGateway): void {
    this.#alarmedMs = Number.NEGATIVE_INFINITY
    this.#ports.log.event('info', 'MEDIA_GATEWAY_UP', { gateway: gateway.name })
    if (this.#orphans.length > 0) this.#ports.clock.arm(this.#moves, 'moves', 0)
  }

  onGatewayDown(gateway: MediaGateway, why: string): void {
    this.#orphan(gateway, why)
    if (gateway.isDraining) this.#drop(gateway)
  }

  onGatewayIdle(gateway: MediaGateway): void {
    if (gateway.isDraining) this.#drop(gateway)
  }

  onTimer(_name: string): void {
    const now = this.#ports.clock.now()
    const hasChoice = this.choose() !== null
    const due = hasChoice
      ? this.#orphans.splice(0, MOVES_PORTION_MAX)
      : this.#orphans.filter(({ sinceMs }) => now - sinceMs >= ORPHAN_PATIENCE_MS)
    if (!hasChoice) this.#orphans = this.#orphans.filter(({ sinceMs }) => now - sinceMs < ORPHAN_PATIENCE_MS)
    if (this.#orphans.length > 0) this.#ports.clock.arm(this.#moves, 'moves', hasChoice ? MOVES_INTERVAL_MS : 1_000)
    for (const { user } of due) user.onGatewayChoice()
  }

  get #up(): number {
    let count = 0
    for (const gateway of this.#gateways.values()) if (gateway.state === 'up') count += 1
    return count
  }

  /** Takes the calls of a gateway that is gone; they are moved by and by. */
  #orphan(gateway: MediaGateway, why: string): void {
    const users = gateway.takeUsers()
    const sinceMs = this.#ports.clock.now()
    this.#down.add()
    this.#moved.add(users.length)
    this.#ports.log.event('error', 'MEDIA_GATEWAY_DOWN', { gateway: gateway.name, why, calls: users.length })
    for (const user of users) {
      this.#orphans.push({ user, sinceMs })
      user.onGatewayGone()
    }
    if (this.#orphans.length > 0) this.#ports.clock.arm(this.#moves, 'moves', 0)
  }

  #drop(gateway: MediaGateway): void {
    this.#gateways.delete(gateway.name)
    gateway.close()
  }
}
