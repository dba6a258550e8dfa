// The data plane: relay, latching, time-outs, conversion, digits, playback, rooms and recordings, in virtual time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { at, EVENTS, G722, PCMA, PCMU, PlaneRig, RigParty } from '#gateway/_plane-rig.test.ts'
import { SrtpContext } from '#rtp/srtp-context.ts'
import { eventDuration } from '#rtp/telephone-event-payload.ts'
import { BINDING, StunWriter } from '#stun/stun-message.ts'

const ALICE = at('198.51.100.1', 4_000)
const BOB = at('198.51.100.2', 5_000)
const MALLORY = at('203.0.113.66', 6_666)

function pair(rig: PlaneRig, caller: object = {}, callee: object = {}) {
  const local = rig.open(1, { remote: ALICE, source: { kind: 'stream', stream: 2 }, ...caller })
  const localOther = rig.open(2, { remote: BOB, source: { kind: 'stream', stream: 1 }, ...callee })
  rig.set(1, { remote: ALICE, source: { kind: 'stream', stream: 2 }, ...caller })
  return { local, localOther, alice: new RigParty(ALICE, 0x1111), bob: new RigParty(BOB, 0x2222) }
}

test('a packet of one party goes to the other with an SSRC of ours and its payload untouched', () => {
  const rig = new PlaneRig()
  const { local, localOther, alice } = pair(rig)
  rig.speak(alice, local, 3)
  const sent = rig.take(BOB)
  assert.equal(sent.length, 3)
  assert.deepEqual(sent[0]?.from, localOther)
  assert.equal(new Set(sent.map(({ bytes }) => bytes.readUInt32BE(8))).size, 1)
  assert.notEqual(sent[0]?.bytes.readUInt32BE(8), 0x1111)
  assert.deepEqual(
    sent.map(({ bytes }) => (bytes.readUInt16BE(2) - (sent[0]?.bytes.readUInt16BE(2) ?? 0)) & 0xffff),
    [0, 1, 2],
  )
  assert.equal(
    sent[2]?.bytes.subarray(12).every((octet) => octet === 0xd5),
    true,
  )
  const { received } = rig.facts(1)
  assert.equal(received.packets, 3)
  assert.equal(received.encoding, 'PCMU')
  assert.equal(rig.facts(2).sent.packets, 3)
})

test('a stream that hears itself is an echo', () => {
  const rig = new PlaneRig()
  const local = rig.open(1, { latching: 'first', source: { kind: 'stream', stream: 1 } })
  const alice = new RigParty(ALICE, 0x1111)
  rig.speak(alice, local, 5)
  const sent = rig.take(ALICE)
  assert.equal(sent.length, 5)
  assert.deepEqual(sent[0]?.from, local)
})

test('with latching none, only the signalled address is heard', () => {
  const rig = new PlaneRig()
  const { local } = pair(rig)
  rig.speak(new RigParty(MALLORY, 9), local, 5)
  rig.speak(new RigParty(at(ALICE.host, 4_002), 9), local, 5)
  assert.deepEqual(rig.take(BOB), [])
  assert.deepEqual(rig.facts(1).dropped, { MEDIA_SOURCE: 10 })
})

test('a stranger who sends first loses the stream to the signalled address', () => {
  const rig = new PlaneRig()
  const { local, localOther, alice, bob } = pair(rig, { latching: 'first' })
  rig.speak(new RigParty(MALLORY, 9), local, 3)
  rig.sent.length = 0
  rig.speak(alice, local, 1)
  rig.speak(bob, localOther, 2)
  assert.equal(rig.take(ALICE).length, 2)
  rig.speak(new RigParty(MALLORY, 9), local, 3)
  assert.equal(rig.facts(1).dropped['MEDIA_SOURCE'], 3)
  assert.deepEqual(rig.facts(1).remote, ALICE)
})

test('a stranger who sends later neither steals nor injects while the party talks', () => {
  const rig = new PlaneRig()
  const { local, localOther, bob } = pair(rig, { latching: 'first' })
  const behindNat = new RigParty(at('198.51.100.9', 1_024), 0x1111)
  const mallory = new RigParty(MALLORY, 0x1111)
  rig.speak(behindNat, local, 10)
  rig.sent.length = 0
  for (let index = 0; index < 400; index++) {
    rig.speak(behindNat, local, 1)
    rig.receive(mallory.packet(0, new Uint8Array(160)), MALLORY, local)
  }
  assert.equal(rig.take(BOB).length, 400)
  rig.speak(bob, localOther, 3)
  assert.equal(rig.take(behindNat.endpoint).length, 3)
  assert.equal(rig.facts(1).dropped['MEDIA_SOURCE'], 400)
})

