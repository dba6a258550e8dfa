// Calls that were up when the process died go on in the next one (DESIGN §2, §4.3).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SipText } from '#sim/sip-text.ts'
import { type RawAgent, type RawDialog, SDP, SwitchRig } from '#test/switch/rig.ts'

interface Up {
  readonly caller: RawDialog
  readonly callee: RawDialog
}

/** A call that is up and at rest. */
function connect(rig: SwitchRig, from: RawAgent, to: RawAgent, uri: string): Up {
  const invite = from.exchange(from.invite(uri))
  const got: SipText = to.last('INVITE')
  to.respond(got, 200, { tag: `t${got.branch}`, body: SDP })
  rig.run()
  const caller = from.callerDialog(invite, from.final(invite))
  from.send(from.within(caller, 'ACK'))
  rig.run(100)
  return { caller, callee: to.calleeDialog(got, `t${got.branch}`) }
}

/** The process dies and another one starts on its data. */
function restart(rig: SwitchRig): void {
  rig.node.crash(false)
  rig.run(1_000)
  rig.node.start()
  rig.run(100)
}

test('the caller hangs up after a restart: the callee is hung up on, and one STOP has the whole duration', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const up = connect(rig, alice, bob, 'sip:1002@example.net')
  rig.run(5_000)
  restart(rig)
  assert.equal(rig.switch.audit().calls, 1)
  assert.equal(alice.ask(alice.within(up.caller, 'BYE')).status, 200)
  rig.run()
  bob.respond(bob.last('BYE'), 200)
  rig.settle()
  const kinds = rig.records().map(({ type }) => type)
  assert.deepEqual(kinds, ['START', 'STOP'])
  const stop = rig.records().at(-1)
  assert.equal(stop?.['releaseParty'], 'caller')
  const durationMs = Number(stop?.['durationMs'])
  assert.ok(durationMs >= 6_000 && durationMs <= 6_300, `${durationMs} ms`)
})

test('the callee hangs up after a restart', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const up = connect(rig, alice, bob, 'sip:1002@example.net')
  restart(rig)
  assert.equal(bob.ask(bob.within(up.callee, 'BYE')).status, 200)
  rig.run()
  alice.respond(alice.last('BYE'), 200)
  rig.settle()
  assert.equal(rig.records().at(-1)?.['releaseParty'], 'callee')
})

test('a re-INVITE passes after a restart, with a CSeq above all that were used', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const up = connect(rig, alice, bob, 'sip:1002@example.net')
  const before = bob.last('INVITE').sequence
  restart(rig)
  const again = alice.send(
    alice.within(up.caller, 'INVITE', { contact: alice.contact, body: SDP.replace('4000', '4002') }),
  )
  rig.run()
  const passed = bob.last('INVITE')
  assert.ok(passed.sequence > before)
  assert.match(passed.body, /m=audio 4002/)
  bob.respond(passed, 200, { tag: '', body: SDP })
  rig.run()
  assert.equal(alice.final(again).status, 200)
  alice.send(alice.within(up.caller, 'ACK', { sequence: again.sequence }))
  assert.equal(alice.ask(alice.within(up.caller, 'BYE')).status, 200)
  rig.run()
  bob.respond(bob.last('BYE'), 200)
  rig.settle()
})

test('the channels of trunk groups are held over a restart, and given back once', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const carrier = rig.agent('198.51.100.20')
  const up = connect(rig, alice, carrier, 'sip:+19005550100@example.net')
  restart(rig)
  assert.equal(rig.switch.audit().trunkChannels, 1)
  assert.equal(alice.ask(alice.within(up.caller, 'BYE')).status, 200)
  rig.run()
  carrier.respond(carrier.last('BYE'), 200)
  rig.settle()
  assert.equal(rig.switch.audit().trunkChannels, 0)
})

test('a call whose end was missed while the process was dead ends with the first refresh, as long as it was seen alive', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  connect(rig, alice, bob, 'sip:1002@example.net')
  restart(rig)
  // Neither telephone knows the call any more: each says so when it is asked.
  for (const phone of [alice, bob]) {
    phone.onMessage = (message) => {
      if (message.isRequest && message.method !== 'ACK') phone.respond(message, 481)
    }
  }
  rig.run(1_800_000)
  rig.settle()
  const stop = rig.records().at(-1)
  assert.equal(stop?.['type'], 'STOP')
  assert.equal(stop?.['releaseCode'], 'NODE_RESTART')
  assert.equal(stop?.['durationMs'], 0)
})

test('a call that was not at rest is closed by the record of the restart', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  bob.respond(bob.last('INVITE'), 200, { tag: 'b', body: SDP })
  rig.run()
  assert.equal(alice.final(invite).status, 200)
  restart(rig)
  assert.equal(rig.switch.audit().calls, 0)
  assert.equal(rig.records().at(-1)?.['releaseCode'], 'NODE_RESTART')
})
