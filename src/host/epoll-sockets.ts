// Media sockets on one epoll loop (Linux, koffi): a packet costs its share of an epoll_wait, one recvfrom and one sendto. Hot path.

import {
  type MediaDestination,
  type MediaSink,
  type MediaSocket,
  type MediaSockets,
  MediaSource,
  TAIL_ROOM,
} from '#core/media-sockets.ts'
import type { Endpoint } from '#core/net.ts'
import { EPOLL, type EpollCalls } from '#host/epoll-calls.ts'
import { endpointOfSource, NAME_LENGTH, NAME_OCTETS, readName, sourceOf, writeName } from '#host/socket-name.ts'

/** The greatest datagram taken; a larger one is cut, which no RTP survives: its length is given one octet above this. */
export const PACKET_OCTETS_MAX = 2_048
const EVENTS_MAX = 512
/** The number under which the wake-up descriptor is known to epoll; sockets count from 0. */
const WAKE_SLOT = 0x7fffffff

/** Settings of the loop. */
export interface EpollOptions {
  /** After a wake-up the loop sleeps until this much has passed since it, to gather packets; 0 for never. In microseconds. */
  readonly gatherMicros: number
  /** Monotonic milliseconds, fractions allowed. */
  now(): number
}

/** Memory outside the heap, and where it is. */
class Memory {
  readonly bytes: Buffer
  readonly words: Int32Array
  readonly address: number

  constructor(calls: EpollCalls, octets: number) {
    this.bytes = Buffer.allocUnsafeSlow(octets).fill(0)
    this.words = new Int32Array(this.bytes.buffer, this.bytes.byteOffset, octets >> 2)
    this.address = calls.addressOf(this.bytes)
  }
}

class EpollDestination implements MediaDestination {
  readonly endpoint: Endpoint
  readonly source: MediaSource
  readonly name: Memory
  readonly nameOctets: number

  constructor(calls: EpollCalls, endpoint: Endpoint, source: MediaSource, scope: number) {
    this.endpoint = endpoint
    this.source = source
    this.name = new Memory(calls, NAME_OCTETS)
    this.nameOctets = NAME_LENGTH[source.family]
    writeName(this.name.words, source, scope)
  }
}

class EpollSocket implements MediaSocket {
  readonly sink: MediaSink
  readonly family: 4 | 6
  readonly #loop: EpollSockets
  descriptor: number
  slot = -1

  constructor(loop: EpollSockets, descriptor: number, family: 4 | 6, sink: MediaSink) {
    this.#loop = loop
    this.descriptor = descriptor
    this.family = family
    this.sink = sink
  }

  send(bytes: Buffer, octets: number, to: MediaDestination): void {
    if (this.descriptor >= 0) this.#loop.sendFrom(this, bytes, octets, to as EpollDestination)
  }

  close(): void {
    this.#loop.closeSocket(this)
  }
}

/** The sockets of one thread, and its loop. */
export class EpollSockets implements MediaSockets {
  readonly #calls: EpollCalls
  readonly #gatherMs: number
  readonly #now: () => number
  readonly #epoll: number
  /** Written by other threads to end a wait. */
  readonly wakeDescriptor: number
  readonly #events: Memory
  readonly #eventStep: number
  readonly #eventWord: number
  /** Every packet is received here, and sent from here when it is relayed. */
  readonly #packet: Memory
  readonly #packetBytes: Buffer
  readonly #packetAddress: number
  /** What is made elsewhere is copied here for sending. */
  readonly #outgoing: Memory
  readonly #name: Memory
  readonly #nameWords: Int32Array
  readonly #nameAddress: number
  /** Lengths for the kernel, one a family, which it writes back as they were. */
  readonly #lengths: Memory
  readonly #source = new MediaSource()
  readonly #slots: (EpollSocket | null)[] = []
  readonly #free: number[] = []
  #reports: (() => void)[] = []
  #count = 0
  /** When the last wait ended, in milliseconds of `now`: the time of all its packets. */
  wokenMs = 0
  /** System calls made for sending that the kernel refused. */
  refused = 0

