// ICE in a description: RFC 8839 §5.

import { attributeOf, attributesOf, hasAttribute } from '#sdp/attributes.ts'
import type { MediaDescription, SessionDescription } from '#sdp/session-description.ts'

/** One a=candidate (RFC 8839 §5.1). */
export interface IceCandidate {
  readonly foundation: string
  /** 1 RTP, 2 RTCP. */
  readonly component: number
  /** Upper case: UDP, TCP. */
  readonly transport: string
  readonly priority: number
  /** A numeric address, or a name ending in .local. */
  readonly address: string
  readonly port: number
  readonly type: string
  /** Null when absent. */
  readonly relatedAddress: string | null
  readonly relatedPort: number | null
  /** Extensions as written, in pairs: ['tcptype', 'active', …]. */
  readonly extensions: readonly string[]
}

/** What a description says of ICE for one stream. */
export interface IceDescription {
  readonly ufrag: string
  readonly password: string
  /** The whole agent is lite (§5.3). */
  readonly lite: boolean
  readonly options: readonly string[]
  readonly candidates: readonly IceCandidate[]
}

export const CANDIDATES_MAX = 64

/** Attributes that concern ICE, at both levels. */
export const ICE_ATTRIBUTES: ReadonlySet<string> = new Set([
  'ice-ufrag',
  'ice-pwd',
  'ice-lite',
  'ice-options',
  'ice-pacing',
  'ice-mismatch',
  'candidate',
  'remote-candidates',
  'end-of-candidates',
])

/** Credentials of the media description, else of the session (§5.4); null without well-formed ones: then there is no ICE. */
export function iceOf(description: SessionDescription, media: MediaDescription): IceDescription | null {
  const ufrag = attributeOf(media.lines, 'ice-ufrag') ?? attributeOf(description.lines, 'ice-ufrag')
  const password = attributeOf(media.lines, 'ice-pwd') ?? attributeOf(description.lines, 'ice-pwd')
  if (ufrag === null || password === null) return null
  if (!/^[A-Za-z0-9+/]{4,256}$/.test(ufrag) || !/^[A-Za-z0-9+/]{22,256}$/.test(password)) return null
  const options = attributeOf(media.lines, 'ice-options') ?? attributeOf(description.lines, 'ice-options') ?? ''
  return {
    ufrag,
    password,
    lite: hasAttribute(description.lines, 'ice-lite'),
    options: options.split(/[ \t]+/).filter((option) => option !== ''),
    candidates: attributesOf(media.lines, 'candidate')
      .slice(0, CANDIDATES_MAX)
      .map(parseCandidate)
      .filter((candidate) => candidate !== null),
  }
}

/** Parses the value of a=candidate; null when malformed. */
export function parseCandidate(value: string): IceCandidate | null {
  const fields = value.split(/[ \t]+/).filter((field) => field !== '')
  const [foundation = '', component = '', transport = '', priority = '', address = '', port = '', typ, type = ''] =
    fields
  if (typ !== 'typ' || !/^[A-Za-z0-9+/]{1,32}$/.test(foundation) || !/^\d{1,5}$/.test(component)) return null
  if (!/^\d{1,10}$/.test(priority) || !isPort(port) || !/^[\x21-\x7e]+$/.test(type)) return null
  if (!/^[\x21-\x7e]+$/.test(transport) || address === '') return null
  let rest = fields.slice(8)
  let relatedAddress: string | null = null
  let relatedPort: number | null = null
  if (rest[0] === 'raddr') {
    relatedAddress = rest[1] ?? null
    rest = rest.slice(2)
    if (relatedAddress === null) return null
  }
  if (rest[0] === 'rport') {
    const text = rest[1] ?? ''
    if (!isPort(text)) return null
    relatedPort = Number(text)
    rest = rest.slice(2)
  }
  return {
    foundation,
    component: Number(component),
    transport: transport.toUpperCase(),
    priority: Number(priority),
    address,
    port: Number(port),
    type,
    relatedAddress,
    relatedPort,
    extensions: rest,
  }
}

/** The value of a=candidate. */
export function candidateText(candidate: IceCandidate): string {
  const related = [
    ...(candidate.relatedAddress === null ? [] : ['raddr', candidate.relatedAddress]),
    ...(candidate.relatedPort === null ? [] : ['rport', String(candidate.relatedPort)]),
  ]
  const { foundation, component, transport, priority, address, port, type } = candidate
  return [
    foundation,
    component,
    transport,
    priority,
    address,
    port,
    'typ',
    type,
    ...related,
    ...candidate.extensions,
  ].join(' ')
}

/** The priority of a host candidate: RFC 8445 §5.1.2.1. `localPreference` 0 to 65535. */
export function hostPriority(component: number, localPreference: number): number {
  return 126 * 2 ** 24 + localPreference * 2 ** 8 + (256 - component)
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535
}
