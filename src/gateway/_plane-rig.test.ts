// A data plane in virtual time with its packets in the test's hands.

import type { AudioCodecs } from '#core/audio-codec.ts'
import type { Clock, Timer } from '#core/clock.ts'
import type { KernelRelay } from '#core/kernel-relay.ts'
import type { MediaFile, MediaFiles } from '#core/media-files.ts'
import type { DatagramSink, DatagramSocket, Endpoint, Net } from '#core/net.ts'
import type { Random } from '#core/random.ts'
import { CodecSet } from '#gateway/audio/codec-set.ts'
import { MediaPlane } from '#gateway/media-plane.ts'
import { NetMediaSockets } from '#gateway/net-media-sockets.ts'
import type { PayloadFormat, PlaneSink, Report, StreamFacts, StreamSettings } from '#gateway/plane.ts'

export const PCMU: PayloadFormat = { payloadType: 0, encoding: 'PCMU', clockRate: 8_000, channels: 1, parameters: '' }
export const PCMA: PayloadFormat = { payloadType: 8, encoding: 'PCMA', clockRate: 8_000, channels: 1, parameters: '' }
export const G722: PayloadFormat = { payloadType: 9, encoding: 'G722', clockRate: 8_000, channels: 1, parameters: '' }
export const EVENTS: PayloadFormat = {
  payloadType: 101,
  encoding: 'TELEPHONE-EVENT',
  clockRate: 8_000,
  channels: 1,
  parameters: '0-15',
}

export function at(host: string, port: number): Endpoint {
  return { host, port, family: host.includes(':') ? 6 : 4 }
}

class RigClock implements Clock {
  nowMs = 1_000_000
  readonly #armed = new Set<Timer>()

  now(): number {
    return this.nowMs
  }

  wallMs(): number {
    return 1_767_225_600_000 + this.nowMs
  }

  get armed(): number {
    return this.#armed.size
  }

  arm(timer: Timer, name: string, delayMs: number): void {
    timer.name = name
    timer.deadlineMs = this.nowMs + delayMs
    timer.armed = true
    this.#armed.delete(timer)
    this.#armed.add(timer)
  }

  cancel(timer: Timer): void {
    timer.armed = false
    this.#armed.delete(timer)
  }

  pass(ms: number): void {
    const untilMs = this.nowMs + ms
    for (;;) {
      let next: Timer | null = null
      for (const timer of this.#armed) if (next === null || timer.deadlineMs < next.deadlineMs) next = timer
      if (next === null || next.deadlineMs > untilMs) break
      this.nowMs = Math.max(this.nowMs, next.deadlineMs)
      this.cancel(next)
      next.owner.onTimer(next.name)
    }
    this.nowMs = untilMs
  }
}

class RigRandom implements Random {
  #state = 7

  uint32(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return this.#state
  }

  bytes(target: Uint8Array): void {
    for (let index = 0; index < target.length; index++) target[index] = this.uint32() >>> 24
  }
}

/** A packet that the plane sent. */
export interface Sent {
  readonly from: Endpoint
  readonly to: Endpoint
  readonly bytes: Buffer
  readonly ms: number
}

/** A file as it was written. */
export class RigFile implements MediaFile {
  bytes = Buffer.alloc(0)
  closed = false

  append(bytes: Uint8Array): void {
    this.bytes = Buffer.concat([this.bytes, bytes])
  }

  replace(position: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, position)
  }

  close(): void {
    this.closed = true
  }
}

/** RTP as a party sends it. */
export class RigParty {
  readonly endpoint: Endpoint
  readonly ssrc: number
  sequence = 100
  timestamp = 5_000

  constructor(endpoint: Endpoint, ssrc: number) {
    this.endpoint = endpoint
    this.ssrc = ssrc
  }

  packet(payloadType: number, payload: Uint8Array, marker = false): Buffer {
    const bytes = Buffer.alloc(12 + payload.length)
    bytes[0] = 0x80
    bytes[1] = payloadType | (marker ? 0x80 : 0)
    bytes.writeUInt16BE(this.sequence++ & 0xffff, 2)
    bytes.writeUInt32BE(this.timestamp >>> 0, 4)
    bytes.writeUInt32BE(this.ssrc, 8)
    bytes.set(payload, 12)
    return bytes
  }
}

const NO_LIBRARIES: AudioCodecs = { available: [], encoder: () => null, decoder: () => null }

