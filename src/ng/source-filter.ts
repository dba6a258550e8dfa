// Which hosts may command a gateway: numeric addresses and prefixes (RFC 4632, RFC 4291 §2.3).

import { canonicalHost } from '#ng/ng-address.ts'

/** Those of this machine: nobody else commands a gateway unless it is told so. */
export const LOOPBACK: readonly string[] = ['127.0.0.0/8', '::1']

interface Prefix {
  readonly family: 4 | 6
  readonly bits: bigint
  readonly length: number
}

export class SourceFilter {
  readonly #prefixes: readonly Prefix[]
  /** Hosts that passed before, so that the sums are done once for each. */
  readonly #passed = new Set<string>()

  /** `sources`: texts that {@link isSource} holds for; others are left out. */
  constructor(sources: readonly string[]) {
    this.#prefixes = sources.map(prefixOf).filter((prefix) => prefix !== null)
  }

  passes(host: string): boolean {
    if (this.#passed.has(host)) return true
    const address = bitsOf(host)
    if (address === null || !this.#prefixes.some((prefix) => covers(prefix, address))) return false
    if (this.#passed.size < PASSED_MAX) this.#passed.add(host)
    return true
  }
}

const PASSED_MAX = 1_024

/** Whether a text is an address or a prefix: `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`. */
export function isSource(text: string): boolean {
  return prefixOf(text) !== null
}

function prefixOf(text: string): Prefix | null {
  const [host = '', length, more] = text.split('/')
  const address = bitsOf(host)
  if (address === null || more !== undefined) return null
  const width = widthOf(address.family)
  if (length === undefined) return { ...address, length: width }
  return /^\d{1,3}$/.test(length) && Number(length) <= width ? { ...address, length: Number(length) } : null
}

function covers(prefix: Prefix, address: { readonly family: 4 | 6; readonly bits: bigint }): boolean {
  const drop = BigInt(widthOf(prefix.family) - prefix.length)
  return prefix.family === address.family && prefix.bits >> drop === address.bits >> drop
}

function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128
}

function bitsOf(host: string): { readonly family: 4 | 6; readonly bits: bigint } | null {
  // A zone names an interface of ours, not the host (RFC 4007 §11).
  const canonical = /^[0-9a-f:.]{2,45}$/i.test(host.split('%', 1)[0] ?? '')
    ? canonicalHost(host.split('%', 1)[0] ?? '')
    : null
  if (canonical === null) return null
  if (!canonical.includes(':')) return { family: 4, bits: joined(canonical.split('.'), 8n, 10) }
  const [head = '', tail] = canonical.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = new Array<string>(8 - left.length - right.length).fill('0')
  const bits = joined([...left, ...zeros, ...right], 16n, 16)
  // An IPv4 host on a socket for both families (RFC 4291 §2.5.5.2).
  return bits >> 32n === 0xffffn ? { family: 4, bits: bits & 0xffff_ffffn } : { family: 6, bits }
}

function joined(parts: readonly string[], width: bigint, radix: number): bigint {
  return parts.reduce((bits, part) => (bits << width) | BigInt(Number.parseInt(part, radix)), 0n)
}
