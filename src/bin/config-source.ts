// Finds, reads and checks the configuration file, with all that it names: the one way for every command.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Arguments, CommandProblem, textOption } from '#bin/command.ts'
import { type Demonstration, demonstration } from '#bin/demonstration.ts'
import { localAddresses } from '#bin/machine.ts'
import { compileSnapshot, type Snapshot } from '#routing/snapshot.ts'
import { type Config, loadConfig } from '#schema/config.ts'
import { configProblemText } from '#schema/config-problem.ts'

/** Taken when no --config is given and it is there. */
export const DEFAULT_CONFIG_FILE = 'carillon.yaml'
const VERSION_DIGITS = 12

/** A checked configuration, ready for use. */
export interface Loaded {
  readonly file: string
  readonly text: string
  readonly config: Config
  readonly snapshot: Snapshot
}

export type LoadResult =
  | { readonly ok: true; readonly loaded: Loaded }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Where the configuration comes from: a file of the user's, or the demonstration. */
export interface ConfigSource {
  readonly file: string
  readonly demonstration: Demonstration | null
}

/** --config, else ./carillon.yaml, else the demonstration in `dataFolder`. */
export async function findConfig(args: Arguments, dataFolder: string): Promise<ConfigSource> {
  const named = textOption(args, 'config', existsSync(DEFAULT_CONFIG_FILE) ? DEFAULT_CONFIG_FILE : '')
  if (named !== '') return { file: resolve(named), demonstration: null }
  const made = await demonstration(dataFolder)
  return { file: made.file, demonstration: made }
}

/** --config or ./carillon.yaml, for commands that need a file of the user's. */
export function configOption(args: Arguments): string {
  const file = textOption(args, 'config', DEFAULT_CONFIG_FILE)
  if (!existsSync(file)) throw new CommandProblem(`there is no ${file}; name the configuration with --config FILE`)
  return file
}

/** Reads and checks a file. `shownAs` is the name in messages. */
export function loadFile(file: string, shownAs = file): LoadResult {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return { ok: false, problems: [`${shownAs}: cannot be read: ${(error as Error).message} [CONFIG_UNREADABLE]`] }
  }
  const result = loadConfig(text, shownAs)
  if (!result.ok) return { ok: false, problems: result.problems.map(configProblemText) }
  const snapshot = compileSnapshot(result.config, versionOf(text), localAddresses())
  return { ok: true, loaded: { file, text, config: result.config, snapshot } }
}

/** As {@link loadFile}; problems become a {@link CommandProblem} that lists them. */
export function loadOrFail(file: string): Loaded {
  const result = loadFile(file)
  if (result.ok) return result.loaded
  throw new CommandProblem(`the configuration is not usable:\n${result.problems.join('\n')}`)
}

/** Names a configuration by its content: the same text is the same version on every node. */
function versionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, VERSION_DIGITS)
}

/** A path in the configuration file is relative to the file. */
export function besideConfig(configFile: string, path: string): string {
  return resolve(dirname(configFile), path)
}
