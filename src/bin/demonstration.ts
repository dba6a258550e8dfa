// The configuration of a first start without a configuration file: this machine, and two subscribers to try it with.

import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { mainAddress } from '#bin/machine.ts'
import { readIfThere, writePrivate } from '#host/data-folder.ts'

/** Below the data folder. It holds the passwords, so it is for our user alone. */
const DEMONSTRATION_FILE = 'demonstration.yaml'
/** Letters and digits that nobody mistakes for one another when typing them into a telephone. */
const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789'
/** 12 of 31 characters: 59 bits, too many to guess over a network that holds guessers back. */
const PASSWORD_LENGTH = 12

export interface DemonstrationSubscriber {
  readonly user: string
  readonly password: string
  readonly number: string
  readonly name: string
}

/** Taken in this order where another program has the usual port. */
const SIP_PORTS: readonly number[] = [5060, 5070, 5080, 5090]
const HTTP_PORTS: readonly number[] = [8080, 8081, 8082, 8088, 8888]

/** What the summary shows, and the file that holds the configuration. */
export interface Demonstration {
  readonly file: string
  readonly domain: string
  readonly sipPort: number
  readonly subscribers: readonly DemonstrationSubscriber[]
}

function freshPassword(): string {
  return Array.from({ length: PASSWORD_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}

/** The password of `user` in an earlier demonstration file. */
function keptPassword(text: string, user: string): string | null {
  return new RegExp(`user: "${user}", password: "([a-z0-9]{8,64})"`).exec(text)?.[1] ?? null
}

/** Where the demonstration of a data folder stands. */
export function demonstrationFile(folder: string): string {
  return join(folder, DEMONSTRATION_FILE)
}

/** Writes DATA/demonstration.yaml for the machine's present address and free ports, with the passwords of the first time. */
export async function demonstration(folder: string): Promise<Demonstration> {
  const file = demonstrationFile(folder)
  const earlier = readIfThere(file) ?? ''
  const domain = mainAddress()
  const subscriber = (user: string, number: string, name: string): DemonstrationSubscriber => ({
    user,
    number,
    name,
    password: keptPassword(earlier, user) ?? freshPassword(),
  })
  const subscribers = [subscriber('1001', '+12025550101', 'Alice'), subscriber('1002', '+12025550102', 'Bob')]
  const sipPort = await firstFree(SIP_PORTS, '0.0.0.0', [0, 1])
  const httpPort = await firstFree(HTTP_PORTS, '127.0.0.1', [0])
  writePrivate(file, configText(domain, sipPort, httpPort, subscribers))
  return { file, domain, sipPort, subscribers }
}

/** The first port that nobody uses, nor those `offsets` above it; the first of all when none is free. */
async function firstFree(ports: readonly number[], host: string, offsets: readonly number[]): Promise<number> {
  for (const port of ports) {
    const free = await Promise.all(offsets.map((offset) => isFree(port + offset, host)))
    if (!free.includes(false)) return port
  }
  return ports[0] ?? 0
}

/** Whether nobody uses the port over TCP or UDP. */
async function isFree(port: number, host: string): Promise<boolean> {
  const stream = createServer()
  const datagrams = createSocket('udp4')
  try {
    await once(stream.listen(port, host), 'listening')
    await once(datagrams.bind(port, host), 'listening')
    return true
  } catch {
    return false
  } finally {
    stream.close()
    datagrams.close()
  }
}

function configText(
  domain: string,
  sipPort: number,
  httpPort: number,
  subscribers: readonly DemonstrationSubscriber[],
): string {
  const entries = subscribers.map(
    ({ user, password, number, name }) =>
      `  - {user: "${user}", password: "${password}", number: "${number}", name: "${name}"}\n`,
  )
  return `# Made by carillon start because there was no configuration file; written anew at each such start.
# To have your own: copy it to carillon.yaml, change it there, and start again.
domain: ${domain}
sip:
  listen: ["udp:0.0.0.0:${sipPort}", "tcp:0.0.0.0:${sipPort}", "tls:0.0.0.0:${sipPort + 1}"]
manager:
  listen: 127.0.0.1:${httpPort}
subscribers:
${entries.join('')}`
}
