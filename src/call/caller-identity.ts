// Who calls, as the callee is told: RFC 3325 asserted identity from what we have authenticated, RFC 3323 privacy.

import { quote } from '#sip/_scan.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Request } from '#sip/message.ts'
import { parseNameAddr } from '#sip/name-addr.ts'
import { escapeUser } from '#sip/uri.ts'

/** The caller of one call. Texts are latin1 carriage of UTF-8. */
export interface CallerIdentity {
  /** User part that identifies the caller: E.164 number, or user name; escaped. */
  readonly user: string
  readonly displayName: string
  /** The name that is asserted with it: from the subscription or a trusted peer, never from a From header; '' for none. */
  readonly assertedName: string
  /** Whether `user` is asserted: authenticated by us, or by a peer that we trust. */
  readonly asserted: boolean
  /** Whether the caller asked for its identity to be withheld (RFC 3323 §4.2: user, id, header). */
  readonly restricted: boolean
  /** E.164 or dialled number, for routing and records; null when it is no number. */
  readonly number: string | null
}

const ANONYMOUS_FROM = '"Anonymous" <sip:anonymous@anonymous.invalid>'
const NUMBER = /^\+?[0-9*#]{1,32}$/

/** JavaScript text as latin1 carriage of its UTF-8 octets. */
export function latin1FromUtf8(text: string): string {
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** Whether the request asks for privacy (RFC 3323 §4.2), or comes from a caller that hides itself already. */
function isRestricted(request: Request): boolean {
  const privacy = request.header(HeaderId.privacy)
  if (privacy !== null) {
    const levels = privacy.toLowerCase().split(/[;,\s]+/)
    if (levels.includes('none')) return false
    if (levels.some((level) => level === 'id' || level === 'user' || level === 'header')) return true
  }
  const from = request.from.uri
  return from.host === 'anonymous.invalid' || from.user.toLowerCase() === 'anonymous'
}

/** The identity of an authenticated subscriber: from its subscription, never from the From header (RFC 3325 §5). */
export function subscriberIdentity(
  request: Request,
  subscriber: { readonly user: string; readonly number: string | null; readonly name: string | null },
): CallerIdentity {
  const number = subscriber.number
  return {
    user: escapeUser(latin1FromUtf8(number ?? subscriber.user)),
    displayName: subscriber.name === null ? visible(request.from.displayName) : latin1FromUtf8(subscriber.name),
    assertedName: subscriber.name === null ? '' : latin1FromUtf8(subscriber.name),
    asserted: true,
    restricted: isRestricted(request),
    number: number ?? (NUMBER.test(subscriber.user) ? subscriber.user : null),
  }
}

/** The identity that a configured peer asserts, or else its From (RFC 3325 §5: the peer is in our trust domain). */
export function peerIdentity(request: Request): CallerIdentity {
  const asserted = request.list(HeaderId.pAssertedIdentity)?.[0]
  const address = asserted === undefined ? null : parseNameAddr(asserted)
  const source = address ?? request.from
  const user = source.uri.scheme === 'tel' ? source.uri.user.replace(/[-.()]/g, '') : source.uri.user
  return {
    user,
    displayName: visible(source.displayName === '' ? request.from.displayName : source.displayName),
    assertedName: address === null ? '' : visible(address.displayName),
    asserted: address !== null && user !== '',
    restricted: isRestricted(request),
    number: NUMBER.test(user) ? user : null,
  }
}

/** A name without control characters, which a quoted-string could carry but no display should. */
function visible(name: string): string {
  return /[\x00-\x1f\x7f]/.test(name) ? name.replace(/[\x00-\x1f\x7f]+/g, ' ').trim() : name
}

/** The From value without tag that the callee gets. */
export function fromValue(caller: CallerIdentity, domain: string): string {
  if (caller.restricted) return ANONYMOUS_FROM
  const uri = caller.user === '' ? `<sip:${domain}>` : `<sip:${caller.user}@${domain}>`
  return caller.displayName === '' ? uri : `${quote(caller.displayName)} ${uri}`
}

/**
 * P-Asserted-Identity and Privacy lines (RFC 3325 §7, §9.1). A callee outside the trust domain (a subscriber's phone) gets no
 * asserted identity of a caller who restricts it.
 */
export function identityLines(caller: CallerIdentity, domain: string, calleeIsTrusted: boolean): string {
  const privacy = caller.restricted ? 'Privacy: id\r\n' : ''
  if (!caller.asserted || (caller.restricted && !calleeIsTrusted)) return privacy
  const display = caller.assertedName === '' ? '' : `${quote(caller.assertedName)} `
  return `P-Asserted-Identity: ${display}<sip:${caller.user}@${domain}>\r\n${privacy}`
}
