// RTCP against RFC 3550 §6 and A.2, and RFC 3611: what is written is read, and nothing malformed is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { delayUnits, ntpFraction, ntpMiddle, ntpSeconds, roundTripMs } from '#rtp/ntp-time.ts'
import { OutgoingStream } from '#rtp/outgoing-stream.ts'
import { ReceiveStatistics } from '#rtp/receive-statistics.ts'
import {
  checkRtcp,
  type ReportBlock,
  type RtcpSink,
  readRtcp,
  type StatisticsSummary,
  type VoipMetrics,
} from '#rtp/rtcp-packet.ts'
import { relayRtcp } from '#rtp/rtcp-relay.ts'
import { RtcpSession } from '#rtp/rtcp-session.ts'
import { RTCP_OCTETS_MAX, RtcpWriter } from '#rtp/rtcp-writer.ts'
import { rtpSequence, rtpTimestamp, writeRtpHeader } from '#rtp/rtp-packet.ts'

/** Writes down what it is told. */
class Told implements RtcpSink {
  readonly log: unknown[] = []
  onSenderReport(...all: number[]): void {
    this.log.push(['SR', ...all])
  }
  onReportBlock(reporter: number, block: ReportBlock): void {
    this.log.push(['block', reporter, block])
  }
  onCname(ssrc: number, cname: string): void {
    this.log.push(['CNAME', ssrc, cname])
  }
  onBye(ssrc: number, reason: string): void {
    this.log.push(['BYE', ssrc, reason])
  }
  onOther(type: number, ssrc: number, _at: number, length: number): void {
    this.log.push(['other', type, ssrc, length])
  }
  onReferenceTime(...all: number[]): void {
    this.log.push(['RRT', ...all])
  }
  onDelaySinceReference(...all: number[]): void {
    this.log.push(['DLRR', ...all])
  }
  onVoipMetrics(reporter: number, metrics: VoipMetrics): void {
    this.log.push(['VoIP', reporter, metrics])
  }
  onStatisticsSummary(reporter: number, summary: StatisticsSummary): void {
    this.log.push(['summary', reporter, summary])
  }
}

function read(bytes: Uint8Array, length = bytes.length): unknown[] {
  const told = new Told()
  readRtcp(bytes, length, told)
  return told.log
}

const BLOCK: ReportBlock = {
  ssrc: 0x11111111,
  fractionLost: 12,
  cumulativeLost: -3,
  extendedHighest: 70_000,
  jitter: 99,
  lastSr: 0xdeadbeef,
  delaySinceLastSr: 65_536,
}

const METRICS: VoipMetrics = {
  ssrc: 0x11111111,
  lossRate: 1,
  discardRate: 2,
  burstDensity: 3,
  gapDensity: 4,
  burstMs: 500,
  gapMs: 60_000,
  roundTripMs: 70,
  endSystemMs: 80,
  signalLevel: -18,
  noiseLevel: -60,
  residualEchoLoss: 45,
  gmin: 16,
  rFactor: 90,
  externalRFactor: 127,
  mosLq: 43,
  mosCq: 42,
  rxConfig: 0xf0,
  jitterBufferNominalMs: 40,
  jitterBufferMaximumMs: 200,
  jitterBufferAbsoluteMaximumMs: 300,
}

const SUMMARY: StatisticsSummary = {
  ssrc: 0x11111111,
  beginSequence: 65_000,
  endSequence: 100,
  lost: 5,
  duplicates: 0,
  jitterMin: -1,
  jitterMax: -1,
  jitterMean: -1,
  jitterDeviation: -1,
}

function compound(): RtcpWriter {
  const writer = new RtcpWriter().senderReport(7, 3_900_000_000, 2 ** 31, 123_456, 50, 8000).reportBlock(BLOCK)
  writer.cname(7, 'abc@host').extendedReport(7).referenceTime(3_900_000_000, 5).delaySinceReference(0x11111111, 77, 88)
  return writer.statisticsSummary(SUMMARY).voipMetrics(METRICS).bye(7, 'bye now')
}

test('§6.1: a compound packet is read as it was written', () => {
  const writer = compound()
  assert.ok(checkRtcp(writer.bytes, writer.length))
  assert.deepEqual(read(writer.bytes, writer.length), [
    ['SR', 7, 3_900_000_000, 2 ** 31, 123_456, 50, 8000],
    ['block', 7, BLOCK],
    ['CNAME', 7, 'abc@host'],
    ['RRT', 7, 3_900_000_000, 5],
    ['DLRR', 7, 0x11111111, 77, 88],
    ['summary', 7, SUMMARY],
    ['VoIP', 7, METRICS],
    ['BYE', 7, 'bye now'],
  ])
})

