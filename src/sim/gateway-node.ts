// A media gateway on a simulated machine of its own, commanded by the switch over the simulated network.

import type { Ports } from '#core/ports.ts'
import { CodecSet } from '#gateway/audio/codec-set.ts'
import { Gateway } from '#gateway/gateway.ts'
import { GATEWAY_DEFAULTS, type GatewaySettings } from '#gateway/gateway-settings.ts'
import { MediaPlane } from '#gateway/media-plane.ts'
import { NetMediaSockets } from '#gateway/net-media-sockets.ts'
import type { SimNode } from '#sim/node.ts'
import type { World } from '#sim/world.ts'

export const GATEWAY_NAME = 'gateway'
const HOST = '203.0.113.20'
const HOST6 = '2001:db8::20'
export const GATEWAY_HOSTS: readonly string[] = [HOST, HOST6]
const CONTROL_PORT = 2_223
/** As the switch has it in its configuration. */
export const GATEWAY_ADDRESS = `udp:${HOST}:${CONTROL_PORT}`
/** Of both addresses; the ranges differ, so that a port tells which stream it is. */
export const MEDIA_PORT_FIRST = 20_000
export const MEDIA_PORT_LAST = 27_999

/** What the switch lost for good is given up before the world ends. */
const SETTINGS: GatewaySettings = {
  ...GATEWAY_DEFAULTS,
  interfaces: [
    { name: 'default', address: HOST, family: 4, advertise: null, portFirst: 20_000, portLast: 23_999 },
    { name: 'default', address: HOST6, family: 6, advertise: null, portFirst: 24_000, portLast: 27_999 },
  ],
  timeoutHeldMs: 120_000,
  unansweredMaxMs: 200_000,
}

/** The process: control and data plane in one thread, without files and libraries. */
export class SimGateway {
  readonly gateway: Gateway
  readonly plane: MediaPlane

  constructor(ports: Ports, switchHost: string) {
    const { clock, random, log, net } = ports
    const codecs = new CodecSet(null)
    const made: MediaPlane[] = []
    const listen = {
      listen: [{ transport: 'udp', endpoint: { host: HOST, port: CONTROL_PORT, family: 4 }, path: '' }],
      sources: [switchHost],
    } as const
    this.gateway = new Gateway(ports, SETTINGS, listen, {
      plane: (sink) => {
        const sockets = new NetMediaSockets(net)
        const plane = new MediaPlane({ clock, random, log, sockets, codecs, files: null, dtls: null }, sink)
        made.push(plane)
        return plane
      },
      prompts: { file: () => null, time: () => [], prompt: () => [] },
    })
    this.plane = made[0] as MediaPlane
  }

  /** What is held now: all zero at idle. */
  audit(): Readonly<Record<string, number>> {
    const { table, pool } = this.gateway
    return { calls: table.size, streams: this.plane.size, 'pairs of ports': pool.taken }
  }
}

/** Puts the gateway into the world; `sabotage` wraps its ports. */
export function addGateway(
  world: World,
  switchHost: string,
  sabotage: (ports: Ports) => Ports = (ports) => ports,
): SimNode<SimGateway> {
  const make = (ports: Ports): SimGateway => new SimGateway(sabotage(ports), switchHost)
  return world.node(HOST, make, { name: GATEWAY_NAME, addresses: [HOST6] })
}
