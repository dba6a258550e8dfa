// Samples out as packets of one format: resampled, cut into packets of ptime, encoded.

import { assert } from '#core/assert.ts'
import type { AudioCodecs, AudioEncoder } from '#core/audio-codec.ts'
import { Resampler } from '#gateway/audio/resampler.ts'
import { TICK_MS } from '#gateway/pacer.ts'
import type { PayloadFormat } from '#gateway/plane.ts'
import type { RtpSender } from '#gateway/rtp-sender.ts'
import { SpeechPauses } from '#gateway/speech-pauses.ts'

const PTIME_MS_MAX = 120
const WIDEBAND_RATE = 16_000
/** Octets of one packet's payload, and with header and tail. */
const PAYLOAD_OCTETS_MAX = 1_280
const PACKET_ROOM = PAYLOAD_OCTETS_MAX + 12 + 160

/** The encoder of one stream, and what waits for a packet to be full. */
export class AudioOutput {
  readonly format: PayloadFormat
  /** Samples per second that the encoder takes: the rate to make sound at. */
  readonly sampleRate: number
  readonly ptimeMs: number
  /** The payload type of comfort noise that the far side takes; −1 none. */
  readonly noiseType: number
  readonly #pauses: SpeechPauses | null
  readonly #encoder: AudioEncoder
  readonly #sender: RtpSender
  readonly #packetSamples: number
  readonly #queue: Int16Array
  #queued = 0
  #resampler: Resampler | null = null
  #resampled = new Int16Array(0)
  readonly #payload = new Uint8Array(PAYLOAD_OCTETS_MAX)
  readonly #packet = Buffer.alloc(PACKET_ROOM)

  private constructor(
    encoder: AudioEncoder,
    sender: RtpSender,
    format: PayloadFormat,
    ptimeMs: number,
    noiseType: number,
  ) {
    this.noiseType = noiseType
    this.#pauses = noiseType < 0 ? null : new SpeechPauses(encoder.sampleRate)
    this.#encoder = encoder
    this.#sender = sender
    this.format = format
    this.ptimeMs = ptimeMs
    this.sampleRate = encoder.sampleRate
    const wanted = (Math.min(PTIME_MS_MAX, Math.max(1, ptimeMs)) * encoder.sampleRate) / 1_000
    const frames = Math.max(1, Math.round(wanted / encoder.frameSamples))
    // A frame of one sample says nothing of time: then the packet is as long as was wanted.
    this.#packetSamples = frames * encoder.frameSamples
    this.#queue = new Int16Array(this.#packetSamples + (2 * encoder.sampleRate * TICK_MS) / 1_000)
  }

  /** Null when the encoding cannot be made now. */
  static open(
    codecs: AudioCodecs,
    sender: RtpSender,
    format: PayloadFormat,
    ptimeMs: number,
    noiseType = -1,
  ): AudioOutput | null {
    const rate = format.encoding === 'L16' ? format.clockRate : WIDEBAND_RATE
    const encoder = codecs.encoder(format.encoding, format.parameters, rate)
    return encoder === null ? null : new AudioOutput(encoder, sender, format, ptimeMs, noiseType)
  }

  /** Sends the 20 ms of this tick, in as many packets as are full; with `pauses`, those without speech may be left out (RFC 3389). */
  write(samples: Int16Array, sampleRate: number, nowMs: number, pauses: boolean): void {
    const { outgoing } = this.#sender
    const { clockRate, payloadType } = this.format
    const units = (clockRate * TICK_MS) / 1_000
    const perSample = clockRate / this.sampleRate
    let timestamp = outgoing.tick(units, nowMs, clockRate) - Math.round(this.#queued * perSample)
    this.#append(samples, sampleRate)
    let start = 0
    for (; this.#queued - start >= this.#packetSamples; start += this.#packetSamples) {
      const packet = this.#queue.subarray(start, start + this.#packetSamples)
      const pause = pauses && this.#pauses !== null ? this.#pauses.observe(packet) : 'speech'
      if (pause === 'noise' && this.#pauses !== null) {
        const { noise, noiseOctets } = this.#pauses
        this.#send(this.noiseType, false, timestamp >>> 0, nowMs, noise, noiseOctets)
      } else if (pause === 'speech') {
        // What is left out must not be forgotten by an encoder with a memory: those have no pauses.
        const octets = this.#encoder.encode(packet, this.#payload)
        this.#send(payloadType, this.#pauses?.begins === true, timestamp >>> 0, nowMs, this.#payload, octets)
      }
      timestamp += Math.round(this.#packetSamples * perSample)
    }
    this.#queue.copyWithin(0, start, this.#queued)
    this.#queued -= start
  }

  #send(
    payloadType: number,
    marker: boolean,
    timestamp: number,
    nowMs: number,
    payload: Uint8Array,
    octets: number,
  ): void {
    if (octets <= 0 || this.#sender.destination === null) return
    const { clockRate, encoding } = this.format
    const at = this.#sender.outgoing.write(this.#packet, payloadType, marker, timestamp, nowMs, clockRate, octets)
    this.#packet.set(payload.subarray(0, octets), at)
    this.#sender.encoding = encoding
    this.#sender.sendMade(this.#packet, at + octets)
  }

  /** The sound is interrupted: what did not fill a packet is not sent later. */
  reset(): void {
    this.#queued = 0
  }

  close(): void {
    this.#encoder.close()
  }

  #append(samples: Int16Array, sampleRate: number): void {
    let from = samples
    if (sampleRate !== this.sampleRate) {
      if (this.#resampler === null || this.#resampler.inputRate !== sampleRate) {
        this.#resampler = new Resampler(sampleRate, this.sampleRate)
        this.#resampled = new Int16Array(this.#resampler.outputMax(samples.length))
      }
      const count = this.#resampler.resample(samples, this.#resampled)
      from = this.#resampled.subarray(0, count)
    }
    assert(this.#queued < this.#packetSamples, 'full packets are sent')
    const room = Math.min(from.length, this.#queue.length - this.#queued)
    this.#queue.set(room === from.length ? from : from.subarray(0, room), this.#queued)
    this.#queued += room
  }
}
