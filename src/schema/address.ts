// Addresses as the configuration file writes them: numeric hosts, host names, listening points and peers.

/** Transports of RFC 3261 §18 and RFC 7118 as the configuration names them. */
export type TransportName = 'udp' | 'tcp' | 'tls' | 'wss'

const TRANSPORTS: readonly string[] = ['udp', 'tcp', 'tls', 'wss']
const HOST_NAME_OCTETS_MAX = 253
const LABEL_OCTETS_MAX = 63
const PORT_MAX = 65_535

/** A host in its one canonical spelling. `numeric` is the family, or 0 for a name. */
export interface Host {
  /** "192.0.2.1", "2001:db8::1" (RFC 5952, no brackets) or "sip.example.net" (lower case, no dot at the end). */
  readonly text: string
  readonly numeric: 0 | 4 | 6
}

/** A listening point: `udp:0.0.0.0:5060`. The host is numeric. */
export interface ListenAddress {
  readonly transport: TransportName
  readonly host: string
  readonly family: 4 | 6
  readonly port: number
}

/** A peer: `192.0.2.30:5060`, `tls:sbc.example.com`. Null leaves the choice to RFC 3263. */
export interface PeerAddress {
  readonly host: string
  /** 4 or 6 for a numeric host, 0 for a name that must be resolved. */
  readonly family: 0 | 4 | 6
  readonly port: number | null
  readonly transport: TransportName | null
}

/** A numeric address with its port: `127.0.0.1:8080`. */
export interface HostPort {
  readonly host: string
  readonly family: 4 | 6
  readonly port: number
}

/** An IPv4 address in dotted decimal without leading zeros (RFC 3986 §3.2.2), or null. */
export function parseIpv4(text: string): string | null {
  if (text.length < 7 || text.length > 15) return null
  let parts = 0
  let digits = 0
  let value = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? 0x2e : text.charCodeAt(i)
    if (code === 0x2e) {
      if (digits === 0 || value > 255) return null
      parts++
      digits = 0
      value = 0
    } else if (code >= 0x30 && code <= 0x39) {
      if (digits > 0 && value === 0) return null
      value = value * 10 + code - 0x30
      digits++
      if (digits > 3) return null
    } else {
      return null
    }
  }
  return parts === 4 ? text : null
}

/** An IPv6 address in the spelling of RFC 5952 (lower case, longest run of zeros as "::"), or null. Zones are refused. */
export function parseIpv6(text: string): string | null {
  if (text.length < 2 || text.length > 45 || !text.includes(':')) return null
  const gap = text.indexOf('::')
  if (gap !== text.lastIndexOf('::')) return null
  const head = gap === -1 ? text : text.slice(0, gap)
  const tail = gap === -1 ? '' : text.slice(gap + 2)
  const before = groupsOf(head, gap === -1)
  const after = groupsOf(tail, true)
  if (before === null || after === null) return null
  const count = before.length + after.length
  if (gap === -1 ? count !== 8 : count > 7) return null
  const groups = [...before, ...new Array<number>(8 - count).fill(0), ...after]
  return ipv6Text(groups)
}

/** The 16-bit groups of a colon list; an IPv4 tail counts as two groups. */
function groupsOf(text: string, ipv4Allowed: boolean): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? ''
    if (part.includes('.')) {
      if (!ipv4Allowed || i !== parts.length - 1 || parseIpv4(part) === null) return null
      const octets = part.split('.').map(Number)
      groups.push(((octets[0] ?? 0) << 8) | (octets[1] ?? 0), ((octets[2] ?? 0) << 8) | (octets[3] ?? 0))
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null
      groups.push(Number.parseInt(part, 16))
    }
  }
  return groups
}

/** RFC 5952 §4: the longest run of two or more zero groups is shortened, the first of equals. */
function ipv6Text(groups: readonly number[]): string {
  if (isIpv4Mapped(groups)) {
    const high = groups[6] ?? 0
    const low = groups[7] ?? 0
    return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  }
  let bestStart = -1
  let bestLength = 1
  for (let i = 0; i < 8; ) {
    let end = i
    while (end < 8 && groups[end] === 0) end++
    if (end - i > bestLength) {
      bestStart = i
      bestLength = end - i
    }
    i = end === i ? i + 1 : end
  }
  const hex = groups.map((group) => group.toString(16))
  if (bestStart === -1) return hex.join(':')
  return `${hex.slice(0, bestStart).join(':')}::${hex.slice(bestStart + bestLength).join(':')}`
}

/** RFC 5952 §5: the mapped form is written with its IPv4 part. */
function isIpv4Mapped(groups: readonly number[]): boolean {
  for (let i = 0; i < 5; i++) if (groups[i] !== 0) return false
  return groups[5] === 0xffff
}

