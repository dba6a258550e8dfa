// Where media goes: c= (RFC 8866 §5.7), m='s port, and the RTCP port (RFC 3605, RFC 5761).

import type { Endpoint } from '#core/net.ts'
import { attributeOf, hasAttribute, lineOf } from '#sdp/attributes.ts'
import {
  type MediaDescription,
  parseAddress,
  type SdpAddress,
  type SessionDescription,
} from '#sdp/session-description.ts'

/** The address of a media description: its own c=, else the session's; null when neither has one. */
export function addressOf(description: SessionDescription, media: MediaDescription): SdpAddress | null {
  const value = lineOf(media.lines, 'c') ?? lineOf(description.lines, 'c')
  return value === null ? null : parseAddress(value)
}

/** Where RTP (or UDPTL) is wanted. Null: the stream is rejected, has no address, or has a name for one. */
export function endpointOf(description: SessionDescription, media: MediaDescription): Endpoint | null {
  const address = addressOf(description, media)
  return address === null || media.port === 0 ? null : endpointFrom(address, media.port)
}

/**
 * Where RTCP is wanted: the port and address of a=rtcp (RFC 3605 §2.1), else the next port (RFC 3550 §11). Whether it is the RTP port
 * instead is for rtcp-mux to say ({@link hasRtcpMux}).
 */
export function rtcpEndpointOf(description: SessionDescription, media: MediaDescription): Endpoint | null {
  const endpoint = endpointOf(description, media)
  if (endpoint === null) return null
  const value = attributeOf(media.lines, 'rtcp')
  const match = value === null ? null : /^(\d{1,5})(?:[ \t]+(\S+[ \t]+\S+[ \t]+\S+))?[ \t]*$/.exec(value)
  const port = match === null ? endpoint.port + 1 : Number(match[1])
  if (port === 0 || port > 65_535) return null
  const address = match?.[2] === undefined ? null : parseAddress(match[2])
  return address === null ? { ...endpoint, port } : endpointFrom(address, port)
}

/** RFC 5761 §5.1.1, RFC 8858. */
export function hasRtcpMux(media: MediaDescription): boolean {
  return hasAttribute(media.lines, 'rtcp-mux') || hasAttribute(media.lines, 'rtcp-mux-only')
}

/** A numeric address with a port; null when the host is a name or malformed. IPv6 comes in the spelling of RFC 5952. */
export function endpointFrom(address: SdpAddress, port: number): Endpoint | null {
  if (address.network !== 'IN') return null
  if (isIpv4(address.host)) return { host: address.host, port, family: 4 }
  const host = ipv6Of(address.host)
  return host === null ? null : { host, port, family: 6 }
}

/** The value of a c= line. */
export function addressText(endpoint: Pick<Endpoint, 'host' | 'family'>): string {
  return `IN IP${endpoint.family} ${endpoint.host}`
}

function isIpv4(host: string): boolean {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)) return false
  return host.split('.').every((part) => Number(part) <= 255 && (part.length === 1 || !part.startsWith('0')))
}

/** URL has the parser for it (WHATWG URL §3.5), which never takes a name in brackets. */
function ipv6Of(host: string): string | null {
  if (host.length > 45 || !/^[0-9A-Fa-f:.]+$/.test(host)) return null
  const url = URL.parse(`http://[${host}]`)
  return url === null ? null : url.hostname.slice(1, -1)
}
