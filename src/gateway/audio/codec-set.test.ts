import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  noiseSource,
  promptSound,
  segmentalSignalToNoise,
  signalToNoise,
  speechLike,
} from '#gateway/audio/_sounds.test.ts'
import { CodecSet } from '#gateway/audio/codec-set.ts'
import { audioCodecs } from '#host/audio-codecs.ts'

const notices: string[] = []
const libraries = await audioCodecs({ event: (_level, code, fields) => notices.push(`${code} ${fields['encoding']}`) })
const codecs = new CodecSet(libraries)

/** Encoding, rate, and the least signal to noise and segmental signal to noise in dB that speech has to keep. */
const BOUNDS: readonly (readonly [string, number, number, number])[] = [
  ['PCMU', 8000, 35, 33],
  ['PCMA', 8000, 35, 33],
  ['L16', 8000, 90, 35],
  ['G722', 16_000, 20, 23],
  ['OPUS', 8000, 9, 7.5],
  ['OPUS', 16_000, 9, 9],
  ['OPUS', 48_000, 7, 8],
  ['G729', 8000, 5, 4],
]

function through(encoding: string, sampleRate: number, said: Int16Array): Int16Array {
  const encoder = codecs.encoder(encoding, '', sampleRate)
  const decoder = codecs.decoder(encoding, '', sampleRate)
  assert.ok(encoder !== null && decoder !== null)
  assert.equal(encoder.sampleRate, sampleRate)
  assert.equal(decoder.sampleRate, sampleRate)
  const frame = sampleRate / 50
  const heard = new Int16Array(said.length)
  const payload = new Uint8Array(4000)
  const samples = new Int16Array(6000)
  for (let start = 0; start + frame <= said.length; start += frame) {
    const octets: number = encoder.encode(said.subarray(start, start + frame), payload)
    assert.ok(octets > 0)
    assert.equal(decoder.decode(payload.subarray(0, octets), samples), frame)
    heard.set(samples.subarray(0, frame), start)
  }
  encoder.close()
  decoder.close()
  return heard
}

for (const [encoding, sampleRate, ratioMin, segmentalMin] of BOUNDS) {
  const skip = codecs.available.includes(encoding) ? false : `${encoding} is not available here`
  test(`${encoding} at ${sampleRate} Hz keeps speech within ${ratioMin} dB, ${segmentalMin} dB by segments`, {
    skip,
  }, () => {
    const prompt = promptSound('echo-test', sampleRate)
    for (const said of [speechLike(sampleRate, 1, 7), prompt.subarray(0, sampleRate)]) {
      const heard = through(encoding, sampleRate, said)
      const delayMax = Math.round(sampleRate * 0.025)
      const ratio = signalToNoise(said, heard, delayMax)
      const segmental = segmentalSignalToNoise(said, heard, delayMax, sampleRate)
      assert.ok(ratio >= ratioMin, `${ratio} dB`)
      assert.ok(segmental >= segmentalMin, `${segmental} dB by segments`)
    }
  })
}

test('a library that is missing takes its encoding out of what is available, with one notice', () => {
  const missing = ['OPUS', 'G729'].filter((encoding) => !codecs.available.includes(encoding))
  assert.deepEqual(
    notices,
    missing.map((encoding) => `CODEC_UNAVAILABLE ${encoding}`),
  )
  assert.deepEqual(new CodecSet(null).available, ['G722', 'PCMA', 'PCMU', 'L16'])
  assert.equal(new CodecSet(null).encoder('OPUS', '', 48_000), null)
  assert.equal(codecs.encoder('SPEEX', '', 8000), null)
  assert.equal(codecs.decoder('L16', '', 1), null)
})

