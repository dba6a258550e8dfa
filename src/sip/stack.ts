// What the layers above the transactions share in one process.

import type { Clock } from '#core/clock.ts'
import type { FaultScope } from '#core/fault-scope.ts'
import type { Random } from '#core/random.ts'
import type { Locator } from '#sip/locator.ts'
import type { TransactionLayer } from '#sip/transaction-layer.ts'

export interface SipStack {
  readonly clock: Clock
  readonly random: Random
  readonly faults: FaultScope
  readonly layer: TransactionLayer
  readonly locator: Locator
}
