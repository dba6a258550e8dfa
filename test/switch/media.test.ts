// Calls through media gateways: offers and answers by ng, forks, delayed offers, failures, gateways that die, service numbers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SipText } from '#sim/sip-text.ts'
import { SimGateway } from '#test/switch/gateway.ts'
import { configText, type RawAgent, type RawDialog, SDP, SwitchRig, snapshotOf } from '#test/switch/rig.ts'

const ONE = '203.0.113.9'
const TWO = '203.0.113.10'
const SDP_B = SDP.replace('192.0.2.77', '192.0.2.78').replace('4000', '5000')
const SDP_C = SDP.replace('192.0.2.77', '192.0.2.79').replace('4000', '6000')

interface World {
  readonly rig: SwitchRig
  readonly gateways: readonly SimGateway[]
  readonly gateway: SimGateway
  readonly alice: RawAgent
  readonly bob: RawAgent
}

/** A switch with gateways that have answered their first ping, and two telephones. */
function world(media = `gateways: ["udp:${ONE}:2223"]`, hosts = [ONE]): World {
  const rig = new SwitchRig(configText({ media: `media: {${media}}` }))
  const gateways = hosts.map((host) => new SimGateway(rig, host))
  rig.run(10_000)
  const [gateway] = gateways
  assert.ok(gateway !== undefined)
  return { rig, gateways, gateway, alice: rig.phone(1), bob: rig.phone(2) }
}

interface Up {
  readonly caller: RawDialog
  readonly callee: RawDialog
  readonly got: SipText
  readonly okay: SipText
}

function connect({ rig, alice, bob }: World): Up {
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  rig.run()
  const got = bob.last('INVITE')
  bob.respond(got, 200, { body: SDP_B })
  rig.run()
  const okay = alice.final(invite)
  assert.equal(okay.status, 200)
  const caller = alice.callerDialog(invite, okay)
  alice.send(alice.within(caller, 'ACK'))
  rig.run()
  return { caller, callee: bob.calleeDialog(got), got, okay }
}

function hangUp({ rig, alice, bob }: World, { caller }: Up): void {
  assert.equal(alice.ask(alice.within(caller, 'BYE')).status, 200)
  rig.run()
  bob.respond(bob.last('BYE'), 200)
  rig.run(3_000)
}

/** Everything has run out: nothing is held, by the switch or by the gateways. */
function settle({ rig, gateways }: World): void {
  rig.settle()
  assert.deepEqual(
    gateways.filter(({ mood }) => mood !== 'silent').map(({ calls }) => calls),
    gateways.filter(({ mood }) => mood !== 'silent').map(() => 0),
  )
}

function lastRecord(rig: SwitchRig): Record<string, unknown> {
  const record = rig.records().at(-1)
  assert.ok(record !== undefined)
  return record
}

function words(gateway: SimGateway): string[] {
  return gateway.commands.map(({ command, 'from-tag': from, 'to-tag': to }) =>
    [command, from, to].filter((part) => part !== undefined).join(' '),
  )
}

// ── Calls ─────────────────────────────────────────────────────────────────────────────────────────────────────

test('a call is anchored: each side is told the gateway, and its end deletes what the gateway has', () => {
  const all = world()
  const { rig, gateway } = all
  gateway.lastFacts = {
    tags: {
      caller: {
        medias: [
          {
            type: 'audio',
            streams: [
              {
                'carillon quality': {
                  received: { packets: 500, lost: 5, 'jitter us': 1_500, 'mos x100': 431, codec: 'PCMU' },
                },
              },
            ],
          },
        ],
      },
    },
  }
  const up = connect(all)
  assert.match(up.got.body, new RegExp(`c=IN IP4 ${ONE}`))
  assert.match(up.okay.body, new RegExp(`c=IN IP4 ${ONE}`))
  assert.deepEqual(words(gateway), ['offer caller', 'answer caller callee-1'])
  const [offer] = gateway.commands
  assert.deepEqual(offer?.['received-from'], ['IP4', '192.0.2.1'])
  assert.deepEqual(offer?.['replace'], ['origin', 'session-connection', 'sdp-version'])
  assert.equal(offer?.['ICE'], 'remove')
  assert.equal(gateway.calls, 1)
  hangUp(all, up)
  assert.equal(gateway.calls, 0)
  assert.deepEqual(lastRecord(rig)['media'], {
    caller: { codec: 'PCMU', packets: 500, lost: 5, jitterMs: 1.5, mos: 4.31 },
    callee: null,
  })
  assert.equal(lastRecord(rig)['releaseCode'], 'NORMAL')
  settle(all)
})

