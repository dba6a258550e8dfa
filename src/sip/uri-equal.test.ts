// RFC 3261 §19.1.4, RFC 3966 §4, RFC 3261 §10.3.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { present } from '#core/assert.ts'
import { parseUri, type Uri } from '#sip/uri.ts'
import { aorOf, sameUri } from '#sip/uri-equal.ts'

const uri = (text: string): Uri => present(parseUri(text), text)

const EQUIVALENT: readonly (readonly [string, string])[] = [
  // The table of §19.1.4.
  ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtLanTa.CoM;Transport=tcp'],
  ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
  ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on'],
  ['sip:carol@chicago.com;newparam=5', 'sip:carol@chicago.com;security=on'],
  [
    'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
    'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
  ],
  [
    'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
    'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
  ],
  // Its rules.
  ['sip:a%3bb@h', 'sip:a%3Bb@h'],
  ['sip:a@h;x=%41', 'SIP:a@h;X=a'],
  ['sip:a@[2001:db8::1]', 'sip:a@[2001:DB8:0:0::1]'],
  ['sip:a:p%77d@h', 'sip:a:pwd@h'],
  ['tel:+1-201-555-0123', 'tel:+12015550123'],
  ['tel:7042;phone-context=EXAMPLE.com', 'tel:70-42;phone-context=example.com'],
  ['tel:7042;phone-context=+1-201', 'tel:7042;phone-context=+1(201)'],
  ['tel:+1201;ext=12;cic=+1-5', 'TEL:+1201;cic=+1-5;ext=1-2'],
  ['tel:aB*#;phone-context=x.org', 'tel:Ab*#;phone-context=x.org'],
  ['urn:service:sos', 'URN:service:sos'],
]

const DIFFERENT: readonly (readonly [string, string])[] = [
  ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
  ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
  ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
  ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
  ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
  ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
  ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
  ['sip:a@h', 'sips:a@h'],
  ['sip:h', 'sip:a@h'],
  ['sip:a@h', 'sip:a:p@h'],
  ['sip:a;b@h', 'sip:a%3Bb@h'],
  ['sip:%2541@h', 'sip:%41@h'],
  ['sip:%253B@h', 'sip:%3B@h'],
  ['sip:a@h;user=phone', 'sip:a@h'],
  ['sip:a@h', 'sip:a@h;ttl=1'],
  ['sip:a@h;method=INVITE', 'sip:a@h'],
  ['sip:a@h;maddr=192.0.2.1', 'sip:a@h'],
  ['sip:a@h?subject=x', 'sip:a@h?subject=x&subject=y'],
  ['tel:+12015550123', 'tel:12015550123;phone-context=+1'],
  ['tel:+1201', 'tel:+1201;ext=1'],
  ['tel:7042;phone-context=a.com', 'tel:7042;phone-context=b.com'],
  ['urn:service:sos', 'urn:service:sos.fire'],
]

test('URIs within each of these sets are equivalent', () => {
  for (const [a, b] of EQUIVALENT) {
    assert.ok(sameUri(uri(a), uri(b)), `${a} = ${b}`)
    assert.ok(sameUri(uri(b), uri(a)), `${b} = ${a}`)
  }
})

test('URIs within each of these sets are not equivalent', () => {
  for (const [a, b] of DIFFERENT) {
    assert.ok(!sameUri(uri(a), uri(b)), `${a} ≠ ${b}`)
    assert.ok(!sameUri(uri(b), uri(a)), `${b} ≠ ${a}`)
  }
})

test('an address-of-record has no parameters, and its escapes are resolved', () => {
  assert.equal(aorOf(uri('SIP:%41lice:secret@Example.NET.:5070;transport=tcp?subject=x')), 'sip:Alice@example.net')
  assert.equal(aorOf(uri('sips:bob@h')), 'sips:bob@h')
  assert.equal(aorOf(uri('sip:h')), 'sip:h')
  assert.equal(aorOf(uri('tel:+1-(202)-555.0101;ext=1')), 'tel:+12025550101')
  assert.equal(aorOf(uri('tel:70-42;phone-context=Example.com')), 'tel:7042;phone-context=example.com')
  assert.equal(aorOf(uri('urn:service:sos')), null)
})

test('%00 in a user part does not cut an address-of-record short', () => {
  assert.notEqual(aorOf(uri('sip:null-%00-null@h')), aorOf(uri('sip:null-@h')))
  assert.notEqual(aorOf(uri('sip:null-%00-null@h')), aorOf(uri('sip:null-%00@h')))
})
