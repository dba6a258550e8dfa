// Starts a media thread and joins it with the control's side of its plane.

import type { MediaThreadSettings } from '#bin/media-thread.ts'
import type { Clock } from '#core/clock.ts'
import type { Log } from '#core/log.ts'
import type { PlaneSink } from '#gateway/plane.ts'
import { type PlaneAnswer, type PlaneMessage, ThreadPlane } from '#gateway/thread-plane.ts'
import { ThreadChannel } from '#host/thread-channel.ts'

/** After a wake-up the thread gathers packets for so long, in microseconds: a third of the CPU time at 200 calls, for 0.5 ms of delay. */
export const GATHER_MICROS = 1_000

/** A data plane in a thread of its own, and its end. */
export interface PlaneThread {
  readonly plane: ThreadPlane
  close(): Promise<void>
}

/**
 * Starts the thread. Orders may be given at once. When it dies, `sink` hears that each of its streams is closed, and then `onEnded`
 * is called.
 */
export function startPlaneThread(
  clock: Clock,
  log: Log,
  settings: MediaThreadSettings,
  sink: PlaneSink,
  onEnded: () => void = () => {},
): PlaneThread {
  const plane = new ThreadPlane(clock, log, sink)
  const entry = new URL('./media-thread.ts', import.meta.url)
  const channel = new ThreadChannel<PlaneMessage, PlaneAnswer, MediaThreadSettings>(entry, settings, {
    onMessage: (answer) => plane.onMessage(answer),
    onThreadEnded: (reason, message) => {
      plane.onThreadEnded(reason, message)
      onEnded()
    },
  })
  plane.start(channel)
  return { plane, close: () => channel.close() }
}
