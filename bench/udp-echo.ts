// CPU time for one datagram in and one out, through each kind of datagram socket: `node bench/udp-echo.ts`.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import type { DatagramSink, DatagramSocket, Endpoint } from '#core/net.ts'
import { EndpointTable } from '#host/endpoint-table.ts'
import { linuxSockets } from '#host/linux-sockets.ts'
import { UdpSocket } from '#host/udp.ts'
import { BatchedUdpSocket } from '#host/udp-batched.ts'

const OCTETS = 700
const RUN_MS = 3_000
const WARM_UP_MS = 1_500
/** Datagrams under way at saturation. */
const WINDOW = 128
const RATES = [100, 1_400, 5_000, 20_000, Number.POSITIVE_INFINITY]
const LOCAL: Endpoint = { host: '127.0.0.1', port: 0, family: 4 }

type Way = 'dgram' | 'batched'

function open(way: Way, sink: DatagramSink): DatagramSocket {
  const endpoints = new EndpointTable()
  if (way === 'dgram') return new UdpSocket(LOCAL, sink, endpoints)
  const sockets = linuxSockets()
  if (sockets === null) throw new Error('recvmmsg and sendmmsg are not there')
  return new BatchedUdpSocket(sockets, LOCAL, sink, endpoints)
}

function echo(way: Way): void {
  let count = 0
  const socket = open(way, {
    onDatagram: (bytes, source) => {
      count++
      socket.send(bytes, source)
    },
    onListening: (local) => process.send?.(local),
    onSocketError: (reason) => {
      throw new Error(reason)
    },
  })
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.({ count, cpuMicros: user + system })
  })
}

/** Sends at `rate` for `runMs`, or keeps the window full; spins, so that sending times are even. */
async function load(server: Endpoint, rate: number, runMs: number): Promise<void> {
  const bytes = Buffer.alloc(OCTETS, 'x')
  let answered = 0
  let local: Endpoint | null = null
  const socket = open('batched', {
    onDatagram: () => answered++,
    onListening: (bound) => {
      local = bound
    },
    onSocketError: (reason) => {
      throw new Error(reason)
    },
  })
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  while (local === null) await turn()
  const startMs = performance.now()
  let sent = 0
  for (let now = startMs; now < startMs + runMs; now = performance.now()) {
    const due = Math.min(answered + WINDOW, ((now - startMs) * rate) / 1_000)
    while (sent < due) {
      socket.send(bytes, server)
      sent++
    }
    await turn()
  }
  socket.close()
}

async function measure(way: Way): Promise<void> {
  const child = fork(new URL(import.meta.url), [way])
  const [server] = (await once(child, 'message')) as [Endpoint]
  const ask = async (): Promise<{ count: number; cpuMicros: number }> => {
    child.send('count')
    const [answer] = (await once(child, 'message')) as [{ count: number; cpuMicros: number }]
    return answer
  }
  await load(server, Number.POSITIVE_INFINITY, WARM_UP_MS)
  for (const rate of RATES) {
    const before = await ask()
    await load(server, rate, RUN_MS)
    const after = await ask()
    const count = after.count - before.count
    const micros = ((after.cpuMicros - before.cpuMicros) / count).toFixed(2)
    const asked = rate === Number.POSITIVE_INFINITY ? 'saturated' : `${rate}/s`
    console.log(`${way.padEnd(8)} ${asked.padEnd(10)} ${Math.round(count / (RUN_MS / 1_000))}/s ${micros} µs CPU each`)
  }
  child.kill()
}

const [, , way] = process.argv
if (way === 'dgram' || way === 'batched') echo(way)
else for (const each of ['dgram', 'batched', 'dgram', 'batched'] as const) await measure(each)
