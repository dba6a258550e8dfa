// Playout against what G.1020 asks of an adaptive buffer: order, loss, late and early discards, delay, drift.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FRAMES_MAX, JitterBuffer } from '#rtp/jitter-buffer.ts'

const SETTINGS = { minMs: 20, maxMs: 200, initialMs: 40 }

interface Packet {
  readonly index: number
  readonly arrivalMs: number
  readonly sequence?: number
  readonly timestamp?: number
  readonly ssrc?: number
  readonly noise?: boolean
  readonly other?: boolean
}

/** Packets of 20 ms, numbered in their payload, played by ticks of 20 ms; the log has numbers, and L or S. */
function played(
  packets: readonly Packet[],
  endMs: number,
  buffer = new JitterBuffer(SETTINGS, 8000),
  offsetMs = 7,
): (number | string)[] {
  const queue = [...packets].sort((a, b) => a.arrivalMs - b.arrivalMs)
  const log: (number | string)[] = []
  for (let now = offsetMs; now < endMs; now += 20) {
    while (queue.length > 0 && (queue[0] as Packet).arrivalMs <= now) {
      const packet = queue.shift() as Packet
      const sequence = (packet.sequence ?? 65_500 + packet.index) & 0xffff
      const timestamp = (packet.timestamp ?? 2 ** 32 - 4000 + packet.index * 160) >>> 0
      const octets = Uint8Array.of(0, packet.index >> 8, packet.index & 255)
      if (packet.other === true) buffer.putOther(1, sequence)
      else {
        const ssrc = packet.ssrc ?? 1
        buffer.put(octets, 1, 3, ssrc, sequence, timestamp, 0, false, packet.noise ?? false, packet.arrivalMs)
      }
    }
    const playout = buffer.take(160, now)
    if (playout === 'frame') log.push(((buffer.payload[0] as number) << 8) | (buffer.payload[1] as number))
    else log.push(playout === 'lost' ? 'L' : 'S')
  }
  return log
}

function steady(count: number, delayMs: (i: number) => number = () => 0): Packet[] {
  return Array.from({ length: count }, (_, index) => ({ index, arrivalMs: index * 20 + delayMs(index) }))
}

