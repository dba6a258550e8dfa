// Datagram sockets on loopback, on each way they are made.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import type { DatagramSink, DatagramSocket, Endpoint } from '#core/net.ts'
import { EndpointTable } from '#host/endpoint-table.ts'
import { type LinuxSockets, linuxSockets } from '#host/linux-sockets.ts'
import { UdpSocket } from '#host/udp.ts'
import { BatchedUdpSocket } from '#host/udp-batched.ts'

type Open = (local: Endpoint, sink: DatagramSink, endpoints: EndpointTable) => DatagramSocket

const linux = linuxSockets()
const WAYS: readonly { name: string; open: Open }[] = [
  { name: 'node:dgram', open: (local, sink, endpoints) => new UdpSocket(local, sink, endpoints) },
  ...(linux === null
    ? []
    : [
        {
          name: 'recvmmsg and sendmmsg',
          open: (local: Endpoint, sink: DatagramSink, endpoints: EndpointTable) =>
            new BatchedUdpSocket(linux, local, sink, endpoints),
        },
      ]),
]

class Rig implements DatagramSink {
  readonly received: { text: string; source: Endpoint }[] = []
  local: Endpoint | null = null
  reason: string | null = null
  readonly socket: DatagramSocket
  #wake: (() => void) | null = null

  constructor(open: Open, local: Endpoint, endpoints = new EndpointTable()) {
    this.socket = open(local, this, endpoints)
  }

  onDatagram(bytes: Uint8Array, source: Endpoint): void {
    this.received.push({ text: Buffer.from(bytes).toString('latin1'), source })
    this.#wake?.()
  }

  onListening(local: Endpoint): void {
    this.local = local
    this.#wake?.()
  }

