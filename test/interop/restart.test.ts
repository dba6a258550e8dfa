// kill -9 of the switch under load: the supervisor brings it back, with its registrations, and no record is lost or doubled.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { udpPort, until } from '#test/interop/carillon-process.ts'
import { PHONE_HOST, Rig, TRUNK_HOST } from '#test/interop/rig.ts'
import { peers } from '#test/peers.ts'

const { options } = peers('sipp', 'tshark')
const USERS = 200
const CALLS_PER_SECOND = 50
const CALLS = 400
const INGRESS_HOST = '127.0.0.21'
const BACK_MS = 10_000
/** A call whose end was missed while the switch was dead: asked after 7 s, given up after 32 s more (timer F). */
const FORGOTTEN_MS = 50_000

test('after kill -9 under load all registrations and all records are there', options, async (t) => {
  const trunkPort = await udpPort(TRUNK_HOST)
  const contactPort = await udpPort(PHONE_HOST)
  const users = Array.from({ length: USERS }, (_, n) => `user${n}`)
  const rig = await Rig.start(
    [
      'trunkGroups:',
      `  - {name: in, peers: ["${INGRESS_HOST}"], direction: in}`,
      `  - {name: out, peers: ["${TRUNK_HOST}:${trunkPort}"], direction: out}`,
      'routes:',
      '  - {prefix: "1", trunkGroups: [out]}',
    ].join('\n'),
    users.map((user) => `  - {user: ${user}, password: secret-of-${user}}`),
  )
  try {
    const credentials = join(rig.folder, 'users.csv')
    const lines = users.map((user) => `${user};[authentication username=${user} password=secret-of-${user}]`)
    writeFileSync(credentials, `SEQUENTIAL\n${lines.join('\n')}\n`)
    const from = { host: PHONE_HOST, port: contactPort }
    await rig.run({ scenario: 'register-many', from, calls: USERS, callsPerSecond: USERS, fields: credentials })

    // Calls go on while the switch dies.
    const forever = 1_000_000
    const trunk = { scenario: 'trunk-answer', from: { host: TRUNK_HOST, port: trunkPort }, calls: forever, waits: true }
    const answering = await rig.agent(trunk).ready()
    const caller = rig.agent({
      scenario: 'trunk-call',
      from: { host: INGRESS_HOST, port: await udpPort(INGRESS_HOST) },
      calls: CALLS,
      callsPerSecond: CALLS_PER_SECOND,
      keys: { caller: '+12125550100', callee: '15551234' },
    })
    await until('100 records', 20_000, () => Promise.resolve(rig.carillon.cdrs().length >= 100))
    const before = rig.carillon.cdrs()
    const pid = rig.carillon.switchPid()
    process.kill(pid, 'SIGKILL')
    const killed = performance.now()
    await until('the switch has another process', BACK_MS, () => {
      try {
        return Promise.resolve(rig.carillon.switchPid() !== pid)
      } catch {
        return Promise.resolve(false)
      }
    })
    // The caller goes on, so the first new record is the first call that the new process carried.
    await until('a new call is answered', BACK_MS, () => {
      const records = rig.carillon.cdrs().slice(before.length)
      const restarted = records.findLastIndex((record) => record.releaseCode === 'NODE_RESTART')
      return Promise.resolve(records.slice(restarted + 1).some((record) => record.type === 'STOP'))
    })
    t.diagnostic(`a call ended ${Math.round(performance.now() - killed)} ms after the kill`)
    const calls = await caller.finish()
    t.diagnostic(`${calls.succeeded} calls went as written, ${calls.failed} did not`)

    // Records: none lost, none doubled, every START ended by one STOP.
    await until('every START has a STOP', FORGOTTEN_MS, () => {
      const records = rig.carillon.cdrs()
      const count = (type: string): number => records.filter((record) => record.type === type).length
      return Promise.resolve(count('START') === count('STOP'))
    })
    const after = rig.carillon.cdrs()
    assert.deepEqual(after.slice(0, before.length), before)
    assert.deepEqual(
      after.map((record) => record.sequence),
      after.map((_, index) => index + 1),
    )
    const stops = after.filter((record) => record.type === 'STOP')
    assert.equal(new Set(stops.map((record) => record.callId)).size, stops.length)
    assert.ok(stops.filter((record) => record.releaseCode !== 'NODE_RESTART').length >= calls.succeeded)

    // Registrations: every user is called, and the call goes to the contact from before the death.
    const callees = join(rig.folder, 'callees.csv')
    writeFileSync(callees, `SEQUENTIAL\n${users.map((user) => `${user};x`).join('\n')}\n`)
    const phones = await rig
      .agent({ scenario: 'trunk-answer', from: { host: PHONE_HOST, port: contactPort }, calls: USERS, waits: true })
      .ready()
    await rig.run({
      scenario: 'trunk-call-many',
      from: { host: INGRESS_HOST, port: await udpPort(INGRESS_HOST) },
      calls: USERS,
      callsPerSecond: 100,
      fields: callees,
      keys: { caller: '+12125550100' },
    })
    assert.equal(rig.passed('trunk-answer', await phones.finish()).succeeded, USERS)
    await answering.stop()
  } finally {
    await rig.end()
  }
})
