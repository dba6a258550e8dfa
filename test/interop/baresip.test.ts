// Two baresip telephones, over UDP, TCP and TLS: register, call, hold, resume, hang up, refuse, cancel.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { BaresipPhone } from '#test/interop/baresip-phone.ts'
import { DOMAIN } from '#test/interop/carillon-process.ts'
import { ALICE, BOB, Rig } from '#test/interop/rig.ts'
import { peers } from '#test/peers.ts'

const { options } = peers('baresip', 'tshark')
/** As shipped. baresip 1.0 gives up when a challenge has an algorithm that it does not know; it must register all the same. */
const ALGORITHMS = 'algorithms: [SHA-256, MD5]'
let rig: Rig

before(async () => {
  if (options.skip === false) rig = await Rig.start('', [], ALGORITHMS)
})
after(async () => {
  if (options.skip === false) await rig.end()
})

type Transport = 'udp' | 'tcp' | 'tls'

/** Starts both telephones, registered, and ends them after `use`. */
async function phones(
  alice: Transport,
  bob: Transport,
  use: (alice: BaresipPhone, bob: BaresipPhone) => Promise<void>,
): Promise<void> {
  const { ports } = rig.carillon
  const started: BaresipPhone[] = []
  try {
    const caller = await BaresipPhone.start(rig.folder, { ...ALICE, transport: alice, port: ports[alice] })
    started.push(caller)
    const callee = await BaresipPhone.start(rig.folder, { ...BOB, transport: bob, port: ports[bob] })
    started.push(callee)
    await caller.registered()
    await callee.registered()
    await use(caller, callee)
  } catch (error) {
    const outputs = started.map((phone) => `── ${phone.user}\n${phone.output()}`)
    throw new Error(`${String(error)}\n${outputs.join('\n')}\n${rig.carillon.log().split('\n').slice(-20).join('\n')}`)
  } finally {
    for (const phone of started) await phone.stop()
  }
}

for (const [alice, bob] of [
  ['udp', 'tcp'],
  ['tcp', 'tls'],
  ['tls', 'udp'],
] as const) {
  test(`a telephone on ${alice} calls one on ${bob}: answered, held, resumed, hung up`, options, async () => {
    await phones(alice, bob, async (caller, callee) => {
      caller.command('dial', `sip:bob@${DOMAIN}`)
      const incoming = await callee.event('CALL_INCOMING')
      assert.match(incoming.peeruri, /alice|12025550101/)
      callee.command('accept')
      await caller.event('CALL_ESTABLISHED')
      await callee.event('CALL_ESTABLISHED')
      caller.command('hold')
      await callee.printed(/a=sendonly/)
      await caller.printed(/a=recvonly/)
      caller.command('resume')
      await callee.printed(/a=sendonly[\s\S]*a=sendrecv/)
      await caller.printed(/a=recvonly[\s\S]*a=sendrecv/)
      callee.command('hangup')
      await caller.event('CALL_CLOSED')
    })
  })
}

test('a telephone that refuses', options, async () => {
  await phones('udp', 'udp', async (caller, callee) => {
    caller.command('dial', `sip:bob@${DOMAIN}`)
    await callee.event('CALL_INCOMING')
    callee.command('hangup')
    const closed = await caller.event('CALL_CLOSED')
    assert.match(closed.param, /486|Busy|603|Decline/i)
  })
})

test('a telephone that gives up while it rings', options, async () => {
  await phones('tcp', 'udp', async (caller, callee) => {
    caller.command('dial', `sip:bob@${DOMAIN}`)
    await callee.event('CALL_INCOMING')
    await caller.event('CALL_RINGING')
    caller.command('hangup')
    await callee.event('CALL_CLOSED')
  })
})
