// The data plane in its thread, over real sockets: echo on epoll and on node:dgram, and the thread's death.

import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { type PlaneThread, startPlaneThread } from '#bin/plane-thread.ts'
import type { Endpoint } from '#core/net.ts'
import type { Report, StreamSettings } from '#gateway/plane.ts'
import { epollCalls } from '#host/epoll-calls.ts'
import { systemClock } from '#host/system-clock.ts'

const SETTINGS: StreamSettings = {
  remote: null,
  remoteRtcp: null,
  rtcpMux: false,
  latching: 'first',
  signalledHost: null,
  sends: true,
  receives: true,
  payloads: [{ payloadType: 0, encoding: 'PCMU', clockRate: 8_000, channels: 1, parameters: '' }],
  ptimeMs: 20,
  protectIn: null,
  protectOut: null,
  dtls: null,
  ice: null,
  source: { kind: 'stream', stream: 1 },
  reportsDtmf: false,
  datagrams: false,
  passesDtmf: true,
  listensForTones: false,
  timeoutInitialMs: 0,
  timeoutMs: 0,
}

class Rig {
  readonly thread: PlaneThread
  readonly #reports: Report[] = []
  readonly #waiting: (() => void)[] = []

  constructor(epoll: boolean) {
    const clock = systemClock((error) => {
      throw error
    })
    const log = { event: (): void => undefined }
    this.thread = startPlaneThread(
      clock,
      log,
      { epoll, gatherMicros: 1_000, certificate: null },
      {
        onReport: (report) => {
          this.#reports.push(report)
          for (const go of this.#waiting.splice(0)) go()
        },
      },
    )
  }

  async until<K extends Report['report']>(kind: K): Promise<Extract<Report, { report: K }>> {
    for (;;) {
      const at = this.#reports.findIndex(({ report }) => report === kind)
      if (at >= 0) return this.#reports.splice(at, 1)[0] as Extract<Report, { report: K }>
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }
}

/** A port that was free a moment ago. */
async function freePort(host: string): Promise<Endpoint> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.bind(0, host)
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return { host, port, family: host.includes(':') ? 6 : 4 }
}

async function telephone(host: string): Promise<Socket> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.bind(0, host)
  await once(socket, 'listening')
  return socket
}

function packet(sequence: number): Buffer {
  const bytes = Buffer.alloc(172, 0xd5)
  bytes[0] = 0x80
  bytes[1] = 0
  bytes.writeUInt16BE(sequence, 2)
  bytes.writeUInt32BE(sequence * 160, 4)
  bytes.writeUInt32BE(77, 8)
  return bytes
}

for (const epoll of [true, false]) {
  for (const host of ['127.0.0.1', '::1']) {
    const skip = epoll && epollCalls() === null
    test(`${epoll ? 'epoll' : 'node:dgram'} echoes on ${host}, and tells its facts at the end`, { skip }, async () => {
      const rig = new Rig(epoll)
      const local = await freePort(host)
      rig.thread.plane.order({ order: 'open', stream: 1, local, localRtcp: null, dscp: 46 })
      rig.thread.plane.order({ order: 'set', stream: 1, settings: SETTINGS })
      await rig.until('opened')
      const phone = await telephone(host)
      for (let sequence = 10; sequence < 20; sequence++) {
        phone.send(packet(sequence), local.port, host)
        const [echoed, from] = (await once(phone, 'message')) as [Buffer, { port: number }]
        assert.equal(from.port, local.port)
        assert.deepEqual(echoed.subarray(12), packet(sequence).subarray(12))
      }
      const latched = await rig.until('latched')
      assert.equal(latched.remote.port, phone.address().port)
      assert.equal(latched.remote.host, host)
      rig.thread.plane.order({ order: 'close', stream: 1 })
      const { facts } = await rig.until('closed')
      assert.equal(facts.received.packets, 10)
      assert.equal(facts.sent.packets, 10)
      phone.close()
      await rig.thread.close()
    })
  }

  test(`${epoll ? 'epoll' : 'node:dgram'} says EADDRINUSE when somebody has the port`, async () => {
    const rig = new Rig(epoll)
    const other = await telephone('127.0.0.1')
    const local: Endpoint = { host: '127.0.0.1', port: other.address().port, family: 4 }
    rig.thread.plane.order({ order: 'open', stream: 1, local, localRtcp: null, dscp: 0 })
    const { reason } = await rig.until('openFailed')
    assert.equal(reason, 'EADDRINUSE')
    other.close()
    await rig.thread.close()
  })
}

test('when the thread dies, every stream is told closed, and no new one opens', async () => {
  const rig = new Rig(true)
  const local = await freePort('127.0.0.1')
  rig.thread.plane.order({ order: 'open', stream: 1, local, localRtcp: null, dscp: 0 })
  await rig.until('opened')
  // The same number twice is a broken invariant of ours, and nothing less ends the thread.
  rig.thread.plane.order({ order: 'open', stream: 1, local, localRtcp: null, dscp: 0 })
  const { stream } = await rig.until('closed')
  assert.equal(stream, 1)
  rig.thread.plane.order({ order: 'open', stream: 2, local, localRtcp: null, dscp: 0 })
  assert.equal((await rig.until('openFailed')).reason, 'MEDIA_THREAD_GONE')
})
