// The control of a gateway: each command of the ng protocol, and our own beside them, done on calls and answered.

import type { Clock } from '#core/clock.ts'
import type { Counter, Counters } from '#core/counters.ts'
import type { Log } from '#core/log.ts'
import { type Random, randomToken } from '#core/random.ts'
import { copyString } from '#core/strings.ts'
import { readWav } from '#gateway/audio/wav-reader.ts'
import { integerOf, runOnCall, TEXT_OCTETS_MAX } from '#gateway/call-command.ts'
import { describeCall } from '#gateway/call-query.ts'
import type { CallTable } from '#gateway/call-table.ts'
import { blockMedia, playTo, recordingName } from '#gateway/call-wiring.ts'
import type { ControlStreams, StreamReport } from '#gateway/control-streams.ts'
import type { EventQueue } from '#gateway/event-queue.ts'
import type { GatewaySettings } from '#gateway/gateway-settings.ts'
import type { CallTimer, MediaCall, MediaCallOwner } from '#gateway/media-call.ts'
import { errorReply, okReply, type Reply, unknownCall } from '#gateway/ng-reply.ts'
import { OfferAnswer } from '#gateway/offer-answer.ts'
import type { Party, PartyMedia } from '#gateway/party.ts'
import type { Segment } from '#gateway/plane.ts'
import type { Prompts } from '#gateway/prompts.ts'
import { ServiceLegs } from '#gateway/service-legs.ts'
import { unsupportedSettings } from '#gateway/unsupported-settings.ts'
import type {
  NgBlock,
  NgCommand,
  NgDelete,
  NgParticipant,
  NgPlayDtmf,
  NgPlayMedia,
  NgPublish,
  NgRecording,
  NgSubscribeRequest,
} from '#ng/ng-command.ts'
import type { NgDictionary } from '#ng/ng-value.ts'

/** Octets of a file name of `play media`. */
const FILE_OCTETS_MAX = 255
/** Flags of one command that are named in its reply and the log. */
const UNKNOWN_TOLD_MAX = 32

export interface ControlParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly counters: Counters
  readonly settings: GatewaySettings
  readonly streams: ControlStreams
  readonly table: CallTable
  readonly events: EventQueue
  readonly prompts: Prompts
  readonly instance: string
}

/** Does what is commanded. */
export class GatewayControl implements MediaCallOwner {
  readonly #parts: ControlParts
  readonly #negotiation: OfferAnswer
  readonly #services: ServiceLegs
  readonly #unknown: Counter
  readonly #startedMs: number

  constructor(parts: ControlParts) {
    this.#parts = parts
    this.#negotiation = new OfferAnswer({ ...parts, owner: this })
    this.#services = new ServiceLegs({ ...parts, negotiation: this.#negotiation, owner: this })
    this.#startedMs = parts.clock.now()
    this.#unknown = parts.counters.counter('carillon_media_unknown_flags_total', 'Flags that were not understood.')
  }

  /** Conference rooms that somebody is in. */
  get rooms(): number {
    return this.#services.rooms
  }

