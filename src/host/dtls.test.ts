import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dtls, DtlsSession, DtlsSink } from '#core/dtls.ts'
import { type SrtpKeys, sameSrtpKeys } from '#core/srtp-keys.ts'
import { openSslDtls } from '#host/dtls.ts'
import { type CertificatePair, makeCertificate } from '#host/self-signed.ts'
import { systemClock } from '#host/system-clock.ts'

const clock = systemClock((error) => {
  throw error
})

async function identity(): Promise<{ readonly pair: CertificatePair; readonly dtls: Dtls }> {
  const pair = await makeCertificate(['dtls.test'], Date.now())
  const dtls = openSslDtls(pair, clock)
  assert.ok(dtls !== null)
  return { pair, dtls }
}

/** One side of an association. What it sends goes to `peer`, from the event loop, unless `loses` says so. */
class Side implements DtlsSink {
  readonly session: DtlsSession
  readonly events: string[] = []
  readonly sent: Uint8Array[] = []
  inbound: SrtpKeys | null = null
  outbound: SrtpKeys | null = null
  deliver: (bytes: Uint8Array) => void = () => {}
  loses: (datagram: number) => boolean = () => false
  readonly ended: Promise<void>
  #onEnd: () => void = () => {}

  constructor(dtls: Dtls, role: 'active' | 'passive', fingerprint: string) {
    this.ended = new Promise((resolve) => {
      this.#onEnd = resolve
    })
    const session = dtls.open({ role, fingerprint, sink: this })
    assert.ok(session !== null)
    this.session = session
  }

  onDtlsSend(bytes: Uint8Array): void {
    assert.ok(bytes.length <= 1_200)
    const copy = bytes.slice()
    this.sent.push(copy)
    if (!this.loses(this.sent.length - 1)) setImmediate(() => this.deliver(copy))
  }

  onDtlsKeys(inbound: SrtpKeys, outbound: SrtpKeys): void {
    this.events.push('keys')
    this.inbound = inbound
    this.outbound = outbound
    this.#onEnd()
  }

  onDtlsFailed(reason: string): void {
    this.events.push(reason)
    this.#onEnd()
  }

  onDtlsClosed(): void {
    this.events.push('closed')
    this.#onEnd()
  }
}

function connect(a: Side, b: Side): void {
  a.deliver = (bytes) => b.session.onDatagram(bytes)
  b.deliver = (bytes) => a.session.onDatagram(bytes)
}

test('RFC 5764 §4.2: both sides have the same keys, each in its own direction', async () => {
  const [ours, theirs] = [await identity(), await identity()]
  const client = new Side(ours.dtls, 'active', theirs.dtls.fingerprint)
  const server = new Side(theirs.dtls, 'passive', ours.dtls.fingerprint.toLowerCase())
  assert.equal(client.sent.length, 0, 'nothing before open has returned')
  connect(client, server)
  await Promise.all([client.ended, server.ended])
  assert.equal(client.inbound?.suite, 'AEAD_AES_128_GCM')
  assert.ok(sameSrtpKeys(client.inbound, server.outbound))
  assert.ok(sameSrtpKeys(client.outbound, server.inbound))
  assert.ok(!sameSrtpKeys(client.inbound, client.outbound))
  client.session.close()
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  assert.deepEqual(server.events, ['keys', 'closed'])
  client.session.onDatagram(new Uint8Array(100))
  client.session.close()
  server.session.close()
})

test('RFC 5763 §5: a certificate with another fingerprint gets a bad_certificate alert and no keys', async () => {
  const [ours, theirs] = [await identity(), await identity()]
  const client = new Side(ours.dtls, 'active', ours.dtls.fingerprint)
  const server = new Side(theirs.dtls, 'passive', ours.dtls.fingerprint)
  connect(client, server)
  await client.ended
  assert.deepEqual(client.events, ['DTLS_FINGERPRINT'])
  // Alert (21), fatal (2), bad_certificate (42).
  const alerts = client.sent.filter((bytes) => bytes[0] === 21).map((bytes) => [bytes[13], bytes[14]])
  assert.deepEqual(alerts[0], [2, 42])
  assert.ok(!server.events.includes('keys'))
  server.session.close()
  // The same the other way round: the server refuses, and goes on waiting for the right one.
  const stranger = new Side(ours.dtls, 'active', theirs.dtls.fingerprint)
  const waiting = new Side(theirs.dtls, 'passive', theirs.dtls.fingerprint)
  connect(stranger, waiting)
  await new Promise<void>((resolve) => {
    stranger.deliver = (bytes) => {
      waiting.session.onDatagram(bytes)
      if (waiting.sent.some((sent) => sent[0] === 21)) resolve()
    }
  })
  stranger.session.close()
  const right = new Side(theirs.dtls, 'active', theirs.dtls.fingerprint)
  connect(right, waiting)
  await Promise.all([right.ended, waiting.ended])
  assert.deepEqual([stranger.events, waiting.events, right.events], [[], ['keys'], ['keys']])
  right.session.close()
  waiting.session.close()
})

