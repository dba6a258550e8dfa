// What every interoperation test stands on: a running Carillon, a capture, and SIPp agents with names.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Capture } from '#test/interop/capture.ts'
import { CarillonProcess, DOMAIN, HOST, udpPort } from '#test/interop/carillon-process.ts'
import { SippAgent, type SippOptions, type SippResult } from '#test/interop/sipp-agent.ts'

/** Addresses on loopback, so that nobody is taken for somebody else. */
export const PHONE_HOST = '127.0.0.10'
export const TRUNK_HOST = '127.0.0.20'
export const STRANGER_HOST = '127.0.0.30'

export const ALICE = { user: 'alice', password: 'correct-horse-1' }
export const BOB = { user: 'bob', password: 'battery-staple-2' }

/** Registered for this long in these tests, in seconds. */
const EXPIRES = '600'

export type AgentOptions = Omit<SippOptions, 'to'> & { readonly waits?: boolean }

export class Rig {
  readonly carillon: CarillonProcess
  readonly folder: string
  readonly #capture: Capture
  /** A subscriber's telephone keeps its port, so that it registers the same contact each time. */
  readonly #phonePorts = new Map<string, number>()

  private constructor(carillon: CarillonProcess, folder: string, capture: Capture) {
    this.carillon = carillon
    this.folder = folder
    this.#capture = capture
  }

  /**
   * Starts Carillon with alice, bob and `sections` of YAML, and the capture. `access` are keys of that section: SIPp
   * takes the first challenge and knows MD5 only, so for it MD5 stands first.
   */
  static async start(
    sections = '',
    moreSubscribers: readonly string[] = [],
    access = 'algorithms: [MD5, SHA-256]',
    media?: string,
  ): Promise<Rig> {
    const folder = mkdtempSync(join(tmpdir(), 'carillon-interop-'))
    const subscribers = [
      'subscribers:',
      `  - {user: ${ALICE.user}, password: "${ALICE.password}", number: "+12025550101", name: Alice}`,
      `  - {user: ${BOB.user}, password: "${BOB.password}", number: "+12025550102", name: Bob}`,
      ...moreSubscribers,
    ]
    const carillon = await CarillonProcess.start(
      folder,
      `access: {${access}}\n${subscribers.join('\n')}\n${sections}`,
      media,
    )
    try {
      return new Rig(carillon, folder, await Capture.start(folder, carillon.ports))
    } catch (error) {
      await carillon.stop()
      throw error
    }
  }

  /** Starts a SIPp scenario against Carillon; `waits` is for one that is called. */
  agent(options: AgentOptions): SippAgent {
    const { waits, ...rest } = options
    const { ports } = this.carillon
    const to = { host: HOST, port: rest.transport === 'tcp' ? ports.tcp : ports.udp }
    const keys = { domain: DOMAIN, ...rest.keys }
    const callee = rest.keys?.['callee']
    const digestUri = callee === undefined ? DOMAIN : `${callee}@${DOMAIN}`
    return new SippAgent(this.folder, waits === true ? { ...rest, keys } : { ...rest, keys, to, digestUri })
  }

  /** Runs a scenario to its end and demands that it went as written. */
  async run(options: AgentOptions): Promise<SippResult> {
    return this.passed(options.scenario, await this.agent(options).finish())
  }

  /** Demands that a scenario went as written; otherwise its errors, its messages and Carillon's log are in the failure. */
  passed(name: string, result: SippResult): SippResult {
    if (result.exitCode === 0) return result
    const log = this.carillon.log().split('\n').slice(-25).join('\n')
    return assert.fail(`${name} ended with ${result.exitCode}\n${result.errors}\n${result.messages}\n${log}`)
  }

  /** Registers a subscriber's SIPp telephone and gives its port. */
  async register(who: { user: string; password: string }, transport: 'udp' | 'tcp' = 'udp'): Promise<number> {
    const phone = `${who.user} ${transport}`
    const port = this.#phonePorts.get(phone) ?? (await udpPort(PHONE_HOST))
    this.#phonePorts.set(phone, port)
    await this.run({
      scenario: 'register',
      from: { host: PHONE_HOST, port },
      transport,
      ...who,
      keys: { expires: EXPIRES },
    })
    return port
  }

  /** Bob, registered, waits with `scenario` for a call. */
  async bobWaits(scenario: string): Promise<SippAgent> {
    const port = await this.register(BOB)
    return this.agent({ scenario, from: { host: PHONE_HOST, port }, waits: true }).ready()
  }

  /** Alice calls `callee` with `scenario`. */
  async aliceCalls(scenario: string, callee: string, password = ALICE.password): Promise<SippAgent> {
    const from = { host: PHONE_HOST, port: await udpPort(PHONE_HOST) }
    return this.agent({ scenario, from, user: ALICE.user, password, keys: { caller: ALICE.user, callee } })
  }

  /** Stops all and demands that Carillon met no fault of its own and that tshark found nothing wrong in what it sent. */
  async end(): Promise<void> {
    await this.carillon.stop()
    const faults = this.carillon.log().match(/^.*"code":"(INTERNAL|PROCESS_FAULT)".*$/gm) ?? []
    const judged = await this.#capture.judge()
    const sent = this.#capture.sent()
    const { media } = this.carillon.ports
    const [rtp, rtcp] = media === undefined ? [1, 1] : [this.#capture.media('rtp'), this.#capture.media('rtcp')]
    rmSync(this.folder, { recursive: true, force: true })
    assert.deepEqual(faults, [], 'Carillon found itself at fault')
    assert.ok(sent > 0, 'the capture has no message from Carillon')
    assert.ok(rtp > 0 && rtcp > 0, `the capture has ${rtp} RTP and ${rtcp} RTCP packets of the gateway`)
    assert.deepEqual(judged, [], 'tshark finds packets malformed that Carillon sent')
  }
}
