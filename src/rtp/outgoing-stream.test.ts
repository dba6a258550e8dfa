// One outgoing stream whose source changes (RFC 3550 §5.1, RFC 7160, RFC 3551 §4.1).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OutgoingStream } from '#rtp/outgoing-stream.ts'
import { rtpMarker, rtpSequence, rtpSsrc, rtpTimestamp, writeRtpHeader } from '#rtp/rtp-packet.ts'

const OWN = 0xabcdef01
const bytes = new Uint8Array(172)

interface Sent {
  readonly sequence: number
  readonly timestamp: number
  readonly marker: boolean
}

/** Relays a packet; what left, or null. */
function relay(
  out: OutgoingStream,
  ssrc: number,
  sequence: number,
  timestamp: number,
  nowMs: number,
  rate = 8000,
): Sent | null {
  writeRtpHeader(bytes, 0, false, sequence & 0xffff, timestamp >>> 0, ssrc)
  if (!out.relay(bytes, nowMs, rate, 160, false)) return null
  assert.equal(rtpSsrc(bytes), OWN)
  return { sequence: rtpSequence(bytes), timestamp: rtpTimestamp(bytes), marker: rtpMarker(bytes) }
}

function make(out: OutgoingStream, nowMs: number, rate = 8000, units = 160): Sent {
  const timestamp = out.tick(units, nowMs, rate)
  assert.equal(out.write(bytes, 0, false, timestamp, nowMs, rate, 160), 12)
  return { sequence: rtpSequence(bytes), timestamp: rtpTimestamp(bytes), marker: rtpMarker(bytes) }
}

test('what is relayed keeps the distances of its source, so that loss and order stay visible', () => {
  const out = new OutgoingStream(OWN, 1000, 5000)
  assert.deepEqual(relay(out, 7, 65_534, 2 ** 32 - 160, 0), { sequence: 1000, timestamp: 5000, marker: true })
  assert.deepEqual(relay(out, 7, 0, 160, 40), { sequence: 1002, timestamp: 5320, marker: false })
  assert.deepEqual(relay(out, 7, 65_535, 0, 41), { sequence: 1001, timestamp: 5160, marker: false })
  assert.equal(out.packets, 3)
})

test('another SSRC goes on where the last one ended, as late as the clock says, with the marker', () => {
  const out = new OutgoingStream(OWN, 10, 0)
  relay(out, 7, 100, 1000, 0)
  relay(out, 7, 101, 1160, 20)
  assert.deepEqual(relay(out, 8, 60_000, 777_777, 50), { sequence: 12, timestamp: 160 + 240, marker: true })
  assert.deepEqual(relay(out, 8, 60_001, 777_937, 70), { sequence: 13, timestamp: 560, marker: false })
  assert.equal(out.switches, 1)
})

test('a packet of the former source that comes late takes its own number, or none', () => {
  const out = new OutgoingStream(OWN, 10, 0)
  relay(out, 7, 100, 1000, 0)
  relay(out, 7, 102, 1320, 20)
  relay(out, 8, 5, 0, 40)
  assert.deepEqual(relay(out, 7, 101, 1160, 41), { sequence: 11, timestamp: 160, marker: false })
  assert.equal(relay(out, 8, 4, 0, 42), null, 'its number is that of the former source')
  assert.equal(relay(out, 8, 6, 160, 60)?.sequence, 14)
})

test('the first packet after a switch is a packet later at least', () => {
  const out = new OutgoingStream(OWN, 10, 0)
  relay(out, 7, 1, 0, 0)
  relay(out, 7, 2, 240, 30)
  assert.equal(relay(out, 8, 1, 0, 31)?.timestamp, 480)
})

test('the same SSRC after switchSource, or with another sequence or time base, does not jump', () => {
  const out = new OutgoingStream(OWN, 10, 0)
  relay(out, 7, 1, 0, 0)
  out.switchSource()
  assert.deepEqual(relay(out, 7, 30_000, 99, 20), { sequence: 11, timestamp: 160, marker: true })
  assert.deepEqual(relay(out, 7, 10_000, 259, 40), { sequence: 12, timestamp: 320, marker: true })
  assert.deepEqual(relay(out, 7, 10_001, 3_000_000_000, 60), { sequence: 13, timestamp: 480, marker: true })
  assert.deepEqual(relay(out, 7, 10_002, 3_000_000_160, 80), { sequence: 14, timestamp: 640, marker: false })
})

test('a silence of the source passes as it is', () => {
  const out = new OutgoingStream(OWN, 10, 0)
  relay(out, 7, 1, 0, 0)
  assert.deepEqual(relay(out, 7, 2, 80_000, 10_000), { sequence: 11, timestamp: 80_000, marker: false })
})

test('playback and back: one sequence, and timestamps by the clock', () => {
  const out = new OutgoingStream(OWN, 10, 0)
  relay(out, 7, 1, 0, 0)
  assert.deepEqual(make(out, 20), { sequence: 11, timestamp: 160, marker: true })
  assert.deepEqual(make(out, 43), { sequence: 12, timestamp: 320, marker: false })
  out.tick(160, 60, 8000)
  assert.deepEqual(make(out, 80), { sequence: 13, timestamp: 640, marker: false })
  assert.deepEqual(relay(out, 7, 5, 640, 100), { sequence: 14, timestamp: 800, marker: true })
})

