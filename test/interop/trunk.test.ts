// Calls between trunk groups, with SIPp as the other switches: prefix, fail-over, and no way through for strangers.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { udpPort } from '#test/interop/carillon-process.ts'
import { Rig, STRANGER_HOST, TRUNK_HOST } from '#test/interop/rig.ts'
import { peers } from '#test/peers.ts'

const { options } = peers('sipp', 'tshark')
const INGRESS_HOST = '127.0.0.21'
let rig: Rig
let first: number
let second: number

before(async () => {
  if (options.skip !== false) return
  first = await udpPort(TRUNK_HOST)
  second = await udpPort(TRUNK_HOST)
  rig = await Rig.start(
    [
      'trunkGroups:',
      `  - {name: in, peers: ["${INGRESS_HOST}"], direction: in}`,
      `  - {name: east, peers: ["${TRUNK_HOST}:${first}", "${TRUNK_HOST}:${second}"], direction: out}`,
      'routes:',
      '  - {prefix: "+44", trunkGroups: [east]}',
      '  - {prefix: "99", trunkGroups: [east]}',
    ].join('\n'),
  )
})
after(async () => {
  if (options.skip === false) await rig.end()
})

async function trunkCall(callee: string): Promise<string> {
  const from = { host: INGRESS_HOST, port: await udpPort(INGRESS_HOST) }
  return (await rig.run({ scenario: 'trunk-call', from, keys: { caller: '+12125550100', callee } })).messages
}

test('a call from a trunk group goes out by the prefix of its number', options, async () => {
  const trunk = await rig
    .agent({ scenario: 'trunk-answer', from: { host: TRUNK_HOST, port: first }, waits: true })
    .ready()
  await trunkCall('+442079460000')
  const { messages } = rig.passed('trunk-answer', await trunk.finish())
  assert.match(messages, /^INVITE sip:\+442079460000@/m)
  const stop = await rig.carillon.cdr('STOP', (record) => record.type === 'STOP')
  assert.equal(stop.ingressTrunkGroup, 'in')
  assert.equal(stop.egressTrunkGroup, 'east')
  assert.equal(stop.calledNumber, '+442079460000')
})

test('a peer that answers 503 is passed over for the next one', options, async () => {
  const down = await rig
    .agent({ scenario: 'unavailable', from: { host: TRUNK_HOST, port: first }, waits: true })
    .ready()
  const up = await rig
    .agent({ scenario: 'trunk-answer', from: { host: TRUNK_HOST, port: second }, waits: true })
    .ready()
  await trunkCall('9912345')
  rig.passed('unavailable', await down.finish())
  rig.passed('trunk-answer', await up.finish())
  const stop = await rig.carillon.cdr(
    'fail-over',
    (record) => record.type === 'STOP' && record.calledNumber === '9912345',
  )
  assert.deepEqual(
    stop.routesTried.map((tried) => [tried.trunkGroup, tried.status]),
    [
      ['east', 503],
      ['east', 200],
    ],
  )
})

test('a number without a route gets 404 and an ATTEMPT that says so', options, async () => {
  const from = { host: INGRESS_HOST, port: await udpPort(INGRESS_HOST) }
  const keys = { caller: '+12125550100', callee: '0000' }
  const result = await rig.agent({ scenario: 'trunk-call', from, keys }).finish()
  assert.notEqual(result.exitCode, 0)
  assert.match(result.messages, /^SIP\/2\.0 404 /m)
  const attempt = await rig.carillon.cdr('no route', (record) => record.sipStatus === 404)
  assert.equal(attempt.type, 'ATTEMPT')
})

test('a call to a trunk number from an address that is no peer is not carried', options, async () => {
  const trunk = await rig
    .agent({ scenario: 'trunk-answer', from: { host: TRUNK_HOST, port: first }, waits: true })
    .ready()
  const from = { host: STRANGER_HOST, port: await udpPort(STRANGER_HOST) }
  await rig.run({ scenario: 'stranger', from, keys: { caller: '+12125550100', callee: '+442079460000' } })
  const { messages } = await trunk.stop()
  assert.doesNotMatch(messages, /INVITE/)
})
