// Watches the media of a world: what goes into and out of the gateway, what the telephones hear, and what the records say of it.

import { endpointText } from '#core/net.ts'
import type { Cdr } from '#schema/cdr.ts'
import { audioOf } from '#sim/agent-media.ts'
import type { Disk } from '#sim/disk.ts'
import { GATEWAY_HOSTS, GATEWAY_NAME, MEDIA_PORT_FIRST, MEDIA_PORT_LAST } from '#sim/gateway-node.ts'
import type { EndRecord, Ledger, MediaRecord } from '#sim/ledger.ts'
import type { SipText } from '#sim/sip-text.ts'
import type { LegTimes, SwitchChecker } from '#sim/switch-checker.ts'
import type { WireEvent, WireObserver } from '#sim/wire.ts'
import type { World } from '#sim/world.ts'

/** From the BYE to the last packet, where nothing delays the word to the gateway, and where it may never come. */
const GRACE_MS = 3_000
const GRACE_ILL_MS = 200_000
/** Two ends that talk hear each other within this, and the first and last packet are no further from answer and end. */
const HEARING_MS = 3_000
const SPAN_MS = 4_000
/** How long a description may be with the gateway: the patience with each of a few commands. */
const DESCRIBING_MS = 5_000
/** Calls shorter than this prove nothing. */
const TALK_MIN_MS = 6_000
/** Packets that came before the gateway knew what to do with them, or after. */
const PACKETS_SLACK = 6

/** A pair of ports of the gateway: RTP's, and RTCP's above. */
interface Pair {
  /** Legs that it was described to, by Call-ID. */
  readonly legs: Set<string>
  /** Who has sent to it, as endpoint texts. */
  readonly sources: Set<string>
  relayed: boolean
}

/** A leg of the switch's. */
interface Leg {
  /** Where its far side wants media, and the hosts that it signals from. */
  readonly remotes: Set<string>
  readonly hosts: Set<string>
  /** First and last packet sent to it after the answer; −1 for none. */
  firstMs: number
  lastMs: number
  /** RTP packets that reached the gateway for it. */
  received: number
}

export class MediaChecker implements WireObserver {
  /** RTP packets that the gateway sent. */
  relayed = 0
  readonly #world: World
  readonly #ledger: Ledger
  readonly #calls: SwitchChecker
  readonly #isHealthy: boolean
  readonly #pairs = new Map<number, Pair>()
  /** Messages of the switch with a description that have been sent once. */
  readonly #told = new Set<string>()
  readonly #gatewayCrashesMs: number[] = []
  readonly #legs = new Map<string, Leg>()
  /** By where they want media. */
  readonly #legsAt = new Map<string, Set<string>>()
  /** Where a port sent before it was told to anybody: what the answerer says already may go to the offerer. */
  readonly #early = new Map<number, Set<string>>()
  readonly #lateTold = new Set<number>()

  constructor(world: World, ledger: Ledger, calls: SwitchChecker, isHealthy: boolean) {
    this.#world = world
    this.#ledger = ledger
    this.#calls = calls
    this.#isHealthy = isHealthy
    calls.keptMs += DESCRIBING_MS
    calls.onMessage = (message, event) => this.#onMessage(message, event)
    world.observe(this)
  }

  /** The gateway's process died: the next one gives its ports anew. */
  onGatewayCrash(): void {
    this.#gatewayCrashesMs.push(this.#world.nowMs)
    this.#pairs.clear()
    this.#early.clear()
  }

  /** RTP ports of the gateway that descriptions have told, the latest last. */
  get ports(): readonly number[] {
    return [...this.#pairs.keys()]
  }

  onWire(event: WireEvent): void {
    if (event.at !== GATEWAY_NAME || event.connection !== 0) return
    if (event.fate === 'delivered') this.#onReceived(event)
    else if (event.fate === 'sent') this.#onSent(event)
  }

  // ── what was negotiated ────────────────────────────────────────────────────────────────────────────────

  #onMessage(message: SipText, event: WireEvent): void {
    const audio = message.body === '' ? null : audioOf(message.body)
    if (audio === null) return
    const leg = this.#leg(message.callId)
    if (event.fate === 'delivered') {
      const remote = endpointText(audio.endpoint)
      leg.remotes.add(remote)
      this.#legsAt.set(remote, (this.#legsAt.get(remote) ?? new Set()).add(message.callId))
      leg.hosts.add(audio.endpoint.host).add(event.source.host)
    } else if (this.#isCopy(message)) return
    else if (GATEWAY_HOSTS.includes(audio.endpoint.host)) this.#onTold(audio.endpoint.port, message.callId)
    else this.#fault(`a description to ${endpointText(event.destination)} names ${audio.endpoint.host} for media`)
  }

  /** A retransmission tells nothing new: its gateway may have died since. */
  #isCopy({ branch, isRequest, status, toTag, sequenceMethod }: SipText): boolean {
    const key = `${branch} ${isRequest ? '' : status} ${toTag} ${sequenceMethod}`
    const isKnown = this.#told.has(key)
    this.#told.add(key)
    return isKnown
  }

