// The media of one call on a gateway: offers and answers through ng commands in order, its end, and its way to another gateway.

import { assert } from '#core/assert.ts'
import { copyString } from '#core/strings.ts'
import { mediaFactsFrom } from '#media/media-facts.ts'
import type { GatewayUser, MediaGateway } from '#media/media-gateway.ts'
import type {
  DescriptionSink,
  MediaFacts,
  MediaFailure,
  MediaFailureSink,
  MediaImage,
  MediaService,
  MediaSession,
  MediaSide,
  MediaUser,
  SessionDescription,
} from '#media/media-port.ts'
import type { NgMedia } from '#media/ng-media.ts'
import { answerCommand, calleeTag, callerTag, offerCommand, serviceCommand, sideOfTag } from '#media/ng-words.ts'
import type { NgDictionary } from '#ng/ng-value.ts'

/** Gateways that one call tries before it is given up. */
const GATEWAYS_TRIED_MAX = 3
/** Descriptions of one call that wait for their turn. */
const STEPS_MAX = 32
/** Times that one call is moved. */
const MOVES_MAX = 8

type State = 'fresh' | 'anchored' | 'endToEnd' | 'orphaned' | 'released'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  fresh: ['anchored', 'endToEnd', 'released'],
  anchored: ['fresh', 'orphaned', 'released'],
  endToEnd: ['released'],
  orphaned: ['anchored', 'released'],
  released: [],
}

/** One command of the call, in its turn. */
interface Step {
  /** Made when its turn comes: what went before decides the tags. */
  readonly command: () => NgDictionary
  readonly sink: DescriptionSink
  readonly onFailed: MediaFailureSink
  /** Whether another gateway may take it: nothing of the call is on this one. */
  readonly isFirst: boolean
}

export class NgSession implements MediaSession, GatewayUser {
  readonly #media: NgMedia
  readonly #callId: string
  readonly #user: MediaUser
  state: State = 'fresh'
  #gateway: MediaGateway | null = null
  #moves = 0
  /** Tags that the gateway has a description of. */
  readonly #seen = new Set<string>()
  /** The last description of each side, for a move; the callee's by branch until one has answered. */
  #caller: SessionDescription | null = null
  readonly #callees = new Map<number, SessionDescription>()
  /** The branch whose answer the gateway had last. */
  #answeredBy = 0
  #chosen = 0
  #steps: Step[] = []
  #isBusy = false
  #onFacts: ((media: MediaFacts | null) => void) | null = null

  constructor(media: NgMedia, callId: string, user: MediaUser) {
    this.#media = media
    this.#callId = callId
    this.#user = user
  }

