// The measures of the media gateway: relaying and transcoding beside rtpengine, the kernel path beside bare nftables, calls with media beside calls without.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { carillon } from '#bench/carillon-target.ts'
import type { KernelRunFacts } from '#bench/kernel-load.ts'
import { held, type LoadRun, type Loads } from '#bench/loads.ts'
import { type Effort, type Figure, median, type Row, round } from '#bench/measures.ts'
import type { MediaRun, MediaRunFacts } from '#bench/media-load.ts'
import { gateway, type MediaTarget, type MediaTargetKind, rtpengine } from '#bench/media-targets.ts'
import { readTree } from '#bench/process-tree.ts'
import { freePort, LOAD_CORE, type Target, TRUNK_HOST } from '#bench/target.ts'

/** What a media measure works with. */
export interface MediaBench {
  readonly folder: string
  readonly loads: Loads
  readonly effort: Effort
  /** Whether rtpengine is measured too. */
  readonly peer: boolean
  readonly say: (line: string) => void
}

export type MediaMeasure = (bench: MediaBench) => Promise<readonly Row[]>

export const MEDIA_MEASURES: Readonly<Record<string, MediaMeasure>> = {
  relay: relay,
  'relay-max': relayMax,
  kernel: kernel,
  transcode: transcode,
  'media-call': mediaCall,
  'media-memory': mediaMemory,
}

const RELAY_CALLS = 200
const FIRST_STEP_CALLS = 800
const FLOOD_CALLS = 100
const TRANSCODED_CALLS = 50
const HELD_CALLS = 1_000
/** Enough for the ticks in which the kernel counts interrupts. */
const KERNEL_CALLS = 200
/** Loss and delay at which a number of calls is held. */
const LOSS_MAX = 0.001
const DELAY_MS_MAX = 30
const WARM_UP_S = 2
const STEP_S = 3
/** Share of the core from which it is the target that is busy, not the load. */
const BUSY = 0.93
const CALL_RATE = 100
const CALL_WARM_UP_RATE = 400
const CALL_WARM_UP_S = 5

const MICROS = { unit: 'µs', moreIsBetter: false } as const

/** CPU time of a relayed packet, and what the packets met with, at a load that both carry with ease. */
async function relay(bench: MediaBench): Promise<readonly Row[]> {
  const { columns, results } = await inTurn(bench, 'relay', { calls: RELAY_CALLS, seconds: bench.effort.seconds / 3 })
  const what = `relay, ${RELAY_CALLS} calls of paced G.711`
  const figures = (value: (run: MediaRunFacts) => number): Figure[] =>
    results.map((runs) => ({ value: round(median(runs.map(value)), 2), note: '' }))
  const astray = results.flat().reduce((sum, run) => sum + run.astray + run.reordered, 0)
  if (astray > 0) bench.say(`relay: ${astray} packets out of order or at the wrong party`)
  return [
    { columns, measure: `${what}: CPU of a packet`, ...MICROS, figures: figures(cpuOf) },
    { columns, measure: 'loss there', unit: '%', moreIsBetter: false, figures: figures((run) => 100 * lossOf(run)) },
    {
      columns,
      measure: 'delay there (p99)',
      unit: 'ms',
      moreIsBetter: false,
      figures: figures((run) => run.delayMsP99 ?? 0),
    },
  ]
}

/** The most calls on a core, by steps of 1.3 and bisection; then packets without pace. */
async function relayMax(bench: MediaBench): Promise<readonly Row[]> {
  const calls: Figure[] = []
  const costs: Figure[] = []
  const raw: Figure[] = []
  const kinds = kindsOf(bench)
  for (const kind of kinds) {
    const target = await start(bench, kind)
    const { best, run, note } = await climb(bench, target)
    calls.push({ value: best, note })
    costs.push({ value: run === null ? null : round(cpuOf(run), 2), note: '' })
    const rates: number[] = []
    let idle = 0
    for (let n = 0; n < bench.effort.runs; n++) {
      const flooded = await load(target, { calls: FLOOD_CALLS, flood: true, seconds: STEP_S })
      if (typeof flooded === 'string') throw new Error(flooded)
      bench.say(`no pace, ${kind.name}: ${describe(flooded)}`)
      rates.push(flooded.received / flooded.seconds)
      if (flooded.cpuMicros / 1e6 / flooded.seconds < BUSY) idle++
    }
    raw.push({
      value: round(median(rates), 0),
      note: idle * 2 > rates.length ? 'the load or the machine was the limit' : '',
    })
    await target.stop()
  }
  const columns = kinds.map((kind) => kind.name)
  return [
    { columns, measure: 'relay: most calls on one core', unit: '', moreIsBetter: true, figures: calls },
    { columns, measure: 'relay: CPU of a packet there', ...MICROS, figures: costs },
    { columns, measure: 'relay: packets on one core without pace', unit: '/s', moreIsBetter: true, figures: raw },
  ]
}

