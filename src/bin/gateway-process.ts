// The media gateway as a process: the control with its ng server, the data plane in a thread, signals and the supervisor's channel.

import { X509Certificate } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayPrompts } from '#bin/gateway-prompts.ts'
import { machineName, mainAddress } from '#bin/machine.ts'
import { GATHER_MICROS, startPlaneThread } from '#bin/plane-thread.ts'
import { listenToSignals, type SignalSink } from '#bin/stop-signals.ts'
import { Timer, type TimerOwner } from '#core/clock.ts'
import type { LogLevel } from '#core/log.ts'
import { CodecSet } from '#gateway/audio/codec-set.ts'
import { Gateway } from '#gateway/gateway.ts'
import { GATEWAY_DEFAULTS, type GatewaySettings } from '#gateway/gateway-settings.ts'
import type { Plane, PlaneSink } from '#gateway/plane.ts'
import { audioCodecs } from '#host/audio-codecs.ts'
import { holdDataFolder } from '#host/data-folder.ts'
import { openSslDtls } from '#host/dtls.ts'
import { type HostPorts, hostPorts } from '#host/ports.ts'
import { type CertificatePair, makeCertificate } from '#host/self-signed.ts'
import { isOrder, type Order, type Question, type Report, type StatusAnswer } from '#host/supervisor-channel.ts'
import { type NgAddress, ngAddressText } from '#ng/ng-address.ts'

/** How often it is looked whether the last call has ended. */
const DRAIN_LOOK_MS = 500
/** What a message to the supervisor and lines of the log need to get out. */
const CLOSE_MS = 200

export interface GatewayProcessOptions {
  /** Where commands are taken. */
  readonly control: readonly NgAddress[]
  /** Hosts and prefixes that may command; null: those of this machine. */
  readonly sources: readonly string[] | null
  readonly listen: { readonly host: string; readonly family: 4 | 6 }
  /** What descriptions say instead of `listen`; null: that address, or the machine's first where it is the wildcard. */
  readonly advertise: string | null
  readonly ports: { readonly portMin: number; readonly portMax: number }
  readonly dataFolder: string
  readonly logLevel: LogLevel
  readonly drainMaxMs: number
}

export class GatewayProcess implements SignalSink, TimerOwner {
  readonly #options: GatewayProcessOptions
  readonly #ports: HostPorts
  #gateway: Gateway | null = null
  readonly #supervised = process.send !== undefined
  readonly #drainLook = new Timer(this)
  readonly #listening: string[] = []
  #drainEndsMs = Number.POSITIVE_INFINITY
  #draining = false
  #stopped = false

  constructor(options: GatewayProcessOptions) {
    this.#options = options
    const { dataFolder, logLevel } = options
    this.#ports = hostPorts({ dataFolder, logLevel, nodeId: machineName(), onFault: (error) => this.#die(error) })
  }

