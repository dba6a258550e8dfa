// The codec words of rtpengine's ng protocol, and payload types: RFC 3264 §8.3.2, RFC 3551 §6, RFC 4733 §2.5.1.1, RFC 5761 §4.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { answerCodecs, CODEC_POLICY_NONE, type CodecPlan, type CodecPolicy, planCodecs } from '#sdp/codec-policy.ts'
import { parseCodecSpec } from '#sdp/codec-spec.ts'
import { assignPayloadTypes } from '#sdp/payload-types.ts'
import type { SdpCodec } from '#sdp/sdp-codec.ts'

function codec(payloadType: number, encoding: string, clockRate = 8000, channels = 1, parameters = ''): SdpCodec {
  return { payloadType, encoding, clockRate, channels, parameters }
}

const OPUS = codec(111, 'OPUS', 48_000, 2, 'minptime=10')
const G722 = codec(9, 'G722')
const PCMU = codec(0, 'PCMU')
const PCMA = codec(8, 'PCMA')
const CN = codec(13, 'CN')
const RED = codec(63, 'RED', 48_000, 2, '111/111')
const EVENT48 = codec(110, 'TELEPHONE-EVENT', 48_000)
const EVENT8 = codec(126, 'TELEPHONE-EVENT', 8000)
const OFFERED = [OPUS, RED, G722, PCMU, PCMA, CN, EVENT48, EVENT8]
/** What can be converted. */
const AVAILABLE = [PCMU, PCMA, G722, codec(0, 'OPUS', 48_000, 2), codec(18, 'G729')]

function plan(
  offered: readonly SdpCodec[],
  policy: Partial<CodecPolicy>,
  earlier: readonly SdpCodec[] = [],
): CodecPlan {
  return planCodecs(offered, { ...CODEC_POLICY_NONE, ...policy }, AVAILABLE, earlier)
}

function names(codecs: readonly SdpCodec[]): string {
  return codecs
    .map(
      (one) =>
        `${one.payloadType}:${one.encoding.replace('TELEPHONE-EVENT', 'EVENT')}${one.encoding === 'TELEPHONE-EVENT' ? one.clockRate / 1000 : ''}`,
    )
    .join(' ')
}

test('no policy changes nothing', () => {
  const { offered, accepted, transcodes, added } = plan(OFFERED, {})
  assert.deepEqual([offered, accepted, transcodes, added], [OFFERED, OFFERED, false, []])
})

test('strip takes a codec away by name, by details, or by payload type', () => {
  assert.equal(
    names(plan(OFFERED, { strip: ['opus', 'red', 'telephone-event/48000', '9'] }).offered),
    '0:PCMU 8:PCMA 13:CN 126:EVENT8',
  )
  assert.equal(names(plan([OPUS, PCMU], { strip: ['opus/48000/1', 'PCMA'] }).offered), '111:OPUS 0:PCMU')
  assert.equal(names(plan([OPUS, PCMU], { strip: ['OPUS/48000/2'] }).accepted), '0:PCMU')
})

test('strip all leaves what is excepted, offered or transcoded to, if it was there', () => {
  assert.equal(names(plan(OFFERED, { strip: ['all'], except: ['PCMA', 'G729'] }).offered), '8:PCMA')
  const restored = plan(OFFERED, { strip: ['all'], except: ['telephone-event'], transcode: ['PCMA'] })
  assert.equal(names(restored.offered), '8:PCMA 110:EVENT48 126:EVENT8')
  assert.equal(restored.transcodes, false)
})

test('to strip everything is a mistake, and changes nothing', () => {
  const { offered, accepted } = plan([PCMU, EVENT8], { strip: ['all'] })
  assert.deepEqual(
    [offered, accepted],
    [
      [PCMU, EVENT8],
      [PCMU, EVENT8],
    ],
  )
})

test('offer puts codecs first in its order', () => {
  assert.equal(
    names(plan([OPUS, PCMU, PCMA, EVENT8], { offer: ['PCMA', 'PCMU'] }).offered),
    '8:PCMA 0:PCMU 111:OPUS 126:EVENT8',
  )
  assert.equal(names(plan(OFFERED, { strip: ['all'], offer: ['PCMA', 'opus', 'AMR'] }).offered), '8:PCMA 111:OPUS')
})

