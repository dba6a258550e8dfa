// What the benchmark measures. Each measure runs on every target, back to back, so that the machine's drift hits all alike.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { held, type Load, type LoadRun, type Loads } from '#bench/loads.ts'
import { readTree } from '#bench/process-tree.ts'
import { LOAD_CORE, TARGET_HOST, type Target, USERS } from '#bench/target.ts'

/** How long and how often: `quick` is for a look, not for the table. */
export interface Effort {
  readonly runs: number
  readonly seconds: number
  readonly stepSeconds: number
  readonly bisections: number
  readonly heldCalls: number
  readonly soakSeconds: number
  readonly bindings: number
}

export const FULL: Effort = {
  runs: 3,
  seconds: 15,
  stepSeconds: 8,
  bisections: 3,
  heldCalls: 10_000,
  soakSeconds: 600,
  bindings: 1_000_000,
}
export const QUICK: Effort = {
  runs: 1,
  seconds: 5,
  stepSeconds: 4,
  bisections: 1,
  heldCalls: 3_000,
  soakSeconds: 60,
  bindings: 100_000,
}

/** Enough calls for the compiler to have seen what matters. */
const WARM_UP_PER_SECOND = 400
const WARM_UP_S = 8
/** Characters of a failing load's own words that are shown. */
const ERROR_SHOWN = 600

/** One figure of one target. Null where the measure does not apply to it. */
export interface Figure {
  readonly value: number | null
  readonly note: string
}

/** One line of the table: figures in the order of the targets. */
export interface Row {
  readonly measure: string
  readonly unit: string
  /** Whether more is better; decides how the ratio reads. */
  readonly moreIsBetter: boolean
  readonly figures: readonly Figure[]
  /** What the figures are of, where it is not the targets: rows of the same columns make a table of their own. */
  readonly columns?: readonly string[]
}

/** What a measure works with. */
export interface Bench {
  readonly targets: readonly Target[]
  /** Starts every target anew, for measures that need empty ones; the old ones end. */
  restart(): Promise<readonly Target[]>
  readonly loads: Loads
  readonly effort: Effort
  readonly say: (line: string) => void
  /** Highest call rate found per target name, for the soak. */
  readonly callRates: Map<string, number>
  /** Calls a second of the soak when `callRates` has none. */
  readonly soakRate: number
}

export type Measure = (bench: Bench) => Promise<readonly Row[]>

export const MEASURES: Readonly<Record<string, Measure>> = {
  call: (bench) => atFixedRate(bench, 'call at 100/s', bench.loads.calls, 100, bench.effort.seconds),
  'call-max': async (bench) => {
    const rows = await highestRate(bench, 'calls', bench.loads.calls, 800)
    for (const [index, target] of bench.targets.entries()) {
      const rate = rows[0]?.figures[index]?.value
      if (typeof rate === 'number') bench.callRates.set(target.name, rate)
    }
    return rows
  },
  register: registerAtFixedRate,
  'register-max': (bench) => highestRate(bench, 'registrations', bench.loads.registrations, 3_000),
  'held-memory': heldMemory,
  'binding-memory': bindingMemory,
  junk: junkBesideCalls,
  soak: soak,
}

/** The soak takes long and runs only when asked for. */
export const ON_REQUEST: ReadonlySet<string> = new Set(['soak'])

async function atFixedRate(
  bench: Bench,
  what: string,
  load: Load,
  perSecond: number,
  seconds: number,
): Promise<readonly Row[]> {
  const values = bench.targets.map((): number[] => [])
  const notes = bench.targets.map(() => '')
  // Caches warm, code compiled: both are measured in the state in which they work all day.
  for (const target of bench.targets) await load(target, WARM_UP_PER_SECOND, WARM_UP_S)
  for (let run = 0; run < bench.effort.runs; run++) {
    for (const [index, target] of bench.targets.entries()) {
      const result = await load(target, perSecond, seconds)
      values[index]?.push(result.cpuMicrosPerUnit)
      notes[index] += failuresOf(result)
      bench.say(`${what}, ${target.name}: ${describe(result)}`)
    }
  }
  const figures = values.map((list, index) => ({ value: round(median(list)), note: notes[index] ?? '' }))
  return [{ measure: `${what}: CPU`, unit: 'µs', moreIsBetter: false, figures }]
}

async function highestRate(bench: Bench, what: string, load: Load, first: number): Promise<readonly Row[]> {
  const rates: Figure[] = []
  const costs: Figure[] = []
  for (const target of bench.targets) {
    const best = await climb(bench, target, what, load, first)
    rates.push({ value: best.perSecond, note: best.note })
    costs.push({ value: best.run === null ? null : round(best.run.cpuMicrosPerUnit), note: '' })
  }
  return [
    { measure: `${what}: highest rate on one core`, unit: '/s', moreIsBetter: true, figures: rates },
    { measure: `${what}: CPU at that rate`, unit: 'µs', moreIsBetter: false, figures: costs },
  ]
}

