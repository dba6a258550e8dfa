// The ng protocol on a WebSocket, client or server: RFC 6455, one ng message in each WebSocket message.

import { isUtf8 } from 'node:buffer'
import { type Connection, endpointText } from '#core/net.ts'
import type { Random } from '#core/random.ts'
import { CHANNEL_QUEUED_OCTETS_MAX, type NgChannel, type NgChannelSink } from '#ng/ng-channel.ts'
import { MESSAGE_OCTETS_MAX } from '#ng/ng-limits.ts'
import { Opcode, type OpcodeValue, webSocketFrame } from '#ng/websocket-frame.ts'
import { HANDSHAKE_OCTETS_MAX, upgradeRefusal, upgradeRequest, upgradeResponse } from '#ng/websocket-handshake.ts'
import { type WebSocketEvent, WebSocketProblem, WebSocketReader } from '#ng/websocket-reader.ts'

/** RFC 6455 §7.4.1. */
const CLOSE_NORMAL = 1000
const CLOSE_PROTOCOL_ERROR = 1002
const NO_OCTETS = new Uint8Array(0)
const HEAD_END = '\r\n\r\n'

export class WebSocketChannel implements NgChannel {
  readonly #role: 'client' | 'server'
  readonly #path: string
  readonly #random: Random
  readonly #sink: NgChannelSink
  readonly #reader: WebSocketReader
  #connection: Connection | null = null
  #state: 'handshake' | 'open' | 'closed' = 'handshake'
  /** The head of the handshake as far as it is here. */
  #head = ''
  #key = ''
  /** A server answers in the kind of message that it was asked in. rtpengine sends binary ones. */
  #kind: OpcodeValue = Opcode.binary

  constructor(role: 'client' | 'server', path: string, random: Random, sink: NgChannelSink) {
    this.#role = role
    this.#path = path
    this.#random = random
    this.#sink = sink
    this.#reader = new WebSocketReader(role === 'server', MESSAGE_OCTETS_MAX)
  }

  accept(connection: Connection): void {
    this.#connection = connection
  }

  /** §4.1: the client speaks first. */
  onOpen(connection: Connection): void {
    if (this.#state === 'closed') {
      connection.abort()
      return
    }
    this.#connection = connection
    const nonce = Buffer.alloc(16)
    this.#random.bytes(nonce)
    this.#key = nonce.toString('base64')
    this.#write(upgradeRequest(endpointText(connection.remote), this.#path, this.#key))
  }

  onBytes(_connection: Connection, bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    const rest = this.#state === 'handshake' ? this.#shake(bytes) : bytes
    if (rest !== null) {
      this.#reader.push(rest)
      this.#read()
    }
  }

  onClose(_connection: Connection, reason: string): void {
    this.#end(reason)
  }

  send(text: string): void {
    if (this.#state !== 'open') return
    const payload = Buffer.from(text, 'latin1')
    // §5.6: octets that are no UTF-8 are binary, whatever was asked.
    const kind = this.#kind === Opcode.text && !isUtf8(payload) ? Opcode.binary : this.#kind
    this.#sendFrame(kind, payload)
  }

  close(): void {
    if (this.#state === 'open') this.#sendClose(CLOSE_NORMAL)
    this.#state = 'closed'
    this.#connection?.close()
    this.#connection = null
  }

  /** Takes the head of the handshake; what is behind it, or null while it is not whole or when it is refused. */
  #shake(bytes: Uint8Array): Uint8Array | null {
    const before = this.#head.length
    const from = Math.max(0, before - HEAD_END.length + 1)
    this.#head += Buffer.from(bytes.subarray(0, HANDSHAKE_OCTETS_MAX)).toString('latin1')
    const end = this.#head.indexOf(HEAD_END, from)
    if (end < 0) {
      if (this.#head.length > HANDSHAKE_OCTETS_MAX) this.#fail('handshake', null)
      return null
    }
    const head = this.#head.slice(0, end)
    this.#head = ''
    if (this.#role === 'client') {
      const refusal = upgradeRefusal(head, this.#key)
      if (refusal !== null) {
        this.#fail(`handshake: ${refusal}`, null)
        return null
      }
      this.#state = 'open'
      this.#sink.onChannelOpen(this)
    } else {
      const response = upgradeResponse(head, this.#path)
      this.#write(response.text)
      if (!response.accepted) {
        this.#fail('handshake', null)
        return null
      }
      this.#state = 'open'
    }
    return bytes.subarray(end + HEAD_END.length - before)
  }

  #read(): void {
    while (this.#state === 'open') {
      const event = this.#reader.next()
      if (event === null) return
      if (event instanceof WebSocketProblem) this.#fail(event.reason, event.status)
      else this.#take(event)
    }
  }

  #take(event: WebSocketEvent): void {
    switch (event.opcode) {
      case Opcode.text:
      case Opcode.binary:
        if (this.#role === 'server') this.#kind = event.opcode
        this.#sink.onMessage(this, Buffer.from(event.payload).toString('latin1'))
        return
      case Opcode.ping: // §5.5.3: answered with the same octets.
        this.#sendFrame(Opcode.pong, event.payload)
        return
      case Opcode.close: // §5.5.1: answered with a close of the same status, and that is the end.
        this.#fail('closed', closeStatus(event.payload))
        return
      case Opcode.pong: // §5.5.3: one that was not asked for is no error.
      case Opcode.continuation:
        return
      default:
        event.opcode satisfies never
    }
  }

  #sendClose(status: number): void {
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(status)
    this.#sendFrame(Opcode.close, payload)
  }

  #sendFrame(opcode: OpcodeValue, payload: Uint8Array): void {
    const connection = this.#connection
    if (connection === null) return
    if (connection.queuedOctets > CHANNEL_QUEUED_OCTETS_MAX) {
      connection.abort()
      return
    }
    connection.send(webSocketFrame(opcode, payload, this.#role === 'client' ? this.#mask() : null))
  }

  /** §5.3: fresh for every frame, and not to be foreseen. */
  #mask(): Uint8Array {
    const mask = new Uint8Array(4)
    this.#random.bytes(mask)
    return mask
  }

  #write(text: string): void {
    this.#connection?.send(Buffer.from(text, 'latin1'))
  }

  /** Ends the connection from here; `status` goes into a close frame, 0 makes an empty one, null sends none. */
  #fail(reason: string, status: number | null): void {
    if (status === 0) this.#sendFrame(Opcode.close, NO_OCTETS)
    else if (status !== null) this.#sendClose(status)
    this.#connection?.close()
    this.#end(reason)
  }

  #end(reason: string): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#connection = null
    this.#sink.onChannelClose(this, reason)
  }
}

/** §7.1.5: the status to answer a close frame with; 0 for one without. §7.4: those that may not be sent are errors. */
function closeStatus(payload: Uint8Array): number {
  if (payload.length === 0) return 0
  if (payload.length === 1) return CLOSE_PROTOCOL_ERROR
  const status = ((payload[0] ?? 0) << 8) | (payload[1] ?? 0)
  const defined = (status >= 1000 && status <= 1014 && ![1004, 1005, 1006].includes(status)) || status >= 3000
  return defined && status < 5000 ? status : CLOSE_PROTOCOL_ERROR
}
