// Hot path. An RTP packet in the buffer that it was received into: check, fields, header (RFC 3550 §5.1, A.1).

/** Octets of the fixed header (§5.1). */
export const RTP_HEADER_OCTETS = 12

/** Sequence numbers are modulo this (§5.1). */
export const SEQUENCE_SPACE = 65_536

/** Timestamps are modulo this (§5.1). */
export const TIMESTAMP_SPACE = 2 ** 32

/**
 * Where the payload begins, or −1 when the first `length` octets are no RTP packet: version, length of CSRC list and of
 * extension, count of padding (A.1). The other functions of this file may be called once this one has not said −1.
 */
export function rtpPayloadOffset(bytes: Uint8Array, length: number): number {
  if (length < RTP_HEADER_OCTETS) return -1
  const first = bytes[0] as number
  // Nearly every packet: version 2, no padding, no extension, no CSRC.
  if (first === 0x80) return RTP_HEADER_OCTETS
  if (first >> 6 !== 2) return -1
  let offset = RTP_HEADER_OCTETS + (first & 0x0f) * 4
  if ((first & 0x10) !== 0) {
    if (offset + 4 > length) return -1
    offset += 4 + (((bytes[offset + 2] as number) << 8) | (bytes[offset + 3] as number)) * 4
  }
  if (offset > length) return -1
  if ((first & 0x20) !== 0) {
    const padding = bytes[length - 1] as number
    if (padding === 0 || padding > length - offset) return -1
  }
  return offset
}

/** Where the payload ends: before the padding. */
export function rtpPayloadEnd(bytes: Uint8Array, length: number): number {
  return ((bytes[0] as number) & 0x20) === 0 ? length : length - (bytes[length - 1] as number)
}

/** The marker bit; in audio, the first packet after a silence (RFC 3551 §4.1). */
export function rtpMarker(bytes: Uint8Array): boolean {
  return (bytes[1] as number) >= 128
}

/** 0…127. */
export function rtpPayloadType(bytes: Uint8Array): number {
  return (bytes[1] as number) & 0x7f
}

/** 0…65535. */
export function rtpSequence(bytes: Uint8Array): number {
  return ((bytes[2] as number) << 8) | (bytes[3] as number)
}

/** In units of the clock rate of the format, modulo 2^32. */
export function rtpTimestamp(bytes: Uint8Array): number {
  return readUint32(bytes, 4)
}

export function rtpSsrc(bytes: Uint8Array): number {
  return readUint32(bytes, 8)
}

export function setRtpMarker(bytes: Uint8Array, marker: boolean): void {
  bytes[1] = marker ? (bytes[1] as number) | 0x80 : (bytes[1] as number) & 0x7f
}

/** Leaves the marker as it is. `payloadType` is 0…127. */
export function setRtpPayloadType(bytes: Uint8Array, payloadType: number): void {
  bytes[1] = ((bytes[1] as number) & 0x80) | payloadType
}

/** The lower 16 bits count. */
export function setRtpSequence(bytes: Uint8Array, sequence: number): void {
  bytes[2] = sequence >> 8
  bytes[3] = sequence
}

/** Modulo 2^32. */
export function setRtpTimestamp(bytes: Uint8Array, timestamp: number): void {
  writeUint32(bytes, 4, timestamp)
}

export function setRtpSsrc(bytes: Uint8Array, ssrc: number): void {
  writeUint32(bytes, 8, ssrc)
}

/** Writes a fixed header (no padding, extension or CSRC) at the beginning; gives where the payload goes. */
export function writeRtpHeader(
  target: Uint8Array,
  payloadType: number,
  marker: boolean,
  sequence: number,
  timestamp: number,
  ssrc: number,
): number {
  target[0] = 0x80
  target[1] = marker ? payloadType | 0x80 : payloadType
  target[2] = sequence >> 8
  target[3] = sequence
  writeUint32(target, 4, timestamp)
  writeUint32(target, 8, ssrc)
  return RTP_HEADER_OCTETS
}

/** How far `to` is after `from` on the circle of 2^16: −32768…32767. */
export function sequenceDistance(from: number, to: number): number {
  return ((to - from) << 16) >> 16
}

/** How far `to` is after `from` on the circle of 2^32: −2^31…2^31−1. */
export function timestampDistance(from: number, to: number): number {
  return (to - from) | 0
}

/** Big-endian, unsigned. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

/** Big-endian; the value counts modulo 2^32. */
export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
