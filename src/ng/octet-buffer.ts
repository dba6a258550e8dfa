// Octets of a stream that wait to be read: appended at the end, taken from the front, copied once as they come.

const CAPACITY_MIN = 4_096

export class OctetBuffer {
  /** The memory; what waits is from `start` up to `end`. */
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0

  get length(): number {
    return this.end - this.start
  }

  append(chunk: Uint8Array): void {
    if (this.end + chunk.length > this.bytes.length) this.#makeRoom(chunk.length)
    this.bytes.set(chunk, this.end)
    this.end += chunk.length
  }

  /** The next `octets` as latin1 carriage; they are gone then. */
  take(octets: number): string {
    const text = this.bytes.toString('latin1', this.start, this.start + octets)
    this.skip(octets)
    return text
  }

  skip(octets: number): void {
    this.start += octets
    if (this.start === this.end) {
      this.start = 0
      this.end = 0
      // One large message is no reason to hold its memory for the life of a connection.
      if (this.bytes.length > 16 * CAPACITY_MIN) this.bytes = Buffer.alloc(0)
    }
  }

  #makeRoom(octets: number): void {
    const length = this.length
    // Moving to the front pays when half is free; else the memory doubles: either way an octet moves a few times at most.
    if (length + octets > this.bytes.length / 2) {
      const larger = Buffer.alloc(Math.max(CAPACITY_MIN, 2 * (length + octets)))
      this.bytes.copy(larger, 0, this.start, this.end)
      this.bytes = larger
    } else {
      this.bytes.copy(this.bytes, 0, this.start, this.end)
    }
    this.start = 0
    this.end = length
  }
}
