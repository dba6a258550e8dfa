// Telephone events in and out against RFC 4733 §2.5.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OutgoingStream } from '#rtp/outgoing-stream.ts'
import { rtpMarker, rtpSequence, rtpTimestamp } from '#rtp/rtp-packet.ts'
import {
  digitOfEvent,
  eventCode,
  eventDuration,
  eventEnd,
  eventLevelDbm0,
  eventOfDigit,
  writeTelephoneEvent,
} from '#rtp/telephone-event-payload.ts'
import { EVENT_SILENT_MS, TelephoneEventReceiver } from '#rtp/telephone-event-receiver.ts'
import { DIGITS_WAITING_MAX, TelephoneEventSender } from '#rtp/telephone-event-sender.ts'

class Digits {
  readonly log: string[] = []
  onStart(digit: string): void {
    this.log.push(`start ${digit}`)
  }
  onDigit(digit: string, durationMs: number, levelDbm0: number): void {
    this.log.push(`${digit} ${Math.round(durationMs)} ${levelDbm0}`)
  }
}

interface Report {
  readonly timestamp: number
  readonly marker: boolean
  readonly end: boolean
  readonly duration: number
  readonly event: number
  readonly nowMs: number
  readonly sequence: number
}

/** What a sender makes of digits, tick by tick. */
function sent(digits: string, ms: number, pauseMs: number, rate = 8000, ptimeMs = 20): Report[] {
  const stream = new OutgoingStream(1, 100, 2 ** 32 - 1000)
  const sender = new TelephoneEventSender()
  assert.ok(sender.queue(digits, ms, pauseMs, -7))
  const bytes = new Uint8Array(16)
  const reports: Report[] = []
  for (let nowMs = 0; sender.isBusy && nowMs < 100_000; nowMs += ptimeMs) {
    const length = sender.tick(stream, bytes, 101, (ptimeMs * rate) / 1000, nowMs, rate)
    if (length === 0) continue
    assert.equal(length, 16)
    assert.equal(eventLevelDbm0(bytes, 12), -7)
    reports.push({
      timestamp: rtpTimestamp(bytes),
      marker: rtpMarker(bytes),
      end: eventEnd(bytes, 12),
      duration: eventDuration(bytes, 12),
      event: eventCode(bytes, 12),
      nowMs,
      sequence: rtpSequence(bytes),
    })
  }
  return reports
}

function receive(reports: readonly Report[], rate = 8000): Digits {
  const digits = new Digits()
  const receiver = new TelephoneEventReceiver(digits)
  const bytes = new Uint8Array(4)
  let now = 0
  for (const report of reports) {
    now = Math.max(now, report.nowMs)
    receiver.expire(now)
    writeTelephoneEvent(bytes, 0, report.event, report.end, -7, report.duration)
    receiver.receive(bytes, 0, 4, 1, report.timestamp, report.marker, now, rate)
  }
  receiver.expire(now + EVENT_SILENT_MS)
  assert.ok(!receiver.isActive)
  return digits
}

test('§3.2: 0…15 are the digits 0–9, *, #, A–D', () => {
  for (const [event, digit] of [...'0123456789*#ABCD'].entries()) {
    assert.equal(digitOfEvent(event), digit)
    assert.equal(eventOfDigit(digit), event)
  }
  assert.equal(eventOfDigit('d'), 15)
  assert.deepEqual(
    [digitOfEvent(16), digitOfEvent(255), eventOfDigit('x'), eventOfDigit(''), eventOfDigit('12')],
    ['', '', -1, -1, -1],
  )
})

test('§2.5.1.2: one timestamp, growing duration, marker on the first packet, end on the last, which is sent three times', () => {
  const reports = sent('5', 60, 40)
  assert.deepEqual(
    reports.map((r) => [r.nowMs, r.timestamp, r.duration, r.marker, r.end]),
    [
      [0, 4_294_966_296, 160, true, false],
      [20, 4_294_966_296, 320, false, false],
      [40, 4_294_966_296, 480, false, true],
      [60, 4_294_966_296, 480, false, true],
      [80, 4_294_966_296, 480, false, true],
    ],
  )
  assert.deepEqual(
    reports.map((r) => r.sequence),
    [100, 101, 102, 103, 104],
  )
})

