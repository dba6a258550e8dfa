// Our own reports to one party, and what its reports say of us (RFC 3550 §6.4, RFC 3611 §4.4–4.7).

import { GMIN } from '#rtp/loss-pattern.ts'
import { delayUnits, ntpFraction, ntpMiddle, ntpSeconds, roundTripMs } from '#rtp/ntp-time.ts'
import type { OutgoingStream } from '#rtp/outgoing-stream.ts'
import { mouthToEarMs, quality } from '#rtp/quality.ts'
import type { ReceiveStatistics } from '#rtp/receive-statistics.ts'
import {
  type ReportBlock,
  type RtcpSink,
  readRtcp,
  type StatisticsSummary,
  type VoipMetrics,
} from '#rtp/rtcp-packet.ts'
import { RtcpWriter } from '#rtp/rtcp-writer.ts'
import type { SourceStatistics } from '#rtp/source-statistics.ts'

/** Sources that one report speaks of. */
const REPORTED_SOURCES_MAX = 4
/** §6.4: a source that sent within two intervals is reported as a sender; reports are never further apart than this. */
const SENT_WITHIN_MS = 15_000
/** An interval of sequence numbers is at most this long (RFC 3611 §4.1). */
const SUMMARY_SEQUENCES_MAX = 65_534
/** Not available (RFC 3611 §4.7.4, §4.7.5). */
const UNAVAILABLE = 127
/** Sender reports and reference times that are remembered, for what the party tells of them. */
const SENT_REPORTS = 8
/** Standard concealment, adaptive buffer, rate unknown (RFC 3611 §4.7.6). */
const RX_CONFIG = 0xf0

/** What the session needs to know to rate what is received. */
export interface PlayoutFacts {
  /** Encoding name of what is received. */
  readonly encoding: string
  readonly packetMs: number
  /** Delay of the buffer that the audio is played from: nominal and bounds; 0 when it is only relayed. */
  readonly nominalMs: number
  readonly maximumMs: number
  /** Packets that the buffer discarded, of those expected: 0…1. */
  readonly discardRate: number
}

/** One party's RTCP. Times are milliseconds of the clock; `wallMs` is the wall clock at the same moment. */
export class RtcpSession implements RtcpSink {
  /** Round trip in milliseconds, of its last report that told; −1 unknown. */
  roundTripMs = -1
  /** What it says of what we send: lost since the beginning, of 256 since its last report, jitter in milliseconds; −1 unknown. */
  remoteLost = -1
  remoteFractionLost = -1
  remoteJitterMs = -1
  /** Its last VoIP metrics about what we send, and its last summary; null when it never sent any. */
  remoteMetrics: VoipMetrics | null = null
  remoteSummary: StatisticsSummary | null = null
  /** The CNAME of its source; '' unknown. */
  remoteCname = ''
  reportsReceived = 0
  reportsSent = 0
  readonly #cname: string
  readonly #outgoing: OutgoingStream
  readonly #incoming: ReceiveStatistics
  readonly #writer = new RtcpWriter()
  #hasExtended = false
  /** Its last sender report, and its last reference time: whose, the middle of its NTP time, and when it came. */
  #senderSsrc = -1
  #senderMiddle = 0
  #senderMs = 0
  #referenceSsrc = -1
  #referenceMiddle = 0
  #referenceMs = 0
  #arrivalMs = 0
  #arrivalMiddle = 0
  /** The NTP times that were sent to the party, and ours at those moments: middles, and 0 for none. */
  readonly #sentTimes = new Uint32Array(SENT_REPORTS)
  readonly #sentMiddles = new Uint32Array(SENT_REPORTS)
  #sentAt = 0
  #sentMs = Number.NEGATIVE_INFINITY
  #packetsReported = 0
  #saidBye = false

  /** `cname` is ours for this party: random for each session, so that it tells nothing (RFC 7022 §4.2). */
  constructor(cname: string, outgoing: OutgoingStream, incoming: ReceiveStatistics) {
    this.#cname = cname
    this.#outgoing = outgoing
    this.#incoming = incoming
  }

  /** Takes a compound packet that passed `checkRtcp`. */
  receive(bytes: Uint8Array, length: number, nowMs: number, wallMs: number): void {
    this.reportsReceived += 1
    this.#arrivalMs = nowMs
    this.#arrivalMiddle = ntpMiddle(ntpSeconds(wallMs), ntpFraction(wallMs))
    readRtcp(bytes, length, this)
  }

