// A gateway's control with a data plane that only remembers, in virtual time.

import type { Clock, Timer } from '#core/clock.ts'
import { Counters } from '#core/counters.ts'
import type { Net } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Store } from '#core/store.ts'
import { NO_FACTS } from '#gateway/control-streams.ts'
import { Gateway } from '#gateway/gateway.ts'
import { GATEWAY_DEFAULTS, type GatewaySettings } from '#gateway/gateway-settings.ts'
import type { Order, Plane, PlaneSink, Report, StreamFacts, StreamSettings } from '#gateway/plane.ts'
import type { NgDictionary } from '#ng/ng-value.ts'

class RigClock implements Clock {
  nowMs = 1000
  readonly armed = new Set<Timer>()

  now(): number {
    return this.nowMs
  }

  wallMs(): number {
    return 1_767_225_600_000 + this.nowMs
  }

  arm(timer: Timer, name: string, delayMs: number): void {
    timer.name = name
    timer.deadlineMs = this.nowMs + delayMs
    timer.armed = true
    this.armed.add(timer)
  }

  cancel(timer: Timer): void {
    timer.armed = false
    this.armed.delete(timer)
  }

  pass(ms: number): void {
    const untilMs = this.nowMs + ms
    for (;;) {
      const [next] = [...this.armed].sort((a, b) => a.deadlineMs - b.deadlineMs)
      if (next === undefined || next.deadlineMs > untilMs) break
      this.nowMs = Math.max(this.nowMs, next.deadlineMs)
      this.cancel(next)
      next.owner.onTimer(next.name)
    }
    this.nowMs = untilMs
  }
}

/** Opens, tells facts and closes as it is told; `inUse` are ports that somebody else has. */
export class FakePlane implements Plane {
  readonly orders: Order[] = []
  readonly open = new Map<number, { port: number; settings: StreamSettings | null }>()
  readonly inUse = new Set<number>()
  facts: StreamFacts = NO_FACTS
  #queue: Report[] = []
  readonly #sink: PlaneSink

  constructor(sink: PlaneSink) {
    this.#sink = sink
  }

  order(order: Order): void {
    this.orders.push(order)
    const { stream } = order
    if (order.order === 'open') {
      if (this.inUse.has(order.local.port)) {
        this.#queue.push({ report: 'openFailed', stream, reason: 'EADDRINUSE' })
        return
      }
      this.open.set(stream, { port: order.local.port, settings: null })
      this.#queue.push({ report: 'opened', stream })
    } else if (order.order === 'set') {
      const open = this.open.get(stream)
      if (open !== undefined) open.settings = order.settings
    } else if (order.order === 'query') {
      this.#queue.push({ report: 'facts', stream, query: order.query, facts: this.facts })
    } else if (order.order === 'close') {
      this.open.delete(stream)
      this.#queue.push({ report: 'closed', stream, facts: this.facts })
    }
  }

  settingsOf(port: number): StreamSettings | null {
    return [...this.open.values()].find((open) => open.port === port)?.settings ?? null
  }

  idOf(port: number): number {
    return [...this.open].find(([, open]) => open.port === port)?.[0] ?? 0
  }

  report(report: Report): void {
    this.#sink.onReport(report)
  }

  /** Gives the reports that wait, until there are none. */
  flush(): void {
    while (this.#queue.length > 0) {
      const reports = this.#queue
      this.#queue = []
      for (const report of reports) this.#sink.onReport(report)
    }
  }
}

export interface Rig {
  readonly gateway: Gateway
  readonly plane: FakePlane
  readonly clock: RigClock
  /** Does a command; undefined when it is not answered yet. */
  command(command: NgDictionary): NgDictionary
  /** As `command`, without the reports of the plane. */
  send(command: NgDictionary): NgDictionary[]
}

export function controlRig(settings: Partial<GatewaySettings> = {}, seed = 1): Rig {
  const clock = new RigClock()
  let state = seed
  const uint32 = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state
  }
  const ports: Ports = {
    clock,
    random: {
      uint32,
      bytes: (target) => {
        for (let at = 0; at < target.length; at++) target[at] = uint32() >>> 24
      },
    },
    net: {} as Net,
    store: {} as Store,
    log: { event: () => {} },
    counters: new Counters(),
  }
  let plane: FakePlane | null = null
  const interfaces = [
    { name: 'pub', address: '192.0.2.1', family: 4, advertise: '203.0.113.1', portFirst: 20_000, portLast: 20_399 },
    { name: 'priv', address: '10.0.0.1', family: 4, advertise: null, portFirst: 30_000, portLast: 30_399 },
  ] as const
  const gateway = new Gateway(ports, { ...GATEWAY_DEFAULTS, interfaces, ...settings }, null, {
    plane: (sink) => {
      plane = new FakePlane(sink)
      return plane
    },
    prompts: { file: () => null, time: () => 'none', prompt: () => 'none' },
  })
  const made = plane as FakePlane | null
  if (made === null) throw new Error('no plane')
  const send = (command: NgDictionary): NgDictionary[] => {
    const replies: NgDictionary[] = []
    gateway.onCommand(command, null, (reply) => replies.push(reply))
    return replies
  }
  return {
    gateway,
    plane: made,
    clock,
    send,
    command: (command) => {
      const replies = send(command)
      made.flush()
      return replies[0] ?? { result: 'none' }
    },
  }
}

export function sdp(
  host: string,
  port: number,
  more = 'm=audio PORT RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n',
): string {
  return `v=0\r\no=- 1 1 IN IP4 ${host}\r\ns=-\r\nc=IN IP4 ${host}\r\nt=0 0\r\n${more.replace('PORT', String(port))}`
}

/** The port of the first media line of a reply. */
export function portOf(reply: NgDictionary): number {
  return Number(/^m=\S+ (\d+)/m.exec(String(reply['sdp']))?.[1])
}
