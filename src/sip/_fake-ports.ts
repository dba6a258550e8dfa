// Ports for this folder's tests: a clock that is turned by hand and a network whose far side is the test.

import type { Clock, Timer } from '#core/clock.ts'
import { Counters } from '#core/counters.ts'
import type { Fields, Log, LogLevel } from '#core/log.ts'
import type {
  Connection,
  ConnectionSink,
  DatagramSink,
  DatagramSocket,
  DnsRecord,
  DnsSink,
  DnsType,
  Endpoint,
  Listener,
  ListenerSink,
  Net,
  PeerCertificate,
  TlsContext,
} from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Random } from '#core/random.ts'
import type { Store } from '#core/store.ts'

/** An endpoint; the family follows from the host. */
export function endpoint(host: string, port: number): Endpoint {
  return { host, port, family: host.includes(':') ? 6 : 4 }
}

/** Virtual time. */
export class FakeClock implements Clock {
  nowMs = 1_000
  readonly #armed = new Set<Timer>()

  get armed(): number {
    return this.#armed.size
  }

  now(): number {
    return this.nowMs
  }

  wallMs(): number {
    return 1_767_225_600_000 + this.nowMs
  }

  arm(timer: Timer, name: string, delayMs: number): void {
    timer.name = name
    timer.deadlineMs = this.nowMs + delayMs
    timer.armed = true
    // Arming again moves it behind those of the same instant.
    this.#armed.delete(timer)
    this.#armed.add(timer)
  }

  cancel(timer: Timer): void {
    timer.armed = false
    this.#armed.delete(timer)
  }

  /** Lets `ms` pass, firing what is due in order. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms
    for (;;) {
      let next: Timer | null = null
      for (const timer of this.#armed) if (next === null || timer.deadlineMs < next.deadlineMs) next = timer
      if (next === null || next.deadlineMs > untilMs) break
      this.nowMs = Math.max(this.nowMs, next.deadlineMs)
      this.cancel(next)
      next.owner.onTimer(next.name)
    }
    this.nowMs = untilMs
  }
}

/** A linear congruential generator: enough for tests, the same every time. */
export class FakeRandom implements Random {
  #state: number

  constructor(seed = 1) {
    this.#state = seed >>> 0
  }

