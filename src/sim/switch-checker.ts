// Watches every message that goes into and comes out of a switch, and says what no switch may do.

import { endpointText } from '#core/net.ts'
import { latin1 } from '#sim/agent-wire.ts'
import { ECHO_NUMBER } from '#sim/call-end.ts'
import { hostOf, parameter, SipText, uriOf } from '#sim/sip-text.ts'
import type { WireEvent, WireObserver } from '#sim/wire.ts'
import type { World } from '#sim/world.ts'
import { checkRequest, checkResponse } from '#sip/check.ts'
import { ParseProblem, parseMessage, Request, Response } from '#sip/message.ts'

/** What agents mint begins so; the switch mints no capital letters. */
const MARK = /(?<![\w-])(?:z9hG4bK)?Zq(\d+)x/g
const ADDRESS = /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])|2001:db8:[0-9a-f:]+/g
/** How long after a 2xx its ACK may be missing before the call must have been ended (64 × T1). */
const LIFETIME_MS = 32_000
/** How long a message may wait for a new connection. */
const CONNECT_MS = 5_000

/** How long after it came to rest a call may not be written down yet. */
const KEPT_MS = 60

/** Who an agent is on the wire. */
export interface KnownAgent {
  readonly index: number
  readonly host: string
  /** Its own address and those of the NATs before it. */
  readonly addresses: readonly string[]
}

interface Asked {
  readonly source: string
  /** Where copies of it came from. */
  readonly sources: Set<string>
  readonly connection: number
  readonly method: string
  readonly callId: string
  readonly text: string
  readonly atMs: number
  readonly finals: Set<string>
  /** Outside of a dialog. */
  readonly initial: boolean
}

/** An INVITE of the switch's: when it was sent, first answered at all, and cancelled; −1 for never. */
interface Invited {
  readonly sentMs: number
  heardMs: number
  cancelledMs: number
}

/** A binding that a phone was told of: until when it holds, and the connection that its registration came on. */
interface Told {
  readonly untilMs: number
  readonly connection: number
}

/** A request that the switch made of one it was asked: the other side may stay silent. */
interface Relayed {
  readonly method: string
  readonly sentMs: number
  answered: boolean
}

interface Answered {
  readonly connection: number
  readonly atMs: number
  readonly text: string
  done: boolean
}

/** When a leg of the switch's was answered and ended, by Call-ID: what CDRs are compared with. */
export interface LegTimes {
  answeredMs: number
  /** When the 2xx of its far side came in: earlier than `answeredMs` of the caller's leg while a PRACK is awaited. */
  acceptedMs: number
  endedMs: number
  /**
   * How long its BYE may have waited before it was on the wire: for a new connection to open, when it was among the first
   * messages there, and for the ACK to our 2xx (RFC 3261 §15), when that never came.
   */
  heldMs: number
  /** When the caller's ACK came, over a way that needs no connection: the call was at rest. */
  atRestMs: number
  /** When the ACK of its first 2xx came. */
  ackedMs: number
  /** The switch died while the leg was known. */
  crashed: boolean
  /** It was at rest then, and the disk kept what the switch had written: the next process goes on with it. */
  resumed: boolean
  /** The connection of its INVITE ended: what the switch had to send over it never was on the wire. */
  cutOff: boolean
  refused: number
}

/** Requests within a dialog that the other side of the call answers. */
const RELAYED: ReadonlySet<string> = new Set(['UPDATE', 'PRACK', 'INFO', 'MESSAGE'])

