// The streams of a gateway as its control knows them: numbers, ports and last facts; opened, queried and closed through the plane.

import { assert } from '#core/assert.ts'
import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter, Counters } from '#core/counters.ts'
import type { Log } from '#core/log.ts'
import type { Plane, PlaneSink, Report, Segment, StreamFacts, StreamId, StreamSettings } from '#gateway/plane.ts'
import type { PortPair, PortPool } from '#gateway/port-pool.ts'

/** How often another pair is tried when somebody else has the ports. */
const OPEN_ATTEMPTS_MAX = 16
/** How long the plane may take to open a stream, to tell facts, and to close it. */
const OPEN_MAX_MS = 3000
const FACTS_MAX_MS = 1000
const CLOSE_MAX_MS = 5000

const NO_DIRECTION = {
  packets: 0,
  octets: 0,
  lost: -1,
  jitterMs: -1,
  roundTripMs: -1,
  mos: -1,
  encoding: '',
} as const

/** The facts of a stream that nothing is known of yet. */
export const NO_FACTS: StreamFacts = {
  received: NO_DIRECTION,
  sent: NO_DIRECTION,
  remote: null,
  dropped: {},
  silentMs: -1,
}

/** Why a stream could not be opened. */
export type OpenProblem = 'MEDIA_PORTS_EXHAUSTED' | 'MEDIA_OPEN_FAILED' | 'MEDIA_PLANE_SILENT'

/** Reports that concern the owner of a stream. */
export type StreamReport = Extract<Report, { report: 'latched' | 'secured' | 'timeout' | 'dtmf' | 'fax' | 'playEnded' }>

/** Who a stream belongs to. */
export interface ControlStreamOwner {
  onStreamOpened(stream: ControlStream): void
  /** The stream is gone, and its ports with it. */
  onStreamFailed(stream: ControlStream, problem: OpenProblem): void
  onStreamReport(stream: ControlStream, report: StreamReport): void
}

type State = 'opening' | 'open' | 'closing' | 'closed'

const NEXT: Readonly<Record<State, readonly State[]>> = {
  opening: ['open', 'closing', 'closed'],
  open: ['closing'],
  closing: ['closed'],
  closed: [],
}

/** One stream. Its number and ports change while it is opening, never after. */
export class ControlStream implements TimerOwner {
  readonly owner: ControlStreamOwner
  readonly interfaceName: string
  readonly family: 4 | 6
  id: StreamId = 0
  pair: PortPair
  state: State = 'opening'
  attempts = 1
  facts: StreamFacts = NO_FACTS
  readonly dscp: number
  recordedTo: string | null = null
  recordingPaused = false
  /** What was last ordered; null before the first `set`. */
  settings: StreamSettings | null = null
  /** Wall time of the last packet seen, as of the last facts; 0 never. */
  lastPacketMs = 0
  readonly timer: Timer
  readonly #streams: ControlStreams

  constructor(streams: ControlStreams, owner: ControlStreamOwner, interfaceName: string, pair: PortPair, dscp: number) {
    this.#streams = streams
    this.dscp = dscp
    this.owner = owner
    this.interfaceName = interfaceName
    this.family = pair.local.family
    this.pair = pair
    this.timer = new Timer(this)
  }

  /** The only writer of `state`. */
  enter(state: State): void {
    assert(NEXT[this.state].includes(state), `stream ${this.state} → ${state}`)
    this.state = state
  }

  onTimer(): void {
    this.#streams.onLate(this)
  }
}

/** Waits for facts or ends of several streams, but not for ever. */
class Gathering implements TimerOwner {
  readonly waiting = new Map<StreamId, number>()
  readonly timer: Timer
  readonly done: () => void

  constructor(done: () => void) {
    this.done = done
    this.timer = new Timer(this)
  }

  /** What has not come by now is told as it was last known. */
  onTimer(): void {
    this.waiting.clear()
    this.done()
  }
}

export interface ControlStreamsPorts {
  readonly clock: Clock
  readonly log: Log
  readonly counters: Counters
}

/** All streams. Gives orders to the plane and takes its reports. */
export class ControlStreams implements PlaneSink {
  readonly #clock: Clock
  readonly #log: Log
  readonly #plane: Plane
  readonly #pool: PortPool
  readonly #dscp: number
  readonly #streams = new Map<StreamId, ControlStream>()
  readonly #gatherings = new Set<Gathering>()
  readonly #opened: Counter
  readonly #late: Counter
  #lastId = 0
  #lastQuery = 0
  #lastPlay = 0

