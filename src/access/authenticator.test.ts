// Authentication as RFC 3261 §22, RFC 7616 and RFC 8760 want it, and the back-off against guessing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endpoint, TestPorts } from '#access/_ports.test.ts'
import { Authenticator, type AuthenticatorSettings, type AuthOutcome } from '#access/authenticator.ts'
import { sourceKey } from '#access/guess-guard.ts'
import type { Endpoint } from '#core/net.ts'
import { ha1From, parseChallenge, requestDigest } from '#sip/digest.ts'
import { DigestClient } from '#sip/digest-client.ts'
import { parseMessage, Request, Response } from '#sip/message.ts'

const REALM = 'example.net'
const SETTINGS: AuthenticatorSettings = {
  realm: REALM,
  algorithms: ['SHA-256', 'MD5'],
  nonceLifetimeS: 300,
  failuresMax: 3,
  backOffMinS: 1,
  backOffMaxS: 60,
}
const HOME = endpoint('192.0.2.10', 5060)

class Rig {
  readonly ports: TestPorts
  readonly asked: string[] = []
  readonly users = new Map([
    [
      'alice',
      { ha1Md5: ha1From('MD5', 'alice', REALM, 'secret'), ha1Sha256: ha1From('SHA-256', 'alice', REALM, 'secret') },
    ],
    [
      'j\u00f6rg',
      {
        ha1Md5: ha1From('MD5', 'j\u00f6rg', REALM, 'pa\u00df'),
        ha1Sha256: ha1From('SHA-256', 'j\u00f6rg', REALM, 'pa\u00df'),
      },
    ],
    ['old', { ha1Md5: ha1From('MD5', 'old', REALM, 'secret'), ha1Sha256: '' }],
  ])
  readonly authenticator: Authenticator

  constructor(settings: Partial<AuthenticatorSettings> = {}, seed = 1) {
    this.ports = new TestPorts(undefined, seed)
    const find = (user: string) => {
      this.asked.push(user)
      return this.users.get(user) ?? null
    }
    this.authenticator = new Authenticator(this.ports, { find }, { ...SETTINGS, ...settings })
  }

  register(user: string, headers = '', source: Endpoint = HOME, kind: 'www' | 'proxy' = 'www'): AuthOutcome {
    return this.authenticator.authenticate(request('REGISTER', 'sip:example.net', user, headers), source, kind)
  }

  /** One whole exchange: challenge, then the answer with this password. */
  attempt(user: string, password: string, source: Endpoint = HOME): AuthOutcome {
    const client = new DigestClient(this.ports.random, user, password)
    const challenge = this.register(user, '', source)
    if (challenge.ok || challenge.status !== 401) return challenge
    client.receive(response(challenge))
    return this.register(user, client.headers('REGISTER', 'sip:example.net'), source)
  }

  wait(ms: number): void {
    this.ports.clock.runUntil(this.ports.clock.now() + ms)
  }
}

function request(method: string, uri: string, user: string, headers = ''): Request {
  const message = parseMessage(
    `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\nFrom: <sip:${encodeURIComponent(user)}@example.net>;tag=1\r\n` +
      `To: <sip:${encodeURIComponent(user)}@example.net>\r\nCall-ID: 1\r\nCSeq: 1 ${method}\r\n${headers}Content-Length: 0\r\n\r\n`,
  )
  assert.ok(message instanceof Request)
  return message
}

function response(outcome: AuthOutcome): Response {
  assert.ok(!outcome.ok)
  const message = parseMessage(`SIP/2.0 ${outcome.status} ${outcome.reason}\r\n${outcome.headers}\r\n`)
  assert.ok(message instanceof Response)
  return message
}

function codeOf(outcome: AuthOutcome): string {
  return outcome.ok ? 'ok' : outcome.code
}

function challenges(outcome: AuthOutcome) {
  assert.ok(!outcome.ok)
  return outcome.headers
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line) => parseChallenge(line.slice(line.indexOf(':') + 2)) ?? assert.fail(line))
}

function credentials(
  nonce: string,
  fields: Partial<Record<'user' | 'password' | 'uri' | 'nc' | 'qop' | 'realm' | 'algorithm' | 'method', string>> = {},
): string {
  const { user = 'alice', password = 'secret', uri = 'sip:example.net', nc = '00000001', qop = 'auth' } = fields
  const { realm = REALM, algorithm = 'MD5', method = 'REGISTER' } = fields
  const digest = requestDigest('MD5', ha1From('MD5', user, realm, password), method, uri, nonce, nc, 'c', qop)
  const count = qop === '' ? '' : `, qop=${qop}, nc=${nc}, cnonce="c"`
  return `Authorization: Digest username="${user}", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${digest}", algorithm=${algorithm}${count}\r\n`
}

