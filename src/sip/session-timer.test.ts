import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseResponse, request, responseText } from '#sip/_rig.test.ts'
import {
  answerSessionTimer,
  askSessionTimer,
  minSeOf,
  parseSessionExpires,
  sessionTimerFrom,
} from '#sip/session-timer.ts'

const SETTINGS = { sessionExpiresS: 1_800, minSeS: 90 }

function answered(headers: string, settings = SETTINGS): string {
  const answer = answerSessionTimer(request('INVITE', { headers }), settings)
  if (!answer.ok) return `422 ${answer.headers.trim()}`
  const match = /Session-Expires: (.*)\r\n/.exec(answer.headers)
  return `${match?.[1]}${answer.headers.includes('Require: timer') ? ' required' : ''}`
}

test('Session-Expires and Min-SE are read with their parameters; what is malformed counts as absent (§4, §5)', () => {
  const read = (value: string) => parseSessionExpires(request('INVITE', { headers: `Session-Expires: ${value}\r\n` }))
  assert.deepEqual(read('1800'), { intervalS: 1_800, refresher: null })
  assert.deepEqual(read('1800;refresher=UAS'), { intervalS: 1_800, refresher: 'uas' })
  assert.deepEqual(read('90 ; x=y;refresher=uac'), { intervalS: 90, refresher: 'uac' })
  assert.deepEqual(read('90;refresher=both'), { intervalS: 90, refresher: null })
  for (const value of ['', '0', '-1', 'x', '1.5', '99999999999']) assert.equal(read(value), null, value)
  assert.equal(minSeOf(request('INVITE', { headers: 'Min-SE: 120;x\r\n' })), 120)
  assert.equal(minSeOf(request('INVITE', { headers: 'Min-SE: x\r\n' })), 0)
  assert.equal(minSeOf(request('INVITE')), 0)
  assert.equal(parseSessionExpires(request('INVITE', { headers: 'x: 1800\r\n' }))?.intervalS, 1_800, 'compact form')
})

test('the UAS answers by Table 2 (§9)', () => {
  assert.equal(answered(''), '1800;refresher=uas', 'the UAC knows no timers')
  assert.equal(answered('Supported: timer\r\n'), '1800;refresher=uac required')
  assert.equal(answered('Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n'), '1800;refresher=uac required')
  assert.equal(answered('Supported: timer\r\nSession-Expires: 1800;refresher=uas\r\n'), '1800;refresher=uas required')
  assert.equal(answered('Require: timer\r\nSession-Expires: 900\r\n'), '900;refresher=uac required')
  assert.equal(answered('Session-Expires: 900\r\n'), '900;refresher=uas', 'a proxy asked for it')
})

test('the UAS may shorten the interval but not below the Min-SE of the request (§9)', () => {
  assert.equal(answered('Supported: timer\r\nSession-Expires: 7200\r\n'), '1800;refresher=uac required')
  assert.equal(answered('Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n'), '3600;refresher=uac required')
})

test('an interval below our minimum is refused with it, when the UAC can try again (§9)', () => {
  const settings = { sessionExpiresS: 1_800, minSeS: 300 }
  assert.equal(answered('Supported: timer\r\nSession-Expires: 200\r\n', settings), '422 Min-SE: 300')
  assert.equal(answered('Session-Expires: 200\r\n', settings), '300;refresher=uas')
})

test('the UAC asks with interval, Min-SE and, in a refresh, its own part (§7.1, §7.4)', () => {
  assert.equal(askSessionTimer(SETTINGS, null), 'Session-Expires: 1800\r\nMin-SE: 90\r\n')
  assert.equal(askSessionTimer(SETTINGS, 'uac'), 'Session-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n')
})

test('the UAC takes what the 2xx says; without Session-Expires it refreshes by its own interval (§7.2)', () => {
  const from = (headers: string) =>
    sessionTimerFrom(parseResponse(responseText(request('INVITE'), 200, { headers })), SETTINGS)
  assert.deepEqual(from('Session-Expires: 600;refresher=uac\r\n'), { intervalS: 600, weRefresh: true })
  assert.deepEqual(from('Session-Expires: 600;refresher=uas\r\n'), { intervalS: 600, weRefresh: false })
  assert.deepEqual(from('Session-Expires: 10;refresher=uac\r\n'), { intervalS: 90, weRefresh: true }, 'never a storm')
  assert.deepEqual(from(''), { intervalS: 1_800, weRefresh: true })
})
