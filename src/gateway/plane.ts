// The contract between the control of a gateway and its data plane: orders down, reports up. Plain data, so that it crosses threads.

import type { Endpoint } from '#core/net.ts'
import type { SrtpKeys } from '#core/srtp-keys.ts'

export type { SrtpKeys }

/** A stream: one local RTP address (and RTCP's) that faces one party. The control gives the numbers, from 1, never twice. */
export type StreamId = number

/** One payload type of a stream, in both directions (RFC 3551 §6, RFC 8866 §6.6). */
export interface PayloadFormat {
  readonly payloadType: number
  /** Encoding name in upper case: PCMU, PCMA, G722, OPUS, G729, TELEPHONE-EVENT, CN. */
  readonly encoding: string
  /** The RTP timestamp's rate in hertz: 8000 for G722 (RFC 3551 §4.5.2), 48000 for OPUS. */
  readonly clockRate: number
  readonly channels: number
  /** The value of a=fmtp, or ''. */
  readonly parameters: string
}

/**
 * Who may become the far side of a stream by sending to it (RFC 7362 §4): nobody; whoever is first, once, and after that only
 * when nothing has come from it for a while; or the same but only from the host that the session description or the signalling names.
 */
export type Latching = 'none' | 'first' | 'signalledHost'

/** What a stream sends to its far side. At most one at a time; a playback stands before it while it lasts. */
export type Source =
  | { readonly kind: 'none' }
  /** What comes in on a stream; its own number makes an echo. Formats are converted when they have to be. */
  | { readonly kind: 'stream'; readonly stream: StreamId }
  /** All others of a conference room. */
  | { readonly kind: 'room'; readonly room: number }

/** The settings of a stream; each order replaces them as a whole. */
export interface StreamSettings {
  /** Where RTP goes: as signalled; latching may change it. Null: nowhere yet. */
  readonly remote: Endpoint | null
  /** Where RTCP goes when it has a port of its own; null with rtcp-mux (RFC 5761) or none. */
  readonly remoteRtcp: Endpoint | null
  readonly rtcpMux: boolean
  readonly latching: Latching
  /** The host that the far side signals from, for `signalledHost`; null allows only `remote`'s. */
  readonly signalledHost: string | null
  /** RFC 3264 §6.1, as seen from us: whether we send to it, and take what it sends. */
  readonly sends: boolean
  readonly receives: boolean
  /** What comes is no RTP (UDPTL of T.38) and is passed on as it is, to streams that take such. */
  readonly datagrams: boolean
  /** In order of preference; the first audio format is what is sent when a conversion is needed. */
  readonly payloads: readonly PayloadFormat[]
  /** Milliseconds of audio in a packet that we make. */
  readonly ptimeMs: number
  readonly protectIn: SrtpKeys | null
  readonly protectOut: SrtpKeys | null
  /** DTLS-SRTP (RFC 5763) instead of given keys; null for none. */
  readonly dtls: DtlsSettings | null
  /** ICE-lite (RFC 8445 §2.5); null for none. */
  readonly ice: IceSettings | null
  readonly source: Source
  /** Whether digits of the far side are reported, and whether they pass on to whom it talks to (RFC 4733). */
  readonly reportsDtmf: boolean
  readonly passesDtmf: boolean
  /** Whether tones in the audio are listened to for digits (Q.24), when the far side has no telephone-event. */
  readonly listensForTones: boolean
  /** Nothing came: in milliseconds since the settings became active, and since the last packet; 0 never. */
  readonly timeoutInitialMs: number
  readonly timeoutMs: number
}

export interface DtlsSettings {
  readonly role: 'active' | 'passive'
  /** SHA-256 of the far side's certificate, upper-case hexadecimal with colons (RFC 8122 §5). */
  readonly fingerprint: string
}

export interface IceSettings {
  readonly localUfrag: string
  readonly localPassword: string
  readonly remoteUfrag: string
  readonly remotePassword: string
}

/** A piece of a playback. */
export type Segment =
  /** Frequencies in hertz at `levelDbm0` each, for `ms` (0: for ever); none is silence. */
  | { readonly kind: 'tone'; readonly frequencies: readonly number[]; readonly levelDbm0: number; readonly ms: number }
  /** Samples of 16 bits, mono. */
  | { readonly kind: 'samples'; readonly rate: number; readonly samples: Int16Array }
  /** Digits as telephone-events when the stream has them, else as tones. */
  | {
      readonly kind: 'dtmf'
      readonly digits: string
      readonly ms: number
      readonly pauseMs: number
      readonly levelDbm0: number
    }