test('A request without credentials is challenged with SHA-256 first and MD5 after it (RFC 8760 §2.3)', () => {
  const rig = new Rig()
  const outcome = rig.register('alice')
  assert.ok(!outcome.ok)
  assert.equal(outcome.status, 401)
  assert.equal(outcome.code, 'AUTH_REQUIRED')
  const [first, second] = challenges(outcome)
  assert.deepEqual([first?.algorithm, second?.algorithm], ['SHA-256', 'MD5'])
  assert.deepEqual([first?.realm, first?.qop, first?.stale], [REALM, ['auth'], false])
  assert.equal(first?.nonce, second?.nonce)
  assert.match(outcome.headers, /^(WWW-Authenticate: [^\r\n]+\r\n){2}$/)
})

test('A proxy challenges with 407 and Proxy-Authenticate, and reads Proxy-Authorization', () => {
  const rig = new Rig()
  const invite = request('INVITE', 'sip:bob@example.net', 'alice')
  const outcome = rig.authenticator.authenticate(invite, HOME, 'proxy')
  assert.ok(!outcome.ok)
  assert.equal(outcome.status, 407)
  const client = new DigestClient(rig.ports.random, 'alice', 'secret')
  assert.equal(client.receive(response(outcome)), 'answerable')
  const headers = client.headers('INVITE', 'sip:bob@example.net')
  assert.match(headers, /^Proxy-Authorization: /)
  const again = request('INVITE', 'sip:bob@example.net', 'alice', headers)
  assert.deepEqual(rig.authenticator.authenticate(again, HOME, 'proxy'), { ok: true, user: 'alice' })
})

test('The right password is taken, also with a user name and password in UTF-8', () => {
  const rig = new Rig()
  assert.deepEqual(rig.attempt('alice', 'secret'), { ok: true, user: 'alice' })
  assert.deepEqual(rig.attempt('j\u00f6rg', 'pa\u00df'), { ok: true, user: 'j\u00f6rg' })
})

test('An unknown user and a wrong password look the same', () => {
  const rig = new Rig()
  const shape = (outcome: AuthOutcome): string => {
    assert.ok(!outcome.ok)
    return JSON.stringify(outcome).replaceAll(/nonce=\\"[^\\]+/g, 'nonce')
  }
  assert.equal(shape(rig.attempt('nobody', 'x')), shape(rig.attempt('alice', 'x')))
  assert.equal(codeOf(rig.attempt('alice', 'x')), 'AUTH_FAILED')
})

test('A nonce serves many requests, each with a higher nonce-count; one that was used is refused with stale=true', () => {
  const rig = new Rig()
  const nonce = challenges(rig.register('alice'))[0]?.nonce ?? ''
  for (const nc of ['00000001', '00000002', '00000005', '00000004']) {
    assert.equal(rig.register('alice', credentials(nonce, { nc })).ok, true, nc)
  }
  for (const nc of ['00000001', '00000004', '00000005']) {
    const replay = rig.register('alice', credentials(nonce, { nc }))
    assert.equal(codeOf(replay), 'AUTH_REPLAYED', nc)
    assert.equal(challenges(replay)[0]?.stale, true)
  }
})

test('Whatever order nonce-counts come in, none is taken twice, and one above all before is taken', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 60 }), (counts) => {
      const rig = new Rig()
      const nonce = challenges(rig.register('alice'))[0]?.nonce ?? ''
      const taken = new Set<number>()
      for (const count of counts) {
        const nc = count.toString(16).padStart(8, '0')
        const { ok } = rig.register('alice', credentials(nonce, { nc }))
        assert.ok(!(ok && taken.has(count)), `${count} twice`)
        if (count > Math.max(0, ...taken)) assert.equal(ok, true)
        if (ok) taken.add(count)
      }
    }),
    { numRuns: 50 },
  )
})

test('A nonce that has expired is refused with stale=true when the password is right, without it when it is wrong', () => {
  const rig = new Rig()
  const nonce = challenges(rig.register('alice'))[0]?.nonce ?? ''
  rig.wait(301_000)
  const stale = rig.register('alice', credentials(nonce))
  assert.equal(codeOf(stale), 'AUTH_STALE_NONCE')
  assert.equal(challenges(stale)[0]?.stale, true)
  const wrong = rig.register('alice', credentials(nonce, { password: 'x' }))
  assert.equal(codeOf(wrong), 'AUTH_FAILED')
  assert.equal(challenges(wrong)[0]?.stale, false)
})

