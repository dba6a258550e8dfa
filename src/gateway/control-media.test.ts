// What commands make of a call's media: silence, recordings, playback, the code point, changed lines; and what is not done is told.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlRig, portOf, type Rig, sdp } from '#gateway/_control-rig.test.ts'
import type { Order } from '#gateway/plane.ts'

const CALL = { 'call-id': 'c', 'from-tag': 'a' }
const OFFER = { command: 'offer', ...CALL, sdp: sdp('198.51.100.1', 4000) }
const ANSWER = { command: 'answer', ...CALL, 'to-tag': 'b', sdp: sdp('198.51.100.2', 5000) }
const KEY = 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n'

function orders<Name extends Order['order']>(rig: Rig, name: Name): Extract<Order, { order: Name }>[] {
  return rig.plane.orders.filter((order): order is Extract<Order, { order: Name }> => order.order === name)
}

test('Silence, blocking and letting through are orders of their own', () => {
  const rig = controlRig()
  rig.command(OFFER)
  const near = rig.plane.idOf(portOf(rig.command(ANSWER)))
  for (const command of ['silence media', 'block media', 'unsilence media', 'unblock media']) {
    assert.equal(rig.command({ command, ...CALL })['result'], 'ok')
  }
  assert.deepEqual(
    orders(rig, 'block').map(({ stream, media, silences }) => [stream === near, media, silences]),
    [
      [true, false, true],
      [true, true, true],
      [true, true, false],
      [true, false, false],
    ],
  )
})

test('A recording begins with the offer, pauses, goes on in the same file and ends', () => {
  const rig = controlRig({ recordingsFolder: '/recordings' })
  rig.command({ ...OFFER, 'record call': 'yes', 'output-destination': '../x y' })
  rig.command(ANSWER)
  const begun = orders(rig, 'record')
  assert.equal(new Set(begun.map(({ file }) => file)).size, 2)
  for (const { file, paused } of begun) {
    assert.match(String(file), /^\/recordings\/_[A-Za-z0-9._-]+\.wav$/)
    assert.equal(paused, false)
  }
  rig.command({ command: 'pause recording', ...CALL })
  rig.command({ command: 'start recording', ...CALL })
  rig.command({ command: 'stop recording', ...CALL })
  const files = begun.map(({ file }) => file)
  assert.deepEqual(
    orders(rig, 'record').map(({ file, paused }) => [file, paused]),
    [
      ...files.map((file) => [file, false]),
      ...files.map((file) => [file, true]),
      ...files.map((file) => [file, false]),
      ...files.map(() => [null, false]),
    ],
  )
})

test('The code point of a call is that of its command', () => {
  const rig = controlRig()
  rig.command({ ...OFFER, TOS: 184 })
  assert.deepEqual(
    orders(rig, 'open').map(({ dscp }) => dscp),
    [46, 46],
  )
  rig.command({ ...OFFER, 'call-id': 'd', TOS: 96 })
  assert.deepEqual(
    orders(rig, 'open').map(({ dscp }) => dscp),
    [46, 46, 24, 24],
  )
})

test('RFC 8643: keys are offered beside RTP/AVP, and nothing is encrypted when the answer has none', () => {
  for (const line of [KEY, '']) {
    const rig = controlRig()
    const offered = rig.command({ ...OFFER, OSRTP: ['offer'] })
    assert.match(String(offered['sdp']), /RTP\/AVP [\s\S]*a=crypto:1 /)
    rig.command({ ...ANSWER, sdp: sdp('198.51.100.2', 5000, `m=audio PORT RTP/AVP 0\r\n${line}`) })
    const far = rig.plane.settingsOf(portOf(offered))
    assert.equal(far?.protectIn !== null && far?.protectOut !== null, line !== '')
    assert.equal(far?.source.kind, 'stream')
  }
})

test('RFC 8643: keys that came beside RTP/AVP are answered when that is asked for, and only then', () => {
  for (const asked of [true, false]) {
    const rig = controlRig()
    const both = sdp('198.51.100.1', 4000, `m=audio PORT RTP/AVP 0\r\n${KEY}`)
    const offered = rig.command({ ...OFFER, sdp: both, ...(asked ? { OSRTP: ['accept'] } : {}) })
    assert.doesNotMatch(String(offered['sdp']), /crypto/)
    const answered = rig.command(ANSWER)
    assert.equal(/RTP\/AVP 0[\s\S]*a=crypto:1 /.test(String(answered['sdp'])), asked)
    assert.equal(rig.plane.settingsOf(portOf(answered))?.protectIn != null, asked)
  }
})

test('Lines of attributes are added, removed and replaced as the command says', () => {
  const rig = controlRig()
  const offered = rig.command({
    ...OFFER,
    'sdp-attr': {
      audio: { add: ['x-note:1'], remove: ['rtpmap:101 telephone-event/8000'] },
      global: { add: ['x-all'] },
    },
  })
  const text = String(offered['sdp'])
  assert.match(text, /a=x-all\r\n[\s\S]*m=audio[\s\S]*a=x-note:1\r\n/)
  assert.doesNotMatch(text, /rtpmap:101/)
})

test('What is understood and not done is told in the reply, and digits are kept back rather than let through', () => {
  const rig = controlRig()
  const reply = rig.command({
    ...OFFER,
    flags: ['mirror', 'trust-address'],
    'DTMF-security': 'tone',
    'record call': 'on',
  })
  assert.equal(reply['result'], 'ok')
  assert.deepEqual(reply['unknown-flags'], ['mirror', 'DTMF-security=tone', 'record-call'])
  const blocks = orders(rig, 'block')
  assert.ok(blocks.length > 0 && blocks.every(({ dtmf }) => dtmf))
  assert.equal(rig.command(ANSWER)['unknown-flags'], undefined)
})