  /** Takes commands. What prevents it goes to the supervisor, or to standard error, and ends the process. */
  async start(): Promise<void> {
    process.on('uncaughtException', (error) => this.#die(error))
    process.on('unhandledRejection', (error) => this.#die(error))
    this.#listen()
    if (!(await holdDataFolder(this.#options.dataFolder, 'gateway'))) {
      this.#fatal(`the data folder ${this.#options.dataFolder} is in use by another media gateway`)
      return
    }
    const { clock, log } = this.#ports
    const certificate = await makeCertificate(['carillon'], clock.wallMs())
    const { available } = new CodecSet(await audioCodecs(log))
    const { control, sources, dataFolder } = this.#options
    const plane = (sink: PlaneSink): Plane => {
      const settings = { epoll: true, gatherMicros: GATHER_MICROS, certificate }
      return startPlaneThread(clock, log, settings, sink, () => this.#onThreadEnded()).plane
    }
    const listen = { listen: control, ...(sources === null ? {} : { sources }) }
    this.#gateway = new Gateway(
      this.#ports,
      this.#settings(certificate, openSslDtls(certificate, clock) !== null, available),
      listen,
      {
        plane,
        prompts: new GatewayPrompts(join(dataFolder, 'prompts')),
        onListening: (local) => this.#onListening(local),
        onListenError: (local, reason) => this.#onListenError(local, reason),
      },
    )
  }

  #onListening(local: NgAddress): void {
    const text = ngAddressText(local)
    if (!this.#listening.includes(text)) this.#listening.push(text)
    if (this.#listening.length < this.#options.control.length) return
    const { listen, ports } = this.#options
    const media = `${listen.host} ports ${ports.portMin}-${ports.portMax}`
    this.#ports.log.event('info', 'GATEWAY_READY', { control: this.#listening.join(' '), media })
    this.#report({ type: 'ready', listening: this.#listening })
  }

  #onListenError(local: NgAddress, reason: string): void {
    const why = `cannot take commands at ${ngAddressText(local)}: ${reason}`
    // One that did listen is tried again by the server; at the start somebody has to choose another.
    if (this.#listening.length < this.#options.control.length) this.#fatal(why)
    else this.#ports.log.event('error', 'GATEWAY_LISTEN_FAILED', { why })
  }

  // ── Signals and orders ──────────────────────────────────────────────────────────────────────────────────────

  onDrain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#drainEndsMs = this.#ports.clock.now() + this.#options.drainMaxMs
    this.onTimer()
  }

  onStop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#gateway?.close()
    this.#end(0)
  }

  /** Nothing of it can be changed while it runs. */
  onReload(): void {
    this.#ports.log.event('warn', 'GATEWAY_RELOAD_IGNORED', {})
  }

  /** Draining: once the last call has ended, or its time is over, it stops. */
  onTimer(): void {
    const { clock } = this.#ports
    if (this.#calls > 0 && clock.now() < this.#drainEndsMs) {
      clock.arm(this.#drainLook, 'drained', DRAIN_LOOK_MS)
      return
    }
    if (this.#supervised) this.#report({ type: 'drained' })
    else this.onStop()
  }

  #listen(): void {
    if (!this.#supervised) {
      listenToSignals(this)
      return
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
    process.on('message', (message) => {
      if (isOrder(message)) this.#obey(message)
    })
    process.on('disconnect', () => this.onStop())
  }

  #obey(order: Order): void {
    if (order.type === 'stop') this.onStop()
    else if (order.type === 'drain') this.onDrain()
    else if (order.type === 'ask') {
      this.#report({ type: 'answer', id: order.id, body: this.#answer(order.question) })
    }
  }

  #answer(question: Question): unknown {
    if (question === 'counters') return this.#ports.counters.snapshot()
    return question === 'status' ? this.#status() : null
  }

  #status(): StatusAnswer {
    const ready = !this.#stopped && !this.#draining
    return {
      ready,
      reason: ready ? '' : 'the media gateway is stopping',
      listening: this.#listening,
      calls: this.#calls,
      registrations: 0,
      draining: this.#draining,
      configVersion: '',
    }
  }

  // ── Pieces ──────────────────────────────────────────────────────────────────────────────────────────────────

  get #calls(): number {
    return this.#gateway?.table.size ?? 0
  }

  #settings(certificate: CertificatePair, hasDtls: boolean, encodings: readonly string[]): GatewaySettings {
    const { listen, advertise, ports, dataFolder } = this.#options
    const isWildcard = listen.host === '0.0.0.0' || listen.host === '::'
    const recordingsFolder = join(dataFolder, 'recordings')
    const promptsFolder = join(dataFolder, 'prompts')
    for (const folder of [recordingsFolder, promptsFolder]) mkdirSync(folder, { recursive: true })
    return {
      ...GATEWAY_DEFAULTS,
      interfaces: [
        {
          name: 'default',
          address: listen.host,
          family: listen.family,
          advertise: advertise ?? (isWildcard ? mainAddress() : null),
          portFirst: ports.portMin,
          portLast: ports.portMax,
        },
      ],
      recordingsFolder,
      promptsFolder,
      // What cannot be done is not offered.
      fingerprint: hasDtls ? new X509Certificate(certificate.certificate).fingerprint256 : null,
      encodings,
    }
  }

  /** Without its thread it moves nothing: another process takes its place, and the calls are offered to it. */
  #onThreadEnded(): void {
    if (!this.#stopped) this.#die(new Error('the media thread ended'))
  }

  #fatal(reason: string): void {
    if (this.#supervised) this.#report({ type: 'fatal', reason })
    else process.stderr.write(`carillon gateway: ${reason}\n`)
    this.#stopped = true
    this.#gateway?.close()
    this.#end(1)
  }

  #report(report: Report): void {
    if (process.connected) process.send?.(report)
  }

  #end(status: number): void {
    process.exitCode = status
    this.#ports.log.flushNow()
    setTimeout(() => {
      this.#ports.log.flushNow()
      process.exit(status)
    }, CLOSE_MS)
  }

  #die(error: unknown): never {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    this.#ports.log.event('error', 'PROCESS_FAULT', { message, stack: stack ?? '' })
    this.#ports.log.flushNow()
    process.exit(1)
  }
}
