// Hot path. Bursts and gaps in what was lost or discarded, packet by packet in sequence (RFC 3611 §4.7.2).

/** Packets received in a row that end a burst; the value the RFC recommends (§4.7.6). */
export const GMIN = 16

/** Beyond this, losses are one outage; G.107 knows no stronger burstiness. */
const BURST_RATIO_MAX = 8

/** What {@link LossPattern.metrics} says. Durations are means in milliseconds, densities and rates fractions of 1. */
export interface LossMetrics {
  readonly lossRate: number
  readonly discardRate: number
  readonly burstDensity: number
  readonly gapDensity: number
  readonly burstMs: number
  readonly gapMs: number
}

/** Counts of one source. Tell it of every sequence number once, in order. */
export class LossPattern {
  /** Sequence numbers told so far. */
  packets = 0
  lostPackets = 0
  discardedPackets = 0
  /** Losses and discards with a received packet (or the beginning) before them. */
  #runs = 0
  #sinceLoss = GMIN
  #startPackets = 0
  #candidatePackets = 0
  #candidateLosses = 0
  #bursts = 0
  #burstPackets = 0
  #burstLosses = 0

  received(): void {
    this.packets += 1
    this.#sinceLoss += 1
  }

  lost(): void {
    this.lostPackets += 1
    this.#miss()
  }

  /** Received, but not played: too late or too early for the jitter buffer. */
  discarded(): void {
    this.discardedPackets += 1
    this.#miss()
  }

  /**
   * Mean length of a row of losses, over what it would be if losses were independent (G.107 §3.5, BurstR): 1 or more.
   */
  get burstRatio(): number {
    const misses = this.lostPackets + this.discardedPackets
    if (misses === 0) return 1
    const ratio = (misses / this.#runs) * (1 - misses / this.packets)
    return Math.min(BURST_RATIO_MAX, Math.max(1, ratio))
  }

  /** The block's values now; `packetMs` is the duration of a packet. The end counts as followed by {@link GMIN} received. */
  metrics(packetMs: number): LossMetrics {
    const open = this.#candidateLosses > 1
    const bursts = this.#bursts + (open ? 1 : 0)
    const burstPackets = this.#burstPackets + (open ? this.#candidatePackets : 0)
    const burstLosses = this.#burstLosses + (open ? this.#candidateLosses : 0)
    const misses = this.lostPackets + this.discardedPackets
    const gapPackets = this.packets - burstPackets
    // One gap between two bursts; one before and one after, where there is anything.
    const last = open ? (this.#sinceLoss > 0 ? 1 : 0) : 1
    const gaps = bursts === 0 ? 1 : bursts - 1 + (this.#startPackets > 0 ? 1 : 0) + last
    return {
      lossRate: share(this.lostPackets, this.packets),
      discardRate: share(this.discardedPackets, this.packets),
      burstDensity: share(burstLosses, burstPackets),
      gapDensity: share(misses - burstLosses, gapPackets),
      burstMs: bursts === 0 ? 0 : (burstPackets * packetMs) / bursts,
      gapMs: gaps === 0 ? 0 : (gapPackets * packetMs) / gaps,
    }
  }

  #miss(): void {
    if (this.#sinceLoss > 0) this.#runs += 1
    if (this.#sinceLoss >= GMIN) {
      this.#closeCandidate()
      if (this.#bursts === 0) this.#startPackets = this.packets
      this.#candidatePackets = 1
      this.#candidateLosses = 1
    } else {
      this.#candidatePackets += this.#sinceLoss + 1
      this.#candidateLosses += 1
    }
    this.packets += 1
    this.#sinceLoss = 0
  }

  /** One loss alone belongs to its gap; more are a burst. */
  #closeCandidate(): void {
    if (this.#candidateLosses > 1) {
      this.#bursts += 1
      this.#burstPackets += this.#candidatePackets
      this.#burstLosses += this.#candidateLosses
    }
    this.#candidateLosses = 0
    this.#candidatePackets = 0
  }
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
