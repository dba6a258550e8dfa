// Datagram sockets on recvmmsg and sendmmsg (Linux): many datagrams a system call, no allocation by the runtime for each. Hot path.

import type { DatagramSink, DatagramSocket, Endpoint } from '#core/net.ts'
import { type EndpointTable, frozenEndpoint } from '#host/endpoint-table.ts'
import { type Ipv6Address, ipv4Bits, ipv4Text, ipv6Address, ipv6Text } from '#host/ip-address.ts'
import { LINUX, type LinuxSockets, type PollHandle } from '#host/linux-sockets.ts'
import { PASSING_ERRORS, RECEIVE_BUFFER_OCTETS, SEND_BUFFER_OCTETS, type UdpOptions } from '#host/udp.ts'

/** Datagrams received by one call, and calls in one turn of the event loop. */
const RECEIVE_MAX = 32
const RECEIVE_ROUNDS_MAX = 4
/** Datagrams sent by one call; they wait for the end of the turn or for this many. */
const SEND_MAX = 64
/** Octets that wait with them. */
const SLAB_OCTETS = 1_024 * 1_024
/** The greatest UDP payload over IPv4, and the step between buffers, odd in cache lines so that they do not contend for the same ones. */
const DATAGRAM_OCTETS_MAX = 65_535
const BUFFER_STEP = 65_536 + 192
/** struct mmsghdr, struct iovec, and room for a struct sockaddr_in or sockaddr_in6, in octets, on 64-bit Linux. */
const HEADER_OCTETS = 64
const VECTOR_OCTETS = 16
const NAME_OCTETS = 32
const NAME_LENGTH: Readonly<Record<4 | 6, number>> = { 4: 16, 6: 28 }
/** Sources and IPv6 destinations remembered by their bits; powers of two. */
const SOURCE_CELLS = 8_192
const DESTINATIONS_MAX = 10_000

/** Memory for the headers of so many datagrams, written as the kernel reads it. */
class MessageVector {
  readonly address: number
  readonly words: Int32Array
  readonly names: Uint8Array
  readonly nameWords: Int32Array

  constructor(sockets: LinuxSockets, count: number) {
    const memory = Buffer.allocUnsafeSlow(count * (HEADER_OCTETS + VECTOR_OCTETS + NAME_OCTETS)).fill(0)
    this.address = sockets.addressOf(memory)
    this.words = new Int32Array(memory.buffer, memory.byteOffset, (count * (HEADER_OCTETS + VECTOR_OCTETS)) / 4)
    this.names = memory.subarray(count * (HEADER_OCTETS + VECTOR_OCTETS))
    this.nameWords = new Int32Array(this.names.buffer, this.names.byteOffset, this.names.byteLength / 4)
    const vectors = count * HEADER_OCTETS
    for (let index = 0; index < count; index++) {
      const header = (index * HEADER_OCTETS) / 4
      // msg_name, msg_iov, msg_iovlen
      this.#pointer(header, this.address + vectors + count * VECTOR_OCTETS + index * NAME_OCTETS)
      this.#pointer(header + 4, this.address + vectors + index * VECTOR_OCTETS)
      this.words[header + 6] = 1
    }
    this.#vectors = vectors / 4
  }

  readonly #vectors: number

  /** Where the datagram's octets are, and how many. */
  setMemory(index: number, address: number, octets: number): void {
    const vector = this.#vectors + (index * VECTOR_OCTETS) / 4
    this.#pointer(vector, address)
    this.words[vector + 2] = octets
  }

  setNameLength(index: number, octets: number): void {
    this.words[(index * HEADER_OCTETS) / 4 + 2] = octets
  }

  /** Octets of the datagram, as the kernel counted them. */
  octets(index: number): number {
    return this.words[(index * HEADER_OCTETS) / 4 + 14] as number
  }

  #pointer(word: number, address: number): void {
    this.words[word] = address | 0
    this.words[word + 1] = Math.floor(address / 2 ** 32)
  }
}

