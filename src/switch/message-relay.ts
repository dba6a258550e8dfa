// A MESSAGE outside a dialog on its way to the callee's contacts or a trunk peer: RFC 3428 §4, §7; RFC 3261 §16.7 for several.

import type { CalleeTarget, CallPlan } from '#call/call-host.ts'
import { type CallerIdentity, fromValue, identityLines } from '#call/caller-identity.ts'
import { requestPassOn } from '#call/pass-on.ts'
import { isBetterFailure, shownStatus } from '#call/response-choice.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Response } from '#sip/message.ts'
import { OutgoingRequest } from '#sip/outgoing-request.ts'
import type { ServerTransaction } from '#sip/server-transaction.ts'
import type { SipStack } from '#sip/stack.ts'
import { parseUri } from '#sip/uri.ts'
import { type NoResponse, UserAgentClient, type UserAgentClientUser } from '#sip/user-agent-client.ts'

/** Who counts the relays at work. */
export interface RelayOwner {
  onRelayDone(relay: MessageRelay): void
}

export class MessageRelay implements UserAgentClientUser {
  readonly #stack: SipStack
  readonly #owner: RelayOwner
  readonly #transaction: ServerTransaction
  readonly #caller: CallerIdentity
  readonly #domain: string
  readonly #maxForwards: number
  readonly #loopMark: string
  readonly #stages: CalleeTarget[][]
  #open = 0
  #best = 0
  #done = false

  constructor(
    stack: SipStack,
    owner: RelayOwner,
    transaction: ServerTransaction,
    plan: CallPlan,
    caller: CallerIdentity,
    domain: string,
    maxForwards: number,
    loopMark: string,
  ) {
    this.#stack = stack
    this.#owner = owner
    this.#transaction = transaction
    this.#caller = caller
    this.#domain = domain
    this.#maxForwards = maxForwards
    this.#loopMark = loopMark
    this.#stages = plan.stages.map((stage) => [...stage])
  }

  /** Sends to the first stage; further ones follow when all of it fails. */
  start(): void {
    const stage = this.#stages.shift()
    if (stage === undefined) {
      this.#finish(this.#best === 0 ? 480 : shownStatus(this.#best))
      return
    }
    const clients = stage.map((target) => ({ target, client: this.#client(target) }))
    this.#open = clients.length
    for (const { target, client } of clients) {
      const uri = parseUri(target.nextHop)
      if (target.flow !== null && !target.flow.closed) client.startOn(target.flow)
      else if (uri?.isSip) client.startTowards(uri)
      else this.#failed(503)
    }
  }

  onResponse(_client: UserAgentClient, response: Response): void {
    if (response.status < 200) return
    if (response.status < 300) this.#finish(response.status)
    else this.#failed(response.status)
  }

  onNoResponse(_client: UserAgentClient, why: NoResponse): void {
    this.#failed(why.status)
  }

  #client(target: CalleeTarget): UserAgentClient {
    const { request } = this.#transaction
    const trusted = target.trunkGroup !== null
    const outgoing = new OutgoingRequest({
      method: 'MESSAGE',
      uriText: target.uriText,
      from: `${fromValue(this.#caller, this.#domain)};tag=${this.#stack.layer.mint()}`,
      to: target.to,
      callId: this.#stack.layer.mint(),
      sequence: 1,
      maxForwards: this.#maxForwards,
      routes: target.routes,
      headers: identityLines(this.#caller, this.#domain, trusted) + requestPassOn(request),
      contentType: request.header(HeaderId.contentType) ?? 'text/plain',
      body: request.body,
    })
    return new UserAgentClient(this.#stack, outgoing, this, this.#loopMark)
  }

  #failed(status: number): void {
    if (this.#done) return
    if (this.#best === 0 || isBetterFailure(status, this.#best)) this.#best = status
    this.#open -= 1
    if (this.#open > 0) return
    if (this.#best >= 600 || this.#best < 500) this.#finish(shownStatus(this.#best))
    else this.start()
  }

  #finish(status: number): void {
    if (this.#done) return
    this.#done = true
    // RFC 4320 §4.2: no 408 for what is no INVITE; whoever waited that long has timed out himself.
    this.#transaction.respond(status === 408 ? 480 : status)
    this.#owner.onRelayDone(this)
  }
}
