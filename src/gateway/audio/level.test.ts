import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeG711 } from '#gateway/audio/g711.ts'
import { applyGain, DBM0_ABOVE_DBOV, gainOfDb, levelDbov, peakOfDbm0, SILENCE_DBOV } from '#gateway/audio/level.ts'

test('G.711 table 5: the digital milliwatt is 0 dBm0 in µ-law, and within 0.1 dB of it in A-law', () => {
  const samples = new Int16Array(8)
  decodeG711('PCMU', Uint8Array.of(0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e), samples)
  assert.ok(Math.abs(levelDbov(samples, 8) + DBM0_ABOVE_DBOV) < 1e-9)
  decodeG711('PCMA', Uint8Array.of(0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4), samples)
  assert.ok(Math.abs(levelDbov(samples, 8) + DBM0_ABOVE_DBOV) < 0.1)
})

test('G.711 §3: the largest µ-law sine has +3.17 dBm0', () => {
  assert.ok(Math.abs(20 * Math.log10(32_636 / peakOfDbm0(0)) - 3.17) < 0.02)
})

test('a full-scale sine has −3.01 dBov, a full-scale square 0, silence −127', () => {
  const sine = Int16Array.from({ length: 8000 }, (_, i) => 32_767 * Math.sin((2 * Math.PI * 1000 * i) / 8000))
  assert.ok(Math.abs(levelDbov(sine, 8000) + 3.01) < 0.01)
  assert.ok(Math.abs(levelDbov(new Int16Array(160).fill(-32_768), 160)) < 1e-9)
  assert.equal(levelDbov(new Int16Array(160), 160), SILENCE_DBOV)
  assert.equal(levelDbov(new Int16Array(160), 0), SILENCE_DBOV)
})

test('a gain of 6 dB doubles, and what does not fit is held', () => {
  const samples = Int16Array.of(100, -100, 20_000, -20_000)
  applyGain(samples, 4, gainOfDb(6.0206))
  assert.deepEqual([...samples], [200, -200, 32_767, -32_768])
})
