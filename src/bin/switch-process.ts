// The switch as a process: configuration, ports, signals, and the supervisor's channel around one Switch.

import { join } from 'node:path'
import { keepConfig, type Loaded, type LoadResult, loadAgain, loadFile } from '#bin/config-source.ts'
import { machineAddresses, machineName } from '#bin/machine.ts'
import { listenToSignals, type SignalSink } from '#bin/stop-signals.ts'
import { type TlsResult, tlsContext, tlsPaths } from '#bin/tls-files.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { LogLevel } from '#core/log.ts'
import { holdDataFolder } from '#host/data-folder.ts'
import { type HostPorts, hostPorts } from '#host/ports.ts'
import { type FileWatch, watchFiles } from '#host/self-signed.ts'
import { isOrder, type Order, type ReloadAnswer, type Report } from '#host/supervisor-channel.ts'
import { Switch, type SwitchObserver } from '#switch/switch.ts'

/** The last configuration that was in force, below the data folder: for a restart while the file is being edited. */
const LAST_GOOD_FILE = 'last-good.json'
/** After stopping, sockets and journals close; what has not by then is cut off. */
const CLOSE_MAX_MS = 3_000
const CLOSE_POLL_MS = 20
const QUIET_CHECKS = 3
/** Requests under way as Node names them: file writes and syncs, and octets not yet taken by the kernel. */
const PENDING_WORK = /Req|Write|Send|Shutdown/
const ROWS_MAX = 1_000

export interface SwitchProcessOptions {
  readonly configFile: string
  readonly dataFolder: string
  readonly logLevel: LogLevel
  readonly drainMaxMs: number
  /** Whether this process takes the place of one that died: then a broken file does not keep it down. */
  readonly restarted: boolean
}

export class SwitchProcess implements SwitchObserver, SignalSink, TimerOwner {
  readonly #options: SwitchProcessOptions
  readonly #ports: HostPorts
  readonly #keptPath: string
  readonly #drainEnds = new Timer(this)
  readonly #supervised = process.send !== undefined
  #switch: Switch | null = null
  #loaded: Loaded | null = null
  #tlsWatch: FileWatch | null = null
  #reloading: Promise<ReloadAnswer> | null = null
  #stopped = false
  /** Where the supervisor says that the embedded media gateway is. */
  #gateway: string | null = null

