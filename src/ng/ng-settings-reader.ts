// Settings out of a command's dictionary and its list of flags, in every spelling that rtpengine documents.

import { type NgFields, wordOf } from '#ng/ng-fields.ts'
import { flagOf, isObsoleteFlag, type NgFlag, plainName } from '#ng/ng-flag.ts'
import {
  NG_SETTINGS,
  type NgAttributeChanges,
  type NgAttributeScope,
  type NgCodecs,
  type NgDtmf,
  type NgDtmfBlock,
  type NgIce,
  type NgOsrtp,
  type NgReplace,
  type NgRtcpMux,
  type NgSdes,
  type NgSettings,
  type NgT38,
} from '#ng/ng-settings.ts'

const MS_MAX = 3_600_000
const PTIME_MS_MAX = 1_000
const TOS_MAX = 255
const HERTZ_MAX = 24_000

const REPLACE: readonly NgReplace[] = [
  'origin',
  'session-connection',
  'session-name',
  'sdp-version',
  'username',
  'zero-address',
  'force-increment-sdp-ver',
]
const RTCP_MUX: readonly NgRtcpMux[] = ['offer', 'require', 'demux', 'accept', 'reject']
const ICE: readonly NgIce[] = ['remove', 'force', 'default', 'optional', 'force-relay']
const T38: readonly NgT38[] = [
  'decode',
  'force',
  'stop',
  'no-ecm',
  'no-v.17',
  'no-v.27ter',
  'no-v.29',
  'no-v.34',
  'no-iaf',
  'fec',
]
const T38_SYNONYMS: Readonly<Record<string, NgT38>> = {
  'no-v17': 'no-v.17',
  'no-v27ter': 'no-v.27ter',
  'no-v29': 'no-v.29',
  'no-v34': 'no-v.34',
}
const OFF_WORDS = { no: 'off', disable: 'off', disabled: 'off', none: 'off' } as const
const ICE_LITE_WORDS = {
  ...OFF_WORDS,
  offer: 'forward',
  fwd: 'forward',
  fw: 'forward',
  backwards: 'backward',
  reverse: 'backward',
  answer: 'backward',
  back: 'backward',
  bkw: 'backward',
  bk: 'backward',
} as const
const ECHO_WORDS = { ...ICE_LITE_WORDS, sinkhole: 'blackhole' } as const
const BLOCKS: readonly NgDtmfBlock[] = ['off', 'drop', 'silence', 'tone', 'random', 'zero', 'dtmf']
const CODEC_WORDS: readonly (keyof NgCodecs)[] = [
  'strip',
  'offer',
  'except',
  'mask',
  'transcode',
  'consume',
  'accept',
  'set',
  'ignore',
]
const SCOPES: readonly NgAttributeScope[] = ['global', 'audio', 'video']
const SCOPE_WORDS = { none: 'global', session: 'global' } as const

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Lists<T> = { [K in keyof T]: string[] }

/** Takes all that are settings out of `fields`, and the flags that are none of them into `others` (plain names). */
export class NgSettingsReader {
  readonly #fields: NgFields
  readonly #flags = new Set<NgFlag>()
  readonly #replace = new Set<NgReplace>()
  readonly #rtcpMux = new Set<NgRtcpMux>()
  readonly #t38 = new Set<NgT38>()
  readonly #sdes: Mutable<NgSdes> = { ...NG_SETTINGS.sdes }
  readonly #osrtp: Mutable<NgOsrtp> = { ...NG_SETTINGS.osrtp }
  readonly #codecs: Lists<NgCodecs>
  readonly #attributes: Partial<Record<NgAttributeScope, NgAttributeChanges>> = {}
  #generateRtcp: boolean | null = null
  #passthrough: boolean | null = null
  #recordCall: boolean | null = null
  #endpointLearning: NgSettings['endpointLearning'] = null
  /** Flags that stand for keys outside the settings. */
  readonly fromTags: string[] = []
  all = false
  pause = false

