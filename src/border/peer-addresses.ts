// Which addresses the peers with host names have, so that calls from them are recognised (feature A02).

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { DnsRecord, DnsSink, DnsType } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'

/** From the end of one round of look-ups to the next, in milliseconds. */
const REFRESH_MS = 60_000
/** The same after a round in which a look-up failed: until a name is known its peer cannot call. */
const RETRY_MS = 5_000
/** Addresses, or hosts of a service, taken of one answer. */
export const ADDRESSES_PER_NAME_MAX = 64
/** Look-ups at a time: a carrier may have thousands of peers, its name servers only so much patience. */
export const LOOK_UPS_MAX = 32
/** Where the hosts of a SIP service are listed (RFC 3263 §4.1). */
const SERVICES = ['_sip._udp.', '_sip._tcp.', '_sips._tcp.'] as const

/** A peer by name. */
export interface PeerName {
  readonly host: string
  /** Null: calls to it go to the hosts of its SRV records (RFC 3263 §4.2), so calls from it may come from them. */
  readonly port: number | null
}

/** Resolves a set of names again and again. A look-up that fails keeps the answer of before. */
export class PeerAddresses implements DnsSink, TimerOwner {
  readonly #ports: Ports
  readonly #timer = new Timer(this)
  #peers: readonly PeerName[] = []
  /** Questions of this round, "type name", and the peers that each is asked for. */
  readonly #owners = new Map<string, Set<string>>()
  #questions: { readonly name: string; readonly type: DnsType }[] = []
  #next = 0
  #open = 0
  #failed = false
  /** Question → addresses, or hosts for SRV. */
  readonly #answers = new Map<string, readonly string[]>()
  #namesByAddress = new Map<string, Set<string>>()
  readonly #onRound: () => void
  #isRunning = false

  /** `onRound` is told when every name has been asked for, at the end of each round. */
  constructor(ports: Ports, onRound: () => void = () => {}) {
    this.#ports = ports
    this.#onRound = onRound
  }

  /** Whether a round of look-ups is under way. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Replaces the peers, and begins a round. */
  watch(peers: readonly PeerName[]): void {
    this.#peers = peers
    const watched = new Set(peers.map(({ host }) => host))
    for (const [address, names] of this.#namesByAddress) {
      for (const name of names) if (!watched.has(name)) names.delete(name)
      if (names.size === 0) this.#namesByAddress.delete(address)
    }
    this.#beginRound()
  }

  stop(): void {
    this.#peers = []
    this.#questions = []
    this.#owners.clear()
    this.#ports.clock.cancel(this.#timer)
  }

  /** Host names of peers that have this address; null when it is no peer's. */
  namesOf(address: string): ReadonlySet<string> | null {
    return this.#namesByAddress.get(address) ?? null
  }

  onResolved(name: string, type: DnsType, records: readonly DnsRecord[], failure: string | null): void {
    this.#open -= 1
    const key = `${type} ${name}`
    const owners = this.#owners.get(key)
    if (owners !== undefined) {
      if (failure === null) this.#answers.set(key, valuesOf(records))
      else this.#failed = true
      for (const value of this.#answers.get(key) ?? []) {
        for (const owner of owners) {
          if (type === 'SRV') this.#askAddresses(value, owner)
          else list(this.#namesByAddress, value, owner)
        }
      }
    }
    this.#advance()
  }

  onTimer(_name: string): void {
    this.#beginRound()
  }

  #beginRound(): void {
    this.#ports.clock.cancel(this.#timer)
    this.#questions = []
    this.#owners.clear()
    this.#next = 0
    this.#failed = false
    this.#isRunning = this.#peers.length > 0
    for (const { host, port } of this.#peers) {
      this.#askAddresses(host, host)
      if (port === null) for (const service of SERVICES) this.#ask(service + host, 'SRV', host)
    }
    this.#advance()
  }

  #askAddresses(name: string, owner: string): void {
    this.#ask(name, 'A', owner)
    this.#ask(name, 'AAAA', owner)
  }

  #ask(name: string, type: DnsType, owner: string): void {
    const key = `${type} ${name}`
    const owners = this.#owners.get(key)
    if (owners !== undefined) {
      owners.add(owner)
      return
    }
    this.#owners.set(key, new Set([owner]))
    this.#questions.push({ name, type })
  }

  #advance(): void {
    while (this.#open < LOOK_UPS_MAX && this.#next < this.#questions.length) {
      const question = this.#questions[this.#next]
      this.#next += 1
      if (question === undefined) continue
      this.#open += 1
      this.#ports.net.resolve(question.name, question.type, this)
    }
    if (this.#open > 0 || this.#peers.length === 0) return
    this.#forgetOld()
    this.#ports.clock.arm(this.#timer, 'refresh', this.#failed ? RETRY_MS : REFRESH_MS)
    this.#isRunning = false
    this.#onRound()
  }

  /** At the end of a round only what it has asked for counts. */
  #forgetOld(): void {
    for (const key of this.#answers.keys()) if (!this.#owners.has(key)) this.#answers.delete(key)
    const index = new Map<string, Set<string>>()
    for (const [key, owners] of this.#owners) {
      if (key.startsWith('SRV ')) continue
      for (const address of this.#answers.get(key) ?? []) for (const owner of owners) list(index, address, owner)
    }
    this.#namesByAddress = index
  }
}

function list(index: Map<string, Set<string>>, address: string, name: string): void {
  const names = index.get(address)
  if (names === undefined) index.set(address, new Set([name]))
  else names.add(name)
}

/** Addresses of A and AAAA records, hosts of SRV records ("." is none: RFC 2782). */
function valuesOf(records: readonly DnsRecord[]): string[] {
  const values = new Set<string>()
  for (const record of records) {
    if (values.size >= ADDRESSES_PER_NAME_MAX) break
    if (record.type === 'A' || record.type === 'AAAA') values.add(record.address)
    else if (record.type === 'SRV' && record.target !== '.' && record.target !== '') {
      values.add(record.target.toLowerCase().replace(/\.$/, ''))
    }
  }
  return [...values]
}
