// Trunk groups: who is a peer, which way calls go, how many at a time, what is tried next, and that the counters are the calls.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { route } from '#routing/route.ts'
import type { SipText } from '#sim/sip-text.ts'
import { configText, type RawAgent, SwitchRig, snapshotOf } from '#test/switch/rig.ts'

const NUMBER = 'sip:+442012345678@203.0.113.1'

/** What a carrier's INVITE from there is answered with, when nobody is registered: 480 means that it was recognised. */
function statusFrom(
  host: string,
  port: number,
  config = configText(),
  prepare: (rig: SwitchRig) => void = () => {},
): number {
  const rig = new SwitchRig(config)
  prepare(rig)
  rig.run(1_000)
  const carrier = rig.agent(host, null, port)
  const invite = carrier.send(carrier.invite('sip:1002@203.0.113.1'))
  rig.run()
  carrier.ackFailure(invite, carrier.final(invite))
  rig.settle()
  return carrier.final(invite).status
}

test('a peer is recognised by address and port; everybody else needs a password', () => {
  assert.equal(statusFrom('198.51.100.10', 5060), 480)
  assert.equal(statusFrom('198.51.100.11', 5060), 480)
  assert.equal(statusFrom('198.51.100.10', 5061), 407)
  assert.equal(statusFrom('198.51.100.12', 5060), 407)
})

test('a group of direction out is nobody who may call; one of direction in may', () => {
  assert.equal(statusFrom('198.51.100.40', 5060), 407)
  assert.equal(statusFrom('198.51.100.30', 5060), 480)
})

test('a peer without a port may call from any; one over TCP only over TCP', () => {
  const groups = 'trunkGroups:\n  - {name: east, peers: ["198.51.100.10", "tcp:198.51.100.11"]}'
  const config = configText({ trunkGroups: groups, routes: '' })
  assert.equal(statusFrom('198.51.100.10', 5999, config), 480)
  assert.equal(statusFrom('198.51.100.11', 5060, config), 407)
})

test('a peer with a host name is recognised by the addresses that its name has now, and before when look-ups fail', () => {
  const groups = 'trunkGroups:\n  - {name: east, peers: ["sbc.carrier.example:5060"]}'
  const config = configText({ trunkGroups: groups, routes: '' })
  const name = (rig: SwitchRig, address: string): void =>
    rig.world.dns.set('sbc.carrier.example', [{ type: 'A', address, ttlS: 60 }])
  assert.equal(statusFrom('198.51.100.50', 5060, config), 407)
  // Known from the round after the next: the name gets its address when the first is over.
  const later = (rig: SwitchRig): void => {
    name(rig, '198.51.100.50')
    rig.run(120_000)
  }
  assert.equal(statusFrom('198.51.100.50', 5060, config, later), 480)
  const moved = (rig: SwitchRig): void => {
    later(rig)
    name(rig, '198.51.100.51')
    rig.run(120_000)
  }
  assert.equal(statusFrom('198.51.100.50', 5060, config, moved), 407)
  assert.equal(statusFrom('198.51.100.51', 5060, config, moved), 480)
  const failing = (rig: SwitchRig): void => {
    later(rig)
    rig.world.dns.set('sbc.carrier.example', [])
    rig.world.dns.failure = 1
    rig.run(300_000)
  }
  assert.equal(statusFrom('198.51.100.50', 5060, config, failing), 480)
})

test('a restarted switch listens when it knows its peers with names, or soon: their calls are not challenged meanwhile', () => {
  const groups = 'trunkGroups:\n  - {name: east, peers: ["sbc.carrier.example:5060"]}'
  const config = configText({ trunkGroups: groups, routes: '' })
  const restarted = (delayMs: [number, number]) => (rig: SwitchRig) => {
    rig.world.dns.set('sbc.carrier.example', [{ type: 'A', address: '198.51.100.50', ttlS: 60 }])
    rig.world.dns.delayMs = delayMs
    rig.node.crash(false)
    rig.node.start()
    rig.run(50)
    assert.equal(rig.switch.status().ready, false)
    rig.run(900)
    assert.equal(rig.switch.status().ready, true)
  }
  assert.equal(statusFrom('198.51.100.50', 5060, config, restarted([200, 300])), 480)
  // Name servers that are slow are not waited for.
  assert.equal(statusFrom('198.51.100.50', 5060, config, restarted([5_000, 5_000])), 407)
})

