import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { noiseSource, promptSound } from '#gateway/audio/_sounds.test.ts'
import { ComfortNoise, ComfortNoiseAnalysis } from '#gateway/audio/comfort-noise.ts'
import { levelDbov } from '#gateway/audio/level.ts'
import { VoiceActivity } from '#gateway/audio/voice-activity.ts'

/** Noise through a one-pole low pass. */
function colouredNoise(length: number, peak: number, pole: number): Int16Array {
  const random = noiseSource(11)
  let state = 0
  return Int16Array.from({ length }, () => {
    state = pole * state + (random() - 0.5) * peak
    return Math.round(state)
  })
}

/** R(1)/R(0): near 1 for a low pass, near 0 for white. */
function correlation(samples: Int16Array): number {
  let [r0, r1] = [0, 0]
  for (let i = 1; i < samples.length; i += 1) {
    r0 += (samples[i] as number) ** 2
    r1 += (samples[i] as number) * (samples[i - 1] as number)
  }
  return r1 / r0
}

test('RFC 3389 §3: level in −dBov first, then reflection coefficients, the first −R(1)/R(0)', () => {
  const analysis = new ComfortNoiseAnalysis()
  const noise = colouredNoise(8000, 400, 0.7)
  for (let start = 0; start < 8000; start += 160) analysis.observe(noise.subarray(start, start + 160))
  const payload = new Uint8Array(9)
  assert.equal(analysis.write(payload), 9)
  assert.ok(Math.abs((payload[0] as number) + levelDbov(noise, 8000)) < 2)
  const first = ((payload[1] as number) - 127) * (258 / 32_768)
  assert.ok(Math.abs(first + correlation(noise)) < 0.1, `${first}`)
})

test('RFC 3389: noise made from the description has its level and its colour', () => {
  for (const pole of [0, 0.5, 0.8, -0.6]) {
    const noise = colouredNoise(16_000, 600, pole)
    const analysis = new ComfortNoiseAnalysis()
    for (let start = 0; start < 16_000; start += 160) analysis.observe(noise.subarray(start, start + 160))
    const payload = new Uint8Array(9)
    const made = new ComfortNoise(8000, 1)
    assert.equal(made.read(payload.subarray(0, analysis.write(payload))), true)
    const heard = new Int16Array(24_000)
    for (let start = 0; start < 24_000; start += 160) made.generate(heard.subarray(start, start + 160), 160)
    const settled = heard.subarray(8000)
    assert.ok(Math.abs(levelDbov(settled, 16_000) - levelDbov(noise, 16_000)) < 2, `level at ${pole}`)
    assert.ok(Math.abs(correlation(settled) - correlation(noise)) < 0.15, `colour at ${pole}`)
  }
})

test('RFC 3389 §3.2: a level alone makes white noise, 127 makes silence, an empty payload is refused', () => {
  const made = new ComfortNoise(8000, 2)
  assert.equal(made.read(new Uint8Array()), false)
  assert.equal(made.read(Uint8Array.of(40)), true)
  const heard = new Int16Array(16_000)
  made.generate(heard, 16_000)
  const settled = heard.subarray(8000)
  assert.ok(Math.abs(levelDbov(settled, 8000) + 40) < 1)
  assert.ok(Math.abs(correlation(settled)) < 0.1)
  made.read(Uint8Array.of(127))
  made.generate(heard, 16_000)
  made.generate(heard, 160)
  assert.equal(levelDbov(heard, 160), -127)
})

test('any payload makes noise that stays within bounds and is at most as loud as it says', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (payload) => {
      payload[0] = 30 + ((payload[0] as number) % 90)
      const made = new ComfortNoise(8000, 3)
      made.read(payload)
      const heard = new Int16Array(8000)
      made.generate(heard, 8000)
      assert.ok(levelDbov(heard, 8000) < 10 - (payload[0] as number))
    }),
    { numRuns: 60, seed: 5 },
  )
})

test('noise follows the level of what was heard last when nothing describes it', () => {
  const made = new ComfortNoise(8000, 4)
  const noise = colouredNoise(1600, 300, 0)
  made.follow(noise, 1600)
  const heard = new Int16Array(16_000)
  made.generate(heard, 16_000)
  assert.ok(Math.abs(levelDbov(heard.subarray(8000), 8000) - levelDbov(noise, 1600)) < 1)
})

test('voice is told from the pause after it, under a steady noise', () => {
  const activity = new VoiceActivity(8000)
  const noise = colouredNoise(48_000, 60, 0.3)
  const prompt = promptSound('please-hold', 8000)
  for (let start = 0; start < 16_000; start += 160) activity.observe(noise.subarray(start, start + 160))
  assert.equal(activity.observe(noise.subarray(0, 160)), false)
  let active = 0
  let frames = 0
  for (let start = 400; start + 160 <= prompt.length; start += 160) {
    const frame = prompt.slice(start, start + 160)
    for (let i = 0; i < 160; i += 1) frame[i] = (frame[i] as number) + (noise[start + i] as number)
    if (activity.observe(frame)) active += 1
    frames += 1
  }
  assert.ok(active / frames > 0.9, `${active} of ${frames}`)
  let after = 0
  for (let start = 0; start < 16_000; start += 160) {
    if (activity.observe(noise.subarray(start, start + 160))) after += 1
  }
  assert.ok(after <= 11, `${after} frames of the pause`)
})
