// A UDP socket that carries SIP: RFC 3261 §18; keep-alives of RFC 5626 §3.5 and §4.4.2 beside it.
// Hot path: every datagram passes here, and garbage must be cheap.

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import type { DatagramSink, DatagramSocket, Endpoint } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { Flow, type FlowWatcher } from '#sip/flow.ts'
import { type ListenerWatcher, type Listening, REOPEN_AFTER_MS } from '#sip/listening.ts'
import type { Message, Request } from '#sip/message.ts'
import type { MessageIntake } from '#sip/message-intake.ts'
import type { OwnAddresses } from '#sip/own-addresses.ts'
import { TrafficCounters } from '#sip/traffic-counters.ts'
import { BINDING_ANSWER_OCTETS_MAX, BindingResponder } from '#stun/binding-responder.ts'

/** Flow objects kept for each socket; they hold no state, so one that was dropped is made again. */
export const UDP_FLOWS_MAX = 65_536
/** What one UDP datagram can carry over IPv4 (RFC 768, RFC 791). */
export const DATAGRAM_OCTETS_MAX = 65_507
/** Nothing this short is SIP; it is some device's keep-alive (CRLF, double CRLF, zero octets). */
const KEEP_ALIVE_OCTETS_MAX = 4
/** The shortest start line and Via are longer than this. */
const MESSAGE_OCTETS_MIN = 24

/** Octets that a message may begin with: a token's (§25.1), or the CR of an empty line before it (§7.5). */
const STARTS_MESSAGE: Uint8Array = (() => {
  const table = new Uint8Array(256)
  for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~\r")
    table[c.charCodeAt(0)] = 1
  return table
})()

/** A UDP flow: the socket and one remote address. */
export class UdpFlow extends Flow {
  readonly #listener: UdpListener

  constructor(listener: UdpListener, remote: Endpoint, sentBy: string) {
    super('udp', remote, sentBy)
    this.#listener = listener
  }

  override get local(): Endpoint {
    return this.#listener.local
  }

  override send(text: string): void {
    this.#listener.send(text, this.remote)
  }

  /** To the source address and port when the client asked for it by rport, else to the port of sent-by there. */
  override forResponse(request: Request): Flow {
    const via = request.parseTopmostVia()
    if (via === null || via.param('rport') !== null) return this
    const port = via.port ?? 5060
    const { host, family } = this.remote
    return port === this.remote.port ? this : new UdpFlow(this.#listener, { host, port, family }, this.sentBy)
  }

  /** UDP flows never close: there is nothing to tell. */
  override watch(_watcher: FlowWatcher): void {}

  override unwatch(_watcher: FlowWatcher): void {}
}

export class UdpListener implements DatagramSink, Listening, TimerOwner {
  readonly transport = 'udp'
  local: Endpoint
  bound = false
  readonly #ports: Ports
  readonly #own: OwnAddresses
  readonly #intake: MessageIntake
  readonly #watcher: ListenerWatcher
  readonly #reopen = new Timer(this)
  readonly #sent: TrafficCounters
  readonly #garbage: Counter
  readonly #keepAlives: Counter
  readonly #bindings: Counter
  readonly #unsent: Counter
  readonly #buffer = Buffer.allocUnsafeSlow(DATAGRAM_OCTETS_MAX)
  readonly #answer = new Uint8Array(BINDING_ANSWER_OCTETS_MAX)
  readonly #responder = new BindingResponder()
  #socket: DatagramSocket | null = null
  #wasBound = false
  #stopped = false
  // Two generations: when the young one is full it becomes the old one, and what was in that is forgotten.
  #young = new Map<Endpoint, UdpFlow>()
  #old = new Map<Endpoint, UdpFlow>()

