// One media gateway as the switch sees it: its health by ng ping, the calls that it carries, and its notices.

import { assert } from '#core/assert.ts'
import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { NgReplySink } from '#ng/ng-client.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

/** How long a gateway may take to answer: a caller hears nothing meanwhile, and a record waits for it. */
export const REPLY_PATIENCE_MS = 2_000
/** Time between pings. */
export const PING_INTERVAL_MS = 2_000
/** Pings in a row without answer after which a gateway counts as dead, and with answer after which it is alive again. */
export const PINGS_LOST_MAX = 3
export const PINGS_BACK_MIN = 2
/** How often its notices are fetched while it carries calls. */
const EVENTS_INTERVAL_MS = 1_000
/** How often one of its calls is asked for: a gateway that was started again knows none. */
const PROBE_INTERVAL_MS = 10_000
/** A gateway that says it is full gets no new calls for this long. */
const FULL_MS = 2_000
/**
 * After a start of ours the gateway is asked what it carries: what a process before this one left there, and nobody goes on
 * with, is deleted. Not at once: calls that are being set up have to be known first.
 */
const SWEEP_AFTER_MS = 10_000
/** Calls that are asked for and deleted at a time. */
const SWEEP_MAX = 1_000

/** Rounding of uptimes in whole seconds, and of the way there and back. */
const UPTIME_SLACK_MS = 3_000

/** The way to a gateway: {@link NgClient} is one. */
export interface GatewayLink {
  /** Exactly one call of the sink, never before this has returned. */
  request(command: NgDictionary, sink: NgReplySink): void
  /** Ends it: what waits is told so. */
  close(): void
}

/** A call that a gateway carries. */
export interface GatewayUser {
  /** `event` as the gateway names it: "media timeout" … `tag` is the party that it concerns, or ''. */
  onGatewayEvent(event: string, tag: string): void
  /** The gateway does not know the call any more: it let it go, and goes on itself. */
  onForgotten(): void
  /** The gateway is gone, and what it had of the call with it. */
  onGatewayGone(): void
  /** After {@link onGatewayGone}: another gateway takes calls, or none did for too long. */
  onGatewayChoice(): void
}

/** Who owns the gateway: the pool. */
export interface GatewayOwner {
  /** What the names of our calls begin with. */
  readonly mark: string
  onGatewayUp(gateway: MediaGateway): void
  /** It does not answer any more, or it was started again: what it carried is gone. */
  onGatewayDown(gateway: MediaGateway, why: 'MEDIA_GATEWAY_SILENT' | 'MEDIA_GATEWAY_RESTARTED'): void
  /** Its last call has ended. */
  onGatewayIdle(gateway: MediaGateway): void
}

type State = 'unknown' | 'up' | 'down' | 'closed'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  unknown: ['up', 'down', 'closed'],
  up: ['down', 'closed'],
  down: ['up', 'closed'],
  closed: [],
}

export class MediaGateway implements TimerOwner {
  /** As configured: `udp:192.0.2.20:2223`. */
  readonly name: string
  weight: number
  state: State = 'unknown'
  /** No new calls; those it carries go on. */
  isDraining = false
  readonly #clock: Clock
  readonly #link: GatewayLink
  readonly #owner: GatewayOwner
  readonly #ping = new Timer(this)
  readonly #events = new Timer(this)
  readonly #probe = new Timer(this)
  readonly #sweep = new Timer(this)
  #isSwept = false
  /** By the ng call-id, least recently asked for first. */
  readonly #users = new Map<string, GatewayUser>()
  readonly #sinceMs = new WeakMap<GatewayUser, number>()
  #lost = 0
  #answered = 0
  #fullUntilMs = 0
  #lastEvent = 0
  /** Each start of a gateway of our own kind has a word of its own; '' while it is not known. */
  #instance = ''
  /** Other gateways have no notices: they are not asked again. */
  #hasEvents = true

  constructor(name: string, weight: number, link: GatewayLink, clock: Clock, owner: GatewayOwner) {
    this.name = name
    this.weight = weight
    this.#link = link
    this.#clock = clock
    this.#owner = owner
  }

  start(): void {
    this.#sendPing()
  }

  /** Calls that it carries. */
  get calls(): number {
    return this.#users.size
  }

