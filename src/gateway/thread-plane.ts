// The data plane behind a thread: orders are posted, reports come back; when the thread dies, every stream is told closed.

import { type Clock, Timer } from '#core/clock.ts'
import type { Fields, Log, LogLevel } from '#core/log.ts'
import type { Order, Plane, PlaneSink, Report, StreamFacts, StreamId } from '#gateway/plane.ts'

/** Orders go down in groups. */
export type PlaneMessage = readonly Order[]
/** What comes up: reports in groups, and events for the log. */
export type PlaneAnswer =
  | { readonly kind: 'reports'; readonly reports: readonly Report[] }
  | { readonly kind: 'event'; readonly level: LogLevel; readonly code: string; readonly fields: Fields }

/** The thread, as this side sees it. */
export interface PlaneThread {
  post(message: PlaneMessage): void
}

const NO_FACTS: StreamFacts = {
  received: { packets: 0, octets: 0, lost: 0, jitterMs: -1, roundTripMs: -1, mos: -1, encoding: '' },
  sent: { packets: 0, octets: 0, lost: -1, jitterMs: -1, roundTripMs: -1, mos: -1, encoding: '' },
  remote: null,
  dropped: {},
  silentMs: -1,
}

/** The control's side. Whoever starts the thread gives it by {@link start} and brings its messages and its end. */
export class ThreadPlane implements Plane {
  readonly #sink: PlaneSink
  readonly #open = new Set<StreamId>()
  readonly #clock: Clock
  readonly #log: Log
  readonly #refusing = new Timer(this)
  #refused: StreamId[] = []
  #thread: PlaneThread | null = null

  constructor(clock: Clock, log: Log, sink: PlaneSink) {
    this.#clock = clock
    this.#log = log
    this.#sink = sink
  }

  /** Streams that the thread is believed to have. */
  get size(): number {
    return this.#open.size
  }

  start(thread: PlaneThread): void {
    this.#thread = thread
  }

  order(order: Order): void {
    if (this.#thread !== null) {
      if (order.order === 'open') this.#open.add(order.stream)
      this.#thread.post([order])
    } else if (order.order === 'open') {
      // Without its thread nothing can be opened; the rest concerns streams that are closed already.
      this.#refused.push(order.stream)
      this.#clock.arm(this.#refusing, 'refused', 0)
    }
  }

  onTimer(_name: string): void {
    const refused = this.#refused
    this.#refused = []
    for (const stream of refused) this.#sink.onReport({ report: 'openFailed', stream, reason: 'MEDIA_THREAD_GONE' })
  }

  onMessage(answer: PlaneAnswer): void {
    if (answer.kind === 'event') {
      this.#log.event(answer.level, answer.code, answer.fields)
      return
    }
    for (const report of answer.reports) {
      if (report.report === 'closed' || report.report === 'openFailed') this.#open.delete(report.stream)
      this.#sink.onReport(report)
    }
  }

  /** The thread is gone: its streams are closed, with facts that nobody knows any more. */
  onThreadEnded(reason: string, message: string): void {
    this.#log.event('error', 'MEDIA_THREAD_GONE', { reason, message, streams: this.#open.size, alarm: true })
    this.#thread = null
    const streams = [...this.#open]
    this.#open.clear()
    for (const stream of streams) this.#sink.onReport({ report: 'closed', stream, facts: NO_FACTS })
  }
}
