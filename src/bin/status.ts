// carillon status.

import { API_OPTIONS, API_USAGE, askApi, printAnswer } from '#bin/api-client.ts'
import { type Command, FAILED } from '#bin/command.ts'
import type { SystemStatus } from '#bin/system-status.ts'

const DAY_S = 86_400

/** A time span as a person says it: 42 s, 5 min 3 s, 2 h 17 min, 12 d 4 h. */
function spanText(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  const [days, hours, minutes] = [
    Math.floor(seconds / DAY_S),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
  ]
  if (days > 0) return `${days} d ${hours} h`
  if (hours > 0) return `${hours} h ${minutes} min`
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`
}

function gatewayText({ gateway, state, draining, calls }: SystemStatus['gateways'][number]): string {
  return `${gateway} ${draining ? 'draining' : state}, ${calls} ${calls === 1 ? 'call' : 'calls'}`
}

/** The status in lines for a person. */
export function statusText(status: SystemStatus): string {
  // While it drains it is not up for a load balancer, and says so itself.
  const state = status.up ? 'up' : status.draining ? status.reason : `down: ${status.reason}`
  const lines = [
    ['state', state],
    ['version', status.version],
    ['domain', status.domain],
    ['configuration', status.configVersion || '-'],
    ['listening', status.listening.join(', ') || '-'],
    ['calls', status.calls],
    ['registrations', status.registrations],
    ['up for', spanText(status.uptimeMs)],
    ['restarts', status.restarts],
    ...status.gateways.map((one) => ['media gateway', gatewayText(one)] as const),
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
