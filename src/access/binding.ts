// One binding of an address of record to a contact: RFC 3261 §10, RFC 3327, RFC 5626. A million of them are held: see bench/bindings.ts.

import { present } from '#core/assert.ts'
import type { Endpoint } from '#core/net.ts'
import { sameEndpoint } from '#core/net.ts'
import { copyString } from '#core/strings.ts'
import type { TransportName } from '#sip/flow.ts'
import { escapeUser, parseUri, type Uri, unescapeUri } from '#sip/uri.ts'
import type { Via } from '#sip/via.ts'

/** What a binding is made of. */
export interface BindingFields {
  /** The key that {@link aorFromUri} gives. */
  readonly aor: string
  /** The contact URI as given. */
  readonly contact: string
  /** Preference in thousandths, 0 to 1000 (RFC 3261 §20.10 q). */
  readonly q: number
  /** Wall clock. */
  readonly expiresAtMs: number
  readonly callId: string
  readonly cseq: number
  /** Path values, the topmost first (RFC 3327 §5.3). */
  readonly path: readonly string[]
  /** +sip.instance without its quotes (RFC 5626 §4.1); null when not given. */
  readonly instanceId: string | null
  /** reg-id of an outbound registration (RFC 5626 §4.2); 0 for none. */
  readonly regId: number
  readonly transport: TransportName
  /** Our address on the flow that the registration came over, and the other end's. */
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly userAgent: string
  /**
   * Whether the contact can be reached at `remote` only, over the flow that the registration came on ({@link needsFlow}).
   * Otherwise it is reached by its URI, though a living connection is better.
   */
  readonly needsFlow: boolean
}

/** An immutable binding. Texts are flat copies: none keeps a message in memory. */
export class Binding implements BindingFields {
  readonly aor: string
  readonly contact: string
  readonly q: number
  readonly expiresAtMs: number
  readonly callId: string
  readonly cseq: number
  readonly path: readonly string[]
  readonly instanceId: string | null
  readonly regId: number
  readonly transport: TransportName
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly userAgent: string
  /** When it expires by `Clock.now`, which no step of the wall clock moves. */
  readonly deadlineMs: number
  readonly needsFlow: boolean
  /**
   * Whether the connection that it was registered over died with an earlier process. Another one from the same address may be
   * somebody else's: a NAT gives a free port to whoever asks (RFC 5626 §5.3).
   */
  isCutOff = false
  /** For the location's own use: neighbours among those that expire in the same second. */
  previous: Binding | null = null
  next: Binding | null = null

  constructor(fields: BindingFields, deadlineMs: number) {
    this.aor = fields.aor
    this.contact = fields.contact
    this.q = fields.q
    this.expiresAtMs = fields.expiresAtMs
    this.callId = fields.callId
    this.cseq = fields.cseq
    this.path = fields.path
    this.instanceId = fields.instanceId
    this.regId = fields.regId
    this.transport = fields.transport
    this.local = fields.local
    this.remote = fields.remote
    this.userAgent = fields.userAgent
    this.deadlineMs = deadlineMs
    this.needsFlow = fields.needsFlow
  }

  /** The contact, parsed anew each time: keeping a million parsed ones costs more than parsing the one that rings. */
  get uri(): Uri {
    return present(parseUri(this.contact), 'a stored contact is a URI')
  }

  /** Whether it was registered over exactly this path. */
  isOver(transport: TransportName, local: Endpoint, remote: Endpoint): boolean {
    return this.transport === transport && sameEndpoint(this.remote, remote) && sameEndpoint(this.local, local)
  }
}

/**
 * Whether a contact can be reached only over the flow that its registration came on: the client asked for that (RFC 5626
 * §5.3), address translation lies between (the Via of the REGISTER names another address than it came from, RFC 3581),
 * or the contact is the near end of the client's own connection. A contact elsewhere, registered from where its sender says
 * it is, is followed as it stands.
 */
export function needsFlow(contact: Uri, via: Via, transport: TransportName, remote: Endpoint, regId: number): boolean {
  if (regId > 0) return true
  if (!contact.isSip) return false
  const isTranslated = via.host !== remote.host
  const byDefault = transport === 'tls' ? 5061 : 5060
  if (transport === 'udp') return isTranslated || (via.port ?? byDefault) !== remote.port
  if (contact.host !== remote.host) return isTranslated
  // A contact port that is not the source port of a connection is one that the phone listens on.
  return (contact.port ?? byDefault) === remote.port
}

const NO_PATH: readonly string[] = []

/** `path` as stored: one shared object when there is none. */
export function storedPath(path: readonly string[]): readonly string[] {
  return path.length === 0 ? NO_PATH : path.map(flatCopy)
}

/**
 * The address of record in canonical form (RFC 3261 §10.3 step 5): parameters and port gone, escapes in one form, the
 * domain ours whichever of its aliases was written. sip and sips name the same user (RFC 5630 §3.4 leaves only the contacts apart).
 */
export function aorFromUri(uri: Uri, domain: string): string {
  return `sip:${escapeUser(unescapeUri(uri.user))}@${domain}`
}

/** The address of record of a subscriber, by Unicode name. */
export function aorFromUser(user: string, domain: string): string {
  return `sip:${escapeUser(Buffer.from(user, 'utf8').toString('latin1'))}@${domain}`
}

/** A copy of a latin1 text that shares no memory with the message it was cut from; control characters become spaces. */
export function flatCopy(text: string): string {
  const copy = copyString(text)
  return CONTROL.test(copy) ? copy.replace(/[\x00-\x1f\x7f]/g, ' ') : copy
}

const CONTROL = /[\x00-\x1f\x7f]/