test('a source may move after a silence, and not before', () => {
  const rig = new PlaneRig()
  const { local } = pair(rig, { latching: 'first', remote: null })
  const first = at('198.51.100.9', 1_024)
  const moved = at('198.51.100.9', 1_025)
  rig.speak(new RigParty(first, 1), local, 5)
  rig.speak(new RigParty(moved, 1), local, 5)
  assert.deepEqual(rig.facts(1).remote, first)
  rig.clock.pass(3_000)
  rig.speak(new RigParty(moved, 1), local, 5)
  assert.deepEqual(rig.facts(1).remote, moved)
  assert.equal(rig.reports.filter(({ report }) => report === 'latched').length, 2)
})

test('with signalledHost, only the hosts of the description and of the signalling may latch', () => {
  const rig = new PlaneRig()
  const { local } = pair(rig, { latching: 'signalledHost', signalledHost: '198.51.100.77' })
  rig.speak(new RigParty(MALLORY, 9), local, 2)
  assert.deepEqual(rig.facts(1).remote, ALICE)
  rig.speak(new RigParty(at('198.51.100.77', 1_999), 1), local, 2)
  assert.deepEqual(rig.facts(1).remote, at('198.51.100.77', 1_999))
})

test('packets pass between IPv4 and IPv6', () => {
  const rig = new PlaneRig()
  const six = at('2001:db8::7', 7_000)
  const local = rig.open(1, { remote: ALICE, source: { kind: 'stream', stream: 2 } })
  const localSix = rig.open(2, { remote: six, source: { kind: 'stream', stream: 1 } }, '2001:db8::1')
  rig.set(1, { remote: ALICE, source: { kind: 'stream', stream: 2 } })
  rig.speak(new RigParty(ALICE, 1), local, 2)
  assert.equal(rig.take(six).length, 2)
  rig.speak(new RigParty(six, 2), localSix, 2)
  assert.equal(rig.take(ALICE).length, 2)
})

test('junk, short, oversized, unknown and repeated packets are dropped and counted, and nothing goes out', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig)
  rig.speak(alice, local, 2)
  rig.sent.length = 0
  const send = (bytes: Uint8Array) => rig.receive(bytes, ALICE, local)
  send(new Uint8Array(0))
  send(Buffer.from('OPTIONS sip:x SIP/2.0'))
  send(alice.packet(0, new Uint8Array(0)).subarray(0, 11))
  send(alice.packet(0, new Uint8Array(1_600)))
  send(alice.packet(77, new Uint8Array(160)).fill(0x4d, 1, 2))
  const broken = alice.packet(0, new Uint8Array(4))
  broken[0] = 0x8f
  send(broken)
  const again = alice.packet(0, new Uint8Array(160))
  send(Buffer.from(again))
  rig.sent.length = 0
  send(Buffer.from(again))
  assert.deepEqual(rig.sent, [])
  assert.deepEqual(rig.facts(1).dropped, {
    MEDIA_MALFORMED: 4,
    MEDIA_OVERSIZED: 1,
    MEDIA_PAYLOAD: 1,
    MEDIA_DUPLICATE: 1,
  })
})

