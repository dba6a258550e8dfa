// Which owner the running event belongs to, so that a broken invariant ends that one call and never the process (DESIGN §4).

/** Something that can be ended alone when one of its invariants is found broken. */
export interface FaultOwner {
  onFault(error: unknown): void
}

/** Set at the start of each event; read by the one catch around it. One object for each process, passed by constructor. */
export class FaultScope {
  /** The owner at work, or null outside any call. */
  active: FaultOwner | null = null

  /** Hands `error` to the owner at work. False when there is none: the process cannot go on then. */
  report(error: unknown): boolean {
    const owner = this.active
    this.active = null
    if (owner === null) return false
    owner.onFault(error)
    return true
  }
}
