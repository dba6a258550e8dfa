import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Generator } from '#sim/generator.ts'
import { freshIceCredentials } from '#stun/ice-credentials.ts'

test('RFC 8445 §5.3: fresh credentials are of ice-char, long enough, and new each time', () => {
  const random = new Generator(1)
  const seen = new Set<string>()
  for (let i = 0; i < 100; i += 1) {
    const { ufrag, password } = freshIceCredentials(random)
    assert.match(ufrag, /^[A-Za-z0-9+/]{8}$/)
    assert.match(password, /^[A-Za-z0-9+/]{24}$/)
    seen.add(ufrag).add(password)
  }
  assert.equal(seen.size, 200)
})