  constructor(fields: NgFields) {
    this.#fields = fields
    const { strip, offer, except, mask, transcode, consume, accept, set, ignore } = NG_SETTINGS.codecs
    this.#codecs = {
      strip: [...strip],
      offer: [...offer],
      except: [...except],
      mask: [...mask],
      transcode: [...transcode],
      consume: [...consume],
      accept: [...accept],
      set: [...set],
      ignore: [...ignore],
    }
  }

  read(): NgSettings {
    const fields = this.#fields
    this.#readLists()
    this.#readCodecs()
    this.#readAttributes()
    this.#generateRtcp = fields.toggle('generate-rtcp') ?? this.#generateRtcp
    this.#passthrough = fields.toggle('passthrough') ?? this.#passthrough
    this.#recordCall = fields.toggle('record-call') ?? this.#recordCall
    const direction = fields.list('direction')
    const [from, to] = direction
    const receivedFrom = fields.list('received-from')
    const settings: NgSettings = {
      flags: this.#flags,
      direction: from !== undefined && to !== undefined ? [from, to] : null,
      interface: fields.text('interface'),
      addressFamily: upper(fields.word(['ip4', 'ip6'], { ipv4: 'ip4', ipv6: 'ip6' }, 'address-family')),
      replace: this.#replace,
      ice: fields.word(ICE, {}, 'ice'),
      iceLite: fields.word(['off', 'forward', 'backward', 'both'], ICE_LITE_WORDS, 'ice-lite'),
      rtcpMux: this.#rtcpMux,
      transportProtocol: protocolOf(fields.text('transport-protocol')),
      dtls: fields.word(['off', 'passive', 'active'], OFF_WORDS, 'dtls'),
      dtlsReverse: fields.word(['passive', 'active'], {}, 'dtls-reverse'),
      dtlsFingerprint: fields.text('dtls-fingerprint')?.toUpperCase() ?? null,
      sdes: this.#sdes,
      osrtp: this.#osrtp,
      codecs: this.#codecs,
      ptimeMs: positive(fields.integer(0, PTIME_MS_MAX, 'ptime')),
      ptimeReverseMs: positive(fields.integer(0, PTIME_MS_MAX, 'ptime-reverse')),
      t38: this.#t38,
      dtmf: this.#dtmf(),
      attributes: this.#attributes,
      generateRtcp: this.#generateRtcp,
      passthrough: this.#passthrough,
      recordCall: this.#recordCall,
      outputDestination: fields.text('output-destination', 'output-dest'),
      metadata: fields.text('metadata'),
      mediaEcho: echoOf(fields),
      dropTraffic: fields.word(['start', 'stop'], {}, 'drop-traffic'),
      tos: fields.integer(-1, TOS_MAX, 'tos'),
      mediaAddress: fields.text('media-address'),
      receivedFrom: receivedFrom[1] ?? null,
      endpointLearning:
        fields.word(['off', 'immediate', 'delayed', 'heuristic'], {}, 'endpoint-learning') ?? this.#endpointLearning,
      audioPlayer: fields.word(['default', 'transcoding', 'off', 'always'], {}, 'audio-player', 'player'),
      delayBufferMs: fields.integer(0, MS_MAX, 'delay-buffer'),
      xmlrpcCallback: fields.text('xmlrpc-callback'),
      supports: fields.list('supports'),
    }
    this.#keysThatAreFlags()
    return settings
  }

  #readLists(): void {
    const fields = this.#fields
    for (const text of fields.list('flags')) this.#flag(text)
    for (const text of fields.list('replace')) this.#add(this.#replace, text, REPLACE, {}, 'replace')
    for (const text of fields.list('rtcp-mux')) this.#add(this.#rtcpMux, text, RTCP_MUX, {}, 'rtcp-mux')
    for (const text of fields.list('sdes')) this.#sdesOption(text)
    for (const text of fields.list('osrtp')) this.#osrtpOption(text)
    for (const name of ['t38', 't.38']) {
      for (const text of fields.list(name)) this.#add(this.#t38, text, T38, T38_SYNONYMS, 'T.38')
    }
  }

  #readCodecs(): void {
    const codecs = this.#fields.dictionary('codec', 'codecs')
    if (codecs === null) return
    for (const word of CODEC_WORDS) this.#codecs[word].push(...codecs.list(word))
    for (const text of codecs.unknown('codec.')) this.#fields.report(text)
  }

  #readAttributes(): void {
    const scopes = this.#fields.dictionary('sdp-attr', 'sdp-attributes')
    if (scopes === null) return
    for (const name of scopes.names()) {
      const scope = wordOf(name, SCOPES, SCOPE_WORDS)
      const changes = scope === null ? null : scopes.dictionary(name)
      if (scope !== null && changes !== null) {
        const substitute = changes.take('substitute')
        this.#attributes[scope] = {
          add: changes.list('add'),
          remove: changes.list('remove'),
          substitute: pairsOf(substitute),
        }
        for (const text of changes.unknown(`sdp-attr.${name}.`)) this.#fields.report(text)
      }
    }
    for (const text of scopes.unknown('sdp-attr.')) this.#fields.report(text)
  }

  #dtmf(): NgDtmf {
    const fields = this.#fields
    const synonyms = OFF_WORDS
    return {
      block: fields.word(BLOCKS, synonyms, 'dtmf-security'),
      trigger: fields.text('trigger'),
      triggerBlock: fields.word(BLOCKS, synonyms, 'dtmf-security-trigger'),
      triggerEnd: fields.text('trigger-end', 'end-trigger'),
      triggerEndBlock: fields.word(BLOCKS, synonyms, 'dtmf-security-trigger-end'),
      triggerEndMs: fields.integer(0, MS_MAX, 'trigger-end-time'),
      triggerEndDigits: fields.integer(0, 1_000, 'trigger-end-digits'),
      digit: fields.text('digit', 'code'),
      frequencies: this.#frequencies(),
      volumeDb: negative(fields.integer(-63, 63, 'volume')),
      delayMs: fields.integer(0, MS_MAX, 'dtmf-delay'),
      logDestination: fields.text('dtmf-log-dest'),
    }
  }

  #frequencies(): readonly number[] {
    const value = this.#fields.take('frequencies', 'frequency')
    if (value === null) return []
    const items: readonly unknown[] = Array.isArray(value)
      ? value
      : typeof value === 'string'
        ? value.split(',')
        : [value]
    return items
      .map((item) => (typeof item === 'string' || typeof item === 'number' ? Number(item) : Number.NaN))
      .filter((hertz) => Number.isInteger(hertz) && hertz > 0 && hertz <= HERTZ_MAX)
  }

  /** rtpengine takes `"loop-protect": "yes"` as a key beside the list of flags. */
  #keysThatAreFlags(): void {
    for (const name of this.#fields.names()) {
      const flag = flagOf(name)
      if (flag !== null && flag !== 'to-tag' && this.#fields.toggle(name) === true) this.#flags.add(flag)
    }
  }

  #flag(text: string): void {
    const name = plainName(text)
    const flag = flagOf(name)
    if (flag !== null) {
      this.#flags.add(flag)
      return
    }
    switch (name) {
      case 'all':
        this.all = true
        return
      case 'pause':
        this.pause = true
        return
      case 'always-transcode':
        this.#codecs.accept.push('all')
        return
      case 'pad-crypto':
        this.#sdes.pad = true
        return
      case 'generate-rtcp':
        this.#generateRtcp = true
        return
      case 'record-call':
        this.#recordCall = true
        return
      case 'passthrough':
        this.#passthrough = true
        return
      case 'no-passthrough':
        this.#passthrough = false
        return
    }
    if (!isObsoleteFlag(name) && !this.#prefixed(text)) this.#fields.report(text)
  }

  /** Flags that stand for keys: `codec-strip-PCMU`, `SDES-no-…`, `rtcp-mux-offer`. The value keeps its case. */
  #prefixed(text: string): boolean {
    // A prefix is plain text of ASCII: its length is the same in every spelling.
    const name = plainName(text.slice(0, PREFIX_OCTETS_MAX))
    const rest = (prefix: string): string | null => (name.startsWith(prefix) ? text.slice(prefix.length) : null)
    for (const word of CODEC_WORDS) {
      const codec = rest(`codec-${word}-`) ?? (word === 'transcode' ? rest('transcode-') : null)
      if (codec !== null) {
        this.#codecs[word].push(codec.replaceAll('--', '='))
        return true
      }
    }
    const sdes = rest('sdes-')
    if (sdes !== null) {
      this.#sdesOption(sdes)
      return true
    }
    const osrtp = rest('osrtp-')
    if (osrtp !== null) {
      this.#osrtpOption(osrtp)
      return true
    }
    const t38 = rest('t38-') ?? rest('t.38-')
    if (t38 !== null) return this.#add(this.#t38, t38, T38, T38_SYNONYMS, 'T.38')
    const replace = rest('replace-')
    if (replace !== null) return this.#add(this.#replace, replace, REPLACE, {}, 'replace')
    const mux = rest('rtcp-mux-')
    if (mux !== null) return this.#add(this.#rtcpMux, mux, RTCP_MUX, {}, 'rtcp-mux')
    const learning = rest('endpoint-learning-')
    if (learning !== null) {
      this.#endpointLearning = wordOf(learning, ['off', 'immediate', 'delayed', 'heuristic'], {})
      return this.#endpointLearning !== null
    }
    const tag = rest('from-tags-')
    if (tag !== null) this.fromTags.push(tag)
    return tag !== null
  }

  #add<T extends string>(
    set: Set<T>,
    text: string,
    words: readonly T[],
    synonyms: Readonly<Record<string, T>>,
    key: string,
  ): true {
    const word = wordOf(text, words, synonyms)
    if (word === null) this.#fields.report(`${key}=${text}`)
    else set.add(word)
    return true
  }

  #sdesOption(text: string): void {
    const sdes = this.#sdes
    const name = plainName(text.slice(0, PREFIX_OCTETS_MAX))
    if (['no', 'off', 'disable', 'disabled'].includes(name)) sdes.off = true
    else if (name.startsWith('no-')) sdes.no = [...sdes.no, text.slice(3)]
    else if (name.startsWith('only-')) sdes.only = [...sdes.only, text.slice(5)]
    else if (name.startsWith('order:')) sdes.order = suites(text)
    else if (name.startsWith('offerer-pref:')) sdes.offererPreference = suites(text)
    else if (name === 'nonew') sdes.noNew = true
    else if (name === 'pad') sdes.pad = true
    else if (name === 'lifetime') sdes.lifetime = true
    else if (name === 'static') sdes.static = true
    else if (name === 'unencrypted-srtp') sdes.unencryptedSrtp = true
    else if (name === 'unencrypted-srtcp') sdes.unencryptedSrtcp = true
    else if (name === 'unauthenticated-srtp') sdes.unauthenticatedSrtp = true
    else if (name === 'encrypted-srtp') sdes.unencryptedSrtp = false
    else if (name === 'encrypted-srtcp') sdes.unencryptedSrtcp = false
    else if (name === 'authenticated-srtp') sdes.unauthenticatedSrtp = false
    else this.#fields.report(`SDES=${text}`)
  }

  #osrtpOption(text: string): void {
    const name = plainName(text)
    const accepts = name === 'accept'
    if (name === 'offer' || name === 'offer-rfc') this.#osrtp.offer = 'rfc'
    else if (name === 'offer-legacy') this.#osrtp.offer = 'legacy'
    else if (accepts || name === 'accept-rfc' || name === 'accept-legacy') {
      if (name !== 'accept-legacy') this.#osrtp.acceptRfc = true
      if (name !== 'accept-rfc') this.#osrtp.acceptLegacy = true
    } else this.#fields.report(`OSRTP=${text}`)
  }
}

