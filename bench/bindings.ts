// Memory of many registered contacts, and the time to load them after a restart: node bench/bindings.ts [number].

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { aorFromUser, Binding, flatCopy } from '#access/binding.ts'
import { LOCATION_JOURNAL, Location } from '#access/location.ts'
import { hostPorts } from '#host/ports.ts'
import { HeaderId } from '#sip/header-id.ts'
import { parseMessage, Request } from '#sip/message.ts'

const DEFAULT_NUMBER = 1_000_000
/** For the last lines to be synced. */
const SETTLE_MS = 500
const DOMAIN = 'voice.example.net'
const LOCAL = { host: '192.0.2.1', port: 5060, family: 4 } as const
const PHONES = [
  'Yealink SIP-T54W 96.86.0.45',
  'Grandstream GXP2170 1.0.11.83',
  'PolyEdge-E350 8.2.1.0731',
  'Zoiper rv2.10',
]

const [mode = 'fill', folder = '', count = ''] = process.argv[2] === '--child' ? process.argv.slice(3) : ['parent']

if (mode === 'parent') {
  const number = Number(process.argv[2] ?? DEFAULT_NUMBER)
  const data = mkdtempSync(join(tmpdir(), 'carillon-bindings-'))
  try {
    for (const step of ['fill', 'load']) {
      const child = spawnSync(
        process.execPath,
        ['--expose-gc', '--max-old-space-size=8192', import.meta.filename, '--child', step, data, String(number)],
        { stdio: ['ignore', 'inherit', 'inherit'] },
      )
      if (child.status !== 0) throw new Error(`${step} ended with ${child.status}`)
    }
    const { size } = statSync(join(data, LOCATION_JOURNAL))
    console.log(`journal: ${(size / number).toFixed(0)} octets a binding`)
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
} else {
  await run(Number(count))
}

async function run(number: number): Promise<void> {
  const ports = hostPorts({ dataFolder: folder, logLevel: 'warn' })
  const before = memory()
  const startMs = performance.now()
  const cpu = process.cpuUsage()
  const location = new Location(ports)
  for (let i = 0; mode === 'fill' && i < number; i += 1) {
    register(ports.clock.now(), ports.clock.wallMs(), location, i)
    // The journal syncs in between, as in a running switch.
    if (i % 1_000 === 0) await setImmediate()
  }
  const elapsedMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(cpu)
  if (mode === 'fill') await setTimeout(SETTLE_MS)
  const after = memory()
  if (location.count !== number) throw new Error(`${location.count} bindings`)
  console.log(
    `${mode}: ${number} bindings in ${(elapsedMs / 1000).toFixed(1)} s (${((user + system) / number).toFixed(2)} µs CPU each), ` +
      `heap ${((after.heap - before.heap) / number).toFixed(0)}, resident ${((after.resident - before.resident) / number).toFixed(0)} octets a binding`,
  )
  location.close()
  process.exit(0)
}

/** A binding made as the registrar makes it: its texts are cut from a message of usual size. */
function register(nowMs: number, wallMs: number, location: Location, i: number): void {
  const user = String(100_000_000 + i)
  const host = `${10 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.7`
  const instance = `<urn:uuid:${i.toString(16).padStart(8, '0')}-3f2a-4c1e-9b7d-5e8f0a1b2c3d>`
  const request = parseMessage(
    `REGISTER sip:${DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.20:5060;branch=z9hG4bK${i}a8f3;rport\r\nMax-Forwards: 70\r\n` +
      `From: "User ${i}" <sip:${user}@${DOMAIN}>;tag=${i}af\r\nTo: <sip:${user}@${DOMAIN}>\r\nCall-ID: ${i}f81d4fae7dec11d0a76500a0c91e6bf6\r\n` +
      `CSeq: ${i} REGISTER\r\nContact: <sip:${user}@192.168.1.20:5060;transport=udp;line=${i}>;+sip.instance="${instance}"\r\n` +
      `User-Agent: ${PHONES[i % PHONES.length]}\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n`,
  )
  if (!(request instanceof Request)) throw new Error('request')
  const contact = request.nameAddrs(HeaderId.contact)?.[0]
  if (contact === undefined) throw new Error('contact')
  // Spread, as the refreshes of a running system are.
  const expiresMs = 3_600_000 + (i % 3_600) * 1_000
  const aor = flatCopy(aorFromUser(user, DOMAIN))
  const fields = {
    aor,
    contact: flatCopy(contact.uri.text),
    q: 1000,
    expiresAtMs: wallMs + expiresMs,
    callId: flatCopy(request.callId),
    cseq: request.cseq.number,
    path: [],
    instanceId: flatCopy(contact.param('+sip.instance') ?? ''),
    regId: 0,
    transport: 'udp',
    local: LOCAL,
    remote: { host, port: 1_024 + (i % 60_000), family: 4 },
    userAgent: location.intern(request.header(HeaderId.userAgent) ?? ''),
    needsFlow: true,
  } as const
  location.commit(aor, [new Binding(fields, nowMs + expiresMs)])
}

function memory(): { heap: number; resident: number } {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, resident: rss }
}
