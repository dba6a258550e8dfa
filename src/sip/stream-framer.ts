// Cuts messages out of a TCP or TLS stream by Content-Length (RFC 3261 §7.5, §18.3, §20.14; keep-alives RFC 5626 §3.5.1).
// Hot path of streams: a cursor runs over the octets, none is searched twice, and an idle stream holds no memory.

import { decimal, isBlank } from '#sip/_scan.ts'
import { HeaderId, headerIdAt } from '#sip/header-id.ts'
import { MESSAGE_OCTETS_MAX } from '#sip/message.ts'

/** Octets of start line and header fields of one message on a stream, the empty line included. */
export const STREAM_HEADERS_OCTETS_MAX = 16_384

// A push is worked off in pieces of this size, so that a stream never holds more than one unfinished message and one piece.
const PIECE_OCTETS_MAX = 65_536
const BUFFER_OCTETS_MIN = 1_024
// Any Content-Length that can be told from a malformed one (2^32 - 1); what may really come is far less.
const CONTENT_LENGTH_MAX = 0xffff_ffff
const CR = 13
const LF = 10
const EMPTY = Buffer.alloc(0)

/** Receives what a stream carries, in order. It may call `StreamFramer.end` from within. */
export interface FrameSink {
  /** One message, one character an octet, exactly as long as its Content-Length says. Not checked otherwise. */
  onFrame(text: string): void
  /** Every second CRLF in a row between messages: the far side's ping, to be answered with one CRLF (RFC 5626 §3.5.1). */
  onPing(): void
  /**
   * Each CRLF between messages, those of a ping too: their octets may come apart, so an answer to our ping cannot be told
   * from the first half of one. Either shows that the far side is there.
   */
  onPong(): void
  /**
   * The stream cannot be cut any further: answer if `request` can be parsed, then close. `code` is stable (SIP_STREAM_…,
   * SIP_CONTENT_LENGTH…); `request` holds the header fields read so far, complete lines and the empty line, or null.
   */
  onFrameError(code: string, reason: string, request: string | null): void
}

export class StreamFramer {
  // Octets not yet delivered are #view[#start, #end). The view is the caller's memory during a push, our own otherwise.
  #view: Buffer = EMPTY
  #start = 0
  #end = 0
  #own = false
  /** Octets from #start in which the end of the header fields was sought already. */
  #searched = 0
  /** Length of the message at #start when its header fields are complete; 0 before. */
  #frameOctets = 0
  /** Whether the octets before #start were an odd CRLF. */
  #halfPing = false
  #ended = false

  /** Octets of an unfinished message (or half a CRLF) that are held. */
  get waiting(): number {
    return this.#end - this.#start
  }

  /** Whether an error or `end` has made the stream unusable; what is pushed then is dropped. */
  get ended(): boolean {
    return this.#ended
  }

  /** Drops what is held and all that comes. */
  end(): void {
    this.#ended = true
    this.#view = EMPTY
    this.#start = 0
    this.#end = 0
  }