test('re-INVITE from either side and UPDATE go through the gateway with both tags (RFC 3264 §8)', () => {
  const all = world()
  const { rig, gateway, alice, bob } = all
  const up = connect(all)
  gateway.commands.length = 0
  alice.send(alice.within(up.caller, 'INVITE', { body: SDP_C, contact: alice.contact }))
  rig.run()
  assert.match(bob.last('INVITE').body, new RegExp(`c=IN IP4 ${ONE}`))
  bob.respond(bob.last('INVITE'), 200, { body: SDP_B })
  rig.run()
  alice.send(alice.within(up.caller, 'ACK'))
  const again = bob.send(bob.within(up.callee, 'INVITE', { body: `${SDP_B}a=sendonly\r\n`, contact: bob.contact }))
  rig.run()
  alice.respond(alice.last('INVITE'), 200, { body: `${SDP_C}a=recvonly\r\n` })
  rig.run()
  assert.equal(bob.final(again).status, 200)
  bob.send(bob.within(up.callee, 'ACK'))
  rig.run()
  assert.deepEqual(words(gateway), [
    'offer caller callee-1',
    'answer caller callee-1',
    'offer callee-1 caller',
    'answer callee-1 caller',
  ])
  hangUp(all, up)
  settle(all)
})

test('each answer of a forked call has its own tag, and what counts at the end is the answer of who took the call', () => {
  const all = world()
  const { rig, gateway, alice, bob } = all
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  const got = bob.last('INVITE')
  bob.respond(got, 183, { tag: 'fork1', body: SDP_B })
  rig.run()
  bob.respond(got, 183, { tag: 'fork2', body: SDP_C })
  rig.run()
  bob.respond(got, 200, { tag: 'fork1', body: SDP_B })
  rig.run()
  const okay = alice.final(invite)
  const caller = alice.callerDialog(invite, okay)
  alice.send(alice.within(caller, 'ACK'))
  rig.run()
  const answers = gateway.named('answer')
  assert.deepEqual(new Set(answers.map((answer) => answer['to-tag'])), new Set(['callee-1', 'callee-2']))
  assert.equal(answers.at(-1)?.['to-tag'], 'callee-1')
  assert.equal(answers.at(-1)?.['sdp'], SDP_B)
  hangUp(all, { caller, callee: bob.calleeDialog(got, 'fork1'), got, okay })
  settle(all)
})

test('a delayed offer is the callee’s, and the answer comes with the ACK (RFC 3261 §13.2.1)', () => {
  const all = world()
  const { rig, gateway, alice, bob } = all
  const request = alice.invite('sip:1002@example.net').remove('content-type')
  request.body = ''
  const invite = alice.exchange(request)
  const got = bob.last('INVITE')
  assert.equal(got.body, '')
  bob.respond(got, 200, { body: SDP_B })
  rig.run()
  const okay = alice.final(invite)
  assert.match(okay.body, new RegExp(`c=IN IP4 ${ONE}`))
  const caller = alice.callerDialog(invite, okay)
  alice.send(alice.within(caller, 'ACK', { body: SDP_C }))
  rig.run()
  assert.match(bob.last('ACK').body, new RegExp(`c=IN IP4 ${ONE}`))
  assert.deepEqual(words(gateway), ['offer callee-1', 'answer callee-1 caller'])
  hangUp(all, { caller, callee: bob.calleeDialog(got), got, okay })
  settle(all)
})

// ── Failures ──────────────────────────────────────────────────────────────────────────────────────────────────

test('without a gateway a call is refused with 503 and a code, and an alarm says so', () => {
  const all = world()
  const { rig, gateway, alice } = all
  gateway.mood = 'silent'
  rig.run(20_000)
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  assert.equal(alice.final(invite).status, 503)
  alice.ackFailure(invite, alice.final(invite))
  assert.equal(lastRecord(rig)['releaseCode'], 'MEDIA_NO_GATEWAY')
  assert.equal(lastRecord(rig)['q850Cause'], 47)
  assert.ok((rig.node.log?.counts.get('MEDIA_NO_GATEWAY') ?? 0) > 0)
  settle(all)
})