  // ── the gateway's packets ──────────────────────────────────────────────────────────────────────────────

  #onReceived({ destination, source, bytes }: WireEvent): void {
    const { port } = destination
    if (!isMedia(port)) return
    const pair = this.#pairs.get(port & ~1)
    if (pair === undefined) return
    pair.sources.add(endpointText(source))
    if (port % 2 === 1 || !isRtp(bytes)) return
    for (const callId of pair.legs) this.#leg(callId).received++
  }

  #onSent({ source, destination, bytes, atMs }: WireEvent): void {
    if (!isMedia(source.port)) return
    const port = source.port & ~1
    const isRtcp = source.port % 2 === 1
    const told = this.#pairs.get(port)
    // A port of calls that have ended is somebody else's now, whom it may not have been told to yet.
    const isElsewhere = told !== undefined && !this.#mayGo(told, isRtcp, destination)
    const isSignalled = this.#legsAt.has(endpointText({ ...destination, port: destination.port - 1 }))
    const isOver = isElsewhere && (this.#isOver(told) || (isRtcp && isSignalled))
    if (isOver) this.#pairs.delete(port)
    const pair = isOver ? undefined : told
    if (pair === undefined) this.#onSentEarly(port, isRtcp, destination)
    else if (!this.#mayGo(pair, isRtcp, destination)) {
      this.#fault(`media from port ${source.port} to ${endpointText(destination)}, which nobody negotiated`)
    }
    if (pair === undefined || !isRtp(bytes)) return
    this.relayed++
    pair.relayed = true
    this.#checkEnded(port, pair, atMs)
    for (const callId of pair.legs) {
      const times = this.#calls.legs.get(callId)
      const leg = this.#leg(callId)
      if (times === undefined || (times.answeredMs < 0 && times.acceptedMs < 0)) continue
      if (leg.firstMs < 0) leg.firstMs = atMs
      leg.lastMs = atMs
    }
  }

  #isOver({ legs }: Pair): boolean {
    return [...legs].every((callId) => (this.#calls.legs.get(callId)?.endedMs ?? -1) >= 0)
  }

  #onTold(port: number, callId: string): void {
    this.#pair(port).legs.add(callId)
    for (const remote of this.#early.get(port) ?? []) {
      if (this.#leg(callId).remotes.has(remote)) continue
      this.#fault(`port ${port} was told to ${callId} after it had sent to ${remote}, which is not of that leg`)
    }
    this.#early.delete(port)
  }

  #onSentEarly(port: number, isRtcp: boolean, to: WireEvent['destination']): void {
    const remote = endpointText(isRtcp ? { ...to, port: to.port - 1 } : to)
    if (!this.#legsAt.has(remote)) {
      this.#fault(`media from port ${port}, which nobody was told, to ${remote}, which nobody negotiated`)
    }
    this.#early.set(port, (this.#early.get(port) ?? new Set()).add(remote))
  }

  /** Negotiated, or learned from a host that the leg described or signals from (RFC 7362 §4). */
  #mayGo(pair: Pair, isRtcp: boolean, to: WireEvent['destination']): boolean {
    const exact = endpointText(to)
    const below = endpointText({ ...to, port: to.port - 1 })
    for (const callId of pair.legs) {
      const { remotes, hosts } = this.#leg(callId)
      if (remotes.has(exact) || (isRtcp && remotes.has(below))) return true
      if (!hosts.has(to.host)) continue
      if (pair.sources.has(exact) || (isRtcp && pair.sources.has(below))) return true
    }
    return false
  }

  #checkEnded(port: number, pair: Pair, atMs: number): void {
    let endedMs = -1
    for (const callId of pair.legs) {
      const times = this.#calls.legs.get(callId)
      if (times === undefined) return
      // A branch that was never answered says nothing.
      if (times.endedMs < 0 && (times.answeredMs >= 0 || times.acceptedMs >= 0)) return
      endedMs = Math.max(endedMs, times.endedMs)
    }
    const graceMs = this.#isHealthy ? GRACE_MS : GRACE_ILL_MS
    if (endedMs < 0 || atMs - endedMs <= graceMs || this.#lateTold.has(port)) return
    this.#lateTold.add(port)
    this.#fault(`port ${port} still relays ${(atMs - endedMs).toFixed(0)} ms after the end of its call`)
  }

  // ── at the end ─────────────────────────────────────────────────────────────────────────────────────────

  finish(disk: Disk): void {
    this.#checkHeard()
    if (!this.#isHealthy) return
    this.#checkTalks()
    this.#checkRecords(disk)
  }

  /** Whoever is heard is the other side of one's own call, or oneself where an echo was asked for. */
  #checkHeard(): void {
    for (const end of this.#ledger.ends) {
      for (const key of end.media?.heard.keys() ?? []) {
        const [mark = '', host = ''] = key.split(' ')
        const other = this.#ledger.ends[Number(mark) - 1]
        if (!GATEWAY_HOSTS.includes(host)) this.#fault(`${nameOf(end)} hears media from ${host}`)
        if (other === undefined) this.#fault(`${nameOf(end)} hears a stranger: ${mark}`)
        else if (this.#isGivenAnew(end) || this.#isGivenAnew(other)) continue
        else if (!mayHear(end, other)) this.#fault(`${nameOf(end)} hears ${nameOf(other)}`)
      }
    }
  }

  /**
   * A gateway that was started again may give the port that an end still sends to to another stream; when that one faces the same
   * host, as with two calls of one carrier, it cannot tell them apart until the right one sends (RFC 7362 §4).
   */
  #isGivenAnew(end: EndRecord): boolean {
    return this.#gatewayCrashesMs.some((atMs) => atMs >= end.startedMs && atMs <= end.endedMs)
  }

  #checkTalks(): void {
    const callees = Map.groupBy(this.#ledger.ends.filter(isTalk), ({ key, role }) => (role === 'callee' ? key : ''))
    for (const caller of this.#ledger.ends) {
      if (caller.role !== 'caller' || !isTalk(caller)) continue
      const { media } = caller
      const heardUntilMs = media.heldMs >= 0 ? Math.min(caller.endedMs, media.heldMs) : caller.endedMs
      if (media.isEcho) this.#checkHears(caller, caller, caller.answeredMs, heardUntilMs)
      // Of telephones that answered at once, all but one were hung up on.
      const others = caller.key === '' ? [] : (callees.get(caller.key) ?? [])
      const [callee] = others
      if (callee === undefined || others.length !== 1 || !isTalk(callee)) continue
      const fromMs = Math.max(caller.answeredMs, callee.answeredMs)
      const heldMs = [media.heldMs, callee.media.heldMs].filter((atMs) => atMs >= 0)
      // One offer goes to all telephones of a call, in the caller's address family.
      if (media.family !== callee.media.family) continue
      const untilMs = Math.min(caller.endedMs, callee.endedMs, ...heldMs)
      this.#checkHears(caller, callee, fromMs, untilMs)
      this.#checkHears(callee, caller, fromMs, untilMs)
    }
  }

  #checkHears(end: EndRecord, other: EndRecord, fromMs: number, untilMs: number): void {
    if (untilMs - fromMs < HEARING_MS + 500 || (end.media?.heldMs ?? -1) === 0) return
    const mark = `${other.media?.number} `
    const heard = [...(end.media?.heard ?? [])].filter(([key]) => key.startsWith(mark)).map(([, one]) => one.firstMs)
    if (Math.min(...heard) <= fromMs + HEARING_MS) return
    this.#fault(`${nameOf(end)} does not hear ${nameOf(other)} within ${HEARING_MS} ms`)
  }

  #checkRecords(disk: Disk): void {
    const ends = new Map(this.#ledger.ends.map((end) => [end.callId, end]))
    for (const name of disk.names('cdr')) {
      for (const line of disk.lines(name)) {
        const record = JSON.parse(line) as Cdr
        if (record.type === 'STOP') this.#checkRecord(record, ends)
      }
    }
  }

  #checkRecord(record: Cdr, ends: ReadonlyMap<string, EndRecord>): void {
    const durationMs = record.durationMs ?? 0
    if (durationMs < TALK_MIN_MS) return
    const times = record.legs.map(({ callId }) => this.#calls.legs.get(callId)).filter((one) => one !== undefined)
    const involved = record.legs.map(({ callId }) => ends.get(callId)).filter((end) => end !== undefined)
    const spoken = involved.filter(isTalk)
    // A leg with two calls after another, or with ends that fell silent, would mix.
    if (spoken.length === 0 || spoken.length < involved.length || !times.every(isPlain)) return
    const legs = record.legs.map(({ callId }) => this.#leg(callId))
    if (new Set(spoken.map(({ media }) => media.family)).size === 1) this.#checkSpan(record, legs, spoken, durationMs)
    this.#checkFacts(record, spoken)
  }

  #checkSpan(record: Cdr, legs: readonly Leg[], spoken: readonly Talk[], durationMs: number): void {
    const endedMs = Math.min(...spoken.map((end) => end.endedMs))
    const lastSentMs = Math.max(...spoken.map(({ media }) => media.lastSentMs))
    if (lastSentMs < endedMs - HEARING_MS) return // Both were on hold.
    if (spoken.some(({ media }) => media.isEcho && media.heldMs >= 0)) return // An echo on hold sends nothing back.
    const firstMs = Math.min(...legs.map((leg) => leg.firstMs).filter((atMs) => atMs >= 0))
    const lastMs = Math.max(...legs.map((leg) => leg.lastMs))
    const spanMs = lastMs - firstMs
    if (spanMs >= durationMs - SPAN_MS && spanMs <= durationMs + SPAN_MS) return
    this.#fault(`call ${record.callId} lasted ${durationMs} ms in its STOP, and its media ${spanMs.toFixed(0)} ms`)
  }

  #checkFacts(record: Cdr, spoken: readonly Talk[]): void {
    const { media } = record
    const name = `the STOP of call ${record.callId}`
    if (media === null || (media.caller === null && media.callee === null)) {
      this.#fault(`${name} has no media facts`)
      return
    }
    for (const end of spoken) {
      const facts = media[end.role]
      const { received } = this.#leg(end.callId)
      // Telephones that rang beside it spoke to the same port of the gateway.
      const beside = this.#ledger.ends.filter(({ key, role }) => key === end.key && role === end.role)
      const receivedMax = beside.reduce((sum, { callId }) => sum + this.#leg(callId).received, 0)
      if (facts === null) {
        this.#fault(`${name} has no media facts of the ${end.role}`)
        continue
      }
      // What came while its sender had been asked to be silent is not counted.
      const leastMin = end.media.heldMs >= 0 ? 0 : Math.min(received, end.media.sent) - PACKETS_SLACK
      const isPlausible =
        facts.packets <= Math.max(received, receivedMax) && facts.packets >= leastMin && facts.lost <= PACKETS_SLACK
      if (isPlausible && (facts.packets === 0 || /^PCM[UA]$/.test(facts.codec))) continue
      this.#fault(
        `${name} says ${JSON.stringify(facts)} of the ${end.role}, who sent ${end.media.sent}, ${received} arrived`,
      )
    }
  }

  // ── parts ──────────────────────────────────────────────────────────────────────────────────────────────

  #pair(port: number): Pair {
    let pair = this.#pairs.get(port)
    if (pair === undefined) {
      pair = { legs: new Set(), sources: new Set(), relayed: false }
      this.#pairs.set(port, pair)
    }
    return pair
  }

  #leg(callId: string): Leg {
    let leg = this.#legs.get(callId)
    if (leg === undefined) {
      leg = { remotes: new Set(), hosts: new Set(), firstMs: -1, lastMs: -1, received: 0 }
      this.#legs.set(callId, leg)
    }
    return leg
  }

  #fault(what: string): void {
    this.#world.violation(`media: ${what}`)
  }
}

