// Offers and answers through a gateway: parties and streams are found or made, descriptions rewritten, streams set (RFC 3264).

import type { Random } from '#core/random.ts'
import { copyString } from '#core/strings.ts'
import type { CallTable } from '#gateway/call-table.ts'
import { blockMedia, recordingName, wireCall } from '#gateway/call-wiring.ts'
import type { ControlStream, ControlStreams, OpenProblem } from '#gateway/control-streams.ts'
import type { GatewaySettings, MediaInterface } from '#gateway/gateway-settings.ts'
import {
  agreementOf,
  type Hop,
  isProtected,
  localForAnswer,
  localForOffer,
  signalledAddress,
  withCodecSettings,
} from '#gateway/hop-media.ts'
import type { MediaCall, MediaCallOwner, PartyPlace } from '#gateway/media-call.ts'
import { errorReply, okReply, type Reply, unknownCall } from '#gateway/ng-reply.ts'
import type { Exchange, ExchangeLine, Party, PartyMedia } from '#gateway/party.ts'
import type { NgOfferAnswer } from '#ng/ng-command.ts'
import { NG_SETTINGS, type NgSettings } from '#ng/ng-settings.ts'
import type { NgDictionary } from '#ng/ng-value.ts'
import { type AnswerRefusal, answerOffer, isRefusal, makeOffer } from '#sdp/answer-offer.ts'
import { withAttributeChanges } from '#sdp/attribute-changes.ts'
import { hasAttribute } from '#sdp/attributes.ts'
import { answerCodecs, CODEC_POLICY_NONE, planCodecs } from '#sdp/codec-policy.ts'
import { endpointOf } from '#sdp/connection.ts'
import type { Direction } from '#sdp/direction.ts'
import { isBundleOnly, type RemoteMedia, remoteMediaOf } from '#sdp/local-media.ts'
import type { SdpIdentity } from '#sdp/next-origin.ts'
import { type RelayedMedia, relayAnswer, relayOffer } from '#sdp/relay-description.ts'
import { isSpeech, type SdpCodec, staticPayloadType } from '#sdp/sdp-codec.ts'
import {
  isSdpProblem,
  type MediaDescription,
  parseSdp,
  type SessionDescription,
  writeSdp,
} from '#sdp/session-description.ts'

/** Media lines that get ports; the others of a longer description are rejected. */
const MEDIA_LINES_MAX = 8
const LOOP_ATTRIBUTE = 'carillon-loop'

/** What the negotiation works with. */
export interface OfferAnswerParts {
  readonly table: CallTable
  readonly streams: ControlStreams
  readonly settings: GatewaySettings
  readonly random: Random
  /** Names this gateway in descriptions that must not come back. */
  readonly instance: string
  readonly owner: MediaCallOwner
}

/** Negotiates. Holds nothing but what it was made with. */
export class OfferAnswer {
  readonly #parts: OfferAnswerParts
  /** What can be converted, under payload types that do not matter. */
  readonly #codecs: readonly SdpCodec[]

  constructor(parts: OfferAnswerParts) {
    this.#parts = parts
    this.#codecs = ownCodecs(parts.settings.encodings)
  }

  /** An offer of a new or a known call; it runs as a task of the call. */
  offer(command: NgOfferAnswer, reply: Reply): void {
    const offer = parseSdp(command.sdp)
    if (isSdpProblem(offer)) {
      reply(errorReply(offer.problem, `${offer.message} (line ${offer.line})`))
      return
    }
    const { table, owner, settings, instance } = this.#parts
    const protects = command.settings.flags.has('loop-protect')
    if (protects && offer.lines.includes(`a=${LOOP_ATTRIBUTE}:${instance}`)) {
      reply(okReply({ sdp: command.sdp }))
      return
    }
    const known = table.get(command.callId)
    const call = known ?? table.create(copyString(command.callId), owner)
    if (call === null) {
      const result = command.settings.supports.includes('load limit') ? { result: 'load limit' } : {}
      const reason = `All ${settings.callsMax} calls that may be are anchored.`
      reply({ ...errorReply('MEDIA_CALLS_MAX', reason), ...result, message: reason })
      return
    }
    if (known === null) call.arm('unanswered', settings.unansweredMaxMs)
    this.#task(call, reply, (done) => this.#offer(call, command, offer, done))
  }

