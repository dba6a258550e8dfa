// CPU of the registrar alone, without sockets and transactions: node bench/register-cpu.ts [seconds].

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { Authenticator } from '#access/authenticator.ts'
import { Location } from '#access/location.ts'
import { Registrar } from '#access/registrar.ts'
import { hostPorts } from '#host/ports.ts'
import { ha1From } from '#sip/digest.ts'
import { DigestClient } from '#sip/digest-client.ts'
import { Flow } from '#sip/flow.ts'
import { parseMessage, Request, Response } from '#sip/message.ts'

const DOMAIN = 'example.net'
const USERS = 10_000
const ROUNDS = 12

class SilentFlow extends Flow {
  readonly local = { host: '192.0.2.1', port: 5060, family: 4 } as const
  send(): void {}
  watch(): void {}
  unwatch(): void {}
}

const data = mkdtempSync(join(tmpdir(), 'carillon-register-'))
try {
  const ports = hostPorts({ dataFolder: data, logLevel: 'warn' })
  const stored = new Map(
    Array.from({ length: USERS }, (_, i) => [
      `u${i}`,
      { ha1Md5: ha1From('MD5', `u${i}`, DOMAIN, 'pw'), ha1Sha256: ha1From('SHA-256', `u${i}`, DOMAIN, 'pw') },
    ]),
  )
  for (const algorithms of [['MD5'], ['SHA-256', 'MD5']] as const) {
    const authenticator = new Authenticator(
      ports,
      { find: (user) => stored.get(user) ?? null },
      { realm: DOMAIN, algorithms, nonceLifetimeS: 300, failuresMax: 5, backOffMinS: 1, backOffMaxS: 300 },
    )
    const location = new Location(ports)
    const registrar = new Registrar(ports, location, authenticator, {
      domain: DOMAIN,
      expiresMinS: 60,
      expiresMaxS: 3600,
      expiresDefaultS: 3600,
      contactsMax: 10,
      bindingsMax: 1_000_000,
      keepAliveS: 25,
      isOwnHost: (host) => host === DOMAIN,
    })
    const costs: { challenge: number; digest: number; register: number }[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      costs.push(await measure(registrar, authenticator, algorithms.length * 1_000 + round))
    }
    const best = (key: 'challenge' | 'digest' | 'register'): string => {
      const sorted = costs.slice(2).map((cost) => cost[key])
      return sorted.toSorted((a, b) => a - b)[Math.floor(sorted.length / 2)]?.toFixed(1) ?? '?'
    }
    console.log(
      `${algorithms.join(' and ')}: REGISTER challenged ${best('challenge')} µs, digest alone ${best('digest')} µs, ` +
        `REGISTER with credentials, journal and 200 ${best('register')} µs (medians of ${ROUNDS - 2} rounds of ${USERS})`,
    )
    location.close()
  }
} finally {
  rmSync(data, { recursive: true, force: true })
}
process.exit(0)

async function measure(registrar: Registrar, authenticator: Authenticator, round: number) {
  const random = { bytes: () => {}, uint32: () => round }
  const flow = new SilentFlow('udp', { host: '192.0.2.10', port: 5060, family: 4 }, '192.0.2.1:5060')
  const first = Array.from({ length: USERS }, (_, i) => parsed(i, 2 * round + 1, ''))
  const answers: string[] = []
  const challenge = await cost((i) => {
    const request = first[i]
    if (request === undefined) return
    registrar.onRequest({
      request,
      flow,
      respond: (status, reason, headers) => answers.push(`SIP/2.0 ${status} ${reason}\r\n${headers}\r\n`),
      refuse: (status, reason, headers) => answers.push(`SIP/2.0 ${status} ${reason}\r\n${headers}\r\n`),
    })
  })
  const clients = answers.map((text, i) => {
    const client = new DigestClient(random, `u${i}`, 'pw')
    const response = parseMessage(text)
    if (!(response instanceof Response) || client.receive(response) !== 'answerable') throw new Error(text)
    return client
  })
  const withCredentials = (): Request[] =>
    clients.map((client, i) => parsed(i, 2 * round + 2, client.headers('REGISTER', `sip:${DOMAIN}`)))
  const second = withCredentials()
  let ok = 0
  const digest = await cost((i) => {
    const request = second[i]
    if (request !== undefined && authenticator.authenticate(request, flow.remote, 'www').ok) ok += 1
  })
  const third = withCredentials()
  const register = await cost((i) => {
    const request = third[i]
    if (request !== undefined)
      registrar.onRequest({ request, flow, respond: (status) => (ok += status === 200 ? 1 : 0), refuse: () => {} })
  })
  if (ok !== 2 * USERS) throw new Error(`${ok} succeeded`)
  return { challenge, digest, register }
}

/** CPU-microseconds a call of `work`, the syncing of the journal included. */
async function cost(work: (i: number) => void): Promise<number> {
  const before = process.cpuUsage()
  for (let i = 0; i < USERS; i += 1) {
    work(i)
    if (i % 100 === 99) await setImmediate()
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / USERS
}

function parsed(i: number, cseq: number, authorization: string): Request {
  const message = parseMessage(
    `REGISTER sip:${DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-${i}-${cseq}\r\nMax-Forwards: 70\r\n` +
      `From: <sip:u${i}@${DOMAIN}>;tag=${i}\r\nTo: <sip:u${i}@${DOMAIN}>\r\nCall-ID: ${i}-7712@192.0.2.10\r\nCSeq: ${cseq} REGISTER\r\n` +
      `Contact: <sip:u${i}@192.0.2.10:5060>\r\nExpires: 3600\r\nUser-Agent: SIPp\r\n${authorization}Content-Length: 0\r\n\r\n`,
  )
  if (!(message instanceof Request)) throw new Error('request')
  return message
}
