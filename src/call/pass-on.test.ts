import assert from 'node:assert/strict'
import { test } from 'node:test'
import { invitePassOn, requestPassOn, responsePassOn } from '#call/pass-on.ts'
import { parseResponse, request, responseText } from '#sip/_rig.test.ts'

const ALL =
  'Via: SIP/2.0/UDP secret.example.net;branch=z9hG4bKs\r\nRecord-Route: <sip:secret.example.net;lr>\r\nRoute: <sip:secret.example.net;lr>\r\n' +
  'Call-Info: <http://secret.example.net>\r\nAlert-Info: <http://secret.example.net>\r\nServer: secret\r\nUser-Agent: secret\r\n' +
  'Warning: 399 secret "x"\r\nReply-To: <sip:secret@example.net>\r\nP-Asserted-Identity: <sip:secret@example.net>\r\n' +
  'Remote-Party-ID: <sip:secret@example.net>\r\nDiversion: <sip:secret@example.net>\r\nHistory-Info: <sip:secret@example.net>\r\n' +
  'P-Preferred-Identity: <sip:secret@example.net>\r\nReferred-By: <sip:secret@example.net>\r\nIn-Reply-To: secret\r\nX-Other: secret\r\n' +
  'P-Charge-Info: <sip:secret@example.net>\r\nIdentity: secret\r\nProxy-Authorization: secret\r\nAuthorization: secret\r\nReason: SIP;text="secret"\r\n' +
  's: hello\r\nPriority: urgent\r\nUser-to-User: 00\r\nContent-Disposition: session\r\n'

test('only listed fields cross from one side to the other (RFC 5853 §3.1)', () => {
  const invite = request('INVITE', { headers: ALL })
  const lines = [
    invitePassOn(invite),
    requestPassOn(invite),
    responsePassOn(parseResponse(responseText(invite, 200, { headers: ALL }))),
  ]
  for (const text of lines) assert.doesNotMatch(text, /secret/)
  assert.equal(lines[0], 'Subject: hello\r\nPriority: urgent\r\nUser-to-User: 00\r\nContent-Disposition: session\r\n')
  assert.equal(lines[2], 'User-to-User: 00\r\nContent-Disposition: session\r\n')
})
