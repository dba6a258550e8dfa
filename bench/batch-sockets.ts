// UDP sockets of a packet load: many datagrams in one system call (sendmmsg, recvmmsg through koffi), so that the load costs little beside the target.

import { createRequire } from 'node:module'

/** Datagrams in one system call. */
export const BATCH_MAX = 64
/** Octets of a slot: enough for what any target makes of a packet of the load. */
const SLOT_OCTETS = 512
/** struct mmsghdr, struct iovec and struct sockaddr_in of 64-bit Linux. */
const MESSAGE_OCTETS = 64
const VECTOR_OCTETS = 16
const NAME_OCTETS = 16
const LENGTH_AT = 56

const AF_INET = 2
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const SO_SNDBUFFORCE = 32
const MSG_DONTWAIT = 0x40
const EPOLL_CTL_ADD = 1
const EPOLLIN = 1
const EVENTS_MAX = 64

type Call = (...args: readonly number[]) => number

/** The system calls; addresses of memory are numbers. */
interface Calls {
  readonly socket: Call
  readonly bind: Call
  readonly setsockopt: Call
  readonly close: Call
  readonly sendmmsg: Call
  readonly recvmmsg: Call
  readonly epoll_create1: Call
  readonly epoll_ctl: Call
  readonly epoll_wait: Call
  readonly addressOf: (bytes: Buffer) => number
}

function systemCalls(): Calls {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const libc = koffi.load(null)
  const call = (prototype: string): Call => libc.func(prototype) as unknown as Call
  return {
    socket: call('int socket(int, int, int)'),
    bind: call('int bind(int, int64_t, uint32_t)'),
    setsockopt: call('int setsockopt(int, int, int, int64_t, uint32_t)'),
    close: call('int close(int)'),
    sendmmsg: call('int sendmmsg(int, int64_t, uint32_t, int)'),
    recvmmsg: call('int recvmmsg(int, int64_t, uint32_t, int, int64_t)'),
    epoll_create1: call('int epoll_create1(int)'),
    epoll_ctl: call('int epoll_ctl(int, int, int, int64_t)'),
    epoll_wait: call('int epoll_wait(int, int64_t, int, int)'),
    addressOf: (bytes) => Number(koffi.address(bytes)),
  }
}

/** Memory of a batch: messages, their addresses, and their packets at `packetAt`. */
class Batch {
  readonly bytes = Buffer.allocUnsafeSlow(BATCH_MAX * (MESSAGE_OCTETS + VECTOR_OCTETS + NAME_OCTETS + SLOT_OCTETS))
  readonly address: number

  constructor(addressOf: (bytes: Buffer) => number) {
    this.bytes.fill(0)
    this.address = addressOf(this.bytes)
    for (let slot = 0; slot < BATCH_MAX; slot++) {
      const vector = BATCH_MAX * MESSAGE_OCTETS + slot * VECTOR_OCTETS
      const message = slot * MESSAGE_OCTETS
      this.bytes.writeBigUInt64LE(BigInt(this.address + nameAt(slot)), message)
      this.bytes.writeUInt32LE(NAME_OCTETS, message + 8)
      this.bytes.writeBigUInt64LE(BigInt(this.address + vector), message + 16)
      this.bytes.writeBigUInt64LE(1n, message + 24)
      this.bytes.writeBigUInt64LE(BigInt(this.address + packetAt(slot)), vector)
      this.bytes.writeBigUInt64LE(BigInt(SLOT_OCTETS), vector + 8)
    }
  }

  setOctets(slot: number, octets: number): void {
    this.bytes.writeUInt32LE(octets, BATCH_MAX * MESSAGE_OCTETS + slot * VECTOR_OCTETS + 8)
  }

  octets(slot: number): number {
    return this.bytes.readUInt32LE(slot * MESSAGE_OCTETS + LENGTH_AT)
  }
}

function nameAt(slot: number): number {
  return BATCH_MAX * (MESSAGE_OCTETS + VECTOR_OCTETS) + slot * NAME_OCTETS
}

