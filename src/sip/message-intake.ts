// From the octets of one message to the transport's user: parse, check, count, refuse (RFC 3261 §18.1.2, §18.2.1, §8.2).
// Hot path: every message received passes here.

import type { Counter } from '#core/counters.ts'
import type { Endpoint } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { RefusalLimiter, refusalText } from '#sip/_refusal.ts'
import { checkRequest, checkResponse } from '#sip/check.ts'
import type { Flow, TransportName } from '#sip/flow.ts'
import { type Message, ParseProblem, parseMessage, Request, type Response } from '#sip/message.ts'
import type { OwnAddresses } from '#sip/own-addresses.ts'
import { TrafficCounters } from '#sip/traffic-counters.ts'

/** Who gets the messages. */
export interface MessageUser {
  onRequest(request: Request, flow: Flow): void
  onResponse(response: Response, flow: Flow): void
}

/** Makes the flow of a message once it is known that one is needed. */
export interface FlowMaker {
  readonly transport: TransportName
  /** The flow back to `source`; `message` is what came and passed all checks, or null. */
  flowTowards(source: Endpoint, message: Message | null): Flow
}

export class MessageIntake {
  readonly #ports: Ports
  readonly #user: MessageUser
  readonly #own: OwnAddresses
  readonly #limiter: RefusalLimiter
  readonly #problems = new Map<string, Counter>()
  readonly #refused: Counter
  readonly #suppressed: Counter
  readonly #strangers: Counter
  readonly #traffic: Readonly<Record<TransportName, TrafficCounters>>

  constructor(ports: Ports, own: OwnAddresses, user: MessageUser) {
    this.#ports = ports
    this.#own = own
    this.#user = user
    this.#limiter = new RefusalLimiter(ports.clock)
    const { counters } = ports
    this.#refused = counters.counter('carillon_sip_refused_total', 'Malformed requests answered without state.')
    this.#suppressed = counters.counter(
      'carillon_sip_refusals_suppressed_total',
      'Malformed requests left unanswered: an ACK, no usable Via, or too many from one source.',
    )
    this.#strangers = counters.counter(
      'carillon_sip_stray_responses_total',
      'Responses dropped because their topmost Via is not ours.',
    )
    this.#traffic = {
      udp: new TrafficCounters(counters, 'udp', 'received'),
      tcp: new TrafficCounters(counters, 'tcp', 'received'),
      tls: new TrafficCounters(counters, 'tls', 'received'),
    }
  }

  /** Takes one whole message from `source`. Never throws for what is in it. */
  receive(text: string, source: Endpoint, maker: FlowMaker): void {
    const message = parseMessage(text)
    if (message instanceof ParseProblem) {
      this.#onProblem(message, source, maker)
      return
    }
    if (message instanceof Request) {
      const problem = checkRequest(message)
      if (problem !== null) {
        this.#onProblem(problem, source, maker)
        return
      }
      this.#traffic[maker.transport].countRequest(message.method)
      this.#user.onRequest(message, maker.flowTowards(source, message))
      return
    }
    const response = message as Response
    const problem = checkResponse(response)
    if (problem !== null) {
      this.#onProblem(problem, source, maker)
      return
    }
    // §18.1.2: a response whose topmost Via is not one we inserted is discarded.
    if (!this.#own.isOwn(response.topmostVia.sentBy)) {
      this.#strangers.add()
      return
    }
    this.#traffic[maker.transport].countResponse(response.status)
    this.#user.onResponse(response, maker.flowTowards(source, response))
  }

  /** Takes what a stream had when it could not be cut any further; `text` are header fields read so far, or null. */
  receiveBroken(code: string, reason: string, text: string | null, source: Endpoint, maker: FlowMaker): void {
    let request: Request | null = null
    if (text !== null) {
      const message = parseMessage(text)
      if (message instanceof ParseProblem) request = message.request
      else if (message instanceof Request) request = message
    }
    // §21.5.7: 513 for what is too large.
    const status = code.endsWith('_MAX') ? 513 : 400
    this.#onProblem(new ParseProblem(code, status, reason, request), source, maker)
  }

  #countProblem(code: string): void {
    let counter = this.#problems.get(code)
    if (counter === undefined) {
      const name = `carillon_sip_malformed_total{code="${code}"}`
      counter = this.#ports.counters.counter(name, 'Octets received that are no valid message, by what is wrong.')
      this.#problems.set(code, counter)
    }
    counter.add()
  }

  #onProblem(problem: ParseProblem, source: Endpoint, maker: FlowMaker): void {
    this.#countProblem(problem.code)
    const request = problem.request
    if (request === null || problem.status === 0) return
    if (!this.#limiter.admit(source)) {
      this.#suppressed.add()
      return
    }
    const text = refusalText(problem, source, this.#ports.random)
    if (text === '') {
      this.#suppressed.add()
      return
    }
    this.#refused.add()
    maker.flowTowards(source, null).forResponse(request).send(text)
  }
}