async function climb(
  bench: MediaBench,
  target: MediaTarget,
): Promise<{ best: number; run: MediaRunFacts | null; note: string }> {
  let low = 0
  let lowRun: MediaRunFacts | null = null
  let note = ''
  const holds = async (calls: number): Promise<boolean> => {
    // A step that fails is tried once more: noise is not a limit.
    for (let attempt = 0; attempt < 2; attempt++) {
      const run = await load(target, { calls, seconds: STEP_S })
      if (typeof run === 'string') {
        bench.say(`${calls} calls, ${target.name}: ${run}`)
        continue
      }
      const late = run.seconds > STEP_S * 1.03
      const good = !late && lossOf(run) < LOSS_MAX && (run.delayMsP99 ?? 0) <= DELAY_MS_MAX
      bench.say(
        `${calls} calls, ${target.name}: ${good ? 'held' : late ? 'load too slow' : 'not held'}: ${describe(run)}`,
      )
      note = late ? 'the load was the limit' : ''
      if (!good) continue
      low = calls
      lowRun = run
      return true
    }
    return false
  }
  let high = FIRST_STEP_CALLS
  while (await holds(high)) high = Math.round(high * 1.3)
  for (let n = 0; n < bench.effort.bisections; n++) {
    const middle = Math.round((low + high) / 2)
    if (!(await holds(middle))) high = middle
  }
  return { best: low, run: lowRun, note }
}

/** The kernel path beside a bare table of nftables, between namespaces; CPU is that of interrupts on the relay's core and of our processes. */
async function kernel(bench: MediaBench): Promise<readonly Row[]> {
  const columns = ['nftables NAT', 'Carillon']
  const measure = `kernel path, ${KERNEL_CALLS} calls: CPU of a packet`
  const ways = ['nat', 'gateway'] as const
  const costs = ways.map((): number[] => [])
  const own: number[] = []
  for (let n = 0; n < bench.effort.runs; n++) {
    for (const [index, way] of ways.entries()) {
      const args = {
        way,
        calls: KERNEL_CALLS,
        seconds: bench.effort.seconds / 3,
        folder: folderFor(bench, `kernel-${way}`),
      }
      const run = await child<KernelRunFacts>('kernel-load.ts', args)
      if (typeof run === 'string') {
        bench.say(`kernel: ${run}`)
        return [{ columns, measure, ...MICROS, figures: columns.map(() => ({ value: null, note: run })) }]
      }
      bench.say(
        `kernel, ${way}: ${describe(run)}; ${round(run.processMicros / Math.max(1, run.received), 2)} µs in user space`,
      )
      costs[index]?.push(cpuOf(run))
      if (way === 'gateway') own.push(run.processMicros / Math.max(1, run.received))
    }
  }
  return [
    { columns, measure, ...MICROS, figures: costs.map((list) => ({ value: round(median(list), 2), note: '' })) },
    {
      columns,
      measure: 'of it in our processes',
      ...MICROS,
      figures: [
        { value: null, note: '' },
        { value: round(median(own), 2), note: '' },
      ],
    },
  ]
}

/** Streams that a core transcodes: one stream is one direction of a call. */
async function transcode(bench: MediaBench): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const [encoding, name] of [
    ['OPUS', 'Opus'],
    ['G729', 'G.729'],
  ] as const) {
    const run = { calls: TRANSCODED_CALLS, encoding, seconds: bench.effort.seconds / 3 }
    const { columns, results } = await inTurn(bench, `G.711 ↔ ${name}`, run)
    const figures = results.map((runs): Figure => {
      const streams = runs.map((one) => (2 * TRANSCODED_CALLS * one.seconds * 1e6) / Math.max(1, one.cpuMicros))
      const loss = median(runs.map(lossOf))
      return { value: round(median(streams), 0), note: loss > 0.01 ? `${round(100 * loss, 1)} % lost` : '' }
    })
    rows.push({ columns, measure: `G.711 ↔ ${name}: streams on one core`, unit: '', moreIsBetter: true, figures })
  }
  return rows
}

