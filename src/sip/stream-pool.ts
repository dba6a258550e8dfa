// All connections of one transport layer: who may connect, which connection a request takes. RFC 3261 §18.1.1, RFC 5923.

import type { Clock } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import { type Connection, type Endpoint, endpointText, type TlsContext } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Flow, Target, TransportName } from '#sip/flow.ts'
import { sourceKey } from '#sip/ip-address.ts'
import { bestListener, type Listening } from '#sip/listening.ts'
import { type Message, Request } from '#sip/message.ts'
import type { MessageIntake } from '#sip/message-intake.ts'
import type { OwnAddresses } from '#sip/own-addresses.ts'
import { StreamFlow } from '#sip/stream-flow.ts'
import { TrafficCounters } from '#sip/traffic-counters.ts'

/** Bounds of the connections of one transport layer. */
export interface StreamLimits {
  readonly connectionsMax: number
  /** From or to one address (IPv6: one /64). */
  readonly connectionsPerAddressMax: number
  /** A connection on which nothing passes and that nobody watches is closed after this time. */
  readonly idleMs: number
  /** A message must be complete this long after its first octet, and the first one after the connection opened. */
  readonly messageMs: number
  /** A connection of ours must be open after this time. */
  readonly connectMs: number
  /** Octets that one connection may hold back because the far side does not read. */
  readonly queuedOctetsMax: number
  /** Octets of unfinished messages of all connections together. */
  readonly waitingOctetsMax: number
}

export const STREAM_LIMITS_DEFAULT: StreamLimits = {
  connectionsMax: 20_000,
  connectionsPerAddressMax: 512,
  idleMs: 180_000,
  messageMs: 20_000,
  connectMs: 5_000,
  queuedOctetsMax: 1_048_576,
  waitingOctetsMax: 67_108_864,
}

/** Reasons that have a counter of their own; every other word counts as error. */
const REASONS: ReadonlySet<string> = new Set([
  'closed',
  'idle',
  'slow',
  'malformed',
  'queueFull',
  'waitingMax',
  'evicted',
])

export class StreamPool {
  readonly clock: Clock
  readonly limits: StreamLimits
  readonly intake: MessageIntake
  /** For connections that we open; null when TLS is not configured. */
  tls: TlsContext | null
  readonly #ports: Ports
  readonly #own: OwnAddresses
  readonly #origins: readonly Listening[]
  readonly #flows = new Set<StreamFlow>()
  /** Connections that have not brought a valid message, oldest first: they make room when all places are taken. */
  readonly #unproven = new Set<StreamFlow>()
  readonly #perSource = new Map<string, number>()
  readonly #byRemote = new Map<string, StreamFlow[]>()
  readonly #aliases = new Map<string, StreamFlow>()
  readonly #aliasOf = new Map<StreamFlow, string>()
  readonly #ended = new Map<string, Counter>()
  readonly #sent: Readonly<Record<TransportName, TrafficCounters>>
  readonly #unsent: Counter
  readonly #keepAlives: Counter
  readonly #accepted: Counter
  readonly #connected: Counter
  readonly #refused: Counter
  #waitingOctets = 0
  #stopped = false

