// The transport layer: listeners, flows, and where responses go. RFC 3261 §18, RFC 3581, RFC 5626 §3.5, RFC 5923.

import { type Endpoint, sameEndpoint, type TlsContext } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { Flow, Target, TransportName } from '#sip/flow.ts'
import type { Request } from '#sip/message.ts'
import { MessageIntake, type MessageUser } from '#sip/message-intake.ts'
import { familyOf, OwnAddresses } from '#sip/own-addresses.ts'
import { type ListenerWatcher, type Listening, UdpListener } from '#sip/udp-listener.ts'

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
}

export class SipTransport implements ListenerWatcher {
  readonly #user: TransportUser
  readonly #settings: TransportSettings
  readonly #own: OwnAddresses
  readonly #udp: UdpListener[] = []
  #unbound = 0
  #stopped = false

  constructor(ports: Ports, settings: TransportSettings, user: TransportUser) {
    this.#user = user
    this.#settings = settings
    this.#own = new OwnAddresses(settings.advertise, settings.machineAddresses ?? [])
    const intake = new MessageIntake(ports, this.#own, user)
    for (const { transport, host, port } of settings.listen) {
      const local: Endpoint = { host, port, family: familyOf(host) === 6 ? 6 : 4 }
      if (transport === 'udp') this.#udp.push(new UdpListener(ports, local, this.#own, intake, this))
    }
  }

  /** Opens all listeners. */
  start(): void {
    this.#unbound = this.#udp.length
    for (const listener of this.#udp) listener.start()
  }

  stop(): void {
    this.#stopped = true
    for (const listener of this.#udp) listener.stop()
  }

  /** The bound listeners, in the order of the settings. */
  get listening(): readonly { transport: TransportName; local: Endpoint }[] {
    return this.#udp.filter((listener) => listener.bound).map(({ transport, local }) => ({ transport, local }))
  }

  /** Whether a request of `octets` may go over UDP (§18.1.1). */
  fitsUdp(octets: number): boolean {
    return octets <= this.#settings.udpSizeMax
  }

  /** The flow on which a request to `target` leaves; null when no listener of its transport and family is bound. */
  flowTo(target: Target): Flow | null {
    for (const listener of this.#udp) {
      if (listener.bound && listener.local.family === target.endpoint.family)
        return listener.flowTowards(target.endpoint)
    }
    return null
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
    if (transport !== 'udp') return null
    const listener = this.#udp.find((candidate) => candidate.bound && sameEndpoint(candidate.local, local))
    return listener === undefined ? null : listener.flowTowards(remote)
  }

  audit(): { readonly flows: number; readonly connections: number } {
    return { flows: this.#udp.reduce((sum, listener) => sum + listener.flowCount, 0), connections: 0 }
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
    this.#user.onListenFailed(`${listener.transport} ${listener.local.host}:${listener.local.port} ${reason}`)
  }
}
