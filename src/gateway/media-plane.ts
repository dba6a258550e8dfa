// The data plane of a gateway: streams by number, orders in, reports out. All effects come through ports.

import { assert } from '#core/assert.ts'
import { Timer } from '#core/clock.ts'
import { KernelPath } from '#gateway/kernel-path.ts'
import { Pacer } from '#gateway/pacer.ts'
import type { Order, Plane, PlaneSink, Report, StreamId } from '#gateway/plane.ts'
import { Room } from '#gateway/room.ts'
import { Stream } from '#gateway/stream.ts'
import type { PlanePorts, StreamHome } from '#gateway/stream-home.ts'

/** Streams of one data plane. */
export const STREAMS_MAX = 16_384

/** Numbers of streams that others wait for. */
const AWAITED_MAX = 1_024

/** The streams of one thread. */
export class MediaPlane implements Plane, StreamHome {
  readonly ports: PlanePorts
  readonly pacer: Pacer
  readonly kernel: KernelPath | null
  readonly #sink: PlaneSink
  readonly #streams = new Map<StreamId, Stream>()
  readonly #rooms = new Map<number, Room>()
  /** Streams that want to hear one that is not there yet, by its number. */
  readonly #awaited = new Map<StreamId, Set<Stream>>()
  #reports: Report[] = []
  readonly #reporting = new Timer(this)

  constructor(ports: PlanePorts, sink: PlaneSink) {
    this.ports = ports
    this.#sink = sink
    this.pacer = new Pacer(ports.clock)
    const relay = ports.kernel ?? null
    this.kernel = relay?.available === true ? new KernelPath(ports.clock, relay) : null
  }

  /** Streams open or opening. */
  get size(): number {
    return this.#streams.size
  }

  order(order: Order): void {
    if (order.order === 'open') {
      this.#open(order)
      return
    }
    // The stream may have broken while the order was on its way.
    const stream = this.#streams.get(order.stream)
    if (stream === undefined) return
    try {
      this.#obey(stream, order)
    } catch (error) {
      this.fault(stream, error)
    }
  }

  /** Closes every stream without a word: the process ends. */
  close(): void {
    for (const stream of [...this.#streams.values()]) stream.close()
    this.kernel?.close()
    this.ports.clock.cancel(this.#reporting)
  }

  stream(id: StreamId): Stream | null {
    return this.#streams.get(id) ?? null
  }

  fault(stream: Stream, error: unknown): void {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.ports.log.event('error', 'MEDIA_STREAM_FAULT', { stream: stream.id, message })
    if (stream.state === 'closed') return
    const facts = stream.facts()
    stream.close()
    this.report({ report: 'closed', stream: stream.id, facts })
  }

  room(number: number): Room {
    let room = this.#rooms.get(number)
    if (room === undefined) {
      // At most as many as there are streams: the empty ones go before.
      for (const [other, { size }] of this.#rooms) if (size === 0) this.#rooms.delete(other)
      room = new Room()
      this.#rooms.set(number, room)
    }
    return room
  }

  awaitStream(listener: Stream, id: StreamId): void {
    let awaiting = this.#awaited.get(id)
    if (awaiting === undefined) {
      // Numbers that are never opened must not fill the memory: the oldest is forgotten.
      const oldest = this.#awaited.keys().next()
      if (this.#awaited.size >= AWAITED_MAX && !oldest.done) this.#awaited.delete(oldest.value)
      awaiting = new Set()
      this.#awaited.set(id, awaiting)
    }
    awaiting.add(listener)
  }

  forget(stream: Stream): void {
    this.#streams.delete(stream.id)
  }

  report(report: Report): void {
    this.#reports.push(report)
    if (!this.#reporting.armed) this.ports.clock.arm(this.#reporting, 'reports', 0)
  }

  onTimer(_name: string): void {
    const reports = this.#reports
    this.#reports = []
    for (const report of reports) this.#sink.onReport(report)
  }

  #obey(stream: Stream, order: Exclude<Order, { order: 'open' }>): void {
    switch (order.order) {
      case 'set':
        stream.set(order.settings)
        return
      case 'block':
        stream.block(order.media, order.dtmf, order.silences === true)
        return
      case 'query':
        this.report({ report: 'facts', stream: stream.id, query: order.query, facts: stream.facts() })
        return
      case 'close': {
        const facts = stream.facts()
        stream.close()
        this.report({ report: 'closed', stream: stream.id, facts })
        return
      }
      case 'play':
        stream.play(order.play, order.segments, order.repeat, order.durationMs ?? 0)
        return
      case 'stopPlay':
        stream.stopPlay(order.play)
        return
      case 'record':
        stream.record(order.file, order.format, order.paused === true)
        return
      default:
        order satisfies never
    }
  }

  #open(order: Extract<Order, { order: 'open' }>): void {
    assert(!this.#streams.has(order.stream), `stream ${order.stream} is opened once`)
    if (this.#streams.size >= STREAMS_MAX) {
      this.report({ report: 'openFailed', stream: order.stream, reason: 'MEDIA_STREAMS_MAX' })
      return
    }
    const stream = new Stream(this, order.stream, order.local, order.localRtcp, order.dscp)
    this.#streams.set(order.stream, stream)
    const awaiting = this.#awaited.get(order.stream)
    this.#awaited.delete(order.stream)
    for (const listener of awaiting ?? []) listener.onStreamOpened()
  }
}