export type Order =
  | {
      readonly order: 'open'
      readonly stream: StreamId
      readonly local: Endpoint
      /** Null: RTCP comes on the RTP port, or not at all. */
      readonly localRtcp: Endpoint | null
      /** Differentiated services code point of what we send (RFC 2474), 0…63. */
      readonly dscp: number
    }
  | { readonly order: 'set'; readonly stream: StreamId; readonly settings: StreamSettings }
  /**
   * Plays towards the stream's far side, `repeat` times (0: for ever), and no longer than `durationMs` when that is given. A
   * playback under way is replaced.
   */
  | {
      readonly order: 'play'
      readonly stream: StreamId
      readonly play: number
      readonly segments: readonly Segment[]
      readonly repeat: number
      readonly durationMs?: number
    }
  | { readonly order: 'stopPlay'; readonly stream: StreamId; readonly play: number }
  /** Keeps back what comes from the stream, or its digits, from everybody; with `silences` they hear silence instead of it. */
  | {
      readonly order: 'block'
      readonly stream: StreamId
      readonly media: boolean
      readonly dtmf: boolean
      readonly silences?: boolean
    }
  /** Copies what goes in and out to a file; null ends it. The same file again pauses that, or goes on with it. */
  | {
      readonly order: 'record'
      readonly stream: StreamId
      readonly file: string | null
      readonly format: 'wav' | 'pcap'
      readonly paused?: boolean
    }
  | { readonly order: 'query'; readonly stream: StreamId; readonly query: number }
  | { readonly order: 'close'; readonly stream: StreamId }

/** Counters of one direction of a stream. */
export interface DirectionFacts {
  readonly packets: number
  readonly octets: number
  /** RFC 3550 §6.4.1: cumulative number lost, as this side counts it; as the far side reports it for what we send; −1 unknown. */
  readonly lost: number
  /** Interarrival jitter in milliseconds; −1 unknown. */
  readonly jitterMs: number
  /** Round trip in milliseconds (RFC 3550 §6.4.1); −1 unknown. */
  readonly roundTripMs: number
  /** G.107 estimate, 1 to 4.5; −1 unknown. */
  readonly mos: number
  /** Encoding name of the last packet; '' none. */
  readonly encoding: string
}

export interface StreamFacts {
  /** From the far side to us, and from us to it. */
  readonly received: DirectionFacts
  readonly sent: DirectionFacts
  /** Where RTP really goes, after latching. */
  readonly remote: Endpoint | null
  /** Dropped packets by stable code: MEDIA_SOURCE, MEDIA_MALFORMED, MEDIA_REPLAY, MEDIA_AUTH, MEDIA_PAYLOAD … */
  readonly dropped: Readonly<Record<string, number>>
  /** Milliseconds since something was received; −1 never. */
  readonly silentMs: number
  /** The far side has the floor of its conference room. */
  readonly talks?: boolean
}

export type Report =
  | { readonly report: 'opened'; readonly stream: StreamId }
  /** `reason` is a stable word such as EADDRINUSE; the stream is gone. */
  | { readonly report: 'openFailed'; readonly stream: StreamId; readonly reason: string }
  | { readonly report: 'latched'; readonly stream: StreamId; readonly remote: Endpoint }
  /** DTLS is done. */
  | { readonly report: 'secured'; readonly stream: StreamId }
  /** Nothing came for `timeoutInitialMs` or `timeoutMs`. Once, until something comes again. */
  | { readonly report: 'timeout'; readonly stream: StreamId; readonly initial: boolean }
  /** A digit, when it has ended (RFC 4733 §2.5.1.2). */
  | {
      readonly report: 'dtmf'
      readonly stream: StreamId
      readonly digit: string
      readonly ms: number
      readonly levelDbm0: number
    }
  /** The far side is a fax or a modem by its tone (T.30, V.25); each kind is told once. */
  | { readonly report: 'fax'; readonly stream: StreamId; readonly tone: 'CNG' | 'CED' | 'V21' }
  | { readonly report: 'playEnded'; readonly stream: StreamId; readonly play: number }
  | { readonly report: 'facts'; readonly stream: StreamId; readonly query: number; readonly facts: StreamFacts }
  /** The stream's last facts; nothing of it comes after. */
  | { readonly report: 'closed'; readonly stream: StreamId; readonly facts: StreamFacts }

/** The data plane as the control sees it: in the same thread (simulation) or behind one. */
export interface Plane {
  order(order: Order): void
}

/** Who gets the reports. Never called before `order` has returned. */
export interface PlaneSink {
  onReport(report: Report): void
}
