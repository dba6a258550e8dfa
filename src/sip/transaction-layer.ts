// The transaction layer: matches messages to transactions (RFC 3261 §17.1.3, §17.2.3), merged requests (§8.2.2.2), CANCEL (§9.2).
// Hot path: one Map.get for each message.

import type { Clock } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import type { FaultScope } from '#core/fault-scope.ts'
import type { Ports } from '#core/ports.ts'
import { type Random, randomToken } from '#core/random.ts'
import type { ClientTransaction, ClientTransactionLayer, ClientTransactionUser } from '#sip/client-transaction.ts'
import type { Flow } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import { InviteClientTransaction } from '#sip/invite-client-transaction.ts'
import { InviteServerTransaction } from '#sip/invite-server-transaction.ts'
import type { Request, Response } from '#sip/message.ts'
import { knownMethod } from '#sip/method.ts'
import { NonInviteClientTransaction } from '#sip/non-invite-client-transaction.ts'
import { NonInviteServerTransaction } from '#sip/non-invite-server-transaction.ts'
import { branchFrom, type OutgoingRequest } from '#sip/outgoing-request.ts'
import { ResponseWriter, reasonPhrase } from '#sip/response-writer.ts'
import type { ServerTransaction, ServerTransactionLayer } from '#sip/server-transaction.ts'
import { SipTransport, type TransportSettings, type TransportUser } from '#sip/transport.ts'

/** See {@link TransactionLayer.transactionsMax}. */
export const TRANSACTIONS_MAX_DEFAULT = 200_000

/** The core above (§5: what is called transaction user there, for requests that are new to us). */
export interface RequestUser {
  /** A new request, neither ACK nor CANCEL. Its transaction must get a final response. */
  onRequest(transaction: ServerTransaction): void
  /** An ACK for a 2xx: it has a transaction of its own (§17.1.1.3) and gets no answer. */
  onAck(request: Request, flow: Flow): void
  /** A broken invariant outside any call. */
  onFault(error: unknown): void
  onListening(): void
  onListenFailed(reason: string): void
}

export class TransactionLayer implements TransportUser, ServerTransactionLayer, ClientTransactionLayer {
  readonly clock: Clock
  readonly transport: SipTransport
  readonly faults: FaultScope
  /** Transactions at a time, either side's; a new request beyond it is answered 503 without state. May change at any moment. */
  transactionsMax = TRANSACTIONS_MAX_DEFAULT
  readonly #random: Random
  readonly #user: RequestUser
  readonly #shard: string
  /** The new request being served; null between events. */
  #serving: ServerTransaction | null = null
  readonly #statelessKey: number
  readonly #servers = new Map<string, ServerTransaction>()
  readonly #merges = new Map<string, ServerTransaction>()
  readonly #clients = new Map<string, ClientTransaction>()
  readonly #strayResponses: Counter
  readonly #absorbed: Counter
  readonly #overflow: Counter
  readonly #responses = new Map<string, (Counter | undefined)[]>()
  readonly #requests = new Map<string, (Counter | undefined)[]>()
  readonly #ports: Ports

