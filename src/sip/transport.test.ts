// The transport layer against RFC 3261 §18, RFC 3581, RFC 5626 and RFC 5923, in virtual time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint, PeerCertificate, TlsContext } from '#core/net.ts'
import { counted, endpoint, type FakeConnection, type FakePorts, fakePorts } from '#sip/_fake-ports.ts'
import { REFUSALS_PER_SOURCE_MAX } from '#sip/_refusal.ts'
import { type Flow, type FlowWatcher, isSameFlow } from '#sip/flow.ts'
import { parseMessage, type Request, Response } from '#sip/message.ts'
import { SipTransport, type TransportSettings, type TransportUser } from '#sip/transport.ts'
import { UDP_FLOWS_MAX } from '#sip/udp-listener.ts'

class Recorder implements TransportUser, FlowWatcher {
  readonly requests: { request: Request; flow: Flow }[] = []
  readonly responses: { response: Response; flow: Flow }[] = []
  readonly closed: string[] = []
  listening = 0
  failure = ''

  onRequest(request: Request, flow: Flow): void {
    this.requests.push({ request, flow })
  }
  onResponse(response: Response, flow: Flow): void {
    this.responses.push({ response, flow })
  }
  onListening(): void {
    this.listening += 1
  }
  onListenFailed(reason: string): void {
    this.failure = reason
  }
  onFlowClosed(_flow: Flow, reason: string): void {
    this.closed.push(reason)
  }
}

const TLS: TlsContext = { certificate: 'c', key: 'k', authorities: null, verifyClients: false, verifyServers: true }
const SETTINGS: TransportSettings = {
  listen: [
    { transport: 'udp', host: '192.0.2.1', port: 5060 },
    { transport: 'tcp', host: '192.0.2.1', port: 5060 },
    { transport: 'tls', host: '192.0.2.1', port: 5061 },
    { transport: 'udp', host: '2001:db8::1', port: 5060 },
  ],
  advertise: null,
  udpSizeMax: 1_300,
  tls: TLS,
}
const PHONE = endpoint('198.51.100.7', 33_333)
const VERIFIED: PeerCertificate = { names: ['carrier.example.com'], verified: true }

function up(settings: Partial<TransportSettings> = {}): { ports: FakePorts; user: Recorder; transport: SipTransport } {
  const ports = fakePorts()
  const user = new Recorder()
  const transport = new SipTransport(ports, { ...SETTINGS, ...settings }, user)
  transport.start()
  ports.net.bind()
  return { ports, user, transport }
}

