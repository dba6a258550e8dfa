import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { G722Decoding, G722Encoding } from '#gateway/audio/g722.ts'

const LENGTH = 32_000

/** Two seconds at 16 kHz that exercise both bands: a sweep, noise that comes and goes, full-scale steps, silence. */
function testSignal(): Int16Array {
  const samples = new Int16Array(LENGTH)
  let seed = 1
  for (let i = 0; i < LENGTH; i += 1) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) | 0
    const noise = (seed >> 16) * 0.3 * Math.abs(Math.sin(i / 2000))
    const sweep = 8000 * Math.sin(i * 0.00002 * i)
    const step = i > 24_000 && i < 27_000 ? (i % 64 < 32 ? 32_767 : -32_768) : 0
    samples[i] = i > 30_000 ? 0 : Math.max(-32_768, Math.min(32_767, step === 0 ? noise + sweep : step))
  }
  return samples
}

function reference(): { encode(samples: Int16Array): Uint8Array; decode(octets: Uint8Array): Int16Array } | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const library = koffi.load('libspandsp.so.2')
    const openEncoder = library.func('void *g722_encode_init(void *, int, int)')
    const encode = library.func('int g722_encode(void *, void *, void *, int)')
    const openDecoder = library.func('void *g722_decode_init(void *, int, int)')
    const decode = library.func('int g722_decode(void *, void *, void *, int)')
    return {
      encode(samples) {
        const octets = new Uint8Array(samples.length / 2)
        encode(openEncoder(null, 64_000, 0), octets, samples, samples.length)
        return octets
      },
      decode(octets) {
        const samples = new Int16Array(octets.length * 2)
        decode(openDecoder(null, 64_000, 0), samples, octets, octets.length)
        return samples
      },
    }
  } catch {
    return null
  }
}

/** What does not fit in sixteen bits we hold at the limit; the other implementation lets it wrap around. */
function sameButForOverflow(ours: Int16Array, theirs: Int16Array | undefined): void {
  assert.equal(ours.length, theirs?.length)
  const differing = [...ours.keys()].filter((i) => ours[i] !== theirs?.[i] && ours[i] !== 32_767 && ours[i] !== -32_768)
  assert.deepEqual(differing, [])
}

const oracle = reference()

test('G.722: the encoder and the decoder agree with another implementation, bit by bit', {
  skip: oracle === null ? 'libspandsp2 is not installed' : false,
}, () => {
  const signal = testSignal()
  const octets = new Uint8Array(LENGTH / 2)
  new G722Encoding().encode(signal, octets)
  assert.deepEqual(octets, oracle?.encode(signal))
  const samples = new Int16Array(LENGTH)
  new G722Decoding().decode(octets, samples)
  sameButForOverflow(samples, oracle?.decode(octets))
  const junk = Uint8Array.from({ length: 16_000 }, (_, i) => Math.imul(i, 2_654_435_761) >>> 24)
  const noise = new Int16Array(LENGTH)
  new G722Decoding().decode(junk, noise)
  sameButForOverflow(noise, oracle?.decode(junk))
})

test('G.722 §1: frames of any even length give the same octets', () => {
  const signal = testSignal()
  const whole = new Uint8Array(LENGTH / 2)
  new G722Encoding().encode(signal, whole)
  const parts = new Uint8Array(LENGTH / 2)
  const encoding = new G722Encoding()
  for (let start = 0, size = 2; start < LENGTH; start += size, size = (size % 318) + 2) {
    encoding.encode(signal.subarray(start, start + size), parts.subarray(start / 2))
  }
  assert.deepEqual(parts, whole)
})

for (const hertz of [300, 1000, 3000, 5000, 6500]) {
  test(`G.722 §2.4: a tone of ${hertz} Hz passes`, () => {
    const signal = Int16Array.from({ length: LENGTH }, (_, i) => 8000 * Math.sin((2 * Math.PI * hertz * i) / 16_000))
    const octets = new Uint8Array(LENGTH / 2)
    const samples = new Int16Array(LENGTH)
    new G722Encoding().encode(signal, octets)
    new G722Decoding().decode(octets, samples)
    let wanted = 0
    let heard = 0
    for (let i = 2000; i < LENGTH; i += 1) {
      wanted += (signal[i] as number) ** 2
      heard += (samples[i] as number) ** 2
    }
    assert.ok(Math.abs(10 * Math.log10(heard / wanted)) < 1)
  })
}
