// The attributes of a description one by one: RFC 8866 §5.13, §6; RFC 3605; RFC 4568; RFC 8122; RFC 8839; RFC 5576; T.38.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { present } from '#core/assert.ts'
import { ASTERISK, CHROME, DESK, FAX, LINPHONE } from '#sdp/_test-corpus.ts'
import { attributeOf, attributesOf, withAttributes, withLine } from '#sdp/attributes.ts'
import { endpointOf, rtcpEndpointOf } from '#sdp/connection.ts'
import { chooseCrypto, cryptoFrom, cryptoOf, cryptoText, keyOctetsOf, parseCrypto } from '#sdp/crypto-attribute.ts'
import {
  answerDirection,
  attributeDirection,
  DIRECTIONS,
  directionOf,
  receives,
  reversed,
  sends,
} from '#sdp/direction.ts'
import { answerSetup, bestFingerprint, parseFingerprint } from '#sdp/dtls-attributes.ts'
import { candidateText, hostPriority, parseCandidate } from '#sdp/ice-attributes.ts'
import { localMediaLines, packetTimeOf, remoteMediaOf } from '#sdp/local-media.ts'
import { codecsOf, withCodecs } from '#sdp/sdp-codec.ts'
import { isSdpProblem, type MediaDescription, parseSdp, type SessionDescription } from '#sdp/session-description.ts'

function described(text: string): { description: SessionDescription; media: MediaDescription } {
  const description = parseSdp(text)
  assert.ok(!isSdpProblem(description))
  return { description, media: present(description.media[0], 'a media description') }
}

function audio(...lines: readonly string[]): { description: SessionDescription; media: MediaDescription } {
  const head = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0', 'm=audio 5000 RTP/AVP 0 96']
  return described([...head, ...lines].join('\r\n'))
}

test('attribute names are case-sensitive, and whole (RFC 8866 §5.13)', () => {
  const lines = ['a=ptimes:1', 'a=Ptime:2', 'a=ptime', 'a=ptime:20', 'a=x:', 'b=ptime:3']
  assert.deepEqual(attributesOf(lines, 'ptime'), ['', '20'])
  assert.equal(attributeOf(lines, 'x'), '')
  assert.equal(attributeOf(lines, 'y'), null)
})

test('replaced attributes stand where the first one stood, new ones at the end', () => {
  const lines = ['i=x', 'a=1', 'a=2:x', 'a=3', 'a=2:y']
  assert.deepEqual(withAttributes(lines, new Set(['2']), ['a=4', 'a=5']), ['i=x', 'a=1', 'a=4', 'a=5', 'a=3'])
  assert.deepEqual(withAttributes(lines, new Set(['9']), ['a=4']), [...lines, 'a=4'])
})

test('a new line stands where the grammar has it (RFC 8866 §9)', () => {
  assert.deepEqual(withLine(['i=x', 'b=AS:1', 't=0 0', 'a=1'], 'c', 'IN'), ['i=x', 'c=IN', 'b=AS:1', 't=0 0', 'a=1'])
  assert.deepEqual(withLine(['t=0 0', 'c=OLD', 'a=1'], 'c', 'NEW'), ['t=0 0', 'c=NEW', 'a=1'])
  assert.deepEqual(withLine(['a=1'], 't', '0 0'), ['t=0 0', 'a=1'])
  assert.deepEqual(withLine(['c=1', 'c=2', 'a=1'], 'c', null), ['a=1'])
})

test('the codecs are those of the m= line, in its order, static ones without rtpmap too (RFC 3551 §6)', () => {
  assert.deepEqual(
    codecsOf(described(LINPHONE).media).map(
      (codec) => `${codec.payloadType} ${codec.encoding}/${codec.clockRate}/${codec.channels} ${codec.parameters}`,
    ),
    [
      '96 OPUS/48000/2 useinbandfec=1',
      '97 SPEEX/16000/1 vbr=on',
      '98 SPEEX/8000/1 vbr=on',
      '0 PCMU/8000/1 ',
      '8 PCMA/8000/1 ',
      '18 G729/8000/1 annexb=yes',
      '101 TELEPHONE-EVENT/48000/1 ',
      '99 TELEPHONE-EVENT/16000/1 ',
      '100 TELEPHONE-EVENT/8000/1 ',
    ],
  )
})

