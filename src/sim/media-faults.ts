// What happens to the media of a world: the gateway dies, it is cut off from the switch, strangers send to its ports.

import { markedPacket } from '#sim/agent-media.ts'
import { GATEWAY_HOSTS, MEDIA_PORT_FIRST, MEDIA_PORT_LAST, type SimGateway } from '#sim/gateway-node.ts'
import type { Generator } from '#sim/generator.ts'
import type { MediaChecker } from '#sim/media-checker.ts'
import type { SimNode } from '#sim/node.ts'
import type { LinkEnd, World } from '#sim/world.ts'

/** Marks what strangers send: no end of a call has it. */
const STRANGER = 'stranger'
const STRANGER_HOST = '198.51.100.67'
const PACKETS_MAX = 4

/** Kills the gateway now and then; it comes back without its calls. `onCrash` is told when it happens. */
export function planGatewayCrashes(
  world: World,
  node: SimNode<SimGateway>,
  random: Generator,
  untilMs: number,
  onCrash: () => void,
): void {
  for (let i = random.between(1, 2); i > 0; i--) {
    const deadMs = random.between(50, 25_000)
    world.at(random.between(3_000, untilMs), () => {
      if (!node.isRunning) return
      onCrash()
      node.crash(random.chance(0.3))
      world.after(deadMs, () => {
        if (!node.isRunning) node.start()
      })
    })
  }
}

/** Cuts the gateway off from the switch; telephones still reach both. */
export function planGatewayPartitions(
  world: World,
  node: SimNode<SimGateway>,
  other: LinkEnd,
  random: Generator,
  untilMs: number,
  onCut: () => void,
): void {
  for (let i = random.between(1, 3); i > 0; i--) {
    const fromMs = random.between(3_000, untilMs)
    onCut()
    world.partition(node, other, { fromMs, untilMs: fromMs + random.between(200, 30_000) })
  }
}

/** A stranger sends RTP, RTCP and junk to ports of the gateway, mostly to those that calls have. */
export function planSpray(
  world: World,
  checker: MediaChecker,
  random: Generator,
  untilMs: number,
  onPacket: () => void,
): void {
  const host = STRANGER_HOST
  const stranger = world.node(host, ({ net }) => ({
    socket: net.udp({ host, port: 5_004, family: 4 }, { onDatagram() {}, onListening() {}, onSocketError() {} }),
  }))
  let sequence = 0
  world.every(random.between(200, 1_500), () => {
    if (world.nowMs > untilMs) return
    for (let i = random.between(1, PACKETS_MAX); i > 0; i--) {
      onPacket()
      const bytes = markedPacket(STRANGER, 0, ++sequence, 160 * sequence)
      if (random.chance(0.2)) bytes[1] = random.between(0, 255)
      if (random.chance(0.1)) random.bytes(bytes)
      const live = checker.ports.slice(-12)
      const port =
        live.length > 0 && random.chance(0.8)
          ? random.pick(live) + random.between(0, 1)
          : random.between(MEDIA_PORT_FIRST, MEDIA_PORT_LAST)
      stranger.application.socket.send(bytes, { host: GATEWAY_HOSTS[0] ?? '', port, family: 4 })
    }
  })
}
