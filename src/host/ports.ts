// The bundle of real effects that a process is made with.

import { Counters } from '#core/counters.ts'
import type { LogLevel } from '#core/log.ts'
import type { Ports } from '#core/ports.ts'
import { FileStore } from '#host/file-store.ts'
import { NodeNet, type NodeNetOptions } from '#host/node-net.ts'
import { PinoLog } from '#host/pino-log.ts'
import { systemClock } from '#host/system-clock.ts'
import { SystemRandom } from '#host/system-random.ts'

/** What a process says about its effects. */
export interface HostPortsOptions {
  /** The node's data folder; made when it does not exist. */
  readonly dataFolder: string
  readonly logLevel?: LogLevel
  /** Written on every log line. */
  readonly nodeId?: string
  readonly net?: NodeNetOptions
  /**
   * Gets what a timer's owner throws, and nothing else can handle. The default logs it as PROCESS_FAULT and goes on.
   */
  readonly onFault?: (error: unknown) => void
}

/** Ports, and what only the process's start and end need of them. */
export interface HostPorts extends Ports {
  readonly log: PinoLog
}

/** The ports of this process on this machine. */
export function hostPorts(options: HostPortsOptions): HostPorts {
  const onFault = (error: unknown): void => {
    if (options.onFault === undefined) logFault(log, error)
    else options.onFault(error)
  }
  const clock = systemClock(onFault)
  const fields = options.nodeId === undefined ? {} : { node: options.nodeId }
  const log = new PinoLog(clock, { level: options.logLevel ?? 'info', fields })
  return {
    clock,
    random: new SystemRandom(),
    net: new NodeNet(clock, onFault, options.net),
    store: new FileStore(options.dataFolder, clock),
    log,
    counters: new Counters(),
  }
}

function logFault(log: PinoLog, error: unknown): void {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
  log.event('error', 'PROCESS_FAULT', { name, message, stack: stack ?? null })
}