function text(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`
}

function request(via: string, ...more: string[]): string {
  const [method] = more.filter((line) => /^[A-Z]+$/.test(line))
  return text(
    `${method ?? 'OPTIONS'} sip:192.0.2.1 SIP/2.0`,
    `Via: ${via}`,
    'Max-Forwards: 70',
    'From: <sip:a@example.com>;tag=1',
    'To: <sip:b@example.com>',
    'Call-ID: c1',
    `CSeq: 1 ${method ?? 'OPTIONS'}`,
    ...more.filter((line) => line !== method),
    'Content-Length: 0',
  )
}

function response(sentBy: string, transport = 'UDP', status = 200): string {
  return text(
    `SIP/2.0 ${status} Whatever`,
    `Via: SIP/2.0/${transport} ${sentBy};branch=z9hG4bKx`,
    'From: <sip:a@example.com>;tag=1',
    'To: <sip:b@example.com>;tag=2',
    'Call-ID: c1',
    'CSeq: 1 OPTIONS',
    'Content-Length: 0',
  )
}

function datagram(ports: FakePorts, octets: string, source: Endpoint = PHONE): void {
  ports.net.sockets[0]?.receive(octets, source)
}

function accepted(ports: FakePorts, remote: Endpoint = PHONE, listener = 0): FakeConnection {
  const connection = ports.net.listeners[listener]?.accept(remote)
  assert.ok(connection)
  return connection
}

const RPORT = 'SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKa;rport'
const PLAIN = 'SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKa'
const OVER_TCP = 'SIP/2.0/TCP 10.0.0.5:5062;branch=z9hG4bKa'
const OVER_TLS = 'SIP/2.0/TLS pbx.example.com;branch=z9hG4bKa;alias'

test('the user is told once when every listener is bound', () => {
  const ports = fakePorts()
  const user = new Recorder()
  const transport = new SipTransport(ports, SETTINGS, user)
  transport.start()
  assert.equal(user.listening, 0)
  ports.net.bind()
  assert.equal(user.listening, 1)
  assert.deepEqual(
    transport.listening.map(({ transport: name, local }) => `${name} ${local.host}`),
    ['udp 192.0.2.1', 'tcp 192.0.2.1', 'tls 192.0.2.1', 'udp 2001:db8::1'],
  )
})

test('a listener that cannot be bound at the start closes the others and names itself', () => {
  const ports = fakePorts()
  const user = new Recorder()
  new SipTransport(ports, SETTINGS, user).start()
  ports.net.listeners[0]?.sink.onSocketError('EADDRINUSE')
  assert.equal(user.failure, 'tcp 192.0.2.1:5060 EADDRINUSE')
  assert.ok(ports.net.sockets.every(({ closed }) => closed))
})

test('a TLS listener without a certificate is refused at the start', () => {
  const { user } = up({ tls: null })
  assert.equal(user.failure, 'tls 192.0.2.1:5061 TLS_NO_CERTIFICATE')
})

test('a socket that breaks later is opened again and the log says so', () => {
  const { ports, user, transport } = up()
  ports.net.sockets[0]?.sink.onSocketError('ENETDOWN')
  assert.equal(ports.log.events[0]?.code, 'SIP_LISTENER_BROKEN')
  assert.equal(transport.listening.length, 3)
  ports.clock.pass(1_000)
  const again = ports.net.sockets.at(-1)
  again?.sink.onListening(again.local)
  assert.equal(transport.listening.length, 4)
  assert.equal(user.listening, 1)
})

test('a request in a datagram reaches the user with the flow back to its source', () => {
  const { ports, user } = up()
  datagram(ports, request(RPORT))
  const [got] = user.requests
  assert.equal(got?.request.method, 'OPTIONS')
  assert.deepEqual(got?.flow.remote, PHONE)
  assert.equal(got?.flow.sentBy, '192.0.2.1:5060')
  assert.equal(got?.flow.reliable, false)
  assert.equal(
    counted(ports, 'carillon_sip_transport_requests_total{direction="received",transport="udp",method="OPTIONS"}'),
    1,
  )
})

test('RFC 3581 §4: with rport the response goes to the source address and port, from the socket it came to', () => {
  const { ports, user, transport } = up()
  datagram(ports, request(RPORT))
  const [got] = user.requests
  assert.ok(got)
  transport.flowForResponse(got.request, got.flow).send('SIP/2.0 200 OK\r\n\r\n')
  assert.deepEqual(ports.net.sockets[0]?.sent[0], { text: 'SIP/2.0 200 OK\r\n\r\n', to: PHONE })
})

test('§18.2.2: without rport the response goes to the source address and the port of sent-by', () => {
  const { ports, user, transport } = up()
  datagram(ports, request(PLAIN))
  const [got] = user.requests
  assert.ok(got)
  const flow = transport.flowForResponse(got.request, got.flow)
  assert.deepEqual(flow.remote, endpoint(PHONE.host, 5_062))
  datagram(ports, request('SIP/2.0/UDP pc33.example.com;branch=z9hG4bKb'))
  const named = user.requests[1]
  assert.ok(named)
  assert.deepEqual(transport.flowForResponse(named.request, named.flow).remote, endpoint(PHONE.host, 5_060))
})

test('maddr in a Via aims no response anywhere but at the source', () => {
  const { ports, user, transport } = up()
  datagram(ports, request(`${PLAIN};maddr=203.0.113.99;received=203.0.113.98`))
  const [got] = user.requests
  assert.ok(got)
  assert.equal(transport.flowForResponse(got.request, got.flow).remote.host, PHONE.host)
})

test('§18.1.2: a response whose topmost Via is not ours is dropped and counted', () => {
  const { ports, user } = up()
  datagram(ports, response('192.0.2.1:5060'))
  datagram(ports, response('192.0.2.1'))
  datagram(ports, response('192.0.2.2:5060'))
  datagram(ports, response('192.0.2.1:5999'))
  assert.equal(user.responses.length, 2)
  assert.equal(counted(ports, 'carillon_sip_stray_responses_total'), 2)
  assert.equal(
    counted(ports, 'carillon_sip_transport_responses_total{direction="received",transport="udp",class="2xx"}'),
    2,
  )
})

test('an advertised address stands in sent-by and is known again in responses', () => {
  const { ports, user, transport } = up({ advertise: 'sip.example.net' })
  const flow = transport.flowTo({ transport: 'udp', endpoint: PHONE, serverName: null })
  assert.equal(flow?.sentBy, 'sip.example.net:5060')
  datagram(ports, response('sip.example.net'))
  assert.equal(user.responses.length, 1)
})

test('a numeric advertised address is for its own family only, and its port wins over the listener’s', () => {
  const { transport } = up({ advertise: '203.0.113.5:6060' })
  const to = (host: string): string | undefined =>
    transport.flowTo({ transport: 'udp', endpoint: endpoint(host, 5_060), serverName: null })?.sentBy
  assert.equal(to('198.51.100.7'), '203.0.113.5:6060')
  assert.equal(to('2001:db8::7'), '[2001:db8::1]:5060')
})

test('a listener on the unspecified address calls itself by the machine’s address nearest to the far side', () => {
  const { ports, user, transport } = up({
    listen: [{ transport: 'udp', host: '0.0.0.0', port: 5_060 }],
    machineAddresses: ['203.0.113.1', '10.1.2.3', '2001:db8::9'],
  })
  const to = (host: string): string | undefined =>
    transport.flowTo({ transport: 'udp', endpoint: endpoint(host, 5_060), serverName: null })?.sentBy
  assert.equal(to('10.1.9.9'), '10.1.2.3:5060')
  assert.equal(to('198.51.100.1'), '203.0.113.1:5060')
  assert.equal(to('127.0.0.9'), '127.0.0.1:5060')
  datagram(ports, response('10.1.2.3:5060'))
  datagram(ports, response('127.0.0.1:5060'))
  datagram(ports, response('[2001:db8::9]:5060'))
  assert.equal(user.responses.length, 2)
})

test('§8.2.6: a malformed request is answered with what is wrong, received, rport and a tag', () => {
  const { ports, user } = up()
  datagram(ports, request(RPORT).replace('CSeq: 1 OPTIONS', 'CSeq: one OPTIONS'))
  assert.equal(user.requests.length, 0)
  const sent = ports.net.sockets[0]?.sent[0]
  assert.deepEqual(sent?.to, PHONE)
  const answer = parseMessage(sent?.text ?? '')
  assert.ok(answer instanceof Response)
  assert.equal(answer.status, 400)
  assert.match(answer.reason, /CSeq/)
  assert.equal(answer.topmostVia.param('received'), PHONE.host)
  assert.equal(answer.topmostVia.param('rport'), String(PHONE.port))
  assert.notEqual(answer.to.tag, null)
  assert.equal(answer.callId, 'c1')
})

test('a refusal keeps all Via elements in order and believes no received of the sender’s', () => {
  const { ports } = up()
  const via = 'SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa;received=203.0.113.9;rport=1, SIP/2.0/UDP 10.0.0.6;branch=z9hG4bKb'
  datagram(ports, request(via).replace('Max-Forwards: 70', 'Max-Forwards: many'))
  const answer = parseMessage(ports.net.sockets[0]?.sent[0]?.text ?? '')
  assert.ok(answer instanceof Response)
  assert.deepEqual(answer.list(1), [
    `SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa;received=${PHONE.host};rport=${PHONE.port}`,
    'SIP/2.0/UDP 10.0.0.6;branch=z9hG4bKb',
  ])
})

test('an ACK, a response and a request without a usable Via are never answered', () => {
  const { ports } = up()
  datagram(ports, request(RPORT, 'ACK').replace('CSeq: 1', 'CSeq: x'))
  datagram(ports, response('192.0.2.1:5060').replace('CSeq: 1', 'CSeq: x'))
  datagram(ports, request('garbage'))
  datagram(ports, request(RPORT).replace(/Via:.*\r\n/, ''))
  assert.equal(ports.net.sockets[0]?.sent.length, 0)
})

test('one source is refused a few times in a second only, so that garbage is no reflector', () => {
  const { ports } = up()
  const bad = request(RPORT).replace('CSeq: 1', 'CSeq: x')
  for (let i = 0; i < 50; i += 1) datagram(ports, bad)
  assert.equal(ports.net.sockets[0]?.sent.length, REFUSALS_PER_SOURCE_MAX)
  assert.equal(counted(ports, 'carillon_sip_refusals_suppressed_total'), 50 - REFUSALS_PER_SOURCE_MAX)
  ports.clock.pass(1_000)
  datagram(ports, bad)
  assert.equal(ports.net.sockets[0]?.sent.length, REFUSALS_PER_SOURCE_MAX + 1)
})

test('RFC 5626 §3.5.1: keep-alives on UDP are swallowed; octets that begin no message are dropped unread', () => {
  const { ports, user } = up()
  for (const octets of ['', '\r\n', '\r\n\r\n', '\0', '\0\0\0\0']) datagram(ports, octets)
  assert.equal(counted(ports, 'carillon_sip_keep_alives_total{transport="udp"}'), 5)
  datagram(ports, '\x80\x00'.repeat(100))
  datagram(ports, '\x00\x01'.repeat(100))
  datagram(ports, '{"method":"INVITE sip:a@example.com SIP/2.0"}')
  assert.equal(counted(ports, 'carillon_sip_garbage_datagrams_total'), 3)
  assert.equal(user.requests.length, 0)
  assert.equal(ports.net.sockets[0]?.sent.length, 0)
})

test('a message may begin with an empty line, and a method with any token character', () => {
  const { ports, user } = up()
  datagram(ports, `\r\n${request(RPORT)}`)
  datagram(ports, request(RPORT).replaceAll('OPTIONS', "!interesting-Method0123456789_*+`.%indeed'~"))
  assert.equal(user.requests.length, 2)
})

