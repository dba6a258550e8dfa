import assert from 'node:assert/strict'
import test from 'node:test'
import { Generator } from '#sim/generator.ts'

test('the same seed and label give the same sequence, another seed or label another one', () => {
  const draw = (generator: Generator): number[] => Array.from({ length: 8 }, () => generator.uint32())
  assert.deepEqual(draw(new Generator(7)), draw(new Generator(7)))
  assert.notDeepEqual(draw(new Generator(7)), draw(new Generator(8)))
  assert.notDeepEqual(draw(new Generator(7)), draw(new Generator(7 + 2 ** 32)))
  assert.notDeepEqual(draw(new Generator(7).fork('a')), draw(new Generator(7).fork('b')))
})

test('draws are uniform within four standard deviations', () => {
  const generator = new Generator(1)
  const buckets = new Array<number>(16).fill(0)
  for (let i = 0; i < 160_000; i++) {
    const at = generator.between(0, 15)
    buckets[at] = (buckets[at] ?? 0) + 1
  }
  for (const count of buckets) assert.ok(Math.abs(count - 10_000) < 4 * 97, `a bucket of ${count}`)
})
