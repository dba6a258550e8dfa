// A TCP port on which a gateway is commanded, plainly or by WebSocket.

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Connection, ConnectionSink, Endpoint, Listener, ListenerSink } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { NgAddress } from '#ng/ng-address.ts'
import type { NgChannel, NgChannelSink } from '#ng/ng-channel.ts'
import { MESSAGE_OCTETS_MAX } from '#ng/ng-limits.ts'
import type { NgIntake, NgPath } from '#ng/ng-server.ts'
import { TcpChannel } from '#ng/tcp-channel.ts'
import { WebSocketChannel } from '#ng/websocket-channel.ts'

const REOPEN_AFTER_MS = 1_000
/** Connections at one time on one address; one more ends the one that has been quiet for longest. */
export const CONNECTIONS_MAX = 256

export class NgStreamListener implements ListenerSink, NgChannelSink, TimerOwner {
  readonly #ports: Ports
  readonly #intake: NgIntake
  readonly #reopen = new Timer(this)
  #address: NgAddress
  #listener: Listener | null = null
  /** Those that spoke last stand last. */
  readonly #paths = new Map<NgChannel, NgPath>()
  #closed = false

  constructor(ports: Ports, address: NgAddress, intake: NgIntake) {
    this.#ports = ports
    this.#address = address
    this.#intake = intake
    this.#open()
  }

  close(): void {
    this.#closed = true
    this.#ports.clock.cancel(this.#reopen)
    this.#listener?.close()
    this.#listener = null
    for (const channel of this.#paths.keys()) channel.close()
    this.#paths.clear()
  }

  onListening(local: Endpoint): void {
    if (this.#closed) return
    this.#address = { ...this.#address, endpoint: local }
    this.#intake.onListening(this.#address)
  }

  onAccept(connection: Connection): ConnectionSink | null {
    if (this.#closed || !this.#intake.allows(connection.remote)) return null
    if (this.#paths.size >= CONNECTIONS_MAX) this.#endQuietest()
    const channel =
      this.#address.transport === 'ws'
        ? new WebSocketChannel('server', this.#address.path, this.#ports.random, this)
        : new TcpChannel(this)
    channel.accept(connection)
    this.#paths.set(channel, {
      source: connection.remote,
      octetsMax: MESSAGE_OCTETS_MAX,
      send: (text) => channel.send(text),
    })
    return channel
  }

  onSocketError(reason: string): void {
    if (this.#closed) return
    this.#listener = null
    this.#intake.onListenError(this.#address, reason)
    this.#ports.clock.arm(this.#reopen, 'reopen', REOPEN_AFTER_MS)
  }

  onTimer(_name: string): void {
    this.#open()
  }

  onChannelOpen(_channel: NgChannel): void {}

  onMessage(channel: NgChannel, text: string): void {
    const path = this.#paths.get(channel)
    if (path === undefined) return
    this.#paths.delete(channel)
    this.#paths.set(channel, path)
    this.#intake.onText(text, path)
  }

  onChannelClose(channel: NgChannel, _reason: string): void {
    this.#paths.delete(channel)
  }

  #open(): void {
    this.#listener = this.#ports.net.listen(this.#address.endpoint, null, this)
  }

  #endQuietest(): void {
    for (const channel of this.#paths.keys()) {
      this.#paths.delete(channel)
      channel.close()
      return
    }
  }
}
