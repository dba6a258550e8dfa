// STUN messages as ICE uses them: RFC 8489 §5, §14; short-term credentials §9.1; RFC 8445 §16.1.

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Endpoint } from '#core/net.ts'
import { crc32 } from '#stun/_crc32.ts'
import { padded, setUint16, setUint32, uint16, uint32 } from '#stun/_octets.ts'
import { writeXorMappedAddress } from '#stun/_xor-mapped-address.ts'

/** A longer message is none: nothing of ours or of a check comes near to it (RFC 8489 §6.1). */
export const STUN_OCTETS_MAX = 1_280

/** Of what {@link StunWriter} writes. */
const WRITTEN_OCTETS_MAX = 1_024

const MAGIC_COOKIE = 0x2112a442
const HEADER_OCTETS = 20
const INTEGRITY_OCTETS = 20
/** USERNAME has fewer than 509 octets (§14.3). */
const USERNAME_OCTETS_MAX = 508
/** Unknown attributes that are remembered, to be named in a 420 answer. */
const UNKNOWN_MAX = 8
const FINGERPRINT_XOR = 0x5354554e
/** From this number on, attributes may be passed over (§14). */
const COMPREHENSION_OPTIONAL = 0x8000

const USERNAME = 0x0006
const MESSAGE_INTEGRITY = 0x0008
const ERROR_CODE = 0x0009
const UNKNOWN_ATTRIBUTES = 0x000a
const REALM = 0x0014
const NONCE = 0x0015
const MESSAGE_INTEGRITY_SHA256 = 0x001c
const PASSWORD_ALGORITHM = 0x001d
const USERHASH = 0x001e
const XOR_MAPPED_ADDRESS = 0x0020
const PRIORITY = 0x0024
const USE_CANDIDATE = 0x0025
const FINGERPRINT = 0x8028
const ICE_CONTROLLED = 0x8029
const ICE_CONTROLLING = 0x802a

/** Of the specification itself (§18.3): understood, and of no interest in a check. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  REALM,
  NONCE,
  MESSAGE_INTEGRITY_SHA256,
  PASSWORD_ALGORITHM,
  USERHASH,
  XOR_MAPPED_ADDRESS,
  ERROR_CODE,
  UNKNOWN_ATTRIBUTES,
])

/** The Binding method (§18.2). */
export const BINDING = 0x001

export type StunClass = 'request' | 'indication' | 'success' | 'error'

/** By the two class bits (§5). */
const CLASSES: readonly StunClass[] = ['request', 'indication', 'success', 'error']

/** What stands in a message. Numbers that are not there are −1, texts are null. */
export interface StunMessage {
  readonly stunClass: StunClass
  /** 12 bits. */
  readonly method: number
  /** 12 octets: a view of the message. */
  readonly transactionId: Uint8Array
  readonly username: string | null
  readonly priority: number
  readonly useCandidate: boolean
  /** Tiebreaker of ICE-CONTROLLING or ICE-CONTROLLED (RFC 8445 §16.1). */
  readonly controlling: bigint | null
  readonly controlled: bigint | null
  /** 300 to 699 (§14.8). */
  readonly errorCode: number
  /** Comprehension-required attributes that are not known here, before MESSAGE-INTEGRITY; at most 8. */
  readonly unknown: readonly number[]
  /** Where MESSAGE-INTEGRITY begins. */
  readonly integrityAt: number
  readonly hasFingerprint: boolean
}

