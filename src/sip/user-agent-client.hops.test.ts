// One request of ours: its next hops in turn (RFC 3263 §4.3), and CANCEL (RFC 3261 §9.1).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DnsRecord } from '#core/net.ts'
import { nameOf, parseRequest, responseText, StackRig } from '#sip/_rig.test.ts'
import { OutgoingRequest } from '#sip/outgoing-request.ts'
import { parseUri, type Uri } from '#sip/uri.ts'
import { UserAgentClient } from '#sip/user-agent-client.ts'

const ZONE: Readonly<Record<string, readonly DnsRecord[]>> = {
  'SRV _sip._udp.example.net': ['a', 'b', 'c'].map((name, index) => ({
    type: 'SRV' as const,
    priority: index,
    weight: 1,
    port: 5060,
    target: `${name}.example.net`,
    ttlS: 600,
  })),
  'A a.example.net': [{ type: 'A', address: '198.51.100.1', ttlS: 600 }],
  'A b.example.net': [{ type: 'A', address: '198.51.100.2', ttlS: 600 }],
  'A c.example.net': [{ type: 'A', address: '198.51.100.3', ttlS: 600 }],
}

class Rig extends StackRig {
  readonly outcomes: string[] = []
  #read = 0

  client(method: string): UserAgentClient {
    const request = new OutgoingRequest({
      method,
      uriText: 'sip:bob@example.net',
      from: '<sip:alice@example.net>;tag=ours',
      to: '<sip:bob@example.net>',
      callId: 'c',
      sequence: 1,
      contactUser: 'u',
    })
    return new UserAgentClient(this.stack, request, {
      onResponse: (_client, response) => this.outcomes.push(String(response.status)),
      onNoResponse: (_client, why) => this.outcomes.push(`${why.status} ${why.code}`),
    })
  }

  start(method: string): UserAgentClient {
    const client = this.client(method)
    client.startTowards(uri())
    this.resolve(ZONE)
    return client
  }

  /** Has every question answered, and those that follow. */
  resolve(zone: Readonly<Record<string, readonly DnsRecord[]>>): void {
    for (let round = 0; round < 4; round += 1) {
      this.ports.net.answer(zone)
      this.clock.pass(0)
    }
  }