  uint32(): number {
    // The high halves of two steps: the low bits of such a generator repeat soon.
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    const high = this.#state >>> 16
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return ((high << 16) | (this.#state >>> 16)) >>> 0
  }

  bytes(target: Uint8Array): void {
    for (let i = 0; i < target.length; i += 1) target[i] = this.uint32() & 255
  }
}

/** One connection; the test is the far side. */
export class FakeConnection implements Connection {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly secure: boolean
  readonly serverName: string | null
  readonly tls: TlsContext | null
  peer: PeerCertificate | null = null
  queuedOctets = 0
  /** All that was sent, one character an octet. */
  sent = ''
  ended: 'close' | 'abort' | null = null
  sink: ConnectionSink | null = null

  constructor(local: Endpoint, remote: Endpoint, tls: TlsContext | null, serverName: string | null) {
    this.local = local
    this.remote = remote
    this.secure = tls !== null
    this.tls = tls
    this.serverName = serverName
  }

  send(bytes: Uint8Array): void {
    this.sent += Buffer.from(bytes).toString('latin1')
  }

  close(): void {
    this.ended ??= 'close'
  }

  abort(): void {
    this.ended ??= 'abort'
  }

  /** The far side sends. */
  receive(text: string): void {
    this.sink?.onBytes(this, Buffer.from(text, 'latin1'))
  }
}

export class FakeDatagramSocket implements DatagramSocket {
  readonly local: Endpoint
  readonly sink: DatagramSink
  readonly sent: { readonly text: string; readonly to: Endpoint }[] = []
  closed = false

  constructor(local: Endpoint, sink: DatagramSink) {
    this.local = local
    this.sink = sink
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    this.sent.push({ text: Buffer.from(bytes).toString('latin1'), to })
  }

  close(): void {
    this.closed = true
  }

  /** A datagram arrives. Its memory is overwritten afterwards, as a socket may do. */
  receive(text: string, source: Endpoint): void {
    const bytes = Buffer.from(text, 'latin1')
    this.sink.onDatagram(bytes, source)
    bytes.fill(0xee)
  }
}

export class FakeListener implements Listener {
  readonly local: Endpoint
  readonly sink: ListenerSink
  tls: TlsContext | null
  closed = false

  constructor(local: Endpoint, tls: TlsContext | null, sink: ListenerSink) {
    this.local = local
    this.tls = tls
    this.sink = sink
  }

  replaceTls(tls: TlsContext): void {
    this.tls = tls
  }

  close(): void {
    this.closed = true
  }

  /** The far side connects; null when it is refused. */
  accept(remote: Endpoint, peer: PeerCertificate | null = null): FakeConnection | null {
    const connection = new FakeConnection(this.local, remote, this.tls, null)
    connection.peer = peer
    connection.sink = this.sink.onAccept(connection)
    return connection.sink === null ? null : connection
  }
}

interface Question {
  readonly name: string
  readonly type: DnsType
  readonly sink: DnsSink
}

export class FakeNet implements Net {
  readonly sockets: FakeDatagramSocket[] = []
  readonly listeners: FakeListener[] = []
  readonly connections: FakeConnection[] = []
  /** Every question asked. */
  readonly asked: string[] = []
  readonly #questions: Question[] = []

  udp(local: Endpoint, sink: DatagramSink): DatagramSocket {
    const socket = new FakeDatagramSocket(local, sink)
    this.sockets.push(socket)
    return socket
  }

  listen(local: Endpoint, tls: TlsContext | null, sink: ListenerSink): Listener {
    const listener = new FakeListener(local, tls, sink)
    this.listeners.push(listener)
    return listener
  }

  connect(remote: Endpoint, tls: TlsContext | null, serverName: string | null, sink: ConnectionSink): Connection {
    const local = endpoint(remote.family === 6 ? '2001:db8::1' : '192.0.2.1', 40_000 + this.connections.length)
    const connection = new FakeConnection(local, remote, tls, serverName)
    connection.sink = sink
    this.connections.push(connection)
    return connection
  }

  resolve(name: string, type: DnsType, sink: DnsSink): void {
    this.asked.push(`${type} ${name}`)
    this.#questions.push({ name, type, sink })
  }

  /** Binds everything that was opened. */
  bind(): void {
    for (const { sink, local } of this.sockets) sink.onListening(local)
    for (const { sink, local } of this.listeners) sink.onListening(local)
  }

  /** Answers all questions, and those that follow, from `zone`: records by "TYPE name", or the word of a failure. */
  answer(zone: Readonly<Record<string, readonly DnsRecord[] | string>>): void {
    for (let question = this.#questions.shift(); question !== undefined; question = this.#questions.shift()) {
      const { name, type, sink } = question
      const found = zone[`${type} ${name}`] ?? []
      if (typeof found === 'string') sink.onResolved(name, type, [], found)
      else sink.onResolved(name, type, found, null)
    }
  }
}

/** What was logged. */
export class FakeLog implements Log {
  readonly events: { readonly level: LogLevel; readonly code: string; readonly fields: Fields }[] = []

  event(level: LogLevel, code: string, fields: Fields): void {
    this.events.push({ level, code, fields })
  }
}

export interface FakePorts extends Ports {
  readonly clock: FakeClock
  readonly net: FakeNet
  readonly log: FakeLog
}

/** A fresh set of ports. Nothing in this folder stores anything. */
export function fakePorts(seed = 1): FakePorts {
  return {
    clock: new FakeClock(),
    random: new FakeRandom(seed),
    net: new FakeNet(),
    store: {} as Store,
    log: new FakeLog(),
    counters: new Counters(),
  }
}

/** The value of a counter or gauge; 0 when there is none of that name. */
export function counted(ports: Ports, name: string): number {
  return ports.counters.snapshot().find((row) => row.name === name)?.value ?? 0
}
