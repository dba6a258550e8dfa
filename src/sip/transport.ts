// The transport layer: listeners, flows, and where responses go. RFC 3261 §18, RFC 3581, RFC 5626 §3.5, RFC 5923.

import { type Endpoint, endpointText, sameEndpoint, type TlsContext } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Flow, Target, TransportName } from '#sip/flow.ts'
import { bestListener, type ListenerWatcher, type Listening } from '#sip/listening.ts'
import type { Request } from '#sip/message.ts'
import { MessageIntake, type MessageUser } from '#sip/message-intake.ts'
import { familyOf, OwnAddresses } from '#sip/own-addresses.ts'
import { StreamListener } from '#sip/stream-listener.ts'
import { STREAM_LIMITS_DEFAULT, type StreamLimits, StreamPool } from '#sip/stream-pool.ts'
import { UdpListener } from '#sip/udp-listener.ts'

/** A request larger than this goes over a reliable transport where there is one (§18.1.1: path MTU unknown). In octets. */
export const UDP_SIZE_MAX_DEFAULT = 1_300

/** Who is above the transport. */
export interface TransportUser extends MessageUser {
  /** Every listener is bound. Once. */
  onListening(): void
  /** One listener could not be bound; all are closed again. `reason` names it: "udp 0.0.0.0:5060 EADDRINUSE". */
  onListenFailed(reason: string): void
}

/** One address to listen on. `host` is numeric, without brackets. */
export interface ListenSpec {
  readonly transport: TransportName
  readonly host: string
  readonly port: number
}

export interface TransportSettings {
  readonly listen: readonly ListenSpec[]
  /** host or host:port that others reach us at, written to Via and Contact; null: each listener's own address. */
  readonly advertise: string | null
  /** This machine's numeric addresses, preferred first: what listeners on 0.0.0.0 or :: call themselves. */
  readonly machineAddresses?: readonly string[]
  /** See {@link UDP_SIZE_MAX_DEFAULT}. */
  readonly udpSizeMax: number
  /** For TLS listeners and connections; null when there are none. */
  readonly tls: TlsContext | null
  /** Bounds of TCP and TLS; {@link STREAM_LIMITS_DEFAULT} where absent. */
  readonly limits?: Partial<StreamLimits>
}

export class SipTransport implements ListenerWatcher {
  readonly #user: TransportUser
  readonly #settings: TransportSettings
  readonly #own: OwnAddresses
  readonly #listeners: (UdpListener | StreamListener)[] = []
  readonly #udp: UdpListener[] = []
  readonly #streams: StreamListener[] = []
  readonly #pool: StreamPool
  #unbound = 0
  #stopped = false

  constructor(ports: Ports, settings: TransportSettings, user: TransportUser) {
    this.#user = user
    this.#settings = settings
    this.#own = new OwnAddresses(settings.advertise, settings.machineAddresses ?? [])
    const intake = new MessageIntake(ports, this.#own, user)
    for (const { transport, host, port } of settings.listen) {
      const local: Endpoint = { host, port, family: familyOf(host) === 6 ? 6 : 4 }
      if (transport === 'udp') {
        const listener = new UdpListener(ports, local, this.#own, intake, this)
        this.#udp.push(listener)
        this.#listeners.push(listener)
      } else {
        const listener = new StreamListener(ports, transport, local, transport === 'tls' ? settings.tls : null, this)
        this.#streams.push(listener)
        this.#listeners.push(listener)
      }
    }
    const limits = { ...STREAM_LIMITS_DEFAULT, ...settings.limits }
    this.#pool = new StreamPool(ports, this.#own, intake, limits, settings.tls, this.#streams)
    for (const listener of this.#streams) listener.feed(this.#pool)
  }

  /** Opens all listeners. A TLS listener without a certificate fails as TLS_NO_CERTIFICATE. */
  start(): void {
    this.#unbound = this.#listeners.length
    const bare = this.#streams.find((listener) => listener.transport === 'tls' && this.#settings.tls === null)
    if (bare !== undefined) {
      this.onBindFailed(bare, 'TLS_NO_CERTIFICATE')
      return
    }
    for (const listener of this.#listeners) listener.start()
  }

  /** Closes the listeners at once, and every connection after what is queued on it. */
  stop(): void {
    this.#stopped = true
    for (const listener of this.#listeners) listener.stop()
    this.#pool.stop()
  }

  /** New handshakes, either way, use the new certificate; established connections stay. */
  replaceTls(tls: TlsContext): void {
    this.#pool.tls = tls
    for (const listener of this.#streams) listener.replaceTls(tls)
  }

  /** The bound listeners, in the order of the settings. */
  get listening(): readonly { readonly transport: TransportName; readonly local: Endpoint }[] {
    return this.#listeners.filter(({ bound }) => bound).map(({ transport, local }) => ({ transport, local }))
  }

  /** Whether a request of `octets` may go over UDP (§18.1.1). */
  fitsUdp(octets: number): boolean {
    return octets <= this.#settings.udpSizeMax
  }

  /**
   * The flow on which a request to `target` leaves: over UDP from the listener nearest to it; over TCP or TLS a live
   * connection (RFC 5923) or a new one. Null when no listener of that transport and family is bound or the bound
   * of connections is reached.
   */
  flowTo(target: Target): Flow | null {
    if (target.transport !== 'udp') return this.#pool.flowTo(target)
    const listener = bestListener(this.#udp, 'udp', target.endpoint)
    return listener === null ? null : listener.flowTowards(target.endpoint, null)
  }

  /**
   * The flow on which responses to `request`, which came on `flow`, leave (§18.2.2, RFC 3581 §4): over UDP to the source
   * address and port when the client asked for it by rport, else to the source address and the port of sent-by; over a
   * connection on the same one, or on a new one to the same address and the port of sent-by when it has closed.
   * `maddr` is not followed: it would let anyone aim our responses at a third party.
   */
  flowForResponse(request: Request, flow: Flow): Flow {
    return flow.forResponse(request)
  }

  /** The flow of a stored registration: the same socket and remote, or the live connection; null when it is gone. */
  flowFrom(transport: TransportName, local: Endpoint, remote: Endpoint): Flow | null {
    if (transport !== 'udp') return this.#pool.flowFrom(transport, remote)
    const listener = this.#udp.find((candidate) => candidate.bound && sameEndpoint(candidate.local, local))
    return listener === undefined ? null : listener.flowTowards(remote, null)
  }

  /** What is held now: UDP flow objects, connections, octets of unfinished messages. */
  audit(): { readonly flows: number; readonly connections: number; readonly waitingOctets: number } {
    const flows = this.#udp.reduce((sum, listener) => sum + listener.flowCount, 0)
    return { flows, connections: this.#pool.size, waitingOctets: this.#pool.waitingOctets }
  }

  onBound(listener: Listening): void {
    this.#own.add(listener.local)
    if (this.#unbound === 0) return
    this.#unbound -= 1
    if (this.#unbound === 0) this.#user.onListening()
  }

  onBindFailed(listener: Listening, reason: string): void {
    if (this.#stopped) return
    this.stop()
    this.#user.onListenFailed(`${listener.transport} ${endpointText(listener.local)} ${reason}`)
  }
}
