// Connections and listeners on loopback, plain and with TLS.

import assert from 'node:assert/strict'
import { type AddressInfo, createServer, connect as rawConnect } from 'node:net'
import { after, test } from 'node:test'
import { createServer as createTlsServer, connect as rawTls, type TLSSocket } from 'node:tls'
import type { Connection, ConnectionSink, Endpoint, Listener, ListenerSink, TlsContext } from '#core/net.ts'
import { NodeNet } from '#host/node-net.ts'
import { makeCertificate } from '#host/self-signed.ts'
import { systemClock } from '#host/system-clock.ts'
import { tlsContextProblem } from '#host/tcp.ts'
import { CLOSE_TIMEOUT_MS, CONNECT_TIMEOUT_MS, QUEUED_OCTETS_MAX } from '#host/tcp-connection.ts'
import { LATE_MS_MAX, TimerWheel, type TimeSource } from '#host/timer-wheel.ts'

const LOOPBACK: Endpoint = { host: '127.0.0.1', port: 0, family: 4 }

const faults: unknown[] = []
const clock = systemClock((error) => faults.push(error))
const net = new NodeNet(clock, (error) => faults.push(error))
const example = await makeCertificate(['example.net', 'localhost'], Date.now())
const other = await makeCertificate(['other.example'], Date.now())
const listeners: Listener[] = []
after(() => {
  for (const listener of listeners) listener.close()
})

function contextOf(pair: { certificate: string; key: string }, more: Partial<TlsContext> = {}): TlsContext {
  return { ...pair, authorities: null, verifyClients: false, verifyServers: false, ...more }
}

/** Collects what happens to one connection, and lets the test wait for the next of it. */
class Recorder implements ConnectionSink {
  readonly events: string[] = []
  connection: Connection | null = null
  text = ''
  #wake: (() => void) | null = null

  onOpen(connection: Connection): void {
    this.connection = connection
    this.#note('open')
  }

  onBytes(connection: Connection, bytes: Uint8Array): void {
    this.connection = connection
    this.text += Buffer.from(bytes).toString('latin1')
    this.#note('bytes')
  }

  onClose(_connection: Connection, reason: string): void {
    this.#note(reason)
  }

  #note(event: string): void {
    this.events.push(event)
    this.#wake?.()
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  closed(): Promise<void> {
    return this.until(() => this.events.length > 0 && !['open', 'bytes'].includes(this.events.at(-1) as string))
  }
}

interface Server {
  local: Endpoint
  listener: Listener
  accepted: Connection[]
  /** The sink of every accepted connection. */
  recorder: Recorder
}

async function listen(tls: TlsContext | null, on = net, refuse = false): Promise<Server> {
  const recorder = new Recorder()
  const accepted: Connection[] = []
  const { local, listener } = await new Promise<{ local: Endpoint; listener: Listener }>((resolve, reject) => {
    const sink: ListenerSink = {
      onAccept: (connection) => {
        accepted.push(connection)
        return refuse ? null : recorder
      },
      onListening: (bound) => resolve({ local: bound, listener: opened }),
      onSocketError: (reason) => reject(new Error(reason)),
    }
    const opened = on.listen(LOOPBACK, tls, sink)
    listeners.push(opened)
  })
  return { local, listener, accepted, recorder }
}

test('octets sent before the connection is open arrive when it is', async () => {
  const server = await listen(null)
  const client = new Recorder()
  const connection = net.connect(server.local, null, null, client)
  const reused = Buffer.from('REGISTER')
  connection.send(reused)
  reused.fill(0)
  assert.deepEqual(client.events, [])
  await server.recorder.until(() => server.recorder.text === 'REGISTER')
  await client.until(() => client.events.includes('open'))
  assert.equal(connection.local.host, '127.0.0.1')
  assert.equal(connection.local.port, server.accepted[0]?.remote.port)
  assert.equal(connection.secure, false)
  server.accepted[0]?.send(Buffer.from('200'))
  await client.until(() => client.text === '200')
  connection.close()
  await client.closed()
  await server.recorder.closed()
  assert.equal(client.events.at(-1), 'closed')
  assert.equal(server.recorder.events.at(-1), 'closed')
})

test('a refused connection is ECONNREFUSED, after the call has returned', async () => {
  const { local, listener } = await listen(null)
  listener.close()
  const client = new Recorder()
  net.connect(local, null, null, client)
  assert.deepEqual(client.events, [])
  await client.closed()
  assert.deepEqual(client.events, ['ECONNREFUSED'])
})

