import assert from 'node:assert/strict'
import test from 'node:test'
import type { Connection, ConnectionSink, DatagramSocket, Endpoint, ListenerSink } from '#core/net.ts'
import { endpointText } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { NAT_KINDS } from '#sim/nat.ts'
import { simTls } from '#sim/tls.ts'
import { World } from '#sim/world.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const endpoint = (host: string, port: number): Endpoint => ({ host, port, family: host.includes(':') ? 6 : 4 })

/** Notes what arrives on port 5060, and answers nothing. */
class Listening {
  readonly received: string[] = []
  readonly ports: Ports
  readonly socket: DatagramSocket
  constructor(ports: Ports, port = 5060) {
    this.ports = ports
    const onDatagram = (bytes: Uint8Array, source: Endpoint): void => {
      this.received.push(`${endpointText(source)} ${decode(bytes)}`)
    }
    this.socket = ports.net.udp(endpoint('0.0.0.0', port), {
      onDatagram,
      onListening: () => {},
      onSocketError: (reason) => this.received.push(reason),
    })
  }
}

test('a datagram arrives after the latency, from the address it was sent from', () => {
  const world = new World({ seed: 1, links: { latencyMs: 40 } })
  const left = world.node('192.0.2.1', (ports) => new Listening(ports))
  const right = world.node('192.0.2.2', (ports) => new Listening(ports))
  left.application.socket.send(encode('hello'), endpoint('192.0.2.2', 5060))
  world.runUntil(39)
  assert.deepEqual(right.application.received, [])
  world.runUntil(40)
  assert.deepEqual(right.application.received, ['192.0.2.1:5060 hello'])
})

test('loss, duplication and reordering come as often as the link says', () => {
  const world = new World({ seed: 2, links: { latencyMs: 10, jitterMs: 30, loss: 0.1, duplicate: 0.05 } })
  const left = world.node('192.0.2.1', (ports) => new Listening(ports))
  const right = world.node('192.0.2.2', (ports) => new Listening(ports))
  const sent = 20_000
  for (let i = 0; i < sent; i++) left.application.socket.send(encode(`${i}`), endpoint('192.0.2.2', 5060))
  world.runUntilIdle({ limitMs: 1_000 })
  const numbers = right.application.received.map((line) => Number(line.split(' ')[1]))
  const distinct = new Set(numbers).size
  assert.ok(Math.abs(distinct - 18_000) < 4 * 43, `${distinct} arrived`)
  assert.ok(Math.abs(numbers.length - distinct - 900) < 4 * 30, `${numbers.length - distinct} arrived twice`)
  assert.ok(numbers.some((number, at) => at > 0 && number < (numbers[at - 1] ?? 0)))
})

test('losses in runs keep the mean and lengthen the runs', () => {
  const world = new World({ seed: 3 })
  const left = world.node('192.0.2.1', () => ({}))
  const right = world.node('192.0.2.2', () => ({}))
  const link = world.link(left, right, { loss: 0.1, lossRun: 5 })
  let lost = 0
  let runs = 0
  let before = false
  for (let i = 0; i < 50_000; i++) {
    const isLost = link.draw(100).length === 0
    if (isLost) lost++
    if (isLost && !before) runs++
    before = isLost
  }
  assert.ok(Math.abs(lost / 50_000 - 0.1) < 0.01, `${lost} lost`)
  assert.ok(Math.abs(lost / runs - 5) < 0.5, `runs of ${lost / runs}`)
})

test('a datagram above the MTU, to nobody, or across a partition is lost without a word', () => {
  const world = new World({ seed: 4, links: { mtu: 1_400 } })
  const left = world.node('192.0.2.1', (ports) => new Listening(ports))
  const right = world.node('192.0.2.2', (ports) => new Listening(ports))
  world.partition(left, right, { fromMs: 100, untilMs: 200 })
  const to = endpoint('192.0.2.2', 5060)
  left.application.socket.send(new Uint8Array(1_401), to)
  left.application.socket.send(encode('nobody'), endpoint('192.0.2.3', 5060))
  left.application.socket.send(encode('no port'), endpoint('192.0.2.2', 5061))
  world.at(150, () => left.application.socket.send(encode('cut'), to))
  world.at(250, () => left.application.socket.send(encode('whole'), to))
  world.runUntilIdle({ limitMs: 1_000 })
  assert.deepEqual(right.application.received, ['192.0.2.1:5060 whole'])
})

