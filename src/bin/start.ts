// carillon start.

import { type Command, CommandProblem, dataOption, FAILED, numberOption, textOption } from '#bin/command.ts'
import { findConfig } from '#bin/config-source.ts'
import { listenToSignals } from '#bin/stop-signals.ts'
import { SupervisedSystem } from '#bin/supervised-system.ts'
import { DRAIN_SECONDS, DRAIN_SECONDS_MAX, levelFromText, RUN_OPTIONS, RUN_USAGE } from '#bin/switch.ts'
import { dataFolder, holdDataFolder } from '#host/data-folder.ts'

/** A supervisor that was killed frees the folder at once; one that runs is not waited for. */
const HOLD_PATIENCE_MS = 300

export const command: Command = {
  summary: 'run everything on this machine: the switch, its supervisor, health, API and status page',
  usage: RUN_USAGE,
  options: RUN_OPTIONS,
  words: [0, 0],
  async run(args) {
    const terminal = process.stdout.isTTY === true
    const folder = dataFolder(dataOption(args))
    if (!(await holdDataFolder(folder, 'supervisor', HOLD_PATIENCE_MS))) {
      throw new CommandProblem(`a system runs with the data folder ${folder} already; see carillon status`)
    }
    const system = new SupervisedSystem({
      source: await findConfig(args, folder),
      dataFolder: folder,
      // A person wants to hear of trouble; a collector of logs wants a line a call.
      logLevel: levelFromText(textOption(args, 'log-level', terminal ? 'warn' : 'info')),
      drainMaxMs: numberOption(args, 'drain-seconds', DRAIN_SECONDS, 0, DRAIN_SECONDS_MAX) * 1_000,
      terminal,
    })
    listenToSignals(system)
    const failure = await system.start()
    if (failure === null) return Number(process.exitCode ?? 0)
    process.stderr.write(`carillon: ${failure}\n`)
    process.exit(FAILED)
  },
}
