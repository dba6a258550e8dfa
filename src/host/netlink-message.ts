// Netlink messages of the netfilter family (struct nlmsghdr, nfgenmsg, nlattr), written and read. Headers are of the host's byte order.

const HEADER_OCTETS = 16
const FAMILY_OCTETS = 4
const ATTRIBUTE_OCTETS = 4
const NESTED = 0x8000
const TYPE_MASK = 0x3fff

/** Flags of a message, the same for all architectures. */
export const NETLINK = {
  REQUEST: 1,
  ACK: 4,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  ERROR: 2,
} as const

/** Several messages in one buffer, written one after another. */
export class NetlinkWriter {
  readonly #bytes: Buffer
  #octets = 0
  #message = 0
  /** Where the open nests begin. */
  readonly #nests: number[] = []

  constructor(octetsMax: number) {
    this.#bytes = Buffer.alloc(octetsMax)
  }

  /** What was written since {@link clear}. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#octets)
  }

  clear(): this {
    this.#octets = 0
    this.#nests.length = 0
    return this
  }

  /** Begins a message: `type` with its subsystem in the upper octet, the address family, and nfgenmsg's resource. */
  begin(type: number, flags: number, sequence: number, family: number, resource = 0): this {
    this.#message = this.#octets
    const bytes = this.#bytes
    bytes.fill(0, this.#octets, this.#octets + HEADER_OCTETS + FAMILY_OCTETS)
    bytes.writeUInt16LE(type, this.#octets + 4)
    bytes.writeUInt16LE(flags | NETLINK.REQUEST, this.#octets + 6)
    bytes.writeUInt32LE(sequence, this.#octets + 8)
    bytes[this.#octets + HEADER_OCTETS] = family
    bytes.writeUInt16BE(resource, this.#octets + HEADER_OCTETS + 2)
    this.#octets += HEADER_OCTETS + FAMILY_OCTETS
    return this
  }

  /** Ends the message. */
  end(): this {
    this.#bytes.writeUInt32LE(this.#octets - this.#message, this.#message)
    return this
  }

  nest(type: number): this {
    this.#nests.push(this.#octets)
    this.#bytes.writeUInt16LE(type | NESTED, this.#octets + 2)
    this.#octets += ATTRIBUTE_OCTETS
    return this
  }

  unnest(): this {
    const start = this.#nests.pop()
    if (start !== undefined) this.#bytes.writeUInt16LE(this.#octets - start, start)
    return this
  }

  octet(type: number, value: number): this {
    const at = this.#attribute(type, 1)
    this.#bytes[at] = value
    return this
  }

  /** Numbers in attributes of netfilter are of network byte order. */
  uint16(type: number, value: number): this {
    this.#bytes.writeUInt16BE(value, this.#attribute(type, 2))
    return this
  }

  uint32(type: number, value: number): this {
    this.#bytes.writeUInt32BE(value >>> 0, this.#attribute(type, 4))
    return this
  }

  text(type: number, value: string): this {
    this.#bytes.write(value, this.#attribute(type, value.length + 1), 'latin1')
    return this
  }

  octets(type: number, value: Uint8Array): this {
    this.#bytes.set(value, this.#attribute(type, value.length))
    return this
  }

  /** Makes room for an attribute of so many octets, zeroed and padded; where its value goes. */
  #attribute(type: number, octets: number): number {
    const at = this.#octets
    const padded = (octets + 3) & ~3
    this.#bytes.fill(0, at, at + ATTRIBUTE_OCTETS + padded)
    this.#bytes.writeUInt16LE(ATTRIBUTE_OCTETS + octets, at)
    this.#bytes.writeUInt16LE(type, at + 2)
    this.#octets += ATTRIBUTE_OCTETS + padded
    return at + ATTRIBUTE_OCTETS
  }
}

/** A received message. */
export interface NetlinkMessage {
  readonly type: number
  readonly sequence: number
  /** Of an error or acknowledgement: the number of the error, 0 for none. Else 0. */
  readonly error: number
  /** The attributes; empty of an error. */
  readonly attributes: Buffer
}

/** The messages of one datagram. What is cut or inconsistent ends the list. */
export function readNetlink(bytes: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = []
  let at = 0
  while (at + HEADER_OCTETS <= bytes.length) {
    const octets = bytes.readUInt32LE(at)
    if (octets < HEADER_OCTETS + FAMILY_OCTETS || at + octets > bytes.length) break
    const type = bytes.readUInt16LE(at + 4)
    const isError = type === NETLINK.ERROR
    messages.push({
      type,
      sequence: bytes.readUInt32LE(at + 8),
      error: isError ? -bytes.readInt32LE(at + HEADER_OCTETS) : 0,
      attributes: isError ? bytes.subarray(0, 0) : bytes.subarray(at + HEADER_OCTETS + FAMILY_OCTETS, at + octets),
    })
    at += (octets + 3) & ~3
  }
  return messages
}

/** The value of the attribute under this path of types; null when it is not there. */
export function netlinkAttribute(attributes: Buffer, ...path: readonly number[]): Buffer | null {
  let within = attributes
  for (const type of path) {
    const found = attributeOf(within, type)
    if (found === null) return null
    within = found
  }
  return within
}

function attributeOf(attributes: Buffer, type: number): Buffer | null {
  let at = 0
  while (at + ATTRIBUTE_OCTETS <= attributes.length) {
    const octets = attributes.readUInt16LE(at)
    if (octets < ATTRIBUTE_OCTETS || at + octets > attributes.length) return null
    if ((attributes.readUInt16LE(at + 2) & TYPE_MASK) === type) {
      return attributes.subarray(at + ATTRIBUTE_OCTETS, at + octets)
    }
    at += (octets + 3) & ~3
  }
  return null
}
