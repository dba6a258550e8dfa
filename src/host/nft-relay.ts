// Relays in the kernel: address translation by maps of nftables, counted by connection tracking. RFC 3022 §2.2 both ways at once.

import { readFileSync, writeFileSync } from 'node:fs'
import type { KernelRelay, KernelRelayCounts, KernelRelayId, KernelRelayPair, RelaySide } from '#core/kernel-relay.ts'
import type { Log } from '#core/log.ts'
import type { MediaSource } from '#core/media-sockets.ts'
import { addressOctets, Conntrack } from '#host/conntrack.ts'
import { errorWord } from '#host/error-word.ts'
import { NetfilterSocket } from '#host/netfilter-socket.ts'
import { LABEL_OCTETS, NftTransaction, REGISTER, type RuleWriter, type SetElement } from '#host/nft-transaction.ts'
import { sourceOf } from '#host/socket-name.ts'

/** Relays of one process. */
export const KERNEL_RELAYS_MAX = 8_192

/** So many relays in a row that relay nothing, and no more is tried. */
const ABANDONED_MAX = 3

const ACCOUNTING = '/proc/sys/net/netfilter/nf_conntrack_acct'
/** Type numbers by which nft shows sets: ipv4_addr, ipv6_addr, inet_service; six bits each in a concatenation. */
const SERVICE_TYPE = 13
/** Labels of flows, by code point, begin in this octet. */
const LABEL_OCTET = 8
const HOOK = { prerouting: 0, forward: 2, postrouting: 4 } as const
const PRIORITY = { mangle: -150, destinationNat: -100, sourceNat: 100 } as const

/** What differs between the address families. */
interface Family {
  readonly number: number
  readonly addressType: number
  readonly addressOctets: number
  /** Where the header has the source's address; the destination's follows. */
  readonly sourceAt: number
  /** Where the code point lies in the header's first two octets (RFC 2474 §3), and where the header's checksum is. */
  readonly pointMask: Uint8Array
  readonly checksumAt: number | null
  readonly forwarding: string
}

const FAMILIES: Readonly<Record<4 | 6, Family>> = {
  4: {
    number: 2,
    addressType: 7,
    addressOctets: 4,
    sourceAt: 12,
    pointMask: Uint8Array.of(0x00, 0xfc),
    checksumAt: 10,
    forwarding: '/proc/sys/net/ipv4/ip_forward',
  },
  6: {
    number: 10,
    addressType: 8,
    addressOctets: 16,
    sourceAt: 8,
    pointMask: Uint8Array.of(0x0f, 0xc0),
    checksumAt: null,
    forwarding: '/proc/sys/net/ipv6/conf/all/forwarding',
  },
}

/** The table of one family. */
interface FamilyTable {
  readonly transaction: NftTransaction
  /** Code points that have their set and rule already. */
  readonly marked: Set<number>
}

/** A side with its addresses as the kernel has them. */
interface Side {
  readonly local: MediaSource
  readonly remote: MediaSource
  readonly dscp: number
}

interface Relay {
  readonly family: 4 | 6
  readonly first: Side
  readonly second: Side
  /** Counts of flows that have ended since, and the present one's. */
  before: KernelRelayCounts
  flowId: number
  flow: KernelRelayCounts
}

const NONE: KernelRelayCounts = { firstPackets: 0, firstOctets: 0, secondPackets: 0, secondOctets: 0, active: false }

/** The relays of this process. */
export class NftRelay implements KernelRelay {
  readonly #log: Log
  readonly #tables = new Map<4 | 6, FamilyTable>()
  readonly #relays = new Map<KernelRelayId, Relay>()
  #socket: NetfilterSocket | null = null
  #conntrack: Conntrack | null = null
  #lastId = 0
  /** Relays abandoned since one was seen to relay. */
  #abandoned = 0

  /** Makes the tables. Where that is not possible, an event says so, once, and {@link available} is false. */
  constructor(log: Log) {
    this.#log = log
    const failure = this.#open()
    if (failure !== '') this.#give(failure)
  }

  get available(): boolean {
    return this.#conntrack !== null
  }

  /** The name of the tables: the socket's number is unique in the network namespace while the process lives. */
  get tableName(): string {
    return `carillon_${this.#socket?.port ?? 0}`
  }

