// The Net port of one simulated process.

import type {
  Connection,
  ConnectionSink,
  DatagramSink,
  DatagramSocket,
  DnsSink,
  DnsType,
  Endpoint,
  Listener,
  ListenerSink,
  Net,
  TlsContext,
} from '#core/net.ts'
import { sameEndpoint } from '#core/net.ts'
import { SimConnection } from '#sim/connection.ts'
import type { Machine } from '#sim/machine.ts'
import { isWildcard } from '#sim/machine.ts'
import type { Network } from '#sim/network.ts'
import { handshake } from '#sim/tls.ts'
import type { VirtualClock } from '#sim/virtual-clock.ts'

/** RFC 6298 §2: the first SYN is repeated after a second, then after two, four … */
const SYN_REPEAT_MS = 1_000
const SYN_REPETITIONS_MAX = 6

/** Everything a process opens, closed with it. */
export class SimNet implements Net {
  readonly #network: Network
  readonly #machine: Machine
  readonly #clock: VirtualClock
  readonly #open = new Set<{ shut(): void }>()

  constructor(network: Network, machine: Machine, clock: VirtualClock) {
    this.#network = network
    this.#machine = machine
    this.#clock = clock
  }

  /** Sockets and listeners open now. Connections are counted by the machine. */
  get openSockets(): number {
    return this.#open.size
  }

  udp(local: Endpoint, sink: DatagramSink): DatagramSocket {
    const machine = this.#machine
    const bound = this.#bind(local)
    const socket = new SimDatagramSocket(this.#network, machine, bound, sink, () => this.#open.delete(socket))
    const reason = this.#obstacle(machine.sockets, bound)
    if (reason === null) {
      machine.sockets.add(socket)
      this.#open.add(socket)
    }
    this.#clock.after(0, () => {
      if (reason !== null) sink.onSocketError(reason)
      else if (machine.sockets.has(socket)) sink.onListening(bound)
    })
    return socket
  }

  listen(local: Endpoint, tls: TlsContext | null, sink: ListenerSink): Listener {
    const machine = this.#machine
    const bound = this.#bind(local)
    const listener = new SimListener(machine, this.#clock, bound, tls, sink, () => this.#open.delete(listener))
    const reason = this.#obstacle(machine.listeners, bound)
    if (reason === null) {
      machine.listeners.add(listener)
      this.#open.add(listener)
    }
    this.#clock.after(0, () => {
      if (reason !== null) sink.onSocketError(reason)
      else if (machine.listeners.has(listener)) sink.onListening(bound)
    })
    return listener
  }

  connect(remote: Endpoint, tls: TlsContext | null, serverName: string | null, sink: ConnectionSink): Connection {
    const machine = this.#machine
    const host = machine.sourceFor(remote)
    const local = this.#network.endpoint(host ?? (remote.family === 6 ? '::' : '0.0.0.0'), machine.ephemeralPort())
    const number = ++this.#network.connectionsOpened
    remote = this.#network.endpoint(remote.host, remote.port)
    const connection = new SimConnection(this.#network, machine, local, remote, tls !== null, number)
    connection.sink = sink
    connection.clock = this.#clock
    if (host === null) this.#clock.after(0, () => connection.fail('ENETUNREACH'))
    else this.#synchronise(connection, tls, serverName, 0)
    return connection
  }

  resolve(name: string, type: DnsType, sink: DnsSink): void {
    const { delayMs, records, failure } = this.#network.dns.draw(name, type)
    this.#clock.after(delayMs, () => sink.onResolved(name, type, records, failure))
  }

  /** The process is gone: its kernel closes what it had open. */
  kill(power: boolean): void {
    for (const one of [...this.#open]) one.shut()
    for (const connection of [...this.#machine.connections]) {
      if (power) connection.vanish()
      else connection.kill()
    }
  }

  #bind(local: Endpoint): Endpoint {
    return this.#network.endpoint(local.host, local.port === 0 ? this.#machine.ephemeralPort() : local.port)
  }

  #obstacle(open: Iterable<{ readonly local: Endpoint }>, local: Endpoint): string | null {
    if (!isWildcard(local.host) && !this.#machine.owns(local.host)) return 'EADDRNOTAVAIL'
    return this.#machine.isTaken(open, local) ? 'EADDRINUSE' : null
  }

  /** Sends the SYN, and again while nothing comes back. */
  #synchronise(connection: SimConnection, tls: TlsContext | null, serverName: string | null, attempt: number): void {
    if (connection.state !== 'connecting') return
    const network = this.#network
    if (attempt > SYN_REPETITIONS_MAX) {
      connection.fail('ETIMEDOUT')
      return
    }
    const again = (): void => {
      this.#clock.after(SYN_REPEAT_MS * 2 ** attempt, () => this.#synchronise(connection, tls, serverName, attempt + 1))
    }
    const departure = network.depart(this.#machine, 'tcp', connection.local, connection.remote)
    if (departure === null) {
      this.#clock.after(0, () => connection.fail('ENETUNREACH'))
      return
    }
    const link = departure.receiver === null ? null : network.link(this.#machine, departure.receiver)
    const delayMs = link?.draw(0)[0]
    if (link === null || delayMs === undefined) {
      again()
      return
    }
    this.#clock.after(delayMs, () => {
      if (connection.state !== 'connecting') return
      const arrival = network.arrive(departure, 'tcp', connection.remote)
      if (arrival === null || !arrival.machine.up) {
        again()
        return
      }
      const backMs = link.delayMs()
      const listener = arrival.machine.listenerFor(arrival.local)
      if (listener === null) {
        this.#clock.after(backMs, () => connection.fail('ECONNREFUSED'))
        return
      }
      const shaken = handshake(tls, serverName, listener.tls)
      if (typeof shaken === 'string') {
        this.#clock.after(backMs + 2 * link.options.latencyMs, () => connection.fail(shaken))
        return
      }
      const { number } = connection
      const other = new SimConnection(network, arrival.machine, arrival.local, departure.source, tls !== null, number)
      other.state = 'open'
      other.peer = shaken.clientSeenByServer
      other.other = connection
      other.accept = () => {
        // Two connections cannot have the same ends: the one that a NAT forgot is reset by the new one (RFC 9293 §3.10.7.4).
        for (const one of arrival.machine.connections)
          if (one !== other && isSamePath(one, other)) one.fail('ECONNRESET')
        listener.accept(other)
      }
      // TLS 1.3 takes one more round trip before the client may send.
      const openMs = tls === null ? backMs : backMs + 2 * link.delayMs()
      this.#clock.after(openMs, () => {
        if (connection.state !== 'connecting') {
          other.fail('ECONNRESET')
          return
        }
        connection.peer = shaken.serverSeenByClient
        connection.other = other
        connection.open()
      })
    })
  }
}

