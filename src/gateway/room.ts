// A conference room: everybody hears all others (N − 1), in ticks of 20 ms.

import { levelDbov, SILENCE_DBOV } from '#gateway/audio/level.ts'
import { Mixer } from '#gateway/audio/mixer.ts'
import { Resampler } from '#gateway/audio/resampler.ts'
import { Talker, TalkerChoice } from '#gateway/audio/talker-choice.ts'
import { TICK_MS } from '#gateway/pacer.ts'

/** Parties of one room. */
export const PARTIES_MAX = 512
/** Of more who make a sound at a time only the loudest are heard: the noise of many lines is louder than anybody. */
export const MIXED_MAX = 16
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
  readonly talker = new Talker()
  talks = false
  /** Part of what is heard in this tick. */
  mixed = false

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
  readonly #choice = new TalkerChoice()
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
    const seat = this.#seats.get(party)
    if (seat !== undefined) this.#choice.remove(seat.talker)
    this.#seats.delete(party)
  }

  /** Whether the party has the floor: who talks now, or did until a moment ago. */
  hasFloor(party: RoomParty): boolean {
    const seat = this.#seats.get(party)
    return seat !== undefined && this.#choice.current === seat.talker
  }

  /** What `party` hears in this tick, at {@link ROOM_RATE}; valid until the next call. */
  frameFor(party: RoomParty, tick: number, nowMs: number): Int16Array | null {
    const own = this.#seats.get(party)
    if (own === undefined) return null
    if (tick !== this.#tick) {
      this.#tick = tick
      this.#mix(tick, nowMs)
    }
    this.#mixer.without(own.mixed ? own.samples : null, this.#mixed)
    return this.#mixed
  }

  #mix(tick: number, nowMs: number): void {
    const talking: Seat[] = []
    for (const seat of this.#seats.values()) {
      seat.listen(tick, nowMs)
      seat.mixed = false
      this.#choice.observe(seat.talker, seat.talks ? levelDbov(seat.samples, FRAME_SAMPLES) : SILENCE_DBOV)
      if (seat.talks) talking.push(seat)
    }
    this.#choice.decide(TICK_MS)
    if (talking.length > MIXED_MAX) talking.sort((a, b) => b.talker.level - a.talker.level).length = MIXED_MAX
    this.#mixer.begin()
    for (const seat of talking) seat.mixed = this.#mixer.add(seat.samples)
  }
}
