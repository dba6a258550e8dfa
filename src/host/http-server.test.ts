// The HTTP interface: who gets in, what each address answers, and what bad input is told.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { GUESSES_MAX, HttpAccess } from '#host/http-access.ts'
import { newestCdrs } from '#host/http-cdrs.ts'
import { counter, gauge, processRows, prometheusText } from '#host/http-metrics.ts'
import { type HttpSources, httpServer, signInPath } from '#host/http-server.ts'

const TOKEN = 'the-admin-token'
const BEARER = { authorization: `Bearer ${TOKEN}` }

interface Answers {
  up: boolean
  rows: unknown
  reload: unknown
}

function rig(t: TestContext, answers: Partial<Answers> = {}) {
  const access = new HttpAccess(TOKEN)
  const told: string[] = []
  const sources: HttpSources = {
    health: () => ({ up: answers.up ?? true, reason: 'the switch is starting' }),
    status: () => ({ up: true }),
    ask: async (question, limit) => {
      told.push(`${question} ${limit}`)
      return question === 'reload' ? (answers.reload ?? null) : (answers.rows ?? null)
    },
    counters: async () => [counter('carillon_a_total{x="1"}', 'A', 1)],
    cdrs: async (limit, before) => [{ sequence: before, limit }],
    drain: () => told.push('drain'),
    onFault: (reference) => told.push(`fault ${reference.length}`),
  }
  const app = httpServer(sources, access)
  t.after(() => app.close())
  return { app, access, told, sources }
}

test('/healthz answers 200 when all is up, and 503 with the reason before', async (t) => {
  const up = await rig(t).app.inject('/healthz')
  assert.equal(up.statusCode, 200)
  const down = await rig(t, { up: false }).app.inject('/healthz')
  assert.equal(down.statusCode, 503)
  assert.deepEqual(down.json(), { status: 'down', reason: 'the switch is starting' })
})

test('/metrics is Prometheus text and needs no token', async (t) => {
  const response = await rig(t).app.inject('/metrics')
  assert.match(String(response.headers['content-type']), /^text\/plain; version=0\.0\.4/)
  assert.equal(response.body, '# HELP carillon_a_total A\n# TYPE carillon_a_total counter\ncarillon_a_total{x="1"} 1\n')
})

test('the API refuses everybody without the token or a session', async (t) => {
  const { app } = rig(t, { rows: [] })
  for (const url of ['/api/v1/status', '/api/v1/calls', '/api/v1/nothing']) {
    const response = await app.inject(url)
    assert.equal(response.statusCode, 401, url)
    assert.equal(response.json().error.code, 'HTTP_UNAUTHENTICATED')
    assert.equal(response.headers['www-authenticate'], 'Bearer')
  }
  const wrong = await app.inject({ url: '/api/v1/status', headers: { authorization: 'Bearer wrong' } })
  assert.equal(wrong.statusCode, 401)
  const right = await app.inject({ url: '/api/v1/status', headers: BEARER })
  assert.equal(right.statusCode, 200)
})

test('an address that guesses tokens is told to wait, but nobody with the right one is locked out', async (t) => {
  const { app } = rig(t)
  for (let i = 0; i < GUESSES_MAX; i++) {
    await app.inject({ url: '/api/v1/status', headers: { authorization: `Bearer ${i}` } })
  }
  const response = await app.inject({ url: '/api/v1/status', headers: { authorization: 'Bearer another' } })
  assert.equal(response.statusCode, 429)
  assert.equal(response.json().error.code, 'HTTP_TOO_MANY_GUESSES')
  assert.equal((await app.inject({ url: '/api/v1/status', headers: BEARER })).statusCode, 200)
})

