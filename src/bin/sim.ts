// `npm run sim`: random simulated worlds for a while, or one world again by its seed.

import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { Ladder } from '#sim/ladder.ts'
import { FAULTS, runScenario } from '#sim/scenario.ts'

const USAGE = `npm run sim -- [--seconds S]            fresh random worlds for S seconds (default 60)
npm run sim -- --seed N [--trace] [--whole]  the world of that seed again; --trace prints its packets,
                                             --whole the messages too; --calls C --phones P --faults a,b shrink it;
                                             --media none|gateway forces the media`

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    trace: { type: 'boolean', default: false },
    whole: { type: 'boolean', default: false },
    calls: { type: 'string' },
    phones: { type: 'string' },
    faults: { type: 'string' },
    media: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return 'unknown'
  }
}

const write = (line: string): void => void process.stdout.write(`${line}\n`)
const asked = values.faults?.split(',')
const options = {
  ...(values.calls === undefined ? {} : { calls: Number(values.calls) }),
  ...(values.phones === undefined ? {} : { phones: Number(values.phones) }),
  ...(values.media === 'none' || values.media === 'gateway' ? ({ media: values.media } as const) : {}),
  ...(asked === undefined ? {} : { faults: new Set(FAULTS.filter((fault) => asked.includes(fault))) }),
  ...(values.trace || values.whole ? { observer: new Ladder(write, values.whole) } : {}),
}
const total = {
  worlds: 0,
  failed: 0,
  virtualMs: 0,
  calls: 0,
  answered: 0,
  messages: 0,
  faults: 0,
  bindings: 0,
  relayed: 0,
}

function run(seed: number): void {
  total.worlds++
  try {
    const report = runScenario(seed, options)
    total.virtualMs += report.virtualMs
    total.calls += report.calls
    total.answered += report.answered
    total.messages += report.messages
    total.faults += report.faultsInjected
    total.bindings += report.bindingsProven
    total.relayed += report.relayed
    if (values.seed !== undefined) write(`trace ${report.traceHash}`)
  } catch (error) {
    total.failed++
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    write(`seed=${seed} commit=${commit()}\n${text.replace(/^/gm, '  ')}`)
  }
}

if (values.help) write(USAGE)
else {
  if (values.seed !== undefined) run(Number(values.seed))
  else {
    const until = performance.now() + 1_000 * Number(values.seconds)
    while (performance.now() < until) run(randomInt(2 ** 32))
  }
  const { worlds, failed, virtualMs, calls, answered, messages, faults, bindings, relayed } = total
  const hours = (virtualMs / 3_600_000).toFixed(1)
  write(
    `${worlds} worlds, ${failed} failed: ${hours} virtual hours, ${calls} calls (${answered} answered), ` +
      `${messages} messages at the switch, ${relayed} RTP packets relayed, ${faults} faults injected, ${bindings} bindings found after crashes`,
  )
  process.exitCode = failed === 0 ? 0 : 1
}
