// The controlled side of the ng protocol: commands in from allowed hosts, one reply out for each, the same when asked again.

import { assert } from '#core/assert.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import type { Endpoint } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import type { NgAddress } from '#ng/ng-address.ts'
import { NgDatagramListener } from '#ng/ng-datagram-listener.ts'
import { DATAGRAM_OCTETS_MAX } from '#ng/ng-limits.ts'
import { type NgFormat, ngMessageText, parseNgMessage } from '#ng/ng-message.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import { NgStreamListener } from '#ng/ng-stream-listener.ts'
import type { NgDictionary } from '#ng/ng-value.ts'
import { ReplyMemory } from '#ng/reply-memory.ts'
import { LOOPBACK, SourceFilter } from '#ng/source-filter.ts'

/** How often what was answered is looked through while nothing comes. */
const SWEEP_AFTER_MS = 5_000

/** Who does what is commanded. */
export interface NgServerUser {
  /**
   * A command to be done, once however often it is repeated. `reply` is called exactly once, now or later. What is
   * in `command` may be wrong in any way: see `readNgCommand`.
   */
  onCommand(command: NgDictionary, source: Endpoint, reply: (reply: NgDictionary) => void): void
  /** An address is bound; it has the real port when 0 was asked for. */
  onListening(local: NgAddress): void
  /** An address cannot be bound, or broke; it is tried again for ever. `reason` is a stable word such as EADDRINUSE. */
  onListenError(local: NgAddress, reason: string): void
}

export interface NgServerSettings {
  readonly listen: readonly NgAddress[]
  /** Hosts and prefixes (`10.0.0.0/8`) that may command; those of this machine when it is not given. */
  readonly sources?: readonly string[]
}

/** The way back to who asked. */
export interface NgPath {
  readonly source: Endpoint
  /** Octets of the longest reply. */
  readonly octetsMax: number
  send(text: string): void
}

/** What the listeners hand over to. */
export interface NgIntake {
  /** Whether that host may command; one that may not is counted. */
  allows(source: Endpoint): boolean
  onText(text: string, path: NgPath): void
  onListening(local: NgAddress): void
  onListenError(local: NgAddress, reason: string): void
}

export class NgServer implements NgIntake, TimerOwner {
  readonly #ports: Ports
  readonly #user: NgServerUser
  readonly #filter: SourceFilter
  readonly #memory: ReplyMemory<NgPath>
  readonly #listeners: readonly { close(): void }[]
  readonly #sweep = new Timer(this)
  #closed = false
  readonly #commands: Counter
  readonly #duplicates: Counter
  readonly #refused: Counter
  readonly #malformed: Counter

  constructor(ports: Ports, settings: NgServerSettings, user: NgServerUser) {
    this.#ports = ports
    this.#user = user
    this.#filter = new SourceFilter(settings.sources ?? LOOPBACK)
    this.#memory = new ReplyMemory(ports.clock)
    const { counters } = ports
    this.#commands = counters.counter('carillon_ng_server_commands_total', 'Commands that were done')
    this.#duplicates = counters.counter('carillon_ng_server_duplicates_total', 'Commands that came again')
    this.#refused = counters.counter('carillon_ng_server_refused_total', 'Messages of hosts that may not command')
    this.#malformed = counters.counter('carillon_ng_server_malformed_total', 'Messages that were not understood')
    this.#listeners = settings.listen.map((address) =>
      address.transport === 'udp'
        ? new NgDatagramListener(ports, address, this)
        : new NgStreamListener(ports, address, this),
    )
  }

  /** Ends it; replies that come later go nowhere. */
  close(): void {
    this.#closed = true
    this.#ports.clock.cancel(this.#sweep)
    for (const listener of this.#listeners) listener.close()
  }

  allows(source: Endpoint): boolean {
    if (this.#filter.passes(source.host)) return true
    this.#refused.add()
    return false
  }

  onText(text: string, path: NgPath): void {
    if (this.#closed) return
    const { cookie, format, body } = parseNgMessage(text)
    if (body instanceof NgProblem) {
      this.#malformed.add()
      if (cookie !== '') path.send(ngMessageText(cookie, format, failure(body)))
      return
    }
    // The host alone: a controller that had to connect again comes from another port.
    const key = `${path.source.host} ${cookie}`
    const known = this.#memory.find(key)
    if (known !== null) {
      this.#duplicates.add()
      known.path = path
      if (known.reply !== null) path.send(known.reply)
      return
    }
    if (!this.#memory.begin(key, path)) {
      path.send(ngMessageText(cookie, format, { result: 'error', 'error-reason': 'too many commands at work' }))
      return
    }
    this.#commands.add()
    if (!this.#sweep.armed) this.#ports.clock.arm(this.#sweep, 'sweep', SWEEP_AFTER_MS)
    let answered = false
    this.#user.onCommand(body, path.source, (reply) => {
      assert(!answered, 'a command is answered once')
      answered = true
      this.#answer(key, cookie, format, reply)
    })
  }

  onListening(local: NgAddress): void {
    this.#user.onListening(local)
  }

  onListenError(local: NgAddress, reason: string): void {
    this.#user.onListenError(local, reason)
  }

  onTimer(_name: string): void {
    this.#memory.sweep()
    if (this.#memory.size > 0) this.#ports.clock.arm(this.#sweep, 'sweep', SWEEP_AFTER_MS)
  }

  #answer(key: string, cookie: string, format: NgFormat, reply: NgDictionary): void {
    if (this.#closed) return
    let text = ngMessageText(cookie, format, reply)
    const known = this.#memory.find(key)
    const octetsMax = known?.path.octetsMax ?? DATAGRAM_OCTETS_MAX
    if (text.length > octetsMax) {
      const reason = `the reply is over ${octetsMax} octets`
      text = ngMessageText(cookie, format, { result: 'error', 'error-reason': reason })
    }
    this.#memory.answer(key, text)?.send(text)
  }
}

function failure(problem: NgProblem): NgDictionary {
  return { result: 'error', 'error-reason': `${problem.code}: ${problem.reason}` }
}
