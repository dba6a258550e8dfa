// Transactions of nftables over netlink: tables, chains, maps, rules and elements as the relay in the kernel needs them.

import type { NetfilterSocket } from '#host/netfilter-socket.ts'
import { NETLINK, NetlinkWriter } from '#host/netlink-message.ts'

const SUBSYSTEM = 10
const BATCH_BEGIN = 0x10
const BATCH_END = 0x11
const message = (number: number): number => (SUBSYSTEM << 8) | number
const NEW_TABLE = message(0)
const NEW_CHAIN = message(3)
const NEW_RULE = message(6)
const NEW_SET = message(9)
const NEW_ELEMENT = message(12)
const DELETE_ELEMENT = message(14)
/** The table goes with the socket that made it, and nobody else may change it. Linux 5.12. */
const TABLE_OWNER = 2
const SET_IS_MAP = 8
const IPPROTO_UDP = 17
/** Registers of 32 bits. */
export const REGISTER = 8
/** Octets of a tracked flow's labels: one bit each, the first the lowest of the first octet. */
export const LABEL_OCTETS = 16
const CT_LABELS = 13
const CMP_EQUAL = 0
const CMP_DIFFERENT = 1
const TRANSACTION_OCTETS_MAX = 16_384

/** Keys of the layers that a rule loads from. */
export type PayloadBase = 'network' | 'transport'
const BASE: Readonly<Record<PayloadBase, number>> = { network: 1, transport: 2 }

/** What a chain hooks in at: type, hook (enum nf_inet_hooks), priority. */
export interface ChainHook {
  readonly type: 'nat' | 'filter'
  readonly hook: number
  readonly priority: number
}

/** An element: its key, and its value in a map. */
export interface SetElement {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

/** One transaction: all of it happens, or nothing. */
export class NftTransaction {
  readonly #socket: NetfilterSocket
  readonly #writer = new NetlinkWriter(TRANSACTION_OCTETS_MAX)
  readonly #family: number
  readonly #table: string
  #sequence = 1
  #setNumber = 0

  /** `family` is NFPROTO_IPV4 (2) or NFPROTO_IPV6 (10). The object is used again and again. */
  constructor(socket: NetfilterSocket, family: number, table: string) {
    this.#socket = socket
    this.#family = family
    this.#table = table
  }

  begin(): this {
    this.#writer
      .clear()
      .begin(BATCH_BEGIN, 0, this.#sequence++, 0, SUBSYSTEM)
      .end()
    return this
  }

  /** Carries it out: '' or the word of the first error. */
  commit(): string {
    this.#writer.begin(BATCH_END, 0, this.#sequence++, 0, SUBSYSTEM).end()
    return this.#socket.request(this.#writer.bytes).error
  }

  table(): this {
    this.#begin(NEW_TABLE, NETLINK.CREATE | NETLINK.EXCL)
      .text(1, this.#table)
      .uint32(2, TABLE_OWNER)
      .end()
    return this
  }

  chain(name: string, { type, hook, priority }: ChainHook): this {
    const writer = this.#begin(NEW_CHAIN, NETLINK.CREATE).text(1, this.#table).text(3, name)
    writer.nest(4).uint32(1, hook).uint32(2, priority).unnest()
    writer.text(7, type).end()
    return this
  }

  /** A map when `valueOctets` is not 0, else a set. The type numbers are those that nft shows them by. */
  set(name: string, keyType: number, keyOctets: number, valueType: number, valueOctets: number): this {
    const writer = this.#begin(NEW_SET, NETLINK.CREATE).text(1, this.#table).text(2, name)
    writer
      .uint32(3, valueOctets > 0 ? SET_IS_MAP : 0)
      .uint32(4, keyType)
      .uint32(5, keyOctets)
    if (valueOctets > 0) writer.uint32(6, valueType).uint32(7, valueOctets)
    writer.uint32(10, ++this.#setNumber).end()
    return this
  }

  add(set: string, elements: readonly SetElement[]): this {
    return this.#elements(NEW_ELEMENT, NETLINK.CREATE | NETLINK.EXCL, set, elements)
  }

  remove(set: string, elements: readonly SetElement[]): this {
    return this.#elements(DELETE_ELEMENT, 0, set, elements)
  }

  /** A rule before or after those of the chain; `write` gives its expressions. */
  rule(chain: string, place: 'first' | 'last', write: (rule: RuleWriter) => void): this {
    const flags = NETLINK.CREATE | (place === 'last' ? NETLINK.APPEND : 0)
    const writer = this.#begin(NEW_RULE, flags).text(1, this.#table).text(2, chain).nest(4)
    write(new RuleWriter(writer))
    writer.unnest().end()
    return this
  }

  #begin(type: number, flags: number): NetlinkWriter {
    return this.#writer.begin(type, flags, this.#sequence++, this.#family)
  }

  #elements(type: number, flags: number, set: string, elements: readonly SetElement[]): this {
    const writer = this.#begin(type, flags).text(1, this.#table).text(2, set).nest(3)
    for (const { key, value } of elements) {
      writer.nest(1).nest(1).octets(1, key).unnest()
      if (value !== null) writer.nest(2).octets(1, value).unnest()
      writer.unnest()
    }
    writer.unnest().end()
    return this
  }
}

/** Expressions of a rule, in their order. */
export class RuleWriter {
  readonly #writer: NetlinkWriter

