import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileSnapshot } from '#routing/snapshot.ts'
import { loadConfig } from '#schema/config.ts'

function snapshot(text: string, localAddresses: readonly string[] = []) {
  const result = loadConfig(`domain: example.net\n${text}`, 'test.yaml')
  assert.ok(result.ok, JSON.stringify(result))
  return compileSnapshot(result.config, 'v1', localAddresses)
}

test('domain, aliases, advertised and listening addresses are own hosts in every spelling', () => {
  const own = snapshot(
    'sip: {listen: ["udp:192.0.2.1:5060", "tcp:[2001:DB8::0:1]:5060"], advertise: 198.51.100.1, aliases: [SIP.example.net]}\n',
    ['203.0.113.9'],
  )
  const ours = [
    'example.net',
    'EXAMPLE.net',
    'example.net.',
    'sip.example.net',
    '198.51.100.1',
    '192.0.2.1',
    '2001:db8::1',
    '[2001:db8:0::1]',
  ]
  for (const host of ours) assert.ok(own.isOwnHost(host), host)
  for (const host of ['', 'example.com', 'a.example.net', '203.0.113.9', '0.0.0.0', '192.0.2.2', '[', '127.0.0.1']) {
    assert.ok(!own.isOwnHost(host), host)
  }
})

test('a wildcard listening point makes the own addresses of its family own hosts', () => {
  const own = snapshot('sip: {listen: ["udp:0.0.0.0:5060"]}\n', ['203.0.113.9', '2001:db8::9'])
  assert.ok(own.isOwnHost('203.0.113.9'))
  assert.ok(own.isOwnHost('127.0.0.1'))
  assert.ok(own.isOwnHost('localhost'))
  assert.ok(!own.isOwnHost('2001:db8::9'))
  assert.ok(!own.isOwnHost('0.0.0.0'))
})

const TRUNKS = `trunkGroups:
- {name: port, peers: ["192.0.2.30:5060"]}
- {name: host, peers: ["192.0.2.31", "[2001:db8::31]"]}
- {name: tls, peers: ["tls:192.0.2.32:5061"]}
- {name: udp, peers: ["udp:192.0.2.33"]}
- {name: out, peers: ["192.0.2.34"], direction: out}
- {name: name, peers: ["sbc.example.com:5060"]}
- {name: second, peers: ["192.0.2.30:5070"]}
`

test('a source address leads to its trunk group', () => {
  const { ingressPeer } = bound(snapshot(TRUNKS))
  assert.equal(ingressPeer('udp', '192.0.2.30', 5060), 'port')
  assert.equal(ingressPeer('udp', '192.0.2.30', 5070), 'second')
  assert.equal(ingressPeer('udp', '192.0.2.30', 5061), null)
  assert.equal(ingressPeer('tcp', '192.0.2.30', 5060), 'port')
  assert.equal(ingressPeer('tcp', '192.0.2.30', 40_000), null)
  assert.equal(ingressPeer('udp', '192.0.2.31', 1), 'host')
  assert.equal(ingressPeer('tls', '2001:db8::31', 40_000), 'host')
  assert.equal(ingressPeer('tls', '192.0.2.32', 40_000), 'tls')
  assert.equal(ingressPeer('udp', '192.0.2.32', 5061), null)
  assert.equal(ingressPeer('udp', '192.0.2.33', 9), 'udp')
  assert.equal(ingressPeer('tcp', '192.0.2.33', 9), null)
  assert.equal(ingressPeer('udp', '192.0.2.34', 5060), null)
  assert.equal(ingressPeer('udp', '192.0.2.35', 5060), null)
})

function bound(from: ReturnType<typeof snapshot>) {
  return {
    ingressPeer: (transport: 'udp' | 'tcp' | 'tls', host: string, port: number): string | null =>
      from.ingressPeer(transport, host, port)?.trunkGroup ?? null,
  }
}

test('peers with a host name are listed for the switch to resolve', () => {
  const peers = snapshot(TRUNKS).hostNamePeers
  assert.deepEqual(
    peers.map(({ host, port, trunkGroup }) => ({ host, port, trunkGroup })),
    [{ host: 'sbc.example.com', port: 5060, trunkGroup: 'name' }],
  )
})

test('subscribers are found by user, whose case counts, and by number', () => {
  const found = snapshot('subscribers: [{user: Bob, password: x, number: "+1202"}, {user: bob, password: y}]\n')
  assert.equal(found.subscriberByUser('Bob')?.number, '+1202')
  assert.equal(found.subscriberByUser('bob')?.number, null)
  assert.equal(found.subscriberByUser('BOB'), null)
  assert.equal(found.subscriberByNumber('+1202')?.user, 'Bob')
  assert.equal(found.subscriberByNumber('1202'), null)
  assert.equal(found.subscriberCount, 2)
})

test('settings hold the listening points in their parts', () => {
  assert.deepEqual(snapshot('sip: {listen: ["tls:[::]:0"]}\n').settings.listen, [
    { transport: 'tls', host: '::', family: 6, port: 0 },
  ])
})
