import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  forwardsLeft,
  isLoop,
  loopMark,
  screenExtensions,
  screenInvite,
  screenRequest,
} from '#border/request-screen.ts'
import { parseMessage, Request } from '#sip/message.ts'

function invite(lines: string, uri = 'sip:bob@example.net', from = 'alice', body = ''): Request {
  const message = parseMessage(
    `INVITE ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:${from}@example.net>;tag=1\r\n` +
      `To: <sip:bob@example.net>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`,
  )
  assert.ok(message instanceof Request)
  return message
}

test('a Request-URI that is neither sip, sips nor tel is refused with 416 (RFC 3261 §8.2.2.1)', () => {
  for (const uri of ['sip:a@b', 'SIPS:a@b', 'tel:+12']) assert.equal(screenRequest(invite('', uri)), null)
  for (const uri of ['mailto:a@b', 'http://b/', 'urn:service:sos', 'xyz:opaque'])
    assert.equal(screenRequest(invite('', uri))?.status, 416)
})

test('what is required and not supported is listed in Unsupported, whichever field asks for it (RFC 3261 §8.2.2.3)', () => {
  assert.equal(screenExtensions(invite('Require: 100rel, TIMER\r\nProxy-Require: path\r\n')), null)
  const refusal = screenExtensions(invite('Require: 100rel, foo\r\nRequire: bar\r\nProxy-Require: sec-agree\r\n'))
  assert.deepEqual(refusal, {
    status: 420,
    code: 'SIP_BAD_EXTENSION',
    headers: 'Unsupported: foo, bar, sec-agree\r\n',
  })
})

test('an INVITE may carry SDP or multipart, in no encoding (RFC 3261 §8.2.3)', () => {
  const of = (type: string, more = ''): number | undefined =>
    screenInvite(invite(`Content-Type: ${type}\r\n${more}`, undefined, undefined, 'v=0'))?.status
  assert.equal(of('application/sdp'), undefined)
  assert.equal(of('APPLICATION/SDP;charset=utf-8'), undefined)
  assert.equal(of('multipart/mixed;boundary=x'), undefined)
  assert.equal(of('application/sdp', 'Content-Encoding: identity\r\n'), undefined)
  assert.equal(of('application/sdp', 'Content-Encoding: gzip\r\n'), 415)
  assert.equal(of('text/plain'), 415)
  assert.equal(screenInvite(invite('Content-Type: text/plain\r\n')), null, 'without a body its type says nothing')
})

test('an INVITE whose answer could not be SDP is refused with 406 (RFC 3261 §20.1)', () => {
  const of = (accept: string): number | undefined => screenInvite(invite(`Accept: ${accept}\r\n`))?.status
  for (const accept of ['application/sdp', 'text/html, Application/SDP;q=0.5', '*/*', 'application/*'])
    assert.equal(of(accept), undefined)
  for (const accept of ['', 'text/html', 'application/sdpx', 'application/sdp-special', 'text/*'])
    assert.equal(of(accept), 406, accept)
})

test('Max-Forwards goes down by one; at zero there is nothing left (RFC 3261 §16.3)', () => {
  assert.equal(forwardsLeft(invite('Max-Forwards: 70\r\n')), 69)
  assert.equal(forwardsLeft(invite('Max-Forwards: 1\r\n')), 0)
  assert.equal(forwardsLeft(invite('Max-Forwards: 0\r\n')), null)
  assert.equal(forwardsLeft(invite('')), 69)
})

test('a request is a loop when a Via has the mark that it would leave itself (RFC 5393 §4.2.2)', () => {
  const mark = loopMark(invite(''), 'key')
  assert.match(mark, /^\.[a-z0-9]{1,7}$/)
  assert.equal(isLoop(invite(''), mark), false)
  assert.equal(isLoop(invite(`Via: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKxyz${mark}\r\n`), mark), true)
  assert.equal(
    isLoop(invite(`Via: SIP/2.0/UDP a;branch=z9hG4bKb, SIP/2.0/UDP c;branch=z9hG4bKx${mark};rport\r\n`), mark),
    true,
  )
  assert.equal(isLoop(invite(`Subject: z9hG4bKx${mark}\r\n`), mark), false)
  assert.equal(isLoop(invite(`Via: SIP/2.0/UDP a;branch=z9hG4bKb;x=${mark}\r\n`), mark), false)
})

test('another target, another caller or another switch is another mark', () => {
  const marks = [
    loopMark(invite(''), 'key'),
    loopMark(invite('', 'sip:carol@example.net'), 'key'),
    loopMark(invite('', undefined, 'dave'), 'key'),
    loopMark(invite(''), 'other'),
  ]
  assert.equal(new Set(marks).size, marks.length)
})

test('no header of a request makes the screens throw', () => {
  const name = fc.constantFrom(
    'Require',
    'Proxy-Require',
    'Accept',
    'Content-Type',
    'Content-Encoding',
    'Via',
    'Max-Forwards',
  )
  fc.assert(
    fc.property(name, fc.string({ unit: 'binary-ascii', maxLength: 40 }), (field, value) => {
      const request = invite(`${field}: ${value.replace(/[\r\n\0]/g, ' ')}\r\n`, undefined, undefined, 'v=0')
      screenRequest(request)
      screenInvite(request)
      forwardsLeft(request)
      isLoop(request, loopMark(request, 'key'))
    }),
  )
})
