// One playback: tones, samples and digits one after another, as often as ordered, made at the rate of whoever sends it.

import { DtmfGenerator } from '#gateway/audio/dtmf-generator.ts'
import { Resampler } from '#gateway/audio/resampler.ts'
import { ToneGenerator } from '#gateway/audio/tone-generator.ts'
import type { Segment } from '#gateway/plane.ts'

/** Samples fed to the resampler at a time. */
const PIECE_SAMPLES = 160

/** Takes the digits that are sent as events; false when they have to be tones. */
export type SendDigits = (digits: string, ms: number, pauseMs: number, levelDbm0: number) => boolean

/** A playback under way. */
export class Playback {
  /** The number it is reported by; −1 for what nobody ordered. */
  readonly play: number
  readonly #segments: readonly Segment[]
  readonly #rate: number
  readonly #sendDigits: SendDigits
  readonly #tones: ToneGenerator
  #repeatsLeft: number
  #samplesLeft: number
  #at = -1
  /** Samples of the segment at work that are left; of its own rate for samples. */
  #left = 0
  #from = 0
  #dtmf: DtmfGenerator | null = null
  #resampler: Resampler | null = null
  #piece = new Int16Array(0)
  #pieceStart = 0
  #pieceEnd = 0
  #events = false
  /** Whether anything was written since the segments began anew: segments without a sound must not turn for ever. */
  #sounded = true

  /** `durationMs` ends it whatever is left; 0 does not. */
  constructor(
    play: number,
    segments: readonly Segment[],
    repeat: number,
    rate: number,
    sendDigits: SendDigits,
    durationMs = 0,
  ) {
    this.play = play
    this.#segments = segments
    this.#rate = rate
    this.#sendDigits = sendDigits
    this.#tones = new ToneGenerator(rate)
    this.#samplesLeft = durationMs > 0 ? Math.round((durationMs * rate) / 1_000) : Number.POSITIVE_INFINITY
    this.#repeatsLeft = repeat === 0 ? Number.POSITIVE_INFINITY : repeat
  }

  /** Digits were given to be sent as events: call {@link fill} again when they are out. */
  get waitsForEvents(): boolean {
    return this.#events
  }

  /** Nothing is left to be filled: known at once of what does not end in digits. */
  get isOver(): boolean {
    if (this.#samplesLeft <= 0) return true
    const segment = this.#segments[this.#at]
    if (segment === undefined) return this.#at >= this.#segments.length
    if (segment.kind === 'dtmf' || this.#at < this.#segments.length - 1 || this.#repeatsLeft > 1) return false
    return this.#left === 0 && (segment.kind === 'tone' || this.#pieceStart === this.#pieceEnd)
  }

  /** Fills `target` from its beginning; gives the samples written, fewer than its length when it ends or waits for events. */
  fill(target: Int16Array): number {
    if (target.length > this.#samplesLeft) target = target.subarray(0, this.#samplesLeft)
    const written = this.#fill(target)
    this.#samplesLeft -= written
    return written
  }

  #fill(target: Int16Array): number {
    this.#events = false
    let written = 0
    while (written < target.length) {
      const segment = this.#segments[this.#at]
      const count = segment === undefined ? 0 : this.#fillFrom(segment, target.subarray(written))
      if (count > 0) this.#sounded = true
      written += count
      if (written < target.length && !this.#next()) return written
      if (this.#events) return written
    }
    return written
  }

  #fillFrom(segment: Segment, target: Int16Array): number {
    if (segment.kind === 'dtmf') return this.#dtmf === null ? 0 : this.#dtmf.generate(target)
    if (segment.kind === 'tone') {
      const count = Math.min(target.length, this.#left)
      if (segment.frequencies.length === 0) target.fill(0, 0, count)
      else this.#tones.generate(target, 0, count)
      this.#left -= count
      return count
    }
    return this.#fillSamples(segment.samples, target)
  }

  #fillSamples(samples: Int16Array, target: Int16Array): number {
    let written = 0
    while (written < target.length) {
      if (this.#pieceStart === this.#pieceEnd) {
        if (this.#left === 0) return written
        const count = Math.min(PIECE_SAMPLES, this.#left)
        const next = samples.subarray(this.#from, this.#from + count)
        this.#from += count
        this.#left -= count
        this.#pieceStart = 0
        this.#pieceEnd = this.#resampler === null ? count : this.#resampler.resample(next, this.#piece)
        if (this.#resampler === null) this.#piece.set(next)
        continue
      }
      const count = Math.min(target.length - written, this.#pieceEnd - this.#pieceStart)
      target.set(this.#piece.subarray(this.#pieceStart, this.#pieceStart + count), written)
      this.#pieceStart += count
      written += count
    }
    return written
  }

  /** The next segment; false when there is none. */
  #next(): boolean {
    this.#at++
    if (this.#at >= this.#segments.length) {
      this.#repeatsLeft--
      if (this.#repeatsLeft <= 0 || !this.#sounded) return false
      this.#sounded = false
      this.#at = 0
    }
    const segment = this.#segments[this.#at]
    if (segment === undefined) return false
    if (segment.kind === 'tone') {
      this.#left = segment.ms === 0 ? Number.POSITIVE_INFINITY : Math.round((segment.ms * this.#rate) / 1_000)
      this.#tones.set(segment.frequencies, segment.levelDbm0)
    } else if (segment.kind === 'samples') {
      this.#left = segment.samples.length
      this.#from = 0
      this.#pieceStart = 0
      this.#pieceEnd = 0
      this.#resampler = segment.rate === this.#rate ? null : new Resampler(segment.rate, this.#rate)
      this.#piece = new Int16Array(this.#resampler?.outputMax(PIECE_SAMPLES) ?? PIECE_SAMPLES)
    } else {
      const { digits, ms, pauseMs, levelDbm0 } = segment
      this.#events = this.#sendDigits(digits, ms, pauseMs, levelDbm0)
      if (this.#events) this.#sounded = true
      this.#dtmf = this.#events ? null : new DtmfGenerator(this.#rate, digits, ms, pauseMs, levelDbm0)
    }
    return true
  }
}