test('where it is configured, a call without a gateway goes end to end', () => {
  const all = world(`withoutGateway: endToEnd, gateways: ["udp:${ONE}:2223"]`)
  all.gateway.mood = 'silent'
  all.rig.run(20_000)
  const up = connect(all)
  assert.equal(up.got.body, SDP)
  assert.equal(up.okay.body, SDP_B)
  hangUp(all, up)
  settle(all)
})

test('a gateway that refuses the offer fails the call with 503; one that is full leaves it to another', () => {
  const refused = world()
  refused.gateway.mood = 'error'
  const { rig, alice } = refused
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  assert.equal(alice.final(invite).status, 503)
  alice.ackFailure(invite, alice.final(invite))
  assert.equal(lastRecord(rig)['releaseCode'], 'MEDIA_GATEWAY_REFUSED')
  settle(refused)

  const all = world(`gateways: ["udp:${ONE}:2223;weight=1000", "udp:${TWO}:2223"]`, [ONE, TWO])
  all.gateway.mood = 'load limit'
  const up = connect(all)
  assert.deepEqual(
    all.gateways.map(({ calls }) => calls),
    [0, 1],
  )
  assert.match(up.got.body, new RegExp(`c=IN IP4 ${TWO}`))
  hangUp(all, up)
  settle(all)
})

test('an answer that the gateway refuses ends the call: 503 to the caller, ACK and BYE to the callee', () => {
  const all = world()
  const { rig, gateway, alice, bob } = all
  gateway.mood = 'error'
  gateway.moodFor = ({ command }) => command === 'answer'
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  bob.respond(bob.last('INVITE'), 200, { body: SDP_B })
  rig.run()
  assert.equal(alice.final(invite).status, 503)
  alice.ackFailure(invite, alice.final(invite))
  assert.equal(bob.requests('ACK').length, 1)
  bob.respond(bob.last('BYE'), 200)
  rig.run(3_000)
  assert.equal(lastRecord(rig)['releaseCode'], 'MEDIA_GATEWAY_REFUSED')
  settle(all)
})

test('a re-INVITE that the gateway refuses is answered 488, and the call goes on (RFC 3261 §14.1)', () => {
  const all = world()
  const { rig, gateway, alice, bob } = all
  const up = connect(all)
  gateway.mood = 'error'
  gateway.moodFor = ({ command }) => command === 'offer'
  const again = alice.send(alice.within(up.caller, 'INVITE', { body: SDP_C, contact: alice.contact }))
  rig.run()
  const final = alice.final(again)
  assert.equal(final.status, 488)
  alice.ackFailure(again, final)
  assert.equal(bob.requests('INVITE').length, 1)
  assert.equal(rig.switch.status().calls, 1)
  gateway.mood = 'ok'
  hangUp(all, up)
  settle(all)
})

test('a call given up while the gateway is silent leaves nothing behind', () => {
  const all = world()
  const { rig, gateway, alice } = all
  gateway.mood = 'silent'
  const invite = alice.exchange(alice.invite('sip:1002@example.net'))
  const cancel = alice.request('CANCEL', invite.uri, {
    callId: invite.callId,
    sequence: invite.sequence,
    contact: null,
  })
  for (const name of ['via', 'from', 'to']) {
    cancel.remove(name)
    cancel.add(name, invite.get(name))
  }
  alice.send(cancel)
  rig.run()
  assert.equal(alice.final(invite).status, 487)
  alice.ackFailure(invite, alice.final(invite))
  settle(all)
})

// ── Gateways that die ─────────────────────────────────────────────────────────────────────────────────────────

/** The re-INVITE that the agent has got since `count` of them, answered. */
function answerOffer(rig: SwitchRig, agent: RawAgent, count: number, body: string): SipText {
  for (let i = 0; i < 400 && agent.requests('INVITE').length <= count; i += 1) rig.run(100)
  assert.equal(agent.requests('INVITE').length, count + 1, `${agent.host} is offered anew`)
  const offer = agent.last('INVITE')
  agent.respond(offer, 200, { body })
  rig.run()
  return offer
}

