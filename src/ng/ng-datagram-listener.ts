// A UDP socket on which a gateway is commanded.

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { DatagramSink, DatagramSocket, Endpoint } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { NgAddress } from '#ng/ng-address.ts'
import { DATAGRAM_OCTETS_MAX } from '#ng/ng-limits.ts'
import type { NgIntake, NgPath } from '#ng/ng-server.ts'

const REOPEN_AFTER_MS = 1_000

export class NgDatagramListener implements DatagramSink, TimerOwner {
  readonly #ports: Ports
  readonly #intake: NgIntake
  readonly #reopen = new Timer(this)
  #address: NgAddress
  #socket: DatagramSocket | null = null
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
    this.#socket?.close()
    this.#socket = null
  }

  send(text: string, to: Endpoint): void {
    this.#socket?.send(Buffer.from(text, 'latin1'), to)
  }

  onListening(local: Endpoint): void {
    if (this.#closed) return
    // Opened again after it broke, it has the port that its controllers know.
    this.#address = { ...this.#address, endpoint: local }
    this.#intake.onListening(this.#address)
  }

  onDatagram(bytes: Uint8Array, source: Endpoint): void {
    if (this.#closed || !this.#intake.allows(source)) return
    this.#intake.onText(Buffer.from(bytes).toString('latin1'), new DatagramPath(this, source))
  }

  onSocketError(reason: string): void {
    if (this.#closed) return
    this.#socket = null
    this.#intake.onListenError(this.#address, reason)
    this.#ports.clock.arm(this.#reopen, 'reopen', REOPEN_AFTER_MS)
  }

  onTimer(_name: string): void {
    this.#open()
  }

  #open(): void {
    this.#socket = this.#ports.net.udp(this.#address.endpoint, this)
  }
}

class DatagramPath implements NgPath {
  readonly source: Endpoint
  readonly octetsMax = DATAGRAM_OCTETS_MAX
  readonly #listener: NgDatagramListener

  constructor(listener: NgDatagramListener, source: Endpoint) {
    this.#listener = listener
    this.source = source
  }

  send(text: string): void {
    this.#listener.send(text, this.source)
  }
}
