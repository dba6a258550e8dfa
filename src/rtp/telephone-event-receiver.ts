// Hot path. Telephone events as they come in become digits, each exactly once (RFC 4733 §2.5.2).

import { timestampDistance } from '#rtp/rtp-packet.ts'
import {
  digitOfEvent,
  EVENT_DURATION_MAX,
  eventCode,
  eventDuration,
  eventEnd,
  eventLevelDbm0,
  TELEPHONE_EVENT_OCTETS,
} from '#rtp/telephone-event-payload.ts'

/** An event of which nothing more comes has ended: its last packets are lost (§2.5.2.2). */
export const EVENT_SILENT_MS = 300
/** Events in one packet that are looked at (§2.5.1.5). */
const EVENTS_IN_PACKET_MAX = 8
const NO_SSRC = -1

/** Who is told of digits. */
export interface TelephoneEventSink {
  /** A digit has begun. Followed by one `onDigit`. */
  onStart(digit: string): void
  /** It has ended. The duration is the longest reported; the level is 0 when unknown. */
  onDigit(digit: string, durationMs: number, levelDbm0: number): void
}

/** Events of one incoming stream. Events that are no DTMF digits are passed over. */
export class TelephoneEventReceiver {
  /** Reports of events that had ended, or were overtaken: retransmissions and late packets. */
  repeats = 0
  /** Events whose end was never seen. */
  endsLost = 0
  readonly #sink: TelephoneEventSink
  #ssrc = NO_SSRC
  #active = false
  /** The event at work, or the last one: its code, the timestamp of its last segment, the units of those before. */
  #event = -1
  #timestamp = 0
  #priorUnits = 0
  #units = 0
  #levelDbm0 = 0
  #clockRate = 8000
  #lastMs = 0

  constructor(sink: TelephoneEventSink) {
    this.#sink = sink
  }

  /** Whether an event is under way. */
  get isActive(): boolean {
    return this.#active
  }

  /** Takes the payload `offset`…`end` of a packet with the telephone-event payload type. A payload cut short is ignored. */
  receive(
    bytes: Uint8Array,
    offset: number,
    end: number,
    ssrc: number,
    timestamp: number,
    marker: boolean,
    nowMs: number,
    clockRate: number,
  ): void {
    if (ssrc !== this.#ssrc) {
      this.reset()
      this.#ssrc = ssrc
    }
    this.#clockRate = clockRate
    const last = Math.min(end, bytes.length, offset + EVENTS_IN_PACKET_MAX * TELEPHONE_EVENT_OCTETS)
    for (let at = offset; at + TELEPHONE_EVENT_OCTETS <= last; at += TELEPHONE_EVENT_OCTETS) {
      const event = eventCode(bytes, at)
      const units = eventDuration(bytes, at)
      if (digitOfEvent(event) !== '') {
        this.#report(event, timestamp, units, marker, eventEnd(bytes, at), eventLevelDbm0(bytes, at), nowMs)
      }
      // §2.5.2.4: the next one begins where this one ends.
      timestamp = (timestamp + units) >>> 0
    }
  }

  /** Ends an event that has been silent for {@link EVENT_SILENT_MS}. To be called now and then while {@link isActive}. */
  expire(nowMs: number): void {
    if (this.#active && nowMs - this.#lastMs >= EVENT_SILENT_MS) this.#end(true)
  }

  /** Another source: an event under way has ended, and timestamps mean nothing any more. */
  reset(): void {
    if (this.#active) this.#end(true)
    this.#event = -1
    this.#ssrc = NO_SSRC
  }

  #report(
    event: number,
    timestamp: number,
    units: number,
    marker: boolean,
    end: boolean,
    levelDbm0: number,
    nowMs: number,
  ): void {
    const after = this.#event < 0 ? 1 : timestampDistance(this.#timestamp, timestamp)
    if (after === 0 && event === this.#event) {
      if (!this.#active) this.repeats += 1
      else this.#update(units, end, levelDbm0, nowMs)
      return
    }
    // Older than the last event: a retransmission, or overtaken. Much older is another time base, and so is a
    // different event that begins with the same timestamp and the marker.
    if (after <= 0 && after >= -EVENT_DURATION_MAX && !(after === 0 && marker)) {
      this.repeats += 1
      return
    }
    if (this.#active && event === this.#event && !marker && (after === EVENT_DURATION_MAX || after === this.#units)) {
      // §2.5.2.3: no gap: a segment of the same event.
      this.#priorUnits += after
      this.#timestamp = timestamp
      this.#units = 0
      this.#update(units, end, levelDbm0, nowMs)
      return
    }
    if (this.#active) this.#end(true)
    this.#active = true
    this.#event = event
    this.#timestamp = timestamp
    this.#priorUnits = 0
    this.#units = 0
    this.#sink.onStart(digitOfEvent(event))
    this.#update(units, end, levelDbm0, nowMs)
  }

  #update(units: number, end: boolean, levelDbm0: number, nowMs: number): void {
    // A reordered packet tells a shorter duration.
    if (units >= this.#units) {
      this.#units = units
      this.#levelDbm0 = levelDbm0
    }
    this.#lastMs = nowMs
    if (end) this.#end(false)
  }

  #end(isLost: boolean): void {
    this.#active = false
    if (isLost) this.endsLost += 1
    const durationMs = ((this.#priorUnits + this.#units) * 1000) / this.#clockRate
    this.#sink.onDigit(digitOfEvent(this.#event), durationMs, this.#levelDbm0)
  }
}
