// One machine's whole system: the supervisor with its switch process, HTTP, signals, and what a person sees.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ADDRESS_FILE, TOKEN_FILE } from '#bin/api-client.ts'
import { type ConfigSource, loadOrFail } from '#bin/config-source.ts'
import { EmbeddedGateway, gatewayArguments } from '#bin/embedded-gateway.ts'
import { VERSION } from '#bin/product.ts'
import type { SignalSink } from '#bin/stop-signals.ts'
import type { SystemStatus } from '#bin/system-status.ts'
import { type ServiceNumberFacts, welcomeText } from '#bin/welcome.ts'
import type { LogLevel } from '#core/log.ts'
import { keptSecret } from '#host/data-folder.ts'
import { freshSecret, HttpAccess } from '#host/http-access.ts'
import { newestCdrs } from '#host/http-cdrs.ts'
import { counter, gauge, processRows } from '#host/http-metrics.ts'
import { type HttpSources, httpServer, signInPath } from '#host/http-server.ts'
import { PinoLog } from '#host/pino-log.ts'
import { Supervisor, type SupervisorObserver } from '#host/supervisor.ts'
import type { CounterRow, Question, ReloadAnswer } from '#host/supervisor-channel.ts'
import { forkLauncher } from '#host/supervisor-process.ts'
import { systemClock } from '#host/system-clock.ts'
import { parseHostPort } from '#schema/address.ts'

export interface SystemOptions {
  readonly source: ConfigSource
  readonly dataFolder: string
  readonly logLevel: LogLevel
  readonly drainMaxMs: number
  /** Whether a person sits at standard output. */
  readonly terminal: boolean
}

/** What a person can do about it. */
function hintFor(failure: string): string {
  if (failure.includes('EADDRINUSE')) return '\n  another program uses this address; choose another under sip.listen'
  if (failure.includes('EADDRNOTAVAIL')) return '\n  this machine does not have this address; see sip.listen'
  if (failure.includes('EACCES'))
    return '\n  ports below 1024 need a right of their own; see docs/operations/running.md'
  return ''
}

/** Both processes count some things alike (ng messages of either side): a name is shown once, as the switch has it. */
function ownRows(rows: readonly CounterRow[], others: readonly CounterRow[]): CounterRow[] {
  const names = new Set(others.map(({ name }) => name))
  return rows.filter(({ name }) => !names.has(name))
}

export class SupervisedSystem implements SupervisorObserver, HttpSources, SignalSink {
  readonly #options: SystemOptions
  readonly #clock = systemClock((error) => this.#fail(error))
  readonly #log: PinoLog
  readonly #supervisor: Supervisor
  readonly #gateway: EmbeddedGateway
  readonly #access: HttpAccess
  readonly #http: ReturnType<typeof httpServer>
  readonly #domain: string
  readonly #listen: string
  /** Whether calls need the embedded media gateway. */
  #embedsGateway: boolean
  readonly #services: readonly ServiceNumberFacts[]
  #switchStarted = false
  #switchEnded = false
  #switchFailed = false
  #switchSinceMs = 0
  #url = ''

