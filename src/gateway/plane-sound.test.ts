// What the plane makes instead of what it was sent: silence, playbacks of a length, recordings that pause.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, EVENTS, PCMU, PlaneRig, RigParty } from '#gateway/_plane-rig.test.ts'

const ALICE = at('198.51.100.1', 4_000)
const BOB = at('198.51.100.2', 5_000)

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
