// carillon status.

import { API_OPTIONS, API_USAGE, askApi, printAnswer } from '#bin/api-client.ts'
import { type Command, FAILED } from '#bin/command.ts'
import type { SystemStatus } from '#bin/system-status.ts'

function statusText(status: SystemStatus): string {
  const state = status.up ? 'up' : `down: ${status.reason}`
  const lines = [
    ['state', state],
    ['version', status.version],
    ['domain', status.domain],
    ['configuration', status.configVersion || '-'],
    ['listening', status.listening.join(', ') || '-'],
    ['calls', status.calls],
    ['registrations', status.registrations],
    ['up for', `${Math.round(status.uptimeMs / 1_000)} s`],
    ['restarts', status.restarts],
  ]
  return lines.map(([name, value]) => `${String(name).padEnd(14)} ${value}\n`).join('')
}

export const command: Command = {
  summary: 'say how the running system is; exit status 1 when it is not up',
  usage: API_USAGE,
  options: API_OPTIONS,
  words: [0, 0],
  async run(args) {
    const status = await askApi<SystemStatus>(args, 'GET', '/status')
    printAnswer(args, status, statusText)
    return status.up ? 0 : FAILED
  },
}