test('§6.4.2: an empty RR with a CNAME of any length is a packet', () => {
  for (let length = 0; length < 300; length += 1) {
    const cname = 'x'.repeat(length)
    const writer = new RtcpWriter().receiverReport(7).cname(7, cname).bye(7, cname)
    assert.ok(checkRtcp(writer.bytes, writer.length), `${length}`)
    const cut = cname.slice(0, 255)
    assert.deepEqual(read(writer.bytes, writer.length), [
      ['CNAME', 7, cut],
      ['BYE', 7, cut],
    ])
  }
})

test('what does not fit is left out, and the packet stays right', () => {
  const writer = new RtcpWriter().receiverReport(7)
  for (let i = 0; i < 40; i += 1) writer.reportBlock(BLOCK)
  for (let i = 0; i < 10; i += 1) writer.cname(7, 'y'.repeat(200))
  writer.extendedReport(7).voipMetrics(METRICS).voipMetrics(METRICS).voipMetrics(METRICS)
  assert.ok(writer.length <= RTCP_OCTETS_MAX)
  assert.ok(checkRtcp(writer.bytes, writer.length))
  assert.equal(read(writer.bytes, writer.length).filter((entry) => (entry as unknown[])[0] === 'block').length, 31)
})

test('A.2: version, first packet, lengths and padding are checked', () => {
  const good = compound()
  const changed = (change: (bytes: Uint8Array) => void, cut = 0): boolean => {
    const bytes = good.bytes.slice(0, good.length)
    change(bytes)
    return checkRtcp(bytes, bytes.length - cut)
  }
  assert.ok(changed(() => undefined))
  assert.ok(!changed((b) => b.set([0x41], 0)), 'version')
  assert.ok(!changed((b) => b.set([202], 1)), 'SDES first')
  assert.ok(!changed((b) => b.set([0xa1], 0)), 'padding on the first packet')
  assert.ok(!changed((b) => b.set([0, 13], 2)), 'lengths')
  assert.ok(!changed(() => undefined, 4), 'cut')
  assert.ok(!changed(() => undefined, 1), 'no whole words')
  assert.ok(!checkRtcp(new Uint8Array(4), 4))
})

test('§6.4.1: padding on the last packet is no part of it', () => {
  const bytes = Uint8Array.from(Buffer.from('80c9000100000007' + 'a1cb000200000007' + '00000004', 'hex'))
  assert.ok(checkRtcp(bytes, bytes.length))
  assert.deepEqual(read(bytes), [['BYE', 7, '']])
})

test('RFC 5506 §3.4.2: with reduced size a feedback packet may stand alone', () => {
  const bytes = Uint8Array.from(Buffer.from('81ce00020000000100000002', 'hex'))
  assert.ok(!checkRtcp(bytes, bytes.length))
  assert.ok(checkRtcp(bytes, bytes.length, true))
  assert.deepEqual(read(bytes), [['other', 206, 1, 12]])
})

test('any octets are checked, read and relayed without a throw, and nothing is read beyond them', () => {
  const octets = fc.uint8Array({ maxLength: 200 })
  const headed = fc
    .tuple(fc.constantFrom(200, 201, 202, 203, 204, 205, 206, 207), fc.nat(31), octets)
    .map(([type, count, rest]) => {
      const body = rest.subarray(0, rest.length & ~3)
      return Uint8Array.of(0x80 | count, type, 0, body.length / 4, ...body)
    })
  const packet = fc
    .tuple(headed, headed, octets, fc.boolean())
    .map(([a, b, c, isRaw]) => (isRaw ? c : Uint8Array.of(0x80, 201, 0, 1, 0, 0, 0, 7, ...a, ...b)))
  fc.assert(
    fc.property(packet, (bytes) => {
      checkRtcp(bytes, bytes.length)
      if (!checkRtcp(bytes, bytes.length, true)) return
      read(bytes)
      const length = relayRtcp(bytes, bytes.length, {
        toward: new OutgoingStream(1, 2, 3),
        back: new OutgoingStream(4, 5, 6),
        backSource: null,
      })
      assert.ok(length >= 0 && length <= bytes.length)
      assert.ok(length === 0 || checkRtcp(bytes, length), Buffer.from(bytes.subarray(0, length)).toString('hex'))
    }),
    { numRuns: 3000 },
  )
})

