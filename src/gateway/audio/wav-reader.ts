// RIFF WAVE files as samples: PCM of 8 and 16 bits, µ-law and A-law, mono or stereo, any rate.

import { decodeG711 } from '#gateway/audio/g711.ts'
import { Resampler } from '#gateway/audio/resampler.ts'

/** The longest file: an hour at 8 kHz of 16 bits, five minutes of stereo at 48 kHz. */
const OCTETS_MAX = 57_600_000
const CHUNKS_MAX = 64
const RATE_MIN = 4000
const RATE_MAX = 192_000
const FORMAT_PCM = 1
const FORMAT_ALAW = 6
const FORMAT_MULAW = 7
const FORMAT_EXTENSIBLE = 0xfffe
const FORMAT_OCTETS_MIN = 16
const EXTENSIBLE_OCTETS_MIN = 26
const BLOCK = 4096

/** A sound in memory: mono, 16 bits. */
export interface Sound {
  readonly sampleRate: number
  readonly samples: Int16Array
}

interface Format {
  readonly tag: number
  readonly channels: number
  readonly sampleRate: number
  readonly bits: number
}

/** The sound of a file; channels are averaged. A string says in a sentence what is wrong with the file. */
export function readWav(file: Uint8Array): Sound | string {
  if (file.length > OCTETS_MAX) return `The file has ${file.length} octets; at most ${OCTETS_MAX} are taken.`
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (file.length < 12 || fourcc(view, 0) !== 'RIFF' || fourcc(view, 8) !== 'WAVE') {
    return 'The file does not begin as a RIFF WAVE file.'
  }
  let format: Format | string | null = null
  let position = 12
  for (let chunk = 0; chunk < CHUNKS_MAX && position + 8 <= file.length; chunk += 1) {
    const name = fourcc(view, position)
    const size = view.getUint32(position + 4, true)
    const start = position + 8
    // A file that was cut while it was written has a length of zero or all ones: what is there is taken.
    const end = Math.min(start + size, file.length)
    if (name === 'fmt ') format = readFormat(view, start, end)
    if (typeof format === 'string') return format
    if (name === 'data') {
      if (format === null) return 'The data come before the format.'
      const unfinished = size === 0 || size === 0xffff_ffff
      return {
        sampleRate: format.sampleRate,
        samples: samplesOf(file.subarray(start, unfinished ? file.length : end), format),
      }
    }
    position = start + size + (size & 1)
  }
  return 'The file has no data chunk.'
}

/** The same sound at another rate. */
export function soundAtRate(sound: Sound, sampleRate: number): Sound {
  if (sound.sampleRate === sampleRate) return sound
  const resampler = new Resampler(sound.sampleRate, sampleRate)
  // The filter's delay is cut off at the beginning, and drawn out with silence at the end.
  const delay = resampler.delay
  const whole = new Int16Array(resampler.outputMax(sound.samples.length + BLOCK))
  let written = resampler.resample(sound.samples, whole)
  written += resampler.resample(new Int16Array(BLOCK), whole.subarray(written))
  const length = Math.round((sound.samples.length * sampleRate) / sound.sampleRate)
  return { sampleRate, samples: whole.slice(delay, Math.min(delay + length, written)) }
}

function fourcc(view: DataView, position: number): string {
  let text = ''
  for (let i = 0; i < 4; i += 1) text += String.fromCharCode(view.getUint8(position + i))
  return text
}

function readFormat(view: DataView, start: number, end: number): Format | string {
  if (end - start < FORMAT_OCTETS_MIN) return 'The format chunk is too short.'
  const declared = view.getUint16(start, true)
  const extensible = declared === FORMAT_EXTENSIBLE
  if (extensible && end - start < EXTENSIBLE_OCTETS_MIN) return 'The extensible format chunk is too short.'
  const tag = extensible ? view.getUint16(start + 24, true) : declared
  const channels = view.getUint16(start + 2, true)
  const sampleRate = view.getUint32(start + 4, true)
  const bits = view.getUint16(start + 14, true)
  if (channels !== 1 && channels !== 2) return `The file has ${channels} channels; one or two are taken.`
  if (sampleRate < RATE_MIN || sampleRate > RATE_MAX) {
    return `The sample rate is ${sampleRate} Hz; ${RATE_MIN} to ${RATE_MAX} Hz are taken.`
  }
  const known =
    (tag === FORMAT_PCM && (bits === 8 || bits === 16)) || ((tag === FORMAT_ALAW || tag === FORMAT_MULAW) && bits === 8)
  if (!known) return `Format ${tag} with ${bits} bits is not taken: only PCM of 8 or 16 bits, µ-law and A-law.`
  return { tag, channels, sampleRate, bits }
}

function samplesOf(octets: Uint8Array, format: Format): Int16Array {
  const each = format.bits / 8
  const linear = new Int16Array(Math.floor(octets.length / each))
  if (format.tag === FORMAT_MULAW) decodeG711('PCMU', octets, linear)
  else if (format.tag === FORMAT_ALAW) decodeG711('PCMA', octets, linear)
  else if (format.bits === 8) for (let i = 0; i < linear.length; i += 1) linear[i] = ((octets[i] as number) - 128) << 8
  else {
    for (let i = 0; i < linear.length; i += 1) {
      linear[i] = (octets[2 * i] as number) | ((octets[2 * i + 1] as number) << 8)
    }
  }
  if (format.channels === 1) return linear
  const mono = new Int16Array(linear.length >> 1)
  for (let i = 0; i < mono.length; i += 1) {
    mono[i] = ((linear[2 * i] as number) + (linear[2 * i + 1] as number)) >> 1
  }
  return mono
}
