// One side of a simulated stream connection: bytes in order, late when segments are repeated, half-open when the far machine lost power.

import type { Connection, ConnectionSink, Endpoint, PeerCertificate } from '#core/net.ts'
import type { Machine } from '#sim/machine.ts'
import type { Network } from '#sim/network.ts'
import type { VirtualClock } from '#sim/virtual-clock.ts'
import type { Task } from '#sim/virtual-time.ts'

/** What the kernel takes without anyone reading at the far side, in octets. */
const WINDOW_OCTETS_MAX = 65_536
/** The first repetition of a segment; each further one waits twice as long. */
const REPEAT_MS = 200
const REPEAT_MS_MAX = 60_000
/** A segment not acknowledged for this long ends the connection (RFC 1122 §4.2.3.5 asks for at least 100 s). */
const GIVE_UP_MS = 120_000

type Item = {
  readonly atMs: number
  readonly bytes: Uint8Array | null
  readonly what: 'bytes' | 'accept' | 'end' | 'reset'
}

/** Bytes sent on one side come out at `peer`. */
export class SimConnection implements Connection {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly secure: boolean
  readonly machine: Machine
  readonly number: number
  peer: PeerCertificate | null = null
  sink: ConnectionSink | null = null
  /** The other side; null before there is one. */
  other: SimConnection | null = null
  state: 'connecting' | 'open' | 'ending' | 'closed' = 'connecting'
  /** The clock of the process that has this side; null until one has it. */
  clock: VirtualClock | null = null
  /** Decides what to do when the far side's listener gets this connection. Null on the connecting side. */
  accept: (() => void) | null = null
  readonly #network: Network
  readonly #queue: Item[] = []
  #queuedOctets = 0
  #lastMs = 0
  #task: Task | null = null
  #stuckSinceMs = -1
  #repeatMs = REPEAT_MS

  constructor(network: Network, machine: Machine, local: Endpoint, remote: Endpoint, secure: boolean, number: number) {
    this.#network = network
    this.machine = machine
    this.local = local
    this.remote = remote
    this.secure = secure
    this.number = number
    machine.connections.add(this)
  }

  get queuedOctets(): number {
    return Math.max(0, this.#queuedOctets - WINDOW_OCTETS_MAX)
  }

  send(bytes: Uint8Array): void {
    if (this.state === 'closed' || this.state === 'ending' || bytes.length === 0) return
    this.#emit('sent', bytes)
    this.#queuedOctets += bytes.length
    this.#push('bytes', new Uint8Array(bytes))
  }

  close(): void {
    if (this.state === 'connecting') this.abort()
    else if (this.state === 'open') {
      this.state = 'ending'
      this.#push('end', null)
    }
  }

  abort(): void {
    if (this.state === 'closed') return
    this.#reset()
    this.clock?.after(0, () => this.#tell('closed'))
  }

  /** The connecting side's end of the set-up. */
  open(): void {
    if (this.state !== 'connecting') return
    this.state = 'open'
    const early = this.#queue.splice(0)
    // First on the way, so that the far process learns of the connection in order with the bytes.
    this.#push('accept', null)
    for (const item of early) this.#push(item.what, item.bytes)
    this.sink?.onOpen(this)
  }

  /** It never opened, or broke. */
  fail(reason: string): void {
    if (this.state === 'closed') return
    this.#forget()
    this.#tell(reason)
  }

  /** The process died and its kernel lives: the far side is told. Nothing is said here. */
  kill(): void {
    this.sink = null
    this.#reset()
  }

  /** The machine lost power: nobody is told anything. */
  vanish(): void {
    this.sink = null
    this.#forget()
  }

  #reset(): void {
    const other = this.other
    this.#forget()
    if (other !== null) this.#push('reset', null)
  }

  #forget(): void {
    this.state = 'closed'
    this.#queue.length = 0
    this.#queuedOctets = 0
    this.#task?.cancel()
    this.#task = null
    this.machine.connections.delete(this)
  }

