import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Random } from '#core/random.ts'
import { SRTP_SUITES, type SrtpSuite, sameSrtpKeys } from '#core/srtp-keys.ts'
import { freshSdesKeys, parseSdesKeys, sdesSuite, writeSdesKeys } from '#rtp/sdes-keys.ts'

const SUITES = Object.keys(SRTP_SUITES) as SrtpSuite[]

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

test('RFC 4568 §9.2: the inline parameter of the example is 16 octets of key and 14 of salt', () => {
  const keys = parseSdesKeys('AES_CM_128_HMAC_SHA1_80', 'inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:4')
  assert.equal(Buffer.from(keys?.masterKey ?? []).toString('latin1'), '=-n@%^x!Bjufr9)?')
  assert.equal(Buffer.from(keys?.masterSalt ?? []).toString('latin1'), ',#5h\\`=&]{qiPQ')
  assert.deepEqual([...(keys?.mki ?? [])], [0, 0, 0, 1])
})

test('§6.1: lifetime and MKI may be left out, each alone too', () => {
  const key = 'inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj'
  const read = (text: string): number => {
    const keys = parseSdesKeys('AES_CM_128_HMAC_SHA1_32', text)
    return keys === null ? -1 : (keys.mki?.length ?? 0)
  }
  assert.equal(read(key), 0)
  assert.equal(read(`${key}|2^31`), 0)
  assert.equal(read(`${key}|1048576`), 0)
  assert.equal(read(`${key}|1:128`), 128)
  assert.equal(read(`${key}|2^20|1:4;${key}|2^20|2:4`), 4)
  assert.equal(read(`INLINE${key.slice(6)}`), 0)
})

test('what is no inline parameter of the suite gives no keys', () => {
  const key = 'd0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj'
  for (const bad of [
    '',
    'inline:',
    key,
    `uri:${key}`,
    `inline:${key}AAAA`,
    `inline:${key.slice(4)}`,
    `inline:${key.slice(0, -1)}!`,
    `inline:${key}|`,
    `inline:${key}|1:0`,
    `inline:${key}|1:129`,
    `inline:${key}|256:1`,
    `inline:${key}|1:4|2^20`,
    `inline:${key}|2^20|1:4|1:4`,
    `inline:${'A'.repeat(600)}`,
  ]) {
    assert.equal(parseSdesKeys('AES_CM_128_HMAC_SHA1_80', bad), null, bad)
  }
  assert.equal(parseSdesKeys('AEAD_AES_128_GCM', `inline:${key}`), null, 'RFC 7714 §14: 28 octets')
})

test('fresh keys have the lengths of their suite, and come back from the text', () => {
  const random = new CountingRandom()
  for (const suite of SUITES) {
    const keys = freshSdesKeys(suite, random)
    assert.equal(keys.masterKey.length, SRTP_SUITES[suite].masterKey)
    assert.equal(keys.masterSalt.length, SRTP_SUITES[suite].masterSalt)
    assert.ok(sameSrtpKeys(parseSdesKeys(suite, writeSdesKeys(keys)), keys))
    assert.ok(!sameSrtpKeys(freshSdesKeys(suite, random), keys))
    const named = { ...keys, mki: new Uint8Array([0, 7]) }
    assert.ok(sameSrtpKeys(parseSdesKeys(suite, writeSdesKeys(named)), named))
    assert.ok(!sameSrtpKeys(named, keys))
  }
})

test('a suite is known by its name, in the case of the standard', () => {
  assert.equal(sdesSuite('AEAD_AES_256_GCM'), 'AEAD_AES_256_GCM')
  assert.equal(sdesSuite('F8_128_HMAC_SHA1_80'), null)
  assert.equal(sdesSuite('aes_cm_128_hmac_sha1_80'), null)
  assert.equal(sdesSuite('constructor'), null)
})

test('any text is taken without an error', () => {
  const part = fc.oneof(
    fc.string(),
    fc.constantFrom('inline:', '|', '2^', ':', ';', '1:4', 'd0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj'),
  )
  fc.assert(
    fc.property(fc.constantFrom(...SUITES), fc.array(part, { maxLength: 8 }), (suite, parts) => {
      parseSdesKeys(suite, parts.join(''))
    }),
    { numRuns: 1_000 },
  )
})
