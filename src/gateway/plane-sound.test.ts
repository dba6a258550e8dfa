// What the plane makes instead of what it was sent: silence, playbacks of a length, recordings that pause.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, EVENTS, G722, PCMA, PCMU, PlaneRig, RigParty } from '#gateway/_plane-rig.test.ts'
import { type CompandingLaw, decodeG711, encodeG711 } from '#gateway/audio/g711.ts'
import { levelDbov } from '#gateway/audio/level.ts'
import { ToneGenerator } from '#gateway/audio/tone-generator.ts'
import type { PayloadFormat } from '#gateway/plane.ts'
import { MIXED_MAX } from '#gateway/room.ts'

const ALICE = at('198.51.100.1', 4_000)
const BOB = at('198.51.100.2', 5_000)
const NOISE: PayloadFormat = { payloadType: 13, encoding: 'CN', clockRate: 8_000, channels: 1, parameters: '' }

/** 20 ms packets of `samples` as one law of G.711. */
function packets(samples: Int16Array, law: CompandingLaw): Uint8Array[] {
  const octets = new Uint8Array(samples.length)
  encodeG711(law, samples, octets)
  return Array.from({ length: Math.floor(samples.length / 160) }, (_, at) => octets.subarray(160 * at, 160 * at + 160))
}

function tone(frequency: number, levelDbm0: number, ms: number): Int16Array {
  const samples = new Int16Array(ms * 8)
  const generator = new ToneGenerator(8_000)
  generator.set([frequency], levelDbm0)
  generator.generate(samples, 0, samples.length)
  return samples
}

/** White noise of about that level, the same in each run. */
function hiss(levelDbov: number, ms: number): Int16Array {
  let state = 1
  const peak = 32_768 * 10 ** (levelDbov / 20) * Math.sqrt(3)
  return Int16Array.from({ length: ms * 8 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.round((state / 2 ** 31 - 1) * peak)
  })
}

function send(
  rig: PlaneRig,
  party: RigParty,
  to: ReturnType<typeof at>,
  payloads: readonly Uint8Array[],
  type = 0,
): void {
  for (const payload of payloads) {
    rig.receive(party.packet(type, payload), party.endpoint, to)
    party.timestamp += 160
    rig.clock.pass(20)
  }
}

function heard(rig: PlaneRig, to: ReturnType<typeof at>, law: CompandingLaw): Int16Array {
  const parts = rig.take(to).filter(({ bytes }) => ((bytes[1] ?? 0) & 0x7f) === (law === 'PCMU' ? 0 : 8))
  const octets = Buffer.concat(parts.map(({ bytes }) => bytes.subarray(12)))
  const samples = new Int16Array(octets.length)
  decodeG711(law, octets, samples)
  return samples
}

function pair(rig: PlaneRig, caller: object = {}, callee: object = {}) {
  const local = rig.open(1, { remote: ALICE, source: { kind: 'stream', stream: 2 }, ...caller })
  const localOther = rig.open(2, { remote: BOB, source: { kind: 'stream', stream: 1 }, ...callee })
  rig.set(1, { remote: ALICE, source: { kind: 'stream', stream: 2 }, ...caller })
  return { local, localOther, alice: new RigParty(ALICE, 0x1111), bob: new RigParty(BOB, 0x2222) }
}

test('silenced media keeps its stream alive and carries nothing but silence and digits', () => {
  const rig = new PlaneRig()
  const both = { payloads: [PCMU, EVENTS] }
  const { local, alice } = pair(rig, both, both)
  rig.speak(alice, local, 5, 0, 0x10)
  rig.take(BOB)
  rig.plane.order({ order: 'block', stream: 1, media: false, dtmf: false, silences: true })
  rig.speak(alice, local, 50, 0, 0x10)
  const silent = rig.take(BOB)
  assert.ok(silent.length >= 45, String(silent.length))
  for (const { bytes } of silent) assert.ok(bytes.subarray(12).every((octet) => (octet & 0x7f) >= 0x7e))
  rig.receive(alice.packet(101, Uint8Array.of(1, 10, 0, 160), true), ALICE, local)
  assert.equal(rig.take(BOB).filter(({ bytes }) => ((bytes[1] ?? 0) & 0x7f) === 101).length, 1)
  rig.plane.order({ order: 'block', stream: 1, media: false, dtmf: false, silences: false })
  rig.speak(alice, local, 10, 0, 0x10)
  const after = rig.take(BOB)
  assert.ok(
    after
      .at(-1)
      ?.bytes.subarray(12)
      .every((octet) => octet === 0x10),
  )
  assert.equal(new Set([...silent, ...after].map(({ bytes }) => bytes.readUInt32BE(8))).size, 1)
})

test('a playback for ever ends after the time that it was given', () => {
  const rig = new PlaneRig()
  pair(rig)
  const samples = new Int16Array(800).fill(1_000)
  const segments = [{ kind: 'samples', rate: 8_000, samples }] as const
  rig.plane.order({ order: 'play', stream: 1, play: 3, segments, repeat: 0, durationMs: 1_030 })
  rig.clock.pass(5_000)
  const sent = rig.take(ALICE)
  assert.equal(sent.length, 52)
  // 30 ms of the last 40 ms are sound.
  assert.equal(
    sent
      .at(-1)
      ?.bytes.subarray(12)
      .filter((octet) => (octet & 0x7f) < 0x7e).length,
    80,
  )
  assert.equal(rig.reports.filter(({ report }) => report === 'playEnded').length, 1)
})

