// The Linux system calls of datagram sockets, through koffi, where both are there.

import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'
import type { node } from 'koffi'

/** Numbers of the Linux ABI, the same on x86-64 and arm64. */
export const LINUX = {
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEPORT: 15,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_SNDBUFFORCE: 32,
  SO_RCVBUFFORCE: 33,
  IPPROTO_IPV6: 41,
  IPV6_V6ONLY: 26,
  MSG_DONTWAIT: 0x40,
} as const

/** Readiness of one descriptor on the event loop. */
export type PollHandle = node.PollHandle

/** The system calls. Addresses of memory are numbers; the caller keeps the memory. Each gives −1 when it failed. */
export interface LinuxSockets {
  socket(domain: number, type: number, protocol: number): number
  bind(descriptor: number, address: Uint8Array, length: number): number
  setsockopt(descriptor: number, level: number, option: number, value: Uint8Array, length: number): number
  getsockname(descriptor: number, address: Uint8Array, length: Uint8Array): number
  close(descriptor: number): number
  recvmmsg(descriptor: number, vector: number, length: number, flags: number, timeout: number): number
  sendmmsg(descriptor: number, vector: number, length: number, flags: number): number
  /** The word of the last failure, such as EAGAIN. */
  failure(): string
  /** Where the memory of `bytes` is. */
  addressOf(bytes: Uint8Array): number
  /**
   * Calls `onReady` from the event loop whenever the socket is readable, with 0 or a negative status, after which the poll is
   * stopped. What `onReady` throws is not caught by anybody.
   */
  poll(descriptor: number, onReady: (status: number) => void): PollHandle
}

/** The system calls, or null: not Linux, another architecture, no koffi, or an old kernel. */
export function linuxSockets(): LinuxSockets | null {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) return null
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const libc = koffi.load(null)
    const calls = {
      socket: libc.func('int socket(int, int, int)'),
      bind: libc.func('int bind(int, void *, uint32_t)'),
      setsockopt: libc.func('int setsockopt(int, int, int, void *, uint32_t)'),
      getsockname: libc.func('int getsockname(int, void *, void *)'),
      close: libc.func('int close(int)'),
      recvmmsg: libc.func('int recvmmsg(int, int64_t, uint32_t, int, int64_t)'),
      sendmmsg: libc.func('int sendmmsg(int, int64_t, uint32_t, int)'),
    } as unknown as Pick<
      LinuxSockets,
      'socket' | 'bind' | 'setsockopt' | 'getsockname' | 'close' | 'recvmmsg' | 'sendmmsg'
    >
    const sockets: LinuxSockets = {
      ...calls,
      failure: () => getSystemErrorName(-koffi.errno()),
      addressOf: (bytes) => Number(koffi.address(bytes)),
      poll: (descriptor, onReady) => koffi.node.poll(descriptor, onReady as never),
    }
    // A kernel, or a sandbox, without the calls says ENOSYS or EPERM; one with them finds the descriptor bad.
    if (sockets.recvmmsg(-1, 0, 1, 0, 0) !== -1 || sockets.failure() !== 'EBADF') return null
    if (sockets.sendmmsg(-1, 0, 1, 0) !== -1 || sockets.failure() !== 'EBADF') return null
    return sockets
  } catch {
    return null
  }
}