/** What media signalling adds to a call: offer, answer and delete at the embedded gateway, all processes counted. */
async function mediaCall(bench: MediaBench): Promise<readonly Row[]> {
  const columns = ['without media', 'with media']
  const fixed: Figure[] = []
  const most: Figure[] = []
  const mostCosts: Figure[] = []
  const targets: Target[] = []
  try {
    for (const anchored of [false, true]) targets.push(await startSwitch(bench, anchored))
    const values = targets.map((): number[] => [])
    for (const target of targets) await bench.loads.calls(target, CALL_WARM_UP_RATE, CALL_WARM_UP_S)
    const failures = targets.map(() => 0)
    for (let n = 0; n < bench.effort.runs; n++) {
      for (const [index, target] of targets.entries()) {
        const run = await bench.loads.calls(target, CALL_RATE, bench.effort.seconds / 2)
        bench.say(`${CALL_RATE} calls/s, ${columns[index]}: ${describeCalls(run)}`)
        values[index]?.push(run.cpuMicrosPerUnit)
        failures[index] = (failures[index] ?? 0) + run.counts.failed
      }
    }
    for (const [index, list] of values.entries()) {
      const failed = failures[index] ?? 0
      fixed.push({ value: round(median(list), 0), note: failed > 0 ? `${failed} failed` : '' })
    }
    for (const [index, target] of targets.entries()) {
      const best = await climbCalls(bench, target, columns[index] ?? '')
      most.push({ value: best.perSecond, note: '' })
      mostCosts.push({ value: best.run === null ? null : round(best.run.cpuMicrosPerUnit, 0), note: '' })
    }
  } finally {
    for (const target of targets) await target.stop()
  }
  return [
    { columns, measure: `call at ${CALL_RATE}/s: CPU`, ...MICROS, figures: fixed },
    { columns, measure: 'calls: highest rate on one core', unit: '/s', moreIsBetter: true, figures: most },
    { columns, measure: 'calls: CPU at that rate', ...MICROS, figures: mostCosts },
  ]
}

async function climbCalls(
  bench: MediaBench,
  target: Target,
  name: string,
): Promise<{ perSecond: number; run: LoadRun | null }> {
  let low = 0
  let lowRun: LoadRun | null = null
  const holds = async (perSecond: number): Promise<boolean> => {
    for (let attempt = 0; attempt < 2; attempt++) {
      const run = await bench.loads.calls(target, perSecond, bench.effort.stepSeconds / 2)
      const verdict = held(run, perSecond)
      bench.say(`${perSecond} calls/s, ${name}: ${verdict}: ${describeCalls(run)}`)
      if (verdict !== 'held') continue
      low = perSecond
      lowRun = run
      return true
    }
    return false
  }
  let high = CALL_WARM_UP_RATE
  while (await holds(high)) high = Math.round(high * 1.5)
  for (let n = 0; n < Math.min(2, bench.effort.bisections); n++) {
    const middle = Math.round((low + high) / 2)
    if (!(await holds(middle))) high = middle
  }
  return { perSecond: low, run: lowRun }
}

/** Memory of an anchored call in all processes. */
async function mediaMemory(bench: MediaBench): Promise<readonly Row[]> {
  const columns = ['without media', 'with media']
  const figures: Figure[] = []
  for (const anchored of [false, true]) {
    const target = await startSwitch(bench, anchored)
    // Code and pools are not counted as calls.
    await bench.loads.calls(target, 100, CALL_WARM_UP_S)
    await sleep(2_000)
    const before = readTree(target.pid).pssOctets
    const trunk = bench.loads.trunk(target.trunkPort)
    const perSecond = 200
    const sipp = await bench.loads.heldCalls(target, perSecond, HELD_CALLS, 600_000)
    await sleep((HELD_CALLS / perSecond) * 1_000 + 4_000)
    const after = readTree(target.pid).pssOctets
    const { created, failed } = sipp.counts()
    await sipp.stop()
    await trunk.stop()
    await target.stop()
    const calls = created - failed
    bench.say(
      `held calls, ${columns[Number(anchored)]}: ${calls} up, ${Math.round(before / 1e6)} → ${Math.round(after / 1e6)} MB`,
    )
    const kilo = (after - before) / Math.max(1, calls) / 1_000
    figures.push({ value: round(kilo, 1), note: calls < HELD_CALLS ? `${calls} calls up` : '' })
  }
  const measure = `memory of a held call (${HELD_CALLS.toLocaleString('en-US')} held), all processes`
  return [{ columns, measure, unit: 'kB', moreIsBetter: false, figures }]
}

