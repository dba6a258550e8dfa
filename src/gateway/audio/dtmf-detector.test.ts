import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { noiseSource, promptSound, speechLike } from '#gateway/audio/_sounds.test.ts'
import { DtmfDetector } from '#gateway/audio/dtmf-detector.ts'
import { DTMF_COLUMNS, DTMF_DIGITS, DTMF_ROWS, DtmfGenerator } from '#gateway/audio/dtmf-generator.ts'
import { decodeG711, encodeG711 } from '#gateway/audio/g711.ts'
import { peakOfDbm0 } from '#gateway/audio/level.ts'
import { ENGLISH } from '#gateway/audio/prompts-en.ts'
import { ToneGenerator } from '#gateway/audio/tone-generator.ts'

interface Tone {
  ms: number
  low?: number
  high?: number
  offLow?: number
  offHigh?: number
  /** Signal to noise of the weaker tone in dB. */
  ratio?: number
}

/** What is heard of each digit sent alone, at eight different places in the detector's windows. */
function heard(tone: Tone): { right: number; wrong: number; none: number } {
  const random = noiseSource(99)
  const counts = { right: 0, wrong: 0, none: 0 }
  for (let place = 0; place < 16; place += 1) {
    for (let shift = 0; shift < 40; shift += 5) {
      const samples = new Int16Array(400 + shift + tone.ms * 8 + 480)
      const tones = new ToneGenerator(8000)
      tones.setOne(0, (DTMF_ROWS[place >> 2] as number) * (1 + (tone.offLow ?? 0)), tone.low ?? -8)
      tones.setOne(1, (DTMF_COLUMNS[place & 3] as number) * (1 + (tone.offHigh ?? 0)), tone.high ?? -6)
      tones.generate(samples, 400 + shift, tone.ms * 8)
      if (tone.ratio !== undefined) {
        const deviation = peakOfDbm0(Math.min(tone.low ?? -8, tone.high ?? -6) - tone.ratio) / Math.SQRT2
        for (let i = 0; i < samples.length; i += 1) {
          let noise = 0
          for (let j = 0; j < 12; j += 1) noise += random() - 0.5
          samples[i] = (samples[i] as number) + Math.round(noise * deviation)
        }
      }
      const digits = detected(samples)
      if (digits === '') counts.none += 1
      else if (digits === DTMF_DIGITS.charAt(place)) counts.right += 1
      else counts.wrong += 1
    }
  }
  return counts
}

function detected(samples: Int16Array): string {
  let digits = ''
  let sounding = ''
  const detector = new DtmfDetector({
    onDtmfStart: (digit) => {
      assert.equal(sounding, '', 'a digit ends before the next begins')
      sounding = digit
      digits += digit
    },
    onDtmfEnd: (digit) => {
      assert.equal(digit, sounding)
      sounding = ''
    },
  })
  for (let start = 0; start < samples.length; start += 160) detector.detect(samples.subarray(start, start + 160))
  detector.flush()
  assert.equal(sounding, '')
  return digits
}

const ALL = { right: 128, wrong: 0, none: 0 }
const NOTHING = { right: 0, wrong: 0, none: 128 }

test('Q.24: a signal of 40 ms is accepted, one of less than 23 ms is not', () => {
  assert.deepEqual(heard({ ms: 40 }), ALL)
  assert.deepEqual(heard({ ms: 100 }), ALL)
  assert.deepEqual(heard({ ms: 22 }), NOTHING)
})

test('Q.24: frequencies within 1.5 % are accepted', () => {
  for (const off of [0.015, -0.015]) {
    assert.deepEqual(heard({ ms: 40, offLow: off, offHigh: off }), ALL)
    assert.deepEqual(heard({ ms: 40, offLow: off, offHigh: -off }), ALL)
  }
})

test('Q.24: a frequency that is 3.5 % off is not accepted', () => {
  for (const off of [0.035, -0.035]) {
    assert.deepEqual(heard({ ms: 80, offLow: off }), NOTHING)
    assert.deepEqual(heard({ ms: 80, offHigh: off }), NOTHING)
  }
})

test('Q.24: signals of 0 to −25 dBm0 for each frequency are accepted, −55 dBm0 is not', () => {
  for (const level of [0, -10, -25]) assert.deepEqual(heard({ ms: 40, low: level, high: level }), ALL)
  assert.deepEqual(heard({ ms: 80, low: -55, high: -55 }), NOTHING)
})