  constructor(plane: Plane, pool: PortPool, dscp: number, ports: ControlStreamsPorts) {
    this.#plane = plane
    this.#pool = pool
    this.#dscp = dscp
    this.#clock = ports.clock
    this.#log = ports.log
    this.#opened = ports.counters.counter('carillon_media_streams_opened_total', 'Streams opened.')
    this.#late = ports.counters.counter('carillon_media_plane_late_total', 'Orders that the data plane did not answer.')
    ports.counters.gauge('carillon_media_streams', 'Streams that are open.', () => this.#streams.size)
  }

  /** Streams that hold ports. */
  get count(): number {
    return this.#streams.size
  }

  /** Queries and closings that wait for the plane. */
  get gathering(): number {
    return this.#gatherings.size
  }

  /** Opens a stream, with the gateway's own code point unless `dscp` says another; its owner is told how that went, never before this has returned. Null: no ports are free. */
  open(
    interfaceName: string,
    family: 4 | 6,
    owner: ControlStreamOwner,
    dscp: number | null = null,
  ): ControlStream | null {
    const pair = this.#pool.take(interfaceName, family)
    if (pair === null) return null
    const stream = new ControlStream(this, owner, interfaceName, pair, dscp ?? this.#dscp)
    this.#opened.add()
    this.#order(stream)
    return stream
  }

  /** Replaces the settings of an open stream; equal ones cost nothing. */
  set(stream: ControlStream, settings: StreamSettings): void {
    if (stream.state !== 'open') return
    stream.settings = settings
    this.#plane.order({ order: 'set', stream: stream.id, settings })
  }

  /** Plays; gives the number that `playEnded` will name. */
  play(stream: ControlStream, segments: readonly Segment[], repeat: number, durationMs = 0): number {
    this.#lastPlay += 1
    if (stream.state === 'open')
      this.#plane.order({ order: 'play', stream: stream.id, play: this.#lastPlay, segments, repeat, durationMs })
    return this.#lastPlay
  }

  stopPlay(stream: ControlStream, play: number): void {
    if (stream.state === 'open') this.#plane.order({ order: 'stopPlay', stream: stream.id, play })
  }

  block(stream: ControlStream, media: boolean, dtmf: boolean, silences: boolean): void {
    if (stream.state === 'open') this.#plane.order({ order: 'block', stream: stream.id, media, dtmf, silences })
  }

  /** Records into `file`, or no more; what is so already is not ordered again. */
  record(stream: ControlStream, file: string | null, paused: boolean): void {
    if (stream.state !== 'open' || (stream.recordedTo === file && stream.recordingPaused === paused)) return
    stream.recordedTo = file
    stream.recordingPaused = paused
    this.#plane.order({ order: 'record', stream: stream.id, file, format: 'wav', paused })
  }

  /** Brings `facts` of the streams up to date, then calls `done`: at once when there is nothing to wait for. */
  query(streams: readonly ControlStream[], done: () => void): void {
    const gathering = new Gathering(() => this.#finish(gathering, done))
    for (const stream of streams) {
      if (stream.state !== 'open') continue
      this.#lastQuery += 1
      gathering.waiting.set(stream.id, this.#lastQuery)
    }
    this.#await(gathering, FACTS_MAX_MS)
    for (const [stream, query] of [...gathering.waiting]) this.#plane.order({ order: 'query', stream, query })
  }

  /** Closes the streams, then calls `done` when their last facts are there. Ports rest from then on. */
  close(streams: readonly ControlStream[], done: () => void): void {
    const gathering = new Gathering(() => this.#finish(gathering, done))
    for (const stream of streams) if (stream.state !== 'closed') gathering.waiting.set(stream.id, 0)
    this.#await(gathering, FACTS_MAX_MS)
    for (const stream of streams) {
      if (stream.state !== 'opening' && stream.state !== 'open') continue
      stream.enter('closing')
      this.#clock.arm(stream.timer, 'close', CLOSE_MAX_MS)
      this.#plane.order({ order: 'close', stream: stream.id })
    }
  }

  onReport(report: Report): void {
    const stream = this.#streams.get(report.stream)
    if (stream === undefined) return
    switch (report.report) {
      case 'opened':
        if (stream.state !== 'opening') return
        this.#clock.cancel(stream.timer)
        stream.enter('open')
        stream.owner.onStreamOpened(stream)
        return
      case 'openFailed':
        this.#onOpenFailed(stream, report.reason)
        return
      case 'facts':
        this.#keep(stream, report.facts)
        for (const gathering of [...this.#gatherings])
          if (gathering.waiting.get(report.stream) === report.query) this.#arrived(gathering, report.stream)
        return
      case 'closed':
        this.#keep(stream, report.facts)
        if (stream.state === 'closing') this.#forget(stream)
        return
      default:
        if (stream.state === 'open') stream.owner.onStreamReport(stream, report)
    }
  }

  /** The plane did not answer in time. Called by the stream's timer. */
  onLate(stream: ControlStream): void {
    this.#late.add()
    this.#log.event('error', 'MEDIA_PLANE_SILENT', { stream: stream.id, state: stream.state })
    if (stream.state === 'opening') {
      stream.enter('closing')
      this.#plane.order({ order: 'close', stream: stream.id })
      this.#clock.arm(stream.timer, 'close', CLOSE_MAX_MS)
      stream.owner.onStreamFailed(stream, 'MEDIA_PLANE_SILENT')
    } else {
      this.#forget(stream)
    }
  }

  #order(stream: ControlStream): void {
    this.#lastId += 1
    stream.id = this.#lastId
    this.#streams.set(stream.id, stream)
    this.#clock.arm(stream.timer, 'open', OPEN_MAX_MS)
    const { local, localRtcp } = stream.pair
    this.#plane.order({ order: 'open', stream: stream.id, local, localRtcp, dscp: stream.dscp })
  }

  #onOpenFailed(stream: ControlStream, reason: string): void {
    if (stream.state === 'closing') {
      this.#forget(stream)
      return
    }
    if (stream.state === 'open') {
      // It broke later: its call goes on without it until it is deleted or offered anew.
      this.#log.event('error', 'MEDIA_STREAM_BROKEN', { reason, stream: stream.id })
      stream.enter('closing')
      this.#forget(stream)
      stream.owner.onStreamFailed(stream, 'MEDIA_OPEN_FAILED')
      return
    }
    this.#streams.delete(stream.id)
    this.#clock.cancel(stream.timer)
    this.#pool.refuse(stream.pair)
    const pair = stream.attempts < OPEN_ATTEMPTS_MAX ? this.#pool.take(stream.interfaceName, stream.family) : null
    if (pair !== null && reason === 'EADDRINUSE') {
      stream.attempts += 1
      stream.pair = pair
      this.#order(stream)
      return
    }
    if (pair !== null) this.#pool.release(pair)
    stream.enter('closed')
    this.#log.event('error', 'MEDIA_OPEN_FAILED', { reason, attempts: stream.attempts })
    stream.owner.onStreamFailed(stream, reason === 'EADDRINUSE' ? 'MEDIA_PORTS_EXHAUSTED' : 'MEDIA_OPEN_FAILED')
  }

  #keep(stream: ControlStream, facts: StreamFacts): void {
    stream.facts = facts
    if (facts.silentMs >= 0) stream.lastPacketMs = this.#clock.wallMs() - facts.silentMs
  }

  #forget(stream: ControlStream): void {
    this.#clock.cancel(stream.timer)
    stream.enter('closed')
    this.#streams.delete(stream.id)
    this.#pool.release(stream.pair)
    for (const gathering of [...this.#gatherings])
      if (gathering.waiting.has(stream.id)) this.#arrived(gathering, stream.id)
  }

  #await(gathering: Gathering, delayMs: number): void {
    this.#gatherings.add(gathering)
    if (gathering.waiting.size === 0) gathering.done()
    else this.#clock.arm(gathering.timer, 'facts', delayMs)
  }

  #arrived(gathering: Gathering, stream: StreamId): void {
    gathering.waiting.delete(stream)
    if (gathering.waiting.size === 0) gathering.done()
  }

  #finish(gathering: Gathering, done: () => void): void {
    this.#clock.cancel(gathering.timer)
    if (this.#gatherings.delete(gathering)) done()
  }
}
