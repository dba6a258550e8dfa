// What we call ourselves in Via sent-by and Contact, and how we know it again: RFC 3261 §18.1.1, §18.1.2.

import type { Endpoint } from '#core/net.ts'
import { hostText, parseHostPort } from '#sip/uri.ts'

/** The addresses under which the listeners of one transport layer are reached. */
export class OwnAddresses {
  readonly #advertisedHost: string | null
  readonly #advertisedPort: number | null
  readonly #machine: readonly string[]
  readonly #sentBys = new Set<string>()

  /**
   * @param advertise host or host:port that others reach us at, in place of each listener's own; null for none
   * @param machine numeric addresses of this machine, the preferred ones first; used by listeners on 0.0.0.0 or ::
   */
  constructor(advertise: string | null, machine: readonly string[]) {
    const advertised = advertise === null ? null : parseHostPort(bracketed(advertise))
    this.#advertisedHost = advertised === null ? null : advertised.host
    this.#advertisedPort = advertised === null ? null : advertised.port
    this.#machine = machine
  }

  /** Notes the address of a listener, so that {@link isOwn} knows every sent-by it can have. */
  add(local: Endpoint): void {
    const port = local.port
    if (this.#advertises(local.family)) this.#sentBys.add(`${this.#advertisedHost}:${this.#advertisedPort ?? port}`)
    if (!isUnspecified(local.host)) {
      this.#sentBys.add(`${local.host}:${port}`)
      return
    }
    this.#sentBys.add(`${loopback(local.family)}:${port}`)
    for (const host of this.#machine) if (familyOf(host) === local.family) this.#sentBys.add(`${host}:${port}`)
  }

  /** Whether a Via's `sentBy` (host without brackets, port explicit) is one of ours. */
  isOwn(sentBy: string): boolean {
    return this.#sentBys.has(sentBy)
  }

  /** "host:port" of a listener for messages to `remote`. */
  sentBy(local: Endpoint, remote: Endpoint): string {
    if (this.#advertises(local.family)) {
      return `${hostText(this.#advertisedHost ?? '')}:${this.#advertisedPort ?? local.port}`
    }
    const host = isUnspecified(local.host) ? this.#nearest(remote) : local.host
    return `${hostText(host)}:${local.port}`
  }

  /** A numeric advertised address counts for its own family; a name for both. */
  #advertises(family: 4 | 6): boolean {
    const host = this.#advertisedHost
    if (host === null) return false
    const own = familyOf(host)
    return own === 0 || own === family
  }

  /** The machine's address that begins with the most octets (groups) of `remote`, the preferred first; loopback for loopback. */
  #nearest(remote: Endpoint): string {
    if (isLoopback(remote.host)) return loopback(remote.family)
    let best = ''
    let bestLength = -1
    for (const host of this.#machine) {
      if (familyOf(host) !== remote.family || isLoopback(host)) continue
      const length = commonLabels(host, remote.host)
      if (length > bestLength) {
        best = host
        bestLength = length
      }
    }
    return best === '' ? loopback(remote.family) : best
  }
}

/** 4 or 6 for a numeric host, 0 for a name. */
export function familyOf(host: string): 4 | 6 | 0 {
  if (host.includes(':')) return 6
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host) ? 4 : 0
}

/** Whether `host` stands for all addresses of the machine. */
export function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/** Whether `host` is the machine itself. */
export function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1'
}

function loopback(family: 4 | 6): string {
  return family === 6 ? '::1' : '127.0.0.1'
}

/** Octets of IPv4, groups of IPv6, that both begin with; the last one not counted. */
export function commonLabels(a: string, b: string): number {
  let labels = 0
  for (let i = 0; i < a.length && a.charCodeAt(i) === b.charCodeAt(i); i += 1) {
    const code = a.charCodeAt(i)
    if (code === 46 || code === 58) labels += 1
  }
  return labels
}

/** A bare IPv6 address may be configured without brackets. */
function bracketed(text: string): string {
  return text.charCodeAt(0) !== 91 && text.indexOf(':') !== text.lastIndexOf(':') ? `[${text}]` : text
}