test('transcode adds what was not offered, with telephone-event for its clock rate, and takes out what cannot be converted', () => {
  const { offered, added, transcodes } = plan([OPUS, RED, codec(98, 'SPEEX'), EVENT48], { transcode: ['PCMA', 'PCMU'] })
  assert.equal(names(offered), '111:OPUS 8:PCMA 0:PCMU 110:EVENT48 101:EVENT8')
  assert.equal(names(added), '8:PCMA 0:PCMU 101:EVENT8')
  assert.equal(offered.at(-1)?.parameters, '0-15')
  assert.equal(transcodes, true)
  assert.equal(plan([OPUS, PCMU], { transcode: ['PCMU', 'AMR'] }).transcodes, false)
  assert.equal(names(plan([OPUS], { transcode: ['8', '18'] }).offered), '111:OPUS 8:PCMA 18:G729')
})

test("a dynamic payload type that we add meets none of the offer's", () => {
  const busy = Array.from({ length: 21 }, (_, at) => codec(107 + at, `X${at}`))
  const { offered } = plan([PCMU, ...busy.slice(0, 20)], { transcode: ['opus'], strip: ['X3'] })
  assert.equal(names(offered), '0:PCMU 127:OPUS')
})

test('mask hides a codec from the other side and keeps it for the offerer', () => {
  const { offered, accepted, convertible, transcodes } = plan([OPUS, EVENT48], { mask: ['opus'], transcode: ['G729'] })
  assert.equal(names(offered), '18:G729 101:EVENT8')
  assert.equal(names(accepted), '111:OPUS 110:EVENT48')
  assert.equal(names(convertible), '111:OPUS')
  assert.equal(transcodes, true)
  assert.equal(names(plan(OFFERED, { mask: ['all'], transcode: ['PCMA'] }).offered), '8:PCMA 126:EVENT8')
})

test('full takes away even what is transcoded to, which then comes anew', () => {
  const { offered, transcodes } = plan([OPUS, PCMA], { mask: ['full'], transcode: ['PCMA'] })
  assert.equal(names(offered), '8:PCMA')
  assert.equal(transcodes, true)
})

test("an answer has what both sides have, under the offerer's payload types and with the answer's parameters", () => {
  const planned = plan(OFFERED, {})
  const answer = answerCodecs(
    planned,
    [codec(120, 'OPUS', 48_000, 2, 'stereo=1'), codec(96, 'TELEPHONE-EVENT', 48_000)],
    AVAILABLE,
  )
  assert.deepEqual(answer, [{ ...OPUS, parameters: 'stereo=1' }, EVENT48])
  assert.deepEqual(answerCodecs(planned, [PCMU, CN], AVAILABLE), [PCMU, CN])
  assert.deepEqual(answerCodecs(planned, [codec(18, 'G729')], AVAILABLE), [])
})

test('a conversion is used on mismatch only', () => {
  const planned = plan([OPUS, G722, EVENT48], { transcode: ['PCMA'] })
  assert.equal(names(answerCodecs(planned, [PCMA, EVENT8], AVAILABLE)), '111:OPUS 9:G722 110:EVENT48')
  assert.equal(names(answerCodecs(planned, [PCMA, G722], AVAILABLE)), '9:G722')
  // Events are made from tones, or tones from events, when one side has none.
  assert.equal(names(answerCodecs(planned, [PCMA], AVAILABLE)), '111:OPUS 9:G722 110:EVENT48')
})

test('accept keeps a codec for the offerer when the other side refuses it', () => {
  const planned = plan([OPUS, PCMU], { accept: ['opus'] })
  assert.equal(names(planned.offered), '111:OPUS 0:PCMU')
  assert.equal(names(answerCodecs(planned, [PCMU], AVAILABLE)), '0:PCMU 111:OPUS')
  assert.equal(names(answerCodecs(plan([OPUS, PCMU], {}), [PCMU], AVAILABLE)), '0:PCMU')
})

