// Transactions of the simulated agents: small, by RFC 3261 §17 and RFC 6026, and none of the product's code.

import type { Way } from '#sim/agent-wire.ts'
import type { SipText } from '#sim/sip-text.ts'
import type { VirtualTime } from '#sim/virtual-time.ts'

export const T1_MS = 500
const T2_MS = 4_000
export const LIFETIME_MS = 64 * T1_MS

/** Later calls that die with the agent's process. */
export type After = (delayMs: number, run: () => void) => ReturnType<VirtualTime['after']>

export interface ClientEvents {
  /** Each time the request goes out, first or with credentials. */
  onSent?(client: AgentClient): void
  onResponse(response: SipText): void
  /** Timer B or F, or the connection broke. */
  onNoAnswer(): void
}

/** A request of ours and what comes back. */
export class AgentClient {
  readonly request: SipText
  readonly way: Way
  finals = 0
  provisionals = 0
  ended = false
  readonly #after: After
  readonly #send: (text: string, way: Way) => void
  readonly #events: ClientEvents
  readonly #gone: () => void
  #ack: string | null = null

  constructor(
    request: SipText,
    way: Way,
    after: After,
    send: (text: string, way: Way) => void,
    events: ClientEvents,
    gone: () => void,
  ) {
    this.request = request
    this.way = way
    this.#after = after
    this.#send = send
    this.#events = events
    this.#gone = gone
    send(request.toText(), way)
    if (way.connection === null) this.#repeat(T1_MS)
    after(LIFETIME_MS, () => this.#expire())
  }

  receive(response: SipText): void {
    const invite = this.request.method === 'INVITE'
    if (response.status < 200) {
      this.provisionals++
      if (this.finals === 0) this.#events.onResponse(response)
      return
    }
    if (invite && response.status >= 300) {
      if (this.#ack === null) this.#ack = ackOf(this.request, response).toText()
      this.#send(this.#ack, this.way)
    }
    const first = this.finals++ === 0
    // A 2xx goes up each time: the core acknowledges every copy, and there can be several.
    if (first || (invite && response.status < 300)) this.#events.onResponse(response)
    if (first) this.#after(LIFETIME_MS, () => this.#end())
  }

  /** The connection is gone. */
  onWayLost(): void {
    if (this.finals > 0 || this.ended) return
    this.#end()
    this.#events.onNoAnswer()
  }

  #repeat(intervalMs: number): void {
    const invite = this.request.method === 'INVITE'
    this.#after(intervalMs, () => {
      if (this.ended || this.finals > 0 || (invite && this.provisionals > 0)) return
      this.#send(this.request.toText(), this.way)
      // Timer A doubles for ever, timer E to T2, and is T2 once there was a provisional response.
      const nextMs = invite ? 2 * intervalMs : this.provisionals > 0 ? T2_MS : Math.min(2 * intervalMs, T2_MS)
      this.#repeat(nextMs)
    })
  }

  #expire(): void {
    if (this.finals > 0 || this.ended) return
    // Timer B runs in 'calling' only; the core has a patience of its own for a proceeding INVITE.
    if (this.request.method === 'INVITE' && this.provisionals > 0) return
    this.#end()
    this.#events.onNoAnswer()
  }

  /** No longer waits: the core has given up. */
  abandon(): void {
    this.#end()
  }

  #end(): void {
    if (this.ended) return
    this.ended = true
    this.#gone()
  }
}

/** A request of the other side and what we answer. */
export class AgentServer {
  readonly request: SipText
  readonly way: Way
  acknowledged = false
  final: SipText | null = null
  #last: string | null = null
  readonly #after: After
  readonly #send: (text: string, way: Way) => void

  constructor(request: SipText, way: Way, after: After, send: (text: string, way: Way) => void, gone: () => void) {
    this.request = request
    this.way = way
    this.#after = after
    this.#send = send
    this.#lifetime(gone)
  }

  respond(response: SipText): void {
    this.#last = response.toText()
    this.#send(this.#last, this.way)
    if (response.status < 200) return
    this.final = response
    // Timer G, or for a 2xx RFC 3261 §13.3.1.4: over any transport, as the way there may have others.
    const repeats = this.way.connection === null || response.status < 300
    if (this.request.method === 'INVITE' && repeats) this.#repeat(T1_MS, this.#after, 0)
  }

  /** A copy of the request came. */
  again(): void {
    if (this.#last !== null && !this.acknowledged) this.#send(this.#last, this.way)
  }

  #repeat(intervalMs: number, after: After, spentMs: number): void {
    after(intervalMs, () => {
      if (this.acknowledged || spentMs + intervalMs >= LIFETIME_MS || this.#last === null) return
      this.#send(this.#last, this.way)
      this.#repeat(Math.min(2 * intervalMs, T2_MS), after, spentMs + intervalMs)
    })
  }

  #lifetime(gone: () => void): void {
    this.#after(LIFETIME_MS, () => {
      if (this.final === null) this.#lifetime(gone)
      else this.#after(LIFETIME_MS, gone)
    })
  }
}

/** RFC 3261 §17.1.1.3. */
function ackOf(invite: SipText, response: SipText): SipText {
  const ack = (invite.constructor as typeof SipText).request('ACK', invite.uri)
  ack.add('via', invite.all('via')[0] ?? '')
  for (const route of invite.all('route')) ack.add('route', route)
  ack.add('max-forwards', '70')
  ack.add('from', invite.get('from')).add('to', response.get('to')).add('call-id', invite.callId)
  return ack.add('cseq', `${invite.sequence} ACK`)
}
