// The E-model against G.107: defaults, loss, delay.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { meanOpinionScore, mouthToEarMs, quality } from '#rtp/quality.ts'

const CLEAN = { encoding: 'PCMU', lossRate: 0, burstRatio: 1, delayMs: 0 }

function near(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} ± ${tolerance}`)
}

test('G.107 §7.7: with all parameters at their defaults R is 93.2, and the MOS 4.41', () => {
  near(quality(CLEAN).r, 93.2, 0.05)
  near(quality(CLEAN).mos, 4.41, 0.01)
})

test('G.107 Annex B: the MOS of a rating', () => {
  assert.equal(meanOpinionScore(0), 1)
  assert.equal(meanOpinionScore(-5), 1)
  assert.equal(meanOpinionScore(100), 4.5)
  near(meanOpinionScore(50), 2.58, 0.01)
  near(meanOpinionScore(80), 4.02, 0.01)
  near(meanOpinionScore(90), 4.34, 0.01)
})

test('G.113: G.729 costs 11 in the rating, and loss costs by its robustness', () => {
  near(quality(CLEAN).r - quality({ ...CLEAN, encoding: 'G729' }).r, 11, 1e-9)
  const loss = quality({ ...CLEAN, lossRate: 0.02 })
  near(quality(CLEAN).r - loss.r, (95 * 2) / (2 + 25.1), 1e-9)
})

test('G.107 §7.5: losses in rows cost more', () => {
  const single = quality({ ...CLEAN, lossRate: 0.05 })
  const rows = quality({ ...CLEAN, lossRate: 0.05, burstRatio: 4 })
  assert.ok(rows.mos < single.mos)
})

test('G.107 §7.4: delay costs little up to 150 ms, and much beyond 300', () => {
  const at = (delayMs: number): number => quality({ ...CLEAN, delayMs }).r
  assert.ok(at(0) - at(150) < 8)
  assert.ok(at(150) - at(400) > 20)
  assert.equal(quality({ ...CLEAN, delayMs: 400 }).mosLq, quality(CLEAN).mosLq)
})

test('wideband codecs are rated on the scale of telephone bandwidth', () => {
  const g722 = quality({ ...CLEAN, encoding: 'G722' })
  assert.ok(g722.r > 85 && g722.r < quality({ ...CLEAN, encoding: 'OPUS' }).r)
})

test('mouth to ear is half the round trip, the buffer, and two packets', () => {
  assert.equal(mouthToEarMs(100, 40, 20), 130)
  assert.equal(mouthToEarMs(-1, 0, 20), 40)
})

test('a worse network never sounds better, and every score is between 1 and 4.5', () => {
  const encodings = fc.constantFrom('PCMU', 'PCMA', 'G729', 'G722', 'OPUS', 'X')
  const facts = fc.record({
    encoding: encodings,
    lossRate: fc.double({ min: 0, max: 1, noNaN: true }),
    burstRatio: fc.double({ min: 1, max: 8, noNaN: true }),
    delayMs: fc.double({ min: 0, max: 2000, noNaN: true }),
  })
  fc.assert(
    fc.property(facts, fc.double({ min: 0, max: 0.5, noNaN: true }), (one, more) => {
      const { mos, mosLq, r } = quality(one)
      for (const score of [mos, mosLq]) assert.ok(score >= 1 && score <= 4.5)
      assert.ok(r >= 0 && r <= 100 && mos <= mosLq + 1e-9)
      assert.ok(quality({ ...one, lossRate: one.lossRate + more }).mos <= mos + 1e-9)
    }),
  )
})
