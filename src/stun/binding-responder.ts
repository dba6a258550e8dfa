// Answers STUN Binding requests with the address they came from: RFC 8489 §6.3, §14; on SIP sockets RFC 5626 §4.4.2.

import type { Endpoint } from '#core/net.ts'
import { crc32 } from '#stun/_crc32.ts'
import { padded, setUint16, setUint32, uint16, uint32 } from '#stun/_octets.ts'
import { writeXorMappedAddress } from '#stun/_xor-mapped-address.ts'

const MAGIC_COOKIE = 0x2112a442
const HEADER_OCTETS = 20
/** A request larger than this is not answered: what a Binding request may carry is small. */
const REQUEST_OCTETS_MAX = 548
/** Unknown attributes named in one 420 answer. */
const UNKNOWN_MAX = 8

const BINDING_REQUEST = 0x0001
const BINDING_SUCCESS = 0x0101
const BINDING_ERROR = 0x0111

const USERNAME = 0x0006
const MESSAGE_INTEGRITY = 0x0008
const ERROR_CODE = 0x0009
const UNKNOWN_ATTRIBUTES = 0x000a
const REALM = 0x0014
const NONCE = 0x0015
const MESSAGE_INTEGRITY_SHA256 = 0x001c
const PASSWORD_ALGORITHM = 0x001d
const USERHASH = 0x001e
const FINGERPRINT = 0x8028
const FINGERPRINT_XOR = 0x5354554e
const COMPREHENSION_OPTIONAL = 0x8000

/** Attributes that are understood and, as nobody is asked for credentials here, not looked at (§9 needs none). */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  USERNAME,
  MESSAGE_INTEGRITY,
  REALM,
  NONCE,
  MESSAGE_INTEGRITY_SHA256,
  PASSWORD_ALGORITHM,
  USERHASH,
])

const UNKNOWN_REASON = 'Unknown Attribute'
/** Header; ERROR-CODE with its reason, UNKNOWN-ATTRIBUTES, FINGERPRINT. More than any success answer. */
export const BINDING_ANSWER_OCTETS_MAX =
  HEADER_OCTETS + 4 + padded(4 + UNKNOWN_REASON.length) + 4 + padded(2 * UNKNOWN_MAX) + 8

/** Writes answers into the caller's memory; keeps nothing between calls. */
export class BindingResponder {
  readonly #unknown: number[] = []

  /**
   * Writes the answer to the datagram `request` from `source` into `answer` (at least {@link BINDING_ANSWER_OCTETS_MAX}
   * octets) and gives its length; 0 when it is no Binding request of RFC 8489 and stays unanswered.
   */
  answer(request: Uint8Array, source: Endpoint, answer: Uint8Array): number {
    const length = request.length
    if (length < HEADER_OCTETS || length > REQUEST_OCTETS_MAX) return 0
    if (uint16(request, 0) !== BINDING_REQUEST || uint32(request, 4) !== MAGIC_COOKIE) return 0
    if (uint16(request, 2) !== length - HEADER_OCTETS || (length & 3) !== 0) return 0
    const unknown = this.#unknown
    unknown.length = 0
    let fingerprint = false
    for (let at = HEADER_OCTETS; at < length; ) {
      if (at + 4 > length || fingerprint) return 0
      const type = uint16(request, at)
      const octets = uint16(request, at + 2)
      const next = at + 4 + padded(octets)
      if (next > length) return 0
      if (type === FINGERPRINT) {
        // §14.7: over the message up to the attribute; it is the last one.
        const sum = (crc32(request, at) ^ FINGERPRINT_XOR) >>> 0
        if (octets !== 4 || uint32(request, at + 4) !== sum) return 0
        fingerprint = true
      } else if (type < COMPREHENSION_OPTIONAL && !UNDERSTOOD.has(type) && unknown.length < UNKNOWN_MAX) {
        unknown.push(type)
      }
      at = next
    }
    answer.set(request.subarray(4, HEADER_OCTETS), 4)
    let end = unknown.length > 0 ? writeUnknown(answer, unknown) : writeXorMappedAddress(answer, HEADER_OCTETS, source)
    setUint16(answer, 0, unknown.length > 0 ? BINDING_ERROR : BINDING_SUCCESS)
    if (fingerprint) {
      setUint16(answer, 2, end + 8 - HEADER_OCTETS)
      setUint16(answer, end, FINGERPRINT)
      setUint16(answer, end + 2, 4)
      setUint32(answer, end + 4, (crc32(answer, end) ^ FINGERPRINT_XOR) >>> 0)
      end += 8
    } else {
      setUint16(answer, 2, end - HEADER_OCTETS)
    }
    return end
  }
}

/** ERROR-CODE 420 (§14.8) and UNKNOWN-ATTRIBUTES (§14.9) after the header; answers the end. */
function writeUnknown(answer: Uint8Array, unknown: readonly number[]): number {
  let at = HEADER_OCTETS
  setUint16(answer, at, ERROR_CODE)
  setUint16(answer, at + 2, 4 + UNKNOWN_REASON.length)
  setUint32(answer, at + 4, (4 << 8) | 20)
  for (let i = 0; i < UNKNOWN_REASON.length; i += 1) answer[at + 8 + i] = UNKNOWN_REASON.charCodeAt(i)
  const reasonEnd = at + 8 + UNKNOWN_REASON.length
  at += 4 + padded(4 + UNKNOWN_REASON.length)
  answer.fill(0, reasonEnd, at)
  setUint16(answer, at, UNKNOWN_ATTRIBUTES)
  setUint16(answer, at + 2, 2 * unknown.length)
  at += 4
  for (const type of unknown) {
    setUint16(answer, at, type)
    at += 2
  }
  if ((at & 3) !== 0) {
    setUint16(answer, at, 0)
    at += 2
  }
  return at
}