test('§2.5.1: the pause is between the end of one digit and the beginning of the next', () => {
  const starts = sent('123', 100, 60).filter((r) => r.marker)
  assert.deepEqual(
    starts.map((r) => [r.nowMs, (r.timestamp + 1000) >>> 0]),
    [
      [0, 0],
      [160, 160 * 8],
      [320, 320 * 8],
    ],
  )
})

for (const rate of [8000, 16_000, 48_000]) {
  test(`digits arrive as they were sent, once each, at ${rate} Hz`, () => {
    const digits = receive(sent('1592#*D', 100, 50, rate), rate)
    assert.deepEqual(
      digits.log,
      [...'1592#*D'].flatMap((digit) => [`start ${digit}`, `${digit} 100 -7`]),
    )
  })
}

test('§2.5.1.3: a long event is cut into segments without marker or end, and is one digit', () => {
  const reports = sent('9', 20_000, 50)
  const segments = [...new Set(reports.map((r) => r.timestamp))]
  assert.equal(segments.length, 3)
  assert.equal(((segments[1] ?? 0) - (segments[0] ?? 0)) >>> 0, 0xffff)
  assert.equal(reports.filter((r) => r.marker).length, 1)
  assert.ok(reports.every((r) => r.end === (r.timestamp === segments[2] && r.duration === 160_000 - 2 * 0xffff)))
  assert.deepEqual(receive(reports).log, ['start 9', '9 20000 -7'])
  assert.deepEqual(receive(sent('9', 5000, 50, 48_000), 48_000).log, ['start 9', '9 5000 -7'])
})

test('§2.5.2.2: when the end is lost the digit ends by silence, and what comes later is ignored', () => {
  const reports = sent('7', 200, 50)
  assert.deepEqual(receive(reports.filter((r) => !r.end)).log, ['start 7', '7 180 -7'])
  const late = reports.map((r) => (r.end ? { ...r, nowMs: r.nowMs + 1000 } : r))
  assert.deepEqual(receive(late).log, ['start 7', '7 180 -7'])
})

test('§2.5.2.2: the next event ends one whose end was lost', () => {
  const reports = sent('77', 100, 40)
  const second = reports.findLastIndex((r) => r.marker)
  assert.deepEqual(receive(reports.filter((r, i) => i >= second || !r.end)).log, [
    'start 7',
    '7 80 -7',
    'start 7',
    '7 100 -7',
  ])
})

test('§2.5.1.4: one end packet is enough, and it may be the only packet', () => {
  const last = sent('3', 100, 40).at(-1) as Report
  assert.deepEqual(receive([last]).log, ['start 3', '3 100 -7'])
})

test('§2.5.1.5: events packed into one packet are contiguous', () => {
  const digits = new Digits()
  const receiver = new TelephoneEventReceiver(digits)
  const bytes = new Uint8Array(8)
  writeTelephoneEvent(bytes, 0, 1, true, -10, 800)
  writeTelephoneEvent(bytes, 4, 2, false, -10, 160)
  receiver.receive(bytes, 0, 8, 1, 1000, true, 0, 8000)
  writeTelephoneEvent(bytes, 0, 2, true, -10, 400)
  receiver.receive(bytes, 0, 4, 1, 1800, false, 20, 8000)
  assert.deepEqual(digits.log, ['start 1', '1 100 -10', 'start 2', '2 50 -10'])
})

