// The names of a simulated world, and resolvers that are slow or fail.

import type { DnsRecord, DnsType } from '#core/net.ts'
import type { Generator } from '#sim/generator.ts'

/** One zone for the whole world. */
export class Dns {
  readonly #records = new Map<string, DnsRecord[]>()
  readonly #random: Generator
  /** Bounds of the time that an answer takes. */
  delayMs: readonly [number, number] = [1, 50]
  /** Probability that a look-up fails, and the word for it. */
  failure = 0
  failureReason = 'ESERVFAIL'
  lookups = 0

  constructor(random: Generator) {
    this.#random = random
  }

  /** Replaces all records of `name`; an empty list removes the name. */
  set(name: string, records: readonly DnsRecord[]): void {
    this.#records.set(name.toLowerCase(), [...records])
  }

  /** What a look-up that begins now will answer, and when. */
  draw(name: string, type: DnsType): { delayMs: number; records: DnsRecord[]; failure: string | null } {
    this.lookups++
    const delayMs = this.#random.between(this.delayMs[0], this.delayMs[1])
    if (this.#random.chance(this.failure)) return { delayMs, records: [], failure: this.failureReason }
    const records = (this.#records.get(name.toLowerCase()) ?? []).filter((record) => record.type === type)
    // Resolvers rotate their answers: nobody may rely on the order.
    const turn = records.length < 2 ? 0 : this.#random.between(0, records.length - 1)
    return { delayMs, records: [...records.slice(turn), ...records.slice(0, turn)], failure: null }
  }
}
