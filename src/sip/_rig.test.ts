// What the tests of transactions, dialogs and sessions share: messages by their parts, a flow that writes a timeline, a whole stack.

import assert from 'node:assert/strict'
import { FaultScope } from '#core/fault-scope.ts'
import type { Endpoint } from '#core/net.ts'
import { endpoint, type FakeClock, type FakeConnection, type FakePorts, fakePorts } from '#sip/_fake-ports.ts'
import { Flow, type FlowWatcher, type TransportName } from '#sip/flow.ts'
import { LateAnswers } from '#sip/late-answers.ts'
import { Locator } from '#sip/locator.ts'
import { ParseProblem, parseMessage, Request, Response } from '#sip/message.ts'
import { reasonPhrase } from '#sip/response-writer.ts'
import type { ServerTransaction } from '#sip/server-transaction.ts'
import type { SipStack } from '#sip/stack.ts'
import { type RequestUser, TransactionLayer } from '#sip/transaction-layer.ts'

export const PEER = endpoint('192.0.2.9', 5060)
export const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n'
export const SDP_2 = SDP.replace('1 1 IN', '1 2 IN')

/** Parts of a request that matter to a test; the rest is usual. */
export interface RequestParts {
  readonly uri?: string
  readonly branch?: string
  readonly via?: string
  readonly from?: string
  readonly to?: string
  readonly callId?: string
  readonly sequence?: number
  readonly contact?: string | null
  /** Complete lines. */
  readonly headers?: string
  readonly sdp?: string
}

export function requestText(method: string, parts: RequestParts = {}): string {
  const contact = parts.contact === undefined ? '<sip:peer@192.0.2.9:5060>' : parts.contact
  const body = parts.sdp ?? ''
  return (
    `${method} ${parts.uri ?? 'sip:bob@192.0.2.1'} SIP/2.0\r\n` +
    `Via: ${parts.via ?? `SIP/2.0/UDP 192.0.2.9;rport;branch=${parts.branch ?? 'z9hG4bKpeer1'}`}\r\n` +
    `Max-Forwards: 70\r\nFrom: ${parts.from ?? '<sip:peer@example.net>;tag=peer'}\r\n` +
    `To: ${parts.to ?? '<sip:bob@example.net>'}\r\nCall-ID: ${parts.callId ?? 'call-1'}\r\n` +
    `CSeq: ${parts.sequence ?? 1} ${method}\r\n${contact === null ? '' : `Contact: ${contact}\r\n`}` +
    `${parts.headers ?? ''}${body === '' ? '' : 'Content-Type: application/sdp\r\n'}` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  )
}

export function parseRequest(text: string): Request {
  const message = parseMessage(text)
  assert.ok(message instanceof Request, message instanceof ParseProblem ? message.reason : 'not a request')
  return message
}

export function parseResponse(text: string): Response {
  const message = parseMessage(text)
  assert.ok(message instanceof Response, message instanceof ParseProblem ? message.reason : 'not a response')
  return message
}

export function request(method: string, parts: RequestParts = {}): Request {
  return parseRequest(requestText(method, parts))
}

/** Parts of a response to a request of ours. */
export interface ResponseParts {
  readonly toTag?: string | null
  readonly contact?: string | null
  readonly headers?: string
  readonly sdp?: string
}

/** The response to `to`, a request as it was sent. */
export function responseText(to: Request, status: number, parts: ResponseParts = {}): string {
  const lines: string[] = []
  for (let i = 0; i < to.headerCount; i += 1) {
    if (/^via$/i.test(to.headerNameOf(i))) lines.push(`Via: ${to.headerValueOf(i)}`)
  }
  const tag = parts.toTag === undefined ? 'remote' : parts.toTag
  const toLine = to.to.tag !== null || tag === null || status === 100 ? to.to.text : `${to.to.text};tag=${tag}`
  const contact = parts.contact === undefined ? '<sip:peer@192.0.2.9:5060>' : parts.contact
  const body = parts.sdp ?? ''
  return (
    `SIP/2.0 ${status} ${reasonPhrase(status)}\r\n${lines.join('\r\n')}\r\n` +
    `From: ${to.from.text}\r\nTo: ${toLine}\r\nCall-ID: ${to.callId}\r\nCSeq: ${to.cseq.number} ${to.cseq.method}\r\n` +
    `${contact === null ? '' : `Contact: ${contact}\r\n`}${parts.headers ?? ''}` +
    `${body === '' ? '' : 'Content-Type: application/sdp\r\n'}Content-Length: ${body.length}\r\n\r\n${body}`
  )
}

/** "INVITE" or "486": what a message is, for a timeline. */
export function nameOf(text: string): string {
  return text.startsWith('SIP/2.0 ') ? text.slice(8, 11) : text.slice(0, text.indexOf(' '))
}