test('lists pass their limit on and refuse one that is out of bounds', async (t) => {
  const { app, told } = rig(t, { rows: [{ callId: 'a' }] })
  const calls = await app.inject({ url: '/api/v1/calls?limit=7', headers: BEARER })
  assert.deepEqual(calls.json(), { items: [{ callId: 'a' }] })
  assert.deepEqual(told, ['calls 7'])
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'other=1', 'limit=1.5']) {
    const response = await app.inject({ url: `/api/v1/registrations?${query}`, headers: BEARER })
    assert.equal(response.statusCode, 400, query)
    assert.equal(response.json().error.code, 'HTTP_BAD_REQUEST')
  }
})

test('without an answer of the switch a list is 503', async (t) => {
  const response = await rig(t).app.inject({ url: '/api/v1/calls', headers: BEARER })
  assert.equal(response.statusCode, 503)
  assert.equal(response.json().error.code, 'SWITCH_NOT_ANSWERING')
})

test('a refused reload says where the configuration is wrong', async (t) => {
  const { app } = rig(t, { reload: { ok: false, problems: ['carillon.yaml:3:7: unknown key'] } })
  const response = await app.inject({ method: 'POST', url: '/api/v1/reload', headers: BEARER })
  assert.equal(response.statusCode, 422)
  assert.deepEqual(response.json(), { error: { code: 'CONFIG_REFUSED', message: 'carillon.yaml:3:7: unknown key' } })
})

test('a sign-in link works once and gives a session that reads', async (t) => {
  const { app, access } = rig(t, { rows: [] })
  assert.equal((await app.inject('/')).statusCode, 401)
  const path = signInPath(access)
  const signedIn = await app.inject(path)
  assert.equal(signedIn.statusCode, 200)
  const setCookie = String(signedIn.headers['set-cookie'])
  assert.match(setCookie, /HttpOnly; SameSite=Strict/)
  const cookie = setCookie.split(';')[0] ?? ''
  assert.equal((await app.inject(path)).statusCode, 401)
  assert.match((await app.inject({ url: '/', headers: { cookie } })).body, /Last call records/)
  assert.equal((await app.inject({ url: '/api/v1/calls', headers: { cookie } })).statusCode, 200)
})

test('a session changes things from our own pages only, and ends with signing out', async (t) => {
  const { app, access, told } = rig(t)
  const cookie = String((await app.inject(signInPath(access))).headers['set-cookie']).split(';')[0] ?? ''
  const post = (url: string, origin: string) =>
    app.inject({ method: 'POST', url, headers: { cookie, origin, host: '127.0.0.1:8080' } })
  const foreign = await post('/api/v1/drain', 'http://evil.example')
  assert.equal(foreign.json().error.code, 'HTTP_FOREIGN_ORIGIN')
  assert.deepEqual(told, [])
  assert.equal((await post('/api/v1/drain', 'http://127.0.0.1:8080')).statusCode, 202)
  assert.deepEqual(told, ['drain'])
  await post('/api/v1/sign-out', 'http://127.0.0.1:8080')
  assert.equal((await app.inject({ url: '/api/v1/status', headers: { cookie } })).statusCode, 401)
})

test('what does not exist, is too large or is no JSON has a code', async (t) => {
  const { app } = rig(t)
  const code = async (options: object): Promise<string> => (await app.inject(options)).json().error.code
  assert.equal(await code({ url: '/nothing' }), 'HTTP_NOT_FOUND')
  assert.equal(await code({ url: '/api/v1/nothing', headers: BEARER }), 'HTTP_NOT_FOUND')
  assert.equal(await code({ url: '/%zz' }), 'HTTP_BAD_REQUEST')
  const post = { method: 'POST', url: '/api/v1/drain', headers: { ...BEARER, 'content-type': 'application/json' } }
  assert.equal(await code({ ...post, payload: '{' }), 'HTTP_BAD_REQUEST')
  assert.equal(await code({ ...post, payload: `"${'a'.repeat(70_000)}"` }), 'HTTP_TOO_LARGE')
  const xml = { ...post, headers: { ...BEARER, 'content-type': 'text/xml' }, payload: '<a/>' }
  assert.equal(await code(xml), 'HTTP_MEDIA_TYPE')
})