test('a payload type that nobody can know is left out; an rtpmap wins over the static table', () => {
  const { media } = audio('a=rtpmap:0 L16/44100/2')
  assert.deepEqual(codecsOf(media), [
    { payloadType: 0, encoding: 'L16', clockRate: 44_100, channels: 2, parameters: '' },
  ])
})

test('an encoding name is a token (RFC 8866 §9): upper case never leaves the octets', () => {
  assert.deepEqual(
    codecsOf(audio('a=rtpmap:96 x\xb5y\xdf/8000').media).map((codec) => codec.payloadType),
    [0],
  )
})

test('codecs that stay keep their lines; those that go take rtpmap, fmtp and rtcp-fb along', () => {
  const { media } = described(CHROME)
  const [opus, , , , pcma] = codecsOf(media)
  const changed = withCodecs(media, [present(pcma, 'pcma'), present(opus, 'opus')])
  assert.deepEqual(changed.formats, ['8', '111'])
  const first = changed.lines.findIndex((line) => line.startsWith('a=rtpmap'))
  assert.deepEqual(changed.lines.slice(first - 1, first + 4), [
    'a=rtcp-rsize',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:111 opus/48000/2',
    'a=fmtp:111 minptime=10;useinbandfec=1',
    'a=rtcp-fb:111 transport-cc',
  ])
  const other = { payloadType: 111, encoding: 'ILBC', clockRate: 8000, channels: 1, parameters: 'mode=20' }
  const replaced = withCodecs(media, [other])
  assert.deepEqual(attributesOf(replaced.lines, 'rtpmap'), ['111 iLBC/8000'])
  assert.deepEqual(attributesOf(replaced.lines, 'fmtp'), ['111 mode=20'])
  assert.deepEqual(attributesOf(replaced.lines, 'rtcp-fb'), [])
})

test('the direction of the session holds for a stream without one; none is sendrecv (RFC 8866 §6.7)', () => {
  const text =
    'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=recvonly\r\nm=audio 1 RTP/AVP 0\r\n'
  assert.equal(attributeDirection(described(text).description, described(text).media), 'recvonly')
  const own = described(`${text}a=inactive\r\n`)
  assert.equal(attributeDirection(own.description, own.media), 'inactive')
  assert.equal(directionOf(audio().description, audio().media), 'sendrecv')
})

test('an unspecified address is hold: nothing may be sent there (RFC 3264 §8.4)', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['IN IP4 0.0.0.0', 'sendrecv', 'sendonly'],
    ['IN IP4 0.0.0.0', 'recvonly', 'inactive'],
    ['IN IP4 0.0.0.0', 'sendonly', 'sendonly'],
    ['IN IP6 ::', 'sendrecv', 'sendonly'],
    ['IN IP4 192.0.2.1', 'sendrecv', 'sendrecv'],
  ]
  for (const [address, attribute, direction] of cases) {
    const { description, media } = audio(`c=${address}`, `a=${attribute}`)
    assert.equal(directionOf(description, media), direction, `${address} ${attribute}`)
  }
})

test('an answer takes at most what the offer gives (RFC 3264 §6.1)', () => {
  for (const offered of DIRECTIONS) {
    for (const wanted of DIRECTIONS) {
      const answer = answerDirection(offered, wanted)
      assert.ok(!sends(answer) || (receives(offered) && sends(wanted)))
      assert.ok(!receives(answer) || (sends(offered) && receives(wanted)))
    }
    assert.equal(answerDirection(offered, 'sendrecv'), reversed(offered))
  }
})

test('RTCP goes to the next port, or where a=rtcp says (RFC 3605 §2.1)', () => {
  const rtcp = (...lines: string[]): unknown => rtcpEndpointOf(audio(...lines).description, audio(...lines).media)
  assert.deepEqual(rtcp(), { host: '192.0.2.1', port: 5001, family: 4 })
  assert.deepEqual(rtcp('a=rtcp:6000'), { host: '192.0.2.1', port: 6000, family: 4 })
  assert.deepEqual(rtcp('a=rtcp:6000 IN IP6 2001:DB8:0::1'), { host: '2001:db8::1', port: 6000, family: 6 })
  assert.deepEqual(rtcp('a=rtcp:nonsense'), { host: '192.0.2.1', port: 5001, family: 4 })
  assert.equal(rtcp('a=rtcp:0'), null)
})

