// Network namespaces joined by virtual cables, as a test's own small internet: one relay between two parties.

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const CLONE_NEWNET = 0x40000000

/** Addresses of the three, in both families. */
export const NETWORK = {
  4: { caller: '10.99.1.2', toCaller: '10.99.1.1', callee: '10.99.2.2', toCallee: '10.99.2.1' },
  6: { caller: 'fd00:99:1::2', toCaller: 'fd00:99:1::1', callee: 'fd00:99:2::2', toCallee: 'fd00:99:2::1' },
} as const

export type Place = 'caller' | 'relay' | 'callee'

/** The namespaces of this process. The thread that makes them stands in the relay's until {@link close}. */
export class NetworkNamespaces {
  readonly #setns: (descriptor: number, type: number) => number
  readonly #own = openSync('/proc/self/ns/net', 'r')
  readonly #descriptors: Record<Place, number>

  private constructor(setns: (descriptor: number, type: number) => number) {
    this.#setns = setns
    const open = (place: Place): number => openSync(`/run/netns/${nameOf(place)}`, 'r')
    this.#descriptors = { caller: open('caller'), relay: open('relay'), callee: open('callee') }
    this.#enter(this.#descriptors.relay)
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
    writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1')
  }

  /** The namespaces, or why this system has none. */
  static open(): NetworkNamespaces | string {
    for (const command of COMMANDS) {
      const { status, stderr, error } = spawnSync('ip', command.split(' '), { encoding: 'utf8' })
      if (status === 0) continue
      remove()
      return `ip ${command}: ${error?.message ?? stderr.trim()}`
    }
    try {
      const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
      const setns = koffi.load(null).func('int setns(int, int)')
      return new NetworkNamespaces((descriptor, type) => setns(descriptor, type) as number)
    } catch (error) {
      remove()
      return String(error)
    }
  }

  /** Does something, at once, in another namespace: sockets stay where they were made. */
  at<Result>(place: Place, action: () => Result): Result {
    this.#enter(this.#descriptors[place])
    try {
      return action()
    } finally {
      this.#enter(this.#descriptors.relay)
    }
  }

  close(): void {
    this.#enter(this.#own)
    for (const descriptor of [this.#own, ...Object.values(this.#descriptors)]) closeSync(descriptor)
    remove()
  }

  #enter(descriptor: number): void {
    if (this.#setns(descriptor, CLONE_NEWNET) !== 0) throw new Error('setns failed')
  }
}

function nameOf(place: Place): string {
  return `carillon-${process.pid}-${place}`
}

function remove(): void {
  for (const place of ['caller', 'relay', 'callee'] as const) spawnSync('ip', ['netns', 'delete', nameOf(place)])
}

function cable(place: 'caller' | 'callee'): string[] {
  const near = place === 'caller' ? 'toCaller' : 'toCallee'
  const relay = nameOf('relay')
  const party = nameOf(place)
  return [
    `-n ${relay} link add name ${near} type veth peer name cable0 netns ${party}`,
    `-n ${relay} address add ${NETWORK[4][near]}/24 dev ${near}`,
    `-n ${relay} address add ${NETWORK[6][near]}/64 dev ${near} nodad`,
    `-n ${party} address add ${NETWORK[4][place]}/24 dev cable0`,
    `-n ${party} address add ${NETWORK[6][place]}/64 dev cable0 nodad`,
    `-n ${relay} link set dev ${near} up`,
    `-n ${party} link set dev cable0 up`,
  ]
}

const COMMANDS = [
  ...(['caller', 'relay', 'callee'] as const).flatMap((place) => [
    `netns add ${nameOf(place)}`,
    `-n ${nameOf(place)} link set dev lo up`,
  ]),
  ...cable('caller'),
  ...cable('callee'),
]