  /** Does a command; `reply` is called once. */
  onCommand(command: NgCommand, reply: Reply): void {
    const answer = this.#withUnknown(command, reply)
    if (command.command === 'ping') {
      reply({ result: 'pong' })
      return
    }
    if (command.command === 'list') {
      reply(okReply({ calls: this.#parts.table.list(command.limit) }))
      return
    }
    if (command.command === 'statistics') {
      reply(okReply({ statistics: this.#statistics() }))
      return
    }
    const long = [command.callId, command.fromTag, command.toTag, command.viaBranch, command.label, command.setLabel]
    if (long.some((text) => text !== null && text.length > TEXT_OCTETS_MAX)) {
      reply(errorReply('MEDIA_TEXT_MAX', `Call-ids, tags, branches and labels have at most ${TEXT_OCTETS_MAX} octets.`))
      return
    }
    switch (command.command) {
      case 'offer':
        this.#negotiation.offer(command, answer)
        return
      case 'answer':
        this.#negotiation.answer(command, answer)
        return
      case 'delete':
        this.#delete(command, answer)
        return
      case 'query':
        this.#query(command, answer)
        return
      case 'start recording':
      case 'stop recording':
      case 'pause recording':
        this.#onCall(command, answer, (call, done) => done(this.#record(call, command)))
        return
      case 'play media':
        this.#onCall(command, answer, (call, done) => done(this.#playMedia(call, command)))
        return
      case 'stop media':
        this.#onCall(command, answer, (call, done) => done(this.#stopMedia(call, command)))
        return
      case 'play DTMF':
        this.#onCall(command, answer, (call, done) => done(this.#playDtmf(call, command)))
        return
      case 'block DTMF':
      case 'unblock DTMF':
      case 'block media':
      case 'unblock media':
      case 'silence media':
      case 'unsilence media':
        this.#onCall(command, answer, (call, done) => done(this.#block(call, command)))
        return
      case 'publish':
        this.#publish(command, answer)
        return
      case 'subscribe request':
        this.#onCall(command, answer, (call, done) => this.#subscribe(call, command, done))
        return
      case 'subscribe answer':
        this.#onCall(command, answer, (call, done) => {
          if (call.byTag(command.toTag)?.exchange == null) done(noOffer())
          else this.#negotiation.serve(call, command.toTag, command.sdp, command.settings, () => {}, done)
        })
        return
      case 'unsubscribe':
        this.#onCall(command, answer, (call, done) => {
          const party = call.byTag(command.toTag)
          if (party === null || party.subscribedTo === null) done(partyUnknown())
          else this.#removeParty(call, party, done)
        })
        return
      default:
        reply(errorReply('MEDIA_UNSUPPORTED', `This gateway does not do "${command.command}".`))
    }
  }

  /**
   * Does one of our own commands; false when `command` is none.
   *
   * `carillon events` (`after`, `wait` in ms): notices after that number, at once or when there is one; the reply has `events` (each
   * with `event`, `call-id`, `tag` …), `last` for the next `after`, and `lost`.
   *
   * `carillon service` (`call-id`, `from-tag`, `sdp`, `service`: echo, milliwatt, time, conference, tone or announcement; `room`, `tone`,
   * `country`, `prompt`): the gateway itself is the far end. The reply has the answer as `sdp`; without `sdp` it has an offer, whose
   * answer comes as a second such command.
   */
  onOwnCommand(command: NgDictionary, reply: Reply): boolean {
    if (command['command'] === 'carillon events') {
      this.#parts.events.fetch(integerOf(command['after']), integerOf(command['wait']), (batch) => {
        const events = batch.events.map(({ event, callId, tag, details, sequence }) => ({
          ...details,
          event,
          'call-id': callId,
          tag,
          sequence,
        }))
        reply(okReply({ events, last: batch.last, lost: batch.lost, instance: this.#parts.instance }))
      })
      return true
    }
    if (command['command'] !== 'carillon service') return false
    this.#services.serve(command, reply)
    return true
  }

  onCallReport(call: MediaCall, media: PartyMedia, report: StreamReport): void {
    const { events } = this.#parts
    const { tag } = media.party
    switch (report.report) {
      case 'dtmf':
        events.push('dtmf', call.callId, tag, { digit: report.digit, duration: Math.round(report.ms) })
        return
      case 'fax':
        events.push('fax', call.callId, tag, { tone: report.tone })
        return
      case 'playEnded':
        if (media.play !== report.play) return
        media.play = 0
        // Who asked for notices of the call hears of it; a proxy that plays something fetches none.
        if (call.reportsDtmf) events.push('playback ended', call.callId, tag)
        return
      case 'timeout':
        media.silent = true
        this.#onSilence(call)
        return
      case 'latched':
      case 'secured':
        media.silent = false
        return
      default:
        report satisfies never
    }
  }

  onCallTimer(call: MediaCall, name: CallTimer): void {
    switch (name) {
      case 'delete':
        this.#end(call, 'deleted', () => {})
        return
      case 'unanswered':
        this.#parts.events.push('call removed', call.callId, '')
        this.#end(call, 'unanswered', () => {})
        return
      case 'silence':
        this.#checkSilence(call, () => {
          this.#parts.events.push('call removed', call.callId, '')
          this.#end(call, 'timeout', () => {})
        })
        return
      case 'service':
        this.#services.readOut(call)
        return
      default:
        name satisfies never
    }
  }

  /** Ends every call. */
  close(): void {
    for (const call of this.#parts.table.all()) this.#end(call, 'closed', () => {})
    this.#parts.events.close()
  }

  #withUnknown(command: NgCommand, reply: Reply): Reply {
    const notDone = 'settings' in command ? unsupportedSettings(command.settings) : []
    if (
      'settings' in command &&
      command.settings.recordCall === true &&
      this.#parts.settings.recordingsFolder === null
    ) {
      notDone.push('record-call')
    }
    const all = [...command.unknown, ...notDone]
    if (all.length === 0) return reply
    const unknown = all.slice(0, UNKNOWN_TOLD_MAX).map((text) => text.slice(0, FILE_OCTETS_MAX))
    this.#unknown.add(all.length)
    const flags = unknown.join(', ')
    this.#parts.log.event('warn', 'MEDIA_FLAGS_UNKNOWN', { command: command.command, flags })
    return (answer) =>
      reply(
        answer['result'] === 'error'
          ? answer
          : { warning: `not understood or not done: ${flags}`, ...answer, 'unknown-flags': unknown },
      )
  }

  #onCall(who: NgParticipant, reply: Reply, work: (call: MediaCall, done: Reply) => void): void {
    runOnCall(this.#parts.table, who.callId, reply, work)
  }

  #delete(command: NgDelete, reply: Reply): void {
    const missing = (): void => {
      const reason = "Call-ID not found or tags didn't match"
      reply(command.fatal ? errorReply('MEDIA_CALL_UNKNOWN', reason) : okReply({ warning: reason }))
    }
    if (this.#parts.table.get(command.callId) === null) {
      missing()
      return
    }
    this.#onCall(command, reply, (call, done) => {
      const delayMs = command.deleteDelayS === null ? this.#parts.settings.deleteDelayMs : command.deleteDelayS * 1000
      const one = command.toTag !== null || command.viaBranch !== null
      const byTag = call.byTag(command.toTag)
      const party = byTag ?? call.byBranch(command.viaBranch) ?? (one ? call.byTag(command.fromTag) : null)
      if (command.fromTag !== null && party === null && call.byTag(command.fromTag) === null) {
        const reason = "Call-ID not found or tags didn't match"
        done(command.fatal ? errorReply('MEDIA_CALL_UNKNOWN', reason) : okReply({ warning: reason }))
        return
      }
      if (party !== null && command.toTag !== null && party.drop(command.toTag)) {
        done(okReply(describeCall(call)))
        return
      }
      const rest = party === null ? [] : call.parties.filter((other) => other !== party)
      // Who is left needs somebody to talk to.
      if (
        party !== null &&
        rest.some((other) => other.peer !== null && other.peer !== party && rest.includes(other.peer))
      ) {
        this.#removeParty(call, party, done)
        return
      }
      if (delayMs > 0) {
        call.arm('delete', delayMs)
        done(okReply(describeCall(call)))
        return
      }
      this.#end(call, 'deleted', (facts) => done(okReply(facts)))
    })
  }

  #removeParty(call: MediaCall, party: Party, done: Reply): void {
    const { streams, table } = this.#parts
    for (const media of party.medias) table.unindex(media)
    streams.close(party.streams, () => {
      const facts = describeCall(call)
      call.removeParty(party)
      this.#services.onLeft(party)
      this.#negotiation.wire(call)
      done(okReply(facts))
    })
  }

  #end(
    call: MediaCall,
    why: 'deleted' | 'timeout' | 'unanswered' | 'closed',
    done: (facts: NgDictionary) => void,
  ): void {
    this.#parts.table.remove(call, why, done)
    for (const party of call.parties) this.#services.onLeft(party)
  }

  #query(command: NgParticipant, reply: Reply): void {
    const call = this.#parts.table.get(command.callId)
    if (call === null) {
      const final = this.#parts.table.final(command.callId)
      reply(final === null ? unknownCall() : okReply({ ...final, ended: 1 }))
      return
    }
    this.#parts.streams.query(call.streams, () => reply(okReply(describeCall(call))))
  }

  /** A sender that others may subscribe to: we take what it sends, and send nothing. */
  #publish(command: NgPublish, reply: Reply): void {
    const { table } = this.#parts
    const call = table.get(command.callId) ?? table.create(copyString(command.callId), this)
    if (call === null) {
      reply(errorReply('MEDIA_CALLS_MAX', 'As many calls as may be are anchored.'))
      return
    }
    const connect = (party: Party): void => {
      party.service = { kind: 'play' }
    }
    this.#onCall(command, reply, (_call, done) =>
      this.#negotiation.serve(call, command.fromTag, command.sdp, command.settings, connect, done, 'recvonly'),
    )
  }

  /** A copy of what one party sends, offered to somebody new, whom the reply names by `to-tag`. */
  #subscribe(call: MediaCall, command: NgSubscribeRequest, done: Reply): void {
    const source = call.byTag(command.fromTag ?? command.fromTags[0] ?? null) ?? call.byLabel(command.label)
    if (source === null) {
      done(partyUnknown())
      return
    }
    const tag = command.toTag ?? randomToken(this.#parts.random)
    if (call.byTag(tag) !== null) {
      done(errorReply('MEDIA_KEY_WRONG', 'The to-tag belongs to a party of the call.'))
      return
    }
    const connect = (party: Party): void => {
      party.subscribedTo = source
      party.label = command.setLabel ?? command.toLabel ?? ''
    }
    const direction = command.settings.flags.has('inactive') ? 'inactive' : 'sendonly'
    const answer: Reply = (reply) =>
      done(
        reply['result'] === 'ok'
          ? { ...reply, 'to-tag': tag, 'from-tag': source.tag, 'from-tags': [source.tag] }
          : reply,
      )
    this.#negotiation.serve(call, tag, '', command.settings, connect, answer, direction)
  }

  /** The parties that a command is for; all of them when it names none. */
  #chosen(call: MediaCall, who: NgParticipant): readonly Party[] | null {
    const named = who.fromTag ?? who.label ?? who.address
    if (named === null || who.all === 'all') return call.parties
    const party = call.byTag(who.fromTag) ?? call.byLabel(who.label) ?? call.byAddress(who.address)
    return party === null ? null : [party]
  }

  #record(call: MediaCall, command: NgRecording): NgDictionary {
    if (command.command !== 'stop recording' && this.#parts.settings.recordingsFolder === null) {
      return errorReply('MEDIA_RECORDING', 'This gateway has no folder for recordings.')
    }
    if (command.command === 'stop recording') call.recording = null
    else if (command.command === 'start recording') {
      call.recording = recordingName(command.outputDestination ?? call.recording ?? command.callId)
    }
    call.recordingPaused = command.command === 'pause recording'
    this.#negotiation.wire(call)
    return okReply()
  }

  #block(call: MediaCall, command: NgBlock): NgDictionary {
    const parties = this.#chosen(call, command)
    if (parties === null) return partyUnknown()
    const blocks = !command.command.startsWith('un')
    const { command: name, settings } = command
    for (const media of parties.flatMap((party) => party.medias)) {
      if (name.endsWith('DTMF')) media.blockedDtmf = blocks && settings.dtmf.block !== 'off'
      else if (name.endsWith('silence media')) media.silencedMedia = blocks
      else media.blockedMedia = blocks
      blockMedia(media, this.#parts.streams)
    }
    return okReply()
  }

  #playMedia(call: MediaCall, command: NgPlayMedia): NgDictionary {
    const parties = this.#chosen(call, command)
    if (parties === null) return partyUnknown()
    const { source } = command
    if (source.kind === 'database')
      return errorReply('MEDIA_UNSUPPORTED', 'There is no database of sounds: use file or blob.')
    const octets = source.kind === 'blob' ? Buffer.from(source.octets, 'latin1') : this.#file(source.name)
    if (octets === null) return errorReply('MEDIA_PROMPT', 'There is no such file in the folder of prompts.')
    const sound = readWav(octets)
    if (typeof sound === 'string') return errorReply('MEDIA_PROMPT', sound)
    const from = Math.floor((command.startPositionMs * sound.sampleRate) / 1000)
    const samples = sound.samples.subarray(Math.min(Math.max(from, 0), sound.samples.length))
    const segments: Segment[] = [{ kind: 'samples', rate: sound.sampleRate, samples }]
    playTo(this.#parts.streams, parties, segments, command.repeatTimes, command.repeatDurationMs ?? 0)
    return okReply({ duration: Math.round((samples.length * 1000) / sound.sampleRate) })
  }

  /** A file below the prompts folder only: relative names, or absolute ones that begin with the folder. */
  #file(name: string): Uint8Array | null {
    const folder = this.#parts.settings.promptsFolder
    if (folder === null || name.length > FILE_OCTETS_MAX) return null
    const relative = name.startsWith(`${folder}/`) ? name.slice(folder.length + 1) : name
    const plain = /^[A-Za-z0-9_-][A-Za-z0-9 ._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9 ._-]*)*$/.test(relative)
    return plain ? this.#parts.prompts.file(relative) : null
  }

  #stopMedia(call: MediaCall, command: NgParticipant): NgDictionary {
    const parties = this.#chosen(call, command)
    if (parties === null) return partyUnknown()
    for (const media of parties.flatMap((party) => party.medias)) {
      if (media.stream !== null && media.play !== 0) this.#parts.streams.stopPlay(media.stream, media.play)
      media.play = 0
    }
    return okReply()
  }

  /** The chosen party makes the digit: it is played to who hears that party. */
  #playDtmf(call: MediaCall, command: NgPlayDtmf): NgDictionary {
    const parties = this.#chosen(call, command)
    if (parties === null) return partyUnknown()
    const { digit, durationMs, pauseMs, volumeDb } = command
    const hearers = call.parties.filter((party) => party.peer !== null && parties.includes(party.peer))
    const levelDbm0 = -Math.abs(volumeDb)
    playTo(this.#parts.streams, hearers, [{ kind: 'dtmf', digits: digit, ms: durationMs, pauseMs, levelDbm0 }], 1)
    return okReply()
  }

  // ── Silence ─────────────────────────────────────────────────────────────────────────────────────────────────

  #onSilence(call: MediaCall): void {
    if (call.silenceReported || !allSilent(call)) return
    // A stream may have come to life since its report: only fresh facts count.
    this.#checkSilence(call, () => {
      call.silenceReported = true
      const tag = call.parties.find((party) => party.medias.some((media) => media.silent))?.tag ?? ''
      this.#parts.events.push('media timeout', call.callId, tag)
      this.#parts.log.event('info', 'MEDIA_TIMEOUT', { callId: call.callId })
      call.arm('silence', this.#parts.settings.silenceDeleteMs)
    })
  }

  #checkSilence(call: MediaCall, silent: () => void): void {
    this.#parts.streams.query(call.streams, () => {
      if (call.gone) return
      for (const media of call.parties.flatMap((party) => party.medias)) {
        const { stream } = media
        if (stream === null || stream.settings === null) continue
        const { silentMs } = stream.facts
        if (silentMs >= 0 && silentMs < stream.settings.timeoutMs) media.silent = false
      }
      if (allSilent(call)) silent()
      else call.silenceReported = false
    })
  }

  #statistics(): NgDictionary {
    const { table, clock, streams } = this.#parts
    const uptimeS = Math.floor((clock.now() - this.#startedMs) / 1000)
    return {
      currentstatistics: {
        sessionsown: table.size,
        sessionsforeign: 0,
        sessionstotal: table.size,
        transcodedmedia: 0,
        streams: streams.count,
      },
      totalstatistics: {
        uptime: String(uptimeS),
        managedsessions: table.created,
        rejectedsessions: table.refused,
        timeoutsessions: table.ended('timeout'),
        silenttimeoutsessions: table.ended('timeout'),
        finaltimeoutsessions: 0,
        offertimeoutsessions: table.ended('unanswered'),
        regularterminatedsessions: table.ended('deleted'),
        forcedterminatedsessions: table.ended('closed') + table.ended('failed'),
      },
    }
  }
}

/** Every line that the party should send on is silent; when none should, every line. */
function allSilent(call: MediaCall): boolean {
  const lines = call.parties
    .flatMap((party) => party.medias)
    .filter((media) => media.stream !== null && media.agreed !== null)
  const sending = lines.filter((media) => /^send/.test(media.agreed?.direction ?? ''))
  const counted = sending.length > 0 ? sending : lines
  return counted.length > 0 && counted.every((media) => media.silent)
}

function noOffer(): NgDictionary {
  return errorReply('MEDIA_NO_OFFER', 'There is no offer that this could be the answer to.')
}

function partyUnknown(): NgDictionary {
  return errorReply('MEDIA_PARTY_UNKNOWN', 'No such party in the call: the tag, label or address is unknown.')
}
