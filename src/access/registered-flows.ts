// Connections that registrations came over: when one ends, the bindings that only it could reach end (RFC 5626 §7).

import type { Binding, Location, LocationWatcher } from '#access/location.ts'
import { endpointText } from '#core/net.ts'
import type { Flow, FlowWatcher } from '#sip/flow.ts'

interface Row {
  readonly flow: Flow
  /** Addresses of record, with the number of their bindings over the flow. */
  readonly aors: Map<string, number>
}

/** Watches each connection from the first binding over it to the last. As many rows as there are connections. */
export class RegisteredFlows implements FlowWatcher, LocationWatcher {
  readonly #location: Location
  readonly #rows = new Map<string, Row>()

  constructor(location: Location) {
    this.#location = location
    location.watch(this)
  }

  /** Connections watched. */
  get size(): number {
    return this.#rows.size
  }

  /** A registration came over `flow`: bindings committed next are counted to it. Followed by {@link settle}. */
  expect(flow: Flow): void {
    if (!flow.reliable || flow.closed) return
    const key = flowKey(flow)
    if (this.#rows.get(key)?.flow !== flow) this.#rows.set(key, { flow, aors: new Map() })
  }

  /** The registration is dealt with: a flow with bindings is watched, one without is let go. */
  settle(flow: Flow): void {
    if (!flow.reliable) return
    const key = flowKey(flow)
    const row = this.#rows.get(key)
    if (row?.flow !== flow) return
    if (row.aors.size === 0) this.#rows.delete(key)
    else flow.watch(this)
  }

  /** For the location. */
  onBindingAdded(binding: Binding): void {
    if (!isTied(binding)) return
    const aors = this.#rows.get(keyOf(binding))?.aors
    aors?.set(binding.aor, (aors.get(binding.aor) ?? 0) + 1)
  }

  /** For the location. */
  onBindingRemoved(binding: Binding): void {
    if (!isTied(binding)) return
    const key = keyOf(binding)
    const row = this.#rows.get(key)
    if (row === undefined) return
    const count = (row.aors.get(binding.aor) ?? 0) - 1
    if (count > 0) row.aors.set(binding.aor, count)
    else row.aors.delete(binding.aor)
    if (row.aors.size > 0) return
    this.#rows.delete(key)
    row.flow.unwatch(this)
  }

  /** For the flow. */
  onFlowClosed(flow: Flow): void {
    const key = flowKey(flow)
    const row = this.#rows.get(key)
    if (row?.flow !== flow) return
    this.#rows.delete(key)
    for (const aor of row.aors.keys()) {
      const bindings = this.#location.bindings(aor)
      const left = bindings.filter((b) => !(isTied(b) && b.isOver(flow.transport, flow.local, flow.remote)))
      if (left.length < bindings.length) this.#location.commit(aor, left)
    }
  }
}

/** Whether a binding ends with its connection. Behind a Path the connection is a proxy's, and serves others. */
function isTied(binding: Binding): boolean {
  return binding.transport !== 'udp' && binding.needsFlow && binding.path.length === 0
}

function flowKey(flow: Flow): string {
  return `${endpointText(flow.local)} ${endpointText(flow.remote)}`
}

function keyOf(binding: Binding): string {
  return `${endpointText(binding.local)} ${endpointText(binding.remote)}`
}
