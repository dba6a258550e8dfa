// npm run bench: measures Carillon beside Kamailio and writes the table of bench/README.md.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { carillon } from '#bench/carillon-target.ts'
import { kamailio } from '#bench/kamailio-target.ts'
import { Loads } from '#bench/loads.ts'
import { type Bench, FULL, MEASURES, ON_REQUEST, QUICK, type Row } from '#bench/measures.ts'
import { printProfile } from '#bench/profile.ts'
import { renderTable, writeTable } from '#bench/table.ts'
import { freePort, type Target, type TargetKind, TRUNK_HOST } from '#bench/target.ts'

const USAGE = `npm run bench -- [options]
  --quick       one short run of each: for a look, not for the table
  --only NAME   one measure; may be given several times: ${Object.keys(MEASURES).join(', ')}
  --soak        also ten minutes at half the highest rate
  --soak-rate N calls a second of the soak, when the highest rate is not measured in the same run
  --no-peer     without Kamailio
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
for (const program of ['taskset', 'sipp', ...(options.peer && !options.profile ? ['kamailio'] : [])]) {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
  } catch {
    fail(`${program} is not installed (Debian: apt-get install util-linux sip-tester kamailio)`)
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
const names = options.only.length > 0 ? options.only : Object.keys(MEASURES).filter((name) => !ON_REQUEST.has(name))
if (options.profile && options.only.length === 0) names.splice(0, names.length, 'call-max')
if (options.soak) names.push('soak')
for (const name of names) if (MEASURES[name] === undefined) fail(`no measure ${name}\n${USAGE}`)

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

process.once('SIGINT', () => process.exit(130))
try {
  await restart()
  for (const name of names) {
    process.stderr.write(`${name}\n`)
    rows.push(...((await MEASURES[name]?.(bench)) ?? []))
  }
} finally {
  for (const target of targets) await target.stop()
}

const head = {
  targets: kinds.map((kind) => ({ name: kind.name, version: kind.version() })),
  effort: options.quick ? 'Quick: one run' : `Median of ${effort.runs} runs`,
}
const table = renderTable(head, rows)
process.stdout.write(`\n${table}\n`)
if (options.profile) printProfile(profileFolder)
else if (options.table && !options.quick && options.only.length === 0) writeTable(table)
if (options.keep) process.stdout.write(`\nfiles: ${folder}\n`)
else rmSync(folder, { recursive: true, force: true })