  /** Takes the next octets of the stream; all messages they complete are delivered before it returns. */
  push(bytes: Uint8Array, sink: FrameSink): void {
    for (let at = 0; at < bytes.length && !this.#ended; at += PIECE_OCTETS_MAX) {
      this.#take(bytes.length <= PIECE_OCTETS_MAX ? bytes : bytes.subarray(at, at + PIECE_OCTETS_MAX))
      try {
        while (this.#start < this.#end && this.#cut(sink));
      } finally {
        this.#keep()
      }
    }
  }

  #take(bytes: Uint8Array): void {
    const held = this.#end - this.#start
    if (held === 0) {
      this.#view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
      this.#start = 0
      this.#end = bytes.length
      this.#own = false
      return
    }
    const needed = held + bytes.length
    if (this.#end + bytes.length > this.#view.length) {
      // Moving at most half the capacity keeps the work linear; else the buffer doubles.
      if (needed * 2 <= this.#view.length) this.#view.copyWithin(0, this.#start, this.#end)
      else this.#view = this.#copyHeld(Math.max(needed, this.#view.length * 2))
      this.#start = 0
      this.#end = held
    }
    this.#view.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** After a push nothing may refer to the caller's memory. */
  #keep(): void {
    const held = this.#end - this.#start
    if (held === 0) {
      this.#view = EMPTY
      this.#start = 0
      this.#end = 0
      this.#own = false
    } else if (!this.#own) {
      this.#view = this.#copyHeld(Math.max(held, this.#frameOctets, BUFFER_OCTETS_MIN))
      this.#start = 0
      this.#end = held
      this.#own = true
    }
  }

  #copyHeld(capacity: number): Buffer {
    const copy = Buffer.allocUnsafeSlow(capacity)
    copy.set(this.#view.subarray(this.#start, this.#end))
    return copy
  }

  /** Consumes one CRLF or one message; false when it is not complete yet or the stream has ended. */
  #cut(sink: FrameSink): boolean {
    if (this.#frameOctets === 0) {
      const first = this.#view[this.#start]
      if (first === CR) {
        if (this.#end - this.#start < 2) return false
        if (this.#view[this.#start + 1] === LF) return this.#crlf(sink)
      }
      this.#halfPing = false
      // A start line begins with a letter or another token character: anything else (a TLS greeting, say) is no SIP.
      if (first === undefined || first <= 32 || first >= 127) {
        return this.#fail(sink, 'SIP_STREAM_NO_SIP', 'The stream does not carry SIP', null)
      }
      if (!this.#measure(sink)) return false
    }
    const frameEnd = this.#start + this.#frameOctets
    if (frameEnd > this.#end) return false
    const text = this.#text(this.#frameOctets)
    this.#start = frameEnd
    this.#frameOctets = 0
    this.#searched = 0
    sink.onFrame(text)
    return !this.#ended
  }

  #crlf(sink: FrameSink): boolean {
    this.#start += 2
    this.#halfPing = !this.#halfPing
    sink.onPong()
    if (!this.#halfPing && !this.#ended) sink.onPing()
    return !this.#ended
  }

  /** Learns the length of the message at the cursor; false when its header fields are incomplete or the stream has ended. */
  #measure(sink: FrameSink): boolean {
    const held = this.#end - this.#start
    const from = Math.max(0, this.#searched - 3)
    const found = this.#view.subarray(this.#start + from, this.#end).indexOf('\r\n\r\n', 0, 'latin1')
    const headersOctets = found < 0 ? held : from + found + 4
    if (headersOctets > STREAM_HEADERS_OCTETS_MAX) {
      const reason = `Header section longer than ${STREAM_HEADERS_OCTETS_MAX} octets`
      const lines = this.#text(STREAM_HEADERS_OCTETS_MAX)
      return this.#fail(sink, 'SIP_STREAM_HEADERS_MAX', reason, `${lines.slice(0, lines.lastIndexOf('\r\n') + 2)}\r\n`)
    }
    if (found < 0) {
      this.#searched = held
      return false
    }
    const headers = this.#text(headersOctets)
    const length = contentLengthIn(headers)
    if (typeof length !== 'number') return this.#fail(sink, length.code, length.reason, headers)
    if (headersOctets + length > MESSAGE_OCTETS_MAX) {
      return this.#fail(sink, 'SIP_STREAM_MESSAGE_MAX', `Message longer than ${MESSAGE_OCTETS_MAX} octets`, headers)
    }
    this.#frameOctets = headersOctets + length
    return true
  }

  #text(octets: number): string {
    return this.#view.toString('latin1', this.#start, this.#start + octets)
  }

  #fail(sink: FrameSink, code: string, reason: string, request: string | null): false {
    this.end()
    sink.onFrameError(code, reason, request)
    return false
  }
}

/** The Content-Length (§20.14) of complete header fields, folded or compact, or what is wrong with it. */
function contentLengthIn(headers: string): number | { code: string; reason: string } {
  let length = -1
  let lineEnd = headers.indexOf('\r\n')
  for (let at = lineEnd + 2; lineEnd >= 0 && at < headers.length; at = lineEnd + 2) {
    lineEnd = headers.indexOf('\r\n', at)
    const first = headers.charCodeAt(at)
    // 'C', 'c', 'L', 'l': the only first letters that its names have.
    if ((first & 31) !== 3 && (first & 31) !== 12) continue
    const colon = headers.indexOf(':', at)
    if (colon < 0 || colon > lineEnd) continue
    let nameEnd = colon
    while (nameEnd > at && isBlank(headers.charCodeAt(nameEnd - 1))) nameEnd -= 1
    if (headerIdAt(headers, at, nameEnd) !== HeaderId.contentLength) continue
    while (isBlank(headers.charCodeAt(lineEnd + 2))) lineEnd = headers.indexOf('\r\n', lineEnd + 2)
    const value = decimal(headers.slice(colon + 1, lineEnd).trim(), CONTENT_LENGTH_MAX)
    if (value < 0) return { code: 'SIP_CONTENT_LENGTH', reason: 'Malformed Content-Length header field' }
    if (length >= 0 && value !== length) {
      return { code: 'SIP_CONTENT_LENGTH', reason: 'Conflicting Content-Length header fields' }
    }
    length = value
  }
  // §18.3: on a stream nothing else tells where the message ends.
  return length >= 0
    ? length
    : { code: 'SIP_STREAM_NO_LENGTH', reason: 'Missing Content-Length header field on a stream' }
}
