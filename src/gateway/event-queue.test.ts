// Notices: numbered, bounded, and fetched as often as anybody likes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlRig } from '#gateway/_control-rig.test.ts'
import { EVENTS_MAX, type EventBatch } from '#gateway/event-queue.ts'

test('What was fetched once can be fetched again, and what nobody fetched in time is counted as lost', () => {
  const { events } = controlRig().gateway
  for (let i = 0; i < EVENTS_MAX + 10; i++) events.push('dtmf', `c${i}`, 'a')
  const batches: EventBatch[] = []
  events.fetch(0, 0, (batch) => batches.push(batch))
  events.fetch(0, 0, (batch) => batches.push(batch))
  assert.deepEqual(batches[0], batches[1])
  assert.equal(batches[0]?.lost, 10)
  assert.equal(batches[0]?.events[0]?.callId, 'c10')
})

test('A wait ends with nothing after its time, and holds no timer then', () => {
  const rig = controlRig()
  const batches: EventBatch[] = []
  rig.gateway.events.fetch(0, 1_000, (batch) => batches.push(batch))
  rig.clock.pass(1_000)
  assert.deepEqual(batches, [{ events: [], last: 0, lost: 0 }])
  assert.equal(rig.clock.armed.size, 0)
})