function trimmed(log: readonly (number | string)[]): (number | string)[] {
  return log.slice(
    log.findIndex((entry) => typeof entry === 'number'),
    log.findLastIndex((e) => typeof e === 'number') + 1,
  )
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

test('what comes evenly is played evenly, across the wrap of sequence and timestamp', () => {
  const buffer = new JitterBuffer(SETTINGS, 8000)
  const log = played(steady(200), 4000, buffer)
  assert.deepEqual(trimmed(log), numbers(0, 198))
  assert.equal(log.indexOf(0), 2, 'the initial delay')
  assert.deepEqual([buffer.lost, buffer.lateDiscards, buffer.duplicates], [0, 0, 0])
})

test('packets that overtook each other are played in order', () => {
  const packets = steady(100, (i) => (i % 10 === 3 ? 25 : 0))
  assert.deepEqual(trimmed(played(packets, 1900)), numbers(0, trimmed(played(packets, 1900)).length))
})

test('a lost packet is one tick to conceal', () => {
  const buffer = new JitterBuffer(SETTINGS, 8000)
  const log = trimmed(
    played(
      steady(100).filter((p) => p.index !== 50),
      2000,
      buffer,
    ),
  )
  assert.equal(log[50], 'L')
  assert.equal(log[51], 51)
  assert.equal(buffer.lost, 1)
})

test('a duplicate is played once, and counted', () => {
  const buffer = new JitterBuffer(SETTINGS, 8000)
  const packets = steady(50).flatMap((p) => [p, { ...p, arrivalMs: p.arrivalMs + 1 }])
  const log = trimmed(played(packets, 900, buffer))
  assert.deepEqual(log, numbers(0, log.length))
  assert.ok(buffer.duplicates >= 45)
})

test('a packet after its time is discarded as late', () => {
  const buffer = new JitterBuffer(SETTINGS, 8000)
  const log = trimmed(
    played(
      steady(100, (i) => (i === 50 ? 150 : 0)),
      1900,
      buffer,
    ),
  )
  assert.equal(log[50], 'L')
  assert.ok(!log.includes(50))
  assert.equal(buffer.lateDiscards, 1)
})

test('the delay follows the jitter up and down, within its bounds', () => {
  const buffer = new JitterBuffer(SETTINGS, 8000)
  const jitter = (i: number): number => (i > 200 && i < 700 ? (i * 37) % 90 : 0)
  const packets = steady(1500, jitter)
  played(packets.slice(0, 200), 4000, buffer)
  assert.ok(buffer.targetMs <= 30, `${buffer.targetMs}`)
  played(packets.slice(200, 700), 14_000, buffer, 4007)
  assert.ok(buffer.targetMs >= 80 && buffer.targetMs <= 120, `${buffer.targetMs}`)
  const lateBefore = buffer.lateDiscards
  played(packets.slice(700), 30_000, buffer, 14_007)
  assert.ok(buffer.targetMs <= 30, `${buffer.targetMs}`)
  assert.ok(buffer.dropped > 0)
  assert.equal(buffer.lateDiscards, lateBefore)
})

test('with jitter up to 60 ms, less than 2 in 100 are discarded or lost once the buffer has adapted', () => {
  const buffer = new JitterBuffer(SETTINGS, 8000)
  const packets = steady(2000, (i) => (i * 7919) % 61)
  played(packets, 40_000, buffer)
  assert.ok(buffer.lateDiscards + buffer.lost < 40, `${buffer.lateDiscards} ${buffer.lost}`)
})

test('a clock that is 0.05 % fast or slow is followed: the delay stays, nothing piles up', () => {
  for (const drift of [1.0005, 0.9995]) {
    const buffer = new JitterBuffer(SETTINGS, 8000)
    const count = 15_000
    const packets = Array.from({ length: count }, (_, index) => ({ index, arrivalMs: index * 20 * drift }))
    played(packets, Math.min(count * 20 * drift, count * 20), buffer)
    const delay = buffer.delayMs(Math.min(count * 20 * drift, count * 20))
    assert.ok(delay > -10 && delay < 90, `${drift}: ${delay}`)
    assert.ok(buffer.held < 6)
    assert.ok(buffer.lateDiscards + buffer.lost < 30, `${buffer.lateDiscards} ${buffer.lost}`)
    assert.ok(buffer.played > count - 60)
  }
})

test('RFC 3389: after comfort noise an empty buffer is silence, and speech begins again with its delay', () => {
  const talk = steady(30)
  const noise: Packet = { index: 30, arrivalMs: 600, noise: true }
  const again = numbers(100, 130).map((index) => ({ index, sequence: 65_500 + index - 69, arrivalMs: index * 20 }))
  const log = trimmed(played([...talk, noise, ...again], 2600))
  assert.ok(!log.includes('L'), `${log}`)
  assert.deepEqual(
    log.filter((e) => e !== 'S'),
    [...numbers(0, 31), ...numbers(100, log.length > 0 ? 100 + log.filter((e) => e !== 'S').length - 31 : 0)],
  )
})

test('a gap of the timestamp without a gap of the sequence is silence, not loss', () => {
  const packets = [
    ...steady(30),
    ...numbers(80, 110).map((index) => ({ index, sequence: 65_500 + index - 50, arrivalMs: index * 20 })),
  ]
  const buffer = new JitterBuffer(SETTINGS, 8000)
  played(packets, 2400, buffer)
  assert.equal(buffer.lost, 0)
  assert.equal(buffer.played, 60)
})

test('the numbers of telephone-events are not lost', () => {
  const packets: Packet[] = steady(90).map((p) => (p.index >= 30 && p.index < 40 ? { ...p, other: true } : p))
  const buffer = new JitterBuffer(SETTINGS, 8000)
  played(packets, 1900, buffer)
  assert.equal(buffer.lost, 0)
  assert.equal(buffer.played, 80)
})

test('a pause of the network costs delay, not speech, as long as the bounds allow', () => {
  const buffer = new JitterBuffer(SETTINGS, 8000)
  const packets = steady(300, (i) => (i >= 100 && i < 105 ? 100 - (i - 100) * 20 : 0))
  const log = trimmed(played(packets, 6200, buffer))
  const heard = log.filter((entry) => typeof entry === 'number')
  assert.deepEqual(heard.slice(0, 106), numbers(0, 106))
  // Afterwards the delay is taken back, a frame at a time.
  assert.equal(heard.length, (heard.at(-1) as number) + 1 - buffer.dropped)
  assert.ok(buffer.dropped <= 6)
})

test('another SSRC, or another time base, is played after the delay of a beginning', () => {
  for (const change of [{ ssrc: 2 }, { timestampBase: 1_000_000_000 }, { sequenceBase: 20_000 }] as {
    ssrc?: number
    timestampBase?: number
    sequenceBase?: number
  }[]) {
    const buffer = new JitterBuffer(SETTINGS, 8000)
    const packets = steady(100).map((p) =>
      p.index < 50
        ? p
        : {
            ...p,
            ssrc: change.ssrc ?? 1,
            timestamp: (change.timestampBase ?? 2 ** 32 - 4000) + p.index * 160,
            sequence: (change.sequenceBase ?? 65_500) + p.index,
          },
    )
    const log = played(packets, 1960, buffer)
    assert.equal(buffer.resyncs, 1, JSON.stringify(change))
    assert.ok(buffer.played >= 92, JSON.stringify([change, log]))
  }
})

test('nothing but silence comes of an empty buffer, and of one that has run dry for long', () => {
  assert.deepEqual(played([], 60), ['S', 'S', 'S'])
  const log = played(steady(10), 2000)
  assert.deepEqual(log.slice(-5), ['S', 'S', 'S', 'S', 'S'])
  assert.ok(log.filter((entry) => entry === 'L').length <= 10)
})

test('memory is bounded, whatever comes', () => {
  const packet = fc.tuple(
    fc.integer({ min: -200, max: 2000 }),
    fc.nat(2 ** 32 - 1),
    fc.boolean(),
    fc.nat(1),
    fc.integer({ min: 0, max: 200 }),
    fc.nat(2100),
  )
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 300 }), (packets) => {
      const buffer = new JitterBuffer(SETTINGS, 8000)
      const octets = new Uint8Array(2200)
      let now = 0
      let sequence = 65_000
      let timestamp = 0
      for (const [step, jump, isWild, ssrc, ms, length] of packets) {
        now += ms
        sequence = (sequence + (isWild ? step : 1)) & 0xffff
        timestamp = isWild ? jump : (timestamp + 160) >>> 0
        if (step % 11 === 0) buffer.putOther(ssrc, sequence)
        else buffer.put(octets, 0, length, ssrc, sequence, timestamp, 0, false, step % 5 === 0, now)
        if (step % 3 !== 0) buffer.take(160, now)
        assert.ok(buffer.held >= 0 && buffer.held <= FRAMES_MAX)
        assert.ok(buffer.targetMs >= SETTINGS.minMs && buffer.targetMs <= SETTINGS.maxMs)
      }
    }),
    { numRuns: 300 },
  )
})
