// Hot path. HMAC-SHA1 with one key over many short packets: RFC 2104, RFC 3174 §6.1, as RFC 3711 §4.2.1 uses it.

const BLOCK_OCTETS = 64
/** The mark of the end and the length that follow the message (RFC 3174 §4). */
const CLOSING_OCTETS = 9

/**
 * A keyed sum. The state after the padded key is computed once, so a packet of 172 octets costs four blocks and no
 * allocation: half of what node:crypto takes for making and discarding an Hmac. Nothing in it depends on secrets in time.
 */
export class HmacSha1 {
  readonly #inner = new Int32Array(5)
  readonly #outer = new Int32Array(5)
  readonly #state = new Int32Array(5)
  readonly #words = new Int32Array(80)
  readonly #tail = new Uint8Array(2 * BLOCK_OCTETS)

  /** `key` is at most 64 octets. */
  constructor(key: Uint8Array) {
    const block = new Uint8Array(BLOCK_OCTETS)
    for (let i = 0; i < BLOCK_OCTETS; i += 1) block[i] = (key[i] ?? 0) ^ 0x36
    begin(this.#inner)
    compress(this.#inner, this.#words, block, 0)
    for (let i = 0; i < BLOCK_OCTETS; i += 1) block[i] = (key[i] ?? 0) ^ 0x5c
    begin(this.#outer)
    compress(this.#outer, this.#words, block, 0)
  }

  /** Writes the first `tagOctets` (at most 20) of the sum over the first `length` octets of `bytes` to `target` at `at`. */
  sum(bytes: Uint8Array, length: number, target: Uint8Array, at: number, tagOctets: number): void {
    const state = this.#state
    const words = this.#words
    const tail = this.#tail
    state.set(this.#inner)
    let block = 0
    for (; block + BLOCK_OCTETS <= length; block += BLOCK_OCTETS) compress(state, words, bytes, block)
    const rest = length - block
    for (let i = 0; i < rest; i += 1) tail[i] = bytes[block + i] as number
    closeAndCompress(state, words, tail, rest, BLOCK_OCTETS + length)
    for (let i = 0; i < 5; i += 1) writeInt32(tail, 4 * i, state[i] as number)
    state.set(this.#outer)
    closeAndCompress(state, words, tail, 20, BLOCK_OCTETS + 20)
    for (let i = 0; i < tagOctets; i += 1) target[at + i] = (state[i >> 2] as number) >>> (24 - 8 * (i & 3))
  }
}

/** The last block or two: the `rest` octets in `tail`, the mark, and the length of the whole in bits. */
function closeAndCompress(state: Int32Array, words: Int32Array, tail: Uint8Array, rest: number, total: number): void {
  const end = rest + CLOSING_OCTETS <= BLOCK_OCTETS ? BLOCK_OCTETS : 2 * BLOCK_OCTETS
  tail[rest] = 0x80
  tail.fill(0, rest + 1, end - 4)
  writeInt32(tail, end - 4, total * 8)
  compress(state, words, tail, 0)
  if (end > BLOCK_OCTETS) compress(state, words, tail, BLOCK_OCTETS)
}

function begin(state: Int32Array): void {
  state[0] = 0x67452301
  state[1] = 0xefcdab89
  state[2] = 0x98badcfe
  state[3] = 0x10325476
  state[4] = 0xc3d2e1f0
}

/** One block (RFC 3174 §6.1). */
function compress(state: Int32Array, words: Int32Array, bytes: Uint8Array, at: number): void {
  for (let t = 0; t < 16; t += 1, at += 4) {
    words[t] =
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
  }
  for (let t = 16; t < 80; t += 1) {
    const word =
      (words[t - 3] as number) ^ (words[t - 8] as number) ^ (words[t - 14] as number) ^ (words[t - 16] as number)
    words[t] = (word << 1) | (word >>> 31)
  }
  let a = state[0] as number
  let b = state[1] as number
  let c = state[2] as number
  let d = state[3] as number
  let e = state[4] as number
  for (let t = 0; t < 20; t += 1) {
    const next = (((a << 5) | (a >>> 27)) + (d ^ (b & (c ^ d))) + e + (words[t] as number) + 0x5a827999) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let t = 20; t < 40; t += 1) {
    const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + (words[t] as number) + 0x6ed9eba1) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let t = 40; t < 60; t += 1) {
    const next = (((a << 5) | (a >>> 27)) + ((b & c) | (d & (b | c))) + e + (words[t] as number) - 0x70e44324) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let t = 60; t < 80; t += 1) {
    const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + (words[t] as number) - 0x359d3e2a) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  state[0] = (state[0] as number) + a
  state[1] = (state[1] as number) + b
  state[2] = (state[2] as number) + c
  state[3] = (state[3] as number) + d
  state[4] = (state[4] as number) + e
}

function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
