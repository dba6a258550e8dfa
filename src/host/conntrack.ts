// Entries of connection tracking over netlink (ctnetlink): counters by address, and their removal.

import type { MediaSource } from '#core/media-sockets.ts'
import type { NetfilterSocket } from '#host/netfilter-socket.ts'
import { NETLINK, NetlinkWriter, netlinkAttribute } from '#host/netlink-message.ts'

const SUBSYSTEM = 1 << 8
const GET = SUBSYSTEM | 1
const DELETE = SUBSYSTEM | 2
const AF_INET = 2
const AF_INET6 = 10
const IPPROTO_UDP = 17
/** Attributes (enum ctattr_type and those below it). */
const TUPLE_ORIGINAL = 1
const STATUS = 3
const COUNTERS_ORIGINAL = 9
const COUNTERS_REPLY = 10
const ID = 12
const TUPLE_IP = 1
const TUPLE_PROTOCOL = 2
const PROTOCOL_NUMBER = 1
const SOURCE_PORT = 2
const DESTINATION_PORT = 3
const COUNTER_PACKETS = 1
const COUNTER_OCTETS = 2
const IPS_NAT = 0x30

/** A tracked flow as seen from one of its senders. */
export interface TrackedFlow {
  /** Which entry it is: another one after the first has ended. */
  readonly id: number
  /** Whether addresses are translated. */
  readonly translated: boolean
  /** What came from the sender that was asked for, and what came the other way. */
  readonly packets: number
  readonly octets: number
  readonly packetsBack: number
  readonly octetsBack: number
}

/** Asks and removes entries of UDP flows. */
export class Conntrack {
  readonly #socket: NetfilterSocket
  readonly #writer = new NetlinkWriter(512)
  #sequence = 0

  constructor(socket: NetfilterSocket) {
    this.#socket = socket
  }

  /** The flow that packets from `source` to `destination` belong to; null when there is none. */
  flow(source: MediaSource, destination: MediaSource): TrackedFlow | null {
    const { messages, error } = this.#request(GET, source, destination)
    const attributes = messages[0]?.attributes
    if (error !== '' || attributes === undefined) return null
    const id = netlinkAttribute(attributes, ID)
    const status = netlinkAttribute(attributes, STATUS)
    // The entry is found from both of its directions.
    const port = netlinkAttribute(attributes, TUPLE_ORIGINAL, TUPLE_PROTOCOL, SOURCE_PORT)
    const address = netlinkAttribute(attributes, TUPLE_ORIGINAL, TUPLE_IP, source.family === 6 ? 3 : 1)
    const forward = port?.readUInt16BE(0) === source.port && address?.equals(addressOctets(source)) === true
    const there = forward ? COUNTERS_ORIGINAL : COUNTERS_REPLY
    const back = forward ? COUNTERS_REPLY : COUNTERS_ORIGINAL
    return {
      id: id === null ? 0 : id.readUInt32BE(0),
      translated: status !== null && (status.readUInt32BE(0) & IPS_NAT) !== 0,
      packets: counterOf(attributes, there, COUNTER_PACKETS),
      octets: counterOf(attributes, there, COUNTER_OCTETS),
      packetsBack: counterOf(attributes, back, COUNTER_PACKETS),
      octetsBack: counterOf(attributes, back, COUNTER_OCTETS),
    }
  }

  /** Forgets the flow, so that its next packet is looked at anew. '' when it is gone or was never there, else the error's word. */
  remove(source: MediaSource, destination: MediaSource): string {
    const { error } = this.#request(DELETE, source, destination)
    return error === 'ENOENT' ? '' : error
  }

  #request(type: number, source: MediaSource, destination: MediaSource): ReturnType<NetfilterSocket['request']> {
    const wide = source.family === 6
    const writer = this.#writer.clear()
    writer.begin(type, NETLINK.ACK, ++this.#sequence, wide ? AF_INET6 : AF_INET)
    writer.nest(TUPLE_ORIGINAL).nest(TUPLE_IP)
    writer.octets(wide ? 3 : 1, addressOctets(source)).octets(wide ? 4 : 2, addressOctets(destination))
    writer.unnest().nest(TUPLE_PROTOCOL).octet(PROTOCOL_NUMBER, IPPROTO_UDP)
    writer.uint16(SOURCE_PORT, source.port).uint16(DESTINATION_PORT, destination.port)
    return this.#socket.request(writer.unnest().unnest().end().bytes)
  }
}

/** The octets of an address in network order. */
export function addressOctets(source: MediaSource): Buffer {
  const octets = Buffer.alloc(source.family === 6 ? 16 : 4)
  octets.writeInt32LE(source.word0, 0)
  if (source.family === 6) {
    octets.writeInt32LE(source.word1, 4)
    octets.writeInt32LE(source.word2, 8)
    octets.writeInt32LE(source.word3, 12)
  }
  return octets
}

function counterOf(attributes: Buffer, direction: number, counter: number): number {
  const value = netlinkAttribute(attributes, direction, counter)
  return value === null || value.length < 8 ? 0 : Number(value.readBigUInt64BE(0))
}
