// Carillon as its users start it: supervisor and switch, with its store on disk.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

import {
  CALLER_HOST,
  freePort,
  prefixes,
  startPinned,
  subscriber,
  TARGET_HOST,
  type Target,
  type TargetKind,
  TRUNK_HOST,
  USERS,
} from '#bench/target.ts'

const ROOT = join(import.meta.dirname, '..')

/**
 * `alone` runs the switch without supervisor; `nodeArguments` go before the program (--cpu-prof …); `anchored` has media go
 * through the embedded gateway, else it goes end to end.
 */
export function carillon(alone: boolean, nodeArguments: readonly string[] = [], anchored = false): TargetKind {
  return {
    name: 'Carillon',

    version(): string {
      const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
      const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim()
      return `${manifest.version} (${commit})`
    },

    async start(folder: string, trunkPort: number): Promise<Target> {
      const data = join(folder, 'data')
      mkdirSync(data, { recursive: true })
      const port = await freePort(TARGET_HOST)
      const file = join(folder, 'carillon.yaml')
      writeFileSync(file, configuration(port, await freeTcpPort(), trunkPort, anchored))
      const program = join(ROOT, 'src/bin/carillon.ts')
      const command = [
        process.execPath,
        ...nodeArguments,
        program,
        alone ? 'switch' : 'start',
        '--config',
        file,
        '--data',
        data,
        '--drain-seconds',
        '0',
      ]
      const log = join(folder, 'log')
      return startPinned('Carillon', command, { log, cwd: folder, port, trunkPort })
    },
  }
}

/** Same users, routes and trunks as the peer has; no limit that the load could meet. MD5 only, as the peer offers. */
function configuration(port: number, httpPort: number, trunkPort: number, anchored: boolean): string {
  const lines = [
    `domain: ${TARGET_HOST}`,
    'sip:',
    `  listen: ["udp:${TARGET_HOST}:${port}"]`,
    'access:',
    '  algorithms: [MD5]',
    'limits: {callsMax: 1000000, callsPerSecondMax: 1000000, transactionsMax: 10000000}',
    anchored ? `media: {listen: ${TARGET_HOST}, ports: 20000-59999}` : 'media: {gateways: none}',
    `manager: {listen: "127.0.0.1:${httpPort}"}`,
    'trunkGroups:',
    `  - {name: in, peers: ["${CALLER_HOST}"], channelsMax: 1000000, cpsMax: 100000, direction: in}`,
    `  - {name: out, peers: ["${TRUNK_HOST}:${trunkPort}", "${TRUNK_HOST}:${trunkPort + 1}"], channelsMax: 1000000, cpsMax: 100000, direction: out}`,
    'subscribers:',
  ]
  for (let n = 0; n < USERS; n++) {
    const { user, password } = subscriber(n)
    lines.push(`  - {user: ${user}, password: ${password}}`)
  }
  lines.push('routes:')
  for (const prefix of prefixes()) lines.push(`  - {prefix: "${prefix}", trunkGroups: [out]}`)
  return `${lines.join('\n')}\n`
}

async function freeTcpPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