  onSocketError(reason: string): void {
    this.reason = reason
    this.#wake?.()
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async bound(): Promise<Endpoint> {
    const early: Endpoint | null = this.local
    assert.equal(early, null, 'the sink was told before the call had returned')
    await this.until(() => this.local !== null || this.reason !== null)
    assert.equal(this.reason, null)
    return this.local as Endpoint
  }
}

const LOOPBACK_4: Endpoint = { host: '127.0.0.1', port: 0, family: 4 }
const LOOPBACK_6: Endpoint = { host: '::1', port: 0, family: 6 }

for (const { name, open } of WAYS) {
  describe(name, () => {
    for (const loopback of [LOOPBACK_4, LOOPBACK_6]) {
      test(`datagrams go both ways over IPv${loopback.family}, in order, with their source`, async () => {
        const east = new Rig(open, loopback)
        const west = new Rig(open, loopback)
        const eastLocal = await east.bound()
        const westLocal = await west.bound()
        const buffer = Buffer.alloc(1_400)
        for (let index = 0; index < 200; index++) {
          buffer.fill(index)
          east.socket.send(buffer.subarray(0, 1 + index), westLocal)
        }
        buffer.fill(255)
        await west.until(() => west.received.length === 200)
        for (const [index, { text, source }] of west.received.entries()) {
          assert.equal(text, String.fromCharCode(index).repeat(1 + index))
          assert.equal(source, west.received[0]?.source, 'equal sources are one object')
        }
        assert.deepEqual({ ...west.received[0]?.source }, { ...eastLocal })
        assert.ok(Object.isFrozen(west.received[0]?.source))
        west.socket.send(Buffer.from('back'), west.received[0]?.source as Endpoint)
        await east.until(() => east.received.length === 1)
        east.socket.close()
        west.socket.close()
      })
    }

    test('an empty datagram and one of the greatest length arrive whole', async () => {
      const rig = new Rig(open, LOOPBACK_4)
      const local = await rig.bound()
      rig.socket.send(Buffer.alloc(0), local)
      rig.socket.send(Buffer.alloc(65_507, 'x'), local)
      await rig.until(() => rig.received.length === 2)
      assert.deepEqual(
        rig.received.map(({ text }) => text.length),
        [0, 65_507],
      )
      rig.socket.close()
    })

    test('what cannot be sent is lost, and the socket goes on', async () => {
      const rig = new Rig(open, LOOPBACK_4)
      const local = await rig.bound()
      rig.socket.send(Buffer.alloc(70_000), local)
      rig.socket.send(Buffer.from('x'), { host: 'not an address', port: 5060, family: 4 })
      rig.socket.send(Buffer.from('x'), { host: '127.0.0.1', port: 0, family: 4 })
      rig.socket.send(Buffer.from('x'), { host: '::1', port: 5060, family: 6 })
      rig.socket.send(Buffer.from('nobody listens'), { host: '127.0.0.1', port: 1, family: 4 })
      rig.socket.send(Buffer.from('good'), local)
      await rig.until(() => rig.received.length === 1)
      assert.equal(rig.received[0]?.text, 'good')
      assert.equal(rig.reason, null)
      rig.socket.close()
    })

    test('more than the slab holds is sent as it was when send was called', async () => {
      const rig = new Rig(open, LOOPBACK_4)
      const local = await rig.bound()
      const buffer = Buffer.alloc(60_000)
      for (let index = 0; index < 60; index++) {
        buffer.fill(index)
        rig.socket.send(buffer, local)
        await rig.until(() => rig.received.length === index + 1)
      }
      for (const [index, { text }] of rig.received.entries()) {
        assert.ok(text.length === 60_000 && text.charCodeAt(0) === index && text.charCodeAt(59_999) === index)
      }
      rig.socket.close()
    })

    test('an address in use, and one that is not ours, are reported after the call has returned', async () => {
      const first = new Rig(open, LOOPBACK_4)
      const local = await first.bound()
      const second = new Rig(open, local)
      assert.equal(second.reason, null)
      await second.until(() => second.reason !== null)
      assert.equal(second.reason, 'EADDRINUSE')
      const foreign = new Rig(open, { host: '192.0.2.1', port: 0, family: 4 })
      await foreign.until(() => foreign.reason !== null)
      assert.equal(foreign.reason, 'EADDRNOTAVAIL')
      first.socket.close()
      second.socket.close()
      second.socket.send(Buffer.from('x'), local)
    })

    test('a closed socket tells nothing any more', async () => {
      const rig = new Rig(open, LOOPBACK_4)
      rig.socket.close()
      const other = new Rig(open, LOOPBACK_4)
      await other.bound()
      assert.equal(rig.local, null)
      other.socket.close()
    })

    test('a socket closed from within a datagram brings no more of them', async () => {
      const rig: Rig = new Rig(open, LOOPBACK_4)
      const local = await rig.bound()
      const original = rig.onDatagram.bind(rig)
      rig.onDatagram = (bytes, source) => {
        original(bytes, source)
        rig.socket.close()
      }
      for (let index = 0; index < 10; index++) rig.socket.send(Buffer.from('x'), local)
      await rig.until(() => rig.received.length > 0)
      const other = new Rig(open, LOOPBACK_4)
      await other.bound()
      assert.equal(rig.received.length, 1)
      other.socket.close()
    })
  })
}

test('what a full kernel does not take is sent, in order, when there is room; a refused datagram is left out', {
  skip: linux === null,
}, async () => {
  const real = linux as LinuxSockets
  let calls = 0
  let reason = ''
  const slow: LinuxSockets = {
    ...real,
    sendmmsg: (descriptor, vector, _length, flags) => {
      calls++
      reason = calls === 5 ? 'EPERM' : calls % 3 === 0 ? 'EAGAIN' : ''
      return reason === '' ? real.sendmmsg(descriptor, vector, 1, flags) : -1
    },
    failure: () => (reason === '' ? real.failure() : reason),
  }
  const receiver = new Rig((local, sink, endpoints) => new BatchedUdpSocket(real, local, sink, endpoints), LOOPBACK_4)
  const sender = new Rig((local, sink, endpoints) => new BatchedUdpSocket(slow, local, sink, endpoints), LOOPBACK_4)
  const to = await receiver.bound()
  await sender.bound()
  for (let index = 0; index < 40; index++) sender.socket.send(Buffer.from([index]), to)
  await receiver.until(() => receiver.received.at(-1)?.text.charCodeAt(0) === 39)
  const order = receiver.received.map(({ text }) => text.charCodeAt(0))
  assert.deepEqual(
    order,
    [...order].sort((one, other) => one - other),
  )
  assert.equal(order.length, 39)
  sender.socket.close()
  receiver.socket.close()
})

test('what a sink throws reaches the process, and the datagrams behind it reach the sink', {
  skip: linux === null,
}, () => {
  const code = `
    import { EndpointTable } from '#host/endpoint-table.ts'
    import { linuxSockets } from '#host/linux-sockets.ts'
    import { BatchedUdpSocket } from '#host/udp-batched.ts'
    const said = []
    process.on('uncaughtException', (error) => said.push(error.message))
    const socket = new BatchedUdpSocket(linuxSockets(), { host: '127.0.0.1', port: 0, family: 4 }, {
      onListening: (local) => { for (const text of ['one', 'two', 'three']) socket.send(Buffer.from(text), local) },
      onDatagram: (bytes) => {
        const text = Buffer.from(bytes).toString()
        process.nextTick(() => said.push('tick ' + text))
        if (text !== 'three') throw new Error(text)
        Promise.resolve().then(() => setImmediate(() => { socket.close(); console.log(said.sort().join()) }))
      },
      onSocketError: () => {},
    }, new EndpointTable())`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    cwd: import.meta.dirname,
  })
  assert.equal(`${stdout}${stderr}`, 'one,tick one,tick three,tick two,two\n')
})

test('the endpoint table is bounded, and an endpoint that is asked for again stays', () => {
  const table = new EndpointTable(1_000)
  const kept = table.of('192.0.2.1', 5_060, 4)
  for (let index = 0; index < 20_000; index++) {
    const host = `198.51.${index >> 8}.${index & 255}`
    assert.equal(table.of(host, 5_060, 4).host, host)
    if (index % 100 === 0) assert.equal(table.of('192.0.2.1', 5_060, 4), kept)
    assert.ok(table.size <= 1_000)
  }
  assert.deepEqual({ ...table.of('2001:db8::1', 5_060, 6) }, { host: '2001:db8::1', port: 5_060, family: 6 })
  assert.notEqual(table.of('192.0.2.1', 5_061, 4), kept)
})
