// Which gateway takes a call: by load and weight, only those that answer, none beyond reason.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayPool } from '#media/gateway-pool.ts'
import { type GatewayLink, PING_INTERVAL_MS, PINGS_LOST_MAX } from '#media/media-gateway.ts'
import type { NgReplySink } from '#ng/ng-client.ts'
import type { NgDictionary } from '#ng/ng-value.ts'
import { fakePorts } from '#sip/_fake-ports.ts'

/** Answers pings when it is let. */
class FakeLink implements GatewayLink {
  answers = true
  isClosed = false
  readonly #waiting: NgReplySink[] = []

  request(_command: NgDictionary, sink: NgReplySink): void {
    this.#waiting.push(sink)
  }

  /** Lets what waits have its outcome. */
  flush(): void {
    for (const sink of this.#waiting.splice(0)) {
      if (this.answers) sink.onReply({ result: 'pong' })
      else sink.onNoReply('timeout')
    }
  }

  close(): void {
    this.isClosed = true
  }
}

const USER = { onGatewayEvent: () => {}, onForgotten: () => {}, onGatewayGone: () => {}, onGatewayChoice: () => {} }

class Rig {
  readonly ports = fakePorts()
  readonly links = new Map<string, FakeLink>()
  readonly pool: GatewayPool

  constructor() {
    this.pool = new GatewayPool(this.ports, 'carillon-test-', ({ endpoint }) => {
      const link = new FakeLink()
      this.links.set(endpoint.host, link)
      return link
    })
  }

  configure(weights: Readonly<Record<string, number>>): void {
    this.pool.replace(
      Object.entries(weights).map(([host, weight]) => ({
        name: host,
        weight,
        address: { transport: 'udp', endpoint: { host, port: 2223, family: 4 }, path: '' },
      })),
    )
    this.flush()
  }

  flush(): void {
    for (const link of this.links.values()) link.flush()
  }

  /** So many rounds of pings. */
  pings(count: number): void {
    for (let i = 0; i < count; i += 1) {
      this.ports.clock.pass(PING_INTERVAL_MS)
      this.flush()
    }
  }

  /** Places so many calls; gives how many each gateway has. */
  place(count: number): Record<string, number> {
    for (let i = 0; i < count; i += 1) this.pool.choose()?.add(`call ${i}`, USER)
    return Object.fromEntries(this.pool.rows().map(({ gateway, calls }) => [gateway, calls]))
  }
}

test('calls are spread by weight', () => {
  const rig = new Rig()
  rig.configure({ '192.0.2.1': 3, '192.0.2.2': 1 })
  assert.deepEqual(rig.place(400), { '192.0.2.1': 300, '192.0.2.2': 100 })
})

test('a gateway that was never heard gets no calls', () => {
  const rig = new Rig()
  rig.pool.replace([])
  rig.configure({ '192.0.2.1': 1 })
  assert.notEqual(rig.pool.choose(), null)
  const silent = new Rig()
  silent.pool.replace([
    { name: 'a', weight: 1, address: { transport: 'udp', endpoint: { host: 'a', port: 1, family: 4 }, path: '' } },
  ])
  assert.equal(silent.pool.choose(), null)
})

test('it takes several lost pings to be dead, and several answers to be alive again', () => {
  const rig = new Rig()
  rig.configure({ '192.0.2.1': 1 })
  const [link] = rig.links.values()
  assert.ok(link !== undefined)
  link.answers = false
  rig.pings(PINGS_LOST_MAX - 1)
  assert.notEqual(rig.pool.choose(), null)
  rig.pings(1)
  assert.equal(rig.pool.choose(), null)
  link.answers = true
  rig.pings(1)
  assert.equal(rig.pool.choose(), null)
  rig.pings(1)
  assert.notEqual(rig.pool.choose(), null)
})

test('a gateway that is not configured any more goes with its last call', () => {
  const rig = new Rig()
  rig.configure({ '192.0.2.1': 1 })
  const gateway = rig.pool.choose()
  assert.ok(gateway !== null)
  gateway.add('call', USER)
  rig.configure({ '192.0.2.2': 1 })
  assert.equal(rig.links.get('192.0.2.1')?.isClosed, false)
  assert.equal(rig.pool.choose()?.name, '192.0.2.2')
  gateway.remove('call')
  assert.equal(rig.links.get('192.0.2.1')?.isClosed, true)
  rig.pool.stop()
  assert.equal(rig.ports.clock.armed, 0)
})