  answer(command: NgOfferAnswer, reply: Reply): void {
    const answer = parseSdp(command.sdp)
    if (isSdpProblem(answer)) {
      reply(errorReply(answer.problem, `${answer.message} (line ${answer.line})`))
      return
    }
    const call = this.#parts.table.get(command.callId)
    if (call === null) {
      reply(unknownCall())
      return
    }
    this.#task(call, reply, (done) => done(this.#answer(call, command, answer)))
  }

  /**
   * A service leg: our own answer to an offer, or with '' our own offer, whose answer comes by {@link OfferAnswer.complete}.
   * `connect` is called once the streams are there, before they are set.
   */
  serve(
    call: MediaCall,
    fromTag: string,
    sdp: string,
    settings: NgSettings,
    connect: (party: Party) => void,
    done: Reply,
    direction: Direction = 'sendrecv',
  ): void {
    const offer = sdp === '' ? null : parseSdp(sdp)
    if (offer !== null && isSdpProblem(offer)) {
      done(errorReply(offer.problem, `${offer.message} (line ${offer.line})`))
      return
    }
    const known = call.byTag(fromTag)
    const place = this.#place(settings, 0, offer === null ? signalledFamily(settings) : familyOf(offer))
    const party = known ?? call.addParty(copyString(fromTag), '', place)
    if (party === null) {
      done(tooManyParties())
      return
    }
    if (offer !== null && known?.exchange != null && known.exchange.offerer === known) {
      done(this.#complete(call, party, offer, known.exchange))
      return
    }
    const at = offer === null ? 0 : offer.media.findIndex((section) => section.kind === 'audio' && section.port !== 0)
    if (at < 0 || at >= MEDIA_LINES_MAX) {
      done(this.#abandoned(call, errorReply('SDP_NO_MEDIA', 'The offer has no audio.')))
      return
    }
    const media = party.media(at)
    this.#open(call, [media], (problem) => {
      if (problem !== null) {
        done(this.#abandoned(call, openReply(problem)))
        return
      }
      if (offer === null) this.#offerOwn(party, media, settings, direction, done)
      else done(this.#answerOwn(call, party, media, offer, settings, direction))
      connect(party)
      this.wire(call)
    })
  }

  /** Sets all streams of the call to what is agreed. */
  wire(call: MediaCall): void {
    wireCall(call, this.#parts.streams, this.#parts.settings)
  }

  #task(call: MediaCall, reply: Reply, work: (done: Reply) => void): void {
    const accepted = call.run(
      (finish) => {
        call.lastSignalMs = this.#parts.table.wallMs()
        work((answer) => {
          reply(answer)
          finish()
        })
      },
      () => reply(unknownCall()),
    )
    if (!accepted) reply(errorReply('MEDIA_COMMANDS_MAX', 'Too many commands of the call are at work.'))
  }

  #offer(call: MediaCall, command: NgOfferAnswer, offer: SessionDescription, done: Reply): void {
    const { settings } = command
    const family = familyOf(offer)
    const wanted = settings.addressFamily === null ? family : settings.addressFamily === 'IP6' ? 6 : 4
    const dialogue = call.dialogueOfOffer(
      copyString(command.fromTag),
      command.toTag === null ? null : copyString(command.toTag),
      command.viaBranch === null ? null : copyString(command.viaBranch),
      this.#place(settings, 0, family),
      this.#place(settings, 1, wanted),
    )
    if (dialogue === null) {
      done(this.#abandoned(call, tooManyParties()))
      return
    }
    const { offerer, answerer } = dialogue
    if (command.label !== null) offerer.label = copyString(command.label)
    if (command.toLabel !== null) answerer.label = copyString(command.toLabel)
    this.#setEcho(call, offerer, answerer, settings)
    if (settings.tos !== null && settings.tos >= 0) call.dscp = (settings.tos & 0xff) >> 2
    const opening: PartyMedia[] = []
    offer.media.forEach((section, at) => {
      if (!isWanted(section, at)) return
      opening.push(offerer.media(at), answerer.media(at))
    })
    const loop = offer.media.some((section, at) => this.#isLoop(offerer.medias[at], offer, section, settings))
    if (loop) {
      done(this.#abandoned(call, loopReply()))
      return
    }
    this.#open(call, opening, (problem) => {
      if (problem === null) done(this.#passOffer(call, command, offer, offerer, answerer))
      else done(this.#abandoned(call, openReply(problem)))
    })
  }

  #passOffer(
    call: MediaCall,
    command: NgOfferAnswer,
    offer: SessionDescription,
    offerer: Party,
    answerer: Party,
  ): NgDictionary {
    const { settings } = command
    const first = !offerer.described
    const lines: (ExchangeLine | null)[] = []
    const relayed: (RelayedMedia | null)[] = []
    offer.media.forEach((section, at) => {
      const near = this.#hop(offerer.medias[at])
      const far = this.#hop(answerer.medias[at])
      if (!isWanted(section, at) || near === null || far === null) {
        lines.push(null)
        relayed.push(null)
        return
      }
      const remote = remoteMediaOf(offer, section)
      const local = localForOffer(far, remote, settings)
      const policy = section.kind === 'audio' ? settings.codecs : CODEC_POLICY_NONE
      const plan = planCodecs(remote.codecs, policy, this.#codecs, far.media.agreed?.payloads ?? [])
      lines.push(isProtected(local) ? { local, plan } : null)
      relayed.push(
        isProtected(local)
          ? {
              local,
              codecs: section.kind === 'audio' ? plan.offered : null,
              direction: null,
              ptimeMs: section.kind === 'audio' ? settings.ptimeMs : null,
              headerExtensions: !settings.flags.has('strip-extmap') && !plan.transcodes,
            }
          : null,
      )
      // A line that carries something keeps it until the answer: the offer may be refused.
      if (far.media.agreed === null) far.media.carries(section.kind, local.protocol)
      if (near.media.agreed === null) near.media.carries(section.kind, section.protocol)
      // Nothing is agreed before the answer; but of a first offer it is known where the offerer is: for early announcements.
      if (first) this.#provisional(near, remote, plan.accepted, settings)
    })
    if (relayed.every((line) => line === null) && offer.media.some((section) => section.port !== 0)) {
      return this.#abandoned(call, errorReply('MEDIA_KEYS', 'No media of the offer can be passed on.'))
    }
    const side = {
      identity: this.#identity(call, answerer),
      previous: answerer.told,
      name: nameOf(settings),
      media: relayed,
    }
    const told = withAttributeChanges(relayOffer(offer, side), settings.attributes)
    offerer.described = true
    offerer.received = offer
    answerer.told = told
    answerer.exchange = { offerer, offer, settings, lines }
    this.#note(call, offerer, settings)
    if (first) this.wire(call)
    const lineLoop = `a=${LOOP_ATTRIBUTE}:${this.#parts.instance}`
    const marked = settings.flags.has('loop-protect') ? { ...told, lines: [...told.lines, lineLoop] } : told
    return okReply({ sdp: writeSdp(marked) })
  }

  #answer(call: MediaCall, command: NgOfferAnswer, answer: SessionDescription): NgDictionary {
    const { fromTag, toTag, viaBranch, settings } = command
    const dialogue = call.dialogueOfAnswer(fromTag, copyString(toTag ?? ''), viaBranch)
    const exchange = dialogue?.answerer.exchange ?? null
    if (dialogue === null || exchange === null) {
      return errorReply('MEDIA_NO_OFFER', 'There is no offer that this could be the answer to.')
    }
    const { offerer, answerer } = dialogue
    if (exchange.offerer !== offerer) return errorReply('MEDIA_NO_OFFER', 'The offer was made by another party.')
    if (command.label !== null) answerer.label = copyString(command.label)
    const loop = answer.media.some((section, at) => this.#isLoop(answerer.medias[at], answer, section, settings))
    if (loop) return loopReply()
    const relayed = exchange.offer.media.map((_section, at) =>
      this.#passAnswerLine(exchange, answer, offerer, answerer, settings, at),
    )
    const side = {
      identity: this.#identity(call, offerer),
      previous: offerer.told,
      name: nameOf(settings),
      media: relayed,
    }
    const told = withAttributeChanges(relayAnswer(answer, exchange.offer, side), settings.attributes)
    offerer.told = told
    offerer.peer = answerer
    answerer.received = answer
    answerer.described = true
    call.answered = true
    call.disarm('unanswered')
    this.#note(call, answerer, settings)
    this.#closeRejected(call, told, offerer, answerer)
    this.wire(call)
    return okReply({ sdp: writeSdp(told) })
  }

  #passAnswerLine(
    exchange: Exchange,
    answer: SessionDescription,
    offerer: Party,
    answerer: Party,
    settings: NgSettings,
    at: number,
  ): RelayedMedia | null {
    const offered = exchange.offer.media[at]
    const section = answer.media[at]
    const line = exchange.lines[at] ?? null
    const near = this.#hop(offerer.medias[at])
    const far = this.#hop(answerer.medias[at])
    if (offered === undefined || section === undefined || line === null || near === null || far === null) return null
    if (section.port === 0 && !isBundleOnly(section)) return null
    const offererSays = remoteMediaOf(exchange.offer, offered)
    const answererSays = remoteMediaOf(answer, section)
    const local = localForAnswer(near, offererSays, answererSays, exchange.settings, settings)
    if (!isProtected(local)) return null
    const audio = offered.kind === 'audio' && offererSays.codecs.length > 0
    const all = audio ? answerCodecs(line.plan, answererSays.codecs, this.#codecs) : answererSays.codecs
    const codecs = settings.flags.has('single-codec') ? firstSpeech(all) : all
    const address = signalledAddress(exchange.settings)
    const agreedFar = agreementOf(
      far,
      line.local,
      answererSays,
      answererSays.codecs,
      exchange.settings,
      signalledAddress(settings),
      false,
    )
    // What was to be encrypted must not be sent in the clear.
    if (/SAVP/i.test(line.local.protocol) && agreedFar.dtls === null && agreedFar.protectOut === null) return null
    const agreedNear = agreementOf(near, local, offererSays, codecs, exchange.settings, address, true)
    near.media.agreed = withCodecSettings(agreedNear, line.plan.settings)
    far.media.agreed = withCodecSettings(agreedFar, line.plan.settings)
    near.media.carries(offered.kind, offered.protocol)
    far.media.carries(offered.kind, line.local.protocol)
    return {
      local,
      codecs: audio ? codecs : null,
      direction: null,
      ptimeMs: audio ? exchange.settings.ptimeReverseMs : null,
      headerExtensions: !settings.flags.has('strip-extmap') && !line.plan.transcodes,
    }
  }

  #provisional(hop: Hop, remote: RemoteMedia, codecs: readonly SdpCodec[], settings: NgSettings): void {
    const local = localForAnswer(hop, remote, null, settings, NG_SETTINGS)
    if (isProtected(local)) {
      hop.media.agreed = agreementOf(hop, local, remote, codecs, settings, signalledAddress(settings), true)
    }
  }

  #answerOwn(
    call: MediaCall,
    party: Party,
    media: PartyMedia,
    offer: SessionDescription,
    settings: NgSettings,
    direction: Direction,
  ): NgDictionary {
    const hop = this.#hop(media)
    const section = offer.media[media.index]
    if (hop === null || section === undefined) return openReply('MEDIA_OPEN_FAILED')
    if (this.#isLoop(media, offer, section, settings)) return this.#abandoned(call, loopReply())
    const remote = remoteMediaOf(offer, section)
    const local = localForAnswer(hop, remote, null, settings, settings)
    if (!isProtected(local))
      return this.#abandoned(call, errorReply('MEDIA_KEYS', 'The offer has no keys that we have.'))
    const own = { local, codecs: this.#codecs, direction, ptimeMs: null }
    const answer: SessionDescription | AnswerRefusal = answerOffer(offer, {
      identity: this.#identity(call, party),
      previous: party.told,
      order: 'theirs',
      media: offer.media.map((_line, at) => (at === media.index ? own : null)),
    })
    if (isRefusal(answer)) return this.#abandoned(call, errorReply(answer.refusal, answer.message))
    const answered = answer.media[media.index]
    const codecs = answered === undefined ? [] : remoteMediaOf(answer, answered).codecs
    media.kind = 'audio'
    media.protocol = remote.protocol
    media.agreed = agreementOf(hop, local, remote, codecs, settings, signalledAddress(settings), true)
    party.told = answer
    party.received = offer
    party.described = true
    call.answered = true
    call.disarm('unanswered')
    return okReply({ sdp: writeSdp(answer) })
  }

  #offerOwn(party: Party, media: PartyMedia, settings: NgSettings, direction: Direction, done: Reply): void {
    const hop = this.#hop(media)
    if (hop === null) {
      done(openReply('MEDIA_OPEN_FAILED'))
      return
    }
    const protocol = settings.transportProtocol ?? 'RTP/AVP'
    const local = localForOffer(hop, { ...NOTHING_OFFERED, protocol }, settings)
    const identity = this.#identity(party.owner as MediaCall, party)
    const own = { local, codecs: this.#codecs, direction, ptimeMs: null }
    const offer = makeOffer({ identity, previous: party.told, name: '-', media: [{ kind: 'audio', own }] })
    const plan = planCodecs(this.#codecs, CODEC_POLICY_NONE, this.#codecs)
    party.told = offer
    party.exchange = { offerer: party, offer, settings, lines: [{ local, plan }] }
    media.kind = 'audio'
    media.protocol = local.protocol
    done(okReply({ sdp: writeSdp(offer) }))
  }

  /** The answer to an offer of our own. */
  #complete(call: MediaCall, party: Party, answer: SessionDescription, exchange: Exchange): NgDictionary {
    const line = exchange.lines[0]
    const section = answer.media[0]
    const hop = this.#hop(party.medias[0])
    party.exchange = null
    if (line == null || section === undefined || hop === null || section.port === 0) {
      return errorReply('SDP_NO_MEDIA', 'The answer has no audio.')
    }
    if (this.#isLoop(party.medias[0], answer, section, exchange.settings)) return loopReply()
    const remote = remoteMediaOf(answer, section)
    const { settings } = exchange
    hop.media.agreed = agreementOf(hop, line.local, remote, remote.codecs, settings, signalledAddress(settings), false)
    party.received = answer
    party.described = true
    call.answered = true
    call.disarm('unanswered')
    this.wire(call)
    return okReply({ sdp: '' })
  }

  /** Opens what is missing, or faces the wrong way; ports of the rest stay. */
  #open(call: MediaCall, medias: readonly PartyMedia[], then: (problem: OpenProblem | null) => void): void {
    const { streams, table } = this.#parts
    const opening: PartyMedia[] = []
    for (const media of medias) {
      const { interfaceName, family } = media.party
      const old = media.stream
      if (old !== null && old.interfaceName === interfaceName && old.family === family) continue
      if (old !== null) this.#close(media)
      media.stream = streams.open(interfaceName, family, media, call.dscp)
      if (media.stream === null) {
        for (const opened of opening) this.#close(opened)
        then('MEDIA_PORTS_EXHAUSTED')
        return
      }
      opening.push(media)
    }
    call.awaitOpen(opening, (problem) => {
      for (const media of opening) {
        if (problem !== null) this.#close(media)
        else table.index(media)
      }
      then(problem)
    })
  }

  #close(media: PartyMedia): void {
    const { stream } = media
    if (stream === null) return
    this.#parts.table.unindex(media)
    media.stream = null
    media.agreed = null
    this.#parts.streams.close([stream], () => {})
  }

  /** Lines that both sides have given up need no ports; a branch that may still answer keeps its own. */
  #closeRejected(call: MediaCall, told: SessionDescription, offerer: Party, answerer: Party): void {
    const others = call.parties.some((party) => party !== answerer && party !== offerer && party.peer === offerer)
    told.media.forEach((section, at) => {
      if (section.port !== 0) return
      const near = offerer.medias[at]
      const far = answerer.medias[at]
      if (near !== undefined && !others) this.#close(near)
      if (far !== undefined) this.#close(far)
    })
  }

  /** The reply; and the call goes when it has no description yet: nobody else would remove it. */
  #abandoned(call: MediaCall, reply: NgDictionary): NgDictionary {
    if (!call.parties.some((party) => party.described)) this.#parts.table.remove(call, 'failed', () => {})
    return reply
  }

  #isLoop(
    media: PartyMedia | undefined,
    description: SessionDescription,
    section: MediaDescription,
    settings: NgSettings,
  ): boolean {
    const endpoint = endpointOf(description, section)
    if (endpoint === null) return false
    const host = signalledAddress(settings).instead ?? endpoint.host
    return media !== undefined && this.#parts.table.isLoop(media, host, endpoint.port)
  }