test('each kind of NAT lets in exactly whom RFC 4787 says, and maps as it says', () => {
  // Inside sends to server port 5060. Then these three send to the mapping: the same endpoint, the same address from another port, another address.
  const rows = [
    { kind: NAT_KINDS.fullCone, in: ['same', 'port', 'address'], oneMapping: true },
    { kind: NAT_KINDS.restrictedCone, in: ['same', 'port'], oneMapping: true },
    { kind: NAT_KINDS.portRestricted, in: ['same'], oneMapping: true },
    { kind: NAT_KINDS.symmetric, in: ['same'], oneMapping: false },
  ]
  for (const row of rows) {
    const world = new World({ seed: 5 })
    const nat = world.nat('203.0.113.9', row.kind)
    const inside = world.node('10.0.0.2', (ports) => new Listening(ports), { behind: nat })
    const server = world.node('192.0.2.2', (ports) => new Listening(ports))
    const otherPort = new Listening({ ...server.application.ports }, 5070)
    const stranger = world.node('192.0.2.3', (ports) => new Listening(ports))
    inside.application.socket.send(encode('out'), endpoint('192.0.2.2', 5060))
    world.runUntilIdle({ limitMs: 1_000 })
    const mapped = server.application.received[0]?.split(' ')[0]
    assert.equal(mapped, '203.0.113.9:5060', 'the port is preserved')
    server.application.socket.send(encode('same'), endpoint('203.0.113.9', 5060))
    otherPort.socket.send(encode('port'), endpoint('203.0.113.9', 5060))
    stranger.application.socket.send(encode('address'), endpoint('203.0.113.9', 5060))
    world.runUntilIdle({ limitMs: 1_000 })
    assert.deepEqual(
      inside.application.received.map((line) => line.split(' ')[1]),
      row.in,
    )
    inside.application.socket.send(encode('again'), endpoint('192.0.2.3', 5060))
    world.runUntilIdle({ limitMs: 1_000 })
    const again = stranger.application.received[0]?.split(' ')[0]
    assert.equal(again === '203.0.113.9:5060', row.oneMapping)
  }
})

test('a NAT mapping dies when nothing goes out for its time-out', () => {
  const world = new World({ seed: 6 })
  const nat = world.nat('203.0.113.9', { udpTimeoutMs: 30_000 })
  const inside = world.node('10.0.0.2', (ports) => new Listening(ports), { behind: nat })
  const server = world.node('192.0.2.2', (ports) => new Listening(ports))
  inside.application.socket.send(encode('out'), endpoint('192.0.2.2', 5060))
  const back = (text: string): void => server.application.socket.send(encode(text), endpoint('203.0.113.9', 5060))
  world.at(29_000, () => back('alive'))
  world.at(31_000, () => back('dead'))
  world.runUntilIdle({ limitMs: 60_000 })
  assert.deepEqual(inside.application.received, ['192.0.2.2:5060 alive'])
})

test('two hosts behind one NAT reach each other through its outer address only when it hairpins', () => {
  for (const hairpin of [true, false]) {
    const world = new World({ seed: 7 })
    const nat = world.nat('203.0.113.9', { ...NAT_KINDS.fullCone, hairpin })
    const one = world.node('10.0.0.2', (ports) => new Listening(ports), { behind: nat })
    const two = world.node('10.0.0.3', (ports) => new Listening(ports, 5062), { behind: nat })
    two.application.socket.send(encode('open'), endpoint('192.0.2.2', 5060))
    world.node('192.0.2.2', (ports) => new Listening(ports))
    two.application.socket.send(encode('open'), endpoint('192.0.2.2', 5060))
    one.application.socket.send(encode('hi'), endpoint('203.0.113.9', 5062))
    world.runUntilIdle({ limitMs: 1_000 })
    assert.deepEqual(two.application.received, hairpin ? ['203.0.113.9:5060 hi'] : [])
  }
})

class StreamEnd implements ConnectionSink, ListenerSink {
  readonly log: string[] = []
  text = ''
  connection: Connection | null = null
  onOpen(connection: Connection): void {
    this.connection = connection
    this.log.push('open')
  }
  onAccept(connection: Connection): ConnectionSink {
    this.connection = connection
    this.log.push('accepted')
    return this
  }
  onListening(): void {}
  onSocketError(reason: string): void {
    this.log.push(reason)
  }
  onBytes(_connection: Connection, bytes: Uint8Array): void {
    this.text += decode(bytes)
  }
  onClose(_connection: Connection, reason: string): void {
    this.log.push(reason)
    this.connection = null
  }
}

function streamWorld(seed: number, loss: number) {
  const world = new World({ seed, links: { latencyMs: 20, jitterMs: 40, loss } })
  const server = world.node('192.0.2.2', (ports) => {
    const end = new StreamEnd()
    ports.net.listen(endpoint('0.0.0.0', 5060), null, end)
    return { end, ports }
  })
  const client = world.node('192.0.2.1', (ports) => {
    const end = new StreamEnd()
    ports.net.connect(endpoint('192.0.2.2', 5060), null, null, end)
    return { end, ports }
  })
  return { world, server, client }
}

test('a stream brings every byte once and in order over a link that loses and reorders', () => {
  const { world, server, client } = streamWorld(8, 0.2)
  world.runUntil(10_000)
  let sent = ''
  for (let i = 0; i < 200; i++) {
    sent += `line ${i} `
    client.application.end.connection?.send(encode(`line ${i} `))
  }
  client.application.end.connection?.close()
  assert.ok(world.runUntilIdle({ limitMs: 600_000 }))
  assert.equal(server.application.end.text, sent)
  assert.deepEqual(server.application.end.log, ['accepted', 'closed'])
  assert.deepEqual(client.application.end.log, ['open', 'closed'])
})