  /** Whether it is of our own kind: its reply to `delete` tells the last facts, which rtpengine has for `query` alone. */
  get tellsAtDelete(): boolean {
    return this.#hasEvents
  }

  get takesCalls(): boolean {
    return this.state === 'up' && !this.isDraining && this.#clock.now() >= this.#fullUntilMs
  }

  /** Lets all its calls go, and gives them. */
  takeUsers(): GatewayUser[] {
    const users = [...this.#users.values()]
    this.#users.clear()
    this.#clock.cancel(this.#events)
    this.#clock.cancel(this.#probe)
    return users
  }

  /** It said that it has no room: others are chosen for a while. */
  noteFull(): void {
    this.#fullUntilMs = this.#clock.now() + FULL_MS
  }

  add(callId: string, user: GatewayUser): void {
    assert(this.state !== 'closed', 'a call for a closed gateway')
    if (this.#users.size === 0) {
      this.#clock.arm(this.#events, 'events', EVENTS_INTERVAL_MS)
      this.#clock.arm(this.#probe, 'probe', PROBE_INTERVAL_MS)
    }
    this.#users.set(callId, user)
    this.#sinceMs.set(user, this.#clock.now())
  }

  remove(callId: string): void {
    if (!this.#users.delete(callId) || this.#users.size > 0) return
    this.#clock.cancel(this.#events)
    this.#clock.cancel(this.#probe)
    this.#owner.onGatewayIdle(this)
  }

  /** Sends a command; silence counts against its health. */
  request(command: NgDictionary, sink: NgReplySink): void {
    this.#link.request(command, {
      onReply: (reply) => sink.onReply(reply),
      onNoReply: (reason) => {
        // A ping says soon whether it was the command or the gateway.
        if (this.state === 'up' && reason === 'timeout') this.#clock.arm(this.#ping, 'ping', 0)
        sink.onNoReply(reason)
      },
    })
  }

