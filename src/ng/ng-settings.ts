// What an offer, an answer or a subscription asks of a gateway beside its session description: rtpengine's keys, typed.

import type { NgFlag } from '#ng/ng-flag.ts'

/** Parts of the description that are rewritten, in rtpengine's words with hyphens. */
export type NgReplace =
  | 'origin'
  | 'session-connection'
  | 'session-name'
  | 'sdp-version'
  | 'username'
  | 'zero-address'
  | 'force-increment-sdp-ver'

export type NgRtcpMux = 'offer' | 'require' | 'demux' | 'accept' | 'reject'

export type NgIce = 'remove' | 'force' | 'default' | 'optional' | 'force-relay'

/** Options of T.38 (`decode`, `force`, `stop`), and what is switched off. */
export type NgT38 =
  | 'decode'
  | 'force'
  | 'stop'
  | 'no-ecm'
  | 'no-v.17'
  | 'no-v.27ter'
  | 'no-v.29'
  | 'no-v.34'
  | 'no-iaf'
  | 'fec'

/** SDES (RFC 4568): what a description for the far side may say of keys. */
export interface NgSdes {
  readonly off: boolean
  /** Session parameters of RFC 4568 §6.3: demanded, negated, or (null) copied from what was offered. */
  readonly unencryptedSrtp: boolean | null
  readonly unencryptedSrtcp: boolean | null
  readonly unauthenticatedSrtp: boolean | null
  /** Suites that are left out. */
  readonly no: readonly string[]
  /** The only suites that are let through, when not empty; stands above `no`. */
  readonly only: readonly string[]
  /** No suite is added to those that were offered; stands above `no` and `only`. */
  readonly noNew: boolean
  readonly order: readonly string[]
  readonly offererPreference: readonly string[]
  /** Base64 of keys keeps its `=`. */
  readonly pad: boolean
  /** `2^31` is added to each key. */
  readonly lifetime: boolean
  /** The suite that was chosen stays in a re-offer. */
  readonly static: boolean
}

/** OSRTP (RFC 8643). */
export interface NgOsrtp {
  readonly offer: 'rfc' | 'legacy' | null
  readonly acceptRfc: boolean
  readonly acceptLegacy: boolean
}

/** Changes to codecs: names as `opus/48000/2/32000`, or `all` and `full` where rtpengine knows them. */
export interface NgCodecs {
  readonly strip: readonly string[]
  readonly offer: readonly string[]
  readonly except: readonly string[]
  readonly mask: readonly string[]
  readonly transcode: readonly string[]
  readonly consume: readonly string[]
  readonly accept: readonly string[]
  readonly set: readonly string[]
  readonly ignore: readonly string[]
}

/** Where the lines that are changed stand in a description. */
export type NgAttributeScope = 'global' | 'audio' | 'video'

/** Changes to attribute lines (without `a=`) of one scope. */
export interface NgAttributeChanges {
  readonly add: readonly string[]
  readonly remove: readonly string[]
  readonly substitute: readonly (readonly [string, string])[]
}

/** How digits are kept from the far side. */
export type NgDtmfBlock = 'off' | 'drop' | 'silence' | 'tone' | 'random' | 'zero' | 'dtmf'

/** Blocking of digits (`DTMF-security` and what goes with it). */
export interface NgDtmf {
  readonly block: NgDtmfBlock | null
  readonly trigger: string | null
  readonly triggerBlock: NgDtmfBlock | null
  readonly triggerEnd: string | null
  readonly triggerEndBlock: NgDtmfBlock | null
  readonly triggerEndMs: number | null
  readonly triggerEndDigits: number | null
  /** Replacement for `block: 'dtmf'`. */
  readonly digit: string | null
  /** Tones for `block: 'tone'`, in hertz. */
  readonly frequencies: readonly number[]
  /** Of tones that replace digits; 0 … -63 dB. */
  readonly volumeDb: number | null
  readonly delayMs: number | null
  readonly logDestination: string | null
}

