// Messages by transport, method and class of status: counters found once, incremented for each message.

import type { Counter, Counters } from '#core/counters.ts'
import type { TransportName } from '#sip/flow.ts'
import { METHODS } from '#sip/method.ts'

/** The messages of one direction on one transport. */
export class TrafficCounters {
  readonly #methods = new Map<string, Counter>()
  readonly #otherMethods: Counter
  readonly #classes: readonly Counter[]

  constructor(counters: Counters, transport: TransportName, direction: 'received' | 'sent') {
    const labels = `direction="${direction}",transport="${transport}"`
    const requests = 'carillon_sip_transport_requests_total'
    const make = (method: string): Counter =>
      counters.counter(`${requests}{${labels},method="${method}"}`, 'SIP requests on the wire, retransmissions too.')
    for (const method of METHODS) this.#methods.set(method, make(method))
    this.#otherMethods = make('other')
    const responses = 'carillon_sip_transport_responses_total'
    const help = 'SIP responses on the wire, retransmissions too.'
    this.#classes = [1, 2, 3, 4, 5, 6].map((digit) =>
      counters.counter(`${responses}{${labels},class="${digit}xx"}`, help),
    )
  }

  countRequest(method: string): void {
    const counter = this.#methods.get(method)
    if (counter === undefined) this.#otherMethods.add()
    else counter.add()
  }

  countResponse(status: number): void {
    this.#classes[Math.floor(status / 100) - 1]?.add()
  }

  /** Counts a whole message by its start line. */
  countText(text: string): void {
    if (text.startsWith('SIP/2.0 ')) this.countResponse((text.charCodeAt(8) - 48) * 100)
    else this.countRequest(text.slice(0, text.indexOf(' ')))
  }
}
