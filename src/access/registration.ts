// What a REGISTER asks for, read from its header fields and checked: RFC 3261 §10.2, §10.3 steps 6 and 7; RFC 3327; RFC 5626 §6.

import { HeaderId } from '#sip/header-id.ts'
import type { Request } from '#sip/message.ts'
import { type NameAddr, parseNameAddr } from '#sip/name-addr.ts'
import type { Uri } from '#sip/uri.ts'

/** Characters of a text that a binding keeps. */
const CONTACT_LENGTH_MAX = 512
const INSTANCE_LENGTH_MAX = 256
const PATH_LENGTH_MAX = 512
/** Path values of one registration. */
const PATH_VALUES_MAX = 8
/** Contacts of one request; a location has its own limit for what is left of them. */
const CONTACT_VALUES_MAX = 100
/** §20.10: what a malformed expires parameter stands for. */
const MALFORMED_EXPIRES_S = 3600
/** §10.3 step 7: an interval of an hour is never too brief. */
const BRIEF_MAX_S = 3600
const DELTA_SECONDS_MAX = 0xffff_ffff

/** Why a registration is not done. `headers` are complete lines. */
export interface RegisterRefusal {
  readonly status: 400 | 403 | 404 | 420 | 423 | 439 | 503
  readonly reason: string
  readonly code: RegisterCode
  readonly headers: string
}

export type RegisterCode =
  | 'REGISTER_DOMAIN'
  | 'REGISTER_EXTENSION'
  | 'REGISTER_NOT_OWN_AOR'
  | 'REGISTER_NOT_FOUND'
  | 'REGISTER_MALFORMED'
  | 'REGISTER_TOO_BRIEF'
  | 'REGISTER_ORDER'
  | 'REGISTER_NOT_SIPS'
  | 'REGISTER_CONTACTS_MAX'
  | 'REGISTER_BINDINGS_MAX'
  | 'REGISTER_NO_OUTBOUND'

/** One contact to bind, or with `expiresS` 0 to unbind. */
export interface ContactRequest {
  readonly uri: Uri
  readonly q: number
  /** Granted, in seconds. */
  readonly expiresS: number
  readonly instanceId: string | null
  /** 0 when outbound is not applied. */
  readonly regId: number
}

export interface Registration {
  /** `Contact: *` with `Expires: 0`. */
  readonly removesAll: boolean
  readonly contacts: readonly ContactRequest[]
  readonly path: readonly string[]
  /** The response says `Require: outbound` (RFC 5626 §6). */
  readonly outbound: boolean
}

export interface ExpiryBounds {
  readonly expiresMinS: number
  readonly expiresMaxS: number
  readonly expiresDefaultS: number
}

export function refusal(
  status: RegisterRefusal['status'],
  code: RegisterCode,
  reason: string,
  headers = '',
): RegisterRefusal {
  return { status, reason, code, headers }
}

const malformed = (reason: string): RegisterRefusal => refusal(400, 'REGISTER_MALFORMED', reason)

/** Reads and checks; what is wrong is the answer. */
export function readRegistration(request: Request, bounds: ExpiryBounds): Registration | RegisterRefusal {
  const path = readPath(request)
  if ('status' in path) return path
  const elements = request.list(HeaderId.contact)
  if (elements === null || elements.length > CONTACT_VALUES_MAX) return malformed('Malformed Contact header field')
  if (elements.includes('*')) {
    // Step 6.
    if (elements.length > 1) return malformed('Contact "*" beside other contacts')
    if (request.header(HeaderId.expires) !== '0') return malformed('Contact "*" needs Expires: 0')
    return { removesAll: true, contacts: [], path: path.values, outbound: false }
  }
  const addresses: NameAddr[] = []
  for (const element of elements) {
    const address = parseNameAddr(element)
    if (address === null) return malformed('Malformed Contact header field')
    addresses.push(address)
  }
  const flow = outboundOf(request, path.values)
  const contacts: ContactRequest[] = []
  let hasRegId = false
  let kept = 0
  for (const address of addresses) {
    const contact = readContact(request, address, flow.isApplied, bounds)
    if ('status' in contact) return contact
    // A reg-id without an instance-id is ignored.
    if (address.param('reg-id') !== null && contact.instanceId !== null) {
      if (!flow.isApplied && flow.isSupported) {
        return refusal(439, 'REGISTER_NO_OUTBOUND', 'First Hop Lacks Outbound Support')
      }
      hasRegId ||= contact.regId > 0
    }
    if (contact.expiresS > 0) kept += 1
    contacts.push(contact)
  }
  if (hasRegId && kept > 1) return malformed('More than one contact beside a reg-id')
  return { removesAll: false, contacts, path: path.values, outbound: hasRegId && flow.isSupported }
}