  add(pair: KernelRelayPair): KernelRelayId | string {
    const conntrack = this.#conntrack
    if (conntrack === null) return 'UNAVAILABLE'
    if (this.#relays.size >= KERNEL_RELAYS_MAX) return 'RELAYS_MAX'
    const family = pair.first.remote.family
    if (pair.second.remote.family !== family) return 'FAMILIES'
    const table = this.#tables.get(family)
    if (table === undefined) return 'FORWARDING'
    // Labels are of a flow, not of one of its ways; a gateway has one code point for all.
    if (pair.first.dscp !== pair.second.dscp) return 'DSCP'
    const first = this.#sideOf(pair.first)
    const second = this.#sideOf(pair.second)
    if (typeof first === 'string') return first
    if (typeof second === 'string') return second
    const relay: Relay = { family, first, second, before: NONE, flowId: 0, flow: NONE }
    const transaction = table.transaction.begin()
    this.#mark(table, family, first.dscp)
    transaction.add('destination', destinations(relay)).add('source', sources(relay))
    transaction.add(markName(first.dscp), destinations(relay, false))
    const error = transaction.commit()
    if (error !== '') return error
    table.marked.add(first.dscp)
    // What is tracked already keeps its addresses; its next packet has to be looked at anew.
    const failure = forget(conntrack, relay)
    if (failure !== '') {
      this.#take(relay)
      return failure
    }
    const id = ++this.#lastId
    this.#relays.set(id, relay)
    return id
  }

  remove(id: KernelRelayId): KernelRelayCounts | null {
    const relay = this.#relays.get(id)
    if (relay === undefined) return null
    this.#relays.delete(id)
    this.#count(relay)
    this.#take(relay)
    return total(relay)
  }

  abandon(id: KernelRelayId): KernelRelayCounts | null {
    const counts = this.remove(id)
    // Something else of the system, such as a firewall, keeps what it should forward: no further call has to suffer from it.
    if (++this.#abandoned >= ABANDONED_MAX) this.#give('INEFFECTIVE')
    return counts
  }

  counts(id: KernelRelayId): KernelRelayCounts | null {
    const relay = this.#relays.get(id)
    if (relay === undefined) return null
    this.#count(relay)
    return total(relay)
  }

  close(): void {
    for (const relay of this.#relays.values()) this.#take(relay)
    this.#relays.clear()
    this.#shut()
  }

  #open(): string {
    const socket = NetfilterSocket.open()
    if (typeof socket === 'string') return socket
    this.#socket = socket
    let failure = 'FORWARDING'
    for (const version of [4, 6] as const) {
      const family = FAMILIES[version]
      // Without it the system drops what it should relay; to switch it on is the owner's decision, not ours.
      if (readSetting(family.forwarding) !== '1') continue
      const transaction = new NftTransaction(socket, family.number, this.tableName)
      const error = makeTable(transaction, family)
      if (error === '') this.#tables.set(version, { transaction, marked: new Set() })
      else failure = error
    }
    if (this.#tables.size === 0) return failure
    // Only what begins after this is counted.
    if (readSetting(ACCOUNTING) !== '1') {
      try {
        writeFileSync(ACCOUNTING, '1')
      } catch (error) {
        return `ACCOUNTING_${errorWord(error)}`
      }
    }
    this.#conntrack = new Conntrack(socket)
    return ''
  }

  /** The kernel does not do it, or no more: every stream stays in user space. */
  #give(reason: string): void {
    if (this.#socket === null && this.#lastId > 0) return
    this.#shut()
    this.#log.event('info', 'KERNEL_RELAY_UNAVAILABLE', { reason })
  }

  /** The tables go with the socket. */
  #shut(): void {
    this.#socket?.close()
    this.#socket = null
    this.#conntrack = null
    this.#tables.clear()
  }

  #sideOf({ local, remote, dscp }: RelaySide): Side | string {
    const from = this.#socket?.sourceFor(remote) ?? null
    if (from === null) return 'UNREACHABLE'
    // What a process of this machine sends or gets is never forwarded.
    if (from.host === remote.host || from.host === '::1' || from.host.startsWith('127.')) return 'LOCAL_PEER'
    const any = local.host === '0.0.0.0' || local.host === '::'
    const localSource = sourceOf(any ? { ...from, port: local.port } : local)
    const remoteSource = sourceOf(remote)
    if (localSource === null || remoteSource === null || local.family !== remote.family) return 'ADDRESS'
    return { local: localSource, remote: remoteSource, dscp }
  }

  /** Takes the relay's elements away, then what is tracked of it. */
  #take(relay: Relay): void {
    const table = this.#tables.get(relay.family)
    const conntrack = this.#conntrack
    if (table === undefined || conntrack === null) return
    const transaction = table.transaction.begin()
    transaction.remove('destination', destinations(relay, false)).remove('source', sources(relay, false))
    transaction.remove(markName(relay.first.dscp), destinations(relay, false))
    const error = transaction.commit()
    const failure = forget(conntrack, relay)
    // A relay that cannot be ended must not go on: without the tables none does.
    if (error !== '' || failure !== '') this.#give(error === '' ? failure : error)
  }

