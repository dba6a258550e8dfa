// The whole switch in virtual time over the simulated network: raw SIP texts in, raw texts out.

import assert from 'node:assert/strict'
import type { Connection, DatagramSocket, Endpoint } from '#core/net.ts'
import { compileSnapshot, type Snapshot } from '#routing/snapshot.ts'
import { loadConfig } from '#schema/config.ts'
import { authorization } from '#sim/agent-digest.ts'
import { Generator } from '#sim/generator.ts'
import type { SimNode } from '#sim/node.ts'
import { SipText } from '#sim/sip-text.ts'
import { World } from '#sim/world.ts'
import { Switch, type SwitchObserver } from '#switch/switch.ts'

export const SWITCH_HOST = '203.0.113.1'
export const DOMAIN = 'example.net'

/** Three subscribers, and trunk groups for each direction. Options replace or add sections of the file. */
export function configText(sections: Readonly<Record<string, string>> = {}): string {
  const all: Record<string, string> = {
    domain: `domain: ${DOMAIN}`,
    sip: `sip: {listen: ["udp:${SWITCH_HOST}:5060", "tcp:${SWITCH_HOST}:5060"]}`,
    media: 'media: {gateways: none}',
    subscribers: `subscribers:
  - {user: "1001", password: "secret1", number: "+12025550101", name: "Alice"}
  - {user: "1002", password: "secret2", number: "+12025550102"}
  - {user: "1003", password: "secret3"}`,
    trunkGroups: `trunkGroups:
  - {name: east, peers: ["198.51.100.10:5060", "198.51.100.11:5060"], channelsMax: 4, cpsMax: 100, direction: both}
  - {name: west, peers: ["198.51.100.20:5060"], channelsMax: 4, cpsMax: 100, direction: both}
  - {name: inward, peers: ["198.51.100.30:5060"], channelsMax: 4, cpsMax: 100, direction: in}
  - {name: outward, peers: ["198.51.100.40:5060"], channelsMax: 4, cpsMax: 100, direction: out}`,
    routes: `routes:
  - {prefix: "+44", trunkGroups: [east, west]}
  - {prefix: "+1900", trunkGroups: [west]}
  - {prefix: "+39", trunkGroups: [outward]}
  - {prefix: "+55", trunkGroups: [inward]}`,
    ...sections,
  }
  return `${Object.values(all).join('\n')}\n`
}

/** The snapshot of a configuration text, which must be right. */
export function snapshotOf(text: string, version = 'test'): Snapshot {
  const result = loadConfig(text, 'test')
  assert.ok(result.ok, result.ok ? '' : JSON.stringify(result.problems))
  return compileSnapshot(result.config, version, [SWITCH_HOST])
}

/** One message that the switch sent. */
export interface Sent {
  readonly to: string
  readonly text: string
}

export interface RigOptions {
  readonly seed?: number
  readonly onDrained?: (one: Switch) => void
}

export class SwitchRig {
  readonly world: World
  readonly node: SimNode<Switch>
  /** Everything that the switch sent over UDP, in order. */
  readonly sent: Sent[] = []
  /** What the observer of the switch was told. */
  readonly told: string[] = []
  readonly random: Generator
  minted = 0

  constructor(config = configText(), options: RigOptions = {}) {
    const seed = options.seed ?? 1
    this.world = new World({ seed, links: { latencyMs: 1 } })
    this.world.fatalCodes.add('INTERNAL')
    this.random = new Generator(seed, 'rig')
    this.world.observe({
      onWire: ({ fate, transport, at, destination, bytes }) => {
        if (fate !== 'sent' || at !== 'switch' || transport !== 'udp') return
        this.sent.push({ to: destination.host, text: Buffer.from(bytes).toString('latin1') })
      },
    })
    const observer: SwitchObserver = {
      onReady: () => this.told.push('ready'),
      onFatal: (reason) => this.told.push(`fatal ${reason}`),
      onDrained: () => {
        this.told.push('drained')
        options.onDrained?.(this.node.application)
      },
    }
    const snapshot = snapshotOf(config)
    const machine = { nodeId: 'switch', shard: 1, tls: null, machineAddresses: [SWITCH_HOST] }
    this.node = this.world.node(
      SWITCH_HOST,
      (ports) => {
        const one = new Switch(ports, snapshot, machine, observer)
        one.start()
        return one
      },
      { name: 'switch' },
    )
    this.run(1)
  }