  #hop(media: PartyMedia | undefined): Hop | null {
    const stream: ControlStream | null = media?.stream ?? null
    if (media === undefined || stream === null) return null
    const { settings, random } = this.#parts
    return { media, stream, interface: interfaceOf(settings, stream), fingerprint: settings.fingerprint, random }
  }

  #identity(call: MediaCall, party: Party): SdpIdentity {
    const stream = party.streams[0]
    const iface = stream === undefined ? null : interfaceOf(this.#parts.settings, stream)
    const host = iface?.advertise ?? stream?.pair.local.host ?? '127.0.0.1'
    const sessionId = String(call.createdMs * 64 + call.parties.indexOf(party))
    return { username: '-', sessionId, address: { host, family: stream?.family ?? 4 } }
  }

  /** The interface that a command names for a side, else the first one; with the family that it has. */
  #place(settings: NgSettings, side: 0 | 1, family: 4 | 6 | null): PartyPlace {
    const { interfaces } = this.#parts.settings
    const wanted = settings.direction?.[side] ?? settings.interface
    const named = interfaces.filter((iface) => iface.name === wanted)
    const first = interfaces[0]
    const candidates = named.length > 0 ? named : interfaces.filter((iface) => iface.name === first?.name)
    const found = candidates.find((iface) => iface.family === family) ?? candidates[0]
    return { interfaceName: found?.name ?? 'default', family: found?.family ?? 4 }
  }

  #setEcho(call: MediaCall, offerer: Party, answerer: Party, settings: NgSettings): void {
    if (settings.dropTraffic !== null) call.dropsTraffic = settings.dropTraffic === 'start'
    const { mediaEcho } = settings
    if (mediaEcho === null) return
    offerer.echo = mediaEcho === 'backward' || mediaEcho === 'both' ? 'self' : 'nothing'
    answerer.echo = mediaEcho === 'forward' || mediaEcho === 'both' ? 'self' : 'nothing'
  }

  /** What a description's settings say of the whole call, and of who sent it. */
  #note(call: MediaCall, sender: Party, settings: NgSettings): void {
    const { recordCall, outputDestination, dtmf, flags } = settings
    if (recordCall === true) {
      call.recording ??= recordingName(outputDestination ?? call.callId)
      call.recordingPaused = false
    } else if (recordCall === false) call.recording = null
    if (flags.has('block-dtmf') || dtmf.block !== null) {
      for (const media of sender.medias) {
        media.blockedDtmf = dtmf.block !== 'off'
        blockMedia(media, this.#parts.streams)
      }
    }
    if (settings.flags.has('detect-dtmf')) {
      call.reportsDtmf = true
      call.listensForTones = true
    }
  }
}

