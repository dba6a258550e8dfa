// Forks the switch process for the supervisor and turns its IPC messages into reports.

import { type ChildProcess, fork } from 'node:child_process'
import type { SwitchLauncher, SwitchProcess, SwitchProcessSink } from '#host/supervisor.ts'
import { isReport, type Order } from '#host/supervisor-channel.ts'

class ForkedSwitch implements SwitchProcess {
  readonly #child: ChildProcess
  #ended = false

  constructor(child: ChildProcess, sink: SwitchProcessSink) {
    this.#child = child
    child.on('message', (message) => {
      if (isReport(message)) sink.onReport(message)
    })
    // 'error' comes without 'exit' when the process could not be started, and 'exit' after it when it could.
    child.on('error', (error) => {
      if (child.pid === undefined) this.#end(sink, error.message)
    })
    child.on('exit', (status, signal) => this.#end(sink, signal === null ? `exit ${status}` : `killed by ${signal}`))
  }

  #end(sink: SwitchProcessSink, why: string): void {
    if (this.#ended) return
    this.#ended = true
    sink.onExit(why)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  send(order: Order): void {
    if (!this.#child.connected) return
    // A switch that dies meanwhile is told of by 'exit'; the error of one message says nothing more.
    this.#child.send(order, () => {})
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

/**
 * A young generation of 8 MB holds less memory than the default of 32 MB, and costs no more time at any rate, as far as can be
 * measured (bench/README.md).
 */
const SWITCH_NODE_OPTIONS: readonly string[] = ['--max-semi-space-size=8']

/** The gateway's threads move packets without making objects; its control is small. */
const GATEWAY_NODE_OPTIONS: readonly string[] = ['--max-semi-space-size=2']

/** A launcher that forks `script` with `args`; a restart gets `--restarted` as well. Output goes where ours goes. */
export function forkLauncher(script: string, args: readonly string[], role: 'switch' | 'gateway'): SwitchLauncher {
  const options = role === 'switch' ? SWITCH_NODE_OPTIONS : GATEWAY_NODE_OPTIONS
  return (sink, restart) => {
    const child = fork(script, [...args, ...(restart ? ['--restarted'] : [])], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      execArgv: [...process.execArgv, ...options],
    })
    return new ForkedSwitch(child, sink)
  }
}
