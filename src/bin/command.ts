// What a sub-command is, and how its arguments are read.

import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'

/** Values of options as given; absent ones are missing. */
export type OptionValues = Readonly<Record<string, string | boolean | undefined>>

export interface Arguments {
  readonly options: OptionValues
  readonly words: readonly string[]
}

export interface Command {
  /** One line for the list of commands. */
  readonly summary: string
  /** What follows the command's name; then one line an option. */
  readonly usage: string
  readonly options: ParseArgsOptionsConfig
  /** Words that it takes besides options: at least, at most. */
  readonly words: readonly [number, number]
  /** Gives the exit status. */
  run(args: Arguments): Promise<number>
}

/** Exit statuses: 1 the command failed, 2 it was called wrongly. */
export const FAILED = 1
export const MISUSED = 2

/** What the user can mend: printed as it is, without a stack. */
export class CommandProblem extends Error {
  readonly status: number
  constructor(message: string, status = FAILED) {
    super(message)
    this.status = status
  }
}

/** Reads what stands after the command's name. Throws a {@link CommandProblem} that says what is wrong. */
export function readArguments(command: Command, name: string, argv: readonly string[]): Arguments {
  let parsed: { values: OptionValues; positionals: string[] }
  try {
    const options = { ...command.options, help: { type: 'boolean', short: 'h' } } as const
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true }) as typeof parsed
  } catch (error) {
    const message = (error as Error).message.split('. To specify')[0] ?? ''
    throw new CommandProblem(`${message}\nusage: carillon ${name} ${command.usage}`, MISUSED)
  }
  const [least, most] = command.words
  const count = parsed.positionals.length
  if (parsed.values['help'] !== true && (count < least || count > most)) {
    throw new CommandProblem(`usage: carillon ${name} ${command.usage}`, MISUSED)
  }
  return { options: parsed.values, words: parsed.positionals }
}

/** The text of an option, or `byDefault`. */
export function textOption(args: Arguments, name: string, byDefault: string): string {
  const value = args.options[name]
  return typeof value === 'string' ? value : byDefault
}

/** A whole number in [least, most], or `byDefault`. */
export function numberOption(args: Arguments, name: string, byDefault: number, least: number, most: number): number {
  const text = args.options[name]
  if (typeof text !== 'string') return byDefault
  const value = Number(text)
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new CommandProblem(`--${name} wants a whole number from ${least} to ${most}, not '${text}'`, MISUSED)
  }
  return value
}

/** The data folder: --data, else CARILLON_DATA, else ./data. */
export function dataOption(args: Arguments): string {
  return textOption(args, 'data', process.env['CARILLON_DATA'] ?? 'data')
}
