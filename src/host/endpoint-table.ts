// Endpoints that repeat are one frozen object each, in a table of bounded size. Hot path: one look-up for every datagram.

import type { Endpoint } from '#core/net.ts'

/** Endpoints kept. At some 200 octets each that is about 26 MB; a subscriber's telephone is one. */
export const ENDPOINTS_MAX = 131_072
/** Cells of the direct-mapped cache before the maps; a power of two. */
const CACHE_CELLS = 8_192

/** A frozen endpoint that belongs to no table. */
export function frozenEndpoint(host: string, port: number, family: 4 | 6): Endpoint {
  return Object.freeze({ host, port, family })
}

/**
 * Interns endpoints. Forgets by generations: when the young one is full it becomes the old one, and what was in the old
 * one and has not been asked for since is dropped. An endpoint dropped here stays valid for whoever holds it.
 */
export class EndpointTable {
  readonly #generationMax: number
  readonly #cells: (Endpoint | null)[] = new Array<Endpoint | null>(CACHE_CELLS).fill(null)
  #young = new Map<string, Endpoint>()
  #old = new Map<string, Endpoint>()

  constructor(endpointsMax = ENDPOINTS_MAX) {
    this.#generationMax = Math.max(1, endpointsMax >> 1)
  }

  /** Endpoints in the maps. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** The one object for this address. `host` must be in the canonical spelling. */
  of(host: string, port: number, family: 4 | 6): Endpoint {
    const last = host.length - 1
    const mixed =
      port * 31 + host.charCodeAt(last) * 7 + host.charCodeAt(last - 1) * 131 + host.charCodeAt(last - 2) * 1_031
    const cell = mixed & (CACHE_CELLS - 1)
    const cached = this.#cells[cell] as Endpoint | null
    if (cached !== null && cached.port === port && cached.host === host) return cached
    const endpoint = this.#lookUp(host, port, family)
    this.#cells[cell] = endpoint
    return endpoint
  }

  #lookUp(host: string, port: number, family: 4 | 6): Endpoint {
    const key = `${host} ${port}`
    let endpoint = this.#young.get(key)
    if (endpoint !== undefined) return endpoint
    endpoint = this.#old.get(key)
    if (endpoint === undefined) endpoint = frozenEndpoint(host, port, family)
    else this.#old.delete(key)
    if (this.#young.size >= this.#generationMax) {
      this.#old = this.#young
      this.#young = new Map()
      this.#cells.fill(null)
    }
    this.#young.set(key, endpoint)
    return endpoint
  }
}
