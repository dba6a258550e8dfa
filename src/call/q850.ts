// Q.850 causes and SIP status codes: RFC 3398 §8.2.6.1.

const CAUSE_FROM_STATUS: Readonly<Record<number, number>> = {
  400: 41,
  401: 21,
  402: 21,
  403: 21,
  404: 1,
  405: 63,
  406: 79,
  407: 21,
  408: 102,
  410: 22,
  413: 127,
  414: 127,
  415: 79,
  416: 127,
  420: 127,
  421: 127,
  423: 127,
  480: 18,
  481: 41,
  482: 25,
  483: 25,
  484: 28,
  485: 1,
  486: 17,
  487: 16,
  488: 65,
  500: 41,
  501: 79,
  502: 38,
  503: 41,
  504: 102,
  505: 127,
  513: 127,
  600: 17,
  603: 21,
  604: 1,
  606: 65,
}

/** The Q.850 cause of a final SIP status (RFC 3398 §8.2.6.1); 16 for success, 31 for what the table does not name. */
export function causeFromStatus(status: number): number {
  return status < 300 ? 16 : (CAUSE_FROM_STATUS[status] ?? 31)
}

/** The Q.850 cause in a Reason header value (RFC 3326 §2: "Q.850;cause=16"), or null. */
export function causeFromReason(reason: string | null): number | null {
  if (reason === null) return null
  const match = /(?:^|,)[ \t]*Q\.850[ \t]*;[^,]*?cause[ \t]*=[ \t]*(\d{1,3})/i.exec(reason)
  const cause = match === null ? 0 : Number(match[1])
  return cause >= 1 && cause <= 127 ? cause : null
}

/** A complete Reason line with a Q.850 cause (RFC 3326, RFC 6432). */
export function reasonLine(cause: number, text = ''): string {
  return text === '' ? `Reason: Q.850;cause=${cause}\r\n` : `Reason: Q.850;cause=${cause};text="${text}"\r\n`
}
