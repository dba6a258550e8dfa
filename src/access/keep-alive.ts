// Keeps the holes of address translators open: OPTIONS to each phone that is reached over UDP through one (RFC 4787 REQ-6
// refreshes surely on what comes from inside, and the phone's answer does).

import type { Binding, Location } from '#access/location.ts'
import { Timer } from '#core/clock.ts'
import type { Counter } from '#core/counters.ts'
import type { Endpoint } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { randomToken } from '#core/random.ts'
import type { Flow, TransportName } from '#sip/flow.ts'
import { MAGIC_COOKIE } from '#sip/via.ts'

/** Where flows are found again by their addresses: `SipTransport`. */
export interface FlowSource {
  flowFrom(transport: TransportName, local: Endpoint, remote: Endpoint): Flow | null
}

export interface KeepAliveSettings {
  readonly domain: string
  /** Each phone hears from us once in this time. */
  readonly keepAliveS: number
}

/** Begins the branch of each keep-alive: their answers match no transaction, and need no notice. */
export const KEEP_ALIVE_BRANCH = `${MAGIC_COOKIE}ka-`

const TICK_MS = 100
/** Datagrams, and addresses of record looked at, in one tick; with more phones than that the round takes longer. */
const SENT_PER_TICK_MAX = 2_000
const VISITED_PER_TICK_MAX = 20_000

/**
 * Walks round the addresses of record at a steady pace, so that the work of a tick is the same at all times. Nothing is
 * held for a phone, and nothing waits for its answer.
 */
export class KeepAlive {
  readonly #ports: Ports
  readonly #location: Location
  readonly #flows: FlowSource
  #settings: KeepAliveSettings
  readonly #timer = new Timer(this)
  readonly #sent: Counter
  readonly #token: string
  #number = 0
  #walk: Iterator<string>
  /** Addresses that are due and not yet visited, with fractions. */
  #due = 0
  #lastMs = 0
  #stopped = false

  constructor(ports: Ports, location: Location, flows: FlowSource, settings: KeepAliveSettings) {
    this.#ports = ports
    this.#location = location
    this.#flows = flows
    this.#settings = settings
    this.#token = randomToken(ports.random)
    this.#walk = location.aors()
    this.#sent = ports.counters.counter('carillon_keep_alives_sent_total', 'OPTIONS sent to keep a translation open.')
    location.watch(this)
    if (location.count > 0) this.#wake()
  }

  replaceSettings(settings: KeepAliveSettings): void {
    this.#settings = settings
  }

  stop(): void {
    this.#stopped = true
    this.#ports.clock.cancel(this.#timer)
  }

  /** For the location. */
  onBindingAdded(binding: Binding): void {
    if (isKept(binding)) this.#wake()
  }

  /** For the location. */
  onBindingRemoved(): void {}

  /** For the clock. */
  onTimer(): void {
    const nowMs = this.#ports.clock.now()
    const total = this.#location.aorCount
    if (total === 0) return
    this.#due += (total * (nowMs - this.#lastMs)) / (this.#settings.keepAliveS * 1000)
    this.#lastMs = nowMs
    let sent = 0
    // Never more than one round at once: a process that stood still does not shout afterwards.
    let visits = Math.min(Math.floor(this.#due), total, VISITED_PER_TICK_MAX)
    this.#due = Math.min(this.#due, total) - visits
    for (; visits > 0 && sent < SENT_PER_TICK_MAX; visits -= 1) {
      const aor = this.#next()
      if (aor === null) break
      for (const binding of this.#location.bindings(aor)) if (isKept(binding) && this.#send(binding)) sent += 1
    }
    this.#due += visits
    this.#ports.clock.arm(this.#timer, 'keepAlive', TICK_MS)
  }

  #wake(): void {
    if (this.#timer.armed || this.#stopped) return
    this.#lastMs = this.#ports.clock.now()
    this.#ports.clock.arm(this.#timer, 'keepAlive', TICK_MS)
  }

  /** The next address of record, from the first again after the last. */
  #next(): string | null {
    let step = this.#walk.next()
    if (step.done === true) {
      this.#walk = this.#location.aors()
      step = this.#walk.next()
    }
    return step.done === true ? null : step.value
  }

  #send(binding: Binding): boolean {
    const flow = this.#flows.flowFrom(binding.transport, binding.local, binding.remote)
    if (flow === null || flow.closed) return false
    this.#number = (this.#number + 1) >>> 0
    const { contact } = binding
    // §19.1.1: no header parameters in a Request-URI.
    const question = contact.indexOf('?')
    const target = question < 0 ? contact : contact.slice(0, question)
    const id = `${this.#token}-${this.#number.toString(36)}`
    flow.send(
      `OPTIONS ${target} SIP/2.0\r\nVia: SIP/2.0/UDP ${flow.sentBy};rport;branch=${KEEP_ALIVE_BRANCH}${id}\r\n` +
        `Max-Forwards: 70\r\nFrom: <sip:${this.#settings.domain}>;tag=${this.#token}\r\nTo: <${target}>\r\n` +
        `Call-ID: ka-${id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`,
    )
    this.#sent.value += 1
    return true
  }
}

/** Whether a phone is reached through a translation that our datagrams keep open. */
function isKept(binding: Binding): boolean {
  return (
    binding.transport === 'udp' && binding.needsFlow && binding.path.length === 0 && binding.contact.startsWith('sip')
  )
}