test('§4: NTP counts from 1900, and the middle 32 bits are in 1/65536 second', () => {
  assert.equal(ntpSeconds(0), 2_208_988_800)
  assert.equal(ntpFraction(1500), 2 ** 31)
  assert.equal(ntpMiddle(0x12345678, 0x9abcdef0), 0x56789abc)
  assert.equal(delayUnits(1000), 65_536)
  assert.equal(delayUnits(-1), 0)
})

test('§6.4.1, Figure 2: the round trip is A − LSR − DLSR', () => {
  assert.equal(roundTripMs(0xb7108000, 0xb7052000, 0x00054000), 6125)
  assert.equal(roundTripMs(5, 0, 0), -1)
  assert.equal(roundTripMs(0x00000100, 0xffffff00, 0), (512 * 1000) / 65_536)
  assert.equal(roundTripMs(100, 101, 0), 0)
  assert.equal(roundTripMs(0, 65_536 * 2, 0), -1)
})

/** A party: what it sends, hears and reports. */
class Party {
  readonly out: OutgoingStream
  readonly heard = new ReceiveStatistics()
  readonly session: RtcpSession
  constructor(ssrc: number, name: string) {
    this.out = new OutgoingStream(ssrc, 100, 1000)
    this.session = new RtcpSession(name, this.out, this.heard)
  }
  /** Sends a packet. */
  send(nowMs: number): Uint8Array {
    const bytes = new Uint8Array(172)
    this.out.write(bytes, 0, false, this.out.tick(160, nowMs, 8000), nowMs, 8000, 160)
    return bytes
  }
  report(nowMs: number, extended = false): Uint8Array {
    const playout = { encoding: 'PCMU', packetMs: 20, nominalMs: 40, maximumMs: 200, discardRate: 0 }
    const bytes = this.session.write(nowMs, 1.8e12 + nowMs, playout, extended).slice()
    assert.ok(checkRtcp(bytes, bytes.length))
    return bytes
  }
}

test('§6.4: two parties learn loss, jitter and round trip of each other', () => {
  const a = new Party(1, 'a')
  const b = new Party(2, 'b')
  for (let i = 0; i < 100; i += 1) {
    const bytes = a.send(i * 20)
    if (i % 10 !== 5) b.heard.receive(bytes, i * 20 + 50, 8000, 160)
    b.heard.ownSsrc = 2
  }
  const sender = a.report(2000)
  assert.equal((read(sender)[0] as unknown[])[0], 'SR')
  b.session.receive(sender, sender.length, 2050, 1.8e12 + 2050 + 7777)
  const receiver = b.report(2550)
  assert.deepEqual(
    (read(receiver)[0] as unknown[]).slice(0, 2),
    ['block', 2],
    'who sends nothing reports as a receiver',
  )
  a.session.receive(receiver, receiver.length, 2600, 1.8e12 + 2600)
  assert.ok(Math.abs(a.session.roundTripMs - 100) < 1, `${a.session.roundTripMs}`)
  assert.equal(a.session.remoteLost, 10)
  assert.equal(a.session.remoteFractionLost, 25)
  assert.equal(a.session.remoteJitterMs, 0)
  assert.equal(a.session.remoteCname, 'b')
})

test('RFC 3611 §4.4, §4.5: who only receives learns the round trip from DLRR, and both get VoIP metrics', () => {
  const a = new Party(1, 'a')
  const b = new Party(2, 'b')
  for (let i = 0; i < 300; i += 1) {
    const bytes = a.send(i * 20)
    if (i < 100 || i >= 104) b.heard.receive(bytes, i * 20 + 50, 8000, 160)
  }
  const first = b.report(6000, true)
  a.session.receive(first, first.length, 6050, 1.8e12 + 6050)
  assert.equal(a.session.remoteMetrics?.burstMs, 80)
  assert.equal(a.session.remoteMetrics?.lossRate, Math.floor((4 / 300) * 256))
  assert.equal(a.session.remoteSummary?.lost, 4)
  assert.ok((a.session.remoteMetrics?.mosCq ?? 0) > 30)
  const answer = a.report(6150)
  b.session.receive(answer, answer.length, 6200, 1.8e12 + 6200)
  assert.ok(Math.abs(b.session.roundTripMs - 100) < 1, `${b.session.roundTripMs}`)
})

