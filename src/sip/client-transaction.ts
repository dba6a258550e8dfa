// What both client transactions share: RFC 3261 §17.1.

import type { Clock } from '#core/clock.ts'
import type { Flow, FlowWatcher } from '#sip/flow.ts'
import type { Response } from '#sip/message.ts'
import { type OutgoingRequest, writeRequest } from '#sip/outgoing-request.ts'

/** What a client transaction needs of its layer. */
export interface ClientTransactionLayer {
  readonly clock: Clock
  onClientTerminated(transaction: ClientTransaction): void
  onRequestSent(method: string): void
}

/** Who sent the request. After `onTimeout` or `onTransportError` nothing more comes. */
export interface ClientTransactionUser {
  /** A provisional or final response; for INVITE also every further 2xx (RFC 6026 §7.2). */
  onResponse(transaction: ClientTransaction, response: Response): void
  /** Timer B or F. */
  onTimeout(transaction: ClientTransaction): void
  /** The connection closed or never opened before a final response (§17.1.4). */
  onTransportError(transaction: ClientTransaction, reason: string): void
}

/** A request sent once, and the responses to it. */
export abstract class ClientTransaction implements FlowWatcher {
  readonly layer: ClientTransactionLayer
  /** Replaced when its owner ends before the transaction does. */
  user: ClientTransactionUser
  readonly flow: Flow
  readonly branch: string
  readonly method: string
  protected request: OutgoingRequest | null
  /** What is retransmitted; '' when nothing is any more. */
  protected text = ''

  constructor(
    layer: ClientTransactionLayer,
    user: ClientTransactionUser,
    request: OutgoingRequest,
    flow: Flow,
    branch: string,
  ) {
    this.layer = layer
    this.user = user
    this.request = request
    this.flow = flow
    this.branch = branch
    this.method = request.method
  }

  /** Sends the request for the first time. `text` is what `writeRequest` gave, when the caller has it already. */
  start(text?: string): void {
    if (this.request !== null) this.text = text ?? writeRequest(this.request, this.flow, this.branch)
    if (this.flow.reliable) this.flow.watch(this)
    this.flow.send(this.text)
    this.layer.onRequestSent(this.method)
    this.armInitial()
  }

  abstract receive(response: Response): void
  /** Whether no final response has come yet. */
  abstract get isWaiting(): boolean
  protected abstract armInitial(): void
  abstract onFlowClosed(flow: Flow, reason: string): void

  protected resend(): void {
    this.flow.send(this.text)
  }
}
