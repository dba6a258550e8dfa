// The order in which SRV records are tried: RFC 2782, "Usage rules".

import { type Random, uniform } from '#core/random.ts'

/** What the order depends on. */
export interface Weighted {
  readonly priority: number
  readonly weight: number
}

/**
 * All of `records`: lower priorities first; among equals each next one is drawn with a probability in proportion to its
 * weight, those of weight 0 having a small one.
 */
export function srvOrder<T extends Weighted>(records: readonly T[], random: Random): T[] {
  const ordered: T[] = []
  const sorted = [...records].sort((a, b) => a.priority - b.priority)
  for (let start = 0; start < sorted.length; ) {
    const priority = sorted[start]?.priority
    let end = start
    while (sorted[end]?.priority === priority && end < sorted.length) end += 1
    draw(sorted.slice(start, end), random, ordered)
    start = end
  }
  return ordered
}

function draw<T extends Weighted>(rest: T[], random: Random, ordered: T[]): void {
  // RFC 2782: the ones of weight 0 stand first, in any order, so that a draw of 0 takes one of them.
  shuffle(rest, random)
  rest.sort((a, b) => Number(a.weight > 0) - Number(b.weight > 0))
  while (rest.length > 1) {
    const sum = rest.reduce((total, record) => total + record.weight, 0)
    let drawn = uniform(random, sum + 1)
    let at = 0
    for (; at < rest.length - 1; at += 1) {
      drawn -= rest[at]?.weight ?? 0
      if (drawn <= 0) break
    }
    ordered.push(...rest.splice(at, 1))
  }
  ordered.push(...rest)
}

function shuffle<T>(list: T[], random: Random): void {
  for (let i = list.length - 1; i > 0; i -= 1) {
    const j = uniform(random, i + 1)
    const held = list[i] as T
    list[i] = list[j] as T
    list[j] = held
  }
}