test('a peer that is a name with SRV records may call from the hosts that they list', () => {
  const config = configText({ trunkGroups: 'trunkGroups:\n  - {name: east, peers: [carrier.example]}', routes: '' })
  const known = (rig: SwitchRig): void => {
    const srv = { type: 'SRV', priority: 0, weight: 0, port: 5060, target: 'sbc.carrier.example', ttlS: 60 } as const
    rig.world.dns.set('_sip._udp.carrier.example', [srv])
    rig.world.dns.set('sbc.carrier.example', [{ type: 'A', address: '198.51.100.60', ttlS: 60 }])
    rig.run(120_000)
  }
  assert.equal(statusFrom('198.51.100.60', 5060, config, known), 480)
  assert.equal(statusFrom('198.51.100.61', 5060, config, known), 407)
})

// ── Routes ────────────────────────────────────────────────────────────────────────────────────────────────────

const silent = (): void => {}
const answering = (agent: RawAgent, status: number): void => {
  agent.onMessage = (message) => {
    if (message.method === 'INVITE') agent.respond(message, status)
    if (message.method === 'BYE') agent.respond(message, 200)
  }
}

interface Tried {
  readonly trunkGroup: string | null
  readonly status: number | null
  readonly why: string
}

/** A call of Alice's to a number, with these peers of east and west. */
function hunt(
  first: number | null,
  second: number | null,
  third: number | null,
): { rig: SwitchRig; status: number; tried: Tried[] } {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  for (const [at, status] of [first, second, third].entries()) {
    // Nobody at all at that address when there is no status.
    if (status === null) continue
    const agent = rig.agent(['198.51.100.10', '198.51.100.11', '198.51.100.20'][at] ?? '')
    if (status > 0) answering(agent, status)
    else agent.onMessage = silent
  }
  const invite = alice.exchange(alice.invite('sip:+442012345678@example.net'))
  rig.run(60_000)
  const final = alice.final(invite)
  if (final.status < 300) {
    const dialog = alice.callerDialog(invite, final)
    alice.send(alice.within(dialog, 'ACK'))
    rig.run()
    alice.send(alice.within(dialog, 'BYE'))
    rig.run()
  } else alice.ackFailure(invite, final)
  const record = rig.records().at(-1)
  rig.settle()
  return { rig, status: final.status, tried: (record?.['routesTried'] ?? []) as Tried[] }
}

const HUNTS: readonly (readonly [string, [number | null, number | null, number | null], number, string[]])[] = [
  ['the first peer that answers has the call', [200, 200, 200], 200, ['east 200 ANSWERED']],
  ['503 goes on to the next peer', [503, 200, 200], 200, ['east 503 SIP_FINAL', 'east 200 ANSWERED']],
  [
    'silence goes on after five seconds',
    [0, null, 200],
    200,
    ['east 408 SIP_TIMEOUT', 'east 408 SIP_TIMEOUT', 'west 200 ANSWERED'],
  ],
  ['408 and 500 go on', [408, 500, 200], 200, ['east 408 SIP_FINAL', 'east 500 SIP_FINAL', 'west 200 ANSWERED']],
  ['busy is busy', [486, 200, 200], 486, ['east 486 SIP_FINAL']],
  ['404 is final', [404, 200, 200], 404, ['east 404 SIP_FINAL']],
  ['603 is final', [603, 200, 200], 603, ['east 603 SIP_FINAL']],
  [
    'all fail: the caller is told that we failed, not that a carrier did',
    [503, 503, 503],
    500,
    ['east 503 SIP_FINAL', 'east 503 SIP_FINAL', 'west 503 SIP_FINAL'],
  ],
]
for (const [what, statuses, status, tried] of HUNTS) {
  test(`fail-over: ${what}, and the record lists what was tried`, () => {
    const result = hunt(...statuses)
    assert.equal(result.status, status)
    assert.deepEqual(
      result.tried.map((one) => `${one.trunkGroup} ${one.status} ${one.why}`),
      tried,
    )
  })
}

test('route explain names the peers that a live call tries, in the same order', () => {
  const snapshot = snapshotOf(configText())
  const decision = route(
    {
      ingress: { kind: 'subscriber', user: '1001' },
      requestUri: { scheme: 'sip', user: '+442012345678', host: 'example.net', port: null, userIsPhone: false },
      callerNumber: '+12025550101',
    },
    snapshot,
    true,
  )
  assert.equal(decision.outcome, 'trunk')
  const explained = decision.outcome === 'trunk' ? decision.targets.map(({ peer }) => peer.text) : []
  const { rig, tried } = hunt(503, 503, 503)
  const sent = rig.sent.filter(({ text }) => text.startsWith('INVITE sip:+442012345678@')).map(({ to }) => `${to}:5060`)
  assert.deepEqual([...new Set(sent)], explained)
  assert.deepEqual(
    tried.map(({ trunkGroup }) => trunkGroup),
    decision.outcome === 'trunk' ? decision.targets.map(({ trunkGroup }) => trunkGroup.name) : [],
  )
})

