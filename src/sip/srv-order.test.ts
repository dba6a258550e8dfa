// The order of SRV records as RFC 2782 wants it, as properties over random zones.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FakeRandom } from '#sip/_fake-ports.ts'
import { srvOrder, type Weighted } from '#sip/srv-order.ts'

const RECORDS = fc.array(
  fc.record({ priority: fc.nat(3), weight: fc.oneof(fc.constant(0), fc.nat(65_535)), id: fc.nat() }),
  { maxLength: 12 },
)

test('every record stands in the order once, and a lower priority number always stands before a higher', () => {
  fc.assert(
    fc.property(RECORDS, fc.nat(), (records, seed) => {
      const ordered = srvOrder(records, new FakeRandom(seed))
      assert.deepEqual(new Set(ordered), new Set(records))
      assert.equal(ordered.length, records.length)
      for (let i = 1; i < ordered.length; i += 1) {
        assert.ok((ordered[i - 1]?.priority ?? 0) <= (ordered[i]?.priority ?? 0))
      }
    }),
  )
})

/** How often each record is first in 6,000 draws, as shares. */
function shares(weights: readonly number[]): number[] {
  const records: Weighted[] = weights.map((weight) => ({ priority: 1, weight }))
  const random = new FakeRandom(7)
  const counts = weights.map(() => 0)
  for (let i = 0; i < 6_000; i += 1) {
    const [first] = srvOrder(records, random)
    const at = first === undefined ? -1 : records.indexOf(first)
    counts[at] = (counts[at] ?? 0) + 1
  }
  return counts.map((count) => count / 6_000)
}

test('RFC 2782: records of equal priority are first in proportion to their weights', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 50, max: 1_000 }), { minLength: 2, maxLength: 5 }), (weights) => {
      const sum = weights.reduce((total, weight) => total + weight, 0)
      for (const [i, share] of shares(weights).entries()) {
        // Six standard deviations of 6,000 draws, and what the draw of 0 adds.
        const expected = (weights[i] ?? 0) / sum
        const tolerance = 6 * Math.sqrt((expected * (1 - expected)) / 6_000) + 1 / sum
        assert.ok(Math.abs(share - expected) <= tolerance, `${share} for ${expected}`)
      }
    }),
    { numRuns: 20 },
  )
})

test('RFC 2782: a record of weight 0 beside heavy ones has a very small chance of being first', () => {
  const [light = 1, heavy = 0] = shares([0, 99])
  assert.ok(light < 0.03, `${light}`)
  assert.ok(heavy > 0.97, `${heavy}`)
})

test('records of weight 0 among themselves are first equally often', () => {
  for (const share of shares([0, 0, 0])) assert.ok(Math.abs(share - 1 / 3) < 0.04, `${share}`)
})
