// Opus (RFC 6716, RTP payload RFC 7587) through libopus compiled to WebAssembly, which comes with the package libopus-wasm.

import type { AudioDecoder, AudioEncoder } from '#core/audio-codec.ts'
import { errorWord } from '#host/error-word.ts'

/** What we use of the compiled module. Addresses are octet offsets in its memory. */
interface OpusModule {
  readonly HEAPU8: Uint8Array
  readonly HEAP16: Int16Array
  _malloc(octets: number): number
  _oc_create_encoder(sampleRate: number, channels: number, application: number, error: number): number
  _oc_destroy_encoder(encoder: number): void
  _oc_encode(encoder: number, samples: number, count: number, packet: number, octetsMax: number): number
  _oc_encoder_ctl(encoder: number, request: number, value: number): number
  _oc_create_decoder(sampleRate: number, channels: number, error: number): number
  _oc_destroy_decoder(decoder: number): void
  _oc_decode(decoder: number, packet: number, octets: number, samples: number, count: number, fec: number): number
}

const FUNCTIONS: readonly (keyof OpusModule)[] = [
  '_malloc',
  '_oc_create_encoder',
  '_oc_destroy_encoder',
  '_oc_encode',
  '_oc_encoder_ctl',
  '_oc_create_decoder',
  '_oc_destroy_decoder',
  '_oc_decode',
]

/** RFC 6716 §2.1.3 and §3.4: rates that the codec works at, and its longest packet in milliseconds and octets. */
const RATES: readonly number[] = [8000, 12_000, 16_000, 24_000, 48_000]
const PACKET_MS_MAX = 120
const PACKET_OCTETS_MAX = 7650
const SAMPLES_MAX = (48_000 / 1000) * PACKET_MS_MAX
const RATE_MAX = 48_000
const FIRST_LOST_MS = 20

/** opus_defines.h. */
const APPLICATION_VOIP = 2048
const SET_BITRATE = 4002
const SET_VBR = 4006
const SET_COMPLEXITY = 4010
const SET_INBAND_FEC = 4012
const SET_PACKET_LOSS_PERCENT = 4014
const SET_DTX = 4016
const SET_SIGNAL = 4024
const SIGNAL_VOICE = 3001

/** RFC 7587 §3.1.1: sweet spots for speech, mono, in bit/s, by audio rate; and what §6.1 allows in maxaveragebitrate. */
const BITRATES: Readonly<Record<number, number>> = {
  8000: 12_000,
  12000: 16_000,
  16000: 20_000,
  24000: 28_000,
  48000: 32_000,
}
const BITRATE_MIN = 6000
const BITRATE_MAX = 510_000
/** Half of the scale costs a third of the time of the top, for a difference that speech does not show. */
const COMPLEXITY = 5
/** Redundancy is only written for a loss that is expected (§6.1 useinbandfec says that it is welcome, not how much). */
const EXPECTED_LOSS_PERCENT = 10
/** §3.1.3: a packet of at most two octets says that nothing needs to be sent. */
const DTX_OCTETS_MAX = 2

/** The library of one thread, with buffers in its memory that all codecs share: each call is over before the next. */
export class OpusLibrary {
  readonly module: OpusModule
  /** Where samples and packets are handed over. */
  readonly samples: number
  readonly packet: number
  readonly #error: number

  constructor(module: OpusModule) {
    this.module = module
    this.samples = module._malloc(SAMPLES_MAX * 2)
    this.packet = module._malloc(PACKET_OCTETS_MAX)
    this.#error = module._malloc(4)
  }

