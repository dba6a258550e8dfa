import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readWav, soundAtRate } from '#gateway/audio/wav-reader.ts'
import { WavWriter } from '#gateway/audio/wav-writer.ts'

/** A file of chunks. */
function wav(format: readonly number[], data: readonly number[], between: readonly number[] = []): Uint8Array {
  const chunk = (name: string, body: readonly number[]): number[] => [
    ...Buffer.from(name),
    ...long(body.length),
    ...body,
    ...(body.length % 2 === 1 ? [0] : []),
  ]
  const body = [...Buffer.from('WAVE'), ...chunk('fmt ', format), ...between, ...chunk('data', data)]
  return Uint8Array.from([...Buffer.from('RIFF'), ...long(body.length), ...body])
}

const short = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff]
const long = (value: number): number[] => [...short(value & 0xffff), ...short(value >>> 16)]
const format = (tag: number, channels: number, rate: number, bits: number): number[] => [
  ...short(tag),
  ...short(channels),
  ...long(rate),
  ...long((rate * channels * bits) / 8),
  ...short((channels * bits) / 8),
  ...short(bits),
]

test('PCM of 16 and 8 bits, µ-law and A-law are read, stereo is averaged', () => {
  assert.deepEqual(readWav(wav(format(1, 1, 8000, 16), [1, 0, 0xff, 0xff, 0, 0x80])), {
    sampleRate: 8000,
    samples: Int16Array.of(1, -1, -32_768),
  })
  assert.deepEqual(readWav(wav(format(1, 1, 11_025, 8), [128, 255, 0])), {
    sampleRate: 11_025,
    samples: Int16Array.of(0, 127 * 256, -32_768),
  })
  assert.deepEqual(readWav(wav(format(7, 1, 8000, 8), [0xff, 0])), {
    sampleRate: 8000,
    samples: Int16Array.of(0, -32_124),
  })
  assert.deepEqual(readWav(wav(format(6, 1, 8000, 8), [0xd5])), { sampleRate: 8000, samples: Int16Array.of(8) })
  assert.deepEqual(readWav(wav(format(1, 2, 48_000, 16), [100, 0, 200, 0])), {
    sampleRate: 48_000,
    samples: Int16Array.of(150),
  })
})

test('chunks that are not known are passed over, of odd length too; an extensible format is read', () => {
  const extra = [...Buffer.from('LIST'), ...long(3), 1, 2, 3, 0]
  const extensible = [
    ...format(0xfffe, 1, 8000, 16),
    ...short(22),
    ...short(16),
    ...long(4),
    ...short(1),
    ...Array(14).fill(0),
  ]
  assert.deepEqual(readWav(wav(extensible, [7, 0], extra)), { sampleRate: 8000, samples: Int16Array.of(7) })
})

test('a file that cannot be played is refused with a sentence that says why', () => {
  assert.match(String(readWav(new Uint8Array(4))), /does not begin as a RIFF WAVE file/)
  assert.match(String(readWav(wav(format(3, 1, 8000, 32), []))), /Format 3 with 32 bits is not taken/)
  assert.match(String(readWav(wav(format(1, 6, 8000, 16), []))), /6 channels/)
  assert.match(String(readWav(wav(format(1, 1, 1, 16), []))), /sample rate is 1 Hz/)
  assert.match(String(readWav(wav([1, 0], []))), /format chunk is too short/)
  const noData = wav(format(1, 1, 8000, 16), []).subarray(0, 36)
  assert.match(String(readWav(noData)), /no data chunk/)
})

test('any octets are survived', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(80), (octets, at) => {
      const file = wav(format(1, 2, 8000, 16), [1, 2, 3, 4, 5, 6, 7, 8])
      file.set(octets.subarray(0, Math.max(0, file.length - at)), Math.min(at, file.length))
      readWav(file)
      readWav(octets)
    }),
    { seed: 4 },
  )
})

for (const encoding of ['pcm16', 'mulaw'] as const) {
  test(`a recording of ${encoding} is read again as it was written, finished or cut off`, () => {
    const writer = new WavWriter(8000, 1, encoding)
    const said = Int16Array.from({ length: 321 }, (_, i) => Math.round(8000 * Math.sin(i / 5)))
    const parts: Uint8Array[] = []
    const first = writer.header()
    for (let start = 0; start < said.length; start += 160) {
      const target = new Uint8Array(320)
      parts.push(target.subarray(0, writer.write(said.subarray(start, start + 160), target)))
    }
    const data = Buffer.concat(parts)
    assert.equal(writer.octets, data.length)
    for (const header of [first, writer.header()]) {
      assert.equal(header.length, first.length)
      const sound = readWav(Buffer.concat([header, data, Buffer.alloc(header === first ? 0 : writer.padding())]))
      assert.ok(typeof sound !== 'string', String(sound))
      assert.equal(sound.samples.length, said.length)
      const tolerance = encoding === 'pcm16' ? 0 : 300
      for (let i = 0; i < said.length; i += 1) {
        assert.ok(Math.abs((sound.samples[i] as number) - (said[i] as number)) <= tolerance)
      }
    }
    const view = Buffer.from(writer.header())
    assert.equal(view.readUInt32LE(4), view.length - 8 + data.length + writer.padding())
    assert.equal(writer.write(said, new Uint8Array(3)), 0)
  })
}

test('a sound at another rate keeps its beginning, its end and its length', () => {
  const samples = new Int16Array(16_000)
  samples[8000] = 30_000
  const sound = soundAtRate({ sampleRate: 16_000, samples }, 8000)
  assert.equal(sound.samples.length, 8000)
  let peak = 0
  for (let i = 0; i < 8000; i += 1)
    if (Math.abs(sound.samples[i] as number) > Math.abs(sound.samples[peak] as number)) peak = i
  assert.ok(Math.abs(peak - 4000) <= 1, `${peak}`)
})