test('RFC 5626 §4.4.2: a STUN Binding request on the SIP socket is answered with the address it came from', () => {
  const { ports } = up()
  datagram(ports, '\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl')
  const sent = ports.net.sockets[0]?.sent[0]
  assert.deepEqual(sent?.to, PHONE)
  assert.equal(sent?.text.slice(0, 20), '\x01\x01\x00\x0c\x21\x12\xa4\x42abcdefghijkl')
})

test('a message larger than a datagram is dropped and counted', () => {
  const { ports, transport } = up()
  const flow = transport.flowTo({ transport: 'udp', endpoint: PHONE, serverName: null })
  flow?.send('x'.repeat(65_508))
  assert.equal(ports.net.sockets[0]?.sent.length, 0)
  assert.equal(counted(ports, 'carillon_sip_unsent_total{transport="udp"}'), 1)
})

test('§18.1.1: a request above the limit does not fit UDP', () => {
  const { transport } = up()
  assert.equal(transport.fitsUdp(1_300), true)
  assert.equal(transport.fitsUdp(1_301), false)
})

test('flow objects of UDP are bounded, and any two for the same path are the same flow', () => {
  const { ports, user, transport } = up()
  datagram(ports, request(RPORT))
  const flow = user.requests[0]?.flow
  assert.ok(flow)
  const kept = transport.flowFrom('udp', endpoint('192.0.2.1', 5_060), { ...PHONE })
  assert.ok(kept !== null && isSameFlow(kept, flow))
  for (let i = 0; i < UDP_FLOWS_MAX * 2; i += 1) {
    transport.flowTo({ transport: 'udp', endpoint: endpoint('198.51.100.8', 1 + (i % 60_000)), serverName: null })
  }
  assert.ok(transport.audit().flows <= UDP_FLOWS_MAX)
})

