// Debian's rtpengine as the gateway that our switch drives, for whole calls between two baresip telephones.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { BaresipPhone } from '#test/interop/baresip-phone.ts'
import { DOMAIN, udpPort, until } from '#test/interop/carillon-process.ts'
import { hears, tone } from '#test/interop/hearing.ts'
import { ALICE, BOB, Rig } from '#test/interop/rig.ts'
import { RtpengineProcess } from '#test/interop/rtpengine-process.ts'
import { peers } from '#test/peers.ts'

const { options } = peers('baresip', 'tshark', 'rtpengine')
let rig: Rig
let rtpengine: RtpengineProcess

before(async () => {
  if (options.skip !== false) return
  const port = await udpPort('127.0.0.1')
  rtpengine = await RtpengineProcess.start(30_000 + (port % 100) * 100)
  rig = await Rig.start('', [], 'algorithms: [SHA-256, MD5]', `gateways: ["udp:127.0.0.1:${rtpengine.port}"]`)
})
after(async () => {
  if (options.skip !== false) return
  await rig.end()
  await rtpengine.stop()
})

test('rtpengine carries a call: answered, held, resumed, hung up, and nothing of it is left', options, async () => {
  const port = rig.carillon.ports.udp
  const alice = await BaresipPhone.start(rig.folder, { ...ALICE, transport: 'udp', port, toneHz: 440 })
  const bob = await BaresipPhone.start(rig.folder, { ...BOB, transport: 'udp', port, toneHz: 700 })
  try {
    await alice.registered()
    await bob.registered()
    alice.command('dial', `sip:bob@${DOMAIN}`)
    await bob.event('CALL_INCOMING')
    bob.command('accept')
    await alice.event('CALL_ESTABLISHED')
    await hears(alice, '700 Hz', tone(700))
    await hears(bob, '440 Hz', tone(440))
    alice.command('hold')
    await bob.printed(/a=sendonly/)
    alice.command('resume')
    await bob.printed(/a=sendonly[\s\S]*a=sendrecv/)
    await hears(alice, '700 Hz', tone(700))
    await hears(bob, '440 Hz', tone(440))
    alice.command('hangup')
    await bob.event('CALL_CLOSED')
    const stop = await rig.carillon.cdr('STOP', (cdr) => cdr.type === 'STOP')
    assert.ok(stop.media !== null, 'the record has the media')
    await until('rtpengine has no call left', 5_000, () => Promise.resolve(/Final packet stats/.test(rtpengine.log())))
  } catch (error) {
    throw new Error(`${String(error)}\n${alice.output()}\n${bob.output()}\n${rtpengine.log().slice(-5_000)}`)
  } finally {
    await alice.stop()
    await bob.stop()
  }
})
