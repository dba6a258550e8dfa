// The media of one end of a simulated call: a port of its own, RTP that says whose it is, and notes of what is heard.

import type { DatagramSink, DatagramSocket, Endpoint, Net } from '#core/net.ts'
import type { MediaRecord } from '#sim/ledger.ts'
import { familyOf } from '#sim/machine.ts'

/** RFC 3550 §5.1, and what 20 ms of PCMU take. */
const HEADER_OCTETS = 12
const PAYLOAD_OCTETS = 160
const TICKS_PER_MS = 8
/** PCMU and PCMA: the marks are octets like others, and pass wherever nothing is converted. */
const PAYLOAD_TYPES = ['0', '8']
/** What begins every payload, before whose it is. */
const MARK = 'end '

/** Where a session description wants its audio, and the payload type for it; null when it has none or rejects it. */
export function audioOf(body: string): { readonly endpoint: Endpoint; readonly payloadType: number } | null {
  const host = /^c=IN IP[46] (\S+)/m.exec(body)?.[1]
  const [, port = '0', formats = ''] = /^m=audio (\d+) RTP\/AVP ([\d ]+)/m.exec(body) ?? []
  const payloadType = PAYLOAD_TYPES.find((type) => formats.split(' ').includes(type))
  if (host === undefined || port === '0' || payloadType === undefined) return null
  return { endpoint: { host, port: Number(port), family: familyOf(host) }, payloadType: Number(payloadType) }
}

/** An RTP packet that says whose it is, and until the next one. */
export function markedPacket(mark: string, payloadType: number, sequence: number, timestamp: number): Buffer {
  const bytes = Buffer.alloc(HEADER_OCTETS + PAYLOAD_OCTETS, 0xff)
  bytes[0] = 0x80
  bytes[1] = payloadType
  bytes.writeUInt16BE(sequence & 0xffff, 2)
  bytes.writeUInt32BE(timestamp >>> 0, 4)
  bytes.write(`${MARK}${mark}\n`, HEADER_OCTETS, 'latin1')
  return bytes
}

/** Whose packet it is; '' when it is no RTP of ours. */
export function markOf(bytes: Uint8Array): string {
  if ((bytes[0] ?? 0) >> 6 !== 2 || ((bytes[1] ?? 0) & 0x7f) > 8) return ''
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + HEADER_OCTETS, 24).toString('latin1')
  return text.startsWith(MARK) ? text.slice(MARK.length, text.indexOf('\n')) : ''
}

export interface AgentMediaOptions {
  readonly net: Net
  readonly host: string
  readonly port: number
  /** From one packet to the next. */
  readonly packetMs: number
  readonly ssrc: number
  readonly record: MediaRecord
  readonly now: () => number
  readonly after: (delayMs: number, run: () => void) => void
  /** Whether the call has come so far that this end speaks. */
  readonly speaks: () => boolean
}

export class AgentMedia implements DatagramSink {
  readonly port: number
  readonly #options: AgentMediaOptions
  readonly #socket: DatagramSocket
  #audio: ReturnType<typeof audioOf> = null
  #direction = 'sendrecv'
  #sequence: number
  #beganMs: number
  #open = true

  constructor(options: AgentMediaOptions) {
    this.#options = options
    const { net, host, port, ssrc, now } = options
    this.port = port
    this.#sequence = ssrc & 0x7fff
    this.#beganMs = now()
    this.#socket = net.udp({ host, port, family: familyOf(host) }, this)
    this.#next()
  }

  /** The other side's description; '' is none. */
  describe(body: string): void {
    if (body !== '') this.#audio = audioOf(body)
  }

  /** RFC 3264 §6.1, as seen from this end. */
  turn(direction: string): void {
    this.#direction = direction
    const { record, now } = this.#options
    if (direction !== 'sendrecv' && record.heldMs < 0) record.heldMs = now()
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#socket.close()
  }

  onDatagram(bytes: Uint8Array, source: Endpoint): void {
    const mark = markOf(bytes)
    if (!this.#open || mark === '') return
    const { record, now } = this.#options
    const key = `${mark} ${source.host}`
    const heard = record.heard.get(key)
    if (heard === undefined) record.heard.set(key, { firstMs: now(), lastMs: now(), packets: 1 })
    else {
      heard.lastMs = now()
      heard.packets++
    }
  }

  onListening(): void {}

  onSocketError(): void {
    this.#open = false
  }

  #next(): void {
    const { after, packetMs } = this.#options
    after(packetMs, () => {
      if (!this.#open) return
      this.#send()
      this.#next()
    })
  }

  #send(): void {
    const { record, speaks, now, ssrc, host } = this.#options
    const audio = this.#audio
    const isSending = this.#direction === 'sendrecv' || this.#direction === 'sendonly'
    if (audio === null || !isSending || !speaks() || audio.endpoint.family !== familyOf(host)) return
    const timestamp = Math.round((now() - this.#beganMs) * TICKS_PER_MS)
    const bytes = markedPacket(String(record.number), audio.payloadType, ++this.#sequence, timestamp)
    bytes.writeUInt32BE(ssrc >>> 0, 8)
    this.#socket.send(bytes, audio.endpoint)
    if (record.firstSentMs < 0) record.firstSentMs = now()
    record.lastSentMs = now()
    record.sent++
  }
}
