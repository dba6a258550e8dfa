// A call as a gateway knows it: its parties by tag, branch and label, and the commands for it in their order.

import { assert } from '#core/assert.ts'
import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { ControlStream, OpenProblem, StreamReport } from '#gateway/control-streams.ts'
import { Party, type PartyMedia, type PartyOwner } from '#gateway/party.ts'

/** Branches of one call, with their own ports each. */
export const PARTIES_MAX = 32
/** Commands of one call that wait for the one before. */
const TASKS_MAX = 32

/** One command at work; it calls `finish` exactly once, now or later. */
export type CallTask = (finish: () => void) => void

/** Who decides for calls. */
export interface MediaCallOwner {
  onCallReport(call: MediaCall, media: PartyMedia, report: StreamReport): void
  onCallTimer(call: MediaCall, name: CallTimer): void
}

/** `delete`: a delayed deletion is due. `silence`: nothing came since the report. `unanswered`: no answer ever came. `service`: a readout is due. */
export type CallTimer = 'delete' | 'silence' | 'unanswered' | 'service'

interface Opening {
  readonly waiting: Set<PartyMedia>
  problem: OpenProblem | null
  readonly then: (problem: OpenProblem | null) => void
}

interface Waiting {
  readonly task: CallTask
  readonly gone: () => void
}

/** Why no party could be made. */
export type PartyProblem = 'MEDIA_PARTIES_MAX'

/** What a new party begins with. */
export interface PartyPlace {
  readonly interfaceName: string
  readonly family: 4 | 6
}

/** The two sides of an offer or answer. */
export interface Dialogue {
  readonly offerer: Party
  readonly answerer: Party
}

/** A call. Only commands that run as its tasks, one after the other, change it. */
export class MediaCall implements TimerOwner, PartyOwner {
  readonly callId: string
  /** Milliseconds since 1970. */
  readonly createdMs: number
  lastSignalMs: number
  parties: Party[] = []
  /** Removed from the table; its streams are closing or closed. */
  gone = false
  answered = false
  /** Notices that the switch asked for. */
  reportsDtmf = false
  listensForTones = false
  /** What a running recording is called; null none. */
  recording: string | null = null
  recordingPaused = false
  /** Code point of what its streams send (RFC 2474); null is the gateway's own. */
  dscp: number | null = null
  /** Nothing of the call is passed on. */
  dropsTraffic = false
  /** The silence was reported, and the call is removed unless something comes. */
  silenceReported = false
  readonly timers: Readonly<Record<CallTimer, Timer>>
  readonly #owner: MediaCallOwner
  readonly #clock: Clock
  readonly #waiting: Waiting[] = []
  #busy = false
  #opening: Opening | null = null

  constructor(callId: string, clock: Clock, owner: MediaCallOwner) {
    this.callId = callId
    this.#clock = clock
    this.#owner = owner
    this.createdMs = clock.wallMs()
    this.lastSignalMs = this.createdMs
    this.timers = {
      delete: new Timer(this),
      silence: new Timer(this),
      unanswered: new Timer(this),
      service: new Timer(this),
    }
  }

  /** Whether a command is at work or waits. */
  get busy(): boolean {
    return this.#busy
  }

  get streams(): ControlStream[] {
    return this.parties.flatMap((party) => party.streams)
  }

