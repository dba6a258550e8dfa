// npm run bench: measures Carillon beside Kamailio and rtpengine and writes the tables of bench/README.md.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { carillon } from '#bench/carillon-target.ts'
import { kamailio } from '#bench/kamailio-target.ts'
import { Loads } from '#bench/loads.ts'
import { type Bench, FULL, MEASURES, ON_REQUEST, QUICK, type Row } from '#bench/measures.ts'
import { MEDIA_MEASURES, type MediaBench } from '#bench/media-measures.ts'
import { gateway, rtpengine } from '#bench/media-targets.ts'
import { printProfile } from '#bench/profile.ts'
import { renderTable, writeTable } from '#bench/table.ts'
import { freePort, type Target, type TargetKind, TRUNK_HOST } from '#bench/target.ts'

const USAGE = `npm run bench -- [options]
  --quick       one short run of each: for a look, not for the table
  --only NAME   one measure; may be given several times: ${Object.keys(MEASURES).join(', ')},
                ${Object.keys(MEDIA_MEASURES).join(', ')}
  --media       the measures of the media gateway alone
  --soak        also ten minutes at half the highest rate
  --soak-rate N calls a second of the soak, when the highest rate is not measured in the same run
  --no-peer     without Kamailio and rtpengine
  --peer-only   Kamailio alone
  --alone       the switch without its supervisor
  --no-table    print only, leave bench/README.md as it is
  --profile     run the measures (default: call-max) on the switch alone under --cpu-prof and say where the time goes
  --keep        keep the folder with configurations, logs and records`

const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    media: { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
    'soak-rate': { type: 'string', default: '500' },
    peer: { type: 'boolean', default: true },
    'peer-only': { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
    table: { type: 'boolean', default: true },
    profile: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}

if (options.help) {
  process.stdout.write(`${USAGE}\n`)
  process.exit(0)
}
const chosen = options.only.filter((name) => MEDIA_MEASURES[name] === undefined)
const switchOnly = options.profile || options['peer-only']
const mediaNames =
  options.only.length > 0
    ? options.only.filter((name) => MEDIA_MEASURES[name] !== undefined)
    : switchOnly
      ? []
      : Object.keys(MEDIA_MEASURES)
const names =
  options.only.length > 0 || options.media ? chosen : Object.keys(MEASURES).filter((name) => !ON_REQUEST.has(name))
if (options.profile && options.only.length === 0) names.splice(0, names.length, 'call-max')
if (options.soak) names.push('soak')
for (const name of names) if (MEASURES[name] === undefined) fail(`no measure ${name}\n${USAGE}`)

const programs = ['taskset', 'sipp']
if (options.peer && !options.profile && names.length > 0) programs.push('kamailio')
if (options.peer && mediaNames.length > 0) programs.push('rtpengine')
for (const program of programs) {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
  } catch {
    fail(`${program} is not installed (Debian: apt-get install util-linux sip-tester kamailio rtpengine-daemon)`)
  }
}

const folder = mkdtempSync(join(tmpdir(), 'carillon-bench-'))
const profileFolder = join(folder, 'profile')
const kinds: TargetKind[] = []
if (options.profile) {
  mkdirSync(profileFolder)
  kinds.push(carillon(true, ['--cpu-prof', '--cpu-prof-dir', profileFolder]))
} else {
  if (options.peer || options['peer-only']) kinds.push(kamailio)
  if (!options['peer-only']) kinds.push(carillon(options.alone))
}
let started = 0
let targets: Target[] = []

async function restart(): Promise<readonly Target[]> {
  for (const target of targets) await target.stop()
  targets = []
  for (const kind of kinds) {
    const own = join(folder, `${kind.name.toLowerCase()}-${++started}`)
    mkdirSync(own)
    targets.push(await kind.start(own, await freePort(TRUNK_HOST)))
  }
  return targets
}

const rows: Row[] = []
const effort = options.quick ? QUICK : FULL
const bench: Bench = {
  get targets() {
    return targets
  },
  restart,
  loads: new Loads(folder),
  effort,
  say: (line) => void process.stderr.write(`  ${line}\n`),
  callRates: new Map(),
  soakRate: Number(options['soak-rate']),
}

const mediaBench: MediaBench = {
  folder,
  loads: bench.loads,
  effort,
  peer: options.peer,
  say: bench.say,
}
const mediaRows: Row[] = []

process.once('SIGINT', () => process.exit(130))
try {
  if (names.length > 0) await restart()
  for (const name of names) {
    process.stderr.write(`${name}\n`)
    rows.push(...((await MEASURES[name]?.(bench)) ?? []))
  }
} finally {
  for (const target of targets) await target.stop()
}
for (const name of mediaNames) {
  process.stderr.write(`${name}\n`)
  mediaRows.push(...((await MEDIA_MEASURES[name]?.(mediaBench)) ?? []))
}

const runs = options.quick ? 'Quick: one run' : `Median of ${effort.runs} runs`
const writes = options.table && !options.quick && !options.profile && options.only.length === 0

function publish(
  part: 'switch' | 'media',
  versions: readonly { name: string; version(): string }[],
  list: Row[],
): void {
  if (list.length === 0) return
  const table = renderTable(
    { targets: versions.map((kind) => ({ name: kind.name, version: kind.version() })), effort: runs },
    list,
  )
  process.stdout.write(`\n${table}\n`)
  if (writes) writeTable(part, table)
}
publish('switch', kinds, rows)
publish('media', options.peer ? [rtpengine, gateway()] : [gateway()], mediaRows)
if (options.profile) printProfile(profileFolder)
if (options.keep) process.stdout.write(`\nfiles: ${folder}\n`)
else rmSync(folder, { recursive: true, force: true })