  /** `shard` is one character that every identifier minted here carries. */
  constructor(ports: Ports, settings: TransportSettings, faults: FaultScope, shard: string, user: RequestUser) {
    this.#ports = ports
    this.clock = ports.clock
    this.#random = ports.random
    this.#user = user
    this.#shard = shard
    this.#statelessKey = ports.random.uint32() | 1
    this.faults = faults
    this.transport = new SipTransport(ports, settings, this)
    const { counters } = ports
    this.#strayResponses = counters.counter(
      'carillon_sip_unmatched_responses_total',
      'Responses that match no client transaction.',
    )
    this.#absorbed = counters.counter(
      'carillon_sip_retransmissions_received_total',
      'Requests received again and absorbed by their transaction.',
    )
    this.#overflow = counters.counter(
      'carillon_sip_transactions_refused_total',
      'Requests refused because the transaction table is full.',
    )
    counters.gauge('carillon_sip_server_transactions', 'Server transactions held.', () => this.#servers.size)
    counters.gauge('carillon_sip_client_transactions', 'Client transactions held.', () => this.#clients.size)
  }

  /** A new identifier: the shard and 62 random bits, of token characters. */
  mint(): string {
    return this.#shard + randomToken(this.#random)
  }

  /** Requests of ours that still wait for their final response. */
  get waiting(): number {
    let count = 0
    for (const transaction of this.#clients.values()) if (transaction.isWaiting) count += 1
    return count
  }

  /** Transactions held, for audits. */
  audit(): { readonly serverTransactions: number; readonly clientTransactions: number } {
    return { serverTransactions: this.#servers.size, clientTransactions: this.#clients.size }
  }

  /** Sends a request on `flow` in a new client transaction. `suffix` is added to the branch (loop detection). */
  sendRequest(request: OutgoingRequest, flow: Flow, user: ClientTransactionUser, suffix = ''): ClientTransaction {
    const branch = branchFrom(this.mint() + suffix)
    const transaction =
      request.method === 'INVITE'
        ? new InviteClientTransaction(this, user, request, flow, branch)
        : new NonInviteClientTransaction(this, user, request, flow, branch)
    this.#clients.set(branch, transaction)
    transaction.start()
    return transaction
  }

  /** Sends the CANCEL for `invite` (§9.1), with the branch of the INVITE. The answer is only for the transaction. */
  sendCancel(invite: InviteClientTransaction, headers: string): void {
    const key = invite.branch + CANCEL_KEY
    if (this.#clients.has(key)) return
    const text = invite.cancelText(headers)
    const transaction = new CancelClientTransaction(this, invite.flow, invite.branch)
    this.#clients.set(key, transaction)
    transaction.startCancel(text)
  }

  onRequest(request: Request, flow: Flow): void {
    this.faults.active = null
    try {
      this.#receiveRequest(request, flow)
    } catch (error) {
      this.#onRequestFault(error)
    }
    this.faults.active = null
    this.#serving = null
  }

  /** A broken invariant ends the call that it is in, or else the request alone: a peer must not be able to stop the process. */
  #onRequestFault(error: unknown): void {
    if (this.faults.report(error)) return
    this.#user.onFault(error)
    if (this.#serving !== null && !this.#serving.isAnswered) this.#serving.respond(500)
  }

  onResponse(response: Response, _flow: Flow): void {
    this.faults.active = null
    try {
      const branch = response.topmostVia.branch
      const key = response.cseq.method === 'CANCEL' ? branch + CANCEL_KEY : branch
      const transaction = this.#clients.get(key)
      if (transaction === undefined || transaction.method !== response.cseq.method) {
        this.#strayResponses.add()
        return
      }
      transaction.receive(response)
    } catch (error) {
      if (!this.faults.report(error)) this.#user.onFault(error)
    }
    this.faults.active = null
  }

  onListening(): void {
    this.#user.onListening()
  }

  onListenFailed(reason: string): void {
    this.#user.onListenFailed(reason)
  }

  #receiveRequest(request: Request, flow: Flow): void {
    const method = request.method
    const key = serverKey(request, method === 'ACK' ? 'INVITE' : method)
    const existing = this.#servers.get(key)
    if (method === 'ACK') {
      // RFC 6026 §7.1: an ACK for a 2xx goes up, also from clients that give it the branch of the INVITE.
      if (!(existing instanceof InviteServerTransaction) || existing.state === 'accepted') {
        this.#user.onAck(request, flow)
      } else existing.receive(request)
      return
    }
    if (existing !== undefined) {
      this.#absorbed.add()
      existing.receive(request)
      return
    }
    if (this.#servers.size + this.#clients.size >= this.transactionsMax) {
      this.#overflow.add()
      this.respondStateless(request, flow, 503, 'Service Unavailable', 'Retry-After: 5\r\n')
      return
    }
    if (method === 'CANCEL') {
      this.#receiveCancel(request, flow, key)
      return
    }
    const hasToTag = request.to.tag !== null
    // A REGISTER that comes over two paths is told apart by its CSeq (§10.3 step 7).
    const mergeKey =
      hasToTag || method === 'REGISTER'
        ? ''
        : `${request.from.tag ?? ''} ${request.callId} ${request.header(HeaderId.cseq) ?? ''}`
    const merged = mergeKey === '' ? undefined : this.#merges.get(mergeKey)
    const transaction =
      method === 'INVITE'
        ? new InviteServerTransaction(this, key, merged === undefined ? mergeKey : '', request, flow, this.mint())
        : new NonInviteServerTransaction(this, key, merged === undefined ? mergeKey : '', request, flow, this.mint())
    this.#servers.set(key, transaction)
    if (merged !== undefined) {
      transaction.refuse(482) // §8.2.2.2: the same request over another path.
      return
    }
    if (mergeKey !== '') this.#merges.set(mergeKey, transaction)
    this.#serving = transaction
    this.#user.onRequest(transaction)
  }

  #receiveCancel(request: Request, flow: Flow, key: string): void {
    const invite = this.#servers.get(serverKey(request, 'INVITE'))
    if (!(invite instanceof InviteServerTransaction) || !isOfSameHop(request, flow, invite)) {
      // Without state: it must not stand in the way of the right one, which has the same key.
      this.respondStateless(request, flow, 481, reasonPhrase(481), '')
      return
    }
    // §9.2: the response to the CANCEL has the To tag of the response to the INVITE.
    const cancel = new NonInviteServerTransaction(this, key, '', request, flow, invite.toTag)
    this.#servers.set(key, cancel)
    if (invite.state === 'terminated') {
      cancel.respond(481)
      return
    }
    cancel.respond(200)
    if (!invite.isAnswered) invite.user?.onCancel(invite, request)
  }

  /** Answers a request without keeping state (§8.2.7). */
  respondStateless(request: Request, flow: Flow, status: number, reason: string, headers: string): void {
    const tag = this.statelessTag(request)
    const text = new ResponseWriter(request, flow.remote).write(status, reason, tag, headers, '')
    this.flowForResponse(request, flow).send(text)
    this.onResponseSent(request.method, status)
  }

  /** §8.2.7: copies of one request get the same tag, without anything being kept of it. */
  statelessTag(request: Request): string {
    const text = `${request.topmostVia.branch} ${request.callId} ${request.cseq.number}`
    let low = this.#statelessKey
    let high = ~this.#statelessKey
    for (let i = 0; i < text.length; i += 1) {
      low = Math.imul(low ^ text.charCodeAt(i), 0x0100_0193)
      high = Math.imul(high ^ low, 0x85eb_ca6b)
    }
    return this.#shard + (high >>> 0).toString(36) + (low >>> 0).toString(36)
  }

  flowForResponse(request: Request, flow: Flow): Flow {
    return this.transport.flowForResponse(request, flow)
  }

  onServerTerminated(transaction: ServerTransaction): void {
    this.#servers.delete(transaction.key)
    if (transaction.mergeKey !== '') this.#merges.delete(transaction.mergeKey)
  }

  onClientTerminated(transaction: ClientTransaction): void {
    const key = transaction instanceof CancelClientTransaction ? transaction.branch + CANCEL_KEY : transaction.branch
    this.#clients.delete(key)
  }

  onResponseSent(method: string, status: number): void {
    this.#count(this.#responses, 'carillon_sip_responses_sent_total', method, status)
  }

  onRequestSent(method: string): void {
    this.#count(this.#requests, 'carillon_sip_requests_sent_total', method, 0)
  }

  /** `status` 0 counts a request. One list a method, by status: nothing is made up for a look-up. */
  #count(table: Map<string, (Counter | undefined)[]>, name: string, method: string, status: number): void {
    const known = knownMethod(method) ?? 'other'
    let counters = table.get(known)
    if (counters === undefined) {
      counters = []
      table.set(known, counters)
    }
    let counter = counters[status]
    if (counter === undefined) {
      const labels = status === 0 ? `{method="${known}"}` : `{method="${known}",status="${status}"}`
      counter = this.#ports.counters.counter(name + labels, 'SIP messages sent, retransmissions by timers not counted.')
      counters[status] = counter
    }
    counter.value += 1
  }
}

