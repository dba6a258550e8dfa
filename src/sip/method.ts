// Request methods: RFC 3261 §7.1 and the registry of RFC 3262, 3265, 3311, 3428, 3515, 3903, 6086.

/** The registered methods. */
export const METHODS = [
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'REGISTER',
  'OPTIONS',
  'PRACK',
  'UPDATE',
  'INFO',
  'MESSAGE',
  'SUBSCRIBE',
  'NOTIFY',
  'REFER',
  'PUBLISH',
] as const

// By length: a look-up compares with at most three texts.
const KNOWN: readonly (readonly string[] | undefined)[] = (() => {
  const lists: string[][] = []
  for (const method of METHODS) {
    const list = lists[method.length] ?? []
    list.push(method)
    lists[method.length] = list
  }
  return lists
})()

/** Whether `method` is registered. Methods are compared with regard to case (§7.1). */
export function isKnownMethod(method: string): boolean {
  return knownMethod(method) !== null
}

/** The one shared string of a registered method, so that it does not hold on to the message it was cut from; or null. */
export function knownMethod(method: string): string | null {
  const list = KNOWN[method.length]
  if (list === undefined) return null
  for (let i = 0; i < list.length; i += 1) {
    const known = list[i]
    if (known === method) return known
  }
  return null
}