  constructor(calls: EpollCalls, options: EpollOptions) {
    this.#calls = calls
    this.#gatherMs = options.gatherMicros / 1_000
    this.#now = options.now
    this.#epoll = calls.epollCreate(EPOLL.CLOEXEC)
    this.wakeDescriptor = calls.eventfd(0, EPOLL.EFD_CLOEXEC | EPOLL.EFD_NONBLOCK)
    if (this.#epoll < 0 || this.wakeDescriptor < 0) throw new Error(`epoll: ${calls.failure()}`)
    this.#eventStep = calls.eventOctets / 4
    this.#eventWord = calls.eventWord
    this.#events = new Memory(calls, EVENTS_MAX * calls.eventOctets)
    this.#packet = new Memory(calls, PACKET_OCTETS_MAX + 1 + TAIL_ROOM)
    this.#packetBytes = this.#packet.bytes
    this.#packetAddress = this.#packet.address
    this.#outgoing = new Memory(calls, PACKET_OCTETS_MAX + TAIL_ROOM)
    this.#name = new Memory(calls, NAME_OCTETS)
    this.#nameWords = this.#name.words
    this.#nameAddress = this.#name.address
    this.#lengths = new Memory(calls, 16)
    this.#lengths.words[0] = NAME_LENGTH[4]
    this.#lengths.words[1] = NAME_LENGTH[6]
    this.#watch(this.wakeDescriptor, WAKE_SLOT)
  }

  /** Open sockets. */
  get size(): number {
    return this.#count
  }

  /** Whether {@link report} has something to tell. */
  get pending(): boolean {
    return this.#reports.length > 0
  }

  open(local: Endpoint, dscp: number, sink: MediaSink): MediaSocket {
    const socket = new EpollSocket(this, -1, local.family, sink)
    const failure = this.#open(socket, local, dscp)
    if (failure === null) {
      const bound = this.#localOf(socket)
      this.#reports.push(() => {
        if (socket.descriptor >= 0) sink.onBound(bound)
      })
    } else {
      this.closeSocket(socket)
      this.#reports.push(() => sink.onSocketError(failure))
    }
    return socket
  }

  destination(endpoint: Endpoint): MediaDestination | null {
    const source = endpoint.port === 0 ? null : sourceOf(endpoint)
    if (source === null) return null
    return new EpollDestination(this.#calls, endpoint, source, 0)
  }

  destinationOf(source: MediaSource): MediaDestination {
    const own = new MediaSource()
    own.copy(source)
    return new EpollDestination(this.#calls, endpointOfSource(own), own, 0)
  }

  /** Tells sinks what was opened or failed since the last call. */
  report(): void {
    if (this.#reports.length === 0) return
    const reports = this.#reports
    this.#reports = []
    for (const report of reports) report()
  }

  /**
   * Waits for packets at most `timeoutMs` (rounded up) and gives them to their sinks, once through. Gives how many there were.
   */
  turn(timeoutMs: number): number {
    const calls = this.#calls
    const count = calls.epollWait(this.#epoll, this.#events.address, EVENTS_MAX, timeoutMs)
    if (count <= 0) return 0
    this.wokenMs = this.#now()
    const words = this.#events.words
    let packets = 0
    for (let index = 0; index < count; index++) {
      const slot = words[index * this.#eventStep + this.#eventWord] as number
      if (slot === WAKE_SLOT) {
        calls.read(this.wakeDescriptor, this.#nameAddress, 8)
        continue
      }
      const socket = this.#slots[slot] as EpollSocket | null
      if (socket === null) continue
      const wide = socket.family === 6
      const octets = calls.recvfrom(
        socket.descriptor,
        this.#packetAddress,
        PACKET_OCTETS_MAX + 1,
        EPOLL.MSG_DONTWAIT,
        this.#nameAddress,
        wide ? this.#lengths.address + 4 : this.#lengths.address,
      )
      if (octets < 0) continue
      packets++
      readName(this.#nameWords, this.#source)
      socket.sink.onPacket(this.#packetBytes, octets, this.#source)
    }
    return packets
  }

  /** Sleeps until the gathering time since `wokenMs` is over. */
  gather(wokenMs: number): void {
    const leftMs = this.#gatherMs - (this.#now() - wokenMs)
    if (leftMs > 0.05) this.#calls.usleep(Math.trunc(leftMs * 1_000))
  }

  /** For {@link EpollSocket}. */
  sendFrom(socket: EpollSocket, bytes: Buffer, octets: number, to: EpollDestination): void {
    if (octets > PACKET_OCTETS_MAX + TAIL_ROOM) return
    let address = this.#packetAddress
    if (bytes !== this.#packetBytes) {
      this.#outgoing.bytes.set(octets === bytes.length ? bytes : bytes.subarray(0, octets), 0)
      address = this.#outgoing.address
    }
    const sent = this.#calls.sendto(
      socket.descriptor,
      address,
      octets,
      EPOLL.MSG_DONTWAIT,
      to.name.address,
      to.nameOctets,
    )
    if (sent < 0) this.refused++
  }

  /** For {@link EpollSocket}. */
  closeSocket(socket: EpollSocket): void {
    if (socket.descriptor >= 0) this.#calls.close(socket.descriptor)
    socket.descriptor = -1
    if (socket.slot < 0) return
    this.#slots[socket.slot] = null
    this.#free.push(socket.slot)
    socket.slot = -1
    this.#count--
  }

  /** Closes everything, the loop's own descriptors too. */
  close(): void {
    for (const socket of this.#slots) socket?.close()
    this.#calls.close(this.#epoll)
    this.#calls.close(this.wakeDescriptor)
  }

  /** Opens, binds and watches; null, or the word of what failed. */
  #open(socket: EpollSocket, local: Endpoint, dscp: number): string | null {
    const calls = this.#calls
    const source = sourceOf(local)
    if (source === null) return 'EINVAL'
    const wide = local.family === 6
    const type = EPOLL.SOCK_DGRAM | EPOLL.SOCK_NONBLOCK | EPOLL.SOCK_CLOEXEC
    socket.descriptor = calls.socket(wide ? EPOLL.AF_INET6 : EPOLL.AF_INET, type, 0)
    if (socket.descriptor < 0) return calls.failure()
    if (wide && !this.#set(socket, EPOLL.IPPROTO_IPV6, EPOLL.IPV6_V6ONLY, 1)) return calls.failure()
    // A network that does not let us mark packets still carries them.
    if (wide) this.#set(socket, EPOLL.IPPROTO_IPV6, EPOLL.IPV6_TCLASS, dscp << 2)
    else this.#set(socket, EPOLL.IPPROTO_IP, EPOLL.IP_TOS, dscp << 2)
    writeName(this.#nameWords, source, 0)
    if (calls.bind(socket.descriptor, this.#nameAddress, NAME_LENGTH[local.family]) < 0) return calls.failure()
    const slot = this.#free.pop() ?? this.#slots.length
    this.#slots[slot] = socket
    socket.slot = slot
    this.#count++
    return this.#watch(socket.descriptor, slot) ? null : calls.failure()
  }

  #localOf(socket: EpollSocket): Endpoint {
    const wide = socket.family === 6
    this.#calls.getsockname(
      socket.descriptor,
      this.#nameAddress,
      wide ? this.#lengths.address + 4 : this.#lengths.address,
    )
    const source = new MediaSource()
    readName(this.#nameWords, source)
    return endpointOfSource(source)
  }

  #set(socket: EpollSocket, level: number, option: number, value: number): boolean {
    this.#lengths.words[2] = value
    return this.#calls.setsockopt(socket.descriptor, level, option, this.#lengths.address + 8, 4) === 0
  }

  #watch(descriptor: number, slot: number): boolean {
    const words = this.#events.words
    const kept = words.slice(0, 4)
    words[0] = EPOLL.IN
    words[this.#eventWord] = slot
    words[this.#eventWord + 1] = 0
    const done = this.#calls.epollCtl(this.#epoll, EPOLL.CTL_ADD, descriptor, this.#events.address) === 0
    // A socket may be opened while the events of a turn are being served.
    words.set(kept)
    return done
  }
}
