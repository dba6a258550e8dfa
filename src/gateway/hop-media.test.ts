// Keys, multiplexing, latching and conversion on the two hops of a call.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlRig, portOf, sdp } from '#gateway/_control-rig.test.ts'

const CALL = { 'call-id': 'c', 'from-tag': 'a' }
const KEY = 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n'
const PLAIN = sdp('198.51.100.2', 5000, 'm=audio PORT RTP/AVP 0\r\n')

test('Each side has keys of its own: encrypted towards the offerer, plain towards the answerer', () => {
  const rig = controlRig()
  const secure = sdp('198.51.100.1', 4000, `m=audio PORT RTP/SAVP 0\r\n${KEY}`)
  const offered = rig.command({ command: 'offer', ...CALL, sdp: secure, 'transport-protocol': 'RTP/AVP' })
  assert.match(String(offered['sdp']), /RTP\/AVP 0/)
  assert.doesNotMatch(String(offered['sdp']), /crypto/)
  const answered = rig.command({ command: 'answer', ...CALL, 'to-tag': 'b', sdp: PLAIN })
  assert.match(String(answered['sdp']), /RTP\/SAVP 0[\s\S]*a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:/)
  assert.doesNotMatch(String(answered['sdp']), /WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz/)
  const near = rig.plane.settingsOf(portOf(answered))
  assert.equal(near?.protectIn?.masterKey.length, 16)
  assert.notDeepEqual(near?.protectIn?.masterKey, near?.protectOut?.masterKey)
  assert.equal(rig.plane.settingsOf(portOf(offered))?.protectOut, null)
  const again = rig.command({ command: 'offer', ...CALL, 'to-tag': 'b', sdp: secure, 'transport-protocol': 'RTP/AVP' })
  assert.equal(again['result'], 'ok')
  const second = rig.command({ command: 'answer', ...CALL, 'to-tag': 'b', sdp: PLAIN })
  const keyOf = (text: unknown): string | undefined => /inline:(\S+)/.exec(String(text))?.[1]
  assert.equal(keyOf(second['sdp']), keyOf(answered['sdp']))
})

test("RFC 4568 §6.1: the identifier of the far side's master key is that of the packets that are taken", () => {
  const rig = controlRig()
  const named = KEY.replace('\r\n', '|2^20|258:4\r\n')
  const secure = sdp('198.51.100.1', 4000, `m=audio PORT RTP/SAVP 0\r\n${named}`)
  rig.command({ command: 'offer', ...CALL, sdp: secure, 'transport-protocol': 'RTP/AVP' })
  const answered = rig.command({ command: 'answer', ...CALL, 'to-tag': 'b', sdp: PLAIN })
  const near = rig.plane.settingsOf(portOf(answered))
  assert.deepEqual([...(near?.protectIn?.mki ?? [])], [0, 0, 1, 2])
  assert.equal(near?.protectOut?.mki, undefined)
})

test('An encrypted offer whose answer has no key is not passed in the clear', () => {
  const rig = controlRig()
  const offered = rig.command({ command: 'offer', ...CALL, sdp: PLAIN, 'transport-protocol': 'RTP/SAVP' })
  assert.match(String(offered['sdp']), /RTP\/SAVP 0[\s\S]*a=crypto:/)
  const answer = sdp('198.51.100.1', 4000, 'm=audio PORT RTP/SAVP 0\r\n')
  const answered = rig.command({ command: 'answer', ...CALL, 'to-tag': 'b', sdp: answer })
  assert.equal(portOf(answered), 0)
})

