// A message of the ng protocol: "COOKIE SP BODY", where the body is a dictionary in bencode or in JSON.

import { decodeBencode, encodeBencode } from '#ng/bencode.ts'
import { decodeNgJson, encodeNgJson } from '#ng/ng-json.ts'
import { COOKIE_OCTETS_MAX } from '#ng/ng-limits.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

/** How the body of a message is written; a reply is written as its request was. */
export type NgFormat = 'bencode' | 'json'

/** A message taken apart. */
export interface NgMessage {
  /** What joins a reply to its request; '' when none could be read. */
  readonly cookie: string
  readonly format: NgFormat
  readonly body: NgDictionary | NgProblem
}

/** Takes a message (latin1 carriage) apart. Whatever is wrong is in `body`. */
export function parseNgMessage(text: string): NgMessage {
  const space = text.slice(0, COOKIE_OCTETS_MAX + 1).indexOf(' ')
  if (space <= 0) {
    const body =
      space < 0 && text.length > COOKIE_OCTETS_MAX
        ? new NgProblem('NG_COOKIE_MAX', COOKIE_OCTETS_MAX, `no space within ${COOKIE_OCTETS_MAX} octets`)
        : new NgProblem('NG_COOKIE_MISSING', 0, 'the message does not begin with a cookie and a space')
    return { cookie: '', format: 'bencode', body }
  }
  const cookie = text.slice(0, space)
  const format = text.charAt(space + 1) === '{' ? 'json' : 'bencode'
  return { cookie, format, body: bodyOf(text.slice(space + 1), format, space + 1) }
}

/** The text of a message. */
export function ngMessageText(cookie: string, format: NgFormat, body: NgDictionary): string {
  return `${cookie} ${format === 'json' ? encodeNgJson(body) : encodeBencode(body)}`
}

function bodyOf(text: string, format: NgFormat, offset: number): NgDictionary | NgProblem {
  const value = format === 'json' ? decodeNgJson(text) : decodeBencode(text)
  if (value instanceof NgProblem) return new NgProblem(value.code, value.position + offset, value.reason)
  return isDictionary(value) ? value : new NgProblem('NG_NOT_A_DICTIONARY', offset, 'the body is not a dictionary')
}

function isDictionary(value: NgValue): value is NgDictionary {
  return typeof value === 'object' && !Array.isArray(value)
}