test('no flow leads to a family or transport without a bound listener', () => {
  const { transport } = up({ listen: [{ transport: 'udp', host: '192.0.2.1', port: 5_060 }], tls: null })
  assert.equal(transport.flowTo({ transport: 'udp', endpoint: endpoint('2001:db8::7', 5_060), serverName: null }), null)
  assert.equal(transport.flowTo({ transport: 'tcp', endpoint: PHONE, serverName: null }), null)
  assert.equal(transport.flowTo({ transport: 'tls', endpoint: PHONE, serverName: null }), null)
  assert.equal(transport.flowFrom('udp', endpoint('192.0.2.77', 5_060), PHONE), null)
})

test('a request leaves from the listener nearest to where it goes, never from loopback to elsewhere', () => {
  const listen = ['127.0.0.1', '0.0.0.0', '10.1.0.1', '192.0.2.1'].map(
    (host, i) => ({ transport: 'udp', host, port: 5_060 + i }) as const,
  )
  const { transport } = up({ listen, tls: null })
  const from = (host: string): number | undefined =>
    transport.flowTo({ transport: 'udp', endpoint: endpoint(host, 5_060), serverName: null })?.local.port
  assert.equal(from('127.0.0.9'), 5_060)
  assert.equal(from('10.1.9.9'), 5_062)
  assert.equal(from('192.0.2.9'), 5_063)
  assert.equal(from('198.51.100.7'), 5_061)
  const loopback = up({ listen: listen.slice(0, 1), tls: null })
  assert.equal(loopback.transport.flowTo({ transport: 'udp', endpoint: PHONE, serverName: null }), null)
})

