// Numbers in network byte order, and padding: RFC 8489 §5, §14.

/** The length with the padding of an attribute (RFC 8489 §14). */
export function padded(octets: number): number {
  return (octets + 3) & ~3
}

export function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

export function uint32(bytes: Uint8Array, at: number): number {
  return ((uint16(bytes, at) << 16) | uint16(bytes, at + 2)) >>> 0
}

export function setUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = (value >>> 8) & 255
  bytes[at + 1] = value & 255
}

export function setUint32(bytes: Uint8Array, at: number, value: number): void {
  setUint16(bytes, at, value >>> 16)
  setUint16(bytes, at + 2, value & 0xffff)
}