test('a call from a carrier does not go back to its own group', () => {
  const rig = new SwitchRig()
  const east = rig.agent('198.51.100.10')
  const west = rig.agent('198.51.100.20')
  answering(west, 486)
  const from = rig.sent.length
  const invite = east.send(east.invite(NUMBER))
  rig.run()
  assert.equal(east.final(invite).status, 486)
  east.ackFailure(invite, east.final(invite))
  assert.ok(rig.sent.slice(from).every(({ to }) => to !== '198.51.100.11'))
  rig.settle()
})

// ── Bounds ────────────────────────────────────────────────────────────────────────────────────────────────────

test('channelsMax counts calls of both directions, and a channel is free again when its call ends', () => {
  const rig = new SwitchRig()
  const alice = rig.phone(1)
  const bob = rig.phone(2)
  const east = rig.agent('198.51.100.10')
  const west = rig.agent('198.51.100.20')
  const incoming = [1, 2, 3].map(() => east.send(east.invite('sip:1002@203.0.113.1')))
  rig.run()
  const outgoing = alice.exchange(alice.invite('sip:+442012345678@example.net'))
  east.respond(east.last('INVITE'), 180)
  rig.run()
  assert.equal(rig.switch.audit().trunkChannels, 4)
  const fifth = east.send(east.invite('sip:1002@203.0.113.1'))
  rig.run()
  assert.equal(east.final(fifth).status, 503)
  assert.match(east.final(fifth).get('retry-after'), /^\d+$/)
  east.ackFailure(fifth, east.final(fifth))
  const blocked = rig.records().at(-1)
  assert.deepEqual(
    [blocked?.['type'], blocked?.['releaseCode'], blocked?.['q850Cause'], blocked?.['ingressTrunkGroup']],
    ['ATTEMPT', 'TRUNK_CHANNELS_MAX', 34, 'east'],
  )
  // The next call out finds east full and goes to west.
  const sixth = alice.exchange(alice.invite('sip:+442012345679@example.net'))
  assert.equal(west.requests('INVITE').length, 1)
  west.respond(west.last('INVITE'), 486)
  rig.run()
  alice.ackFailure(sixth, alice.final(sixth))
  for (const got of bob.requests('INVITE')) bob.respond(got, 486)
  rig.run()
  for (const invite of incoming) east.ackFailure(invite, east.final(invite))
  east.respond(east.last('INVITE'), 480)
  rig.run()
  alice.ackFailure(outgoing, alice.final(outgoing))
  assert.equal(rig.switch.audit().trunkChannels, 0)
  rig.settle()
})

test('cpsMax holds for both directions within one second, and is open again in the next', () => {
  const groups = 'trunkGroups:\n  - {name: east, peers: ["198.51.100.10:5060"], channelsMax: 100, cpsMax: 2}'
  const rig = new SwitchRig(
    configText({ trunkGroups: groups, routes: 'routes:\n  - {prefix: "+44", trunkGroups: [east]}' }),
  )
  const alice = rig.phone(1)
  const east = rig.agent('198.51.100.10')
  answering(east, 486)
  const statuses = (): number[] => {
    const invites = [1, 2, 3].map(() => east.send(east.invite('sip:1002@203.0.113.1')))
    rig.run()
    for (const invite of invites) east.ackFailure(invite, east.final(invite))
    return invites.map((invite) => east.final(invite).status)
  }
  // Begin at the start of a second of the switch's clock, whatever its origin.
  rig.run(3_000)
  assert.ok(statuses().filter((status) => status === 503).length >= 1)
  rig.run(2_000)
  const invite = alice.exchange(alice.invite('sip:+442012345678@example.net'))
  assert.equal(alice.final(invite).status, 486)
  alice.ackFailure(invite, alice.final(invite))
  rig.settle()
})

// ── Every ending ──────────────────────────────────────────────────────────────────────────────────────────────

type Ending =
  | 'calleeBye'
  | 'callerBye'
  | 'cancel'
  | 'cancelCrossesAnswer'
  | 'noAnswer'
  | 'silence'
  | 'noAck'
  | 'refused'
  | 'unavailable'
  | 'redirect'
  | 'callerGone'
