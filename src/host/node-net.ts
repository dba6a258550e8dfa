// The Net port of a process: datagram sockets, listeners, connections and names on Node.

import type { Clock } from '#core/clock.ts'
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
import { Dns, type DnsOptions } from '#host/dns.ts'
import { EndpointTable } from '#host/endpoint-table.ts'
import { type LinuxSockets, linuxSockets } from '#host/linux-sockets.ts'
import { openConnection, TcpListener } from '#host/tcp.ts'
import { TcpConnection } from '#host/tcp-connection.ts'
import { UdpSocket } from '#host/udp.ts'
import { BatchedUdpSocket } from '#host/udp-batched.ts'

/** Outgoing connections at a time; more are refused with {@link CONNECTIONS_MAX_REACHED}. */
export const OUTGOING_CONNECTIONS_MAX = 20_000

export const CONNECTIONS_MAX_REACHED = 'CONNECTIONS_MAX'

/** How the network is used. */
export interface NodeNetOptions {
  /** Lets several switch processes bind the same addresses; the kernel spreads the sources among them. */
  readonly reusePort?: boolean
  /** Accepted connections of each listener. */
  readonly connectionsMax?: number
  /** Time for a client's TLS handshake. */
  readonly handshakeTimeoutMs?: number
  readonly dns?: DnsOptions
  /** False: node:dgram also where recvmmsg and sendmmsg are there (decision 0003). */
  readonly batchedUdp?: boolean
}

/** Sockets of the operating system. */
export class NodeNet implements Net {
  readonly #clock: Clock
  readonly #onFault: (error: unknown) => void
  readonly #options: NodeNetOptions
  readonly #endpoints = new EndpointTable()
  readonly #dns: Dns
  /** Looked for when the first datagram socket is opened. */
  #linux: LinuxSockets | null | undefined
  #outgoing = 0
  readonly #onGone = (): void => {
    this.#outgoing--
  }

  /** `onFault` is told what has no sink of its own, such as a replaced certificate that is not usable. */
  constructor(clock: Clock, onFault: (error: unknown) => void, options: NodeNetOptions = {}) {
    this.#clock = clock
    this.#onFault = onFault
    this.#options = options
    this.#dns = new Dns(options.dns)
  }

  udp(local: Endpoint, sink: DatagramSink): DatagramSocket {
    const options = { reusePort: this.#options.reusePort === true }
    if (this.#linux === undefined) this.#linux = this.#options.batchedUdp === false ? null : linuxSockets()
    return this.#linux === null
      ? new UdpSocket(local, sink, this.#endpoints, options)
      : new BatchedUdpSocket(this.#linux, local, sink, this.#endpoints, options)
  }

  listen(local: Endpoint, tls: TlsContext | null, sink: ListenerSink): Listener {
    return new TcpListener(this.#clock, local, tls, sink, this.#onFault, this.#options)
  }

  connect(remote: Endpoint, tls: TlsContext | null, serverName: string | null, sink: ConnectionSink): Connection {
    if (this.#outgoing >= OUTGOING_CONNECTIONS_MAX) {
      const refused = new TcpConnection(this.#clock, remote, tls !== null)
      refused.refuse(sink, CONNECTIONS_MAX_REACHED)
      return refused
    }
    this.#outgoing++
    return openConnection(this.#clock, remote, tls, serverName, sink, this.#onGone)
  }

  resolve(name: string, type: DnsType, sink: DnsSink): void {
    this.#dns.resolve(name, type, sink)
  }
}
