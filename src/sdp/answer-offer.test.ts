// Answers and offers of our own: RFC 3264 §5, §6, §8; RFC 4733 §2.5.1.1; RFC 5763 §5.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { present } from '#core/assert.ts'
import { ASTERISK, CHROME, DESK, FAX, LINPHONE, SEMINAR, SIPP } from '#sdp/_test-corpus.ts'
import { answerableAudio, answerOffer, isRefusal, makeOffer, type OwnMedia } from '#sdp/answer-offer.ts'
import { matchCodecs, sameCodec } from '#sdp/codec-match.ts'
import type { LocalMedia } from '#sdp/local-media.ts'
import { codecsOf, type SdpCodec } from '#sdp/sdp-codec.ts'
import { isSdpProblem, parseSdp, type SessionDescription, writeSdp } from '#sdp/session-description.ts'

const IDENTITY = { username: '-', sessionId: '5', address: { host: '203.0.113.9', family: 4 } } as const
const LOCAL: LocalMedia = {
  endpoint: { host: '203.0.113.9', port: 30_000, family: 4 },
  rtcpPort: 30_001,
  rtcpMux: false,
  protocol: 'RTP/AVP',
  crypto: [],
  dtls: null,
  ice: null,
}

function codec(payloadType: number, encoding: string, clockRate = 8000, channels = 1, parameters = ''): SdpCodec {
  return { payloadType, encoding, clockRate, channels, parameters }
}

const OURS = [
  codec(107, 'OPUS', 48_000, 2, 'useinbandfec=1'),
  codec(8, 'PCMA'),
  codec(0, 'PCMU'),
  codec(101, 'TELEPHONE-EVENT', 8000, 1, '0-15'),
]
const OWN: OwnMedia = { local: LOCAL, codecs: OURS, direction: 'sendrecv', ptimeMs: 20 }

function read(text: string): SessionDescription {
  const description = parseSdp(text)
  assert.ok(!isSdpProblem(description))
  return description
}

function answered(text: string, order: 'ours' | 'theirs' = 'theirs', own: Partial<OwnMedia> = {}): SessionDescription {
  const media = read(text).media.map((section) => (section.kind === 'audio' ? { ...OWN, ...own } : null))
  const answer = answerOffer(read(text), { identity: IDENTITY, previous: null, order, media })
  assert.ok(!isRefusal(answer), JSON.stringify(answer))
  assert.deepEqual(read(writeSdp(answer)), answer)
  return answer
}

function codecNames(description: SessionDescription): string[] {
  return codecsOf(present(description.media[0], 'audio')).map(
    (one) => `${one.payloadType} ${one.encoding}/${one.clockRate}`,
  )
}

test('an answer has the common codecs under the payload types of the offer, in its order (RFC 3264 §6.1)', () => {
  assert.deepEqual(codecNames(answered(CHROME)), [
    '111 OPUS/48000',
    '0 PCMU/8000',
    '8 PCMA/8000',
    '110 TELEPHONE-EVENT/48000',
    '126 TELEPHONE-EVENT/8000',
  ])
})

test('or in ours', () => {
  assert.deepEqual(codecNames(answered(LINPHONE, 'ours')).slice(0, 3), ['96 OPUS/48000', '8 PCMA/8000', '0 PCMU/8000'])
})

test('telephone-event is answered for the clock rates in use (RFC 4733 §2.5.1.1)', () => {
  const narrow = answered(LINPHONE, 'theirs', {
    codecs: [codec(8, 'PCMA'), codec(101, 'TELEPHONE-EVENT', 8000, 1, '0-15')],
  })
  assert.deepEqual(codecNames(narrow), ['8 PCMA/8000', '100 TELEPHONE-EVENT/8000'])
  assert.ok(narrow.media[0]?.lines.includes('a=fmtp:100 0-15'))
  // Many offer Opus with events at 8000 alone, and then send them so.
  const wide = answered(DESK.replace('a=rtpmap:102 iLBC/8000', 'a=rtpmap:102 opus/48000/2'), 'theirs', {
    codecs: [codec(1, 'OPUS', 48_000, 2), codec(101, 'TELEPHONE-EVENT')],
  })
  assert.deepEqual(codecNames(wide), ['102 OPUS/48000', '101 TELEPHONE-EVENT/8000'])
  assert.deepEqual(codecNames(answered(SIPP)), ['0 PCMU/8000'])
})

test('the whole answer to a plain offer', () => {
  assert.equal(
    writeSdp(answered(SIPP)),
    [
      'v=0',
      'o=- 5 1 IN IP4 203.0.113.9',
      's=-',
      'c=IN IP4 203.0.113.9',
      't=0 0',
      'm=audio 30000 RTP/AVP 0',
      'a=rtpmap:0 PCMU/8000',
      'a=ptime:20',
      'a=sendrecv',
      '',
    ].join('\r\n'),
  )
})

test('hold is answered with the other direction, and our wish with no more than is offered (RFC 3264 §6.1)', () => {
  const direction = (text: string, own: Partial<OwnMedia> = {}): string | undefined =>
    answered(text, 'theirs', own).media[0]?.lines.find((line) => /^a=(?:send|recv|inact)/.test(line))
  assert.equal(direction(DESK), 'a=recvonly')
  assert.equal(direction(SIPP.replace('c=IN IP4 127.0.0.1', 'c=IN IP4 0.0.0.0')), 'a=recvonly')
  assert.equal(direction(`${SIPP}a=inactive\r\n`), 'a=inactive')
  assert.equal(direction(`${SIPP}a=recvonly\r\n`), 'a=sendonly')
  assert.equal(direction(SIPP, { direction: 'sendonly' }), 'a=sendonly')
  assert.equal(direction(`${SIPP}a=sendonly\r\n`, { direction: 'sendonly' }), 'a=inactive')
})

