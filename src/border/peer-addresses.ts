// Which addresses the peers with host names have, so that calls from them are recognised (feature A02).

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { DnsRecord, DnsSink, DnsType } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'

/** Looked up again after this, in milliseconds. */
const REFRESH_MS = 60_000
/** Addresses taken for one name. */
const ADDRESSES_PER_NAME_MAX = 64

/** Resolves a set of names again and again. An answer that fails keeps the addresses of before. */
export class PeerAddresses implements DnsSink, TimerOwner {
  readonly #ports: Ports
  readonly #timer = new Timer(this)
  #names: readonly string[] = []
  /** Host name → addresses, for each record type. */
  readonly #answers = new Map<string, readonly string[]>()
  #namesByAddress = new Map<string, string[]>()

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** Replaces the names. */
  watch(names: readonly string[]): void {
    this.#names = [...new Set(names)]
    for (const key of this.#answers.keys()) {
      if (!this.#names.includes(key.slice(key.indexOf(' ') + 1))) this.#answers.delete(key)
    }
    this.#index()
    this.#resolve()
  }

  stop(): void {
    this.#names = []
    this.#ports.clock.cancel(this.#timer)
  }

  /** Host names of peers that have this address. */
  namesOf(address: string): readonly string[] {
    return this.#namesByAddress.get(address) ?? []
  }

  onResolved(name: string, type: DnsType, records: readonly DnsRecord[], failure: string | null): void {
    if (failure !== null || !this.#names.includes(name)) return
    const addresses: string[] = []
    for (const record of records) {
      if (record.type === 'A' || record.type === 'AAAA') addresses.push(record.address)
    }
    this.#answers.set(`${type} ${name}`, addresses.slice(0, ADDRESSES_PER_NAME_MAX))
    this.#index()
  }

  onTimer(_name: string): void {
    this.#resolve()
  }

  #resolve(): void {
    this.#ports.clock.cancel(this.#timer)
    if (this.#names.length === 0) return
    for (const name of this.#names) {
      this.#ports.net.resolve(name, 'A', this)
      this.#ports.net.resolve(name, 'AAAA', this)
    }
    this.#ports.clock.arm(this.#timer, 'refresh', REFRESH_MS)
  }

  #index(): void {
    const index = new Map<string, string[]>()
    for (const [key, addresses] of this.#answers) {
      const name = key.slice(key.indexOf(' ') + 1)
      for (const address of addresses) index.set(address, [...(index.get(address) ?? []), name])
    }
    this.#namesByAddress = index
  }
}
