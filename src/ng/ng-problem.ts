// Why a message of the ng protocol was not understood: a value with a stable code, never an exception.

/** The stable codes (docs/errors.md). */
export type NgProblemCode =
  | 'NG_COOKIE_MISSING'
  | 'NG_COOKIE_MAX'
  | 'NG_OCTETS_MAX'
  | 'NG_DEPTH_MAX'
  | 'NG_ENTRIES_MAX'
  | 'NG_TRUNCATED'
  | 'NG_SYNTAX'
  | 'NG_NOT_A_DICTIONARY'
  | 'NG_COMMAND_MISSING'
  | 'NG_COMMAND_UNKNOWN'
  | 'NG_KEY_MISSING'
  | 'NG_KEY_WRONG'

/** What is wrong and where. */
export class NgProblem {
  readonly code: NgProblemCode
  /** The octet of the message or body at which reading stopped; 0 where a place has no meaning. */
  readonly position: number
  /** One clear sentence for people: it goes into `error-reason`. */
  readonly reason: string

  constructor(code: NgProblemCode, position: number, reason: string) {
    this.code = code
    this.position = position
    this.reason = reason
  }
}
