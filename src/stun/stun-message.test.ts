import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BINDING, hasIntegrity, parseStun, STUN_OCTETS_MAX, type StunClass, StunWriter } from '#stun/stun-message.ts'

const PASSWORD = 'VOkJxbRl1RmTxUk/WvJxBt'
const REQUEST = hex(
  '000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b1' +
    '51263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf',
)
const RESPONSE = hex(
  '0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599' +
    'fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96',
)
const TRANSACTION = REQUEST.subarray(8, 20)

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

test('RFC 5769 §2.1: the request with a short-term credential', () => {
  const message = parseStun(REQUEST)
  assert.ok(message !== null)
  assert.equal(message.stunClass, 'request')
  assert.equal(message.method, BINDING)
  assert.equal(message.username, 'evtj:h6vY')
  assert.equal(message.priority, 0x6e0001ff)
  assert.equal(message.controlled, 0x932ff9b151263b36n)
  assert.equal(message.controlling, null)
  assert.equal(message.useCandidate, false)
  assert.equal(message.hasFingerprint, true)
  assert.deepEqual(message.unknown, [])
  assert.ok(hasIntegrity(REQUEST, message, PASSWORD))
  assert.ok(!hasIntegrity(REQUEST, message, 'VOkJxbRl1RmTxUk/WvJxBu'))
})

test('RFC 5769 §2.2: the response', () => {
  const message = parseStun(RESPONSE)
  assert.ok(message !== null)
  assert.equal(message.stunClass, 'success')
  assert.ok(hasIntegrity(RESPONSE, message, PASSWORD))
})

test('what is written is read again, in every class', () => {
  const writer = new StunWriter()
  for (const stunClass of ['request', 'indication', 'success', 'error'] satisfies StunClass[]) {
    for (const method of [0x001, 0x00f, 0x123, 0xfff]) {
      writer.begin(stunClass, method, TRANSACTION).username('abcd:ef').priority(0x7effffff).useCandidate()
      const bytes = writer
        .controlling(2n ** 64n - 2n)
        .errorCode(487, 'Role Conflict')
        .messageIntegrity('secret')
        .end()
      const message = parseStun(bytes)
      assert.ok(message !== null)
      assert.deepEqual([message.stunClass, message.method], [stunClass, method])
      assert.deepEqual([message.username, message.priority, message.useCandidate], ['abcd:ef', 0x7effffff, true])
      assert.deepEqual([message.controlling, message.errorCode], [2n ** 64n - 2n, 487])
      assert.deepEqual(message.transactionId, TRANSACTION)
      assert.ok(hasIntegrity(bytes, message, 'secret'))
    }
  }
})

test('§14.5: what follows MESSAGE-INTEGRITY does not count', () => {
  const writer = new StunWriter().begin('request', BINDING, TRANSACTION).username('a:b').messageIntegrity('secret')
  const bytes = writer.useCandidate().priority(5).attribute(0x0031, new Uint8Array(3)).end()
  const message = parseStun(bytes)
  assert.ok(message !== null && hasIntegrity(bytes, message, 'secret'))
  assert.deepEqual([message.useCandidate, message.priority, message.unknown], [false, -1, []])
})

test('§14: unknown comprehension-required attributes are told, optional ones passed over', () => {
  const writer = new StunWriter().begin('request', BINDING, TRANSACTION).attribute(0x0031, new Uint8Array(5))
  assert.deepEqual(parseStun(writer.attribute(0xc057, new Uint8Array(4)).end())?.unknown, [0x0031])
})

test('what is no message is none', () => {
  const changed = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = REQUEST.slice()
    change(bytes)
    return bytes
  }
  assert.equal(parseStun(new Uint8Array(0)), null)
  assert.equal(parseStun(REQUEST.subarray(0, 19)), null)
  assert.equal(parseStun(changed((bytes) => bytes.fill(0, 4, 8))), null, 'no cookie')
  assert.equal(parseStun(changed((bytes) => bytes.fill(0x40, 0, 1))), null, 'not STUN by its first bits')
  assert.equal(parseStun(changed((bytes) => bytes.fill(0x5c, 3, 4))), null, 'longer than it is')
  assert.equal(parseStun(changed((bytes) => bytes.fill(0xff, 22, 24))), null, 'an attribute beyond the end')
  assert.equal(parseStun(changed((bytes) => bytes.fill(0x21, 25, 26))), null, 'a wrong FINGERPRINT')
  assert.equal(parseStun(new Uint8Array(STUN_OCTETS_MAX + 4)), null)
})

test('any octets and any change of a good message are taken without an error', () => {
  const changed = fc
    .tuple(fc.constantFrom(REQUEST, RESPONSE), fc.array(fc.tuple(fc.nat(107), fc.nat(255))), fc.boolean())
    .map(([message, changes, whole]) => {
      // Without FINGERPRINT, or nothing that was changed would be read.
      const bytes = whole ? message.slice() : message.slice(0, -8)
      for (const [at, octet] of changes) bytes[at % bytes.length] = octet
      if (!whole) new DataView(bytes.buffer).setUint16(2, bytes.length - 20)
      return bytes
    })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), changed), (bytes) => {
      const message = parseStun(bytes)
      if (message !== null) hasIntegrity(bytes, message, PASSWORD)
    }),
    { numRuns: 2_000 },
  )
})
