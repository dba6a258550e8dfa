// Media through the embedded gateway, judged on what baresip heard: service numbers, two codecs, a gateway and a switch that die.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Recording } from '#test/interop/audio-judge.ts'
import { BaresipPhone, type PhoneOptions } from '#test/interop/baresip-phone.ts'
import { DOMAIN, udpPort, until } from '#test/interop/carillon-process.ts'
import { HEARD_MS, hears, PURE, tone } from '#test/interop/hearing.ts'
import { ALICE, BOB, Rig } from '#test/interop/rig.ts'
import { peers } from '#test/peers.ts'

const { options } = peers('baresip', 'tshark')
const ALGORITHMS = 'algorithms: [SHA-256, MD5]'
let rig: Rig

before(async () => {
  if (options.skip !== false) return
  const port = await udpPort('127.0.0.1')
  const first = 20_000 + (port % 100) * 100
  rig = await Rig.start('', [], ALGORITHMS, `listen: 127.0.0.1, ports: ${first}-${first + 199}`)
})
after(async () => {
  if (options.skip === false) await rig.end()
})

type Own = Partial<PhoneOptions>

/** Starts telephones, registered, and ends them after `use`. */
async function phones(
  wanted: readonly Own[],
  use: (...phones: readonly BaresipPhone[]) => Promise<void>,
): Promise<void> {
  const accounts = [ALICE, BOB]
  const started: BaresipPhone[] = []
  try {
    for (const [at, own] of wanted.entries()) {
      const account = accounts[at] ?? ALICE
      const port = rig.carillon.ports.udp
      const phone = await BaresipPhone.start(rig.folder, { ...account, transport: 'udp', port, ...own })
      started.push(phone)
      await phone.registered()
    }
    await use(...started)
  } catch (error) {
    const outputs = started.map((phone) => `── ${phone.user}\n${phone.output()}`)
    throw new Error(`${String(error)}\n${outputs.join('\n')}\n${rig.carillon.log().split('\n').slice(-20).join('\n')}`)
  } finally {
    for (const phone of started) await phone.stop()
  }
}

test('600 is an echo: a telephone hears itself', options, async () => {
  await phones([{ toneHz: 440 }], async (alice) => {
    assert.ok(alice)
    alice.command('dial', `sip:600@${DOMAIN}`)
    await alice.event('CALL_ESTABLISHED')
    await hears(alice, 'its own 440 Hz', tone(440))
    alice.command('hangup')
    const stop = await rig.carillon.cdr('STOP of the echo', (cdr) => cdr.type === 'STOP' && cdr.callee.includes('600'))
    assert.equal(stop.releaseParty, 'caller')
  })
})

test('601 is the milliwatt: 1004 Hz', options, async () => {
  await phones([{ toneHz: 440 }], async (alice) => {
    assert.ok(alice)
    alice.command('dial', `sip:601@${DOMAIN}`)
    await alice.event('CALL_ESTABLISHED')
    await hears(alice, '1004 Hz', tone(1_004))
  })
})

test('602 says the time', options, async () => {
  await phones([{ toneHz: 440 }], async (alice) => {
    assert.ok(alice)
    alice.command('dial', `sip:602@${DOMAIN}`)
    await alice.event('CALL_ESTABLISHED')
    await hears(alice, 'speech', (second) => second.power > 10_000 && second.share(440) < PURE)
  })
})

test('603 is a conference: two telephones hear each other, and not themselves', options, async () => {
  await phones([{ toneHz: 440 }, { toneHz: 700 }], async (alice, bob) => {
    assert.ok(alice)
    assert.ok(bob)
    for (const phone of [alice, bob]) {
      phone.command('dial', `sip:603@${DOMAIN}`)
      await phone.event('CALL_ESTABLISHED')
    }
    await hears(alice, 'bob', tone(700))
    await hears(bob, 'alice', tone(440))
  })
})

test('a telephone with G.711 and one with Opus hear each other', options, async () => {
  const bobs: Own = { toneHz: 700, codecs: 'opus/48000/2', modules: ['opus'] }
  await phones([{ toneHz: 440, codecs: 'PCMA/8000/1' }, bobs], async (alice, bob) => {
    assert.ok(alice)
    assert.ok(bob)
    alice.command('dial', `sip:bob@${DOMAIN}`)
    await bob.event('CALL_INCOMING')
    bob.command('accept')
    await alice.event('CALL_ESTABLISHED')
    await hears(alice, 'bob', tone(700))
    await hears(bob, 'alice', tone(440))
    bob.command('hangup')
    await alice.event('CALL_CLOSED')
    const stop = await rig.carillon.cdr('STOP of the call', (cdr) => cdr.type === 'STOP' && cdr.callee.includes('bob'))
    assert.ok(stop.media !== null, 'the record has the media')
  })
})