const CANCEL_KEY = '!'

/**
 * Whether a CANCEL comes from the hop that sent the INVITE (§22.1: it cannot be challenged) and is for the same call (§9.1):
 * else whoever guesses a branch could end the calls of others.
 */
function isOfSameHop(cancel: Request, flow: Flow, invite: InviteServerTransaction): boolean {
  if (flow.remote.host !== invite.flow.remote.host) return false
  if (invite.isAnswered) return true
  const { callId, from, cseq } = invite.request
  return cancel.callId === callId && cancel.from.tag === from.tag && cancel.cseq.number === cseq.number
}

/** The client transaction of a CANCEL: a non-INVITE transaction whose outcome nobody waits for (§9.1). */
class CancelClientTransaction extends NonInviteClientTransaction {
  constructor(layer: ClientTransactionLayer, flow: Flow, branch: string) {
    super(layer, IGNORE, CANCEL_PARTS, flow, branch)
  }

  startCancel(text: string): void {
    this.start(text)
  }
}

const CANCEL_PARTS: OutgoingRequest = {
  method: 'CANCEL',
  uriText: '',
  from: '',
  to: '',
  callId: '',
  sequence: 0,
  maxForwards: 0,
  routes: '',
  headers: '',
  contactUser: null,
  contentType: '',
  body: '',
}

const IGNORE: ClientTransactionUser = {
  onResponse: () => {},
  onTimeout: () => {},
  onTransportError: () => {},
}

/** §17.2.3: branch, sent-by and method; without the magic cookie, the fields that RFC 2543 compares. */
function serverKey(request: Request, method: string): string {
  const via = request.topmostVia
  if (via.hasCookie) return `${via.branch} ${via.sentBy} ${method}`
  const fromTag = request.from.tag ?? ''
  // For ACK the To tag is the one we gave, so it cannot be part of the key of the INVITE.
  return `2543 ${request.uriText} ${fromTag} ${request.callId} ${request.cseq.number} ${via.text} ${method}`
}
