// What happens to packets between two machines: delay, loss, duplication, a size limit, and cuts.

import type { Generator } from '#sim/generator.ts'

export interface LinkOptions {
  /** One way. */
  readonly latencyMs: number
  /** Added to each packet's latency, uniform from 0: packets overtake each other when it is above their distance. */
  readonly jitterMs: number
  /** Probability of a loss. */
  readonly loss: number
  /** Mean length of a run of losses in packets (Gilbert's model); 1 makes losses independent. */
  readonly lossRun: number
  /** Probability that a packet arrives twice. */
  readonly duplicate: number
  /** Larger datagrams are lost: a path on which fragments do not pass. In octets. */
  readonly mtu: number
}

export const LINK_DEFAULTS: LinkOptions = {
  latencyMs: 10,
  jitterMs: 0,
  loss: 0,
  lossRun: 1,
  duplicate: 0,
  mtu: 65_535,
}

/** The way between two machines, both directions alike. */
export class Link {
  options: LinkOptions
  /** Nothing passes while above 0: the number of partitions that lie on it. */
  cuts = 0
  /** Packets lost or cut since the beginning. */
  lost = 0
  readonly #random: Generator
  #losing = false

  constructor(options: Partial<LinkOptions>, random: Generator) {
    this.options = { ...LINK_DEFAULTS, ...options }
    this.#random = random
  }

  /** The delays after which copies of a datagram of `octets` arrive; empty when it is lost. */
  draw(octets: number): number[] {
    const { mtu, duplicate } = this.options
    if (this.cuts > 0 || octets > mtu || this.#loses()) {
      this.lost++
      return []
    }
    const delays = [this.delayMs()]
    if (duplicate > 0 && this.#random.chance(duplicate)) delays.push(this.delayMs())
    return delays
  }

  /** The latency and jitter of one packet. */
  delayMs(): number {
    const { latencyMs, jitterMs } = this.options
    return jitterMs === 0 ? latencyMs : latencyMs + this.#random.fraction() * jitterMs
  }

  /** How often a stream must repeat one segment. */
  repetitions(): number {
    let count = 0
    while (count < 8 && this.#loses()) count++
    return count
  }

  #loses(): boolean {
    const { loss, lossRun } = this.options
    if (loss === 0) return false
    if (lossRun <= 1) return this.#random.chance(loss)
    // Two states whose stationary distribution has `loss` of the packets in the losing one.
    const leave = 1 / lossRun
    const enter = loss >= 1 ? 1 : (leave * loss) / (1 - loss)
    this.#losing = this.#losing ? !this.#random.chance(leave) : this.#random.chance(enter)
    return this.#losing
  }
}
