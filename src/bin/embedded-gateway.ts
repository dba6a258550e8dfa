// The embedded media gateway as the system runs it beside its switch: one more supervised process, whose address the switch is told.

import type { Clock } from '#core/clock.ts'
import type { Log } from '#core/log.ts'
import { type Health, Supervisor, type SupervisorObserver, type SwitchLauncher } from '#host/supervisor.ts'
import type { Question } from '#host/supervisor-channel.ts'
import type { Config } from '#schema/config.ts'

/** The control of the embedded gateway is for this machine alone, on a port that is free. */
const CONTROL = 'udp:127.0.0.1:0'

/** Who runs the gateway. */
export interface EmbeddedGatewayObserver {
  /** It takes commands there; null: it has died, and another is on its way. */
  onAddress(address: string | null): void
  /** It has ended for good; `failure` says why it could not start. */
  onGatewayEnd(failure: string | null): void
}

/** What `carillon gateway` is started with beside a switch. */
export function gatewayArguments(media: Config['media'], dataFolder: string, logLevel: string): string[] {
  const { listen, advertise, ports } = media
  const args = ['gateway', '--control', CONTROL, '--listen', listen, '--ports', ports, '--data', dataFolder]
  if (advertise !== null) args.push('--advertise', advertise)
  return [...args, '--log-level', logLevel]
}

export class EmbeddedGateway implements SupervisorObserver {
  readonly #supervisor: Supervisor
  readonly #observer: EmbeddedGatewayObserver
  #running = false

  constructor(clock: Clock, log: Log, launch: SwitchLauncher, observer: EmbeddedGatewayObserver) {
    this.#observer = observer
    this.#supervisor = new Supervisor(clock, log, launch, this, { title: 'media gateway', diedCode: 'GATEWAY_DIED' })
  }

  /** Whether it was started and has not ended for good. */
  get isRunning(): boolean {
    return this.#running
  }

  get pid(): number | null {
    return this.#supervisor.pid
  }

  get restarts(): number {
    return this.#supervisor.restarts
  }

  /** Starts it, once: after it has ended for good there is no other. */
  start(): void {
    if (this.#running || this.#supervisor.state === 'ended') return
    this.#running = true
    this.#supervisor.start()
  }

  stop(): void {
    if (this.#running) this.#supervisor.stop()
    else this.#observer.onGatewayEnd(null)
  }

  health(): Health {
    return this.#supervisor.health()
  }

  ask(question: Question): Promise<unknown> {
    return this.#supervisor.ask(question)
  }

  onReady(listening: readonly string[]): void {
    this.#observer.onAddress(listening[0] ?? null)
  }

  onDeath(): void {
    this.#observer.onAddress(null)
  }

  onEnd(failure: string | null): void {
    this.#running = false
    this.#observer.onGatewayEnd(failure)
  }
}