function readPath(request: Request): { readonly values: readonly string[] } | RegisterRefusal {
  if (!request.has(HeaderId.path)) return NO_PATH
  const values = request.list(HeaderId.path)
  if (values === null || values.length > PATH_VALUES_MAX) return malformed('Malformed Path header field')
  for (const value of values) {
    const address = parseNameAddr(value)
    if (address === null || !address.uri.isSip || value.length > PATH_LENGTH_MAX) {
      return malformed('Malformed Path header field')
    }
  }
  // RFC 3327 §5.3, the recommended policy: the client did not agree to be reached through others.
  if (values.length > 0 && !request.hasOption(HeaderId.supported, 'path')) {
    return refusal(420, 'REGISTER_EXTENSION', 'Bad Extension', 'Unsupported: path\r\n')
  }
  return { values }
}

const NO_PATH = { values: [] } as const

/** RFC 5626 §6: whether outbound can be applied (we are the first hop, or it put "ob" into its Path), and the client has it. */
function outboundOf(request: Request, path: readonly string[]): { isApplied: boolean; isSupported: boolean } {
  const isSupported = request.hasOption(HeaderId.supported, 'outbound')
  const vias = request.list(HeaderId.via)
  if (vias !== null && vias.length === 1) return { isApplied: true, isSupported }
  // The edge proxy is the first that inserted a value, which is the last in the list; the text says "the first URI". Either will do.
  return { isApplied: hasOb(path[0]) || hasOb(path.at(-1)), isSupported }
}

function hasOb(value: string | undefined): boolean {
  if (value === undefined) return false
  const address = parseNameAddr(value)
  return address !== null && address.uri.param('ob') !== null
}

function readContact(
  request: Request,
  address: NameAddr,
  isOutbound: boolean,
  bounds: ExpiryBounds,
): ContactRequest | RegisterRefusal {
  const { uri } = address
  if (uri.text.length > CONTACT_LENGTH_MAX) return malformed('Contact URI too long')
  const requestedS = requestedExpiry(request, address, bounds.expiresDefaultS)
  if (requestedS > 0 && requestedS < bounds.expiresMinS && requestedS < BRIEF_MAX_S) {
    return refusal(423, 'REGISTER_TOO_BRIEF', 'Interval Too Brief', `Min-Expires: ${bounds.expiresMinS}\r\n`)
  }
  const instanceId = address.param('+sip.instance')
  if (instanceId !== null && !INSTANCE_ID.test(instanceId)) return malformed('Malformed +sip.instance')
  const regIdText = address.param('reg-id')
  let regId = 0
  if (regIdText !== null) {
    if (!REG_ID.test(regIdText)) return malformed('Malformed reg-id')
    if (isOutbound && instanceId !== null) regId = Number(regIdText)
    if (regId > 0x7fff_ffff) return malformed('Malformed reg-id')
  }
  return { uri, q: qOf(address.param('q')), expiresS: Math.min(requestedS, bounds.expiresMaxS), instanceId, regId }
}

const INSTANCE_ID = new RegExp(`^[\\x21\\x23-\\x5b\\x5d-\\x7e]{1,${INSTANCE_LENGTH_MAX}}$`)
const REG_ID = /^[0-9]{1,10}$/
const DIGITS = /^[0-9]+$/

/** Step 7: the parameter, else the header field, else the default. */
function requestedExpiry(request: Request, address: NameAddr, defaultS: number): number {
  const param = address.param('expires')
  if (param !== null) return deltaSeconds(param)
  const header = request.header(HeaderId.expires)
  return header === null ? defaultS : deltaSeconds(header)
}

function deltaSeconds(text: string): number {
  return DIGITS.test(text) ? Math.min(Number(text), DELTA_SECONDS_MAX) : MALFORMED_EXPIRES_S
}

/** Thousandths of a qvalue; 1000 for none or for one that is malformed (§16.6: no preference is expressed by 1.0). */
function qOf(text: string | null): number {
  if (text === null || !/^(?:[01](?:\.[0-9]{0,9})?|\.[0-9]{1,9})$/.test(text)) return 1000
  return Math.min(1000, Math.round(Number(text) * 1000))
}
