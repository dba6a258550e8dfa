import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pinnedFlow } from '#call/pinned-flow.ts'
import { FakeClock } from '#sip/_fake-ports.ts'
import { LogFlow, type RequestParts, request, Timeline } from '#sip/_rig.test.ts'

function isPinned(parts: RequestParts, always: boolean, transport: 'udp' | 'tcp' = 'udp'): boolean {
  const flow = new LogFlow(new Timeline(new FakeClock()), transport) // From 192.0.2.9:5060.
  return pinnedFlow(flow, request('INVITE', parts), always) === flow
}

test('a peer is reached at its Contact, unless that is private and the peer is not (RFC 3261 §12.2.1.1, RFC 1918)', () => {
  assert.equal(isPinned({ contact: '<sip:x@192.0.2.9>' }, false), true)
  assert.equal(isPinned({ contact: '<sip:x@192.0.2.9:5099>' }, false), false)
  assert.equal(isPinned({ contact: '<sip:x@192.0.2.50>' }, false), false)
  assert.equal(isPinned({ contact: '<sip:x@other.example.net>' }, false), false)
  for (const host of ['10.1.2.3', '172.16.0.1', '172.31.0.1', '192.168.1.1', '169.254.0.1', '[fd00::1]', '[fe80::1]']) {
    assert.equal(isPinned({ contact: `<sip:x@${host}>` }, false), true, host)
  }
  for (const host of ['172.15.0.1', '172.32.0.1', '11.0.0.1', '[2001:db8::1]']) {
    assert.equal(isPinned({ contact: `<sip:x@${host}>` }, false), false, host)
  }
})

test('a registered telephone is reached over the flow that it came on, whatever its Contact says (RFC 5626 §5.3)', () => {
  for (const contact of ['<sip:x@192.0.2.9:5099>', '<sip:x@192.0.2.50>', '<sip:x@10.0.0.1>']) {
    assert.equal(isPinned({ contact }, true), true, contact)
  }
})

test('a connection is used again for its own address (RFC 5923 §4)', () => {
  assert.equal(isPinned({ contact: '<sip:x@192.0.2.9:5099;transport=tcp>' }, false, 'tcp'), true)
})

test('a peer behind proxies is reached through them (§12.2.1.1)', () => {
  assert.equal(isPinned({ headers: 'Record-Route: <sip:p.example.net;lr>\r\n' }, true), false)
  assert.equal(pinnedFlow(null, request('INVITE'), true), null)
})
