// The registrar: the sentences of RFC 3261 §10.3, RFC 3327 §5.3 and RFC 5626 §6.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endpoint, MemoryStore, TestPorts } from '#access/_ports.test.ts'
import { Authenticator } from '#access/authenticator.ts'
import { KEEP_ALIVE_BRANCH, KeepAlive } from '#access/keep-alive.ts'
import { Location } from '#access/location.ts'
import { Registrar, type RegistrarSettings } from '#access/registrar.ts'
import type { Endpoint } from '#core/net.ts'
import { checkRequest } from '#sip/check.ts'
import { ha1From } from '#sip/digest.ts'
import { DigestClient } from '#sip/digest-client.ts'
import { Flow, type FlowWatcher, type TransportName } from '#sip/flow.ts'
import { parseMessage, Request, Response } from '#sip/message.ts'

const DOMAIN = 'example.net'
const LOCAL = endpoint('192.0.2.1')
const PHONE = endpoint('192.0.2.10')

class FakeFlow extends Flow {
  readonly local = LOCAL
  readonly sent: string[] = []
  readonly watchers = new Set<FlowWatcher>()

  constructor(remote: Endpoint = PHONE, transport: TransportName = 'udp') {
    super(transport, remote, '192.0.2.1:5060')
  }

  send(text: string): void {
    this.sent.push(text)
  }

  watch(watcher: FlowWatcher): void {
    this.watchers.add(watcher)
  }

  unwatch(watcher: FlowWatcher): void {
    this.watchers.delete(watcher)
  }

  close(): void {
    this.closed = true
    for (const watcher of this.watchers) watcher.onFlowClosed(this, 'closed')
  }
}

interface Options {
  readonly user?: string
  readonly uri?: string
  readonly to?: string
  readonly callId?: string
  readonly cseq?: number
  readonly flow?: FakeFlow
  readonly vias?: string
  readonly sentBy?: string
}

const SETTINGS: RegistrarSettings = {
  domain: DOMAIN,
  expiresMinS: 60,
  expiresMaxS: 3600,
  expiresDefaultS: 1800,
  contactsMax: 3,
  bindingsMax: 100,
  keepAliveS: 25,
  isOwnHost: (host) => host === DOMAIN || host === '192.0.2.1',
}

class Rig {
  readonly ports: TestPorts
  readonly location: Location
  readonly registrar: Registrar
  readonly #clients = new Map<string, DigestClient>()
  #cseq = 1

  constructor(settings: Partial<RegistrarSettings> = {}, store = new MemoryStore()) {
    this.ports = new TestPorts(store)
    this.location = new Location(this.ports)
    const find = (user: string) =>
      user === 'nobody'
        ? null
        : { ha1Md5: ha1From('MD5', user, DOMAIN, 'secret'), ha1Sha256: ha1From('SHA-256', user, DOMAIN, 'secret') }
    const authenticator = new Authenticator(
      this.ports,
      { find },
      {
        realm: DOMAIN,
        algorithms: ['SHA-256', 'MD5'],
        nonceLifetimeS: 86_400,
        failuresMax: 5,
        backOffMinS: 1,
        backOffMaxS: 60,
      },
    )
    this.registrar = new Registrar(this.ports, this.location, authenticator, { ...SETTINGS, ...settings })
  }

