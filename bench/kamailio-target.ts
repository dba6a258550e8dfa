// Kamailio from Debian as the peer of the benchmark: stateful, keeping dialogs, routing by table, writing CDRs.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import {
  freePort,
  prefixes,
  startPinned,
  TARGET_HOST,
  type Target,
  type TargetKind,
  TRUNK_HOST,
} from '#bench/target.ts'

const SHARED_MEGABYTES = 2048
const PACKAGE_MEGABYTES = 16
const TABLE_LOAD_MS = 3_000

export const kamailio: TargetKind = {
  name: 'Kamailio',

  version(): string {
    return /kamailio (\S+)/.exec(execFileSync('kamailio', ['-v'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
  },

  async start(folder: string, trunkPort: number): Promise<Target> {
    const tables = join(folder, 'db')
    mkdirSync(tables, { recursive: true })
    writeTables(tables, trunkPort)
    const port = await freePort(TARGET_HOST)
    const template = readFileSync(join(import.meta.dirname, 'peers/kamailio/kamailio.cfg'), 'utf8')
    const file = join(folder, 'kamailio.cfg')
    writeFileSync(file, template.replaceAll('SIP_PORT', String(port)).replaceAll('DBTEXT_DIR', tables))
    const memory = ['-m', String(SHARED_MEGABYTES), '-M', String(PACKAGE_MEGABYTES)]
    const command = ['kamailio', '-DD', '-E', '-f', file, '-Y', folder, ...memory]
    const target = await startPinned('Kamailio', command, { log: join(folder, 'log'), cwd: folder, port, trunkPort })
    // It answers OPTIONS before drouting has its table: until then calls get 404.
    await sleep(TABLE_LOAD_MS)
    return target
  },
}

/** The tables of db_text for drouting: two gateways, and every prefix to the first with the second behind it. */
function writeTables(folder: string, trunkPort: number): void {
  const write = (name: string, lines: readonly string[]): void =>
    writeFileSync(join(folder, name), `${lines.join('\n')}\n`)
  write('version', [
    'table_name(string) table_version(int)',
    'dr_gateways:3',
    'dr_rules:3',
    'dr_groups:2',
    'dr_gw_lists:1',
  ])
  write('dr_gateways', [
    'gwid(int,auto) type(int) address(string) strip(int) pri_prefix(string,null) attrs(string,null) description(string)',
    `1:0:${TRUNK_HOST}\\:${trunkPort}:0:::uas`,
    `2:0:${TRUNK_HOST}\\:${trunkPort + 1}:0:::backup`,
  ])
  write('dr_rules', [
    'ruleid(int,auto) groupid(string) prefix(string) timerec(string) priority(int) routeid(string) gwlist(string) ' +
      'description(string)',
    ...[...prefixes()].map((prefix, index) => `${index + 1}:0:${prefix}:\\0:1:0:1,2:r`),
  ])
  write('dr_groups', ['id(int,auto) username(string) domain(string) groupid(int) description(string)'])
  write('dr_gw_lists', ['id(int,auto) gwlist(string) description(string)'])
}
