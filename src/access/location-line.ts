// One line of the location journal: all bindings of one address of record, with a checksum. The last line of each stands.

import { Binding, type BindingFields, flatCopy, storedPath } from '#access/binding.ts'
import type { Endpoint } from '#core/net.ts'
import { decimal } from '#sip/_scan.ts'
import type { TransportName } from '#sip/flow.ts'
import { parseUri } from '#sip/uri.ts'

// checksum TAB aor { TAB field × FIELDS }. No text of a binding has control characters (`flatCopy`).
const FIELDS = 15
const FIELD_SEPARATOR = '\t'
const PATH_SEPARATOR = '\x1f'
const CHECKSUM_LENGTH = 8

/** Equal texts and addresses of many bindings, held once. */
const INTERNED_MAX = 4_096

/** Makes one object of equal ones: user agents, our own addresses. */
export class Interning {
  readonly #texts = new Map<string, string>()
  readonly #endpoints = new Map<string, Endpoint>()

  text(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    const copy = flatCopy(text)
    if (this.#texts.size < INTERNED_MAX) this.#texts.set(copy, copy)
    return copy
  }

  endpoint(host: string, port: number): Endpoint {
    const key = `${host} ${port}`
    const known = this.#endpoints.get(key)
    if (known !== undefined) return known
    const endpoint = endpointFrom(host, port)
    if (this.#endpoints.size < INTERNED_MAX) this.#endpoints.set(key, endpoint)
    return endpoint
  }
}

/** The line for the bindings of `aor`; none of them is the line of their removal. */
export function writeLocationLine(aor: string, bindings: readonly Binding[]): string {
  let text = aor
  for (const b of bindings) {
    text +=
      `\t${b.contact}\t${b.q}\t${b.expiresAtMs}\t${b.callId}\t${b.cseq}\t${b.transport}\t${b.local.host}\t${b.local.port}` +
      `\t${b.remote.host}\t${b.remote.port}\t${b.userAgent}\t${b.instanceId ?? ''}\t${b.regId}\t${b.path.length === 0 ? '' : b.path.join(PATH_SEPARATOR)}\t${b.needsFlow ? 1 : 0}`
  }
  return `${checksum(text, 0)}\t${text}`
}

/**
 * Reads a line; null when it is corrupt. Bindings that have expired at `wallMs` are left out; the deadlines of the others
 * are counted from `nowMs` and lie no further away than `lifetimeMaxMs`, whatever the wall clock did meanwhile.
 */
export function readLocationLine(
  line: string,
  interning: Interning,
  nowMs: number,
  wallMs: number,
  lifetimeMaxMs: number,
): { aor: string; bindings: Binding[] } | null {
  if (line.charCodeAt(CHECKSUM_LENGTH) !== 9) return null
  if (!line.startsWith(checksum(line, CHECKSUM_LENGTH + 1))) return null
  const parts = line.split(FIELD_SEPARATOR)
  if ((parts.length - 2) % FIELDS !== 0) return null
  const aor = flatCopy(parts[1] ?? '')
  if (aor === '') return null
  const bindings: Binding[] = []
  for (let at = 2; at < parts.length; at += FIELDS) {
    const fields = readFields(aor, parts, at, interning)
    if (fields === null) return null
    const restMs = Math.min(fields.expiresAtMs - wallMs, lifetimeMaxMs)
    if (restMs <= 0) continue
    if (parseUri(fields.contact) === null) return null
    const binding = new Binding(fields, nowMs + restMs)
    binding.isCutOff = fields.transport !== 'udp'
    bindings.push(binding)
  }
  return { aor, bindings }
}

function readFields(aor: string, parts: readonly string[], at: number, interning: Interning): BindingFields | null {
  const contact = flatCopy(parts[at] ?? '')
  const q = decimal(parts[at + 1] ?? '', 1000)
  const expiresAtMs = decimal(parts[at + 2] ?? '', Number.MAX_SAFE_INTEGER)
  const cseq = decimal(parts[at + 4] ?? '', 0xffff_ffff)
  const transport = transportFrom(parts[at + 5])
  const localPort = decimal(parts[at + 7] ?? '', 65_535)
  const remotePort = decimal(parts[at + 9] ?? '', 65_535)
  const instanceId = parts[at + 11] ?? ''
  const regId = decimal(parts[at + 12] ?? '', 0x7fff_ffff)
  const path = parts[at + 13] ?? ''
  if (Math.min(q, expiresAtMs, cseq, localPort, remotePort, regId) < 0 || transport === null) return null
  return {
    aor,
    contact,
    q,
    expiresAtMs,
    callId: flatCopy(parts[at + 3] ?? ''),
    cseq,
    path: storedPath(path === '' ? [] : path.split(PATH_SEPARATOR)),
    instanceId: instanceId === '' ? null : flatCopy(instanceId),
    regId,
    transport,
    local: interning.endpoint(parts[at + 6] ?? '', localPort),
    remote: endpointFrom(flatCopy(parts[at + 8] ?? ''), remotePort),
    userAgent: interning.text(parts[at + 10] ?? ''),
    needsFlow: parts[at + 14] === '1',
  }
}

function endpointFrom(host: string, port: number): Endpoint {
  return { host, port, family: host.includes(':') ? 6 : 4 }
}

function transportFrom(text: string | undefined): TransportName | null {
  return text === 'udp' || text === 'tcp' || text === 'tls' ? text : null
}

/**
 * FNV-1a of the text from `at` on, two characters a step, in eight hexadecimal digits: finds what a disk or an editor did,
 * not what an enemy does.
 */
function checksum(text: string, at: number): string {
  let sum = 0x811c9dc5
  const last = text.length - 1
  for (; at < last; at += 2) sum = Math.imul(sum ^ (text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16)), 0x01000193)
  if (at === last) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193)
  return (sum >>> 0).toString(16).padStart(CHECKSUM_LENGTH, '0')
}
