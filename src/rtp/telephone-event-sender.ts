// Digits as telephone-event packets, one at most for each tick (RFC 4733 §2.5.1).

import { assert } from '#core/assert.ts'
import type { OutgoingStream } from '#rtp/outgoing-stream.ts'
import { EVENT_DURATION_MAX, eventOfDigit, writeTelephoneEvent } from '#rtp/telephone-event-payload.ts'

/** Digits that may wait. */
export const DIGITS_WAITING_MAX = 64
/** §2.5.1.4: the final packet goes out this often. */
const FINAL_PACKETS = 3

interface WaitingDigit {
  readonly event: number
  readonly ms: number
  readonly pauseMs: number
  readonly levelDbm0: number
}

type State = 'idle' | 'event' | 'final' | 'pause'

const NEXT: Readonly<Record<State, readonly State[]>> = {
  idle: ['event'],
  event: ['final', 'idle'],
  final: ['pause', 'idle'],
  pause: ['event', 'idle'],
}

/** Sends digits into one outgoing stream. The audio of the stream has to be silent while {@link isBusy}. */
export class TelephoneEventSender {
  #state: State = 'idle'
  readonly #waiting: WaitingDigit[] = []
  #digit: WaitingDigit | null = null
  /** Timestamp of the segment; units that passed since it began, that were told, and that are of earlier segments. */
  #timestamp = 0
  #elapsedUnits = 0
  #units = 0
  #segmentUnits = 0
  #totalUnits = 0
  #finalsLeft = 0
  /** Units that have to pass since the end of the event. */
  #pauseUnits = 0

  /** Whether digits are being sent or wait; pauses count. */
  get isBusy(): boolean {
    return this.#state !== 'idle' || this.#waiting.length > 0
  }

  /**
   * Appends digits of `ms` each, `pauseMs` apart at least. False, and nothing is appended, when a character is no digit or
   * more than {@link DIGITS_WAITING_MAX} would wait.
   */
  queue(digits: string, ms: number, pauseMs: number, levelDbm0: number): boolean {
    if (this.#waiting.length + digits.length > DIGITS_WAITING_MAX) return false
    for (const digit of digits) if (eventOfDigit(digit) < 0) return false
    for (const digit of digits) this.#waiting.push({ event: eventOfDigit(digit), ms, pauseMs, levelDbm0 })
    return true
  }

  /**
   * To be called at each tick of `units` timestamp units while {@link isBusy}: writes at most one packet and gives its
   * length; 0 when this tick is a pause. It calls `stream.tick` itself.
   */
  tick(
    stream: OutgoingStream,
    target: Uint8Array,
    payloadType: number,
    units: number,
    nowMs: number,
    clockRate: number,
  ): number {
    const timestamp = stream.tick(units, nowMs, clockRate)
    const silentUnits = this.#elapsedUnits - this.#totalUnits
    if (this.#state === 'pause' && silentUnits >= this.#pauseUnits) this.#enter('idle')
    if (this.#state === 'idle') {
      const digit = this.#waiting.shift()
      if (digit === undefined) return 0
      this.#begin(digit, timestamp, clockRate)
      this.#elapsedUnits = units
      return this.#continue(digit, stream, target, payloadType, nowMs, clockRate, true)
    }
    this.#elapsedUnits += units
    const digit = this.#digit
    if (digit === null || this.#state === 'pause') return 0
    if (this.#state === 'event') {
      return this.#continue(digit, stream, target, payloadType, nowMs, clockRate, false)
    }
    this.#finalsLeft -= 1
    const length = this.#write(digit, stream, target, payloadType, nowMs, clockRate, false, true)
    if (this.#finalsLeft === 0) this.#enter('pause')
    return length
  }

  /** Forgets the digits that wait; the one under way ends with the next packet. */
  stop(): void {
    this.#waiting.length = 0
    if (this.#state === 'event') this.#totalUnits = this.#units
    else if (this.#state === 'pause') this.#enter('idle')
  }

  #begin(digit: WaitingDigit, timestamp: number, clockRate: number): void {
    this.#enter('event')
    this.#digit = digit
    this.#timestamp = timestamp
    this.#units = 0
    this.#segmentUnits = 0
    this.#totalUnits = Math.max(1, Math.round((digit.ms * clockRate) / 1000))
    this.#pauseUnits = Math.round((digit.pauseMs * clockRate) / 1000)
  }

  /** The next report of the event under way, which may be its last, or its segment's. */
  #continue(
    digit: WaitingDigit,
    stream: OutgoingStream,
    target: Uint8Array,
    payloadType: number,
    nowMs: number,
    clockRate: number,
    marker: boolean,
  ): number {
    if (this.#units - this.#segmentUnits === EVENT_DURATION_MAX) {
      // §2.5.1.3: the segment is full and was told so; the next one begins where it ended.
      this.#segmentUnits = this.#units
      this.#timestamp = (this.#timestamp + EVENT_DURATION_MAX) >>> 0
    }
    const full = this.#segmentUnits + EVENT_DURATION_MAX
    this.#units = Math.min(this.#elapsedUnits, this.#totalUnits, full)
    const isEnd = this.#units >= this.#totalUnits
    const length = this.#write(digit, stream, target, payloadType, nowMs, clockRate, marker, isEnd)
    if (isEnd) {
      this.#finalsLeft = FINAL_PACKETS - 1
      this.#enter('final')
    }
    return length
  }

  #write(
    digit: WaitingDigit,
    stream: OutgoingStream,
    target: Uint8Array,
    payloadType: number,
    nowMs: number,
    clockRate: number,
    marker: boolean,
    isEnd: boolean,
  ): number {
    const at = stream.write(target, payloadType, marker, this.#timestamp, nowMs, clockRate, 4)
    const duration = this.#units - this.#segmentUnits
    return at + writeTelephoneEvent(target, at, digit.event, isEnd, digit.levelDbm0, duration)
  }

  #enter(state: State): void {
    assert(NEXT[this.#state].includes(state), `telephone-event sender: ${this.#state} to ${state}`)
    this.#state = state
  }
}
