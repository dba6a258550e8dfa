// Comfort noise payloads against RFC 3389 §3.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { COMFORT_NOISE_OCTETS_MAX, readComfortNoise, writeComfortNoise } from '#rtp/comfort-noise-payload.ts'

test('§3.1: the level is in −dBov, and the unused bit does not count', () => {
  assert.deepEqual(readComfortNoise(Uint8Array.of(40), 0, 1), { levelDbov: -40, coefficients: [] })
  assert.deepEqual(readComfortNoise(Uint8Array.of(0x80 | 40), 0, 1), { levelDbov: -40, coefficients: [] })
  assert.equal(readComfortNoise(Uint8Array.of(0), 0, 1)?.levelDbov, 0)
})

test('§3.2: an index N stands for 258 (N − 127) / 32768, and 255 is reserved', () => {
  const noise = readComfortNoise(Uint8Array.of(40, 127, 254, 0, 255, 3), 0, 6)
  assert.deepEqual(noise?.coefficients, [0, (258 * 127) / 32_768, (258 * -127) / 32_768])
})

test('an empty payload says nothing', () => {
  assert.equal(readComfortNoise(Uint8Array.of(1), 1, 1), null)
  assert.equal(readComfortNoise(Uint8Array.of(1), 0, 2), null)
})

test('§3.3: what is written is read again', () => {
  fc.assert(
    fc.property(
      fc.nat(127),
      fc.array(fc.double({ min: -0.99, max: 0.99, noNaN: true }), { maxLength: 20 }),
      (level, ks) => {
        const target = new Uint8Array(40).fill(0xee)
        const length = writeComfortNoise({ levelDbov: -level, coefficients: ks }, target, 3)
        assert.ok(length <= COMFORT_NOISE_OCTETS_MAX && target[3 + length] === 0xee)
        const again = readComfortNoise(target, 3, 3 + length)
        assert.equal(again?.levelDbov, level === 0 ? 0 : -level)
        assert.equal(again?.coefficients.length, Math.min(12, ks.length))
        for (const [i, k] of (again?.coefficients ?? []).entries()) assert.ok(Math.abs(k - (ks[i] as number)) < 0.006)
      },
    ),
  )
})
