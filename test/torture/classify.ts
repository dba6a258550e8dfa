// What the message layer makes of one datagram, in the words of RFC 4475.

import { checkRequest, checkResponse } from '#sip/check.ts'
import { type Message, ParseProblem, parseMessage, Request, type Response } from '#sip/message.ts'

/** `accept`: given to the transaction layer. `answer`: refused with `status`. `drop`: neither. */
export interface Verdict {
  readonly outcome: 'accept' | 'answer' | 'drop'
  /** Status of the refusal; 0 when there is none. */
  readonly status: number
  /** Stable code of what is wrong; '' when nothing is. */
  readonly code: string
  readonly reason: string
  /** The message when it is accepted. */
  readonly message: Message | null
}

/** Parses and checks one datagram, one character an octet. */
export function classify(text: string): Verdict {
  const message = parseMessage(text)
  if (message instanceof ParseProblem) return refusal(message)
  const problem = message instanceof Request ? checkRequest(message) : checkResponse(message as Response)
  return problem === null ? { outcome: 'accept', status: 0, code: '', reason: '', message } : refusal(problem)
}

function refusal(problem: ParseProblem): Verdict {
  const { status, code, reason } = problem
  const answerable = status !== 0 && problem.request?.parseTopmostVia() != null
  return { outcome: answerable ? 'answer' : 'drop', status, code, reason, message: null }
}
