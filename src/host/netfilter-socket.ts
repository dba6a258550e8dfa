// A netlink socket to netfilter (NETLINK_NETFILTER) through koffi: requests that are answered before the call returns.

import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'
import { MediaSource } from '#core/media-sockets.ts'
import type { Endpoint } from '#core/net.ts'
import { NETLINK, type NetlinkMessage, readNetlink } from '#host/netlink-message.ts'
import { endpointOfSource, NAME_LENGTH, NAME_OCTETS, readName, sourceOf, writeName } from '#host/socket-name.ts'

const AF_NETLINK = 16
const AF_INET = 2
const AF_INET6 = 10
const SOCK_RAW = 3
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const NETLINK_NETFILTER = 12
const MSG_DONTWAIT = 0x40
const ANSWER_OCTETS_MAX = 65_536
/** Datagrams of answers to one request: an answer and an acknowledgement, or as many errors as messages. */
const ANSWERS_MAX = 256

interface Calls {
  socket(domain: number, type: number, protocol: number): number
  bind(descriptor: number, name: Uint8Array, octets: number): number
  connect(descriptor: number, name: Uint8Array, octets: number): number
  getsockname(descriptor: number, name: Uint8Array, octets: Uint8Array): number
  send(descriptor: number, bytes: Uint8Array, octets: number, flags: number): number
  recv(descriptor: number, bytes: Uint8Array, octets: number, flags: number): number
  close(descriptor: number): number
}

/** What came of a request. */
export interface NetfilterAnswer {
  /** The word of the first error, such as EPERM; '' none. */
  readonly error: string
  /** Messages that are no acknowledgements. Their memory is valid until the next request. */
  readonly messages: readonly NetlinkMessage[]
}

/** The socket. What was made with it as its owner goes when it is closed, at the latest when the process ends. */
export class NetfilterSocket {
  readonly #calls: Calls
  readonly #failure: () => string
  #descriptor: number
  readonly #answer = Buffer.alloc(ANSWER_OCTETS_MAX)

  private constructor(calls: Calls, failure: () => string, descriptor: number) {
    this.#calls = calls
    this.#failure = failure
    this.#descriptor = descriptor
  }

  /** A socket, or a word why there is none. */
  static open(): NetfilterSocket | string {
    if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) return 'ENOTSUP'
    try {
      const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
      const libc = koffi.load(null)
      const calls = {
        socket: libc.func('int socket(int, int, int)'),
        bind: libc.func('int bind(int, void *, uint32_t)'),
        connect: libc.func('int connect(int, void *, uint32_t)'),
        getsockname: libc.func('int getsockname(int, void *, void *)'),
        send: libc.func('int64_t send(int, void *, int64_t, int)'),
        recv: libc.func('int64_t recv(int, void *, int64_t, int)'),
        close: libc.func('int close(int)'),
      } as unknown as Calls
      const failure = (): string => getSystemErrorName(-koffi.errno())
      const descriptor = calls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)
      if (descriptor < 0) return failure()
      const name = Buffer.alloc(12)
      name.writeUInt16LE(AF_NETLINK, 0)
      if (calls.bind(descriptor, name, name.length) < 0) {
        const word = failure()
        calls.close(descriptor)
        return word
      }
      return new NetfilterSocket(calls, failure, descriptor)
    } catch {
      return 'ENOTSUP'
    }
  }

  /** The socket's port, unique among those of its kind in the network namespace. */
  get port(): number {
    const name = Buffer.alloc(12)
    const length = Buffer.from(new Uint32Array([name.length]).buffer)
    return this.#calls.getsockname(this.#descriptor, name, length) < 0 ? 0 : name.readUInt32LE(4)
  }

  /** Sends messages; netfilter answers them before the system call returns. */
  request(bytes: Buffer): NetfilterAnswer {
    const messages: NetlinkMessage[] = []
    if (this.#descriptor < 0) return { error: 'EBADF', messages }
    if (Number(this.#calls.send(this.#descriptor, bytes, bytes.length, 0)) < 0) {
      return { error: this.#failure(), messages }
    }
    let error = ''
    let at = 0
    for (let count = 0; count < ANSWERS_MAX; count++) {
      // Each is kept behind the one before, as long as there is room.
      if (at > ANSWER_OCTETS_MAX / 2) at = 0
      const room = this.#answer.subarray(at)
      const octets = Number(this.#calls.recv(this.#descriptor, room, room.length, MSG_DONTWAIT))
      if (octets <= 0) break
      for (const message of readNetlink(room.subarray(0, octets))) {
        if (message.type !== NETLINK.ERROR) messages.push(message)
        else if (message.error !== 0 && error === '') error = getSystemErrorName(-message.error)
      }
      at += octets
    }
    return { error, messages }
  }

  /** The address that the system sends to `remote` from; null when there is no way there. */
  sourceFor(remote: Endpoint): Endpoint | null {
    const source = sourceOf(remote)
    if (source === null) return null
    const calls = this.#calls
    const family = remote.family === 6 ? AF_INET6 : AF_INET
    const descriptor = calls.socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (descriptor < 0) return null
    const name = Buffer.alloc(NAME_OCTETS)
    const words = new Int32Array(name.buffer, name.byteOffset, NAME_OCTETS / 4)
    writeName(words, source, 0)
    const length = Buffer.from(new Uint32Array([NAME_OCTETS]).buffer)
    let found: Endpoint | null = null
    if (calls.connect(descriptor, name, NAME_LENGTH[remote.family]) === 0) {
      if (calls.getsockname(descriptor, name, length) === 0) {
        const own = new MediaSource()
        readName(words, own)
        found = endpointOfSource(own)
      }
    }
    calls.close(descriptor)
    return found
  }

  close(): void {
    if (this.#descriptor >= 0) this.#calls.close(this.#descriptor)
    this.#descriptor = -1
  }
}
