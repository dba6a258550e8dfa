// From a URI and DNS answers to the next hops in order: RFC 3263 §4.1 and §4.2 as one pure function.

import type { DnsRecord, DnsType } from '#core/net.ts'
import { type Random, uniform } from '#core/random.ts'
import type { Target, TransportName } from '#sip/flow.ts'
import { isUnicast, parseIp } from '#sip/ip-address.ts'
import { srvOrder } from '#sip/srv-order.ts'
import type { Uri } from '#sip/uri.ts'

/** Next hops of one location; what is beyond is left out. */
export const TARGETS_MAX = 32
/** Names asked for addresses in one location. */
const HOSTS_MAX = 16
/** NAPTR records looked at. */
const NAPTR_MAX = 16
const NAME_OCTETS_MAX = 253

/** What we can speak, preferred first. */
export interface Abilities {
  readonly transports: readonly TransportName[]
  readonly families: readonly (4 | 6)[]
}

/** Records by question: null while they are not known yet. */
export type Ask = (name: string, type: DnsType) => readonly DnsRecord[] | null

/** Next hops; or why there can be none (a stable word); or null while answers are missing. */
export type TargetOrder = readonly Target[] | string | null

type NaptrRecord = Extract<DnsRecord, { type: 'NAPTR' }>
type SrvRecord = Extract<DnsRecord, { type: 'SRV' }>

/** A transport and the name of its SRV records. */
interface Candidate {
  readonly transport: TransportName
  readonly srvName: string
}

const SERVICES: Readonly<Record<string, TransportName>> = { 'SIP+D2U': 'udp', 'SIP+D2T': 'tcp', 'SIPS+D2T': 'tls' }

/**
 * The next hops for `uri`, asking only for what is needed. Called again with more answers until it is not null; asks at
 * most three rounds. Words: LOCATE_SCHEME, LOCATE_TRANSPORT, LOCATE_ADDRESS, LOCATE_NAME, LOCATE_NO_SERVICE, LOCATE_NONE.
 */
export function targetOrder(uri: Uri, abilities: Abilities, ask: Ask, random: Random): TargetOrder {
  if (!uri.isSip) return 'LOCATE_SCHEME'
  const explicit = explicitTransport(uri)
  if (explicit === null) return 'LOCATE_TRANSPORT'
  const maddr = uri.param('maddr')
  const host = (maddr === null || maddr === '' ? uri.host : maddr.replace(/^\[|\]$/g, '').toLowerCase()).replace(
    /\.$/,
    '',
  )
  const collector = new Collector(uri, abilities, ask, random)
  const fallback = explicit === '' ? (uri.scheme === 'sips' ? 'tls' : 'udp') : explicit
  if (!abilities.transports.includes(fallback) && (explicit !== '' || uri.scheme === 'sips')) return 'LOCATE_TRANSPORT'
  const address = parseIp(host)
  if (address !== null) {
    if (!abilities.transports.includes(fallback)) return 'LOCATE_TRANSPORT'
    return collector.add(fallback, host, uri.port ?? defaultPort(fallback)) ? collector.result() : 'LOCATE_ADDRESS'
  }
  if (!isName(host)) return 'LOCATE_NAME'
  if (uri.port !== null) {
    if (!abilities.transports.includes(fallback)) return 'LOCATE_TRANSPORT'
    collector.addName(fallback, host, uri.port)
    return collector.result()
  }
  const candidates = explicit === '' ? naptrCandidates(uri, host, abilities, ask) : [standardCandidate(explicit, host)]
  if (candidates === null) return null
  return collector.addServices(candidates, host, fallback)
}

/** The port of §19.1.2 for a transport. */
export function defaultPort(transport: TransportName): number {
  return transport === 'tls' ? 5061 : 5060
}

/** The transport that the URI names, '' when it names none, null when it cannot be had (§4.1). */
function explicitTransport(uri: Uri): TransportName | '' | null {
  const secure = uri.scheme === 'sips'
  const param = uri.param('transport')
  switch (param === null ? '' : param.toLowerCase()) {
    case '':
      return ''
    case 'udp':
      // §26.2.2: sips is never carried over UDP.
      return secure ? null : 'udp'
    case 'tcp':
      return secure ? 'tls' : 'tcp'
    case 'tls':
      return 'tls'
    default:
      return null
  }
}

/** §4.1: from NAPTR; without usable ones each transport that we speak, by its standard SRV name. Null: not known yet. */
function naptrCandidates(uri: Uri, host: string, abilities: Abilities, ask: Ask): Candidate[] | null {
  const records = ask(host, 'NAPTR')
  if (records === null) return null
  const secure = uri.scheme === 'sips'
  const usable: { readonly record: NaptrRecord; readonly candidate: Candidate }[] = []
  for (const record of records.slice(0, NAPTR_MAX)) {
    if (record.type !== 'NAPTR' || record.flags.toLowerCase() !== 's' || record.regexp !== '') continue
    const transport = SERVICES[record.service.toUpperCase()]
    const srvName = record.replacement.toLowerCase().replace(/\.$/, '')
    if (transport === undefined || !abilities.transports.includes(transport) || !isName(srvName)) continue
    if (secure && transport !== 'tls') continue
    usable.push({ record, candidate: { transport, srvName } })
  }
  if (usable.length > 0) {
    // RFC 3403 §4.1: once a record of an order is usable, those of higher orders are not considered.
    const order = Math.min(...usable.map(({ record }) => record.order))
    return usable
      .filter(({ record }) => record.order === order)
      .sort((a, b) => a.record.preference - b.record.preference)
      .map(({ candidate }) => candidate)
  }
  return abilities.transports
    .filter((transport) => !secure || transport === 'tls')
    .map((transport) => standardCandidate(transport, host))
}