test('T.38: datagrams pass as they are both ways, their sources are latched, and audio is back afterwards', () => {
  const rig = new PlaneRig()
  const { local, localOther, alice } = pair(rig, { latching: 'first' }, { latching: 'first' })
  rig.speak(alice, local, 2)
  rig.take(BOB)
  const moved = at(ALICE.host, 4_800)
  const fax = { datagrams: true, payloads: [], latching: 'first' } as const
  rig.set(1, { remote: at(ALICE.host, 4_700), source: { kind: 'stream', stream: 2 }, ...fax })
  rig.set(2, { remote: BOB, source: { kind: 'stream', stream: 1 }, ...fax })
  const udptl = Buffer.from('0001 06 00112233445566 00 00'.replaceAll(' ', ''), 'hex')
  rig.receive(udptl, moved, local)
  rig.receive(udptl, BOB, localOther)
  assert.deepEqual(
    rig.sent.map(({ to, bytes }) => [to.port, bytes.equals(udptl)]),
    [
      [BOB.port, true],
      [moved.port, true],
    ],
  )
  rig.sent.length = 0
  rig.receive(udptl, MALLORY, local)
  rig.receive(Buffer.alloc(2_000), moved, local)
  rig.clock.pass(10_000)
  assert.deepEqual(rig.sent, [])
  assert.deepEqual(rig.facts(1).dropped, { MEDIA_SOURCE: 1, MEDIA_OVERSIZED: 1 })
  rig.set(1, { remote: ALICE, source: { kind: 'stream', stream: 2 } })
  rig.set(2, { remote: BOB, source: { kind: 'stream', stream: 1 } })
  rig.receive(udptl, ALICE, local)
  rig.speak(alice, local, 2)
  assert.deepEqual(
    rig.take(BOB).map(({ bytes }) => bytes.length),
    [172, 172],
  )
})

test('RTCP on the RTP port is not relayed as RTP', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig)
  rig.speak(alice, local, 2)
  rig.sent.length = 0
  const report = Buffer.alloc(8)
  report[0] = 0x80
  report[1] = 201
  report[3] = 1
  rig.receive(report, ALICE, local)
  assert.deepEqual(rig.sent, [])
})

test('a stream whose RTCP has a port gets our sender reports there', () => {
  const rig = new PlaneRig()
  const remoteRtcp = at(BOB.host, BOB.port + 1)
  const { local, alice } = pair(rig, {}, { remoteRtcp })
  rig.speak(alice, local, 400)
  const reports = rig.take(remoteRtcp)
  assert.ok(reports.length >= 1 && reports.length <= 4, String(reports.length))
  assert.equal(reports[0]?.bytes[1], 200)
})

test('more packets than any audio has are a flood', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig)
  for (let index = 0; index < 1_500; index++) {
    rig.receive(alice.packet(0, new Uint8Array(160)), ALICE, local)
  }
  assert.equal(rig.take(BOB).length, 1_000)
  assert.equal(rig.facts(1).dropped['MEDIA_RATE_MAX'], 500)
})

test('nothing coming is reported once, initially and while running, and not on hold', () => {
  const rig = new PlaneRig()
  const timeouts = { timeoutInitialMs: 5_000, timeoutMs: 10_000 }
  const { local, alice } = pair(rig, timeouts)
  rig.clock.pass(20_000)
  const seen = () => rig.reports.filter(({ report }) => report === 'timeout')
  assert.deepEqual(seen(), [{ report: 'timeout', stream: 1, initial: true }])
  rig.speak(alice, local, 5)
  rig.clock.pass(30_000)
  assert.deepEqual(seen()[1], { report: 'timeout', stream: 1, initial: false })
  assert.equal(seen().length, 2)
  rig.set(1, { remote: ALICE, source: { kind: 'stream', stream: 2 }, ...timeouts, receives: false })
  rig.clock.pass(60_000)
  assert.equal(seen().length, 2)
})

test('speech is converted when the other party has another encoding, in packets of its ptime', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig, {}, { payloads: [PCMA], ptimeMs: 40 })
  rig.speak(alice, local, 50)
  const sent = rig.take(BOB)
  assert.ok(sent.length >= 22 && sent.length <= 25, String(sent.length))
  for (const { bytes } of sent) assert.equal(bytes.length, 12 + 320)
  assert.equal((sent[5]?.bytes[1] ?? 0) & 0x7f, 8)
  const steps = sent
    .slice(1)
    .map(({ bytes }, index) => bytes.readUInt32BE(4) - (sent[index]?.bytes.readUInt32BE(4) ?? 0))
  assert.deepEqual([...new Set(steps)], [320])
})

test('narrowband and wideband parties hear each other', () => {
  const rig = new PlaneRig()
  const { local, localOther, alice, bob } = pair(rig, {}, { payloads: [G722] })
  rig.speak(alice, local, 30)
  assert.ok(rig.take(BOB).length >= 25)
  rig.speak(bob, localOther, 30, 9)
  assert.ok(rig.take(ALICE).length >= 25)
})

