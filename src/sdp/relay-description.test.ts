// A relay between two sides: RFC 3264 §5 to §8, RFC 6337 §3, RFC 5761 §5, RFC 5888 §9, RFC 9143 §7.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
// @ts-expect-error The package has no types.
import sdpTransform from 'sdp-transform'
import { present } from '#core/assert.ts'
import { ASTERISK, CHROME, CORPUS, DESK, FAX, faultyTexts, LINPHONE, SEMINAR, SIPP } from '#sdp/_test-corpus.ts'
import { answerOffer, isRefusal } from '#sdp/answer-offer.ts'
import { attributeOf, attributesOf } from '#sdp/attributes.ts'
import { CODEC_POLICY_NONE, planCodecs } from '#sdp/codec-policy.ts'
import { cryptoFrom } from '#sdp/crypto-attribute.ts'
import { parseFingerprint } from '#sdp/dtls-attributes.ts'
import { type LocalMedia, remoteMediaOf } from '#sdp/local-media.ts'
import { type RelayedMedia, type RelaySide, relayAnswer, relayOffer } from '#sdp/relay-description.ts'
import { codecsOf } from '#sdp/sdp-codec.ts'
import { isSdpProblem, parseSdp, type SessionDescription, writeSdp } from '#sdp/session-description.ts'

const IDENTITY = { username: '-', sessionId: '77', address: { host: '203.0.113.9', family: 4 } } as const

const OPUS = [{ payloadType: 107, encoding: 'OPUS', clockRate: 48_000, channels: 2, parameters: '' }]

function read(text: string): SessionDescription {
  const description = parseSdp(text)
  assert.ok(!isSdpProblem(description))
  return description
}

function local(port: number, protocol = 'RTP/AVP', more: Partial<LocalMedia> = {}): LocalMedia {
  const endpoint = { host: '203.0.113.9', port, family: 4 } as const
  return { endpoint, rtcpPort: port + 1, rtcpMux: false, protocol, crypto: [], dtls: null, ice: null, ...more }
}

function relayed(media: LocalMedia, more: Partial<RelayedMedia> = {}): RelayedMedia {
  return { local: media, codecs: null, direction: null, ptimeMs: null, headerExtensions: false, ...more }
}

function side(...media: readonly (RelayedMedia | null)[]): RelaySide {
  return { identity: IDENTITY, previous: null, name: null, media }
}

/** All that stands in the text of a description of its sender's address and transport. */
function leaks(text: string, ...hosts: readonly string[]): string[] {
  return hosts.filter((host) => text.includes(host))
}

test("an offer goes on with our origin, address and ports, and nothing of the sender's", () => {
  const offer = relayOffer(read(LINPHONE), side(relayed(local(30_000))))
  assert.equal(
    writeSdp(offer),
    [
      'v=0',
      'o=- 77 1 IN IP4 203.0.113.9',
      's=Talk',
      'c=IN IP4 203.0.113.9',
      't=0 0',
      'a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics',
      'a=record:off',
      'm=audio 30000 RTP/AVP 96 97 98 0 8 18 101 99 100',
      'a=rtpmap:96 opus/48000/2',
      'a=fmtp:96 useinbandfec=1',
      'a=rtpmap:97 speex/16000',
      'a=fmtp:97 vbr=on',
      'a=rtpmap:98 speex/8000',
      'a=fmtp:98 vbr=on',
      'a=fmtp:18 annexb=yes',
      'a=rtpmap:101 telephone-event/48000',
      'a=rtpmap:99 telephone-event/16000',
      'a=rtpmap:100 telephone-event/8000',
      'a=sendrecv',
      '',
    ].join('\r\n'),
  )
})

test("a browser's offer becomes one for a plain telephone", () => {
  const text = writeSdp(relayOffer(read(CHROME), side(relayed(local(30_000)))))
  assert.deepEqual(leaks(text, '198.51.100.7', '192.0.2.33', '127.0.0.1', 'EsAw', 'fingerprint', 'ssrc', 'msid'), [])
  assert.match(text, /\r\nm=audio 30000 RTP\/AVP 111 63 9 0 8 13 110 126\r\n/)
  assert.doesNotMatch(text, /BUNDLE|rtcp-mux|rtcp-fb|extmap|candidate|setup|ice-/)
})