const NOTHING_OFFERED: RemoteMedia = {
  kind: 'audio',
  protocol: 'RTP/AVP',
  rejected: false,
  endpoint: null,
  rtcpEndpoint: null,
  rtcpMux: false,
  direction: 'sendrecv',
  codecs: [],
  ptimeMs: null,
  maxptimeMs: null,
  crypto: [],
  fingerprints: [],
  setup: null,
  ice: null,
  mid: null,
  fax: null,
  ssrcs: [],
  label: null,
}

/** The codecs that can be converted, and digits; payload types as everybody has them. */
function ownCodecs(encodings: readonly string[]): SdpCodec[] {
  const codecs: SdpCodec[] = []
  let dynamic = 96
  for (const encoding of [...encodings, 'TELEPHONE-EVENT']) {
    const opus = encoding === 'OPUS'
    const coding = { encoding, clockRate: opus ? 48_000 : encoding === 'L16' ? 16_000 : 8000, channels: opus ? 2 : 1 }
    const fixed = staticPayloadType(coding)
    const parameters = encoding === 'TELEPHONE-EVENT' ? '0-16' : ''
    codecs.push({ ...coding, parameters, payloadType: fixed >= 0 ? fixed : dynamic })
    if (fixed < 0) dynamic += 1
  }
  return codecs
}

