// carillon apply.

import { type Command, CommandProblem, FAILED, MISUSED } from '#bin/command.ts'
import { type Loaded, loadFile } from '#bin/config-source.ts'

/** What a configuration amounts to. */
function summaryOf(loaded: Loaded) {
  const { config, snapshot } = loaded
  return {
    configVersion: snapshot.version,
    domain: config.domain,
    listen: config.sip.listen,
    subscribers: config.subscribers.length,
    trunkGroups: config.trunkGroups.length,
    routes: config.routes.length,
  }
}

export const command: Command = {
  summary: 'check a configuration file (with --dry-run)',
  usage: `FILE --dry-run [--json]
  --dry-run   say what is wrong with the file, or what it amounts to; changes nothing
  --json      print the summary, or the problems, as JSON`,
  options: { 'dry-run': { type: 'boolean' }, json: { type: 'boolean' } },
  words: [1, 1],
  async run(args) {
    if (args.options['dry-run'] !== true) {
      const how = 'edit the file that the system was started with, and type carillon reload'
      throw new CommandProblem(`this version checks with --dry-run; to bring a change into force, ${how}`, MISUSED)
    }
    const result = loadFile(args.words[0] ?? '')
    const asJson = args.options['json'] === true
    if (!result.ok) {
      const text = `${result.problems.join('\n')}\n`
      if (asJson) process.stdout.write(`${JSON.stringify({ ok: false, problems: result.problems }, null, 2)}\n`)
      else process.stderr.write(text)
      return FAILED
    }
    const summary = summaryOf(result.loaded)
    if (asJson) process.stdout.write(`${JSON.stringify({ ok: true, ...summary }, null, 2)}\n`)
    else {
      const lines = Object.entries(summary).map(
        ([name, value]) => `  ${name.padEnd(14)} ${Array.isArray(value) ? value.join(', ') : value}`,
      )
      process.stdout.write(`${args.words[0]} is good:\n${lines.join('\n')}\n`)
    }
    return 0
  },
}