function press(rig: PlaneRig, party: RigParty, to: ReturnType<typeof at>, event: number): void {
  const begin = party.timestamp
  for (let index = 1; index <= 8; index++) {
    const end = index > 5
    const units = Math.min(index, 6) * 160
    const payload = Uint8Array.of(event, (end ? 0x80 : 0) | 10, units >> 8, units & 255)
    party.timestamp = begin
    rig.receive(party.packet(101, payload, index === 1), party.endpoint, to)
    rig.clock.pass(20)
  }
  party.timestamp = begin + 8 * 160
}

test('a digit is passed as it is, and reported once', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig, { payloads: [PCMU, EVENTS], reportsDtmf: true }, { payloads: [PCMU, EVENTS] })
  rig.speak(alice, local, 3)
  rig.sent.length = 0
  press(rig, alice, local, 5)
  const events = rig.take(BOB)
  assert.equal(events.length, 8)
  assert.equal(new Set(events.map(({ bytes }) => bytes.readUInt32BE(4))).size, 1)
  assert.deepEqual(
    rig.reports.filter(({ report }) => report === 'dtmf'),
    [{ report: 'dtmf', stream: 1, digit: '5', ms: 120, levelDbm0: -10 }],
  )
})

test('digits that do not pass are reported and go nowhere', () => {
  const rig = new PlaneRig()
  const settings = { payloads: [PCMU, EVENTS], reportsDtmf: true, passesDtmf: false }
  const { local, alice } = pair(rig, settings, { payloads: [PCMU, EVENTS] })
  rig.speak(alice, local, 3)
  rig.sent.length = 0
  press(rig, alice, local, 1)
  assert.deepEqual(rig.take(BOB), [])
  assert.equal(rig.reports.filter(({ report }) => report === 'dtmf').length, 1)
})

test('a digit is made as a tone for a party without telephone-event, which we hear ourselves again, once', () => {
  const rig = new PlaneRig()
  const { local, alice } = pair(rig, { payloads: [PCMU, EVENTS] })
  const listener = rig.open(3, { remote: at('192.0.2.99', 9), listensForTones: true, reportsDtmf: true })
  rig.speak(alice, local, 3)
  rig.sent.length = 0
  press(rig, alice, local, 9)
  rig.speak(alice, local, 20)
  const tones = rig.take(BOB)
  for (const { bytes } of tones) {
    rig.receive(bytes, at('192.0.2.99', 9), listener)
    rig.clock.pass(20)
  }
  rig.clock.pass(500)
  const digits = rig.reports.filter((report) => report.report === 'dtmf')
  assert.deepEqual(
    digits.map((report) => report.report === 'dtmf' && [report.stream, report.digit]),
    [[3, '9']],
  )
})

test('a tone is played while the other party is not heard, and its end is reported', () => {
  const rig = new PlaneRig()
  const { localOther, bob } = pair(rig)
  const tone = { kind: 'tone', frequencies: [425], levelDbm0: -10, ms: 1_000 } as const
  rig.plane.order({ order: 'play', stream: 1, play: 7, segments: [tone], repeat: 1 })
  rig.speak(bob, localOther, 60)
  const sent = rig.take(ALICE)
  assert.equal(sent.length, 60 - 50 + 50)
  assert.deepEqual(
    rig.reports.filter(({ report }) => report === 'playEnded'),
    [{ report: 'playEnded', stream: 1, play: 7 }],
  )
  assert.equal(new Set(sent.map(({ bytes }) => bytes.readUInt32BE(8))).size, 1)
  const sequences = sent.map(({ bytes }) => bytes.readUInt16BE(2))
  assert.deepEqual(
    sequences.map((sequence) => (sequence - (sequences[0] ?? 0)) & 0xffff),
    sequences.map((_, index) => index),
  )
})

test('digits of a playback go as telephone-events where there are any', () => {
  const rig = new PlaneRig()
  pair(rig, { payloads: [PCMU, EVENTS] })
  const digits = { kind: 'dtmf', digits: '12', ms: 100, pauseMs: 60, levelDbm0: -8 } as const
  rig.plane.order({ order: 'play', stream: 1, play: 1, segments: [digits], repeat: 1 })
  rig.clock.pass(1_000)
  const events = rig.take(ALICE).filter(({ bytes }) => ((bytes[1] ?? 0) & 0x7f) === 101)
  assert.deepEqual([...new Set(events.map(({ bytes }) => bytes[12]))], [1, 2])
  assert.equal(Math.max(...events.map(({ bytes }) => eventDuration(bytes, 12))), 800)
  assert.equal(rig.reports.filter(({ report }) => report === 'playEnded').length, 1)
})

