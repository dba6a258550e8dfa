// CPU time for one relayed packet, and loss and delay, of our data plane: `node bench/relay.ts [calls …]`; relay on core 0, sender on core 1.

import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sendCalls } from '#bench/relay-sender.ts'
import type { MediaThreadSettings } from '#bin/media-thread.ts'
import type { Latching, Order, StreamSettings } from '#gateway/plane.ts'
import { type PlaneAnswer, type PlaneMessage, ThreadPlane } from '#gateway/thread-plane.ts'
import { systemClock } from '#host/system-clock.ts'
import { ThreadChannel } from '#host/thread-channel.ts'

interface CpuFacts {
  readonly user: number
  readonly system: number
  readonly rss: number
}

const RUN_S = 4
const WARM_UP_S = 1
const GATHER_MICROS = [1_000]
const PARTY_PORT = 12_000
const RELAY_PORT = 22_000
const [role = '', ...rest] = process.argv.slice(2)

function settings(index: number): StreamSettings {
  return {
    remote: { host: '127.0.0.1', port: PARTY_PORT + 2 * index, family: 4 },
    remoteRtcp: null,
    rtcpMux: false,
    latching: 'first' satisfies Latching,
    signalledHost: null,
    sends: true,
    receives: true,
    payloads: [{ payloadType: 0, encoding: 'PCMU', clockRate: 8_000, channels: 1, parameters: '' }],
    ptimeMs: 20,
    protectIn: null,
    protectOut: null,
    dtls: null,
    ice: null,
    // Stream n of the plane is party n − 1; the two of a call are neighbours.
    source: { kind: 'stream', stream: (index ^ 1) + 1 },
    reportsDtmf: false,
    datagrams: false,
    passesDtmf: true,
    listensForTones: false,
    timeoutInitialMs: 0,
    timeoutMs: 60_000,
  }
}

/** The relaying process: opens the streams, says when they stand, and then its CPU time when asked. */
function relay(calls: number, gatherMicros: number): void {
  let open = 0
  const clock = systemClock((error) => {
    throw error
  })
  const log = { event: (_level: string, code: string) => console.error(code) }
  const plane = new ThreadPlane(clock, log, {
    onReport: (report) => {
      if (report.report === 'openFailed') throw new Error(report.reason)
      if (report.report === 'opened' && ++open === calls * 2) process.send?.('ready')
    },
  })
  const entry = new URL('../src/bin/media-thread.ts', import.meta.url)
  plane.start(
    new ThreadChannel<PlaneMessage, PlaneAnswer, MediaThreadSettings>(
      entry,
      { epoll: process.env['RELAY_DGRAM'] === undefined, gatherMicros, certificate: null },
      plane,
    ),
  )
  const order = (order: Order): void => plane.order(order)
  for (let index = 0; index < calls * 2; index++) {
    const local = { host: '127.0.0.1', port: RELAY_PORT + 2 * index, family: 4 as const }
    order({ order: 'open', stream: index + 1, local, localRtcp: { ...local, port: local.port + 1 }, dscp: 46 })
    order({ order: 'set', stream: index + 1, settings: settings(index) })
  }
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    const { rss } = process.memoryUsage()
    process.send?.({ user, system, rss })
  })
}

async function measure(calls: number, gatherMicros: number): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['relay', String(calls), String(gatherMicros)])
  execFileSync('taskset', ['-a', '-p', '-c', '0', String(child.pid)])
  await once(child, 'message')
  const ask = async (): Promise<CpuFacts> => {
    child.send('cpu')
    const [answer] = await once(child, 'message')
    return answer as CpuFacts
  }
  const local = Array.from({ length: calls * 2 }, (_, index) => PARTY_PORT + 2 * index)
  const remote = Array.from({ length: calls * 2 }, (_, index) => RELAY_PORT + 2 * index)
  sendCalls(local, remote, WARM_UP_S, 0)
  const before = await ask()
  const { sent, received, delayMsP50, delayMsP99 } = sendCalls(local, remote, RUN_S, WARM_UP_S * 50)
  const after = await ask()
  child.kill()
  const user = (after.user - before.user) / Math.max(1, received)
  const system = (after.system - before.system) / Math.max(1, received)
  const loss = ((100 * (sent - received)) / sent).toFixed(3)
  console.log(
    `${calls} calls, gathering ${gatherMicros} µs: ${(user + system).toFixed(2)} µs a packet (${user.toFixed(2)} ours), ${loss} % lost, ` +
      `delay ${delayMsP50} ms (p99 ${delayMsP99} ms), ${Math.round(after.rss / 1_048_576)} MiB`,
  )
}

if (role === 'relay') relay(Number(rest[0]), Number(rest[1]))
else {
  execFileSync('taskset', ['-a', '-p', '-c', '1', String(process.pid)])
  const calls = (role === '' ? ['200'] : [role, ...rest]).map(Number)
  for (const count of calls) for (const gather of GATHER_MICROS) await measure(count, gather)
}
