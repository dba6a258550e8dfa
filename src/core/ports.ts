// The bundle of effects that an application is made with.

import type { Clock } from '#core/clock.ts'
import type { Counters } from '#core/counters.ts'
import type { Log } from '#core/log.ts'
import type { Net } from '#core/net.ts'
import type { Random } from '#core/random.ts'
import type { Store } from '#core/store.ts'

export interface Ports {
  readonly clock: Clock
  readonly random: Random
  readonly net: Net
  readonly store: Store
  readonly log: Log
  readonly counters: Counters
}
