// Addresses of the ng protocol as configurations write them: `udp:127.0.0.1:2223`, `tcp:[2001:db8::1]:2223`, `ws:127.0.0.1:2225/ng`.

import { type Endpoint, endpointText } from '#core/net.ts'

/** The path of WebSockets when the address names none. */
const PATH = '/ng'
const PATH_OCTETS_MAX = 255
const PORT_MAX = 65_535

export interface NgAddress {
  readonly transport: 'udp' | 'tcp' | 'ws'
  readonly endpoint: Endpoint
  /** Of WebSocket, with the slash; '' otherwise. */
  readonly path: string
}

/** Reads an address; a sentence says what is wrong with the text. Hosts are numeric: names are the business of whoever asks. */
export function parseNgAddress(text: string): NgAddress | string {
  const parts = /^(udp|tcp|ws):(?:\[([0-9a-f:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})(\/[!-~]*)?$/i.exec(text)
  if (parts === null) return 'an address looks like udp:127.0.0.1:2223, tcp:[::1]:2223 or ws:127.0.0.1:2225/ng'
  const transport = (parts[1] ?? '').toLowerCase() as NgAddress['transport']
  const host = canonicalHost(parts[2] ?? parts[3] ?? '')
  if (host === null) return 'the host is no numeric address'
  const port = Number(parts[4])
  if (port > PORT_MAX) return `the port is over ${PORT_MAX}`
  if (parts[5] !== undefined && transport !== 'ws') return 'only a WebSocket has a path'
  if (parts[5] !== undefined && parts[5].length > PATH_OCTETS_MAX) return `the path is over ${PATH_OCTETS_MAX} octets`
  const family = host.includes(':') ? 6 : 4
  return { transport, endpoint: { host, port, family }, path: transport === 'ws' ? (parts[5] ?? PATH) : '' }
}

/** The text that {@link parseNgAddress} reads. */
export function ngAddressText(address: NgAddress): string {
  return `${address.transport}:${endpointText(address.endpoint)}${address.path}`
}

/** The one spelling of a numeric host (RFC 5952), or null. */
export function canonicalHost(text: string): string | null {
  const six = text.includes(':')
  const name = URL.parse(six ? `http://[${text}]/` : `http://${text}/`)?.hostname
  if (name === undefined) return null
  if (six) return name.slice(1, -1)
  // The URL standard also reads octal and short forms: what it changes was no dotted decimal.
  return name === text && /^\d+\.\d+\.\d+\.\d+$/.test(name) ? name : null
}
