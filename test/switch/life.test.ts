// The life of a switch under load, change and failure: limits, hops and loops, drain, stop, new configurations, failing storage.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cdr } from '#schema/cdr.ts'
import type { SipText } from '#sim/sip-text.ts'
import { configText, type RawAgent, type RawDialog, SwitchRig, snapshotOf } from '#test/switch/rig.ts'

interface Up {
  readonly invite: SipText
  readonly got: SipText
  readonly caller: RawDialog
}

/** A call that is up. */
function connect(rig: SwitchRig, from: RawAgent, to: RawAgent, uri = 'sip:1002@example.net'): Up {
  const invite = from.exchange(from.invite(uri))
  const got = to.last('INVITE')
  to.respond(got, 200, { tag: `t${got.branch}` })
  rig.run()
  const caller = from.callerDialog(invite, from.final(invite))
  from.send(from.within(caller, 'ACK'))
  rig.run()
  return { invite, got, caller }
}

function hangUp(rig: SwitchRig, from: RawAgent, to: RawAgent, up: Up): void {
  assert.equal(from.ask(from.within(up.caller, 'BYE')).status, 200)
  rig.run()
  to.respond(to.last('BYE'), 200)
  rig.run()
}

/** Sends an INVITE with credentials and gives its final response, acknowledged. */
function attempt(rig: SwitchRig, from: RawAgent, uri: string, parts = {}): SipText {
  const invite = from.exchange(from.invite(uri, parts))
  rig.run()
  const final = from.final(invite)
  from.ackFailure(invite, final)
  return final
}

// ── Hops and loops ────────────────────────────────────────────────────────────────────────────────────────────

test('Max-Forwards 0 is refused with 483, 1 goes on as 0, and none at all is taken for 70', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  assert.equal(alice.ask(alice.invite('sip:1002@example.net', { maxForwards: 0 })).status, 483)
  assert.equal(
    alice.ask(alice.request('MESSAGE', 'sip:1002@example.net', { maxForwards: 0, body: 'x', type: 'text/plain' }))
      .status,
    483,
  )
  for (const [given, passed] of [
    [1, '0'],
    [2, '1'],
    [255, '254'],
  ] as const) {
    const invite = alice.exchange(alice.invite('sip:1002@example.net', { maxForwards: given }))
    assert.equal(bob.last('INVITE').get('max-forwards'), passed)
    bob.respond(bob.last('INVITE'), 486)
    rig.run()
    alice.ackFailure(invite, alice.final(invite))
  }
  const message = alice.exchange(
    alice.request('MESSAGE', 'sip:1002@example.net', { maxForwards: 1, body: 'x', type: 'text/plain' }),
  )
  assert.equal(bob.last('MESSAGE').get('max-forwards'), '0')
  bob.respond(bob.last('MESSAGE'), 200)
  rig.run()
  assert.equal(alice.final(message).status, 200)
  const without = alice.invite('sip:1002@example.net').remove('max-forwards')
  const invite = alice.exchange(without)
  assert.equal(bob.last('INVITE').get('max-forwards'), '69')
  bob.respond(bob.last('INVITE'), 486)
  rig.run()
  alice.ackFailure(invite, alice.final(invite))
  rig.settle()
})

/** A carrier's proxy that sends each INVITE back to us, to the URI that `turn` gives. */
function boomerang(rig: SwitchRig, turn: (request: SipText) => string): RawAgent {
  const proxy = rig.agent('198.51.100.20')
  const vias = new Map<string, SipText>()
  proxy.onMessage = (message) => {
    if (message.isRequest && (message.method === 'INVITE' || message.method === 'MESSAGE')) {
      const branch = `z9hG4bK${proxy.mint()}`
      vias.set(branch, message)
      const again = proxy.request(message.method, turn(message), { contact: null, body: '' })
      again.headers.length = 0
      again.headers.push(['via', `SIP/2.0/UDP 198.51.100.20:5060;branch=${branch}`], ...message.headers)
      for (const header of again.headers) {
        if (header[0] === 'max-forwards') header[1] = String(Number(header[1]) - 1)
      }
      again.remove('content-length')
      again.body = message.body
      proxy.send(again)
      return
    }
    const origin = message.isRequest ? undefined : vias.get(message.branch)
    if (origin === undefined || message.status === 100) return
    const back = proxy.respond(origin, message.status, { tag: message.toTag })
    assert.ok(back.status >= 200)
  }
  return proxy
}