test('the calls of a gateway that dies are moved: each side is offered the addresses of another', () => {
  const all = world(`gateways: ["udp:${ONE}:2223;weight=1000", "udp:${TWO}:2223"]`, [ONE, TWO])
  const { rig, gateways, alice, bob } = all
  const up = connect(all)
  assert.equal(gateways[0]?.calls, 1)
  const [first] = gateways
  if (first !== undefined) {
    first.mood = 'silent'
    first.node.crash(false)
  }
  const toBob = answerOffer(rig, bob, 1, SDP_B)
  const toAlice = answerOffer(rig, alice, 0, SDP)
  assert.match(toBob.body, new RegExp(`c=IN IP4 ${TWO}`))
  assert.match(toAlice.body, new RegExp(`c=IN IP4 ${TWO}`))
  assert.match(toAlice.body, /^o=- 1 100001 /m, 'a later version than any before (RFC 3264 §8)')
  rig.run(1_000)
  assert.equal(gateways[1]?.calls, 1)
  assert.equal(rig.switch.status().calls, 1)
  hangUp(all, up)
  assert.equal(lastRecord(rig)['releaseCode'], 'NORMAL')
  settle(all)
})

test('a gateway that was started again knows none of its calls: they are offered to it anew', () => {
  const all = world()
  const { rig, gateway, alice, bob } = all
  rig.run(60_000)
  const up = connect(all)
  rig.run(30_000)
  gateway.node.application.server.close()
  gateway.node.crash(false)
  gateway.node.start()
  answerOffer(rig, bob, 1, SDP_B)
  answerOffer(rig, alice, 0, SDP_C)
  rig.run(1_000)
  assert.equal(gateway.calls, 1)
  assert.equal(gateway.commands.at(-1)?.['sdp'], SDP_B, 'the caller answered otherwise: the gateway was told')
  hangUp(all, up)
  settle(all)
})

test('when no other gateway comes in time, the call ends with a code', () => {
  const all = world()
  const { rig, gateway, bob, alice } = all
  connect(all)
  gateway.mood = 'silent'
  rig.run(40_000)
  alice.respond(alice.last('BYE'), 200)
  bob.respond(bob.last('BYE'), 200)
  rig.run(3_000)
  assert.equal(lastRecord(rig)['releaseCode'], 'MEDIA_GATEWAY_LOST')
  assert.equal(rig.switch.status().calls, 0)
  settle(all)
})

test('a gateway that is configured no longer keeps its calls and gets no new ones', () => {
  const all = world(`gateways: ["udp:${ONE}:2223;weight=1000", "udp:${TWO}:2223"]`, [ONE, TWO])
  const { rig, gateways } = all
  const up = connect(all)
  rig.switch.replaceSnapshot(snapshotOf(configText({ media: `media: {gateways: ["udp:${TWO}:2223"]}` })))
  rig.run(1_000)
  assert.equal(gateways[0]?.calls, 1)
  assert.deepEqual(
    rig.switch.status().gateways.map(({ gateway, draining }) => [gateway, draining]),
    [
      [`udp:${ONE}:2223`, true],
      [`udp:${TWO}:2223`, false],
    ],
  )
  hangUp(all, up)
  assert.deepEqual(
    rig.switch.status().gateways.map(({ gateway }) => gateway),
    [`udp:${TWO}:2223`],
  )
  settle(all)
})

test('a media time-out that the gateway reports ends the call with its code and cause', () => {
  const all = world()
  const { rig, gateway, alice, bob } = all
  connect(all)
  gateway.tell('media timeout', 'caller')
  rig.run(3_000)
  alice.respond(alice.last('BYE'), 200)
  bob.respond(bob.last('BYE'), 200)
  rig.run(3_000)
  const { releaseCode, q850Cause, releaseParty } = lastRecord(rig)
  assert.deepEqual([releaseCode, q850Cause, releaseParty], ['MEDIA_TIMEOUT', 102, 'switch'])
  settle(all)
})

test('a record does not wait for ever for the quality of its media', () => {
  const all = world()
  const { rig, gateway } = all
  const up = connect(all)
  gateway.mood = 'silent'
  const before = rig.records().length
  hangUp(all, up)
  rig.run(5_000)
  assert.equal(rig.records().length, before + 1)
  assert.equal(lastRecord(rig)['media'], null)
  settle(all)
})