export class PlaneRig {
  readonly clock = new RigClock()
  readonly sent: Sent[] = []
  readonly reports: Report[] = []
  readonly events: unknown[] = []
  readonly files = new Map<string, RigFile>()
  readonly plane: MediaPlane
  /** Ports that somebody else has. */
  readonly taken = new Set<number>()
  /** Told of reports besides the test. */
  sink: PlaneSink | null = null
  readonly #bound = new Map<string, DatagramSink>()
  #query = 0

  constructor(kernel: KernelRelay | null = null, libraries: AudioCodecs = NO_LIBRARIES) {
    const net = { udp: (local: Endpoint, sink: DatagramSink) => this.#udp(local, sink) } as unknown as Net
    const files: MediaFiles = {
      create: (path) => {
        const file = new RigFile()
        this.files.set(path, file)
        return file
      },
    }
    this.plane = new MediaPlane(
      {
        clock: this.clock,
        random: new RigRandom(),
        log: { event: (_level, code, fields) => this.events.push([code, fields]) },
        sockets: new NetMediaSockets(net),
        codecs: new CodecSet(libraries),
        files,
        dtls: null,
        kernel,
      },
      {
        onReport: (report) => {
          this.reports.push(report)
          this.sink?.onReport(report)
        },
      },
    )
  }

  /** Local addresses that are bound. */
  get bound(): number {
    return this.#bound.size
  }

  /** Opens stream `stream` at port 10000 + 2 × stream with these settings. */
  open(stream: number, settings: Partial<StreamSettings>, host = '192.0.2.1'): Endpoint {
    const local = at(host, 10_000 + 2 * stream)
    this.plane.order({ order: 'open', stream, local, localRtcp: at(host, local.port + 1), dscp: 46 })
    this.set(stream, settings)
    this.clock.pass(0)
    for (const [key, sink] of this.#bound)
      if (key.startsWith(`${host} `)) sink.onListening(at(host, Number(key.split(' ')[1])))
    this.clock.pass(0)
    return local
  }

  /** Tells all sockets that they are bound. */
  listen(): void {
    for (const [key, sink] of this.#bound) {
      const [host = '', port] = key.split(' ')
      sink.onListening(at(host, Number(port)))
    }
    this.clock.pass(0)
  }

  set(stream: number, settings: Partial<StreamSettings>): void {
    this.plane.order({ order: 'set', stream, settings: { ...DEFAULTS, ...settings } })
  }

  /** A datagram arrives. */
  receive(bytes: Uint8Array, from: Endpoint, to: Endpoint): void {
    this.#bound.get(`${to.host} ${to.port}`)?.onDatagram(bytes, from)
  }

  /** RTP that went to `to`, and none before. */
  take(to: Endpoint): Sent[] {
    const found = this.sent.filter((packet) => packet.to.host === to.host && packet.to.port === to.port)
    this.sent.length = 0
    return found
  }

  facts(stream: number): StreamFacts {
    const query = ++this.#query
    this.plane.order({ order: 'query', stream, query })
    this.clock.pass(0)
    const found = this.reports.find((report) => report.report === 'facts' && report.query === query)
    if (found?.report !== 'facts') throw new Error(`no facts of stream ${stream}`)
    return found.facts
  }

  /** `count` packets of 20 ms from `party`, in time. */
  speak(party: RigParty, to: Endpoint, count: number, payloadType = 0, octet = 0xd5): void {
    for (let index = 0; index < count; index++) {
      this.receive(party.packet(payloadType, new Uint8Array(160).fill(octet)), party.endpoint, to)
      party.timestamp += 160
      this.clock.pass(20)
    }
  }

  #udp(local: Endpoint, sink: DatagramSink): DatagramSocket {
    const key = `${local.host} ${local.port}`
    this.#bound.set(key, sink)
    return {
      send: (bytes, to) => {
        this.sent.push({ from: local, to, bytes: Buffer.from(bytes), ms: this.clock.nowMs })
      },
      close: () => this.#bound.delete(key),
    }
  }
}

const DEFAULTS: StreamSettings = {
  remote: null,
  remoteRtcp: null,
  rtcpMux: false,
  latching: 'none',
  signalledHost: null,
  sends: true,
  receives: true,
  datagrams: false,
  payloads: [PCMU],
  ptimeMs: 20,
  protectIn: null,
  protectOut: null,
  dtls: null,
  ice: null,
  source: { kind: 'none' },
  reportsDtmf: false,
  passesDtmf: true,
  listensForTones: false,
  timeoutInitialMs: 0,
  timeoutMs: 0,
}
