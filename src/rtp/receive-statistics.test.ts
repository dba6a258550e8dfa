// The sources of a stream against RFC 3550 §6.2.1 and §8.2.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReceiveStatistics, SOURCES_MAX } from '#rtp/receive-statistics.ts'
import { writeRtpHeader } from '#rtp/rtp-packet.ts'

const bytes = new Uint8Array(172)

function receive(statistics: ReceiveStatistics, ssrc: number, sequence: number, nowMs: number): string {
  writeRtpHeader(bytes, 0, false, sequence, sequence * 160, ssrc)
  return statistics.receive(bytes, nowMs, 8000, 160)
}

function currentOf(statistics: ReceiveStatistics): number {
  return statistics.current?.ssrc ?? -1
}

test('§8.2: the source that speaks is the last one that is valid, and changes are counted', () => {
  const statistics = new ReceiveStatistics()
  receive(statistics, 1, 1, 0)
  assert.equal(currentOf(statistics), -1)
  receive(statistics, 1, 2, 20)
  assert.equal(currentOf(statistics), 1)
  receive(statistics, 2, 50, 40)
  assert.equal(currentOf(statistics), 1, 'one packet makes no source')
  receive(statistics, 2, 51, 60)
  assert.equal(currentOf(statistics), 2)
  assert.equal(statistics.sourceChanges, 1)
  assert.equal(statistics.packets, 4)
})

test('§8.2: a packet with our own SSRC is a collision or a loop, and no source', () => {
  const statistics = new ReceiveStatistics()
  statistics.ownSsrc = 9
  assert.equal(receive(statistics, 9, 1, 0), 'collision')
  assert.equal(statistics.collisions, 1)
  assert.equal(statistics.sources.length, 0)
})

test('sources are bounded: who was never valid goes first, who speaks stays, and totals are kept', () => {
  const statistics = new ReceiveStatistics()
  for (let i = 0; i < 10; i += 1) receive(statistics, 1, i, i)
  for (let ssrc = 100; ssrc < 400; ssrc += 1) receive(statistics, ssrc, 7, ssrc)
  assert.equal(statistics.sources.length, SOURCES_MAX)
  assert.equal(currentOf(statistics), 1)
  receive(statistics, 1, 12, 500)
  assert.equal(statistics.packets, 11)
  assert.equal(statistics.lost, 2)
  statistics.remove(1)
  assert.equal(currentOf(statistics), -1)
  assert.equal(statistics.packets, 11)
  assert.equal(statistics.lost, 2)
})