  /**
   * Runs `task` when those before it have finished; `gone` instead when the call was removed meanwhile. False when too
   * many wait already.
   */
  run(task: CallTask, gone: () => void): boolean {
    if (this.#waiting.length >= TASKS_MAX) return false
    this.#waiting.push({ task, gone })
    if (!this.#busy) this.#next()
    return true
  }

  arm(name: CallTimer, delayMs: number): void {
    if (!this.gone) this.#clock.arm(this.timers[name], name, delayMs)
  }

  disarm(name: CallTimer): void {
    this.#clock.cancel(this.timers[name])
  }

  /** Marks the call as removed and disarms everything. */
  end(): void {
    this.gone = true
    for (const timer of Object.values(this.timers)) this.#clock.cancel(timer)
  }

  /** Waits until the streams of `medias`, which are being opened, are there; then tells how it went. */
  awaitOpen(medias: readonly PartyMedia[], then: (problem: OpenProblem | null) => void): void {
    assert(this.#opening === null, 'one opening at a time')
    if (medias.length === 0) {
      then(null)
      return
    }
    this.#opening = { waiting: new Set(medias), problem: null, then }
  }

  /** The party that has this tag. */
  byTag(tag: string | null): Party | null {
    if (tag === null || tag === '') return null
    return (
      this.parties.find((party) => party.tag === tag) ??
      this.parties.find((party) => party.forkTags.includes(tag)) ??
      null
    )
  }

  byLabel(label: string | null): Party | null {
    if (label === null || label === '') return null
    return this.parties.find((party) => party.label === label) ?? null
  }

  byBranch(viaBranch: string | null): Party | null {
    if (viaBranch === null || viaBranch === '') return null
    return this.parties.find((party) => party.viaBranch === viaBranch) ?? null
  }

  /** The party whose description has this media address. */
  byAddress(address: string | null): Party | null {
    if (address === null || address === '') return null
    return this.parties.find((party) => party.medias.some((media) => media.agreed?.remote?.host === address)) ?? null
  }

  /** A new party; null when there are too many. */
  addParty(tag: string, viaBranch: string, place: PartyPlace): Party | null {
    if (this.parties.length >= PARTIES_MAX) return null
    const party = new Party(this, tag, viaBranch, place.interfaceName, place.family, this.#clock.wallMs())
    this.parties.push(party)
    return party
  }

  /** Takes a party out; who talked to it talks to nobody, or to the last of the others that talk to him. */
  removeParty(party: Party): void {
    this.parties = this.parties.filter((other) => other !== party)
    for (const other of this.parties) {
      if (other.subscribedTo === party) other.subscribedTo = null
      if (other.peer === party) other.peer = this.parties.findLast((third) => third.peer === other) ?? null
    }
  }

  /**
   * The two sides of an offer. An offer without `toTag` goes to a branch: to the one of `viaBranch`, to one that has not
   * answered, or to a new one. `offererPlace` and `answererPlace` say where new parties are.
   */
  dialogueOfOffer(
    fromTag: string,
    toTag: string | null,
    viaBranch: string | null,
    offererPlace: PartyPlace,
    answererPlace: PartyPlace,
  ): Dialogue | null {
    const branch = viaBranch ?? ''
    const known = this.byTag(fromTag)
    const other = this.byTag(toTag)
    const early = known === null && other !== null ? this.#unansweredBranch(other, branch) : null
    const offerer = known ?? early ?? this.addParty(fromTag, '', offererPlace)
    if (offerer === null) return null
    offerer.take(fromTag)
    if (other !== null && other !== offerer) {
      other.take(toTag ?? '')
      return this.#joined(offerer, other)
    }
    const answerer = this.#branchOf(offerer, branch) ?? this.addParty('', branch, answererPlace)
    if (answerer === null) {
      if (known === null && early === null) this.removeParty(offerer)
      return null
    }
    if (toTag !== null) answerer.take(toTag)
    return this.#joined(offerer, answerer)
  }

  /**
   * The two sides of an answer, `fromTag` being the offerer's. A tag that is new answers for the branch of `viaBranch`, for
   * one that has not answered, or it is a further fork of the last one, which shares its ports. Null: nobody offered.
   */
  dialogueOfAnswer(fromTag: string, toTag: string, viaBranch: string | null): Dialogue | null {
    const offerer = this.byTag(fromTag)
    if (offerer === null) return null
    const known = this.byTag(toTag)
    if (known !== null && known !== offerer) {
      known.take(toTag)
      return this.#joined(offerer, known)
    }
    const branch = this.byBranch(viaBranch)
    const answerer =
      (branch !== null && branch.peer === offerer ? branch : null) ??
      this.#branchOf(offerer, viaBranch ?? '') ??
      offerer.peer
    if (answerer === null || answerer === offerer) return null
    answerer.take(toTag)
    return this.#joined(offerer, answerer)
  }

  onMediaOpened(media: PartyMedia): void {
    this.#opened(media, null)
  }

  onMediaFailed(media: PartyMedia, problem: OpenProblem): void {
    this.#opened(media, problem)
  }

  onMediaReport(media: PartyMedia, report: StreamReport): void {
    if (!this.gone) this.#owner.onCallReport(this, media, report)
  }

  onTimer(name: string): void {
    this.#owner.onCallTimer(this, name as CallTimer)
  }

  /** A branch of the offerer that an offer without tag may use again. */
  #branchOf(offerer: Party, viaBranch: string): Party | null {
    const branches = this.parties.filter((party) => party.peer === offerer && party.subscribedTo === null)
    if (viaBranch !== '') {
      const same = branches.find((party) => party.viaBranch === viaBranch)
      if (same !== undefined) return same
    }
    return branches.findLast((party) => party.tag === '' && (viaBranch === '' || party.viaBranch === '')) ?? null
  }

  #unansweredBranch(offerer: Party, viaBranch: string): Party | null {
    const branch = this.#branchOf(offerer, viaBranch)
    return branch !== null && branch.tag === '' ? branch : null
  }

  #joined(offerer: Party, answerer: Party): Dialogue {
    if (offerer.peer === null || offerer.peer === answerer || answerer.described) offerer.peer = answerer
    answerer.peer = offerer
    return { offerer, answerer }
  }

  #opened(media: PartyMedia, problem: OpenProblem | null): void {
    const opening = this.#opening
    if (opening === null || !opening.waiting.delete(media)) return
    opening.problem ??= problem
    if (opening.waiting.size > 0) return
    this.#opening = null
    opening.then(opening.problem)
  }

  #next(): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) return
    if (this.gone) {
      waiting.gone()
      this.#next()
      return
    }
    this.#busy = true
    waiting.task(() => {
      this.#busy = false
      this.#next()
    })
  }
}
