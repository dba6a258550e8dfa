// One random world for a seed: a switch, telephones, carriers, NATs and faults, run to its end and checked.

import type { Ports } from '#core/ports.ts'
import { compileSnapshot, type Snapshot } from '#routing/snapshot.ts'
import { loadConfig } from '#schema/config.ts'
import type { AgentProfile } from '#sim/agent.ts'
import type { BehaviourOptions } from '#sim/behaviour.ts'
import { BEHAVIOUR_DEFAULTS, drawAnswer, drawCall } from '#sim/behaviour.ts'
import { ECHO_NUMBER } from '#sim/call-end.ts'
import { checkCdrs } from '#sim/cdr-checker.ts'
import { addGateway, GATEWAY_ADDRESS, type SimGateway } from '#sim/gateway-node.ts'
import { Generator } from '#sim/generator.ts'
import { Ledger } from '#sim/ledger.ts'
import { MediaChecker } from '#sim/media-checker.ts'
import { planGatewayCrashes, planGatewayPartitions, planSpray } from '#sim/media-faults.ts'
import type { Nat } from '#sim/nat.ts'
import { NAT_KINDS } from '#sim/nat.ts'
import type { SimNode } from '#sim/node.ts'
import { SimPhone } from '#sim/phone.ts'
import { SwitchChecker } from '#sim/switch-checker.ts'
import { simTls } from '#sim/tls.ts'
import type { WireObserver } from '#sim/wire.ts'
import { Violation, World } from '#sim/world.ts'
import { Switch } from '#switch/switch.ts'

const SWITCH_HOST = '203.0.113.1'
const SWITCH_HOST6 = '2001:db8::1'
const SWITCH_NAME = 'switch'
const SWITCH_TLS = simTls({ names: ['sim.example'], issuer: 'authority', trusts: [] })
const DOMAIN = 'sim.example'
/** From the last new call until everybody leaves, and from then until nothing may be left: the longest timers fit in each. */
const TALKING_MS = 130_000
const SETTLING_MS = 420_000
const PHONES_MAX = 8
/**
 * What may be armed at idle, and how many of each, whatever the number of calls before: the upkeep of bindings that phones
 * left behind, and of their connections that broke without a word; the look at the peers' addresses, and what that look asks
 * of the world (three questions for each of two names) with two journals' writes. None is of a call or of what a call has.
 */
const IDLE_TIMERS: ReadonlyMap<string, number> = new Map([
  ['expire', 1],
  ['keepAlive', 1],
  ['refresh', 1],
  ['idle', PHONES_MAX],
  ['task', 8],
  // With a media gateway: the next ping, and the one that is under way.
  ['ping', 1],
  ['retransmit', 1],
  ['giveUp', 1],
])
/** The same for the gateway: replies are kept for copies of commands. */
const GATEWAY_IDLE_TIMERS: ReadonlyMap<string, number> = new Map([['sweep', 1]])
/** The share of worlds with a media gateway, and of each of its faults there. */
const GATEWAY_SHARE = 0.5
const GATEWAY_FAULT_SHARE = 0.3
/** The share of calls to the echo. */
const ECHO_SHARE = 0.1
/** How long the two ends of one call may differ about its end: a BYE repeated until timer F, or a session timer. */
const AGREEMENT_MS = 170_000

/** Kinds of faults. A world has a random set of them and none of the others (swarm testing). */
export const FAULTS = [
  'loss',
  'jitter',
  'duplicate',
  'partition',
  'nat',
  'natReboot',
  'phoneVanish',
  'switchCrash',
  'powerLoss',
  'wallClock',
  'disk',
  'rubbish',
  'tcp',
  'dns',
  'tls',
  'ipv6',
  'gatewayCrash',
  'gatewayPartition',
] as const
export type Fault = (typeof FAULTS)[number]

