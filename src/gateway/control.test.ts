// The control of a gateway: calls, branches, services, silence, and that nothing is left behind.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { controlRig, portOf, sdp } from '#gateway/_control-rig.test.ts'

const OFFER = { command: 'offer', 'call-id': 'c', 'from-tag': 'a', sdp: sdp('198.51.100.1', 4000) }
const ANSWER = { command: 'answer', 'call-id': 'c', 'from-tag': 'a', 'to-tag': 'b', sdp: sdp('198.51.100.2', 5000) }

function assertNothingLeft(rig: ReturnType<typeof controlRig>): void {
  rig.plane.flush()
  rig.clock.pass(60_000)
  rig.plane.flush()
  assert.equal(rig.gateway.table.size, 0)
  assert.equal(rig.plane.open.size, 0)
  assert.equal(rig.gateway.streams.count, 0)
  assert.equal(rig.gateway.streams.gathering, 0)
  assert.equal(rig.gateway.pool.taken, 0)
  assert.equal(rig.gateway.table.indexed, 0)
  assert.equal(rig.clock.armed.size, 0)
}

test('An offer and its answer connect two streams, each towards the address of its description', () => {
  const rig = controlRig()
  const offered = rig.command(OFFER)
  assert.equal(offered['result'], 'ok')
  assert.match(String(offered['sdp']), /c=IN IP4 203\.0\.113\.1/)
  const answered = rig.command(ANSWER)
  assert.equal(answered['result'], 'ok')
  const far = rig.plane.settingsOf(portOf(offered))
  const near = rig.plane.settingsOf(portOf(answered))
  assert.deepEqual(near?.remote, { host: '198.51.100.1', port: 4000, family: 4 })
  assert.deepEqual(far?.remote, { host: '198.51.100.2', port: 5000, family: 4 })
  assert.deepEqual(near?.source, { kind: 'stream', stream: rig.plane.idOf(portOf(offered)) })
  assert.deepEqual(far?.source, { kind: 'stream', stream: rig.plane.idOf(portOf(answered)) })
  assert.deepEqual(
    far?.payloads.map((format) => format.encoding),
    ['PCMU', 'PCMA', 'TELEPHONE-EVENT'],
  )
  const deleted = rig.command({ command: 'delete', 'call-id': 'c', 'from-tag': 'a' })
  assert.deepEqual(deleted['totals'] !== undefined && Object.keys(deleted['tags'] as object), ['a', 'b'])
  assertNothingLeft(rig)
})

test('A re-offer keeps the ports of both sides, and hold stops what is sent', () => {
  const rig = controlRig()
  const first = portOf(rig.command(OFFER))
  const near = portOf(rig.command(ANSWER))
  const hold = `${OFFER.sdp}a=sendonly\r\n`
  assert.equal(portOf(rig.command({ ...OFFER, 'to-tag': 'b', sdp: hold })), first)
  assert.equal(portOf(rig.command({ ...ANSWER, sdp: `${ANSWER.sdp}a=recvonly\r\n` })), near)
  assert.equal(rig.plane.settingsOf(near)?.sends, false)
  assert.equal(rig.plane.settingsOf(first)?.receives, false)
  // The other side may offer too: its own ports and the far side's stay.
  const back = rig.command({ ...OFFER, 'from-tag': 'b', 'to-tag': 'a', sdp: ANSWER.sdp })
  assert.equal(portOf(back), near)
})

test('Branches have ports of their own, and the one that answers last is heard by the caller', () => {
  const rig = controlRig()
  const one = portOf(rig.command({ ...OFFER, 'via-branch': 'x1' }))
  const two = portOf(rig.command({ ...OFFER, 'via-branch': 'x2' }))
  assert.notEqual(one, two)
  rig.command({ ...ANSWER, 'via-branch': 'x1' })
  const near = portOf(rig.command({ ...ANSWER, 'to-tag': 'c', 'via-branch': 'x2' }))
  assert.deepEqual(rig.plane.settingsOf(near)?.source, { kind: 'stream', stream: rig.plane.idOf(two) })
  rig.command({ command: 'delete', 'call-id': 'c', 'from-tag': 'a', 'to-tag': 'b' })
  assert.equal(rig.plane.open.size, 2)
  rig.command({ command: 'delete', 'call-id': 'c', 'from-tag': 'a', 'to-tag': 'c' })
  assertNothingLeft(rig)
})