test('a re-offer gives no payload type a second meaning (RFC 3264 §8.3.2)', () => {
  const earlier = plan([OPUS, PCMU, EVENT8], { transcode: ['G729'] }).offered
  const again = plan([codec(96, 'OPUS', 48_000, 2), codec(111, 'ILBC'), PCMU], {}, earlier)
  const iLbc = again.offered.find((one) => one.encoding === 'ILBC')
  assert.ok(iLbc !== undefined && iLbc.payloadType !== 111)
  assert.deepEqual(plan([OPUS, PCMU, EVENT8], { transcode: ['G729'] }, earlier).offered, earlier)
})

test('words of codecs have details after slashes', () => {
  const full = parseCodecSpec('opus/48000/2/32000/20/useinbandfec--1')
  assert.deepEqual(full, {
    encoding: 'OPUS',
    payloadType: null,
    clockRate: 48_000,
    channels: 2,
    bitRate: 32_000,
    ptimeMs: 20,
    parameters: 'useinbandfec=1',
  })
  assert.equal(parseCodecSpec('iLBC/8000/1///mode=30')?.parameters, 'mode=30')
  for (const wrong of ['', ' ', '/8000', 'x/y', 'x/0', '128', 'a b', 'x'.repeat(300)])
    assert.equal(parseCodecSpec(wrong), null, wrong)
  assert.equal(plan([OPUS, PCMU], { set: ['opus/48000/2/32000'] }).settings[0]?.bitRate, 32_000)
})

test("whatever is offered and asked for: payload types are unique, legal, and the offerer's codecs keep theirs", () => {
  const encodings = ['OPUS', 'PCMU', 'PCMA', 'G722', 'G729', 'ILBC', 'TELEPHONE-EVENT', 'CN', 'RED']
  const oneCodec = fc
    .tuple(fc.integer({ min: 0, max: 127 }), fc.constantFrom(...encodings), fc.constantFrom(8000, 48_000))
    .map(([payloadType, encoding, rate]) => codec(payloadType, encoding, rate))
  const offer = fc.uniqueArray(oneCodec, { selector: (one) => one.payloadType, maxLength: 12 })
  const words = fc.array(
    fc.constantFrom('all', 'full', '8', 'opus', 'PCMU', 'g729', 'telephone-event', 'iLBC/8000', 'x'),
    { maxLength: 3 },
  )
  const policy = fc.record({
    strip: words,
    except: words,
    offer: words,
    mask: words,
    consume: words,
    accept: words,
    transcode: words,
    set: words,
  })
  fc.assert(
    fc.property(offer, offer, policy, (offered, answer, asked) => {
      const planned = planCodecs(offered, asked, AVAILABLE)
      const numbers = planned.offered.map((one) => one.payloadType)
      assert.equal(new Set(numbers).size, numbers.length)
      assert.ok(
        numbers.every(
          (number) =>
            number >= 0 &&
            number <= 127 &&
            (offered.some((one) => one.payloadType === number) || number < 64 || number > 95),
        ),
      )
      if (offered.length > 0) assert.ok(planned.offered.length > 0)
      const back = answerCodecs(planned, answer, AVAILABLE)
      for (const one of back)
        assert.ok(offered.some((own) => own.payloadType === one.payloadType && own.encoding === one.encoding))
      assert.equal(new Set(back.map((one) => one.payloadType)).size, back.length)
      const earlier = planCodecs(answer, CODEC_POLICY_NONE, AVAILABLE).offered
      for (const one of planCodecs(offered, asked, AVAILABLE, earlier).offered) {
        const before = earlier.find((old) => old.payloadType === one.payloadType)
        assert.ok(
          before === undefined || planned.offered.length === 0 || before.encoding === one.encoding,
          JSON.stringify([one, before]),
        )
      }
    }),
    { numRuns: 500 },
  )
})

test('when no number is left, the codec is left out', () => {
  const busy = Array.from({ length: 128 }, (_, at) => codec(at, `X${at}`))
  assert.deepEqual(assignPayloadTypes([codec(-1, 'OPUS', 48_000, 2)], busy), [])
})
