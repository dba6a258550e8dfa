// The stable word of an error that the system reports.

/** ECONNREFUSED, ENOSPC, ERR_… as Node names it; EUNKNOWN when it has no name. */
export function errorWord(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return 'EUNKNOWN'
}
