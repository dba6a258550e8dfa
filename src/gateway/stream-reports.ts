// RTCP of one stream: our own reports to the far side, and what its reports tell (RFC 3550 §6).

import type { Clock } from '#core/clock.ts'
import { type Random, randomToken } from '#core/random.ts'
import type { RtpSender } from '#gateway/rtp-sender.ts'
import type { ReceiveStatistics } from '#rtp/receive-statistics.ts'
import { checkRtcp } from '#rtp/rtcp-packet.ts'
import { RTCP_INTERVAL_MS, RtcpSchedule, type RtcpScheduleSink } from '#rtp/rtcp-schedule.ts'
import { RtcpSession } from '#rtp/rtcp-session.ts'

/** 5 % of G.711 with its headers, in bits a second (RFC 3550 §6.2). */
const BANDWIDTH = 4_000
const PACKET_ROOM = 1_500

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

  onReportDue(): number {
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
    if (report.length === 0 || report.length > PACKET_ROOM - 200) return 0
    this.#packet.set(report)
    const octets = this.#sender.protectRtcp(this.#packet, report.length)
    return octets > 0 && this.#send(this.#packet, octets) ? octets : 0
  }
}