/** Where the packet of a slot begins in the memory of its batch. */
export function packetAt(slot: number): number {
  return BATCH_MAX * (MESSAGE_OCTETS + VECTOR_OCTETS + NAME_OCTETS) + slot * SLOT_OCTETS
}

/** An IPv4 host and port as they stand in a socket address. */
export function writeName(target: Buffer, at: number, host: string, port: number): void {
  target.writeUInt16LE(AF_INET, at)
  target.writeUInt16BE(port, at + 2)
  for (const [index, octet] of host.split('.').entries()) target[at + 4 + index] = Number(octet)
}

/** The sockets of a load in one epoll. */
export class BatchSockets {
  readonly #calls = systemCalls()
  readonly #epoll = this.#calls.epoll_create1(0)
  readonly #out = new Batch(this.#calls.addressOf)
  readonly #in = new Batch(this.#calls.addressOf)
  readonly #events = Buffer.allocUnsafeSlow(EVENTS_MAX * 16)
  readonly #eventsAddress = this.#calls.addressOf(this.#events)
  readonly #eventOctets = process.arch === 'x64' ? 12 : 16
  readonly #descriptors: number[] = []

  /** Memory that packets to be sent are written into, at {@link packetAt}. */
  get outgoing(): Buffer {
    return this.#out.bytes
  }

  /** Opens a socket at an address of its own and gives its index. Its buffers hold `bufferOctets`, for which the right to is needed. */
  open(host: string, port: number, bufferOctets: number): number {
    const descriptor = this.#calls.socket(AF_INET, SOCK_DGRAM_NONBLOCK, 0)
    writeName(this.#events, 0, host, port)
    if (this.#calls.bind(descriptor, this.#eventsAddress, NAME_OCTETS) < 0)
      throw new Error(`cannot bind ${host}:${port}`)
    this.#events.writeInt32LE(bufferOctets, 0)
    this.#calls.setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, this.#eventsAddress, 4)
    this.#calls.setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, this.#eventsAddress, 4)
    this.#events.fill(0, 0, 16)
    this.#events.writeUInt32LE(EPOLLIN, 0)
    this.#events.writeUInt32LE(this.#descriptors.length, this.#eventOctets - 8)
    this.#calls.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, descriptor, this.#eventsAddress)
    return this.#descriptors.push(descriptor) - 1
  }

  /** Makes a slot ready: `name` is an address of {@link writeName}; the packet is in {@link outgoing} already. */
  put(slot: number, octets: number, name: Buffer): void {
    this.#out.bytes.set(name, nameAt(slot))
    this.#out.setOctets(slot, octets)
  }

  /** Sends the first `count` slots. Gives how many the kernel took. */
  send(socket: number, count: number): number {
    return Math.max(0, this.#calls.sendmmsg(this.#descriptors[socket] ?? -1, this.#out.address, count, MSG_DONTWAIT))
  }

  /** Gives every packet that is there to `take`: its memory, where it begins, its octets and its socket. Waits `waitMs` for the first. */
  receive(waitMs: number, take: (bytes: Buffer, at: number, octets: number, socket: number) => void): void {
    const { epoll_wait, recvmmsg } = this.#calls
    const ready = epoll_wait(this.#epoll, this.#eventsAddress, EVENTS_MAX, waitMs)
    for (let index = 0; index < ready; index++) {
      const socket = this.#events.readUInt32LE(index * this.#eventOctets + this.#eventOctets - 8)
      const count = recvmmsg(this.#descriptors[socket] ?? -1, this.#in.address, BATCH_MAX, MSG_DONTWAIT, 0)
      for (let slot = 0; slot < count; slot++) take(this.#in.bytes, packetAt(slot), this.#in.octets(slot), socket)
    }
  }

  close(): void {
    for (const descriptor of this.#descriptors) this.#calls.close(descriptor)
    this.#calls.close(this.#epoll)
  }
}
