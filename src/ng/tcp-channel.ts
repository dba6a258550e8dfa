// The ng protocol on a TCP connection: messages one behind another.

import type { Connection } from '#core/net.ts'
import { CHANNEL_QUEUED_OCTETS_MAX, type NgChannel, type NgChannelSink } from '#ng/ng-channel.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import { NgStreamFramer } from '#ng/ng-stream-framer.ts'

export class TcpChannel implements NgChannel {
  readonly #sink: NgChannelSink
  readonly #framer = new NgStreamFramer()
  /** Null before it is open and after it is closed. */
  #connection: Connection | null = null
  #closed = false

  constructor(sink: NgChannelSink) {
    this.#sink = sink
  }

  accept(connection: Connection): void {
    this.#connection = connection
  }

  onOpen(connection: Connection): void {
    if (this.#closed) {
      connection.abort()
      return
    }
    this.#connection = connection
    this.#sink.onChannelOpen(this)
  }

  onBytes(connection: Connection, bytes: Uint8Array): void {
    if (this.#closed) return
    this.#framer.push(bytes)
    for (let text = this.#framer.next(); text !== null; text = this.#framer.next()) {
      if (text instanceof NgProblem) {
        // The end of this message cannot be told, so nor can the beginning of the next.
        connection.close()
        this.#end(text.code)
        return
      }
      this.#sink.onMessage(this, text)
      if (this.#closed) return
    }
  }

  onClose(_connection: Connection, reason: string): void {
    this.#end(reason)
  }

  send(text: string): void {
    const connection = this.#connection
    if (connection === null) return
    if (connection.queuedOctets > CHANNEL_QUEUED_OCTETS_MAX) connection.abort()
    else connection.send(Buffer.from(text, 'latin1'))
  }

  close(): void {
    this.#closed = true
    this.#connection?.close()
    this.#connection = null
  }

  #end(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#connection = null
    this.#sink.onChannelClose(this, reason)
  }
}
