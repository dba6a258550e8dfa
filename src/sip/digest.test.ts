// Vectors of RFC 7616 §3.9, and the syntax of RFC 3261 §25.1 for credentials and challenges.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  equalHex,
  ha1From,
  parseChallenge,
  parseCredentials,
  requestDigest,
  sessionHa1,
  verifyCredentials,
  writeChallenge,
} from '#sip/digest.ts'

const NONCE = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v'
const CNONCE = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ'
const OPAQUE = 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS'
const REALM = 'http-auth@example.org'

function example(algorithm: string, response: string): string {
  return (
    `Digest username="Mufasa", realm="${REALM}", uri="/dir/index.html", algorithm=${algorithm}, nonce="${NONCE}", ` +
    `nc=00000001, cnonce="${CNONCE}", qop=auth, response="${response}", opaque="${OPAQUE}"`
  )
}

const MD5_RESPONSE = '8ca523f5e9506fed4657c9700eebdbec'
const SHA256_RESPONSE = '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'

for (const [algorithm, response] of [
  ['MD5', MD5_RESPONSE],
  ['SHA-256', SHA256_RESPONSE],
] as const) {
  test(`RFC 7616 §3.9.1: the ${algorithm} response of the example is right, and a changed one is not`, () => {
    const credentials = parseCredentials(example(algorithm, response))
    assert.ok(credentials)
    const ha1 = ha1From(algorithm, 'Mufasa', REALM, 'Circle of Life')
    assert.equal(verifyCredentials(credentials, ha1, 'GET'), true)
    assert.equal(verifyCredentials(credentials, ha1, 'PUT'), false)
    assert.equal(verifyCredentials(credentials, ha1From(algorithm, 'Mufasa', REALM, 'Circle of life'), 'GET'), false)
  })
}

test('User, realm and password are hashed as UTF-8 (RFC 7616 §4), and SHA-512-256 is the function of FIPS 180-4', () => {
  const octets = Buffer.from('J\u00e4s\u00f8n Doe:api@example.org:Secret, or not?', 'utf8')
  const expected = createHash('sha512-256').update(octets).digest('hex')
  assert.equal(ha1From('SHA-512-256', 'J\u00e4s\u00f8n Doe', 'api@example.org', 'Secret, or not?'), expected)
})

test('Octets above ASCII in a request are hashed as they came', () => {
  const uri = 'sip:j\xc3\xb6rg@example.net'
  const ha2 = createHash('md5')
    .update(Buffer.from(`REGISTER:${uri}`, 'latin1'))
    .digest('hex')
  const expected = createHash('md5').update(`00:n:${ha2}`).digest('hex')
  assert.equal(requestDigest('MD5', '00', 'REGISTER', uri, 'n', '', '', ''), expected)
})

test('RFC 2617 §3.5: the response with qop=auth of its example', () => {
  const ha1 = ha1From('MD5', 'Mufasa', 'testrealm@host.com', 'Circle Of Life')
  const response = requestDigest(
    'MD5',
    ha1,
    'GET',
    '/dir/index.html',
    'dcd98b7102dd2f0e8b11d0f600bfb0c093',
    '00000001',
    '0a4f113b',
    'auth',
  )
  assert.equal(response, '6629fae49393a05397450978507c4ef1')
})

test('A -sess A1 is the hash of A1, nonce and cnonce (RFC 7616 §3.4.2)', () => {
  const ha1 = ha1From('MD5', 'u', 'r', 'p')
  const credentials = parseCredentials(
    `Digest username="u",realm="r",nonce="n",uri="sip:x",algorithm=MD5-sess,cnonce="c",nc=00000001,qop=auth,response="${requestDigest('MD5', sessionHa1('MD5', ha1, 'n', 'c'), 'REGISTER', 'sip:x', 'n', '00000001', 'c', 'auth')}"`,
  )
  assert.ok(credentials)
  assert.equal(credentials.session, true)
  assert.equal(verifyCredentials(credentials, ha1, 'REGISTER'), true)
})

test('Absent parameters are read as such: no qop is RFC 2069, no algorithm is MD5', () => {
  const credentials = parseCredentials(
    'Digest username="bob", realm="biloxi.com", nonce="abc", uri="sip:bob@biloxi.com", response="00"',
  )
  assert.ok(credentials)
  assert.equal(credentials.qop, '')
  assert.equal(credentials.algorithm, 'MD5')
})

test('Escapes, white space, empty elements, letter case and unknown parameters are put up with', () => {
  const credentials = parseCredentials(
    'DIGEST  UserName = "bo\\"b\\\\" ,, realm="a, b=c" ,nonce="n",\turi="sip:x;lr",auth-param=7,algorithm=md5,response="00"  , ',
  )
  assert.ok(credentials)
  assert.equal(credentials.username, 'bo"b\\')
  assert.equal(credentials.realm, 'a, b=c')
  assert.equal(credentials.uri, 'sip:x;lr')
  assert.equal(credentials.algorithm, 'MD5')
})

test('username* carries a name in UTF-8 (RFC 7616 §3.4), never beside username', () => {
  const rest = 'realm="r", nonce="n", uri="sip:x", response="00"'
  assert.equal(
    parseCredentials(`Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, ${rest}`)?.username,
    'J\xc3\xa4s\xc3\xb8n Doe',
  )
  assert.equal(parseCredentials(`Digest username*=UTF-8''a, username="a", ${rest}`), null)
  assert.equal(parseCredentials(`Digest username*=ISO-8859-1''a, ${rest}`), null)
})

test('Malformed credentials are none', () => {
  for (const value of [
    '',
    'Digest',
    'Digest ',
    'Basic dTpw',
    'Digestusername="a"',
    'Digest username="a", realm="r", nonce="n", uri="sip:x"',
    'Digest username="a", realm="r", nonce="n", uri="sip:x", response="0", response="1"',
    'Digest username="a, realm="r", nonce="n", uri="sip:x", response="0"',
    'Digest username="a" realm="r", nonce="n", uri="sip:x", response="0"',
    'Digest username="a", realm="r", nonce="n", uri="sip:x", response=',
    'Digest ="a", realm="r", nonce="n", uri="sip:x", response="0"',
    'Digest username="a", realm="r", nonce="n", uri="sip:x", response="0", junk',
  ]) {
    assert.equal(parseCredentials(value), null, value)
  }
})

test('A challenge is read as it was written', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'abc"\\ ,=.é'), maxLength: 12 }),
      fc.constantFrom('MD5' as const, 'SHA-256' as const),
      fc.boolean(),
      (realm, algorithm, stale) => {
        const challenge = parseChallenge(writeChallenge(realm, 'n0', 'o0', algorithm, stale))
        assert.ok(challenge)
        assert.deepEqual(
          [challenge.realm, challenge.nonce, challenge.opaque, challenge.algorithm, challenge.stale, challenge.qop],
          [realm, 'n0', 'o0', algorithm, stale, ['auth']],
        )
      },
    ),
  )
})

test('No text makes the parsers throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'Digest ua"\\=,;\t*%\x00é'), maxLength: 60 }), (text) => {
      parseCredentials(text)
      parseChallenge(text)
      parseCredentials(`Digest ${text}`)
      parseChallenge(`Digest ${text}`)
    }),
  )
})

test('Hexadecimal texts compare without regard to case and by length', () => {
  assert.equal(equalHex('0aff', '0AFF'), true)
  assert.equal(equalHex('0aff', '0afe'), false)
  assert.equal(equalHex('0aff', '0aff0'), false)
  assert.equal(equalHex('0aff', ''), false)
})
