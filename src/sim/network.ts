// The simulated network: address spaces, NATs and links, and the way of a packet through them.

import { createHash } from 'node:crypto'
import type { Endpoint } from '#core/net.ts'
import { endpointText } from '#core/net.ts'
import type { Dns } from '#sim/dns.ts'
import type { Generator } from '#sim/generator.ts'
import type { LinkOptions } from '#sim/link.ts'
import { LINK_DEFAULTS, Link } from '#sim/link.ts'
import { familyOf, isLoopback, Machine } from '#sim/machine.ts'
import type { Protocol } from '#sim/nat.ts'
import { Nat } from '#sim/nat.ts'
import { Realm } from '#sim/realm.ts'
import type { VirtualTime } from '#sim/virtual-time.ts'
import type { WireEvent, WireObserver } from '#sim/wire.ts'

/** The largest payload of a UDP datagram over IPv4, in octets. */
const DATAGRAM_OCTETS_MAX = 65_507

/** A packet that has left all NATs on the sender's side. */
export interface Departure {
  readonly realm: Realm
  /** The sender's address as seen in `realm`. */
  readonly source: Endpoint
  /** The last NAT passed on the way out, which may have to hairpin. */
  readonly passed: Nat | null
  /** Who will get it if the NATs on the receiver's side still agree when it arrives. */
  readonly receiver: Machine | null
}

export class Network {
  readonly time: VirtualTime
  readonly random: Generator
  readonly dns: Dns
  readonly publicRealm = new Realm('public')
  linkDefaults: LinkOptions = LINK_DEFAULTS
  /** Streams are delivered in pieces that do not match what was sent. */
  fragmentStreams = true
  connectionsOpened = 0
  datagramsSent = 0
  readonly #links = new Map<string, Link>()
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #observers: WireObserver[] = []
  readonly #hash = createHash('sha256')

  constructor(time: VirtualTime, random: Generator, dns: Dns) {
    this.time = time
    this.random = random
    this.dns = dns
  }

  /** The shared frozen object of an endpoint. */
  endpoint(host: string, port: number): Endpoint {
    const key = `${host} ${port}`
    let endpoint = this.#endpoints.get(key)
    if (endpoint === undefined) {
      endpoint = Object.freeze({ host, port, family: familyOf(host) })
      this.#endpoints.set(key, endpoint)
    }
    return endpoint
  }

  observe(observer: WireObserver): void {
    this.#observers.push(observer)
  }

  /** A digest of everything that was on the wire: equal for two runs exactly when they did the same. */
  traceHash(): string {
    return this.#hash.copy().digest('hex')
  }

  emit(event: WireEvent): void {
    const { atMs, fate, transport, at, source, destination, connection } = event
    this.#hash.update(
      `${atMs} ${fate} ${transport} ${at} ${endpointText(source)} ${endpointText(destination)} ${connection} ${event.bytes.length}\n`,
    )
    this.#hash.update(event.bytes)
    for (const observer of this.#observers) observer.onWire(event)
  }

  /** The link between two machines, made with the defaults on first use. */
  link(left: Machine, right: Machine): Link {
    const key = left.name < right.name ? `${left.name}\n${right.name}` : `${right.name}\n${left.name}`
    let link = this.#links.get(key)
    if (link === undefined) {
      const options = left === right ? LINK_DEFAULTS : this.linkDefaults
      link = new Link(left === right ? { ...options, latencyMs: 0 } : options, this.random.fork(`link ${key}`))
      this.#links.set(key, link)
    }
    return link
  }

  /** Sends a datagram from a socket of `machine`. */
  sendDatagram(machine: Machine, source: Endpoint, destination: Endpoint, bytes: Uint8Array): void {
    if (!machine.up) return
    this.datagramsSent++
    const copy = new Uint8Array(bytes) // A Buffer's slice() would share the memory.
    const at = machine.name
    const event = {
      atMs: this.time.nowMs,
      transport: 'udp',
      at,
      source,
      destination,
      connection: 0,
      bytes: copy,
    } as const
    this.emit({ ...event, fate: 'sent' })
    const departure = this.depart(machine, 'udp', source, destination)
    if (departure === null || copy.length > DATAGRAM_OCTETS_MAX) {
      this.emit({ ...event, fate: 'unreachable' })
      return
    }
    const link = departure.receiver === null ? null : this.link(machine, departure.receiver)
    const delays = link === null ? [this.linkDefaults.latencyMs] : link.draw(copy.length)
    if (delays.length === 0) this.emit({ ...event, fate: 'lost' })
    for (const delayMs of delays) {
      this.time.after(delayMs, () => this.#arriveDatagram(departure, destination, copy))
    }
  }

  #arriveDatagram(departure: Departure, destination: Endpoint, bytes: Uint8Array): void {
    const arrival = this.arrive(departure, 'udp', destination)
    const event = { atMs: this.time.nowMs, transport: 'udp', source: departure.source, connection: 0, bytes } as const
    if (arrival === null) {
      this.emit({ ...event, at: '', destination, fate: 'filtered' })
      return
    }
    const { machine, local } = arrival
    const socket = machine.up ? machine.socketFor(local) : null
    if (socket === null) {
      this.emit({ ...event, at: machine.name, destination: local, fate: 'unreachable' })
      return
    }
    this.emit({ ...event, at: machine.name, destination: local, fate: 'delivered' })
    socket.deliver(bytes, departure.source)
  }

  /** Outward through the NATs of the sender until the realm in which `destination` is; null when there is none. */
  depart(machine: Machine, protocol: Protocol, source: Endpoint, destination: Endpoint): Departure | null {
    if (isLoopback(destination.host)) return { realm: machine.realm, source, passed: null, receiver: machine }
    let realm = machine.realm
    let passed: Nat | null = null
    while (realm.find(destination.host) === null) {
      if (realm.gateway === null || realm.outer === null) return null
      passed = realm.gateway
      source = passed.outbound(protocol, source, destination, (host, port) => this.endpoint(host, port))
      realm = realm.outer
    }
    return { realm, source, passed, receiver: this.#peek(realm, protocol, destination) }
  }

  /** Inward through the NATs of the receiver; null when one of them refuses. */
  arrive(
    departure: Departure,
    protocol: Protocol,
    destination: Endpoint,
  ): { machine: Machine; local: Endpoint } | null {
    const { source, passed, receiver } = departure
    if (isLoopback(destination.host)) return receiver === null ? null : { machine: receiver, local: destination }
    let attachment = departure.realm.find(destination.host)
    while (attachment instanceof Nat) {
      if (attachment === passed && !attachment.options.hairpin) return null
      const inner = attachment.inbound(protocol, source, destination)
      if (inner === null) return null
      destination = inner
      attachment = attachment.inner.find(inner.host)
    }
    return attachment === null ? null : { machine: attachment, local: destination }
  }

  #peek(realm: Realm, protocol: Protocol, destination: Endpoint): Machine | null {
    let attachment = realm.find(destination.host)
    while (attachment instanceof Nat) {
      const inner = attachment.peek(protocol, destination)
      if (inner === null) return null
      destination = inner
      attachment = attachment.inner.find(inner.host)
    }
    return attachment instanceof Machine ? attachment : null
  }
}