test('streams that we do not take are rejected in place', () => {
  assert.deepEqual(
    answered(DESK).media.map((media) => [media.kind, media.port]),
    [
      ['audio', 30_000],
      ['video', 0],
    ],
  )
  assert.deepEqual(
    answered(SEMINAR).media.map((media) => media.port),
    [30_000, 30_000, 0],
  )
})

test('an offer of which nothing is left is refused, with the reason', () => {
  const refuse = (text: string, codecs = OURS): unknown => {
    const media = read(text).media.map(() => ({ ...OWN, codecs }))
    const answer = answerOffer(read(text), { identity: IDENTITY, previous: null, order: 'theirs', media })
    return isRefusal(answer) ? answer.refusal : 'answered'
  }
  assert.equal(refuse(SIPP, [codec(8, 'PCMA')]), 'SDP_NO_CODEC')
  assert.equal(refuse(CHROME, [codec(101, 'TELEPHONE-EVENT', 8000)]), 'SDP_NO_CODEC')
  assert.equal(refuse(FAX), 'SDP_NO_MEDIA')
  assert.equal(refuse(SIPP.replace('audio 6000', 'audio 0')), 'answered')
  assert.equal(refuse(SIPP.slice(0, SIPP.indexOf('m='))), 'answered')
  assert.equal(answerableAudio(read(DESK), OURS), 0)
  assert.equal(answerableAudio(read(FAX), OURS), -1)
})

test("the answer keeps the offer's profile; what was not offered is not answered", () => {
  const answer = answered(ASTERISK, 'theirs', { local: { ...LOCAL, rtcpMux: true } })
  assert.equal(answer.media[0]?.protocol, 'RTP/SAVP')
  assert.equal(answer.media[0]?.lines.includes('a=rtcp-mux'), false)
  const browser = answered(CHROME, 'theirs', { local: { ...LOCAL, rtcpMux: true, rtcpPort: null } })
  assert.equal(browser.media[0]?.lines.includes('a=rtcp-mux'), true)
  assert.ok(browser.lines.includes('a=group:BUNDLE 0'))
  assert.ok(browser.media[0]?.lines.includes('a=mid:0'))
})

test('a fresh offer, and a changed one that keeps the places of streams (RFC 3264 §8.2)', () => {
  const base = { identity: IDENTITY, name: '-', media: [{ kind: 'audio', own: OWN }] }
  const first = makeOffer({ ...base, previous: null })
  assert.equal(
    writeSdp(first),
    [
      'v=0',
      'o=- 5 1 IN IP4 203.0.113.9',
      's=-',
      'c=IN IP4 203.0.113.9',
      't=0 0',
      'm=audio 30000 RTP/AVP 107 8 0 101',
      'a=rtpmap:107 opus/48000/2',
      'a=fmtp:107 useinbandfec=1',
      'a=rtpmap:8 PCMA/8000',
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      'a=ptime:20',
      'a=sendrecv',
      '',
    ].join('\r\n'),
  )
  assert.equal(writeSdp(makeOffer({ ...base, previous: first })), writeSdp(first))
  const none = makeOffer({ ...base, media: [], previous: first })
  assert.deepEqual([none.origin.sessionVersion, none.media.map((media) => media.port)], ['2', [0]])
})

test('two sides beside each other: what passes, what needs a conversion', () => {
  const left = [codec(111, 'OPUS', 48_000, 2), codec(0, 'PCMU'), codec(126, 'TELEPHONE-EVENT')]
  const right = [codec(0, 'PCMU'), codec(8, 'PCMA'), codec(101, 'TELEPHONE-EVENT')]
  const match = matchCodecs(left, right)
  assert.deepEqual(
    match.pairs.map((pair) => [pair.left.payloadType, pair.right.payloadType]),
    [
      [0, 0],
      [126, 101],
    ],
  )
  assert.deepEqual([match.leftOnly.length, match.rightOnly.length, match.converts], [1, 1, false])
  assert.equal(matchCodecs(left.slice(0, 1), right).converts, true)
})

test('format parameters that must be alike tell codecs apart (RFC 4867 §8.1, RFC 6184 §8.2.2)', () => {
  const amr = codec(96, 'AMR', 8000, 1, 'mode-set=7')
  assert.equal(sameCodec(amr, codec(97, 'AMR', 8000, 1, 'octet-align=0; mode-set=0')), true)
  assert.equal(sameCodec(amr, codec(97, 'AMR', 8000, 1, 'octet-align=1')), false)
  const video = (parameters: string): SdpCodec => codec(99, 'H264', 90_000, 1, parameters)
  assert.equal(sameCodec(video('profile-level-id=42801F'), video('profile-level-id=428014')), true)
  assert.equal(sameCodec(video('profile-level-id=42801F'), video('profile-level-id=64001F')), false)
  assert.equal(sameCodec(codec(18, 'G729', 8000, 1, 'annexb=no'), codec(18, 'G729')), true)
})