export class SwitchChecker implements WireObserver {
  readonly legs = new Map<string, LegTimes>()
  messages = 0
  readonly #world: World
  readonly #machine: string
  readonly #ownHost: string
  readonly #agents = new Map<number, KnownAgent>()
  /** Addresses that only these agents may see. */
  readonly #owners = new Map<string, Set<number>>()
  /** Which agents were heard from at an endpoint or on a connection. A NAT gives a port that was idle to another one. */
  readonly #heard = new Map<string, Set<number>>()
  /** Hosts whose messages are rubbish on purpose. */
  readonly #strangers = new Set<string>()
  readonly #asked = new Map<string, Asked>()
  /** 2xx of ours without ACK, by Call-ID and To tag. */
  readonly #accepted = new Map<string, Answered>()
  /** 2xx that came to us and have no ACK of ours, by Call-ID, To tag and CSeq. */
  readonly #toAcknowledge = new Map<string, Answered>()
  /** INVITEs that this process of the switch has sent, by branch: only it can know the answers. */
  readonly #invited = new Map<string, Invited>()
  /** Requests that this process of the switch has passed on, by branch. */
  readonly #relayed = new Map<string, Relayed>()
  readonly #streams = new Map<string, string>()
  /** When the switch sent something on a connection for the first time. */
  readonly #usedSinceMs = new Map<number, number>()
  readonly #closedConnections = new Set<number>()
  /** By address of record and contact, as last told to a phone. */
  readonly #bound = new Map<string, Map<string, Told>>()
  /** Addresses of record whose bindings must be found again after a crash. */
  readonly #unproven = new Set<string>()
  bindingsProven = 0
  /** From the last message of an exchange until the call is kept; longer where its description goes to a gateway first. */
  keptMs = KEPT_MS
  /** Sees each SIP message that is not of a stranger, and its packet. */
  onMessage: ((message: SipText, event: WireEvent) => void) | null = null

  constructor(world: World, machine: string, ownHost: string) {
    this.#world = world
    this.#machine = machine
    this.#ownHost = ownHost
    world.observe(this)
  }

  know(agent: KnownAgent): void {
    this.#agents.set(agent.index, agent)
    for (const address of agent.addresses) {
      const owners = this.#owners.get(address) ?? new Set()
      owners.add(agent.index)
      this.#owners.set(address, owners)
    }
  }

  knowStranger(host: string): void {
    this.#strangers.add(host)
  }