// ── Codec policy ──────────────────────────────────────────────────────────────────────────────────────────────

test('an offer asks for the codecs of the trunk group that it goes to', () => {
  const rig = new SwitchRig(
    configText({
      media: `media: {gateways: ["udp:${ONE}:2223"], codecs: {transcode: [PCMA]}}`,
      trunkGroups: `trunkGroups:
  - {name: east, peers: ["198.51.100.10:5060"], codecs: {allow: [G729, PCMA], transcode: [G729, opus]}}`,
      routes: 'routes: [{prefix: "+44", trunkGroups: [east]}]',
    }),
  )
  const gateway = new SimGateway(rig, ONE)
  rig.run(10_000)
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const peer = rig.agent('198.51.100.10')
  for (const [uri, callee] of [
    ['sip:+442071838750@example.net', peer],
    ['sip:1002@example.net', bob],
  ] as const) {
    const invite = alice.exchange(alice.invite(uri))
    callee.respond(callee.last('INVITE'), 486)
    rig.run()
    alice.ackFailure(invite, alice.final(invite))
  }
  assert.deepEqual(
    gateway.named('offer').map(({ codec }) => codec),
    [
      Object.assign(Object.create(null), {
        strip: ['all'],
        offer: ['G729', 'PCMA', 'telephone-event', 'CN'],
        transcode: ['G729'],
      }),
      Object.assign(Object.create(null), { transcode: ['PCMA'] }),
    ],
  )
  rig.settle()
})

// ── Service numbers ───────────────────────────────────────────────────────────────────────────────────────────

test('600 is answered by the switch itself, with a START and a STOP like any call', () => {
  const all = world()
  const { rig, gateway, alice } = all
  const invite = alice.exchange(alice.invite('sip:600@example.net'))
  const okay = alice.final(invite)
  assert.equal(okay.status, 200)
  assert.match(okay.body, new RegExp(`c=IN IP4 ${ONE}`))
  const caller = alice.callerDialog(invite, okay)
  alice.send(alice.within(caller, 'ACK'))
  rig.run()
  assert.deepEqual(
    gateway.commands.map(({ command, service }) => [command, service]),
    [['carillon service', 'echo']],
  )
  const again = alice.send(alice.within(caller, 'INVITE', { body: SDP_C, contact: alice.contact }))
  rig.run()
  assert.equal(alice.final(again).status, 200)
  alice.send(alice.within(caller, 'ACK'))
  assert.equal(
    alice.ask(alice.within(caller, 'INFO', { body: 'Signal=1', type: 'application/dtmf-relay' })).status,
    200,
  )
  assert.equal(alice.ask(alice.within(caller, 'BYE')).status, 200)
  rig.run(3_000)
  assert.deepEqual(
    rig.records().map(({ type, calledNumber, callee, releaseCode }) => [type, calledNumber, callee, releaseCode]),
    [
      ['START', '600', 'sip:600@example.net', null],
      ['STOP', '600', 'sip:600@example.net', 'NORMAL'],
    ],
  )
  settle(all)
})

test('a service takes a delayed offer, names its conference room, and is refused while there is no gateway', () => {
  const all = world()
  const { rig, gateway, alice } = all
  const request = alice.invite('sip:603@example.net').remove('content-type')
  request.body = ''
  const invite = alice.exchange(request)
  const okay = alice.final(invite)
  assert.equal(okay.status, 200)
  const caller = alice.callerDialog(invite, okay)
  alice.send(alice.within(caller, 'ACK', { body: SDP_C }))
  rig.run()
  assert.deepEqual(
    gateway.commands.map(({ service, room, sdp }) => [service, room, sdp]),
    [
      ['conference', '603', undefined],
      ['conference', '603', SDP_C],
    ],
  )
  assert.equal(alice.ask(alice.within(caller, 'BYE')).status, 200)
  rig.run(3_000)
  gateway.mood = 'silent'
  rig.run(20_000)
  const refused = alice.exchange(alice.invite('sip:601@example.net'))
  assert.equal(alice.final(refused).status, 503)
  alice.ackFailure(refused, alice.final(refused))
  assert.equal(lastRecord(rig)['releaseCode'], 'MEDIA_NO_GATEWAY')
  settle(all)
})

