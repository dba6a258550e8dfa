// One TCP or TLS connection that carries SIP: RFC 3261 §18, keep-alives of RFC 5626 §3.5.1, limits against slow peers.

import { assert } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import { type Connection, type ConnectionSink, type Endpoint, sameEndpoint } from '#core/net.ts'
import { Flow, type FlowWatcher, type TransportName } from '#sip/flow.ts'
import type { Message, Request } from '#sip/message.ts'
import type { FlowMaker } from '#sip/message-intake.ts'
import { type FrameSink, StreamFramer } from '#sip/stream-framer.ts'
import type { StreamPool } from '#sip/stream-pool.ts'

/** A connection that is to close may take this long to write what is queued. */
const LINGER_MS = 5_000
const PONG = Buffer.from('\r\n', 'latin1')

/** 'closing': writes what is queued, and takes nothing more. */
type State = 'opening' | 'open' | 'closing' | 'closed'

const NEXT: Readonly<Record<State, readonly State[]>> = {
  opening: ['open', 'closed'],
  open: ['closing', 'closed'],
  closing: ['closed'],
  closed: [],
}

export class StreamFlow extends Flow implements ConnectionSink, FrameSink, FlowMaker, TimerOwner {
  /** The name by which we demanded to know the far side; null when it came to us or is not TLS. */
  readonly serverName: string | null
  /** Whether we opened it. */
  outgoing = false
  /** Whether a whole valid message has come on it. */
  proven = false
  readonly #pool: StreamPool
  readonly #framer = new StreamFramer()
  /** A trunk's connection has thousands: one for each transaction. */
  readonly #watchers = new Set<FlowWatcher>()
  /** Runs through: connect, idle, linger, and finally telling the watchers. */
  readonly #life = new Timer(this)
  /** Runs while a message is unfinished. */
  readonly #unfinished = new Timer(this)
  #state: State = 'opening'
  #connection: Connection | null = null
  #local: Endpoint
  #queue: string[] = []
  #queuedOctets = 0
  #usedMs: number
  #frames = 0
  #waiting = 0
  #reason = ''

  constructor(
    pool: StreamPool,
    transport: TransportName,
    local: Endpoint,
    remote: Endpoint,
    sentBy: string,
    serverName: string | null,
  ) {
    super(transport, remote, sentBy)
    this.#pool = pool
    this.#local = local
    this.serverName = serverName
    this.#usedMs = pool.clock.now()
  }

  override get local(): Endpoint {
    return this.#connection?.local ?? this.#local
  }

  get state(): State {
    return this.#state
  }

  /** Octets of an unfinished message. */
  get waiting(): number {
    return this.#waiting
  }

  get watched(): boolean {
    return this.#watchers.size > 0
  }

  /** We connect: waits for the connection to open. */
  connecting(connection: Connection): void {
    this.#connection = connection
    this.outgoing = true
    this.#pool.clock.arm(this.#life, 'connect', this.#pool.limits.connectMs)
  }

  /** The far side connected: it is open already. */
  accepted(connection: Connection): void {
    this.#connection = connection
    this.#opened(connection)
    this.#pool.clock.arm(this.#life, 'idle', Math.min(this.#pool.limits.messageMs, this.#pool.limits.idleMs))
  }

