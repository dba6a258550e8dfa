import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  parseHost,
  parseHostPort,
  parseIpv4,
  parseIpv6,
  parseListenAddress,
  parsePeerAddress,
  parsePortRange,
} from '#schema/address.ts'

test('an IPv6 address is written as RFC 5952 wants it', () => {
  const cases: readonly (readonly [string, string | null])[] = [
    ['2001:DB8::0:1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1::', '1::'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::FFFF:c000:201', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['1:2:3:4:5:6:7:8:9', null],
    ['1:2:3:4:5:6:7', null],
    ['::1::', null],
    [':::', null],
    [':1:2:3:4:5:6:7', null],
    ['12345::', null],
    ['::192.0.2', null],
    ['::192.0.2.1:1', null],
    ['192.0.2.1::', null],
    ['fe80::1%eth0', null],
    ['', null],
  ]
  for (const [text, canonical] of cases) assert.equal(parseIpv6(text), canonical, text)
})

test('what is an address here is one to the operating system, and the other way round', () => {
  const odd = fc.string({ unit: fc.constantFrom(...'0123456789abf:.'), maxLength: 20 })
  fc.assert(
    fc.property(fc.oneof(fc.ipV6(), fc.ipV4(), odd), (text) => {
      assert.equal(parseIpv4(text) !== null, isIPv4(text), text)
      assert.equal(parseIpv6(text) !== null, isIPv6(text), text)
      const canonical = parseIpv6(text)
      if (canonical !== null) assert.equal(parseIpv6(canonical), canonical)
    }),
    { numRuns: 5000 },
  )
})

test('a host is an address or a name whose last label begins with a letter', () => {
  assert.deepEqual(parseHost('SIP.Example.NET.'), { text: 'sip.example.net', numeric: 0 })
  assert.deepEqual(parseHost('[2001:DB8::1]'), { text: '2001:db8::1', numeric: 6 })
  assert.deepEqual(parseHost('192.0.2.1'), { text: '192.0.2.1', numeric: 4 })
  const broken = [
    '',
    '.',
    '192.0.2',
    '300.0.0.1',
    '192.0.2.01',
    '-a.net',
    'a-.net',
    'a..net',
    'a_b.net',
    'a b',
    '[::1',
    '[::1]x',
    '[a]',
  ]
  for (const text of [...broken, `${'a'.repeat(64)}.net`, `${'a.'.repeat(127)}net`])
    assert.equal(parseHost(text), null, text)
})

test('listening points, peers, addresses with ports and port ranges are taken apart', () => {
  assert.deepEqual(parseListenAddress('udp:0.0.0.0:5060'), { transport: 'udp', host: '0.0.0.0', family: 4, port: 5060 })
  assert.deepEqual(parseListenAddress('tls:[::]:0'), { transport: 'tls', host: '::', family: 6, port: 0 })
  for (const text of ['0.0.0.0:5060', 'udp:0.0.0.0', 'udp:a.net:5060', 'UDP:0.0.0.0:1', 'udp::::1', 'udp:']) {
    assert.equal(parseListenAddress(text), null, text)
  }
  assert.deepEqual(parsePeerAddress('sbc.example.com'), {
    host: 'sbc.example.com',
    family: 0,
    port: null,
    transport: null,
  })
  assert.deepEqual(parsePeerAddress('tls:SBC.example.com:5061'), {
    host: 'sbc.example.com',
    family: 0,
    port: 5061,
    transport: 'tls',
  })
  assert.deepEqual(parsePeerAddress('[2001:db8::1]:5060'), {
    host: '2001:db8::1',
    family: 6,
    port: 5060,
    transport: null,
  })
  assert.deepEqual(parsePeerAddress('tcp:2001:db8::1'), {
    host: '2001:db8::1',
    family: 6,
    port: null,
    transport: 'tcp',
  })
  for (const text of [
    '',
    'tls:',
    'a.net:0',
    'a.net:65536',
    'a.net:',
    'a.net:1:2',
    '[::1]5060',
    '[::1]:',
    ':5060',
    'sip:a.net',
  ]) {
    assert.equal(parsePeerAddress(text), null, text)
  }
  assert.deepEqual(parseHostPort('127.0.0.1:8080'), { host: '127.0.0.1', family: 4, port: 8080 })
  assert.equal(parseHostPort('localhost:8080'), null)
  assert.deepEqual(parsePortRange('20000-29999'), { portMin: 20_000, portMax: 29_999 })
  for (const text of ['20000', '2-1', '0-9', '1-65536', 'a-b', '1 - 2']) assert.equal(parsePortRange(text), null, text)
})

test('no text makes a parser throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: fc.constantFrom(...'[]:.1aud%-') }), fc.string()), (text) => {
      for (const parse of [parseHost, parseHostPort, parseListenAddress, parsePeerAddress, parsePortRange]) parse(text)
    }),
  )
})