test('A nonce of another process, another source or our own making tells nothing about the password', () => {
  const rig = new Rig()
  const other = challenges(new Rig({}, 2).register('alice'))[0]?.nonce ?? ''
  const elsewhere = challenges(rig.register('alice', '', endpoint('198.51.100.1')))[0]?.nonce ?? ''
  const mine = challenges(rig.register('alice'))[0]?.nonce ?? ''
  const forged = mine.slice(0, -1) + (mine.endsWith('A') ? 'B' : 'A')
  for (const nonce of [other, elsewhere, forged, 'x', '']) {
    for (const password of ['secret', 'wrong']) {
      const outcome = rig.register('alice', credentials(nonce, { password }))
      assert.equal(codeOf(outcome), 'AUTH_STALE_NONCE')
    }
  }
  assert.equal(rig.ports.counted('carillon_auth_total{outcome="failed"}'), 0)
})

test('A client of RFC 2069, without qop, is let in once for each nonce', () => {
  const rig = new Rig()
  const nonce = challenges(rig.register('alice'))[0]?.nonce ?? ''
  assert.equal(rig.register('alice', credentials(nonce, { qop: '' })).ok, true)
  assert.equal(codeOf(rig.register('alice', credentials(nonce, { qop: '' }))), 'AUTH_REPLAYED')
})

test('Credentials for another realm or an algorithm that was not offered are no credentials', () => {
  const rig = new Rig()
  const nonce = challenges(rig.register('alice'))[0]?.nonce ?? ''
  for (const headers of [
    credentials(nonce, { realm: 'other.example' }),
    credentials(nonce, { algorithm: 'SHA-512-256' }),
    credentials(nonce, { algorithm: 'MD5-sess' }),
    credentials(nonce, { algorithm: 'ROT13' }),
    'Authorization: Basic YWxpY2U6c2VjcmV0\r\n',
  ]) {
    assert.equal(codeOf(rig.register('alice', headers)), 'AUTH_REQUIRED', headers)
  }
  // Ours among others are found.
  const both = credentials(nonce, { realm: 'other.example' }) + credentials(nonce)
  assert.equal(rig.register('alice', both).ok, true)
})

test('qop=auth-int, malformed credentials and a digest-uri of another resource are refused with 400', () => {
  const rig = new Rig()
  const nonce = challenges(rig.register('alice'))[0]?.nonce ?? ''
  for (const [headers, code] of [
    [credentials(nonce, { qop: 'auth-int' }), 'AUTH_QOP'],
    [credentials(nonce, { nc: '1' }), 'AUTH_MALFORMED'],
    [credentials(nonce, { nc: '0000000g' }), 'AUTH_MALFORMED'],
    ['Authorization: Digest username="alice\r\n', 'AUTH_MALFORMED'],
    [credentials(nonce, { uri: 'sip:other.example' }), 'AUTH_URI'],
    [credentials(nonce, { uri: 'sip:bob@example.net' }), 'AUTH_URI'],
    [credentials(nonce, { uri: '/' }), 'AUTH_URI'],
  ] as const) {
    const outcome = rig.register('alice', headers)
    assert.ok(!outcome.ok)
    assert.deepEqual([outcome.status, outcome.code], [400, code])
  }
  assert.equal(rig.register('alice', credentials(nonce, { uri: 'sip:EXAMPLE.NET:5060;transport=udp' })).ok, true)
})

test('A user whose secret is stored under one algorithm only is challenged with that one', () => {
  const rig = new Rig()
  assert.deepEqual(
    challenges(rig.register('old')).map((c) => c.algorithm),
    ['MD5'],
  )
  assert.equal(rig.attempt('old', 'secret').ok, true)
})

test('Settings that are replaced hold for the next request', () => {
  const rig = new Rig()
  rig.authenticator.replaceSettings({ ...SETTINGS, algorithms: ['MD5'], realm: 'new.example' })
  assert.deepEqual(
    challenges(rig.register('alice')).map((c) => [c.algorithm, c.realm]),
    [['MD5', 'new.example']],
  )
})

