// Media sockets on node:dgram, for systems without epoll or koffi: the same behaviour at a higher price, and without marking (RFC 2474).

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import {
  type MediaDestination,
  type MediaSink,
  type MediaSocket,
  type MediaSockets,
  MediaSource,
  TAIL_ROOM,
} from '#core/media-sockets.ts'
import type { Endpoint } from '#core/net.ts'
import { errorWord } from '#host/error-word.ts'
import { endpointOfSource, sourceOf } from '#host/socket-name.ts'
import { PASSING_ERRORS } from '#host/udp.ts'

/** As the epoll loop takes them: a larger datagram is cut to one octet more than this. */
const PACKET_OCTETS_MAX = 2_048
/** Octets that wait in the process for the kernel; what is sent beyond is lost. */
const QUEUE_OCTETS_MAX = 1_024 * 1_024
/** Hosts remembered by their text. */
const SOURCES_MAX = 4_096

interface DgramDestination extends MediaDestination {
  readonly host: string
}

class DgramMediaSocket implements MediaSocket {
  readonly #owner: DgramSockets
  readonly #sink: MediaSink
  readonly #family: 4 | 6
  #socket: Socket | null = null
  #closed = false

  constructor(owner: DgramSockets, local: Endpoint, sink: MediaSink) {
    this.#owner = owner
    this.#sink = sink
    this.#family = local.family
    try {
      const socket = createSocket({ type: local.family === 6 ? 'udp6' : 'udp4', ipv6Only: local.family === 6 })
      this.#socket = socket
      socket.on('message', (bytes: Buffer, from: RemoteInfo) => this.#onMessage(bytes, from))
      socket.on('error', (error) => this.#onError(error))
      socket.on('listening', () => {
        const { address, port } = socket.address()
        setImmediate(() => {
          if (!this.#closed) sink.onBound({ host: address, port, family: local.family })
        })
      })
      socket.bind({ address: local.host, port: local.port, exclusive: true })
    } catch (error) {
      this.#onError(error)
    }
  }

  send(bytes: Buffer, octets: number, to: MediaDestination): void {
    const socket = this.#socket
    if (socket === null || to.endpoint.family !== this.#family) return
    try {
      if (socket.getSendQueueSize() > QUEUE_OCTETS_MAX) return
      // The kernel may take it after this call, and the caller uses its memory again.
      const copy = Buffer.allocUnsafe(octets)
      bytes.copy(copy, 0, 0, octets)
      socket.send(copy, to.endpoint.port, (to as DgramDestination).host)
    } catch {
      // An address that cannot be sent to, or a socket that is not bound: lost, as on the wire.
    }
  }

  close(): void {
    this.#closed = true
    const socket = this.#socket
    this.#socket = null
    socket?.close()
  }

  #onMessage(bytes: Buffer, from: RemoteInfo): void {
    if (this.#closed) return
    const source = this.#owner.sourceOf(from.address, from.port, from.family === 'IPv6' ? 6 : 4)
    if (source === null) return
    const { packet } = this.#owner
    const octets = Math.min(bytes.byteLength, PACKET_OCTETS_MAX + 1)
    bytes.copy(packet, 0, 0, octets)
    this.#sink.onPacket(packet, octets, source)
  }

  #onError(error: unknown): void {
    const reason = errorWord(error)
    if (this.#closed || PASSING_ERRORS.has(reason)) return
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

/** The port on node:dgram. */
export class DgramSockets implements MediaSockets {
  /** The packet being served, with its room behind. */
  readonly packet = Buffer.allocUnsafeSlow(PACKET_OCTETS_MAX + 1 + TAIL_ROOM)
  readonly #sources = new Map<string, MediaSource>()

  open(local: Endpoint, _dscp: number, sink: MediaSink): MediaSocket {
    return new DgramMediaSocket(this, local, sink)
  }

  destination(endpoint: Endpoint): MediaDestination | null {
    const source = endpoint.port === 0 ? null : sourceOf(endpoint)
    if (source === null) return null
    const destination: DgramDestination = { endpoint, source, host: endpoint.host }
    return destination
  }

  destinationOf(source: MediaSource): MediaDestination {
    const own = new MediaSource()
    own.copy(source)
    const endpoint = endpointOfSource(own)
    const destination: DgramDestination = { endpoint, source: own, host: endpoint.host }
    return destination
  }

  /** The source of that address, kept by its text; null when it is none. */
  sourceOf(host: string, port: number, family: 4 | 6): MediaSource | null {
    let source = this.#sources.get(host)
    if (source === undefined || source.family !== family) {
      const made = sourceOf({ host, port, family })
      if (made === null) return null
      if (this.#sources.size >= SOURCES_MAX) this.#sources.clear()
      this.#sources.set(host, made)
      source = made
    }
    source.port = port
    return source
  }
}
