// Service legs of a gateway with the prompts of the product: what a caller hears of the time, of announcements and of tones.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayPrompts } from '#bin/gateway-prompts.ts'
import { Counters } from '#core/counters.ts'
import type { Net } from '#core/net.ts'
import type { Store } from '#core/store.ts'
import { portOf, sdp } from '#gateway/_control-rig.test.ts'
import { at, PlaneRig, RigParty } from '#gateway/_plane-rig.test.ts'
import { encodeG711 } from '#gateway/audio/g711.ts'
import { Gateway } from '#gateway/gateway.ts'
import { GATEWAY_DEFAULTS } from '#gateway/gateway-settings.ts'
import type { Segment } from '#gateway/plane.ts'
import type { NgDictionary } from '#ng/ng-value.ts'

const ALICE = at('198.51.100.1', 4_000)
const PROMPTS = new GatewayPrompts('/nowhere')
const LEG = { command: 'carillon service', 'call-id': 'c', 'from-tag': 'a' }

/** A caller of one service, and what it hears. */
class Caller {
  readonly rig = new PlaneRig()
  readonly gateway: Gateway
  readonly answer: NgDictionary
  readonly #party = new RigParty(ALICE, 1)

  constructor(service: NgDictionary) {
    const { rig } = this
    const interfaces = [
      { name: 'pub', address: '192.0.2.1', family: 4, advertise: null, portFirst: 20_000, portLast: 20_100 },
    ] as const
    let state = 3
    const uint32 = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state
    }
    const random = { uint32, bytes: (target: Uint8Array) => target.fill(uint32() >>> 24) }
    const log = { event: () => {} }
    const ports = { clock: rig.clock, random, net: {} as Net, store: {} as Store, log, counters: new Counters() }
    this.gateway = new Gateway(ports, { ...GATEWAY_DEFAULTS, interfaces }, null, {
      plane: (sink) => {
        rig.sink = sink
        return rig.plane
      },
      prompts: PROMPTS,
    })
    const offer = sdp(ALICE.host, ALICE.port, 'm=audio PORT RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n')
    this.answer = this.command({ ...LEG, sdp: offer, ...service })
  }

  command(command: NgDictionary): NgDictionary {
    const replies: NgDictionary[] = []
    this.gateway.onCommand(command, null, (reply) => replies.push(reply))
    this.rig.listen()
    return replies[0] ?? { result: 'none' }
  }

  /** The octets of µ-law that come in the next `ms`, while it sends silence itself. */
  hear(ms: number): Buffer {
    const to = at('192.0.2.1', portOf(this.answer))
    const beginMs = this.rig.clock.now()
    this.rig.speak(this.#party, to, ms / 20, 0, 0xff)
    const heard = Buffer.alloc(8 * (ms + 20), 0xff)
    for (const { bytes, ms: sentMs } of this.rig.take(ALICE)) bytes.copy(heard, 8 * (sentMs - beginMs), 12)
    return heard
  }
}

/** Segments at 8 kHz as µ-law. */
function octetsOf(segments: readonly Segment[] | string): Buffer {
  assert.ok(typeof segments !== 'string', String(segments))
  const parts = segments.map((segment) => {
    assert.ok(segment.kind === 'samples' && segment.rate === 8_000, segment.kind)
    const octets = Buffer.alloc(segment.samples.length)
    encodeG711('PCMU', segment.samples, octets)
    return octets
  })
  return Buffer.concat(parts)
}

test('the time is read out word for word in its order, and ten seconds later it is ten seconds later', () => {
  const caller = new Caller({ service: 'time' })
  const wallMs = caller.rig.clock.wallMs()
  const heard = caller.hear(20_000)
  const first = heard.indexOf(octetsOf(PROMPTS.time(wallMs)))
  const second = heard.indexOf(octetsOf(PROMPTS.time(wallMs + 10_000)))
  assert.ok(first >= 0 && first < 8 * 100, `first at ${first / 8} ms`)
  assert.ok(Math.abs(second - first - 80_000) <= 8 * 60, `second at ${second / 8} ms`)
  assert.notDeepEqual(octetsOf(PROMPTS.time(wallMs)), octetsOf(PROMPTS.time(wallMs + 10_000)))
})

