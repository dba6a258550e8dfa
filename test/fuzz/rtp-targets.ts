// RTP, RTCP and telephone-events under the fuzzer: the octets of an input become the packets of a stream.

import assert from 'node:assert/strict'
import { readComfortNoise } from '#rtp/comfort-noise-payload.ts'
import { FRAMES_MAX, JitterBuffer } from '#rtp/jitter-buffer.ts'
import { OutgoingStream } from '#rtp/outgoing-stream.ts'
import { packetKind } from '#rtp/packet-kind.ts'
import { ReceiveStatistics, SOURCES_MAX } from '#rtp/receive-statistics.ts'
import { checkRtcp, readRtcp } from '#rtp/rtcp-packet.ts'
import { relayRtcp } from '#rtp/rtcp-relay.ts'
import { RtcpSession } from '#rtp/rtcp-session.ts'
import { RTCP_OCTETS_MAX } from '#rtp/rtcp-writer.ts'
import {
  rtpMarker,
  rtpPayloadEnd,
  rtpPayloadOffset,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
} from '#rtp/rtp-packet.ts'
import { TelephoneEventReceiver } from '#rtp/telephone-event-receiver.ts'

const PACKETS_MAX = 400
const OWN_SSRC = 0x0badcafe

/** Cuts the octets into packets of random lengths; most get a header that can be believed. */
function* packetsOf(text: string, random: () => number): Generator<Uint8Array> {
  const octets = Buffer.from(text, 'latin1')
  let sequence = Math.floor(random() * 65_536)
  for (let at = 0, count = 0; at < octets.length && count < PACKETS_MAX; count += 1) {
    const length = 1 + Math.floor(random() * (random() < 0.1 ? 1500 : 60))
    const packet = Uint8Array.from(octets.subarray(at, at + length))
    at += length
    if (random() < 0.8) packet[0] = random() < 0.7 ? 0x80 : 0x80 | Math.floor(random() * 64)
    if (random() < 0.7 && packet.length > 11) {
      sequence = (sequence + (random() < 0.9 ? 1 : Math.floor(random() * 70_000))) & 0xffff
      packet.set([sequence >> 8, sequence & 255], 2)
      packet.set([0, 0, 0, Math.floor(random() * 3)], 8)
    }
    yield packet
  }
}

/** Check, statistics, playout and rewriting: bounded, sound, and what goes out is RTP of one SSRC. */
export function fuzzRtp(text: string, random: () => number): void {
  const statistics = new ReceiveStatistics()
  const out = new OutgoingStream(OWN_SSRC, 65_530, 2 ** 32 - 100)
  const buffer = new JitterBuffer({ minMs: 20, maxMs: 200, initialMs: 40 }, 8000)
  let starts = 0
  const sink = {
    onStart(): void {
      starts += 1
    },
    onDigit(): void {
      starts -= 1
    },
  }
  const events = new TelephoneEventReceiver(sink)
  let now = 0
  for (const packet of packetsOf(text, random)) {
    now += Math.floor(random() * 60)
    const at = rtpPayloadOffset(packet, packet.length)
    if (packetKind(packet, packet.length) !== 'rtp' || at < 0) continue
    const end = rtpPayloadEnd(packet, packet.length)
    assert.ok(at <= end && end <= packet.length)
    const [ssrc, sequence, timestamp] = [rtpSsrc(packet), rtpSequence(packet), rtpTimestamp(packet)]
    statistics.receive(packet, now, 8000, end - at)
    const isEvent = random() < 0.3
    if (isEvent) events.receive(packet, at, end, ssrc, timestamp, rtpMarker(packet), now, 8000)
    assert.ok(starts === (events.isActive ? 1 : 0))
    if (isEvent) buffer.putOther(ssrc, sequence)
    else buffer.put(packet, at, end, ssrc, sequence, timestamp, rtpPayloadType(packet), false, random() < 0.1, now)
    if (random() < 0.8) buffer.take(160, now)
    readComfortNoise(packet, at, end)
    assert.ok(buffer.held <= FRAMES_MAX && statistics.sources.length <= SOURCES_MAX && statistics.lost >= 0)
    if (out.relay(packet, now, 8000, end - at, isEvent)) {
      assert.equal(rtpSsrc(packet), OWN_SSRC)
      assert.equal(rtpPayloadOffset(packet, packet.length), at)
    }
  }
}

/** Check, reading, answering and relaying of compound packets. */
export function fuzzRtcp(text: string, random: () => number): void {
  const incoming = new ReceiveStatistics()
  const out = new OutgoingStream(OWN_SSRC, 1, 1)
  const session = new RtcpSession('fuzz', out, incoming)
  let now = 0
  for (const packet of packetsOf(text, random)) {
    now += 1000
    const bytes = packet.subarray(0, packet.length & ~3)
    if (random() < 0.9) believable(bytes, random)
    if (!checkRtcp(bytes, bytes.length, random() < 0.5)) continue
    readRtcp(bytes, bytes.length, {})
    session.receive(bytes, bytes.length, now, now)
    const report = session.write(now, now, null, random() < 0.5)
    assert.ok(report.length <= RTCP_OCTETS_MAX && checkRtcp(report, report.length))
    const length = relayRtcp(bytes, bytes.length, { toward: out, back: out, backSource: incoming.current })
    assert.ok(length <= bytes.length && (length === 0 || checkRtcp(bytes, length)))
  }
}

/** Makes packet headers of the octets, one after the other, so that the lengths add up. */
function believable(bytes: Uint8Array, random: () => number): void {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const words = Math.min((bytes.length - at) / 4 - 1, Math.floor(random() * 14))
    bytes[at] = 0x80 | Math.floor(random() * 4)
    bytes[at + 1] = at === 0 ? 200 + Math.floor(random() * 2) : 200 + Math.floor(random() * 8)
    bytes[at + 2] = words >> 8
    bytes[at + 3] = words
    at += (words + 1) * 4
  }
}
