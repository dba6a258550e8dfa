// Session timers: RFC 4028. Negotiation as pure functions; the running timer is the session's.

import { decimal } from '#sip/_scan.ts'
import { HeaderId } from '#sip/header-id.ts'
import { type Message, type Request, type Response, valueParam } from '#sip/message.ts'

/** The interval that we want and the shortest that we take, in seconds (§4, §5: Min-SE is never under 90). */
export interface SessionTimerSettings {
  readonly sessionExpiresS: number
  readonly minSeS: number
}

/** What was agreed for one dialog. */
export interface SessionTimerTerms {
  readonly intervalS: number
  /** Whether we send the refreshes; otherwise we wait for them. */
  readonly weRefresh: boolean
}

interface SessionExpires {
  readonly intervalS: number
  readonly refresher: 'uac' | 'uas' | null
}

/** Parses Session-Expires (§4); null when absent or malformed. */
export function parseSessionExpires(message: Message): SessionExpires | null {
  const value = message.header(HeaderId.sessionExpires)
  if (value === null) return null
  const semicolon = value.indexOf(';')
  const intervalS = decimal((semicolon < 0 ? value : value.slice(0, semicolon)).trim(), 0xffff_ffff)
  if (intervalS <= 0) return null
  const refresher = valueParam(value, 'refresher')?.toLowerCase()
  return { intervalS, refresher: refresher === 'uac' || refresher === 'uas' ? refresher : null }
}

/** Min-SE of a message (§5), or 0. */
export function minSeOf(message: Message): number {
  const value = message.header(HeaderId.minSe)
  if (value === null) return 0
  const semicolon = value.indexOf(';')
  return Math.max(0, decimal((semicolon < 0 ? value : value.slice(0, semicolon)).trim(), 0xffff_ffff))
}

/** What a UAS answers (§9): terms with the header lines of its 2xx, or the Min-SE line of its 422. */
export type SessionTimerAnswer =
  | { readonly ok: true; readonly terms: SessionTimerTerms; readonly headers: string }
  | { readonly ok: false; readonly headers: string }

/** Negotiates as UAS for an INVITE, re-INVITE or UPDATE received (§9, Table 2). */
export function answerSessionTimer(request: Request, settings: SessionTimerSettings): SessionTimerAnswer {
  const asked = parseSessionExpires(request)
  const peerHasTimer = request.hasOption(HeaderId.supported, 'timer') || request.hasOption(HeaderId.require, 'timer')
  if (asked !== null && asked.intervalS < settings.minSeS) {
    if (peerHasTimer) return { ok: false, headers: `Min-SE: ${settings.minSeS}\r\n` }
  }
  const floor = Math.max(minSeOf(request), settings.minSeS)
  const wanted = asked === null ? settings.sessionExpiresS : Math.min(asked.intervalS, settings.sessionExpiresS)
  const intervalS = Math.max(wanted, floor)
  // Table 2: a peer without the extension cannot refresh; what it asked for stands; else the UAC refreshes.
  const refresher = !peerHasTimer ? 'uas' : (asked?.refresher ?? 'uac')
  // §9: required of who refreshes, and of a peer that is to end the session when no refresh comes.
  const require = peerHasTimer ? 'Require: timer\r\n' : ''
  return {
    ok: true,
    terms: { intervalS, weRefresh: refresher === 'uas' },
    headers: `${require}Session-Expires: ${intervalS};refresher=${refresher}\r\n`,
  }
}

/** The header lines with which a UAC asks (§7.1). `refresher` is given for a refresh of a running session. */
export function askSessionTimer(settings: SessionTimerSettings, refresher: 'uac' | 'uas' | null): string {
  const parameter = refresher === null ? '' : `;refresher=${refresher}`
  return `Session-Expires: ${settings.sessionExpiresS}${parameter}\r\nMin-SE: ${settings.minSeS}\r\n`
}

/** What a 2xx gives a UAC (§7.2). Without Session-Expires the peer has no timer, and we refresh by our own interval. */
export function sessionTimerFrom(response: Response, settings: SessionTimerSettings): SessionTimerTerms {
  const given = parseSessionExpires(response)
  if (given === null) return { intervalS: settings.sessionExpiresS, weRefresh: true }
  return { intervalS: Math.max(given.intervalS, settings.minSeS), weRefresh: given.refresher !== 'uas' }
}