/** Steps of 1.3 until the target no longer holds it, then bisects. A step that fails is tried once more: noise is not a limit. */
async function climb(
  bench: Bench,
  target: Target,
  what: string,
  load: Load,
  first: number,
): Promise<{ perSecond: number; run: LoadRun | null; note: string }> {
  let low = 0
  let lowRun: LoadRun | null = null
  let note = ''
  const tryRate = async (perSecond: number): Promise<'held' | 'failed' | 'loadTooSlow'> => {
    let verdict: 'held' | 'failed' | 'loadTooSlow' = 'failed'
    for (let attempt = 0; attempt < 2 && verdict !== 'held'; attempt++) {
      const run = await load(target, perSecond, bench.effort.stepSeconds)
      verdict = held(run, perSecond)
      bench.say(`${what} at ${perSecond}/s, ${target.name}: ${verdict}: ${describe(run)}`)
      if (run.counts.failed > 0 && run.errors !== '') bench.say(run.errors.slice(0, ERROR_SHOWN))
      if (verdict === 'held') {
        low = perSecond
        lowRun = run
      }
    }
    return verdict
  }
  let high = first
  for (let verdict = await tryRate(high); verdict === 'held'; verdict = await tryRate(high)) {
    high = Math.round(high * 1.3)
  }
  for (let n = 0; n < bench.effort.bisections; n++) {
    const middle = Math.round((low + high) / 2)
    const verdict = await tryRate(middle)
    if (verdict !== 'held') high = middle
    note = verdict === 'loadTooSlow' ? 'the load was the limit' : ''
  }
  return { perSecond: low, run: lowRun, note }
}

/** First registrations need empty targets; refreshes follow on the same ones. */
async function registerAtFixedRate(bench: Bench): Promise<readonly Row[]> {
  const perSecond = 1_000
  const seconds = USERS / perSecond
  const first = bench.targets.map((): number[] => [])
  const refresh = bench.targets.map((): number[] => [])
  const notes = bench.targets.map(() => ['', ''])
  for (let n = 0; n < bench.effort.runs; n++) {
    for (const [index, target] of (await bench.restart()).entries()) {
      const one = await bench.loads.registrations(target, perSecond, seconds)
      bench.say(`first registration, ${target.name}: ${describe(one)}`)
      const two = await bench.loads.registrations(target, perSecond, seconds)
      bench.say(`refresh, ${target.name}: ${describe(two)}`)
      first[index]?.push(one.cpuMicrosPerUnit)
      refresh[index]?.push(two.cpuMicrosPerUnit)
      const texts = notes[index]
      if (texts !== undefined) {
        texts[0] += failuresOf(one)
        texts[1] += failuresOf(two)
      }
    }
  }
  const figures = (lists: readonly number[][], which: number): Figure[] =>
    lists.map((list, index) => ({ value: round(median(list)), note: notes[index]?.[which] ?? '' }))
  const unit = { unit: 'µs', moreIsBetter: false }
  return [
    { measure: 'digest REGISTER at 1,000/s, first: CPU', ...unit, figures: figures(first, 0) },
    { measure: 'digest REGISTER at 1,000/s, refresh: CPU', ...unit, figures: figures(refresh, 1) },
  ]
}

/** Memory of a call that is up: what the tree grew by, over the calls held. */
async function heldMemory(bench: Bench): Promise<readonly Row[]> {
  const perSecond = 500
  const figures: Figure[] = []
  for (const target of await bench.restart()) {
    // Warm-up, so that code and pools are not counted as calls.
    await bench.loads.calls(target, 100, 10)
    await sleep(2_000)
    const before = readTree(target.pid).pssOctets
    const trunk = bench.loads.trunk(target.trunkPort)
    const load = await bench.loads.heldCalls(target, perSecond, bench.effort.heldCalls, 600_000)
    await sleep((bench.effort.heldCalls / perSecond) * 1000 + 5_000)
    const after = readTree(target.pid).pssOctets
    const { created, failed } = load.counts()
    const calls = created - failed
    await load.stop()
    await trunk.stop()
    const octets = (after - before) / Math.max(1, calls)
    bench.say(`held calls, ${target.name}: ${calls} up, ${mega(before)} → ${mega(after)} MB`)
    figures.push({ value: round(octets / 1000), note: calls < bench.effort.heldCalls ? `${calls} calls up` : '' })
  }
  await bench.restart()
  return [
    {
      measure: `memory of a held call (${bench.effort.heldCalls} held)`,
      unit: 'kB',
      moreIsBetter: false,
      figures,
    },
  ]
}

