// A media gateway of the simulated network: it speaks the ng protocol, keeps accounts of its calls, and moves no packet.

import type { Ports } from '#core/ports.ts'
import { NgServer } from '#ng/ng-server.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'
import type { SimNode } from '#sim/node.ts'
import { SWITCH_HOST, type SwitchRig } from '#test/switch/rig.ts'

export const NG_PORT = 2223

/** What a gateway does with session descriptions. */
export type Mood = 'ok' | 'error' | 'load limit' | 'silent'

/** The process on the gateway's machine. */
class Gateway {
  readonly calls = new Set<string>()
  readonly events: NgDictionary[] = []
  readonly server: NgServer
  readonly startedMs: number
  readonly now: () => number

  constructor(ports: Ports, owner: SimGateway) {
    this.now = () => ports.clock.now()
    this.startedMs = this.now()
    const endpoint = { host: owner.host, port: NG_PORT, family: 4 } as const
    const settings = { listen: [{ transport: 'udp', endpoint, path: '' } as const], sources: [SWITCH_HOST] }
    this.server = new NgServer(ports, settings, {
      onCommand: (command, _source, reply) => owner.onCommand(this, command, reply),
      onListening: () => {},
      onListenError: () => {},
    })
  }
}

export class SimGateway {
  readonly host: string
  readonly node: SimNode<Gateway>
  /** Commands in order; pings, events, queries, lists and statistics left out. */
  readonly commands: NgDictionary[] = []
  mood: Mood = 'ok'
  /** Only commands for which this holds are affected by the mood. */
  moodFor: (command: NgDictionary) => boolean = () => true
  /** Added to the reply to `delete`. */
  lastFacts: NgDictionary = {}
  #port = 20_000

  constructor(rig: SwitchRig, host: string) {
    this.host = host
    this.node = rig.world.node(host, (ports) => new Gateway(ports, this), { name: `gateway ${host}` })
    rig.run(5)
  }

  /** Calls that it has. */
  get calls(): number {
    return this.node.isRunning ? this.node.application.calls.size : 0
  }

  /** The commands of that name. */
  named(name: string): NgDictionary[] {
    return this.commands.filter(({ command }) => command === name)
  }

  /** Tells of a call that it has. */
  tell(event: string, tag: string): void {
    const { application } = this.node
    for (const callId of application.calls) application.events.push({ event, 'call-id': callId, tag })
  }

  onCommand(gateway: Gateway, command: NgDictionary, reply: (reply: NgDictionary) => void): void {
    const name = command['command']
    const callId = String(command['call-id'] ?? '')
    if (name === 'ping') {
      if (this.mood !== 'silent') reply({ result: 'pong' })
      return
    }
    if (name === 'statistics') {
      const uptime = String(Math.floor((gateway.now() - gateway.startedMs) / 1_000))
      reply({ result: 'ok', statistics: { totalstatistics: { uptime } } })
      return
    }
    if (name === 'carillon events') {
      const after = Number(command['after'])
      const events = gateway.events.slice(after)
      reply({ result: 'ok', events, last: after + events.length })
      return
    }
    if (name === 'list') {
      reply({ result: 'ok', calls: [...gateway.calls] })
      return
    }
    if (name === 'query') {
      if (gateway.calls.has(callId)) reply({ result: 'ok' })
      else reply({ result: 'error', 'error-reason': 'Unknown call-id' })
      return
    }
    this.commands.push(command)
    if (this.mood === 'silent') return
    if (this.mood !== 'ok' && this.moodFor(command)) {
      reply(this.mood === 'error' ? { result: 'error', 'error-reason': 'no such thing' } : { result: 'load limit' })
      return
    }
    if (name === 'delete') {
      gateway.calls.delete(callId)
      reply({ result: 'ok', ...this.lastFacts })
      return
    }
    gateway.calls.add(callId)
    reply({ result: 'ok', sdp: this.#described(command['sdp']) })
  }

  /** The description with the gateway's own address and a port of it. */
  #described(sdp: NgValue | undefined): string {
    this.#port += 2
    const body =
      typeof sdp === 'string' ? sdp : 'v=0\r\no=- 1 1 IN IP4 x\r\ns=-\r\nc=IN IP4 x\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\n'
    return body.replace(/IN IP4 \S+/g, `IN IP4 ${this.host}`).replace(/m=audio \d+/, `m=audio ${this.#port}`)
  }
}