  override send(text: string): void {
    if (this.#state === 'opening') {
      if (this.#queuedOctets + text.length > this.#pool.limits.queuedOctetsMax) {
        this.#pool.countUnsent(this)
        return
      }
      this.#queue.push(text)
      this.#queuedOctets += text.length
      return
    }
    if (this.#state === 'open') this.#write(text)
    else this.#pool.countUnsent(this)
  }

  override watch(watcher: FlowWatcher): void {
    this.#watchers.add(watcher)
  }

  override unwatch(watcher: FlowWatcher): void {
    this.#watchers.delete(watcher)
  }

  /** Writes what is queued and closes. Watchers are told when that is done, from the clock: the one catch is around it. */
  close(reason: string): void {
    if (this.#state === 'opening') {
      this.abort(reason)
      return
    }
    if (this.#state !== 'open') return
    this.#reason = reason
    this.#enter('closing')
    this.#framer.end()
    this.#settleWaiting()
    this.#connection?.close()
    this.#pool.clock.arm(this.#life, 'linger', LINGER_MS)
  }

  /** Drops what is queued and closes. */
  abort(reason: string): void {
    if (this.#state === 'closed') return
    const connection = this.#connection
    this.#end(this.#reason === '' ? reason : this.#reason)
    connection?.abort()
    this.#pool.clock.arm(this.#life, 'tell', 0)
  }

  onOpen(connection: Connection): void {
    if (this.#state !== 'opening') return
    this.#opened(connection)
    this.#pool.onOpened(this)
    this.#pool.clock.arm(this.#life, 'idle', this.#pool.limits.idleMs)
    const queue = this.#queue
    this.#queue = []
    this.#queuedOctets = 0
    for (const text of queue) this.send(text)
  }

  onBytes(_connection: Connection, bytes: Uint8Array): void {
    if (this.#state !== 'open') return
    this.#usedMs = this.#pool.clock.now()
    const frames = this.#frames
    this.#framer.push(bytes, this)
    // What came may have closed this flow.
    if (this.#isOpen()) this.#guardUnfinished(this.#frames !== frames)
  }

  onClose(_connection: Connection, reason: string): void {
    if (this.#state === 'closed') return
    this.#end(this.#reason === '' ? reason : this.#reason)
    this.#pool.clock.arm(this.#life, 'tell', 0)
  }

  onFrame(text: string): void {
    this.#frames += 1
    this.#pool.intake.receive(text, this.remote, this)
  }

  onPing(): void {
    this.#pool.countKeepAlive(this)
    this.#octets(PONG)
  }

  /** We send no pings: what is behind a NAT keeps itself alive (RFC 5626 §4.4.1), dead peers the kernel finds out. */
  onPong(): void {}

  onFrameError(code: string, reason: string, request: string | null): void {
    this.#pool.intake.receiveBroken(code, reason, request, this.remote, this)
    this.close('malformed')
  }

  flowTowards(_source: Endpoint, message: Message | null): Flow {
    if (message !== null) this.#pool.onMessage(this, message)
    return this
  }

  /** §18.2.2: the same connection; when it has closed, one to the source address and the port of sent-by. */
  override forResponse(request: Request): Flow {
    if (!this.closed) return this
    const via = request.parseTopmostVia()
    const port = via?.port ?? (this.transport === 'tls' ? 5061 : 5060)
    const { host, family } = this.remote
    const named = this.transport === 'tls' && via !== null && /[a-z]/.test(via.host) && !via.host.includes(':')
    const target = { transport: this.transport, endpoint: { host, port, family }, serverName: named ? via.host : null }
    return this.#pool.flowTo(target) ?? this
  }

  onTimer(name: string): void {
    switch (name) {
      case 'connect':
        this.abort('ETIMEDOUT')
        return
      case 'idle':
        this.#onIdle()
        return
      case 'unfinished':
        this.abort('slow')
        return
      case 'linger':
        this.abort('closed')
        return
      default:
        this.#tell()
    }
  }

  /** Whether requests for `endpoint` and `serverName` may use this connection (RFC 5923 §4, RFC 5922 §7). */
  serves(endpoint: Endpoint, serverName: string | null): boolean {
    if (this.closed || !sameEndpoint(this.remote, endpoint)) return false
    return this.transport !== 'tls' || serverName === null || this.isKnownAs(serverName)
  }

  /** Whether the far side has proved to be `name`. */
  isKnownAs(name: string): boolean {
    if (this.serverName === name) return true
    const peer = this.peer
    return peer?.verified === true && (peer.names.includes(name) || peer.names.includes(`sip:${name}`))
  }

  #isOpen(): boolean {
    return this.#state === 'open'
  }

  #enter(state: State): void {
    assert(NEXT[this.#state].includes(state), `connection from ${this.#state} to ${state}`)
    this.#state = state
    this.closed = state === 'closing' || state === 'closed'
  }

  #opened(connection: Connection): void {
    this.peer = connection.peer
    this.#enter('open')
  }

  #write(text: string): void {
    if (this.#octets(Buffer.from(text, 'latin1'))) this.#pool.countSent(this, text)
    else this.#pool.countUnsent(this)
  }

  #octets(bytes: Uint8Array): boolean {
    const connection = this.#connection
    if (connection === null || this.#state !== 'open') return false
    if (connection.queuedOctets + bytes.length > this.#pool.limits.queuedOctetsMax) {
      // The far side does not read: it is as good as gone.
      this.abort('queueFull')
      return false
    }
    this.#usedMs = this.#pool.clock.now()
    connection.send(bytes)
    return true
  }

  #guardUnfinished(progressed: boolean): void {
    const { clock, limits } = this.#pool
    this.#settleWaiting()
    if (this.#waiting === 0) clock.cancel(this.#unfinished)
    else if (progressed || !this.#unfinished.armed) clock.arm(this.#unfinished, 'unfinished', limits.messageMs)
    if (!this.#pool.holdsWaiting) this.abort('waitingMax')
  }

  #settleWaiting(): void {
    const waiting = this.#framer.waiting
    this.#pool.onWaiting(waiting - this.#waiting)
    this.#waiting = waiting
  }

  #onIdle(): void {
    const { clock, limits } = this.#pool
    const limitMs = this.proven || this.outgoing ? limits.idleMs : Math.min(limits.messageMs, limits.idleMs)
    const restMs = this.#usedMs + limitMs - clock.now()
    if (this.watched) clock.arm(this.#life, 'idle', limits.idleMs)
    else if (restMs > 0) clock.arm(this.#life, 'idle', restMs)
    else this.close('idle')
  }

  #end(reason: string): void {
    this.#reason = reason
    for (let i = 0; i < this.#queue.length; i += 1) this.#pool.countUnsent(this)
    this.#queue = []
    this.#framer.end()
    this.#settleWaiting()
    this.#enter('closed')
    const { clock } = this.#pool
    clock.cancel(this.#life)
    clock.cancel(this.#unfinished)
    this.#local = this.local
    this.#connection = null
    this.#pool.onEnded(this, reason)
  }

  #tell(): void {
    try {
      // One that another takes out while they are told is not told any more.
      for (const watcher of this.#watchers) {
        this.#watchers.delete(watcher)
        watcher.onFlowClosed(this, this.#reason)
      }
    } finally {
      // A watcher's fault is its own: the others hear of it in the next turn.
      if (this.watched) this.#pool.clock.arm(this.#life, 'tell', 0)
    }
  }
}