test('what is said during a pause is not in the recording', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig)
  const record = (paused: boolean, file: string | null = 'r.wav'): void =>
    rig.plane.order({ order: 'record', stream: 1, file, format: 'wav', paused })
  record(false)
  rig.speak(alice, local, 50)
  record(true)
  rig.speak(alice, local, 100)
  record(false)
  rig.speak(alice, local, 50)
  record(false, null)
  const file = rig.files.get('r.wav')
  assert.equal(file?.closed, true)
  const ms = ((file?.bytes.length ?? 0) - 44) / 32
  assert.ok(Math.abs(ms - 2_000) <= 60, String(ms))
})

test('RFC 3389: pauses of what is converted go out as noise of their level, and speech after them has the marker', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig, { payloads: [G722] }, { payloads: [PCMU, NOISE] })
  const { localOther, bob } = { localOther: local, bob: alice }
  // A G.722 party: its octets are made by sending µ-law the other way first.
  const other = new PlaneRig()
  const there = pair(other, {}, { payloads: [G722] })
  const sound = [...packets(tone(400, -10, 1_000), 'PCMU'), ...packets(hiss(-55, 3_000), 'PCMU')]
  sound.push(...packets(tone(400, -10, 1_000), 'PCMU'))
  send(other, there.alice, there.local, sound)
  const wide = other.take(BOB).map(({ bytes }) => bytes.subarray(12))
  send(rig, bob, localOther, wide, 9)
  const sent = rig.take(BOB).map(({ bytes }) => bytes)
  const noise = sent.filter((bytes) => ((bytes[1] ?? 0) & 0x7f) === 13)
  assert.ok(noise.length >= 5 && noise.length <= 12, String(noise.length))
  assert.ok(sent.length < 150, String(sent.length))
  for (const bytes of noise.slice(1)) assert.ok(Math.abs((bytes[12] ?? 0) - 55) <= 6, String(bytes[12]))
  const last = sent.findLastIndex((bytes) => ((bytes[1] ?? 0) & 0x7f) === 13)
  assert.equal((sent[last + 1]?.[1] ?? 0) & 0x80, 0x80)
  const sequences = sent.map((bytes) => bytes.readUInt16BE(2))
  assert.deepEqual(
    sequences,
    sequences.map((_, at) => ((sequences[0] ?? 0) + at) & 0xffff),
  )
})

test('RFC 3389: noise that was described is heard while nothing comes, by a party of another encoding', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig, { payloads: [PCMU, NOISE] }, { payloads: [PCMA] })
  send(rig, alice, local, packets(tone(400, -10, 500), 'PCMU'))
  rig.receive(alice.packet(13, Uint8Array.of(50)), ALICE, local)
  rig.clock.pass(1_000)
  rig.take(BOB)
  rig.clock.pass(2_000)
  const pause = heard(rig, BOB, 'PCMA')
  assert.ok(pause.length >= 15_000, String(pause.length))
  const level = levelDbov(pause, pause.length)
  assert.ok(Math.abs(level + 50) < 4, String(level))
})

test('a fax tone is told once, and from then on G.711 passes packet by packet with nothing made of it', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig, { payloads: [PCMU, NOISE] }, { payloads: [PCMA, NOISE] })
  send(rig, alice, local, packets(tone(2_100, -12, 2_000), 'PCMU'))
  assert.deepEqual(
    rig.reports.filter(({ report }) => report === 'fax'),
    [{ report: 'fax', stream: 1, tone: 'CED' }],
  )
  rig.take(BOB)
  const page = packets(hiss(-60, 1_000), 'PCMU')
  send(rig, alice, local, page)
  const sent = rig.take(BOB)
  assert.equal(sent.length, page.length)
  assert.ok(sent.every(({ bytes }) => ((bytes[1] ?? 0) & 0x7f) === 8 && bytes.length === 172))
})

test('of many who make noise at once only the loudest are heard, and who talks has the floor', () => {
  const rig = new PlaneRig()
  const count = MIXED_MAX + 8
  const parties = Array.from({ length: count }, (_, index) => {
    const endpoint = at('198.51.100.9', 4_000 + index)
    return {
      local: rig.open(index + 1, { remote: endpoint, source: { kind: 'room', room: 5 } }),
      party: new RigParty(endpoint, index + 1),
    }
  })
  const noises = packets(hiss(-50, 3_000), 'PCMU')
  const speech = packets(tone(400, -15, 3_000), 'PCMU')
  for (let round = 0; round < noises.length; round++) {
    for (const [index, { local, party }] of parties.entries()) {
      rig.receive(
        party.packet(0, (index === 20 ? speech : noises)[round] ?? new Uint8Array(160)),
        party.endpoint,
        local,
      )
      party.timestamp += 160
    }
    rig.clock.pass(20)
  }
  assert.equal(rig.facts(21).talks, true)
  assert.equal(rig.facts(1).talks, false)
  const to = parties[0]?.party.endpoint ?? ALICE
  const sound = heard(rig, to, 'PCMU').subarray(-8_000)
  const level = levelDbov(sound, sound.length)
  assert.ok(level > -24 && level < -16, String(level))
  rig.plane.order({ order: 'block', stream: 21, media: true, dtmf: false })
  rig.clock.pass(3_000)
  assert.notEqual(rig.facts(21).talks, true)
})
