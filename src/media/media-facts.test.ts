// The quality of media from what gateways tell: our own words, rtpengine's, and what is none.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mediaFactsFrom } from '#media/media-facts.ts'
import { sideOfTag } from '#media/ng-words.ts'
import type { NgValue } from '#ng/ng-value.ts'

function party(stream: NgValue): NgValue {
  return { medias: [{ type: 'audio', streams: [stream] }] }
}

test('of several forks the one that was talked with counts', () => {
  const own = (packets: number): NgValue => ({
    'carillon quality': { received: { packets, lost: -1, 'jitter us': -1, 'mos x100': -1, codec: 'PCMA' } },
  })
  const facts = mediaFactsFrom({ tags: { 'callee-1': party(own(3)), 'callee-2': party(own(900)) } }, sideOfTag)
  assert.deepEqual(facts, {
    caller: null,
    callee: { codec: 'PCMA', packets: 900, lost: 0, jitterMs: 0, mos: null },
  })
})

test('rtpengine tells counts by stream and quality by SSRC', () => {
  const reply = {
    tags: { caller: party({ SSRC: 77, stats: { packets: 50 } }) },
    SSRC: { 77: { 'average MOS': { MOS: 43, jitter: 2, 'packet loss': 1 } } },
  }
  assert.deepEqual(mediaFactsFrom(reply, sideOfTag)?.caller, {
    codec: '',
    packets: 50,
    lost: 1,
    jitterMs: 2,
    mos: 4.3,
  })
})

test('whatever else a gateway says is no fact', () => {
  for (const reply of [
    {},
    { tags: 'x' },
    { tags: [] },
    { tags: { caller: [] } },
    { tags: { caller: { medias: 7 } } },
  ]) {
    assert.equal(mediaFactsFrom(reply, sideOfTag), null)
  }
})
