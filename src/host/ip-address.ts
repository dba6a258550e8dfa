// Numeric addresses between their text and the octets that the kernel takes.

import { isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'

/** The four octets of "192.0.2.1" as the bits of an int32, first octet lowest, as they lie in memory; null when it is none. */
export function ipv4Bits(text: string): number | null {
  let bits = 0
  let octet = -1
  let count = 0
  for (let index = 0; index <= text.length; index++) {
    const code = index < text.length ? text.charCodeAt(index) : 46
    if (code === 46) {
      if (octet < 0 || octet > 255 || count === 4) return null
      bits |= octet << (8 * count++)
      octet = -1
    } else {
      if (code < 48 || code > 57) return null
      octet = (octet < 0 ? 0 : octet * 10) + (code - 48)
      if (octet > 255) return null
    }
  }
  return count === 4 ? bits : null
}

/** The text of such bits. */
export function ipv4Text(bits: number): string {
  return `${bits & 255}.${(bits >> 8) & 255}.${(bits >> 16) & 255}.${bits >>> 24}`
}

/** An IPv6 address: eight groups, and the interface of a link-local one, else 0. */
export interface Ipv6Address {
  readonly groups: readonly number[]
  readonly scope: number
}

/** The address of "2001:db8::1" or "fe80::1%eth0"; null when it is none. */
export function ipv6Address(text: string): Ipv6Address | null {
  if (!isIPv6(text)) return null
  const [address = '', zone = ''] = text.split('%')
  const [left = '', right] = address.split('::')
  const before = groupsOf(left)
  const after = right === undefined ? [] : groupsOf(right)
  const gap = new Array<number>(8 - before.length - after.length).fill(0)
  return { groups: [...before, ...gap, ...after], scope: scopeOf(zone) }
}

function groupsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const bits = ipv4Bits(group) ?? 0
    return [((bits & 255) << 8) | ((bits >> 8) & 255), ((bits >> 8) & 0xff00) | (bits >>> 24)]
  })
}

/** The canonical text of RFC 5952, with the interface's name when there is a scope. */
export function ipv6Text({ groups, scope }: Ipv6Address): string {
  let start = -1
  let longest = 1
  for (let index = 0; index < 8; index++) {
    let end = index
    while (end < 8 && groups[end] === 0) end++
    if (end - index > longest) {
      longest = end - index
      start = index
    }
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':')
  const address = start < 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + longest))}`
  return scope === 0 ? address : `${address}%${zoneOf(scope)}`
}

function scopeOf(zone: string): number {
  if (zone === '') return 0
  const addresses = networkInterfaces()[zone] ?? []
  for (const address of addresses) if (address.family === 'IPv6' && address.scopeid !== 0) return address.scopeid
  return Number(zone) || 0
}

function zoneOf(scope: number): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const address of addresses ?? []) if (address.family === 'IPv6' && address.scopeid === scope) return name
  }
  return String(scope)
}