test('requests on a connection reach the user, whole or in pieces, and responses leave on it', () => {
  const { ports, user, transport } = up()
  const connection = accepted(ports)
  const whole = request(OVER_TCP)
  connection.receive(whole.slice(0, 33))
  connection.receive(whole.slice(33) + whole)
  assert.equal(user.requests.length, 2)
  const got = user.requests[0]
  assert.ok(got)
  assert.equal(got.flow.reliable, true)
  assert.equal(got.flow.sentBy, '192.0.2.1:5060')
  transport.flowForResponse(got.request, got.flow).send('SIP/2.0 200 OK\r\n\r\n')
  assert.equal(connection.sent, 'SIP/2.0 200 OK\r\n\r\n')
  assert.equal(transport.audit().waitingOctets, 0)
})

test('RFC 5626 §3.5.1: a double CRLF on a connection is answered with one CRLF', () => {
  const { ports } = up()
  const connection = accepted(ports)
  connection.receive('\r\n\r\n')
  assert.equal(connection.sent, '\r\n')
})

test('a malformed request on a connection is answered there and the connection goes on', () => {
  const { ports, user } = up()
  const connection = accepted(ports)
  connection.receive(request(OVER_TCP).replace('CSeq: 1', 'CSeq: x') + request(OVER_TCP))
  assert.match(connection.sent, /^SIP\/2\.0 400 /)
  assert.equal(user.requests.length, 1)
  assert.equal(connection.ended, null)
})

test('§18.3: a stream that cannot be cut any further is answered and closed', () => {
  const { ports, user, transport } = up()
  const connection = accepted(ports)
  connection.receive(request(OVER_TCP).replace('Content-Length: 0', 'Content-Length: many'))
  assert.match(connection.sent, /^SIP\/2\.0 400 .*Content-Length/)
  assert.equal(connection.ended, 'close')
  connection.receive(request(OVER_TCP))
  assert.equal(user.requests.length, 0)
  // A far side that never takes the answer does not hold the connection.
  assert.equal(transport.audit().connections, 1)
  ports.clock.pass(5_000)
  assert.equal(connection.ended, 'close')
  assert.equal(transport.audit().connections, 0)
  assert.equal(ports.clock.armed, 0)
})

test('§21.5.7: a message on a stream that is too large is answered with 513', () => {
  const { ports } = up()
  const connection = accepted(ports)
  connection.receive(request(OVER_TCP).replace('Content-Length: 0', 'Content-Length: 99999999'))
  assert.match(connection.sent, /^SIP\/2\.0 513 /)
  assert.equal(connection.ended, 'close')
})