  #count(relay: Relay): void {
    const flow = this.#conntrack?.flow(relay.first.remote, relay.first.local) ?? null
    if (flow === null || !flow.translated) {
      relay.before = total(relay)
      relay.flow = NONE
      relay.flowId = 0
      return
    }
    if (flow.id !== relay.flowId) relay.before = total(relay)
    relay.flowId = flow.id
    this.#abandoned = 0
    relay.flow = {
      firstPackets: flow.packets,
      firstOctets: flow.octets,
      secondPackets: flow.packetsBack,
      secondOctets: flow.octetsBack,
      active: true,
    }
  }

  /** A set and a rule for a code point, on its first use. */
  #mark({ transaction, marked }: FamilyTable, version: 4 | 6, dscp: number): void {
    if (marked.has(dscp)) return
    const family = FAMILIES[version]
    const set = markName(dscp)
    // The set is asked for the first packet of a flow only; a label of the flow answers for the others.
    const label = new Uint8Array(LABEL_OCTETS)
    label[LABEL_OCTET + (dscp >> 3)] = 1 << (dscp & 7)
    const point = version === 4 ? Uint8Array.of(0, dscp << 2) : Uint8Array.of(dscp >> 2, (dscp & 3) << 6)
    const { pointMask, checksumAt } = family
    transaction.set(set, keyType(family), keyOctets(family), 0, 0).rule('prerouting', 'first', (rule) => {
      addressesOf(rule.udp(), family).lookup(set, REGISTER, null).addLabels(REGISTER, label)
    })
    transaction.rule('mark', 'last', (rule) => {
      // What is marked so already is the cheapest. The checksum is of words of 16 bits, so a whole one is written.
      rule.load(REGISTER, 'network', 0, 2).bits(REGISTER, pointMask, new Uint8Array(2)).differs(REGISTER, point)
      rule.loadLabels(REGISTER).bits(REGISTER, label, new Uint8Array(LABEL_OCTETS))
      rule.differs(REGISTER, new Uint8Array(LABEL_OCTETS))
      const others = pointMask.map((octet) => ~octet)
      rule.load(REGISTER, 'network', 0, 2).bits(REGISTER, others, point).store(REGISTER, 0, 2, checksumAt)
    })
  }
}

function makeTable(transaction: NftTransaction, family: Family): string {
  const key = keyType(family)
  const value = (family.addressType << 6) | SERVICE_TYPE
  const octets = keyOctets(family)
  const port = REGISTER + family.addressOctets / 4
  return transaction
    .begin()
    .table()
    .set('destination', key, octets, value, octets / 2)
    .set('source', key, octets, value, octets / 2)
    .chain('prerouting', { type: 'nat', hook: HOOK.prerouting, priority: PRIORITY.destinationNat })
    .chain('mark', { type: 'filter', hook: HOOK.forward, priority: PRIORITY.mangle })
    .chain('postrouting', { type: 'nat', hook: HOOK.postrouting, priority: PRIORITY.sourceNat })
    .rule('prerouting', 'last', (rule) =>
      addressesOf(rule.udp(), family)
        .lookup('destination', REGISTER, REGISTER)
        .nat('destination', family.number, REGISTER, port),
    )
    .rule('postrouting', 'last', (rule) =>
      addressesOf(rule.udp(), family).lookup('source', REGISTER, REGISTER).nat('source', family.number, REGISTER, port),
    )
    .commit()
}

/** Puts source address and port, destination address and port into the registers, as the keys of the maps have them. */
function addressesOf(rule: RuleWriter, { addressOctets: octets, sourceAt }: Family): RuleWriter {
  const words = octets / 4
  return rule
    .load(REGISTER, 'network', sourceAt, octets)
    .load(REGISTER + words, 'transport', 0, 2)
    .load(REGISTER + words + 1, 'network', sourceAt + octets, octets)
    .load(REGISTER + 2 * words + 1, 'transport', 2, 2)
}

function keyType({ addressType }: Family): number {
  return (((((addressType << 6) | SERVICE_TYPE) << 6) | addressType) << 6) | SERVICE_TYPE
}

function keyOctets({ addressOctets: octets }: Family): number {
  return 2 * (octets + 4)
}

/** Where packets go that come from a party to its stream: to the other party. */
function destinations({ first, second }: Relay, values = true): SetElement[] {
  return [
    { key: keyOf(first.remote, first.local), value: values ? addressAndPort(second.remote) : null },
    { key: keyOf(second.remote, second.local), value: values ? addressAndPort(first.remote) : null },
  ]
}

/** Where they seem to come from there: from the other party's stream. */
function sources({ first, second }: Relay, values = true): SetElement[] {
  return [
    { key: keyOf(first.remote, second.remote), value: values ? addressAndPort(second.local) : null },
    { key: keyOf(second.remote, first.remote), value: values ? addressAndPort(first.local) : null },
  ]
}

function markName(dscp: number): string {
  return `dscp${dscp}`
}

function keyOf(source: MediaSource, destination: MediaSource): Buffer {
  return Buffer.concat([addressAndPort(source), addressAndPort(destination)])
}

/** An address and a port, each filling up whole words. */
function addressAndPort(source: MediaSource): Buffer {
  const address = addressOctets(source)
  const octets = Buffer.alloc(address.length + 4)
  octets.set(address)
  octets.writeUInt16BE(source.port, address.length)
  return octets
}

function forget(conntrack: Conntrack, { first, second }: Relay): string {
  const failure = conntrack.remove(first.remote, first.local)
  return failure === '' ? conntrack.remove(second.remote, second.local) : failure
}

function total({ before, flow }: Relay): KernelRelayCounts {
  return {
    firstPackets: before.firstPackets + flow.firstPackets,
    firstOctets: before.firstOctets + flow.firstOctets,
    secondPackets: before.secondPackets + flow.secondPackets,
    secondOctets: before.secondOctets + flow.secondOctets,
    active: flow.active,
  }
}

function readSetting(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim()
  } catch {
    return ''
  }
}
