// One simulated computer as the network sees it: its addresses, and what its kernel has open.

import type { Endpoint } from '#core/net.ts'
import type { SimConnection } from '#sim/connection.ts'
import type { SimDatagramSocket, SimListener } from '#sim/net.ts'
import type { Realm } from '#sim/realm.ts'

const EPHEMERAL_MIN = 32_768
const EPHEMERAL_MAX = 60_999

/** Survives the processes that run on it; without power it is deaf and dumb, and forgets its connections. */
export class Machine {
  readonly name: string
  readonly addresses: readonly string[]
  readonly realm: Realm
  up = true
  readonly sockets = new Set<SimDatagramSocket>()
  readonly listeners = new Set<SimListener>()
  readonly connections = new Set<SimConnection>()
  #ephemeral = EPHEMERAL_MIN

  constructor(name: string, addresses: readonly string[], realm: Realm) {
    this.name = name
    this.addresses = addresses
    this.realm = realm
    for (const address of addresses) realm.attach(address, this)
  }

  /** Whether `host` is this machine: one of its addresses or the loopback. */
  owns(host: string): boolean {
    return isLoopback(host) || this.addresses.includes(host)
  }

  /** The address that packets to `remote` leave from when the socket is bound to all of them; null without that family. */
  sourceFor(remote: Endpoint): string | null {
    if (isLoopback(remote.host)) return remote.host
    return this.addresses.find((address) => familyOf(address) === remote.family) ?? null
  }

  /** The socket that takes datagrams for `local`: one bound to the address before one bound to all. */
  socketFor(local: Endpoint): SimDatagramSocket | null {
    return best(this.sockets, local)
  }

  listenerFor(local: Endpoint): SimListener | null {
    return best(this.listeners, local)
  }

  /** Whether another socket or listener would be in the way of one bound to `local`. */
  isTaken(open: Iterable<{ readonly local: Endpoint }>, local: Endpoint): boolean {
    for (const { local: other } of open) {
      if (other.port !== local.port || other.family !== local.family) continue
      if (other.host === local.host || isWildcard(other.host) || isWildcard(local.host)) return true
    }
    return false
  }

  /** A port for outgoing connections and sockets bound to port 0. */
  ephemeralPort(): number {
    this.#ephemeral = this.#ephemeral >= EPHEMERAL_MAX ? EPHEMERAL_MIN : this.#ephemeral + 1
    return this.#ephemeral
  }
}

/** The family of a numeric address. */
export function familyOf(host: string): 4 | 6 {
  return host.includes(':') ? 6 : 4
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

export function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.')
}

function best<T extends { readonly local: Endpoint }>(open: Iterable<T>, local: Endpoint): T | null {
  let wildcard: T | null = null
  for (const one of open) {
    if (one.local.port !== local.port) continue
    if (one.local.host === local.host) return one
    if (isWildcard(one.local.host) && one.local.family === local.family) wildcard = one
  }
  return wildcard
}
