// Calls that end in the gateway itself: echo, tones, announcements, the time of day, and conference rooms by name.

import type { Clock } from '#core/clock.ts'
import { copyString } from '#core/strings.ts'
import { countryTone, MILLIWATT, type ToneName } from '#gateway/audio/tone-tables.ts'
import { integerOf, runOnCall, TEXT_OCTETS_MAX, textOf } from '#gateway/call-command.ts'
import type { CallTable } from '#gateway/call-table.ts'
import { playTo } from '#gateway/call-wiring.ts'
import type { ControlStreams } from '#gateway/control-streams.ts'
import type { GatewaySettings } from '#gateway/gateway-settings.ts'
import type { MediaCall, MediaCallOwner } from '#gateway/media-call.ts'
import { errorReply, type Reply } from '#gateway/ng-reply.ts'
import type { OfferAnswer } from '#gateway/offer-answer.ts'
import type { Party } from '#gateway/party.ts'
import type { Segment } from '#gateway/plane.ts'
import type { Prompts } from '#gateway/prompts.ts'
import { NG_SETTINGS, type NgSettings } from '#ng/ng-settings.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

const ROOMS_MAX = 1024
/** Between two readings of the time. */
const ANNOUNCE_PAUSE_MS = 1000
const READOUT_EVERY_MS = 10_000
const JOIN_TONE: Segment = { kind: 'tone', frequencies: [660], levelDbm0: -20, ms: 150 }
const LEAVE_TONE: Segment = { kind: 'tone', frequencies: [440], levelDbm0: -20, ms: 150 }
/** In larger rooms nobody wants to hear who comes and goes. */
const ROOM_TONES_MAX = 16

/** What service legs work with. */
export interface ServiceLegsParts {
  readonly clock: Clock
  readonly settings: GatewaySettings
  readonly streams: ControlStreams
  readonly table: CallTable
  readonly prompts: Prompts
  readonly negotiation: OfferAnswer
  readonly owner: MediaCallOwner
}

/** The service legs of a gateway. */
export class ServiceLegs {
  readonly #parts: ServiceLegsParts
  readonly #rooms = new Map<string, number>()
  #lastRoom = 0

  constructor(parts: ServiceLegsParts) {
    this.#parts = parts
  }

  /** Conference rooms that somebody is in. */
  get rooms(): number {
    return this.#rooms.size
  }