/** `replace: session-name`; null keeps it. */
function nameOf(settings: NgSettings): string | null {
  return settings.replace.has('session-name') ? '-' : null
}

function firstSpeech(codecs: readonly SdpCodec[]): SdpCodec[] {
  const first = codecs.find(isSpeech)
  return codecs.filter((codec) => codec === first || !isSpeech(codec))
}

function isWanted(section: MediaDescription, at: number): boolean {
  return at < MEDIA_LINES_MAX && (section.port !== 0 || hasAttribute(section.lines, 'bundle-only'))
}

/** Who described nothing yet has the address family that it signals from; null when that is not known. */
function signalledFamily({ receivedFrom }: NgSettings): 4 | 6 | null {
  if (receivedFrom === null) return null
  return receivedFrom.includes(':') ? 6 : 4
}

function familyOf(description: SessionDescription): 4 | 6 | null {
  for (const section of description.media) {
    const endpoint = endpointOf(description, section)
    if (endpoint !== null) return endpoint.family
  }
  return null
}

function interfaceOf(settings: GatewaySettings, stream: ControlStream): MediaInterface | null {
  const { host } = stream.pair.local
  return (
    settings.interfaces.find((iface) => iface.name === stream.interfaceName && iface.address === host) ??
    settings.interfaces.find((iface) => iface.address === host) ??
    null
  )
}

function openReply(problem: OpenProblem): NgDictionary {
  const reasons: Record<OpenProblem, string> = {
    MEDIA_PORTS_EXHAUSTED: 'Ran out of ports',
    MEDIA_OPEN_FAILED: 'The ports could not be opened.',
    MEDIA_PLANE_SILENT: 'The data plane does not answer.',
  }
  return errorReply(problem, reasons[problem])
}

function tooManyParties(): NgDictionary {
  return errorReply('MEDIA_PARTIES_MAX', 'The call has as many branches as it may have.')
}

function loopReply(): NgDictionary {
  return errorReply('MEDIA_LOOP', 'The media address is one of our own: media would go in a circle.')
}