export interface NgSettings {
  readonly flags: ReadonlySet<NgFlag>
  /** Names of the gateway's interfaces towards the sender and the receiver of the description. */
  readonly direction: readonly [string, string] | null
  readonly interface: string | null
  readonly addressFamily: 'IP4' | 'IP6' | null
  readonly replace: ReadonlySet<NgReplace>
  readonly ice: NgIce | null
  readonly iceLite: 'off' | 'forward' | 'backward' | 'both' | null
  readonly rtcpMux: ReadonlySet<NgRtcpMux>
  /** `RTP/AVP`, `RTP/SAVPF` …, in upper case, or `accept`. */
  readonly transportProtocol: string | null
  readonly dtls: 'off' | 'passive' | 'active' | null
  readonly dtlsReverse: 'passive' | 'active' | null
  /** `SHA-256` … */
  readonly dtlsFingerprint: string | null
  readonly sdes: NgSdes
  readonly osrtp: NgOsrtp
  readonly codecs: NgCodecs
  readonly ptimeMs: number | null
  readonly ptimeReverseMs: number | null
  readonly t38: ReadonlySet<NgT38>
  readonly dtmf: NgDtmf
  readonly attributes: Readonly<Partial<Record<NgAttributeScope, NgAttributeChanges>>>
  readonly generateRtcp: boolean | null
  readonly passthrough: boolean | null
  readonly recordCall: boolean | null
  readonly outputDestination: string | null
  readonly metadata: string | null
  readonly mediaEcho: 'blackhole' | 'forward' | 'backward' | 'both' | null
  readonly dropTraffic: 'start' | 'stop' | null
  /** 0 … 255; a negative one leaves what was; null is the gateway's own. */
  readonly tos: number | null
  readonly mediaAddress: string | null
  /** Where the SIP message came from. */
  readonly receivedFrom: string | null
  readonly endpointLearning: 'off' | 'immediate' | 'delayed' | 'heuristic' | null
  readonly audioPlayer: 'default' | 'transcoding' | 'off' | 'always' | null
  readonly delayBufferMs: number | null
  readonly xmlrpcCallback: string | null
  /** `load limit` when the sender understands that result. */
  readonly supports: readonly string[]
}

/** What stands when a command says nothing. */
export const NG_SETTINGS: NgSettings = Object.freeze({
  flags: new Set<NgFlag>(),
  direction: null,
  interface: null,
  addressFamily: null,
  replace: new Set<NgReplace>(),
  ice: null,
  iceLite: null,
  rtcpMux: new Set<NgRtcpMux>(),
  transportProtocol: null,
  dtls: null,
  dtlsReverse: null,
  dtlsFingerprint: null,
  sdes: Object.freeze({
    off: false,
    unencryptedSrtp: null,
    unencryptedSrtcp: null,
    unauthenticatedSrtp: null,
    no: [],
    only: [],
    noNew: false,
    order: [],
    offererPreference: [],
    pad: false,
    lifetime: false,
    static: false,
  }),
  osrtp: Object.freeze({ offer: null, acceptRfc: false, acceptLegacy: false }),
  codecs: Object.freeze({
    strip: [],
    offer: [],
    except: [],
    mask: [],
    transcode: [],
    consume: [],
    accept: [],
    set: [],
    ignore: [],
  }),
  ptimeMs: null,
  ptimeReverseMs: null,
  t38: new Set<NgT38>(),
  dtmf: Object.freeze({
    block: null,
    trigger: null,
    triggerBlock: null,
    triggerEnd: null,
    triggerEndBlock: null,
    triggerEndMs: null,
    triggerEndDigits: null,
    digit: null,
    frequencies: [],
    volumeDb: null,
    delayMs: null,
    logDestination: null,
  }),
  attributes: Object.freeze({}),
  generateRtcp: null,
  passthrough: null,
  recordCall: null,
  outputDestination: null,
  metadata: null,
  mediaEcho: null,
  dropTraffic: null,
  tos: null,
  mediaAddress: null,
  receivedFrom: null,
  endpointLearning: null,
  audioPlayer: null,
  delayBufferMs: null,
  xmlrpcCallback: null,
  supports: [],
})