/** Every gateway with the same load, one after the other, as often as the effort says. */
async function inTurn(
  bench: MediaBench,
  what: string,
  settings: Partial<MediaRun>,
): Promise<{ columns: string[]; results: MediaRunFacts[][] }> {
  const kinds = kindsOf(bench)
  const targets: MediaTarget[] = []
  const results = kinds.map((): MediaRunFacts[] => [])
  try {
    for (const kind of kinds) targets.push(await start(bench, kind))
    for (let n = 0; n < bench.effort.runs; n++) {
      for (const [index, target] of targets.entries()) {
        const run = await load(target, settings)
        if (typeof run === 'string') throw new Error(`${what}, ${target.name}: ${run}`)
        bench.say(`${what}, ${target.name}: ${describe(run)}`)
        results[index]?.push(run)
      }
    }
  } finally {
    for (const target of targets) await target.stop()
  }
  return { columns: kinds.map((kind) => kind.name), results }
}

function kindsOf(bench: MediaBench): readonly MediaTargetKind[] {
  return bench.peer ? [rtpengine, gateway()] : [gateway()]
}

function start(bench: MediaBench, kind: MediaTargetKind): Promise<MediaTarget> {
  return kind.start(folderFor(bench, kind.name))
}

async function startSwitch(bench: MediaBench, anchored: boolean): Promise<Target> {
  const kind = carillon(false, [], anchored)
  return kind.start(folderFor(bench, anchored ? 'anchored' : 'plain'), await freePort(TRUNK_HOST))
}

function folderFor(bench: MediaBench, name: string): string {
  const folder = join(bench.folder, `${name}-${process.hrtime.bigint()}`)
  mkdirSync(folder)
  return folder
}

function load(target: MediaTarget, settings: Partial<MediaRun>): Promise<MediaRunFacts | string> {
  const { ngPort, pid } = target
  const defaults = { calls: 0, encoding: 'PCMU', flood: false, warmUpSeconds: WARM_UP_S, seconds: STEP_S } as const
  return child<MediaRunFacts>('media-load.ts', { ...defaults, ...settings, ngPort, pid } satisfies MediaRun)
}

/** Runs a script of this folder on the load's core with `settings`; what it found, or why it failed. */
async function child<Facts>(script: string, settings: object): Promise<Facts | string> {
  const command = [
    '-c',
    String(LOAD_CORE),
    process.execPath,
    join(import.meta.dirname, script),
    JSON.stringify(settings),
  ]
  const running = spawn('taskset', command, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  running.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  running.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const [code] = (await once(running, 'close')) as [number | null]
  if (code === 0) return JSON.parse(output) as Facts
  return /^\w*Error: .*/m.exec(errors)?.[0] ?? `ended with ${code}`
}

function cpuOf(run: { readonly cpuMicros: number; readonly received: number }): number {
  return run.cpuMicros / Math.max(1, run.received)
}

function lossOf({ sent, received }: { readonly sent: number; readonly received: number }): number {
  return Math.max(0, (sent - received) / Math.max(1, sent))
}

function describe(run: MediaRunFacts): string {
  const delay = run.delayMsP99 === null ? '' : `, delay ${run.delayMsP50} ms (p99 ${run.delayMsP99})`
  const rate = Math.round(run.received / run.seconds)
  const busy = Math.round((100 * run.cpuMicros) / 1e6 / run.seconds)
  return `${round(cpuOf(run), 2)} µs a packet, ${rate}/s, ${busy} % busy, ${round(100 * lossOf(run), 3)} % lost${delay}`
}

function describeCalls(run: LoadRun): string {
  const { created, failed } = run.counts
  return `${Math.round(run.cpuMicrosPerUnit)} µs, ${created} made, ${failed} failed, ${run.retransmissions} retransmitted`
}