test('RFC 6347 §4.2.4: a lost flight is sent again', async () => {
  const [ours, theirs] = [await identity(), await identity()]
  const client = new Side(ours.dtls, 'active', theirs.dtls.fingerprint)
  const server = new Side(theirs.dtls, 'passive', ours.dtls.fingerprint)
  connect(client, server)
  client.loses = (datagram) => datagram === 0
  await Promise.all([client.ended, server.ended])
  assert.deepEqual([...client.events, ...server.events], ['keys', 'keys'])
  client.session.close()
  server.session.close()
})

test('RFC 6347 §4.2.4: the last flight is sent again when the far side repeats its own', async () => {
  const [ours, theirs] = [await identity(), await identity()]
  const client = new Side(ours.dtls, 'active', theirs.dtls.fingerprint)
  const server = new Side(theirs.dtls, 'passive', ours.dtls.fingerprint)
  connect(client, server)
  let lost = 0
  server.loses = () => server.events.length === 0 && client.sent.length >= 2 && lost++ === 0
  await Promise.all([client.ended, server.ended])
  assert.equal(lost > 0, true)
  assert.deepEqual([...client.events, ...server.events], ['keys', 'keys'])
  client.session.close()
  server.session.close()
})

/** A record of epoch 0. */
function plainRecord(type: number, ...fragment: readonly number[]): Uint8Array {
  return new Uint8Array([type, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, fragment.length, ...fragment])
}

