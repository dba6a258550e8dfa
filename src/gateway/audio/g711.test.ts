import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALAW_SILENCE, convertG711, decodeG711, encodeG711, MULAW_SILENCE } from '#gateway/audio/g711.ts'

const OCTETS = Uint8Array.from({ length: 256 }, (_, i) => i)
const SAMPLES = Int16Array.from({ length: 65_536 }, (_, i) => i - 32_768)

function expanded(law: 'PCMU' | 'PCMA'): Int16Array {
  const samples = new Int16Array(256)
  decodeG711(law, OCTETS, samples)
  return samples
}

/** G.711 table 2, from its formula: the decoder output of segment s and interval q is (2q + 33)·2^s − 33, of 14 bits. */
function mulawValue(octet: number): number {
  const bits = octet ^ 0xff
  const magnitude = (2 * (bits & 15) + 33) * 2 ** ((bits >> 4) & 7) - 33
  return (octet & 0x80 ? 1 : -1) * magnitude * 4
}

/** G.711 table 1: (2q + 1) in the first segment, then (2q + 33)·2^(s − 1), of 13 bits. */
function alawValue(octet: number): number {
  const bits = octet ^ 0x55
  const segment = (bits >> 4) & 7
  const magnitude = segment === 0 ? 2 * (bits & 15) + 1 : (2 * (bits & 15) + 33) * 2 ** (segment - 1)
  return (bits & 0x80 ? 1 : -1) * magnitude * 8
}

/** Tables 1 and 2: the lower decision value of the interval with these seven bits, of 16. */
function decisionValue(law: 'PCMU' | 'PCMA', bits: number): number {
  const segment = bits >> 4
  const interval = bits & 15
  if (law === 'PCMU') return Math.max(0, 4 * ((2 * interval + 32) * 2 ** segment - 33))
  return 8 * (segment === 0 ? 2 * interval : (2 * interval + 32) * 2 ** (segment - 1))
}

test('G.711: the decoder output values are those of tables 1 and 2, for all 256 character signals', () => {
  assert.deepEqual(
    [...expanded('PCMU')].map((v) => v + 0),
    [...OCTETS].map((octet) => mulawValue(octet) + 0),
  )
  assert.deepEqual([...expanded('PCMA')], [...OCTETS].map(alawValue))
})

for (const law of ['PCMU', 'PCMA'] as const) {
  test(`G.711: each of 65,536 samples becomes the ${law} character signal between whose decision values it lies`, () => {
    const octets = new Uint8Array(SAMPLES.length)
    encodeG711(law, SAMPLES, octets)
    for (let i = 0; i < SAMPLES.length; i += 1) {
      const sample = SAMPLES[i] as number
      const bits = (octets[i] as number) ^ (law === 'PCMU' ? 0xff : 0x55)
      const positive = ((octets[i] as number) & 0x80) !== 0
      assert.equal(positive, sample >= 0, `${sample}`)
      const [lower, upper] = [decisionValue(law, bits & 0x7f), decisionValue(law, (bits & 0x7f) + 1)]
      const magnitude = Math.abs(sample)
      const last = (bits & 0x7f) === 0x7f
      // A-law's negative half has the decision value itself in the lower interval (table 1, note 1).
      assert.ok(magnitude >= lower && (magnitude < upper || last || (!positive && magnitude === upper)), `${sample}`)
    }
  })

  test(`G.711: decoding and encoding again gives the same ${law} character signal`, () => {
    const again = new Uint8Array(256)
    encodeG711(law, expanded(law), again)
    const wanted = Uint8Array.from(OCTETS)
    if (law === 'PCMU') wanted[0x7f] = 0xff // Negative zero is zero.
    assert.deepEqual(again, wanted)
  })

  test(`G.711: a larger sample never becomes a smaller ${law} value`, () => {
    const octets = new Uint8Array(SAMPLES.length)
    encodeG711(law, SAMPLES, octets)
    const values = expanded(law)
    for (let i = 1; i < octets.length; i += 1) {
      assert.ok((values[octets[i] as number] as number) >= (values[octets[i - 1] as number] as number))
    }
  })
}

test('G.711: silence is the smallest value', () => {
  assert.equal(expanded('PCMU')[MULAW_SILENCE], 0)
  assert.equal(expanded('PCMA')[ALAW_SILENCE], 8)
})

test('G.711 §4: µ to A and back changes a character signal by one step at the most', () => {
  const octets = Uint8Array.from(OCTETS)
  convertG711('PCMU', octets)
  convertG711('PCMA', octets)
  const values = expanded('PCMU')
  for (let i = 0; i < 256; i += 1) {
    const before = values[i] as number
    const after = values[octets[i] as number] as number
    assert.ok(Math.abs(after - before) <= Math.max(16, Math.abs(before) * 0.07), `${before} became ${after}`)
  }
})
