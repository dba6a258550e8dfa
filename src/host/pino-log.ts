// The Log port on pino: JSON lines for machines, one plain line for a person at a terminal. Never waits for its reader.

import { isatty } from 'node:tty'
import { type DestinationStream, type Logger, pino } from 'pino'
import { type Clock, Timer, type TimerOwner } from '#core/clock.ts'
import type { Fields, Log, LogLevel } from '#core/log.ts'
import { LogOutput } from '#host/log-output.ts'

/** Lines of debug and info grade wait so long to be written together, in milliseconds. */
export const FLUSH_MS = 200

const STDOUT = 1
const LEVELS: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' }

/** Where and how to log. */
export interface PinoLogOptions {
  readonly level: LogLevel
  /** Whether lines are for a person; by default when standard output is a terminal. */
  readonly plain?: boolean
  /** Fields on every line, such as the node's name. */
  readonly fields?: Fields
  /** Takes the lines in place of standard output, for tests. */
  readonly stream?: DestinationStream
}

/** The time as RFC 3339 text for each line. All but the milliseconds is kept for a second: writing it costs as much as the rest. */
function isoTime(clock: Clock): () => string {
  let second = Number.NaN
  let prefix = ''
  return () => {
    const wallMs = clock.wallMs()
    const now = Math.floor(wallMs / 1_000)
    if (now !== second) {
      second = now
      prefix = `,"time":"${new Date(now * 1_000).toISOString().slice(0, 20)}`
    }
    return `${prefix}${String(wallMs - now * 1_000).padStart(3, '0')}Z"`
  }
}

/** One line for a person: time, level, code, fields. */
export function plainLine(json: string): string {
  const { time, level, code, ...fields } = JSON.parse(json) as Record<string, string | number | boolean | null>
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${plainValue(value)}`)
  return `${String(time).slice(11, 23)} ${(LEVELS[Number(level)] ?? String(level)).padEnd(5)} ${[code, ...rest].join(' ')}\n`
}

function plainValue(value: unknown): string {
  const text = String(value)
  return typeof value === 'string' && /[\s"=]|^$/.test(text) ? JSON.stringify(text) : text
}

/** Logs to standard output. Warnings and errors are handed over at once, the rest in batches. */
export class PinoLog implements Log, TimerOwner {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #flushTimer = new Timer(this)
  readonly #output: LogOutput | null

  constructor(clock: Clock, options: PinoLogOptions) {
    this.#clock = clock
    const settings = { level: options.level, base: options.fields ?? null, timestamp: isoTime(clock) }
    if (options.stream !== undefined) {
      this.#output = null
      this.#logger = pino(settings, options.plain === true ? plainStream(options.stream) : options.stream)
      return
    }
    const output = new LogOutput(STDOUT)
    this.#output = output
    process.once('exit', () => output.flushNow())
    this.#logger = pino(settings, (options.plain ?? isatty(STDOUT)) ? plainStream(output) : output)
  }

  event(level: LogLevel, code: string, fields: Fields): void {
    if (!this.#logger.isLevelEnabled(level)) return
    this.#logger[level]({ code, ...fields })
    if (this.#output === null) return
    if (level === 'warn' || level === 'error') this.#output.flush()
    else if (!this.#flushTimer.armed) this.#clock.arm(this.#flushTimer, 'flush', FLUSH_MS)
  }

  /** For the clock. */
  onTimer(): void {
    this.#output?.flush()
  }

  /** Writes everything before it returns: for the end of the process. */
  flushNow(): void {
    this.#output?.flushNow()
  }
}

function plainStream(stream: DestinationStream): DestinationStream {
  return { write: (json: string) => stream.write(plainLine(json)) }
}