test('an announcement is heard as often as it was asked for, and its end is told', () => {
  const caller = new Caller({ service: 'announcement', prompt: 'number-not-in-service', 'repeat-times': 2 })
  const said = octetsOf(PROMPTS.prompt('number-not-in-service'))
  const heard = caller.hear(Math.ceil((3 * said.length) / 160) * 20)
  const at = heard.indexOf(said)
  assert.ok(at >= 0 && at < 800, String(at))
  assert.equal(heard.indexOf(said, at + 1), at + said.length)
  assert.equal(heard.indexOf(said, at + said.length + 1), -1)
  const events = caller.command({ command: 'carillon events', after: 0, wait: 0 })['events'] as { event: string }[]
  assert.deepEqual(
    events.map(({ event }) => event),
    ['playback ended'],
  )
})

test('a prompt that there is not gives the tone of information, never silence', () => {
  const caller = new Caller({ service: 'announcement', prompt: '../../etc/passwd' })
  assert.ok(caller.hear(1_000).some((octet) => (octet & 0x7f) < 0x30))
})

test('the busy tone of the country has its cadence', () => {
  const caller = new Caller({ service: 'tone', tone: 'busy', country: 'us' })
  const heard = caller.hear(4_000)
  const loud = Array.from({ length: Math.floor(heard.length / 400) }, (_, at) =>
    heard.subarray(400 * at, 400 * at + 400).some((octet) => (octet & 0x7f) < 0x50),
  )
  const changes = loud.flatMap((is, at) => (at > 0 && is !== loud[at - 1] ? [at * 50] : []))
  const lengths = changes.slice(1).map((ms, at) => ms - (changes[at] ?? 0))
  assert.ok(lengths.length >= 5 && lengths.every((ms) => Math.abs(ms - 500) <= 50), lengths.join(' '))
})

test('a file of a proxy: its octets as a blob, from a position, as long as told; what is none is an error', () => {
  const caller = new Caller({ service: 'echo' })
  const play = { command: 'play media', 'call-id': 'c', 'from-tag': 'a' }
  assert.equal(caller.command({ ...play, blob: 'RIFF no sound' })['error-code'], 'MEDIA_PROMPT')
  assert.equal(caller.command({ ...play, file: '../secret.wav' })['error-code'], 'MEDIA_PROMPT')
  const octets = Buffer.alloc(44 + 16_000)
  octets.write('RIFF', 0, 'latin1')
  octets.writeUInt32LE(36 + 16_000, 4)
  octets.write('WAVEfmt ', 8, 'latin1')
  octets.writeUInt32LE(16, 16)
  octets.writeUInt16LE(1, 20)
  octets.writeUInt16LE(1, 22)
  octets.writeUInt32LE(8_000, 24)
  octets.writeUInt32LE(16_000, 28)
  octets.writeUInt16LE(2, 32)
  octets.writeUInt16LE(16, 34)
  octets.write('data', 36, 'latin1')
  octets.writeUInt32LE(16_000, 40)
  for (let sample = 0; sample < 8_000; sample++) octets.writeInt16LE(sample % 8 < 4 ? 8_000 : -8_000, 44 + 2 * sample)
  const blob = octets.toString('latin1')
  const reply = caller.command({ ...play, blob, 'start-pos': 400, 'repeat-times': 5, 'repeat-duration': 1_000 })
  assert.equal(reply['duration'], 600)
  const loud = caller.hear(3_000).filter((octet) => (octet & 0x7f) < 0x50).length
  assert.ok(Math.abs(loud - 8_000) <= 160, String(loud))
})