  /** Does `carillon service`, as {@link GatewayControl.onOwnCommand} describes it. */
  serve(command: NgDictionary, reply: Reply): void {
    const callId = textOf(command['call-id'])
    const fromTag = textOf(command['from-tag'])
    const service = textOf(command['service'])
    if (callId === '' || fromTag === '' || callId.length > TEXT_OCTETS_MAX || fromTag.length > TEXT_OCTETS_MAX) {
      reply(errorReply('MEDIA_KEY_WRONG', 'call-id and from-tag are needed, and have at most 512 octets.'))
      return
    }
    if (!/^(?:echo|milliwatt|time|conference|tone|announcement)$/.test(service)) {
      reply(errorReply('MEDIA_KEY_WRONG', 'service is echo, milliwatt, time, conference, tone or announcement.'))
      return
    }
    const { table } = this.#parts
    const known = table.get(callId)
    const call = known ?? table.create(copyString(callId), this.#parts.owner)
    if (call === null) {
      reply(errorReply('MEDIA_CALLS_MAX', 'As many calls as may be are anchored.'))
      return
    }
    const room = textOf(command['room']).slice(0, TEXT_OCTETS_MAX)
    if (service === 'conference' && !this.#rooms.has(room) && this.#rooms.size >= ROOMS_MAX) {
      if (known === null) table.remove(call, 'failed', () => {})
      reply(errorReply('MEDIA_ROOMS_MAX', `There are ${ROOMS_MAX} rooms.`))
      return
    }
    const settings = serviceSettings(command)
    runOnCall(table, callId, reply, (_call, done) => {
      call.lastSignalMs = this.#parts.clock.wallMs()
      call.reportsDtmf = true
      const sdp = textOf(command['sdp'])
      if (known === null) call.arm('unanswered', this.#parts.settings.unansweredMaxMs)
      this.#parts.negotiation.serve(
        call,
        fromTag,
        sdp,
        settings,
        (party) => this.#connect(call, party, service, command),
        done,
      )
    })
  }

  #connect(call: MediaCall, party: Party, service: string, command: NgDictionary): void {
    if (call.gone || party.service !== null) return
    if (service === 'echo') {
      party.service = { kind: 'echo' }
      return
    }
    if (service === 'conference') {
      const name = textOf(command['room']).slice(0, TEXT_OCTETS_MAX)
      this.#ring(name, JOIN_TONE)
      let room = this.#rooms.get(name)
      if (room === undefined) {
        this.#lastRoom += 1
        room = this.#lastRoom
        this.#rooms.set(name, room)
      }
      party.service = { kind: 'room', room, name }
      return
    }
    party.service = { kind: 'play' }
    if (service === 'time') {
      call.arm('service', 0)
      return
    }
    this.#parts.negotiation.wire(call)
    if (service === 'milliwatt') playTo(this.#parts.streams, [party], [MILLIWATT], 0)
    else if (service === 'tone') playTo(this.#parts.streams, [party], this.#tone(command), 0)
    else {
      const said = this.#parts.prompts.prompt(textOf(command['prompt']))
      const repeat = Math.max(integerOf(command['repeat-times']), 1)
      playTo(
        this.#parts.streams,
        [party],
        typeof said === 'string' ? this.#tone({ tone: 'information' }) : said,
        repeat,
      )
    }
  }

  #tone(command: NgDictionary): readonly Segment[] {
    const name = textOf(command['tone'])
    const country = textOf(command['country']) || this.#parts.settings.country
    const tone = (/^(?:dial|ringback|busy|congestion|callWaiting|information)$/.test(name) ? name : 'busy') as ToneName
    return countryTone(country, tone) ?? countryTone('us', tone) ?? [MILLIWATT]
  }

  /** The time is read out anew, as it goes on. */
  readOut(call: MediaCall): void {
    const said = this.#parts.prompts.time(this.#parts.clock.wallMs())
    const pause: Segment = { kind: 'tone', frequencies: [], levelDbm0: 0, ms: ANNOUNCE_PAUSE_MS }
    const beep: Segment = { kind: 'tone', frequencies: [1000], levelDbm0: -10, ms: 500 }
    const segments = typeof said === 'string' ? [beep, pause] : [...said, pause]
    playTo(this.#parts.streams, call.parties, segments, 1)
    call.arm('service', READOUT_EVERY_MS)
  }

  #members(name: string): Party[] {
    return this.#parts.table
      .all()
      .flatMap((call) => call.parties.filter((party) => party.service?.kind === 'room' && party.service.name === name))
  }

  #ring(name: string, tone: Segment): void {
    if (!this.#rooms.has(name)) return
    const members = this.#members(name)
    if (members.length <= ROOM_TONES_MAX) playTo(this.#parts.streams, members, [tone], 1)
  }

  /** A party is gone; a room that nobody is in any more goes with it. */
  onLeft(party: Party): void {
    if (party.service?.kind !== 'room') return
    const { name } = party.service
    if (this.#members(name).length === 0) this.#rooms.delete(name)
    else this.#ring(name, LEAVE_TONE)
  }
}

/** What a service leg may say of addresses and interfaces. */
function serviceSettings(command: NgDictionary): NgSettings {
  const from = command['received-from']
  const receivedFrom = Array.isArray(from) ? textOf((from as readonly NgValue[])[1]) : ''
  const name = textOf(command['interface'])
  return {
    ...NG_SETTINGS,
    receivedFrom: receivedFrom === '' ? null : receivedFrom,
    interface: name === '' ? null : name,
  }
}
