// What is wrong with a configuration file, where, and under which stable code (docs/errors.md).

export type ConfigProblemCode =
  /** Not YAML. */
  | 'CONFIG_SYNTAX'
  /** The file, or a list in it, is larger than a limit. */
  | 'CONFIG_TOO_LARGE'
  | 'CONFIG_UNKNOWN_KEY'
  | 'CONFIG_DUPLICATE_KEY'
  | 'CONFIG_MISSING_KEY'
  /** A number where text belongs, a list where a mapping belongs … */
  | 'CONFIG_TYPE'
  /** A number or a length outside its bounds. */
  | 'CONFIG_RANGE'
  /** Text that is not of its form: an address, a port, a prefix, a number. */
  | 'CONFIG_FORMAT'
  /** A user, number, name, prefix, peer or address that stands there twice. */
  | 'CONFIG_DUPLICATE'
  /** A trunk group that does not exist. */
  | 'CONFIG_REFERENCE'
  /** Two values that contradict each other. */
  | 'CONFIG_CONFLICT'
  /** Valid, but this version cannot do it. */
  | 'CONFIG_UNSUPPORTED'

/** One problem. `line` and `column` count from 1; `column` counts UTF-16 code units. */
export interface ConfigProblem {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly code: ConfigProblemCode
  /** A sentence that says what was expected. Never repeats a secret. */
  readonly message: string
}

/** One line for a terminal: `carillon.yaml:3:7: unknown key … [CONFIG_UNKNOWN_KEY]`. */
export function configProblemText(problem: ConfigProblem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message} [${problem.code}]`
}
