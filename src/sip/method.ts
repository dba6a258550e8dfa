// Request methods: RFC 3261 §7.1 and the registry of RFC 3262, 3265, 3311, 3428, 3515, 3903, 6086.

const KNOWN = new Map(
  [
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
  ].map((method) => [method, method]),
)

/** Whether `method` is registered. Methods are compared with regard to case (§7.1). */
export function isKnownMethod(method: string): boolean {
  return KNOWN.has(method)
}

/** The one shared string of a registered method, so that it does not hold on to the message it was cut from; or null. */
export function knownMethod(method: string): string | null {
  return KNOWN.get(method) ?? null
}
