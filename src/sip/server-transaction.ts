// What both server transactions share: RFC 3261 §17.2.

import { present } from '#core/assert.ts'
import type { Clock } from '#core/clock.ts'
import type { Flow } from '#sip/flow.ts'
import type { Request } from '#sip/message.ts'
import { ResponseWriter, reasonPhrase } from '#sip/response-writer.ts'

/** What a server transaction needs of its layer. */
export interface ServerTransactionLayer {
  readonly clock: Clock
  /** The flow for responses (§18.2.2). */
  flowForResponse(request: Request, flow: Flow): Flow
  onServerTerminated(transaction: ServerTransaction): void
  /** The To tag that every copy of the request gets when nothing is kept of it (§8.2.7). */
  statelessTag(request: Request): string
  /** A response went out for the first time. */
  onResponseSent(method: string, status: number): void
}

/** A request received once, and the responses to it. */
export abstract class ServerTransaction {
  readonly layer: ServerTransactionLayer
  /** Key in the layer's table (§17.2.3). */
  readonly key: string
  /** Key of the merged-request check (§8.2.2.2), or ''. */
  readonly mergeKey: string
  readonly method: string
  /** Where the request came from. */
  readonly flow: Flow
  /** The tag that responses get when the request's To has none. */
  readonly toTag: string
  #request: Request | null
  #writer: ResponseWriter | null = null
  #responseFlow: Flow | null = null

  constructor(
    layer: ServerTransactionLayer,
    key: string,
    mergeKey: string,
    request: Request,
    flow: Flow,
    toTag: string,
  ) {
    this.layer = layer
    this.key = key
    this.mergeKey = mergeKey
    this.method = request.method
    this.#request = request
    this.flow = flow
    this.toTag = toTag
  }

  /** The request. It is let go with the final response: a completed transaction keeps only what it retransmits. */
  get request(): Request {
    return present(this.#request, 'request of a completed transaction')
  }

  /**
   * Sends a response. `headers` are complete lines with CRLF; a body needs its Content-Type among them. A final
   * response ends the request for the transaction user. `toTag` overrides the transaction's own (one of several early dialogs).
   * Answers the text, which a 2xx is retransmitted from.
   */
  respond(status: number, reason?: string, headers = '', body = '', toTag = this.toTag): string {
    this.#writer ??= new ResponseWriter(this.request, this.flow.remote)
    const text = this.#writer.write(status, reason ?? reasonPhrase(status), toTag, headers, body)
    this.send(status, text)
    return text
  }

  /**
   * Sends a final failure to somebody who has not shown who he is: it is repeated only when the request is, so that a forged
   * source address draws no more than one answer for each request (RFC 3261 §26.3.2.4).
   */
  refuse(status: number, reason?: string, headers = ''): void {
    this.respond(status, reason, headers)
  }

  /** Whether a final response was sent. */
  abstract get isAnswered(): boolean

  /** A retransmission of the request (or, for INVITE, the ACK) arrived. */
  abstract receive(request: Request): void

  protected abstract send(status: number, text: string): void

  /** Puts the text on the wire for the first time. */
  protected transmit(status: number, text: string): void {
    this.retransmit(text)
    this.layer.onResponseSent(this.method, status)
  }

  /** Puts the text on the wire. */
  protected retransmit(text: string): void {
    if (this.#request !== null && (this.#responseFlow === null || this.#responseFlow.closed)) {
      this.#responseFlow = this.layer.flowForResponse(this.#request, this.flow)
    }
    ;(this.#responseFlow ?? this.flow).send(text)
  }

  /** Drops what only further responses would need. */
  protected releaseRequest(): void {
    this.#request = null
    this.#writer = null
  }

  protected get reliable(): boolean {
    return (this.#responseFlow ?? this.flow).reliable
  }
}
