// What a stream of the data plane needs of the plane that it lives in.

import type { AudioCodecs } from '#core/audio-codec.ts'
import type { Clock } from '#core/clock.ts'
import type { Dtls } from '#core/dtls.ts'
import type { KernelRelay } from '#core/kernel-relay.ts'
import type { Log } from '#core/log.ts'
import type { MediaFiles } from '#core/media-files.ts'
import type { MediaSockets } from '#core/media-sockets.ts'
import type { Random } from '#core/random.ts'
import type { KernelPath } from '#gateway/kernel-path.ts'
import type { Pacer } from '#gateway/pacer.ts'
import type { Report, StreamId } from '#gateway/plane.ts'
import type { Room } from '#gateway/room.ts'
import type { Stream } from '#gateway/stream.ts'

/** The effects that a data plane is made with. */
export interface PlanePorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly sockets: MediaSockets
  readonly codecs: AudioCodecs
  /** Null: nothing can be recorded. */
  readonly files: MediaFiles | null
  /** Null: no DTLS-SRTP; a stream that asks for it stays without keys and passes nothing. */
  readonly dtls: Dtls | null
  /** Where settled relays move to; null or absent: all stay here. */
  readonly kernel?: KernelRelay | null
}

export interface StreamHome {
  readonly ports: PlanePorts
  readonly pacer: Pacer
  /** Null: every relay stays in user space. */
  readonly kernel: KernelPath | null
  /** To the sink, after the present event. */
  report(report: Report): void
  stream(id: StreamId): Stream | null
  /** A broken invariant: ends this stream, and no other. */
  fault(stream: Stream, error: unknown): void
  /** The room of that number, made on first use; it goes when the last party leaves. */
  room(number: number): Room
  /** Calls `onStreamOpened` of `listener` when the stream of that number is opened. */
  awaitStream(listener: Stream, id: StreamId): void
  /** The stream is closed, or was never opened. */
  forget(stream: Stream): void
}
