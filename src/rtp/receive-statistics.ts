// Hot path. The sources that are heard on one stream, and which of them speaks now (RFC 3550 §6.2.1, §8.2).

import { rtpSequence, rtpSsrc, rtpTimestamp } from '#rtp/rtp-packet.ts'
import { type Reception, SourceStatistics } from '#rtp/source-statistics.ts'

/** Sources of one stream that are remembered; the one that was silent longest makes room. */
export const SOURCES_MAX = 8

/** `collision`: the packet carries the SSRC that we send with, so somebody chose the same, or it is our own (§8.2). */
export type StreamReception = Reception | 'collision'

/** Statistics of everything that comes in on a stream. `receive` allocates nothing but for a new source. */
export class ReceiveStatistics {
  /** The source that spoke last and is valid; null at first. */
  current: SourceStatistics | null = null
  /** How often another source took over. */
  sourceChanges = 0
  collisions = 0
  /** The SSRC that we send with on this stream; −1 none. */
  ownSsrc = -1
  #latest: SourceStatistics | null = null
  readonly #sources: SourceStatistics[] = []
  #forgottenPackets = 0
  #forgottenLost = 0
  #forgottenDuplicates = 0

  /** Takes note of a packet that passed `rtpPayloadOffset`. `octets` are those of the payload; `clockRate` is as in {@link SourceStatistics.receive}. */
  receive(bytes: Uint8Array, arrivalMs: number, clockRate: number, octets: number): StreamReception {
    const ssrc = rtpSsrc(bytes)
    let source = this.#latest
    if (source === null || source.ssrc !== ssrc) {
      if (ssrc === this.ownSsrc) {
        this.collisions += 1
        return 'collision'
      }
      source = this.#find(ssrc, rtpSequence(bytes), clockRate)
      this.#latest = source
    }
    const reception = source.receive(rtpSequence(bytes), rtpTimestamp(bytes), arrivalMs, clockRate, octets)
    if (source !== this.current && source.isValid) {
      if (this.current !== null) this.sourceChanges += 1
      this.current = source
    }
    return reception
  }

  /** The sources, for reports (§6.4). Not to be changed. */
  get sources(): readonly SourceStatistics[] {
    return this.#sources
  }

  source(ssrc: number): SourceStatistics | null {
    for (const source of this.#sources) if (source.ssrc === ssrc) return source
    return null
  }

  /** Forgets a source that said BYE (§6.3.4). Its counts stay in the totals. */
  remove(ssrc: number): void {
    const at = this.#sources.findIndex((source) => source.ssrc === ssrc)
    if (at >= 0) this.#forget(at)
  }

  /** Packets of all sources, ever. */
  get packets(): number {
    return this.#sources.reduce((sum, source) => sum + source.packetsBefore + source.packets, this.#forgottenPackets)
  }

  /** Packets lost of all sources, ever. */
  get lost(): number {
    return this.#sources.reduce((sum, source) => sum + source.lost, this.#forgottenLost)
  }

  get duplicates(): number {
    return this.#sources.reduce(
      (sum, source) => sum + source.duplicatesBefore + source.duplicates,
      this.#forgottenDuplicates,
    )
  }

  #find(ssrc: number, sequence: number, clockRate: number): SourceStatistics {
    const known = this.source(ssrc)
    if (known !== null) return known
    if (this.#sources.length >= SOURCES_MAX) this.#forgetSilent()
    const source = new SourceStatistics(ssrc, sequence, clockRate)
    this.#sources.push(source)
    return source
  }

  #forgetSilent(): void {
    let silent = -1
    for (let i = 0; i < this.#sources.length; i += 1) {
      const source = this.#sources[i] as SourceStatistics
      // A stranger's single packets must not push out who is talking.
      if (source === this.current) continue
      if (silent < 0 || precedes(source, this.#sources[silent] as SourceStatistics)) silent = i
    }
    if (silent >= 0) this.#forget(silent)
  }

  #forget(at: number): void {
    const [source] = this.#sources.splice(at, 1)
    if (source === undefined) return
    this.#forgottenPackets += source.packetsBefore + source.packets
    this.#forgottenLost += source.lost
    this.#forgottenDuplicates += source.duplicatesBefore + source.duplicates
    if (this.#latest === source) this.#latest = null
    if (this.current === source) this.current = null
  }
}

/** Whether `a` is to be forgotten before `b`: what is not valid first, then who was silent longest. */
function precedes(a: SourceStatistics, b: SourceStatistics): boolean {
  if (a.isValid !== b.isValid) return b.isValid
  return a.lastArrivalMs < b.lastArrivalMs
}
