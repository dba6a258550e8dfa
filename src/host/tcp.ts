// Listeners and outgoing connections over TCP and TLS: RFC 3261 §18, §26.2; RFC 5922; TLS 1.2 or later.

import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls'
import type { Clock } from '#core/clock.ts'
import type { Connection, ConnectionSink, Endpoint, Listener, ListenerSink, TlsContext } from '#core/net.ts'
import { frozenEndpoint } from '#host/endpoint-table.ts'
import { errorWord } from '#host/error-word.ts'
import { KEEP_ALIVE_MS, TcpConnection } from '#host/tcp-connection.ts'
import { isIntendedServer, peerCertificate } from '#host/tls-peer.ts'

/** Accepted connections of one listener, those still in their handshake too; more are dropped at once. */
export const LISTENER_CONNECTIONS_MAX = 50_000
/** Connections the kernel may hold ready for a listener, when the system allows as many. */
const BACKLOG = 4_096
/** A client has so long to complete its TLS handshake, in milliseconds. */
export const HANDSHAKE_TIMEOUT_MS = 5_000

/** The reason when a certificate, key or authority is not usable. */
export const TLS_CONTEXT = 'TLS_CONTEXT'
/** The reason when the far side is not whom it should be. */
export const TLS_VERIFY = 'TLS_VERIFY'

const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const

/** What a listener is opened with beyond its address. */
export interface ListenOptions {
  /** Lets several processes listen on the same address. */
  readonly reusePort?: boolean
  readonly connectionsMax?: number
  readonly handshakeTimeoutMs?: number
}

function secureOptions(tls: TlsContext): SecureContextOptions {
  return {
    minVersion: 'TLSv1.2',
    ...(tls.certificate === '' ? {} : { cert: tls.certificate, key: tls.key }),
    ...(tls.authorities === null ? {} : { ca: tls.authorities }),
  }
}

/** The word for what Node threw while a socket was being made: a bad address or port has its own, the rest is the context. */
function openingWord(error: unknown): string {
  const word = errorWord(error)
  return word.startsWith('ERR_SOCKET') || word.startsWith('ERR_INVALID') ? word : TLS_CONTEXT
}

/** Why the TLS library does not take this certificate, key or authority: a sentence of its own; null when it does. */
export function tlsContextProblem(tls: TlsContext): string | null {
  try {
    createSecureContext(secureOptions(tls))
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** A listener for TCP, or for TLS when it has a context. */
export class TcpListener implements Listener {
  readonly #clock: Clock
  readonly #sink: ListenerSink
  readonly #onFault: (error: unknown) => void
  readonly #secure: boolean
  #verifyClients = false
  #server: Server | null = null
  #bound = false
  #closed = false

  /** `onFault` is told of a new TLS context that is not usable; the old one stays then. */
  constructor(
    clock: Clock,
    local: Endpoint,
    tls: TlsContext | null,
    sink: ListenerSink,
    onFault: (error: unknown) => void,
    options: ListenOptions = {},
  ) {
    this.#clock = clock
    this.#sink = sink
    this.#onFault = onFault
    this.#secure = tls !== null
    try {
      const server = tls === null ? this.#openTcp() : this.#openTls(tls, options)
      this.#server = server
      server.maxConnections = options.connectionsMax ?? LISTENER_CONNECTIONS_MAX
      server.on('listening', () => this.#onListening())
      server.on('error', (error) => this.#onError(errorWord(error)))
      server.listen({
        host: local.host,
        port: local.port,
        ipv6Only: local.family === 6,
        backlog: BACKLOG,
        exclusive: true,
        ...(options.reusePort === true ? { reusePort: true } : {}),
      })
    } catch (error) {
      setImmediate(() => this.#onError(openingWord(error)))
    }
  }

  replaceTls(tls: TlsContext): void {
    if (this.#server === null || !this.#secure) return
    try {
      // Node asks for client certificates by the settings of the server's start, so only the material changes.
      ;(this.#server as TlsServer).setSecureContext(secureOptions(tls))
    } catch (error) {
      this.#onFault(error)
    }
  }

  close(): void {
    this.#closed = true
    this.#server?.close()
    this.#server = null
  }

  #openTcp(): Server {
    return createServer(SOCKET_OPTIONS, (socket) => this.#onConnection(socket, null))
  }

  #openTls(tls: TlsContext, options: ListenOptions): TlsServer {
    this.#verifyClients = tls.verifyClients
    const server = createTlsServer(
      {
        ...SOCKET_OPTIONS,
        ...secureOptions(tls),
        requestCert: tls.verifyClients,
        rejectUnauthorized: tls.verifyClients,
        handshakeTimeout: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
      },
      (socket) => this.#onConnection(socket, socket),
    )
    // A handshake that fails is the client's affair; its socket is gone already.
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    return server
  }

  #onConnection(socket: Socket, tlsSocket: TLSSocket | null): void {
    const { remoteAddress, remotePort, remoteFamily } = socket
    if (this.#closed || remoteAddress === undefined || remotePort === undefined) {
      // It was closed before anybody looked at it.
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    const remote = frozenEndpoint(remoteAddress, remotePort, remoteFamily === 'IPv6' ? 6 : 4)
    const connection = new TcpConnection(this.#clock, remote, tlsSocket !== null)
    if (tlsSocket !== null && this.#verifyClients) connection.peer = peerCertificate(tlsSocket)
    connection.accepted(socket)
    const sink = this.#sink.onAccept(connection)
    if (sink === null) {
      socket.on('error', () => {})
      socket.destroy()
    } else connection.taken(sink)
  }

  #onListening(): void {
    const address = this.#server?.address() ?? null
    if (address === null || typeof address === 'string') return
    this.#bound = true
    this.#sink.onListening(frozenEndpoint(address.address, address.port, address.family === 'IPv6' ? 6 : 4))
  }

  #onError(reason: string): void {
    // Once bound, an error is one of accepting: out of descriptors, or the client is gone. The next one may go well.
    if (this.#closed || this.#bound) return
    this.#closed = true
    this.#server?.close()
    this.#server = null
    this.#sink.onSocketError(reason)
  }
}

/** Opens a connection; what becomes of it the sink is told. `onGone` is called when it is over. */
export function openConnection(
  clock: Clock,
  remote: Endpoint,
  tls: TlsContext | null,
  serverName: string | null,
  sink: ConnectionSink,
  onGone: () => void,
): Connection {
  const connection = new TcpConnection(clock, remote, tls !== null)
  try {
    if (tls === null) {
      const socket = connectTcp({ host: remote.host, port: remote.port, ...SOCKET_OPTIONS })
      connection.begin(socket, sink, onGone)
      socket.on('connect', () => connection.opened())
    } else openSecure(connection, tls, serverName, sink, onGone)
  } catch (error) {
    onGone()
    connection.refuse(sink, openingWord(error))
  }
  return connection
}

function openSecure(
  connection: TcpConnection,
  tls: TlsContext,
  serverName: string | null,
  sink: ConnectionSink,
  onGone: () => void,
): void {
  const { host, port } = connection.remote
  // The library's own verdict is not taken but made below, so that it has one name and RFC 5922's rules for the domain.
  const socket = connectTls({
    host,
    port,
    ...secureOptions(tls),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...(serverName === null ? {} : { servername: serverName }),
  })
  socket.setNoDelay(true)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  connection.begin(socket, sink, onGone)
  socket.on('secureConnect', () => {
    connection.peer = peerCertificate(socket)
    if (tls.verifyServers && !isIntendedServer(socket, serverName, host, tls.authorities !== null)) {
      connection.fail(TLS_VERIFY)
    } else connection.opened()
  })
}
