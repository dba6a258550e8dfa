import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Resampler } from '#gateway/audio/resampler.ts'

const RATES = [8000, 16_000, 24_000, 32_000, 48_000]

function sine(rate: number, hertz: number, seconds: number): Int16Array {
  return Int16Array.from({ length: rate * seconds }, (_, i) => 12_000 * Math.sin((2 * Math.PI * hertz * i) / rate))
}

/** The power at `hertz` and all other power, by projection on sine and cosine, in samples from `from`. */
function split(samples: Int16Array, rate: number, hertz: number, from: number): { tone: number; rest: number } {
  let [cosine, sine_, power, count] = [0, 0, 0, 0]
  for (let i = from; i < samples.length; i += 1) {
    const x = samples[i] as number
    cosine += x * Math.cos((2 * Math.PI * hertz * i) / rate)
    sine_ += x * Math.sin((2 * Math.PI * hertz * i) / rate)
    power += x * x
    count += 1
  }
  const tone = (2 * (cosine ** 2 + sine_ ** 2)) / count ** 2
  return { tone, rest: power / count - tone }
}

function resampled(input: Int16Array, from: number, to: number, frame: number): Int16Array {
  const resampler = new Resampler(from, to)
  const output = new Int16Array(resampler.outputMax(input.length) + 64)
  let written = 0
  for (let start = 0; start < input.length; start += frame) {
    written += resampler.resample(input.subarray(start, start + frame), output.subarray(written))
  }
  return output.subarray(0, written)
}

for (const from of RATES) {
  for (const to of RATES) {
    test(`a sine of 1 kHz stays one from ${from} to ${to} Hz, with 60 dB and more to the rest`, () => {
      const output = resampled(sine(from, 1000, 1), from, to, from / 50)
      assert.equal(output.length, to)
      const { tone, rest } = split(output, to, 1000, to / 10)
      assert.ok(10 * Math.log10(tone / Math.max(rest, 1e-9)) > 60, `${10 * Math.log10(tone / rest)} dB`)
      assert.ok(Math.abs(10 * Math.log10(tone / (12_000 ** 2 / 2))) < 0.05)
    })
  }
}

test('the telephone band up to 3400 Hz passes flat to half a decibel from 8 to 48 kHz and back', () => {
  for (const hertz of [300, 1000, 2000, 3000, 3400]) {
    const back = resampled(resampled(sine(8000, hertz, 1), 8000, 48_000, 160), 48_000, 8000, 960)
    const { tone, rest } = split(back, 8000, hertz, 800)
    assert.ok(Math.abs(10 * Math.log10(tone / (12_000 ** 2 / 2))) < 0.5, `${hertz} Hz`)
    assert.ok(10 * Math.log10(tone / rest) > 55, `${hertz} Hz`)
  }
})

test('what lies above half the new rate is gone, not folded back', () => {
  for (const hertz of [4600, 5000, 7000, 12_000, 20_000]) {
    const output = resampled(sine(48_000, hertz, 1), 48_000, 8000, 960)
    let power = 0
    for (let i = 800; i < output.length; i += 1) power += (output[i] as number) ** 2 / (output.length - 800)
    assert.ok(10 * Math.log10((power + 0.01) / (12_000 ** 2 / 2)) < -55, `${hertz} Hz`)
  }
})

test('frames of any length give the same samples as the whole at once', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...RATES),
      fc.constantFrom(...RATES),
      fc.integer({ min: 1, max: 2000 }),
      (from, to, frame) => {
        const input = sine(from, 440, 1).subarray(0, 3000)
        assert.deepEqual(resampled(input, from, to, frame), resampled(input, from, to, 3000))
      },
    ),
    { numRuns: 40, seed: 1 },
  )
})

test('rates of sound files come to 8 kHz with their length', () => {
  for (const rate of [11_025, 22_050, 44_100, 96_000]) {
    const output = resampled(sine(rate, 1000, 1), rate, 8000, 1000)
    assert.ok(Math.abs(output.length - 8000) <= 1)
    const { tone, rest } = split(output, 8000, 1000, 800)
    assert.ok(10 * Math.log10(tone / rest) > 55)
  }
})

test('a full-scale square does not wrap around', () => {
  const square = Int16Array.from({ length: 1600 }, (_, i) => (i % 16 < 8 ? 32_767 : -32_768))
  const output = resampled(square, 8000, 48_000, 160)
  for (let i = 1; i < output.length; i += 1) {
    assert.ok(Math.abs((output[i] as number) - (output[i - 1] as number)) < 40_000)
  }
})
