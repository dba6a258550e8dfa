// Where the time goes: self time by function and by file, from the profiles that --cpu-prof wrote.

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const FUNCTIONS_SHOWN = 45
const FILES_SHOWN = 25
/** The first of ours that sees a message. */
const FIRST_FILE = '/src/sip/message-intake.ts'

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Prints the top of the self times of all profiles in `folder`, idle time left out. */
export function printProfile(folder: string): void {
  const byFunction = new Map<string, number>()
  const byFile = new Map<string, number>()
  let total = 0
  for (const file of globSync(join(folder, '*.cpuprofile'))) {
    const profile = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile
    const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]))
    // The start is not what is asked for: time counts from the first message on.
    let begun = false
    for (const [index, id] of profile.samples.entries()) {
      const frame = frames.get(id)
      begun ||= frame?.url.endsWith(FIRST_FILE) === true
      if (!begun || frame === undefined || frame.functionName === '(idle)') continue
      const micros = profile.timeDeltas[index] ?? 0
      const place = frame.url.replace(`file://${ROOT}/`, '') || '(native)'
      const name = `${frame.functionName || '(anonymous)'} ${place}:${frame.lineNumber + 1}`
      byFunction.set(name, (byFunction.get(name) ?? 0) + micros)
      byFile.set(place, (byFile.get(place) ?? 0) + micros)
      total += micros
    }
  }
  printTop('self time by file', byFile, total, FILES_SHOWN)
  printTop('self time by function', byFunction, total, FUNCTIONS_SHOWN)
}

function printTop(title: string, times: ReadonlyMap<string, number>, total: number, shown: number): void {
  process.stdout.write(`\n${title} (of ${Math.round(total / 1000)} ms busy)\n`)
  for (const [name, micros] of [...times].sort((a, b) => b[1] - a[1]).slice(0, shown)) {
    process.stdout.write(`${((100 * micros) / total).toFixed(1).padStart(6)} %  ${name}\n`)
  }
}
