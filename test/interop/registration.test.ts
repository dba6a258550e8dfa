// SIPp registers with Carillon over UDP and TCP; what is not right is refused, and tells nothing (RFC 3261 §10, RFC 7616).

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { DOMAIN, udpPort } from '#test/interop/carillon-process.ts'
import { ALICE, PHONE_HOST, Rig } from '#test/interop/rig.ts'
import { peers } from '#test/peers.ts'

const { options } = peers('sipp', 'tshark')
let rig: Rig

before(async () => {
  if (options.skip === false) rig = await Rig.start()
})
after(async () => {
  if (options.skip === false) await rig.end()
})

for (const transport of ['udp', 'tcp'] as const) {
  test(`a telephone registers, refreshes and unregisters over ${transport}`, options, async () => {
    const from = { host: PHONE_HOST, port: await udpPort(PHONE_HOST) }
    const { messages } = await rig.run({ scenario: 'register', from, transport, ...ALICE, keys: { expires: '600' } })
    assert.match(messages, /^WWW-Authenticate: Digest .*qop="auth"/im)
    assert.match(messages, new RegExp(`^Contact: <sip:alice@${from.host}:${from.port};.*expires=600`, 'im'))
    await rig.run({ scenario: 'register', from, transport, ...ALICE, keys: { expires: '600' } })
    await rig.run({ scenario: 'unregister', from, transport, ...ALICE, keys: { expires: '0' } })
  })
}

/** A response as a guesser can compare it: what changes from one request to the next is taken out. */
function comparable(message: string): string {
  return message
    .replaceAll(/nonce="[^"]*"/g, 'nonce')
    .replaceAll(/(tag|branch|received|rport)=[^;\s]*/g, '$1')
    .replaceAll(/^(Call-ID|CSeq|Via|Date|Contact):.*$/gim, '$1')
    .replaceAll(/alice|nobody/g, 'user')
}

test('a wrong password and a user who does not exist are refused with the same response', options, async () => {
  const refused: string[] = []
  for (const user of ['alice', 'nobody']) {
    const from = { host: PHONE_HOST, port: await udpPort(PHONE_HOST) }
    const wrong = { user, password: 'guess' }
    const { messages } = await rig.run({ scenario: 'register-refused', from, ...wrong, keys: { expires: '600' } })
    const responses = messages.split(/^-{10,}.*$/m).filter((part) => /SIP\/2\.0 4\d\d/.test(part))
    assert.equal(responses.length, 2, messages)
    refused.push(responses.map((part) => comparable(part.slice(part.indexOf('SIP/2.0')))).join('\n'))
  }
  assert.equal(refused[0], refused[1])
})

test('a realm is named that the telephones know', options, async () => {
  const from = { host: PHONE_HOST, port: await udpPort(PHONE_HOST) }
  const { messages } = await rig.run({ scenario: 'register', from, ...ALICE, keys: { expires: '60' } })
  assert.match(messages, new RegExp(`realm="${DOMAIN}"`))
})