/** Reads a message, or null when it is none: not whole, without the cookie, or with a FINGERPRINT that is wrong or not the last. */
export function parseStun(bytes: Uint8Array): StunMessage | null {
  const length = bytes.length
  if (length < HEADER_OCTETS || length > STUN_OCTETS_MAX || (length & 3) !== 0) return null
  const type = uint16(bytes, 0)
  if (type > 0x3fff || uint32(bytes, 4) !== MAGIC_COOKIE || uint16(bytes, 2) !== length - HEADER_OCTETS) return null
  const unknown: number[] = []
  let username: string | null = null
  let priority = -1
  let useCandidate = false
  let controlling: bigint | null = null
  let controlled: bigint | null = null
  let errorCode = -1
  let integrityAt = -1
  let hasFingerprint = false
  for (let at = HEADER_OCTETS; at < length; ) {
    if (hasFingerprint || at + 4 > length) return null
    const attribute = uint16(bytes, at)
    const octets = uint16(bytes, at + 2)
    const value = at + 4
    const next = value + padded(octets)
    if (next > length) return null
    if (attribute === FINGERPRINT) {
      if (octets !== 4 || uint32(bytes, value) !== fingerprintOf(bytes, at)) return null
      hasFingerprint = true
    } else if (integrityAt >= 0) {
      // §14.5: what follows MESSAGE-INTEGRITY is not authentic and is passed over.
    } else if (attribute === MESSAGE_INTEGRITY) {
      if (octets !== INTEGRITY_OCTETS) return null
      integrityAt = at
    } else if (attribute === USERNAME) {
      if (octets > USERNAME_OCTETS_MAX) return null
      username ??= Buffer.from(bytes.buffer, bytes.byteOffset + value, octets).toString('utf8')
    } else if (attribute === PRIORITY) {
      if (octets !== 4) return null
      priority = uint32(bytes, value)
    } else if (attribute === USE_CANDIDATE) {
      useCandidate = true
    } else if (attribute === ICE_CONTROLLING || attribute === ICE_CONTROLLED) {
      if (octets !== 8) return null
      const tiebreaker = (BigInt(uint32(bytes, value)) << 32n) | BigInt(uint32(bytes, value + 4))
      if (attribute === ICE_CONTROLLING) controlling = tiebreaker
      else controlled = tiebreaker
    } else if (attribute === ERROR_CODE) {
      if (octets < 4) return null
      errorCode = ((bytes[value + 2] as number) & 7) * 100 + Math.min(bytes[value + 3] as number, 99)
    } else if (attribute < COMPREHENSION_OPTIONAL && !UNDERSTOOD.has(attribute) && unknown.length < UNKNOWN_MAX) {
      unknown.push(attribute)
    }
    at = next
  }
  return {
    stunClass: CLASSES[((type >>> 7) & 2) | ((type >>> 4) & 1)] as StunClass,
    method: ((type & 0x3e00) >>> 2) | ((type & 0x00e0) >>> 1) | (type & 0x000f),
    transactionId: bytes.subarray(8, HEADER_OCTETS),
    username,
    priority,
    useCandidate,
    controlling,
    controlled,
    errorCode,
    unknown,
    integrityAt,
    hasFingerprint,
  }
}

/** Whether MESSAGE-INTEGRITY is there and is the sum with this password (§9.1, §14.5). The octets are those that were parsed. */
export function hasIntegrity(bytes: Uint8Array, message: StunMessage, password: string): boolean {
  const at = message.integrityAt
  if (at < 0) return false
  const sum = bytes.subarray(at + 4, at + 4 + INTEGRITY_OCTETS)
  return timingSafeEqual(integrityOf(bytes, at, password), sum)
}

/** Writes one message after the other into memory of its own. The order of the calls is that of the attributes. */
export class StunWriter {
  readonly #bytes = new Uint8Array(WRITTEN_OCTETS_MAX)
  #end = 0

