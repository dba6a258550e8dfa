// The configuration as the switch uses it: immutable, indexed once, swapped as a whole.

import { present } from '#core/assert.ts'
import { PrefixTrie } from '#routing/prefix-trie.ts'
import {
  type ListenAddress,
  type PeerAddress,
  parseHost,
  parseListenAddress,
  parsePeerAddress,
  type TransportName,
} from '#schema/address.ts'
import type { Config, Subscriber } from '#schema/config.ts'

/** One peer of a trunk group. The host is canonical; a null port or transport leaves the choice to RFC 3263. */
export interface Peer extends PeerAddress {
  /** As the configuration writes it: for logs and records. */
  readonly text: string
  /** Name of the group it belongs to. */
  readonly trunkGroup: string
}

export interface TrunkGroup {
  readonly name: string
  readonly peers: readonly Peer[]
  readonly channelsMax: number
  readonly cpsMax: number
  readonly direction: 'in' | 'out' | 'both'
  /** Codec policy of offers to it; null: that of `media.codecs`. */
  readonly codecs: CodecPolicy | null
}

/** Codec policy of an offer (docs/configuration.md). */
export type CodecPolicy = Config['media']['codecs']

/** A number that the switch answers itself. */
export interface ServiceNumber {
  readonly number: string
  readonly service: 'echo' | 'milliwatt' | 'time' | 'conference'
  /** Conference room; '' for other services. */
  readonly room: string
  /** Whether calls of trunk groups reach it. */
  readonly trunkGroups: boolean
}

export interface Route {
  readonly prefix: string
  /** In order of trial. */
  readonly trunkGroups: readonly TrunkGroup[]
}

/** What is set once for the whole switch. The sections are those of the configuration file (docs/configuration.md). */
export interface Settings {
  /** Domain of the subscribers and realm of digest authentication; lower case. */
  readonly domain: string
  readonly listen: readonly ListenAddress[]
  readonly sip: Config['sip']
  readonly access: Config['access']
  readonly call: Config['call']
  readonly cdr: Config['cdr']
  readonly limits: Config['limits']
  readonly media: Config['media']
}

/**
 * Compiles a checked configuration. `version` names it in CDRs; `localAddresses` are the machine's own numeric addresses,
 * which a wildcard listening point answers on.
 */
export function compileSnapshot(config: Config, version: string, localAddresses: readonly string[] = []): Snapshot {
  return new Snapshot(config, version, localAddresses)
}

/** One immutable configuration. Made by {@link compileSnapshot}. */
export class Snapshot {
  readonly version: string
  readonly settings: Settings
  /** Peers with a host name: their addresses are the switch's to resolve, for recognising calls from them. */
  readonly hostNamePeers: readonly Peer[]
  readonly trunkGroups: ReadonlyMap<string, TrunkGroup>
  readonly routes: readonly Route[]
  readonly subscriberCount: number
  readonly #byUser = new Map<string, Subscriber>()
  readonly #byNumber = new Map<string, Subscriber>()
  readonly #services = new Map<string, ServiceNumber>()
  readonly #ownHosts: ReadonlySet<string>
  readonly #ingressAtPort = new Map<string, Peer[]>()
  readonly #ingressAtHost = new Map<string, Peer[]>()
  readonly #peerHosts = new Set<string>()
  readonly #trie: PrefixTrie

  constructor(config: Config, version: string, localAddresses: readonly string[]) {
    this.version = version
    const { domain, sip, access, call, cdr, limits, media } = config
    const listen = sip.listen.map((text) => present(parseListenAddress(text), `listen ${text}`))
    this.settings = { domain, listen, sip, access, call, cdr, limits, media }
    this.#ownHosts = ownHosts(config, listen, localAddresses)
    this.subscriberCount = config.subscribers.length
    for (const subscriber of config.subscribers) {
      this.#byUser.set(subscriber.user, subscriber)
      if (subscriber.number !== null) this.#byNumber.set(subscriber.number, subscriber)
    }
    const trunkGroups = new Map<string, TrunkGroup>()
    const hostNamePeers: Peer[] = []
    for (const entry of config.trunkGroups) {
      const peers = entry.peers.map((text) => peerOf(text, entry.name))
      trunkGroups.set(entry.name, { ...entry, peers })
      for (const peer of peers) this.#peerHosts.add(peer.host)
      if (entry.direction === 'out') continue
      for (const peer of peers) {
        if (peer.family === 0) hostNamePeers.push(peer)
        else this.#addIngress(peer)
      }
    }
    this.trunkGroups = trunkGroups
    for (const { number, service, room, trunkGroups } of media.gateways === 'none' ? [] : config.services) {
      const name = service === 'conference' ? (room ?? number) : ''
      this.#services.set(number, { number, service, room: name, trunkGroups })
    }
    this.hostNamePeers = hostNamePeers
    this.routes = config.routes.map((route) => ({
      prefix: route.prefix,
      trunkGroups: route.trunkGroups.map((name) => present(trunkGroups.get(name), `trunk group ${name}`)),
    }))
    this.#trie = new PrefixTrie(config.routes.map((route) => route.prefix))
  }