test('Ports that somebody else has are passed over, and an exhausted range is a clear error that leaves nothing', () => {
  const rig = controlRig()
  for (let port = 20_000; port < 20_400; port += 4) rig.plane.inUse.add(port)
  assert.equal(rig.command(OFFER)['result'], 'ok')
  for (let port = 20_000; port < 20_400; port += 2) rig.plane.inUse.add(port)
  const refused = rig.command({ ...OFFER, 'call-id': 'd' })
  assert.equal(refused['error-code'], 'MEDIA_PORTS_EXHAUSTED')
  rig.command({ command: 'delete', 'call-id': 'c', 'from-tag': 'a' })
  assertNothingLeft(rig)
})

test('What is asked of an unknown call is answered in the words of rtpengine', () => {
  const rig = controlRig()
  assert.equal(rig.command({ command: 'query', 'call-id': 'no' })['error-reason'], 'Unknown call-id')
  assert.equal(rig.command(ANSWER)['error-reason'], 'Unknown call-id')
  assert.equal(rig.command({ command: 'delete', 'call-id': 'no', 'from-tag': 'a' })['result'], 'ok')
  assert.equal(rig.command({ command: 'ping' })['result'], 'pong')
  assert.equal(rig.command({ command: 'what' })['error-code'], 'NG_COMMAND_UNKNOWN')
})

test('An offer beyond the calls that may be is refused, as load limit for those who know it', () => {
  const rig = controlRig({ callsMax: 1 })
  rig.command(OFFER)
  assert.equal(rig.command({ ...OFFER, 'call-id': 'd' })['error-code'], 'MEDIA_CALLS_MAX')
  assert.equal(rig.command({ ...OFFER, 'call-id': 'd', supports: ['load limit'] })['result'], 'load limit')
})

test('Our own address as the media target of the same call is refused', () => {
  const rig = controlRig()
  const port = portOf(rig.command(OFFER))
  assert.equal(rig.command({ ...ANSWER, sdp: sdp('203.0.113.1', port) })['error-code'], 'MEDIA_LOOP')
})

test('Unknown flags and tags without end are told', () => {
  const rig = controlRig()
  const reply = rig.command({ ...OFFER, flags: ['no such flag'] })
  assert.equal(reply['result'], 'ok')
  assert.equal((reply['unknown-flags'] as string[]).length, 1)
  assert.equal(rig.command({ ...OFFER, 'from-tag': 'x'.repeat(10_000) })['error-code'], 'MEDIA_TEXT_MAX')
  assert.match(String(rig.command({ ...OFFER, sdp: `${OFFER.sdp}${'a=x\r\n'.repeat(9_000)}` })['error-code']), /^SDP_/)
})

test('A fax line in place of audio keeps the port and passes as datagrams without formats', () => {
  const rig = controlRig()
  const port = portOf(rig.command(OFFER))
  rig.command(ANSWER)
  const t38 = 'm=image PORT udptl t38\r\na=T38FaxVersion:0\r\n'
  const offered = rig.command({ ...OFFER, 'to-tag': 'b', sdp: sdp('198.51.100.1', 4000, t38) })
  assert.equal(portOf(offered), port)
  rig.command({ ...ANSWER, sdp: sdp('198.51.100.2', 5000, t38) })
  assert.deepEqual(rig.plane.settingsOf(port)?.payloads, [])
  assert.equal(rig.plane.settingsOf(port)?.datagrams, true)
  assert.equal(rig.plane.settingsOf(port)?.source.kind, 'stream')
  assert.equal(portOf(rig.command({ ...OFFER, 'to-tag': 'b' })), port)
  rig.command(ANSWER)
  assert.equal(rig.plane.settingsOf(port)?.datagrams, false)
  assert.deepEqual(
    rig.plane.settingsOf(port)?.payloads.map(({ encoding }) => encoding),
    ['PCMU', 'PCMA', 'TELEPHONE-EVENT'],
  )
})