export interface ScenarioOptions {
  /** Overrides the draw. */
  readonly faults?: ReadonlySet<Fault>
  /** Wraps the ports of the switch: to break it on purpose. */
  readonly sabotage?: (ports: Ports) => Ports
  /** The same for the media gateway. */
  readonly sabotageGateway?: (ports: Ports) => Ports
  /** With a media gateway or without; drawn when absent. */
  readonly media?: 'none' | 'gateway'
  /** Sees every packet. */
  readonly observer?: WireObserver
  readonly phones?: number
  readonly calls?: number
}

export interface ScenarioReport {
  readonly seed: number
  readonly faults: readonly Fault[]
  readonly virtualMs: number
  readonly calls: number
  readonly answered: number
  readonly messages: number
  readonly faultsInjected: number
  readonly bindingsProven: number
  /** RTP packets that a media gateway sent. */
  readonly relayed: number
  readonly traceHash: string
}

/** Runs the world of `seed`. Throws a {@link Violation}, or an assertion of the system under test as it is. */
export function runScenario(seed: number, options: ScenarioOptions = {}): ScenarioReport {
  const scenario = new Scenario(seed, options)
  try {
    return scenario.run()
  } catch (error) {
    if (error instanceof Violation) throw new Violation(`in a world with ${scenario.faultNames}\n${error.message}`)
    throw error
  }
}

class Scenario {
  readonly #seed: number
  readonly #options: ScenarioOptions
  readonly #random: Generator
  readonly #world: World
  readonly #ledger = new Ledger()
  readonly #faults: ReadonlySet<Fault>
  readonly #checker: SwitchChecker
  readonly #phones: SimPhone[] = []
  readonly #carriers: SimPhone[] = []
  readonly #nats: Nat[] = []
  readonly #behaviour: BehaviourOptions
  readonly #durationMs: number
  #node: SimNode<Switch> | null = null
  /** Draws of the media's own: worlds without a gateway are what they were. */
  readonly #mediaRandom: Generator
  readonly #isAnchored: boolean
  #gateway: SimNode<SimGateway> | null = null
  #mediaChecker: MediaChecker | null = null
  #injected = 0
  #calls = 0
  #powerLost = false
  #clockStepped = false
  /** When the switch's process died. */
  readonly #crashedMs: number[] = []