  #tell(reason: string): void {
    const sink = this.sink
    this.sink = null
    this.#emit('closed', new TextEncoder().encode(reason))
    sink?.onClose(this, reason)
  }

  #push(what: Item['what'], bytes: Uint8Array | null): void {
    if (this.state === 'connecting' && what === 'bytes') {
      this.#queue.push({ atMs: 0, bytes, what })
      return
    }
    const link = this.other === null ? null : this.#network.link(this.machine, this.other.machine)
    let delayMs = link === null ? 0 : link.delayMs()
    const repetitions = link === null ? 0 : link.repetitions()
    for (let i = 0; i < repetitions; i++) delayMs += REPEAT_MS * 2 ** i
    this.#lastMs = Math.max(this.#lastMs, this.#network.time.nowMs + delayMs)
    this.#queue.push({ atMs: this.#lastMs, bytes, what })
    this.#schedule(this.#lastMs - this.#network.time.nowMs)
  }

  #schedule(delayMs: number): void {
    if (this.#task !== null) return
    this.#task = this.#network.time.after(delayMs, () => {
      this.#task = null
      this.#flush()
    })
  }

  #flush(): void {
    const { time } = this.#network
    for (let item = this.#queue[0]; item !== undefined; item = this.#queue[0]) {
      if (item.atMs > time.nowMs) {
        this.#schedule(item.atMs - time.nowMs)
        return
      }
      if (!this.#passes()) {
        this.#stall()
        return
      }
      this.#stuckSinceMs = -1
      this.#repeatMs = REPEAT_MS
      this.#queue.shift()
      this.#queuedOctets -= item.bytes?.length ?? 0
      this.#arrive(item)
    }
  }

  /** A segment found no way: it is repeated, ever more slowly, and in the end the connection is given up. */
  #stall(): void {
    const nowMs = this.#network.time.nowMs
    if (this.#stuckSinceMs < 0) this.#stuckSinceMs = nowMs
    if (nowMs - this.#stuckSinceMs >= GIVE_UP_MS || this.state === 'closed') {
      this.fail('ETIMEDOUT')
      return
    }
    this.#schedule(this.#repeatMs)
    this.#repeatMs = Math.min(2 * this.#repeatMs, REPEAT_MS_MAX)
  }

  /** Whether a segment gets to the far machine now: links, power, and the NATs' memory of this connection. */
  #passes(): boolean {
    const other = this.other
    if (other === null || !this.machine.up || !other.machine.up) return false
    if (this.#network.link(this.machine, other.machine).cuts > 0) return false
    const departure = this.#network.depart(this.machine, 'tcp', this.local, this.remote)
    if (departure === null || departure.source !== other.remote) return false
    const arrival = this.#network.arrive(departure, 'tcp', this.remote)
    return arrival !== null && arrival.machine === other.machine && arrival.local === other.local
  }

  #arrive(item: Item): void {
    const other = this.other
    if (other === null) return
    if (other.state === 'closed') {
      // The far side knows nothing of this connection (any more): RFC 9293 §3.10.7.1, a reset comes back.
      if (item.what === 'bytes' || item.what === 'accept') {
        this.#network.time.after(this.#network.link(this.machine, other.machine).delayMs(), () =>
          this.fail('ECONNRESET'),
        )
      } else if (item.what === 'end') this.fail('closed')
      return
    }
    if (item.what === 'accept') other.accept?.()
    else if (item.what === 'reset') other.fail('ECONNRESET')
    else if (item.what === 'end') {
      other.fail('closed')
      this.fail('closed')
    } else if (item.bytes !== null) other.#receive(item.bytes)
  }

  #receive(bytes: Uint8Array): void {
    const { random, fragmentStreams } = this.#network
    let at = 0
    while (at < bytes.length) {
      let end = bytes.length
      if (fragmentStreams && bytes.length - at > 1 && random.chance(0.2)) end = random.between(at + 1, bytes.length)
      const piece = Uint8Array.from(bytes.subarray(at, end))
      at = end
      if (this.sink === null) return
      this.#emit('delivered', piece)
      this.sink.onBytes(this, piece)
      // What is kept of the buffer after the call would be rubbish on a real host too.
      piece.fill(0xee)
    }
  }

  #emit(fate: 'sent' | 'delivered' | 'closed', bytes: Uint8Array): void {
    this.#network.emit({
      atMs: this.#network.time.nowMs,
      fate,
      transport: this.secure ? 'tls' : 'tcp',
      at: this.machine.name,
      source: fate === 'delivered' ? this.remote : this.local,
      destination: fate === 'delivered' ? this.local : this.remote,
      connection: this.number,
      bytes,
    })
  }
}
