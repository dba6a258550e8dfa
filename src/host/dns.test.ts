// Look-ups against a name server on loopback.

import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import type { DnsRecord, DnsType } from '#core/net.ts'
import { DEFAULT_TTL_S, Dns, RESOLVES_MAX, RESOLVES_MAX_REACHED } from '#host/dns.ts'

const TYPES: Readonly<Record<number, DnsType>> = { 1: 'A', 28: 'AAAA', 33: 'SRV', 35: 'NAPTR' }

function domain(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  return Buffer.concat([...labels.map(text), Buffer.from([0])])
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])
}

function numbers(...values: number[]): Buffer {
  return Buffer.concat(values.map((value) => Buffer.from([value >> 8, value & 255])))
}

/** Answers by name and type: resource data of each record, or a response code. */
const ANSWERS: Readonly<Record<string, Buffer[] | number>> = {
  'example.net A': [Buffer.from([192, 0, 2, 1]), Buffer.from([192, 0, 2, 2])],
  'example.net AAAA': [Buffer.from('20010db8000000000000000000000001', 'hex')],
  '_sip._udp.example.net SRV': [Buffer.concat([numbers(10, 60, 5_060), domain('east.example.net')])],
  'example.net NAPTR': [
    Buffer.concat([numbers(50, 60), text('s'), text('SIP+D2U'), text(''), domain('_sip._udp.example.net')]),
  ],
  'nothing.example A': [],
  'unknown.example A': 3,
  'failing.example A': 2,
}

/** Replies to one query; null for a name that is never answered. */
function reply(query: Buffer): Buffer | null {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const type = TYPES[query.readUInt16BE(at + 1)] ?? 'A'
  const answer = ANSWERS[`${labels.join('.').toLowerCase()} ${type}`]
  if (answer === undefined) return null
  const records = typeof answer === 'number' ? [] : answer
  const code = typeof answer === 'number' ? answer : 0
  const header = Buffer.concat([query.subarray(0, 2), numbers(0x8180 | code, 1, records.length, 0, 0)])
  const bodies = records.map((record) =>
    Buffer.concat([numbers(0xc00c, query.readUInt16BE(at + 1), 1, 0, 300, record.byteLength), record]),
  )
  return Buffer.concat([header, query.subarray(12, at + 5), ...bodies])
}

const server: Socket = createSocket('udp4')
let dns: Dns
before(async () => {
  server.on('message', (query, source) => {
    const answer = reply(query)
    if (answer !== null) server.send(answer, source.port, source.address)
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  dns = new Dns({ servers: [`127.0.0.1:${server.address().port}`], timeoutMs: 300 })
})
after(() => {
  dns.close()
  server.close()
})

interface Answer {
  records: readonly DnsRecord[]
  failure: string | null
}

function resolve(name: string, type: DnsType): Promise<Answer> {
  return new Promise((done) => {
    let returned = false
    dns.resolve(name, type, {
      onResolved: (answeredName, answeredType, records, failure) => {
        assert.ok(returned, 'answered before the call had returned')
        assert.deepEqual([answeredName, answeredType], [name, type])
        done({ records, failure })
      },
    })
    returned = true
  })
}

test('addresses come with their time to live', async () => {
  const four = await resolve('example.net', 'A')
  assert.equal(four.failure, null)
  assert.deepEqual(
    [...four.records].map((record) => ({ ...record })),
    [
      { type: 'A', address: '192.0.2.1', ttlS: 300 },
      { type: 'A', address: '192.0.2.2', ttlS: 300 },
    ],
  )
  const six = await resolve('example.net', 'AAAA')
  assert.deepEqual({ ...six.records[0] }, { type: 'AAAA', address: '2001:db8::1', ttlS: 300 })
})

test('SRV and NAPTR records carry the default time to live', async () => {
  const { records } = await resolve('_sip._udp.example.net', 'SRV')
  const srv = { type: 'SRV', priority: 10, weight: 60, port: 5_060, target: 'east.example.net', ttlS: DEFAULT_TTL_S }
  assert.deepEqual({ ...records[0] }, srv)
  const naptr = await resolve('example.net', 'NAPTR')
  assert.deepEqual(
    { ...naptr.records[0] },
    {
      type: 'NAPTR',
      order: 50,
      preference: 60,
      flags: 's',
      service: 'SIP+D2U',
      regexp: '',
      replacement: '_sip._udp.example.net',
      ttlS: DEFAULT_TTL_S,
    },
  )
})

test('no such name and no such record are an empty answer, not a failure', async () => {
  assert.deepEqual(await resolve('nothing.example', 'A'), { records: [], failure: null })
  assert.deepEqual(await resolve('unknown.example', 'A'), { records: [], failure: null })
})

test('a server that fails or is silent gives a word', async () => {
  assert.equal((await resolve('failing.example', 'A')).failure, 'ESERVFAIL')
  assert.equal((await resolve('silent.example', 'A')).failure, 'ETIMEOUT')
  assert.notEqual((await resolve('x'.repeat(300), 'A')).failure, null)
})

test('localhost is answered without asking (RFC 6761 §6.3)', async () => {
  assert.deepEqual((await resolve('LocalHost', 'A')).records, [
    { type: 'A', address: '127.0.0.1', ttlS: DEFAULT_TTL_S },
  ])
  assert.deepEqual((await resolve('phone.localhost.', 'AAAA')).records, [
    { type: 'AAAA', address: '::1', ttlS: DEFAULT_TTL_S },
  ])
  assert.deepEqual(await resolve('_sip._udp.localhost', 'SRV'), { records: [], failure: null })
})

test('look-ups under way are bounded', async () => {
  const answers = await Promise.all(Array.from({ length: RESOLVES_MAX + 5 }, () => resolve('example.net', 'A')))
  assert.equal(answers.filter(({ failure }) => failure === RESOLVES_MAX_REACHED).length, 5)
})
