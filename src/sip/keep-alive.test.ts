// Keep-alives against RFC 5626 §3.5.1 and §4.4.1, in virtual time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counted, endpoint, type FakePorts, fakePorts } from '#sip/_fake-ports.ts'
import type { Flow, FlowWatcher } from '#sip/flow.ts'
import { KEEP_ALIVE_MS, KeepAlive } from '#sip/keep-alive.ts'
import { SipTransport } from '#sip/transport.ts'

class Recorder implements FlowWatcher {
  readonly closed: string[] = []
  onRequest(): void {}
  onResponse(): void {}
  onListening(): void {}
  onListenFailed(): void {}
  onFlowClosed(_flow: Flow, reason: string): void {
    this.closed.push(reason)
  }
}

function up(): { ports: FakePorts; user: Recorder; flowTo: (transport: 'udp' | 'tcp', port: number) => Flow } {
  const ports = fakePorts()
  const user = new Recorder()
  const listen = (['udp', 'tcp'] as const).map((transport) => ({ transport, host: '192.0.2.1', port: 5_060 }))
  const transport = new SipTransport(ports, { listen, advertise: null, udpSizeMax: 1_300, tls: null }, user)
  transport.start()
  ports.net.bind()
  const flowTo = (name: 'udp' | 'tcp', port: number): Flow => {
    const flow = transport.flowTo({ transport: name, endpoint: endpoint('198.51.100.7', port), serverName: null })
    assert.ok(flow)
    return flow
  }
  return { ports, user, flowTo }
}

test('each flow gets a double CRLF once in the interval, spread over it', () => {
  const { ports, flowTo } = up()
  const keepAlive = new KeepAlive(ports)
  for (let port = 1; port <= 1_000; port += 1) keepAlive.add(flowTo('udp', port), false)
  const sent = ports.net.sockets[0]?.sent ?? []
  ports.clock.pass(KEEP_ALIVE_MS / 2)
  assert.ok(Math.abs(sent.length - 500) <= 1, `${sent.length}`)
  ports.clock.pass(KEEP_ALIVE_MS / 2)
  assert.ok(Math.abs(sent.length - 1_000) <= 1, `${sent.length}`)
  ports.clock.pass(KEEP_ALIVE_MS)
  const times = new Map<number, number>()
  for (const { text, to } of sent) {
    assert.equal(text, '\r\n\r\n')
    times.set(to.port, (times.get(to.port) ?? 0) + 1)
  }
  assert.equal(times.size, 1_000)
  assert.ok([...times.values()].every((count) => count >= 1 && count <= 3))
})

test('a flow that was taken out gets none, and nothing is armed without flows', () => {
  const { ports, flowTo } = up()
  const keepAlive = new KeepAlive(ports)
  const kept = [1, 2, 3].map((port) => keepAlive.add(flowTo('udp', port), false))
  for (const one of kept) {
    keepAlive.remove(one)
    keepAlive.remove(one)
  }
  ports.clock.pass(2 * KEEP_ALIVE_MS)
  assert.equal(ports.net.sockets[0]?.sent.length, 0)
  assert.equal(ports.clock.armed, 0)
  keepAlive.add(flowTo('udp', 4), false)
  ports.clock.pass(2 * KEEP_ALIVE_MS)
  assert.equal(ports.net.sockets[0]?.sent.length, 2)
  keepAlive.stop()
  assert.equal(keepAlive.size, 0)
  assert.equal(ports.clock.armed, 0)
})

test('§4.4.1: a connection whose far side owes a pong for ten seconds is closed', () => {
  const { ports, user, flowTo } = up()
  const keepAlive = new KeepAlive(ports)
  const flow = flowTo('tcp', 5_060)
  flow.watch(user)
  const [connection] = ports.net.connections
  assert.ok(connection)
  connection.sink?.onOpen(connection)
  keepAlive.add(flow, true)
  ports.clock.pass(KEEP_ALIVE_MS)
  assert.equal(connection.sent, '\r\n\r\n')
  connection.receive('\r\n')
  ports.clock.pass(KEEP_ALIVE_MS - 1)
  assert.deepEqual(user.closed, [])
  ports.clock.pass(10_001)
  assert.deepEqual(user.closed, ['noPong'])
  ports.clock.pass(KEEP_ALIVE_MS)
  assert.equal(keepAlive.size, 0)
  assert.equal(counted(ports, 'carillon_sip_keep_alives_sent_total'), 2)
})

test('a connection from which no pong is demanded stays', () => {
  const { ports, user, flowTo } = up()
  const flow = flowTo('tcp', 5_060)
  flow.watch(user)
  const [connection] = ports.net.connections
  connection?.sink?.onOpen(connection)
  new KeepAlive(ports).add(flow, false)
  ports.clock.pass(3 * KEEP_ALIVE_MS)
  assert.deepEqual(user.closed, [])
})