  begin(stunClass: StunClass, method: number, transactionId: Uint8Array): this {
    const bits = CLASSES.indexOf(stunClass)
    const type = ((method & 0xf80) << 2) | ((method & 0x070) << 1) | (method & 0x00f)
    setUint16(this.#bytes, 0, type | ((bits & 2) << 7) | ((bits & 1) << 4))
    setUint32(this.#bytes, 4, MAGIC_COOKIE)
    this.#bytes.set(transactionId, 8)
    this.#end = HEADER_OCTETS
    return this
  }

  /** §14.2. */
  xorMappedAddress(address: Endpoint): this {
    this.#end = writeXorMappedAddress(this.#bytes, this.#end, address)
    return this
  }

  /** §14.3; at most 508 octets. */
  username(username: string): this {
    return this.#attribute(
      USERNAME,
      Buffer.from(username.slice(0, USERNAME_OCTETS_MAX), 'utf8').subarray(0, USERNAME_OCTETS_MAX),
    )
  }

  /** §14.8. */
  errorCode(code: number, reason: string): this {
    const value = Buffer.concat([
      new Uint8Array([0, 0, Math.floor(code / 100), code % 100]),
      Buffer.from(reason, 'utf8'),
    ])
    return this.#attribute(ERROR_CODE, value)
  }

  /** §14.9. */
  unknownAttributes(attributes: readonly number[]): this {
    const value = new Uint8Array(2 * attributes.length)
    attributes.forEach((attribute, i) => {
      setUint16(value, 2 * i, attribute)
    })
    return this.#attribute(UNKNOWN_ATTRIBUTES, value)
  }

  /** RFC 8445 §16.1. */
  priority(priority: number): this {
    const value = new Uint8Array(4)
    setUint32(value, 0, priority)
    return this.#attribute(PRIORITY, value)
  }

  useCandidate(): this {
    return this.#attribute(USE_CANDIDATE, new Uint8Array(0))
  }

  controlling(tiebreaker: bigint): this {
    return this.#attribute(ICE_CONTROLLING, octetsOf(tiebreaker))
  }

  controlled(tiebreaker: bigint): this {
    return this.#attribute(ICE_CONTROLLED, octetsOf(tiebreaker))
  }

  /** §14.5, with a short-term credential (§9.1). */
  messageIntegrity(password: string): this {
    return this.#attribute(MESSAGE_INTEGRITY, integrityOf(this.#bytes, this.#end, password))
  }

  /** Any attribute, as it is. */
  attribute(type: number, value: Uint8Array): this {
    return this.#attribute(type, value)
  }

  /** Appends FINGERPRINT (§14.7) and gives the message: memory that the next one uses again. */
  end(): Uint8Array {
    const value = new Uint8Array(4)
    setUint16(this.#bytes, 2, this.#end + 8 - HEADER_OCTETS)
    setUint32(value, 0, fingerprintOf(this.#bytes, this.#end))
    this.#attribute(FINGERPRINT, value)
    return this.#bytes.subarray(0, this.#end)
  }

  #attribute(type: number, value: Uint8Array): this {
    const at = this.#end
    setUint16(this.#bytes, at, type)
    setUint16(this.#bytes, at + 2, value.length)
    this.#bytes.set(value, at + 4)
    this.#end = at + 4 + padded(value.length)
    this.#bytes.fill(0, at + 4 + value.length, this.#end)
    return this
  }
}

/** The sum over the message before `at`, whose length is taken as if the attribute were its last (§14.5). */
function integrityOf(bytes: Uint8Array, at: number, password: string): Buffer {
  const header = new Uint8Array(4)
  header[0] = bytes[0] as number
  header[1] = bytes[1] as number
  setUint16(header, 2, at + 4 + INTEGRITY_OCTETS - HEADER_OCTETS)
  // §9.1.1: the key is the password itself; ICE passwords are ASCII.
  return createHmac('sha1', password).update(header).update(bytes.subarray(4, at)).digest()
}

function fingerprintOf(bytes: Uint8Array, at: number): number {
  return (crc32(bytes, at) ^ FINGERPRINT_XOR) >>> 0
}

function octetsOf(tiebreaker: bigint): Uint8Array {
  const value = new Uint8Array(8)
  setUint32(value, 0, Number(tiebreaker >> 32n))
  setUint32(value, 4, Number(tiebreaker & 0xffffffffn))
  return value
}