  pass(description: SessionDescription, sink: DescriptionSink, onFailed: MediaFailureSink): void {
    assert(this.state !== 'released', 'a description after the end')
    const kept = { ...description, body: copyString(description.body), source: this.#sourceOf(description) }
    if (kept.side === 'caller') this.#caller = kept
    else if (this.#chosen === 0 || this.#chosen === kept.branch) this.#callees.set(kept.branch, kept)
    if (!this.#anchor()) {
      if (this.state === 'endToEnd') sink(description.body)
      else this.#fail(this.state === 'orphaned' ? 'MEDIA_GATEWAY_SILENT' : 'MEDIA_NO_GATEWAY', onFailed)
      return
    }
    this.#enqueue({ command: () => this.#commandOf(kept), sink, onFailed, isFirst: this.#isFirst })
  }

  serve(
    service: MediaService,
    room: string,
    description: SessionDescription,
    sink: DescriptionSink,
    onFailed: MediaFailureSink,
  ): void {
    assert(this.state !== 'released', 'a description after the end')
    const kept = { ...description, body: copyString(description.body), source: this.#sourceOf(description) }
    if (kept.body !== '') this.#caller = kept
    if (!this.#anchor() || this.state === 'endToEnd') {
      this.#fail('MEDIA_NO_GATEWAY', onFailed)
      return
    }
    const command = (): NgDictionary => serviceCommand(this.#ngCallId, service, room, kept)
    this.#enqueue({ command, sink, onFailed, isFirst: this.#isFirst })
  }

  choose(branch: number): void {
    if (this.state === 'released') return
    this.#chosen = branch
    const answer = this.#callees.get(branch)
    // Its answer came before another fork's: what the gateway was told last is not what counts.
    const isOverlaid = this.state === 'anchored' && answer?.role === 'answer' && this.#answeredBy !== branch
    for (const other of [...this.#callees.keys()]) if (other !== branch) this.#callees.delete(other)
    if (isOverlaid && answer !== undefined) {
      const command = (): NgDictionary => this.#commandOf(answer)
      this.#enqueue({ command, sink: () => {}, onFailed: () => {}, isFirst: false })
    }
  }

  image(): MediaImage | null {
    if (this.state !== 'anchored' && this.state !== 'orphaned') return null
    const { caller, callee } = { caller: this.last('caller'), callee: this.last('callee') }
    // Without a gateway it is on none: the next process brings it to one, and never leaves it to the two sides.
    return { gateway: this.#gateway?.name ?? '', moves: this.#moves, chosen: this.#chosen, caller, callee }
  }

  /** Goes on where an earlier process left the session: on that gateway, or, when there is none of that name, on another. */
  resume(image: MediaImage): void {
    const { moves, chosen, caller, callee } = image
    this.#moves = moves
    this.#chosen = chosen
    this.#answeredBy = chosen
    this.#caller = caller
    if (caller !== null) this.#seen.add(callerTag)
    if (callee !== null) {
      this.#callees.set(chosen, callee)
      this.#seen.add(calleeTag(chosen))
    }
    const gateway = this.#media.pool.find(image.gateway)
    if (gateway !== null) {
      this.#take(gateway)
      return
    }
    this.#enter('anchored')
    this.#enter('orphaned')
    this.#media.pool.adopt(this)
  }

  /** The call's media goes end to end: it was set up so by an earlier process. */
  stayEndToEnd(): void {
    this.#enter('endToEnd')
  }

  last(side: MediaSide): SessionDescription | null {
    return side === 'caller' ? this.#caller : (this.#callees.get(this.#chosen) ?? null)
  }

  move(): boolean {
    if (this.state !== 'orphaned' || this.#moves >= MOVES_MAX) return false
    const gateway = this.#media.pool.choose()
    if (gateway === null) return false
    this.#moves += 1
    this.#seen.clear()
    this.#take(gateway)
    return true
  }

  release(onFacts: ((media: MediaFacts | null) => void) | null): void {
    if (this.state === 'released') return
    this.#media.pool.forget(this)
    const gateway = this.#gateway
    const isAnchored = this.state === 'anchored' && gateway !== null
    this.#enter('released')
    this.#steps = []
    this.#caller = null
    this.#callees.clear()
    this.#onFacts = onFacts
    if (!isAnchored) this.#over(null)
    else if (!this.#isBusy) this.#delete(gateway)
  }

  /** The process stops: nothing is waited for. The gateway gives the call up by itself when its media ends. */
  abandon(): void {
    if (this.state !== 'released') this.#enter('released')
    this.#steps = []
    this.#over(null)
  }

  // ── What the gateway says ───────────────────────────────────────────────────────────────────────────────────

  onGatewayEvent(event: string, tag: string): void {
    if (this.state !== 'anchored') return
    if (event === 'media timeout' || event === 'call removed') {
      this.#user.onMediaTimeout(sideOfTag(tag) ?? 'caller')
    }
  }

  onForgotten(): void {
    if (this.state === 'anchored' && !this.#isBusy) this.#user.onMediaTimeout('caller')
  }

  onGatewayGone(): void {
    this.#gateway = null
    if (this.state !== 'anchored') {
      // Only its last facts were waited for.
      this.#media.pool.forget(this)
      if (this.state === 'released') this.#over(null)
      return
    }
    this.#enter('orphaned')
    const steps = this.#steps
    this.#steps = []
    for (const step of steps) this.#fail('MEDIA_GATEWAY_SILENT', step.onFailed)
  }

  onGatewayChoice(): void {
    if (this.state === 'orphaned') this.#user.onGatewayLost()
  }

  // ── Commands ────────────────────────────────────────────────────────────────────────────────────────────────

  get #ngCallId(): string {
    const name = this.#media.mark + this.#callId
    return this.#moves === 0 ? name : `${name}.${this.#moves}`
  }

  get #isFirst(): boolean {
    return this.#seen.size === 0 && this.#steps.length === 0 && !this.#isBusy
  }

  /** Makes sure that the call has a gateway. False: it has none, and goes end to end or fails. */
  #anchor(): boolean {
    if (this.state === 'anchored') return true
    if (this.state !== 'fresh') return false
    const gateway = this.#media.pool.choose()
    if (gateway !== null) {
      this.#take(gateway)
      return true
    }
    this.#media.pool.noteNone()
    if (this.#media.settings.withoutGateway === 'endToEnd') this.#enter('endToEnd')
    return false
  }

  #take(gateway: MediaGateway): void {
    this.#gateway = gateway
    this.#enter('anchored')
    gateway.add(this.#ngCallId, this)
  }

  #commandOf(description: SessionDescription): NgDictionary {
    const { side, branch, role } = description
    const callee = calleeTag(branch)
    const own = side === 'caller' ? callerTag : callee
    const other = side === 'caller' ? callee : callerTag
    if (role === 'answer' && side === 'callee') this.#answeredBy = branch
    const isKnown = this.#seen.has(other)
    this.#seen.add(own)
    if (role === 'answer') return answerCommand(this.#ngCallId, other, own, description)
    const counterpart = side === 'caller' ? this.#callees.get(branch) : this.#caller
    const policy = this.#media.settings.codecs(description.towards)
    return offerCommand(this.#ngCallId, own, isKnown ? other : null, description, counterpart?.body ?? null, policy)
  }

  #enqueue(step: Step): void {
    if (this.#steps.length >= STEPS_MAX) {
      this.#fail('MEDIA_REQUESTS_MAX', step.onFailed)
      return
    }
    this.#steps.push(step)
    if (!this.#isBusy) this.#next()
  }

  #next(): void {
    const step = this.#steps.shift()
    const gateway = this.#gateway
    if (step === undefined || gateway === null || this.state !== 'anchored') return
    this.#send(step, gateway, new Set([gateway]))
  }

  #send(step: Step, gateway: MediaGateway, tried: Set<MediaGateway>): void {
    this.#isBusy = true
    gateway.request(step.command(), {
      onReply: (reply) => this.#onReply(step, gateway, tried, reply),
      onNoReply: (reason) =>
        this.#onFailure(step, gateway, tried, reason === 'inFlightMax' ? 'MEDIA_REQUESTS_MAX' : 'MEDIA_GATEWAY_SILENT'),
    })
  }

  #onReply(step: Step, gateway: MediaGateway, tried: Set<MediaGateway>, reply: NgDictionary): void {
    const { result, sdp } = reply
    if (result === 'ok' && typeof sdp === 'string') {
      this.#settle(gateway, () => step.sink(this.#moves === 0 ? sdp : laterVersion(sdp, this.#moves)))
      return
    }
    if (result === 'ok') {
      this.#settle(gateway, () => step.sink(''))
      return
    }
    const isFull = result === 'load limit' || isOutOfRoom(reply)
    if (isFull) gateway.noteFull()
    const why = String(reply['error-reason'] ?? result ?? '')
    this.#media.log.event('warn', 'MEDIA_GATEWAY_REFUSED', { callId: this.#callId, gateway: gateway.name, why })
    this.#onFailure(step, gateway, tried, isFull ? 'MEDIA_NO_GATEWAY' : 'MEDIA_GATEWAY_REFUSED')
  }

  /** A first description goes to another gateway, unless this one understood it and would not have it. */
  #onFailure(step: Step, gateway: MediaGateway, tried: Set<MediaGateway>, failure: MediaFailure): void {
    if (this.state === 'released' || this.state === 'orphaned' || this.#gateway !== gateway) {
      this.#settle(gateway, () => this.#fail(failure, step.onFailed))
      return
    }
    const mayTryOther = step.isFirst && failure !== 'MEDIA_GATEWAY_REFUSED' && tried.size < GATEWAYS_TRIED_MAX
    const other = mayTryOther ? this.#media.pool.choose(tried) : null
    if (other !== null) {
      // Should the silent one have taken it, it gives a call without media up by itself.
      this.#gateway = null
      gateway.remove(this.#ngCallId)
      this.#enter('fresh')
      this.#seen.clear()
      this.#take(other)
      tried.add(other)
      this.#send(step, other, tried)
      return
    }
    if (step.isFirst) this.#seen.clear()
    this.#settle(gateway, () => this.#fail(failure, step.onFailed))
  }

  /** The command under way is done: its outcome goes to the call, unless that has ended, and the next has its turn. */
  #settle(gateway: MediaGateway, give: () => void): void {
    this.#isBusy = false
    if (this.state === 'released') {
      if (this.#gateway === gateway) this.#delete(gateway)
      else this.#over(null)
      return
    }
    give()
    if (!this.#isBusy) this.#next()
  }

  #fail(failure: MediaFailure, onFailed: MediaFailureSink): void {
    this.#media.noteFailure(failure)
    onFailed(failure)
  }

  #delete(gateway: MediaGateway): void {
    this.#isBusy = true
    const callId = this.#ngCallId
    const end = (known: MediaFacts | null): void =>
      gateway.request(
        { command: 'delete', 'call-id': callId, 'delete-delay': 0 },
        {
          onReply: (reply) => this.#over(mediaFactsFrom(reply, (tag) => this.#sideOf(tag)) ?? known),
          onNoReply: () => this.#over(known),
        },
      )
    if (this.#onFacts === null || gateway.tellsAtDelete) {
      end(null)
      return
    }
    gateway.request(
      { command: 'query', 'call-id': callId },
      { onReply: (reply) => end(mediaFactsFrom(reply, (tag) => this.#sideOf(tag))), onNoReply: () => end(null) },
    )
  }

  #over(media: MediaFacts | null): void {
    this.#gateway?.remove(this.#ngCallId)
    this.#gateway = null
    const onFacts = this.#onFacts
    this.#onFacts = null
    this.#media.onSessionOver(this)
    onFacts?.(media)
  }

  /** Whose tag it is; null for a branch that did not answer the call. */
  #sideOf(tag: string): MediaSide | null {
    const isOther = this.#chosen > 0 && tag !== callerTag && tag !== calleeTag(this.#chosen)
    return isOther ? null : sideOfTag(tag)
  }

  /** The host that the side signals from: as it was last known where a message does not tell. */
  #sourceOf(description: SessionDescription): string | null {
    const before = description.side === 'caller' ? this.#caller : this.#callees.get(description.branch)
    return description.source ?? before?.source ?? null
  }

  #enter(next: State): void {
    assert(NEXT[this.state].includes(next), `media session ${this.state} -> ${next}`)
    this.state = next
  }
}

/** Errors that speak of the gateway and not of the description: by code from our own kind, in words from rtpengine. */
const OUT_OF_ROOM = /^MEDIA_(?:CALLS_MAX|COMMANDS_MAX|PORTS_EXHAUSTED|OPEN_FAILED|PLANE_SILENT)$/

function isOutOfRoom(reply: NgDictionary): boolean {
  return (
    OUT_OF_ROOM.test(String(reply['error-code'] ?? '')) || /out of ports/i.test(String(reply['error-reason'] ?? ''))
  )
}

/** Apart from what any gateway counts to in a call. */
const VERSION_STEP = 100_000n

/**
 * RFC 3264 §8: a description that differs has a higher version. A gateway that takes a call over does not know how far the
 * one before it has counted.
 */
function laterVersion(sdp: string, moves: number): string {
  return sdp.replace(/^(o=\S+ \S+ )(\d{1,18}) /m, (_line, begin: string, version: string) => {
    return `${begin}${BigInt(version) + BigInt(moves) * VERSION_STEP} `
  })
}