  /**
   * Writes the report that is due (SR when we sent since the last ones, else RR) with CNAME, and extended reports when the
   * party sent some itself or `extended` asks for them. The octets stay valid until the next call; their number is given.
   */
  write(nowMs: number, wallMs: number, playout: PlayoutFacts | null, extended: boolean): Uint8Array {
    const writer = this.#begin(nowMs, wallMs)
    const reported = this.#reported()
    for (const source of reported) writer.reportBlock(this.#block(source, nowMs))
    writer.cname(this.#outgoing.ssrc, this.#cname)
    if (extended || this.#hasExtended) this.#writeExtended(writer, reported[0] ?? null, nowMs, wallMs, playout)
    this.reportsSent += 1
    return writer.bytes.subarray(0, writer.length)
  }

  /** Writes a report and a BYE (§6.6). §6.3.7: who never sent anything says none: no octets then. */
  writeBye(nowMs: number, wallMs: number, reason: string): Uint8Array {
    if (this.#outgoing.packets === 0 && this.reportsSent === 0) return this.#writer.bytes.subarray(0, 0)
    const writer = this.#begin(nowMs, wallMs)
    writer.cname(this.#outgoing.ssrc, this.#cname).bye(this.#outgoing.ssrc, reason)
    return writer.bytes.subarray(0, writer.length)
  }

  /** Another's sender report was passed on to the party; `middle` is of its NTP time, which may be of any clock. */
  passed(middle: number, wallMs: number): void {
    this.#remember(middle, wallMs)
  }

  /** Whether the party said BYE for the source that was heard last. */
  get saidBye(): boolean {
    return this.#saidBye
  }

  onSenderReport(ssrc: number, seconds: number, fraction: number): void {
    this.#senderSsrc = ssrc
    this.#senderMiddle = ntpMiddle(seconds, fraction)
    this.#senderMs = this.#arrivalMs
  }

  onReportBlock(_reporter: number, block: ReportBlock): void {
    if (block.ssrc !== this.#outgoing.ssrc) return
    this.remoteLost = block.cumulativeLost
    this.remoteFractionLost = block.fractionLost
    this.remoteJitterMs = (block.jitter * 1000) / this.#outgoing.clockRate
    this.#measure(block.lastSr, block.delaySinceLastSr)
  }

  onCname(_ssrc: number, cname: string): void {
    this.remoteCname = cname
  }

  onBye(ssrc: number): void {
    if (this.#incoming.current?.ssrc === ssrc) this.#saidBye = true
  }

  onReferenceTime(reporter: number, seconds: number, fraction: number): void {
    this.#hasExtended = true
    this.#referenceSsrc = reporter
    this.#referenceMiddle = ntpMiddle(seconds, fraction)
    this.#referenceMs = this.#arrivalMs
  }

  onDelaySinceReference(_reporter: number, ssrc: number, lastRr: number, delay: number): void {
    if (ssrc !== this.#outgoing.ssrc) return
    this.#measure(lastRr, delay)
  }

  onVoipMetrics(_reporter: number, metrics: VoipMetrics): void {
    this.#hasExtended = true
    if (metrics.ssrc === this.#outgoing.ssrc) this.remoteMetrics = metrics
  }

  onStatisticsSummary(_reporter: number, summary: StatisticsSummary): void {
    this.#hasExtended = true
    if (summary.ssrc === this.#outgoing.ssrc) this.remoteSummary = summary
  }

  /** SR when something was sent since the last report or the one before it (§6.4), else RR. */
  #begin(nowMs: number, wallMs: number): RtcpWriter {
    const { ssrc, packets, octets } = this.#outgoing
    this.#remember(ntpMiddle(ntpSeconds(wallMs), ntpFraction(wallMs)), wallMs)
    if (packets !== this.#packetsReported) this.#sentMs = nowMs
    this.#packetsReported = packets
    if (packets === 0 || nowMs - this.#sentMs > SENT_WITHIN_MS) return this.#writer.receiverReport(ssrc)
    const timestamp = this.#outgoing.timestampAt(nowMs)
    return this.#writer.senderReport(ssrc, ntpSeconds(wallMs), ntpFraction(wallMs), timestamp, packets, octets)
  }

  #remember(middle: number, wallMs: number): void {
    this.#sentTimes[this.#sentAt] = middle
    this.#sentMiddles[this.#sentAt] = ntpMiddle(ntpSeconds(wallMs), ntpFraction(wallMs))
    this.#sentAt = (this.#sentAt + 1) % SENT_REPORTS
  }

  /** The round trip to the party from what it tells of an NTP time: of our own, or of one that was passed on to it. */
  #measure(last: number, delay: number): void {
    const at = last === 0 ? -1 : this.#sentTimes.lastIndexOf(last)
    if (at < 0) return
    const ms = roundTripMs(this.#arrivalMiddle, this.#sentMiddles[at] as number, delay)
    if (ms >= 0) this.roundTripMs = ms
  }

  #reported(): SourceStatistics[] {
    return this.#incoming.sources
      .filter((source) => source.isValid && source.heardSinceReport)
      .sort((a, b) => b.lastArrivalMs - a.lastArrivalMs)
      .slice(0, REPORTED_SOURCES_MAX)
  }

  #block(source: SourceStatistics, nowMs: number): ReportBlock {
    const isSender = source.ssrc === this.#senderSsrc
    return {
      ssrc: source.ssrc,
      cumulativeLost: source.cumulativeLost,
      fractionLost: source.takeFractionLost(),
      extendedHighest: source.extendedHighest,
      jitter: Math.floor(source.jitter),
      lastSr: isSender ? this.#senderMiddle : 0,
      delaySinceLastSr: isSender ? delayUnits(nowMs - this.#senderMs) : 0,
    }
  }

  #writeExtended(
    writer: RtcpWriter,
    source: SourceStatistics | null,
    nowMs: number,
    wallMs: number,
    playout: PlayoutFacts | null,
  ): void {
    writer.extendedReport(this.#outgoing.ssrc)
    writer.referenceTime(ntpSeconds(wallMs), ntpFraction(wallMs))
    if (this.#referenceSsrc >= 0) {
      const delay = delayUnits(nowMs - this.#referenceMs)
      writer.delaySinceReference(this.#referenceSsrc, this.#referenceMiddle, delay)
    }
    if (source === null) return
    writer.statisticsSummary(this.#summary(source))
    if (playout !== null) writer.voipMetrics(this.#metrics(source, playout))
  }

  /** Of all that came from the source, or the last 65534 numbers of it (RFC 3611 §4.6, §4.1: the end is the number after the last). */
  #summary(source: SourceStatistics): StatisticsSummary {
    const covered = Math.min(source.expected, SUMMARY_SEQUENCES_MAX)
    const isWhole = covered === source.expected
    const end = (source.extendedHighest + 1) & 0xffff
    return {
      ssrc: source.ssrc,
      beginSequence: (end - covered) & 0xffff,
      endSequence: end,
      lost: isWhole ? Math.max(0, source.expected - (source.packets - source.duplicates)) : -1,
      duplicates: isWhole ? source.duplicates : -1,
      jitterMin: -1,
      jitterMax: -1,
      jitterMean: -1,
      jitterDeviation: -1,
    }
  }

  #metrics(source: SourceStatistics, playout: PlayoutFacts): VoipMetrics {
    const pattern = source.pattern.metrics(playout.packetMs)
    const lossRate = source.expected === 0 ? 0 : Math.max(0, source.cumulativeLost) / source.expected
    const rated = quality({
      encoding: playout.encoding,
      lossRate: lossRate + playout.discardRate,
      burstRatio: source.pattern.burstRatio,
      delayMs: mouthToEarMs(this.roundTripMs, playout.nominalMs, playout.packetMs),
    })
    return {
      ssrc: source.ssrc,
      lossRate: of256(lossRate),
      discardRate: of256(playout.discardRate),
      burstDensity: of256(pattern.burstDensity),
      gapDensity: of256(pattern.gapDensity),
      burstMs: pattern.burstMs,
      gapMs: pattern.gapMs,
      roundTripMs: Math.max(0, this.roundTripMs),
      endSystemMs: playout.nominalMs + 2 * playout.packetMs,
      signalLevel: UNAVAILABLE,
      noiseLevel: UNAVAILABLE,
      residualEchoLoss: UNAVAILABLE,
      gmin: GMIN,
      rFactor: Math.round(rated.r),
      externalRFactor: UNAVAILABLE,
      mosLq: Math.round(rated.mosLq * 10),
      mosCq: Math.round(rated.mos * 10),
      rxConfig: playout.maximumMs > 0 ? RX_CONFIG : 0,
      jitterBufferNominalMs: playout.nominalMs,
      jitterBufferMaximumMs: playout.maximumMs,
      jitterBufferAbsoluteMaximumMs: playout.maximumMs,
    }
  }
}

/** Binary point at the left edge of an octet, at most 255 (RFC 3611 §4.7.1). */
function of256(share: number): number {
  return Math.min(255, Math.floor(share * 256))
}
