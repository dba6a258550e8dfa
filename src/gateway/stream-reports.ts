// RTCP of one stream: our own reports to the far side, and what its reports tell (RFC 3550 §6).

import type { Clock } from '#core/clock.ts'
import { type Random, randomToken } from '#core/random.ts'
import type { RtpSender } from '#gateway/rtp-sender.ts'
import type { ReceiveStatistics } from '#rtp/receive-statistics.ts'
import { checkRtcp, RtcpType } from '#rtp/rtcp-packet.ts'
import { type RtcpDirections, relayRtcp } from '#rtp/rtcp-relay.ts'
import { RTCP_INTERVAL_MS, RtcpSchedule, type RtcpScheduleSink } from '#rtp/rtcp-schedule.ts'
import { RtcpSession } from '#rtp/rtcp-session.ts'
import { readUint32 } from '#rtp/rtp-packet.ts'

/** 5 % of G.711 with its headers, in bits a second (RFC 3550 §6.2). */
const BANDWIDTH = 4_000
const PACKET_ROOM = 1_500
/** Room that protection needs behind a packet. */
const TAIL_ROOM = 200
/** So long after another's report was passed on, the far side gets none of our own: two longest intervals (RFC 3550 §6.3.1). */
const PASSED_MS = 15_000

/** Sends one compound packet where RTCP goes; false when it goes nowhere. */
export type SendRtcp = (bytes: Buffer, octets: number) => boolean

/** The reports of one stream. */
export class StreamReports implements RtcpScheduleSink {
  readonly session: RtcpSession
  readonly #clock: Clock
  readonly #schedule: RtcpSchedule
  readonly #sender: RtpSender
  readonly #send: SendRtcp
  readonly #packet = Buffer.alloc(PACKET_ROOM)
  #running = false
  #passedMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, random: Random, sender: RtpSender, received: ReceiveStatistics, send: SendRtcp) {
    this.#clock = clock
    this.#sender = sender
    this.#send = send
    this.session = new RtcpSession(randomToken(random), sender.outgoing, received)
    this.#schedule = new RtcpSchedule(clock, random, { bandwidth: BANDWIDTH, intervalMs: RTCP_INTERVAL_MS }, this)
  }

  start(): void {
    if (this.#running) return
    this.#running = true
    this.#schedule.start()
  }

  stop(): void {
    this.#running = false
    this.#schedule.stop()
  }

  /** Takes a packet from the far side, unprotected already; false when it is none. */
  receive(bytes: Buffer, octets: number): boolean {
    if (!checkRtcp(bytes, octets, true)) return false
    this.session.receive(bytes, octets, this.#clock.now(), this.#clock.wallMs())
    this.#schedule.received(octets)
    return true
  }

  /**
   * Passes what another party sent on to the far side, rewritten in the packet's own memory: end to end, so that each
   * learns of the other and not of us (RFC 3550 §7.1). False: nothing of it concerns the far side, or it goes nowhere.
   */
  pass(bytes: Buffer, octets: number, directions: RtcpDirections): boolean {
    const { toward } = directions
    const isSender = bytes[1] === RtcpType.SR
    // Of a source that we do not pass on the far side knows nothing.
    if (!this.#running || (isSender && readUint32(bytes, 4) !== toward.relayedSsrc)) return false
    const length = relayRtcp(bytes, octets, directions)
    if (length === 0 || length > PACKET_ROOM - TAIL_ROOM) return false
    const middle = isSender ? readUint32(bytes, 10) : 0
    this.#packet.set(bytes.subarray(0, length))
    const out = this.#sender.protectRtcp(this.#packet, length)
    if (out <= 0 || !this.#send(this.#packet, out)) return false
    this.#passedMs = this.#clock.now()
    if (isSender) this.session.passed(middle, this.#clock.wallMs())
    return true
  }

  /** Another SSRC after a collision: the one before ends with a BYE (RFC 3550 §8.2). */
  changeSsrc(ssrc: number): void {
    if (this.#running) this.#deliver(this.session.writeBye(this.#clock.now(), this.#clock.wallMs(), ''))
    this.#sender.outgoing.changeSsrc(ssrc)
  }

  onReportDue(): number {
    if (this.#clock.now() - this.#passedMs < PASSED_MS) return 0
    const sends = this.#sender.packets > 0
    this.#schedule.participants(2, sends ? 2 : 1, sends)
    return this.#deliver(this.session.write(this.#clock.now(), this.#clock.wallMs(), null, false))
  }

  /** Says that the stream ends (RFC 3550 §6.6). */
  bye(): void {
    if (this.#running) this.#deliver(this.session.writeBye(this.#clock.now(), this.#clock.wallMs(), ''))
    this.stop()
  }

  #deliver(report: Uint8Array): number {
    if (report.length === 0 || report.length > PACKET_ROOM - TAIL_ROOM) return 0
    this.#packet.set(report)
    const octets = this.#sender.protectRtcp(this.#packet, report.length)
    return octets > 0 && this.#send(this.#packet, octets) ? octets : 0
  }
}
