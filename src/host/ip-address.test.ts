// Addresses between text and bits, against Node's own reading of them.

import assert from 'node:assert/strict'
import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { ipv4Bits, ipv4Text, ipv6Address, ipv6Text } from '#host/ip-address.ts'

test('every IPv4 address is written as it was read', () => {
  fc.assert(fc.property(fc.ipV4(), (text) => assert.equal(ipv4Text(ipv4Bits(text) as number), text)))
})

test('what Node does not take for an IPv4 address is none', () => {
  const near = fc.string({ unit: fc.constantFrom('0', '1', '9', '2', '5', '.', ' ', 'a', '-'), maxLength: 16 })
  fc.assert(
    fc.property(fc.oneof(near, fc.string()), (text) => {
      if (isIPv4(text)) assert.notEqual(ipv4Bits(text), null)
      else if (!/^\d+(\.\d+){3}$/.test(text)) assert.equal(ipv4Bits(text), null)
    }),
  )
  for (const text of ['256.0.0.1', '1.2.3', '1.2.3.4.5', '1..2.3', '.1.2.3', '1.2.3.', '', '4294967296.0.0.0']) {
    assert.equal(ipv4Bits(text), null, text)
  }
})

test('every IPv6 address is written in the one spelling of RFC 5952', () => {
  const group = fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const text = ipv6Text({ groups, scope: 0 })
      assert.ok(isIPv6(text))
      assert.deepEqual(ipv6Address(text)?.groups, groups)
      // Node writes an embedded IPv4 address with dots; those apart, both are the same.
      const theirs = new SocketAddress({ address: text, family: 'ipv6' }).address
      if (!theirs.includes('.')) assert.equal(text, theirs)
    }),
  )
})

test('an embedded IPv4 address, a zone and what is no address', () => {
  assert.deepEqual(ipv6Address('::ffff:192.0.2.1')?.groups, [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201])
  assert.deepEqual(ipv6Address('fe80::1%7'), { groups: [0xfe80, 0, 0, 0, 0, 0, 0, 1], scope: 7 })
  for (const text of ['192.0.2.1', '', ':', ':::', '1::2::3', 'example.net']) assert.equal(ipv6Address(text), null)
})
