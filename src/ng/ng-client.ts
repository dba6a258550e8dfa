// The controlling side of the ng protocol: requests to one gateway, each with a cookie, and the reply that belongs to it.

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import type { Ports } from '#core/ports.ts'
import { randomToken } from '#core/random.ts'
import type { NgAddress } from '#ng/ng-address.ts'
import { NgDatagramLink } from '#ng/ng-datagram-link.ts'
import type { NgLink, NgLinkSink } from '#ng/ng-link.ts'
import { ngMessageText, parseNgMessage } from '#ng/ng-message.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import { NgStreamLink } from '#ng/ng-stream-link.ts'
import type { NgDictionary } from '#ng/ng-value.ts'

/** Requests that wait for their reply at one time. */
export const IN_FLIGHT_MAX = 4_096
/** After this long without a reply a request has none, unless the settings say otherwise. */
export const GIVE_UP_AFTER_MS = 5_000
/** UDP: the first repetition; each further one after twice as long. */
export const RETRANSMIT_AFTER_MS = 250
export const RETRANSMIT_AFTER_MS_MAX = 2_000

/** Told what becomes of a request: exactly one call, never before `request` has returned. */
export interface NgReplySink {
  /** The gateway's answer as it is: `result` says whether it did what was asked. */
  onReply(reply: NgDictionary): void
  /**
   * There will be none, and whether the gateway did what was asked is not known. `reason` is a stable word: `timeout`,
   * `closed`, `inFlightMax`, `octetsMax`, or the code of an {@link NgProblem} when the answer was not understood.
   */
  onNoReply(reason: string): void
}

export interface NgClientSettings {
  readonly remote: NgAddress
  readonly giveUpAfterMs?: number
}

/** One gateway as its controller sees it. */
export class NgClient implements NgLinkSink {
  readonly remote: NgAddress
  readonly #ports: Ports
  readonly #link: NgLink
  readonly #giveUpAfterMs: number
  /** By cookie, in the order of asking. */
  readonly #pending = new Map<string, PendingRequest>()
  /** Makes cookies unlike those of other processes and of this one before a restart. */
  readonly #prefix: string
  #number = 0
  #closed = false
  readonly #requests: Counter
  readonly #retransmissions: Counter
  readonly #unanswered: Counter
  readonly #strays: Counter

  constructor(ports: Ports, settings: NgClientSettings) {
    this.#ports = ports
    this.remote = settings.remote
    this.#giveUpAfterMs = settings.giveUpAfterMs ?? GIVE_UP_AFTER_MS
    this.#prefix = randomToken(ports.random)
    const { counters } = ports
    this.#requests = counters.counter('carillon_ng_client_requests_total', 'Requests to gateways')
    this.#retransmissions = counters.counter('carillon_ng_client_retransmissions_total', 'Requests sent once more')
    this.#unanswered = counters.counter('carillon_ng_client_unanswered_total', 'Requests that had no reply')
    this.#strays = counters.counter('carillon_ng_client_strays_total', 'Messages that answer no request of ours')
    const { transport, endpoint } = settings.remote
    this.#link =
      transport === 'udp' ? new NgDatagramLink(ports, endpoint, this) : new NgStreamLink(ports, settings.remote, this)
  }

  /** Requests that wait for their reply. */
  get inFlight(): number {
    return this.#pending.size
  }

  get waiting(): boolean {
    return this.#pending.size > 0
  }

  /** Sends `command` (with its key `command`) and tells `sink` what comes of it. */
  request(command: NgDictionary, sink: NgReplySink): void {
    const cookie = `${this.#prefix}_${(this.#number++).toString(36)}`
    const text = ngMessageText(cookie, 'bencode', command)
    const pending = new PendingRequest(this, this.#ports, cookie, text, sink)
    this.#requests.add()
    const refusal = this.#refusal(text)
    if (refusal !== null) {
      pending.refuse(refusal)
      return
    }
    this.#pending.set(cookie, pending)
    pending.start(this.#giveUpAfterMs, this.#link.reliable)
    this.#link.send(text)
  }

  /** Ends it: what waits is told `closed` before this returns. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#link.close()
    for (const pending of [...this.#pending.values()]) this.giveUp(pending, 'closed')
  }

  onLinkReady(): void {
    // Over a new connection everything that waits goes once more: the gateway knows the cookies it has seen.
    for (const pending of this.#pending.values()) this.#link.send(pending.text)
  }

  onLinkMessage(text: string): void {
    const { cookie, body } = parseNgMessage(text)
    const pending = this.#pending.get(cookie)
    if (pending === undefined) {
      this.#strays.add()
      return
    }
    if (body instanceof NgProblem) {
      this.giveUp(pending, body.code)
      return
    }
    this.#forget(pending)
    pending.sink.onReply(body)
  }

  /** A request's time to be repeated has come. */
  repeat(pending: PendingRequest): void {
    this.#retransmissions.add()
    this.#link.send(pending.text)
  }

  /** A request has no reply. */
  giveUp(pending: PendingRequest, reason: string): void {
    this.#forget(pending)
    this.#unanswered.add()
    if (reason === 'timeout') this.#link.onSilence(pending.sentMs)
    pending.sink.onNoReply(reason)
  }

  #forget(pending: PendingRequest): void {
    this.#pending.delete(pending.cookie)
    pending.end()
  }

  #refusal(text: string): string | null {
    if (this.#closed) return 'closed'
    if (this.#pending.size >= IN_FLIGHT_MAX) return 'inFlightMax'
    return text.length > this.#link.octetsMax ? 'octetsMax' : null
  }
}

/** A request on its way, with the one timer that repeats it and ends it. */
class PendingRequest implements TimerOwner {
  readonly cookie: string
  readonly text: string
  readonly sink: NgReplySink
  sentMs = 0
  readonly #client: NgClient
  readonly #ports: Ports
  readonly #timer = new Timer(this)
  #deadlineMs = 0
  #intervalMs = RETRANSMIT_AFTER_MS
  #refusal: string | null = null

  constructor(client: NgClient, ports: Ports, cookie: string, text: string, sink: NgReplySink) {
    this.#client = client
    this.#ports = ports
    this.cookie = cookie
    this.text = text
    this.sink = sink
  }

  start(giveUpAfterMs: number, reliable: boolean): void {
    this.sentMs = this.#ports.clock.now()
    this.#deadlineMs = this.sentMs + giveUpAfterMs
    if (reliable) this.#intervalMs = Number.POSITIVE_INFINITY
    this.#arm()
  }

  /** It is not sent at all; the sink hears of it in a moment. */
  refuse(reason: string): void {
    this.#refusal = reason
    this.#ports.clock.arm(this.#timer, 'refused', 0)
  }

  end(): void {
    this.#ports.clock.cancel(this.#timer)
  }

  onTimer(name: string): void {
    if (this.#refusal !== null) {
      this.#client.giveUp(this, this.#refusal)
    } else if (name === 'retransmit') {
      this.#client.repeat(this)
      this.#intervalMs = Math.min(2 * this.#intervalMs, RETRANSMIT_AFTER_MS_MAX)
      this.#arm()
    } else {
      this.#client.giveUp(this, 'timeout')
    }
  }

  #arm(): void {
    const leftMs = Math.max(0, this.#deadlineMs - this.#ports.clock.now())
    if (this.#intervalMs < leftMs) this.#ports.clock.arm(this.#timer, 'retransmit', this.#intervalMs)
    else this.#ports.clock.arm(this.#timer, 'giveUp', leftMs)
  }
}
