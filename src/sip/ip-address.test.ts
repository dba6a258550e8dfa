// Numeric addresses against RFC 4291 §2.2 and RFC 5952 §4.

import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { isUnicast, parseIp, sourceKey } from '#sip/ip-address.ts'

test('RFC 5952 §4: an IPv6 address has one canonical spelling', () => {
  const spellings: readonly (readonly [string, string])[] = [
    ['2001:0DB8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['fe80::', 'fe80::'],
  ]
  for (const [text, canonical] of spellings) assert.deepEqual(parseIp(text), { host: canonical, family: 6 }, text)
})

test('an IPv4-mapped IPv6 address is the IPv4 address', () => {
  assert.deepEqual(parseIp('::ffff:192.0.2.7'), { host: '192.0.2.7', family: 4 })
  assert.deepEqual(parseIp('::FFFF:c000:207'), { host: '192.0.2.7', family: 4 })
})

test('what is no address is none, and octal-looking numbers are not guessed at', () => {
  const no = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1:2',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    'g::',
    '::1%eth0',
    ':::',
    '1.2.3.4:',
  ]
  for (const text of no) assert.equal(parseIp(text), null, text)
})

test('every address that the platform takes is read, and its canonical spelling reads as itself', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const address = parseIp(text)
      assert.ok(address)
      assert.equal(isIP(address.host), address.family)
      assert.deepEqual(parseIp(address.host), address)
      if (address.family === 6) assert.equal(new URL(`http://[${text}]`).hostname, `[${address.host}]`)
    }),
    { numRuns: 500 },
  )
})

test('unspecified, multicast, broadcast and reserved addresses are not unicast', () => {
  const unicast = (text: string): boolean => {
    const address = parseIp(text)
    assert.ok(address)
    return isUnicast(address)
  }
  for (const text of [
    '0.0.0.0',
    '0.1.2.3',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    'ff02::1',
  ]) {
    assert.equal(unicast(text), false, text)
  }
  for (const text of ['1.0.0.0', '127.0.0.1', '223.255.255.254', '::1', 'fe80::1', '2001:db8::1']) {
    assert.equal(unicast(text), true, text)
  }
})

test('RFC 6177: the addresses of one IPv6 network count as one source', () => {
  const key = (host: string): string => sourceKey({ host, family: host.includes(':') ? 6 : 4 })
  assert.equal(key('2001:db8:1:2:3::4'), key('2001:db8:1:2:ffff:ffff:ffff:ffff'))
  assert.notEqual(key('2001:db8:1:2::4'), key('2001:db8:1:3::4'))
  assert.equal(key('fe80::1%eth0'), key('fe80::2'))
  assert.notEqual(key('192.0.2.1'), key('192.0.2.2'))
})
