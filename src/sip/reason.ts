// The Reason header field: RFC 3326, in responses RFC 6432.

import { areGenericParams, decimal, isToken, paramIn, quote, trimBlanks } from '#sip/_scan.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Message } from '#sip/message.ts'

/** Why a request or a response was sent. */
export interface Reason {
  /** In upper case: SIP, Q.850, or another protocol. */
  readonly protocol: string
  /** Status code or Q.850 cause; null when absent. */
  readonly cause: number | null
  /** For people; '' when absent. One character an octet, as in messages. */
  readonly text: string
}

const CAUSE_MAX = 999

/** The reasons of a message, in order; malformed ones are left out, as nothing hangs on them. */
export function reasonsOf(message: Message): Reason[] {
  const reasons: Reason[] = []
  for (const element of message.list(HeaderId.reason) ?? []) {
    const reason = parseReason(element)
    if (reason !== null) reasons.push(reason)
  }
  return reasons
}

/** Parses one element; null when malformed. */
export function parseReason(element: string): Reason | null {
  const semicolon = element.indexOf(';')
  const protocol = trimBlanks(semicolon < 0 ? element : element.slice(0, semicolon))
  const params = semicolon < 0 ? '' : element.slice(semicolon)
  if (!isToken(protocol) || !areGenericParams(params)) return null
  const causeText = paramIn(params, 'cause')
  const cause = causeText === null ? null : decimal(causeText, CAUSE_MAX)
  return cause === -1 ? null : { protocol: protocol.toUpperCase(), cause, text: paramIn(params, 'text') ?? '' }
}

/** How a reason is written in a Reason field. */
export function reasonText(reason: Reason): string {
  const cause = reason.cause === null ? '' : `;cause=${reason.cause}`
  return `${reason.protocol}${cause}${reason.text === '' ? '' : `;text=${quote(reason.text)}`}`
}

/** The Q.850 cause that a message carries (RFC 6432 §4), or null. */
export function q850CauseOf(message: Message): number | null {
  if (!message.has(HeaderId.reason)) return null
  for (const reason of reasonsOf(message)) {
    if (reason.protocol === 'Q.850' && reason.cause !== null && reason.cause <= 127) return reason.cause
  }
  return null
}
