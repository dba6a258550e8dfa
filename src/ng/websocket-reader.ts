// The receiving side of a WebSocket: frames out of a stream, fragments joined, what RFC 6455 §5 forbids refused.

import { isUtf8 } from 'node:buffer'
import { OctetBuffer } from '#ng/octet-buffer.ts'
import { Opcode, type OpcodeValue, unmask } from '#ng/websocket-frame.ts'

/** §5.5: control frames are short. */
const CONTROL_OCTETS_MAX = 125
/** Frames of one message: a peer that sends empty ones for ever is stopped. */
const FRAGMENTS_MAX = 1_024
const CLOSE_PROTOCOL_ERROR = 1002
const CLOSE_NOT_UTF8 = 1007
const CLOSE_TOO_BIG = 1009

/** What came whole. A message's octets, or those of a control frame. */
export interface WebSocketEvent {
  readonly opcode: OpcodeValue
  readonly payload: Uint8Array
}

/** Why the connection has to be failed (§7.1.7): the status code of §7.4.1 and a reason. */
export class WebSocketProblem {
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string) {
    this.status = status
    this.reason = reason
  }
}

export class WebSocketReader {
  readonly #buffer = new OctetBuffer()
  readonly #masked: boolean
  readonly #octetsMax: number
  #fragments: Uint8Array[] = []
  #fragmentsOctets = 0
  /** The kind of the message that is being joined, or null between messages. */
  #joining: OpcodeValue | null = null
  #problem: WebSocketProblem | null = null

  /** `masked`: what comes is a client's and must be masked, or else must not be (§5.1). */
  constructor(masked: boolean, octetsMax: number) {
    this.#masked = masked
    this.#octetsMax = octetsMax
  }

  push(bytes: Uint8Array): void {
    this.#buffer.append(bytes)
  }

  /** The next message or control frame, null when it is not all here, or why the connection fails: it says so ever after. */
  next(): WebSocketEvent | WebSocketProblem | null {
    while (this.#problem === null) {
      const event = this.#frame()
      if (event instanceof WebSocketProblem) this.#problem = event
      else if (event !== 'joined') return event
    }
    return this.#problem
  }

  #frame(): WebSocketEvent | WebSocketProblem | 'joined' | null {
    const { bytes, start } = this.#buffer
    const here = this.#buffer.length
    if (here < 2) return null
    const first = bytes[start] ?? 0
    const second = bytes[start + 1] ?? 0
    const opcode = first & 0x0f
    const final = (first & 0x80) !== 0
    const short = second & 0x7f
    const wrong = this.#wrongHeader(first, opcode, final, (second & 0x80) !== 0, short)
    if (wrong !== null) return new WebSocketProblem(CLOSE_PROTOCOL_ERROR, wrong)
    const lengthOctets = short < 126 ? 0 : short === 126 ? 2 : 8
    const headerOctets = 2 + lengthOctets + (this.#masked ? 4 : 0)
    if (here < headerOctets) return null
    const length = lengthOctets === 0 ? short : lengthAt(bytes, start + 2, lengthOctets)
    if (length < (lengthOctets === 8 ? 65_536 : lengthOctets === 2 ? 126 : 0)) {
      return new WebSocketProblem(CLOSE_PROTOCOL_ERROR, 'a length is not in its shortest form')
    }
    if (length + this.#fragmentsOctets > this.#octetsMax) {
      return new WebSocketProblem(CLOSE_TOO_BIG, `the message is over ${this.#octetsMax} octets`)
    }
    if (here < headerOctets + length) return null
    const payload = Uint8Array.from(bytes.subarray(start + headerOctets, start + headerOctets + length))
    if (this.#masked) unmask(payload, bytes.subarray(start + headerOctets - 4, start + headerOctets))
    this.#buffer.skip(headerOctets + length)
    if (opcode >= Opcode.close) return { opcode: opcode as OpcodeValue, payload }
    return this.#joined(opcode as OpcodeValue, final, payload)
  }

  #wrongHeader(first: number, opcode: number, final: boolean, masked: boolean, short: number): string | null {
    if ((first & 0x70) !== 0) return 'a reserved bit is set'
    if ((opcode > Opcode.binary && opcode < Opcode.close) || opcode > Opcode.pong) return `opcode ${opcode} is reserved`
    if (masked !== this.#masked) return masked ? 'a server masks its frames' : 'a client does not mask its frames'
    if (opcode >= Opcode.close && !final) return 'a control frame is fragmented'
    if (opcode >= Opcode.close && short > CONTROL_OCTETS_MAX) return 'a control frame is over 125 octets'
    if (opcode === Opcode.continuation && this.#joining === null) return 'a fragment without a beginning'
    if (opcode !== Opcode.continuation && opcode < Opcode.close && this.#joining !== null) {
      return 'a message begins within another'
    }
    return null
  }

  /** §5.4: a message is its fragments in order. */
  #joined(opcode: OpcodeValue, final: boolean, payload: Uint8Array): WebSocketEvent | WebSocketProblem | 'joined' {
    const kind = this.#joining ?? opcode
    if (!final) {
      if (this.#fragments.length >= FRAGMENTS_MAX) {
        return new WebSocketProblem(CLOSE_TOO_BIG, `the message has over ${FRAGMENTS_MAX} fragments`)
      }
      this.#joining = kind
      this.#fragments.push(payload)
      this.#fragmentsOctets += payload.length
      return 'joined'
    }
    const whole = this.#joining === null ? payload : Buffer.concat([...this.#fragments, payload])
    this.#joining = null
    this.#fragments = []
    this.#fragmentsOctets = 0
    // §8.1: a text that is no UTF-8 fails the connection.
    if (kind === Opcode.text && !isUtf8(whole)) return new WebSocketProblem(CLOSE_NOT_UTF8, 'a text is not UTF-8')
    return { opcode: kind, payload: whole }
  }
}

/** Lengths past 2^53 come out as something past every limit. */
function lengthAt(bytes: Buffer, at: number, octets: number): number {
  return octets === 2 ? bytes.readUInt16BE(at) : bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}
