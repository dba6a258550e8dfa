import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Mixer } from '#gateway/audio/mixer.ts'

test('each party hears the saturated sum of all others, as added one by one', () => {
  const frame = fc.array(fc.integer({ min: -32_768, max: 32_767 }), { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1, maxLength: 12 }), (frames) => {
      const mixer = new Mixer(8)
      const parties = frames.map((values) => Int16Array.from(values))
      mixer.begin()
      for (const party of parties) assert.equal(mixer.add(party), true)
      const target = new Int16Array(8)
      for (const own of [...parties, null]) {
        mixer.without(own, target)
        for (let i = 0; i < 8; i += 1) {
          let sum = 0
          for (const party of parties) if (party !== own) sum += party[i] as number
          assert.equal(target[i], Math.max(-32_768, Math.min(32_767, sum)))
        }
      }
    }),
  )
})

test('a hundred and fifty parties at full scale neither wrap around nor are lost', () => {
  const mixer = new Mixer(160)
  const loud = new Int16Array(160).fill(32_767)
  const quiet = new Int16Array(160).fill(-5)
  mixer.begin()
  for (let i = 0; i < 149; i += 1) mixer.add(loud)
  mixer.add(quiet)
  assert.equal(mixer.parties, 150)
  const target = new Int16Array(160)
  mixer.without(loud, target)
  assert.equal(target[0], 32_767)
  mixer.begin()
  mixer.add(quiet)
  mixer.without(null, target)
  assert.equal(target[159], -5)
  mixer.without(quiet, target)
  assert.equal(target[159], 0)
})

test('a party whose frame is shorter is silent for the rest', () => {
  const mixer = new Mixer(160)
  const short = new Int16Array(80).fill(100)
  mixer.begin()
  mixer.add(short)
  mixer.add(new Int16Array(160).fill(7))
  const target = new Int16Array(160)
  mixer.without(short, target)
  assert.deepEqual([target[0], target[159]], [7, 7])
  mixer.without(null, target)
  assert.deepEqual([target[0], target[159]], [107, 7])
})
