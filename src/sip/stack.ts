// What the layers above the transactions share in one process.

import type { Clock } from '#core/clock.ts'
import type { FaultScope } from '#core/fault-scope.ts'
import type { Random } from '#core/random.ts'
import type { LateAnswers } from '#sip/late-answers.ts'
import type { Locator } from '#sip/locator.ts'
import type { TransactionLayer } from '#sip/transaction-layer.ts'

export interface SipStack {
  readonly clock: Clock
  readonly random: Random
  readonly faults: FaultScope
  readonly layer: TransactionLayer
  readonly locator: Locator
  /** Takes over INVITE transactions whose call is over. */
  readonly lateAnswers: LateAnswers
}
