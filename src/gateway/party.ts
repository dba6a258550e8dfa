// One party of a call as a gateway knows it: tags, what it described last, and a stream for each of its media lines.

import type { Endpoint } from '#core/net.ts'
import type { ControlStream, ControlStreamOwner, OpenProblem, StreamReport } from '#gateway/control-streams.ts'
import type { DtlsSettings, IceSettings, Latching, PayloadFormat, SrtpKeys } from '#gateway/plane.ts'
import type { NgSettings } from '#ng/ng-settings.ts'
import type { CodecPlan } from '#sdp/codec-policy.ts'
import type { Direction } from '#sdp/direction.ts'
import type { LocalMedia } from '#sdp/local-media.ts'
import type { SessionDescription } from '#sdp/session-description.ts'

/** Answers of forks behind one offer share its ports (RFC 3261 §13.2.2.4): how many tags are remembered for them. */
export const FORK_TAGS_MAX = 32

/** What was agreed with a party for one media line: what its stream is set to. */
export interface Agreement {
  /** audio, image …; and whether it is no RTP. */
  readonly kind: string
  readonly datagrams: boolean
  readonly remote: Endpoint | null
  readonly remoteRtcp: Endpoint | null
  readonly rtcpMux: boolean
  /** As the party sees it: whether it sends and takes. */
  readonly direction: Direction
  readonly payloads: readonly PayloadFormat[]
  readonly ptimeMs: number
  readonly protectIn: SrtpKeys | null
  readonly protectOut: SrtpKeys | null
  readonly dtls: DtlsSettings | null
  readonly ice: IceSettings | null
  readonly latching: Latching
  readonly signalledHost: string | null
}

/** An offer that was made to a party, as far as its answer needs it. */
export interface Exchange {
  readonly offerer: Party
  readonly offer: SessionDescription
  readonly settings: NgSettings
  /** For each media line: our side towards the party, and its codecs; null where the line was rejected. */
  readonly lines: readonly (ExchangeLine | null)[]
}

export interface ExchangeLine {
  readonly local: LocalMedia
  readonly plan: CodecPlan
}

/** What a service leg is connected to instead of a peer. */
export type PartyService =
  | { readonly kind: 'echo' }
  | { readonly kind: 'room'; readonly room: number; readonly name: string }
  | { readonly kind: 'play' }

/** Who is told what happens to the streams of a party. */
export interface PartyOwner {
  onMediaOpened(media: PartyMedia): void
  onMediaFailed(media: PartyMedia, problem: OpenProblem): void
  onMediaReport(media: PartyMedia, report: StreamReport): void
}

/** A media line of a party. The stream outlives changes of what it carries, so that ports stay over re-offers. */
export class PartyMedia implements ControlStreamOwner {
  readonly party: Party
  /** From 0, as in the description. */
  readonly index: number
  /** audio, video, image … */
  kind = 'audio'
  protocol = 'RTP/AVP'
  stream: ControlStream | null = null
  agreed: Agreement | null = null
  /** Whether media of it is stopped, for everybody, and digits. */
  blockedMedia = false
  blockedDtmf = false
  /** Others hear silence instead of it. */
  silencedMedia = false
  /** Under which local addresses the table knows it. */
  localKeys: readonly string[] = []
  /** The playback under way; 0 none. */
  play = 0
  /** Nothing came for as long as is allowed. */
  silent = false
  /** Our keys towards the party by suite (RFC 4568); a re-offer keeps them. */
  readonly ownKeys = new Map<SrtpKeys['suite'], SrtpKeys>()
  iceUfrag = ''
  icePassword = ''

  constructor(party: Party, index: number) {
    this.party = party
    this.index = index
  }

  /** What the line is, from now on. */
  carries(kind: string, protocol: string): void {
    this.kind = kind
    this.protocol = protocol
  }

  onStreamOpened(): void {
    this.party.owner.onMediaOpened(this)
  }

  onStreamFailed(_stream: ControlStream, problem: OpenProblem): void {
    this.stream = null
    this.party.owner.onMediaFailed(this, problem)
  }

  onStreamReport(_stream: ControlStream, report: StreamReport): void {
    this.party.owner.onMediaReport(this, report)
  }
}

/** A party: the monologue of rtpengine. Its `peer` is who it talks to; an offer to several branches makes several parties with one peer. */
export class Party {
  readonly owner: PartyOwner
  /** '' until an answer tells it. */
  tag: string
  /** Further tags of the same branch that share the ports. */
  readonly forkTags: string[] = []
  viaBranch: string
  label = ''
  readonly createdMs: number
  peer: Party | null = null
  /** The interface that faces the party, and its family. */
  interfaceName: string
  family: 4 | 6
  medias: PartyMedia[] = []
  /** What it described last, as received and as we told it of the other side. */
  received: SessionDescription | null = null
  told: SessionDescription | null = null
  /** Whether it has answered or offered itself. */
  described = false
  /** The offer that went to it last. */
  exchange: Exchange | null = null
  /** What it is connected to when that is no peer; null for a peer. */
  service: PartyService | null = null
  /** `media-echo`: it hears itself, or nobody hears it; null is as usual. */
  echo: 'self' | 'nothing' | null = null
  /** Whom it takes a copy of; null for a party of a dialogue. */
  subscribedTo: Party | null = null

  constructor(owner: PartyOwner, tag: string, viaBranch: string, interfaceName: string, family: 4 | 6, nowMs: number) {
    this.owner = owner
    this.tag = tag
    this.viaBranch = viaBranch
    this.interfaceName = interfaceName
    this.family = family
    this.createdMs = nowMs
  }

  /** Whether `tag` is one of its tags. */
  has(tag: string): boolean {
    return tag !== '' && (this.tag === tag || this.forkTags.includes(tag))
  }

  /** Makes `tag` the one that counts; an earlier one still finds the party. */
  take(tag: string): void {
    if (this.tag === tag) return
    if (this.tag !== '' && !this.forkTags.includes(this.tag) && this.forkTags.length < FORK_TAGS_MAX)
      this.forkTags.push(this.tag)
    this.tag = tag
  }

  /** Forgets one of several tags. False when it is the only one. */
  drop(tag: string): boolean {
    const at = this.forkTags.indexOf(tag)
    if (at >= 0) {
      this.forkTags.splice(at, 1)
      return true
    }
    const other = this.forkTags.pop()
    if (other === undefined) return false
    this.tag = other
    return true
  }

  /** The media line of that index, made on first use. */
  media(index: number): PartyMedia {
    while (this.medias.length <= index) this.medias.push(new PartyMedia(this, this.medias.length))
    return this.medias[index] as PartyMedia
  }

  /** Its streams that hold ports. */
  get streams(): ControlStream[] {
    return this.medias.flatMap((media) => (media.stream === null ? [] : [media.stream]))
  }
}
