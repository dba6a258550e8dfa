// Reports in the data plane: between parties that are only relayed they are theirs, else ours; and SSRCs that collide.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, EVENTS, PCMA, PCMU, PlaneRig, RigParty, type Sent } from '#gateway/_plane-rig.test.ts'
import type { PayloadFormat } from '#gateway/plane.ts'
import { type ReportBlock, RtcpType, readRtcp } from '#rtp/rtcp-packet.ts'
import { RtcpWriter } from '#rtp/rtcp-writer.ts'

const ALICE = at('198.51.100.1', 4_000)
const BOB = at('198.51.100.2', 5_000)
const ALICE_RTCP = at('198.51.100.1', 4_001)
const BOB_RTCP = at('198.51.100.2', 5_001)
const BLOCK: Omit<ReportBlock, 'ssrc' | 'lastSr' | 'delaySinceLastSr'> = {
  fractionLost: 25,
  cumulativeLost: 7,
  extendedHighest: 120,
  jitter: 16,
}

function pair(rig: PlaneRig, ours: readonly PayloadFormat[] = [PCMU], theirs: readonly PayloadFormat[] = [PCMU]) {
  const caller = {
    remote: ALICE,
    remoteRtcp: ALICE_RTCP,
    payloads: ours,
    source: { kind: 'stream', stream: 2 },
  } as const
  const callee = { remote: BOB, remoteRtcp: BOB_RTCP, payloads: theirs, source: { kind: 'stream', stream: 1 } } as const
  const local = rig.open(1, caller)
  const localOther = rig.open(2, callee)
  rig.set(1, caller)
  return { local, localOther, alice: new RigParty(ALICE, 0x1111), bob: new RigParty(BOB, 0x2222) }
}

function reports(sent: readonly Sent[], port: number): Buffer[] {
  return sent.filter(({ to }) => to.port === port).map(({ bytes }) => bytes)
}

test('RFC 3550 §7.1: reports of relayed parties reach the other in the terms of its own stream, and none of ours do', () => {
  const rig = new PlaneRig()
  const { local, localOther, alice, bob } = pair(rig)
  for (let index = 0; index < 10; index++) {
    rig.speak(alice, local, 1)
    rig.speak(bob, localOther, 1)
  }
  const toBob = reports(rig.sent, BOB.port)[0]?.readUInt32BE(8) ?? 0
  const toAlice = reports(rig.sent, ALICE.port)[0]?.readUInt32BE(8) ?? 0
  rig.sent.length = 0
  const writer = new RtcpWriter()
  writer.senderReport(alice.ssrc, 0x11112222, 0x33334444, alice.timestamp, 10, 1_600)
  writer.reportBlock({ ...BLOCK, ssrc: toAlice, lastSr: 0, delaySinceLastSr: 0 }).cname(alice.ssrc, 'alice')
  rig.receive(writer.bytes.slice(0, writer.length), ALICE_RTCP, { ...local, port: local.port + 1 })
  const [passed] = reports(rig.sent, BOB_RTCP.port)
  assert.equal(passed?.[1], RtcpType.SR)
  assert.equal(passed?.readUInt32BE(4), toBob)
  assert.equal(passed?.readUInt32BE(8), 0x11112222)
  const blocks: ReportBlock[] = []
  const cnames: string[] = []
  readRtcp(passed ?? Buffer.alloc(0), passed?.length ?? 0, {
    onReportBlock: (_reporter, block) => blocks.push(block),
    onCname: (_ssrc, cname) => cnames.push(cname),
  })
  assert.deepEqual(
    blocks.map(({ ssrc, cumulativeLost }) => [ssrc, cumulativeLost]),
    [[bob.ssrc, 7]],
  )
  assert.deepEqual(cnames, ['alice'])
  // Bob answers 60 ms after he got it, 100 ms later: the way between him and us took 40 ms.
  rig.clock.pass(100)
  writer.receiverReport(bob.ssrc)
  writer.reportBlock({ ...BLOCK, ssrc: toBob, lastSr: 0x22223333, delaySinceLastSr: (65_536 * 60) / 1_000 })
  writer.cname(bob.ssrc, 'bob')
  rig.receive(writer.bytes.slice(0, writer.length), BOB_RTCP, { ...localOther, port: localOther.port + 1 })
  assert.equal(reports(rig.sent, ALICE_RTCP.port).length, 1)
  assert.ok(Math.abs(rig.facts(2).sent.roundTripMs - 40) < 1, String(rig.facts(2).sent.roundTripMs))
  assert.equal(rig.facts(2).sent.lost, 7)
  rig.sent.length = 0
  rig.clock.pass(10_000)
  assert.equal(reports(rig.sent, BOB_RTCP.port).length, 0)
  rig.clock.pass(20_000)
  assert.ok(reports(rig.sent, BOB_RTCP.port).length > 0, 'who gets no reports any more gets ours')
})

