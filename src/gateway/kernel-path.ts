// Moves settled relays into the kernel and back: who may, when, and what the kernel's counts mean for their streams.

import { type Clock, Timer } from '#core/clock.ts'
import type { KernelRelay, KernelRelayCounts, KernelRelayId, RelaySide } from '#core/kernel-relay.ts'
import { payloadMap } from '#gateway/payload-map.ts'
import type { PayloadFormat, StreamSettings } from '#gateway/plane.ts'

/** A relay is settled when nothing of it has changed for so long. */
export const KERNEL_SETTLED_MS = 3_000
/** Each relay's counts are read this often. */
export const KERNEL_POLL_MS = 1_000
/** A new relay has to have relayed something after so long; and packets that were under way may still come to user space. */
export const KERNEL_CONFIRM_MS = 300
/** Moves that did not last, until the stream's settings are others. */
const ATTEMPTS_MAX = 3
/** Relays moved in one beat: the packets of the others wait for it. */
const MOVES_MAX = 16
/** The relays' counts are read in turns, not all at once. */
const TURNS = 10

/** A stream as this file sees it. */
export interface KernelLeg {
  /** The stream that this one exchanges everything with and nothing with anybody else, when both could move now; else null. */
  kernelPeer(nowMs: number): KernelLeg | null
  relaySide(): RelaySide
  /** Its relay in the kernel; null in user space. Written here only. */
  kernelEntry: KernelEntry | null
  /** Moves that did not last since its settings were given. Written here, and set to 0 by new settings. */
  kernelAttempts: number
  /** Packets passed in the kernel: from its far side, and to it. Octets are of IP packets. */
  onKernelCounts(received: number, receivedOctets: number, sent: number, sentOctets: number, nowMs: number): void
  /** Packets are user space's again. */
  onKernelLeft(): void
  /** Packets in a second from one side that are too many. */
  readonly packetsPerSMax: number
}

/** A relay in the kernel. */
export interface KernelEntry {
  readonly id: KernelRelayId
  readonly first: KernelLeg
  readonly second: KernelLeg
  readonly addedMs: number
  polledMs: number
  confirmed: boolean
  counts: KernelRelayCounts
}

const NO_COUNTS: KernelRelayCounts = {
  firstPackets: 0,
  firstOctets: 0,
  secondPackets: 0,
  secondOctets: 0,
  active: false,
}

/** Whether a stream with these settings asks for nothing that only user space can do. */
export function isPlain(settings: StreamSettings): boolean {
  return (
    settings.sends &&
    settings.receives &&
    !settings.datagrams &&
    !settings.rtcpMux &&
    settings.protectIn === null &&
    settings.protectOut === null &&
    settings.dtls === null &&
    settings.ice === null &&
    !settings.reportsDtmf &&
    settings.passesDtmf &&
    !settings.listensForTones
  )
}

/** Whether every packet of either passes to the other as it is. */
export function samePayloads(some: readonly PayloadFormat[], others: readonly PayloadFormat[]): boolean {
  return allSame(some, others) && allSame(others, some)
}

function allSame(from: readonly PayloadFormat[], to: readonly PayloadFormat[]): boolean {
  const map = payloadMap(from, to)
  return from.every(({ payloadType }) => map[payloadType] === payloadType)
}

/** The relays of one plane that are in the kernel, and those that may come there. */
export class KernelPath {
  readonly #clock: Clock
  readonly #relay: KernelRelay
  readonly #entries = new Set<KernelEntry>()
  /** Streams that relay unchanged and are in user space. At most all. */
  readonly #candidates = new Set<KernelLeg>()
  readonly #beat = new Timer(this)
  #turn = 0

  constructor(clock: Clock, relay: KernelRelay) {
    this.#clock = clock
    this.#relay = relay
  }

  get available(): boolean {
    return this.#relay.available
  }

  /** Relays in the kernel now. */
  get size(): number {
    return this.#entries.size
  }