test('an unfinished message may take so long only, however its octets trickle in', () => {
  const { ports, transport } = up()
  const connection = accepted(ports)
  const whole = request(OVER_TCP)
  for (let i = 0; i < 25; i += 1) {
    connection.receive(whole.slice(i, i + 1))
    ports.clock.pass(1_000)
  }
  assert.equal(connection.ended, 'abort')
  assert.equal(transport.audit().connections, 0)
  assert.equal(transport.audit().waitingOctets, 0)
  assert.equal(counted(ports, 'carillon_sip_connections_ended_total{reason="slow"}'), 1)
})

test('a connection that never says anything is closed soon', () => {
  const { ports } = up()
  const connection = accepted(ports)
  ports.clock.pass(20_000)
  assert.equal(connection.ended, 'close')
})

test('an idle connection is closed, unless somebody watches it', () => {
  const { ports, user } = up()
  const left = accepted(ports)
  const kept = accepted(ports, endpoint('198.51.100.8', 1_024))
  for (const connection of [left, kept]) connection.receive(request(OVER_TCP))
  user.requests[1]?.flow.watch(user)
  ports.clock.pass(179_000)
  assert.equal(left.ended, null)
  ports.clock.pass(200_000)
  assert.equal(left.ended, 'close')
  assert.equal(kept.ended, null)
  user.requests[1]?.flow.unwatch(user)
  ports.clock.pass(180_001)
  assert.equal(kept.ended, 'close')
})

test('those who watch a connection are told once when it closes', () => {
  const { ports, user } = up()
  const connection = accepted(ports)
  connection.receive(request(OVER_TCP))
  const flow = user.requests[0]?.flow
  flow?.watch(user)
  flow?.watch(user)
  connection.sink?.onClose(connection, 'ECONNRESET')
  connection.sink?.onClose(connection, 'ECONNRESET')
  assert.deepEqual(user.closed, [])
  ports.clock.pass(0)
  assert.deepEqual(user.closed, ['ECONNRESET'])
  assert.equal(flow?.closed, true)
  flow?.send('SIP/2.0 200 OK\r\n\r\n')
  assert.equal(counted(ports, 'carillon_sip_unsent_total{transport="stream"}'), 1)
})

test('one watcher that takes out another while they are told spares it', () => {
  const { ports, user } = up()
  const connection = accepted(ports)
  connection.receive(request(OVER_TCP))
  const flow = user.requests[0]?.flow
  flow?.watch({ onFlowClosed: (closed) => closed.unwatch(user) })
  flow?.watch(user)
  connection.sink?.onClose(connection, 'closed')
  ports.clock.pass(0)
  assert.deepEqual(user.closed, [])
})

test('a watcher that throws keeps no other from being told', () => {
  const { ports, user } = up()
  const connection = accepted(ports)
  connection.receive(request(OVER_TCP))
  const flow = user.requests[0]?.flow
  flow?.watch({
    onFlowClosed: () => {
      throw new Error('mine')
    },
  })
  flow?.watch(user)
  connection.sink?.onClose(connection, 'closed')
  assert.throws(() => ports.clock.pass(0), /mine/)
  ports.clock.pass(0)
  assert.deepEqual(user.closed, ['closed'])
})

test('a far side that does not read is given up, and its watchers hear of it after send has returned', () => {
  const { ports, user } = up({ limits: { queuedOctetsMax: 1_000 } })
  const connection = accepted(ports)
  connection.receive(request(OVER_TCP))
  const flow = user.requests[0]?.flow
  flow?.watch(user)
  connection.queuedOctets = 990
  flow?.send('x'.repeat(20))
  assert.equal(connection.ended, 'abort')
  assert.deepEqual(user.closed, [])
  ports.clock.pass(0)
  assert.deepEqual(user.closed, ['queueFull'])
})