/** An end that was up, with media. */
type Talk = EndRecord & { readonly media: MediaRecord }

function isTalk(end: EndRecord): end is Talk {
  return end.media !== null && end.answeredMs >= 0 && end.endedMs >= 0 && end.how !== 'crash'
}

function isPlain(times: LegTimes): boolean {
  return !times.crashed && !times.cutOff && times.endedMs >= 0
}

function mayHear(end: EndRecord, other: EndRecord): boolean {
  if (end.media?.isEcho === true) return end === other
  // A callee without a description never learned whose call it was.
  const isKnown = end.key !== '' && other.key !== ''
  if (end !== other && (!isKnown || (end.key === other.key && end.role !== other.role))) return true
  // The port of a call that died with its telephone may be given to another.
  return other.agent === end.agent && other.how === 'crash'
}

function nameOf({ agent, role, callId, startedMs }: EndRecord): string {
  return `${agent} (${role} of ${callId}, begun at ${startedMs.toFixed(0)} ms)`
}

function isMedia(port: number): boolean {
  return port >= MEDIA_PORT_FIRST && port <= MEDIA_PORT_LAST
}

/** RFC 5761 §4. */
function isRtp(bytes: Uint8Array): boolean {
  const second = bytes[1] ?? 0
  return bytes.length >= 12 && (bytes[0] ?? 0) >> 6 === 2 && (second < 192 || second > 223)
}
