// A TCP or TLS listener for SIP: RFC 3261 §18.2, §26.2.

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Connection, ConnectionSink, Endpoint, Listener, ListenerSink, TlsContext } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { type ListenerWatcher, type Listening, REOPEN_AFTER_MS } from '#sip/listening.ts'
import type { StreamPool } from '#sip/stream-pool.ts'

export class StreamListener implements ListenerSink, Listening, TimerOwner {
  readonly transport: 'tcp' | 'tls'
  local: Endpoint
  bound = false
  readonly #ports: Ports
  readonly #watcher: ListenerWatcher
  readonly #reopen = new Timer(this)
  #pool: StreamPool | null = null
  #tls: TlsContext | null
  #listener: Listener | null = null
  #wasBound = false
  #stopped = false

  /** `tls` is null for TCP. */
  constructor(
    ports: Ports,
    transport: 'tcp' | 'tls',
    local: Endpoint,
    tls: TlsContext | null,
    watcher: ListenerWatcher,
  ) {
    this.#ports = ports
    this.transport = transport
    this.local = local
    this.#tls = tls
    this.#watcher = watcher
  }

  /** Where accepted connections go. Called once, before `start`. */
  feed(pool: StreamPool): void {
    this.#pool = pool
  }

  start(): void {
    this.#listener = this.#ports.net.listen(this.local, this.#tls, this)
  }

  stop(): void {
    this.#stopped = true
    this.bound = false
    this.#ports.clock.cancel(this.#reopen)
    this.#listener?.close()
    this.#listener = null
  }

  /** New handshakes use the new context. */
  replaceTls(tls: TlsContext): void {
    if (this.transport !== 'tls') return
    this.#tls = tls
    this.#listener?.replaceTls(tls)
  }

  onAccept(connection: Connection): ConnectionSink | null {
    return this.#stopped || this.#pool === null ? null : this.#pool.accept(this, connection)
  }

  onListening(local: Endpoint): void {
    this.local = local
    this.bound = true
    this.#wasBound = true
    this.#watcher.onBound(this)
  }

  onSocketError(reason: string): void {
    this.#listener = null
    this.bound = false
    if (this.#stopped) return
    if (!this.#wasBound) {
      this.#watcher.onBindFailed(this, reason)
      return
    }
    const { host, port } = this.local
    this.#ports.log.event('error', 'SIP_LISTENER_BROKEN', { transport: this.transport, host, port, reason })
    this.#ports.clock.arm(this.#reopen, 'reopen', REOPEN_AFTER_MS)
  }

  onTimer(_name: string): void {
    this.start()
  }
}
