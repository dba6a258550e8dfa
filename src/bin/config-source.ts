// Finds, reads and checks the configuration file, with all that it names: the one way for every command.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Arguments, CommandProblem, dataOption, textOption } from '#bin/command.ts'
import { type Demonstration, demonstration, demonstrationFile } from '#bin/demonstration.ts'
import { localAddresses } from '#bin/machine.ts'
import { printable } from '#bin/table.ts'
import { readIfThere, writePrivate } from '#host/data-folder.ts'
import { compileSnapshot, type Snapshot } from '#routing/snapshot.ts'
import { type Config, loadConfig } from '#schema/config.ts'
import { configProblemText } from '#schema/config-problem.ts'

/** Taken when no --config is given and it is there. */
export const DEFAULT_CONFIG_FILE = 'carillon.yaml'
const VERSION_DIGITS = 12

/** A checked configuration, ready for use. */
export interface Loaded {
  readonly file: string
  readonly config: Config
  readonly snapshot: Snapshot
}

export type LoadResult =
  /** `problems` are those of a file whose place the kept configuration has taken; none otherwise. */
  | { readonly ok: true; readonly loaded: Loaded; readonly problems: readonly string[] }
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

/** --config, else ./carillon.yaml, else the demonstration in the data folder: as `start` finds it, and makes none. */
export function configOption(args: Arguments): string {
  const made = demonstrationFile(dataOption(args))
  const byDefault = [DEFAULT_CONFIG_FILE, made].find((path) => existsSync(path)) ?? DEFAULT_CONFIG_FILE
  const file = textOption(args, 'config', byDefault)
  if (!existsSync(file)) throw new CommandProblem(`there is no ${file}; name the configuration with --config FILE`)
  return file
}

/** Reads and checks a file. */
export function loadFile(file: string): LoadResult {
  const text = readText(file)
  return typeof text === 'string' ? loadText(text, file) : text
}

function loadText(text: string, file: string): LoadResult {
  const result = loadConfig(text, file)
  if (!result.ok)
    return { ok: false, problems: result.problems.map((problem) => printable(configProblemText(problem))) }
  return { ok: true, loaded: compiled(file, result.config, versionOf(text)), problems: [] }
}

/** The text of the file, or the problem. */
function readText(file: string): string | LoadResult {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    return { ok: false, problems: [`${file}: cannot be read: ${(error as Error).message} [CONFIG_UNREADABLE]`] }
  }
}

function compiled(file: string, config: Config, version: string): Loaded {
  return { file, config, snapshot: compileSnapshot(config, version, localAddresses()) }
}

/** Keeps a configuration that is in force in `path`, for {@link loadAgain}. No password is in it: a loaded one has digests. */
export function keepConfig(path: string, loaded: Loaded): void {
  writePrivate(path, JSON.stringify({ version: loaded.snapshot.version, config: loaded.config }))
}

/**
 * For a process that takes the place of one that died: a file that has not changed since the configuration was kept is not
 * parsed again, which takes seconds when it is large; and one that is broken now does not keep the switch down.
 */
export function loadAgain(file: string, keptPath: string): LoadResult {
  const text = readText(file)
  const kept = readKept(keptPath)
  if (typeof text === 'string' && kept?.version === versionOf(text)) {
    return { ok: true, loaded: compiled(file, kept.config, kept.version), problems: [] }
  }
  const result = typeof text === 'string' ? loadText(text, file) : text
  if (result.ok || kept === null) return result
  return { ok: true, loaded: compiled(file, kept.config, kept.version), problems: result.problems }
}

function readKept(path: string): { version: string; config: Config } | null {
  try {
    const text = readIfThere(path)
    return text === null ? null : (JSON.parse(text) as { version: string; config: Config })
  } catch {
    return null
  }
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
