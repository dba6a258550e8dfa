// CRC-32 of ITU-T V.42, as the FINGERPRINT attribute uses it (RFC 8489 §14.7).

const TABLE: Uint32Array = (() => {
  const table = new Uint32Array(256)
  for (let i = 0; i < 256; i += 1) {
    let value = i
    for (let bit = 0; bit < 8; bit += 1) value = (value & 1) !== 0 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
    table[i] = value
  }
  return table
})()

/** The sum over the first `length` octets. */
export function crc32(bytes: Uint8Array, length: number): number {
  let sum = 0xffffffff
  for (let i = 0; i < length; i += 1) sum = (TABLE[(sum ^ (bytes[i] as number)) & 255] as number) ^ (sum >>> 8)
  return (sum ^ 0xffffffff) >>> 0
}
