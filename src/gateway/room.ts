// A conference room: everybody hears all others (N − 1), in ticks of 20 ms.

import { Mixer } from '#gateway/audio/mixer.ts'
import { Resampler } from '#gateway/audio/resampler.ts'
import { TICK_MS } from '#gateway/pacer.ts'

/** Parties of one room. */
export const PARTIES_MAX = 512
/** Wideband, so that those who have it hear each other with it. */
export const ROOM_RATE = 16_000
const FRAME_SAMPLES = (ROOM_RATE * TICK_MS) / 1_000

/** Who talks and listens in a room. */
export interface RoomParty {
  /** What the party says in this tick, and at what rate; null for nothing. */
  roomFrame(tick: number, nowMs: number): Int16Array | null
  readonly roomRate: number
}

/** One party's share. */
class Seat {
  readonly party: RoomParty
  resampler: Resampler | null = null
  readonly samples: Int16Array = new Int16Array(FRAME_SAMPLES)
  talks = false

  constructor(party: RoomParty) {
    this.party = party
  }

  /** Takes the party's frame of this tick at the room's rate. */
  listen(tick: number, nowMs: number): void {
    const frame = this.party.roomFrame(tick, nowMs)
    this.talks = frame !== null
    if (frame === null) return
    const rate = this.party.roomRate
    if (rate === ROOM_RATE) {
      this.samples.set(frame.length > FRAME_SAMPLES ? frame.subarray(0, FRAME_SAMPLES) : frame)
      return
    }
    if (this.resampler?.inputRate !== rate) this.resampler = new Resampler(rate, ROOM_RATE)
    const room = new Int16Array(this.resampler.outputMax(frame.length))
    const count = Math.min(FRAME_SAMPLES, this.resampler.resample(frame, room))
    this.samples.set(room.subarray(0, count))
    this.samples.fill(0, count)
  }
}

/** The parties of one room, mixed once a tick. */
export class Room {
  readonly #seats = new Map<RoomParty, Seat>()
  readonly #mixer = new Mixer(FRAME_SAMPLES)
  readonly #mixed = new Int16Array(FRAME_SAMPLES)
  #tick = -1

  get size(): number {
    return this.#seats.size
  }

  /** False when the room is full. */
  enter(party: RoomParty): boolean {
    if (this.#seats.size >= PARTIES_MAX) return false
    this.#seats.set(party, new Seat(party))
    return true
  }

  leave(party: RoomParty): void {
    this.#seats.delete(party)
  }

  /** What `party` hears in this tick, at {@link ROOM_RATE}; valid until the next call. */
  frameFor(party: RoomParty, tick: number, nowMs: number): Int16Array | null {
    const own = this.#seats.get(party)
    if (own === undefined) return null
    if (tick !== this.#tick) {
      this.#tick = tick
      this.#mixer.begin()
      for (const seat of this.#seats.values()) {
        seat.listen(tick, nowMs)
        if (seat.talks) this.#mixer.add(seat.samples)
      }
    }
    this.#mixer.without(own.talks ? own.samples : null, this.#mixed)
    return this.#mixed
  }
}
