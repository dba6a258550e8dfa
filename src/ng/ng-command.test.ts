import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readNgCommand } from '#ng/ng-command-reader.ts'
import { writeNgCommand } from '#ng/ng-command-writer.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import { NG_SETTINGS } from '#ng/ng-settings.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

const OFFER = { command: 'offer', 'call-id': 'c', 'from-tag': 'f', sdp: 'v=0\r\n' }

function settingsOf(more: NgDictionary) {
  const command = readNgCommand({ ...OFFER, ...more })
  assert.ok(!(command instanceof NgProblem) && command.command === 'offer')
  assert.deepEqual(command.unknown, [])
  return command.settings
}

test('every spelling of a key or flag is the same setting', () => {
  for (const flag of ['trust address', 'trust-address', 'trust_address', 'Trust-Address']) {
    assert.deepEqual(settingsOf({ flags: [flag] }).flags, new Set(['trust-address']))
  }
  assert.equal(settingsOf({ 'transport protocol': 'RTP/SAVPF' }).transportProtocol, 'RTP/SAVPF')
  assert.equal(settingsOf({ 'received from': ['IP4', '192.0.2.1'] }).receivedFrom, '192.0.2.1')
  assert.deepEqual(settingsOf({ 'loop-protect': 'yes' }).flags, new Set(['loop-protect']))
})

test('codecs and SDES are the same as a dictionary, a list and flags', () => {
  const flags = settingsOf({ flags: ['codec-strip-PCMU', 'transcode-opus/48000/2', 'SDES-no-NULL_HMAC_SHA1_32'] })
  const keys = settingsOf({
    codec: { strip: ['PCMU'], transcode: ['opus/48000/2'] },
    SDES: ['no-NULL_HMAC_SHA1_32'],
  })
  assert.deepEqual(flags, keys)
  assert.deepEqual(flags.codecs.strip, ['PCMU'])
  assert.deepEqual(settingsOf({ flags: ['codec-set-iLBC/8000/1///mode--30'] }).codecs.set, ['iLBC/8000/1///mode=30'])
})

test('a command without settings has the defaults', () => {
  assert.deepEqual(settingsOf({}), NG_SETTINGS)
})

test('what is not understood is reported', () => {
  const command = readNgCommand({ ...OFFER, flags: ['no such flag'], colour: 'red', ICE: 'maybe' })
  assert.ok(!(command instanceof NgProblem))
  assert.deepEqual([...command.unknown].sort(), ['colour', 'ice=maybe', 'no such flag'])
})

test('a missing key is named', () => {
  const problem = readNgCommand({ command: 'answer', 'call-id': 'c', 'from-tag': 'f', sdp: 'v=0' })
  assert.ok(problem instanceof NgProblem && problem.code === 'NG_KEY_MISSING' && problem.reason.includes('to-tag'))
})

test('what is written is read as the same command', () => {
  const dictionaries: NgDictionary[] = [
    {
      ...OFFER,
      flags: ['strict-source', 'generate RTCP', 'inject DTMF', 'passthrough', 'all'],
      replace: ['origin', 'session connection'],
      'rtcp-mux': ['demux'],
      SDES: ['pad', 'only-AES_CM_128_HMAC_SHA1_80', 'order:A;B;', 'encrypted_srtp'],
      OSRTP: ['accept'],
      'T.38': ['decode', 'no-V17'],
      codec: { mask: ['all'], transcode: ['PCMA'] },
      'sdp-attr': { none: { add: ['a'], substitute: [['x', 'y']] } },
      direction: ['priv', 'pub'],
      ICE: 'force_relay',
      DTLS: 'passive',
      TOS: 184,
      'DTMF-security': 'tone',
      frequency: '400,450',
      volume: 10,
    },
    { command: 'delete', 'call-id': 'c', 'from-tag': 'f', 'delete delay': 3, flags: ['fatal'] },
    { command: 'play DTMF', 'call-id': 'c', 'from-tag': 'f', code: 11, duration: 9, volume: 5 },
    { command: 'play media', 'call-id': 'c', label: 'l', blob: '\xff', 'repeat-times': '2' },
    { command: 'stop_recording', 'call-id': 'c', pause: 'yes' },
    { command: 'block media', 'call-id': 'c', all: 'flows' },
    { command: 'list', limit: '5' },
  ]
  for (const dictionary of dictionaries) {
    const command = readNgCommand(dictionary)
    assert.ok(!(command instanceof NgProblem), JSON.stringify(command))
    assert.deepEqual(command.unknown, [])
    assert.deepEqual(readNgCommand(writeNgCommand(command)), command)
  }
})

test('any dictionary is a command or a problem', () => {
  const value = fc.oneof(fc.string(), fc.integer(), fc.array(fc.string()), fc.dictionary(fc.string(), fc.string()))
  const key = fc.oneof(fc.constantFrom('flags', 'codec', 'sdp-attr', 'SDES', 'direction', 'ptime', 'all'), fc.string())
  fc.assert(
    fc.property(fc.dictionary(key, value), (more) => {
      readNgCommand({ ...OFFER, ...(more as Record<string, NgValue>) })
    }),
  )
})