test('A fax line that the other side refuses leaves the audio as it is', () => {
  const rig = controlRig()
  const port = portOf(rig.command(OFFER))
  const near = portOf(rig.command(ANSWER))
  const t38 = sdp('198.51.100.1', 4000, 'm=image PORT udptl t38\r\na=T38FaxVersion:0\r\n')
  rig.command({ ...OFFER, 'to-tag': 'b', sdp: t38 })
  // The re-INVITE failed; something else wires the call anew.
  rig.command({ ...OFFER, 'to-tag': 'b', flags: ['detect DTMF'] })
  rig.command(ANSWER)
  for (const local of [port, near]) {
    assert.equal(rig.plane.settingsOf(local)?.datagrams, false)
    assert.equal(rig.plane.settingsOf(local)?.source.kind, 'stream')
  }
})

test('An echo is its own source, a conference has one room by name, and both are answered by the gateway', () => {
  const rig = controlRig()
  const service = { command: 'carillon service', 'call-id': 'e', 'from-tag': 'a', sdp: OFFER.sdp }
  const port = portOf(rig.command({ ...service, service: 'echo' }))
  assert.deepEqual(rig.plane.settingsOf(port)?.source, { kind: 'stream', stream: rig.plane.idOf(port) })
  const rooms = ['r1', 'r2'].map((callId) => {
    const reply = rig.command({ ...service, 'call-id': callId, service: 'conference', room: '603' })
    return rig.plane.settingsOf(portOf(reply))?.source
  })
  assert.deepEqual(rooms[0], rooms[1])
  assert.equal(rig.gateway.control.rooms, 1)
  for (const callId of ['e', 'r1', 'r2']) rig.command({ command: 'delete', 'call-id': callId, 'from-tag': 'a' })
  assert.equal(rig.gateway.control.rooms, 0)
  assertNothingLeft(rig)
})

test('A service leg without an offer gets ours, and its answer connects it', () => {
  const rig = controlRig()
  const service = { command: 'carillon service', 'call-id': 'e', 'from-tag': 'a', service: 'milliwatt' }
  const port = portOf(rig.command(service))
  assert.equal(rig.command({ ...service, sdp: ANSWER.sdp })['result'], 'ok')
  assert.deepEqual(rig.plane.settingsOf(port)?.remote, { host: '198.51.100.2', port: 5000, family: 4 })
})

test('Our offer to a side that signals over IPv6 is in IPv6', () => {
  const interfaces = ['192.0.2.1', '2001:db8::1'].map((address) => ({
    name: 'default',
    address,
    family: address.includes(':') ? (6 as const) : (4 as const),
    advertise: null,
    portFirst: 30_000,
    portLast: 30_099,
  }))
  const rig = controlRig({ interfaces })
  const service = { command: 'carillon service', 'call-id': 'e', 'from-tag': 'a', service: 'echo' }
  const reply = rig.command({ ...service, 'received-from': ['IP6', '2001:db8::7'] })
  assert.match(String(reply['sdp']), /^c=IN IP6 2001:db8::1\r$/m)
})

test('A call in which nothing comes is reported once and removed after a while', () => {
  const rig = controlRig()
  const far = portOf(rig.command(OFFER))
  const near = portOf(rig.command(ANSWER))
  for (const port of [far, near]) rig.plane.report({ report: 'timeout', stream: rig.plane.idOf(port), initial: true })
  rig.plane.flush()
  const events = rig.command({ command: 'carillon events', after: 0, wait: 0 })['events'] as { event: string }[]
  assert.deepEqual(
    events.map((event) => event.event),
    ['media timeout'],
  )
  rig.clock.pass(10_000)
  assertNothingLeft(rig)
})

test('A stream that breaks later takes nothing with it, and a new offer opens another', () => {
  const rig = controlRig()
  const port = portOf(rig.command(OFFER))
  rig.command(ANSWER)
  const stream = rig.plane.idOf(port)
  rig.plane.open.delete(stream)
  rig.plane.report({ report: 'openFailed', stream, reason: 'EIO' })
  const again = portOf(rig.command({ ...OFFER, 'to-tag': 'b' }))
  assert.notEqual(again, port)
  rig.command(ANSWER)
  assert.equal(rig.plane.settingsOf(again)?.remote?.port, 5000)
  rig.command({ command: 'delete', 'call-id': 'c', 'from-tag': 'a' })
  assertNothingLeft(rig)
})

