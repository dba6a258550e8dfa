// The ng protocol over UDP, the client's side: one socket of its own towards one gateway.

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import { type DatagramSink, type DatagramSocket, type Endpoint, sameEndpoint } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { DATAGRAM_OCTETS_MAX } from '#ng/ng-limits.ts'
import type { NgLink, NgLinkSink } from '#ng/ng-link.ts'

const REOPEN_AFTER_MS = 1_000

export class NgDatagramLink implements NgLink, DatagramSink, TimerOwner {
  readonly reliable = false
  readonly octetsMax = DATAGRAM_OCTETS_MAX
  readonly #ports: Ports
  readonly #remote: Endpoint
  readonly #sink: NgLinkSink
  readonly #reopen = new Timer(this)
  readonly #strays: Counter
  #socket: DatagramSocket | null = null
  #bound = false
  #closed = false

  constructor(ports: Ports, remote: Endpoint, sink: NgLinkSink) {
    this.#ports = ports
    this.#remote = remote
    this.#sink = sink
    this.#strays = ports.counters.counter('carillon_ng_client_strays_total', 'Messages that answer no request of ours')
    this.#open()
  }

  send(text: string): void {
    if (this.#bound) this.#socket?.send(Buffer.from(text, 'latin1'), this.#remote)
  }

  onSilence(_sentMs: number): void {}

  close(): void {
    this.#closed = true
    this.#bound = false
    this.#ports.clock.cancel(this.#reopen)
    this.#socket?.close()
    this.#socket = null
  }

  onListening(_local: Endpoint): void {
    if (this.#closed) return
    this.#bound = true
    this.#sink.onLinkReady()
  }

  onDatagram(bytes: Uint8Array, source: Endpoint): void {
    if (this.#closed) return
    if (sameEndpoint(source, this.#remote)) this.#sink.onLinkMessage(Buffer.from(bytes).toString('latin1'))
    else this.#strays.add()
  }

  onSocketError(reason: string): void {
    if (this.#closed) return
    this.#bound = false
    this.#socket = null
    this.#ports.log.event('warn', 'NG_SOCKET_FAILED', { reason })
    this.#ports.clock.arm(this.#reopen, 'reopen', REOPEN_AFTER_MS)
  }

  onTimer(_name: string): void {
    this.#open()
  }

  #open(): void {
    const { family } = this.#remote
    this.#socket = this.#ports.net.udp({ host: family === 6 ? '::' : '0.0.0.0', port: 0, family }, this)
  }
}