test('the answer of a plain telephone becomes one for the browser: its profile, tag, BUNDLE, rtcp-mux, DTLS and ICE', () => {
  const offer = read(CHROME)
  const fingerprint = present(parseFingerprint(attributeOf(offer.media[0]?.lines ?? [], 'fingerprint') ?? ''), 'one')
  const candidates = [
    {
      foundation: '1',
      component: 1,
      transport: 'UDP',
      priority: 2_130_706_431,
      address: '203.0.113.9',
      port: 40_000,
      type: 'host',
      relatedAddress: null,
      relatedPort: null,
      extensions: [],
    },
  ]
  const ours = local(40_000, 'UDP/TLS/RTP/SAVPF', {
    rtcpPort: null,
    rtcpMux: true,
    dtls: { fingerprint, setup: 'passive' },
    ice: { ufrag: 'uuuu', password: 'pppppppppppppppppppppp', lite: true, candidates },
  })
  const answer = relayAnswer(read(SIPP), offer, side(relayed(ours)))
  assert.deepEqual(answer.lines, ['c=IN IP4 203.0.113.9', 't=0 0', 'a=group:BUNDLE 0', 'a=ice-lite'])
  assert.deepEqual(answer.media[0]?.lines, [
    'a=rtpmap:0 PCMU/8000',
    'a=mid:0',
    'a=sendrecv',
    'a=rtcp:40000',
    'a=rtcp-mux',
    'a=ice-ufrag:uuuu',
    'a=ice-pwd:pppppppppppppppppppppp',
    'a=ice-options:ice2',
    'a=candidate:1 1 UDP 2130706431 203.0.113.9 40000 typ host',
    'a=end-of-candidates',
    `a=fingerprint:sha-256 ${fingerprint.value}`,
    'a=setup:passive',
  ])
  assert.equal(answer.media[0]?.protocol, 'UDP/TLS/RTP/SAVPF')
})

test('rtcp-mux and ICE are answered only where they were offered (RFC 5761 §5.1.1)', () => {
  const ice = { ufrag: 'uuuu', password: 'pppppppppppppppppppppp', lite: true, candidates: [] }
  const answer = relayAnswer(read(CHROME), read(SIPP), side(relayed(local(40_000, 'RTP/AVP', { rtcpMux: true, ice }))))
  assert.doesNotMatch(writeSdp(answer), /rtcp-mux|ice-(?!lite)/)
})

test("SRTP towards one side, RTP towards the other: profile and keys are each side's own", () => {
  const crypto = [cryptoFrom(1, 'AES_CM_128_HMAC_SHA1_80', new Uint8Array(16).fill(7), new Uint8Array(14))]
  const plain = relayOffer(read(ASTERISK), side(relayed(local(30_000))))
  assert.equal(plain.media[0]?.protocol, 'RTP/AVP')
  assert.deepEqual(attributesOf(plain.media[0]?.lines ?? [], 'crypto'), [])
  const answer = relayAnswer(read(SIPP), read(ASTERISK), side(relayed(local(40_000, 'RTP/SAVP', { crypto }))))
  assert.equal(answer.media[0]?.protocol, 'RTP/SAVP')
  assert.deepEqual(remoteMediaOf(answer, present(answer.media[0], 'audio')).crypto, crypto)
})

test('a rejected stream keeps its place with port 0 (RFC 3264 §6)', () => {
  const offer = relayOffer(read(FAX), side(relayed(local(30_000)), relayed(local(30_002, 'udptl'))))
  assert.deepEqual(
    offer.media.map((media) => [media.kind, media.port, media.protocol, media.formats]),
    [
      ['audio', 0, 'RTP/AVP', ['0', '8']],
      ['image', 30_002, 'udptl', ['t38']],
    ],
  )
  assert.equal(offer.media[1]?.lines.length, 9)
})

test('an answer has the media of the offer, in number, order and kind (RFC 3264 §6)', () => {
  const offer = read(DESK)
  const sides = side(relayed(local(40_000)), relayed(local(40_002)))
  const kinds = (answer: SessionDescription): unknown => answer.media.map((media) => [media.kind, media.port])
  // One stream too few; one too many; the wrong kind; one refused.
  assert.deepEqual(kinds(relayAnswer(read(SIPP), offer, sides)), [
    ['audio', 40_000],
    ['video', 0],
  ])
  assert.deepEqual(kinds(relayAnswer(offer, read(SIPP), sides)), [['audio', 40_000]])
  assert.deepEqual(kinds(relayAnswer(read(FAX), offer, sides)), [
    ['audio', 0],
    ['video', 0],
  ])
  assert.deepEqual(kinds(relayAnswer(offer, offer, side(null, relayed(local(40_002))))), [
    ['audio', 0],
    ['video', 40_002],
  ])
})

