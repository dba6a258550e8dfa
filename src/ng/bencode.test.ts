import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeBencode, encodeBencode } from '#ng/bencode.ts'
import { decodeNgJson, encodeNgJson } from '#ng/ng-json.ts'
import { parseNgMessage } from '#ng/ng-message.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import { NgStreamFramer } from '#ng/ng-stream-framer.ts'
import type { NgValue } from '#ng/ng-value.ts'

const octets = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const { value: values } = fc.letrec<{ value: NgValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    octets,
    fc.maxSafeInteger().map((n) => (n === 0 ? 0 : n)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(octets, tie('value'), { maxKeys: 4, noNullPrototype: false }),
  ),
}))

/** Keys sorted, without prototypes: two that mean the same are the same text. */
const plain = (value: unknown) => encodeBencode(value as NgValue)

test('what bencode writes, it reads again as the same value', () => {
  fc.assert(fc.property(values, (value) => assert.equal(plain(decodeBencode(encodeBencode(value))), plain(value))))
})

test('JSON gives the same carriage as bencode, octets that are no UTF-8 included', () => {
  fc.assert(fc.property(values, (value) => assert.equal(plain(decodeNgJson(encodeNgJson(value))), plain(value))))
  assert.equal(decodeNgJson('"\\u00e9\\ud83d\\ude00"'), Buffer.from('é😀').toString('latin1'))
})

test('any octets are a value or a problem with its place, never an exception', () => {
  const near = fc.string({ unit: fc.constantFrom(...'dlie0123456789:{}[]",\\u- x') })
  fc.assert(
    fc.property(fc.oneof(octets, near), (text) => {
      for (const decoded of [decodeBencode(text), decodeNgJson(text), parseNgMessage(`c ${text}`).body]) {
        if (decoded instanceof NgProblem) assert.ok(decoded.position <= text.length + 2)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('nesting, values and cookies have limits', () => {
  const code = (value: unknown) => (value instanceof NgProblem ? value.code : null)
  assert.equal(code(decodeBencode('l'.repeat(100_000))), 'NG_DEPTH_MAX')
  assert.equal(code(decodeBencode(`l${'i0e'.repeat(40_000)}e`)), 'NG_ENTRIES_MAX')
  assert.equal(code(decodeNgJson('['.repeat(100_000))), 'NG_DEPTH_MAX')
  assert.equal(code(decodeBencode('9:abc')), 'NG_TRUNCATED')
  assert.equal(code(decodeBencode('i03e')), 'NG_SYNTAX')
  assert.equal(code(parseNgMessage('x'.repeat(300)).body), 'NG_COOKIE_MAX')
  assert.equal(code(parseNgMessage('').body), 'NG_COOKIE_MISSING')
})

test('a stream gives the same messages however it is cut', () => {
  const text = 'a d7:command4:pinge\n b {"command":"}\\"{"}c d1:al1:i1:eei-5ee'
  for (let cut = 1; cut <= text.length; cut++) {
    const framer = new NgStreamFramer()
    const got: unknown[] = []
    for (let at = 0; at < text.length; at += cut) {
      framer.push(Buffer.from(text.slice(at, at + cut), 'latin1'))
      for (let message = framer.next(); message !== null; message = framer.next()) got.push(message)
    }
    assert.deepEqual(got, ['a d7:command4:pinge', 'b {"command":"}\\"{"}', 'c d1:al1:i1:eei-5ee'])
  }
})