test('§6.6, §6.3.7: a BYE stands after a report and a CNAME; who never sent anything says none', () => {
  const a = new Party(1, 'a')
  assert.equal(a.session.writeBye(0, 0, 'x').length, 0)
  const b = new Party(2, 'b')
  for (let i = 0; i < 5; i += 1) b.heard.receive(a.send(i * 20), i * 20, 8000, 160)
  const bye = a.session.writeBye(100, 1.8e12, '')
  assert.ok(checkRtcp(bye, bye.length))
  assert.deepEqual(
    read(bye).map((entry) => (entry as unknown[])[0]),
    ['SR', 'CNAME', 'BYE'],
  )
  b.session.receive(bye, bye.length, 150, 1.8e12)
  assert.ok(b.session.saidBye)
})

test('§6.4: a source of which nothing came since the last report is left out', () => {
  const a = new Party(1, 'a')
  const b = new Party(2, 'b')
  for (let i = 0; i < 5; i += 1) b.heard.receive(a.send(i * 20), i * 20, 8000, 160)
  const blocks = (): number => read(b.report(200)).filter((entry) => (entry as unknown[])[0] === 'block').length
  assert.equal(blocks(), 1)
  assert.equal(blocks(), 0)
})

test('relayed reports speak to each side of its own SSRC, sequence numbers and timestamps', () => {
  // A (SSRC 0xa) talks to B (0xb) through us: to B we are 0x1b, to A we are 0x1a.
  const toB = new OutgoingStream(0x1b, 1000, 5000)
  const toA = new OutgoingStream(0x1a, 2000, 9000)
  const fromB = new ReceiveStatistics()
  const bytes = new Uint8Array(172)
  const outNumbers: number[][] = []
  for (let i = 0; i < 10; i += 1) {
    writeRtpHeader(bytes, 0, false, 50 + i, 700 + i * 160, 0xa)
    assert.ok(toB.relay(bytes, i * 20, 8000, 160, false))
    writeRtpHeader(bytes, 0, false, (65_530 + i) & 0xffff, 100 + i * 160, 0xb)
    fromB.receive(bytes, i * 20, 8000, 160)
    assert.ok(toA.relay(bytes, i * 20, 8000, 160, false))
    outNumbers.push([rtpSequence(bytes), rtpTimestamp(bytes)])
  }
  assert.deepEqual(outNumbers[9], [2009, 9000 + 9 * 160])
  const writer = new RtcpWriter().senderReport(0xa, 11, 22, 700 + 1600, 999, 999_999)
  writer
    .reportBlock({ ...BLOCK, ssrc: 0xdead })
    .reportBlock({ ...BLOCK, ssrc: 0x1a, extendedHighest: 2008 })
    .cname(0xa, 'a')
  writer
    .extendedReport(0xa)
    .voipMetrics({ ...METRICS, ssrc: 0x1a })
    .voipMetrics(METRICS)
  const length = relayRtcp(writer.bytes, writer.length, { toward: toB, back: toA, backSource: fromB.current })
  assert.ok(checkRtcp(writer.bytes, length))
  assert.deepEqual(read(writer.bytes, length), [
    ['SR', 0x1b, 11, 22, 5000 + 1600, 10, 1600],
    ['block', 0x1b, { ...BLOCK, ssrc: 0xb, extendedHighest: 65_536 + 2 }],
    ['CNAME', 0x1b, 'a'],
    ['VoIP', 0x1b, { ...METRICS, ssrc: 0xb }],
  ])
})

test('a report about what we made ourselves is no report about the other side', () => {
  const toA = new OutgoingStream(0x1a, 2000, 9000)
  toA.write(new Uint8Array(172), 0, false, toA.tick(160, 0, 8000), 0, 8000, 160)
  const writer = new RtcpWriter()
    .receiverReport(0xa)
    .reportBlock({ ...BLOCK, ssrc: 0x1a })
    .cname(0xa, 'a')
  const length = relayRtcp(writer.bytes, writer.length, {
    toward: new OutgoingStream(0x1b, 0, 0),
    back: toA,
    backSource: null,
  })
  assert.deepEqual(read(writer.bytes, length), [['CNAME', 0x1b, 'a']])
})