test('a request that a proxy sends back to us is a loop the first time: 482 (RFC 5393 §4.2)', () => {
  const rig = new SwitchRig()
  const east = rig.agent('198.51.100.10')
  const proxy = boomerang(rig, () => 'sip:+442012345678@203.0.113.1')
  const from = '<sip:+493012345@carrier.example>;tag=east'
  const invite = east.send(east.invite('sip:+442012345678@203.0.113.1', { from }))
  rig.run(1_000)
  assert.equal(proxy.requests('INVITE').length, 1)
  assert.equal(proxy.inbox.filter(({ status }) => status === 482).length, 1)
  // The loop is no fault of the caller's.
  assert.equal(east.final(invite).status, 500)
  east.ackFailure(invite, east.final(invite))
  const parts = { from, body: 'x', type: 'text/plain' }
  const message = east.send(east.request('MESSAGE', 'sip:+442012345678@203.0.113.1', parts))
  rig.run(1_000)
  assert.equal(proxy.requests('MESSAGE').length, 1)
  assert.equal(east.final(message).status, 500)
  assert.equal(rig.counter('carillon_requests_refused_total{code="SIP_LOOP"}'), 2)
  rig.settle()
})

test('a spiral back to another user is no loop: his telephone rings', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  boomerang(rig, () => 'sip:1002@203.0.113.1')
  rig.switch.replaceSnapshot(
    snapshotOf(configText({ routes: 'routes:\n  - {prefix: "+44", trunkGroups: [west]}' }), 'two'),
  )
  const invite = alice.exchange(alice.invite('sip:+442012345678@203.0.113.1'))
  rig.run(100)
  assert.equal(bob.requests('INVITE').length, 1)
  bob.respond(bob.last('INVITE'), 486)
  rig.run(100)
  assert.equal(alice.final(invite).status, 486)
  alice.ackFailure(invite, alice.final(invite))
  rig.settle()
})

test('the same request over two paths is answered once, the other time with 482 (RFC 3261 §8.2.2.2)', () => {
  const rig = new SwitchRig()
  const carrier = rig.agent('198.51.100.10')
  const bob = rig.phone(2)
  const first = carrier.send(carrier.invite('sip:1002@203.0.113.1'))
  rig.run()
  const second = carrier.invite('sip:1002@203.0.113.1', { callId: first.callId, from: first.get('from') })
  carrier.send(second)
  rig.run()
  assert.equal(carrier.final(second).status, 482)
  carrier.ackFailure(second, carrier.final(second))
  assert.equal(bob.requests('INVITE').length, 1)
  bob.respond(bob.last('INVITE'), 486)
  rig.run()
  carrier.ackFailure(first, carrier.final(first))
  rig.settle()
})

// ── Limits ────────────────────────────────────────────────────────────────────────────────────────────────────

test('limits.callsMax: one more is refused with 503 and Retry-After, and taken when one has ended', () => {
  const rig = new SwitchRig(configText({ limits: 'limits: {callsMax: 1}' }))
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const up = connect(rig, alice, bob)
  const refused = attempt(rig, alice, 'sip:1002@example.net')
  assert.equal(refused.status, 503)
  assert.equal(refused.get('retry-after'), '5')
  assert.equal(rig.counter('carillon_requests_refused_total{code="CALLS_MAX"}'), 1)
  hangUp(rig, alice, bob, up)
  hangUp(rig, alice, bob, connect(rig, alice, bob))
  rig.settle()
})

test('limits.callsPerSecondMax is not used up by strangers, nor twice by the challenge of one call', () => {
  const rig = new SwitchRig(configText({ limits: 'limits: {callsPerSecondMax: 2}' }))
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const stranger = rig.agent('198.51.100.99')
  for (let i = 0; i < 20; i += 1) stranger.send(stranger.invite('sip:1002@example.net'))
  rig.run()
  bob.onMessage = (message) => {
    if (message.method === 'INVITE') bob.respond(message, 486)
  }
  rig.run(1_000)
  const statuses = [1, 2, 3, 4, 5].map(() => attempt(rig, alice, 'sip:1002@example.net').status)
  assert.ok(statuses.filter((status) => status === 486).length >= 2, statuses.join())
  assert.ok(statuses.includes(503), statuses.join())
  rig.run(1_000)
  assert.equal(attempt(rig, alice, 'sip:1002@example.net').status, 486)
  rig.settle()
})

test('every call that ends leaves one line in the log, with who, whom, how long and why', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  hangUp(rig, alice, bob, connect(rig, alice, bob))
  attempt(rig, alice, 'sip:nobody@example.net')
  attempt(rig, alice, 'sip:1003@example.net')
  const lines = rig.node.log?.recent.filter(({ code }) => code === 'CALL_ENDED').map(({ fields }) => fields) ?? []
  assert.deepEqual(
    lines.map(({ caller, callee, status, releaseCode, answered }) =>
      [caller, callee, status, releaseCode, answered].join(' '),
    ),
    [
      'sip:1001@example.net sip:1002@example.net 200 NORMAL true',
      'sip:1001@example.net sip:nobody@example.net 404 ROUTE_NOT_FOUND false',
      'sip:1001@example.net sip:1003@example.net 480 CALLEE_NOT_REGISTERED false',
    ],
  )
  rig.settle()
})

