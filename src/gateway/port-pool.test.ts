// Pairs of ports: even and odd, never twice at a time, and at rest after use.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlRig, portOf, sdp } from '#gateway/_control-rig.test.ts'

const RANGE = { name: 'pub', address: '192.0.2.1', family: 4, advertise: null } as const

test('RTP has an even port, and every pair of the range is given once', () => {
  const rig = controlRig({ interfaces: [{ ...RANGE, portFirst: 20_001, portLast: 20_010 }] })
  const given = new Set<number>()
  for (let pair = rig.gateway.pool.take('pub', 4); pair !== null; pair = rig.gateway.pool.take('pub', 4)) {
    assert.equal(pair.local.port % 2, 0)
    assert.equal(pair.localRtcp.port, pair.local.port + 1)
    assert.ok(pair.local.port >= 20_001 && pair.localRtcp.port <= 20_010)
    given.add(pair.local.port)
  }
  assert.equal(given.size, 4)
})

test('A pair that is given back rests before it is given again', () => {
  const rig = controlRig({ interfaces: [{ ...RANGE, portFirst: 20_000, portLast: 20_001 }] })
  const pair = rig.gateway.pool.take('pub', 4)
  assert.ok(pair)
  rig.gateway.pool.release(pair)
  assert.equal(rig.gateway.pool.take('pub', 4), null)
  rig.clock.pass(10_000)
  assert.equal(rig.gateway.pool.take('pub', 4)?.local.port, 20_000)
})

test('The direction names the interfaces of both sides', () => {
  const rig = controlRig()
  const offered = rig.command({
    command: 'offer',
    'call-id': 'c',
    'from-tag': 'a',
    sdp: sdp('198.51.100.1', 4000),
    direction: ['pub', 'priv'],
  })
  assert.ok(portOf(offered) >= 30_000)
  assert.match(String(offered['sdp']), /c=IN IP4 10\.0\.0\.1/)
})