  constructor(seed: number, options: ScenarioOptions) {
    this.#seed = seed
    this.#options = options
    const random = new Generator(seed, 'scenario')
    this.#random = random
    this.#mediaRandom = random.fork('media')
    const media = options.media ?? (this.#mediaRandom.chance(GATEWAY_SHARE) ? 'gateway' : 'none')
    this.#isAnchored = media === 'gateway'
    const drawn = FAULTS.filter((fault) => {
      if (fault.startsWith('gateway')) return this.#mediaRandom.chance(GATEWAY_FAULT_SHARE) && this.#isAnchored
      return random.chance(fault === 'switchCrash' || fault === 'powerLoss' ? 0.25 : 0.4)
    })
    this.#faults = options.faults ?? new Set(drawn)
    const has = (fault: Fault): boolean => this.#faults.has(fault)
    this.#world = new World({
      seed,
      links: {
        latencyMs: random.between(1, 60),
        jitterMs: has('jitter') ? random.between(1, 120) : 0,
        loss: has('loss') ? random.pick([0.005, 0.02, 0.08]) : 0,
        lossRun: random.pick([1, 1, 3]),
        duplicate: has('duplicate') ? 0.02 : 0,
      },
    })
    this.#world.fatalCodes.add('INTERNAL')
    if (options.observer !== undefined) this.#world.observe(options.observer)
    this.#checker = new SwitchChecker(this.#world, SWITCH_NAME, SWITCH_HOST)
    this.#behaviour = {
      ...BEHAVIOUR_DEFAULTS,
      forksMax: random.pick([1, 3]),
      talkMs: random.pick([
        [100, 5_000],
        [500, 60_000],
      ] as const),
      redirectTo: `sip:1002@${DOMAIN}`,
    }
    this.#durationMs = random.between(20_000, 120_000)
  }

  get faultNames(): string {
    const faults = this.#faults.size === 0 ? 'no faults' : [...this.#faults].join(', ')
    return this.#isAnchored ? `a media gateway and ${faults}` : faults
  }

  run(): ScenarioReport {
    const phones = this.#options.phones ?? this.#random.between(2, PHONES_MAX)
    const carriers = this.#random.between(0, 2)
    this.#startSwitch(phones, carriers)
    if (this.#isAnchored) this.#startGateway()
    this.#world.runUntil(1)
    for (let i = 0; i < phones; i++) this.#addPhone(i + 1)
    for (let i = 0; i < carriers; i++) this.#addCarrier(100 + i, i)
    this.#planFaults()
    this.#planCalls()
    this.#world.runUntil(this.#durationMs + TALKING_MS)
    for (const one of [...this.#phones, ...this.#carriers]) one.leave()
    this.#world.quiesce()
    this.#world.runUntil(this.#durationMs + TALKING_MS + SETTLING_MS)
    this.#check()
    return {
      seed: this.#seed,
      faults: [...this.#faults],
      virtualMs: this.#world.nowMs,
      calls: this.#calls,
      answered: this.#ledger.ends.filter((end) => end.role === 'caller' && end.answeredMs >= 0).length,
      messages: this.#checker.messages,
      faultsInjected: this.#injected,
      bindingsProven: this.#checker.bindingsProven,
      relayed: this.#mediaChecker?.relayed ?? 0,
      traceHash: this.#world.network.traceHash(),
    }
  }

  // ── the cast ───────────────────────────────────────────────────────────────────────────────────────────

  #startSwitch(phones: number, carriers: number): void {
    const named = this.#faults.has('dns')
    const snapshot = simSnapshot(phones, carriers, named, this.#isAnchored)
    for (let at = 0; named && at < carriers; at++) {
      this.#world.dns.set(carrierName(at), [{ type: 'A', address: carrierHost(at), ttlS: this.#random.between(5, 60) }])
    }
    const sabotage = this.#options.sabotage ?? ((ports: Ports) => ports)
    const observer = {
      onReady: () => {},
      onFatal: (reason: string) => this.#world.violation(`the switch gave up: ${reason}`),
      onDrained: () => {},
    }
    const options = { nodeId: SWITCH_NAME, shard: 1, tls: SWITCH_TLS, machineAddresses: [SWITCH_HOST, SWITCH_HOST6] }
    this.#node = this.#world.node(
      SWITCH_HOST,
      (ports) => {
        const one = new Switch(sabotage(ports), snapshot, options, observer)
        one.start()
        return one
      },
      { name: SWITCH_NAME, addresses: [SWITCH_HOST6] },
    )
  }

  #startGateway(): void {
    this.#gateway = addGateway(this.#world, SWITCH_HOST, this.#options.sabotageGateway)
    this.#mediaChecker = new MediaChecker(this.#world, this.#ledger, this.#checker, this.#isHealthy)
  }

  #addPhone(index: number): void {
    const random = this.#random
    const isBehind = this.#faults.has('nat') && random.chance(0.6)
    let nat: Nat | null = null
    if (isBehind) {
      nat = this.#nats.length > 0 && random.chance(0.4) ? random.pick(this.#nats) : this.#newNat()
    }
    const isSix = this.#faults.has('ipv6') && random.chance(0.5)
    const host = nat !== null ? `10.0.0.${index}` : isSix ? `2001:db8:1::${index}` : `192.0.2.${index}`
    const transports: AgentProfile['transport'][] = ['udp', 'udp']
    if (this.#faults.has('tcp')) transports.push('tcp')
    if (this.#faults.has('tls')) transports.push('tls')
    // Some are second telephones of a subscriber: calls to it ring on all of them.
    const user = index > 1 && random.chance(0.25) ? random.between(1, index - 1) : index
    const profile = this.#profile(index, host, {
      name: `phone${index}`,
      address: `${1_000 + user}@${DOMAIN}`,
      password: `secret${user}`,
      transport: random.pick(transports),
      expiresS: random.pick([60, 120, 600]),
    })
    const behaviour = this.#behaviour
    const phone = new SimPhone(this.#world, profile, this.#ledger, () => drawAnswer(random, behaviour), nat)
    this.#phones.push(phone)
    const addresses = nat === null ? [host] : [host, nat.outerHost]
    this.#checker.know({ index, host, addresses })
  }

  #newNat(): Nat {
    const random = this.#random
    const nat = this.#world.nat(`198.18.0.${this.#nats.length + 1}`, {
      ...random.pick(Object.values(NAT_KINDS)),
      udpTimeoutMs: random.pick([30_000, 60_000, 120_000]),
      refreshInbound: random.chance(0.5),
      preservePort: random.chance(0.5),
    })
    this.#nats.push(nat)
    return nat
  }

  #addCarrier(index: number, at: number): void {
    const host = carrierHost(at)
    const profile = this.#profile(index, host, {
      name: `carrier${at}`,
      address: `+44201000000${at}@${host}`,
      password: null,
      transport: 'udp',
      expiresS: null,
    })
    const behaviour = { ...this.#behaviour, unavailable: 0.1, mute: 0.02 }
    const random = this.#random
    this.#carriers.push(new SimPhone(this.#world, profile, this.#ledger, () => drawAnswer(random, behaviour)))
    this.#checker.know({ index, host, addresses: [host] })
  }

  #profile(
    index: number,
    host: string,
    own: Pick<AgentProfile, 'name' | 'address' | 'password' | 'transport' | 'expiresS'>,
  ): AgentProfile {
    return {
      index,
      host,
      port: 5060,
      algorithm: this.#random.pick(['MD5', 'SHA-256']),
      server: {
        host: host.includes(':') ? SWITCH_HOST6 : SWITCH_HOST,
        port: own.transport === 'tls' ? 5061 : 5060,
        family: host.includes(':') ? 6 : 4,
      },
      reliable: this.#random.chance(0.4),
      sessionTimer: this.#random.chance(0.5),
      allowUpdate: this.#random.chance(0.7),
      hasty: this.#random.chance(0.1),
      packetMs: this.#isAnchored ? this.#mediaRandom.between(200, 1_000) : null,
      ...own,
    }
  }

  // ── what happens ───────────────────────────────────────────────────────────────────────────────────────

  #planCalls(): void {
    const random = this.#random
    const total = this.#options.calls ?? random.between(10, 120)
    for (let i = 0; i < total; i++) this.#world.at(random.between(3_000, this.#durationMs), () => this.#call())
  }

  #call(): void {
    const random = this.#random
    const everybody = [...this.#phones, ...this.#carriers]
    const caller = random.pick(everybody)
    const plan = drawCall(random, this.#behaviour)
    const numbers = this.#phones
      .filter((phone) => phone.profile.address !== caller.profile.address)
      .map((phone) => Number(phone.profile.address.slice(0, 4)) - 1_000)
    const toCarrier = this.#carriers.length > 0 && caller.profile.expiresS !== null && random.chance(0.4)
    const number = numbers.length === 0 ? 999 : random.pick(numbers)
    const isCarrier = caller.profile.expiresS === null
    let target = `sip:${1_000 + number}@${DOMAIN}`
    if (toCarrier) target = `sip:+4420${random.between(10_000_000, 99_999_999)}@${DOMAIN}`
    else if (isCarrier || random.chance(0.3)) target = `sip:${e164(number)}@${isCarrier ? SWITCH_HOST : DOMAIN}`
    else if (random.chance(0.05)) target = `sip:9999@${DOMAIN}`
    if (this.#isAnchored && !isCarrier && this.#mediaRandom.chance(ECHO_SHARE)) target = `sip:${ECHO_NUMBER}@${DOMAIN}`
    this.#calls++
    caller.call(target, plan)
  }

  #planFaults(): void {
    const random = this.#random.fork('faults')
    const { at, inject } = { at: () => random.between(3_000, this.#durationMs), inject: () => this.#injected++ }
    const node = this.#switchNode
    const agents = [...this.#phones, ...this.#carriers]
    if (this.#faults.has('partition')) {
      for (let i = random.between(1, 3); i > 0; i--) {
        const fromMs = at()
        inject()
        this.#world.partition(random.pick(agents), node, { fromMs, untilMs: fromMs + random.between(200, 45_000) })
      }
    }
    if (this.#faults.has('phoneVanish')) {
      for (let i = random.between(1, 3); i > 0; i--) this.#planVanish(random.pick(agents), at(), random)
    }
    if (this.#faults.has('switchCrash') || this.#faults.has('powerLoss')) {
      for (let i = random.between(1, 2); i > 0; i--) this.#planCrash(at(), random)
    }
    if (this.#faults.has('natReboot') && this.#nats.length > 0) {
      const nat = random.pick(this.#nats)
      this.#world.at(at(), () => {
        inject()
        nat.reboot()
      })
    }
    if (this.#faults.has('wallClock')) {
      this.#world.at(at(), () => {
        inject()
        this.#clockStepped = true
        this.#checker.onClockStep()
        node.stepWallClock(random.between(-7_200_000, 7_200_000))
      })
    }
    if (this.#faults.has('disk')) {
      const fromMs = at()
      this.#world.at(fromMs, () => {
        inject()
        node.disk.failing = 'ENOSPC'
      })
      this.#world.at(fromMs + random.between(100, 20_000), () => {
        node.disk.failing = null
      })
    }
    if (this.#faults.has('rubbish')) this.#planRubbish(random)
    this.#planMediaFaults(inject)
    if (this.#faults.has('dns')) {
      const { dns } = this.#world
      dns.delayMs = [5, 3_000]
      const fromMs = at()
      this.#world.at(fromMs, () => {
        inject()
        dns.failure = 0.7
      })
      this.#world.at(fromMs + random.between(1_000, 30_000), () => {
        dns.failure = 0
      })
    }
  }

  #planMediaFaults(inject: () => void): void {
    const random = this.#mediaRandom.fork('faults')
    const gateway = this.#gateway
    if (gateway === null || this.#mediaChecker === null) return
    const [world, untilMs] = [this.#world, this.#durationMs]
    if (this.#faults.has('gatewayCrash')) {
      planGatewayCrashes(world, gateway, random, untilMs, () => {
        inject()
        this.#mediaChecker?.onGatewayCrash()
      })
    }
    if (this.#faults.has('gatewayPartition')) {
      planGatewayPartitions(world, gateway, this.#switchNode, random, untilMs, inject)
    }
    if (this.#faults.has('rubbish')) planSpray(world, this.#mediaChecker, random, untilMs, inject)
  }

  #planVanish(agent: SimPhone, atMs: number, random: Generator): void {
    const power = random.chance(0.7)
    const backMs = random.chance(0.7) ? random.between(500, 60_000) : -1
    this.#world.at(atMs, () => {
      this.#injected++
      agent.vanish(power)
      if (backMs >= 0) this.#world.after(backMs, () => agent.restart())
    })
  }

  #planCrash(atMs: number, random: Generator): void {
    const node = this.#switchNode
    const power = this.#faults.has('powerLoss') && (!this.#faults.has('switchCrash') || random.chance(0.5))
    const deadMs = random.between(100, 5_000)
    const fetchMs = random.between(200, 900)
    this.#world.at(atMs, () => {
      if (!node.isRunning) return
      this.#injected++
      // Lines that a failing disk never took may be lost as with power.
      const isLossy = power || node.disk.untaken > 0
      if (isLossy) this.#powerLost = true
      // Expiries stand on the disk in wall time: when that jumped, bindings may rightly be too old.
      this.#checker.onCrash(isLossy || this.#clockStepped)
      node.crash(power)
      this.#crashedMs.push(this.#world.nowMs)
      this.#world.after(deadMs, () => {
        if (!node.isRunning) node.start()
      })
      this.#world.after(deadMs + fetchMs, () => {
        for (const phone of this.#phones) if (phone.isUp) phone.agent.register({ fetch: true })
      })
    })
  }

  /** A stranger sends what is not SIP, or nearly. */
  #planRubbish(random: Generator): void {
    const host = '198.51.100.66'
    this.#checker.knowStranger(host)
    const stranger = this.#world.node(host, ({ net }) => ({
      socket: net.udp({ host, port: 5060, family: 4 }, { onDatagram() {}, onListening() {}, onSocketError() {} }),
    }))
    const text = `REGISTER sip:${DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP ${host}:5060;branch=z9hG4bKr;rport\r\nMax-Forwards: 70\r\nFrom: <sip:1001@${DOMAIN}>;tag=r\r\nTo: <sip:1001@${DOMAIN}>\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\nContact: <sip:r@${host}>\r\nContent-Length: 0\r\n\r\n`
    this.#world.every(random.between(200, 2_000), () => {
      if (this.#world.nowMs > this.#durationMs) return
      this.#injected++
      const bytes = new TextEncoder().encode(text)
      if (random.chance(0.3)) random.bytes(bytes)
      for (let i = random.between(0, 6); i > 0; i--) bytes[random.between(0, bytes.length - 1)] = random.between(0, 255)
      stranger.application.socket.send(bytes, { host: SWITCH_HOST, port: 5060, family: 4 })
    })
  }

  get #switchNode(): SimNode<Switch> {
    if (this.#node === null) throw new Error('no switch yet')
    return this.#node
  }

  // ── at the end ─────────────────────────────────────────────────────────────────────────────────────────

  #check(): void {
    this.#checker.finish(this.#isHealthy)
    const fail = (message: string): void => this.#world.violation(message)
    this.#checkInvites(fail)
    this.#checkEnds(fail)
    const node = this.#switchNode
    const audit = node.application.audit()
    for (const [name, count] of Object.entries(audit)) if (count !== 0) fail(`${count} ${name} at idle in the switch`)
    const called = this.#ledger.ends.filter(({ role, key }) => role === 'callee' && key !== '')
    const invited = new Set(called.map(({ key }) => key.slice('key-'.length)))
    for (const problem of checkCdrs(node.disk, this.#checker.legs, invited, this.#powerLost, this.#clockStepped))
      fail(problem)
    for (const [name, timers] of Map.groupBy(node.armedTimers, (timer) => timer)) {
      if (timers.length > (IDLE_TIMERS.get(name) ?? 0))
        fail(`${timers.length} timers '${name}' armed at idle in the switch`)
    }
    this.#checkGateway(fail)
    this.#mediaChecker?.finish(node.disk)
    this.#world.raise()
  }

  #checkGateway(fail: (message: string) => void): void {
    const gateway = this.#gateway
    if (gateway === null || !gateway.isRunning) return
    for (const [name, count] of Object.entries(gateway.application.audit())) {
      if (count !== 0) fail(`${count} ${name} at idle in the gateway`)
    }
    if (gateway.openSockets !== 1) fail(`${gateway.openSockets} sockets open at idle in the gateway`)
    for (const [name, timers] of Map.groupBy(gateway.armedTimers, (timer) => timer)) {
      if (timers.length > (GATEWAY_IDLE_TIMERS.get(name) ?? 0))
        fail(`${timers.length} timers '${name}' armed at idle in the gateway`)
    }
  }

  /** Every INVITE has exactly one final response, unless its agent, the switch or the way between them failed. */
  #checkInvites(fail: (message: string) => void): void {
    for (const invite of this.#ledger.invites) {
      const name = `the INVITE ${invite.branch} of ${invite.agent} at ${invite.sentMs.toFixed(0)} ms`
      if (invite.finals.length > 1 && !this.#switchFails) fail(`${name} got ${invite.finals.join(' and ')}`)
      if (invite.finals.length === 0 && !invite.crashed && this.#isHealthy) fail(`${name} got no final response`)
    }
  }

  #checkEnds(fail: (message: string) => void): void {
    const callers = new Map<string, number>()
    const callees = new Map<string, number[]>()
    for (const end of this.#ledger.ends) {
      const name = `the call ${end.callId} of ${end.agent} (${end.role}, begun at ${end.startedMs.toFixed(0)} ms)`
      if (end.how === '') fail(`${name} never ended`)
      const isOdd = ['noAck', 'refreshFailed', 'sessionExpired', 'noAnswerAtAll', 'cancelUnanswered'].includes(end.how)
      if (isOdd && this.#isHealthy) fail(`${name} ended by ${end.how}`)
      // A call that was up when the switch died is forgotten there; its ends find out on their own, or not at all.
      const isForgotten = this.#crashedMs.some((atMs) => atMs >= end.startedMs - 1_000 && atMs <= end.endedMs)
      if (end.key === '' || end.answeredMs < 0 || end.how === 'crash' || isForgotten) continue
      // An end that was cut off and has no session timer cannot know.
      if (!this.#isHealthy && !this.#hasSessionTimer(end.agent)) continue
      if (end.role === 'caller') callers.set(end.key, end.endedMs)
      else callees.set(end.key, [...(callees.get(end.key) ?? []), end.endedMs])
    }
    for (const [key, endedMs] of callees) {
      const callerMs = callers.get(key)
      if (callerMs === undefined) continue
      // Of several telephones that answered at once all but one were hung up on.
      const difference = Math.min(...endedMs.map((calleeMs) => Math.abs(calleeMs - callerMs)))
      if (difference > (this.#isHealthy ? 40_000 : AGREEMENT_MS))
        fail(`the ends of ${key} ended ${difference} ms apart`)
    }
  }

  #hasSessionTimer(name: string): boolean {
    return [...this.#phones, ...this.#carriers].some(({ profile }) => profile.name === name && profile.sessionTimer)
  }

  get #switchFails(): boolean {
    return this.#faults.has('switchCrash') || this.#faults.has('powerLoss')
  }

  /** Nothing happens in this world that cuts anybody off. */
  get #isHealthy(): boolean {
    const cutting: Fault[] = [
      'partition',
      'nat',
      'natReboot',
      'phoneVanish',
      'switchCrash',
      'powerLoss',
      'loss',
      'disk',
      'gatewayCrash',
      'gatewayPartition',
    ]
    return !cutting.some((fault) => this.#faults.has(fault))
  }
}

function carrierHost(at: number): string {
  return `198.51.100.${10 + at}`
}

function carrierName(at: number): string {
  return `carrier${at}.example`
}

function e164(index: number): string {
  return `+1202555${String(index).padStart(4, '0')}`
}

/** The configuration of the simulated switch: so many subscribers, and a trunk group for each carrier, by name or address. */
export function simSnapshot(phones: number, carriers: number, named: boolean, isAnchored: boolean): Snapshot {
  const points = ['udp:H:5060', 'tcp:H:5060', 'tls:H:5061']
  const listen = [SWITCH_HOST, `[${SWITCH_HOST6}]`].flatMap((host) => points.map((point) => point.replace('H', host)))
  const lines = [`domain: ${DOMAIN}`, 'sip:', `  listen: ${JSON.stringify(listen)}`]
  lines.push('  sessionExpiresS: 90', 'call:', '  noAnswerS: 60', 'access:', '  noAnswerS: 60', '  keepAliveS: 20')
  lines.push('media:', `  gateways: ${isAnchored ? JSON.stringify([GATEWAY_ADDRESS]) : 'none'}`, 'subscribers:')
  for (let i = 1; i <= phones; i++) {
    lines.push(`  - {user: "${1_000 + i}", password: "secret${i}", number: "${e164(i)}"}`)
  }
  const names = Array.from({ length: carriers }, (_, at) => `carrier${at}`)
  if (carriers > 0) {
    lines.push('trunkGroups:')
    names.forEach((name, at) => {
      lines.push(
        `  - {name: ${name}, peers: ["${named ? carrierName(at) : carrierHost(at)}:5060"], channelsMax: 50, cpsMax: 100, direction: both}`,
      )
    })
    lines.push('routes:', `  - {prefix: "+44", trunkGroups: [${names.join(', ')}]}`)
  }
  const result = loadConfig(`${lines.join('\n')}\n`, 'simulation')
  if (!('config' in result)) throw new Violation(`the simulated configuration: ${JSON.stringify(result)}`)
  return compileSnapshot(result.config, 'simulation', [SWITCH_HOST, SWITCH_HOST6])
}
