// The framed summary that a person at a terminal sees when all is up.

import { relative } from 'node:path'
import type { Demonstration } from '#bin/demonstration.ts'
import { mainAddress } from '#bin/machine.ts'
import { VERSION } from '#bin/product.ts'

export interface WelcomeFacts {
  readonly listening: readonly string[]
  readonly domain: string
  /** The console with its one-time code. */
  readonly signInUrl: string
  readonly configFile: string
  readonly dataFolder: string
  readonly demonstration: Demonstration | null
  /** Numbers that the system answers itself. */
  readonly services: readonly ServiceNumberFacts[]
}

export interface ServiceNumberFacts {
  readonly number: string
  readonly service: string
}

/** How a person calls each service. */
const SERVICE_NAMES: Readonly<Record<string, string>> = {
  echo: 'echo test',
  milliwatt: 'milliwatt tone',
  time: 'the time',
  conference: 'conference',
}
/** Service numbers that are shown; the rest is in the configuration. */
const SERVICES_SHOWN_MAX = 8

const LABEL_WIDTH = 15
const PADDING = 2
/** What a telephone takes when it is told none. */
const SIP_PORT = 5060

/** "udp:0.0.0.0:5060" as a telephone would need it: the machine's address in place of the wildcard. */
function reachable(listening: string): string {
  const [transport, ...rest] = listening.split(':')
  return `${transport} ${rest.join(':').replace(/^0\.0\.0\.0:/, `${mainAddress()}:`)}`
}

/** A path as a person here would type it. */
function shortPath(path: string): string {
  const fromHere = relative('', path)
  return fromHere.startsWith('..') ? path : fromHere
}

/** The lines inside the frame; an empty one separates. */
function welcomeLines(facts: WelcomeFacts): string[] {
  const row = (label: string, value: string): string => `${label.padEnd(LABEL_WIDTH)}${value}`
  const [firstListening = '', ...otherListening] = facts.listening.map(reachable)
  const lines = [
    row('Status page', facts.signInUrl),
    row('', '(this link signs in once; npx carillon sign-in makes another)'),
    row('SIP', firstListening),
    ...otherListening.map((address) => row('', address)),
    row('Domain', facts.domain),
    row('Configuration', `${facts.demonstration === null ? '' : 'demonstration, in '}${shortPath(facts.configFile)}`),
    row('Data', shortPath(facts.dataFolder)),
  ]
  const shown = facts.services.slice(0, SERVICES_SHOWN_MAX)
  for (const [i, { number, service }] of shown.entries()) {
    lines.push(row(i === 0 ? 'To dial' : '', `${number}   ${SERVICE_NAMES[service] ?? service}`))
  }
  if (facts.demonstration !== null) lines.push('', ...demonstrationLines(facts.demonstration))
  lines.push('', 'Ctrl-C stops when the calls have ended; twice, at once.')
  return lines
}

function demonstrationLines({ domain, sipPort, subscribers }: Demonstration): string[] {
  const [one, two] = subscribers
  const server = sipPort === SIP_PORT ? domain : `${domain}:${sipPort}`
  const hint = [
    'To try it, set up two SIP telephones (Linphone, Zoiper, baresip, a desk',
    'telephone …), each with one of these accounts:',
    '',
    ...subscribers.map(({ user, password, name }) => `    user ${user}   password ${password}   (${name})`),
    '',
    `    domain, server or registrar: ${server}     transport: UDP or TCP`,
  ]
  if (one !== undefined && two !== undefined) hint.push('', `Then dial ${two.user} on the telephone of ${one.user}.`)
  return hint
}

/** The summary in a frame as wide as its longest line. With `colour` the frame is drawn faint. */
export function welcomeText(facts: WelcomeFacts, colour: boolean): string {
  const lines = welcomeLines(facts)
  const width = Math.max(...lines.map((line) => line.length)) + 2 * PADDING
  const title = ` Carillon ${VERSION} is up `
  const faint = (text: string): string => (colour ? `\u001b[2m${text}\u001b[22m` : text)
  const bold = (text: string): string => (colour ? `\u001b[1m${text}\u001b[22m` : text)
  const top = `${faint('╭─')}${bold(title)}${faint(`${'─'.repeat(Math.max(0, width - title.length - 1))}╮`)}`
  const body = ['', ...lines, ''].map((line) => {
    const padded = ' '.repeat(PADDING) + line
    return `${faint('│')}${padded.padEnd(width)}${faint('│')}`
  })
  return `\n${[top, ...body, faint(`╰${'─'.repeat(width)}╯`)].join('\n')}\n\n`
}
