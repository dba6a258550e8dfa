// Adaptive playout of one incoming stream for decoding: order, loss, drift (ITU-T G.1020 §7.1, RFC 3550 §6.4.1).

import { present } from '#core/assert.ts'
import { sequenceDistance, timestampDistance } from '#rtp/rtp-packet.ts'

/** Frames held at most: 640 ms of 10 ms packets. A power of two. */
export const FRAMES_MAX = 64
/** Octets of a frame that is held; a longer one is not audio. */
export const FRAME_OCTETS_MAX = 2048
/** A source that is this far off in time is another time base. */
const RESYNC_MS = 2000
/** A sequence number this far ahead, or {@link FRAMES_MAX} behind, is another sequence if the next one follows it. */
const SEQUENCE_AHEAD_MAX = 1000
/** Delays that are remembered: four seconds of 20 ms packets. */
const DELAYS = 200
/** How often, in packets, the target follows them. */
const ADAPT_PACKETS = 10
/** Share of the packets that may come after their time: more jitter than this is not absorbed (G.1020). */
const LATE_SHARE = 0.02
/** The playout delay moves no more often than this while somebody talks. */
const ADJUST_INTERVAL_MS = 240
/** Beyond this an empty buffer is silence, not loss: nobody conceals longer. */
const CONCEAL_MS_MAX = 200
const NO_SEQUENCE = -1

/** Settings of a jitter buffer. */
export interface JitterBufferSettings {
  /** Bounds of the nominal delay, in milliseconds. */
  readonly minMs: number
  readonly maxMs: number
  /** The delay to begin with. */
  readonly initialMs: number
}

/**
 * What is to be played: `frame` (read it from the buffer's fields before the next call), `lost` (conceal one tick), or
 * `silence` (nothing was sent for this tick, or nothing is known: comfort noise).
 */
export type Playout = 'frame' | 'lost' | 'silence'

/** A place for one packet; its octets are reused. */
class Slot {
  sequence = NO_SEQUENCE
  timestamp = 0
  payloadType = 0
  marker = false
  /** A packet that is no audio: it only says that its number is not lost. */
  isOther = false
  isNoise = false
  length = 0
  octets = new Uint8Array(0)
}

/**
 * The buffer. `put` what comes, `take` once for each tick of playout (or whenever
 * decoded samples run out). Nothing is allocated when the frames are no longer
 * than those before. Times are milliseconds of the clock.
 */
export class JitterBuffer {
  /** The frame that `take` gave: valid until the next call of `put` or `take`. */
  payload = new Uint8Array(0)
  payloadLength = 0
  payloadType = 0
  timestamp = 0
  marker = false
  /** Frames given; sequence numbers passed over at playout. */
  played = 0
  lost = 0
  /** G.1020: discarded because they came after their time, or before there was room. */
  lateDiscards = 0
  earlyDiscards = 0
  duplicates = 0
  /** Ticks inserted to lengthen the delay; frames dropped to shorten it. */
  inserted = 0
  dropped = 0
  /** Another SSRC, sequence or time base. */
  resyncs = 0
  /** The delay that is aimed at, in milliseconds over that of the fastest packet (G.1020 nominal delay). */
  targetMs: number
  readonly #settings: JitterBufferSettings
  #clockRate: number
  #ssrc = NO_SEQUENCE
  readonly #slots: Slot[] = []
  #held = 0
  #started = false
  #nextSequence = 0
  #highest = 0
  #badSequence = NO_SEQUENCE
  /** The timestamp to be played next, and the usual distance of two frames. */
  #playTimestamp = 0
  #frameUnits = 0
  /** Arrival minus timestamp in milliseconds, of the last packets, against one reference. */
  readonly #delays = new Float64Array(DELAYS)
  readonly #slowest = new Float64Array(DELAYS * LATE_SHARE + 1)
  #delayCount = 0
  #delayNext = 0
  #sinceAdapt = 0
  #fastestMs = 0
  #referenceTimestamp = 0
  #referenceMs = 0
  #adjustedMs = 0
  #emptyMs = 0
  #lastNoise = false
  #paused = true

