// Discontinuous transmission of one stream that we encode: pauses are left out and described as comfort noise (RFC 3389 §5).

import { ComfortNoiseAnalysis } from '#gateway/audio/comfort-noise.ts'
import { VoiceActivity } from '#gateway/audio/voice-activity.ts'

/** The noise is described again this often, as its description may be lost. */
const NOISE_EVERY_MS = 400
/** Octets of a description: the level, and eight coefficients. */
const NOISE_OCTETS = 9

/** What to send for one packet's time: the packet, a description of the noise, or nothing. */
export type PausePacket = 'speech' | 'noise' | 'nothing'

/** The pauses of one stream. */
export class SpeechPauses {
  /** The description to send after `noise`: the first {@link noiseOctets}. */
  readonly noise = new Uint8Array(NOISE_OCTETS)
  noiseOctets = 0
  /** Whether the packet is the first after a pause (RFC 3551 §4.1: its marker is set). */
  begins = false
  readonly #activity: VoiceActivity
  readonly #analysis = new ComfortNoiseAnalysis()
  readonly #sampleRate: number
  #pauses = false
  #sinceMs = 0

  constructor(sampleRate: number) {
    this.#sampleRate = sampleRate
    this.#activity = new VoiceActivity(sampleRate)
  }

  /** Judges the samples of one packet. */
  observe(samples: Int16Array): PausePacket {
    if (this.#activity.observe(samples)) {
      this.begins = this.#pauses
      this.#pauses = false
      return 'speech'
    }
    if (!this.#pauses) this.#analysis.reset()
    this.#analysis.observe(samples)
    this.#sinceMs += (samples.length * 1_000) / this.#sampleRate
    if (this.#pauses && this.#sinceMs < NOISE_EVERY_MS) return 'nothing'
    this.#pauses = true
    this.#sinceMs = 0
    this.noiseOctets = this.#analysis.write(this.noise)
    return 'noise'
  }
}
