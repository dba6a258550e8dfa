// One run of the kernel path between network namespaces, or of a bare table of nftables in its place, as a process on the load's core.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { NgCalls } from '#bench/ng-calls.ts'
import { type PacketFacts, PacketLoad } from '#bench/packet-load.ts'
import { readTree } from '#bench/process-tree.ts'
import { speechOf } from '#bench/speech.ts'
import { TARGET_CORE } from '#bench/target.ts'
import { NETWORK, NetworkNamespaces } from '#test/interop/network-namespaces.ts'

export interface KernelRun {
  readonly way: 'nat' | 'gateway'
  readonly calls: number
  readonly seconds: number
  /** For the gateway's data. */
  readonly folder: string
}

export interface KernelRunFacts extends PacketFacts {
  /** What the relay's core did in interrupts, less what it does without packets, and what the gateway's processes did. */
  readonly cpuMicros: number
  /** CPU time of the gateway's processes. */
  readonly processMicros: number
}

const NG_PORT = 2_223
const FIRST_PORT = 10_000
const SECOND_PORT = 12_000
const NAT_PORT = 30_000
const TICK_MICROS = 10_000
const IDLE_S = 1
/** Time for every relay to be learnt and moved: it has to be settled for three seconds, and then they move by and by. */
const SETTLE_S = { nat: 2, gateway: 10 } as const
const STARTS_MS = 15_000

const { way, calls, seconds, folder } = JSON.parse(process.argv[2] ?? '{}') as KernelRun
const { caller, toCaller, callee, toCallee } = NETWORK[4]

const namespaces = NetworkNamespaces.open()
if (typeof namespaces === 'string') throw new Error(namespaces)
const spaces = namespaces
const relayCore = `carillon-${process.pid}-relay`
/** The gateway under test; none for the bare table. */
const gateways: ChildProcess[] = []
const stop = (): void => {
  for (const child of gateways) child.kill('SIGKILL')
}
process.once('exit', () => {
  stop()
  spaces.close()
})

// What arrives at the relay is worked on by its core, what arrives at the parties by the load's.
steer('relay', ['toCaller', 'toCallee'], 1 << TARGET_CORE)
steer('caller', ['cable0'], 1 << (1 - TARGET_CORE))
steer('callee', ['cable0'], 1 << (1 - TARGET_CORE))

/** Receive packet steering. sysfs shows the devices of the namespace in which it was mounted, so a mount of its own is needed. */
function steer(place: 'relay' | 'caller' | 'callee', devices: readonly string[], cores: number): void {
  const writes = devices.map((device) => `echo ${cores} > /sys/class/net/${device}/queues/rx-0/rps_cpus`)
  const args = ['netns', 'exec', relayCore.replace('relay', place), 'sh', '-ec', writes.join('; ')]
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`no packet steering: ${stderr.trim()}`)
}

const callerPorts = PacketLoad.ports(2 * calls, FIRST_PORT).filter((_, index) => index % 2 === 0)
// The kernel tells flows by addresses alone, so each callee has a port of its own; the callers share theirs as elsewhere.
const calleePorts = Array.from({ length: calls }, (_, index) => SECOND_PORT + 2 * index)
const ports = way === 'nat' ? natPorts() : await gatewayPorts()
const speech = await speechOf('PCMU')
const load = new PacketLoad(
  ports.map((port, index) => ({
    host: index % 2 === 0 ? caller : callee,
    to: { host: index % 2 === 0 ? toCaller : toCallee, port },
    speech,
  })),
  ports.map((_, index) => (index % 2 === 0 ? callerPorts : calleePorts)[index >> 1] ?? 0),
  true,
  (host, open) => spaces.at(host === caller ? 'caller' : 'callee', open),
)
load.paced(SETTLE_S[way])
const idleFrom = coreMicros()
await sleep(IDLE_S * 1_000)
const idleMicros = (coreMicros() - idleFrom) / IDLE_S
const before = { core: coreMicros(), own: ownMicros() }
const facts = load.paced(seconds)
const processMicros = ownMicros() - before.own
const cpuMicros = coreMicros() - before.core - idleMicros * facts.seconds + processMicros
load.close()
stop()
process.stdout.write(JSON.stringify({ ...facts, cpuMicros, processMicros } satisfies KernelRunFacts), () =>
  process.exit(0),
)

/** Time of the relay's core in interrupts, where forwarding is done: irq and softirq of /proc/stat (proc(5)). */
function coreMicros(): number {
  const line = new RegExp(`^cpu${TARGET_CORE} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? ''
  const fields = line.split(' ').map(Number)
  return [5, 6].reduce((sum, index) => sum + (fields[index] ?? 0), 0) * TICK_MICROS
}

function ownMicros(): number {
  const pid = gateways[0]?.pid
  return pid === undefined ? 0 : readTree(pid).cpuMicros
}

/** The bare reference: a map from port to party in each direction, conntrack doing the way back. */
function natPorts(): number[] {
  const elements = (line: (index: number) => string): string =>
    Array.from({ length: calls }, (_, i) => line(i)).join(', ')
  const table = `table ip bare {
    map destinations { type inet_service : ipv4_addr . inet_service; elements = { ${elements((i) => `${NAT_PORT + 2 * i} : ${callee} . ${calleePorts[i]}`)} } }
    map sources { type inet_service : ipv4_addr . inet_service; elements = { ${elements((i) => `${calleePorts[i]} : ${toCallee} . ${NAT_PORT + 2 * i}`)} } }
    chain prerouting { type nat hook prerouting priority dstnat; ip daddr ${toCaller} dnat ip to udp dport map @destinations; }
    chain postrouting { type nat hook postrouting priority srcnat; ip daddr ${callee} snat ip to udp dport map @sources; }
  }`
  const { status, stderr } = spawnSync('nft', ['-f', '-'], { input: table, encoding: 'utf8' })
  if (status !== 0) throw new Error(`nft: ${stderr.trim()}`)
  return Array.from({ length: 2 * calls }, (_, index) => NAT_PORT + 2 * (index >> 1))
}

async function gatewayPorts(): Promise<number[]> {
  const program = join(import.meta.dirname, '../src/bin/carillon.ts')
  const args = ['gateway', '--control', `udp:127.0.0.1:${NG_PORT}`, '--listen', '0.0.0.0', '--advertise', toCaller]
  args.push('--data', join(folder, 'data'), '--log-level', 'warn', '--drain-seconds', '0')
  const child = spawn('taskset', ['-c', String(TARGET_CORE), process.execPath, program, ...args], { stdio: 'ignore' })
  gateways.push(child)
  const ng = await NgCalls.open(NG_PORT)
  const endsMs = performance.now() + STARTS_MS
  for (let up = false; !up; ) {
    if (performance.now() > endsMs || child.exitCode !== null) throw new Error('the gateway does not start')
    up = await ng.ask({ command: 'ping' }).then(
      () => true,
      () => false,
    )
  }
  const format = { formats: '0', attributes: ['a=rtpmap:0 PCMU/8000'] }
  const first = { host: caller, ports: callerPorts, ...format }
  const found = await ng.make('kernel', first, { host: callee, ports: calleePorts, ...format }, null)
  ng.close()
  return found
}