test('Q.24: the high group may be 4 dB stronger and 8 dB weaker than the low one', () => {
  assert.deepEqual(heard({ ms: 45, low: -10, high: -6 }), ALL)
  assert.deepEqual(heard({ ms: 45, low: -5, high: -13 }), ALL)
  assert.deepEqual(heard({ ms: 80, low: -20, high: -6 }), NOTHING)
  assert.deepEqual(heard({ ms: 80, low: -3, high: -19 }), NOTHING)
})

test('digits are recognised under noise of −15 dB', () => {
  assert.deepEqual(heard({ ms: 50, ratio: 15 }), ALL)
})

test('one frequency alone is no digit', () => {
  for (const low of [-6, -90]) {
    assert.deepEqual(heard({ ms: 100, low, high: low === -6 ? -90 : -6 }), NOTHING)
  }
})

test('Q.24: digits of 40 ms with pauses of 40 ms are each heard exactly once, through G.711', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...DTMF_DIGITS), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 40, max: 120 }),
      fc.integer({ min: 40, max: 120 }),
      fc.integer({ min: 0, max: 79 }),
      fc.constantFrom('PCMU' as const, 'PCMA' as const),
      (digits, ms, pauseMs, shift, law) => {
        const generator = new DtmfGenerator(8000, digits.join(''), ms, pauseMs, -6)
        const samples = new Int16Array(shift + digits.length * (ms + pauseMs) * 8)
        assert.equal(generator.generate(samples.subarray(shift)), samples.length - shift)
        assert.equal(generator.generate(new Int16Array(10)), 0)
        const octets = new Uint8Array(samples.length)
        encodeG711(law, samples, octets)
        decodeG711(law, octets, samples)
        assert.equal(detected(samples), digits.join(''))
      },
    ),
    { numRuns: 60, seed: 3 },
  )
})

test('Q.24: a break of 10 ms does not make two digits of one', () => {
  for (let place = 0; place < 16; place += 1) {
    const samples = new Int16Array(1600)
    new DtmfGenerator(8000, DTMF_DIGITS.charAt(place), 150, 0, -8).generate(samples.subarray(100))
    samples.fill(0, 600 + place, 680 + place)
    assert.equal(detected(samples), DTMF_DIGITS.charAt(place))
  }
})

test('a digit that goes over into another without a pause ends, and the other begins', () => {
  const samples = new Int16Array(2400)
  new DtmfGenerator(8000, '5', 100, 0, -8).generate(samples.subarray(100))
  new DtmfGenerator(8000, '6', 100, 0, -8).generate(samples.subarray(900))
  assert.equal(detected(samples), '56')
})

test('the length that is told is that of the tone to 10 ms, and the level to 1 dB', () => {
  for (const ms of [60, 100, 237, 1000]) {
    const samples = new Int16Array(ms * 8 + 1600)
    new DtmfGenerator(8000, '9', ms, 0, -9).generate(samples.subarray(400))
    const told: number[] = []
    const detector = new DtmfDetector({
      onDtmfStart: (_digit, levelDbm0) => told.push(levelDbm0),
      onDtmfEnd: (_digit, durationMs) => told.push(durationMs),
    })
    detector.detect(samples)
    assert.equal(told.length, 2)
    assert.ok(Math.abs((told[0] as number) + 9) < 1, `${told[0]} dBm0`)
    assert.ok(Math.abs((told[1] as number) - ms) <= 10, `${told[1]} ms for ${ms}`)
  }
})

test('Q.24 talk-off: speech is no digit, neither synthesised words nor formants', () => {
  for (const name of Object.keys(ENGLISH.prompts)) assert.equal(detected(promptSound(name, 8000)), '', name)
  for (let seed = 1; seed <= 6; seed += 1) assert.equal(detected(speechLike(8000, 20, seed)), '')
})

test('a digit is suspected before it is certain, and not any more after it', () => {
  const samples = new Int16Array(2000)
  new DtmfGenerator(8000, '1', 100, 0, -8).generate(samples.subarray(160))
  const detector = new DtmfDetector({ onDtmfStart: () => {}, onDtmfEnd: () => {} })
  detector.detect(samples.subarray(0, 160))
  assert.equal(detector.suspects, false)
  detector.detect(samples.subarray(160, 320))
  assert.equal(detector.suspects, true)
  detector.detect(samples.subarray(320))
  assert.equal(detector.suspects, false)
})