const ENDINGS: readonly Ending[] = [
  'calleeBye',
  'callerBye',
  'cancel',
  'cancelCrossesAnswer',
  'noAnswer',
  'silence',
  'noAck',
  'refused',
  'unavailable',
  'redirect',
  'callerGone',
]

/** What the callee does with an INVITE, by the word in its Subject. */
function play(rig: SwitchRig, callee: RawAgent, message: SipText): void {
  const ending = message.get('subject')
  if (message.method === 'BYE' || message.method === 'CANCEL') {
    callee.respond(message, 200)
    const invite = callee.requests('INVITE').find(({ branch }) => branch === message.branch)
    if (message.method === 'CANCEL' && invite !== undefined) {
      if (invite.get('subject') === 'cancelCrossesAnswer') callee.respond(invite, 200, { tag: `t${invite.branch}` })
      else callee.respond(invite, 487, { tag: `t${invite.branch}` })
    }
    return
  }
  if (message.method !== 'INVITE' || ending === 'silence') return
  const tag = `t${message.branch}`
  if (ending === 'refused') callee.respond(message, 603, { tag })
  else if (ending === 'unavailable') callee.respond(message, 503, { tag })
  else if (ending === 'redirect')
    callee.respond(message, 302, { tag, headers: [['contact', '<sip:nobody@example.net>']] })
  else callee.respond(message, 180, { tag })
  if (ending === 'calleeBye' || ending === 'callerBye' || ending === 'noAck' || ending === 'callerGone') {
    callee.respond(message, 200, { tag })
    if (ending === 'calleeBye')
      rig.world.after(500, () => callee.send(callee.within(callee.calleeDialog(message, tag), 'BYE')))
  }
}

test('after every ending the channels in use are the calls that exist, and each call has one record', () => {
  const oneCall = fc.record({
    from: fc.constantFrom('phone', 'east', 'west'),
    to: fc.constantFrom('sip:1002@203.0.113.1', NUMBER),
    ending: fc.constantFrom(...ENDINGS),
    afterMs: fc.integer({ min: 0, max: 400 }),
  })
  fc.assert(
    fc.property(fc.array(oneCall, { minLength: 1, maxLength: 8 }), (calls) => {
      const rig = new SwitchRig(configText({ call: 'call: {noAnswerS: 20}', access: 'access: {noAnswerS: 20}' }))
      const agents: Record<string, RawAgent> = {
        phone: rig.phone(1),
        east: rig.agent('198.51.100.10'),
        west: rig.agent('198.51.100.20'),
      }
      const bob = rig.phone(2)
      const other = rig.agent('198.51.100.11')
      const everybody = [...Object.values(agents), bob, other]
      for (const agent of everybody) agent.onMessage = (message) => play(rig, agent, message)
      let admitted = 0
      for (const { from, to, ending, afterMs } of calls) {
        const caller = agents[from]
        assert.ok(caller !== undefined)
        const invite = caller.exchange(caller.invite(to, { headers: [['subject', ending]] }))
        if (ending === 'cancel' || ending === 'cancelCrossesAnswer') {
          rig.run(afterMs)
          const cancel = caller.request('CANCEL', invite.uri, {
            callId: invite.callId,
            from: invite.get('from'),
            sequence: invite.sequence,
            contact: null,
            body: '',
          })
          cancel.remove('via')
          cancel.headers.unshift(['via', invite.get('via')])
          caller.send(cancel)
        }
        rig.run(afterMs)
        const final = caller.responses(invite).find(({ status }) => status >= 200)
        if (final !== undefined && final.status >= 300) caller.ackFailure(invite, final)
        if (final !== undefined && final.status < 300 && ending !== 'noAck') {
          const dialog = caller.callerDialog(invite, final)
          caller.send(caller.within(dialog, 'ACK'))
          if (ending !== 'calleeBye') caller.send(caller.within(dialog, 'BYE'))
        }
        admitted += 1
        const { calls: up, trunkChannels } = rig.switch.audit()
        assert.ok(trunkChannels <= up * 2, `${trunkChannels} channels for ${up} calls`)
        if (up === 0) assert.equal(trunkChannels, 0)
      }
      rig.settle()
      assert.equal(rig.records().filter(({ type }) => type === 'STOP' || type === 'ATTEMPT').length, admitted)
      const starts = rig.records().filter(({ type }) => type === 'START').length
      assert.equal(rig.records().filter(({ type }) => type === 'STOP').length, starts)
      assert.equal(rig.node.log?.counts.get('CALL_ENDED') ?? 0, admitted)
    }),
    { numRuns: 60 },
  )
})
