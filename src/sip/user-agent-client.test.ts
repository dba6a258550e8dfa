// One request of ours over the next hops of RFC 3263 and the transports of RFC 3261 §18.1.1, in virtual time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultScope } from '#core/fault-scope.ts'
import { endpoint, type FakePorts, fakePorts } from '#sip/_fake-ports.ts'
import { LateAnswers } from '#sip/late-answers.ts'
import { Locator } from '#sip/locator.ts'
import { OutgoingRequest } from '#sip/outgoing-request.ts'
import type { SipStack } from '#sip/stack.ts'
import { TransactionLayer } from '#sip/transaction-layer.ts'
import { parseUri } from '#sip/uri.ts'
import { type NoResponse, UserAgentClient } from '#sip/user-agent-client.ts'

class Sending {
  readonly ports: FakePorts = fakePorts()
  readonly stack: SipStack
  readonly outcomes: string[] = []

  constructor() {
    const listen = (['udp', 'tcp'] as const).map((transport) => ({ transport, host: '192.0.2.1', port: 5_060 }))
    const faults = new FaultScope()
    const settings = { listen, advertise: null, udpSizeMax: 1_300, tls: null }
    const layer = new TransactionLayer(this.ports, settings, faults, '0', {
      onRequest: () => {},
      onAck: () => {},
      onFault: (error) => {
        throw error
      },
      onListening: () => {},
      onListenFailed: () => {},
    })
    layer.transport.start()
    this.ports.net.bind()
    const { clock, random } = this.ports
    const locator = new Locator(this.ports, { transports: ['udp', 'tcp'], families: [4] })
    const lateAnswers = new LateAnswers(layer, locator)
    this.stack = { clock, random, faults, layer, locator, lateAnswers }
  }

  /** Sends a MESSAGE with a body of `octets`. */
  send(uriText: string, octets: number): void {
    const request = new OutgoingRequest({
      method: 'MESSAGE',
      uriText,
      from: '<sip:a@example.com>;tag=1',
      to: '<sip:b@example.com>',
      callId: `c${this.outcomes.length}`,
      sequence: 1,
      contentType: 'text/plain',
      body: 'x'.repeat(octets),
    })
    const uri = parseUri(uriText)
    assert.ok(uri)
    const client = new UserAgentClient(this.stack, request, {
      onResponse: (_client, response) => this.outcomes.push(String(response.status)),
      onNoResponse: (_client: UserAgentClient, why: NoResponse) => this.outcomes.push(why.code),
    })
    client.startTowards(uri)
  }

  /** Start lines of what went out over UDP, with where to. */
  get datagrams(): string[] {
    return (this.ports.net.sockets[0]?.sent ?? []).map(
      ({ text, to }) => `${text.slice(0, text.indexOf(' '))} ${to.host}`,
    )
  }
}

const URI = 'sip:b@198.51.100.7'

test('§18.1.1: a request that fits goes over UDP, a larger one over TCP', () => {
  const sending = new Sending()
  sending.send(URI, 100)
  assert.deepEqual(sending.datagrams, ['MESSAGE 198.51.100.7'])
  sending.send(URI, 1_400)
  assert.equal(sending.datagrams.length, 1)
  const [connection] = sending.ports.net.connections
  assert.ok(connection)
  connection.sink?.onOpen(connection)
  assert.match(connection.sent, /^MESSAGE .*\r\nVia: SIP\/2\.0\/TCP /)
})

test('§18.1.1: when TCP is refused the large request is sent over UDP, and the next one at once', () => {
  const sending = new Sending()
  const { net, clock } = sending.ports
  sending.send(URI, 1_400)
  const [connection] = net.connections
  assert.ok(connection)
  connection.sink?.onClose(connection, 'ECONNREFUSED')
  clock.pass(0)
  assert.deepEqual(sending.datagrams, ['MESSAGE 198.51.100.7'])
  assert.match(net.sockets[0]?.sent[0]?.text ?? '', /\r\nVia: SIP\/2\.0\/UDP /)
  assert.equal(
    sending.stack.locator.isDead({ transport: 'udp', endpoint: endpoint('198.51.100.7', 5_060), serverName: null }),
    false,
  )
  sending.send(URI, 1_400)
  assert.equal(net.connections.length, 1)
  assert.equal(sending.datagrams.length, 2)
  clock.pass(31_000)
  sending.send(URI, 1_400)
  assert.equal(net.connections.length, 2)
  assert.deepEqual(sending.outcomes, [])
})

test('RFC 3263 §4.3: a hop that does not answer is followed by the next one and held down', () => {
  const sending = new Sending()
  const { net, clock } = sending.ports
  const zone = {
    'SRV _sip._udp.example.com': [
      { type: 'SRV', priority: 1, weight: 0, port: 5_060, target: 'a.example.com', ttlS: 3_600 },
      { type: 'SRV', priority: 2, weight: 0, port: 5_060, target: 'b.example.com', ttlS: 3_600 },
    ],
    'A a.example.com': [{ type: 'A', address: '198.51.100.1', ttlS: 3_600 }],
    'A b.example.com': [{ type: 'A', address: '198.51.100.2', ttlS: 3_600 }],
  } as const
  const resolved = (): void => {
    for (let round = 0; round < 4; round += 1) {
      net.answer(zone)
      clock.pass(0)
    }
  }
  sending.send('sip:b@example.com;transport=udp', 10)
  resolved()
  assert.equal(sending.datagrams[0], 'MESSAGE 198.51.100.1')
  clock.pass(32_000)
  assert.equal(sending.datagrams.at(-1), 'MESSAGE 198.51.100.2')
  sending.send('sip:b@example.com;transport=udp', 10)
  resolved()
  assert.equal(sending.datagrams.at(-1), 'MESSAGE 198.51.100.2')
  clock.pass(64_000)
  assert.deepEqual(sending.outcomes, ['SIP_TIMEOUT', 'SIP_TIMEOUT'])
})
