// One frame of a WebSocket as octets: RFC 6455 §5.2 and §5.3.

/** The operation codes of §11.8. */
export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export type OpcodeValue = (typeof Opcode)[keyof typeof Opcode]

const FIN = 0x80
const MASKED = 0x80
const LENGTH_16 = 126
const LENGTH_64 = 127

/** A whole message or control frame; `mask` (four octets) for what a client sends, null for a server (§5.1). */
export function webSocketFrame(opcode: OpcodeValue, payload: Uint8Array, mask: Uint8Array | null): Uint8Array {
  const { length } = payload
  const lengthOctets = length < LENGTH_16 ? 0 : length < 65_536 ? 2 : 8
  const headerOctets = 2 + lengthOctets + (mask === null ? 0 : 4)
  const frame = Buffer.alloc(headerOctets + length)
  frame[0] = FIN | opcode
  const short = lengthOctets === 0 ? length : lengthOctets === 2 ? LENGTH_16 : LENGTH_64
  frame[1] = short | (mask === null ? 0 : MASKED)
  if (lengthOctets === 2) frame.writeUInt16BE(length, 2)
  if (lengthOctets === 8) frame.writeBigUInt64BE(BigInt(length), 2)
  if (mask !== null) frame.set(mask, headerOctets - 4)
  frame.set(payload, headerOctets)
  if (mask !== null) unmask(frame.subarray(headerOctets), mask)
  return frame
}

/** Masks or unmasks in place (§5.3: the two are one). */
export function unmask(payload: Uint8Array, mask: Uint8Array): void {
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0)
}
