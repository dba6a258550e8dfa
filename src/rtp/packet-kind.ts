// Hot path. What a datagram on a media port is, by its first octets (RFC 7983 §7, RFC 5761 §4).

/** `other` is to be dropped. */
export type PacketKind = 'rtp' | 'rtcp' | 'stun' | 'dtls' | 'other'

/**
 * The demultiplexing of RFC 7983 §7, and of RFC 5761 §4 where RTP and RTCP share a port. ZRTP and TURN channels are `other`.
 * Nothing beyond the first two octets is looked at: the packet still has to pass its own checks.
 */
export function packetKind(bytes: Uint8Array, length: number): PacketKind {
  if (length < 2) return 'other'
  const first = bytes[0] as number
  if (first >= 128 && first <= 191) return isRtcpType(bytes[1] as number) ? 'rtcp' : 'rtp'
  if (first >= 20 && first <= 63) return 'dtls'
  return first <= 3 ? 'stun' : 'other'
}

/** Whether it is RTP rather than RTCP, by version and second octet. */
export function isRtp(bytes: Uint8Array, length: number): boolean {
  return length >= 2 && (bytes[0] as number) >> 6 === 2 && !isRtcpType(bytes[1] as number)
}

/** Whether it is RTCP rather than RTP, by version and second octet. */
export function isRtcp(bytes: Uint8Array, length: number): boolean {
  return length >= 2 && (bytes[0] as number) >> 6 === 2 && isRtcpType(bytes[1] as number)
}

/** Packet types 192…223, which are the payload types 64…95 with the marker set: those are not used with mux (RFC 5761 §4). */
function isRtcpType(octet: number): boolean {
  return octet >= 192 && octet <= 223
}