/** Memory of a binding, in the location store alone: among 10,000 in a whole process it drowns in the heap's own movements. */
async function bindingMemory(bench: Bench): Promise<readonly Row[]> {
  const alone = await runChild('bindings.ts', [String(bench.effort.bindings)])
  const octets = /^fill:.* resident (\d+) octets/m.exec(alone.output)?.[1]
  const own = bench.targets.map((target): Figure => {
    if (target.name !== 'Carillon') return { value: null, note: '' }
    return octets === undefined
      ? { value: null, note: alone.output }
      : { value: round(Number(octets) / 1000), note: '' }
  })
  const many = bench.effort.bindings.toLocaleString('en-US')
  const measure = `memory of a binding (${many} in the location store)`
  return [{ measure, unit: 'kB', moreIsBetter: false, figures: own }]
}

/** CPU of a junk datagram: that of calls beside 20,000 of them a second, less that of the calls alone. */
async function junkBesideCalls(bench: Bench): Promise<readonly Row[]> {
  const junkPerSecond = 20_000
  const { seconds } = bench.effort
  const figures: Figure[] = []
  const failures: Figure[] = []
  for (const target of bench.targets) {
    const values: number[] = []
    let failed = 0
    for (let n = 0; n < bench.effort.runs; n++) {
      const alone = await bench.loads.calls(target, 100, seconds)
      const junk = runChild('junk-sender.ts', [
        TARGET_HOST,
        String(target.port),
        String(junkPerSecond),
        String(seconds),
      ])
      const both = await bench.loads.calls(target, 100, seconds)
      const sent = Number((await junk).output)
      const micros = both.cpuMicrosPerUnit * both.counts.succeeded - alone.cpuMicrosPerUnit * alone.counts.succeeded
      values.push(micros / sent)
      failed += both.counts.failed
      bench.say(`junk, ${target.name}: ${sent} datagrams, ${round(micros / sent)} µs each; calls: ${describe(both)}`)
    }
    figures.push({ value: round(median(values)), note: '' })
    failures.push({ value: failed, note: '' })
  }
  return [
    { measure: 'junk datagram at 20,000/s: CPU', unit: 'µs', moreIsBetter: false, figures },
    { measure: 'calls failed beside it (100/s)', unit: '', moreIsBetter: false, figures: failures },
  ]
}

/** Half the highest rate for long: failures, and memory before and after. The first tenth is warm-up. */
async function soak(bench: Bench): Promise<readonly Row[]> {
  const growth: Figure[] = []
  const failures: Figure[] = []
  const { soakSeconds } = bench.effort
  for (const target of bench.targets) {
    const highest = bench.callRates.get(target.name)
    const perSecond = highest === undefined ? bench.soakRate : Math.round(highest / 2)
    await bench.loads.calls(target, perSecond, Math.ceil(soakSeconds / 10))
    // Transactions live for 32 s (RFC 3261 timers): both readings are taken when those of the load are gone.
    await sleep(35_000)
    const before = readTree(target.pid).pssOctets
    const run = await bench.loads.calls(target, perSecond, soakSeconds)
    await sleep(35_000)
    const after = readTree(target.pid).pssOctets
    bench.say(`soak at ${perSecond}/s, ${target.name}: ${mega(before)} → ${mega(after)} MB; ${describe(run)}`)
    growth.push({ value: round((after - before) / 1e6), note: `${mega(before)} → ${mega(after)} MB at ${perSecond}/s` })
    failures.push({ value: run.counts.failed, note: `of ${run.counts.created}` })
  }
  return [
    {
      measure: `soak of ${soakSeconds} s at half the highest rate: growth`,
      unit: 'MB',
      moreIsBetter: false,
      figures: growth,
    },
    { measure: 'calls failed in the soak', unit: '', moreIsBetter: false, figures: failures },
  ]
}

/** Runs a script of this folder on the load's core; its output, or why it failed. */
async function runChild(script: string, args: readonly string[]): Promise<{ ok: boolean; output: string }> {
  const command = ['-c', String(LOAD_CORE), process.execPath, '--expose-gc', join(import.meta.dirname, script), ...args]
  const child = spawn('taskset', command, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) return { ok: false, output: `failed: ${errors.trim().split('\n').at(-1) ?? code}` }
  return { ok: true, output: output.trim() }
}

function failuresOf(run: LoadRun): string {
  return run.counts.failed === 0 ? '' : `${run.counts.failed} failed `
}

function describe(run: LoadRun): string {
  const { created, failed, rate } = run.counts
  const micros = round(run.cpuMicrosPerUnit)
  return `${micros} µs, ${created} made at ${round(rate)}/s, ${failed} failed, ${run.retransmissions} retransmitted`
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2
}

/** To `digits` after the point; without them to one below a hundred and none from there. */
export function round(value: number, digits = Math.abs(value) >= 100 ? 0 : 1): number {
  const factor = 10 ** digits
  return Math.round(value * factor) / factor
}

function mega(octets: number): number {
  return Math.round(octets / 1e6)
}
