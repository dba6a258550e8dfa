// The configuration of a first start without a configuration file: this machine, and two subscribers to try it with.

import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { mainAddress } from '#bin/machine.ts'
import { readIfThere, writePrivate } from '#host/data-folder.ts'

/** Below the data folder. It holds the passwords, so it is for our user alone. */
export const DEMONSTRATION_FILE = 'demonstration.yaml'
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

/** What the summary shows, and the file that holds the configuration. */
export interface Demonstration {
  readonly file: string
  readonly domain: string
  readonly subscribers: readonly DemonstrationSubscriber[]
}

function freshPassword(): string {
  return Array.from({ length: PASSWORD_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}

/** The password of `user` in an earlier demonstration file. */
function keptPassword(text: string, user: string): string | null {
  return new RegExp(`user: "${user}", password: "([a-z0-9]{8,64})"`).exec(text)?.[1] ?? null
}

/** Writes DATA/demonstration.yaml for the machine's present address, with the passwords of the first time. */
export function demonstration(folder: string): Demonstration {
  const file = join(folder, DEMONSTRATION_FILE)
  const earlier = readIfThere(file) ?? ''
  const domain = mainAddress()
  const subscriber = (user: string, number: string, name: string): DemonstrationSubscriber => ({
    user,
    number,
    name,
    password: keptPassword(earlier, user) ?? freshPassword(),
  })
  const subscribers = [subscriber('1001', '+12025550101', 'Alice'), subscriber('1002', '+12025550102', 'Bob')]
  writePrivate(file, configText(domain, subscribers))
  return { file, domain, subscribers }
}

function configText(domain: string, subscribers: readonly DemonstrationSubscriber[]): string {
  const entries = subscribers.map(
    ({ user, password, number, name }) =>
      `  - {user: "${user}", password: "${password}", number: "${number}", name: "${name}"}\n`,
  )
  return `# Made by carillon start because there was no configuration file; written anew at each such start.
# To have your own: copy it to carillon.yaml, change it there, and start again.
domain: ${domain}
sip:
  listen: ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060", "tls:0.0.0.0:5061"]
manager:
  listen: 127.0.0.1:8080
subscribers:
${entries.join('')}`
}
