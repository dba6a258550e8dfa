// The sounds of a media gateway: the prompts that come with the product, the time read out, and the files of the user's own.

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { AnnouncementPart } from '#gateway/audio/announcement.ts'
import { PromptLibrary } from '#gateway/audio/prompt-library.ts'
import { ENGLISH } from '#gateway/audio/prompts-en.ts'
import type { Segment } from '#gateway/plane.ts'
import type { Prompts } from '#gateway/prompts.ts'

const PACK = new URL('../../assets/prompts/en/', import.meta.url)
/** The rate that prompts are kept at: what telephones hear. */
const SAMPLE_RATE = 8_000
/** A file of the user's own: ten minutes of 48 kHz. */
const FILE_OCTETS_MAX = 64_000_000
/** A name in the folder itself: no way leads out of it. */
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

export class GatewayPrompts implements Prompts {
  readonly #folder: string
  readonly #library: PromptLibrary

  /** `folder` has the files of the user's own. */
  constructor(folder: string) {
    this.#folder = folder
    this.#library = new PromptLibrary(ENGLISH, (file) => octetsOf(new URL(file, PACK)), SAMPLE_RATE)
  }

  file(name: string): Uint8Array | null {
    return FILE_NAME.test(name) ? octetsOf(join(this.#folder, name)) : null
  }

  /** The time of day in the zone of this machine. */
  time(wallMs: number): readonly Segment[] | string {
    const at = new Date(wallMs)
    const [hours, minutes, seconds] = [at.getHours(), at.getMinutes(), at.getSeconds()]
    return this.#say([{ say: 'time', hours, minutes, seconds, clock: '12' }])
  }

  prompt(name: string): readonly Segment[] | string {
    return this.#say([{ say: 'prompt', name }])
  }

  #say(parts: readonly AnnouncementPart[]): readonly Segment[] | string {
    return this.#library.segments(parts)
  }
}

/** The octets of a file, or null when there is none, or one beyond all measure. */
function octetsOf(path: string | URL): Uint8Array | null {
  try {
    return statSync(path).size > FILE_OCTETS_MAX ? null : readFileSync(path)
  } catch {
    return null
  }
}