  get switch(): Switch {
    return this.node.application
  }

  /** Lets `ms` pass. */
  run(ms = 20): void {
    this.world.runUntil(this.world.nowMs + ms)
  }

  /** A user agent at an address of its own. */
  agent(host: string, account: Account | null = null, port = 5060): RawAgent {
    return new RawAgent(this, host, port, account)
  }

  /** A registered telephone of subscriber 100`n`. */
  phone(n: number): RawAgent {
    const phone = this.agent(`192.0.2.${n}`, { user: `100${n}`, password: `secret${n}`, algorithm: 'SHA-256' })
    assert.equal(phone.register().status, 200)
    return phone
  }

  /** Datagrams that the switch has sent to `host` since `from`. */
  sentTo(host: string, from = 0): string[] {
    return this.sent
      .slice(from)
      .filter(({ to }) => to === host)
      .map(({ text }) => text)
  }

  /** The records written so far. */
  records(): Record<string, unknown>[] {
    const { disk } = this.node
    return disk
      .names('cdr')
      .flatMap((name) => disk.lines(name))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((record) => 'callId' in record)
  }

  counter(name: string): number {
    const rows = this.node.counters?.snapshot() ?? []
    return rows.filter((row) => row.name.startsWith(name)).reduce((sum, row) => sum + row.value, 0)
  }

  /** Everybody goes quiet: whatever is pending runs out, and nothing may be held but registrations. */
  settle(): void {
    this.run(300_000)
    const audit = Object.entries(this.switch.audit()).filter(([, count]) => count !== 0)
    assert.deepEqual(audit, [], 'held at idle')
  }
}

export interface Account {
  readonly user: string
  readonly password: string
  readonly algorithm: 'MD5' | 'SHA-256'
}

export interface RequestParts {
  readonly from?: string
  readonly to?: string
  readonly callId?: string
  readonly sequence?: number
  readonly branch?: string
  readonly maxForwards?: number
  /** Contact value; null for none. */
  readonly contact?: string | null
  /** More header fields, [name, value]. */
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string
  readonly type?: string
}

export interface ResponseParts {
  readonly tag?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string
  readonly contact?: string
}

/** What one end knows of a dialog. */
export interface RawDialog {
  readonly callId: string
  readonly local: string
  readonly remote: string
  readonly target: string
  sequence: number
}

export const SDP =
  'v=0\r\no=- 1 1 IN IP4 192.0.2.77\r\ns=-\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n'

/** A user agent that does nothing of its own accord. */
export class RawAgent {
  readonly host: string
  readonly port: number
  readonly account: Account | null
  readonly inbox: SipText[] = []
  readonly texts: string[] = []
  /** Whether what comes must satisfy a strict reader; not for answers to what is malformed, which echo it. */
  isStrict = true
  octetsSent = 0
  octetsReceived = 0
  /** Called for each message that comes. */
  onMessage: (message: SipText) => void = () => {}
  readonly #rig: SwitchRig
  readonly #node: SimNode<{ socket: DatagramSocket; connect(): StreamEnd }>

