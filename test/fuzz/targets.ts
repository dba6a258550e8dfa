// What the fuzzer runs each input through. A target throws when something does not hold; it never waits.

import assert from 'node:assert/strict'
import { endpoint, fakePorts } from '#sip/_fake-ports.ts'
import { checkRequest, checkResponse } from '#sip/check.ts'
import { parseChallenge, parseCredentials } from '#sip/digest.ts'
import type { Flow } from '#sip/flow.ts'
import { HeaderId, headerName } from '#sip/header-id.ts'
import { type Message, ParseProblem, parseMessage, Request, type Response } from '#sip/message.ts'
import { type NameAddr, parseNameAddr } from '#sip/name-addr.ts'
import { parseRAck, parseRSeq } from '#sip/rack.ts'
import { parseReason, reasonsOf, reasonText } from '#sip/reason.ts'
import { minSeOf, parseSessionExpires } from '#sip/session-timer.ts'
import { type FrameSink, STREAM_HEADERS_OCTETS_MAX, StreamFramer } from '#sip/stream-framer.ts'
import { SipTransport } from '#sip/transport.ts'
import { escapeUser, parseUri, type Uri, unescapeUri } from '#sip/uri.ts'
import { aorOf, sameUri } from '#sip/uri-equal.ts'
import { parseVia } from '#sip/via.ts'

const IDS = Object.values(HeaderId)
/** Chunks of one stream: enough to cut everywhere, few enough to be quick. */
const CHUNKS_MAX = 2_000

/** Parser, checks and every decoder over every field, also those that the checks refuse. */
export function fuzzMessage(text: string): void {
  const message = parseMessage(text)
  if (message instanceof ParseProblem) {
    assertProblem(message)
    if (message.request !== null) decodeAll(message.request)
    return
  }
  const problem = message instanceof Request ? checkRequest(message) : checkResponse(message as Response)
  decodeAll(message)
  if (problem !== null) {
    assertProblem(problem)
    return
  }
  // What passed the checks is there without an error, and reads back as it is.
  assert.equal(parseVia(message.topmostVia.text)?.sentBy, message.topmostVia.sentBy)
  assert.equal(message.topmostVia.branch, message.topmostVia.param('branch') ?? '')
  assert.equal(parseNameAddr(message.from.text)?.tag, message.from.tag)
  assert.equal(parseNameAddr(message.to.text)?.displayName, message.to.displayName)
  assert.ok(message.cseq.number >= 0 && message.callId.length > 0)
  assert.ok(message.bodyStart <= message.bodyEnd && message.bodyEnd <= text.length)
  assert.equal(message.body.length, message.bodyEnd - message.bodyStart)
  if (message instanceof Request) {
    readUri(message.uri)
    assert.ok(message.method.length > 0)
  }
}

function assertProblem(problem: ParseProblem): void {
  assert.match(problem.code, /^SIP_[A-Z_]+$/)
  assert.match(problem.reason, /^[ -~]{5,100}$/)
  assert.equal(problem.status === 0, problem.request === null)
}

function decodeAll(message: Message): void {
  for (let line = 0; line < message.headerCount; line += 1) {
    const value = message.headerValueOf(line)
    assert.ok(!/[\r\n]/.test(value) || message.headerCount > 0)
    const id = message.headerIdOf(line)
    assert.ok(message.headerNameOf(line).length > 0 && headerName(id) !== undefined)
    const name = parseNameAddr(value)
    if (name !== null) readAddress(name)
    const via = parseVia(value)
    if (via !== null) void [via.host, via.transport, via.sentBy, via.branch, via.hasCookie, via.param('rport')]
    parseRAck(value)
    parseRSeq(value)
    const reason = parseReason(value)
    if (reason !== null) assert.deepEqual(parseReason(reasonText(reason)), reason)
    parseCredentials(value)
    parseChallenge(value)
    assert.ok(unescapeUri(value).length <= value.length)
    assert.equal(unescapeUri(escapeUser(value.slice(0, 100))), value.slice(0, 100))
  }
  // Once for each field, not for each line: a message may have hundreds of lines.
  for (const id of IDS) {
    if (!message.has(id)) continue
    message.header(id)
    message.headers(id)
    message.list(id)
    message.hasOption(id, 'timer')
    for (const address of message.nameAddrs(id) ?? []) readAddress(address)
  }
  reasonsOf(message)
  parseSessionExpires(message)
  minSeOf(message)
  message.extension('x-unknown')
  void [message.contentType, message.hasSdp, message.body, message.parseTopmostVia()]
}

