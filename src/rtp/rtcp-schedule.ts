// When RTCP is sent: intervals that are random and follow bandwidth and members, with reconsideration (RFC 3550 §6.2, §6.3).

import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Random } from '#core/random.ts'

/** §6.3.1: the least interval; the first is half of it. */
export const RTCP_INTERVAL_MS = 5000
/** §6.3.1: e − 3/2, which makes good for what timer reconsideration takes away. */
const COMPENSATION = 1.21828
/** §6.2: the share of senders that have a quarter of the bandwidth of their own. */
const SENDER_SHARE = 0.25
/** §6.3.3: weight of the newest packet in the mean size. */
const SIZE_WEIGHT = 1 / 16
/** UDP and IPv4 headers count (§6.2). */
const LOWER_LAYER_OCTETS = 28
/** An SR with one block and a CNAME. */
const FIRST_PACKET_OCTETS = 110

/** What the intervals depend on. */
export interface RtcpScheduleSettings {
  /** Bits a second for RTCP of the whole session: 5 % of the session's (§6.2). */
  readonly bandwidth: number
  /** The least interval: {@link RTCP_INTERVAL_MS}, or less where profile or bandwidth allow it (§6.2, RFC 4585 §3.4). */
  readonly intervalMs: number
}

/** Who sends. */
export interface RtcpScheduleSink {
  /** A report is due: send it, and give its octets; 0 when nothing was sent. */
  onReportDue(): number
}

/** The transmission timer of one participant (§6.3). Times are milliseconds of the clock. */
export class RtcpSchedule implements TimerOwner {
  readonly #clock: Clock
  readonly #random: Random
  readonly #settings: RtcpScheduleSettings
  readonly #sink: RtcpScheduleSink
  readonly #timer: Timer
  /** The RFC's variables (§6.3): members and pmembers, senders, we_sent, avg_rtcp_size, tp, tn, initial. */
  #members = 1
  #pastMembers = 1
  #senders = 0
  #weSent = false
  #meanOctets = FIRST_PACKET_OCTETS
  #lastMs = 0
  #nextMs = 0
  #isInitial = true

  constructor(clock: Clock, random: Random, settings: RtcpScheduleSettings, sink: RtcpScheduleSink) {
    this.#clock = clock
    this.#random = random
    this.#settings = settings
    this.#sink = sink
    this.#timer = new Timer(this)
  }

  /** §6.3.2. A schedule that runs already goes on. */
  start(): void {
    if (this.#timer.armed) return
    this.#lastMs = this.#clock.now()
    this.#schedule(this.#lastMs + this.#interval())
  }

  stop(): void {
    this.#clock.cancel(this.#timer)
  }

  /** How many take part, we among them, and how many of them send; `weSent` within the last two intervals (§6.3.8). */
  participants(members: number, senders: number, weSent: boolean): void {
    this.#senders = senders
    this.#weSent = weSent
    if (members === this.#members) return
    const isFewer = members < this.#pastMembers
    this.#members = Math.max(1, members)
    if (isFewer) this.#reconsiderReversely()
  }

  /** An RTCP packet of so many octets came (§6.3.3). */
  received(octets: number): void {
    this.#meanOctets += (octets + LOWER_LAYER_OCTETS - this.#meanOctets) * SIZE_WEIGHT
  }

  /** §6.3.6. */
  onTimer(): void {
    const now = this.#clock.now()
    const reconsideredMs = this.#lastMs + this.#interval()
    this.#pastMembers = this.#members
    if (reconsideredMs > now) {
      this.#schedule(reconsideredMs)
      return
    }
    const octets = this.#sink.onReportDue()
    if (octets > 0) {
      this.received(octets)
      this.#isInitial = false
    }
    this.#lastMs = now
    this.#schedule(now + this.#interval())
  }

  /** The deterministic interval Td in milliseconds (§6.3.1). */
  get deterministicMs(): number {
    const leastMs = this.#isInitial ? this.#settings.intervalMs / 2 : this.#settings.intervalMs
    let sharers = this.#members
    let bandwidth = this.#settings.bandwidth
    if (this.#senders <= this.#members * SENDER_SHARE) {
      bandwidth *= this.#weSent ? SENDER_SHARE : 1 - SENDER_SHARE
      sharers = this.#weSent ? this.#senders : this.#members - this.#senders
    }
    if (bandwidth <= 0) return leastMs
    return Math.max(leastMs, (sharers * this.#meanOctets * 8000) / bandwidth)
  }

  /** T: between 0.5 and 1.5 of Td, compensated (§6.3.1). */
  #interval(): number {
    return (this.deterministicMs * (0.5 + this.#random.uint32() / 2 ** 32)) / COMPENSATION
  }

  /** §6.3.4: fewer members, so the next report is earlier. */
  #reconsiderReversely(): void {
    if (this.#timer.armed) {
      const now = this.#clock.now()
      const share = this.#members / this.#pastMembers
      this.#lastMs = now - share * (now - this.#lastMs)
      this.#schedule(now + share * Math.max(0, this.#nextMs - now))
    }
    this.#pastMembers = this.#members
  }

  #schedule(atMs: number): void {
    this.#nextMs = atMs
    this.#clock.arm(this.#timer, 'report', Math.max(0, atMs - this.#clock.now()))
  }
}