  /** Null when the library has no memory left. */
  encoder(parameters: string, sampleRate: number, onClose: () => void): AudioEncoder | null {
    // RFC 7587 §6.1: nothing is heard of what lies above half the rate that the far side plays.
    const rate = opusRate(Math.min(sampleRate, parameter(parameters, 'maxplaybackrate') ?? RATE_MAX))
    const encoder = this.module._oc_create_encoder(rate, 1, APPLICATION_VOIP, this.#error)
    if (encoder === 0) return null
    const set = (request: number, value: number): unknown => this.module._oc_encoder_ctl(encoder, request, value)
    const asked = parameter(parameters, 'maxaveragebitrate') ?? BITRATE_MAX
    const bitrate = Math.min(BITRATES[rate] as number, Math.max(asked, BITRATE_MIN))
    set(SET_BITRATE, bitrate)
    set(SET_COMPLEXITY, COMPLEXITY)
    set(SET_SIGNAL, SIGNAL_VOICE)
    set(SET_VBR, parameter(parameters, 'cbr') === 1 ? 0 : 1)
    set(SET_DTX, parameter(parameters, 'usedtx') === 1 ? 1 : 0)
    if (parameter(parameters, 'useinbandfec') === 1) {
      set(SET_INBAND_FEC, 1)
      set(SET_PACKET_LOSS_PERCENT, EXPECTED_LOSS_PERCENT)
    }
    return new OpusEncoder(this, encoder, rate, onClose)
  }

  /** Null when the library has no memory left. */
  decoder(_parameters: string, sampleRate: number, onClose: () => void): AudioDecoder | null {
    const rate = opusRate(sampleRate)
    const decoder = this.module._oc_create_decoder(rate, 1, this.#error)
    return decoder === 0 ? null : new OpusDecoder(this, decoder, rate, onClose)
  }
}

class OpusEncoder implements AudioEncoder {
  readonly sampleRate: number
  readonly frameSamples: number
  readonly #library: OpusLibrary
  readonly #onClose: () => void
  #encoder: number

  constructor(library: OpusLibrary, encoder: number, sampleRate: number, onClose: () => void) {
    this.#library = library
    this.#encoder = encoder
    this.sampleRate = sampleRate
    this.frameSamples = sampleRate / 400
    this.#onClose = onClose
  }

  encode(samples: Int16Array, target: Uint8Array): number {
    if (this.#encoder === 0 || samples.length === 0 || samples.length > SAMPLES_MAX) return 0
    const { module, packet } = this.#library
    module.HEAP16.set(samples, this.#library.samples >> 1)
    const room = Math.min(target.length, PACKET_OCTETS_MAX)
    const octets = module._oc_encode(this.#encoder, this.#library.samples, samples.length, packet, room)
    if (octets <= DTX_OCTETS_MAX) return 0
    const heap = module.HEAPU8
    for (let i = 0; i < octets; i += 1) target[i] = heap[packet + i] as number
    return octets
  }

  close(): void {
    if (this.#encoder === 0) return
    this.#library.module._oc_destroy_encoder(this.#encoder)
    this.#encoder = 0
    this.#onClose()
  }
}

class OpusDecoder implements AudioDecoder {
  readonly sampleRate: number
  readonly #library: OpusLibrary
  readonly #onClose: () => void
  #decoder: number
  #lastSamples: number

  constructor(library: OpusLibrary, decoder: number, sampleRate: number, onClose: () => void) {
    this.#library = library
    this.#decoder = decoder
    this.sampleRate = sampleRate
    this.#lastSamples = (sampleRate * FIRST_LOST_MS) / 1000
    this.#onClose = onClose
  }

  decode(payload: Uint8Array, target: Int16Array): number {
    if (payload.length === 0) return 0
    const room = Math.min(target.length, (this.sampleRate / 1000) * PACKET_MS_MAX)
    const count = this.#decode(payload, target, room, 0)
    if (count > 0) this.#lastSamples = count
    return count
  }

  decodeLost(target: Int16Array, next?: Uint8Array): number {
    if (target.length < this.#lastSamples) return 0
    if (next !== undefined && next.length > 0) {
      const count = this.#decode(next, target, this.#lastSamples, 1)
      if (count > 0) return count
    }
    return this.#decode(null, target, this.#lastSamples, 0)
  }

  #decode(payload: Uint8Array | null, target: Int16Array, room: number, fec: number): number {
    const length = payload === null ? 0 : payload.length
    if (this.#decoder === 0 || length > PACKET_OCTETS_MAX) return 0
    const { module, samples } = this.#library
    if (payload !== null) module.HEAPU8.set(payload, this.#library.packet)
    const packet = payload === null ? 0 : this.#library.packet
    const count = module._oc_decode(this.#decoder, packet, length, samples, room, fec)
    if (count <= 0) return 0
    const heap = module.HEAP16
    const start = samples >> 1
    for (let i = 0; i < count; i += 1) target[i] = heap[start + i] as number
    return count
  }

  close(): void {
    if (this.#decoder === 0) return
    this.#library.module._oc_destroy_decoder(this.#decoder)
    this.#decoder = 0
    this.#onClose()
  }
}

/** Loads the library, or says why it is not there. */
export async function opusLibrary(): Promise<OpusLibrary | string> {
  try {
    // The package's own functions allocate for every frame and make encoders only asynchronously; the compiled module under
    // them does neither. Its path is not exported, so the package is pinned and the module is looked at before use.
    const address = new URL('./generated/libopus.generated.mjs', import.meta.resolve('libopus-wasm'))
    const { default: create } = (await import(address.href)) as { default: () => Promise<OpusModule> }
    const module = await create()
    if (!FUNCTIONS.every((name) => typeof module[name] === 'function')) return 'unknown version of libopus-wasm'
    return new OpusLibrary(module)
  } catch (error) {
    return errorWord(error)
  }
}

/** The rate nearest above what was asked for. */
function opusRate(sampleRate: number): number {
  return RATES.find((rate) => rate >= sampleRate) ?? RATE_MAX
}

/** RFC 7587 §6.1: the number that a parameter of a=fmtp has, or null. */
function parameter(parameters: string, name: string): number | null {
  for (const part of parameters.split(';')) {
    const [key, value] = part.split('=')
    if (key?.trim().toLowerCase() !== name || value === undefined) continue
    const number = Number(value.trim())
    return Number.isInteger(number) && number >= 0 ? number : null
  }
  return null
}
