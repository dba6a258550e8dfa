// Whose call a broken invariant ends, with the line in the log and the count that each of them must leave (DESIGN §4).

import { FaultScope } from '#core/fault-scope.ts'

export class CallFaults extends FaultScope {
  readonly #note: (error: unknown) => void

  /** `note` is told of every fault that ends a call, before it does. */
  constructor(note: (error: unknown) => void) {
    super()
    this.#note = note
  }

  override report(error: unknown): boolean {
    if (this.active !== null) this.#note(error)
    return super.report(error)
  }
}
