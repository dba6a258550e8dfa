// carillon switch.

import { type Command, CommandProblem, dataOption, MISUSED, numberOption, textOption } from '#bin/command.ts'
import { findConfig } from '#bin/config-source.ts'
import { SwitchProcess } from '#bin/switch-process.ts'
import type { LogLevel } from '#core/log.ts'
import { dataFolder } from '#host/data-folder.ts'

const LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error']
export const DRAIN_SECONDS = 60
export const DRAIN_SECONDS_MAX = 86_400

/** Options that `start` and `switch` share. */
export const RUN_OPTIONS = {
  config: { type: 'string' },
  data: { type: 'string' },
  'log-level': { type: 'string' },
  'drain-seconds': { type: 'string' },
} as const
export const RUN_USAGE = `[--config FILE] [--data DIR] [--log-level LEVEL] [--drain-seconds N]
  --config FILE       configuration (default ./carillon.yaml; without one, a demonstration)
  --data DIR          data folder (default ./data)
  --log-level LEVEL   debug, info, warn or error
  --drain-seconds N   how long calls may go on after SIGTERM (default ${DRAIN_SECONDS})`

/** The log level of an option, checked. */
export function levelFromText(text: string): LogLevel {
  if (!LEVELS.includes(text))
    throw new CommandProblem(`--log-level wants one of ${LEVELS.join(', ')}, not '${text}'`, MISUSED)
  return text as LogLevel
}

export const command: Command = {
  summary: 'run the switch alone, without supervisor and HTTP',
  usage: RUN_USAGE,
  options: { ...RUN_OPTIONS, restarted: { type: 'boolean' } },
  words: [0, 0],
  async run(args) {
    const folder = dataFolder(dataOption(args))
    const running = new SwitchProcess({
      configFile: (await findConfig(args, folder)).file,
      dataFolder: folder,
      logLevel: levelFromText(textOption(args, 'log-level', 'info')),
      drainMaxMs: numberOption(args, 'drain-seconds', DRAIN_SECONDS, 0, DRAIN_SECONDS_MAX) * 1_000,
      restarted: args.options['restarted'] === true,
    })
    await running.start()
    return Number(process.exitCode ?? 0)
  },
}
