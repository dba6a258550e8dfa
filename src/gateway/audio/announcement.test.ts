import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AnnouncementPart, composeAnnouncement, NUMBER_MAX } from '#gateway/audio/announcement.ts'
import { levelDbov } from '#gateway/audio/level.ts'
import { PromptLibrary } from '#gateway/audio/prompt-library.ts'
import { ENGLISH } from '#gateway/audio/prompts-en.ts'
import { readWav } from '#gateway/audio/wav-reader.ts'

const FOLDER = new URL('../../../assets/prompts/en/', import.meta.url)
const read = (file: string): Uint8Array => readFileSync(new URL(file, FOLDER))

/** The announcement as it is spoken; a pause is a dot. */
function spoken(...parts: AnnouncementPart[]): string {
  const steps = composeAnnouncement(parts, ENGLISH)
  if (typeof steps === 'string') return `! ${steps}`
  return steps.map((step) => ('prompt' in step ? ENGLISH.prompts[step.prompt] : '.')).join(' ')
}

test('digits are read one by one, with a pause where they are set apart', () => {
  assert.equal(spoken({ say: 'digits', digits: '+1 202-55*#' }), 'one . two zero two . five five star pound')
  assert.equal(spoken({ say: 'digits', digits: '12x' }), '! "x" is not a digit.')
})

test('numbers are read as they are counted', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, 'zero'],
    [-0.0001, 'zero'],
    [13, 'thirteen'],
    [42, 'forty two'],
    [100, 'one hundred'],
    [115, 'one hundred fifteen'],
    [1000, 'one thousand'],
    [20_999, 'twenty thousand nine hundred ninety nine'],
    [1_000_001, 'one million one'],
    [-7.25, 'minus seven point two five'],
    [0.5, 'zero point five'],
    [999_999_999, 'nine hundred ninety nine million nine hundred ninety nine thousand nine hundred ninety nine'],
  ]
  for (const [value, text] of cases) assert.equal(spoken({ say: 'number', value }), text)
  assert.match(spoken({ say: 'number', value: NUMBER_MAX + 1 }), /^! Numbers are read out up to/)
  assert.match(spoken({ say: 'number', value: Number.NaN }), /^!/)
})

test('the time is told by twelve hours, by twenty-four, and as a length', () => {
  const time = (hours: number, minutes: number, seconds: number, clock: '12' | '24' | 'duration'): string =>
    spoken({ say: 'time', hours, minutes, seconds, clock })
  assert.equal(time(0, 0, 0, '12'), "the time is twelve o'clock A M")
  assert.equal(time(15, 5, 1, '12'), 'the time is three oh five P M and one second')
  assert.equal(time(12, 30, 20, '12'), 'the time is twelve thirty P M and twenty seconds')
  assert.equal(time(1, 0, 0, '24'), 'the time is one hour zero minutes')
  assert.equal(time(23, 59, 59, '24'), 'the time is twenty three hours fifty nine minutes and fifty nine seconds')
  assert.equal(time(0, 1, 30, 'duration'), 'one minute thirty seconds')
  assert.equal(time(0, 0, 0, 'duration'), 'zero seconds')
  assert.match(time(24, 0, 0, '24'), /^! There is no time/)
  assert.match(time(1, 60, 0, 'duration'), /^! There is no time/)
})

test('an unknown prompt, a long pause and too many parts are refused', () => {
  assert.equal(spoken({ say: 'prompt', name: 'nothing' }), '! There is no prompt "nothing" in the pack "en".')
  assert.equal(spoken({ say: 'prompt', name: 'constructor' }), '! There is no prompt "constructor" in the pack "en".')
  assert.match(spoken({ say: 'pause', ms: 1e9 }), /^!/)
  assert.match(spoken(...Array.from({ length: 65 }, (): AnnouncementPart => ({ say: 'pause', ms: 1 }))), /^!/)
})

test('every word that the composer can name is in the pack, and every prompt has its file', () => {
  const names = (parts: AnnouncementPart[]): void => {
    const steps = composeAnnouncement(parts, ENGLISH)
    assert.ok(typeof steps !== 'string', String(steps))
    for (const step of steps) assert.ok('pauseMs' in step || Object.hasOwn(ENGLISH.prompts, step.prompt))
  }
  for (let value = 0; value < 2200; value += 1) names([{ say: 'number', value }])
  fc.assert(
    fc.property(fc.double({ min: -NUMBER_MAX, max: NUMBER_MAX, noNaN: true }), (value) =>
      names([{ say: 'number', value }]),
    ),
  )
  for (const clock of ['12', '24', 'duration'] as const) {
    for (let hours = 0; hours < 24; hours += 1) {
      for (let minutes = 0; minutes < 60; minutes += 1)
        names([{ say: 'time', hours, minutes, seconds: minutes, clock }])
    }
  }
  names([{ say: 'digits', digits: '0123456789*#' }])
  assert.deepEqual(
    readdirSync(FOLDER)
      .filter((file) => file.endsWith('.wav'))
      .sort(),
    Object.keys(ENGLISH.prompts)
      .map((name) => `${name}.wav`)
      .sort(),
  )
})

test('each prompt is 8 kHz µ-law, loud enough and not too loud, without long silence, and all are small', () => {
  let octets = 0
  for (const name of Object.keys(ENGLISH.prompts)) {
    octets += statSync(new URL(`${name}.wav`, FOLDER)).size
    const file = read(`${name}.wav`)
    assert.equal(file[20], 7)
    const sound = readWav(file)
    assert.ok(typeof sound !== 'string')
    assert.equal(sound.sampleRate, 8000)
    const level = levelDbov(sound.samples, sound.samples.length)
    assert.ok(level > -32 && level < -10, `${name} ${level} dBov`)
    assert.ok(sound.samples.length > 800 && sound.samples.length < 48_000, name)
    assert.ok(levelDbov(sound.samples.subarray(0, 1600), 1600) > -50, `${name} begins with silence`)
  }
  assert.ok(octets < 600_000)
})

test('an announcement becomes segments of sound and silence, each file read once', () => {
  const files: string[] = []
  const library = new PromptLibrary(
    ENGLISH,
    (file) => {
      files.push(file)
      return read(file)
    },
    8000,
  )
  const segments = library.segments([
    { say: 'digits', digits: '5 5' },
    { say: 'prompt', name: 'goodbye' },
  ])
  assert.ok(typeof segments !== 'string')
  assert.deepEqual(
    segments.map((segment) => segment.kind),
    ['samples', 'tone', 'samples', 'samples'],
  )
  assert.deepEqual(files, ['five.wav', 'goodbye.wav'])
  const wide = new PromptLibrary(ENGLISH, read, 16_000).sound('goodbye')
  assert.ok(typeof wide !== 'string' && wide.sampleRate === 16_000)
  assert.match(String(new PromptLibrary(ENGLISH, () => null, 8000).sound('one')), /There is no prompt "one"/)
  assert.match(String(new PromptLibrary(ENGLISH, () => new Uint8Array(3), 8000).sound('one')), /^one.wav: /)
})