test('a killed process resets its connections; one that lost power leaves them half-open until the other side speaks', () => {
  for (const power of [false, true]) {
    const { world, server, client } = streamWorld(9, 0)
    world.crash(server, { atMs: 1_000, restartAfterMs: 2_000, power })
    world.runUntil(10_000)
    assert.deepEqual(client.application.end.log, power ? ['open'] : ['open', 'ECONNRESET'])
    client.application.end.connection?.send(encode('anybody?'))
    world.runUntil(20_000)
    assert.deepEqual(client.application.end.log, ['open', 'ECONNRESET'])
  }
})

test('a connection to a machine without power times out, to one without a listener is refused', () => {
  const world = new World({ seed: 10 })
  const off = world.node('192.0.2.2', () => ({}))
  world.node('192.0.2.3', () => ({}))
  world.crash(off, { atMs: 0, power: true })
  const ends = [new StreamEnd(), new StreamEnd(), new StreamEnd()] as const
  const client = world.node('192.0.2.1', (ports) => ({ ports }))
  world.runUntil(1)
  const { net } = client.application.ports
  net.connect(endpoint('192.0.2.2', 5060), null, null, ends[0])
  net.connect(endpoint('192.0.2.3', 5060), null, null, ends[1])
  net.connect(endpoint('2001:db8::1', 5060), null, null, ends[2])
  assert.ok(world.runUntilIdle({ limitMs: 600_000 }))
  assert.deepEqual(
    ends.map(({ log }) => log),
    [['ETIMEDOUT'], ['ECONNREFUSED'], ['ENETUNREACH']],
  )
})

test('TLS opens only when the demanded certificates are verified and the name is right', () => {
  const rows = [
    { trusts: ['ca'], name: 'sip.example.net', clientIssuer: 'ca', demand: true, result: 'open' },
    { trusts: [], name: 'sip.example.net', clientIssuer: 'ca', demand: true, result: 'TLS_VERIFY' },
    { trusts: ['ca'], name: 'other.example.net', clientIssuer: 'ca', demand: true, result: 'TLS_VERIFY' },
    { trusts: ['ca'], name: 'sip.example.net', clientIssuer: 'unknown', demand: true, result: 'TLS_VERIFY' },
    { trusts: ['ca'], name: 'sip.example.net', clientIssuer: 'unknown', demand: false, result: 'open' },
  ]
  for (const row of rows) {
    const world = new World({ seed: 11 })
    const server = new StreamEnd()
    const client = new StreamEnd()
    world.node('192.0.2.2', (ports) => {
      const tls = simTls({ names: ['SIP.example.net'], issuer: 'ca', trusts: ['ca'], verifyClients: row.demand })
      ports.net.listen(endpoint('192.0.2.2', 5061), tls, server)
      return {}
    })
    world.node('192.0.2.1', (ports) => {
      const tls = simTls({ names: ['pbx'], issuer: row.clientIssuer, trusts: row.trusts })
      ports.net.connect(endpoint('192.0.2.2', 5061), tls, row.name, client)
      return {}
    })
    world.runUntil(1_000)
    assert.deepEqual(client.log, [row.result])
    assert.deepEqual(server.log, row.result === 'open' ? ['accepted'] : [])
    if (row.result === 'open') assert.deepEqual(client.connection?.peer?.names, ['sip.example.net'])
    if (row.result === 'open') assert.equal(server.connection?.peer?.verified, row.clientIssuer === 'ca')
  }
})

test('the same seed gives the same trace, another seed another one', () => {
  const run = (seed: number): string => {
    const world = new World({ seed, links: { jitterMs: 20, loss: 0.1, duplicate: 0.1 } })
    const left = world.node('192.0.2.1', (ports) => new Listening(ports))
    world.node('192.0.2.2', (ports) => new Listening(ports))
    world.every(10, () => left.application.socket.send(encode('tick'), endpoint('192.0.2.2', 5060)))
    world.runUntil(2_000)
    return world.network.traceHash()
  }
  assert.equal(run(12), run(12))
  assert.notEqual(run(12), run(13))
})

test('names resolve after a delay, fail as asked, and a missing name is an empty answer', () => {
  const world = new World({ seed: 14 })
  world.dns.set('sip.example.net', [{ type: 'A', address: '192.0.2.2', ttlS: 60 }])
  const answers: string[] = []
  const node = world.node('192.0.2.1', (ports) => ({ ports }))
  const ask = (name: string): void =>
    node.application.ports.net.resolve(name, 'A', {
      onResolved: (asked, type, records, failure) => answers.push(`${asked} ${type} ${records.length} ${failure}`),
    })
  ask('SIP.example.net')
  assert.deepEqual(answers, [])
  world.runUntilIdle({ limitMs: 1_000 })
  ask('nobody.example.net')
  world.runUntilIdle({ limitMs: 1_000 })
  world.dns.failure = 1
  ask('sip.example.net')
  world.runUntilIdle({ limitMs: 1_000 })
  assert.deepEqual(answers, [
    'SIP.example.net A 1 null',
    'nobody.example.net A 0 null',
    'sip.example.net A 0 ESERVFAIL',
  ])
})