test('a name instead of an address is no endpoint, and neither is half an address', () => {
  for (const host of ['media.example.com', '1.2.3', '256.1.1.1', '01.2.3.4', '::g', '1::2::3', '[::1]', '1.2.3.4.5']) {
    const { description, media } = audio(`c=IN IP4 ${host}`)
    assert.equal(endpointOf(description, media), null, host)
  }
})

test('a crypto attribute has tag, suite, keys with lifetime and MKI, and session parameters (RFC 4568 §9)', () => {
  const key = 'WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz'
  const full = `1 AES_CM_128_HMAC_SHA1_80 inline:${key}|2^20|1:4;inline:${key}|2^20|2:4 KDR=1 WSH=64 UNENCRYPTED_SRTCP`
  const crypto = present(parseCrypto(full), 'parsed')
  assert.deepEqual(crypto.keys[1], { keySalt: key, lifetime: 2 ** 20, mki: { value: '2', octets: 4 } })
  assert.deepEqual(crypto.parameters, ['KDR=1', 'WSH=64', 'UNENCRYPTED_SRTCP'])
  assert.equal(cryptoText(crypto), full)
  assert.deepEqual(parseCrypto(`2 AES_CM_128_HMAC_SHA1_32 inline:${key}|1:4`)?.keys[0]?.mki, { value: '1', octets: 4 })
  assert.equal(parseCrypto(`2 AES_CM_128_HMAC_SHA1_32 inline:${key}|1000`)?.keys[0]?.lifetime, 1000)
  assert.deepEqual(
    cryptoOf(described(ASTERISK).media).map((found) => found.tag),
    [1, 2],
  )
})

test('a malformed crypto attribute is passed over', () => {
  const key = 'WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz'
  const wrong = [
    '',
    '1',
    `x AES_CM_128_HMAC_SHA1_80 inline:${key}`,
    `1 AES_CM_128_HMAC_SHA1_80 outline:${key}`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key.slice(4)}`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key}|2^49`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key}|0`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key}|1:129`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key}|256:1`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key}|1:4|2^20`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key};inline:${key}`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key}|1:4;inline:${key}|2:5`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key} KDR=25`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key} WSH=63`,
    `1 AES_CM_128_HMAC_SHA1_80 inline:${key} FEC_ORDER=NONE`,
    `1 AES-CM inline:${key}`,
  ]
  for (const value of wrong) assert.equal(parseCrypto(value), null, value)
})

test('the answerer takes the first crypto that it can do; unknown session parameters only with a dash (RFC 4568 §5.1.2, §6.3.7)', () => {
  const key = 'WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz'
  const { media } = audio(
    `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key} UNENCRYPTED_SRTP`,
    `a=crypto:2 F8_128_HMAC_SHA1_80 inline:${key}`,
    `a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:${key} -odd=1 WSH=128`,
    `a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:${key}`,
  )
  const suites = ['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32']
  assert.equal(chooseCrypto(cryptoOf(media), suites)?.tag, 3)
  assert.equal(chooseCrypto(cryptoOf(media), ['AEAD_AES_256_GCM']), null)
})

test('keys pass through base 64 whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 44, maxLength: 44 }), (octets) => {
      const crypto = cryptoFrom(1, 'AEAD_AES_256_GCM', octets.slice(0, 32), octets.slice(32))
      const again = present(parseCrypto(cryptoText(crypto)), 'parsed')
      const keys = keyOctetsOf(again.suite, present(again.keys[0], 'key'))
      assert.deepEqual(keys, { masterKey: octets.slice(0, 32), masterSalt: octets.slice(32) })
    }),
  )
})

test('a fingerprint has the length of its hash, and counts in any case (RFC 8122 §5)', () => {
  const sha1 = 'SHA-1 4a:ad:b9:b1:3f:82:18:3b:54:02:12:df:3e:5d:49:6b:19:e5:7c:ab'
  assert.equal(parseFingerprint(sha1)?.value, '4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB')
  assert.equal(parseFingerprint(sha1)?.hash, 'sha-1')
  for (const wrong of ['sha-256 4A', 'md5 4A', 'sha-1', sha1.slice(0, -1), sha1.replaceAll(':', '')]) {
    assert.equal(parseFingerprint(wrong), null, wrong)
  }
  const strong = { hash: 'sha-256', value: 'x' }
  assert.equal(bestFingerprint([{ hash: 'sha-1', value: 'y' }, strong]), strong)
})