test('nothing throws: a port out of range, a certificate that is none', async () => {
  const bad = contextOf({ certificate: 'no certificate', key: 'no key' })
  const first = new Recorder()
  net.connect({ ...LOOPBACK, port: 70_000 }, null, null, first)
  await first.closed()
  assert.deepEqual(first.events, ['ERR_SOCKET_BAD_PORT'])
  const second = new Recorder()
  net.connect({ ...LOOPBACK, port: 5061 }, bad, null, second)
  await second.closed()
  assert.deepEqual(second.events, ['TLS_CONTEXT'])
  await assert.rejects(listen(bad), /TLS_CONTEXT/)
  assert.notEqual(tlsContextProblem(bad), null)
  assert.equal(tlsContextProblem(contextOf(example)), null)
})

test('an address in use is reported to the sink', async () => {
  const server = await listen(null)
  const reason = await new Promise((resolve) => {
    net.listen(server.local, null, {
      onAccept: () => null,
      onListening: () => resolve('listening'),
      onSocketError: resolve,
    })
  })
  assert.equal(reason, 'EADDRINUSE')
})

test('a refused client is disconnected', async () => {
  const server = await listen(null, net, true)
  const client = new Recorder()
  net.connect(server.local, null, null, client)
  await client.closed()
})

test('beyond connectionsMax a client is disconnected at once', async () => {
  const narrow = new NodeNet(clock, (error) => faults.push(error), { connectionsMax: 1 })
  const server = await listen(null, narrow)
  const first = new Recorder()
  const held = net.connect(server.local, null, null, first)
  held.send(Buffer.from('x'))
  await server.recorder.until(() => server.recorder.text === 'x')
  const second = new Recorder()
  net.connect(server.local, null, null, second)
  await second.closed()
  assert.equal(server.accepted.length, 1)
  held.abort()
  await first.closed()
})