  constructor(rig: SwitchRig, host: string, port: number, account: Account | null) {
    this.#rig = rig
    this.host = host
    this.port = port
    this.account = account
    const sink = {
      onListening: () => {},
      onSocketError: () => {},
      onDatagram: (bytes: Uint8Array) => {
        this.octetsReceived += bytes.length
        this.#receive(Buffer.from(bytes).toString('latin1'))
      },
    }
    this.#node = rig.world.node(host, ({ net }) => ({
      socket: net.udp({ host, port, family: 4 }, sink),
      connect: () => new StreamEnd((stream) => net.connect(SWITCH, null, null, stream)),
    }))
  }

  #receive(text: string): void {
    this.texts.push(text)
    const message = SipText.parse(text)
    assert.ok(typeof message !== 'string', `${String(message)}\n${text}`)
    if (this.isStrict) assert.deepEqual(message.problems(), [], text)
    this.inbox.push(message)
    this.onMessage(message)
  }

  /** Sends octets given as latin1 text. */
  raw(text: string, to: Endpoint = SWITCH): void {
    this.octetsSent += text.length
    this.#node.application.socket.send(Buffer.from(text, 'latin1'), to)
  }

  send(message: SipText): SipText {
    this.raw(message.toText())
    return message
  }

  /** A TCP connection to the switch. */
  connect(): StreamEnd {
    return this.#node.application.connect()
  }

  mint(): string {
    this.#rig.minted += 1
    return `${this.host.replaceAll('.', 'x')}q${this.#rig.minted}`
  }

  get contact(): string {
    return `<sip:me@${this.host}:${this.port}>`
  }

  get address(): string {
    return `sip:${this.account?.user ?? 'stranger'}@${DOMAIN}`
  }

  /** A request outside of a dialog. */
  request(method: string, uri: string, parts: RequestParts = {}): SipText {
    const request = SipText.request(method, uri)
    const at = `${this.host}:${this.port}`
    request.add('via', `SIP/2.0/UDP ${at};branch=${parts.branch ?? `z9hG4bK${this.mint()}`};rport`)
    request.add('max-forwards', String(parts.maxForwards ?? 70))
    request.add('from', parts.from ?? `<${this.address}>;tag=${this.mint()}`)
    request.add('to', parts.to ?? `<${uri}>`)
    request.add('call-id', parts.callId ?? this.mint())
    request.add('cseq', `${parts.sequence ?? 1} ${method}`)
    const contact = parts.contact === undefined && method !== 'BYE' ? this.contact : (parts.contact ?? null)
    if (contact !== null && method !== 'MESSAGE') request.add('contact', contact)
    for (const [name, value] of parts.headers ?? []) request.add(name.toLowerCase(), value)
    const body = parts.body ?? (method === 'INVITE' ? SDP : '')
    if (body !== '') request.add('content-type', parts.type ?? 'application/sdp')
    request.body = body
    return request
  }

  invite(uri: string, parts: RequestParts = {}): SipText {
    return this.request('INVITE', uri, parts)
  }

  /** The responses to one request, provisional ones with the others. */
  responses(request: SipText): SipText[] {
    return this.inbox.filter(
      (message) => !message.isRequest && message.branch === request.branch && message.sequenceMethod === request.method,
    )
  }

  /** The first final response, which must be there. */
  final(request: SipText): SipText {
    const final = this.responses(request).find(({ status }) => status >= 200)
    assert.ok(final !== undefined, `no final response to ${request.method} ${request.uri}`)
    return final
  }

  requests(method: string): SipText[] {
    return this.inbox.filter((message) => message.isRequest && message.method === method)
  }

  /** The last request of that method, which must be there. */
  last(method: string): SipText {
    const request = this.requests(method).at(-1)
    assert.ok(request !== undefined, `${this.host} got no ${method}`)
    return request
  }

  /** The request again, with credentials for the challenge; the challenge of an INVITE is acknowledged. */
  authorized(request: SipText, challenge: SipText, account = this.account): SipText {
    assert.ok(account !== null, 'an account')
    if (request.method === 'INVITE') this.ackFailure(request, challenge)
    const [given, wanted] =
      challenge.status === 401 ? ['www-authenticate', 'authorization'] : ['proxy-authenticate', 'proxy-authorization']
    const value = authorization(challenge.all(given ?? ''), request, account, this.#rig.random)
    assert.ok(value !== null, 'a challenge that can be answered')
    const again = SipText.request(request.method, request.uri)
    for (const [name, text] of request.headers) {
      if (name === 'via') again.add(name, text.replace(/branch=[^;]*/, `branch=z9hG4bK${this.mint()}`))
      else if (name === 'cseq') again.add(name, `${request.sequence + 1} ${request.method}`)
      else again.add(name, text)
    }
    again.body = request.body
    return again.add(wanted ?? '', value)
  }

  /** Sends a request, answers the challenge if one comes, and gives the request that went through. */
  exchange(request: SipText, account = this.account): SipText {
    this.send(request)
    this.#rig.run()
    const challenge = this.responses(request).find(({ status }) => status === 401 || status === 407)
    if (challenge === undefined || account === null) return request
    const again = this.send(this.authorized(request, challenge, account))
    this.#rig.run()
    return again
  }

  /** Sends a request and gives its final response, after credentials where they are asked for. */
  ask(request: SipText, account = this.account): SipText {
    return this.final(this.exchange(request, account))
  }

  register(expiresS = 3_600, contact = this.contact): SipText {
    const headers = [['expires', String(expiresS)]] as const
    const to = `<${this.address}>`
    return this.ask(this.request('REGISTER', `sip:${DOMAIN}`, { to, contact, headers }))
  }

  /** Answers a request. */
  respond(request: SipText, status: number, parts: ResponseParts = {}): SipText {
    return this.send(this.response(request, status, parts))
  }

  /** A response, not sent yet. */
  response(request: SipText, status: number, parts: ResponseParts = {}): SipText {
    const response = new SipText()
    response.status = status
    response.reason = 'Whatever'
    for (const [name, value] of request.headers) {
      if (name === 'to' && request.toTag === '' && status > 100)
        response.add(name, `${value};tag=${parts.tag ?? 'callee'}`)
      else if (['via', 'from', 'to', 'call-id', 'cseq', 'record-route'].includes(name)) response.add(name, value)
    }
    if (request.method === 'INVITE' && status > 100 && status < 300)
      response.add('contact', parts.contact ?? this.contact)
    for (const [name, value] of parts.headers ?? []) response.add(name.toLowerCase(), value)
    const body = parts.body ?? (request.method === 'INVITE' && status >= 200 && status < 300 ? SDP : '')
    if (body !== '') response.add('content-type', 'application/sdp')
    response.body = body
    return response
  }

  /** ACK of a response of 300 or more (RFC 3261 §17.1.1.3). */
  ackFailure(invite: SipText, response: SipText): void {
    const ack = SipText.request('ACK', invite.uri)
    ack
      .add('via', invite.get('via'))
      .add('max-forwards', '70')
      .add('from', invite.get('from'))
      .add('to', response.get('to'))
    this.send(ack.add('call-id', invite.callId).add('cseq', `${invite.sequence} ACK`))
  }

  /** The dialog of a caller, from the 2xx or 18x. */
  callerDialog(invite: SipText, response: SipText): RawDialog {
    return {
      callId: invite.callId,
      local: invite.get('from'),
      remote: response.get('to'),
      target: uriIn(response.get('contact')),
      sequence: invite.sequence,
    }
  }

  /** The dialog of a callee who answered with `tag`. */
  calleeDialog(invite: SipText, tag = 'callee'): RawDialog {
    return {
      callId: invite.callId,
      local: `${invite.get('to')};tag=${tag}`,
      remote: invite.get('from'),
      target: uriIn(invite.get('contact')),
      sequence: 0,
    }
  }

  /** A request within a dialog, not sent yet. */
  within(dialog: RawDialog, method: string, parts: RequestParts = {}): SipText {
    if (method !== 'ACK') dialog.sequence += 1
    const { local: from, remote: to, callId, sequence } = dialog
    return this.request(method, dialog.target, { from, to, callId, sequence, contact: null, body: '', ...parts })
  }
}

/** One TCP connection of an agent. */
export class StreamEnd {
  text = ''
  closed = ''
  readonly #connection: Connection

  constructor(open: (sink: StreamEnd) => Connection) {
    this.#connection = open(this)
  }

  send(text: string): void {
    this.#connection.send(Buffer.from(text, 'latin1'))
  }

  onOpen(): void {}

  onBytes(_connection: Connection, bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString('latin1')
  }

  onClose(_connection: Connection, reason: string): void {
    this.closed = reason
  }

  /** Status codes of the responses, in order. */
  get statuses(): number[] {
    return [...this.text.matchAll(/(?:^|\r\n\r\n)SIP\/2\.0 (\d{3})/g)].map((match) => Number(match[1]))
  }
}

const SWITCH: Endpoint = { host: SWITCH_HOST, port: 5060, family: 4 }

function uriIn(value: string): string {
  return /<([^>]*)>/.exec(value)?.[1] ?? value
}
