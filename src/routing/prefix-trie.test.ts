import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PrefixTrie } from '#routing/prefix-trie.ts'

const dialled = fc.string({ unit: fc.constantFrom(...'0123456789+*#'), maxLength: 8 })
/** Few symbols, so that prefixes begin one another often. */
const dense = fc.string({ unit: fc.constantFrom('1', '2', '+'), maxLength: 6 })
const texts = fc.oneof(dense, dialled, fc.string({ maxLength: 10 }))

/** The longest prefix by trying each. */
function naive(prefixes: readonly string[], text: string): number {
  let best = -1
  prefixes.forEach((prefix, i) => {
    if (text.startsWith(prefix) && (best === -1 || prefix.length > (prefixes[best] ?? '').length)) best = i
  })
  return best
}

test('the longest prefix is that of trying each', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(dense, dialled), { maxLength: 60 }),
      fc.array(texts, { maxLength: 20 }),
      (prefixes, asked) => {
        const trie = new PrefixTrie(prefixes)
        for (const text of [...asked, ...prefixes, ...prefixes.map((prefix) => `${prefix}7`)]) {
          assert.equal(trie.longest(text), naive(prefixes, text))
        }
      },
    ),
  )
})

test('all matching prefixes come shortest first, and the last is the longest', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.oneof(dense, dialled), { maxLength: 40 }), texts, (prefixes, text) => {
      const matches = new PrefixTrie(prefixes).matches(text)
      const expected = prefixes
        .filter((prefix) => text.startsWith(prefix))
        .sort((a, b) => a.length - b.length)
        .map((prefix) => prefixes.indexOf(prefix))
      assert.deepEqual(matches, expected)
    }),
  )
})

test('an empty set matches nothing, and the empty prefix everything', () => {
  assert.equal(new PrefixTrie([]).longest('1'), -1)
  assert.equal(new PrefixTrie(['']).longest(''), 0)
  assert.equal(new PrefixTrie(['']).longest('nobody dials this'), 0)
})

test('a prefix with a character that nobody dials is a mistake of ours', () => {
  assert.throws(() => new PrefixTrie(['44x']), { name: 'AssertionError' })
  assert.throws(() => new PrefixTrie(['4４']), { name: 'AssertionError' })
})