test('A notice ends the wait of who asked for it', () => {
  const rig = controlRig()
  const near = portOf(
    rig.command({ command: 'carillon service', 'call-id': 'e', 'from-tag': 'a', service: 'echo', sdp: OFFER.sdp }),
  )
  const replies = rig.send({ command: 'carillon events', after: 0, wait: 5_000 })
  assert.equal(replies.length, 0)
  rig.plane.report({ report: 'dtmf', stream: rig.plane.idOf(near), digit: '5', ms: 100, levelDbm0: -8 })
  const events = (replies[0]?.['events'] ?? []) as { digit: string }[]
  assert.equal(events[0]?.digit, '5')
})

test('A subscriber hears the party that it subscribed to, and is heard by nobody', () => {
  const rig = controlRig()
  rig.command(OFFER)
  const near = portOf(rig.command(ANSWER))
  const request = rig.command({ command: 'subscribe request', 'call-id': 'c', 'from-tag': 'a' })
  assert.match(String(request['sdp']), /a=sendonly/)
  const toTag = String(request['to-tag'])
  const answer = { command: 'subscribe answer', 'call-id': 'c', 'to-tag': toTag, sdp: sdp('198.51.100.9', 7000) }
  assert.equal(rig.command(answer)['result'], 'ok')
  const settings = rig.plane.settingsOf(portOf(request))
  assert.deepEqual(settings?.source, { kind: 'stream', stream: rig.plane.idOf(near) })
  assert.equal(settings?.remote?.port, 7000)
  const heard = [...rig.plane.open.values()].map((open) => open.settings?.source)
  assert.ok(!heard.some((source) => source?.kind === 'stream' && source.stream === rig.plane.idOf(portOf(request))))
  assert.equal(rig.command({ command: 'unsubscribe', 'call-id': 'c', 'to-tag': toTag })['result'], 'ok')
  assert.equal(rig.plane.open.size, 2)
  rig.command({ command: 'delete', 'call-id': 'c', 'from-tag': 'a' })
  assertNothingLeft(rig)
})

test('Whatever commands come in whatever order: nothing is left at the end', () => {
  const tag = fc.constantFrom('a', 'b', 'c', '')
  const step = fc.record({
    command: fc.constantFrom(
      'offer',
      'answer',
      'delete',
      'query',
      'carillon service',
      'play DTMF',
      'block media',
      'subscribe request',
      'subscribe answer',
      'unsubscribe',
      'publish',
    ),
    'call-id': fc.constantFrom('1', '2', '3'),
    'from-tag': tag,
    'to-tag': tag,
    'via-branch': fc.constantFrom('', 'x', 'y'),
    service: fc.constantFrom('echo', 'conference', 'time', 'tone'),
    code: fc.constant('5'),
    sdp: fc.constantFrom(
      OFFER.sdp,
      ANSWER.sdp,
      sdp('198.51.100.3', 0),
      sdp('203.0.113.1', 20_000),
      sdp('198.51.100.4', 6000, 'm=image PORT udptl t38\r\n'),
      'junk',
    ),
    wait: fc.boolean(),
    direction: fc.constantFrom(['pub', 'priv'], ['priv', 'pub'], ['pub', 'pub']),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const rig = controlRig({ callsMax: 2 })
      for (let port = 20_000; port < 20_400; port += 6) rig.plane.inUse.add(port)
      let replies = 0
      let sent = 0
      for (const { wait, ...command } of steps) {
        const words = Object.fromEntries(Object.entries(command).filter(([, value]) => value !== ''))
        sent += 1
        rig.gateway.onCommand(words as never, null, () => {
          replies += 1
        })
        if (!wait) rig.plane.flush()
      }
      rig.plane.flush()
      assert.equal(replies, sent)
      rig.gateway.close()
      assertNothingLeft(rig)
    }),
    { numRuns: 300 },
  )
})