test('the answerer takes the role that is left (RFC 4145 §4.1, RFC 5763 §5)', () => {
  assert.equal(answerSetup('actpass', 'active'), 'active')
  assert.equal(answerSetup('actpass', 'passive'), 'passive')
  assert.equal(answerSetup('active', 'active'), 'passive')
  assert.equal(answerSetup('passive', 'passive'), 'active')
  assert.equal(answerSetup(null, 'active'), 'passive')
})

test('a candidate is written as it was read (RFC 8839 §5.1)', () => {
  const texts = attributesOf(described(CHROME).media.lines, 'candidate')
  for (const text of texts) {
    const again = candidateText(present(parseCandidate(text), text))
    assert.equal(
      again,
      text.replace(/ (udp|tcp) /, (transport) => transport.toUpperCase()),
    )
  }
  for (const wrong of [
    '',
    '1 1 UDP 1 192.0.2.1 5000',
    '1 1 UDP 1 192.0.2.1 70000 typ host',
    '1 x UDP 1 a 1 typ host',
    '1 1 UDP 1 a 1 typ host raddr',
  ]) {
    assert.equal(parseCandidate(wrong), null, wrong)
  }
  assert.equal(hostPriority(1, 65_535), 2_130_706_431)
})

test('the T.38 attributes of a fax gateway', () => {
  const { description } = described(FAX)
  const [speech, image] = description.media.map((media) => remoteMediaOf(description, media))
  assert.equal(speech?.rejected, true)
  assert.equal(speech?.endpoint, null)
  assert.deepEqual(image?.endpoint, { host: '192.0.2.81', port: 16_902, family: 4 })
  assert.deepEqual(image?.fax, {
    version: 0,
    bitRateMax: 14_400,
    fillBitRemoval: false,
    transcodingMmr: false,
    transcodingJbig: false,
    rateManagement: 'transferredTCF',
    bufferOctetsMax: 200,
    datagramOctetsMax: 320,
    errorCorrection: 't38UDPRedundancy',
  })
  assert.deepEqual(image.codecs, [])
  assert.equal(image.rtcpEndpoint, null)
})

test('packet times are milliseconds, and nonsense is none (RFC 8866 §6.4)', () => {
  const ptime = (value: string): number | null => packetTimeOf(audio(`a=ptime:${value}`).media, 'ptime')
  assert.deepEqual(['20', '2.5', '0', '-1', '1e9', '99999', ''].map(ptime), [20, 2.5, null, null, null, null, null])
  const desk = described(DESK)
  assert.equal(remoteMediaOf(desk.description, desk.media).label, '10')
  assert.equal(remoteMediaOf(desk.description, desk.media).direction, 'sendonly')
})

test('our side of a stream is read back as it was meant', () => {
  const endpoint = { host: '2001:db8::9', port: 30_000, family: 6 } as const
  const crypto = [cryptoFrom(1, 'AES_CM_128_HMAC_SHA1_80', new Uint8Array(16), new Uint8Array(14))]
  const ice = {
    ufrag: 'abcd',
    password: 'abcdefghijklmnopqrstuv',
    lite: true,
    candidates: [present(parseCandidate('1 1 UDP 2130706431 2001:db8::9 30000 typ host'), 'candidate')],
  }
  const fingerprint = present(parseFingerprint(attributeOf(described(CHROME).media.lines, 'fingerprint') ?? ''), 'one')
  const lines = localMediaLines({
    endpoint,
    rtcpPort: 30_005,
    rtcpMux: true,
    protocol: 'RTP/SAVPF',
    crypto,
    dtls: { fingerprint, setup: 'passive' },
    ice,
  })
  const { description, media } = audio('c=IN IP6 2001:db8::9', ...lines)
  const remote = remoteMediaOf(description, media)
  assert.deepEqual(remote.crypto, crypto)
  assert.deepEqual(remote.fingerprints, [fingerprint])
  assert.equal(remote.setup, 'passive')
  assert.deepEqual(remote.ice, { ...ice, lite: false, options: ['ice2'] })
  assert.equal(remote.rtcpEndpoint?.port, 30_005)
  assert.equal(remote.rtcpMux, true)
})
