// npm run check: types, lint and format, and the rules of the source tree, side by side.

import { join } from 'node:path'
import { ROOT, runStage, type Stage, summary } from '#tools/stages.ts'

const STAGE_TIMEOUT_MS = 180_000

const bin = (name: string): string => join(ROOT, 'node_modules/.bin', name)
const stages: readonly Stage[] = [
  { name: 'types (tsc)', command: bin('tsc'), args: ['-p', '.'], timeoutMs: STAGE_TIMEOUT_MS },
  {
    name: 'lint and format (biome)',
    command: bin('biome'),
    args: ['check', '--error-on-warnings', '--max-diagnostics=50', '.'],
    timeoutMs: STAGE_TIMEOUT_MS,
  },
  {
    name: 'rules of the tree (tidy)',
    command: process.execPath,
    args: ['--test', '--test-reporter=spec', 'tools/tidy.test.ts'],
    timeoutMs: STAGE_TIMEOUT_MS,
  },
]

const results = await Promise.all(stages.map((stage) => runStage(stage, true)))
// Questions to ask, no failures; with a failure they stand in its output already.
const reported = results.flatMap((result) =>
  result.output.split('\n').filter((line) => / long (file|function): /.test(line)),
)
if (reported.length > 0 && results.every((result) => result.passed)) process.stdout.write(`${reported.join('\n')}\n`)
process.stdout.write(`\ncheck\n${summary(results)}\n`)
if (results.some((result) => !result.passed)) process.exitCode = 1
