// Paced audio in both directions of many calls, every packet checked for arrival at the right party, order and delay; on one core.

import { BATCH_MAX, BatchSockets, packetAt, writeName } from '#bench/batch-sockets.ts'

export const PTIME_MS = 20
const HEADER_OCTETS = 12
/** Neighbours in the order of sending share a socket, so that what is due at once goes in one system call. */
export const PARTIES_PER_SOCKET = 32
const BUFFER_OCTETS = 4_000_000
/** Delays are counted in steps of 0.1 ms up to this many. */
const DELAY_STEPS = 5_000
/** What is still on its way is waited for so long. */
const LAST_WAIT_MS = 300
/** Packets on their way at once when there is no pace. */
const FLOOD_WINDOW = 1_024
/** A window whose packets were lost is opened again after this. */
const FLOOD_STALL_MS = 20

/** What one party sends: payload type, clock ticks of a packet, and payloads that are sent in turn. */
export interface Speech {
  readonly payloadType: number
  readonly ticks: number
  readonly payloads: readonly Buffer[]
}

export interface PartySettings {
  readonly host: string
  /** Where the target takes what this party sends. */
  readonly to: { readonly host: string; readonly port: number }
  readonly speech: Speech
}

/** What came of a run. Delays are null where the payload does not arrive as it was sent. */
export interface PacketFacts {
  readonly sent: number
  readonly received: number
  readonly seconds: number
  /** Packets that a later one of their stream overtook. */
  readonly reordered: number
  /** Packets that came to somebody else than the other party of their call. */
  readonly astray: number
  readonly delayMsP50: number | null
  readonly delayMsP99: number | null
}

interface Party {
  readonly socket: number
  readonly name: Buffer
  readonly speech: Speech
  sequence: number
  heard: number
}

/** Marks and times in the payload (party, number, time) take so much. */
const MARK_OCTETS = 16

/** Parties 2n and 2n + 1 are those of call n. `open` makes sockets where a party's host is. */
export class PacketLoad {
  readonly #sockets = new BatchSockets()
  readonly #parties: Party[] = []
  readonly #marked: boolean
  readonly #delays = new Uint32Array(DELAY_STEPS)
  #sent = 0
  #received = 0
  #reordered = 0
  #astray = 0
  /** When packets began to count; those that were sent before do not. */
  #countsFromMs = 0
  #next = 0

  /** The port of each party on its host, for the descriptions. `marked`: payloads arrive as they were sent, so each can be told. */
  static ports(parties: number, firstPort: number): number[] {
    return Array.from({ length: parties }, (_, index) => firstPort + 2 * Math.floor(index / PARTIES_PER_SOCKET))
  }