  /** The subscriber of that user name; upper and lower case differ (RFC 3261 §19.1.4). */
  subscriberByUser(user: string): Subscriber | null {
    return this.#byUser.get(user) ?? null
  }

  /** The subscriber of that number, as `parseNumber` gives it. */
  subscriberByNumber(number: string): Subscriber | null {
    return this.#byNumber.get(number) ?? null
  }

  /** The service that answers that number, as `parseNumber` gives it. None while media goes end to end. */
  service(number: string): ServiceNumber | null {
    return this.#services.get(number) ?? null
  }

  /** All service numbers, in the order of the file. */
  services(): IterableIterator<ServiceNumber> {
    return this.#services.values()
  }

  /** All subscribers, in the order of the file. */
  subscribers(): IterableIterator<Subscriber> {
    return this.#byUser.values()
  }

  trunkGroup(name: string): TrunkGroup | null {
    return this.trunkGroups.get(name) ?? null
  }

  /** The route of the longest prefix of `number`, or null. */
  longestRoute(number: string): Route | null {
    const index = this.#trie.longest(number)
    return index === -1 ? null : (this.routes[index] ?? null)
  }

  /** Every route whose prefix begins `number`, the shortest first: the last is that of `longestRoute`. For explanations. */
  matchingRoutes(number: string): Route[] {
    return this.#trie.matches(number).map((index) => present(this.routes[index], `route ${index}`))
  }

  /**
   * Whether a Request-URI with this host is for us: domain, alias, advertised or listening address. Brackets, upper case
   * and a dot at the end make no difference.
   */
  isOwnHost(host: string): boolean {
    if (this.#ownHosts.has(host)) return true
    const parsed = parseHost(host)
    return parsed !== null && parsed.text !== host && this.#ownHosts.has(parsed.text)
  }

  /**
   * The peer whose requests come from this source address, or null. `host` is numeric and canonical. A peer with a port is
   * recognised by that source port; one without, or one over TCP or TLS (whose clients use any port), by its host alone.
   * Groups of direction `out` are never recognised. Peers with a host name are the switch's: see `hostNamePeers`
   * and {@link accepts}.
   */
  ingressPeer(transport: TransportName, host: string, port: number): Peer | null {
    if (this.#ingressAtHost.size === 0 && this.#ingressAtPort.size === 0) return null
    for (const peer of this.#ingressAtPort.get(`${host} ${port}`) ?? []) if (accepts(peer, transport, port)) return peer
    for (const peer of this.#ingressAtHost.get(host) ?? []) if (accepts(peer, transport, port)) return peer
    return null
  }

  /** Whether a peer of any trunk group, whatever its direction, is configured with this host (canonical). */
  isPeerHost(host: string): boolean {
    return this.#peerHosts.has(host)
  }

  #addIngress(peer: Peer): void {
    const exact = peer.port !== null
    if (exact) push(this.#ingressAtPort, `${peer.host} ${peer.port}`, peer)
    if (!exact || isStream(peer.transport)) push(this.#ingressAtHost, peer.host, peer)
  }
}

/** Whether a request over `transport` from `port` of the peer's host is from `peer`: the rule of {@link Snapshot.ingressPeer}. */
export function accepts(peer: Peer, transport: TransportName, port: number): boolean {
  if (peer.transport !== null && peer.transport !== transport) return false
  return peer.port === null || peer.port === port || isStream(peer.transport)
}

function isStream(transport: TransportName | null): boolean {
  return transport !== null && transport !== 'udp'
}

function push(map: Map<string, Peer[]>, key: string, peer: Peer): void {
  const peers = map.get(key)
  if (peers === undefined) map.set(key, [peer])
  else peers.push(peer)
}

function peerOf(text: string, trunkGroup: string): Peer {
  const { host, family, port, transport } = present(parsePeerAddress(text), `peer ${text}`)
  return { host, family, port, transport, text, trunkGroup }
}

/** Canonical spellings of every host that is ours. A wildcard listening point answers on all addresses of its family. */
function ownHosts(config: Config, listen: readonly ListenAddress[], localAddresses: readonly string[]): Set<string> {
  const hosts = new Set<string>()
  const add = (text: string | null): void => {
    const host = text === null ? null : parseHost(text)
    if (host !== null) hosts.add(host.text)
  }
  add(config.domain)
  add(config.sip.advertise)
  for (const alias of config.sip.aliases) add(alias)
  let any4 = false
  let any6 = false
  for (const address of listen) {
    if (address.host === '0.0.0.0') any4 = true
    else if (address.host === '::') any6 = true
    else add(address.host)
  }
  for (const text of localAddresses) {
    const host = parseHost(text)
    if (host !== null && ((host.numeric === 4 && any4) || (host.numeric === 6 && any6))) hosts.add(host.text)
  }
  if (any4) add('127.0.0.1')
  if (any6) add('::1')
  if (hosts.has('127.0.0.1') || hosts.has('::1')) add('localhost')
  return hosts
}
