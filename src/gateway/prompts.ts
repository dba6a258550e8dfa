// The port of a gateway's sounds: what it plays by name.

import type { Segment } from '#gateway/plane.ts'

/** The sounds of a gateway. Both give a sentence when there are none. */
export interface Prompts {
  /** The octets of a file below the prompts folder; `name` has no way out of it. Null: there is none. */
  file(name: string): Uint8Array | null
  /** The time of day, or a named prompt, read out. */
  time(wallMs: number): readonly Segment[] | string
  prompt(name: string): readonly Segment[] | string
}
