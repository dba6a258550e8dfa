// The entry of a media thread: one data plane on an epoll loop, or on node:dgram where there is none.

import { performance } from 'node:perf_hooks'
import { type Clock, Timer } from '#core/clock.ts'
import type { Fields, LogLevel } from '#core/log.ts'
import type { MediaSockets } from '#core/media-sockets.ts'
import { CodecSet } from '#gateway/audio/codec-set.ts'
import { MediaPlane } from '#gateway/media-plane.ts'
import type { Report } from '#gateway/plane.ts'
import type { PlaneAnswer, PlaneMessage } from '#gateway/thread-plane.ts'
import { audioCodecs } from '#host/audio-codecs.ts'
import { DgramSockets } from '#host/dgram-sockets.ts'
import { openSslDtls } from '#host/dtls.ts'
import { epollCalls } from '#host/epoll-calls.ts'
import { EpollSockets } from '#host/epoll-sockets.ts'
import { SystemMediaFiles } from '#host/media-files.ts'
import { MediaLoop } from '#host/media-loop.ts'
import { NftRelay } from '#host/nft-relay.ts'
import type { CertificatePair } from '#host/self-signed.ts'
import { systemClock } from '#host/system-clock.ts'
import { SystemRandom } from '#host/system-random.ts'
import { ThreadOrders } from '#host/thread-orders.ts'

/** What a media thread is started with. */
export interface MediaThreadSettings {
  /** False: node:dgram even where epoll is there. */
  readonly epoll: boolean
  /** How long the loop gathers packets after a wake-up, in microseconds. */
  readonly gatherMicros: number
  /** For DTLS-SRTP; the control says its fingerprint to the far sides. Null: no DTLS. */
  readonly certificate: CertificatePair | null
}

/** Our own mistake in a timer or a packet: the thread ends, and the control hears that its streams are gone. */
function fault(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}

const orders = new ThreadOrders<PlaneMessage, PlaneAnswer, MediaThreadSettings>((message) => {
  for (const order of message) plane.order(order)
})
const log = {
  event: (level: LogLevel, code: string, fields: Fields) => orders.post({ kind: 'event', level, code, fields }),
}
const { epoll, gatherMicros, certificate } = orders.settings
const calls = epoll ? epollCalls() : null
const polled = calls === null ? null : new EpollSockets(calls, { gatherMicros, now: () => performance.now() })
const loop = polled === null ? null : new MediaLoop(polled, orders, fault)
const sockets: MediaSockets = polled ?? new DgramSockets()
const clock: Clock = loop?.clock ?? systemClock(fault)
if (polled === null) log.event('warn', 'MEDIA_NO_EPOLL', { reason: epoll ? 'unavailable' : 'configured' })
else orders.wakeBy(polled.wakeDescriptor)

const pending: Report[] = []
const tell = new Timer({
  onTimer: () => orders.post({ kind: 'reports', reports: pending.splice(0) }),
})
const sink = {
  onReport: (report: Report): void => {
    pending.push(report)
    if (!tell.armed) clock.arm(tell, 'reports', 0)
  },
}
const plane = new MediaPlane(
  {
    clock,
    random: new SystemRandom(),
    log,
    sockets,
    codecs: new CodecSet(await audioCodecs(log)),
    files: new SystemMediaFiles(),
    dtls: certificate === null ? null : openSslDtls(certificate, clock),
    kernel: new NftRelay(log),
  },
  sink,
)
orders.listen(() => loop?.start())
