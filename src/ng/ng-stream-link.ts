// The ng protocol over TCP or WebSocket, the client's side: one connection, made when it is needed and made again when it breaks.

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Ports } from '#core/ports.ts'
import { type NgAddress, ngAddressText } from '#ng/ng-address.ts'
import type { NgChannel, NgChannelSink } from '#ng/ng-channel.ts'
import { MESSAGE_OCTETS_MAX } from '#ng/ng-limits.ts'
import type { NgLink, NgLinkSink } from '#ng/ng-link.ts'
import { TcpChannel } from '#ng/tcp-channel.ts'
import { WebSocketChannel } from '#ng/websocket-channel.ts'

const RECONNECT_AFTER_MS = 100
const RECONNECT_AFTER_MS_MAX = 5_000

type State = 'idle' | 'connecting' | 'open' | 'resting' | 'closed'

export class NgStreamLink implements NgLink, NgChannelSink, TimerOwner {
  readonly reliable = true
  readonly octetsMax = MESSAGE_OCTETS_MAX
  readonly #ports: Ports
  readonly #remote: NgAddress
  readonly #sink: NgLinkSink
  readonly #rest = new Timer(this)
  #state: State = 'idle'
  #channel: NgChannel | null = null
  #restMs = RECONNECT_AFTER_MS
  #heardMs = Number.NEGATIVE_INFINITY

  constructor(ports: Ports, remote: NgAddress, sink: NgLinkSink) {
    this.#ports = ports
    this.#remote = remote
    this.#sink = sink
  }

  send(text: string): void {
    if (this.#state === 'open') this.#channel?.send(text)
    // What waits for its reply goes out when the connection stands.
    else if (this.#state === 'idle') this.#connect()
  }

  onSilence(sentMs: number): void {
    if (this.#heardMs >= sentMs || (this.#state !== 'open' && this.#state !== 'connecting')) return
    this.#channel?.close()
    this.#broken('silent')
  }

  close(): void {
    this.#state = 'closed'
    this.#ports.clock.cancel(this.#rest)
    this.#channel?.close()
    this.#channel = null
  }

  onChannelOpen(channel: NgChannel): void {
    if (channel !== this.#channel) return
    this.#state = 'open'
    this.#heardMs = this.#ports.clock.now()
    this.#sink.onLinkReady()
  }

  onMessage(channel: NgChannel, text: string): void {
    if (channel !== this.#channel) return
    this.#heardMs = this.#ports.clock.now()
    this.#restMs = RECONNECT_AFTER_MS
    this.#sink.onLinkMessage(text)
  }

  onChannelClose(channel: NgChannel, reason: string): void {
    if (channel === this.#channel) this.#broken(reason)
  }

  onTimer(_name: string): void {
    if (this.#sink.waiting) this.#connect()
    else this.#state = 'idle'
  }

  #connect(): void {
    this.#state = 'connecting'
    const channel =
      this.#remote.transport === 'ws'
        ? new WebSocketChannel('client', this.#remote.path, this.#ports.random, this)
        : new TcpChannel(this)
    this.#channel = channel
    this.#ports.net.connect(this.#remote.endpoint, null, null, channel)
  }

  #broken(reason: string): void {
    const gateway = ngAddressText(this.#remote)
    this.#ports.log.event('warn', 'NG_CONNECTION_LOST', { gateway, reason })
    this.#channel = null
    this.#state = 'resting'
    this.#ports.clock.arm(this.#rest, 'reconnect', this.#restMs)
    this.#restMs = Math.min(2 * this.#restMs, RECONNECT_AFTER_MS_MAX)
  }
}
