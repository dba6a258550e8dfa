// Answers that nobody waits for any more: a 2xx of a fork that comes when the call has another one, or is over. Each is
// acknowledged and ended (RFC 3261 §13.2.2.4, RFC 6026 §7.2), from what the response itself says.

import type { ClientTransaction, ClientTransactionUser } from '#sip/client-transaction.ts'
import { Dialog } from '#sip/dialog.ts'
import type { Flow } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Locator } from '#sip/locator.ts'
import type { Response } from '#sip/message.ts'
import { branchFrom, type OutgoingRequest, writeRequest } from '#sip/outgoing-request.ts'
import type { TransactionLayer } from '#sip/transaction-layer.ts'

/** Requests that the ended dialog may have had before: our BYE counts from beyond them. */
const SEQUENCE_STEP = 1_000

const REASON = 'Reason: SIP;cause=200;text="Call completed elsewhere"\r\n'

export class LateAnswers implements ClientTransactionUser {
  readonly #layer: TransactionLayer
  readonly #locator: Locator

  constructor(layer: TransactionLayer, locator: Locator) {
    this.#layer = layer
    this.#locator = locator
  }

  /** A further response to an INVITE whose call is over. */
  onResponse(transaction: ClientTransaction, response: Response): void {
    if (response.status >= 200 && response.status < 300) this.end(response, transaction.flow)
  }

  onTimeout(_transaction: ClientTransaction): void {}

  onTransportError(_transaction: ClientTransaction, _reason: string): void {}

  /** Acknowledges a 2xx to INVITE and ends its dialog. `flow` is where the response came from. */
  end(response: Response, flow: Flow): void {
    if (response.to.tag === null || response.cseq.method !== 'INVITE') return
    const dialog = Dialog.fromStrayResponse(response)
    const ack = dialog.request('ACK', { sequence: response.cseq.number })
    dialog.localSequence += SEQUENCE_STEP
    const bye = dialog.request('BYE', { headers: REASON })
    const nextHop = response.has(HeaderId.recordRoute) ? dialog.nextHop : null
    if (nextHop === null) {
      this.#send(ack, bye, flow)
      return
    }
    this.#locator.locate(nextHop, {
      onLocated: (targets) => {
        const target = targets[0]
        const out = target === undefined ? null : this.#layer.transport.flowTo(target)
        if (out !== null && !out.closed) this.#send(ack, bye, out)
      },
    })
  }

  #send(ack: OutgoingRequest, bye: OutgoingRequest, flow: Flow): void {
    flow.send(writeRequest(ack, flow, branchFrom(this.#layer.mint())))
    this.#layer.onRequestSent('ACK')
    this.#layer.sendRequest(bye, flow, this)
  }
}