export class SimDatagramSocket implements DatagramSocket {
  readonly local: Endpoint
  readonly #network: Network
  readonly #machine: Machine
  readonly #sink: DatagramSink
  readonly #closed: () => void
  #open = true

  constructor(network: Network, machine: Machine, local: Endpoint, sink: DatagramSink, closed: () => void) {
    this.#network = network
    this.#machine = machine
    this.local = local
    this.#sink = sink
    this.#closed = closed
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    if (!this.#open || !this.#machine.sockets.has(this)) return
    const host = isWildcard(this.local.host) ? this.#machine.sourceFor(to) : this.local.host
    if (host === null || this.local.family !== to.family) return
    const source = this.#network.endpoint(host, this.local.port)
    this.#network.sendDatagram(this.#machine, source, this.#network.endpoint(to.host, to.port), bytes)
  }

  close(): void {
    this.shut()
  }

  shut(): void {
    this.#open = false
    this.#machine.sockets.delete(this)
    this.#closed()
  }

  deliver(bytes: Uint8Array, source: Endpoint): void {
    const buffer = Uint8Array.from(bytes)
    this.#sink.onDatagram(buffer, source)
    // What is kept of the buffer after the call would be rubbish on a real host too.
    buffer.fill(0xee)
  }
}

export class SimListener implements Listener {
  readonly local: Endpoint
  tls: TlsContext | null
  readonly #machine: Machine
  readonly #clock: VirtualClock
  readonly #sink: ListenerSink
  readonly #closed: () => void

  constructor(
    machine: Machine,
    clock: VirtualClock,
    local: Endpoint,
    tls: TlsContext | null,
    sink: ListenerSink,
    closed: () => void,
  ) {
    this.#clock = clock
    this.#machine = machine
    this.local = local
    this.tls = tls
    this.#sink = sink
    this.#closed = closed
  }

  replaceTls(tls: TlsContext): void {
    this.tls = tls
  }

  close(): void {
    this.shut()
  }

  shut(): void {
    this.#machine.listeners.delete(this)
    this.#closed()
  }

  /** Hands a connection to the process, or resets it when the process will not have it or is gone. */
  accept(connection: SimConnection): void {
    connection.clock = this.#clock
    const sink = this.#machine.listeners.has(this) ? this.#sink.onAccept(connection) : null
    if (sink === null) connection.kill()
    else connection.sink = sink
  }
}

function isSamePath(one: SimConnection, other: SimConnection): boolean {
  return one.state === 'open' && sameEndpoint(one.remote, other.remote) && sameEndpoint(one.local, other.local)
}