/** One bound datagram socket, with its memory of about 3 MB, most of it untouched until large datagrams come. */
export class BatchedUdpSocket implements DatagramSocket {
  readonly #sockets: LinuxSockets
  readonly #endpoints: EndpointTable
  readonly #sink: DatagramSink
  readonly #family: 4 | 6
  readonly #received: MessageVector
  readonly #buffers: Buffer
  readonly #sent: MessageVector
  readonly #slab: Buffer
  readonly #slabAddress: number
  readonly #sources: (Endpoint | null)[] = new Array<Endpoint | null>(SOURCE_CELLS).fill(null)
  readonly #sourceWords: Int32Array
  readonly #destinations = new Map<string, Ipv6Address | null>()
  #descriptor = -1
  #poll: PollHandle | null = null
  /** Datagrams in the send vector: those before `#sendHead` are sent. */
  #sendHead = 0
  #sendTail = 0
  #slabUsed = 0
  /** The kernel's buffer is full: the poll tells when there is room. */
  #blocked = false
  #turnPlanned = false
  #closed = false
  readonly #onReady = (status: number): void => {
    try {
      this.#receive()
      // The poll stops itself when it reports an error; reading has taken the error off the socket, or has closed it.
      if (status !== 0) this.#watch()
    } catch (error) {
      rethrowLater(error)
    }
  }
  readonly #onTurnEnd = (): void => {
    this.#turnPlanned = false
    this.#flush()
  }

  constructor(
    sockets: LinuxSockets,
    local: Endpoint,
    sink: DatagramSink,
    endpoints: EndpointTable,
    options: UdpOptions = {},
  ) {
    this.#sockets = sockets
    this.#sink = sink
    this.#endpoints = endpoints
    this.#family = local.family
    this.#received = new MessageVector(sockets, RECEIVE_MAX)
    this.#buffers = Buffer.allocUnsafeSlow(RECEIVE_MAX * BUFFER_STEP)
    this.#sent = new MessageVector(sockets, SEND_MAX)
    this.#slab = Buffer.allocUnsafeSlow(SLAB_OCTETS)
    this.#slabAddress = sockets.addressOf(this.#slab)
    this.#sourceWords = new Int32Array(SOURCE_CELLS * 6)
    const buffersAddress = sockets.addressOf(this.#buffers)
    for (let index = 0; index < RECEIVE_MAX; index++) {
      this.#received.setMemory(index, buffersAddress + index * BUFFER_STEP, DATAGRAM_OCTETS_MAX)
      this.#received.setNameLength(index, NAME_LENGTH[this.#family])
    }
    for (let index = 0; index < SEND_MAX; index++) this.#sent.setNameLength(index, NAME_LENGTH[this.#family])
    const failure = this.#open(local, options)
    setImmediate(() => (failure === null ? this.#onBound() : this.#onFailure(failure)))
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    if (this.#descriptor < 0) return
    const octets = bytes.byteLength
    if (octets > DATAGRAM_OCTETS_MAX) return
    if (this.#sendTail === SEND_MAX || this.#slabUsed + octets > SLAB_OCTETS) {
      this.#flush()
      if (this.#sendTail === SEND_MAX || this.#slabUsed + octets > SLAB_OCTETS) return
    }
    const index = this.#sendTail
    if (!this.#writeName(index, to)) return
    this.#slab.set(bytes, this.#slabUsed)
    this.#sent.setMemory(index, this.#slabAddress + this.#slabUsed, octets)
    this.#slabUsed += octets
    this.#sendTail = index + 1
    this.#planTurnEnd()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#flush()
    this.#shut()
  }

  #shut(): void {
    this.#poll?.close()
    this.#poll = null
    if (this.#descriptor >= 0) this.#sockets.close(this.#descriptor)
    this.#descriptor = -1
  }

  /** Opens and binds; null, or the word of what failed. */
  #open(local: Endpoint, options: UdpOptions): string | null {
    const sockets = this.#sockets
    const name = Buffer.alloc(NAME_LENGTH[local.family])
    if (local.port < 0 || local.port > 65_535 || !writeSockaddr(name, local)) return 'EINVAL'
    const domain = local.family === 6 ? LINUX.AF_INET6 : LINUX.AF_INET
    const descriptor = sockets.socket(domain, LINUX.SOCK_DGRAM | LINUX.SOCK_NONBLOCK | LINUX.SOCK_CLOEXEC, 0)
    if (descriptor < 0) return sockets.failure()
    this.#descriptor = descriptor
    // Beyond the system's common limit when we may, else up to it.
    if (!this.#set(LINUX.SOL_SOCKET, LINUX.SO_RCVBUFFORCE, RECEIVE_BUFFER_OCTETS)) {
      this.#set(LINUX.SOL_SOCKET, LINUX.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
    }
    if (!this.#set(LINUX.SOL_SOCKET, LINUX.SO_SNDBUFFORCE, SEND_BUFFER_OCTETS)) {
      this.#set(LINUX.SOL_SOCKET, LINUX.SO_SNDBUF, SEND_BUFFER_OCTETS)
    }
    if (local.family === 6 && !this.#set(LINUX.IPPROTO_IPV6, LINUX.IPV6_V6ONLY, 1)) return sockets.failure()
    if (options.reusePort === true && !this.#set(LINUX.SOL_SOCKET, LINUX.SO_REUSEPORT, 1)) return sockets.failure()
    if (sockets.bind(descriptor, name, name.byteLength) < 0) return sockets.failure()
    return null
  }

  #set(level: number, option: number, value: number): boolean {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32LE(value)
    return this.#sockets.setsockopt(this.#descriptor, level, option, bytes, 4) === 0
  }

  #onBound(): void {
    if (this.#closed) return
    const name = Buffer.alloc(NAME_OCTETS)
    const length = Buffer.alloc(4)
    length.writeInt32LE(NAME_OCTETS)
    if (this.#sockets.getsockname(this.#descriptor, name, length) < 0) {
      this.#onFailure(this.#sockets.failure())
      return
    }
    try {
      this.#watch()
    } catch {
      this.#onFailure('EPOLL')
      return
    }
    const host = this.#family === 6 ? ipv6Text(ipv6Of(name, 0)) : ipv4Text(name.readInt32LE(4))
    this.#sink.onListening(frozenEndpoint(host, name.readUInt16BE(2), this.#family))
  }

  #onFailure(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#shut()
    this.#sink.onSocketError(reason)
  }

  #receive(): void {
    if (this.#blocked) this.#unblock()
    // The poll calls from outside the runtime's bookkeeping: promises and nextTick wait for the next callback of the
    // runtime, and this makes sure that there is one in this turn. It sends what the sinks answer, too.
    this.#planTurnEnd()
    for (let round = 0; round < RECEIVE_ROUNDS_MAX; round++) {
      const count = this.#sockets.recvmmsg(this.#descriptor, this.#received.address, RECEIVE_MAX, LINUX.MSG_DONTWAIT, 0)
      if (count < 0) {
        const reason = this.#sockets.failure()
        if (!PASSING_ERRORS.has(reason)) setImmediate(() => this.#onFailure(reason))
        return
      }
      for (let index = 0; index < count; index++) {
        const start = index * BUFFER_STEP
        const bytes = this.#buffers.subarray(start, start + this.#received.octets(index))
        this.#received.setNameLength(index, NAME_LENGTH[this.#family])
        try {
          this.#sink.onDatagram(bytes, this.#source(index))
        } catch (error) {
          rethrowLater(error)
        }
        if (this.#closed) return
      }
      if (count < RECEIVE_MAX) return
    }
  }

  #source(index: number): Endpoint {
    const words = this.#received.nameWords
    const at = (index * NAME_OCTETS) / 4
    const familyAndPort = words[at] as number
    const first = words[at + 1] as number
    const wide = this.#family === 6
    // sockaddr_in: family and port, address. sockaddr_in6: family and port, flow, address, scope.
    const last = wide ? (words[at + 5] as number) : first
    const mixed = Math.imul(last, 0x9e3779b1) ^ Math.imul(familyAndPort, 0x85ebca6b)
    const cell = (mixed >>> 12) & (SOURCE_CELLS - 1)
    const known = this.#sourceWords
    const base = cell * 6
    const cached = this.#sources[cell] as Endpoint | null
    if (cached !== null && known[base] === familyAndPort && known[base + 1] === last) {
      if (!wide) return cached
      const same =
        known[base + 2] === words[at + 2] &&
        known[base + 3] === words[at + 3] &&
        known[base + 4] === words[at + 4] &&
        known[base + 5] === words[at + 6]
      if (same) return cached
    }
    const name = this.#received.names
    const offset = index * NAME_OCTETS
    const port = ((name[offset + 2] as number) << 8) | (name[offset + 3] as number)
    const host = wide ? ipv6Text(ipv6Of(name, offset)) : ipv4Text(first)
    const endpoint = this.#endpoints.of(host, port, this.#family)
    this.#sources[cell] = endpoint
    known[base] = familyAndPort
    known[base + 1] = last
    if (wide) {
      for (let word = 2; word < 5; word++) known[base + word] = words[at + word] as number
      known[base + 5] = words[at + 6] as number
    }
    return endpoint
  }

  /** Writes the destination's sockaddr; false when it is none of this socket's family. */
  #writeName(index: number, to: Endpoint): boolean {
    const offset = index * NAME_OCTETS
    const { port } = to
    if (to.family !== this.#family || port <= 0 || port > 65_535) return false
    if (to.family === 4) {
      const bits = ipv4Bits(to.host)
      if (bits === null) return false
      const words = this.#sent.nameWords
      words[offset / 4] = LINUX.AF_INET | ((port & 0xff) << 24) | ((port & 0xff00) << 8)
      words[offset / 4 + 1] = bits
      return true
    }
    let address = this.#destinations.get(to.host)
    if (address === undefined) {
      if (this.#destinations.size >= DESTINATIONS_MAX) this.#destinations.clear()
      address = ipv6Address(to.host)
      this.#destinations.set(to.host, address)
    }
    if (address === null) return false
    writeSockaddr6(this.#sent.names, offset, address, port)
    return true
  }

  #planTurnEnd(): void {
    if (this.#turnPlanned) return
    this.#turnPlanned = true
    setImmediate(this.#onTurnEnd)
  }

  /** Gives the kernel what waits to be sent. What it refuses for its own sake is lost; when it is full, the rest stays. */
  #flush(): void {
    while (this.#sendHead < this.#sendTail && this.#descriptor >= 0) {
      const vector = this.#sent.address + this.#sendHead * HEADER_OCTETS
      const count = this.#sockets.sendmmsg(
        this.#descriptor,
        vector,
        this.#sendTail - this.#sendHead,
        LINUX.MSG_DONTWAIT,
      )
      if (count > 0) this.#sendHead += count
      else if (this.#sockets.failure() === 'EAGAIN') {
        this.#block()
        return
      } else this.#sendHead++
    }
    this.#sendHead = 0
    this.#sendTail = 0
    this.#slabUsed = 0
  }

  #block(): void {
    if (this.#blocked || this.#poll === null) return
    this.#blocked = true
    this.#watch()
  }

  #unblock(): void {
    this.#blocked = false
    this.#watch()
    this.#planTurnEnd()
  }

  /** Asks the event loop to say when the socket is readable, and writable while something waits for that. */
  #watch(): void {
    if (this.#descriptor < 0) return
    this.#poll ??= this.#sockets.poll(this.#descriptor, this.#onReady)
    this.#poll.start({ readable: true, writable: this.#blocked, disconnect: false }, this.#onReady as never)
  }
}

/** To the process's own answer to uncaught errors, without losing what is still to be done here. */
function rethrowLater(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}

function ipv6Of(name: Uint8Array, offset: number): Ipv6Address {
  const view = new DataView(name.buffer, name.byteOffset + offset)
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(8 + index * 2))
  return { groups, scope: view.getUint32(24, true) }
}

function writeSockaddr6(target: Uint8Array, offset: number, address: Ipv6Address, port: number): void {
  const view = new DataView(target.buffer, target.byteOffset + offset)
  view.setUint16(0, LINUX.AF_INET6, true)
  view.setUint16(2, port)
  view.setUint32(4, 0)
  for (let index = 0; index < 8; index++) view.setUint16(8 + index * 2, address.groups[index] as number)
  view.setUint32(24, address.scope, true)
}

/** Writes the address to bind; false when its text is none. */
function writeSockaddr(target: Buffer, local: Endpoint): boolean {
  if (local.family === 6) {
    const address = ipv6Address(local.host)
    if (address === null) return false
    writeSockaddr6(target, 0, address, local.port)
    return true
  }
  const bits = ipv4Bits(local.host)
  if (bits === null) return false
  target.writeUInt16LE(LINUX.AF_INET, 0)
  target.writeUInt16BE(local.port, 2)
  target.writeInt32LE(bits, 4)
  return true
}