test('After wrong passwords in a row the pair of source and user is held back, doubling, without a look at the password', () => {
  const rig = new Rig()
  for (let i = 0; i < 3; i += 1) assert.equal(codeOf(rig.attempt('alice', 'x')), 'AUTH_FAILED')
  assert.equal(codeOf(rig.attempt('alice', 'secret')), 'AUTH_HELD_BACK')
  const held = rig.register('alice')
  assert.ok(!held.ok)
  assert.equal(held.status, 403)
  rig.wait(1_001)
  assert.equal(codeOf(rig.attempt('alice', 'x')), 'AUTH_FAILED')
  rig.wait(1_001)
  assert.equal(codeOf(rig.attempt('alice', 'secret')), 'AUTH_HELD_BACK')
  rig.wait(1_000)
  assert.equal(rig.attempt('alice', 'secret').ok, true)
  assert.equal(codeOf(rig.attempt('alice', 'x')), 'AUTH_FAILED')
  assert.equal(rig.attempt('alice', 'secret').ok, true)
  assert.deepEqual(rig.ports.events.map((event) => [event.level, event.code]).slice(0, 3), [
    ['info', 'AUTH_FAILED'],
    ['info', 'AUTH_FAILED'],
    ['warn', 'AUTH_HELD_BACK'],
  ])
})

test('Nobody locks a user out from another source, however many guess', () => {
  const rig = new Rig()
  for (let i = 0; i < 500; i += 1) rig.attempt('alice', 'x', endpoint(`198.51.${100 + (i >> 8)}.${i & 255}`))
  assert.equal(rig.attempt('alice', 'secret', HOME).ok, true)
  // But each new source has one guess only now.
  const late = endpoint('203.0.113.1')
  assert.equal(codeOf(rig.attempt('alice', 'x', late)), 'AUTH_FAILED')
  assert.equal(codeOf(rig.attempt('alice', 'secret', late)), 'AUTH_HELD_BACK')
})

test('A source that fails for many users is held back for those it has not registered', () => {
  const rig = new Rig()
  const phone = endpoint(HOME.host, 40_000)
  rig.authenticator.recogniseFlows((user, source) => user === 'alice' && source.port === phone.port)
  for (let i = 0; i < 30; i += 1) assert.equal(codeOf(rig.attempt(`u${i}`, 'x')), 'AUTH_FAILED')
  assert.equal(codeOf(rig.attempt('u99', 'x')), 'AUTH_HELD_BACK')
  assert.equal(codeOf(rig.attempt('old', 'secret')), 'AUTH_HELD_BACK')
  assert.equal(rig.attempt('alice', 'secret', phone).ok, true)
  rig.wait(4_000)
  assert.equal(rig.attempt('old', 'secret').ok, true)
})

test('A forged source cannot fail in its owner\u2019s name: it never saw the nonce', () => {
  const rig = new Rig()
  const attacker = endpoint('198.51.100.66')
  for (let i = 0; i < 50; i += 1) {
    const nonce = challenges(rig.register('zoe', '', attacker))[0]?.nonce ?? ''
    rig.register('alice', credentials(nonce, { password: 'x' }), HOME)
  }
  assert.equal(rig.attempt('alice', 'secret', HOME).ok, true)
})

test('The log never has a user name that does not exist: it may be a password', () => {
  const rig = new Rig()
  rig.attempt('hunter2', 'x')
  assert.equal(JSON.stringify(rig.ports.events).includes('hunter2'), false)
})

test('One customer of IPv6 is one source: a /64', () => {
  assert.equal(sourceKey(endpoint('2001:db8:1:2:3:4:5:6')), sourceKey(endpoint('2001:db8:1:2::9')))
  assert.notEqual(sourceKey(endpoint('2001:db8:1:2::9')), sourceKey(endpoint('2001:db8:1:3::9')))
  assert.equal(sourceKey(endpoint('::1')), '0:0:0:0::/64')
  assert.notEqual(sourceKey(endpoint('::ffff:192.0.2.1')), sourceKey(endpoint('::ffff:192.0.2.2')))
})

test('A client that is challenged again without stale gives up; with stale it answers anew', () => {
  const rig = new Rig()
  const client = new DigestClient(rig.ports.random, 'alice', 'wrong')
  assert.equal(client.headers('REGISTER', 'sip:example.net'), '')
  assert.equal(client.receive(response(rig.register('alice'))), 'answerable')
  const refused = rig.register('alice', client.headers('REGISTER', 'sip:example.net'))
  assert.equal(client.receive(response(refused)), 'refused')

  const right = new DigestClient(rig.ports.random, 'alice', 'secret')
  right.receive(response(rig.register('alice')))
  assert.equal(rig.register('alice', right.headers('REGISTER', 'sip:example.net')).ok, true)
  assert.equal(rig.register('alice', right.headers('REGISTER', 'sip:example.net')).ok, true)
  rig.wait(301_000)
  const stale = rig.register('alice', right.headers('REGISTER', 'sip:example.net'))
  assert.equal(right.receive(response(stale)), 'answerable')
  assert.equal(rig.register('alice', right.headers('REGISTER', 'sip:example.net')).ok, true)
})

