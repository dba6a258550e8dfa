import assert from 'node:assert/strict'
import { test } from 'node:test'
import { promptSound, speechLike } from '#gateway/audio/_sounds.test.ts'
import { type FaxTone, FaxToneDetector } from '#gateway/audio/fax-tone-detector.ts'
import { ENGLISH } from '#gateway/audio/prompts-en.ts'
import { ToneGenerator } from '#gateway/audio/tone-generator.ts'

function heard(samples: Int16Array): FaxTone[] {
  const tones: FaxTone[] = []
  const detector = new FaxToneDetector((tone) => tones.push(tone))
  for (let start = 0; start < samples.length; start += 160) detector.detect(samples.subarray(start, start + 160))
  return tones
}

function tone(hertz: number, ms: number, levelDbm0 = -15): Int16Array {
  const samples = new Int16Array((ms + 400) * 8)
  const tones = new ToneGenerator(8000)
  tones.set([hertz], levelDbm0)
  tones.generate(samples, 800, ms * 8)
  return samples
}

/** V.21 channel 2 flags (01111110, least significant bit first, all the same either way) at 300 bit/s. */
function preamble(ms: number, levelPeak: number): Int16Array {
  const samples = new Int16Array((ms + 200) * 8)
  let phase = 0
  for (let i = 0; i < ms * 8; i += 1) {
    const bit = Math.floor((i * 300) / 8000) % 8
    phase += (2 * Math.PI * (bit === 0 || bit === 7 ? 1850 : 1650)) / 8000
    samples[800 + i] = levelPeak * Math.sin(phase)
  }
  return samples
}

test('T.30 §4.1: CNG is half a second of 1100 Hz within 38 Hz and 15 %; each burst is told', () => {
  for (const hertz of [1062, 1080, 1100, 1120, 1138]) {
    for (const ms of [425, 500, 575]) assert.deepEqual(heard(tone(hertz, ms)), ['CNG'], `${hertz} Hz ${ms} ms`)
  }
  assert.deepEqual(heard(tone(1100, 2000)), [])
  assert.deepEqual(heard(tone(1100, 200)), [])
})

test('V.25: CED is 2100 Hz, with phase reversals each 450 ms too, and told once', () => {
  assert.deepEqual(heard(tone(2100, 3000)), ['CED'])
  assert.deepEqual(heard(tone(2085, 3000)), ['CED'])
  assert.deepEqual(heard(tone(2100, 300)), [])
  const reversed = tone(2100, 3300)
  for (let i = 800; i < reversed.length; i += 1) {
    if (Math.floor((i - 800) / 3600) % 2 === 1) reversed[i] = -(reversed[i] as number)
  }
  assert.deepEqual(heard(reversed), ['CED'])
})

test('V.21: the preamble of flags on channel 2 is told, a steady tone of either frequency is not', () => {
  for (const peak of [1000, 4000, 16_000]) assert.deepEqual(heard(preamble(1000, peak)), ['V21'])
  assert.deepEqual(heard(tone(1650, 1000)), [])
  assert.deepEqual(heard(tone(1850, 1000)), [])
})

test('speech and ring tones are none of them', () => {
  for (const name of Object.keys(ENGLISH.prompts)) assert.deepEqual(heard(promptSound(name, 8000)), [], name)
  for (let seed = 1; seed <= 4; seed += 1) assert.deepEqual(heard(speechLike(8000, 20, seed)), [])
  for (const hertz of [400, 425, 440, 480, 950, 1004, 1400, 1800]) assert.deepEqual(heard(tone(hertz, 1000)), [])
})
