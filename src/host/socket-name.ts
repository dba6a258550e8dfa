// Socket addresses as the kernel takes them (struct sockaddr_in, sockaddr_in6), written into memory and read out of it.

import { MediaSource } from '#core/media-sockets.ts'
import type { Endpoint } from '#core/net.ts'
import { frozenEndpoint } from '#host/endpoint-table.ts'
import { ipv4Bits, ipv4Text, ipv6Address, ipv6Text } from '#host/ip-address.ts'

export const NAME_OCTETS = 32
export const NAME_LENGTH: Readonly<Record<4 | 6, number>> = { 4: 16, 6: 28 }
const AF_INET = 2
const AF_INET6 = 10

/** The source that packets from `endpoint` are marked with; null when its host is no numeric address or its port none (0 is taken). */
export function sourceOf(endpoint: Endpoint): MediaSource | null {
  const { port } = endpoint
  if (!Number.isInteger(port) || port < 0 || port > 65_535) return null
  const source = new MediaSource()
  source.port = port
  source.family = endpoint.family
  if (endpoint.family === 4) {
    const bits = ipv4Bits(endpoint.host)
    if (bits === null) return null
    source.word0 = bits
    return source
  }
  const address = ipv6Address(endpoint.host)
  if (address === null) return null
  const word = (index: number): number => {
    const high = address.groups[index * 2] as number
    const low = address.groups[index * 2 + 1] as number
    return (high >> 8) | ((high & 255) << 8) | ((low >> 8) << 16) | ((low & 255) << 24)
  }
  source.word0 = word(0)
  source.word1 = word(1)
  source.word2 = word(2)
  source.word3 = word(3)
  return source
}

/** The endpoint of a source, in the canonical spelling. `scope` is the interface of a link-local address, else 0. */
export function endpointOfSource(source: MediaSource, scope = 0): Endpoint {
  if (source.family === 4) return frozenEndpoint(ipv4Text(source.word0), source.port, 4)
  const groups: number[] = []
  for (const word of [source.word0, source.word1, source.word2, source.word3]) {
    groups.push(((word & 255) << 8) | ((word >> 8) & 255), (((word >> 16) & 255) << 8) | ((word >> 24) & 255))
  }
  return frozenEndpoint(ipv6Text({ groups, scope }), source.port, 6)
}

/** Writes a struct sockaddr of the source into the first {@link NAME_OCTETS} of `words`. */
export function writeName(words: Int32Array, source: MediaSource, scope: number): void {
  const port = ((source.port & 255) << 24) | ((source.port >> 8) << 16)
  words.fill(0, 0, NAME_OCTETS / 4)
  words[0] = (source.family === 6 ? AF_INET6 : AF_INET) | port
  if (source.family === 4) {
    words[1] = source.word0
    return
  }
  words[2] = source.word0
  words[3] = source.word1
  words[4] = source.word2
  words[5] = source.word3
  words[6] = scope
}

/** Reads a struct sockaddr that the kernel wrote at the start of `words`. Hot path. */
export function readName(words: Int32Array, source: MediaSource): void {
  const head = words[0] as number
  source.port = ((head >>> 24) & 255) | ((head >>> 8) & 0xff00)
  if ((head & 0xffff) === AF_INET) {
    source.family = 4
    source.word0 = words[1] as number
    return
  }
  source.family = 6
  source.word0 = words[2] as number
  source.word1 = words[3] as number
  source.word2 = words[4] as number
  source.word3 = words[5] as number
}
