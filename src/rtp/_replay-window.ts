// Hot path. Which packets of a source have come already: RFC 3711 §3.3.2.

/** Packets that the window spans; §3.3.2 demands 64 at least. */
export const REPLAY_WINDOW = 128

/** Indices of 48 bits (RTP) or 31 bits (RTCP) that were seen, as far back as the window goes. */
export class ReplayWindow {
  /** The highest index that was seen; −1 before the first. */
  highest = -1
  /** One bit for each index, at its remainder. */
  readonly #bits = new Uint32Array(REPLAY_WINDOW / 32)

  /** Whether the index is new, and not older than the window. */
  isFresh(index: number): boolean {
    if (index > this.highest) return true
    if (index <= this.highest - REPLAY_WINDOW || index < 0) return false
    const bit = index % REPLAY_WINDOW
    return ((this.#bits[bit >>> 5] as number) & (1 << (bit & 31))) === 0
  }

  /** Notes an index that is fresh and whose packet was authentic. */
  note(index: number): void {
    const bits = this.#bits
    if (index > this.highest) {
      if (index - this.highest >= REPLAY_WINDOW || this.highest < 0) {
        bits.fill(0)
      } else {
        for (let skipped = this.highest + 1; skipped < index; skipped += 1) {
          const bit = skipped % REPLAY_WINDOW
          bits[bit >>> 5] = (bits[bit >>> 5] as number) & ~(1 << (bit & 31))
        }
      }
      this.highest = index
    }
    const bit = index % REPLAY_WINDOW
    bits[bit >>> 5] = (bits[bit >>> 5] as number) | (1 << (bit & 31))
  }
}