  /** The switch's process died: what it owed it owes no more; what it had stored it must still have. */
  onCrash(power: boolean): void {
    for (const { method, finals, callId } of this.#asked.values()) {
      if (method === 'INVITE' && finals.size === 0) this.#leg(callId).crashed = true
    }
    this.#asked.clear()
    this.#accepted.clear()
    this.#toAcknowledge.clear()
    this.#invited.clear()
    this.#relayed.clear()
    this.#streams.clear()
    for (const leg of this.legs.values()) {
      if (leg.endedMs >= 0) continue
      // What an earlier crash lost stays lost.
      const wasKept = !leg.crashed || leg.resumed
      leg.crashed = true
      leg.resumed = wasKept && leg.atRestMs >= 0 && this.#world.nowMs - leg.atRestMs > this.keptMs && !power
    }
    this.#unproven.clear()
    if (power) this.#bound.clear()
    for (const [address, told] of this.#bound) {
      for (const [uri, { connection }] of told) if (this.#endedWith(uri, connection)) told.delete(uri)
      this.#unproven.add(address)
    }
  }

  /** Expiries stand on the disk in wall time: what an earlier process stored may be too old now. */
  onClockStep(): void {
    this.#unproven.clear()
  }

  onWire(event: WireEvent): void {
    if (event.fate === 'closed') this.#onClosed(event)
    if (event.at !== this.#machine || (event.fate !== 'sent' && event.fate !== 'delivered')) return
    const remote = event.fate === 'sent' ? event.destination : event.source
    const place = event.connection === 0 ? endpointText(remote) : `connection ${event.connection}`
    if (event.fate === 'sent' && !this.#usedSinceMs.has(event.connection)) {
      this.#usedSinceMs.set(event.connection, event.atMs)
    }
    const isFirst = event.connection !== 0 && event.atMs === this.#usedSinceMs.get(event.connection)
    for (const text of this.#messagesIn(event)) {
      this.messages++
      if (this.#strangers.has(remote.host)) continue
      const message = SipText.parse(text)
      if (typeof message !== 'string') this.onMessage?.(message, event)
      if (event.fate === 'delivered') {
        if (typeof message !== 'string') this.#onReceived(message, text, place, event)
      } else if (typeof message === 'string') this.#fault(`sent what no strict reader reads: ${message}`, text)
      else this.#onSent(message, text, place, event, isFirst)
    }
  }

  /** At idle: whatever is still owed. `healthy`: nothing in this world cuts anybody off. */
  finish(healthy: boolean): void {
    const nowMs = this.#world.nowMs
    for (const asked of this.#asked.values()) {
      if (asked.finals.size > 0 || asked.method === 'ACK' || this.#closedConnections.has(asked.connection)) continue
      if (!healthy && this.#wasSilent(asked)) continue
      this.#fault(
        `owes a final response to the ${asked.method} of ${asked.atMs.toFixed(0)} ms from ${asked.source}`,
        asked.text,
      )
    }
    for (const answered of this.#accepted.values()) {
      // Whom the broken connection led to may be unreachable; the BYE was not even on the wire then.
      if (this.#closedConnections.has(answered.connection)) continue
      if (!answered.done && nowMs - answered.atMs > LIFETIME_MS)
        this.#fault(`owes a BYE: its 2xx of ${answered.atMs.toFixed(0)} ms got no ACK`, answered.text)
    }
    for (const answered of this.#toAcknowledge.values()) {
      // An ACK on a broken connection was never on the wire.
      const isCutOff = this.#closedConnections.has(answered.connection)
      if (!answered.done && !isCutOff)
        this.#fault(`owes an ACK for the 2xx of ${answered.atMs.toFixed(0)} ms`, answered.text)
    }
  }

  #onClosed(event: WireEvent): void {
    this.#closedConnections.add(event.connection)
    for (const { method, connection, callId } of this.#asked.values()) {
      if (method === 'INVITE' && connection === event.connection) this.#leg(callId).cutOff = true
    }
  }

  /** RFC 5626 §5.3: whom nothing but a connection reaches, as behind a NAT, is bound no longer than the connection lives. */
  #endedWith(uri: string, connection: number): boolean {
    if (!this.#closedConnections.has(connection)) return false
    const [agent] = this.#heard.get(`connection ${connection}`) ?? []
    return agent !== undefined && (this.#agents.get(agent)?.addresses.length ?? 0) > 1 && uri.includes(`Zq${agent}x`)
  }

  /**
   * RFC 4320 §4.2: when the far side stays silent, a 408 to anything but INVITE must not be sent. An UPDATE for a side that
   * knows none is passed on as a re-INVITE.
   */
  #wasSilent({ method, atMs }: Asked): boolean {
    return this.#relayed.values().some((relayed) => {
      const afterMs = relayed.sentMs - atMs
      if (relayed.answered || afterMs < 0 || afterMs > LIFETIME_MS) return false
      return relayed.method === method || (method === 'UPDATE' && relayed.method === 'INVITE')
    })
  }

  // ── in ─────────────────────────────────────────────────────────────────────────────────────────────────

  #onReceived(message: SipText, text: string, place: string, event: WireEvent): void {
    const mark = /Zq(\d+)x/.exec(message.isRequest ? message.branch : `${message.toTag} ${message.get('contact')}`)
    if (mark !== null) {
      const heard = this.#heard.get(place) ?? new Set()
      heard.add(Number(mark[1]))
      this.#heard.set(place, heard)
    }
    if (message.isRequest) {
      this.#onRequestReceived(message, text, place, event)
      return
    }
    const relayed = this.#relayed.get(message.branch)
    if (relayed !== undefined && message.status >= 200 && this.#world.nowMs - relayed.sentMs < LIFETIME_MS) {
      relayed.answered = true
    }
    const invited = this.#invited.get(message.branch)
    if (message.sequenceMethod !== 'INVITE' || invited === undefined) return
    const nowMs = this.#world.nowMs
    if (invited.heardMs < 0) invited.heardMs = nowMs
    // Timer B, and its like after CANCEL (§9.1), end the transaction; what comes later belongs to none (RFC 6026 §8.7).
    const isLate = invited.heardMs - invited.sentMs >= LIFETIME_MS
    const isForgotten = invited.cancelledMs >= 0 && nowMs - invited.cancelledMs >= LIFETIME_MS
    if (message.status < 200 || message.status >= 300 || isLate || isForgotten) return
    const leg = this.#leg(message.callId)
    if (leg.acceptedMs < 0) leg.acceptedMs = nowMs
    const key = `${message.callId} ${message.toTag} ${message.sequence}`
    if (!this.#toAcknowledge.has(key))
      this.#toAcknowledge.set(key, { connection: event.connection, atMs: this.#world.nowMs, text, done: false })
  }

  #onRequestReceived(message: SipText, text: string, place: string, event: WireEvent): void {
    const { method } = message
    if (method === 'ACK') {
      const answered = this.#accepted.get(`${message.callId} ${message.toTag}`)
      if (answered === undefined) return
      answered.done = true
      const leg = this.#leg(message.callId)
      if (leg.ackedMs < 0) leg.ackedMs = this.#world.nowMs
      if (event.connection === 0 && leg.answeredMs >= 0 && leg.atRestMs < 0) leg.atRestMs = this.#world.nowMs
      return
    }
    if (method === 'BYE') {
      this.#ended(message.callId)
      const answered = this.#accepted.get(`${message.callId} ${message.toTag}`)
      if (answered !== undefined) answered.done = true
      // Who hangs up on a 2xx of its own before the ACK waits for none any more.
      for (const [key, owed] of this.#toAcknowledge) {
        if (key.startsWith(`${message.callId} ${message.fromTag} `)) owed.done = true
      }
    }
    const key = transactionOf(message)
    const known = this.#asked.get(key)
    if (known !== undefined) {
      known.sources.add(place) // A copy may come through another mapping of the same NAT.
      return
    }
    const { connection } = event
    this.#asked.set(key, {
      source: place,
      sources: new Set([place]),
      connection,
      method,
      callId: message.callId,
      text,
      atMs: this.#world.nowMs,
      finals: new Set(),
      initial: message.toTag === '',
    })
  }

  // ── out ────────────────────────────────────────────────────────────────────────────────────────────────

  #onSent(message: SipText, text: string, place: string, event: WireEvent, isFirst: boolean): void {
    const problems = message.problems()
    if (problems.length > 0) this.#fault(`sent a message with ${problems.join(', ')}`, text)
    this.#reparse(text)
    this.#checkLeaks(message, text, place, event)
    const vias = message.all('via').filter((via) => hostOf(`sip:${via.split(/\s+/)[1] ?? ''}`).host === this.#ownHost)
    if (vias.length > 1) this.#fault('sent a request that passed it before', text)
    if (message.isRequest) this.#onRequestSent(message, isFirst)
    else this.#onResponseSent(message, text, place)
  }

  #onRequestSent(message: SipText, isFirst: boolean): void {
    const invited = this.#invited.get(message.branch)
    const isWithin = RELAYED.has(message.method) || (message.method === 'INVITE' && message.toTag !== '')
    if (isWithin && !this.#relayed.has(message.branch)) {
      this.#relayed.set(message.branch, { method: message.method, sentMs: this.#world.nowMs, answered: false })
    }
    if (message.method === 'INVITE') {
      if (invited === undefined) {
        this.#invited.set(message.branch, { sentMs: this.#world.nowMs, heardMs: -1, cancelledMs: -1 })
      }
    } else if (message.method === 'CANCEL') {
      if (invited !== undefined && invited.cancelledMs < 0) invited.cancelledMs = this.#world.nowMs
    } else if (message.method === 'ACK') {
      const answered = this.#toAcknowledge.get(`${message.callId} ${message.toTag} ${message.sequence}`)
      if (answered !== undefined) answered.done = true
    } else if (message.method === 'BYE') {
      const leg = this.#leg(message.callId)
      const answered = this.#accepted.get(`${message.callId} ${message.fromTag}`)
      if (leg.endedMs < 0 && isFirst) leg.heldMs = CONNECT_MS
      if (leg.endedMs < 0 && answered?.done === false) leg.heldMs += LIFETIME_MS
      // It went out when the ACK came: it may have waited for that since the 2xx.
      if (leg.endedMs < 0 && leg.ackedMs === this.#world.nowMs) leg.heldMs += leg.ackedMs - leg.answeredMs
      this.#ended(message.callId)
      if (answered !== undefined) answered.done = true
    }
  }

  #onResponseSent(message: SipText, text: string, place: string): void {
    const asked = this.#asked.get(transactionOf(message))
    if (asked === undefined) {
      this.#fault(`sent a response that nobody asked for to ${place}`, text)
      return
    }
    const moved = asked.connection !== 0 && this.#closedConnections.has(asked.connection)
    if (!asked.sources.has(place) && !moved)
      this.#fault(`sent a response to ${place}; the request came from ${asked.source}`, text)
    if (message.status < 200) return
    if (asked.method === 'BYE' && message.status === 481) this.#notEnded(asked)
    // §8.2.7: nothing is kept of a request for no dialog; a copy of it may find the one that a 2xx has made since.
    if (asked.finals.has(`481/${message.toTag}`) && (this.legs.get(message.callId)?.acceptedMs ?? -1) >= asked.atMs) {
      asked.finals.clear()
    }
    asked.finals.add(`${message.status}/${message.toTag}`)
    if (asked.finals.size > 1)
      this.#fault(`answered one ${asked.method} in two ways: ${[...asked.finals].join(' and ')}`, text)
    if (asked.method === 'REGISTER' && message.status === 200) this.#onRegistered(message, text, asked)
    if (asked.method !== 'INVITE') return
    const leg = this.#leg(message.callId)
    if (message.status >= 300) {
      if (asked.initial) leg.refused = message.status
      return
    }
    if (asked.initial && leg.answeredMs < 0) leg.answeredMs = this.#world.nowMs
    const key = `${message.callId} ${message.toTag}`
    if (!this.#accepted.has(key))
      this.#accepted.set(key, { connection: asked.connection, atMs: this.#world.nowMs, text, done: leg.endedMs >= 0 })
  }

  /** RFC 3261 §10.3 step 8: the 200 lists all bindings. After a crash the list still has every one that had been told. */
  #onRegistered(message: SipText, text: string, asked: Asked): void {
    const address = uriOf(message.get('to'))
    const nowMs = this.#world.nowMs
    const isChange = /\r\n(contact|m) *:/i.test(asked.text)
    const asker = /Zq(\d+)x/.exec(message.callId)?.[1]
    const before = this.#bound.get(address)
    const told = new Map<string, Told>()
    for (const contact of message.all('contact')) {
      const uri = uriOf(contact)
      const isOwn = isChange && uri.includes(`Zq${asker}x`)
      told.set(uri, {
        untilMs: nowMs + 1_000 * Number(/;\s*expires=(\d+)/i.exec(contact)?.[1] ?? 0),
        connection: isOwn ? asked.connection : (before?.get(uri)?.connection ?? 0),
      })
    }
    if (this.#unproven.delete(address)) {
      for (const [uri, { untilMs }] of before ?? []) {
        // A change may just have removed the phone's own binding; one that runs out now may be gone.
        if (untilMs < nowMs + 1_000 || told.has(uri)) continue
        if (!isChange || !uri.includes(`Zq${asker}x`))
          this.#fault(`forgot the binding ${uri} of ${address} in a crash`, text)
      }
      this.bindingsProven += told.size
    }
    this.#bound.set(address, told)
  }

  #reparse(text: string): void {
    const message = parseMessage(text)
    if (message instanceof ParseProblem) {
      this.#fault(`sent what its own parser refuses: ${JSON.stringify(message)}`, text)
      return
    }
    let problem: ParseProblem | null = null
    if (message instanceof Request) problem = checkRequest(message)
    else if (message instanceof Response) problem = checkResponse(message)
    if (problem !== null) this.#fault(`sent what its own check refuses: ${JSON.stringify(problem)}`, text)
  }

  /** Nothing in the headers may come from another agent than the one it goes to. Bodies are excepted. */
  #checkLeaks(message: SipText, text: string, place: string, event: WireEvent): void {
    const readers = this.#heard.get(place) ?? this.#owners.get(event.destination.host)
    if (readers === undefined || message.sequenceMethod === 'REGISTER') return
    const who = [...readers].join(', ')
    const head = text.slice(0, text.indexOf('\r\n\r\n'))
    for (const [, index] of head.matchAll(MARK)) {
      if (!readers.has(Number(index))) this.#fault(`told agent ${who} an identifier of agent ${index}`, text)
    }
    for (const [address] of head.matchAll(ADDRESS)) {
      const owners = this.#owners.get(address)
      if (owners?.isDisjointFrom(readers) === true) this.#fault(`told agent ${who} the address ${address}`, text)
    }
  }

  #ended(callId: string): void {
    const leg = this.#leg(callId)
    if (leg.endedMs < 0) leg.endedMs = this.#world.nowMs
  }

  /** A BYE that the switch knows no dialog for, such as one that overtook its own 2xx on another connection, ended nothing. */
  #notEnded(bye: Asked): void {
    const leg = this.#leg(bye.callId)
    if (leg.endedMs !== bye.atMs) return
    leg.endedMs = -1
    // What the switch itself answers, such as an echo, ends with it.
    const isServed = bye.text.includes(`\r\nTo: <sip:${ECHO_NUMBER}@`)
    if (leg.resumed && !isServed) this.#fault('forgot a call in a crash', bye.text)
  }

  #leg(callId: string): LegTimes {
    let leg = this.legs.get(callId)
    if (leg === undefined) {
      leg = {
        answeredMs: -1,
        acceptedMs: -1,
        endedMs: -1,
        heldMs: 0,
        atRestMs: -1,
        ackedMs: -1,
        crashed: false,
        resumed: false,
        cutOff: false,
        refused: 0,
      }
      this.legs.set(callId, leg)
    }
    return leg
  }

  #messagesIn(event: WireEvent): string[] {
    const text = latin1(event.bytes)
    if (event.connection === 0) return /^[A-Z]/.test(text) && text.includes('\r\n\r\n') ? [text] : []
    const key = `${event.connection} ${event.fate}`
    let rest = (this.#streams.get(key) ?? '') + text
    const messages: string[] = []
    for (;;) {
      while (rest.startsWith('\r\n')) rest = rest.slice(2)
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) break
      const size = end + 4 + Number(/\r\n(?:content-length|l)[ \t]*:[ \t]*(\d+)/i.exec(rest.slice(0, end))?.[1] ?? 0)
      if (rest.length < size) break
      messages.push(rest.slice(0, size))
      rest = rest.slice(size)
    }
    this.#streams.set(key, rest)
    return messages
  }

  #fault(what: string, text: string): void {
    this.#world.violation(`the switch ${what}\n${text}`)
  }
}

/** RFC 3261 §17.2.3. */
function transactionOf(message: SipText): string {
  const via = message.all('via')[0] ?? ''
  const sentBy = via.split(/\s+/)[1]?.split(';')[0] ?? ''
  return `${parameter(via, 'branch')} ${sentBy} ${message.sequenceMethod}`
}
