// Hot path. What is received from one SSRC: validity, loss, order, jitter (RFC 3550 §6.4.1, A.1, A.3, A.8).

import { LossPattern } from '#rtp/loss-pattern.ts'
import { SEQUENCE_SPACE, sequenceDistance, timestampDistance } from '#rtp/rtp-packet.ts'

/** A.1: packets in sequence that make a source valid. */
const MIN_SEQUENTIAL = 2
/** A.1: a larger step forwards is no loss but another sequence: a minute at 50 packets a second. */
export const DROPOUT_MAX = 3000
/** A.1: a larger step backwards is no reordering: two seconds at 50 packets a second. */
export const MISORDER_MAX = 100
/** Sequence numbers that are remembered one by one, to tell late from duplicate; more than {@link MISORDER_MAX}. */
const WINDOW = 128
/** A step of the timestamp against the clock by more than this is another time base, and no jitter. */
const TRANSIT_JUMP_MS = 3000
const NO_SEQUENCE = -1
/** Of a source whose first packets do not tell. */
const CLOCK_RATE_DEFAULT = 8000

/**
 * What a packet is to its source: `probation` not yet valid (A.1), `valid` in order, `restart` the first of a new sequence,
 * `reordered` late but new, `duplicate` seen before, `jump` far off and not counted, unless the next one follows it.
 */
export type Reception = 'probation' | 'valid' | 'restart' | 'reordered' | 'duplicate' | 'jump'

/** Statistics of one synchronization source. `receive` allocates nothing. */
export class SourceStatistics {
  readonly ssrc: number
  /** In hertz, of the format last received; the unit of {@link jitter}. */
  clockRate: number
  /** Valid packets and their payload octets, since the sequence last began; duplicates and late ones count (A.3). */
  packets = 0
  octets = 0
  duplicates = 0
  reordered = 0
  /** How often the sequence began anew. */
  restarts = 0
  /** Counts of the sequences that ended with a restart. */
  lostBefore = 0
  packetsBefore = 0
  duplicatesBefore = 0
  /** Interarrival jitter in timestamp units (A.8), and its highest value. */
  jitter = 0
  jitterMax = 0
  /** When the last packet came, in milliseconds of the clock. */
  lastArrivalMs = 0
  lastTimestamp = 0
  /** Where in the stream losses were; it hears of a packet when {@link WINDOW} newer ones could have come. */
  readonly pattern: LossPattern = new LossPattern()
  #probation = MIN_SEQUENTIAL
  #heard = false
  #maxSequence: number
  #cycles = 0
  #baseSequence = 0
  #badSequence = NO_SEQUENCE
  #probationOctets = 0
  #expectedPrior = 0
  #packetsPrior = 0
  #hasTransit = false
  readonly #seen = new Uint32Array(WINDOW / 32)

  constructor(ssrc: number, sequence: number, clockRate: number) {
    this.ssrc = ssrc
    this.clockRate = clockRate === 0 ? CLOCK_RATE_DEFAULT : clockRate
    this.#maxSequence = (sequence - 1) & 0xffff
  }

  /**
   * Takes note of a packet. `arrivalMs` is of the clock, `octets` those of the payload. With a `clockRate` of 0 (events
   * with another rate than the audio) the timestamp is not looked at.
   */
  receive(sequence: number, timestamp: number, arrivalMs: number, clockRate: number, octets: number): Reception {
    const reception = this.#order(sequence, octets)
    if (reception === 'jump' || reception === 'duplicate') return reception
    this.#measure(timestamp, arrivalMs, clockRate)
    return reception
  }

  /** Whether enough came in sequence to believe in the source. */
  get isValid(): boolean {
    return this.#probation === 0
  }