  constructor(
    parties: readonly PartySettings[],
    ports: readonly number[],
    marked: boolean,
    at: (host: string, open: () => void) => void,
  ) {
    this.#marked = marked
    const open = new Map<string, number>()
    for (const [index, { host, to, speech }] of parties.entries()) {
      const port = ports[index] ?? 0
      const key = `${host}:${port}`
      if (!open.has(key)) at(host, () => void open.set(key, this.#sockets.open(host, port, BUFFER_OCTETS)))
      const name = Buffer.alloc(16)
      writeName(name, 0, to.host, to.port)
      this.#parties.push({ socket: open.get(key) ?? 0, name, speech, sequence: 1, heard: 0 })
    }
  }

  /** Every party sends a packet each PTIME_MS, spread evenly, for so long. */
  paced(seconds: number): PacketFacts {
    const parties = this.#parties.length
    const begunMs = this.#begin()
    const packets = parties * Math.round((seconds * 1_000) / PTIME_MS)
    let done = 0
    while (done < packets) {
      const due = Math.min(packets, Math.floor(((performance.now() - begunMs) * parties) / PTIME_MS))
      if (due > done) done += this.#send(Math.min(due - done, BATCH_MAX))
      this.#sockets.receive(0, this.#take)
    }
    return this.#end(begunMs)
  }

  /** As many packets as the target takes: so many are on their way, and each that arrives makes room for another. */
  flood(seconds: number): PacketFacts {
    const begunMs = this.#begin()
    let lost = 0
    let [arrived, arrivedMs] = [0, begunMs]
    for (let nowMs = begunMs; nowMs < begunMs + seconds * 1_000; nowMs = performance.now()) {
      if (this.#received !== arrived) [arrived, arrivedMs] = [this.#received, nowMs]
      else if (nowMs - arrivedMs > FLOOD_STALL_MS) [lost, arrivedMs] = [this.#sent - this.#received, nowMs]
      const room = FLOOD_WINDOW - (this.#sent - this.#received - lost)
      if (room >= PARTIES_PER_SOCKET) this.#send(Math.min(room, BATCH_MAX))
      this.#sockets.receive(0, this.#take)
    }
    return this.#end(begunMs)
  }

  close(): void {
    this.#sockets.close()
  }

  #begin(): number {
    this.#sent = 0
    this.#received = 0
    this.#reordered = 0
    this.#astray = 0
    this.#delays.fill(0)
    this.#countsFromMs = performance.now()
    return this.#countsFromMs
  }

  #end(begunMs: number): PacketFacts {
    const seconds = (performance.now() - begunMs) / 1_000
    const endsMs = performance.now() + LAST_WAIT_MS
    while (performance.now() < endsMs && this.#received < this.#sent) this.#sockets.receive(5, this.#take)
    return {
      sent: this.#sent,
      received: this.#received,
      seconds,
      reordered: this.#reordered,
      astray: this.#astray,
      delayMsP50: this.#marked ? this.#delayAt(0.5) : null,
      delayMsP99: this.#marked ? this.#delayAt(0.99) : null,
    }
  }

  /** Sends for the next parties, at most `count` and those of one socket. Gives how many. */
  #send(count: number): number {
    const sockets = this.#sockets
    const { outgoing } = sockets
    const socket = this.#parties[this.#next]?.socket ?? 0
    let slot = 0
    for (; slot < count; slot++) {
      const party = this.#parties[this.#next]
      if (party === undefined || party.socket !== socket) break
      const { speech, sequence } = party
      const payload = speech.payloads[sequence % speech.payloads.length] as Buffer
      const at = packetAt(slot)
      outgoing[at] = 0x80
      outgoing[at + 1] = speech.payloadType
      outgoing.writeUInt16BE(sequence & 0xffff, at + 2)
      outgoing.writeUInt32BE((sequence * speech.ticks) >>> 0, at + 4)
      outgoing.writeUInt32BE(0x10000 + this.#next, at + 8)
      outgoing.set(payload, at + HEADER_OCTETS)
      if (this.#marked) {
        outgoing.writeUInt32LE(this.#next, at + HEADER_OCTETS)
        outgoing.writeUInt32LE(sequence, at + HEADER_OCTETS + 4)
        outgoing.writeDoubleLE(performance.now(), at + HEADER_OCTETS + 8)
      }
      sockets.put(slot, HEADER_OCTETS + payload.length, party.name)
      party.sequence++
      this.#next = this.#next + 1 === this.#parties.length ? 0 : this.#next + 1
    }
    sockets.send(socket, slot)
    this.#sent += slot
    if (this.#next === this.#parties.length) this.#next = 0
    return slot
  }

  readonly #take = (bytes: Buffer, at: number, octets: number, socket: number): void => {
    if (octets < HEADER_OCTETS || (bytes[at] as number) >> 6 !== 2) return
    if (!this.#marked) {
      this.#received++
      return
    }
    if (octets < HEADER_OCTETS + MARK_OCTETS) return
    const sentMs = bytes.readDoubleLE(at + HEADER_OCTETS + 8)
    if (sentMs < this.#countsFromMs) return
    const from = bytes.readUInt32LE(at + HEADER_OCTETS)
    const sequence = bytes.readUInt32LE(at + HEADER_OCTETS + 4)
    const party = this.#parties[from ^ 1]
    if (party === undefined || party.socket !== socket) {
      this.#astray++
      return
    }
    this.#received++
    if (sequence < party.heard) this.#reordered++
    else party.heard = sequence
    const step = Math.min(DELAY_STEPS - 1, Math.max(0, Math.floor((performance.now() - sentMs) * 10)))
    this.#delays[step] = (this.#delays[step] as number) + 1
  }

  #delayAt(share: number): number {
    let left = this.#received * share
    for (let step = 0; step < DELAY_STEPS; step++) {
      left -= this.#delays[step] as number
      if (left <= 0) return step / 10
    }
    return DELAY_STEPS / 10
  }
}
