// How a simulated agent gets SIP messages in and out: one UDP socket and TCP connections, both ways.

import type { Connection, ConnectionSink, DatagramSink, DatagramSocket, Endpoint, ListenerSink } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { familyOf } from '#sim/machine.ts'
import { SipText } from '#sim/sip-text.ts'
import { simTls } from '#sim/tls.ts'

/** Where a message came from or goes: a connection, or an address for datagrams. */
export interface Way {
  readonly connection: Connection | null
  readonly remote: Endpoint
}

export interface WireUser {
  onMessage(message: SipText, way: Way): void
  /** A connection is gone; requests on it get no answer. */
  onWayLost(connection: Connection): void
}

/** Telephones have no certificate and trust the authority of the simulation. */
const TLS = simTls({ names: [], issuer: '', trusts: ['authority'], verifyServers: true })
const ENCODER = new TextEncoder()

export class AgentWire implements DatagramSink, ConnectionSink, ListenerSink {
  readonly #ports: Ports
  readonly #user: WireUser
  readonly #socket: DatagramSocket
  readonly #streams = new Map<Connection, string>()
  readonly #outgoing = new Map<string, Connection>()
  /** Datagrams and stream contents that were not SIP. */
  rubbish = 0

  constructor(ports: Ports, host: string, port: number, user: WireUser) {
    this.#ports = ports
    this.#user = user
    const local = { host, port, family: familyOf(host) }
    this.#socket = ports.net.udp(local, this)
    ports.net.listen(local, null, this)
  }

  /** The way to `remote`, which for TCP is the connection that is open or is opened now. */
  way(remote: Endpoint, transport: string): Way {
    if (transport === 'udp') return { connection: null, remote }
    const key = `${remote.host} ${remote.port}`
    let connection = this.#outgoing.get(key)
    if (connection === undefined) {
      connection = this.#ports.net.connect(remote, transport === 'tls' ? TLS : null, null, this)
      this.#outgoing.set(key, connection)
      this.#streams.set(connection, '')
    }
    return { connection, remote }
  }

  send(text: string, way: Way): void {
    // The text is latin1 of the octets; agents write ASCII.
    const bytes = ENCODER.encode(text)
    if (way.connection === null) {
      this.#socket.send(bytes, way.remote)
      return
    }
    // RFC 3261 §18.2.2: over a new connection when the old one is gone.
    const isGone = !this.#streams.has(way.connection)
    const connection = isGone ? this.way(way.remote, way.connection.secure ? 'tls' : 'tcp').connection : way.connection
    connection?.send(bytes)
  }

  onDatagram(bytes: Uint8Array, source: Endpoint): void {
    this.#receive(latin1(bytes), { connection: null, remote: source })
  }

  onAccept(connection: Connection): ConnectionSink {
    this.#streams.set(connection, '')
    return this
  }

  onListening(): void {}
  onSocketError(): void {}
  onOpen(): void {}

  onBytes(connection: Connection, bytes: Uint8Array): void {
    let text = (this.#streams.get(connection) ?? '') + latin1(bytes)
    for (;;) {
      // RFC 5626 §3.5.1: CRLF between messages is a keep-alive.
      while (text.startsWith('\r\n')) text = text.slice(2)
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) break
      const length = /\r\n(?:content-length|l)[ \t]*:[ \t]*(\d+)/i.exec(text.slice(0, end))
      const size = end + 4 + Number(length?.[1] ?? 0)
      if (text.length < size) break
      const message = text.slice(0, size)
      text = text.slice(size)
      this.#receive(message, { connection, remote: connection.remote })
    }
    if (this.#streams.has(connection)) this.#streams.set(connection, text)
  }

  onClose(connection: Connection): void {
    this.#streams.delete(connection)
    for (const [key, one] of this.#outgoing) if (one === connection) this.#outgoing.delete(key)
    this.#user.onWayLost(connection)
  }

  #receive(text: string, way: Way): void {
    const message = SipText.parse(text)
    if (typeof message === 'string') this.rubbish++
    else this.#user.onMessage(message, way)
  }
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}
