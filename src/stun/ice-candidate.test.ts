import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Generator } from '#sim/generator.ts'
import { freshIceCredentials, hostCandidate, hostPriority } from '#stun/ice-candidate.ts'

test('RFC 8445 §5.1.2.1: the priority of a host candidate', () => {
  assert.equal(hostPriority(1, 65_535), 2_130_706_431)
  assert.equal(hostPriority(2, 65_535), 2_130_706_430)
  assert.ok(hostPriority(1, 0) > 0)
})

test('RFC 8839 §5.1: the line of a host candidate; components of one address share its foundation', () => {
  const line = hostCandidate({ host: '203.0.113.1', port: 30_000, family: 4 }, 1)
  assert.match(line, /^[A-Za-z0-9+/]{1,32} 1 UDP 2130706431 203\.0\.113\.1 30000 typ host$/)
  const rtcp = hostCandidate({ host: '203.0.113.1', port: 30_001, family: 4 }, 2)
  assert.equal(rtcp.split(' ')[0], line.split(' ')[0])
  const other = hostCandidate({ host: '2001:db8::1', port: 30_000, family: 6 }, 1, 65_534)
  assert.notEqual(other.split(' ')[0], line.split(' ')[0])
  assert.match(other, / 2001:db8::1 30000 typ host$/)
})

test('RFC 8445 §5.3: fresh credentials are of ice-char, long enough, and new each time', () => {
  const random = new Generator(1)
  const seen = new Set<string>()
  for (let i = 0; i < 100; i += 1) {
    const { ufrag, password } = freshIceCredentials(random)
    assert.match(ufrag, /^[A-Za-z0-9+/]{8}$/)
    assert.match(password, /^[A-Za-z0-9+/]{24}$/)
    seen.add(ufrag).add(password)
  }
  assert.equal(seen.size, 200)
})
