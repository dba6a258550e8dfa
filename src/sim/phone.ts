// A simulated telephone: a node with a user agent that registers, calls, and answers as it was told.

import type { Agent, AgentProfile } from '#sim/agent.ts'
import { Agent as UserAgent } from '#sim/agent.ts'
import type { AnswerPlan, CallPlan } from '#sim/call-end.ts'
import type { Ledger } from '#sim/ledger.ts'
import type { Nat } from '#sim/nat.ts'
import type { SimNode } from '#sim/node.ts'
import type { World } from '#sim/world.ts'

/** A telephone or any other agent on a node of its own. It outlives its process. */
export class SimPhone {
  readonly profile: AgentProfile
  readonly node: SimNode<Agent>
  readonly ledger: Ledger
  readonly nat: Nat | null

  constructor(
    world: World,
    profile: AgentProfile,
    ledger: Ledger,
    answer: () => AnswerPlan,
    behind: Nat | null = null,
  ) {
    this.profile = profile
    this.ledger = ledger
    this.nat = behind
    const options = behind === null ? { name: profile.name } : { name: profile.name, behind }
    this.node = world.node(profile.host, (ports) => new UserAgent(ports, profile, ledger, answer), options)
  }

  get machine(): SimNode['machine'] {
    return this.node.machine
  }

  get isUp(): boolean {
    return this.node.isRunning
  }

  get agent(): Agent {
    return this.node.application
  }

  /** Calls `target` when it is up. */
  call(target: string, plan: CallPlan): void {
    if (this.isUp) this.agent.call(target, plan)
  }

  leave(): void {
    if (this.isUp) this.agent.leave()
  }

  /** It vanishes: battery out (nothing is said), or the program killed. */
  vanish(power: boolean): void {
    if (!this.isUp) return
    this.agent.onCrash()
    this.node.crash(power)
  }

  restart(): void {
    if (!this.isUp) this.node.start()
  }
}
