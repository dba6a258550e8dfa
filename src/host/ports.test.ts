// The bundle of ports, the log, the random numbers, the trial certificate and the identity of TLS peers.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { Timer } from '#core/clock.ts'
import { uniform } from '#core/random.ts'
import { PinoLog, plainLine } from '#host/pino-log.ts'
import { hostPorts } from '#host/ports.ts'
import { selfSigned, watchFiles } from '#host/self-signed.ts'
import { systemClock } from '#host/system-clock.ts'
import { SystemRandom } from '#host/system-random.ts'
import { identifiesDomain, subjectAltNames } from '#host/tls-peer.ts'

const FOLDER = mkdtempSync(join(tmpdir(), 'carillon-host-'))
after(() => rmSync(FOLDER, { recursive: true }))

test('the ports of a process work together', async () => {
  const faults: unknown[] = []
  const ports = hostPorts({
    dataFolder: join(FOLDER, 'data'),
    logLevel: 'error',
    onFault: (error) => faults.push(error),
  })
  const startMs = ports.clock.now()
  await new Promise<void>((resolve) => {
    ports.clock.arm(
      new Timer({
        onTimer: () => {
          throw new Error('broken')
        },
      }),
      'A',
      5,
    )
    ports.clock.arm(new Timer({ onTimer: () => resolve() }), 'B', 20)
  })
  assert.ok(ports.clock.now() - startMs >= 20, 'fired early')
  assert.equal(faults.length, 1)
  await new Promise<void>((resolve) => {
    const sink = { onDurable: () => resolve(), onStoreError: assert.fail }
    ports.store.open('x.jsonl', () => {}, sink).journal.append('line')
  })
  assert.equal(readFileSync(join(FOLDER, 'data/x.jsonl'), 'utf8'), 'line\n')
})

test('random numbers are spread over their whole range, and given out once', () => {
  const random = new SystemRandom()
  const seen = new Set<number>()
  let bits = 0
  for (let index = 0; index < 10_000; index++) {
    const value = random.uint32()
    assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** 32)
    seen.add(value)
    bits |= value
  }
  assert.ok(seen.size > 9_900)
  assert.equal(bits >>> 0, 0xffff_ffff)
  const bytes = new Uint8Array(64)
  random.bytes(bytes.subarray(0, 0))
  random.bytes(bytes)
  assert.ok(new Set(bytes).size > 16)
  assert.ok(uniform(random, 6) < 6)
})

test('an event is one JSON line with level, time, code and fields, and one plain line for a person', () => {
  const lines: string[] = []
  const stream = { write: (line: string) => lines.push(line) }
  const clock = systemClock(() => {})
  const log = new PinoLog(clock, { level: 'info', fields: { node: 'east' }, stream })
  log.event('debug', 'not_logged', {})
  log.event('warn', 'trunk_down', { trunkGroup: 'west', since: 12, name: null, text: 'a "b"\nc' })
  assert.equal(lines.length, 1)
  const { time, ...rest } = JSON.parse(lines[0] as string)
  assert.equal(new Date(time).toISOString(), time)
  assert.ok(Math.abs(Date.parse(time) - clock.wallMs()) < 60_000)
  assert.deepEqual(rest, {
    level: 40,
    node: 'east',
    code: 'trunk_down',
    trunkGroup: 'west',
    since: 12,
    name: null,
    text: 'a "b"\nc',
  })
  const plain = plainLine(lines[0] as string)
  assert.match(plain, /^\d\d:\d\d:\d\d\.\d{3} warn {2}trunk_down node=east trunkGroup=west since=12 name=null text="a /)
  assert.equal(plain.indexOf('\n'), plain.length - 1)
})

test('a trial certificate is made once, kept, and made again when it is about to expire; its key is private', async () => {
  const folder = join(FOLDER, 'tls')
  const now = Date.now()
  const first = await selfSigned(folder, ['pbx.example.net', '192.0.2.1'], now)
  const certificate = new X509Certificate(first.certificate)
  assert.equal(certificate.checkHost('pbx.example.net'), 'pbx.example.net')
  assert.equal(certificate.checkIP('192.0.2.1'), '192.0.2.1')
  assert.equal(statSync(join(folder, 'server.key')).mode & 0o777, 0o600)
  assert.deepEqual(await selfSigned(folder, ['pbx.example.net'], now), first)
  const second = await selfSigned(folder, ['pbx.example.net'], now + 340 * 86_400_000)
  assert.notEqual(second.certificate, first.certificate)
  assert.ok(!existsSync(join(folder, 'server.key.new')))
  writeFileSync(join(folder, 'server.crt'), 'nothing')
  assert.notEqual((await selfSigned(folder, ['pbx.example.net'], now)).certificate, 'nothing')
})

test('a changed, replaced or turned file is reported once it has settled', async () => {
  const path = join(FOLDER, 'watched.crt')
  writeFileSync(path, '1')
  const clock = systemClock(() => {})
  let changed: () => void = () => {}
  let changes = 0
  const watch = watchFiles(
    [path, join(FOLDER, 'nowhere/x')],
    clock,
    () => {
      changes++
      changed()
    },
    () => {},
  )
  const next = (): Promise<void> => new Promise((resolve) => (changed = resolve))
  let wait = next()
  writeFileSync(path, '2')
  writeFileSync(path, '3')
  await wait
  assert.equal(changes, 1)
  wait = next()
  unlinkSync(path)
  symlinkSync('/dev/null', path)
  await wait
  assert.equal(changes, 2)
  watch.close()
  assert.equal(clock.size, 0)
})

test('a subjectAltName is split so that no value passes for two', () => {
  assert.deepEqual(subjectAltNames('DNS:Example.net, URI:sip:example.net, IP Address:192.0.2.1'), [
    { type: 'DNS', value: 'example.net' },
    { type: 'URI', value: 'sip:example.net' },
    { type: 'IP Address', value: '192.0.2.1' },
  ])
  assert.deepEqual(subjectAltNames('othername:"x, DNS:victim.example, \\" y", DNS:b.example'), [
    { type: 'othername', value: 'x, dns:victim.example, " y' },
    { type: 'DNS', value: 'b.example' },
  ])
  fc.assert(fc.property(fc.string(), (text) => assert.ok(Array.isArray(subjectAltNames(text)))))
})

test('a domain is identified by URI or DNS name, never by a wildcard, by the common name only without them (RFC 5922 §7)', () => {
  const dns = (value: string): { type: string; value: string } => ({ type: 'DNS', value })
  const uri = (value: string): { type: string; value: string } => ({ type: 'URI', value })
  assert.ok(identifiesDomain([dns('example.net')], null, 'Example.NET.'))
  assert.ok(identifiesDomain([uri('sip:example.net'), dns('other')], null, 'example.net'))
  assert.ok(!identifiesDomain([dns('*.example.net')], null, 'a.example.net'))
  assert.ok(!identifiesDomain([uri('sip:alice@example.net')], null, 'example.net'))
  assert.ok(!identifiesDomain([dns('other.example')], 'example.net', 'example.net'))
  assert.ok(identifiesDomain([uri('https://example.net')], 'example.net', 'example.net'))
})