test('a fault of ours is 500 with a reference and nothing of our insides', async (t) => {
  const access = new HttpAccess(TOKEN)
  const faults: string[] = []
  const { sources } = rig(t)
  const broken: HttpSources = {
    ...sources,
    cdrs: () => Promise.reject(new Error('the secret inside')),
    onFault: (reference) => faults.push(reference),
  }
  const app = httpServer(broken, access)
  t.after(() => app.close())
  const response = await app.inject({ url: '/api/v1/cdrs', headers: BEARER })
  assert.equal(response.statusCode, 500)
  assert.ok(!response.body.includes('secret'))
  assert.ok(response.body.includes(faults[0] ?? '-'))
})

test('octets that are no HTTP get a 400 with a code', async (t) => {
  const { app } = rig(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(address.port, address.address)
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
    })
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
    socket.write('INVITE sip:bob@example.net SIP/2.0\r\n\r\n')
  })
  assert.match(answer, /^HTTP\/1\.1 400 /)
  assert.match(answer, /HTTP_MALFORMED/)
})

test('Prometheus text groups the rows of one name under one heading and escapes help', () => {
  const text = prometheusText([
    counter('a_total{m="INVITE"}', 'Line\nbreak', 1),
    gauge('b', 'B', 2.5),
    counter('a_total{m="BYE"}', 'Line\nbreak', 3),
  ])
  assert.equal(
    text,
    '# HELP a_total Line\\nbreak\n# TYPE a_total counter\na_total{m="INVITE"} 1\na_total{m="BYE"} 3\n# HELP b B\n# TYPE b gauge\nb 2.5\n',
  )
})

test('the rows of a process that does not exist are none', async () => {
  assert.deepEqual(await processRows('switch', 0x7fffffff), [])
})

test('the newest records come first, across files, chunks and a torn tail', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-cdrs-'))
  t.after(() => rmSync(folder, { recursive: true }))
  let sequence = 1
  for (const count of [3, 2_000, 5]) {
    const name = `${String(sequence).padStart(16, '0')}.jsonl`
    let text = ''
    for (let i = 0; i < count; i++)
      text += `${JSON.stringify({ sequence: sequence++, callId: `é${'x'.repeat(90)}` })}\n`
    writeFileSync(join(folder, name), sequence > 2_008 ? `${text}{"sequence":99` : text)
  }
  writeFileSync(join(folder, 'notes.txt'), 'no records here')
  const numbers = async (limit: number, before: number) =>
    (await newestCdrs(folder, limit, before)).map((row) => row.sequence)
  assert.deepEqual(await numbers(3, Number.MAX_SAFE_INTEGER), [2_008, 2_007, 2_006])
  assert.deepEqual(await numbers(2, 5), [4, 3])
  assert.deepEqual(await numbers(10, 3), [2, 1])
  const all = await numbers(5_000, Number.MAX_SAFE_INTEGER)
  assert.deepEqual(
    all,
    Array.from({ length: 2_008 }, (_, i) => 2_008 - i),
  )
  assert.deepEqual(await newestCdrs(join(folder, 'absent'), 5, 10), [])
})

test('whatever stands in a journal file, reading it backwards gives the records in order', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-cdrs-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const line = fc.oneof(
    fc.nat().map((sequence) => JSON.stringify({ sequence })),
    fc.string().map((s) => s.replaceAll('\n', '')),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 40 }), async (lines) => {
      writeFileSync(join(folder, '0000000000000001.jsonl'), lines.join('\n'))
      const expected = lines
        .map((text) => /^\{"sequence":(\d+)\}$/.exec(text)?.[1])
        .filter((digits) => digits !== undefined)
        .map(Number)
        .reverse()
      const found = await newestCdrs(folder, 100, Number.MAX_SAFE_INTEGER)
      assert.deepEqual(
        found.map((row) => row.sequence),
        expected,
      )
    }),
    { numRuns: 50 },
  )
})
