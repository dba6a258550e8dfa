// Speech and tones through the whole plane between parties of any two encodings: as sound, by what the far side decodes.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { at, EVENTS, G722, PCMA, PCMU, PlaneRig, RigParty } from '#gateway/_plane-rig.test.ts'
import { CodecSet } from '#gateway/audio/codec-set.ts'
import { ToneGenerator } from '#gateway/audio/tone-generator.ts'
import { readWav, soundAtRate } from '#gateway/audio/wav-reader.ts'
import type { PayloadFormat } from '#gateway/plane.ts'
import { audioCodecs } from '#host/audio-codecs.ts'

const LIBRARIES = await audioCodecs({ event: () => {} })
const CODECS = new CodecSet(LIBRARIES)
const ALICE = at('198.51.100.1', 4_000)
const BOB = at('198.51.100.2', 5_000)
const OPUS: PayloadFormat = { payloadType: 96, encoding: 'OPUS', clockRate: 48_000, channels: 2, parameters: '' }
const G729: PayloadFormat = {
  payloadType: 18,
  encoding: 'G729',
  clockRate: 8_000,
  channels: 1,
  parameters: 'annexb=no',
}
const FREQUENCY = 1_004
const RATE = 8_000
const QUIET_DB = 35

function toneOf(ms: number): Int16Array {
  const samples = new Int16Array((ms * RATE) / 1_000)
  const generator = new ToneGenerator(RATE)
  generator.set([FREQUENCY], -10)
  generator.generate(samples, 0, samples.length)
  return samples
}

function speech(): Int16Array {
  const sound = readWav(readFileSync(new URL('../../assets/prompts/en/number-not-in-service.wav', import.meta.url)))
  if (typeof sound === 'string') throw new Error(sound)
  return soundAtRate(sound, RATE).samples
}

/** What Bob hears of what Alice says, at 8 kHz as far as G.711 goes, else at the decoder's rate. */
function carry(samples: Int16Array, from: PayloadFormat, to: PayloadFormat, ptimeMs = 20, toPtimeMs = 20) {
  const rig = new PlaneRig(null, LIBRARIES)
  const caller = { remote: ALICE, payloads: [from, EVENTS], ptimeMs, source: { kind: 'stream', stream: 2 } } as const
  const callee = {
    remote: BOB,
    payloads: [to, EVENTS],
    ptimeMs: toPtimeMs,
    source: { kind: 'stream', stream: 1 },
  } as const
  const local = rig.open(1, caller)
  rig.open(2, callee)
  rig.set(1, caller)
  const alice = new RigParty(ALICE, 0x1111)
  const encoder = CODECS.encoder(from.encoding, from.parameters, 16_000)
  assert.ok(encoder !== null, from.encoding)
  const rated = soundAtRate({ sampleRate: RATE, samples }, encoder.sampleRate).samples
  const length = (encoder.sampleRate * ptimeMs) / 1_000
  const octets = new Uint8Array(1_500)
  for (let begin = 0; begin + length <= rated.length; begin += length) {
    const count = encoder.encode(rated.subarray(begin, begin + length), octets)
    rig.receive(alice.packet(from.payloadType, octets.slice(0, count)), ALICE, local)
    alice.timestamp += (from.clockRate * ptimeMs) / 1_000
    rig.clock.pass(ptimeMs)
  }
  rig.clock.pass(200)
  const sent = rig.take(BOB)
  rig.plane.close()
  encoder.close()
  const decoder = CODECS.decoder(to.encoding, to.parameters, 16_000)
  assert.ok(decoder !== null, to.encoding)
  const parts: Int16Array[] = []
  for (const { bytes } of sent) {
    const decoded = new Int16Array(5_760)
    parts.push(decoded.subarray(0, decoder.decode(bytes.subarray(12), decoded)))
  }
  const heard = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0))
  let filled = 0
  for (const part of parts) {
    heard.set(part, filled)
    filled += part.length
  }
  const { sampleRate } = decoder
  decoder.close()
  return { sent, heard, sampleRate }
}

/** Power of the tone against everything else in the last 800 ms of sound but one fifth, in decibels. */
function signalToNoise(samples: Int16Array, rate: number): number {
  const length = Math.round(rate * 0.8)
  const end = samples.length - Math.round(rate * 0.3)
  const part = samples.subarray(end - length, end)
  // Least squares of sine and cosine: a whole number of periods makes them independent.
  const whole = Math.floor((Math.floor((part.length * FREQUENCY) / rate) * rate) / FREQUENCY)
  let sine = 0
  let cosine = 0
  let power = 0
  for (let n = 0; n < whole; n++) {
    const value = part[n] ?? 0
    sine += value * Math.sin((2 * Math.PI * FREQUENCY * n) / rate)
    cosine += value * Math.cos((2 * Math.PI * FREQUENCY * n) / rate)
    power += value * value
  }
  const tone = (2 * (sine * sine + cosine * cosine)) / whole
  return 10 * Math.log10(tone / Math.max(power - tone, 1e-9))
}

