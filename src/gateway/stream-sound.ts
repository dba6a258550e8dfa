// What is made for the far side of one stream and not passed on: playbacks, digits, conversions, a room; and listening for tones.

import { assert } from '#core/assert.ts'
import { DtmfDetector, type DtmfSink } from '#gateway/audio/dtmf-detector.ts'
import { FaxToneDetector } from '#gateway/audio/fax-tone-detector.ts'
import { Resampler } from '#gateway/audio/resampler.ts'
import { AudioOutput } from '#gateway/audio-output.ts'
import { type Paced, TICK_MS } from '#gateway/pacer.ts'
import { isAudio, noiseTypeFor, TELEPHONE_EVENT } from '#gateway/payload-map.ts'
import type { PayloadFormat, Segment } from '#gateway/plane.ts'
import { Playback } from '#gateway/playback.ts'
import type { Recording } from '#gateway/recording.ts'
import { ROOM_RATE, type Room, type RoomParty } from '#gateway/room.ts'
import type { Stream } from '#gateway/stream.ts'
import type { StreamHome } from '#gateway/stream-home.ts'
import { TelephoneEventSender } from '#rtp/telephone-event-sender.ts'

/** Ticks without anything to do before the beat is left. */
const IDLE_TICKS = 50
/** Digits that wait to be made as tones towards one party. */
const DIGITS_WAITING_MAX = 64
/** Digits between whom telephone-event passes and whom it does not are made with this (Q.23, and 50 ms between them). */
const DIGIT_MS_MIN = 70
const DIGIT_MS_MAX = 5_000
const DIGIT_PAUSE_MS = 50
const DIGIT_LEVEL_DBM0 = -10
const DETECTOR_RATE = 8_000

/** One stream's own sound. It exists from the first need on, and beats only while there is one. */
export class StreamSound implements Paced, RoomParty, DtmfSink {
  readonly #home: StreamHome
  readonly #stream: Stream
  readonly #events = new TelephoneEventSender()
  readonly #eventPacket = Buffer.alloc(256)
  #output: AudioOutput | null = null
  #playback: Playback | null = null
  /** Digits that are made as tones, in their order, when nothing is played. */
  #digits: Extract<Segment, { kind: 'dtmf' }>[] = []
  #converting = false
  #room: Room | null = null
  #recording: Recording | null = null
  #detector: DtmfDetector | null = null
  #detectorRates: Resampler | null = null
  /** Listens to what is converted, and to what comes in when that is listened to anyway. */
  #heardFax: FaxToneDetector | null = null
  #ownFax: FaxToneDetector | null = null
  #toneLevelDbm0 = 0
  #made = new Int16Array(0)
  #idleTicks = 0
  #closed = false

  constructor(home: StreamHome, stream: Stream) {
    this.#home = home
    this.#stream = stream
  }

  /** Whether what comes in for this stream must not be passed on now: something else is sent. */
  get speaks(): boolean {
    return this.#playback !== null || this.#events.isBusy || this.#digits.length > 0
  }

  /** Whether what is heard is converted. */
  get converts(): boolean {
    return this.#converting
  }

  /** Whether the tone of a digit sounds now, which others get as an event. */
  get suspectsTone(): boolean {
    return this.#detector?.suspects === true
  }

  /** Whether the far side has the floor of its room; undefined without a room. */
  get talks(): boolean | undefined {
    return this.#room?.hasFloor(this)
  }

  get roomRate(): number {
    return this.#stream.inputRate
  }

  /** Settings are others: the encoder follows them. */
  onSettings(): void {
    const { settings } = this.#stream
    const format = settings?.payloads.find(isAudio) ?? null
    const output = this.#output
    const same = output !== null && format !== null && sameFormat(output.format, format)
    const noiseType = format === null ? -1 : noiseTypeFor(format, settings?.payloads ?? [])
    if (!same || output.ptimeMs !== settings?.ptimeMs || output.noiseType !== noiseType) {
      output?.close()
      this.#output = null
    }
    const listens = settings?.listensForTones === true && settings.receives
    if (listens) this.#detector ??= new DtmfDetector(this)
    else {
      this.#detector?.flush()
      this.#detector = null
    }
    this.#wake()
  }

  play(play: number, segments: readonly Segment[], repeat: number, durationMs: number): void {
    this.#events.stop()
    const rate = this.#outputOf()?.sampleRate ?? DETECTOR_RATE
    const send = (digits: string, ms: number, pauseMs: number, levelDbm0: number): boolean =>
      this.#sendEvents(digits, ms, pauseMs, levelDbm0)
    this.#playback = new Playback(play, segments, repeat, rate, send, durationMs)
    this.#output?.reset()
    this.#wake()
  }

