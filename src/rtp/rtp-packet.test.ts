// RTP headers against RFC 3550 §5.1 and A.1.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  rtpMarker,
  rtpPayloadEnd,
  rtpPayloadOffset,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  sequenceDistance,
  setRtpMarker,
  setRtpPayloadType,
  setRtpSequence,
  setRtpSsrc,
  setRtpTimestamp,
  timestampDistance,
  writeRtpHeader,
} from '#rtp/rtp-packet.ts'

function packet(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

function offset(hex: string): number {
  const bytes = packet(hex)
  return rtpPayloadOffset(bytes, bytes.length)
}

const FIXED = '1234 00000001 deadbeef'

test('§5.1: the payload begins after the fixed header, the CSRC list and the extension', () => {
  assert.equal(offset(`8000 ${FIXED}`), 12)
  assert.equal(offset(`8000 ${FIXED} ff`), 12)
  assert.equal(offset(`8200 ${FIXED} 00000001 00000002 ff`), 20)
  assert.equal(offset(`9000 ${FIXED} bede0001 10ff0000 aa`), 20)
  assert.equal(offset(`9100 ${FIXED} 00000001 bede0000 aa`), 20)
})

test('A.1: version must be 2, and the length consistent with CSRC count, extension and padding', () => {
  for (const bad of [
    '',
    '80',
    `8000 1234 00000001 deadbe`,
    `0000 ${FIXED}`,
    `4000 ${FIXED}`,
    `c000 ${FIXED}`,
    `8100 ${FIXED} 000000`,
    `9000 ${FIXED} bede00`,
    `9000 ${FIXED} bede0001 10ff00`,
    `9000 ${FIXED} bedeffff 10ff0000`,
    `a000 ${FIXED} aa00`,
    `a000 ${FIXED} aa03`,
    `a000 ${FIXED}`,
  ]) {
    assert.equal(offset(bad), -1, bad)
  }
})

test('§5.1: the last octet of padding counts itself, and padding is no payload', () => {
  const bytes = packet(`a000 ${FIXED} aabb 000003`)
  assert.equal(rtpPayloadOffset(bytes, bytes.length), 12)
  assert.equal(rtpPayloadEnd(bytes, bytes.length), 14)
  assert.equal(rtpPayloadEnd(packet(`8000 ${FIXED} aa`), 13), 13)
})

test('§5.1: every field that is written is read again, and no other changes', () => {
  fc.assert(
    fc.property(
      fc.nat(127),
      fc.boolean(),
      fc.nat(65_535),
      fc.nat(2 ** 32 - 1),
      fc.nat(2 ** 32 - 1),
      fc.nat(127),
      (payloadType, marker, sequence, timestamp, ssrc, other) => {
        const bytes = new Uint8Array(12)
        assert.equal(writeRtpHeader(bytes, payloadType, marker, sequence, timestamp, ssrc), 12)
        const read = (): unknown[] => [
          rtpPayloadType(bytes),
          rtpMarker(bytes),
          rtpSequence(bytes),
          rtpTimestamp(bytes),
          rtpSsrc(bytes),
        ]
        assert.equal(rtpPayloadOffset(bytes, 12), 12)
        assert.deepEqual(read(), [payloadType, marker, sequence, timestamp, ssrc])
        setRtpPayloadType(bytes, other)
        setRtpMarker(bytes, !marker)
        assert.deepEqual(read(), [other, !marker, sequence, timestamp, ssrc])
        setRtpSequence(bytes, sequence + 1)
        setRtpTimestamp(bytes, timestamp + 160)
        setRtpSsrc(bytes, ssrc ^ 1)
        assert.deepEqual(read(), [
          other,
          !marker,
          (sequence + 1) % 65_536,
          (timestamp + 160) % 2 ** 32,
          (ssrc ^ 1) >>> 0,
        ])
      },
    ),
  )
})

test('any octets are checked without a throw, and a payload lies within them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 90 }), fc.nat(255), (bytes, first) => {
      if (bytes.length > 0) bytes[0] = first
      const at = rtpPayloadOffset(bytes, bytes.length)
      if (at < 0) return
      const end = rtpPayloadEnd(bytes, bytes.length)
      assert.ok(at >= 12 && at <= end && end <= bytes.length)
    }),
    { numRuns: 2000 },
  )
})

test('distances are on the circle', () => {
  for (const [from, to, distance] of [
    [0, 1, 1],
    [65_535, 0, 1],
    [0, 65_535, -1],
    [127, 128, 1],
    [0, 32_767, 32_767],
    [10, 32_778, -32_768],
  ] as const) {
    assert.equal(sequenceDistance(from, to), distance)
  }
  assert.equal(timestampDistance(2 ** 32 - 80, 80), 160)
  assert.equal(timestampDistance(80, 2 ** 32 - 80), -160)
})