test('two telephones with one codec hear each other, through hold and resume', options, async () => {
  await phones([{ toneHz: 440 }, { toneHz: 700 }], async (alice, bob) => {
    assert.ok(alice)
    assert.ok(bob)
    alice.command('dial', `sip:bob@${DOMAIN}`)
    await bob.event('CALL_INCOMING')
    bob.command('accept')
    await alice.event('CALL_ESTABLISHED')
    await hears(alice, 'bob', tone(700))
    await hears(bob, 'alice', tone(440))
    alice.command('hold')
    await bob.printed(/a=sendonly/)
    alice.command('resume')
    await bob.printed(/a=sendonly[\s\S]*a=sendrecv/)
    await hears(alice, 'bob again', tone(700))
    await hears(bob, 'alice again', tone(440))
    bob.command('hangup')
    await alice.event('CALL_CLOSED')
  })
})

for (const [name, secure] of [
  ['SRTP with keys in the description', { account: ['mediaenc=srtp-mand'], modules: ['srtp'] }],
  ['DTLS-SRTP', { account: ['mediaenc=dtls_srtp'], modules: ['srtp', 'dtls_srtp'] }],
] as const) {
  test(`a telephone with ${name} calls a plain one`, options, async () => {
    await phones([{ toneHz: 440, ...secure }, { toneHz: 700 }], async (alice, bob) => {
      assert.ok(alice)
      assert.ok(bob)
      await talk(alice, bob)
      assert.match(alice.output(), /m=audio \d+ \S*SAVPF? /)
      alice.command('hangup')
      await bob.event('CALL_CLOSED')
    })
  })
}

/** Both telephones talk and hear each other. */
async function talk(alice: BaresipPhone, bob: BaresipPhone): Promise<void> {
  alice.command('dial', `sip:${bob.user}@${DOMAIN}`)
  await bob.event('CALL_INCOMING')
  bob.command('accept')
  await alice.event('CALL_ESTABLISHED')
  await hears(alice, bob.user, tone(bob.user === 'bob' ? 700 : 440))
  await hears(bob, alice.user, tone(alice.user === 'bob' ? 700 : 440))
}

/** Seconds that a telephone has heard so far in its last call. */
function heardSeconds(phone: BaresipPhone): number {
  const file = phone.heard
  return (file === null ? null : Recording.read(file))?.seconds ?? 0
}

test(
  'kill -9 of the switch in a call: the audio goes on, and the call ends with one right record',
  options,
  async () => {
    await phones([{ toneHz: 440 }, { toneHz: 700 }], async (alice, bob) => {
      assert.ok(alice)
      assert.ok(bob)
      const before = rig.carillon.cdrs().length
      await talk(alice, bob)
      const killedAt = heardSeconds(alice)
      process.kill(rig.carillon.switchPid(), 'SIGKILL')
      await until('the supervisor has seen it', 5_000, async () => {
        const health = await fetch(`http://127.0.0.1:${rig.carillon.ports.http}/healthz`)
        return health.status === 503
      })
      await rig.carillon.untilHealthy(10_000)
      const seconds = heardSeconds(alice)
      await until('two more seconds are heard', 10_000, () => Promise.resolve(heardSeconds(alice) >= seconds + 2))
      const heard = Recording.read(alice.heard ?? '')
      assert.ok(heard !== null)
      // From the kill on, in pieces of a tenth of a second: bob's tone is in each.
      const piece = heard.rate / 10
      const since = heard.samples.slice(Math.floor(killedAt * heard.rate))
      for (let at = 0; at + piece <= since.length; at += piece) {
        const tenth = new Recording(since.slice(at, at + piece), heard.rate)
        assert.ok(tenth.power > 10_000 && tenth.share(700) > 0.5, `silence ${at / heard.rate} s after the kill`)
      }
      alice.command('hangup')
      await bob.event('CALL_CLOSED')
      const stop = await rig.carillon.cdr('STOP', (cdr) => cdr.type === 'STOP' && cdr.sequence > before)
      assert.equal(stop.releaseCode, 'NORMAL')
      assert.equal(stop.releaseParty, 'caller')
      assert.ok(stop.media !== null, 'the record has the media')
      const own = rig.carillon.cdrs().filter(({ callId }) => callId === stop.callId)
      assert.deepEqual(
        own.map(({ type }) => type),
        ['START', 'STOP'],
      )
    })
  },
)

test('kill -9 of the gateway in a call: the call is anchored anew, and is heard again', options, async () => {
  await phones([{ toneHz: 440 }, { toneHz: 700 }], async (alice, bob) => {
    assert.ok(alice)
    assert.ok(bob)
    const before = rig.carillon.cdrs().length
    await talk(alice, bob)
    process.kill(rig.carillon.gatewayPid(), 'SIGKILL')
    await until('the supervisor has seen it', 5_000, async () => {
      const health = await fetch(`http://127.0.0.1:${rig.carillon.ports.http}/healthz`)
      return health.status === 503
    })
    await rig.carillon.untilHealthy(10_000)
    const seconds = heardSeconds(alice)
    await until('alice hears on', HEARD_MS, () => Promise.resolve(heardSeconds(alice) >= seconds + 1.5))
    await hears(alice, 'bob again', tone(700))
    await hears(bob, 'alice again', tone(440))
    bob.command('hangup')
    await alice.event('CALL_CLOSED')
    const stop = await rig.carillon.cdr('STOP', (cdr) => cdr.type === 'STOP' && cdr.sequence > before)
    assert.equal(stop.releaseCode, 'NORMAL')
  })
})