test('connections from one source are bounded', () => {
  const { ports } = up({ limits: { connectionsPerAddressMax: 2 } })
  accepted(ports, endpoint(PHONE.host, 1))
  const second = accepted(ports, endpoint(PHONE.host, 2))
  assert.equal(ports.net.listeners[0]?.accept(endpoint(PHONE.host, 3)), null)
  second.sink?.onClose(second, 'closed')
  assert.ok(ports.net.listeners[0]?.accept(endpoint(PHONE.host, 4)))
})

test('addresses of one IPv6 network count as one source', () => {
  const { ports } = up({ limits: { connectionsPerAddressMax: 1 } })
  accepted(ports, endpoint('2001:db8::1', 1))
  assert.equal(ports.net.listeners[0]?.accept(endpoint('2001:db8::2', 1)), null)
  assert.ok(ports.net.listeners[0]?.accept(endpoint('2001:db8:0:1::2', 1)))
})

test('when all places are taken, a connection that brought no message makes room; one that did never does', () => {
  const { ports } = up({ limits: { connectionsMax: 2 } })
  const proven = accepted(ports, endpoint('198.51.100.1', 1))
  proven.receive(request(OVER_TCP))
  const silent = accepted(ports, endpoint('198.51.100.2', 1))
  const third = accepted(ports, endpoint('198.51.100.3', 1))
  assert.equal(silent.ended, 'abort')
  third.receive(request(OVER_TCP))
  assert.equal(ports.net.listeners[0]?.accept(endpoint('198.51.100.4', 1)), null)
  assert.equal(proven.ended, null)
})

test('octets of unfinished messages are bounded over all connections', () => {
  const { ports, transport } = up({ limits: { waitingOctetsMax: 2_000 } })
  const long = request(OVER_TCP).replace('Content-Length: 0', `Subject: ${'x'.repeat(1_500)}`)
  accepted(ports, endpoint('198.51.100.1', 1)).receive(long.slice(0, 1_400))
  const second = accepted(ports, endpoint('198.51.100.2', 1))
  second.receive(long.slice(0, 1_400))
  assert.equal(second.ended, 'abort')
  assert.equal(transport.audit().waitingOctets, 1_400)
})

test('messages on a connection that is opening wait for it and leave in order', () => {
  const { ports, transport } = up()
  const flow = transport.flowTo({ transport: 'tcp', endpoint: PHONE, serverName: null })
  flow?.send('one')
  flow?.send('two')
  const [connection] = ports.net.connections
  assert.ok(connection)
  assert.equal(connection.sent, '')
  connection.sink?.onOpen(connection)
  assert.equal(connection.sent, 'onetwo')
})

test('a connection that does not open in time is given up', () => {
  const { ports, user, transport } = up()
  const flow = transport.flowTo({ transport: 'tcp', endpoint: PHONE, serverName: null })
  flow?.watch(user)
  flow?.send('one')
  ports.clock.pass(5_000)
  assert.deepEqual(user.closed, ['ETIMEDOUT'])
  assert.equal(transport.audit().connections, 0)
})

test('§18: requests to the same address share one connection, and a closed one is replaced', () => {
  const { ports, transport } = up()
  const target = { transport: 'tcp', endpoint: PHONE, serverName: null } as const
  const first = transport.flowTo(target)
  assert.equal(transport.flowTo({ ...target, endpoint: { ...PHONE } }), first)
  const [connection] = ports.net.connections
  assert.ok(connection)
  connection.sink?.onClose(connection, 'ECONNREFUSED')
  assert.notEqual(transport.flowTo(target), first)
})

test('a request to the far side of an accepted connection leaves on it', () => {
  const { ports, user, transport } = up()
  accepted(ports).receive(request(OVER_TCP))
  assert.equal(transport.flowTo({ transport: 'tcp', endpoint: { ...PHONE }, serverName: null }), user.requests[0]?.flow)
  assert.equal(transport.flowFrom('tcp', endpoint('192.0.2.1', 5_060), PHONE), user.requests[0]?.flow)
  assert.equal(transport.flowFrom('tls', endpoint('192.0.2.1', 5_061), PHONE), null)
})

