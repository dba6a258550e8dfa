// Which addresses the peers with host names have, so that calls from them are recognised (feature A02).

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { DnsRecord, DnsSink, DnsType } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'

/** From the end of one round of look-ups to the next, in milliseconds. */
const REFRESH_MS = 60_000
/** The same after a round in which a look-up failed: until a name is known its peer cannot call. */
const RETRY_MS = 5_000
/** Addresses taken of one answer. */
export const ADDRESSES_PER_NAME_MAX = 64
/** Look-ups at a time: a carrier may have thousands of peers, its name servers only so much patience. */
export const LOOK_UPS_MAX = 32
const TYPES = ['A', 'AAAA'] as const

/** Resolves a set of names again and again. A look-up that fails keeps the addresses of before. */
export class PeerAddresses implements DnsSink, TimerOwner {
  readonly #ports: Ports
  readonly #timer = new Timer(this)
  #names: readonly string[] = []
  #watched: ReadonlySet<string> = new Set()
  /** "type name" → addresses. */
  readonly #answers = new Map<string, readonly string[]>()
  readonly #namesByAddress = new Map<string, readonly string[]>()
  /** Question of this round that comes next: name by name, both types of each. */
  #next = 0
  #open = 0
  #failed = false

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** Replaces the names, and begins a round. */
  watch(names: readonly string[]): void {
    this.#watched = new Set(names)
    this.#names = [...this.#watched]
    for (const [key, addresses] of this.#answers) {
      const name = key.slice(key.indexOf(' ') + 1)
      if (this.#watched.has(name)) continue
      this.#answers.delete(key)
      this.#unlist(name, addresses)
    }
    this.#beginRound()
  }

  stop(): void {
    this.#names = []
    this.#watched = new Set()
    this.#ports.clock.cancel(this.#timer)
  }

  /** Host names of peers that have this address. */
  namesOf(address: string): readonly string[] {
    return this.#namesByAddress.get(address) ?? NONE
  }

  onResolved(name: string, type: DnsType, records: readonly DnsRecord[], failure: string | null): void {
    this.#open -= 1
    if (failure !== null) this.#failed = true
    else if (this.#watched.has(name)) this.#take(name, type, records)
    this.#ask()
  }

  onTimer(_name: string): void {
    this.#beginRound()
  }

  #beginRound(): void {
    this.#ports.clock.cancel(this.#timer)
    this.#next = 0
    this.#failed = false
    this.#ask()
  }

  #ask(): void {
    while (this.#open < LOOK_UPS_MAX && this.#next < this.#names.length * TYPES.length) {
      const name = this.#names[Math.floor(this.#next / TYPES.length)] ?? ''
      const type = TYPES[this.#next % TYPES.length] ?? 'A'
      this.#next += 1
      this.#open += 1
      this.#ports.net.resolve(name, type, this)
    }
    if (this.#open > 0 || this.#names.length === 0) return
    this.#ports.clock.arm(this.#timer, 'refresh', this.#failed ? RETRY_MS : REFRESH_MS)
  }

  #take(name: string, type: DnsType, records: readonly DnsRecord[]): void {
    const addresses = new Set<string>()
    for (const record of records) {
      if (addresses.size < ADDRESSES_PER_NAME_MAX && (record.type === 'A' || record.type === 'AAAA')) {
        addresses.add(record.address)
      }
    }
    const key = `${type} ${name}`
    this.#unlist(name, this.#answers.get(key) ?? NONE)
    this.#answers.set(key, [...addresses])
    for (const address of addresses) this.#namesByAddress.set(address, [...this.namesOf(address), name])
  }

  #unlist(name: string, addresses: readonly string[]): void {
    for (const address of addresses) {
      const rest = this.namesOf(address).filter((other) => other !== name)
      if (rest.length === 0) this.#namesByAddress.delete(address)
      else this.#namesByAddress.set(address, rest)
    }
  }
}

const NONE: readonly string[] = []
