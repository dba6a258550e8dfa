// Synchronization sources that a description announces: RFC 5576 §4.1, §6.1.

import { attributesOf } from '#sdp/attributes.ts'
import type { MediaDescription } from '#sdp/session-description.ts'

export interface SsrcAttribute {
  readonly ssrc: number
  /** '' when none is given. */
  readonly cname: string
}

export const SSRCS_MAX = 64

/** Each announced source once, in order, with its canonical name. */
export function ssrcsOf(media: MediaDescription): SsrcAttribute[] {
  const cnames = new Map<number, string>()
  for (const value of attributesOf(media.lines, 'ssrc')) {
    const match = /^(\d{1,10})(?:[ \t]+(.*))?$/.exec(value)
    const ssrc = Number(match?.[1])
    if (match === null || ssrc > 0xffff_ffff || (cnames.size === SSRCS_MAX && !cnames.has(ssrc))) continue
    const rest = match[2] ?? ''
    const cname = rest.startsWith('cname:') ? rest.slice('cname:'.length) : (cnames.get(ssrc) ?? '')
    cnames.set(ssrc, cname)
  }
  return [...cnames].map(([ssrc, cname]) => ({ ssrc, cname }))
}
