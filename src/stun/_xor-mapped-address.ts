// XOR-MAPPED-ADDRESS: RFC 8489 §14.2.

import type { Endpoint } from '#core/net.ts'
import { setUint16 } from '#stun/_octets.ts'

const XOR_MAPPED_ADDRESS = 0x0020
const MAGIC_COOKIE = 0x2112a442

/** Writes the attribute at `begin` of a message whose header is written already; answers its end. */
export function writeXorMappedAddress(message: Uint8Array, begin: number, address: Endpoint): number {
  const octets = address.family === 6 ? 20 : 8
  setUint16(message, begin, XOR_MAPPED_ADDRESS)
  setUint16(message, begin + 2, octets)
  message[begin + 4] = 0
  message[begin + 5] = address.family === 6 ? 2 : 1
  setUint16(message, begin + 6, address.port ^ (MAGIC_COOKIE >>> 16))
  const at = begin + 8
  if (address.family === 6) writeIpv6(message, at, address.host)
  else writeIpv4(message, at, address.host)
  // X-Address: with the magic cookie, and for IPv6 the transaction id after it.
  for (let i = 0; i < octets - 4; i += 1) message[at + i] = (message[at + i] as number) ^ (message[4 + i] as number)
  return at + octets - 4
}

function writeIpv4(target: Uint8Array, at: number, host: string): void {
  const parts = host.split('.')
  for (let i = 0; i < 4; i += 1) target[at + i] = Number(parts[i])
}

function writeIpv6(target: Uint8Array, at: number, host: string): void {
  target.fill(0, at, at + 16)
  const zone = host.indexOf('%')
  const [head = '', tail] = (zone < 0 ? host : host.slice(0, zone)).split('::')
  writeGroups(target, at, head)
  if (tail !== undefined) writeGroups(target, at + 16 - groupOctets(tail), tail)
}

function groupOctets(groups: string): number {
  if (groups === '') return 0
  return groups.split(':').reduce((sum, group) => sum + (group.includes('.') ? 4 : 2), 0)
}

function writeGroups(target: Uint8Array, at: number, groups: string): void {
  if (groups === '') return
  for (const group of groups.split(':')) {
    if (group.includes('.')) {
      writeIpv4(target, at, group)
      at += 4
    } else {
      setUint16(target, at, Number.parseInt(group, 16))
      at += 2
    }
  }
}
