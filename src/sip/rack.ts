// Reliability of provisional responses, its two fields: RFC 3262 §7.1 RSeq, §7.2 RAck.

import { decimal, isBlank, skipBlank } from '#sip/_scan.ts'
import { type CSeq, parseCSeq } from '#sip/message.ts'

/** What a PRACK acknowledges: the response of that RSeq to the request of that CSeq. */
export interface RAck {
  readonly rseq: number
  readonly cseq: CSeq
}

/** Parses RSeq: a number from 1 to 2^32 - 1; null when malformed. */
export function parseRSeq(value: string): number | null {
  const rseq = decimal(value, 0xffff_ffff)
  return rseq < 1 ? null : rseq
}

/** Parses RAck: response number, CSeq number and method; null when malformed. */
export function parseRAck(value: string): RAck | null {
  let end = 0
  while (end < value.length && !isBlank(value.charCodeAt(end))) end += 1
  const rseq = parseRSeq(value.slice(0, end))
  const cseq = parseCSeq(value.slice(skipBlank(value, end)))
  return rseq === null || cseq === null ? null : { rseq, cseq }
}
