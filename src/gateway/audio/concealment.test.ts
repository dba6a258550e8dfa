import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Concealment } from '#gateway/audio/concealment.ts'
import { levelDbov } from '#gateway/audio/level.ts'

/** A voiced sound: harmonics of 120 Hz, falling off. */
function voiced(sampleRate: number, length: number): Int16Array {
  return Int16Array.from({ length }, (_, i) => {
    let sum = 0
    for (let h = 1; h <= 12; h += 1) sum += (4000 / h) * Math.sin((2 * Math.PI * 120 * h * i) / sampleRate + h)
    return Math.round(sum)
  })
}

for (const sampleRate of [8000, 16_000]) {
  test(`G.711 Appendix I: the first lost 10 ms of a voiced sound go on as it would have, at ${sampleRate} Hz`, () => {
    const frame = sampleRate / 50
    const sound = voiced(sampleRate, frame * 20)
    const concealment = new Concealment(sampleRate)
    for (let f = 0; f < 10; f += 1) concealment.onGood(sound.slice(f * frame, (f + 1) * frame), frame)
    const made = new Int16Array(frame)
    concealment.conceal(made, frame)
    let signal = 0
    let noise = 0
    for (let i = 0; i < frame / 2; i += 1) {
      const wanted = sound[10 * frame + i] as number
      signal += wanted ** 2
      noise += (wanted - (made[i] as number)) ** 2
    }
    assert.ok(10 * Math.log10(signal / noise) > 12, `${10 * Math.log10(signal / noise)} dB`)
  })
}

test('G.711 Appendix I: a long loss fades, and after 60 ms there is silence', () => {
  const sound = voiced(8000, 1600)
  const concealment = new Concealment(8000)
  concealment.onGood(sound, 1600)
  const levels: number[] = []
  const made = new Int16Array(160)
  for (let lost = 0; lost < 5; lost += 1) {
    concealment.conceal(made, 160)
    levels.push(levelDbov(made, 160))
  }
  for (let i = 1; i < 4; i += 1) assert.ok((levels[i] as number) < (levels[i - 1] as number), levels.join(' '))
  assert.equal(levels[4], -127)
})

test('what comes after a loss begins without an edge', () => {
  const sound = voiced(8000, 1600)
  const concealment = new Concealment(8000)
  concealment.onGood(sound, 1600)
  const made = new Int16Array(160)
  concealment.conceal(made, 160)
  const after = new Int16Array(160).fill(-20_000)
  concealment.onGood(after, 160)
  assert.ok(Math.abs((after[0] as number) - (made[159] as number)) < 6000)
  assert.equal(after[159], -20_000)
})

test('a loss before anything came is silence', () => {
  const made = new Int16Array(160).fill(5)
  new Concealment(8000).conceal(made, 160)
  assert.ok(made.every((sample) => sample === 0))
})
