// Fresh keys: the lengths of their suite, and never twice the same.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Random } from '#core/random.ts'
import { SRTP_SUITES, type SrtpSuite, sameSrtpKeys } from '#core/srtp-keys.ts'
import { freshSdesKeys } from '#rtp/sdes-keys.ts'

/** Counts, so that no octet is that of another. */
class CountingRandom implements Random {
  #next = 0
  bytes(target: Uint8Array): void {
    for (let i = 0; i < target.length; i += 1) target[i] = this.#next++
  }
  uint32(): number {
    return this.#next++
  }
}

test('RFC 4568 §6.2: fresh keys have the lengths of their suite, and no two are the same', () => {
  const random = new CountingRandom()
  for (const suite of Object.keys(SRTP_SUITES) as SrtpSuite[]) {
    const keys = freshSdesKeys(suite, random)
    assert.equal(keys.masterKey.length, SRTP_SUITES[suite].masterKey)
    assert.equal(keys.masterSalt.length, SRTP_SUITES[suite].masterSalt)
    assert.ok(!sameSrtpKeys(freshSdesKeys(suite, random), keys))
  }
})