  constructor(writer: NetlinkWriter) {
    this.#writer = writer
  }

  /** Goes on for UDP only. */
  udp(): this {
    const META_L4PROTO = 16
    this.#expression('meta', (writer) => writer.uint32(1, REGISTER).uint32(2, META_L4PROTO))
    return this.#compare(REGISTER, CMP_EQUAL, Uint8Array.of(IPPROTO_UDP))
  }

  /** Goes on when the register begins with something else. */
  differs(register: number, value: Uint8Array): this {
    return this.#compare(register, CMP_DIFFERENT, value)
  }

  /** Puts the labels of the tracked flow, {@link LABEL_OCTETS}, into registers. */
  loadLabels(register: number): this {
    return this.#expression('ct', (writer) => writer.uint32(1, register).uint32(2, CT_LABELS))
  }

  /** Gives the tracked flow these labels, beside those that it has. */
  addLabels(register: number, labels: Uint8Array): this {
    this.#expression('immediate', (writer) => writer.uint32(1, register).nest(2).octets(1, labels).unnest())
    return this.#expression('ct', (writer) => writer.uint32(2, CT_LABELS).uint32(4, register))
  }

  load(register: number, base: PayloadBase, offset: number, octets: number): this {
    return this.#expression('payload', (writer) =>
      writer.uint32(1, register).uint32(2, BASE[base]).uint32(3, offset).uint32(4, octets),
    )
  }

  /** Goes on when the set has the key; with `target`, the map's value is put there. */
  lookup(set: string, source: number, target: number | null): this {
    return this.#expression('lookup', (writer) => {
      writer.text(1, set).uint32(2, source)
      return target === null ? writer : writer.uint32(3, target)
    })
  }

  /** Translates the source or destination to what stands in two registers. */
  nat(kind: 'source' | 'destination', family: number, address: number, port: number): this {
    return this.#expression('nat', (writer) =>
      writer
        .uint32(1, kind === 'source' ? 0 : 1)
        .uint32(2, family)
        .uint32(3, address)
        .uint32(5, port),
    )
  }

  /** Register = register & mask ^ bits. */
  bits(register: number, mask: Uint8Array, bits: Uint8Array): this {
    return this.#expression('bitwise', (writer) =>
      writer
        .uint32(1, register)
        .uint32(2, register)
        .uint32(3, mask.length)
        .nest(4)
        .octets(1, mask)
        .unnest()
        .nest(5)
        .octets(1, bits)
        .unnest(),
    )
  }

  /** Writes a register back into the network header; `checksumAt` is where IPv4's is, null for none. */
  store(register: number, offset: number, octets: number, checksumAt: number | null): this {
    return this.#expression('payload', (writer) => {
      writer.uint32(5, register).uint32(2, BASE.network).uint32(3, offset).uint32(4, octets)
      return checksumAt === null ? writer : writer.uint32(6, 1).uint32(7, checksumAt)
    })
  }

  #compare(register: number, operation: number, value: Uint8Array): this {
    return this.#expression('cmp', (writer) =>
      writer.uint32(1, register).uint32(2, operation).nest(3).octets(1, value).unnest(),
    )
  }

  #expression(name: string, write: (writer: NetlinkWriter) => NetlinkWriter): this {
    const writer = this.#writer.nest(1).text(1, name).nest(2)
    write(writer).unnest().unnest()
    return this
  }
}