function standardCandidate(transport: TransportName, host: string): Candidate {
  const prefix = transport === 'tls' ? '_sips._tcp' : `_sip._${transport}`
  return { transport, srvName: `${prefix}.${host}` }
}

/** A name that DNS may be asked for: no address in disguise (its last label is no number). */
function isName(name: string): boolean {
  return (
    name.length > 0 &&
    name.length <= NAME_OCTETS_MAX &&
    /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(name) &&
    !/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name)
  )
}

/** Gathers next hops in order, each once, and whether an answer is missing. */
class Collector {
  readonly #abilities: Abilities
  readonly #ask: Ask
  readonly #random: Random
  readonly #serverName: string | null
  readonly #targets: Target[] = []
  readonly #seen = new Set<string>()
  #hosts = 0
  #missing = false

  constructor(uri: Uri, abilities: Abilities, ask: Ask, random: Random) {
    this.#abilities = abilities
    this.#ask = ask
    this.#random = random
    // RFC 5922 §7: the far side must be the domain of the URI, whatever host SRV named for it.
    this.#serverName = parseIp(uri.host) === null ? uri.host.replace(/\.$/, '') : null
  }

  result(): TargetOrder {
    if (this.#missing) return null
    return this.#targets.length === 0 ? 'LOCATE_NONE' : this.#targets
  }

  /** Adds a numeric host; false when it may not be sent to or no family of ours reaches it. */
  add(transport: TransportName, host: string, port: number): boolean {
    const address = parseIp(host)
    if (address === null || port < 1 || port > 65_535 || !isUnicast(address)) return false
    if (!this.#abilities.families.includes(address.family)) return false
    const key = `${transport} ${address.host} ${port}`
    if (this.#seen.has(key)) return true
    if (this.#targets.length >= TARGETS_MAX) return false
    this.#seen.add(key)
    const endpoint = { host: address.host, port, family: address.family }
    this.#targets.push({ transport, endpoint, serverName: transport === 'tls' ? this.#serverName : null })
    return true
  }

  /** Adds the addresses of `name`, of our preferred family first. */
  addName(transport: TransportName, name: string, port: number): void {
    if (this.#hosts >= HOSTS_MAX) return
    this.#hosts += 1
    for (const family of this.#abilities.families) {
      const records = this.#ask(name, family === 6 ? 'AAAA' : 'A')
      if (records === null) {
        this.#missing = true
        continue
      }
      // Kept answers always come in the same order; starting anywhere in them spreads the load as DNS would.
      const start = records.length > 1 ? uniform(this.#random, records.length) : 0
      for (let i = 0; i < records.length; i += 1) {
        const record = records[(start + i) % records.length]
        if (record?.type === 'A' || record?.type === 'AAAA') this.add(transport, record.address, port)
      }
    }
  }

  /** §4.2: the SRV records of the candidates in turn; without any, the addresses of `host` itself. */
  addServices(candidates: readonly Candidate[], host: string, fallback: TransportName): TargetOrder {
    const services: { readonly transport: TransportName; readonly records: SrvRecord[] }[] = []
    let found = false
    for (const { transport, srvName } of candidates) {
      const answer = this.#ask(srvName, 'SRV')
      if (answer === null) {
        this.#missing = true
        continue
      }
      const records = answer.filter((record): record is SrvRecord => record.type === 'SRV')
      if (records.length > 0) found = true
      services.push({ transport, records })
    }
    if (this.#missing) return null
    if (!found) {
      const transport = candidates.length === 1 ? (candidates[0]?.transport ?? fallback) : fallback
      if (!this.#abilities.transports.includes(transport)) return 'LOCATE_TRANSPORT'
      this.addName(transport, host, defaultPort(transport))
      return this.result()
    }
    for (const { transport, records } of services) this.#addService(transport, records)
    const result = this.result()
    // RFC 2782: a target of "." says that the service is decidedly not there.
    return result === 'LOCATE_NONE' ? 'LOCATE_NO_SERVICE' : result
  }

  #addService(transport: TransportName, records: readonly SrvRecord[]): void {
    for (const { target, port } of srvOrder(records, this.#random)) {
      const name = target.toLowerCase().replace(/\.$/, '')
      if (port === 0 || this.add(transport, name, port)) continue
      if (isName(name)) this.addName(transport, name, port)
    }
  }
}
