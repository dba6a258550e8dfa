// Bursts and gaps against RFC 3611 §4.7.2.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LossPattern } from '#rtp/loss-pattern.ts'

function told(packets: string): LossPattern {
  const pattern = new LossPattern()
  for (const packet of packets) {
    if (packet === '1') pattern.received()
    else if (packet === '0') pattern.lost()
    else pattern.discarded()
  }
  return pattern
}

test('§4.7.2: the example has one burst of twelve packets between two gaps', () => {
  const pattern = told('11110111111111111111111X111X1011110111111111111111111X111111111')
  const metrics = pattern.metrics(10)
  assert.equal(pattern.packets, 63)
  assert.equal(metrics.burstMs, 120)
  assert.equal(metrics.burstDensity, 4 / 12)
  // The RFC sums its gaps of 230 and 290 ms where its own definition asks for the mean; the row it prints has 280 ms.
  assert.equal(metrics.gapMs, (230 + 280) / 2)
  assert.equal(metrics.gapDensity, 2 / 51)
  assert.equal(metrics.lossRate, 3 / 63)
  assert.equal(metrics.discardRate, 3 / 63)
})

test('§4.7.2: a loss with Gmin received packets on both sides is within a gap', () => {
  const metrics = told(`${'1'.repeat(16)}0${'1'.repeat(16)}0${'1'.repeat(16)}`).metrics(20)
  assert.equal(metrics.burstMs, 0)
  assert.equal(metrics.burstDensity, 0)
  assert.equal(metrics.gapDensity, 2 / 50)
  assert.equal(metrics.gapMs, 50 * 20)
})

test('§4.7.2: with one packet fewer in between it is a burst', () => {
  const metrics = told(`${'1'.repeat(16)}0${'1'.repeat(15)}0${'1'.repeat(16)}`).metrics(20)
  assert.equal(metrics.burstMs, 17 * 20)
  assert.equal(metrics.burstDensity, 2 / 17)
})

test('§4.7.1: nothing received is all zeros, and all lost is one burst', () => {
  assert.deepEqual(Object.values(new LossPattern().metrics(20)), [0, 0, 0, 0, 0, 0])
  const all = told('0000').metrics(20)
  assert.equal(all.lossRate, 1)
  assert.equal(all.burstDensity, 1)
  assert.equal(all.burstMs, 80)
})

test('G.107 BurstR: 1 for single losses, more for losses in rows', () => {
  assert.equal(told('1110111011101110').burstRatio, 1)
  assert.equal(told(`${'1'.repeat(60)}0000${'1'.repeat(36)}`).burstRatio, 4 * 0.96)
  assert.equal(told('1').burstRatio, 1)
})

test('bursts and gaps together are all packets', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[01X]{0,300}$/), (packets) => {
      const pattern = told(packets)
      const metrics = pattern.metrics(1)
      assert.equal(pattern.packets, packets.length)
      for (const value of Object.values(metrics)) assert.ok(value >= 0 && Number.isFinite(value))
      assert.ok(metrics.gapDensity <= 1 && metrics.burstDensity <= 1)
      assert.ok(pattern.burstRatio >= 1)
    }),
  )
})
