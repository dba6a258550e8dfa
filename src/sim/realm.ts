// One address space of the simulated network: the public one, or the private one behind a NAT.

import { assert } from '#core/assert.ts'
import type { Machine } from '#sim/machine.ts'
import type { Nat } from '#sim/nat.ts'

/** What an address leads to. */
export type Attachment = Machine | Nat

export class Realm {
  readonly name: string
  /** The realm beyond the gateway; null for the public one. */
  readonly outer: Realm | null
  readonly gateway: Nat | null
  readonly #attachments = new Map<string, Attachment>()

  constructor(name: string, outer: Realm | null = null, gateway: Nat | null = null) {
    this.name = name
    this.outer = outer
    this.gateway = gateway
  }

  attach(host: string, attachment: Attachment): void {
    assert(!this.#attachments.has(host), `${host} is taken in realm ${this.name}`)
    this.#attachments.set(host, attachment)
  }

  find(host: string): Attachment | null {
    return this.#attachments.get(host) ?? null
  }
}