  close(): void {
    if (this.state === 'closed') return
    this.#enter('closed')
    for (const timer of [this.#ping, this.#events, this.#probe, this.#sweep]) this.#clock.cancel(timer)
    this.#users.clear()
    this.#link.close()
  }

  onTimer(name: string): void {
    switch (name) {
      case 'ping':
        this.#sendPing()
        return
      case 'events':
        this.#fetchEvents()
        return
      case 'probe':
        this.#sendProbe()
        return
      case 'sweep':
        this.#sendList()
        return
      default:
        assert(false, `timer ${name}`)
    }
  }

  // ── Health ──────────────────────────────────────────────────────────────────────────────────────────────────

  #sendPing(): void {
    this.#clock.arm(this.#ping, 'ping', PING_INTERVAL_MS)
    this.#ask({ command: 'ping' }, (reply) => {
      if (reply === null) this.#notePingLost()
      else this.#notePong()
    })
  }

  #notePong(): void {
    this.#lost = 0
    this.#answered += 1
    if (this.state === 'up' || (this.state === 'down' && this.#answered < PINGS_BACK_MIN)) return
    this.#enter('up')
    this.#fullUntilMs = 0
    this.#hasEvents = true
    if (!this.#isSwept && !this.#sweep.armed) this.#clock.arm(this.#sweep, 'sweep', SWEEP_AFTER_MS)
    this.#owner.onGatewayUp(this)
  }

  #notePingLost(): void {
    this.#answered = 0
    this.#lost += 1
    if (this.state === 'down' || (this.state === 'up' && this.#lost < PINGS_LOST_MAX)) return
    this.#enter('down')
    this.#owner.onGatewayDown(this, 'MEDIA_GATEWAY_SILENT')
  }

  /** Deletes what carries our mark and is no call of this process. */
  #sendList(): void {
    this.#isSwept = true
    this.#ask({ command: 'list', limit: SWEEP_MAX }, (reply) => {
      const calls = reply?.['calls']
      if (!Array.isArray(calls)) return
      for (const callId of calls as readonly NgValue[]) {
        if (typeof callId !== 'string' || !callId.startsWith(this.#owner.mark) || this.#users.has(callId)) continue
        this.#ask({ command: 'delete', 'call-id': callId, 'delete-delay': 0 }, () => {})
      }
    })
  }

  /** Asks for one of its calls, the one that was asked for longest ago. */
  #sendProbe(): void {
    this.#clock.arm(this.#probe, 'probe', PROBE_INTERVAL_MS)
    const [first] = this.#users
    if (first === undefined || this.state !== 'up') return
    const [callId, user] = first
    this.#users.delete(callId)
    this.#users.set(callId, user)
    this.#ask({ command: 'query', 'call-id': callId }, (reply) => {
      if (reply !== null && isUnknownCall(reply) && this.#users.get(callId) === user) this.#onUnknown(callId, user)
    })
  }

  /** A call that the gateway does not know: either it let go of this one, or it was started again and knows none. */
  #onUnknown(callId: string, user: GatewayUser): void {
    this.#ask({ command: 'statistics' }, (reply) => {
      if (reply === null || this.state !== 'up' || this.#users.get(callId) !== user) return
      const uptimeS = uptimeOf(reply)
      const callMs = this.#clock.now() - (this.#sinceMs.get(user) ?? 0)
      if (uptimeS !== null && uptimeS * 1_000 + UPTIME_SLACK_MS < callMs) {
        this.#owner.onGatewayDown(this, 'MEDIA_GATEWAY_RESTARTED')
      } else user.onForgotten()
    })
  }

  // ── Notices ─────────────────────────────────────────────────────────────────────────────────────────────────

  #fetchEvents(): void {
    if (this.#users.size === 0) return
    this.#clock.arm(this.#events, 'events', EVENTS_INTERVAL_MS)
    if (!this.#hasEvents || this.state !== 'up') return
    this.#ask({ command: 'carillon events', after: this.#lastEvent, wait: 0 }, (reply) => {
      if (reply === null) return
      if (reply['result'] === 'error') {
        this.#hasEvents = false
        return
      }
      const instance = reply['instance']
      const isOther = typeof instance === 'string' && this.#instance !== '' && instance !== this.#instance
      if (typeof instance === 'string') this.#instance = instance
      if (isOther) {
        this.#lastEvent = 0
        if (this.state === 'up') this.#owner.onGatewayDown(this, 'MEDIA_GATEWAY_RESTARTED')
        return
      }
      if (typeof reply['last'] === 'number') this.#lastEvent = reply['last']
      const events = reply['events']
      if (!Array.isArray(events)) return
      for (const event of events as readonly NgValue[]) this.#give(event)
    })
  }

  #give(event: NgValue): void {
    const facts = dictionaryOf(event)
    const callId = facts === null ? undefined : facts['call-id']
    if (facts === null || typeof callId !== 'string') return
    const name = facts['event']
    const tag = facts['tag']
    if (typeof name !== 'string') return
    this.#users.get(callId)?.onGatewayEvent(name, typeof tag === 'string' ? tag : '')
  }

  /** A request of our own; null when there is no answer. Silence here does not bring the next ping forward. */
  #ask(command: NgDictionary, done: (reply: NgDictionary | null) => void): void {
    const settle = (reply: NgDictionary | null): void => {
      if (this.state !== 'closed') done(reply)
    }
    this.#link.request(command, { onReply: settle, onNoReply: () => settle(null) })
  }

  #enter(next: State): void {
    if (this.state === next) return
    assert(NEXT[this.state].includes(next), `gateway ${this.state} -> ${next}`)
    this.state = next
  }
}

/** The value as a dictionary, or null. */
export function dictionaryOf(value: NgValue | undefined): NgDictionary | null {
  return typeof value === 'object' && !Array.isArray(value) ? (value as NgDictionary) : null
}

/** Whether a reply says that there is no such call: in rtpengine's words an error to `query`, a warning to `delete`. */
function isUnknownCall(reply: NgDictionary): boolean {
  const why = reply['error-reason']
  return reply['result'] === 'error' && typeof why === 'string' && /unknown call/i.test(why)
}

/** Seconds since the gateway started, from a reply to `statistics`; null when it does not say. */
function uptimeOf(reply: NgDictionary): number | null {
  const statistics = dictionaryOf(reply['statistics'])
  const totals = dictionaryOf(statistics?.['totalstatistics'])
  const uptime = Number(totals?.['uptime'] ?? Number.NaN)
  return Number.isFinite(uptime) ? uptime : null
}
