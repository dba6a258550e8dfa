// Which failure the caller is told, and which ones lead to the next route: RFC 3261 §16.7 step 6.

/** Failures of a trunk target after which the next one is tried: it did not answer, or could not take the call. */
export function isHunting(status: number): boolean {
  return status === 408 || status === 430 || (status >= 500 && status < 600 && status !== 501 && status !== 505)
}

/** Rank within the chosen class: what tells the caller most comes first (§16.7 step 6). */
function rank(status: number): number {
  switch (status) {
    case 486:
      return 0
    case 415:
    case 420:
    case 484:
    case 488:
      return 1
    case 480:
      return 3
    case 408:
      return 4
    case 487:
      return 5
    default:
      return 2
  }
}

/** Whether `status` tells the caller more than `other`: 6xx first, then the lowest class, then the rank within it. */
export function isBetterFailure(status: number, other: number): boolean {
  const a = classOf(status)
  const b = classOf(other)
  if (a !== b) return a < b
  return rank(status) < rank(other)
}

function classOf(status: number): number {
  return status >= 600 ? 0 : Math.floor(status / 100)
}

/**
 * The status for the caller: a challenge of the callee is not the caller's to answer, a 503 speaks of another element than us
 * (§16.7 step 6), a redirection that is not passed on is a failure to reach.
 */
export function shownStatus(status: number): number {
  if (status < 400) return 480
  if (status === 401 || status === 407) return 500
  if (status === 503) return 500
  if (status === 422 || status === 421 || status === 482) return 500
  return status
}