test('RFC 6347 §4.1.2.7: forged records before the handshake do not keep the far side from it', async () => {
  const [ours, theirs] = [await identity(), await identity()]
  const client = new Side(ours.dtls, 'active', theirs.dtls.fingerprint)
  const server = new Side(theirs.dtls, 'passive', ours.dtls.fingerprint)
  // A fatal alert, and a ClientHello that says nothing.
  server.session.onDatagram(plainRecord(21, 2, 40))
  server.session.onDatagram(plainRecord(22, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
  connect(client, server)
  await Promise.all([client.ended, server.ended])
  assert.deepEqual([...client.events, ...server.events], ['keys', 'keys'])
  client.session.close()
  server.session.close()
})

test('RFC 6347 §4.1.2.7: a forged alert within the handshake ends nothing', async () => {
  const [ours, theirs] = [await identity(), await identity()]
  const client = new Side(ours.dtls, 'active', theirs.dtls.fingerprint)
  const server = new Side(theirs.dtls, 'passive', ours.dtls.fingerprint)
  connect(client, server)
  let forged = false
  client.deliver = (bytes) => {
    server.session.onDatagram(bytes)
    if (forged) return
    forged = true
    client.session.onDatagram(plainRecord(21, 2, 40))
  }
  await Promise.all([client.ended, server.ended])
  assert.deepEqual([...client.events, ...server.events], ['keys', 'keys'])
  client.session.close()
  server.session.close()
})

test('any octets, and any change of a good flight, are taken without an error', async () => {
  const [ours, theirs] = [await identity(), await identity()]
  const flights: Uint8Array[] = []
  const client = new Side(ours.dtls, 'active', theirs.dtls.fingerprint)
  const server = new Side(theirs.dtls, 'passive', ours.dtls.fingerprint)
  connect(client, server)
  await Promise.all([client.ended, server.ended])
  flights.push(...client.sent, ...server.sent)
  const changed = fc
    .tuple(fc.constantFrom(...flights), fc.array(fc.tuple(fc.nat(1_200), fc.nat(255)), { minLength: 1, maxLength: 8 }))
    .map(([flight, changes]) => {
      const bytes = flight.slice()
      for (const [at, octet] of changes) bytes[at % bytes.length] = octet
      return bytes
    })
  const junk = fc.tuple(fc.integer({ min: 20, max: 25 }), fc.uint8Array({ maxLength: 200 })).map(([type, rest]) => {
    return new Uint8Array([type, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, rest.length, ...rest])
  })
  fc.assert(
    fc.property(
      fc.constantFrom('active' as const, 'passive' as const),
      fc.array(fc.oneof(fc.uint8Array({ maxLength: 100 }), changed, junk), { maxLength: 12 }),
      (role, datagrams) => {
        const side = new Side(ours.dtls, role, theirs.dtls.fingerprint)
        for (const bytes of datagrams) side.session.onDatagram(bytes)
        for (const bytes of datagrams) client.session.onDatagram(bytes)
        for (const bytes of datagrams) server.session.onDatagram(bytes)
        assert.ok(!side.events.includes('keys'))
        side.session.close()
      },
    ),
    { numRuns: 300 },
  )
  assert.deepEqual([client.events, server.events], [['keys'], ['keys']])
  // The association is alive: its end comes through.
  client.session.close()
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  assert.deepEqual(server.events, ['keys', 'closed'])
})

test('sessions are bounded, and their place is free again once they are closed', async () => {
  const { dtls } = await identity()
  const sink: DtlsSink = { onDtlsSend() {}, onDtlsKeys() {}, onDtlsFailed() {}, onDtlsClosed() {} }
  const open = (): DtlsSession | null => dtls.open({ role: 'passive', fingerprint: dtls.fingerprint, sink })
  const sessions: DtlsSession[] = []
  for (let session = open(); session !== null; session = open()) sessions.push(session)
  assert.equal(sessions.length, 4_096)
  for (const session of sessions) session.close()
  const again = open()
  assert.ok(again !== null)
  again.close()
})

const withoutOpenssl = spawnSync('openssl', ['version']).status === 0 ? false : 'there is no openssl'

/** Octets of the keying material for AES_CM_128_HMAC_SHA1_80: two keys, two salts. */
const MATERIAL_OCTETS = 60

/** Carries the session of `side` over a socket of its own until the peer program has printed its keying material. */
async function materialOf(child: ChildProcess): Promise<string> {
  let output = ''
  return new Promise((resolve, reject) => {
    const read = (bytes: Buffer): void => {
      output += bytes.toString('latin1')
      const match = /Keying material: ([0-9A-F]{120})/.exec(output)
      if (match !== null && output.includes('SRTP_AES128_CM_SHA1_80')) resolve(match[1] as string)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.on('exit', () => reject(new Error(output)))
  })
}

function hexOf(keys: SrtpKeys | null): readonly [string, string] {
  const hex = (bytes: Uint8Array | undefined): string =>
    Buffer.from(bytes ?? [])
      .toString('hex')
      .toUpperCase()
  return [hex(keys?.masterKey), hex(keys?.masterSalt)]
}

const PEER = ['-dtls1_2', '-use_srtp', 'SRTP_AES128_CM_SHA1_80', '-keymatexport', 'EXTRACTOR-dtls_srtp']

for (const keyType of ['ec', 'rsa'] as const) {
  const kind = keyType === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['rsa:2048']

  test(`openssl s_client with an ${keyType} certificate agrees on the same keys`, {
    skip: withoutOpenssl,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dtls-'))
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
    execFileSync(
      'openssl',
      [...['req', '-x509', '-newkey', ...kind, '-nodes', '-keyout', key, '-out', certificate, '-subj', '/CN=peer']],
      { stdio: 'ignore' },
    )
    const fingerprint = execFileSync('openssl', ['x509', '-in', certificate, '-noout', '-fingerprint', '-sha256'])
    const { dtls } = await identity()
    const side = new Side(dtls, 'passive', fingerprint.toString().split('=')[1]?.trim() ?? '')
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    socket.on('message', (bytes, source) => {
      side.deliver = (reply) => socket.send(reply, source.port, source.address)
      side.session.onDatagram(bytes)
    })
    const child = spawn('openssl', [
      ...['s_client', '-connect', `127.0.0.1:${(socket.address() as AddressInfo).port}`, ...PEER],
      ...['-keymatexportlen', String(MATERIAL_OCTETS), '-cert', certificate, '-key', key],
    ])
    try {
      const material = await materialOf(child)
      await side.ended
      const [client, server] = [hexOf(side.inbound), hexOf(side.outbound)]
      assert.equal(material, client[0] + server[0] + client[1] + server[1])
      assert.equal(side.inbound?.suite, 'AES_CM_128_HMAC_SHA1_80')
    } finally {
      child.removeAllListeners('exit')
      child.kill('SIGKILL')
      side.session.close()
      side.deliver = () => {}
      socket.close()
      rmSync(folder, { recursive: true })
    }
  })
}

test('openssl s_server agrees on the same keys', { skip: withoutOpenssl }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dtls-'))
  const theirs = await identity()
  const { dtls } = await identity()
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  writeFileSync(key, theirs.pair.key)
  writeFileSync(certificate, theirs.pair.certificate)
  // A port that was free a moment ago.
  const probe = createSocket('udp4')
  await new Promise<void>((resolve) => probe.bind(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise<void>((resolve) => probe.close(() => resolve()))
  const child = spawn('openssl', [
    ...['s_server', '-accept', `127.0.0.1:${port}`, ...PEER, '-keymatexportlen', String(MATERIAL_OCTETS)],
    ...['-cert', certificate, '-key', key, '-Verify', '1'],
  ])
  const socket = createSocket('udp4')
  const material = materialOf(child)
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (bytes: Buffer) => bytes.includes('ACCEPT') && resolve())
  })
  const side = new Side(dtls, 'active', theirs.dtls.fingerprint)
  side.deliver = (bytes) => socket.send(bytes, port, '127.0.0.1')
  socket.on('message', (bytes) => side.session.onDatagram(bytes))
  try {
    const text = await material
    await side.ended
    const [client, server] = [hexOf(side.outbound), hexOf(side.inbound)]
    assert.equal(text, client[0] + server[0] + client[1] + server[1])
  } finally {
    child.removeAllListeners('exit')
    child.kill('SIGKILL')
    side.session.close()
    side.deliver = () => {}
    socket.close()
    rmSync(folder, { recursive: true })
  }
})
