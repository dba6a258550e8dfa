// The first call, as a test.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstCall } from '#examples/first-call/first-call.ts'
import { peer } from '#test/peers.ts'

test('two telephones register, one calls the other, and the call leaves a record', peer('sipp').options, async () => {
  const lines: string[] = []
  const record = await firstCall((text) => lines.push(text))
  assert.equal(record.caller, 'sip:1001@example.net')
  assert.equal(record.callee, 'sip:1002@example.net')
  assert.equal(record.callerNumber, '+12025550101')
  assert.equal(record.sipStatus, 200)
  assert.equal(record.releaseParty, 'caller')
  assert.equal(record.legs.length, 2)
  assert.match(lines.join('\n'), /sip:1001@example\.net .* udp /)
})
