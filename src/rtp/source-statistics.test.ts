// Statistics of one source against RFC 3550 A.1, A.3 and A.8.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SourceStatistics } from '#rtp/source-statistics.ts'

const RATE = 8000

/** A source that has received these sequence numbers, 20 ms and 160 units apart by number. */
function heard(sequences: readonly number[]): { source: SourceStatistics; receptions: string[] } {
  const source = new SourceStatistics(1, sequences[0] ?? 0, RATE)
  const receptions = sequences.map((sequence, i) => source.receive(sequence, sequence * 160, i * 20, RATE, 160))
  return { source, receptions }
}

function run(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (from + i) & 0xffff)
}

test('A.1: a source is valid when two packets came in sequence, and both count', () => {
  const { source, receptions } = heard([7, 9, 10, 11])
  assert.deepEqual(receptions, ['probation', 'probation', 'valid', 'valid'])
  assert.equal(source.packets, 3)
  assert.equal(source.expected, 3)
  assert.equal(source.octets, 480)
  assert.equal(heard([7, 9, 11]).source.isValid, false)
})

test('A.1: sequence numbers wrap, and cycles count', () => {
  const { source } = heard(run(65_530, 12))
  assert.equal(source.extendedHighest, 65_536 + 5)
  assert.equal(source.cumulativeLost, 0)
  assert.equal(source.expected, 12)
})

test('A.3: expected less received is lost; a late packet makes it good', () => {
  const { source, receptions } = heard([1, 2, 3, 6, 7, 5])
  assert.equal(receptions.at(-1), 'reordered')
  assert.equal(source.cumulativeLost, 1)
  assert.equal(source.reordered, 1)
})

test('A.3: duplicates count as received, so that the cumulative number may be negative', () => {
  const { source, receptions } = heard([1, 2, 2, 2, 3])
  assert.deepEqual(receptions.slice(2), ['duplicate', 'duplicate', 'valid'])
  assert.equal(source.cumulativeLost, -2)
  assert.equal(source.duplicates, 2)
  assert.equal(source.lost, 0)
})

test('A.3: the fraction is of the interval, of 256, and 0 when duplicates outnumber losses', () => {
  const { source } = heard([1, 2, 3, 5])
  assert.equal(source.takeFractionLost(), Math.floor(256 / 5))
  assert.equal(source.takeFractionLost(), 0)
  for (const sequence of [6, 6, 6, 8]) source.receive(sequence, 0, 0, RATE, 160)
  assert.equal(source.takeFractionLost(), 0)
})

test('§6.4: a source that was silent since the last report is not reported', () => {
  const { source } = heard([1, 2])
  assert.equal(source.heardSinceReport, true)
  source.takeFractionLost()
  assert.equal(source.heardSinceReport, false)
})

test('A.1: one packet far off is not counted; a second in sequence restarts', () => {
  const { source, receptions } = heard([...run(100, 10), 40_000, 110, 20_000, 20_001, 20_002])
  assert.deepEqual(receptions.slice(10), ['jump', 'valid', 'jump', 'restart', 'valid'])
  assert.equal(source.restarts, 1)
  assert.equal(source.packetsBefore, 11)
  assert.equal(source.packets, 3)
  assert.equal(source.cumulativeLost, 0)
})

test('A.8: packets that come as they were sent have no jitter', () => {
  const { source } = heard(run(1, 100))
  assert.equal(source.jitterMs, 0)
})

test('A.8: the jitter goes a sixteenth of the way to each difference', () => {
  const source = new SourceStatistics(1, 1, RATE)
  source.receive(1, 0, 0, RATE, 160)
  source.receive(2, 160, 36, RATE, 160)
  assert.equal(source.jitter, (16 * 8) / 16)
  source.receive(3, 320, 56, RATE, 160)
  assert.equal(source.jitter, 8 - 8 / 16)
  assert.equal(source.jitterMax, 8)
})

test('A.8: an alternating delay of 0 and 10 ms converges on 10 ms', () => {
  const source = new SourceStatistics(1, 1, RATE)
  for (let i = 0; i < 400; i += 1) source.receive(1 + i, i * 160, i * 20 + (i % 2) * 10, RATE, 160)
  assert.ok(Math.abs(source.jitterMs - 10) < 0.01)
})

test('A.8: another time base, repeated timestamps and another clock rate are no jitter', () => {
  const source = new SourceStatistics(1, 1, RATE)
  for (let i = 0; i < 50; i += 1) source.receive(1 + i, i * 160, i * 20, RATE, 160)
  source.receive(51, 4_000_000_000, 1000, RATE, 160)
  for (let i = 0; i < 20; i += 1) source.receive(52 + i, 4_000_000_160, 1020 + i * 20, RATE, 4)
  source.receive(72, (4_000_000_160 + 20 * 160) >>> 0, 1020 + 400, RATE, 160)
  for (let i = 0; i < 5; i += 1) assert.equal(source.receive(73 + i, i * 99, 1430, 0, 4), 'valid')
  source.receive(78, 77, 1440, 48_000, 160)
  source.receive(79, 77 + 960, 1460, 48_000, 160)
  assert.equal(source.jitterMs, 0)
})

test('RFC 3611 §4.1: the pattern of losses settles in order, whatever came late', () => {
  const numbers = run(65_000, 1000).filter((_, i) => i % 50 !== 25)
  for (let i = 10; i + 1 < numbers.length; i += 30) {
    const [a, b] = [numbers[i] as number, numbers[i + 1] as number]
    numbers[i] = b
    numbers[i + 1] = a
  }
  const { source } = heard(numbers)
  assert.equal(source.pattern.packets, 1000 - 128)
  assert.equal(source.pattern.lostPackets, 17)
  assert.equal(source.pattern.burstRatio, 1)
  assert.equal(source.lost, 20)
})

test('whatever comes, counts stay sound', () => {
  const event = fc.tuple(fc.integer({ min: -150, max: 3200 }), fc.nat(2 ** 32 - 1), fc.integer({ min: 0, max: 100 }))
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), fc.nat(65_535), (events, start) => {
      const source = new SourceStatistics(1, start, RATE)
      let sequence = start
      let now = 0
      let told = 0
      for (const [step, timestamp, ms] of events) {
        now += ms
        if (source.receive(sequence, timestamp, now, RATE, 1) !== 'jump') told += 1
        assert.ok(source.lost >= 0 && source.jitter >= 0 && Number.isFinite(source.jitter))
        assert.ok(source.expected <= 0x1_0000_0000 && source.packets + source.packetsBefore <= told + source.restarts)
        const fraction = source.takeFractionLost()
        assert.ok(fraction >= 0 && fraction <= 255)
        sequence = (sequence + (step % 7 === 0 ? step : 1)) & 0xffff
      }
    }),
  )
})