test('the version grows by one when the description changes, and only then (RFC 3264 §8)', () => {
  const first = relayOffer(read(SIPP), side(relayed(local(30_000))))
  const same = relayOffer(read(SIPP.replace('2353687637', '2353687638')), {
    ...side(relayed(local(30_000))),
    previous: first,
  })
  assert.equal(writeSdp(same), writeSdp(first))
  const moved = relayOffer(read(SIPP), { ...side(relayed(local(30_010))), previous: same })
  assert.deepEqual([moved.origin.sessionId, moved.origin.sessionVersion], ['77', '2'])
  // The identity of the session outlives a change of our address.
  const identity = { username: 'x', sessionId: '78', address: { host: '2001:db8::1', family: 6 } } as const
  const later = relayOffer(read(SIPP), { ...side(relayed(local(30_012))), previous: moved, identity })
  assert.deepEqual(later.origin, { ...moved.origin, sessionVersion: '3' })
})

test('hold and resume pass as attributes, hold by an unspecified address too (RFC 6337 §5.3, RFC 3264 §8.4)', () => {
  const direction = (text: string): string => {
    const offer = relayOffer(read(text), side(relayed(local(30_000))))
    const media = present(offer.media[0], 'audio')
    assert.equal(media.port, 30_000)
    assert.doesNotMatch(writeSdp(offer), /0\.0\.0\.0/)
    return remoteMediaOf(offer, media).direction
  }
  assert.equal(direction(`${SIPP}a=sendonly\r\n`), 'sendonly')
  assert.equal(direction(`${SIPP}a=inactive\r\n`), 'inactive')
  assert.equal(direction(SIPP.replace('c=IN IP4 127.0.0.1', 'c=IN IP4 0.0.0.0')), 'sendonly')
  assert.equal(direction(SIPP.replace('m=', 'a=sendonly\r\nm=')), 'sendonly')
  assert.equal(direction(SIPP), 'sendrecv')
})

test('an answer that wants more than the offer gives is held to it (RFC 3264 §6.1)', () => {
  const answer = relayAnswer(read(SIPP), read(`${SIPP}a=sendonly\r\n`), side(relayed(local(40_000))))
  assert.equal(attributeOf(answer.media[0]?.lines ?? [], 'recvonly'), '')
})

test('a stream that a later offer leaves out comes as a rejected one (RFC 3264 §8)', () => {
  const first = relayOffer(read(DESK), side(relayed(local(30_000)), relayed(local(30_002))))
  const second = relayOffer(read(SIPP), { ...side(relayed(local(30_000))), previous: first })
  assert.deepEqual(
    second.media.map((media) => [media.kind, media.port]),
    [
      ['audio', 30_000],
      ['video', 0],
    ],
  )
})

test("a name of ours replaces the sender's, and a key of the session goes (RFC 8866 §5.3, §5.12)", () => {
  const offer = relayOffer(read(SEMINAR), { ...side(relayed(local(30_000))), name: '-' })
  assert.equal(offer.name, '-')
  assert.equal(writeSdp(offer).includes('k=clear'), false)
  assert.ok(offer.lines.includes('z=3730928400 -1h 3749680800 0'))
})

test('codecs and packet time are replaced, the rest of the stream stays', () => {
  const offered = read(ASTERISK)
  const [pcma] = codecsOf(present(offered.media[0], 'audio'))
  const opus = { payloadType: 107, encoding: 'OPUS', clockRate: 48_000, channels: 2, parameters: 'useinbandfec=1' }
  const codecs = [opus, present(pcma, 'pcma')]
  const offer = relayOffer(offered, side(relayed(local(30_000), { codecs, ptimeMs: 40 })))
  assert.deepEqual(codecsOf(present(offer.media[0], 'audio')), codecs)
  assert.deepEqual(offer.media[0]?.lines, [
    'a=rtpmap:107 opus/48000/2',
    'a=fmtp:107 useinbandfec=1',
    'a=rtpmap:8 PCMA/8000',
    'a=ptime:40',
    'a=maxptime:150',
    'a=sendrecv',
  ])
  const slow = relayOffer(offered, side(relayed(local(30_000), { ptimeMs: 200 })))
  assert.deepEqual(attributesOf(slow.media[0]?.lines ?? [], 'maxptime'), [])
  const none = relayOffer(offered, side(relayed(local(30_000), { codecs: [] })))
  assert.equal(none.media[0]?.port, 0)
})

test('media with addresses of their own have c= lines of their own, IPv6 beside IPv4', () => {
  const six = local(30_002, 'RTP/AVP', { endpoint: { host: '2001:db8::9', port: 30_002, family: 6 } })
  const offer = relayOffer(read(DESK), side(relayed(local(30_000)), relayed(six)))
  assert.equal(offer.lines.includes('c=IN IP4 203.0.113.9'), true)
  assert.deepEqual(
    offer.media.map((media) => media.lines.filter((line) => line.startsWith('c='))),
    [[], ['c=IN IP6 2001:db8::9']],
  )
  assert.equal(remoteMediaOf(offer, present(offer.media[1], 'video')).endpoint?.host, '2001:db8::9')
})

