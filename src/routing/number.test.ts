import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isE164, normaliseNumber, parseNumber } from '#routing/number.ts'

test('numbers are recognised with and without visual separators (RFC 3966 §3)', () => {
  const cases: readonly (readonly [string, string | null])[] = [
    ['+12025550101', '+12025550101'],
    ['+1-202-555-0101', '+12025550101'],
    ['+1 (202) 555.0101', '+12025550101'],
    ['+358-555-1234567;postd=pp22', '+3585551234567'],
    ['+12025550101;npdi;rn=+12025550199', '+12025550101'],
    ['7042;phone-context=example.com', '7042'],
    ['0044 20 7946 0000', '00442079460000'],
    ['*21*1001#', '*21*1001#'],
    ['600', '600'],
    ['+123456789012345', '+123456789012345'],
    ['+1234567890123456', null],
    ['1'.repeat(32), '1'.repeat(32)],
    ['1'.repeat(33), null],
    ['', null],
    ['+', null],
    ['-', null],
    [';rn=1', null],
    ['+1202*5', null],
    ['1+2', null],
    ['++12', null],
    ['alice', null],
    ['12a', null],
    ['１２', null],
    [`1${'-'.repeat(300)}2`, null],
  ]
  for (const [user, number] of cases) {
    assert.equal(parseNumber(user), number, user)
    assert.equal(normaliseNumber(user), number ?? user)
  }
})

test('a number is in its canonical form, and stays as it is when read again', () => {
  const user = fc.oneof(fc.string({ unit: fc.constantFrom(...'+0123456789-.() *#;a'), maxLength: 40 }), fc.string())
  fc.assert(
    fc.property(user, (text) => {
      const number = parseNumber(text)
      if (number === null) return
      assert.match(number, /^(\+[0-9]{1,15}|[0-9*#]{1,32})$/)
      assert.equal(parseNumber(number), number)
      assert.equal(isE164(number), number.startsWith('+'))
    }),
    { numRuns: 2000 },
  )
})