// ── Drain and stop ────────────────────────────────────────────────────────────────────────────────────────────

test('draining: new calls and messages are refused with 503, old ones go on and end, and it is told once, when all is said', () => {
  const rig = new SwitchRig(configText(), { onDrained: (one) => one.stop() })
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const up = connect(rig, alice, bob)
  const ringing = alice.exchange(alice.invite('sip:1002@example.net'))
  const got = bob.last('INVITE')
  rig.switch.drain()
  rig.switch.drain()
  assert.equal(rig.switch.status().draining, true)
  assert.equal(rig.switch.status().ready, false)
  assert.equal(attempt(rig, alice, 'sip:1002@example.net').status, 503)
  const message = alice.request('MESSAGE', 'sip:1002@example.net', { body: 'x', type: 'text/plain' })
  assert.equal(alice.ask(message).status, 503)
  assert.equal(rig.counter('carillon_requests_refused_total{code="NODE_DRAINING"}'), 2)
  assert.equal(alice.register().status, 200)
  const info = alice.send(alice.within(up.caller, 'INFO', { body: 'x', type: 'text/plain' }))
  rig.run()
  bob.respond(bob.last('INFO'), 200)
  rig.run()
  assert.equal(alice.final(info).status, 200)
  // The call that was ringing is an old one too.
  bob.respond(got, 200, { tag: 'late' })
  rig.run()
  const second = alice.callerDialog(ringing, alice.final(ringing))
  alice.send(alice.within(second, 'ACK'))
  rig.run()
  assert.equal(alice.ask(alice.within(second, 'BYE')).status, 200)
  rig.run()
  bob.respond(bob.last('BYE'), 200)
  rig.run(200)
  assert.deepEqual(rig.told, ['ready'])
  alice.send(alice.within(up.caller, 'BYE'))
  rig.run()
  const bye = bob.requests('BYE').at(-1)
  assert.equal(bob.requests('BYE').length, 2, 'the last BYE goes out although the observer stops at once')
  assert.ok(bye !== undefined)
  assert.deepEqual(rig.told, ['ready'])
  bob.respond(bye, 200)
  rig.run(500)
  assert.deepEqual(rig.told, ['ready', 'drained'])
  rig.run(60_000)
  assert.deepEqual(rig.told, ['ready', 'drained'])
})

test('draining without a call is done at once; with a callee that never answers a BYE after half a minute', () => {
  const idle = new SwitchRig()
  idle.switch.drain()
  idle.run(1)
  assert.deepEqual(idle.told, ['ready', 'drained'])
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const up = connect(rig, alice, bob)
  rig.switch.drain()
  assert.equal(alice.ask(alice.within(up.caller, 'BYE')).status, 200)
  rig.run(20_000)
  assert.deepEqual(rig.told, ['ready'])
  rig.run(20_000)
  assert.deepEqual(rig.told, ['ready', 'drained'])
})

test('stopping ends every call: BYE to both sides, 503 to who waits, CANCEL to what rings, a record for each', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  connect(rig, alice, bob)
  const ringing = alice.exchange(alice.invite('sip:1002@example.net'))
  bob.respond(bob.last('INVITE'), 180)
  rig.run()
  rig.switch.stop()
  rig.switch.stop()
  rig.run()
  assert.equal(alice.requests('BYE').length, 1)
  assert.equal(bob.requests('BYE').length, 1)
  assert.equal(bob.requests('CANCEL').length, 1)
  assert.equal(alice.final(ringing).status, 503)
  rig.run(1_000)
  assert.deepEqual(
    rig.records().map(({ type, releaseCode }) => `${type} ${releaseCode}`),
    ['START null', 'STOP NODE_STOPPED', 'ATTEMPT NODE_STOPPED'],
  )
  assert.equal(rig.node.openSockets, 0)
  rig.run(600_000)
  assert.deepEqual(rig.told, ['ready'])
})

test('a switch that cannot listen says why, and holds nothing', () => {
  const sip = 'sip: {listen: ["udp:192.0.2.250:5060"]}'
  const rig = new SwitchRig(configText({ sip }))
  assert.deepEqual(rig.told, ['fatal cannot listen: udp 192.0.2.250:5060 EADDRNOTAVAIL'])
  assert.equal(rig.switch.status().ready, false)
  assert.equal(rig.node.openSockets, 0)
})