  constructor(
    ports: Ports,
    own: OwnAddresses,
    intake: MessageIntake,
    limits: StreamLimits,
    tls: TlsContext | null,
    origins: readonly Listening[],
  ) {
    this.#ports = ports
    this.clock = ports.clock
    this.#own = own
    this.intake = intake
    this.limits = limits
    this.tls = tls
    this.#origins = origins
    const { counters } = ports
    this.#sent = {
      udp: new TrafficCounters(counters, 'udp', 'sent'),
      tcp: new TrafficCounters(counters, 'tcp', 'sent'),
      tls: new TrafficCounters(counters, 'tls', 'sent'),
    }
    this.#unsent = counters.counter(
      'carillon_sip_unsent_total{transport="stream"}',
      'Messages dropped instead of sent.',
    )
    this.#keepAlives = counters.counter('carillon_sip_keep_alives_total{transport="stream"}', 'Keep-alives received.')
    this.#accepted = counters.counter('carillon_sip_connections_accepted_total', 'SIP connections accepted.')
    this.#connected = counters.counter('carillon_sip_connections_opened_total', 'SIP connections that we opened.')
    this.#refused = counters.counter('carillon_sip_connections_refused_total', 'SIP connections above a limit.')
    counters.gauge('carillon_sip_connections', 'SIP connections open or opening.', () => this.#flows.size)
  }

  get size(): number {
    return this.#flows.size
  }

  /** Octets of unfinished messages of all connections. */
  get waitingOctets(): number {
    return this.#waitingOctets
  }

  /** Whether unfinished messages are within their bound. */
  get holdsWaiting(): boolean {
    return this.#waitingOctets <= this.limits.waitingOctetsMax
  }

  /** Takes in a connection that `origin` accepted; null when a limit refuses it. */
  accept(origin: Listening, connection: Connection): StreamFlow | null {
    const { remote } = connection
    if (!this.#hasRoom(remote)) return null
    const sentBy = this.#own.sentBy(origin.local, remote)
    const flow = new StreamFlow(this, origin.transport, connection.local, remote, sentBy, null)
    this.#add(flow)
    this.#unproven.add(flow)
    flow.accepted(connection)
    this.#accepted.add()
    return flow
  }

  /** A live connection to `target`, or a new one; null when no listener fits, TLS is not configured, or a limit is reached. */
  flowTo(target: Target): Flow | null {
    const { transport, endpoint, serverName } = target
    const live = this.#liveTo(target)
    if (live !== null) return live
    const origin = bestListener(this.#origins, transport, endpoint)
    if (origin === null || (transport === 'tls' && this.tls === null) || !this.#hasRoom(endpoint)) return null
    const sentBy = this.#own.sentBy(origin.local, endpoint)
    const flow = new StreamFlow(this, transport, origin.local, endpoint, sentBy, serverName)
    this.#add(flow)
    const tls = transport === 'tls' ? this.tls : null
    flow.connecting(this.#ports.net.connect(endpoint, tls, serverName, flow))
    return flow
  }

  /** The live connection with exactly that remote address, or null. */
  flowFrom(transport: TransportName, remote: Endpoint): Flow | null {
    const flows = this.#byRemote.get(keyOf(transport, remote))
    return flows?.find((flow) => !flow.closed) ?? null
  }

  /** Closes every connection after what is queued. */
  stop(): void {
    this.#stopped = true
    for (const flow of [...this.#flows]) flow.close('closed')
  }

  onOpened(_flow: StreamFlow): void {
    this.#connected.add()
  }

  /** A valid message came on `flow`. */
  onMessage(flow: StreamFlow, message: Message): void {
    if (!flow.proven) {
      flow.proven = true
      this.#unproven.delete(flow)
    }
    if (flow.transport === 'tls' && message instanceof Request) this.#noteAlias(flow, message)
  }

  onWaiting(octets: number): void {
    this.#waitingOctets += octets
  }

  onEnded(flow: StreamFlow, reason: string): void {
    this.#flows.delete(flow)
    this.#unproven.delete(flow)
    const source = sourceKey(flow.remote)
    const count = (this.#perSource.get(source) ?? 1) - 1
    if (count === 0) this.#perSource.delete(source)
    else this.#perSource.set(source, count)
    const key = keyOf(flow.transport, flow.remote)
    const rest = (this.#byRemote.get(key) ?? []).filter((other) => other !== flow)
    if (rest.length === 0) this.#byRemote.delete(key)
    else this.#byRemote.set(key, rest)
    const alias = this.#aliasOf.get(flow)
    if (alias !== undefined) {
      this.#aliasOf.delete(flow)
      if (this.#aliases.get(alias) === flow) this.#aliases.delete(alias)
    }
    this.#countEnd(REASONS.has(reason) ? reason : 'error')
  }

  countSent(flow: StreamFlow, text: string): void {
    this.#sent[flow.transport].countText(text)
  }

  countUnsent(_flow: StreamFlow): void {
    this.#unsent.add()
  }

  countKeepAlive(_flow: StreamFlow): void {
    this.#keepAlives.add()
  }

  #liveTo({ transport, endpoint, serverName }: Target): StreamFlow | null {
    const key = keyOf(transport, endpoint)
    for (const flow of this.#byRemote.get(key) ?? []) if (flow.serves(endpoint, serverName)) return flow
    const alias = this.#aliases.get(key)
    if (alias === undefined || alias.closed || serverName === null) return null
    return alias.isKnownAs(serverName) ? alias : null
  }

  /**
   * RFC 5923 §5: the client says by `alias` that requests to its sent-by may come back on this connection. Believed only
   * over TLS from a peer whose certificate verified, and only for names in it: else anyone could draw calls to itself.
   */
  #noteAlias(flow: StreamFlow, request: Request): void {
    if (flow.outgoing || flow.peer?.verified !== true || this.#aliasOf.has(flow)) return
    const via = request.topmostVia
    if (via.param('alias') === null) return
    const { host, family } = flow.remote
    const key = keyOf('tls', { host, port: via.port ?? 5061, family })
    this.#aliases.set(key, flow)
    this.#aliasOf.set(flow, key)
  }

  #hasRoom(remote: Endpoint): boolean {
    if (this.#stopped) return false
    if ((this.#perSource.get(sourceKey(remote)) ?? 0) >= this.limits.connectionsPerAddressMax) {
      this.#refused.add()
      return false
    }
    if (this.#flows.size < this.limits.connectionsMax) return true
    const [oldest] = this.#unproven
    if (oldest === undefined) {
      this.#refused.add()
      return false
    }
    oldest.abort('evicted')
    return true
  }

  #add(flow: StreamFlow): void {
    this.#flows.add(flow)
    const source = sourceKey(flow.remote)
    this.#perSource.set(source, (this.#perSource.get(source) ?? 0) + 1)
    const key = keyOf(flow.transport, flow.remote)
    const flows = this.#byRemote.get(key)
    if (flows === undefined) this.#byRemote.set(key, [flow])
    else flows.push(flow)
  }

  #countEnd(reason: string): void {
    let counter = this.#ended.get(reason)
    if (counter === undefined) {
      const name = `carillon_sip_connections_ended_total{reason="${reason}"}`
      counter = this.#ports.counters.counter(name, 'SIP connections that ended, by why.')
      this.#ended.set(reason, counter)
    }
    counter.add()
  }
}

function keyOf(transport: TransportName, endpoint: Endpoint): string {
  return `${transport} ${endpointText(endpoint)}`
}
