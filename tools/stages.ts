// Runs commands as named stages, one after the other or side by side, and sums up what each took.

import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

export interface Stage {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** Ends the stage with a failure after this time: a test run that hangs must say so. */
  readonly timeoutMs: number
}

export interface StageResult {
  readonly name: string
  readonly passed: boolean
  readonly elapsedMs: number
  /** One word or sentence for the summary: 'ok', 'exit 1', 'no time left'. */
  readonly outcome: string
  /** What it printed, if it was held. */
  readonly output: string
}

/** Runs one stage; its output goes to ours as it comes, or when it ends if `held` (for stages side by side). */
export function runStage(stage: Stage, held = false): Promise<StageResult> {
  const startedMs = Date.now()
  return new Promise((resolve) => {
    const child = spawn(stage.command, stage.args, {
      cwd: ROOT,
      stdio: ['ignore', held ? 'pipe' : 'inherit', held ? 'pipe' : 'inherit'],
      env: { ...process.env, ...(held && process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) },
    })
    const output: Buffer[] = []
    child.stdout?.on('data', (bytes: Buffer) => output.push(bytes))
    child.stderr?.on('data', (bytes: Buffer) => output.push(bytes))
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, stage.timeoutMs)
    const finish = (outcome: string): void => {
      clearTimeout(timer)
      const printed = Buffer.concat(output).toString('utf8')
      if (outcome !== 'ok') process.stdout.write(printed)
      resolve({
        name: stage.name,
        passed: outcome === 'ok',
        elapsedMs: Date.now() - startedMs,
        outcome,
        output: printed,
      })
    }
    child.on('error', (error) => finish(error.message))
    child.on('close', (status, signal) => {
      if (late) finish(`not finished after ${stage.timeoutMs / 1_000} s`)
      else finish(status === 0 ? 'ok' : `exit ${status ?? signal}`)
    })
  })
}

/** The closing table: one line a stage. */
export function summary(results: readonly StageResult[]): string {
  const width = Math.max(...results.map((result) => result.name.length))
  return results
    .map((result) => {
      const seconds = `${(result.elapsedMs / 1_000).toFixed(1)} s`.padStart(9)
      return `  ${result.passed ? '✔' : '✖'} ${result.name.padEnd(width)} ${seconds}  ${result.outcome}`
    })
    .join('\n')
}