/** Writes down what happens when: "500 486" is 486 on the wire half a second after the beginning. */
export class Timeline {
  readonly clock: FakeClock
  readonly entries: string[] = []
  readonly texts: string[] = []
  readonly #startMs: number

  constructor(clock: FakeClock) {
    this.clock = clock
    this.#startMs = clock.nowMs
  }

  note(what: string): void {
    this.entries.push(`${this.clock.nowMs - this.#startMs} ${what}`)
  }

  /** What was noted since the last look. */
  take(): string[] {
    return this.entries.splice(0)
  }
}

/** A flow whose far side is a timeline. */
export class LogFlow extends Flow {
  readonly local = endpoint('192.0.2.1', 5060)
  readonly watchers = new Set<FlowWatcher>()
  readonly #timeline: Timeline

  constructor(timeline: Timeline, transport: TransportName = 'udp') {
    super(transport, PEER, '192.0.2.1:5060')
    this.#timeline = timeline
  }

  send(text: string): void {
    this.#timeline.texts.push(text)
    this.#timeline.note(nameOf(text))
  }

  watch(watcher: FlowWatcher): void {
    this.watchers.add(watcher)
  }

  unwatch(watcher: FlowWatcher): void {
    this.watchers.delete(watcher)
  }

  /** The connection breaks. */
  break(reason = 'closed'): void {
    this.closed = true
    for (const watcher of [...this.watchers]) {
      this.watchers.delete(watcher)
      watcher.onFlowClosed(this, reason)
    }
  }
}

/** A transaction layer over fake ports: UDP and TCP on 192.0.2.1:5060; the test is every peer. */
export class StackRig implements RequestUser {
  readonly ports: FakePorts
  readonly clock: FakeClock
  readonly layer: TransactionLayer
  readonly stack: SipStack
  readonly faults: unknown[] = []
  readonly acks: Request[] = []
  readonly requests: ServerTransaction[] = []
  /** What to do with a new request; it is kept in `requests` besides. */
  answer: (transaction: ServerTransaction) => void = () => {}
  onEachAck: (ack: Request) => void = () => {}
  #read = 0

  constructor(seed = 1) {
    this.ports = fakePorts(seed)
    this.clock = this.ports.clock
    const faults = new FaultScope()
    const settings = {
      listen: [
        { transport: 'udp', host: '192.0.2.1', port: 5060 },
        { transport: 'tcp', host: '192.0.2.1', port: 5060 },
      ],
      advertise: null,
      udpSizeMax: 1_300,
      tls: null,
    } as const
    this.layer = new TransactionLayer(this.ports, settings, faults, '0', this)
    const locator = new Locator(this.ports, { transports: ['udp', 'tcp'], families: [4] })
    this.stack = {
      clock: this.clock,
      random: this.ports.random,
      faults,
      layer: this.layer,
      locator,
      lateAnswers: new LateAnswers(this.layer, locator),
    }
    this.layer.transport.start()
    this.ports.net.bind()
  }

  onRequest(transaction: ServerTransaction): void {
    this.requests.push(transaction)
    this.answer(transaction)
  }

  onAck(ack: Request): void {
    this.acks.push(ack)
    this.onEachAck(ack)
  }

  onFault(error: unknown): void {
    this.faults.push(error)
  }

  onListening(): void {}

  onListenFailed(reason: string): void {
    assert.fail(reason)
  }

  /** A datagram comes from `source`. */
  receive(text: string, source: Endpoint = PEER): void {
    this.#socket.receive(text, source)
  }

  /** Messages sent over UDP since the last look. */
  sent(): string[] {
    const texts = this.#socket.sent.slice(this.#read).map(({ text }) => text)
    this.#read = this.#socket.sent.length
    return texts
  }

  /** As `sent`, their names only. */
  names(): string[] {
    return this.sent().map(nameOf)
  }

  /** The one message sent since the last look. */
  only(): string {
    const texts = this.sent()
    assert.equal(texts.length, 1, texts.map(nameOf).join(' '))
    return texts[0] ?? ''
  }

  /** The one request sent since the last look. */
  onlyRequest(): Request {
    return parseRequest(this.only())
  }

  /** The last connection opened. */
  get connection(): FakeConnection {
    const { connections } = this.ports.net
    const last = connections.at(-1)
    assert.ok(last !== undefined, 'a connection was opened')
    return last
  }

  /** Nothing is held any more: no transaction, no timer but those of idle connections. */
  assertIdle(): void {
    assert.deepEqual(this.layer.audit(), { serverTransactions: 0, clientTransactions: 0 })
    assert.equal(this.clock.armed, 0, 'timers armed')
    assert.deepEqual(this.faults, [])
  }

  get #socket() {
    const socket = this.ports.net.sockets[0]
    assert.ok(socket !== undefined)
    return socket
  }
}
