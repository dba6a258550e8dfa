// Paced G.711 for the relay benchmark: so many calls of two parties each, every packet checked for arrival and delay, on one core.

import { performance } from 'node:perf_hooks'
import { present } from '#core/assert.ts'
import type { MediaDestination, MediaSocket, MediaSource } from '#core/media-sockets.ts'
import { epollCalls } from '#host/epoll-calls.ts'
import { EpollSockets } from '#host/epoll-sockets.ts'

const PACKET_OCTETS = 172
const PTIME_MS = 20
/** Delays are counted in steps of 0.1 ms up to this many. */
const DELAY_STEPS = 2_000

/** One party: its own socket, and where the relay takes what it sends. */
interface Party {
  socket: MediaSocket
  readonly to: MediaDestination
  sequence: number
}

/** What came of one run. */
export interface LoadFacts {
  readonly sent: number
  readonly received: number
  readonly delayMsP50: number
  readonly delayMsP99: number
}

/** Sends `seconds` of G.711 from every party, its numbers from `firstSequence` on, spread evenly over the packet time, and counts what comes out on the far side. */
export function sendCalls(
  localPorts: readonly number[],
  relayPorts: readonly number[],
  seconds: number,
  firstSequence: number,
): LoadFacts {
  const sockets = new EpollSockets(present(epollCalls(), 'epoll'), { gatherMicros: 0, now: () => performance.now() })
  const delays = new Uint32Array(DELAY_STEPS)
  let received = 0
  const sink = {
    onPacket: (bytes: Buffer, octets: number, _source: MediaSource): void => {
      if (octets !== PACKET_OCTETS) return
      const delay = performance.now() - bytes.readDoubleLE(12)
      if (delay < 0) return
      received++
      const step = Math.min(DELAY_STEPS - 1, Math.floor(delay * 10))
      delays[step] = (delays[step] as number) + 1
    },
    onBound: (): void => undefined,
    onSocketError: (reason: string): void => {
      throw new Error(reason)
    },
  }
  const parties: Party[] = localPorts.map((port, index) => {
    const local = { host: '127.0.0.1', port, family: 4 as const }
    const relay = { host: '127.0.0.1', port: relayPorts[index] as number, family: 4 as const }
    return {
      socket: sockets.open(local, 0, sink),
      to: present(sockets.destination(relay), 'relay'),
      sequence: firstSequence,
    }
  })
  sockets.report()
  const packet = Buffer.alloc(PACKET_OCTETS, 0xd5)
  packet[0] = 0x80
  const startedMs = performance.now()
  const packets = parties.length * Math.round((seconds * 1_000) / PTIME_MS)
  let sent = 0
  while (sent < packets) {
    const due = Math.min(packets, Math.floor(((performance.now() - startedMs) * parties.length) / PTIME_MS))
    const until = Math.min(due, sent + 32)
    for (; sent < until; sent++) {
      const party = parties[sent % parties.length] as Party
      const sequence = party.sequence++
      packet[1] = 0
      packet.writeUInt16BE(sequence & 0xffff, 2)
      packet.writeUInt32BE((sequence * 160) >>> 0, 4)
      packet.writeUInt32BE((sent % parties.length) + 1, 8)
      packet.writeDoubleLE(performance.now(), 12)
      party.socket.send(packet, PACKET_OCTETS, party.to)
    }
    while (sockets.turn(0) > 0 && performance.now() - startedMs < 0);
  }
  const endsMs = performance.now() + 300
  while (performance.now() < endsMs) sockets.turn(10)
  sockets.close()
  const at = (share: number): number => {
    let left = received * share
    for (let step = 0; step < DELAY_STEPS; step++) {
      left -= delays[step] as number
      if (left <= 0) return step / 10
    }
    return DELAY_STEPS / 10
  }
  return { sent, received, delayMsP50: at(0.5), delayMsP99: at(0.99) }
}