  constructor(ports: Ports, local: Endpoint, own: OwnAddresses, intake: MessageIntake, watcher: ListenerWatcher) {
    this.#ports = ports
    this.local = local
    this.#own = own
    this.#intake = intake
    this.#watcher = watcher
    const { counters } = ports
    this.#sent = new TrafficCounters(counters, 'udp', 'sent')
    this.#garbage = counters.counter('carillon_sip_garbage_datagrams_total', 'Datagrams dropped by their first octets.')
    this.#keepAlives = counters.counter('carillon_sip_keep_alives_total{transport="udp"}', 'Keep-alives received.')
    this.#bindings = counters.counter('carillon_stun_bindings_total', 'STUN requests answered on SIP sockets.')
    this.#unsent = counters.counter('carillon_sip_unsent_total{transport="udp"}', 'Messages dropped instead of sent.')
  }

  /** Flow objects kept now. */
  get flowCount(): number {
    return this.#young.size + this.#old.size
  }

  start(): void {
    this.#socket = this.#ports.net.udp(this.local, this)
  }

  stop(): void {
    this.#stopped = true
    this.bound = false
    this.#ports.clock.cancel(this.#reopen)
    this.#socket?.close()
    this.#socket = null
    this.#young.clear()
    this.#old.clear()
  }

  send(text: string, remote: Endpoint): void {
    const socket = this.#socket
    if (socket === null || text.length > DATAGRAM_OCTETS_MAX) {
      this.#unsent.add()
      return
    }
    const octets = this.#buffer.write(text, 'latin1')
    socket.send(this.#buffer.subarray(0, octets), remote)
    this.#sent.countText(text)
  }

  onDatagram(bytes: Uint8Array, source: Endpoint): void {
    const length = bytes.length
    if (length < MESSAGE_OCTETS_MIN) {
      this.#onShort(bytes, source)
      return
    }
    const first = bytes[0] as number
    if (STARTS_MESSAGE[first] === 0) {
      // RFC 8489 §5: a STUN message begins with two zero bits; SIP never does, CR apart.
      if (first < 4) this.#onStun(bytes, source)
      else this.#garbage.add()
      return
    }
    this.#intake.receive(latin1(bytes), source, this)
  }

  onListening(local: Endpoint): void {
    this.local = local
    this.bound = true
    this.#wasBound = true
    this.#watcher.onBound(this)
  }

  onSocketError(reason: string): void {
    this.#socket = null
    this.bound = false
    if (this.#stopped) return
    if (!this.#wasBound) {
      this.#watcher.onBindFailed(this, reason)
      return
    }
    this.#ports.log.event('error', 'SIP_LISTENER_BROKEN', {
      transport: 'udp',
      host: this.local.host,
      port: this.local.port,
      reason,
    })
    this.#ports.clock.arm(this.#reopen, 'reopen', REOPEN_AFTER_MS)
  }

  onTimer(_name: string): void {
    this.start()
  }

  /** The flow between this socket and `remote`. */
  flowTowards(remote: Endpoint, _message: Message | null): Flow {
    let flow = this.#young.get(remote)
    if (flow !== undefined) return flow
    flow = this.#old.get(remote) ?? new UdpFlow(this, remote, this.#own.sentBy(this.local, remote))
    if (this.#young.size >= UDP_FLOWS_MAX / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(remote, flow)
    return flow
  }

  #onShort(bytes: Uint8Array, source: Endpoint): void {
    if (bytes.length <= KEEP_ALIVE_OCTETS_MAX) this.#keepAlives.add()
    else if ((bytes[0] as number) < 4) this.#onStun(bytes, source)
    else this.#garbage.add()
  }

  #onStun(bytes: Uint8Array, source: Endpoint): void {
    const octets = this.#responder.answer(bytes, source, this.#answer)
    if (octets === 0) {
      this.#garbage.add()
      return
    }
    this.#bindings.add()
    this.#socket?.send(this.#answer.subarray(0, octets), source)
  }
}

/** One character an octet; no Buffer object is made where the socket brings one. */
function latin1(bytes: Uint8Array): string {
  if (bytes instanceof Buffer) return bytes.toString('latin1')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}
