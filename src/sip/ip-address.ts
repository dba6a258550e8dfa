// Numeric addresses: reading them, their one canonical spelling (RFC 5952), and which may be sent to (RFC 6890, RFC 5735).

/** A numeric address in canonical spelling. */
export interface IpAddress {
  readonly host: string
  readonly family: 4 | 6
}

/** The address that `text` (without brackets) stands for, or null. IPv4-mapped IPv6 addresses come as the IPv4 they are. */
export function parseIp(text: string): IpAddress | null {
  if (!text.includes(':')) return ipv4Of(text) < 0 ? null : { host: text, family: 4 }
  const groups = groupsOf(text)
  if (groups === null) return null
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    const [high = 0, low = 0] = groups.slice(6)
    return { host: `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`, family: 4 }
  }
  return { host: ipv6Text(groups), family: 6 }
}

/** Whether a request may be sent there: neither unspecified, multicast, broadcast nor reserved. */
export function isUnicast(address: IpAddress): boolean {
  if (address.family === 4) {
    const first = Math.floor(ipv4Of(address.host) / 2 ** 24)
    return first > 0 && first < 224
  }
  return address.host !== '::' && !address.host.startsWith('ff')
}

/**
 * By what limits for each source count: the address, of IPv6 the first 64 bits, since one customer has all the rest
 * (RFC 6177).
 */
export function sourceKey(source: IpAddress): string {
  if (source.family === 4) return source.host
  const zone = source.host.indexOf('%')
  const groups = groupsOf(zone < 0 ? source.host : source.host.slice(0, zone))
  return groups === null ? source.host : `${ipv6Text([...groups.slice(0, 4), 0, 0, 0, 0])}/64`
}

/** The 32 bits of a dotted quad without leading zeros (which some read as octal), or -1. */
function ipv4Of(text: string): number {
  if (text.length < 7 || text.length > 15) return -1
  let value = 0
  let parts = 0
  for (const part of text.split('.')) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return -1
    value = value * 256 + Number(part)
    parts += 1
  }
  return parts === 4 ? value : -1
}

/** The eight groups of an IPv6 address without zone, or null. */
function groupsOf(text: string): number[] | null {
  if (text.length > 45) return null
  const halves = text.split('::')
  if (halves.length > 2) return null
  const head = halfOf(halves[0] ?? '')
  if (head === null || halves.length === 1) return head?.length === 8 ? head : null
  const tail = halfOf(halves[1] ?? '')
  if (tail === null || head.length + tail.length > 7) return null
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

function halfOf(text: string): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const quad = i === parts.length - 1 ? ipv4Of(part) : -1
    if (quad < 0) return null
    groups.push(Math.floor(quad / 65_536), quad % 65_536)
  }
  return groups
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of two or more zero groups as "::". */
function ipv6Text(groups: readonly number[]): string {
  let start = -1
  let length = 1
  for (let i = 0; i < 8; i += 1) {
    let end = i
    while (end < 8 && groups[end] === 0) end += 1
    if (end - i > length) {
      start = i
      length = end - i
    }
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':')
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`
}
