import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpoint } from '#sip/_fake-ports.ts'
import { PEER, parseResponse, request } from '#sip/_rig.test.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Response } from '#sip/message.ts'
import { ResponseWriter, reasonPhrase } from '#sip/response-writer.ts'

function written(via: string, source = PEER): string {
  const text = new ResponseWriter(request('OPTIONS', { via }), source).write(200, 'OK', 't', '', '')
  return parseResponse(text).header(HeaderId.via) ?? ''
}

function response(headers: string, status: number, method = 'INVITE'): Response {
  return parseResponse(new ResponseWriter(request(method, { headers }), PEER).write(status, 'x', 't', '', ''))
}

test('received is added when sent-by is another address, and rport is filled (§18.2.1, RFC 3581 §4)', () => {
  const branch = 'branch=z9hG4bK1'
  assert.equal(written(`SIP/2.0/UDP 192.0.2.9;${branch}`), `SIP/2.0/UDP 192.0.2.9;${branch}`)
  assert.equal(
    written(`SIP/2.0/UDP peer.example.net;${branch}`),
    `SIP/2.0/UDP peer.example.net;${branch};received=192.0.2.9`,
  )
  assert.equal(
    written(`SIP/2.0/UDP 10.0.0.1:5061;rport;${branch}`, endpoint('192.0.2.9', 40_000)),
    `SIP/2.0/UDP 10.0.0.1:5061;rport=40000;${branch};received=192.0.2.9`,
  )
  assert.match(written(`SIP/2.0/UDP 192.0.2.9;rport;${branch}`), /rport=5060.*received=192\.0\.2\.9/)
})

test('a received that the sender wrote itself does not redirect the answer', () => {
  const via = written('SIP/2.0/UDP peer.example.net;received=203.0.113.1;branch=z9hG4bK1')
  assert.doesNotMatch(via, /203\.0\.113\.1/)
  assert.match(via, /received=192\.0\.2\.9/)
})

test('further Vias, in one line or several, stay as they are and in order (§8.2.6.2)', () => {
  const second = 'SIP/2.0/TCP second.example.net;branch=z9hG4bK2;received=203.0.113.7'
  const via = written(`SIP/2.0/UDP first.example.net;branch=z9hG4bK1, ${second}`)
  assert.equal(via, `SIP/2.0/UDP first.example.net;branch=z9hG4bK1;received=192.0.2.9, ${second}`)
})

test('Record-Route goes into the responses that make a dialog (§12.1.1)', () => {
  const headers = 'Record-Route: <sip:p2.example.net;lr>\r\nRecord-Route: <sip:p1.example.net;lr>\r\n'
  const both = ['<sip:p2.example.net;lr>', '<sip:p1.example.net;lr>']
  assert.deepEqual(response(headers, 180).headers(HeaderId.recordRoute), both)
  assert.deepEqual(response(headers, 200).headers(HeaderId.recordRoute), both)
  assert.deepEqual(response(headers, 100).headers(HeaderId.recordRoute), [])
  assert.deepEqual(response(headers, 486).headers(HeaderId.recordRoute), [])
})

test('a To tag of the request stays, else every response but 100 has ours (§8.2.6.2)', () => {
  const tagged = request('INFO', { to: '<sip:bob@example.net>;tag=given' })
  const text = new ResponseWriter(tagged, PEER).write(200, 'OK', 'ours', '', '')
  assert.equal(parseResponse(text).to.tag, 'given')
  assert.equal(response('', 180).to.tag, 't')
  assert.equal(response('', 100).to.tag, null)
})

test('every status that we send has a reason phrase', () => {
  for (const status of [
    100, 180, 183, 200, 202, 302, 404, 408, 422, 480, 481, 482, 486, 487, 488, 491, 500, 503, 504, 600, 603,
  ]) {
    assert.notEqual(reasonPhrase(status), 'Unknown')
  }
  assert.equal(reasonPhrase(299), 'Unknown')
})