  /** Sends without credentials. */
  raw(headers: string, options: Options = {}): Response {
    const { user = 'alice', uri = `sip:${DOMAIN}`, flow = new FakeFlow(), callId = 'call-1' } = options
    const { to = `<sip:${user}@${DOMAIN}>`, cseq = this.#cseq, vias = '', sentBy = '192.0.2.10' } = options
    this.#cseq = Math.max(this.#cseq, cseq) + 1
    const request = parseMessage(
      `REGISTER ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${sentBy};branch=z9hG4bK${cseq}\r\n${vias}Max-Forwards: 70\r\n` +
        `From: <sip:${user}@${DOMAIN}>;tag=1\r\nTo: ${to}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} REGISTER\r\n${headers}Content-Length: 0\r\n\r\n`,
    )
    assert.ok(request instanceof Request)
    assert.equal(checkRequest(request), null)
    const responses: string[] = []
    const answer = (status: number, reason?: string, lines?: string): void => {
      responses.push(`SIP/2.0 ${status} ${reason}\r\n${lines ?? ''}\r\n`)
    }
    this.registrar.onRequest({ request, flow, respond: answer, refuse: answer })
    assert.equal(responses.length, 1)
    const response = parseMessage(responses[0] ?? '')
    assert.ok(response instanceof Response)
    return response
  }

  /** Sends with credentials; a challenge is answered. */
  register(headers: string, options: Options = {}): Response {
    const { user = 'alice', uri = `sip:${DOMAIN}`, flow = new FakeFlow() } = options
    const key = `${user} ${flow.remote.host}`
    const client = this.#clients.get(key) ?? new DigestClient(this.ports.random, user, 'secret')
    if (!this.#clients.has(key)) {
      client.receive(this.raw('', { user, uri, flow }))
      this.#clients.set(key, client)
    }
    return this.raw(client.headers('REGISTER', uri) + headers, { ...options, flow })
  }

  contacts(user = 'alice'): string[] {
    return this.location.bindings(`sip:${user}@${DOMAIN}`).map((binding) => binding.contact)
  }

  wait(ms: number): void {
    this.ports.clock.runUntil(this.ports.clock.now() + ms)
  }
}

const contactLines = (response: Response): string[] => response.extension('x').concat(response.headers(6))
const A = 'sip:alice@192.0.2.10'
const B = 'sip:alice@192.0.2.11'

test('§10.3 step 1: a registration for a domain that is not ours is refused', () => {
  const rig = new Rig()
  assert.equal(rig.raw('', { uri: 'sip:other.example' }).status, 404)
})

test('§10.3 step 2: an extension in Require that is not supported is refused with 420 and named', () => {
  const rig = new Rig()
  const response = rig.raw('Require: path, foo, Outbound, bar\r\n')
  assert.equal(response.status, 420)
  assert.equal(response.list(21)?.join(), 'foo,bar')
})

test('§10.3 step 3: the client is authenticated', () => {
  const rig = new Rig()
  assert.equal(rig.raw(`Contact: <${A}>\r\n`).status, 401)
  assert.deepEqual(rig.contacts(), [])
  assert.equal(rig.register(`Contact: <${A}>\r\n`).status, 200)
})

test('§10.3 step 4: who registers an address of record that is not the own gets 403', () => {
  const rig = new Rig()
  const response = rig.register(`Contact: <${A}>\r\n`, { user: 'mallory', to: `<sip:alice@${DOMAIN}>` })
  assert.equal(response.status, 403)
  assert.deepEqual(rig.contacts(), [])
})

test('§10.3 step 5: an address of record outside our domain is not found; parameters and escapes do not matter', () => {
  const rig = new Rig()
  assert.equal(rig.register(`Contact: <${A}>\r\n`, { to: '<sip:alice@other.example>' }).status, 404)
  assert.equal(rig.register(`Contact: <${A}>\r\n`, { to: '<tel:+12025550101>' }).status, 404)
  assert.equal(rig.register(`Contact: <${A}>\r\n`, { to: '<sip:%61lice@192.0.2.1:5060;user=phone>' }).status, 200)
  assert.deepEqual(rig.contacts(), [A])
})

test('§10.3 step 6: without Contact the current bindings are listed and nothing changes', () => {
  const rig = new Rig()
  rig.register(`Contact: <${A}>;expires=100\r\n`)
  rig.wait(10_500)
  const response = rig.register('')
  assert.equal(response.status, 200)
  assert.deepEqual(contactLines(response), [`<${A}>;expires=90`])
})

test('§10.3 step 6: "*" with an expiration other than zero, without one, or beside other contacts is refused with 400', () => {
  const rig = new Rig()
  rig.register(`Contact: <${A}>\r\n`)
  assert.equal(rig.register('Contact: *\r\n').status, 400)
  assert.equal(rig.register('Contact: *\r\nExpires: 5\r\n').status, 400)
  assert.deepEqual(rig.contacts(), [A])
})

test('§10.3 step 6: "*" removes bindings of other Call-IDs always, of its own only with a higher CSeq', () => {
  const rig = new Rig()
  rig.register(`Contact: <${A}>\r\n`, { callId: 'one', cseq: 50 })
  rig.register(`Contact: <${B}>\r\n`, { callId: 'two', cseq: 10 })
  assert.equal(rig.register('Contact: *\r\nExpires: 0\r\n', { callId: 'one', cseq: 50 }).status, 400)
  assert.equal(rig.contacts().length, 2)
  const response = rig.register('Contact: *\r\nExpires: 0\r\n', { callId: 'three', cseq: 5 })
  assert.equal(response.status, 200)
  assert.deepEqual(contactLines(response), [])
  assert.equal(rig.location.count, 0)
})

test('§10.3 step 7: the expires parameter counts before the Expires field, and that before the default', () => {
  const rig = new Rig()
  const response = rig.register(`Contact: <${A}>;expires=100, <${B}>\r\nExpires: 200\r\n`)
  assert.deepEqual(contactLines(response).sort(), [`<${A}>;expires=100`, `<${B}>;expires=200`])
  assert.deepEqual(contactLines(rig.register(`Contact: <${A}>\r\n`, { user: 'bob' })), [`<${A}>;expires=1800`])
})

test('§10.3 step 7: an interval may be shortened; a malformed one stands for an hour (§20.10)', () => {
  const rig = new Rig()
  assert.deepEqual(contactLines(rig.register(`Contact: <${A}>;expires=99999999999\r\n`)), [`<${A}>;expires=3600`])
  assert.deepEqual(contactLines(rig.register(`Contact: <${A}>;expires=soon\r\n`)), [`<${A}>;expires=3600`])
})

test('§10.3 step 7: an interval above zero and below the minimum is refused with 423 and Min-Expires, all or nothing', () => {
  const rig = new Rig()
  const response = rig.register(`Contact: <${A}>, <${B}>;expires=59\r\n`)
  assert.equal(response.status, 423)
  assert.equal(response.header(34), '60')
  assert.deepEqual(rig.contacts(), [])
})

test('§10.3 step 7: an interval of an hour is never too brief', () => {
  const rig = new Rig({ expiresMinS: 7200, expiresMaxS: 9000 })
  assert.equal(rig.register(`Contact: <${A}>;expires=3600\r\n`).status, 200)
  assert.equal(rig.register(`Contact: <${A}>;expires=3599\r\n`).status, 423)
})

test('§10.3 step 7: contacts are compared as URIs (§19.1.4), so another spelling refreshes', () => {
  const rig = new Rig()
  rig.register('Contact: <sip:%61lice@Phone.Example;Transport=udp>\r\n')
  rig.register('Contact: <sip:alice@phone.example;transport=UDP>\r\n')
  assert.deepEqual(rig.contacts(), ['sip:alice@phone.example;transport=UDP'])
})

test('§10.3 step 7: with the same Call-ID, a CSeq that is not higher aborts the whole update', () => {
  const rig = new Rig()
  rig.register(`Contact: <${A}>\r\n`, { cseq: 20 })
  assert.equal(rig.register(`Contact: <${B}>, <${A}>;expires=0\r\n`, { cseq: 20 }).status, 400)
  assert.equal(rig.register(`Contact: <${A}>;expires=0\r\n`, { cseq: 19 }).status, 400)
  assert.deepEqual(rig.contacts(), [A])
  assert.equal(rig.register(`Contact: <${A}>;expires=0\r\n`, { cseq: 21 }).status, 200)
  assert.deepEqual(rig.contacts(), [])
})

test('§10.3 step 7: with another Call-ID the binding is updated or removed whatever the CSeq', () => {
  const rig = new Rig()
  rig.register(`Contact: <${A}>\r\n`, { cseq: 20 })
  assert.equal(rig.register(`Contact: <${A}>;q=0.3\r\n`, { cseq: 2, callId: 'after-reboot' }).status, 200)
  assert.equal(rig.location.bindings(`sip:alice@${DOMAIN}`)[0]?.q, 300)
  assert.equal(rig.register(`Contact: <${A}>;expires=0\r\n`, { cseq: 1, callId: 'another' }).status, 200)
  assert.deepEqual(rig.contacts(), [])
})

test('§10.3 step 8: the response lists all bindings with their expires, best q first, and has a Date', () => {
  const rig = new Rig()
  rig.register(`Contact: <${A}>;q=0.5;expires=100\r\n`)
  const response = rig.register(`Contact: "Al, i" <${B}>;q=.7;expires=200\r\n`)
  assert.deepEqual(contactLines(response), [`<${B}>;expires=200;q=0.7`, `<${A}>;expires=100;q=0.5`])
  assert.match(response.header(31) ?? '', /^Thu, 01 Jan 2026 00:00:\d\d GMT$/)
})

test('Contacts of schemes that we do not call are kept and listed (§10.2.1 names mailto)', () => {
  const rig = new Rig()
  const response = rig.register('Contact: <mailto:alice@example.org>, <tel:+12025550101>\r\n')
  assert.equal(response.status, 200)
  assert.equal(contactLines(response).length, 2)
  rig.register('Contact: <mailto:alice@example.org>;expires=0\r\n')
  assert.deepEqual(rig.contacts(), ['tel:+12025550101'])
})

test('A SIPS address of record takes SIPS contacts only (§10.2.1)', () => {
  const rig = new Rig()
  const to = `<sips:alice@${DOMAIN}>`
  assert.equal(rig.register(`Contact: <${A}>\r\n`, { to }).status, 400)
  assert.equal(rig.register('Contact: <sips:alice@192.0.2.10>\r\n', { to }).status, 200)
})

test('More contacts than allowed are refused with 403; what the same phone left behind makes room first', () => {
  const rig = new Rig()
  for (let i = 1; i <= 3; i += 1) {
    assert.equal(rig.register(`Contact: <sip:alice@198.51.100.${i}>\r\n`, { callId: `phone-${i}` }).status, 200)
    rig.wait(1_000)
  }
  assert.equal(rig.register(`Contact: <${A}>\r\n`, { callId: 'phone-4' }).status, 403)
  assert.equal(rig.register(`Contact: <${A}>\r\n`, { callId: 'phone-2' }).status, 200)
  assert.deepEqual(rig.contacts(), [A, 'sip:alice@198.51.100.3', 'sip:alice@198.51.100.1'])
  rig.registrar.replaceSettings({ ...SETTINGS, contactsMax: 1 })
  assert.equal(rig.register(`Contact: <${A}>\r\n`, { callId: 'phone-2' }).status, 200)
})

test('When no more bindings can be held the answer is 503 with Retry-After, one alarm is logged, and refreshes go on', () => {
  const rig = new Rig({ bindingsMax: 2 })
  for (const user of ['a', 'b']) assert.equal(rig.register(`Contact: <${A}>\r\n`, { user }).status, 200)
  for (const user of ['c', 'd']) {
    const response = rig.register(`Contact: <${A}>\r\n`, { user })
    assert.equal(response.status, 503)
    assert.equal(response.header(39), '300')
  }
  assert.equal(rig.ports.codes().filter((code) => code === 'REGISTER_BINDINGS_MAX').length, 3)
  assert.equal(rig.ports.events.filter((e) => e.level === 'error').length, 1)
  assert.equal(rig.register(`Contact: <${A}>\r\n`, { user: 'a' }).status, 200)
})

test('RFC 3327 §5.3: Path is stored with the binding and copied into the response, if the client supports it; else 420', () => {
  const rig = new Rig()
  const path = 'Path: <sip:edge.example;lr>\r\nPath: <sip:p2.example;lr>, <sip:p1.example;lr>\r\n'
  const refused = rig.register(`Contact: <${A}>\r\n${path}`)
  assert.equal(refused.status, 420)
  assert.equal(refused.header(21), 'path')
  const response = rig.register(`Contact: <${A}>\r\nSupported: path\r\n${path}`)
  assert.deepEqual(response.headers(50), ['<sip:edge.example;lr>', '<sip:p2.example;lr>', '<sip:p1.example;lr>'])
  assert.deepEqual(rig.location.bindings(`sip:alice@${DOMAIN}`)[0]?.path, response.headers(50))
})

const INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'

test('RFC 5626 §6: a binding with instance-id and reg-id is replaced by them, whatever its contact and Call-ID', () => {
  const rig = new Rig()
  const supported = 'Supported: path, outbound\r\n'
  const first = rig.register(`Contact: <${A};ob>;reg-id=1;${INSTANCE}\r\n${supported}`)
  assert.equal(first.header(18), 'outbound')
  assert.equal(first.header(64), '25')
  rig.register(`Contact: <${B};ob>;reg-id=2;${INSTANCE}\r\n${supported}`)
  const response = rig.register(`Contact: <sip:alice@192.0.2.12;ob>;reg-id=1;${INSTANCE}\r\n${supported}`, {
    callId: 'x',
  })
  assert.equal(response.status, 200)
  assert.deepEqual(rig.contacts(), ['sip:alice@192.0.2.12;ob', `${B};ob`])
  assert.match(contactLines(response)[0] ?? '', /;\+sip\.instance="<urn:uuid:[^"]+>";reg-id=1$/)
})

test('RFC 5626 §6: behind a proxy without "ob" in its Path, reg-id with outbound support gets 439, without it is ignored', () => {
  const rig = new Rig()
  const vias = 'Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKx\r\n'
  const contact = `Contact: <${A}>;reg-id=1;${INSTANCE}\r\n`
  assert.equal(rig.register(`${contact}Supported: outbound\r\n`, { vias }).status, 439)
  const ignored = rig.register(contact, { vias })
  assert.equal(ignored.status, 200)
  assert.equal(ignored.header(18), null)
  assert.equal(rig.location.bindings(`sip:alice@${DOMAIN}`)[0]?.regId, 0)
  const applied = rig.register(`${contact}Supported: outbound, path\r\nPath: <sip:edge.example;lr;ob>\r\n`, { vias })
  assert.equal(applied.header(18), 'outbound')
})

test('RFC 5626 §6: reg-id without instance-id is ignored; beside another contact it is refused with 400', () => {
  const rig = new Rig()
  const alone = rig.register(`Contact: <${A}>;reg-id=1\r\nSupported: outbound\r\n`)
  assert.equal(alone.status, 200)
  assert.equal(alone.header(18), null)
  const two = rig.register(`Contact: <${A}>;reg-id=1;${INSTANCE}, <${B}>\r\nSupported: outbound\r\n`)
  assert.equal(two.status, 400)
  const removing = rig.register(`Contact: <${B}>;reg-id=1;${INSTANCE}, <${A}>;expires=0\r\nSupported: outbound\r\n`)
  assert.equal(removing.status, 200)
  assert.deepEqual(rig.contacts(), [B])
})

test('A contact that is not where it came from is reached where it came from', () => {
  const rig = new Rig()
  rig.register('Contact: <sip:alice@10.0.0.5>\r\n', { flow: new FakeFlow(endpoint('203.0.113.9', 40_000)) })
  const [binding] = rig.location.bindings(`sip:alice@${DOMAIN}`)
  assert.equal(binding?.needsFlow, true)
  assert.deepEqual(binding?.remote, endpoint('203.0.113.9', 40_000))
  rig.register(`Contact: <${A}>\r\n`, { user: 'bob' })
  assert.equal(rig.location.bindings(`sip:bob@${DOMAIN}`)[0]?.needsFlow, false)
})

test('A contact elsewhere, registered from where the sender says it is, is followed as it stands', () => {
  const rig = new Rig()
  rig.register('Contact: <sip:alice@198.51.100.77:5080>\r\n', { flow: new FakeFlow(endpoint('192.0.2.10', 5060)) })
  assert.equal(rig.location.bindings(`sip:alice@${DOMAIN}`)[0]?.needsFlow, false)
})

test('RFC 5626 §7: with its connection a binding ends that only it could reach, in the journal too; then nothing is watched', () => {
  const store = new MemoryStore()
  const rig = new Rig({}, store)
  const nat = new FakeFlow(endpoint('203.0.113.9', 40_000), 'tcp')
  const listening = new FakeFlow(endpoint('192.0.2.20', 40_000), 'tcp')
  rig.register('Contact: <sip:alice@10.0.0.5:40000;transport=tcp>\r\n', { flow: nat })
  rig.register('Contact: <sip:bob@192.0.2.20:5060;transport=tcp>\r\n', { user: 'bob', flow: listening })
  rig.register(`Contact: <${A}>\r\n`)
  assert.equal(nat.watchers.size, 1)
  assert.equal(listening.watchers.size, 0)
  nat.close()
  listening.close()
  assert.deepEqual(rig.contacts(), [A])
  assert.equal(rig.contacts('bob').length, 1)
  assert.equal(rig.registrar.watchedFlows, 0)
  assert.deepEqual(new Rig({}, store).contacts(), [A])
})

test('A connection is watched from the first binding over it to the last, across refreshes', () => {
  const rig = new Rig()
  const flow = new FakeFlow(endpoint('203.0.113.9', 40_000), 'tls')
  const contact = 'Contact: <sip:alice@10.0.0.5;transport=tls>'
  for (let i = 0; i < 3; i += 1) {
    rig.register(`${contact};expires=100\r\n`, { flow })
    assert.equal(flow.watchers.size, 1)
  }
  rig.register('Contact: <sip:bob@10.0.0.6;transport=tls>;expires=60\r\n', { user: 'bob', flow })
  rig.register(`${contact};expires=0\r\n`, { flow })
  assert.equal(flow.watchers.size, 1)
  rig.wait(62_000)
  assert.equal(flow.watchers.size, 0)
  assert.equal(rig.registrar.watchedFlows, 0)
})

test('A registration that moves to a new connection is not lost with the old one', () => {
  const rig = new Rig()
  const old = new FakeFlow(endpoint('203.0.113.9', 40_000), 'tcp')
  const young = new FakeFlow(endpoint('203.0.113.9', 40_001), 'tcp')
  rig.register('Contact: <sip:alice@10.0.0.5;transport=tcp>\r\n', { flow: old })
  rig.register('Contact: <sip:alice@10.0.0.5;transport=tcp>\r\n', { flow: young })
  assert.equal(old.watchers.size, 0)
  old.close()
  assert.equal(rig.contacts().length, 1)
  young.close()
  assert.equal(rig.contacts().length, 0)
})

test('Every phone behind address translation hears from us once in each interval, spread evenly, and nobody else', () => {
  const rig = new Rig({ bindingsMax: 1_000 })
  const flows = new Map<string, FakeFlow>()
  const keepAlive = new KeepAlive(
    rig.ports,
    rig.location,
    { flowFrom: (_transport, _local, remote) => flows.get(remote.host) ?? null },
    { domain: DOMAIN, keepAliveS: 25 },
  )
  for (let i = 0; i < 100; i += 1) {
    const flow = new FakeFlow(endpoint(`203.0.113.${i}`, 40_000))
    flows.set(flow.remote.host, flow)
    const contact = i % 2 === 0 ? '10.0.0.5' : `203.0.113.${i}:40000`
    rig.register(`Contact: <sip:u${i}@${contact}?x=y>\r\n`, {
      user: `u${i}`,
      flow,
      ...(i % 2 === 0 ? {} : { sentBy: contact }),
    })
  }
  const sent = (): number => [...flows.values()].reduce((sum, flow) => sum + flow.sent.length, 0)
  let most = 0
  for (let ms = 0; ms < 75_000; ms += 100) {
    const before = sent()
    rig.wait(100)
    most = Math.max(most, sent() - before)
  }
  assert.ok(most <= 1, `${most} in one tick`)
  for (const flow of flows.values()) {
    const expected = Number(flow.remote.host.split('.')[3]) % 2 === 0
    assert.ok(
      expected ? flow.sent.length >= 2 && flow.sent.length <= 3 : flow.sent.length === 0,
      `${flow.remote.host}: ${flow.sent.length}`,
    )
  }
  const message = parseMessage(flows.get('203.0.113.0')?.sent[0] ?? '')
  assert.ok(message instanceof Request)
  assert.equal(checkRequest(message), null)
  assert.equal(message.uriText, 'sip:u0@10.0.0.5')
  assert.ok(message.topmostVia.branch.startsWith(KEEP_ALIVE_BRANCH))
  keepAlive.stop()
  rig.wait(4_000_000)
  assert.equal(rig.ports.clock.armed, 0)
})

test('With the last binding the keep-alive rests, and wakes with the next', () => {
  const rig = new Rig()
  const flow = new FakeFlow(endpoint('203.0.113.1', 40_000))
  new KeepAlive(rig.ports, rig.location, { flowFrom: () => flow }, { domain: DOMAIN, keepAliveS: 25 })
  rig.wait(100_000)
  rig.register('Contact: <sip:alice@10.0.0.5>;expires=60\r\n', { flow })
  rig.wait(50_000)
  assert.equal(flow.sent.length, 2)
  rig.wait(20_000)
  assert.equal(rig.ports.clock.armed, 0)
  rig.register('Contact: <sip:alice@10.0.0.5>;expires=60\r\n', { flow })
  rig.wait(25_000)
  assert.equal(flow.sent.length, 3)
})

test('Whatever is registered, each request is done whole or not at all, and a restart gives the same bindings', () => {
  const contact = fc.record({
    host: fc.integer({ min: 1, max: 4 }),
    expires: fc.constantFrom(0, 30, 60, 100, 100, 100),
    regId: fc.constantFrom(0, 0, 0, 1),
  })
  const step = fc.record({
    contacts: fc.array(contact, { maxLength: 4 }),
    star: fc.constantFrom(false, false, false, true),
    call: fc.constantFrom('a', 'b'),
    cseqBack: fc.constantFrom(0, 0, 0, 3),
    waitMs: fc.constantFrom(0, 500, 20_000),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const store = new MemoryStore()
      const rig = new Rig({}, store)
      let cseq = 10
      for (const { contacts, star, call, cseqBack, waitMs } of steps) {
        rig.wait(waitMs)
        const before = rig.contacts()
        cseq += 1
        const lines = contacts.map(
          (c) =>
            `Contact: <sip:alice@192.0.2.${c.host}>;expires=${c.expires}${c.regId > 0 ? `;reg-id=1;${INSTANCE}` : ''}\r\n`,
        )
        const headers = star ? 'Contact: *\r\nExpires: 0\r\n' : lines.join('')
        const response = rig.register(headers, { callId: call, cseq: cseq - cseqBack })
        if (response.status !== 200) assert.deepEqual(rig.contacts(), before)
        else {
          if (star) assert.deepEqual(rig.contacts(), [])
          assert.equal(contactLines(response).length, rig.contacts().length)
          assert.ok(rig.contacts().length <= 3)
        }
        const seen = new Set(rig.contacts())
        assert.ok(rig.location.count >= seen.size)
      }
      const later = new TestPorts(store)
      later.clock.wallErrorMs = rig.ports.clock.now()
      assert.deepEqual(
        new Location(later).bindings(`sip:alice@${DOMAIN}`).map((b) => [b.contact, b.expiresAtMs, b.regId]),
        rig.location.bindings(`sip:alice@${DOMAIN}`).map((b) => [b.contact, b.expiresAtMs, b.regId]),
      )
    }),
    { numRuns: 100 },
  )
})