test('RFC 7160: after a change of clock rate the timestamp goes on in the new unit', () => {
  const out = new OutgoingStream(OWN, 10, 0)
  make(out, 0)
  make(out, 20)
  assert.equal(make(out, 40, 48_000, 960).timestamp, 160 + 960)
  assert.equal(make(out, 60, 48_000, 960).timestamp, 160 + 1920)
})

test('a telephone-event keeps its timestamp and does not take the marker of the talkspurt', () => {
  const out = new OutgoingStream(OWN, 10, 0)
  relay(out, 7, 1, 0, 0)
  for (let i = 0; i < 5; i += 1) {
    writeRtpHeader(bytes, 101, i === 0, 2 + i, 160, 7)
    assert.ok(out.relay(bytes, 20 + i * 20, 8000, 4, true))
    assert.equal(rtpTimestamp(bytes), 160)
    assert.equal(rtpMarker(bytes), i === 0)
  }
  assert.equal(out.timestampAt(120), 960, 'time goes on with the audio')
  assert.deepEqual(relay(out, 7, 7, 160 + 800, 120), { sequence: 16, timestamp: 960, marker: false })
})

test('the first source goes out unchanged when it is to, and so it does after its packets passed by another way', () => {
  const out = new OutgoingStream(OWN, 10, 5)
  const header = (ssrc: number, sequence: number, timestamp: number): void => {
    writeRtpHeader(bytes, 0, false, sequence & 0xffff, timestamp, ssrc)
  }
  const fields = (): number[] => [rtpSsrc(bytes), rtpSequence(bytes), rtpTimestamp(bytes)]
  header(7, 65_530, 1_000)
  out.beginAs(bytes)
  assert.ok(out.relay(bytes, 0, 8000, 160, false))
  assert.deepEqual(fields(), [7, 65_530, 1_000])
  assert.equal(out.isUnchanged, true)
  out.passed(100, 16_000)
  assert.deepEqual([out.packets, out.octets, out.sequence, out.cycles], [101, 16_160, 94, 65_536])
  header(7, 4_000, 900_000)
  assert.ok(out.relay(bytes, 9_000, 8000, 160, false))
  assert.deepEqual(fields(), [7, 4_000, 900_000])
  out.passed(100, 16_000)
  header(8, 20, 30)
  assert.ok(out.relay(bytes, 12_000, 8000, 160, false))
  assert.deepEqual(fields(), [8, 20, 30], 'another SSRC of the same party')
  assert.equal(out.isUnchanged, true)
})

test('what is made after packets passed by another way has numbers of its own', () => {
  const out = new OutgoingStream(OWN, 10, 5)
  writeRtpHeader(bytes, 0, false, 100, 1_000, 7)
  out.beginAs(bytes)
  assert.ok(out.relay(bytes, 0, 8000, 160, false))
  out.passed(3_200, 512_000)
  assert.deepEqual(make(out, 64_020), { sequence: 100 + 3_200 + 100 + 1, timestamp: 1_000 + 8 * 64_020, marker: true })
  assert.equal(out.isUnchanged, false)
})

test('what is late of a source is not sent with the number of what was made since', () => {
  const out = new OutgoingStream(OWN, 0, 0)
  relay(out, 1, 65_501, 0, 5)
  make(out, 10)
  relay(out, 2, 21, 0, 15)
  assert.equal(relay(out, 1, 65_502, 160, 20)?.sequence, 3)
})

test('§6.4.1: the timestamp of a report is of its moment', () => {
  const out = new OutgoingStream(OWN, 10, 1000)
  relay(out, 7, 1, 0, 500)
  assert.equal(out.timestampAt(510), 1080)
  assert.equal(out.mapTimestamp(160), 1160)
  assert.equal(out.unmapSequence(10), 1)
})

test('whatever the sources do, no number is sent for two packets of different sources, and time goes on', () => {
  const step = fc.record({
    kind: fc.constantFrom('a', 'b', 'made', 'switch'),
    ms: fc.integer({ min: 5, max: 60 }),
    jump: fc.option(fc.nat(2 ** 32 - 1), { freq: 10, nil: null }),
  })
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 120 }),
      fc.nat(65_535),
      fc.nat(2 ** 32 - 1),
      (steps, sequence, timestamp) => {
        const out = new OutgoingStream(OWN, sequence, timestamp)
        const state = { a: { sequence: 65_500, base: 0 }, b: { sequence: 20, base: 2 ** 31 } }
        let now = 0
        let last: Sent | null = null
        for (const { kind, ms, jump } of steps) {
          now += ms
          if (kind === 'switch') {
            out.switchSource()
            continue
          }
          let sent: Sent | null
          if (kind === 'made') sent = make(out, now)
          else {
            const source = kind === 'a' ? state.a : state.b
            if (jump !== null) {
              source.sequence += 5000 + (jump % 50_000)
              source.base = jump
            } else source.sequence += 1
            sent = relay(out, kind === 'a' ? 1 : 2, source.sequence, source.base + now * 8, now)
          }
          assert.ok(sent !== null)
          if (last !== null) {
            assert.equal(sent.sequence, (last.sequence + 1) & 0xffff)
            const ahead: number = (sent.timestamp - last.timestamp) | 0
            assert.ok(ahead > 0 && ahead <= 8 * 2100, `${ahead}`)
          }
          last = sent
        }
      },
    ),
  )
})