// ── Configurations ────────────────────────────────────────────────────────────────────────────────────────────

test('a new configuration is for new calls: those that are up keep their facts, and their trunk group its count', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const east = rig.agent('198.51.100.10')
  const invite = east.send(east.invite('sip:1002@203.0.113.1'))
  rig.run()
  bob.respond(bob.last('INVITE'), 180)
  rig.run()
  assert.equal(rig.switch.audit().trunkChannels, 1)
  const trunkGroups = 'trunkGroups:\n  - {name: west, peers: ["198.51.100.20:5060"]}'
  const routes = 'routes:\n  - {prefix: "+44", trunkGroups: [west]}'
  const sip = 'sip: {listen: ["udp:203.0.113.1:5060", "tcp:203.0.113.1:5060"], userAgent: "Next"}'
  const subscribers = 'subscribers:\n  - {user: "1001", password: "secret1"}'
  rig.switch.replaceSnapshot(snapshotOf(configText({ trunkGroups, routes, sip, subscribers }), 'next'))
  assert.equal(rig.switch.status().configVersion, 'next')
  bob.respond(bob.last('INVITE'), 200)
  rig.run()
  const dialog = east.callerDialog(invite, east.final(invite))
  east.send(east.within(dialog, 'ACK'))
  rig.run()
  assert.equal(rig.switch.audit().trunkChannels, 1)
  // East is nobody any more, but its call is; new ones are challenged.
  assert.equal(attempt(rig, east, 'sip:1001@203.0.113.1').status, 407)
  // Bob's subscription is gone.
  assert.equal(attempt(rig, alice, 'sip:1002@example.net').status, 404)
  const west = rig.agent('198.51.100.20')
  west.onMessage = (message) => {
    if (message.method === 'INVITE') west.respond(message, 486)
  }
  assert.equal(attempt(rig, alice, 'sip:+442012345678@example.net').status, 486)
  assert.equal(west.last('INVITE').get('user-agent'), 'Next')
  assert.equal(east.ask(east.within(dialog, 'BYE')).status, 200)
  rig.run()
  bob.respond(bob.last('BYE'), 200)
  rig.run()
  assert.equal(rig.switch.audit().trunkChannels, 0)
  const versions = rig
    .records()
    .map(({ type, configVersion, ingressTrunkGroup }) => `${type} ${configVersion} ${ingressTrunkGroup}`)
  assert.deepEqual(versions, ['START test east', 'ATTEMPT next null', 'ATTEMPT next null', 'STOP test east'])
  rig.settle()
})

// ── Storage ───────────────────────────────────────────────────────────────────────────────────────────────────

test('when too many records wait for a failing storage new calls are refused, old ones go on, and none is lost', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  assert.equal(attempt(rig, alice, 'sip:nobody@example.net').status, 404)
  const up = connect(rig, alice, bob)
  rig.run(1_000)
  const { sequence: _sequence, nodeId: _nodeId, ...facts } = rig.records()[0] as unknown as Cdr
  rig.node.disk.failing = 'ENOSPC'
  // As the calls of some minutes would.
  for (let i = 0; i < 20_000; i += 1) rig.switch.writeRecord(facts)
  const refused = attempt(rig, alice, 'sip:1002@example.net')
  assert.equal(refused.status, 503)
  assert.notEqual(refused.get('retry-after'), '')
  assert.equal(rig.counter('carillon_requests_refused_total{code="CDR_STORE_FAILING"}'), 1)
  assert.equal(alice.register().status, 200)
  hangUp(rig, alice, bob, up)
  rig.node.disk.failing = null
  rig.run(60_000)
  const count = (wanted: string): number => rig.records().filter(({ type }) => type === wanted).length
  assert.deepEqual([count('START'), count('STOP'), count('ATTEMPT')], [1, 1, 20_001])
  hangUp(rig, alice, bob, connect(rig, alice, bob))
  rig.settle()
})

test('limits.transactionsMax: requests beyond are answered with 503 and leave nothing behind', () => {
  const rig = new SwitchRig(configText({ limits: 'limits: {transactionsMax: 100}' }))
  const stranger = rig.agent('198.51.100.99')
  const requests = Array.from({ length: 130 }, () => stranger.send(stranger.request('OPTIONS', 'sip:example.net')))
  rig.run()
  const statuses = requests.map((request) => stranger.final(request).status)
  assert.equal(statuses.filter((status) => status === 200).length, 100)
  assert.equal(statuses.filter((status) => status === 503).length, 30)
  assert.equal(rig.switch.audit().serverTransactions, 100)
  rig.settle()
  assert.equal(stranger.ask(stranger.request('OPTIONS', 'sip:example.net')).status, 200)
})
