// What comes in on a stream as samples: jitter buffer, decoder, concealment, in ticks of 20 ms that all who listen share.

import type { AudioCodecs, AudioDecoder } from '#core/audio-codec.ts'
import { ComfortNoise } from '#gateway/audio/comfort-noise.ts'
import { TICK_MS } from '#gateway/pacer.ts'
import type { FormatTable } from '#gateway/payload-map.ts'
import { COMFORT_NOISE } from '#gateway/payload-map.ts'
import type { PayloadFormat } from '#gateway/plane.ts'
import { JitterBuffer } from '#rtp/jitter-buffer.ts'
import { rtpMarker, rtpSequence, rtpSsrc, rtpTimestamp } from '#rtp/rtp-packet.ts'

/** Bounds of the playout delay: one short packet, and more than any telephone network jitters. */
const JITTER = { minMs: 10, maxMs: 200, initialMs: 40 } as const
/** What a decoder with a choice is asked for: wideband speech. */
const WIDEBAND_RATE = 16_000
const NARROWBAND_RATE = 8_000
/** The longest packet that is decoded: 120 ms (RFC 6716 §2.1.4) at 48 kHz. */
const SAMPLES_MAX = 5_760
/** Frames taken in one tick at most: packets of 2.5 ms. */
const FRAMES_PER_TICK_MAX = 8
/** So long after the last packet there is nothing to listen to any more. */
const QUIET_MS = 500
/** So long a pause is filled with the noise that was described for it. */
const PAUSE_MS = 30_000

/** The decoded sound of one stream. */
export class AudioInput {
  /** Of the samples that {@link frame} gives. */
  sampleRate = NARROWBAND_RATE
  /** When somebody last asked for a frame: nobody for a while, and the stream lets it go. */
  usedMs: number
  readonly #codecs: AudioCodecs
  readonly #buffer: JitterBuffer
  readonly #decoded = new Int16Array(SAMPLES_MAX)
  #formats: FormatTable
  #decoder: AudioDecoder | null = null
  #payloadType = -1
  #clockRate: number
  #putMs = Number.NEGATIVE_INFINITY
  /** Decoded samples that wait, from the beginning. */
  readonly #queue = new Int16Array(2 * SAMPLES_MAX)
  #queued = 0
  #tick = -1
  #frame: Int16Array | null = null
  #memory = new Int16Array(0)
  /** The noise of pauses, at the rate of the samples; null while none was ever described. */
  #noise: ComfortNoise | null = null
  #noiseRate = 0
  #ssrc = 0
  #pauses = false

  constructor(codecs: AudioCodecs, formats: FormatTable, clockRate: number, nowMs: number) {
    this.#codecs = codecs
    this.#formats = formats
    this.#clockRate = clockRate
    this.#buffer = new JitterBuffer(JITTER, clockRate)
    this.usedMs = nowMs
  }

  /** Other formats from now on. */
  setFormats(formats: FormatTable): void {
    this.#formats = formats
    this.#payloadType = -1
    this.#decoder?.close()
    this.#decoder = null
  }

  /** Takes a copy of a packet's payload. */
  put(bytes: Uint8Array, offset: number, end: number, format: PayloadFormat, nowMs: number): void {
    const noise = format.encoding === COMFORT_NOISE
    if (!noise && format.clockRate !== this.#clockRate) {
      this.#clockRate = format.clockRate
      this.#buffer.setClockRate(format.clockRate)
    }
    this.#putMs = nowMs
    this.#ssrc = rtpSsrc(bytes)
    const { payloadType } = format
    this.#buffer.put(
      bytes,
      offset,
      end,
      rtpSsrc(bytes),
      rtpSequence(bytes),
      rtpTimestamp(bytes),
      payloadType,
      rtpMarker(bytes),
      noise,
      nowMs,
    )
  }

  /** A packet that is no audio had its number. */
  putOther(bytes: Uint8Array): void {
    this.#buffer.putOther(rtpSsrc(bytes), rtpSequence(bytes))
  }

  /** The 20 ms of this tick, the same for all who ask in it; null when there is nothing to be heard. Not to be changed. */
  frame(tick: number, nowMs: number): Int16Array | null {
    this.usedMs = nowMs
    if (tick === this.#tick) return this.#frame
    this.#tick = tick
    this.#frame = this.#make(nowMs)
    return this.#frame
  }

  close(): void {
    this.#decoder?.close()
    this.#decoder = null
  }

  #make(nowMs: number): Int16Array | null {
    if (this.#buffer.held === 0 && this.#queued === 0 && nowMs - this.#putMs > (this.#pauses ? PAUSE_MS : QUIET_MS))
      return null
    let needed = (this.sampleRate * TICK_MS) / 1_000
    for (let round = 0; this.#queued < needed && round < FRAMES_PER_TICK_MAX; round++) {
      this.#take(nowMs)
      needed = (this.sampleRate * TICK_MS) / 1_000
    }
    if (this.#memory.length !== needed) this.#memory = new Int16Array(needed)
    const frame = this.#memory
    const taken = Math.min(needed, this.#queued)
    frame.set(this.#queue.subarray(0, taken))
    frame.fill(0, taken)
    this.#queue.copyWithin(0, taken, this.#queued)
    this.#queued -= taken
    return frame
  }

  #take(nowMs: number): void {
    const buffer = this.#buffer
    const units = (this.#clockRate * TICK_MS) / 1_000
    const playout = buffer.take(units, nowMs)
    const decoded = this.#decoded
    let samples = 0
    if (playout === 'frame' && this.#formats[buffer.payloadType]?.encoding === COMFORT_NOISE) {
      this.#pauses = this.#noiseFor().read(buffer.payload.subarray(0, buffer.payloadLength))
    } else if (playout === 'frame') {
      this.#pauses = false
      const decoder = this.#decoderFor(buffer.payloadType)
      if (decoder !== null) {
        samples = decoder.decode(buffer.payload.subarray(0, buffer.payloadLength), decoded)
        if (samples > 0) buffer.setDuration(Math.round((samples * this.#clockRate) / decoder.sampleRate))
      }
    } else if (playout === 'lost' && this.#decoder !== null) samples = this.#decoder.decodeLost(decoded)
    if (samples === 0) {
      samples = (this.sampleRate * TICK_MS) / 1_000
      if (this.#pauses) this.#noiseFor().generate(decoded, samples)
      else decoded.fill(0, 0, samples)
    }
    samples = Math.min(samples, this.#queue.length - this.#queued)
    this.#queue.set(decoded.subarray(0, samples), this.#queued)
    this.#queued += samples
  }

  /** Of the rate that is given now: one that was made for another is made anew, and waits for its description. */
  #noiseFor(): ComfortNoise {
    if (this.#noise === null || this.#noiseRate !== this.sampleRate) {
      this.#noise = new ComfortNoise(this.sampleRate, this.#ssrc)
      this.#noiseRate = this.sampleRate
    }
    return this.#noise
  }

  #decoderFor(payloadType: number): AudioDecoder | null {
    if (payloadType === this.#payloadType) return this.#decoder
    const format = this.#formats[payloadType] ?? null
    if (format === null || format.encoding === COMFORT_NOISE) return null
    this.#payloadType = payloadType
    this.#decoder?.close()
    const rate = format.encoding === 'L16' ? format.clockRate : WIDEBAND_RATE
    this.#decoder = this.#codecs.decoder(format.encoding, format.parameters, rate)
    if (this.#decoder !== null && this.#decoder.sampleRate !== this.sampleRate) {
      this.sampleRate = this.#decoder.sampleRate
      this.#queued = 0
    }
    return this.#decoder
  }
}
