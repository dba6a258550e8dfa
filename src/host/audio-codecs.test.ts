import assert from 'node:assert/strict'
import { test } from 'node:test'
import { audioCodecs } from '#host/audio-codecs.ts'
import { g729Library } from '#host/g729-library.ts'
import { OpusLibrary, opusLibrary } from '#host/opus-library.ts'

const SILENT = { event: () => {} }
const library = await opusLibrary()

test('Opus comes with the package and needs nothing from the system', async () => {
  assert.ok(library instanceof OpusLibrary, String(library))
  assert.ok((await audioCodecs(SILENT)).available.includes('OPUS'))
})

test('a system library that is not installed is said to be missing', () => {
  assert.equal(g729Library(['libthere-is-no-such-codec.so.9']), 'libbcg729 is not installed')
})

test('RFC 6716 §2.1.3: Opus works at the rate asked for, or at the next above it', async () => {
  const codecs = await audioCodecs(SILENT)
  for (const [asked, made] of [
    [8000, 8000],
    [11_025, 12_000],
    [16_000, 16_000],
    [32_000, 48_000],
    [96_000, 48_000],
  ] as const) {
    const encoder = codecs.encoder('OPUS', '', asked)
    const decoder = codecs.decoder('OPUS', '', asked)
    assert.equal(encoder?.sampleRate, made)
    assert.equal(decoder?.sampleRate, made)
    encoder?.close()
    decoder?.close()
  }
})

test('RFC 7587 §6.1: what the far side asks for in a=fmtp is kept to', async () => {
  const codecs = await audioCodecs(SILENT)
  const narrow = codecs.encoder('OPUS', 'maxplaybackrate=16000; useinbandfec=1', 48_000)
  assert.equal(narrow?.sampleRate, 16_000)
  narrow?.close()
  const sizes = ['', 'maxaveragebitrate=8000', 'cbr=1', 'maxaveragebitrate=nonsense;=;cbr'].map((parameters) => {
    const encoder = codecs.encoder('OPUS', parameters, 16_000)
    assert.ok(encoder !== null)
    const payload = new Uint8Array(1500)
    const lengths: number[] = []
    for (let frame = 0; frame < 50; frame += 1) {
      const said = Int16Array.from({ length: 320 }, (_, i) => 9000 * Math.sin((frame * 320 + i) ** 2 / 90_000))
      lengths.push(encoder.encode(said, payload))
    }
    encoder.close()
    return lengths
  })
  const mean = (lengths: readonly number[] | undefined): number => (lengths ?? []).reduce((a, b) => a + b, 0) / 50
  assert.ok(mean(sizes[1]) < 0.7 * mean(sizes[0]), 'at most so many bits')
  assert.equal(new Set(sizes[2]).size, 1, 'the same length each time')
  assert.deepEqual(sizes[3], sizes[0], 'what is no number is not there')
})

test('RFC 7587 §3.2: packets of 2.5 to 120 ms are made and read, other lengths are not', async () => {
  const codecs = await audioCodecs(SILENT)
  const encoder = codecs.encoder('OPUS', '', 48_000)
  const decoder = codecs.decoder('OPUS', '', 48_000)
  assert.ok(encoder !== null && decoder !== null)
  const payload = new Uint8Array(4000)
  const target = new Int16Array(5760)
  for (const ms of [2.5, 5, 10, 20, 40, 60, 120]) {
    const octets: number = encoder.encode(new Int16Array(48 * ms).fill(1000), payload)
    assert.equal(decoder.decode(payload.subarray(0, octets), target), 48 * ms)
    assert.equal(decoder.decodeLost(target), 48 * ms)
  }
  assert.equal(encoder.encode(new Int16Array(1000), payload), 0)
  assert.equal(encoder.encode(new Int16Array(10_000), payload), 0)
  encoder.close()
  decoder.close()
  assert.equal(encoder.encode(new Int16Array(960), payload), 0)
  assert.equal(decoder.decodeLost(target), 0)
})

test('what is closed is free for others: memory does not grow with the number of calls', async () => {
  assert.ok(library instanceof OpusLibrary)
  let before = 0
  for (let call = 0; call < 400; call += 1) {
    const encoder = library.encoder('', 48_000, () => {})
    const decoder = library.decoder('', 48_000, () => {})
    assert.ok(encoder !== null && decoder !== null)
    encoder.close()
    decoder.close()
    if (call === 20) before = library.module.HEAPU8.length
  }
  assert.equal(library.module.HEAPU8.length, before)
})

test('many codecs at once are independent of one another', async () => {
  const codecs = await audioCodecs(SILENT)
  const open = codecs.available.flatMap((encoding) =>
    Array.from({ length: 300 }, () => codecs.encoder(encoding, '', 8000)),
  )
  const said = Int16Array.from({ length: 160 }, (_, i) => 5000 * Math.sin(i / 4))
  const payload = new Uint8Array(1500)
  const first = new Map<number, string>()
  for (const [i, encoder] of open.entries()) {
    assert.ok(encoder !== null)
    const octets = encoder.encode(said, payload)
    const text = Buffer.from(payload.subarray(0, octets)).toString('hex')
    const kind = Math.floor(i / 300)
    assert.equal(text, first.get(kind) ?? text)
    first.set(kind, text)
  }
  for (const encoder of open) encoder?.close()
})
