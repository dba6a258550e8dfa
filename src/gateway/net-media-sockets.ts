// Media sockets over the network port: for the simulation and for tests, where packets are few and time is virtual.

import {
  type MediaDestination,
  type MediaSink,
  type MediaSocket,
  type MediaSockets,
  MediaSource,
  TAIL_ROOM,
} from '#core/media-sockets.ts'
import type { DatagramSink, DatagramSocket, Endpoint, Net } from '#core/net.ts'

/** As the sockets of the host take them: a larger datagram is cut to one octet more than this. */
const PACKET_OCTETS_MAX = 2_048

class NetMediaSocket implements MediaSocket, DatagramSink {
  readonly #owner: NetMediaSockets
  readonly #sink: MediaSink
  readonly #socket: DatagramSocket
  #closed = false

  constructor(owner: NetMediaSockets, net: Net, local: Endpoint, sink: MediaSink) {
    this.#owner = owner
    this.#sink = sink
    this.#socket = net.udp(local, this)
  }

  send(bytes: Buffer, octets: number, to: MediaDestination): void {
    if (!this.#closed) this.#socket.send(bytes.subarray(0, octets), to.endpoint)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.close()
  }

  onDatagram(bytes: Uint8Array, from: Endpoint): void {
    const source = this.#owner.sourceOf(from)
    if (this.#closed || source === null) return
    const { packet } = this.#owner
    const octets = Math.min(bytes.length, PACKET_OCTETS_MAX + 1)
    packet.set(bytes.subarray(0, octets))
    this.#sink.onPacket(packet, octets, source)
  }

  onListening(local: Endpoint): void {
    if (!this.#closed) this.#sink.onBound(local)
  }

  onSocketError(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#sink.onSocketError(reason)
  }
}

/** The port of media sockets on a network port. */
export class NetMediaSockets implements MediaSockets {
  /** The packet being served, with its room behind. */
  readonly packet = Buffer.alloc(PACKET_OCTETS_MAX + 1 + TAIL_ROOM)
  readonly #net: Net
  readonly #source = new MediaSource()

  constructor(net: Net) {
    this.#net = net
  }

  open(local: Endpoint, _dscp: number, sink: MediaSink): MediaSocket {
    return new NetMediaSocket(this, this.#net, local, sink)
  }

  destination(endpoint: Endpoint): MediaDestination | null {
    if (endpoint.port === 0) return null
    const source = new MediaSource()
    return writeSource(source, endpoint) ? { endpoint, source } : null
  }

  destinationOf(source: MediaSource): MediaDestination {
    const own = new MediaSource()
    own.copy(source)
    return { endpoint: { host: hostOf(own), port: own.port, family: own.family }, source: own }
  }

  /** The source of that address, valid until the next call; null when it is none. */
  sourceOf(endpoint: Endpoint): MediaSource | null {
    return writeSource(this.#source, endpoint) ? this.#source : null
  }
}

function writeSource(source: MediaSource, { host, port, family }: Endpoint): boolean {
  const octets = family === 4 ? octets4(host) : octets6(host)
  if (octets === null || !Number.isInteger(port) || port < 0 || port > 65_535) return false
  const word = (at: number): number =>
    at + 3 < octets.length
      ? (octets[at] as number) |
        ((octets[at + 1] as number) << 8) |
        ((octets[at + 2] as number) << 16) |
        ((octets[at + 3] as number) << 24)
      : 0
  source.family = family
  source.port = port
  source.word0 = word(0)
  source.word1 = word(4)
  source.word2 = word(8)
  source.word3 = word(12)
  return true
}

function hostOf(source: MediaSource): string {
  const octets = (word: number): number[] => [word & 255, (word >> 8) & 255, (word >> 16) & 255, (word >> 24) & 255]
  if (source.family === 4) return octets(source.word0).join('.')
  const all = [source.word0, source.word1, source.word2, source.word3].flatMap(octets)
  const groups: string[] = []
  for (let at = 0; at < 16; at += 2) groups.push((((all[at] as number) << 8) | (all[at + 1] as number)).toString(16))
  return shortened(groups)
}

/** The canonical text of RFC 5952 §4: the longest run of zero groups, of two at least, is left out. */
function shortened(groups: readonly string[]): string {
  let start = -1
  let longest = 1
  for (let index = 0; index < 8; index++) {
    let end = index
    while (end < 8 && groups[end] === '0') end++
    if (end - index > longest) {
      start = index
      longest = end - index
    }
  }
  if (start < 0) return groups.join(':')
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + longest).join(':')}`
}

function octets4(host: string): number[] | null {
  const parts = host.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null
  return parts.map(Number)
}

function octets6(host: string): number[] | null {
  const [left = '', right, ...rest] = (host.split('%')[0] ?? '').split('::')
  if (rest.length > 0) return null
  const before = left === '' ? [] : left.split(':')
  const after = right === undefined || right === '' ? [] : right.split(':')
  const gap = 8 - before.length - after.length
  if (gap < 0 || (right === undefined && gap !== 0)) return null
  const groups = [...before, ...new Array<string>(gap).fill('0'), ...after]
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null
  return groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255])
}
