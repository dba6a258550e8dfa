// A media gateway: the ng protocol before, the data plane behind, calls between. All effects come through ports.

import type { Endpoint } from '#core/net.ts'
import type { Ports } from '#core/ports.ts'
import { randomToken } from '#core/random.ts'
import { CallTable } from '#gateway/call-table.ts'
import { GatewayControl } from '#gateway/control.ts'
import { ControlStreams } from '#gateway/control-streams.ts'
import { EventQueue } from '#gateway/event-queue.ts'
import type { GatewaySettings } from '#gateway/gateway-settings.ts'
import { errorReply, type Reply } from '#gateway/ng-reply.ts'
import type { Plane, PlaneSink } from '#gateway/plane.ts'
import { PortPool } from '#gateway/port-pool.ts'
import type { Prompts } from '#gateway/prompts.ts'
import type { NgAddress } from '#ng/ng-address.ts'
import { readNgCommand } from '#ng/ng-command-reader.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import { NgServer, type NgServerSettings, type NgServerUser } from '#ng/ng-server.ts'
import type { NgDictionary } from '#ng/ng-value.ts'

/** What a gateway is made of beside ports and settings. */
export interface GatewayParts {
  /** Makes the data plane that reports to `sink`. */
  readonly plane: (sink: PlaneSink) => Plane
  readonly prompts: Prompts
  /** Told about the control addresses. */
  readonly onListening?: (local: NgAddress) => void
  readonly onListenError?: (local: NgAddress, reason: string) => void
}

export class Gateway implements NgServerUser {
  readonly streams: ControlStreams
  readonly table: CallTable
  readonly control: GatewayControl
  readonly pool: PortPool
  readonly events: EventQueue
  readonly #parts: GatewayParts
  readonly #server: NgServer | null
  readonly #ports: Ports

  /** `listen` null makes a gateway that is commanded by {@link Gateway.onCommand} only. */
  constructor(ports: Ports, settings: GatewaySettings, listen: NgServerSettings | null, parts: GatewayParts) {
    const { clock, counters, log, random } = ports
    this.#ports = ports
    this.#parts = parts
    this.pool = new PortPool(settings.interfaces, settings.portQuarantineMs, ports)
    const plane = parts.plane({ onReport: (report) => this.streams.onReport(report) })
    this.streams = new ControlStreams(plane, this.pool, settings.dscp, ports)
    this.table = new CallTable(clock, counters, settings, this.streams)
    this.events = new EventQueue(clock, counters)
    const { streams, table, events } = this
    const { prompts } = parts
    const instance = randomToken(random)
    this.control = new GatewayControl({
      clock,
      random,
      log,
      counters,
      settings,
      streams,
      table,
      events,
      prompts,
      instance,
    })
    this.#server = listen === null ? null : new NgServer(ports, listen, this)
  }

  onCommand(command: NgDictionary, _source: Endpoint | null, reply: Reply): void {
    if (this.control.onOwnCommand(command, reply)) return
    const read = readNgCommand(command)
    if (read instanceof NgProblem) reply(errorReply(read.code, read.reason))
    else this.control.onCommand(read, reply)
  }

  onListening(local: NgAddress): void {
    this.#parts.onListening?.(local)
  }

  onListenError(local: NgAddress, reason: string): void {
    this.#ports.log.event('error', 'MEDIA_CONTROL_LISTEN', { address: JSON.stringify(local), reason })
    this.#parts.onListenError?.(local, reason)
  }

  /** Ends all calls; orders to close their streams are given before it returns. */
  close(): void {
    this.control.close()
    this.#server?.close()
  }
}