test('everybody in a room hears all others and not himself', () => {
  const rig = new PlaneRig()
  const parties = [1, 2, 3].map((stream) => {
    const endpoint = at('198.51.100.9', 4_000 + stream)
    return {
      local: rig.open(stream, { remote: endpoint, source: { kind: 'room', room: 5 } }),
      party: new RigParty(endpoint, stream),
    }
  })
  // Only the first talks: 0x90 is loud in µ-law, 0xff is silence.
  for (let round = 0; round < 40; round++) {
    for (const [index, { local, party }] of parties.entries()) {
      const payload = new Uint8Array(160)
      for (let at = 0; at < 160; at++) payload[at] = index === 0 ? (at % 8 < 4 ? 0x90 : 0x10) : 0xff
      rig.receive(party.packet(0, payload), party.endpoint, local)
      party.timestamp += 160
    }
    rig.clock.pass(20)
  }
  const loud = (stream: number) => {
    const to = at('198.51.100.9', 4_000 + stream)
    const last = rig.sent.filter((packet) => packet.to.port === to.port).at(-1)
    return last?.bytes.subarray(12).some((octet) => (octet & 0x7f) < 0x30) === true
  }
  assert.deepEqual([1, 2, 3].map(loud), [false, true, true])
})

test('a WAV recording holds both directions, a pcap the packets', () => {
  const rig = new PlaneRig()
  const { local, localOther, alice, bob } = pair(rig)
  rig.plane.order({ order: 'record', stream: 1, file: 'a.wav', format: 'wav' })
  rig.plane.order({ order: 'record', stream: 2, file: 'b.pcap', format: 'pcap' })
  for (let index = 0; index < 50; index++) {
    rig.receive(alice.packet(0, new Uint8Array(160).fill(0x80)), ALICE, local)
    alice.timestamp += 160
    rig.speak(bob, localOther, 1)
  }
  rig.plane.order({ order: 'record', stream: 1, file: null, format: 'wav' })
  rig.plane.order({ order: 'close', stream: 2 })
  const wav = rig.files.get('a.wav')
  assert.equal(wav?.closed, true)
  assert.equal(wav.bytes.length, 44 + 50 * 160 * 4)
  assert.equal(wav.bytes.readUInt32LE(40), 50 * 160 * 4)
  const pcap = rig.files.get('b.pcap')
  assert.equal(pcap?.closed, true)
  assert.equal(pcap.bytes.length, 24 + 100 * (16 + 28 + 172))
})

test('closing frees both ports and tells the last facts', () => {
  const rig = new PlaneRig()
  rig.open(1, {})
  rig.plane.order({ order: 'close', stream: 1 })
  rig.clock.pass(0)
  assert.equal(rig.bound, 0)
  assert.equal(rig.reports.at(-1)?.report, 'closed')
})

test('closed streams leave no timer, socket or listener behind', () => {
  const rig = new PlaneRig()
  const remoteRtcp = at(BOB.host, BOB.port + 1)
  const { local, alice } = pair(
    rig,
    { timeoutMs: 1_000, payloads: [PCMA, PCMU], listensForTones: true },
    { remoteRtcp },
  )
  rig.speak(alice, local, 20, 8)
  rig.plane.order({ order: 'close', stream: 1 })
  rig.plane.order({ order: 'close', stream: 2 })
  rig.clock.pass(0)
  assert.equal(rig.plane.size, 0)
  assert.equal(rig.bound, 0)
  assert.equal(rig.clock.armed, 0)
})

const KEYS = (octet: number) => ({
  suite: 'AES_CM_128_HMAC_SHA1_80' as const,
  masterKey: new Uint8Array(16).fill(octet),
  masterSalt: new Uint8Array(14).fill(octet + 1),
})