test('trunk groups reach a service only where it is configured, and without gateways there is none', () => {
  const all = world()
  const peer = all.rig.agent('198.51.100.20')
  const attempt = (uri: string): number => {
    const invite = peer.exchange(peer.invite(uri))
    const final = peer.final(invite)
    peer.ackFailure(invite, final)
    return final.status
  }
  assert.equal(attempt('sip:600@example.net'), 404)
  settle(all)

  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const invite = alice.exchange(alice.invite('sip:600@example.net'))
  assert.equal(alice.final(invite).status, 404)
  alice.ackFailure(invite, alice.final(invite))
  rig.settle()
})

test('a service call moves to another gateway by an offer to its caller', () => {
  const all = world(`gateways: ["udp:${ONE}:2223;weight=1000", "udp:${TWO}:2223"]`, [ONE, TWO])
  const { rig, gateways, alice } = all
  const invite = alice.exchange(alice.invite('sip:600@example.net'))
  const caller = alice.callerDialog(invite, alice.final(invite))
  alice.send(alice.within(caller, 'ACK'))
  const [first] = gateways
  if (first !== undefined) first.mood = 'silent'
  const offer = answerOffer(rig, alice, 0, SDP)
  assert.match(offer.body, new RegExp(`c=IN IP4 ${TWO}`))
  assert.equal(alice.ask(alice.within(caller, 'BYE')).status, 200)
  rig.run(3_000)
  settle(all)
})

// ── The switch dies ───────────────────────────────────────────────────────────────────────────────────────────

/** The switch's process dies and another one starts on its data. */
function restart(rig: SwitchRig): void {
  rig.run(100)
  rig.node.crash(false)
  rig.run(1_000)
  rig.node.start()
  rig.run(100)
}

test('a call that is up keeps its gateway session over a restart of the switch, and its end deletes it', () => {
  const all = world()
  const { rig, gateway, alice, bob } = all
  const up = connect(all)
  restart(rig)
  rig.run(15_000)
  assert.equal(gateway.calls, 1, 'nobody deletes what goes on')
  const before = gateway.commands.length
  const again = alice.send(alice.within(up.caller, 'INVITE', { contact: alice.contact, body: SDP }))
  rig.run()
  bob.respond(bob.last('INVITE'), 200, { body: SDP_B })
  rig.run()
  assert.equal(alice.final(again).status, 200)
  alice.send(alice.within(up.caller, 'ACK', { sequence: again.sequence }))
  rig.run()
  assert.deepEqual(words(gateway).slice(before), ['offer caller callee-1', 'answer caller callee-1'])
  hangUp(all, up)
  assert.equal(gateway.calls, 0)
  assert.equal(lastRecord(rig)['releaseCode'], 'NORMAL')
  settle(all)
})

test('what a dead switch left on the gateway is deleted after a while; what others have there is not', () => {
  const all = world()
  const { rig, gateway, alice } = all
  gateway.node.application.calls.add('a call of somebody else')
  alice.exchange(alice.invite('sip:1002@example.net'))
  rig.run()
  assert.equal(gateway.calls, 2)
  restart(rig)
  assert.equal(gateway.calls, 2)
  rig.run(15_000)
  assert.deepEqual([...gateway.node.application.calls], ['a call of somebody else'])
})

test('a call whose gateway died together with the switch is moved to another', () => {
  const all = world(`gateways: ["udp:${ONE}:2223", "udp:${TWO}:2223"]`, [ONE, TWO])
  const { rig, gateways, alice, bob } = all
  connect(all)
  for (const [phone, body] of [
    [alice, SDP],
    [bob, SDP_B],
  ] as const) {
    phone.onMessage = (message) => {
      if (message.isRequest && message.method !== 'ACK') phone.respond(message, 200, { body })
    }
  }
  const carrying = gateways.find(({ calls }) => calls === 1)
  const other = gateways.find(({ calls }) => calls === 0)
  assert.ok(carrying !== undefined && other !== undefined)
  carrying.mood = 'silent'
  carrying.node.crash(false)
  restart(rig)
  rig.run(30_000)
  assert.equal(other.calls, 1)
  for (const phone of [alice, bob]) assert.match(phone.last('INVITE').body, new RegExp(`c=IN IP4 ${other.host}`))
})
