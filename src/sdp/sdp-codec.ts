// The codecs of a media description: rtpmap and fmtp (RFC 8866 §6.6, §6.15), static payload types (RFC 3551 §6).

import { attributeName, attributesOf, withAttributes } from '#sdp/attributes.ts'
import type { MediaDescription } from '#sdp/session-description.ts'

/** One payload type of a media description. The same shape as a payload format of the gateway's data plane. */
export interface SdpCodec {
  readonly payloadType: number
  /** Encoding name in upper case: PCMU, OPUS, TELEPHONE-EVENT. */
  readonly encoding: string
  /** The RTP timestamp's rate in hertz: 8000 for G722 (RFC 3551 §4.5.2). */
  readonly clockRate: number
  readonly channels: number
  /** The value of a=fmtp, or ''. */
  readonly parameters: string
}

/** RFC 3551 §6, tables 4 and 5: payload type → encoding, clock rate, channels. */
const STATIC: ReadonlyMap<number, readonly [encoding: string, clockRate: number, channels: number]> = new Map([
  [0, ['PCMU', 8000, 1]],
  [3, ['GSM', 8000, 1]],
  [4, ['G723', 8000, 1]],
  [5, ['DVI4', 8000, 1]],
  [6, ['DVI4', 16_000, 1]],
  [7, ['LPC', 8000, 1]],
  [8, ['PCMA', 8000, 1]],
  [9, ['G722', 8000, 1]],
  [10, ['L16', 44_100, 2]],
  [11, ['L16', 44_100, 1]],
  [12, ['QCELP', 8000, 1]],
  [13, ['CN', 8000, 1]],
  [14, ['MPA', 90_000, 1]],
  [15, ['G728', 8000, 1]],
  [16, ['DVI4', 11_025, 1]],
  [17, ['DVI4', 22_050, 1]],
  [18, ['G729', 8000, 1]],
  [25, ['CELB', 90_000, 1]],
  [26, ['JPEG', 90_000, 1]],
  [28, ['NV', 90_000, 1]],
  [31, ['H261', 90_000, 1]],
  [32, ['MPV', 90_000, 1]],
  [33, ['MP2T', 90_000, 1]],
  [34, ['H263', 90_000, 1]],
])

/** Spellings that are not in capitals, for readers that compare by octets. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['OPUS', 'opus'],
  ['TELEPHONE-EVENT', 'telephone-event'],
  ['TONE', 'tone'],
  ['ILBC', 'iLBC'],
  ['SPEEX', 'speex'],
  ['RED', 'red'],
  ['RTX', 'rtx'],
  ['ULPFEC', 'ulpfec'],
])

/** The first dynamic payload type, and the last (RFC 3551 §3). */
export const DYNAMIC_MIN = 96
export const DYNAMIC_MAX = 127

const CODEC_ATTRIBUTES: ReadonlySet<string> = new Set(['rtpmap', 'fmtp'])

/** Whether the formats are RTP payload types (RFC 8866 §5.14). */
export function isRtp(protocol: string): boolean {
  return /(?:^|\/)RTP\//i.test(protocol)
}

/**
 * The codecs in order of the m= line, which is the order of preference (RFC 3264 §5.1). A payload type without rtpmap that is not static
 * is left out, as nobody knows what it is; so is a second mention. Empty for what is not RTP.
 */
export function codecsOf(media: MediaDescription): SdpCodec[] {
  if (!isRtp(media.protocol)) return []
  const maps = byPayloadType(attributesOf(media.lines, 'rtpmap'))
  const parameters = byPayloadType(attributesOf(media.lines, 'fmtp'))
  const codecs: SdpCodec[] = []
  const seen = new Set<number>()
  for (const format of media.formats) {
    const payloadType = payloadTypeOf(format)
    if (payloadType < 0 || seen.has(payloadType)) continue
    seen.add(payloadType)
    const coding = codingOf(payloadType, maps.get(payloadType))
    if (coding !== null) codecs.push({ payloadType, ...coding, parameters: parameters.get(payloadType) ?? '' })
  }
  return codecs
}

/**
 * The media description with these codecs, in this order, and no other formats. A codec that stood there under its payload type keeps its
 * lines as they were written; attributes of payload types that are gone go too (rtpmap, fmtp, rtcp-fb). `codecs` must not be empty.
 */
export function withCodecs(media: MediaDescription, codecs: readonly SdpCodec[]): MediaDescription {
  const before = new Map(codecsOf(media).map((codec) => [codec.payloadType, codec]))
  const replacement: string[] = []
  const kept = new Set<number>()
  for (const codec of codecs) {
    const old = before.get(codec.payloadType)
    const coding = old !== undefined && sameCoding(old, codec)
    if (coding) kept.add(codec.payloadType)
    const map = coding ? lineFor(media.lines, 'rtpmap', codec.payloadType) : rtpmapLine(codec)
    if (map !== null) replacement.push(map)
    const format = coding && old.parameters === codec.parameters
    const fmtp = format ? lineFor(media.lines, 'fmtp', codec.payloadType) : fmtpLine(codec)
    if (fmtp !== null) replacement.push(fmtp)
  }
  const lines = withAttributes(media.lines, CODEC_ATTRIBUTES, replacement).filter((line) => {
    if (attributeName(line) !== 'rtcp-fb') return true
    const payloadType = Number.parseInt(line.slice('a=rtcp-fb:'.length), 10)
    return Number.isNaN(payloadType) || kept.has(payloadType)
  })
  return { ...media, formats: codecs.map((codec) => String(codec.payloadType)), lines }
}