function readAddress(address: NameAddr): void {
  void [address.displayName, address.tag, address.param('q'), address.params]
  readUri(address.uri)
}

function readUri(uri: Uri): void {
  void [uri.user, uri.password, uri.host, uri.port, uri.params, uri.headers, uri.isLoose, uri.param('transport')]
  const again = parseUri(uri.text)
  assert.ok(again !== null && sameUri(uri, again), 'a URI equals itself')
  const aor = aorOf(uri)
  assert.equal(aor, aorOf(again))
}

class FrameLog implements FrameSink {
  readonly log: string[] = []
  onFrame(text: string): void {
    this.log.push(text)
  }
  onPing(): void {
    this.log.push('ping')
  }
  onPong(): void {
    this.log.push('pong')
  }
  onFrameError(code: string, reason: string, request: string | null): void {
    this.log.push(`${code} ${reason} ${request ?? ''}`)
  }
}

/** However a stream is cut, the framer finds the same, and holds no more than one message. */
export function fuzzFramer(text: string, random: () => number): void {
  const octets = Buffer.from(text, 'latin1')
  const whole = new FrameLog()
  new StreamFramer().push(octets, whole)
  const cut = new FrameLog()
  const framer = new StreamFramer()
  const lengthMax = Math.max(2, Math.ceil((2 * octets.length) / (1 + random() * CHUNKS_MAX)))
  for (let at = 0; at < octets.length; ) {
    const length = 1 + Math.floor(random() * lengthMax)
    framer.push(octets.subarray(at, at + length), cut)
    assert.ok(framer.waiting <= 65_535 + STREAM_HEADERS_OCTETS_MAX)
    at += length
  }
  assert.deepEqual(cut.log, whole.log)
  for (const frame of whole.log) if (frame.length > 4) fuzzMessage(frame.slice(0, 65_535))
}

/** Credentials and challenges, from any text. */
export function fuzzDigest(text: string): void {
  for (const scheme of ['', 'Digest ']) {
    parseCredentials(scheme + text)
    parseChallenge(scheme + text)
  }
}

const SOURCE = endpoint('198.51.100.7', 5_062)

/** Datagrams and a stream into a transport: it takes them all, answers at most once each, and forgets them. */
export function fuzzTransport(text: string, random: () => number): void {
  const ports = fakePorts()
  const seen: Message[] = []
  const user = {
    onRequest(request: Request, flow: Flow): void {
      seen.push(request)
      transport.flowForResponse(request, flow)
    },
    onResponse(response: Response): void {
      seen.push(response)
    },
    onListening(): void {},
    onListenFailed(): void {},
  }
  const listen = (['udp', 'tcp'] as const).map((protocol) => ({ transport: protocol, host: '192.0.2.1', port: 5_060 }))
  const transport = new SipTransport(ports, { listen, advertise: null, udpSizeMax: 1_300, tls: null }, user)
  transport.start()
  ports.net.bind()
  ports.net.sockets[0]?.receive(text.slice(0, 65_507), SOURCE)
  assert.ok((ports.net.sockets[0]?.sent.length ?? 0) <= 1)
  const connection = ports.net.listeners[0]?.accept(SOURCE)
  assert.ok(connection)
  const half = Math.floor(random() * text.length)
  connection?.receive(text.slice(0, half))
  connection?.receive(text.slice(half))
  ports.clock.pass(400_000)
  // The flow of a datagram's source is forgotten later, with its last use.
  const { flows, connections, waitingOctets } = transport.audit()
  assert.ok(flows <= 1 && connections === 0 && waitingOctets === 0, `${flows} ${connections} ${waitingOctets}`)
  for (const message of seen) void [message.topmostVia, message.from, message.to, message.cseq, message.callId]
}
