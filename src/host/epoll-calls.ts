// The Linux system calls of an epoll loop over datagram sockets, through koffi, where they are there.

import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'

/** Numbers of the Linux ABI, the same on x86-64 and arm64. */
export const EPOLL = {
  CTL_ADD: 1,
  IN: 1,
  CLOEXEC: 0o2000000,
  EFD_NONBLOCK: 0o4000,
  EFD_CLOEXEC: 0o2000000,
  IPPROTO_IP: 0,
  IP_TOS: 1,
  IPPROTO_IPV6: 41,
  IPV6_TCLASS: 67,
  IPV6_V6ONLY: 26,
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  MSG_DONTWAIT: 0x40,
} as const

/** The calls. Addresses of memory are numbers; the caller keeps the memory. Each gives −1 when it failed. */
export interface EpollCalls {
  /** Octets of a struct epoll_event: packed on x86-64, and where in it the descriptor's own word is. */
  readonly eventOctets: number
  readonly eventWord: number
  epollCreate(flags: number): number
  epollCtl(epoll: number, operation: number, descriptor: number, event: number): number
  epollWait(epoll: number, events: number, eventsMax: number, timeoutMs: number): number
  eventfd(initial: number, flags: number): number
  socket(domain: number, type: number, protocol: number): number
  bind(descriptor: number, name: number, octets: number): number
  setsockopt(descriptor: number, level: number, option: number, value: number, octets: number): number
  getsockname(descriptor: number, name: number, octets: number): number
  recvfrom(descriptor: number, memory: number, octets: number, flags: number, name: number, nameOctets: number): number
  sendto(descriptor: number, memory: number, octets: number, flags: number, name: number, nameOctets: number): number
  read(descriptor: number, memory: number, octets: number): number
  close(descriptor: number): number
  usleep(micros: number): number
  /** The word of the last failure, such as EADDRINUSE. */
  failure(): string
  /** Where the memory of `bytes` is. It must not be memory that the runtime moves: `Buffer.allocUnsafeSlow`. */
  addressOf(bytes: Uint8Array): number
}

/** The calls, or null: not Linux, another architecture, no koffi, or a sandbox without them. */
export function epollCalls(): EpollCalls | null {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) return null
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const libc = koffi.load(null)
    const packed = process.arch === 'x64'
    const calls = {
      epollCreate: libc.func('int epoll_create1(int)'),
      epollCtl: libc.func('int epoll_ctl(int, int, int, int64_t)'),
      epollWait: libc.func('int epoll_wait(int, int64_t, int, int)'),
      eventfd: libc.func('int eventfd(uint32_t, int)'),
      socket: libc.func('int socket(int, int, int)'),
      bind: libc.func('int bind(int, int64_t, uint32_t)'),
      setsockopt: libc.func('int setsockopt(int, int, int, int64_t, uint32_t)'),
      getsockname: libc.func('int getsockname(int, int64_t, int64_t)'),
      recvfrom: libc.func('int recvfrom(int, int64_t, int64_t, int, int64_t, int64_t)'),
      sendto: libc.func('int sendto(int, int64_t, int64_t, int, int64_t, uint32_t)'),
      read: libc.func('int read(int, int64_t, int64_t)'),
      close: libc.func('int close(int)'),
      usleep: libc.func('int usleep(uint32_t)'),
    } as unknown as Omit<EpollCalls, 'eventOctets' | 'eventWord' | 'failure' | 'addressOf'>
    const found: EpollCalls = {
      ...calls,
      eventOctets: packed ? 12 : 16,
      eventWord: packed ? 1 : 2,
      failure: () => getSystemErrorName(-koffi.errno()),
      addressOf: (bytes) => Number(koffi.address(bytes)),
    }
    // A kernel, or a sandbox, without the calls says ENOSYS or EPERM.
    const epoll = found.epollCreate(EPOLL.CLOEXEC)
    if (epoll < 0) return null
    found.close(epoll)
    return found
  } catch {
    return null
  }
}
