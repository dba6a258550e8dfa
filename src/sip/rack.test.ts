import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRAck, parseRSeq } from '#sip/rack.ts'

test('RAck is a response number, a CSeq number and a method', () => {
  assert.deepEqual(parseRAck('776656 1 INVITE'), { rseq: 776656, cseq: { number: 1, method: 'INVITE' } })
  assert.deepEqual(parseRAck('4294967295 \t 0  X-y'), { rseq: 4294967295, cseq: { number: 0, method: 'X-y' } })
  for (const bad of [
    '',
    '1',
    '1 2',
    '0 1 INVITE',
    '4294967296 1 INVITE',
    '1 2147483648 INVITE',
    'a 1 INVITE',
    '1 1 a b',
  ]) {
    assert.equal(parseRAck(bad), null, bad)
  }
})

test('RSeq is from 1 to 2^32 - 1', () => {
  assert.equal(parseRSeq('1'), 1)
  assert.equal(parseRSeq('4294967295'), 4294967295)
  for (const bad of ['', '0', '-1', '4294967296', '1 ']) assert.equal(parseRSeq(bad), null, bad)
})
