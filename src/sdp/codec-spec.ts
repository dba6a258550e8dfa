// A codec in a word, as rtpengine's flags have it: "PCMU", "8", "opus/48000/2/32000/20/useinbandfec=1".

import type { SdpCodec } from '#sdp/sdp-codec.ts'

/** What a word says; null where it says nothing. */
export interface CodecSpec {
  /** Upper case; ALL and FULL are words of their own. '' when the word is a payload type. */
  readonly encoding: string
  readonly payloadType: number | null
  readonly clockRate: number | null
  readonly channels: number | null
  /** Bits per second. */
  readonly bitRate: number | null
  readonly ptimeMs: number | null
  /** The value of a=fmtp; '' when not given. */
  readonly parameters: string
}

const WORD_LENGTH_MAX = 256

/** Parses a word; null when it has no name or a number is none. Two dashes stand for an equals sign. */
export function parseCodecSpec(word: string): CodecSpec | null {
  if (word.length > WORD_LENGTH_MAX) return null
  const [name = '', rate = '', channels = '', bitRate = '', ptime = '', parameters = ''] = word.trim().split('/')
  if (!/^[\x21-\x7e]+$/.test(name)) return null
  const numbers = [rate, channels, bitRate, ptime].map((text) => (text === '' ? null : numberOf(text)))
  if (numbers.some((number) => number !== null && number < 1)) return null
  const [clockRate = null, channelCount = null, bits = null, ptimeMs = null] = numbers
  const isPayloadType = /^\d{1,3}$/.test(name)
  if (isPayloadType && Number(name) > 127) return null
  return {
    encoding: isPayloadType ? '' : name.toUpperCase(),
    payloadType: isPayloadType ? Number(name) : null,
    clockRate,
    channels: channelCount,
    bitRate: bits,
    ptimeMs,
    parameters: parameters.replaceAll('--', '='),
  }
}

/** Whether a codec is what the word names. What the word leaves open may be anything: opus/48000 is also opus/48000/2, the only one there is (RFC 7587 §7). */
export function matchesSpec(codec: SdpCodec, spec: CodecSpec): boolean {
  if (spec.payloadType !== null) return codec.payloadType === spec.payloadType
  if (codec.encoding !== spec.encoding) return false
  if (spec.clockRate !== null && codec.clockRate !== spec.clockRate) return false
  return spec.channels === null || codec.channels === spec.channels
}

function numberOf(text: string): number {
  return /^\d{1,7}$/.test(text) ? Number(text) : -1
}
