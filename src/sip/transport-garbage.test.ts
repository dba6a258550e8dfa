// Whatever octets arrive, the transport takes them: no error, no growth, nothing sent that is no SIP or STUN answer.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endpoint, type FakePorts, fakePorts } from '#sip/_fake-ports.ts'
import type { Flow } from '#sip/flow.ts'
import { type Message, parseMessage, type Request, Response } from '#sip/message.ts'
import { SipTransport } from '#sip/transport.ts'

const SOURCE = endpoint('198.51.100.7', 5_062)
const RUNS = { numRuns: 400 }

class Recorder {
  readonly texts: string[] = []
  transport: SipTransport | null = null
  onRequest(request: Request, flow: Flow): void {
    this.#note(request)
    // Where its response would go can always be told.
    this.transport?.flowForResponse(request, flow)
  }
  onResponse(response: Response): void {
    this.#note(response)
  }
  onListening(): void {}
  onListenFailed(): void {}
  #note(message: Message): void {
    this.texts.push(message.text)
    // What passed the checks is there without an error.
    assert.ok(message.topmostVia && message.from && message.to && message.cseq && message.callId)
  }
}

function up(): { ports: FakePorts; user: Recorder; transport: SipTransport } {
  const ports = fakePorts()
  const user = new Recorder()
  const listen = (['udp', 'tcp'] as const).map((transport) => ({ transport, host: '192.0.2.1', port: 5_060 }))
  const transport = new SipTransport(ports, { listen, advertise: null, udpSizeMax: 1_300, tls: null }, user)
  user.transport = transport
  transport.start()
  ports.net.bind()
  return { ports, user, transport }
}

const INVITE = [
  'INVITE sip:b@192.0.2.1;transport=udp SIP/2.0',
  'Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bKa;rport, SIP/2.0/TCP [2001:db8::1];branch=z9hG4bKb',
  'Max-Forwards: 70',
  'From: "A \\" B" <sip:a@example.com;x=y>;tag=1',
  't: <sip:b@example.com>',
  'Call-ID: c1@example.com',
  'CSeq: 1 INVITE',
  'Contact: <sip:a@198.51.100.7:5062>',
  'Subject: one',
  ' and more',
  'Content-Type: application/sdp',
  'Content-Length: 5',
  '',
  'v=0\r\n',
].join('\r\n')
const ANSWER = [
  'SIP/2.0 200 OK',
  'Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa',
  'From: <sip:a@example.com>;tag=1',
  'To: <sip:b@example.com>;tag=2',
  'Call-ID: c1@example.com',
  'CSeq: 1 INVITE',
  'Contact: <sip:b@198.51.100.7>',
  'Content-Length: 0',
  '',
  '',
].join('\r\n')
const STUN = '\x00\x01\x00\x08\x21\x12\xa4\x42abcdefghijkl\x80\x22\x00\x04abcd'

const OCTET = fc.nat(255).map((code) => String.fromCharCode(code))
const PIECE = fc.oneof(
  OCTET,
  fc.constantFrom(
    '\r\n',
    '\r',
    '\n',
    '\0',
    '"',
    '<',
    '>',
    ',',
    ';',
    ':',
    '%',
    '\\',
    ' ',
    '\t',
    '@',
    'SIP/2.0',
    '\r\n\r\n',
    '9'.repeat(30),
    ';'.repeat(50),
  ),
)
/** A message in which some places are cut out, replaced or filled in. */
const MUTANT = fc
  .tuple(
    fc.constantFrom(INVITE, ANSWER, STUN),
    fc.array(fc.record({ at: fc.nat(), remove: fc.nat(6), insert: fc.oneof(fc.constant(''), PIECE) }), {
      maxLength: 5,
    }),
  )
  .map(([text, edits]) => {
    for (const { at, remove, insert } of edits) {
      const start = at % (text.length + 1)
      text = text.slice(0, start) + insert + text.slice(start + remove)
    }
    return text
  })
const GARBAGE = fc.oneof(
  MUTANT,
  fc.array(PIECE, { maxLength: 60 }).map((pieces) => pieces.join('')),
)

function assertAnswers(texts: readonly string[]): void {
  for (const text of texts) {
    if (text.charCodeAt(0) <= 1) continue
    const answer = parseMessage(text)
    assert.ok(answer instanceof Response, text)
    assert.ok(answer.status >= 300)
    assert.equal(answer.text, text)
  }
}

test('the unmutated messages pass', () => {
  const { ports, user } = up()
  for (const text of [INVITE, ANSWER, STUN]) ports.net.sockets[0]?.receive(text, SOURCE)
  assert.deepEqual(user.texts, [INVITE, ANSWER])
  assert.equal(ports.net.sockets[0]?.sent.length, 1)
})

test('any datagram is taken without an error, and what is answered is a well-formed refusal', () => {
  fc.assert(
    fc.property(fc.array(GARBAGE, { maxLength: 8 }), (datagrams) => {
      const { ports, transport } = up()
      for (const text of datagrams) ports.net.sockets[0]?.receive(text.slice(0, 65_000), SOURCE)
      const sent = ports.net.sockets[0]?.sent ?? []
      assert.ok(sent.length <= datagrams.length)
      assertAnswers(sent.map(({ text }) => text))
      for (const { to } of sent) assert.equal(to.host, '198.51.100.7')
      assert.ok(transport.audit().flows <= 1)
      assert.equal(ports.clock.armed, 0)
    }),
    RUNS,
  )
})

test('any stream is taken without an error however it is cut, and leaves nothing behind', () => {
  fc.assert(
    fc.property(
      fc.array(GARBAGE, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 }),
      (texts, cuts) => {
        const octets = texts.join('')
        const outcomes = [[octets.length + 1], cuts].map((lengths) => {
          const { ports, user, transport } = up()
          const connection = ports.net.listeners[0]?.accept(SOURCE)
          assert.ok(connection)
          for (let at = 0, i = 0; at < octets.length; i += 1) {
            const length = lengths[i % lengths.length] ?? 1
            connection.receive(octets.slice(at, at + length))
            at += length
          }
          ports.clock.pass(400_000)
          assert.notEqual(connection.ended, null)
          assert.deepEqual(transport.audit(), { flows: 0, connections: 0, waitingOctets: 0 })
          assert.equal(ports.clock.armed, 0)
          // The tags in refusals are drawn in the same order.
          return { received: user.texts, sent: connection.sent }
        })
        assert.deepEqual(outcomes[1], outcomes[0])
      },
    ),
    RUNS,
  )
})