  stopPlay(play: number): void {
    if (this.#playback?.play !== play) return
    this.#playback = null
    this.#events.stop()
  }

  /** A digit of the party that is heard, which the far side has to get as what it understands. Each digit once. */
  sendDigit(digit: string, ms: number, levelDbm0: number): void {
    const length = Math.min(DIGIT_MS_MAX, Math.max(DIGIT_MS_MIN, Math.round(ms)))
    const level = levelDbm0 === 0 ? DIGIT_LEVEL_DBM0 : levelDbm0
    if (!this.#sendEvents(digit, length, DIGIT_PAUSE_MS, level)) {
      if (this.#digits.length >= DIGITS_WAITING_MAX) return
      this.#digits.push({ kind: 'dtmf', digits: digit, ms: length, pauseMs: DIGIT_PAUSE_MS, levelDbm0: level })
    }
    this.#wake()
  }

  /** What is heard has to be converted from now on, or not any more. */
  convert(on: boolean): void {
    if (this.#converting === on) return
    this.#converting = on
    this.#output?.reset()
    this.#wake()
  }

  enterRoom(room: Room | null): void {
    if (this.#room === room) return
    this.#room?.leave(this)
    this.#room = room?.enter(this) === true ? room : null
    this.#output?.reset()
    this.#wake()
  }

  record(recording: Recording | null): void {
    this.#recording = recording
    this.#wake()
  }

  roomFrame(tick: number, nowMs: number): Int16Array | null {
    return this.#stream.spokenFrame(tick, nowMs)
  }

  onTick(tick: number, nowMs: number): void {
    try {
      this.#beat(tick, nowMs)
    } catch (error) {
      this.#stream.onFault(error)
    }
  }

  #beat(tick: number, nowMs: number): void {
    const stream = this.#stream
    if (this.#detector !== null) this.#listen(this.#detector, tick, nowMs)
    stream.expireEvents(nowMs)
    const frame = this.#sendTick(tick, nowMs)
    this.#recording?.onTick(
      stream.inputFrame(tick, nowMs),
      stream.inputRate,
      frame ?? stream.heardFrame(tick, nowMs),
      frame === null ? stream.heardRate : this.#madeRate,
    )
    if (this.#needed) this.#idleTicks = 0
    else if (++this.#idleTicks > IDLE_TICKS) this.#home.pacer.remove(this)
  }

  onDtmfStart(_digit: string, levelDbm0: number): void {
    this.#toneLevelDbm0 = Math.round(levelDbm0)
  }

  onDtmfEnd(digit: string, durationMs: number): void {
    this.#stream.onTone(digit, durationMs, this.#toneLevelDbm0)
  }

  /** Keeps the beat for a digit that has no end yet. */
  wake(): void {
    this.#wake()
  }

  close(): void {
    this.#closed = true
    this.#home.pacer.remove(this)
    this.#room?.leave(this)
    this.#output?.close()
    this.#detector?.flush()
  }

  get #needed(): boolean {
    return (
      this.speaks ||
      this.#converting ||
      this.#room !== null ||
      this.#recording !== null ||
      this.#detector !== null ||
      this.#stream.eventIsActive
    )
  }

  /** The rate of the frame that {@link #sendTick} gave. */
  #madeRate = DETECTOR_RATE

  /** Sends this tick's share of what is made; gives it as samples, null when nothing of that kind was sent. */
  #sendTick(tick: number, nowMs: number): Int16Array | null {
    const { settings, sender } = this.#stream
    if (settings === null) return null
    if (this.#events.isBusy) {
      this.#sendEvent(nowMs)
      return null
    }
    this.#nextDigit()
    const output = this.#outputOf()
    const frame = this.#frame(output, tick, nowMs)
    if (frame === null) {
      if (this.#converting) output?.reset()
      return null
    }
    if (settings.sends && output !== null && sender.destination !== null) {
      // Announcements and rooms have pauses that are meant; a fax must not be cut.
      const pauses = this.#playback === null && this.#room === null && !this.#stream.carriesFax
      output.write(frame, this.#madeRate, nowMs, pauses)
    }
    return frame
  }

  #frame(output: AudioOutput | null, tick: number, nowMs: number): Int16Array | null {
    if (this.#playback !== null) return this.#playFrame(this.#playback, output?.sampleRate ?? DETECTOR_RATE)
    if (this.#room !== null) {
      this.#madeRate = ROOM_RATE
      return this.#room.frameFor(this, tick, nowMs)
    }
    if (!this.#converting) return null
    const frame = this.#stream.heardFrame(tick, nowMs)
    this.#madeRate = this.#stream.heardRate
    if (frame !== null && this.#madeRate === DETECTOR_RATE && this.#stream.hearsG711) {
      this.#heardFax ??= new FaxToneDetector((tone) => this.#stream.onHeardFax(tone))
      this.#heardFax.detect(frame)
    }
    return frame
  }

  #playFrame(playback: Playback, rate: number): Int16Array | null {
    const length = (rate * TICK_MS) / 1_000
    if (this.#made.length !== length) this.#made = new Int16Array(length)
    this.#madeRate = rate
    const filled = playback.fill(this.#made)
    this.#made.fill(0, filled)
    if ((filled < length && !playback.waitsForEvents) || playback.isOver) {
      this.#playback = null
      if (playback.play >= 0) {
        this.#home.report({ report: 'playEnded', stream: this.#stream.id, play: playback.play })
      }
    }
    return filled === 0 ? null : this.#made
  }

  /** Digits that wait become a playback of their own when nothing is played. */
  #nextDigit(): void {
    if (this.#playback !== null) return
    const segment = this.#digits.shift()
    if (segment === undefined) return
    const rate = this.#outputOf()?.sampleRate ?? DETECTOR_RATE
    this.#playback = new Playback(-1, [segment], 1, rate, () => false)
  }

  #sendEvents(digits: string, ms: number, pauseMs: number, levelDbm0: number): boolean {
    return this.#eventFormat() !== null && this.#events.queue(digits, ms, pauseMs, levelDbm0)
  }

  /** The telephone-event format at the clock rate of what is spoken (RFC 4733 §2.1), or any. */
  #eventFormat(): PayloadFormat | null {
    const payloads = this.#stream.settings?.payloads ?? []
    const events = payloads.filter((format) => format.encoding === TELEPHONE_EVENT)
    const rate = payloads.find(isAudio)?.clockRate
    return events.find((format) => format.clockRate === rate) ?? events[0] ?? null
  }

  #sendEvent(nowMs: number): void {
    const { sender, settings } = this.#stream
    const format = this.#eventFormat()
    if (format === null) {
      this.#events.stop()
      return
    }
    const units = (format.clockRate * TICK_MS) / 1_000
    const { payloadType, clockRate } = format
    this.#output?.reset()
    const octets = this.#events.tick(sender.outgoing, this.#eventPacket, payloadType, units, nowMs, clockRate)
    if (settings?.sends === true) sender.sendMade(this.#eventPacket, octets)
  }

  #listen(detector: DtmfDetector, tick: number, nowMs: number): void {
    const frame = this.#stream.inputFrame(tick, nowMs)
    if (frame === null) return
    const rate = this.#stream.inputRate
    if (rate === DETECTOR_RATE) {
      detector.detect(frame)
      this.#ownFax ??= new FaxToneDetector((tone) => this.#stream.onFax(tone))
      this.#ownFax.detect(frame)
      return
    }
    if (this.#detectorRates?.inputRate !== rate) this.#detectorRates = new Resampler(rate, DETECTOR_RATE)
    const narrow = new Int16Array(this.#detectorRates.outputMax(frame.length))
    detector.detect(narrow.subarray(0, this.#detectorRates.resample(frame, narrow)))
  }

  #outputOf(): AudioOutput | null {
    if (this.#output !== null) return this.#output
    const { settings, sender } = this.#stream
    if (settings === null) return null
    for (const format of settings.payloads) {
      if (!isAudio(format)) continue
      const noiseType = noiseTypeFor(format, settings.payloads)
      this.#output = AudioOutput.open(this.#home.ports.codecs, sender, format, settings.ptimeMs, noiseType)
      if (this.#output !== null) return this.#output
    }
    return null
  }

  #wake(): void {
    if (this.#closed || !this.#needed) return
    assert(this.#stream.state !== 'closed', 'a closed stream makes no sound')
    this.#idleTicks = 0
    this.#home.pacer.add(this)
  }
}

function sameFormat(a: PayloadFormat, b: PayloadFormat): boolean {
  return (
    a.payloadType === b.payloadType &&
    a.encoding === b.encoding &&
    a.clockRate === b.clockRate &&
    a.parameters === b.parameters
  )
}
