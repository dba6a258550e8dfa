// npm test: check → unit and property tests → simulation of fresh seeds → interoperation with real peers → examples.

import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, runStage, type Stage, type StageResult, summary } from '#tools/stages.ts'

const MINUTE_MS = 60_000
const SIMULATION_S = 60

/** The files that `patterns` match, without the tidy test: the check has run it. */
function testFiles(...patterns: string[]): string[] {
  return patterns.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).filter((path) => path !== 'tools/tidy.test.ts')
}

function testStage(name: string, files: readonly string[], timeoutMs: number, concurrency: readonly string[]): Stage {
  const reporter = process.stdout.isTTY ? 'dot' : 'spec'
  const args = ['--test', `--test-reporter=${reporter}`, '--test-timeout=240000', ...concurrency, ...files]
  return { name, command: process.execPath, args, timeoutMs }
}

/** Every stage that has something to run here, in order. */
function stages(): Stage[] {
  const list: Stage[] = [
    { name: 'check', command: process.execPath, args: ['tools/check.ts'], timeoutMs: 3 * MINUTE_MS },
    testStage(
      'unit',
      testFiles('{src,tools,test}/**/*.test.ts').filter((path) => !path.startsWith('test/interop/')),
      4 * MINUTE_MS,
      [],
    ),
  ]
  if (existsSync(join(ROOT, 'src/bin/sim.ts'))) {
    const args = ['src/bin/sim.ts', '--seconds', String(SIMULATION_S)]
    list.push({ name: 'simulation', command: process.execPath, args, timeoutMs: 3 * MINUTE_MS })
  }
  const interop = testFiles('test/interop/**/*.test.ts')
  // Real processes and real time: one file at a time, so that a loaded machine does not look like a fault.
  if (interop.length > 0) list.push(testStage('interop', interop, 5 * MINUTE_MS, ['--test-concurrency=1']))
  const examples = testFiles('examples/**/*.test.ts')
  if (examples.length > 0) list.push(testStage('examples', examples, 2 * MINUTE_MS, ['--test-concurrency=1']))
  return list
}

const results: StageResult[] = []
for (const stage of stages()) {
  process.stdout.write(`\n── ${stage.name} ${'─'.repeat(Math.max(3, 60 - stage.name.length))}\n`)
  results.push(await runStage(stage))
}
process.stdout.write(`\nnpm test\n${summary(results)}\n`)
if (results.some((result) => !result.passed)) process.exitCode = 1