  constructor(settings: JitterBufferSettings, clockRate: number) {
    this.#settings = settings
    this.#clockRate = clockRate
    this.targetMs = Math.min(settings.maxMs, Math.max(settings.minMs, settings.initialMs))
  }

  /** Frames held now. */
  get held(): number {
    return this.#held
  }

  /** How long after the fastest packet what is played now is played, in milliseconds; 0 before the first frame. */
  delayMs(nowMs: number): number {
    return this.#started ? this.#relativeMs(this.#playTimestamp, nowMs) - this.#fastestMs : 0
  }

  /**
   * Takes a copy of the payload `offset`…`end`. `noise` says that it is comfort noise (RFC 3389), after which nothing has to
   * follow. False when it was discarded.
   */
  put(
    bytes: Uint8Array,
    offset: number,
    end: number,
    ssrc: number,
    sequence: number,
    timestamp: number,
    payloadType: number,
    marker: boolean,
    noise: boolean,
    arrivalMs: number,
  ): boolean {
    const length = end - offset
    if (length < 0 || length > FRAME_OCTETS_MAX) {
      this.earlyDiscards += 1
      return false
    }
    if (!this.#place(ssrc, sequence, timestamp, arrivalMs)) return false
    this.#learn(sequence, timestamp, arrivalMs)
    // In a pause the delay may be set anew: what is said next begins as late as it should.
    if (this.#paused && this.#held === 0 && sequenceDistance(this.#nextSequence, sequence) >= 0) {
      this.#begin(timestamp, arrivalMs)
    }
    const late = timestampDistance(timestamp, this.#playTimestamp)
    if (sequenceDistance(this.#nextSequence, sequence) < 0) {
      this.#discardLate(sequence)
      return false
    }
    if (late > 0 && this.#held === 0) {
      // The buffer ran dry before it came. Going back to it costs delay, and saves it and all that come after it.
      if (this.delayMs(arrivalMs) + (late * 1000) / this.#clockRate > this.#settings.maxMs) {
        this.lateDiscards += 1
        this.#nextSequence = (sequence + 1) & 0xffff
        return false
      }
      this.#playTimestamp = timestamp
      // The delay may come in use soon again: it is not taken back at once.
      this.#adjustedMs = arrivalMs
    }
    const slot = this.#slotFor(sequence)
    if (slot.sequence === sequence) {
      this.duplicates += 1
      return false
    }
    this.#fill(slot, sequence, timestamp)
    slot.payloadType = payloadType
    slot.marker = marker
    slot.isNoise = noise
    slot.isOther = false
    slot.length = length
    if (slot.octets.length < length) slot.octets = new Uint8Array(Math.min(FRAME_OCTETS_MAX, (length + 63) & ~63))
    for (let i = 0; i < length; i += 1) slot.octets[i] = bytes[offset + i] as number
    return true
  }

  /** A packet that is no audio (a telephone-event) had this number: it is not lost. */
  putOther(ssrc: number, sequence: number): void {
    if (!this.#started || ssrc !== this.#ssrc) return
    const ahead = sequenceDistance(this.#nextSequence, sequence)
    if (ahead < 0 || ahead >= FRAMES_MAX) return
    const slot = this.#slotFor(sequence)
    if (slot.sequence === sequence) return
    this.#fill(slot, sequence, this.#playTimestamp)
    slot.isOther = true
    slot.length = 0
  }

  /**
   * What is to be played in the tick of `units` timestamp units that begins now. After `frame`, call {@link setDuration} when the
   * frame turned out to last another time than the tick.
   */
  take(units: number, nowMs: number): Playout {
    if (!this.#started) return 'silence'
    this.#skipOthers()
    if (this.#held === 0) return this.#takeEmpty(units)
    const excessMs = this.delayMs(nowMs) - this.targetMs
    const tickMs = (units * 1000) / this.#clockRate
    const next = this.#earliest()
    if (next.isOther) {
      this.#pass(next)
      return this.#takeEmpty(units)
    }
    const wait = timestampDistance(this.#playTimestamp, next.timestamp)
    if (wait >= units) {
      // Not its time yet: a gap in what was sent, or a packet that may still come. Gaps are where the delay may move.
      const isGap = next.sequence === this.#nextSequence || this.#lastNoise || this.#paused
      if (isGap && Math.abs(excessMs) > tickMs / 2) this.#shift(excessMs, wait, units)
      else this.#playTimestamp = (this.#playTimestamp + units) >>> 0
      if (!isGap) return 'lost'
      return 'silence'
    }
    if (nowMs - this.#adjustedMs >= ADJUST_INTERVAL_MS) {
      if (excessMs < -tickMs / 2 && !this.#paused) {
        this.#adjustedMs = nowMs
        this.inserted += 1
        return 'lost'
      }
      if (excessMs > tickMs * 1.5 && this.#held > 1) {
        this.#adjustedMs = nowMs
        this.#drop(next)
        return this.take(units, nowMs)
      }
    }
    this.#give(next, units)
    return 'frame'
  }

  /** The frame that `take` gave lasts `units` timestamp units. */
  setDuration(units: number): void {
    this.#playTimestamp = (this.timestamp + units) >>> 0
  }

  /** Forgets all frames; counts stay. */
  reset(): void {
    for (const slot of this.#slots) slot.sequence = NO_SEQUENCE
    this.#held = 0
    this.#started = false
    this.#paused = true
    this.#badSequence = NO_SEQUENCE
    this.#delayCount = 0
    this.#delayNext = 0
    this.#sinceAdapt = 0
    this.#fastestMs = 0
  }

  /** Another clock rate: the codec changed. */
  setClockRate(clockRate: number): void {
    if (clockRate === this.#clockRate) return
    this.#clockRate = clockRate
    this.#frameUnits = 0
    this.reset()
  }

  /** Whether the packet belongs to what is played; starts anew when source, sequence or time base are others. */
  #place(ssrc: number, sequence: number, timestamp: number, arrivalMs: number): boolean {
    if (this.#started && ssrc === this.#ssrc) {
      const ahead = sequenceDistance(this.#nextSequence, sequence)
      const offMs = Math.abs(this.#relativeMs(timestamp, arrivalMs) - this.#fastestMs)
      const isNear = ahead < SEQUENCE_AHEAD_MAX && ahead > -FRAMES_MAX
      if (isNear && offMs < RESYNC_MS + this.#settings.maxMs) {
        if (ahead < FRAMES_MAX) return true
        // Further ahead than there is room: what is held is too old to be waited for.
        if (this.#held > 0) {
          this.earlyDiscards += 1
          this.#discardAll()
        }
        this.#nextSequence = sequence
        this.#paused = true
        return true
      }
      if (!isNear && sequence !== this.#badSequence) {
        this.#badSequence = (sequence + 1) & 0xffff
        return false
      }
    }
    if (this.#started) this.resyncs += 1
    this.reset()
    this.#started = true
    this.#ssrc = ssrc
    this.#nextSequence = sequence
    this.#highest = sequence
    this.#referenceTimestamp = timestamp
    this.#referenceMs = arrivalMs
    this.#lastNoise = false
    return true
  }

  #begin(timestamp: number, arrivalMs: number): void {
    const earlyMs = this.#relativeMs(timestamp, arrivalMs) - this.#fastestMs
    const waitMs = Math.max(0, this.targetMs - earlyMs)
    this.#playTimestamp = (timestamp - Math.round((waitMs * this.#clockRate) / 1000)) >>> 0
    this.#adjustedMs = arrivalMs
    this.#emptyMs = 0
  }

  /** Follows the delays of the last packets: the fastest, and what all but a few need beyond it. */
  #learn(sequence: number, timestamp: number, arrivalMs: number): void {
    const step = sequenceDistance(this.#highest, sequence)
    if (step > 0) this.#highest = sequence
    const delayMs = this.#relativeMs(timestamp, arrivalMs)
    this.#delays[this.#delayNext] = delayMs
    this.#delayNext = (this.#delayNext + 1) % DELAYS
    if (this.#delayCount < DELAYS) this.#delayCount += 1
    if (delayMs < this.#fastestMs || this.#delayCount === 1) this.#fastestMs = delayMs
    this.#sinceAdapt += 1
    if (this.#sinceAdapt < ADAPT_PACKETS) return
    this.#sinceAdapt = 0
    const needed = this.#slowestInTime() - this.#fastestMs
    // One frame more than the jitter: the tick of playout is not that of arrival.
    const frameMs = (this.#frameUnits * 1000) / this.#clockRate
    this.targetMs = Math.min(this.#settings.maxMs, Math.max(this.#settings.minMs, needed + frameMs / 2))
    // The reference moves on, so that distances of timestamps stay within their circle.
    this.#moveReference(timestamp, arrivalMs)
  }

  /** Finds the fastest packet, and the delay within which all but {@link LATE_SHARE} of the packets came. */
  #slowestInTime(): number {
    const late = Math.floor(this.#delayCount * LATE_SHARE)
    const slowest = this.#slowest.fill(Number.NEGATIVE_INFINITY)
    let fastest = Number.POSITIVE_INFINITY
    for (let i = 0; i < this.#delayCount; i += 1) {
      const delayMs = this.#delays[i] as number
      if (delayMs < fastest) fastest = delayMs
      if (delayMs <= (slowest[late] as number)) continue
      // Few are late, so that a row in descending order is quickest.
      let at = late
      for (; at > 0 && (slowest[at - 1] as number) < delayMs; at -= 1) slowest[at] = slowest[at - 1] as number
      slowest[at] = delayMs
    }
    this.#fastestMs = fastest
    return slowest[late] as number
  }

  #moveReference(timestamp: number, arrivalMs: number): void {
    const shiftMs = this.#relativeMs(timestamp, arrivalMs)
    this.#referenceTimestamp = timestamp
    this.#referenceMs = arrivalMs
    for (let i = 0; i < this.#delayCount; i += 1) this.#delays[i] = (this.#delays[i] as number) - shiftMs
    this.#fastestMs -= shiftMs
  }

  /** How late `timestamp` is at `nowMs`, in milliseconds against the reference. */
  #relativeMs(timestamp: number, nowMs: number): number {
    const units = timestampDistance(this.#referenceTimestamp, timestamp)
    return nowMs - this.#referenceMs - (units * 1000) / this.#clockRate
  }

  #takeEmpty(units: number): Playout {
    this.#playTimestamp = (this.#playTimestamp + units) >>> 0
    this.#emptyMs += (units * 1000) / this.#clockRate
    if (!this.#lastNoise && !this.#paused && this.#emptyMs <= CONCEAL_MS_MAX) return 'lost'
    this.#paused = true
    return 'silence'
  }

  /** In a gap of `wait` units: stands still to lengthen the delay, or goes faster to shorten it, a tick at most. */
  #shift(excessMs: number, wait: number, units: number): void {
    if (excessMs < 0) return
    const faster = Math.min(wait - units, units, Math.round((excessMs * this.#clockRate) / 1000))
    this.#playTimestamp = (this.#playTimestamp + units + Math.max(0, faster)) >>> 0
  }

  #give(slot: Slot, units: number): void {
    const skipped = sequenceDistance(this.#nextSequence, slot.sequence)
    this.lost += this.#countMissing(skipped)
    this.played += 1
    this.payload = slot.octets
    this.payloadLength = slot.length
    this.payloadType = slot.payloadType
    this.timestamp = slot.timestamp
    this.marker = slot.marker
    this.#lastNoise = slot.isNoise
    this.#paused = false
    this.#emptyMs = 0
    this.#pass(slot)
    this.#learnDuration(slot)
    const duration = this.#frameUnits > 0 && !slot.isNoise ? this.#frameUnits : units
    this.#playTimestamp = (slot.timestamp + duration) >>> 0
  }

  /** The distance of two frames in a row, when the next one is here already. */
  #learnDuration(slot: Slot): void {
    const following = this.#slots[this.#nextSequence & (FRAMES_MAX - 1)]
    if (following === undefined || following.sequence !== this.#nextSequence || following.isOther || slot.isNoise)
      return
    const units = timestampDistance(slot.timestamp, following.timestamp)
    if (units > 0 && units * 1000 <= CONCEAL_MS_MAX * this.#clockRate && !following.marker) this.#frameUnits = units
  }

  #drop(slot: Slot): void {
    this.dropped += 1
    this.lost += this.#countMissing(sequenceDistance(this.#nextSequence, slot.sequence))
    this.#pass(slot)
    this.#playTimestamp = this.#held > 0 ? this.#earliest().timestamp : this.#playTimestamp
  }

  #pass(slot: Slot): void {
    const after = (slot.sequence + 1) & 0xffff
    for (let at = this.#nextSequence; at !== after; at = (at + 1) & 0xffff) {
      const passed = this.#slots[at & (FRAMES_MAX - 1)]
      if (passed !== undefined && passed.sequence === at) {
        passed.sequence = NO_SEQUENCE
        this.#held -= 1
      }
    }
    this.#nextSequence = after
  }

  /** Numbers before the frame at hand that nothing was received with. */
  #countMissing(skipped: number): number {
    let missing = 0
    for (let i = 0; i < skipped; i += 1) {
      const sequence = (this.#nextSequence + i) & 0xffff
      if (this.#slots[sequence & (FRAMES_MAX - 1)]?.sequence !== sequence) missing += 1
    }
    return missing
  }

  #skipOthers(): void {
    for (let passed = 0; passed < FRAMES_MAX; passed += 1) {
      const slot = this.#slots[this.#nextSequence & (FRAMES_MAX - 1)]
      if (slot === undefined || slot.sequence !== this.#nextSequence || !slot.isOther) return
      this.#pass(slot)
      // Nobody talks during an event.
      this.#paused = true
    }
  }

  /** The first audio frame that is held; there is one when something is held after `#skipOthers`. */
  #earliest(): Slot {
    let other: Slot | null = null
    for (let i = 0; i < FRAMES_MAX; i += 1) {
      const sequence = (this.#nextSequence + i) & 0xffff
      const slot = this.#slots[sequence & (FRAMES_MAX - 1)]
      if (slot === undefined || slot.sequence !== sequence) continue
      if (!slot.isOther) return slot
      other = slot
    }
    return present(other, 'a jitter buffer that holds frames has an earliest one')
  }

  #slotFor(sequence: number): Slot {
    const at = sequence & (FRAMES_MAX - 1)
    while (this.#slots.length <= at) this.#slots.push(new Slot())
    return this.#slots[at] as Slot
  }

  #fill(slot: Slot, sequence: number, timestamp: number): void {
    if (slot.sequence === NO_SEQUENCE) this.#held += 1
    slot.sequence = sequence
    slot.timestamp = timestamp
  }

  #discardLate(sequence: number): void {
    if (sequence === ((this.#nextSequence - 1) & 0xffff)) this.duplicates += 1
    else this.lateDiscards += 1
  }

  #discardAll(): void {
    for (const slot of this.#slots) slot.sequence = NO_SEQUENCE
    this.#held = 0
  }
}
