// One stream connection over node:net or node:tls, outgoing or accepted.

import type { Socket } from 'node:net'
import { assert } from '#core/assert.ts'
import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Connection, ConnectionSink, Endpoint, PeerCertificate } from '#core/net.ts'
import { frozenEndpoint } from '#host/endpoint-table.ts'
import { errorWord } from '#host/error-word.ts'

/** An outgoing connection has so long to be established, TLS handshake and all, in milliseconds. */
export const CONNECT_TIMEOUT_MS = 5_000
/** The far side has so long to close its half after ours; then the connection is dropped, in milliseconds. */
export const CLOSE_TIMEOUT_MS = 5_000
/** Idle time before the kernel asks whether the far side is still there, in milliseconds. */
export const KEEP_ALIVE_MS = 60_000
/** Octets that may wait for a far side that does not read; more breaks the connection with {@link QUEUE_FULL}. */
export const QUEUED_OCTETS_MAX = 4 * 1_024 * 1_024

/** The reason of a connection broken because its far side does not read. */
export const QUEUE_FULL = 'QUEUE_FULL'
/** The reason of a connection that either side closed in order. */
export const CLOSED = 'closed'

type State = 'opening' | 'open' | 'closing' | 'closed'

const NEXT: Readonly<Record<State, readonly State[]>> = {
  opening: ['open', 'closing', 'closed'],
  open: ['closing', 'closed'],
  closing: ['closed'],
  closed: [],
}

/** A connection on a socket of Node. The one who makes it says when it is open, and who its peer is. */
export class TcpConnection implements Connection, TimerOwner {
  readonly remote: Endpoint
  readonly secure: boolean
  peer: PeerCertificate | null = null
  readonly #clock: Clock
  readonly #timer = new Timer(this)
  #local: Endpoint
  #socket: Socket | null = null
  #sink: ConnectionSink | null = null
  #state: State = 'opening'
  #reason: string | null = null
  #onGone: (() => void) | null = null

  constructor(clock: Clock, remote: Endpoint, secure: boolean) {
    this.#clock = clock
    this.remote = remote
    this.secure = secure
    this.#local = frozenEndpoint(remote.family === 6 ? '::' : '0.0.0.0', 0, remote.family)
  }

  /** The wildcard address with port 0 until the connection is open. */
  get local(): Endpoint {
    return this.#local
  }

  get queuedOctets(): number {
    return this.#socket?.writableLength ?? 0
  }

  /** An outgoing connection begins; the caller calls {@link opened} when its socket is ready. */
  begin(socket: Socket, sink: ConnectionSink, onGone: () => void): void {
    this.#onGone = onGone
    this.#attach(socket, sink)
    this.#clock.arm(this.#timer, 'connect', CONNECT_TIMEOUT_MS)
  }

  /** An outgoing connection is established. */
  opened(): void {
    if (this.#state !== 'opening' || this.#reason !== null) return
    this.#takeLocal()
    this.#enter('open')
    this.#sink?.onOpen(this)
  }

  /** A connection was accepted; its sink is given by {@link taken}. */
  accepted(socket: Socket): void {
    this.#socket = socket
    this.#takeLocal()
    this.#enter('open')
  }

  /** The sink of an accepted connection. */
  taken(sink: ConnectionSink): void {
    const socket = this.#socket
    if (socket !== null) this.#attach(socket, sink)
  }

  /** Breaks the connection; the sink is told this reason, later. */
  fail(reason: string): void {
    this.#reason ??= reason
    if (this.#socket === null) setImmediate(() => this.#onClose())
    else this.#socket.destroy()
  }

  send(bytes: Uint8Array): void {
    const socket = this.#socket
    if (socket === null || this.#state === 'closing' || this.#state === 'closed' || socket.destroyed) return
    if (socket.writableLength + bytes.byteLength > QUEUED_OCTETS_MAX) this.fail(QUEUE_FULL)
    else socket.write(Buffer.from(bytes))
  }

  close(): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    this.#enter('closing')
    this.#clock.arm(this.#timer, 'close', CLOSE_TIMEOUT_MS)
    this.#reason ??= CLOSED
    this.#socket?.end()
  }

  abort(): void {
    if (this.#state === 'closed') return
    this.#reason ??= CLOSED
    this.#socket?.destroy()
  }

  /** For the clock: the connection was not established, or not closed by the far side, in its time. */
  onTimer(name: string): void {
    this.fail(name === 'connect' ? 'ETIMEDOUT' : CLOSED)
  }

  /** For a connection that could not even be tried: the sink is told, later. */
  refuse(sink: ConnectionSink, reason: string): void {
    this.#sink = sink
    this.fail(reason)
  }

  #attach(socket: Socket, sink: ConnectionSink): void {
    this.#socket = socket
    this.#sink = sink
    socket.on('data', (bytes: Buffer) => {
      if (this.#state === 'open') this.#sink?.onBytes(this, bytes)
    })
    socket.on('error', (error) => {
      this.#reason ??= errorWord(error)
    })
    socket.on('close', () => this.#onClose())
  }

  #takeLocal(): void {
    const { localAddress, localPort, localFamily } = this.#socket ?? {}
    if (localAddress === undefined || localPort === undefined) return
    this.#local = frozenEndpoint(localAddress, localPort, localFamily === 'IPv6' ? 6 : 4)
  }

  #onClose(): void {
    if (this.#state === 'closed') return
    this.#enter('closed')
    const sink = this.#sink
    this.#socket = null
    this.#sink = null
    this.#onGone?.()
    this.#onGone = null
    sink?.onClose(this, this.#reason ?? CLOSED)
  }

  #enter(next: State): void {
    assert(NEXT[this.#state].includes(next), `connection ${this.#state} -> ${next}`)
    this.#state = next
    this.#clock.cancel(this.#timer)
  }
}
