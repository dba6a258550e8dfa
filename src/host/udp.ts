// Datagram sockets on node:dgram. Hot path: a datagram costs no closure, promise or object of ours.

import { createSocket, type RemoteInfo, type Socket, type SocketOptions } from 'node:dgram'
import type { DatagramSink, DatagramSocket, Endpoint } from '#core/net.ts'
import { type EndpointTable, frozenEndpoint } from '#host/endpoint-table.ts'
import { errorWord } from '#host/error-word.ts'

/**
 * The kernel's buffers of one socket, when the system allows as much. The kernel counts some 2.3 kB for a message and doubles
 * what is asked for: 7,000 messages, a quarter of a second of a switch at its limit. More would only make answers late.
 */
export const RECEIVE_BUFFER_OCTETS = 8 * 1_024 * 1_024
export const SEND_BUFFER_OCTETS = 4 * 1_024 * 1_024
/** Octets waiting in the process because the kernel's buffer is full; what comes then is lost, as on the wire. */
export const SEND_QUEUE_OCTETS_MAX = 8 * 1_024 * 1_024
/** What is sent is copied here, because the kernel may take it after `send` returned. */
const SLAB_OCTETS = 1_024 * 1_024

/** Errors of one datagram or one moment; the socket is as good as before. */
export const PASSING_ERRORS: ReadonlySet<string> = new Set([
  'EAGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'EINTR',
  'EMSGSIZE',
  'ENETUNREACH',
  'ENOBUFS',
  'ENOMEM',
  'EPERM',
])

/** How a datagram socket is opened beyond its address. */
export interface UdpOptions {
  /** Lets several processes bind the same address; the kernel spreads the sources among them. */
  readonly reusePort?: boolean
}

type LookUpDone = (error: null, address: string, family: number) => void

/** Addresses are numeric already, so nothing is looked up, and `send` and `bind` finish before they return. */
function lookUpNumeric(address: string, optionsOrDone: unknown, done?: LookUpDone): void {
  const answer = (typeof optionsOrDone === 'function' ? optionsOrDone : done) as LookUpDone
  answer(null, address, address.includes(':') ? 6 : 4)
}

/** A dgram socket of the family, with our buffers and without name look-ups. */
export function openDgram(local: Endpoint, options: UdpOptions): Socket {
  const settings: SocketOptions = {
    type: local.family === 6 ? 'udp6' : 'udp4',
    ipv6Only: local.family === 6,
    recvBufferSize: RECEIVE_BUFFER_OCTETS,
    sendBufferSize: SEND_BUFFER_OCTETS,
    lookup: lookUpNumeric as NonNullable<SocketOptions['lookup']>,
  }
  if (options.reusePort === true) settings.reusePort = true
  return createSocket(settings)
}

/** One bound datagram socket. */
export class UdpSocket implements DatagramSocket {
  readonly #endpoints: EndpointTable
  readonly #sink: DatagramSink
  #socket: Socket | null = null
  #slab = Buffer.allocUnsafeSlow(SLAB_OCTETS)
  #used = 0
  #bound = false
  #closed = false

  constructor(local: Endpoint, sink: DatagramSink, endpoints: EndpointTable, options: UdpOptions = {}) {
    this.#sink = sink
    this.#endpoints = endpoints
    try {
      const socket = openDgram(local, options)
      this.#socket = socket
      socket.on('message', (bytes: Buffer, source: RemoteInfo) => this.#onMessage(bytes, source))
      socket.on('error', (error) => this.#onError(error))
      // With nothing to look up the socket is bound within this call; who asked for it hears of it afterwards.
      socket.on('listening', () => {
        this.#bound = true
        setImmediate(() => this.#onListening())
      })
      socket.bind({ address: local.host, port: local.port, exclusive: true })
    } catch (error) {
      this.#onError(error)
    }
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    const socket = this.#socket
    if (socket === null) return
    const length = bytes.byteLength
    if (this.#used + length > SLAB_OCTETS && !this.#turnOver(socket, length)) return
    const start = this.#used
    this.#used += length
    this.#slab.set(bytes, start)
    try {
      socket.send(this.#slab.subarray(start, start + length), to.port, to.host)
    } catch {
      // An address or port that cannot be sent to: lost, as on the wire.
    }
  }

  close(): void {
    this.#closed = true
    const socket = this.#socket
    this.#socket = null
    socket?.close()
  }

  /** Starts the slab again, or a new one while the kernel still has to take from this one. False: no room. */
  #turnOver(socket: Socket, length: number): boolean {
    if (length > SLAB_OCTETS || socket.getSendQueueSize() > SEND_QUEUE_OCTETS_MAX) return false
    if (socket.getSendQueueCount() > 0) this.#slab = Buffer.allocUnsafeSlow(SLAB_OCTETS)
    this.#used = 0
    return true
  }

  #onMessage(bytes: Buffer, source: RemoteInfo): void {
    if (this.#socket === null) return
    this.#sink.onDatagram(bytes, this.#endpoints.of(source.address, source.port, source.family === 'IPv6' ? 6 : 4))
  }

  #onListening(): void {
    const socket = this.#socket
    if (socket === null) return
    const { address, port, family } = socket.address()
    this.#sink.onListening(frozenEndpoint(address, port, family === 'IPv6' ? 6 : 4))
  }

  #onError(error: unknown): void {
    const reason = errorWord(error)
    if (this.#closed || (this.#bound && PASSING_ERRORS.has(reason))) return
    const socket = this.#socket
    this.#socket = null
    setImmediate(() => {
      socket?.close()
      if (this.#closed) return
      this.#closed = true
      this.#sink.onSocketError(reason)
    })
  }
}