test('each side has its own keys: protected on one, plain on the other', () => {
  const rig = new PlaneRig()
  const keys = { protectIn: KEYS(1), protectOut: KEYS(9) }
  const { local, localOther, alice, bob } = pair(rig, keys)
  const sender = new SrtpContext(KEYS(1))
  for (let index = 0; index < 3; index++) {
    const bytes = Buffer.alloc(400)
    const octets = sender.protectRtp(bytes, alice.packet(0, new Uint8Array(160).fill(0xd5)).copy(bytes))
    rig.receive(bytes.subarray(0, octets), ALICE, local)
    alice.timestamp += 160
    rig.clock.pass(20)
  }
  const plain = rig.take(BOB)
  assert.equal(plain.length, 3)
  assert.equal(
    plain[2]?.bytes.subarray(12).every((octet) => octet === 0xd5),
    true,
  )
  rig.speak(bob, localOther, 2)
  const [secret] = rig.take(ALICE)
  assert.equal(secret?.bytes.length, 172 + 10)
  const opened = Buffer.concat([secret.bytes, Buffer.alloc(64)])
  assert.equal(new SrtpContext(KEYS(9)).unprotectRtp(opened, secret.bytes.length), 172)
})

test('unprotected and forged packets neither pass nor latch where there are keys', () => {
  const rig = new PlaneRig()
  const { local } = pair(rig, { protectIn: KEYS(1), protectOut: KEYS(9), latching: 'first', remote: null })
  rig.speak(new RigParty(MALLORY, 9), local, 5)
  assert.deepEqual(rig.take(BOB), [])
  const { remote, dropped } = rig.facts(1)
  assert.equal(remote, null)
  assert.equal(dropped['MEDIA_AUTH'], 5)
})

test('any octets from anywhere are survived, and nothing of them goes out', () => {
  const junk = fc.record({ bytes: fc.uint8Array({ maxLength: 2_200 }), stranger: fc.boolean(), first: fc.nat(255) })
  fc.assert(
    fc.property(fc.array(junk, { maxLength: 30 }), (datagrams) => {
      const rig = new PlaneRig()
      const remoteRtcp = at(BOB.host, BOB.port + 1)
      const payloads = [PCMU, EVENTS]
      const { local, localOther } = pair(rig, { payloads, latching: 'first' }, { payloads: [PCMA], remoteRtcp })
      for (const { bytes, stranger, first } of datagrams) {
        if (bytes.length > 0) bytes[0] = first
        rig.receive(bytes, stranger ? MALLORY : ALICE, local)
        rig.receive(bytes, stranger ? MALLORY : BOB, at(localOther.host, localOther.port + 1))
        rig.clock.pass(10)
      }
      assert.deepEqual(rig.events, [])
      for (const { bytes } of rig.sent) assert.equal((bytes[0] as number) >> 6, 2)
    }),
    { numRuns: 60 },
  )
})

test('a hundred parties are in one room', () => {
  const rig = new PlaneRig()
  const parties = Array.from({ length: 100 }, (_, index) => {
    const endpoint = at('198.51.100.9', 4_000 + index)
    const local = rig.open(index + 1, { remote: endpoint, source: { kind: 'room', room: 1 } })
    return { local, party: new RigParty(endpoint, index + 1) }
  })
  for (let round = 0; round < 5; round++) {
    for (const { local, party } of parties) {
      rig.receive(party.packet(0, new Uint8Array(160).fill(0xff)), party.endpoint, local)
      party.timestamp += 160
    }
    rig.clock.pass(20)
  }
  assert.ok(rig.sent.length >= 400, String(rig.sent.length))
})

test('with ICE nothing is sent before a pair is nominated, and then there, whatever is described', () => {
  const rig = new PlaneRig()
  const ice = { localUfrag: 'abcd', localPassword: 'p'.repeat(22), remoteUfrag: 'wxyz', remotePassword: 'q'.repeat(22) }
  const { local, localOther, bob } = pair(rig, { ice, rtcpMux: true })
  rig.speak(bob, localOther, 2)
  assert.deepEqual(rig.sent, [])
  const browser = at('198.51.100.33', 50_000)
  const check = new StunWriter().begin('request', BINDING, new Uint8Array(12)).username('abcd:wxyz').priority(1)
  const bytes = check.controlling(1n).useCandidate().messageIntegrity(ice.localPassword).end()
  rig.receive(bytes, browser, local)
  assert.equal(rig.take(browser).length, 1)
  rig.speak(bob, localOther, 2)
  assert.equal(rig.take(browser).length, 2)
  rig.set(1, { remote: at('198.51.100.44', 9), ice, rtcpMux: true, source: { kind: 'stream', stream: 2 } })
  rig.speak(bob, localOther, 2)
  assert.equal(rig.take(browser).length, 2)
  rig.speak(new RigParty(browser, 5), local, 2)
  assert.equal(rig.take(BOB).length, 2)
})
