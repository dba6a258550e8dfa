// Packets that a stream did not take or pass on, by stable code.

/** Why, in the order of the checks. */
export const DROP_CODES = [
  'MEDIA_MALFORMED',
  'MEDIA_OVERSIZED',
  'MEDIA_SOURCE',
  'MEDIA_HELD',
  'MEDIA_PAYLOAD',
  'MEDIA_RATE_MAX',
  'MEDIA_AUTH',
  'MEDIA_REPLAY',
  'MEDIA_SSRC_MAX',
  'MEDIA_KEY_EXPIRED',
  'MEDIA_SEQUENCE',
  'MEDIA_DUPLICATE',
  'MEDIA_LOOP',
  'MEDIA_LATE',
  'MEDIA_UNPROTECTED',
] as const

export type DropCode = (typeof DROP_CODES)[number]

/** The counters of one stream; those of codes that never came cost nothing. */
export class DropCounts {
  readonly #counts = new Map<DropCode, number>()

  add(code: DropCode): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1)
  }

  /** Codes that came, with how often. */
  facts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts)
  }
}