test('§18.2.2: when the connection of a request has closed, the response opens one to the port of sent-by', () => {
  const { ports, user, transport } = up()
  const connection = accepted(ports)
  connection.receive(request(OVER_TCP))
  connection.sink?.onClose(connection, 'closed')
  const got = user.requests[0]
  assert.ok(got)
  const flow = transport.flowForResponse(got.request, got.flow)
  flow.send('SIP/2.0 200 OK\r\n\r\n')
  assert.deepEqual(ports.net.connections[0]?.remote, endpoint(PHONE.host, 5_062))
})

test('RFC 5922 §7: a TLS connection is opened with the name to verify, and shared only under a name it proved', () => {
  const { ports, transport } = up()
  const target = {
    transport: 'tls',
    endpoint: endpoint('203.0.113.1', 5_061),
    serverName: 'carrier.example.com',
  } as const
  const first = transport.flowTo(target)
  assert.equal(ports.net.connections[0]?.serverName, 'carrier.example.com')
  assert.equal(ports.net.connections[0]?.tls, TLS)
  assert.equal(transport.flowTo(target), first)
  const other = transport.flowTo({ ...target, serverName: 'other.example.com' })
  assert.notEqual(other, first)
})

test('RFC 5923 §5: alias is believed only over TLS from a verified peer and for a name in its certificate', () => {
  const { ports, user, transport } = up()
  const target = { transport: 'tls', endpoint: endpoint(PHONE.host, 5_061), serverName: 'carrier.example.com' } as const
  const stranger = ports.net.listeners[1]?.accept(endpoint(PHONE.host, 1), {
    names: ['carrier.example.com'],
    verified: false,
  })
  stranger?.receive(request(OVER_TLS))
  const unverified = transport.flowTo(target)
  assert.notEqual(unverified, user.requests[0]?.flow)
  ports.net.connections[0]?.sink?.onClose(ports.net.connections[0], 'ECONNREFUSED')
  const friend = ports.net.listeners[1]?.accept(endpoint(PHONE.host, 2), VERIFIED)
  friend?.receive(request(OVER_TLS))
  assert.equal(transport.flowTo(target), user.requests[1]?.flow)
  assert.deepEqual(user.requests[1]?.flow.peer, VERIFIED)
  assert.notEqual(transport.flowTo({ ...target, serverName: 'other.example.com' }), user.requests[1]?.flow)
  assert.notEqual(transport.flowTo({ ...target, serverName: null }), user.requests[1]?.flow)
  if (friend) friend.sink?.onClose(friend, 'closed')
  assert.notEqual(transport.flowTo(target), user.requests[1]?.flow)
})

test('a new certificate is for new handshakes either way', () => {
  const { ports, transport } = up()
  const renewed = { ...TLS, certificate: 'd' }
  transport.replaceTls(renewed)
  assert.equal(ports.net.listeners[0]?.tls, null)
  assert.equal(ports.net.listeners[1]?.tls, renewed)
  transport.flowTo({ transport: 'tls', endpoint: PHONE, serverName: null })
  assert.equal(ports.net.connections[0]?.tls, renewed)
})

test('stop leaves nothing open, armed or held', () => {
  const { ports, user, transport } = up()
  datagram(ports, request(RPORT))
  const connection = accepted(ports)
  connection.receive(request(OVER_TCP))
  transport.flowTo({ transport: 'tcp', endpoint: endpoint('198.51.100.9', 5_060), serverName: null })
  transport.stop()
  ports.clock.pass(5_000)
  assert.equal(connection.ended, 'close')
  assert.equal(ports.net.connections[0]?.ended, 'abort')
  assert.ok(ports.net.sockets.every(({ closed }) => closed))
  assert.ok(ports.net.listeners.every(({ closed }) => closed))
  assert.deepEqual(transport.audit(), { flows: 0, connections: 0, waitingOctets: 0 })
  assert.equal(ports.clock.armed, 0)
  assert.equal(user.requests.length, 2)
  const late = user.requests[1]
  assert.ok(late)
  transport.flowForResponse(late.request, late.flow).send('SIP/2.0 200 OK\r\n\r\n')
  assert.equal(ports.net.connections.length, 1)
})