/** How alike the loudness of both goes, in frames of 20 ms, at the delay that fits best: 1 is the same. */
function likeness(samples: Int16Array, rate: number, original: Int16Array): number {
  const said = envelope(original, RATE)
  let best = -1
  for (let delayMs = 0; delayMs < 300; delayMs += 2.5) {
    best = Math.max(best, correlation(said, envelope(samples.subarray((rate * delayMs) / 1_000), rate)))
  }
  return best
}

/** The level of each 20 ms in decibels; pauses count as quiet, not as more or less so. */
function envelope(samples: Int16Array, rate: number): number[] {
  const length = rate / 50
  return Array.from({ length: Math.floor(samples.length / length) }, (_, at) => {
    let power = 1
    for (let n = at * length; n < (at + 1) * length; n++) power += (samples[n] ?? 0) ** 2 / length
    return Math.max(QUIET_DB, 10 * Math.log10(power))
  })
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const length = Math.min(a.length, b.length)
  const mean = (of: readonly number[]): number => of.slice(0, length).reduce((sum, value) => sum + value, 0) / length
  const [meanA, meanB] = [mean(a), mean(b)]
  let both = 0
  let squareA = 0
  let squareB = 0
  for (let at = 0; at < length; at++) {
    const x = (a[at] ?? 0) - meanA
    const y = (b[at] ?? 0) - meanB
    both += x * y
    squareA += x * x
    squareB += y * y
  }
  return both / Math.sqrt(squareA * squareB)
}

/** The least signal to noise of a tone in decibels: companding gives 37, sub-band coding less, a vocoder little. */
const CASES: readonly (readonly [PayloadFormat, PayloadFormat, number, number])[] = [
  [PCMU, PCMA, 33, 0.97],
  [PCMA, PCMU, 33, 0.97],
  [PCMU, G722, 28, 0.97],
  [G722, PCMA, 28, 0.97],
  ...(LIBRARIES.available.includes('OPUS')
    ? ([
        [PCMU, OPUS, 18, 0.95],
        [OPUS, PCMA, 18, 0.95],
        [G722, OPUS, 18, 0.95],
      ] as const)
    : []),
  ...(LIBRARIES.available.includes('G729')
    ? ([
        [PCMU, G729, 5, 0.9],
        [G729, PCMU, 5, 0.9],
      ] as const)
    : []),
]

for (const [from, to, decibels, alike] of CASES) {
  test(`${from.encoding} to ${to.encoding}: a tone stays a tone, and speech goes on as it was said`, () => {
    const toned = carry(toneOf(2_000), from, to)
    const ratio = signalToNoise(toned.heard, toned.sampleRate)
    assert.ok(ratio >= decibels, `${ratio.toFixed(1)} dB`)
    const words = speech()
    const spoken = carry(words, from, to)
    const same = likeness(spoken.heard, spoken.sampleRate, words)
    assert.ok(same >= alike, same.toFixed(3))
  })
}

test('another packet time changes the packets and not the sound', () => {
  for (const [ptimeMs, toPtimeMs] of [
    [20, 30],
    [30, 20],
    [10, 40],
    [60, 20],
  ] as const) {
    const { sent, heard, sampleRate } = carry(toneOf(2_000), PCMU, PCMA, ptimeMs, toPtimeMs)
    assert.deepEqual([...new Set(sent.map(({ bytes }) => bytes.length))], [12 + 8 * toPtimeMs])
    const ratio = signalToNoise(heard, sampleRate)
    assert.ok(ratio >= 33, `${ptimeMs} to ${toPtimeMs}: ${ratio.toFixed(1)} dB`)
  }
})

test('the same encoding under other numbers passes as it is, under the number of whom it goes to', {
  skip: !LIBRARIES.available.includes('OPUS'),
}, () => {
  const theirs = { ...OPUS, payloadType: 111 }
  const { sent, heard, sampleRate } = carry(toneOf(2_000), OPUS, theirs)
  assert.equal(sent.length, 100)
  assert.ok(sent.every(({ bytes }) => ((bytes[1] ?? 0) & 0x7f) === 111))
  assert.ok(signalToNoise(heard, sampleRate) >= 18)
})
