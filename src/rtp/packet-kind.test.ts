// What a datagram is: RFC 7983 §7 and RFC 5761 §4.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRtcp, isRtp, packetKind } from '#rtp/packet-kind.ts'

function kind(first: number, second = 0): string {
  return packetKind(Uint8Array.of(first, second), 2)
}

test('RFC 7983 §7: 0…3 is STUN, 20…63 DTLS, 128…191 RTP or RTCP, and all else is dropped', () => {
  for (let first = 0; first < 256; first += 1) {
    const expected = first <= 3 ? 'stun' : first >= 20 && first <= 63 ? 'dtls' : first >> 6 === 2 ? 'rtp' : 'other'
    assert.equal(kind(first), expected, `${first}`)
  }
})

test('RFC 5761 §4: packet types 192…223 are RTCP, whatever the count of reports', () => {
  for (let second = 0; second < 256; second += 1) {
    const expected = second >= 192 && second <= 223 ? 'rtcp' : 'rtp'
    const bytes = Uint8Array.of(0x81, second)
    assert.equal(packetKind(bytes, 2), expected)
    assert.equal(isRtcp(bytes, 2), expected === 'rtcp')
    assert.equal(isRtp(bytes, 2), expected === 'rtp')
  }
})

test('a datagram of no octets or one is nothing', () => {
  const bytes = Uint8Array.of(0x80, 200)
  for (const length of [0, 1]) {
    assert.equal(packetKind(bytes, length), 'other')
    assert.ok(!isRtp(bytes, length) && !isRtcp(bytes, length))
  }
})