test('a far side that does not read breaks the connection when the queue is full', async () => {
  const server = createServer((socket) => {
    socket.pause()
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const client = new Recorder()
  const connection = net.connect({ ...LOOPBACK, port: address.port }, null, null, client)
  await client.until(() => client.events.includes('open'))
  const piece = Buffer.alloc(64 * 1_024)
  let most = 0
  for (let index = 0; index < 1_000; index++) {
    connection.send(piece)
    most = Math.max(most, connection.queuedOctets)
  }
  await client.closed()
  assert.equal(client.events.at(-1), 'QUEUE_FULL')
  assert.ok(most <= QUEUED_OCTETS_MAX)
  server.close()
})

test('TLS: the server is verified against its authorities and its domain (RFC 5922)', async () => {
  const server = await listen(contextOf(example))
  const trusting = contextOf({ certificate: '', key: '' }, { authorities: example.certificate, verifyServers: true })
  const good = new Recorder()
  const connection = net.connect(server.local, trusting, 'example.net', good)
  connection.send(Buffer.from('OPTIONS'))
  await server.recorder.until(() => server.recorder.text === 'OPTIONS')
  await good.until(() => good.events.includes('open'))
  assert.deepEqual(connection.peer, { names: ['example.net', 'localhost'], verified: true })
  assert.equal(connection.secure, true)
  connection.close()
  await good.closed()
  assert.equal(good.events.at(-1), 'closed')

  const wrongName = new Recorder()
  net.connect(server.local, trusting, 'example.org', wrongName)
  await wrongName.closed()
  assert.deepEqual(wrongName.events, ['TLS_VERIFY'])

  const wrongAuthority = new Recorder()
  net.connect(server.local, { ...trusting, authorities: other.certificate }, 'example.net', wrongAuthority)
  await wrongAuthority.closed()
  assert.deepEqual(wrongAuthority.events, ['TLS_VERIFY'])

  const careless = new Recorder()
  const unverified = net.connect(server.local, { ...trusting, verifyServers: false, authorities: null }, null, careless)
  await careless.until(() => careless.events.includes('open'))
  assert.equal(unverified.peer?.verified, false)
  unverified.abort()
  await careless.closed()
})

test('TLS: with verifyClients a listener takes only clients with a verified certificate, and knows their names', async () => {
  const server = await listen(contextOf(example, { authorities: other.certificate, verifyClients: true }))
  const known = new Recorder()
  const mutual = net.connect(server.local, contextOf(other), 'example.net', known)
  mutual.send(Buffer.from('x'))
  await server.recorder.until(() => server.recorder.text === 'x')
  assert.deepEqual(server.accepted[0]?.peer, { names: ['other.example'], verified: true })
  mutual.abort()
  await known.closed()
  const anonymous = new Recorder()
  net.connect(server.local, contextOf({ certificate: '', key: '' }), 'example.net', anonymous)
  await anonymous.closed()
  assert.equal(server.accepted.length, 1)
})

test('TLS: versions before 1.2 are refused', async () => {
  const server = await listen(contextOf(example))
  const refused = await new Promise<string>((resolve) => {
    const socket = rawTls({ port: server.local.port, host: '127.0.0.1', maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    socket.on('secureConnect', () => resolve('connected'))
  })
  assert.notEqual(refused, 'connected')
})

test('TLS: new connections get the replaced certificate, established ones stay; a useless one changes nothing', async () => {
  const server = await listen(contextOf(example))
  const early = new Recorder()
  const stays = net.connect(server.local, contextOf({ certificate: '', key: '' }), 'example.net', early)
  await early.until(() => early.events.includes('open'))
  server.listener.replaceTls(contextOf(other))
  const before = faults.length
  server.listener.replaceTls(contextOf({ certificate: 'nothing', key: 'nothing' }))
  assert.equal(faults.length, before + 1)
  const late = new Recorder()
  const renewed = net.connect(server.local, contextOf({ certificate: '', key: '' }), 'other.example', late)
  await late.until(() => late.events.includes('open'))
  assert.deepEqual(renewed.peer?.names, ['other.example'])
  stays.send(Buffer.from('still here'))
  await server.recorder.until(() => server.recorder.text === 'still here')
  stays.abort()
  renewed.abort()
  await Promise.all([early.closed(), late.closed()])
})

test('TLS: a client that says nothing does not become a connection and is dropped in the handshake timeout', async () => {
  const hasty = new NodeNet(clock, (error) => faults.push(error), { handshakeTimeoutMs: 50 })
  const server = await listen(contextOf(example), hasty)
  await new Promise<void>((resolve) => {
    const socket = rawConnect(server.local.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => resolve())
  })
  assert.equal(server.accepted.length, 0)
})

/** Time that stands until the test moves it. */
class FakeTime implements TimeSource {
  nowMs = 0
  now(): number {
    return this.nowMs
  }
  wallMs(): number {
    return this.nowMs
  }
  wakeAfter(): void {}
  sleep(): void {}
}

test('a TLS handshake that the server never answers ends with ETIMEDOUT, and nothing stays armed', async () => {
  const time = new FakeTime()
  const wheel = new TimerWheel(time, (error) => faults.push(error))
  const patient = new NodeNet(wheel, (error) => faults.push(error))
  const server = createServer((socket) => socket.on('error', () => {}))
  const connected = new Promise<void>((resolve) => server.on('connection', () => resolve()))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = new Recorder()
  patient.connect({ ...LOOPBACK, port }, contextOf(example), 'example.net', client)
  await connected
  time.nowMs = CONNECT_TIMEOUT_MS - 1
  wheel.turn()
  assert.deepEqual(client.events, [])
  time.nowMs = CONNECT_TIMEOUT_MS + LATE_MS_MAX
  wheel.turn()
  await client.closed()
  assert.deepEqual(client.events, ['ETIMEDOUT'])
  assert.equal(wheel.size, 0)
  server.close()
})

test('a far side that does not close its half is dropped after a while', async () => {
  const time = new FakeTime()
  const wheel = new TimerWheel(time, (error) => faults.push(error))
  const patient = new NodeNet(wheel, (error) => faults.push(error))
  let ended: () => void = () => {}
  const halfClosed = new Promise<void>((resolve) => {
    ended = resolve
  })
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.on('end', ended)
    socket.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = new Recorder()
  const { port } = server.address() as AddressInfo
  const connection = patient.connect({ ...LOOPBACK, port }, null, null, client)
  await client.until(() => client.events.includes('open'))
  connection.close()
  connection.send(Buffer.from('too late'))
  await halfClosed
  assert.deepEqual(client.events, ['open'])
  time.nowMs = CLOSE_TIMEOUT_MS + LATE_MS_MAX
  wheel.turn()
  await client.closed()
  assert.deepEqual(client.events, ['open', 'closed'])
  assert.equal(wheel.size, 0)
  server.close()
})

test('the server name of an outgoing TLS connection is sent, and addresses are numeric in IPv6, too', async () => {
  const server = createTlsServer({ cert: example.certificate, key: example.key })
  const named = new Promise<string | false>((resolve) => {
    server.on('secureConnection', (socket) => {
      socket.on('error', () => {})
      resolve((socket as TLSSocket & { servername: string | false }).servername)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '::1', resolve))
  const { port } = server.address() as AddressInfo
  const client = new Recorder()
  const remote: Endpoint = { host: '::1', port, family: 6 }
  const connection = net.connect(remote, contextOf({ certificate: '', key: '' }), 'example.net', client)
  assert.equal(await named, 'example.net')
  await client.until(() => client.events.includes('open'))
  assert.deepEqual({ ...connection.local, port: 0 }, { host: '::1', port: 0, family: 6 })
  connection.abort()
  await client.closed()
  server.close()
})
