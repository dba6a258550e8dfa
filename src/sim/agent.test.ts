import assert from 'node:assert/strict'
import test from 'node:test'
import type { AgentProfile } from '#sim/agent.ts'
import type { AnswerPlan, CallPlan } from '#sim/call-end.ts'
import { Ledger } from '#sim/ledger.ts'
import { SimPhone } from '#sim/phone.ts'
import { SipText } from '#sim/sip-text.ts'
import { World } from '#sim/world.ts'

const ANSWER: AnswerPlan = {
  outcome: 'answer',
  ringAfterMs: 100,
  afterMs: 2_000,
  talkMs: null,
  forks: 1,
  ignoresCancel: false,
  changes: [],
  redirectTo: '',
}
const CALL: CallPlan = { talkMs: 5_000, patienceMs: 30_000, delayedOffer: false, changes: [] }

/** Two agents that call each other directly, nothing between them. */
function pair(seed: number, answer: Partial<AnswerPlan>, profile: Partial<AgentProfile> = {}, loss = 0) {
  const world = new World({ seed, links: { latencyMs: 20, jitterMs: 10, loss } })
  const ledger = new Ledger()
  const wire: string[] = []
  world.observe({
    onWire: ({ fate, bytes, transport }) => {
      if (fate !== 'sent' || transport !== 'udp') return
      const message = SipText.parse(Buffer.from(bytes).toString('latin1'))
      assert.ok(typeof message !== 'string')
      assert.deepEqual(message.problems(), [])
      wire.push(message.isRequest ? message.method : `${message.status} ${message.sequenceMethod}`)
    },
  })
  const make = (index: number, plan: AnswerPlan): SimPhone => {
    const host = `192.0.2.${index}`
    const server = { host: `192.0.2.${3 - index}`, port: 5060, family: 4 } as const
    const whole: AgentProfile = {
      index,
      name: `agent${index}`,
      host,
      port: 5060,
      address: `${index}@${host}`,
      password: null,
      algorithm: 'MD5',
      server,
      transport: 'udp',
      expiresS: null,
      reliable: false,
      sessionTimer: false,
      allowUpdate: true,
      hasty: false,
      packetMs: null,
      ...profile,
    }
    return new SimPhone(world, whole, ledger, () => plan)
  }
  const caller = make(1, ANSWER)
  const callee = make(2, { ...ANSWER, ...answer })
  return { world, ledger, wire, caller, callee }
}

test('a call is answered and hung up, with the messages of RFC 3665 §3.1', () => {
  const { world, ledger, wire, caller } = pair(1, {})
  caller.call('sip:2@192.0.2.2', CALL)
  assert.ok(world.runUntilIdle({ limitMs: 600_000 }))
  assert.deepEqual(wire, ['INVITE', '100 INVITE', '180 INVITE', '200 INVITE', 'ACK', 'BYE', '200 BYE'])
  const [calling, called] = ledger.ends
  assert.equal(calling?.key, called?.key)
  assert.equal(calling?.how, 'hungUp')
  assert.deepEqual([calling?.hungUp, called?.hungUp], ['local', 'remote'])
})

test('busy, decline, redirection and cancellation end the call at both ends', () => {
  for (const [outcome, status] of [
    ['busy', 486],
    ['decline', 603],
    ['redirect', 302],
    ['silent', 487],
  ] as const) {
    const { world, ledger, caller } = pair(2, { outcome, redirectTo: 'sip:3@192.0.2.9' })
    caller.call('sip:2@192.0.2.2', CALL)
    assert.ok(world.runUntilIdle({ limitMs: 600_000 }))
    assert.deepEqual(
      ledger.ends.map((end) => end.status),
      [status, status],
    )
  }
})

test('reliable provisionals, delayed offers, hold by INVITE and UPDATE, and session refreshes go through', () => {
  for (const method of ['INVITE', 'UPDATE'] as const) {
    const profile = { reliable: true, sessionTimer: true }
    const { world, ledger, wire, caller } = pair(3, {}, profile)
    const changes = [
      { afterMs: 500, method, direction: 'sendonly' },
      { afterMs: 1_500, method, direction: 'sendrecv' },
    ] as const
    caller.call('sip:2@192.0.2.2', { talkMs: 200_000, patienceMs: 30_000, delayedOffer: method === 'UPDATE', changes })
    assert.ok(world.runUntilIdle({ limitMs: 900_000 }))
    assert.ok(wire.includes('PRACK'))
    assert.ok(wire.filter((line) => line === method).length >= 2)
    assert.ok(wire.filter((line) => line === 'UPDATE').length >= 4, 'refreshes')
    assert.deepEqual(
      ledger.ends.map((end) => end.how),
      ['hungUp', 'hungUp'],
    )
  }
})

test('calls go through links that lose a fifth of all packets, over UDP and TCP, and every INVITE has one final response', () => {
  for (let seed = 10; seed < 40; seed++) {
    const transport = seed % 2 === 0 ? 'udp' : 'tcp'
    const { world, ledger, caller } = pair(seed, {}, { transport, reliable: seed % 3 === 0 }, 0.2)
    for (let i = 0; i < 5; i++) caller.call(`sip:2@192.0.2.2`, { ...CALL, talkMs: 40_000 })
    assert.ok(world.runUntilIdle({ limitMs: 900_000 }))
    for (const invite of ledger.invites) assert.equal(invite.finals.length, invite.gaveUp ? 0 : 1, `seed ${seed}`)
    for (const end of ledger.ends) assert.notEqual(end.how, '', `seed ${seed}`)
  }
})