for (const encoding of codecs.available) {
  test(`${encoding}: any octets are survived, in any order with losses, and closing twice does nothing`, () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.uint8Array({ maxLength: 200 }), { nil: null }), { maxLength: 12 }),
        (payloads) => {
          const decoder = codecs.decoder(encoding, '', 8000)
          assert.ok(decoder !== null)
          const target = new Int16Array(6000)
          for (const payload of payloads) {
            const count: number = payload === null ? decoder.decodeLost(target) : decoder.decode(payload, target)
            assert.ok(count >= 0 && count <= target.length)
          }
          decoder.close()
          decoder.close()
        },
      ),
      { numRuns: 100, seed: 1 },
    )
  })

  test(`${encoding}: a target that is too short is not written beyond`, () => {
    const encoder = codecs.encoder(encoding, '', 8000)
    const decoder = codecs.decoder(encoding, '', 8000)
    assert.ok(encoder !== null && decoder !== null)
    const said = speechLike(encoder.sampleRate, 1, 3).subarray(0, encoder.sampleRate / 50)
    const payload = new Uint8Array(4000)
    const octets: number = encoder.encode(said, payload)
    assert.equal(decoder.decode(payload.subarray(0, octets), new Int16Array(10)), 0)
    assert.ok(encoder.encode(said, new Uint8Array(3)) <= 3)
    encoder.close()
    decoder.close()
  })

  test(`${encoding}: a lost packet is concealed: as long as the last one, and never louder than what was said`, () => {
    const encoder = codecs.encoder(encoding, '', 16_000)
    const decoder = codecs.decoder(encoding, '', 16_000)
    assert.ok(encoder !== null && decoder !== null)
    const frame = encoder.sampleRate / 50
    const said = speechLike(encoder.sampleRate, 2, 5)
    const payload = new Uint8Array(4000)
    const target = new Int16Array(6000)
    const random = noiseSource(2)
    let largest = 0
    for (const sample of said) largest = Math.max(largest, Math.abs(sample))
    for (let start = 0; start + frame <= said.length; start += frame) {
      const octets: number = encoder.encode(said.subarray(start, start + frame), payload)
      if (start > 0 && random() < 0.2) {
        assert.equal(decoder.decodeLost(target), frame)
        for (let i = 0; i < frame; i += 1) assert.ok(Math.abs(target[i] as number) < 1.8 * largest)
      } else assert.equal(decoder.decode(payload.subarray(0, octets), target), frame)
    }
    encoder.close()
    decoder.close()
  })
}

test('RFC 6716 §2.1.7: with redundancy a lost Opus packet is recovered from the one after it', {
  skip: !codecs.available.includes('OPUS'),
}, () => {
  const encoder = codecs.encoder('OPUS', 'useinbandfec=1', 16_000)
  const withNext = codecs.decoder('OPUS', '', 16_000)
  const without = codecs.decoder('OPUS', '', 16_000)
  assert.ok(encoder !== null && withNext !== null && without !== null)
  const said = promptSound('echo-test', 16_000)
  const packets: Uint8Array[] = []
  for (let start = 0; start + 320 <= said.length; start += 320) {
    const payload = new Uint8Array(1500)
    packets.push(payload.subarray(0, encoder.encode(said.subarray(start, start + 320), payload)))
  }
  const [recovered, concealed] = [new Int16Array(said.length), new Int16Array(said.length)]
  for (let i = 0; i + 1 < packets.length; i += 1) {
    const packet = packets[i] as Uint8Array
    if (i % 5 === 4) {
      assert.equal(withNext.decodeLost(recovered.subarray(i * 320), packets[i + 1]), 320)
      assert.equal(without.decodeLost(concealed.subarray(i * 320)), 320)
    } else {
      withNext.decode(packet, recovered.subarray(i * 320))
      without.decode(packet, concealed.subarray(i * 320))
    }
  }
  const [better, worse] = [recovered, concealed].map((heard) => segmentalSignalToNoise(said, heard, 400, 16_000))
  assert.ok((better as number) > (worse as number) + 0.3, `${better} dB, ${worse} dB`)
})

test('RFC 7587 §3.1.3: with usedtx the encoder has nothing to send in silence', {
  skip: !codecs.available.includes('OPUS'),
}, () => {
  const encoder = codecs.encoder('OPUS', 'usedtx=1; maxaveragebitrate=16000', 8000)
  assert.ok(encoder !== null)
  const payload = new Uint8Array(1500)
  let empty = 0
  for (let i = 0; i < 100; i += 1) if (encoder.encode(new Int16Array(160), payload) === 0) empty += 1
  assert.ok(empty > 50, `${empty} of 100`)
})