  constructor(options: SwitchProcessOptions) {
    this.#options = options
    this.#keptPath = join(options.dataFolder, LAST_GOOD_FILE)
    this.#ports = hostPorts({
      dataFolder: options.dataFolder,
      logLevel: options.logLevel,
      nodeId: machineName(),
      onFault: (error) => this.#onFault(error),
    })
  }

  /** Loads, makes and starts the switch. What prevents it goes to the supervisor, or to standard error, and ends the process. */
  async start(): Promise<void> {
    process.on('uncaughtException', (error) => this.#die(error))
    process.on('unhandledRejection', (error) => this.#die(error))
    this.#listen()
    const { dataFolder } = this.#options
    if (!(await holdDataFolder(dataFolder, 'switch'))) {
      this.onFatal(`the data folder ${dataFolder} is in use by another switch`)
      return
    }
    const result = this.#load()
    if (!result.ok) {
      this.onFatal(`the configuration is not usable:\n${result.problems.join('\n')}`)
      return
    }
    const { loaded } = result
    const tls = await tlsContext(loaded, dataFolder)
    if (!tls.ok) {
      this.onFatal(tls.problems.join('\n'))
      return
    }
    const options = {
      nodeId: machineName(),
      shard: 0,
      tls: tls.tls,
      machineAddresses: machineAddresses(),
      embeddedGateway: this.#gateway,
    }
    this.#switch = new Switch(this.#ports, loaded.snapshot, options, this)
    this.#keep(loaded)
    this.#switch.start()
  }

  onReady(listening: readonly string[]): void {
    this.#ports.log.event('info', 'SWITCH_READY', {
      listening: listening.join(' '),
      configVersion: this.#loaded?.snapshot.version ?? '',
    })
    this.#report({ type: 'ready', listening })
  }

  onFatal(reason: string): void {
    if (this.#supervised) this.#report({ type: 'fatal', reason })
    else process.stderr.write(`carillon switch: ${reason}\n`)
    this.#stopped = true
    this.#switch?.stop()
    this.#end(1)
  }

  onDrained(): void {
    if (this.#supervised) this.#report({ type: 'drained' })
    else this.onStop()
  }

  onDrain(): void {
    this.#switch?.drain()
    if (!this.#drainEnds.armed) this.#ports.clock.arm(this.#drainEnds, 'drainEnds', this.#options.drainMaxMs)
  }

  onStop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#ports.clock.cancel(this.#drainEnds)
    this.#tlsWatch?.close()
    this.#switch?.stop()
    this.#end(0)
  }

  onReload(): void {
    void this.#reload().then((answer) => {
      if (answer.ok) return
      for (const problem of answer.problems) process.stderr.write(`${problem}\n`)
    })
  }

  onTimer(): void {
    this.#ports.log.event('warn', 'DRAIN_ENDED_BY_LIMIT', { calls: this.#switch?.status().calls ?? 0 })
    this.onStop()
  }

  #listen(): void {
    if (!this.#supervised) {
      listenToSignals(this)
      return
    }
    // The terminal and systemd signal the whole group; the supervisor decides what it means, and says so by IPC.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
    process.on('message', (message) => {
      if (isOrder(message)) this.#obey(message)
    })
    // The supervisor is gone: its successor needs our ports and our data folder.
    process.on('disconnect', () => this.onStop())
  }

  #obey(order: Order): void {
    switch (order.type) {
      case 'drain':
        this.#switch?.drain()
        return
      case 'stop':
        this.onStop()
        return
      case 'gateway':
        this.#gateway = order.address
        this.#switch?.setEmbeddedGateway(order.address)
        return
      case 'ask':
        if (order.question === 'reload') {
          void this.#reload().then((body) => this.#report({ type: 'answer', id: order.id, body }))
        } else {
          this.#report({ type: 'answer', id: order.id, body: this.#answer(order.question, order.limit) })
        }
        return
      default:
        order satisfies never
    }
  }

  #answer(question: 'status' | 'calls' | 'registrations' | 'counters', limit: number): unknown {
    const running = this.#switch
    if (running === null) return null
    switch (question) {
      case 'status':
        return running.status()
      case 'calls':
        return running.calls().slice(0, Math.min(limit, ROWS_MAX))
      case 'registrations':
        return running.registrations(Math.min(limit, ROWS_MAX))
      case 'counters':
        return this.#ports.counters.snapshot()
      default:
        return question satisfies never
    }
  }

  #load(): LoadResult {
    const { configFile, restarted } = this.#options
    if (!restarted) return loadFile(configFile)
    const result = loadAgain(configFile, this.#keptPath)
    if (result.ok && result.problems.length > 0) {
      this.#ports.log.event('error', 'CONFIG_LAST_GOOD_USED', { problems: result.problems.join('; ') })
    }
    return result
  }

  /** One reload at a time; who asks meanwhile gets the answer of the one under way. */
  #reload(): Promise<ReloadAnswer> {
    this.#reloading ??= this.#reloadNow().finally(() => {
      this.#reloading = null
    })
    return this.#reloading
  }

  async #reloadNow(): Promise<ReloadAnswer> {
    const result = loadFile(this.#options.configFile)
    const tls: TlsResult = result.ok ? await tlsContext(result.loaded, this.#options.dataFolder) : result
    const running = this.#switch
    if (!result.ok || !tls.ok || running === null) {
      const problems = !result.ok ? result.problems : tls.ok ? ['the switch is starting'] : tls.problems
      this.#ports.log.event('error', 'CONFIG_REFUSED', { problems: problems.join('; ') })
      return { ok: false, problems }
    }
    running.replaceSnapshot(result.loaded.snapshot)
    if (tls.tls !== null) running.replaceTls(tls.tls)
    this.#keep(result.loaded)
    const configVersion = result.loaded.snapshot.version
    this.#ports.log.event('info', 'CONFIG_IN_FORCE', { configVersion })
    const { gateways } = result.loaded.config.media
    return { ok: true, configVersion, embedsGateway: gateways !== 'none' && gateways.length === 0 }
  }

  /** Remembers what is in force, and watches the certificate files that it names. */
  #keep(loaded: Loaded): void {
    this.#loaded = loaded
    try {
      keepConfig(this.#keptPath, loaded)
    } catch (error) {
      this.#ports.log.event('error', 'CONFIG_NOT_KEPT', { why: (error as Error).message })
    }
    this.#tlsWatch?.close()
    const paths = tlsPaths(loaded)
    this.#tlsWatch =
      paths.length === 0 ? null : watchFiles(paths, this.#ports.clock, this.#renewTls, this.#onWatchFault)
  }

  readonly #renewTls = (): void => {
    const loaded = this.#loaded
    if (loaded === null) return
    void tlsContext(loaded, this.#options.dataFolder).then((result) => {
      if (!result.ok) this.#ports.log.event('error', 'TLS_FILES_REFUSED', { problems: result.problems.join('; ') })
      else if (result.tls !== null && !this.#stopped) this.#switch?.replaceTls(result.tls)
    })
  }

  readonly #onWatchFault = (error: unknown): void => {
    this.#ports.log.event('warn', 'TLS_FILES_NOT_WATCHED', {
      why: error instanceof Error ? error.message : String(error),
    })
  }

  #report(report: Report): void {
    if (process.connected) process.send?.(report)
  }

  /** Lets what is being written get out, then ends. The event loop alone does not tell: armed timers would hold it. */
  #end(status: number): void {
    process.exitCode = status
    this.#ports.log.flushNow()
    const endMs = performance.now() + CLOSE_MAX_MS
    let quiet = 0
    setInterval(() => {
      const busy = process.getActiveResourcesInfo().some((name) => PENDING_WORK.test(name))
      quiet = busy ? 0 : quiet + 1
      if (quiet < QUIET_CHECKS && performance.now() < endMs) return
      this.#ports.log.flushNow()
      process.exit(status)
    }, CLOSE_POLL_MS)
  }

  /** What a timer or a socket's sink threw: it ends the call it belongs to, else the process. */
  #onFault(error: unknown): void {
    if (this.#switch === null || !this.#switch.endFaulty(error)) this.#die(error)
  }

  /** A broken invariant outside any call: nothing that goes on can be trusted; the supervisor starts a fresh process. */
  #die(error: unknown): never {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    this.#ports.log.event('error', 'PROCESS_FAULT', { message, stack: stack ?? '' })
    this.#ports.log.flushNow()
    process.exit(1)
  }
}
