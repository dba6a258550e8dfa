// The sounds of prompts: read when first asked for, kept at the rate that they are played at.

import type { AnnouncementPart, LanguagePack } from '#gateway/audio/announcement.ts'
import { composeAnnouncement } from '#gateway/audio/announcement.ts'
import { readWav, type Sound, soundAtRate } from '#gateway/audio/wav-reader.ts'
import type { Segment } from '#gateway/plane.ts'

/** Samples of all sounds that are kept: 64 MB. */
const SAMPLES_KEPT_MAX = 32_000_000

/** Prompts of one language pack. */
export class PromptLibrary {
  readonly #pack: LanguagePack
  readonly #read: (file: string) => Uint8Array | null
  readonly #sampleRate: number
  readonly #sounds = new Map<string, Sound>()
  #samplesKept = 0

  /** `read` gives a file of the pack's folder by its name, or null. It is called once for each prompt that is used. */
  constructor(pack: LanguagePack, read: (file: string) => Uint8Array | null, sampleRate: number) {
    this.#pack = pack
    this.#read = read
    this.#sampleRate = sampleRate
  }

  /** The sound of a prompt, or a sentence that says why there is none. */
  sound(prompt: string): Sound | string {
    const known = this.#sounds.get(prompt)
    if (known !== undefined) return known
    const file = `${prompt}.wav`
    const octets = Object.hasOwn(this.#pack.prompts, prompt) ? this.#read(file) : null
    if (octets === null) return `There is no prompt "${prompt}" in the pack "${this.#pack.language}".`
    const read = readWav(octets)
    if (typeof read === 'string') return `${file}: ${read}`
    const sound = soundAtRate(read, this.#sampleRate)
    if (this.#samplesKept + sound.samples.length <= SAMPLES_KEPT_MAX) {
      this.#samplesKept += sound.samples.length
      this.#sounds.set(prompt, sound)
    }
    return sound
  }

  /** An announcement as playback segments, or a sentence that says which part cannot be said. */
  segments(parts: readonly AnnouncementPart[]): readonly Segment[] | string {
    const steps = composeAnnouncement(parts, this.#pack)
    if (typeof steps === 'string') return steps
    const segments: Segment[] = []
    for (const step of steps) {
      if ('pauseMs' in step) {
        segments.push({ kind: 'tone', frequencies: [], levelDbm0: 0, ms: step.pauseMs })
        continue
      }
      const sound = this.sound(step.prompt)
      if (typeof sound === 'string') return sound
      segments.push({ kind: 'samples', rate: sound.sampleRate, samples: sound.samples })
    }
    return segments
  }
}