test('streams that share a transport stay in a BUNDLE; those that do not are out of it (RFC 9143 §7.3)', () => {
  const text = CHROME.replace('BUNDLE 0', 'BUNDLE 0 1')
  const video = 'm=video 54321 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 198.51.100.7\r\na=rtpmap:96 VP8/90000\r\na=mid:1\r\n'
  const offer = read(text + video)
  const groups = (...ports: number[]): string[] => {
    const sides = side(...ports.map((port) => relayed(local(port, 'UDP/TLS/RTP/SAVPF'))))
    return attributesOf(relayAnswer(offer, offer, sides).lines, 'group')
  }
  assert.deepEqual(groups(40_000, 40_000), ['BUNDLE 0 1'])
  assert.deepEqual(groups(40_000, 40_002), ['BUNDLE 0'])
  assert.deepEqual(groups(40_000), ['BUNDLE 0'])
  assert.deepEqual(groups(), [])
})

test('whatever is offered and answered: nothing throws, media keep their places, results are well-formed and stable', () => {
  const texts = Object.values(CORPUS).map(read)
  const some = fc.constantFrom(...texts)
  const media = fc.option(
    fc.constantFrom('RTP/AVP', 'RTP/SAVPF', 'udptl').map((protocol) => relayed(local(30_000, protocol))),
  )
  const sides = fc.array(media, { maxLength: 4 }).map((list) => side(...list))
  fc.assert(
    fc.property(some, some, sides, sides, (offer, answer, outward, back) => {
      const on = relayOffer(offer, outward)
      const returned = relayAnswer(answer, offer, back)
      for (const [at, section] of offer.media.entries()) {
        assert.equal(on.media[at]?.kind, section.kind)
        assert.deepEqual([returned.media[at]?.kind, returned.media[at]?.protocol], [section.kind, section.protocol])
      }
      assert.equal(on.media.length, offer.media.length)
      assert.equal(returned.media.length, offer.media.length)
      for (const description of [on, returned]) {
        assert.deepEqual(read(writeSdp(description)), description)
        const theirs: { media: { port: number; protocol: string }[] } = sdpTransform.parse(writeSdp(description))
        assert.deepEqual(
          theirs.media.map((section) => [section.port, section.protocol]),
          description.media.map((section) => [section.port, section.protocol]),
        )
        assert.deepEqual(leaks(writeSdp(description), '192.0.2.', '198.51.100.', '2001:db8::35', '233.252'), [])
      }
      assert.equal(writeSdp(relayOffer(offer, { ...outward, previous: on })), writeSdp(on))
      assert.equal(writeSdp(relayAnswer(answer, offer, { ...back, previous: returned })), writeSdp(returned))
    }),
  )
})

test('descriptions with faults are relayed, answered and planned without a throw', () => {
  let relayedCount = 0
  let offer = read(SIPP)
  for (const text of faultyTexts(7, 3_000)) {
    const description = parseSdp(text)
    if (isSdpProblem(description)) continue
    relayedCount += 1
    const earlier = offer.media.flatMap(codecsOf)
    const sides = side(
      ...description.media.map((section, at) => {
        const policy = { ...CODEC_POLICY_NONE, transcode: ['opus'], mask: ['G722'] }
        const plan = planCodecs(remoteMediaOf(description, section).codecs, policy, OPUS, earlier)
        return relayed(local(30_000 + at * 2, 'RTP/SAVPF'), { codecs: plan.offered })
      }),
    )
    const on = relayOffer(description, { ...sides, previous: offer })
    assert.deepEqual(read(writeSdp(on)), on)
    const back = relayAnswer(description, offer, sides)
    assert.equal(back.media.length, offer.media.length)
    assert.deepEqual(read(writeSdp(back)), back)
    const media = description.media.map(
      () => ({ local: local(9), codecs: OPUS, direction: 'sendrecv', ptimeMs: 20 }) as const,
    )
    const own = answerOffer(description, { identity: IDENTITY, previous: offer, order: 'ours', media })
    if (!isRefusal(own)) assert.deepEqual(read(writeSdp(own)), own)
    offer = description
  }
  assert.ok(relayedCount > 1_000, `${relayedCount}`)
})

test('a bandwidth goes when codecs come that it was not written for', () => {
  const offered = read(DESK)
  const [first] = codecsOf(present(offered.media[0], 'audio'))
  const bandwidths = (codecs: RelayedMedia['codecs']): unknown =>
    relayOffer(offered, side(relayed(local(30_000), { codecs }))).media[0]?.lines.filter((line) =>
      line.startsWith('b='),
    )
  assert.deepEqual(bandwidths([present(first, 'G722')]), ['b=TIAS:64000'])
  assert.deepEqual(bandwidths(OPUS), [])
})