  /** "INVITE 1" for each message since the last look: what, and to which hop. */
  hops(): string[] {
    const all = this.ports.net.sockets[0]?.sent ?? []
    const fresh = all.slice(this.#read)
    this.#read = all.length
    return fresh.map(({ text, to }) => `${nameOf(text)} ${to.host.slice(-1)}`)
  }

  /** The last request that went out. */
  last(method: string): string {
    const all = this.ports.net.sockets[0]?.sent ?? []
    return all.findLast(({ text }) => text.startsWith(`${method} `))?.text ?? ''
  }

  reply(method: string, status: number, headers = ''): void {
    this.receive(responseText(parseRequest(this.last(method)), status, { headers }))
  }

  override assertIdle(): void {
    assert.deepEqual(this.layer.audit(), { serverTransactions: 0, clientTransactions: 0 })
    assert.equal(this.clock.armed, 0)
  }
}

function uri(): Uri {
  const parsed = parseUri('sip:bob@example.net')
  assert.ok(parsed !== null)
  return parsed
}

test('a 503 leads to the next hop, and the last one is the outcome (RFC 3263 §4.3, §21.5.4)', () => {
  for (const method of ['INVITE', 'OPTIONS']) {
    const rig = new Rig()
    rig.start(method)
    for (const hop of [1, 2, 3]) {
      assert.equal(rig.hops().at(-1), `${method} ${hop}`)
      rig.reply(method, 503)
    }
    assert.deepEqual(rig.outcomes, ['503'])
    rig.clock.pass(70_000)
    rig.assertIdle()
  }
})

test('no response in 64·T1 leads to the next hop, with a new branch (RFC 3263 §4.3)', () => {
  const rig = new Rig()
  rig.start('OPTIONS')
  const first = parseRequest(rig.last('OPTIONS')).topmostVia.branch
  rig.clock.pass(32_000)
  assert.equal(rig.hops().at(-1), 'OPTIONS 2')
  assert.notEqual(parseRequest(rig.last('OPTIONS')).topmostVia.branch, first)
  rig.reply('OPTIONS', 200)
  assert.deepEqual(rig.outcomes, ['200'])
  rig.clock.pass(70_000)
  rig.assertIdle()
})

test('when no hop answers the outcome is a time-out (§8.1.3.1)', () => {
  const rig = new Rig()
  rig.start('INVITE')
  rig.clock.pass(100_000)
  assert.deepEqual(rig.outcomes, ['408 SIP_TIMEOUT'])
  rig.assertIdle()
})

test('a hop that failed is tried last until its hold-down is over; Retry-After lengthens it (RFC 3263 §4.3, §20.33)', () => {
  for (const [headers, afterMs, first] of [
    ['', 20_000, 2],
    ['', 31_000, 1],
    ['Retry-After: 120\r\n', 100_000, 2],
    ['Retry-After: 120\r\n', 121_000, 1],
    ['Retry-After: 0\r\n', 0, 1],
  ] as const) {
    const rig = new Rig()
    rig.start('OPTIONS')
    rig.reply('OPTIONS', 503, headers)
    rig.reply('OPTIONS', 200)
    rig.clock.pass(afterMs)
    rig.hops()
    rig.start('OPTIONS')
    assert.deepEqual(rig.hops(), [`OPTIONS ${first}`], `${headers}after ${afterMs} ms`)
  }
})

test('a name without addresses is a transport failure (§8.1.3.1)', () => {
  const rig = new Rig()
  const client = rig.client('OPTIONS')
  client.startTowards(uri())
  rig.resolve({})
  assert.deepEqual(rig.outcomes, ['503 SIP_UNRESOLVED'])
  assert.equal(client.isDone, true)
  rig.assertIdle()
})

test('a request that is cancelled before its next hop is known is not sent (§9.1)', () => {
  const rig = new Rig()
  const client = rig.client('INVITE')
  client.startTowards(uri())
  client.cancel('')
  rig.resolve(ZONE)
  assert.deepEqual([rig.hops(), rig.outcomes], [[], ['408 SIP_CANCELLED']])
  rig.assertIdle()
})

test('the CANCEL waits for a provisional response, and goes where its INVITE went (§9.1)', () => {
  const rig = new Rig()
  const client = rig.start('INVITE')
  client.cancel('Reason: SIP;cause=200\r\n')
  client.cancel('')
  assert.deepEqual(rig.hops(), ['INVITE 1'])
  rig.reply('INVITE', 100)
  assert.deepEqual(rig.hops(), ['CANCEL 1'])
  rig.reply('CANCEL', 200)
  rig.reply('INVITE', 487)
  assert.deepEqual(rig.outcomes, ['100', '487'])
  rig.clock.pass(70_000)
  rig.assertIdle()
})

test('after a CANCEL no further hop is tried (§9.1)', () => {
  const rig = new Rig()
  rig.start('INVITE').cancel('')
  rig.reply('INVITE', 503)
  assert.deepEqual(rig.outcomes, ['503'])
  const silent = new Rig()
  silent.start('INVITE').cancel('')
  silent.clock.pass(32_000)
  assert.deepEqual(silent.outcomes, ['408 SIP_TIMEOUT'])
  silent.clock.pass(70_000)
  silent.assertIdle()
})

test('64·T1 after the CANCEL without a final response the request is over (§9.1)', () => {
  const rig = new Rig()
  const client = rig.start('INVITE')
  rig.reply('INVITE', 180)
  rig.clock.pass(5_000)
  client.cancel('')
  rig.clock.pass(31_999)
  assert.deepEqual(rig.outcomes, ['180'])
  rig.clock.pass(1)
  assert.deepEqual(rig.outcomes, ['180', '408 SIP_TIMEOUT'])
  rig.clock.pass(70_000)
  rig.assertIdle()
})

test('every 2xx to an INVITE goes up, and is ended by itself once nobody is there for it (RFC 6026 §7.2)', () => {
  const rig = new Rig()
  const client = rig.start('INVITE')
  rig.reply('INVITE', 200)
  rig.reply('INVITE', 200)
  assert.deepEqual(rig.outcomes, ['200', '200'])
  rig.hops()
  client.release()
  rig.reply('INVITE', 200)
  assert.deepEqual(rig.outcomes, ['200', '200'])
  assert.deepEqual(
    rig.hops().map((hop) => hop.split(' ')[0]),
    ['ACK', 'BYE'],
  )
})

test('whatever comes in whatever order, a request has one outcome and leaves nothing behind', () => {
  const event = fc.constantFrom('100', '180', '200', '404', '486', '503', '603', 'cancel', '1 s', '33 s')
  fc.assert(
    fc.property(
      fc.constantFrom('INVITE', 'OPTIONS'),
      fc.array(event, { maxLength: 25, size: 'max' }),
      (method, events) => {
        const rig = new Rig()
        const client = rig.start(method)
        for (const step of events) {
          if (step === 'cancel') client.cancel('')
          else if (step.endsWith(' s')) rig.clock.pass(Number(step.slice(0, -2)) * 1_000)
          else rig.reply(method, Number(step))
        }
        client.cancel('')
        rig.clock.pass(300_000)
        const finals = rig.outcomes.filter((outcome) => !/^1/.test(outcome))
        const answers = finals.filter((outcome) => outcome === '200')
        assert.ok(finals.length === 1 || (method === 'INVITE' && answers.length === finals.length), finals.join())
        rig.assertIdle()
      },
    ),
  )
})