/** The rtpmap lines and fmtp lines of codecs, for a description of our own. */
export function codecLines(codecs: readonly SdpCodec[]): string[] {
  return codecs.flatMap((codec) => {
    const fmtp = fmtpLine(codec)
    return fmtp === null ? [rtpmapLine(codec)] : [rtpmapLine(codec), fmtp]
  })
}

/** The encoding, clock rate and channels of a static payload type (RFC 3551 §6), or null. */
export function staticCoding(payloadType: number): Pick<SdpCodec, 'encoding' | 'clockRate' | 'channels'> | null {
  const entry = STATIC.get(payloadType)
  return entry === undefined ? null : { encoding: entry[0], clockRate: entry[1], channels: entry[2] }
}

/** The static payload type of a coding, or -1. */
export function staticPayloadType(coding: Pick<SdpCodec, 'encoding' | 'clockRate' | 'channels'>): number {
  for (const [payloadType, [encoding, clockRate, channels]] of STATIC) {
    if (encoding === coding.encoding && clockRate === coding.clockRate && channels === coding.channels) {
      return payloadType
    }
  }
  return -1
}

/** Whether encoding, clock rate and channels are the same; parameters are another matter. */
export function sameCoding(a: SdpCodec, b: Omit<SdpCodec, 'payloadType' | 'parameters'>): boolean {
  return a.encoding === b.encoding && a.clockRate === b.clockRate && a.channels === b.channels
}

/** One parameter of an fmtp value ("minptime=10;useinbandfec=1"), or null. Names compare without case. */
export function formatParameter(parameters: string, name: string): string | null {
  for (const part of parameters.split(';')) {
    const equals = part.indexOf('=')
    const key = (equals < 0 ? part : part.slice(0, equals)).trim()
    if (key.toLowerCase() === name.toLowerCase()) return equals < 0 ? '' : part.slice(equals + 1).trim()
  }
  return null
}

/** Whether it carries sound as such: no events, tones, comfort noise, redundancy or correction. */
export function isSpeech(codec: Pick<SdpCodec, 'encoding'>): boolean {
  return !NO_SPEECH.has(codec.encoding)
}

const NO_SPEECH: ReadonlySet<string> = new Set(['TELEPHONE-EVENT', 'TONE', 'CN', 'RED', 'RTX', 'ULPFEC', 'FLEXFEC-03'])

function codingOf(
  payloadType: number,
  map: string | undefined,
): Pick<SdpCodec, 'encoding' | 'clockRate' | 'channels'> | null {
  if (map === undefined) return staticCoding(payloadType)
  // Tokens only (RFC 8866 §9): beyond ASCII, upper case may be another octet, or two.
  const match = /^([\x21-\x2e\x30-\x7e]+)\/(\d{1,9})(?:\/(\d{1,3}))?[ \t]*$/.exec(map)
  if (match === null) return staticCoding(payloadType)
  const [, name = '', rate, channels] = match
  return { encoding: name.toUpperCase(), clockRate: Number(rate), channels: Math.max(1, Number(channels ?? 1)) }
}

/** Values "<payload type> <rest>" by payload type; the first of each counts. */
function byPayloadType(values: readonly string[]): Map<number, string> {
  const found = new Map<number, string>()
  for (const value of values) {
    const match = /^(\d{1,3})[ \t]+/.exec(value)
    if (match === null) continue
    const payloadType = payloadTypeOf(match[1] ?? '')
    if (payloadType >= 0 && !found.has(payloadType)) found.set(payloadType, value.slice(match[0].length))
  }
  return found
}

/** 0 to 127, or -1. */
function payloadTypeOf(format: string): number {
  if (!/^\d{1,3}$/.test(format)) return -1
  const payloadType = Number(format)
  return payloadType > DYNAMIC_MAX ? -1 : payloadType
}

function lineFor(lines: readonly string[], name: string, payloadType: number): string | null {
  const start = `a=${name}:`
  const found = lines.find(
    (line) => line.startsWith(start) && Number.parseInt(line.slice(start.length), 10) === payloadType,
  )
  return found ?? null
}

function rtpmapLine(codec: SdpCodec): string {
  const name = SPELLINGS.get(codec.encoding) ?? codec.encoding
  const channels = codec.channels > 1 ? `/${codec.channels}` : ''
  return `a=rtpmap:${codec.payloadType} ${name}/${codec.clockRate}${channels}`
}

function fmtpLine(codec: SdpCodec): string | null {
  return codec.parameters === '' ? null : `a=fmtp:${codec.payloadType} ${codec.parameters}`
}
