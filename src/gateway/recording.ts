// Recordings of one stream: sound of both directions in two channels of a WAV file, or its packets as pcap.

import type { MediaFile, MediaFileSink, MediaFiles } from '#core/media-files.ts'
import type { Endpoint } from '#core/net.ts'
import { Resampler } from '#gateway/audio/resampler.ts'
import { WavWriter } from '#gateway/audio/wav-writer.ts'
import { TICK_MS } from '#gateway/pacer.ts'

const RATE = 8_000
const TICK_SAMPLES = (RATE * TICK_MS) / 1_000
/** pcap: magic of microseconds, link type of raw IP, and the lengths of headers. */
const PCAP_MAGIC = 0xa1b2c3d4
const LINKTYPE_RAW = 101
const SNAP_OCTETS = 65_535
const PCAP_HEADER_OCTETS = 24
const RECORD_HEADER_OCTETS = 16
/** A recording ends here: what is longer belongs in another file. */
const PCAP_OCTETS_MAX = 2 ** 31

/** A recording under way. */
export interface Recording {
  /** Whether {@link onTick} is to be called. */
  readonly paced: boolean
  /** Nothing is written meanwhile, and nothing stands for what was left out. */
  paused: boolean
  onTick(input: Int16Array | null, inputRate: number, output: Int16Array | null, outputRate: number): void
  onPacket(bytes: Buffer, octets: number, from: Endpoint, to: Endpoint, wallMs: number): void
  close(): void
}

/** What came in on the left, what went out on the right. */
export class WavRecording implements Recording {
  readonly paced = true
  paused = false
  readonly #file: MediaFile
  readonly #writer = new WavWriter(RATE, 2, 'pcm16')
  readonly #frame = new Int16Array(2 * TICK_SAMPLES)
  readonly #octets = new Uint8Array(4 * TICK_SAMPLES)
  readonly #resamplers: (Resampler | null)[] = [null, null]

  constructor(files: MediaFiles, path: string, sink: MediaFileSink) {
    this.#file = files.create(path, sink)
    this.#file.append(this.#writer.header())
  }

  onTick(input: Int16Array | null, inputRate: number, output: Int16Array | null, outputRate: number): void {
    if (this.paused) return
    this.#channel(0, input, inputRate)
    this.#channel(1, output, outputRate)
    const octets = this.#writer.write(this.#frame, this.#octets)
    if (octets > 0) this.#file.append(this.#octets.subarray(0, octets))
  }

  onPacket(): void {}

  close(): void {
    this.#file.replace(0, this.#writer.header())
    this.#file.close()
  }

  #channel(channel: 0 | 1, samples: Int16Array | null, rate: number): void {
    const narrow = samples === null ? null : this.#narrow(channel, samples, rate)
    for (let index = 0; index < TICK_SAMPLES; index++) this.#frame[2 * index + channel] = narrow?.[index] ?? 0
  }

  #narrow(channel: 0 | 1, samples: Int16Array, rate: number): Int16Array {
    if (rate === RATE) return samples
    let resampler = this.#resamplers[channel] ?? null
    if (resampler?.inputRate !== rate) {
      resampler = new Resampler(rate, RATE)
      this.#resamplers[channel] = resampler
    }
    const narrow = new Int16Array(resampler.outputMax(samples.length))
    return narrow.subarray(0, resampler.resample(samples, narrow))
  }
}

/** The packets of both directions, without protection, as if captured on an IP interface. */
export class PcapRecording implements Recording {
  readonly paced = false
  paused = false
  readonly #file: MediaFile
  #octets = PCAP_HEADER_OCTETS

  constructor(files: MediaFiles, path: string, sink: MediaFileSink) {
    this.#file = files.create(path, sink)
    const header = Buffer.alloc(PCAP_HEADER_OCTETS)
    header.writeUInt32LE(PCAP_MAGIC, 0)
    header.writeUInt16LE(2, 4)
    header.writeUInt16LE(4, 6)
    header.writeUInt32LE(SNAP_OCTETS, 16)
    header.writeUInt32LE(LINKTYPE_RAW, 20)
    this.#file.append(header)
  }

  onTick(): void {}

  onPacket(bytes: Buffer, octets: number, from: Endpoint, to: Endpoint, wallMs: number): void {
    if (this.paused || from.family !== to.family || this.#octets > PCAP_OCTETS_MAX) return
    const wide = from.family === 6
    const headers = (wide ? 40 : 20) + 8
    const record = Buffer.alloc(RECORD_HEADER_OCTETS + headers + octets)
    const micros = Math.round((wallMs % 1_000) * 1_000)
    record.writeUInt32LE(Math.floor(wallMs / 1_000), 0)
    record.writeUInt32LE(Math.min(999_999, micros), 4)
    record.writeUInt32LE(headers + octets, 8)
    record.writeUInt32LE(headers + octets, 12)
    const packet = record.subarray(RECORD_HEADER_OCTETS)
    const udp = wide ? writeIpv6(packet, octets + 8, from, to) : writeIpv4(packet, octets + 8, from, to)
    packet.writeUInt16BE(from.port, udp)
    packet.writeUInt16BE(to.port, udp + 2)
    packet.writeUInt16BE(octets + 8, udp + 4)
    bytes.copy(packet, udp + 8, 0, octets)
    this.#octets += record.length
    this.#file.append(record)
  }

  close(): void {
    this.#file.close()
  }
}

/** A header without options (RFC 791 §3.1); gives where UDP begins. */
function writeIpv4(packet: Buffer, payloadOctets: number, from: Endpoint, to: Endpoint): number {
  packet[0] = 0x45
  packet.writeUInt16BE(20 + payloadOctets, 2)
  packet[8] = 64
  packet[9] = 17
  writeHost4(packet, 12, from.host)
  writeHost4(packet, 16, to.host)
  let sum = 0
  for (let at = 0; at < 20; at += 2) sum += packet.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  packet.writeUInt16BE(~sum & 0xffff, 10)
  return 20
}

/** A header without extensions (RFC 8200 §3). */
function writeIpv6(packet: Buffer, payloadOctets: number, from: Endpoint, to: Endpoint): number {
  packet[0] = 0x60
  packet.writeUInt16BE(payloadOctets, 4)
  packet[6] = 17
  packet[7] = 64
  writeHost6(packet, 8, from.host)
  writeHost6(packet, 24, to.host)
  return 40
}

function writeHost4(packet: Buffer, at: number, host: string): void {
  for (const [index, part] of host.split('.', 4).entries()) packet[at + index] = Number(part)
}

function writeHost6(packet: Buffer, at: number, host: string): void {
  const [left = '', right = ''] = (host.split('%')[0] ?? '').split('::')
  const before = left === '' ? [] : left.split(':')
  const after = right === '' ? [] : right.split(':')
  for (const [index, group] of before.slice(0, 8).entries())
    packet.writeUInt16BE(Number.parseInt(group, 16) & 0xffff, at + 2 * index)
  for (const [index, group] of after.slice(0, 8).entries()) {
    packet.writeUInt16BE(Number.parseInt(group, 16) & 0xffff, at + 2 * (8 - after.length + index))
  }
}