  /** Extended highest sequence number received (§6.4.1), modulo 2^32. */
  get extendedHighest(): number {
    return (this.#cycles + this.#maxSequence) % 2 ** 32
  }

  /** A.3; 0 before the source is valid. */
  get expected(): number {
    return this.isValid ? this.#cycles + this.#maxSequence - this.#baseSequence + 1 : 0
  }

  /** Cumulative number of packets lost since the sequence last began, negative with duplicates, as 24 bits allow (A.3). */
  get cumulativeLost(): number {
    return Math.max(-0x800000, Math.min(0x7fffff, this.expected - this.packets))
  }

  /** Losses of all sequences; what is a duplicate does not make good for what was lost. */
  get lost(): number {
    return this.lostBefore + Math.max(0, this.expected - (this.packets - this.duplicates))
  }

  /** Jitter in milliseconds (A.8). */
  get jitterMs(): number {
    return (this.jitter * 1000) / this.clockRate
  }

  /** Whether anything came since {@link takeFractionLost} was last called: only then does a report speak of it (§6.4). */
  get heardSinceReport(): boolean {
    return this.#heard
  }

  /** Fraction lost since this was last called, of 256 (A.3). It is called once for each report. */
  takeFractionLost(): number {
    const expected = this.expected - this.#expectedPrior
    const lost = expected - (this.packets - this.#packetsPrior)
    this.#expectedPrior = this.expected
    this.#packetsPrior = this.packets
    this.#heard = false
    return expected <= 0 || lost <= 0 ? 0 : Math.min(255, Math.floor((lost * 256) / expected))
  }

  /** A.1, with what came in probation counted once the source is valid. */
  #order(sequence: number, octets: number): Reception {
    if (this.#probation > 0) {
      if (sequence === ((this.#maxSequence + 1) & 0xffff)) {
        this.#probation -= 1
        this.#maxSequence = sequence
        if (this.#probation > 0) {
          this.#probationOctets = octets
          return 'probation'
        }
        this.#begin((sequence - 1) & 0xffff, this.#probationOctets)
        this.#advance(sequence, 1)
        return this.#count(octets, 'valid')
      }
      this.#probation = MIN_SEQUENTIAL - 1
      this.#probationOctets = octets
      this.#maxSequence = sequence
      this.#hasTransit = false
      return 'probation'
    }
    const distance = sequenceDistance(this.#maxSequence, sequence)
    if (distance > 0 && distance < DROPOUT_MAX) {
      this.#advance(sequence, distance)
      return this.#count(octets, 'valid')
    }
    if (distance <= 0 && distance > -MISORDER_MAX) {
      // Late within the sequence, or before its beginning: that is new to nobody who asks for it by number.
      if (!this.#mark(sequence)) {
        this.duplicates += 1
        return this.#count(octets, 'duplicate')
      }
      this.reordered += 1
      return this.#count(octets, 'reordered')
    }
    if (sequence !== this.#badSequence) {
      this.#badSequence = (sequence + 1) & 0xffff
      this.#probationOctets = octets
      return 'jump'
    }
    this.lostBefore += Math.max(0, this.expected - (this.packets - this.duplicates))
    this.packetsBefore += this.packets
    this.duplicatesBefore += this.duplicates
    this.restarts += 1
    this.#hasTransit = false
    this.#begin((sequence - 1) & 0xffff, this.#probationOctets)
    this.#advance(sequence, 1)
    return this.#count(octets, 'restart')
  }

  #count(octets: number, reception: Reception): Reception {
    this.packets += 1
    this.octets += octets
    this.#heard = true
    return reception
  }

  /** A sequence begins with `sequence`, which was received already. */
  #begin(sequence: number, octets: number): void {
    this.#baseSequence = sequence
    this.#maxSequence = sequence
    this.#badSequence = NO_SEQUENCE
    this.#cycles = 0
    this.packets = 1
    this.octets += octets
    this.duplicates = 0
    this.#expectedPrior = 0
    this.#packetsPrior = 0
    // What was before the beginning is not awaited.
    this.#seen.fill(0xffffffff)
  }

  #advance(sequence: number, distance: number): void {
    const from = this.#cycles + this.#maxSequence
    for (let extended = from + 1; extended <= from + distance; extended += 1) {
      const word = (extended >> 5) & (WINDOW / 32 - 1)
      const bit = 1 << (extended & 31)
      const seen = this.#seen[word] as number
      if (extended - WINDOW >= this.#baseSequence) {
        if ((seen & bit) !== 0) this.pattern.received()
        else this.pattern.lost()
      }
      this.#seen[word] = seen & ~bit
    }
    if (sequence < this.#maxSequence) this.#cycles += SEQUENCE_SPACE
    this.#maxSequence = sequence
    this.#mark(sequence)
  }

  /** Remembers it; false when it was there. */
  #mark(sequence: number): boolean {
    const word = (sequence >> 5) & (WINDOW / 32 - 1)
    const bit = 1 << (sequence & 31)
    const seen = this.#seen[word] as number
    if ((seen & bit) !== 0) return false
    this.#seen[word] = seen | bit
    return true
  }

  /** A.8. Packets with the timestamp of the one before, as telephone-events have (RFC 4733 §2.5.1.2), say nothing of transit. */
  #measure(timestamp: number, arrivalMs: number, clockRate: number): void {
    if (clockRate === 0) return
    if (clockRate !== this.clockRate) {
      this.jitter *= clockRate / this.clockRate
      this.jitterMax *= clockRate / this.clockRate
      this.clockRate = clockRate
      this.#hasTransit = false
    }
    if (this.#hasTransit) {
      const steps = timestampDistance(this.lastTimestamp, timestamp)
      if (steps === 0) return
      const difference = Math.abs(((arrivalMs - this.lastArrivalMs) * clockRate) / 1000 - steps)
      if (difference < (TRANSIT_JUMP_MS * clockRate) / 1000) {
        this.jitter += (difference - this.jitter) / 16
        if (this.jitter > this.jitterMax) this.jitterMax = this.jitter
      }
    }
    this.#hasTransit = true
    this.lastTimestamp = timestamp
    this.lastArrivalMs = arrivalMs
  }
}