/** A host name of RFC 3261 §25.1 in lower case without the dot at its end, or null. */
export function parseHostName(text: string): string | null {
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase()
  if (name.length === 0 || name.length > HOST_NAME_OCTETS_MAX) return null
  const labels = name.split('.')
  for (const label of labels) {
    if (label.length > LABEL_OCTETS_MAX || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label)) return null
  }
  // The last label of a name starts with a letter: "192.0.2" and "300.1.1.1" are broken addresses, not names.
  return /^[a-z]/.test(labels[labels.length - 1] ?? '') ? name : null
}

/** A host in any form, IPv6 with or without brackets, in its canonical spelling; null when it is none. */
export function parseHost(text: string): Host | null {
  const ipv4 = parseIpv4(text)
  if (ipv4 !== null) return { text: ipv4, numeric: 4 }
  if (text.includes(':')) {
    const bracketed = text.startsWith('[') && text.endsWith(']')
    const ipv6 = parseIpv6(bracketed ? text.slice(1, -1) : text)
    return ipv6 === null ? null : { text: ipv6, numeric: 6 }
  }
  const name = parseHostName(text)
  return name === null ? null : { text: name, numeric: 0 }
}

/** A port number from 1 to 65535, or null. */
export function parsePort(text: string): number | null {
  if (!/^[0-9]{1,5}$/.test(text)) return null
  const port = Number(text)
  return port >= 1 && port <= PORT_MAX ? port : null
}

/** Splits "host", "host:port" and "[v6]:port"; a bare IPv6 address is a host. */
function splitHostPort(text: string, portMin: 0 | 1): { host: Host; port: number | null } | null {
  const close = text.indexOf(']')
  const colon = text.startsWith('[') ? (text.charAt(close + 1) === ':' ? close + 1 : -1) : text.indexOf(':')
  if (text.startsWith('[') && (close === -1 || (colon === -1 && close !== text.length - 1))) return null
  const bareIpv6 = !text.startsWith('[') && colon !== -1 && text.indexOf(':', colon + 1) !== -1
  const host = parseHost(colon === -1 || bareIpv6 ? text : text.slice(0, colon))
  if (host === null) return null
  if (colon === -1 || bareIpv6) return { host, port: null }
  const portText = text.slice(colon + 1)
  const port = portMin === 0 && portText === '0' ? 0 : parsePort(portText)
  return port === null ? null : { host, port }
}

/** `transport:address:port` with a numeric address, or null. Port 0 lets the system choose one. */
export function parseListenAddress(text: string): ListenAddress | null {
  const colon = text.indexOf(':')
  const transport = text.slice(0, colon)
  if (colon === -1 || !isTransport(transport)) return null
  const rest = parseHostPort(text.slice(colon + 1))
  return rest === null ? null : { transport, host: rest.host, family: rest.family, port: rest.port }
}

/** `address:port` with a numeric address, or null. Port 0 lets the system choose one. */
export function parseHostPort(text: string): HostPort | null {
  const split = splitHostPort(text, 0)
  if (split === null || split.port === null || split.host.numeric === 0) return null
  return { host: split.host.text, family: split.host.numeric, port: split.port }
}

/** A media gateway: `udp:192.0.2.20:2223;weight=2`. */
export interface GatewayAddress {
  readonly transport: 'udp' | 'tcp'
  readonly host: string
  readonly family: 4 | 6
  readonly port: number
  /** Its share of new calls beside others, 1…1000. */
  readonly weight: number
}

const WEIGHT_MAX = 1_000

/** `udp:address:port[;weight=N]`, or `tcp:…`, with a numeric address, or null. */
export function parseGatewayAddress(text: string): GatewayAddress | null {
  const match = /^(udp|tcp):([^;]+)(?:;weight=([1-9][0-9]{0,3}))?$/.exec(text)
  const weight = Number(match?.[3] ?? 1)
  const place = match === null ? null : parseHostPort(match[2] ?? '')
  if (place === null || place.port === 0 || weight > WEIGHT_MAX) return null
  return { transport: match?.[1] === 'tcp' ? 'tcp' : 'udp', ...place, weight }
}

/** `[transport:]host[:port]`, the host numeric or a name, or null. */
export function parsePeerAddress(text: string): PeerAddress | null {
  const colon = text.indexOf(':')
  const word = colon === -1 ? '' : text.slice(0, colon)
  const transport = isTransport(word) ? word : null
  const split = splitHostPort(transport === null ? text : text.slice(colon + 1), 1)
  if (split === null) return null
  return { host: split.host.text, family: split.host.numeric, port: split.port, transport }
}

/** "20000-29999": an inclusive range of ports, or null. */
export function parsePortRange(text: string): { readonly portMin: number; readonly portMax: number } | null {
  const match = /^([0-9]{1,5})-([0-9]{1,5})$/.exec(text)
  if (match === null) return null
  const portMin = parsePort(match[1] ?? '')
  const portMax = parsePort(match[2] ?? '')
  return portMin === null || portMax === null || portMin > portMax ? null : { portMin, portMax }
}

function isTransport(text: string): text is TransportName {
  return TRANSPORTS.includes(text)
}
