// STUN Binding answers against RFC 8489, with the request and answers of RFC 5769 as what others compute.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import type { Endpoint } from '#core/net.ts'
import { BINDING_ANSWER_OCTETS_MAX, BindingResponder } from '#stun/binding-responder.ts'

const SOURCE: Endpoint = { host: '192.0.2.1', port: 32_853, family: 4 }
const SOURCE_6: Endpoint = { host: '2001:db8:1234:5678:11:2233:4455:6677', port: 32_853, family: 6 }
const COOKIE = '2112a442'
const TRANSACTION = 'b7e7a701bc34d686fa87dfae'

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function answer(request: Uint8Array, source: Endpoint = SOURCE): string {
  const target = new Uint8Array(BINDING_ANSWER_OCTETS_MAX).fill(0xee)
  return hex(target.subarray(0, new BindingResponder().answer(request, source, target)))
}

/** A Binding request with these attributes (hex, padded). */
function binding(attributes = '', type = '0001', cookie = COOKIE): Buffer {
  const length = (attributes.length / 2).toString(16).padStart(4, '0')
  return Buffer.from(`${type}${length}${cookie}${TRANSACTION}${attributes}`, 'hex')
}

/** The same with a FINGERPRINT that another implementation of the sum computed. */
function fingerprinted(attributes = ''): Buffer {
  const request = binding(`${attributes}8028000400000000`)
  request.writeUInt32BE((zlibCrc32(request.subarray(0, -8)) ^ 0x5354554e) >>> 0, request.length - 4)
  return request
}

test('§14.2: XOR-MAPPED-ADDRESS is the source over the cookie, as in RFC 5769 §2.2', () => {
  assert.equal(answer(binding()), `0101000c${COOKIE}${TRANSACTION}002000080001a147e112a643`)
})

test('§14.2: for IPv6 the transaction id counts too, as in RFC 5769 §2.3', () => {
  assert.equal(
    answer(binding(), SOURCE_6),
    `01010018${COOKIE}${TRANSACTION}002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9`,
  )
})

test('an IPv6 source in any spelling is written as its 128 bits', () => {
  const plain = (host: string): string => {
    const text = answer(binding(), { host, port: 1, family: 6 }).slice(-32)
    const mask = Buffer.from(COOKIE + TRANSACTION, 'hex')
    return hex(Buffer.from(text, 'hex').map((octet, i) => octet ^ (mask[i] ?? 0)))
  }
  assert.equal(plain('::1'), '00000000000000000000000000000001')
  assert.equal(plain('2001:db8::'), '20010db8000000000000000000000000')
  assert.equal(plain('::ffff:192.0.2.1'), '00000000000000000000ffffc0000201')
  assert.equal(plain('fe80::1%eth0'), 'fe800000000000000000000000000001')
})

test('§14.7: a request with FINGERPRINT gets one; a wrong one is no STUN', () => {
  const text = answer(fingerprinted())
  const bytes = Buffer.from(text, 'hex')
  assert.equal(bytes.readUInt16BE(2), bytes.length - 20)
  assert.equal(text.slice(-16, -8), '80280004')
  assert.equal(bytes.readUInt32BE(bytes.length - 4), (zlibCrc32(bytes.subarray(0, -8)) ^ 0x5354554e) >>> 0)
  const wrong = fingerprinted()
  wrong[wrong.length - 1] = (wrong.at(-1) ?? 0) ^ 1
  assert.equal(answer(wrong), '')
})

test('§14.7: FINGERPRINT is the last attribute', () => {
  const request = Buffer.concat([fingerprinted(), Buffer.from('80220000', 'hex')])
  request.writeUInt16BE(request.length - 20, 2)
  assert.equal(answer(request), '')
})

test('§6.3.1: unknown comprehension-required attributes are answered with 420 that names them', () => {
  const text = answer(binding('0019000411000000' + '002a0000'))
  assert.equal(text.slice(0, 4), '0111')
  assert.ok(text.includes(`00090015000004${'14'}${Buffer.from('Unknown Attribute').toString('hex')}000000`))
  assert.ok(text.endsWith('000a00040019002a'))
  assert.ok(answer(binding('00190000')).endsWith('000a000200190000'))
})

test('unknown comprehension-optional attributes and those of credentials are passed over', () => {
  assert.equal(answer(binding('80220004736970000006000461626364')).slice(0, 4), '0101')
})

test('what is no Binding request is not answered', () => {
  assert.equal(answer(binding('', '0101')), '', 'a response')
  assert.equal(answer(binding('', '0011')), '', 'an indication')
  assert.equal(answer(binding('', '0003')), '', 'another method')
  assert.equal(answer(binding('', '0001', '00000000')), '', 'RFC 3489, without the cookie')
  assert.equal(answer(binding().subarray(0, 19)), '', 'too short')
  assert.equal(answer(Buffer.concat([binding(), Buffer.alloc(4)])), '', 'longer than it says')
  assert.equal(answer(binding('80220008736970')), '', 'an attribute beyond the end')
  assert.equal(answer(binding('8022ffff')), '', 'an attribute far beyond the end')
  assert.equal(answer(binding(`80220210${'00'.repeat(528)}`)), '', 'too long')
})

test('any octets are taken without an error, and no answer is much larger than its request', () => {
  const target = new Uint8Array(BINDING_ANSWER_OCTETS_MAX)
  const responder = new BindingResponder()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (attributes, v6) => {
      const padded = Buffer.concat([attributes, Buffer.alloc((4 - (attributes.length % 4)) % 4)])
      const request = binding(hex(padded))
      const octets = responder.answer(request, v6 ? SOURCE_6 : SOURCE, target)
      assert.ok(octets <= request.length + 48, `${octets} for ${request.length}`)
    }),
    { numRuns: 1_000 },
  )
})
