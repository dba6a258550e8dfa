// Names to records for RFC 3263, on Node's resolver (c-ares), which asks the name servers and never blocks a thread.

import { Resolver } from 'node:dns'
import { unreachable } from '#core/assert.ts'
import type { DnsRecord, DnsSink, DnsType } from '#core/net.ts'
import { errorWord } from '#host/error-word.ts'

/** The first wait for an answer, in milliseconds, and the attempts over all servers; the waits double. */
export const DNS_TIMEOUT_MS = 1_000
export const DNS_TRIES = 3
/** Look-ups under way at a time; more fail at once with {@link RESOLVES_MAX_REACHED}. */
export const RESOLVES_MAX = 2_048
/** Node gives no time to live with SRV and NAPTR records; this one stands in for it, in seconds. */
export const DEFAULT_TTL_S = 60

export const RESOLVES_MAX_REACHED = 'RESOLVES_MAX'

/** No such name, and no record of the type: both are an empty answer. */
const EMPTY_ANSWERS: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA'])

/** How names are resolved. */
export interface DnsOptions {
  /** Name servers, "address" or "address:port"; the system's without. */
  readonly servers?: readonly string[]
  readonly timeoutMs?: number
}

/** The look-ups of one process. */
export class Dns {
  readonly #resolver: Resolver
  #running = 0

  constructor(options: DnsOptions = {}) {
    this.#resolver = new Resolver({ timeout: options.timeoutMs ?? DNS_TIMEOUT_MS, tries: DNS_TRIES })
    if (options.servers !== undefined && options.servers.length > 0) this.#resolver.setServers(options.servers)
  }

  /** See `Net.resolve`. */
  resolve(name: string, type: DnsType, sink: DnsSink): void {
    const local = localhostRecords(name, type)
    if (local !== null) {
      setImmediate(() => sink.onResolved(name, type, local, null))
      return
    }
    if (this.#running >= RESOLVES_MAX) {
      setImmediate(() => sink.onResolved(name, type, [], RESOLVES_MAX_REACHED))
      return
    }
    this.#running++
    const finish = (error: Error | null, records: () => DnsRecord[]): void => {
      this.#running--
      if (error === null) sink.onResolved(name, type, records(), null)
      else if (EMPTY_ANSWERS.has(errorWord(error))) sink.onResolved(name, type, [], null)
      else sink.onResolved(name, type, [], errorWord(error))
    }
    try {
      this.#ask(name, type, finish)
    } catch (error) {
      setImmediate(() => finish(error instanceof Error ? error : new Error('look-up'), () => []))
    }
  }

  /** Ends the look-ups under way; their sinks are told ECANCELLED. */
  close(): void {
    this.#resolver.cancel()
  }

  #ask(name: string, type: DnsType, finish: (error: Error | null, records: () => DnsRecord[]) => void): void {
    switch (type) {
      case 'A':
        this.#resolver.resolve4(name, { ttl: true }, (error, answers) => {
          finish(error, () => answers.map(({ address, ttl }) => ({ type, address, ttlS: ttl })))
        })
        return
      case 'AAAA':
        this.#resolver.resolve6(name, { ttl: true }, (error, answers) => {
          finish(error, () => answers.map(({ address, ttl }) => ({ type, address, ttlS: ttl })))
        })
        return
      case 'SRV':
        this.#resolver.resolveSrv(name, (error, answers) => {
          finish(error, () =>
            answers.map((srv) => ({
              type,
              priority: srv.priority,
              weight: srv.weight,
              port: srv.port,
              target: srv.name,
              ttlS: DEFAULT_TTL_S,
            })),
          )
        })
        return
      case 'NAPTR':
        this.#resolver.resolveNaptr(name, (error, answers) => {
          finish(error, () =>
            answers.map(({ order, preference, flags, service, regexp, replacement }) => ({
              type,
              order,
              preference,
              flags,
              service,
              regexp,
              replacement,
              ttlS: DEFAULT_TTL_S,
            })),
          )
        })
        return
      default: {
        unreachable(type satisfies never)
      }
    }
  }
}

/** RFC 6761 §6.3: localhost is answered here and never asked for. Null for other names. */
function localhostRecords(name: string, type: DnsType): DnsRecord[] | null {
  const plain = name.toLowerCase().replace(/\.$/, '')
  if (plain !== 'localhost' && !plain.endsWith('.localhost')) return null
  if (type === 'A') return [{ type, address: '127.0.0.1', ttlS: DEFAULT_TTL_S }]
  if (type === 'AAAA') return [{ type, address: '::1', ttlS: DEFAULT_TTL_S }]
  return []
}
