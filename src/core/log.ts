// The log port: events with stable codes and plain fields, and counters. Formatting is the host's affair.

export type Fields = Readonly<Record<string, string | number | boolean | null>>

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** The log port. `code` is a stable word that `docs/errors.md` lists. */
export interface Log {
  event(level: LogLevel, code: string, fields: Fields): void
}
