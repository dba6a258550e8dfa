import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Timer } from '#core/clock.ts'
import { Counters } from '#core/counters.ts'
import type { Connection, ConnectionSink, DatagramSink, Endpoint, ListenerSink, Net } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { parseNgAddress } from '#ng/ng-address.ts'
import { NgClient } from '#ng/ng-client.ts'
import { NgServer } from '#ng/ng-server.ts'
import type { NgDictionary } from '#ng/ng-value.ts'

const CLIENT: Endpoint = { host: '127.0.0.1', port: 40_000, family: 4 }

function address(text: string) {
  const parsed = parseNgAddress(text)
  assert.ok(typeof parsed !== 'string', String(parsed))
  return parsed
}

/** Virtual time, and a wire that the test cuts and carries octet by octet. */
class Rig {
  nowMs = 0
  armed = new Set<Timer>()
  sent: string[] = []
  udp: DatagramSink | null = null
  listener: ListenerSink | null = null
  pairs: { client: ConnectionSink; server: ConnectionSink; near: Connection; far: Connection }[] = []
  queue: (() => void)[] = []
  ports: Ports

  constructor() {
    const net: Net = {
      udp: (_local, sink) => {
        this.udp = sink
        return { send: (bytes) => void this.sent.push(Buffer.from(bytes).toString('latin1')), close: () => {} }
      },
      listen: (_local, _tls, sink) => {
        this.listener = sink
        return { replaceTls: () => {}, close: () => {} }
      },
      connect: (remote, _tls, _name, client) => this.#connect(remote, client),
      resolve: () => {},
    }
    this.ports = {
      clock: {
        now: () => this.nowMs,
        wallMs: () => this.nowMs,
        arm: (timer, name, delayMs) => {
          timer.name = name
          timer.deadlineMs = this.nowMs + delayMs
          timer.armed = true
          this.armed.add(timer)
        },
        cancel: (timer) => {
          timer.armed = false
          this.armed.delete(timer)
        },
      },
      random: { bytes: (target) => void target.fill(7), uint32: () => 7 },
      net,
      log: { event: () => {} },
      counters: new Counters(),
      store: {} as Ports['store'],
    }
  }

  #connect(remote: Endpoint, client: ConnectionSink): Connection {
    let server: ConnectionSink | null = null
    const end = (peer: () => [ConnectionSink | null, Connection], from: Endpoint, to: Endpoint): Connection => {
      const closed = () => this.queue.push(() => peer()[0]?.onClose(peer()[1], 'closed'))
      return {
        local: from,
        remote: to,
        secure: false,
        peer: null,
        queuedOctets: 0,
        // Each octet comes alone.
        send: (bytes) => {
          for (const octet of Uint8Array.from(bytes)) {
            this.queue.push(() => peer()[0]?.onBytes(peer()[1], Uint8Array.of(octet)))
          }
        },
        close: closed,
        abort: closed,
      }
    }
    const far: Connection = end(() => [client, near], remote, CLIENT)
    const near: Connection = end(() => [server, far], CLIENT, remote)
    this.queue.push(() => {
      server = this.listener?.onAccept(far) ?? null
      client.onOpen(near)
    })
    return near
  }

  run(): void {
    for (const next of this.queue) next()
    this.queue = []
  }

  pass(ms: number): void {
    const untilMs = this.nowMs + ms
    for (;;) {
      const next = [...this.armed].filter((t) => t.deadlineMs <= untilMs).sort((a, b) => a.deadlineMs - b.deadlineMs)[0]
      if (next === undefined) break
      this.nowMs = next.deadlineMs
      this.ports.clock.cancel(next)
      next.owner.onTimer(next.name)
    }
    this.nowMs = untilMs
  }
}

const SILENT = { onListening: () => {}, onListenError: () => {} }

test('a duplicate is answered from memory, is not done twice while at work, and other hosts are dropped', () => {
  const rig = new Rig()
  const replies: ((reply: NgDictionary) => void)[] = []
  new NgServer(
    rig.ports,
    { listen: [address('udp:127.0.0.1:2223')] },
    { ...SILENT, onCommand: (_command, _source, reply) => void replies.push(reply) },
  )
  const arrive = (text: string, source = CLIENT) => rig.udp?.onDatagram(Buffer.from(text, 'latin1'), source)
  arrive('c d7:command4:pinge')
  arrive('c d7:command4:pinge')
  assert.equal(replies.length, 1)
  assert.deepEqual(rig.sent, [])
  replies[0]?.({ result: 'pong' })
  arrive('c d7:command4:pinge')
  assert.deepEqual(rig.sent, ['c d6:result4:ponge', 'c d6:result4:ponge'])
  arrive('x d7:command4:pinge', { host: '192.0.2.1', port: 1, family: 4 })
  arrive('y garbage')
  assert.equal(replies.length, 1)
  assert.match(rig.sent[2] ?? '', /^y d12:error-reason.*6:result5:errore$/)
  rig.pass(20_000)
  assert.equal(rig.armed.size, 0)
  arrive('c d7:command4:pinge')
  assert.equal(replies.length, 2)
})

test('a UDP request is repeated with back-off until it is given up', () => {
  const rig = new Rig()
  const client = new NgClient(rig.ports, { remote: address('udp:127.0.0.1:2223') })
  rig.udp?.onListening(CLIENT)
  const told: string[] = []
  client.request({ command: 'ping' }, { onReply: () => {}, onNoReply: (reason) => told.push(reason) })
  rig.pass(4_999)
  assert.equal(rig.sent.length, 5) // 0, 250, 750, 1750, 3750
  assert.deepEqual(told, [])
  rig.pass(1)
  assert.deepEqual(told, ['timeout'])
  assert.equal(rig.armed.size, 0)
})

for (const text of ['tcp:127.0.0.1:2223', 'ws:127.0.0.1:2223/ng']) {
  test(`${text}: request and reply, cut at every octet`, () => {
    const rig = new Rig()
    new NgServer(
      rig.ports,
      { listen: [address(text)] },
      { ...SILENT, onCommand: (command, _source, reply) => reply({ result: 'ok', sdp: command['sdp'] ?? '' }) },
    )
    const client = new NgClient(rig.ports, { remote: address(text) })
    const sdps = ['', '\xff\x00e', 'v'.repeat(300), 's'.repeat(70_000)]
    const got: unknown[] = []
    for (const sdp of sdps) {
      client.request(
        { command: 'offer', sdp },
        { onReply: (reply) => got.push(reply['sdp']), onNoReply: (r) => got.push(r) },
      )
    }
    rig.run()
    assert.deepEqual(got, sdps)
    assert.equal(client.inFlight, 0)
  })
}
