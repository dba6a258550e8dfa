// Assertions are on in production: what only we can get wrong ends the call it concerns, never the process (DESIGN §4).

/** A broken invariant of our own. Caught at one place only: around the dispatch of one event. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws {@link AssertionError} unless `condition` holds. Never used for what a peer or a user can get wrong. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Marks a branch that the types and the machine tables make impossible. */
export function unreachable(message: string): never {
  throw new AssertionError(message)
}

/** The value, which must be there. */
export function present<T>(value: T | null | undefined, message: string): T {
  if (value === null || value === undefined) throw new AssertionError(message)
  return value
}
