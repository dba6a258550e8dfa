import assert from 'node:assert/strict'
import { test } from 'node:test'
import { causeFromReason, causeFromStatus, reasonLine } from '#call/q850.ts'

test('each status has the cause of RFC 3398 §8.2.6.1', () => {
  const pairs = [
    [200, 16],
    [404, 1],
    [408, 102],
    [410, 22],
    [480, 18],
    [484, 28],
    [486, 17],
    [500, 41],
    [502, 38],
    [503, 41],
    [600, 17],
    [603, 21],
    [299, 16],
    [499, 31],
  ] as const
  for (const [status, cause] of pairs) assert.equal(causeFromStatus(status), cause, String(status))
})

test('the cause is read from a Reason of Q.850 among others, within its range (RFC 3326 §2)', () => {
  assert.equal(causeFromReason('Q.850;cause=17;text="busy"'), 17)
  assert.equal(causeFromReason('SIP;cause=200;text="x", Q.850 ;text="a" ; cause = 34'), 34)
  assert.equal(causeFromReason('q.850;cause=1'), 1)
  for (const reason of [
    null,
    '',
    'SIP;cause=486',
    'Q.850',
    'Q.850;cause=0',
    'Q.850;cause=128',
    'Q.850;cause=x',
    'XQ.850;cause=16',
  ]) {
    assert.equal(causeFromReason(reason), null, String(reason))
  }
})

test('a Reason line of ours reads back', () => {
  assert.equal(reasonLine(16), 'Reason: Q.850;cause=16\r\n')
  assert.equal(causeFromReason(reasonLine(19, 'No answer').slice(8).trim()), 19)
})
