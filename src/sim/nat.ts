// A network address translator of the kinds of RFC 4787 (UDP) and RFC 5382 (TCP).

import { unreachable } from '#core/assert.ts'
import type { Endpoint } from '#core/net.ts'
import type { Generator } from '#sim/generator.ts'
import { Realm } from '#sim/realm.ts'

/** RFC 4787 §4.1 and §5: what a mapping, or who may use it inwards, depends on. */
export type Dependence = 'endpointIndependent' | 'addressDependent' | 'addressAndPortDependent'

export interface NatOptions {
  readonly mapping: Dependence
  readonly filtering: Dependence
  /** An unused UDP mapping lives this long. RFC 4787 REQ-5 asks for two minutes; many boxes have 30 s. */
  readonly udpTimeoutMs: number
  readonly tcpTimeoutMs: number
  /** RFC 4787 REQ-6: whether traffic from outside also keeps a mapping alive. */
  readonly refreshInbound: boolean
  /** RFC 4787 §6: whether two hosts behind it reach each other through its outer address. */
  readonly hairpin: boolean
  /** RFC 4787 §4.2.1: the outer port is the inner one when it is free. */
  readonly preservePort: boolean
}

/** The kinds that people have names for. */
export const NAT_KINDS = {
  fullCone: { mapping: 'endpointIndependent', filtering: 'endpointIndependent' },
  restrictedCone: { mapping: 'endpointIndependent', filtering: 'addressDependent' },
  portRestricted: { mapping: 'endpointIndependent', filtering: 'addressAndPortDependent' },
  symmetric: { mapping: 'addressAndPortDependent', filtering: 'addressAndPortDependent' },
} as const satisfies Record<string, Pick<NatOptions, 'mapping' | 'filtering'>>

const DEFAULTS: NatOptions = {
  ...NAT_KINDS.portRestricted,
  udpTimeoutMs: 120_000,
  tcpTimeoutMs: 7_440_000,
  refreshInbound: false,
  hairpin: true,
  preservePort: true,
}

const PORT_MIN = 1_024
const PORT_MAX = 65_535
/** Mappings one box can hold; the oldest make room, as in the cheap ones. */
const MAPPINGS_MAX = 4_096

export type Protocol = 'udp' | 'tcp'

interface Mapping {
  readonly key: string
  readonly protocol: Protocol
  readonly inner: Endpoint
  readonly outer: Endpoint
  usedMs: number
  /** Who was sent to through this mapping, in the spelling that the filter compares. */
  readonly contacted: Set<string>
}

/** The box: an address in an outer realm and a realm of private addresses behind it. */
export class Nat {
  /** The private address space. */
  readonly inner: Realm
  readonly outerHost: string
  readonly options: NatOptions
  readonly #random: Generator
  readonly #now: () => number
  readonly #byKey = new Map<string, Mapping>()
  readonly #byPort = new Map<string, Mapping>()

  constructor(outer: Realm, outerHost: string, options: Partial<NatOptions>, random: Generator, now: () => number) {
    this.options = { ...DEFAULTS, ...options }
    this.outerHost = outerHost
    this.inner = new Realm(`behind ${outerHost}`, outer, this)
    this.#random = random
    this.#now = now
    outer.attach(outerHost, this)
  }

  /** Outward: the outer endpoint that `source` has towards `destination`; makes or refreshes the mapping. */
  outbound(protocol: Protocol, source: Endpoint, destination: Endpoint, intern: Intern): Endpoint {
    const key = `${protocol} ${text(source)} ${dependence(this.options.mapping, destination)}`
    let mapping = this.#byKey.get(key)
    if (mapping !== undefined && this.#expired(mapping)) {
      this.#drop(mapping)
      mapping = undefined
    }
    if (mapping === undefined) {
      if (this.#byKey.size >= MAPPINGS_MAX) this.#drop(this.#byKey.values().next().value as Mapping)
      const outer = intern(this.outerHost, this.#freePort(protocol, source.port))
      mapping = { key, protocol, inner: source, outer, usedMs: 0, contacted: new Set() }
      this.#byKey.set(key, mapping)
      this.#byPort.set(`${protocol} ${outer.port}`, mapping)
    }
    mapping.usedMs = this.#now()
    mapping.contacted.add(dependence(this.options.filtering, destination))
    return mapping.outer
  }

  /** Inward: the inner endpoint behind `destination` for what comes from `source`; null when there is none or the filter refuses. */
  inbound(protocol: Protocol, source: Endpoint, destination: Endpoint): Endpoint | null {
    const mapping = this.#live(protocol, destination)
    if (mapping === null || !mapping.contacted.has(dependence(this.options.filtering, source))) return null
    if (this.options.refreshInbound) mapping.usedMs = this.#now()
    return mapping.inner
  }

  /** Who is behind `destination` now, whatever the filter says. */
  peek(protocol: Protocol, destination: Endpoint): Endpoint | null {
    return this.#live(protocol, destination)?.inner ?? null
  }

  /** Forgets every mapping, as a reboot of the box does. */
  reboot(): void {
    this.#byKey.clear()
    this.#byPort.clear()
  }

  #live(protocol: Protocol, destination: Endpoint): Mapping | null {
    const mapping = this.#byPort.get(`${protocol} ${destination.port}`)
    return mapping === undefined || this.#expired(mapping) ? null : mapping
  }

  #expired(mapping: Mapping): boolean {
    const timeoutMs = mapping.protocol === 'udp' ? this.options.udpTimeoutMs : this.options.tcpTimeoutMs
    return this.#now() - mapping.usedMs > timeoutMs
  }

  #drop(mapping: Mapping): void {
    this.#byKey.delete(mapping.key)
    this.#byPort.delete(`${mapping.protocol} ${mapping.outer.port}`)
  }

  #freePort(protocol: Protocol, wanted: number): number {
    if (this.options.preservePort && this.#isFree(protocol, wanted)) return wanted
    for (let attempt = 0; attempt < PORT_MAX; attempt++) {
      const port = this.#random.between(PORT_MIN, PORT_MAX)
      if (this.#isFree(protocol, port)) return port
    }
    return unreachable('a NAT with no free port')
  }

  #isFree(protocol: Protocol, port: number): boolean {
    const mapping = this.#byPort.get(`${protocol} ${port}`)
    if (mapping === undefined) return true
    if (!this.#expired(mapping)) return false
    this.#drop(mapping)
    return true
  }
}

/** Gives the one frozen object of an endpoint. */
export type Intern = (host: string, port: number) => Endpoint

function text(endpoint: Endpoint): string {
  return `${endpoint.host} ${endpoint.port}`
}

function dependence(kind: Dependence, remote: Endpoint): string {
  if (kind === 'endpointIndependent') return '*'
  return kind === 'addressDependent' ? remote.host : text(remote)
}