test('another SSRC is another time base', () => {
  const digits = new Digits()
  const receiver = new TelephoneEventReceiver(digits)
  const bytes = new Uint8Array(4)
  writeTelephoneEvent(bytes, 0, 1, true, -10, 800)
  receiver.receive(bytes, 0, 4, 1, 1000, true, 0, 8000)
  receiver.receive(bytes, 0, 4, 1, 1000, false, 0, 8000)
  receiver.receive(bytes, 0, 4, 2, 900, true, 0, 8000)
  assert.equal(digits.log.length, 4)
  assert.equal(receiver.repeats, 1)
})

test('events that are no digits, and payloads cut short, are passed over', () => {
  const digits = new Digits()
  const receiver = new TelephoneEventReceiver(digits)
  const bytes = Uint8Array.of(16, 0x80, 0, 160, 1, 0x80, 0)
  receiver.receive(bytes, 0, 7, 1, 0, true, 0, 8000)
  receiver.receive(bytes, 0, 99, 1, 0, true, 0, 8000)
  assert.deepEqual(digits.log, [])
})

test('each digit exactly once: under loss, duplicates and reordering of neighbours', () => {
  const digit = fc.constantFrom(...'0123456789*#ABCD')
  fc.assert(
    fc.property(fc.array(digit, { minLength: 1, maxLength: 6 }), fc.infiniteStream(fc.nat(99)), (digits, chance) => {
      const draw = (): number => chance.next().value as number
      const packets: Report[] = []
      const all = sent(digits.join(''), 100, 60)
      for (const [i, report] of all.entries()) {
        // Of each event one packet always comes: a digit that is lost altogether cannot be told.
        const isOnly = report.end && !all[i + 1]?.end
        if (draw() < 30 && !isOnly) continue
        packets.push(report)
        if (draw() < 20) packets.push(report)
      }
      for (let i = 0; i + 1 < packets.length; i += 1) {
        const [a, b] = [packets[i] as Report, packets[i + 1] as Report]
        if (draw() < 20 && a.timestamp === b.timestamp) [packets[i], packets[i + 1]] = [b, a]
      }
      const { log } = receive(packets)
      assert.deepEqual(
        log,
        digits.flatMap((d) => [`start ${d}`, `${d} 100 -7`]),
      )
    }),
    { numRuns: 300 },
  )
})

test('any payloads make no throw, and each digit that starts ends', () => {
  const packet = fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(2 ** 32 - 1), fc.boolean(), fc.nat(1))
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 60 }), (packets) => {
      const digits = new Digits()
      const receiver = new TelephoneEventReceiver(digits)
      for (const [bytes, timestamp, marker, ssrc] of packets) {
        receiver.receive(bytes, 0, bytes.length, ssrc, timestamp, marker, 0, 8000)
      }
      receiver.reset()
      for (let i = 0; i < digits.log.length; i += 2) {
        assert.equal(digits.log[i], `start ${digits.log[i + 1]?.charAt(0)}`)
      }
      assert.equal(digits.log.length % 2, 0)
    }),
  )
})

test('too many digits, or what is no digit, are refused as a whole', () => {
  const sender = new TelephoneEventSender()
  assert.ok(!sender.queue('12x', 100, 50, -7))
  assert.ok(!sender.queue('1'.repeat(DIGITS_WAITING_MAX + 1), 100, 50, -7))
  assert.ok(!sender.isBusy)
})

test('a digit that is stopped ends with three end packets, and those that wait are forgotten', () => {
  const stream = new OutgoingStream(1, 100, 0)
  const sender = new TelephoneEventSender()
  sender.queue('12', 10_000, 50, -7)
  const bytes = new Uint8Array(16)
  const ends: boolean[] = []
  for (let i = 0; i < 20 && sender.isBusy; i += 1) {
    if (i === 3) sender.stop()
    if (sender.tick(stream, bytes, 101, 160, i * 20, 8000) > 0) ends.push(eventEnd(bytes, 12))
  }
  assert.deepEqual(ends, [false, false, false, true, true, true])
  assert.ok(!sender.isBusy)
})
