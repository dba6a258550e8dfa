import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeG711, encodeG711 } from '#gateway/audio/g711.ts'
import { DBM0_ABOVE_DBOV, levelDbov } from '#gateway/audio/level.ts'
import { ToneGenerator } from '#gateway/audio/tone-generator.ts'
import { countryTone, MILLIWATT, TONE_COUNTRIES, type ToneName } from '#gateway/audio/tone-tables.ts'

const NAMES: readonly ToneName[] = ['dial', 'ringback', 'busy', 'congestion', 'callWaiting', 'information']

function frequencyOf(samples: Int16Array, rate: number): number {
  let crossings = 0
  for (let i = 1; i < samples.length; i += 1) {
    if ((samples[i - 1] as number) < 0 && (samples[i] as number) >= 0) crossings += 1
  }
  return (crossings * rate) / samples.length
}

test('the milliwatt is 1004 Hz at 0 dBm0 within 0.01 dB, and within 0.05 dB after G.711', () => {
  assert.ok(MILLIWATT.kind === 'tone')
  const tones = new ToneGenerator(8000)
  tones.set(MILLIWATT.frequencies, MILLIWATT.levelDbm0)
  const samples = new Int16Array(80_000)
  for (let start = 0; start < samples.length; start += 160) tones.generate(samples, start, 160)
  assert.ok(Math.abs(levelDbov(samples, samples.length) + DBM0_ABOVE_DBOV) < 0.01)
  assert.ok(Math.abs(frequencyOf(samples, 8000) - 1004) < 0.2)
  for (const law of ['PCMU', 'PCMA'] as const) {
    const octets = new Uint8Array(samples.length)
    const expanded = new Int16Array(samples.length)
    encodeG711(law, samples, octets)
    decodeG711(law, octets, expanded)
    const levelDbm0 = levelDbov(expanded, expanded.length) + DBM0_ABOVE_DBOV
    assert.ok(Math.abs(levelDbm0) < 0.05, `${law} ${levelDbm0}`)
  }
})

test('the phase goes on from frame to frame, and over a change of level', () => {
  const whole = new Int16Array(1600)
  const parts = new Int16Array(1600)
  const one = new ToneGenerator(8000)
  one.set([350, 440], -13)
  one.generate(whole, 0, 1600)
  const other = new ToneGenerator(8000)
  for (let start = 0; start < 1600; start += 37) {
    other.set([350, 440], -13)
    other.generate(parts, start, Math.min(37, 1600 - start))
  }
  for (let i = 0; i < 1600; i += 1) assert.ok(Math.abs((whole[i] as number) - (parts[i] as number)) <= 1)
})

test('an hour of tone keeps its level', () => {
  const tones = new ToneGenerator(8000)
  tones.set([425], -10)
  const frame = new Int16Array(8000)
  for (let second = 0; second < 3600; second += 1) tones.generate(frame, 0, second < 3598 ? 80 : 8000)
  assert.ok(Math.abs(levelDbov(frame, 8000) + DBM0_ABOVE_DBOV + 10) < 0.02)
})

test('E.180: every country has every tone, of sensible frequencies, lengths and levels', () => {
  assert.equal(TONE_COUNTRIES.length, 25)
  for (const country of TONE_COUNTRIES) {
    for (const name of NAMES) {
      const segments = countryTone(country, name)
      assert.ok(segments !== null && segments.length > 0, `${country} ${name}`)
      let power = 0
      for (const segment of segments) {
        assert.ok(segment.kind === 'tone')
        assert.ok(segment.frequencies.length <= 4)
        for (const hertz of segment.frequencies) assert.ok(hertz >= 300 && hertz <= 1800, `${country} ${name} ${hertz}`)
        assert.ok(
          segments.length === 1 ? segment.ms === 0 || name !== 'dial' : segment.ms >= 40 && segment.ms <= 15_000,
        )
        if (segment.frequencies.length > 0) power = segment.frequencies.length * 10 ** (segment.levelDbm0 / 10)
      }
      assert.ok(Math.abs(10 * Math.log10(power) + 10) < 0.1, `${country} ${name}`)
    }
  }
})

test('E.180 §7: the special information tone is 950, 1400 and 1800 Hz of 330 ms, then a second of silence', () => {
  const segments = countryTone('DE', 'information')
  assert.deepEqual(
    segments?.map((s) => (s.kind === 'tone' ? [...s.frequencies, s.ms] : [])),
    [[950, 330], [1400, 330], [1800, 330], [1000]],
  )
})

test('a country that is not in the table has no tones', () => {
  assert.equal(countryTone('zz', 'dial'), null)
  assert.equal(countryTone('constructor', 'dial'), null)
})