test('A browser gets a fingerprint, ICE candidates of the lite agent and rtcp-mux', () => {
  const fingerprint = Array.from({ length: 32 }, () => 'AB').join(':')
  const rig = controlRig({ fingerprint })
  const offered = rig.command({
    command: 'offer',
    ...CALL,
    sdp: PLAIN,
    'transport-protocol': 'UDP/TLS/RTP/SAVPF',
    ICE: 'force',
    'rtcp-mux': ['offer'],
  })
  const text = String(offered['sdp'])
  for (const part of [
    'a=ice-lite',
    'a=candidate:',
    `a=fingerprint:sha-256 ${fingerprint}`,
    'a=setup:actpass',
    'a=rtcp-mux',
  ])
    assert.ok(text.includes(part), part)
  const webrtc = `m=audio PORT UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\na=setup:active\r\na=fingerprint:sha-256 ${fingerprint}\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n`
  const answered = rig.command({ command: 'answer', ...CALL, 'to-tag': 'b', sdp: sdp('198.51.100.1', 4000, webrtc) })
  assert.match(String(answered['sdp']), /RTP\/AVP 0/)
  const far = rig.plane.settingsOf(portOf(offered))
  assert.equal(far?.dtls?.role, 'passive')
  assert.equal(far?.ice?.remoteUfrag, 'abcd')
  assert.equal(far?.rtcpMux, true)
  assert.equal(far?.remoteRtcp, null)
})

test('Sides without a common codec are converted when the command allows it', () => {
  const rig = controlRig()
  const offer = { command: 'offer', ...CALL, sdp: PLAIN, codec: { transcode: ['PCMA'] } }
  const offered = rig.command(offer)
  assert.match(String(offered['sdp']), /RTP\/AVP 0 8/)
  const answer = sdp('198.51.100.1', 4000, 'm=audio PORT RTP/AVP 8\r\n')
  const answered = rig.command({ command: 'answer', ...CALL, 'to-tag': 'b', sdp: answer })
  assert.match(String(answered['sdp']), /RTP\/AVP 0\r\n/)
  assert.equal(rig.plane.settingsOf(portOf(answered))?.payloads[0]?.encoding, 'PCMU')
  assert.equal(rig.plane.settingsOf(portOf(offered))?.payloads[0]?.encoding, 'PCMA')
})

test('What is encoded has the bit rate and the packet time of the command, at most what the far side takes', () => {
  const rig = controlRig({ encodings: ['PCMU', 'PCMA', 'OPUS'] })
  const codec = { transcode: ['opus/48000/2'], set: ['opus/48000/2/32000/40'] }
  const offered = rig.command({ command: 'offer', ...CALL, sdp: PLAIN, codec })
  const number = /a=rtpmap:(\d+) opus/i.exec(String(offered['sdp']))?.[1] ?? ''
  for (const [parameters, expected] of [
    ['useinbandfec=1', 'useinbandfec=1;maxaveragebitrate=32000'],
    ['maxaveragebitrate=16000;cbr=1', 'cbr=1;maxaveragebitrate=16000'],
  ] as const) {
    const lines = `m=audio PORT RTP/AVP ${number}\r\na=rtpmap:${number} opus/48000/2\r\na=fmtp:${number} ${parameters}\r\n`
    const answered = rig.command({ command: 'answer', ...CALL, 'to-tag': 'b', sdp: sdp('198.51.100.1', 4000, lines) })
    assert.doesNotMatch(String(answered['sdp']), /maxaveragebitrate/)
    const far = rig.plane.settingsOf(portOf(offered))
    assert.equal(far?.payloads[0]?.parameters, expected)
    assert.equal(far?.ptimeMs, 40)
  }
})

test('With the source of the signalling known only that host may latch', () => {
  const rig = controlRig()
  rig.command({ command: 'offer', ...CALL, sdp: PLAIN, 'received-from': ['IP4', '203.0.113.77'] })
  const flags = ['asymmetric']
  const answered = rig.command({ command: 'answer', ...CALL, 'to-tag': 'b', sdp: PLAIN.replace('5000', '6000'), flags })
  const near = rig.plane.settingsOf(portOf(answered))
  assert.equal(near?.latching, 'signalledHost')
  assert.equal(near?.signalledHost, '203.0.113.77')
})

test('Media is never sent to multicast, broadcast or unspecified addresses', () => {
  for (const host of ['239.1.2.3', '255.255.255.255', '0.0.0.0']) {
    const rig = controlRig()
    rig.command({ command: 'offer', ...CALL, sdp: PLAIN })
    const offered = [...rig.plane.open.values()]
    rig.command({ command: 'answer', ...CALL, 'to-tag': 'b', sdp: sdp(host, 5000, 'm=audio PORT RTP/AVP 0\r\n') })
    assert.ok(offered.every((open) => open.settings?.remote?.host !== host))
  }
})