test('A client takes the topmost challenge that it can answer, and none with auth-int alone', () => {
  const rig = new Rig()
  const parsed = (headers: string): Response => {
    const message = parseMessage(`SIP/2.0 401 Unauthorized\r\n${headers}\r\n`)
    assert.ok(message instanceof Response)
    return message
  }
  const challenge = (rest: string): string => `WWW-Authenticate: Digest realm="r", nonce="n", ${rest}\r\n`
  const client = new DigestClient(rig.ports.random, 'u', 'p')
  assert.equal(client.receive(parsed(challenge('qop="auth-int"'))), 'unanswerable')
  assert.equal(client.receive(parsed('WWW-Authenticate: Basic realm="r"\r\n')), 'unanswerable')
  const outcome = client.receive(
    parsed(
      challenge('algorithm=ROT13, qop="auth"') +
        challenge('algorithm=SHA-512-256, qop="auth-int, auth", opaque="o"') +
        challenge('qop="auth"'),
    ),
  )
  assert.equal(outcome, 'answerable')
  assert.match(
    client.headers('REGISTER', 'sip:r'),
    /algorithm=SHA-512-256, opaque="o", qop=auth, nc=00000001, cnonce="/,
  )
})

const algorithmsOf = (outcome: AuthOutcome): (string | null)[] => challenges(outcome).map((c) => c.algorithm)

test('A client that lets the challenge with SHA-256 go unanswered is offered MD5 alone from then on', () => {
  const rig = new Rig()
  assert.deepEqual(algorithmsOf(rig.register('alice')), ['SHA-256', 'MD5'])
  rig.wait(1_000)
  assert.deepEqual(algorithmsOf(rig.register('alice')), ['SHA-256', 'MD5'])
  rig.wait(30_000)
  const alone = rig.register('alice')
  assert.deepEqual(algorithmsOf(alone), ['MD5'])
  const nonce = challenges(alone)[0]?.nonce ?? ''
  assert.equal(rig.register('alice', credentials(nonce)).ok, true)
  rig.wait(3_600_000)
  assert.deepEqual(algorithmsOf(rig.register('alice', credentials(nonce))), ['MD5'])
  // Others are not concerned, nor is the same user elsewhere.
  assert.deepEqual(algorithmsOf(rig.register('old', '', HOME)), ['MD5'])
  assert.deepEqual(algorithmsOf(rig.register('bob', '', HOME)), ['SHA-256', 'MD5'])
  assert.deepEqual(algorithmsOf(rig.register('alice', '', endpoint('192.0.2.99'))), ['SHA-256', 'MD5'])
})

test('A client that answers is offered everything again, whenever it comes', () => {
  const rig = new Rig()
  for (let i = 0; i < 3; i += 1) {
    assert.equal(rig.attempt('alice', 'secret').ok, true)
    rig.wait(60_000)
    assert.deepEqual(algorithmsOf(rig.register('alice')), ['SHA-256', 'MD5'])
    assert.equal(rig.attempt('alice', 'secret').ok, true)
  }
})

test('Clients that are known to stop at SHA-256 are spared it', () => {
  const offered = (headers: string, settings: Partial<AuthenticatorSettings> = {}) =>
    algorithmsOf(new Rig(settings).register('alice', headers))
  assert.deepEqual(offered('User-Agent: baresip v1.0.0 (x86_64/linux)\r\n'), ['MD5'])
  assert.deepEqual(offered('User-Agent: baresip v3.11.0 (x86_64/Linux)\r\n'), ['MD5'])
  assert.deepEqual(offered('User-Agent: baresip v3.12.0 (x86_64/Linux)\r\n'), ['SHA-256', 'MD5'])
  assert.deepEqual(offered('User-Agent: baresip v1.0.0\r\n', { algorithms: ['SHA-256'] }), ['SHA-256'])
  const rig = new Rig()
  const text = request('REGISTER', 'sip:example.net', 'alice').text.replace('z9hG4bK1', 'z9hG4bK-4711-1-0')
  const sipp = parseMessage(text)
  assert.ok(sipp instanceof Request)
  assert.deepEqual(algorithmsOf(rig.authenticator.authenticate(sipp, HOME, 'www')), ['MD5', 'SHA-256'])
})