test('where speech is converted each side gets our own reports', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig, [PCMU], [PCMA])
  rig.speak(alice, local, 50)
  rig.sent.length = 0
  const writer = new RtcpWriter()
  writer.senderReport(alice.ssrc, 1, 2, alice.timestamp, 10, 1_600).cname(alice.ssrc, 'alice')
  rig.receive(writer.bytes.slice(0, writer.length), ALICE_RTCP, { ...local, port: local.port + 1 })
  assert.equal(reports(rig.sent, BOB_RTCP.port).length, 0)
  rig.speak(alice, local, 500)
  assert.ok(reports(rig.sent, BOB_RTCP.port).length > 0)
})

test('RFC 3550 §8.2: an SSRC of ours that the far side has too ends with a BYE and becomes another', () => {
  const rig = new PlaneRig()
  const { local, localOther, bob } = pair(rig)
  rig.speak(bob, localOther, 5)
  const ours = reports(rig.sent, ALICE.port)[0]?.readUInt32BE(8) ?? 0
  rig.sent.length = 0
  rig.speak(new RigParty(ALICE, ours), local, 3)
  rig.speak(bob, localOther, 2)
  const [bye] = reports(rig.sent, ALICE_RTCP.port)
  const gone: number[] = []
  readRtcp(bye ?? Buffer.alloc(0), bye?.length ?? 0, { onBye: (ssrc) => gone.push(ssrc) })
  assert.deepEqual(gone, [ours])
  const after = reports(rig.sent, ALICE.port).map((bytes) => bytes.readUInt32BE(8))
  assert.equal(after.length, 2)
  assert.ok(!after.includes(ours))
  assert.equal(rig.facts(1).received.packets, 3)
  // Whoever has our next one at once, too, sends back what we send.
  rig.speak(new RigParty(ALICE, after[0] ?? 0), local, 3)
  assert.equal(rig.facts(1).dropped['MEDIA_LOOP'], 3)
})

test('digits at another rate than the speech do not shake its jitter', () => {
  const rig = new PlaneRig()
  const wide: PayloadFormat = { ...EVENTS, clockRate: 48_000 }
  const { local, alice } = pair(rig, [PCMU, wide], [PCMU, wide])
  rig.speak(alice, local, 20)
  const before = rig.facts(1).received.jitterMs
  const clock = alice.timestamp
  alice.timestamp = 6 * clock
  for (let index = 0; index < 5; index++) {
    rig.receive(alice.packet(101, Uint8Array.of(1, 10, 0, index), index === 0), ALICE, local)
    rig.clock.pass(20)
  }
  alice.timestamp = clock + 5 * 160
  rig.speak(alice, local, 1)
  assert.ok(rig.facts(1).received.jitterMs <= before + 1, String(rig.facts(1).received.jitterMs))
})

test('losses in bursts are heard more than as many single ones', () => {
  const mosOf = (lost: (index: number) => boolean): number => {
    const rig = new PlaneRig()
    const { local, alice } = pair(rig)
    for (let index = 0; index < 1_000; index++) {
      if (lost(index)) {
        alice.sequence++
        alice.timestamp += 160
        rig.clock.pass(20)
      } else rig.speak(alice, local, 1)
    }
    return rig.facts(1).received.mos
  }
  const single = mosOf((index) => index % 20 === 10)
  const bursts = mosOf((index) => index % 200 >= 150 && index % 200 < 160)
  assert.ok(bursts < single - 0.05, `${bursts} ${single}`)
})