const PREFIX_OCTETS_MAX = 24

function suites(text: string): readonly string[] {
  return text
    .slice(text.indexOf(':') + 1)
    .split(';')
    .filter((suite) => suite !== '')
}

function pairsOf(value: unknown): readonly (readonly [string, string])[] {
  if (!Array.isArray(value)) return []
  const [first, second] = value
  if (typeof first === 'string' && typeof second === 'string') return [[first, second]]
  return value.flatMap((pair) => {
    const [from, to] = Array.isArray(pair) ? pair : []
    return typeof from === 'string' && typeof to === 'string' ? [[from, to] as const] : []
  })
}

function upper(family: 'ip4' | 'ip6' | null): 'IP4' | 'IP6' | null {
  return family === null ? null : family === 'ip4' ? 'IP4' : 'IP6'
}

function protocolOf(text: string | null): string | null {
  if (text === null) return null
  return text.toLowerCase() === 'accept' ? 'accept' : text.toUpperCase()
}

function echoOf(fields: NgFields): NgSettings['mediaEcho'] {
  const word = fields.word(['blackhole', 'forward', 'backward', 'both', 'off'], ECHO_WORDS, 'media-echo')
  return word === 'off' ? null : word
}

function positive(value: number | null): number | null {
  return value === 0 ? null : value
}

/** rtpengine takes volumes as decibels below zero, with or without the sign. */
function negative(value: number | null): number | null {
  return value === null || value === 0 ? value : -Math.abs(value)
}