  /** A stream has begun to pass packets unchanged: from now on it is looked at. */
  watch(leg: KernelLeg): void {
    if (!this.#relay.available) return
    this.#candidates.add(leg)
    if (!this.#beat.armed) this.#arm()
  }

  /** The stream is gone. */
  forget(leg: KernelLeg): void {
    this.leave(leg)
    this.#candidates.delete(leg)
  }

  /** Brings the stream's relay back to user space, at once: before anything of it changes. */
  leave(leg: KernelLeg): void {
    const entry = leg.kernelEntry
    if (entry === null) return
    this.#count(entry, this.#relay.remove(entry.id))
    this.#end(entry)
  }

  /** Reads the counts of the stream's relay now. */
  refresh(leg: KernelLeg): void {
    const entry = leg.kernelEntry
    if (entry !== null) this.#count(entry, this.#relay.counts(entry.id))
  }

  /**
   * A packet of the known far side came to user space though its relay is in the kernel. False: it was under way during the move
   * and must not be sent, for our socket would take the translation's place. True: the kernel lets it through, and the relay is back here.
   */
  onStray(leg: KernelLeg): boolean {
    const entry = leg.kernelEntry
    if (entry === null) return true
    if (this.#clock.now() - entry.addedMs < KERNEL_CONFIRM_MS) return false
    this.#fail(entry)
    return true
  }

  close(): void {
    this.#clock.cancel(this.#beat)
    for (const entry of this.#entries) {
      this.#relay.remove(entry.id)
      entry.first.kernelEntry = null
      entry.second.kernelEntry = null
    }
    this.#entries.clear()
    this.#candidates.clear()
    this.#relay.close()
  }

  onTimer(_name: string): void {
    const nowMs = this.#clock.now()
    if (!this.#relay.available) {
      // What was there went with it.
      for (const entry of this.#entries) this.#end(entry)
      this.#candidates.clear()
      return
    }
    this.#turn = (this.#turn + 1) % TURNS
    for (const entry of this.#entries) {
      if (!entry.confirmed) {
        if (nowMs - entry.addedMs >= KERNEL_CONFIRM_MS) this.#confirm(entry)
      } else if (entry.id % TURNS === this.#turn) this.#poll(entry, nowMs)
    }
    this.#move(nowMs)
    if (this.#entries.size > 0 || this.#candidates.size > 0) this.#arm()
  }

  #arm(): void {
    this.#clock.arm(this.#beat, 'kernel', KERNEL_POLL_MS / TURNS)
  }

  /** Moves what has settled. */
  #move(nowMs: number): void {
    let moves = 0
    for (const leg of this.#candidates) {
      if (moves >= MOVES_MAX) return
      if (leg.kernelAttempts >= ATTEMPTS_MAX) continue
      const peer = leg.kernelPeer(nowMs)
      if (peer === null || peer.kernelAttempts >= ATTEMPTS_MAX) continue
      moves++
      const id = this.#relay.add({ first: leg.relaySide(), second: peer.relaySide() })
      if (typeof id === 'string') {
        leg.kernelAttempts++
        peer.kernelAttempts++
        continue
      }
      const entry: KernelEntry = {
        id,
        first: leg,
        second: peer,
        addedMs: nowMs,
        polledMs: nowMs,
        confirmed: false,
        counts: NO_COUNTS,
      }
      this.#entries.add(entry)
      leg.kernelEntry = entry
      peer.kernelEntry = entry
      this.#candidates.delete(leg)
      this.#candidates.delete(peer)
    }
  }

  /** Packets went into the kernel: either it has passed some on by now, or something there keeps them. */
  #confirm(entry: KernelEntry): void {
    const counts = this.#relay.counts(entry.id)
    if (counts?.active !== true) {
      this.#fail(entry)
      return
    }
    entry.confirmed = true
    this.#count(entry, counts)
  }

  #poll(entry: KernelEntry, nowMs: number): void {
    const { first, second } = entry
    const { firstPackets, secondPackets } = entry.counts
    const seconds = (nowMs - entry.polledMs) / 1_000
    entry.polledMs = nowMs
    this.#count(entry, this.#relay.counts(entry.id))
    const most = Math.max(entry.counts.firstPackets - firstPackets, entry.counts.secondPackets - secondPackets)
    // The kernel knows no limit; user space does.
    if (most > seconds * first.packetsPerSMax && most > seconds * second.packetsPerSMax) this.#fail(entry)
  }

  #fail(entry: KernelEntry): void {
    entry.first.kernelAttempts++
    entry.second.kernelAttempts++
    const confirmed = entry.confirmed
    this.#count(entry, confirmed ? this.#relay.remove(entry.id) : this.#relay.abandon(entry.id))
    this.#end(entry)
  }

  /** Both streams are in user space again, and may move again when they have settled. */
  #end(entry: KernelEntry): void {
    this.#entries.delete(entry)
    for (const leg of [entry.first, entry.second]) {
      leg.kernelEntry = null
      leg.onKernelLeft()
      this.watch(leg)
    }
  }

  #count(entry: KernelEntry, counts: KernelRelayCounts | null): void {
    if (counts === null) return
    const before = entry.counts
    entry.counts = counts
    const nowMs = this.#clock.now()
    const firstPackets = counts.firstPackets - before.firstPackets
    const firstOctets = counts.firstOctets - before.firstOctets
    const secondPackets = counts.secondPackets - before.secondPackets
    const secondOctets = counts.secondOctets - before.secondOctets
    entry.first.onKernelCounts(firstPackets, firstOctets, secondPackets, secondOctets, nowMs)
    entry.second.onKernelCounts(secondPackets, secondOctets, firstPackets, firstOctets, nowMs)
  }
}