  /** Throws a CommandProblem when the configuration cannot be used. */
  constructor(options: SystemOptions) {
    const { source, dataFolder, logLevel } = options
    this.#options = options
    const { config } = loadOrFail(source.file)
    this.#domain = config.domain
    this.#listen = config.manager.listen
    this.#log = new PinoLog(this.#clock, { level: logLevel, fields: { process: 'supervisor' } })
    this.#access = new HttpAccess(keptSecret(dataFolder, TOKEN_FILE, freshSecret))
    this.#http = httpServer(this, this.#access)
    const args = ['switch', '--config', source.file, '--data', dataFolder, '--log-level', logLevel]
    const script = fileURLToPath(new URL('carillon.ts', import.meta.url))
    this.#supervisor = new Supervisor(this.#clock, this.#log, forkLauncher(script, args, 'switch'), this)
    const { gateways } = config.media
    this.#embedsGateway = gateways !== 'none' && gateways.length === 0
    this.#services = gateways === 'none' ? [] : config.services
    const launch = forkLauncher(script, gatewayArguments(config.media, dataFolder, logLevel), 'gateway')
    this.#gateway = new EmbeddedGateway(this.#clock, this.#log, launch, {
      onAddress: (address) => this.#onGatewayAddress(address),
      onGatewayEnd: (failure) => this.#onGatewayEnd(failure),
    })
  }

  /** Opens HTTP and starts the switch. Gives why HTTP could not be opened, or null. */
  async start(): Promise<string | null> {
    const { host, port } = parseHostPort(this.#listen) ?? { host: '127.0.0.1', port: 8080 }
    try {
      await this.#http.listen({ host, port })
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const why = code === 'EADDRINUSE' ? 'is in use by another program' : `cannot be used (${message})`
      return `manager.listen ${this.#listen} ${why}; choose another in the configuration file`
    }
    const address = this.#http.server.address()
    const bound = typeof address === 'object' && address !== null ? address.port : port
    const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
    this.#url = `http://${shown}:${bound}`
    writeFileSync(join(this.#options.dataFolder, ADDRESS_FILE), `${this.#url}\n`)
    if (this.#embedsGateway) this.#gateway.start()
    else this.#startSwitch()
    return null
  }

  onReady(listening: readonly string[], first: boolean): void {
    this.#switchSinceMs = Date.now()
    if (!first) {
      this.#log.event('warn', 'SWITCH_BACK', { listening: listening.join(' '), restarts: this.#supervisor.restarts })
      return
    }
    if (this.#options.terminal) this.#welcome(listening)
    else this.#logReady(listening)
  }

  /** The switch starts when there is media for its first call. */
  #onGatewayAddress(address: string | null): void {
    this.#supervisor.setGateway(address)
    if (!this.#switchStarted && address !== null) this.#startSwitch()
  }

  #startSwitch(): void {
    this.#switchStarted = true
    this.#supervisor.start()
  }

  /** It ends before the switch only when it cannot start at all, or when the system is stopped before that. */
  #onGatewayEnd(failure: string | null): void {
    if (this.#switchStarted && !this.#switchEnded) {
      // Started by a reload, and not able to: calls say so, the switch goes on.
      if (failure !== null) this.#log.event('error', 'GATEWAY_CANNOT_START', { why: failure })
      return
    }
    if (failure !== null) process.stderr.write(`carillon: the media gateway could not start: ${failure}\n`)
    this.#end(this.#switchFailed || failure !== null)
  }

  /** The switch has ended; its calls need no media any more. */
  onEnd(failure: string | null): void {
    this.#switchEnded = true
    this.#switchFailed = failure !== null
    if (failure !== null) process.stderr.write(`carillon: the switch could not start: ${failure}${hintFor(failure)}\n`)
    if (this.#gateway.isRunning) this.#gateway.stop()
    else this.#end(this.#switchFailed)
  }

  #end(failed: boolean): void {
    if (!failed && this.#options.terminal) process.stdout.write('\nCarillon has stopped.\n')
    else if (!failed) this.#log.event('info', 'SYSTEM_STOPPED', {})
    process.exitCode = failed ? 1 : 0
    this.#log.flushNow()
    void this.#http.close().finally(() => process.exit())
  }

  onDrain(): void {
    const { status } = this.#supervisor
    const calls = status?.calls ?? 0
    if (this.#options.terminal && calls > 0) {
      process.stdout.write(
        `\nWaiting for ${calls} ${calls === 1 ? 'call' : 'calls'} to end; Ctrl-C again stops at once.\n`,
      )
    }
    this.#log.event('info', 'DRAINING', { calls })
    if (this.#switchStarted) this.#supervisor.drain(this.#options.drainMaxMs)
    else this.onStop()
  }

  onStop(): void {
    if (this.#switchStarted) this.#supervisor.stop()
    else this.#gateway.stop()
  }

  onReload(): void {
    void this.ask('reload', 0).then((body) => {
      const answer = body as ReloadAnswer | null
      const problems = answer === null ? ['the switch does not answer'] : answer.ok ? [] : answer.problems
      for (const problem of problems) process.stderr.write(`${problem}\n`)
      if (problems.length > 0) process.stderr.write('carillon: the configuration stays as it was\n')
      else if (this.#options.terminal) process.stdout.write('The new configuration is in force.\n')
    })
  }

  health(): { up: boolean; reason: string } {
    if (!this.#embedsGateway) return this.#supervisor.health()
    const gateway = this.#gateway.health()
    if (!this.#switchStarted) return gateway
    const health = this.#supervisor.health()
    return health.up ? gateway : health
  }

  status(): SystemStatus {
    const { status, restarts, pid } = this.#supervisor
    return {
      ...this.health(),
      version: VERSION,
      domain: this.#domain,
      listening: status?.listening ?? [],
      calls: status?.calls ?? 0,
      registrations: status?.registrations ?? 0,
      draining: status?.draining ?? false,
      configVersion: status?.configVersion ?? '',
      uptimeMs: pid === null || this.#switchSinceMs === 0 ? 0 : Date.now() - this.#switchSinceMs,
      restarts,
      gateways: status?.gateways ?? [],
      gatewayRestarts: this.#gateway.restarts,
    }
  }

  async ask(question: Question, limit: number): Promise<unknown> {
    const body = await this.#supervisor.ask(question, limit)
    if (question === 'reload') this.#noteReload(body as ReloadAnswer | null)
    return body
  }

  /** A configuration that needs the embedded gateway now gets it; one that does not leaves it to the calls that it has. */
  #noteReload(answer: ReloadAnswer | null): void {
    if (answer === null || !answer.ok) return
    this.#embedsGateway = answer.embedsGateway
    if (answer.embedsGateway && !this.#gateway.isRunning && !this.#switchEnded) this.#gateway.start()
  }

  async counters(): Promise<readonly CounterRow[]> {
    const { pid, restarts } = this.#supervisor
    const [rows, media, supervisor, child, gateway] = await Promise.all([
      this.#supervisor.ask('counters'),
      this.#gateway.ask('counters'),
      processRows('supervisor', process.pid),
      pid === null ? [] : processRows('switch', pid),
      this.#gateway.pid === null ? [] : processRows('gateway', this.#gateway.pid),
    ])
    return [
      gauge('carillon_up', 'Whether all is up: 1 or 0', this.health().up ? 1 : 0),
      counter('carillon_switch_restarts_total', 'Times that the switch was started again after it died', restarts),
      ...((rows ?? []) as CounterRow[]),
      ...ownRows((media ?? []) as CounterRow[], (rows ?? []) as CounterRow[]),
      ...supervisor,
      ...child,
      ...gateway,
      counter(
        'carillon_gateway_restarts_total',
        'Times that the media gateway was started again',
        this.#gateway.restarts,
      ),
    ]
  }

  cdrs(limit: number, before: number): Promise<readonly object[]> {
    return newestCdrs(join(this.#options.dataFolder, 'cdr'), limit, before)
  }

  /** As long as it takes: who asks by hand watches it. */
  drain(): void {
    this.#log.event('info', 'DRAINING', { calls: this.#supervisor.status?.calls ?? 0 })
    this.#supervisor.drain(Number.POSITIVE_INFINITY)
  }

  onFault(reference: string, error: unknown): void {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    this.#log.event('error', 'HTTP_INTERNAL', { reference, message, stack: stack ?? '' })
  }

  #welcome(listening: readonly string[]): void {
    const { source, dataFolder } = this.#options
    const signInUrl = `${this.#url}${signInPath(this.#access)}`
    const facts = {
      listening,
      domain: this.#domain,
      signInUrl,
      configFile: source.file,
      dataFolder,
      demonstration: source.demonstration,
      services: this.#services,
    }
    process.stdout.write(welcomeText(facts, process.env['NO_COLOR'] === undefined))
  }

  /** The same facts for a machine. A sign-in link goes into a log only with the demonstration: it opens the system. */
  #logReady(listening: readonly string[]): void {
    const { demonstration } = this.#options.source
    const link = demonstration === null ? {} : { signIn: `${this.#url}${signInPath(this.#access)}` }
    this.#log.event('info', 'SYSTEM_READY', {
      version: VERSION,
      listening: listening.join(' '),
      domain: this.#domain,
      console: this.#url,
      ...link,
    })
    for (const { user, password, number, name } of demonstration?.subscribers ?? []) {
      this.#log.event('info', 'DEMONSTRATION_SUBSCRIBER', { user, password, number, name, domain: this.#domain })
    }
    this.#log.flushNow()
  }

  #fail(error: unknown): never {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    this.#log.event('error', 'PROCESS_FAULT', { message, stack: stack ?? '' })
    this.#log.flushNow()
    process.exit(1)
  }
}
