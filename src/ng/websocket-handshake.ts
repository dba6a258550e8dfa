// The opening handshake of a WebSocket, both sides: RFC 6455 §4, with the subprotocol that rtpengine expects.

import { createHash } from 'node:crypto'

/** The subprotocol of ng messages in WebSocket messages. */
export const NG_SUBPROTOCOL = 'ng.rtpengine.com'
/** Octets of the request or response up to its empty line. */
export const HANDSHAKE_OCTETS_MAX = 8_192
/** §1.3: joined to the key to show that the server speaks WebSocket. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const KEY = /^[A-Za-z0-9+/]{22}==$/

/** §4.1: the request of a client. `key` is 16 random octets in base64. */
export function upgradeRequest(host: string, path: string, key: string): string {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    `Sec-WebSocket-Protocol: ${NG_SUBPROTOCOL}`,
    'Sec-WebSocket-Version: 13',
    '\r\n',
  ].join('\r\n')
}

/** §4.1: what is wrong with the server's response, or null. */
export function upgradeRefusal(response: string, key: string): string | null {
  const { line, headers } = headOf(response)
  const status = /^HTTP\/1\.1 ([0-9]{3})(?: |$)/.exec(line)?.[1]
  if (status === undefined) return 'no HTTP response'
  if (status !== '101') return `HTTP ${status}`
  if (!hasToken(headers, 'upgrade', 'websocket') || !hasToken(headers, 'connection', 'upgrade')) return 'no upgrade'
  if (headers.get('sec-websocket-accept') !== acceptOf(key)) return 'the accept key is wrong'
  if (headers.has('sec-websocket-extensions')) return 'an extension that was not asked for'
  const protocol = headers.get('sec-websocket-protocol')
  return protocol === undefined || protocol === NG_SUBPROTOCOL ? null : 'another subprotocol'
}

/** §4.2.2: the response to a client, and whether it takes the connection over. */
export function upgradeResponse(request: string, path: string): { readonly text: string; readonly accepted: boolean } {
  const { line, headers } = headOf(request)
  const target = /^GET (\S+) HTTP\/1\.1$/.exec(line)?.[1]
  if (target === undefined) return refused('400 Bad Request')
  if (target.split('?', 1)[0] !== path) return refused('404 Not Found')
  // §10.2: only a browser says where its page is from, and no web page has business with a gateway.
  if (headers.has('origin')) return refused('403 Forbidden')
  const key = headers.get('sec-websocket-key')
  const upgrades = hasToken(headers, 'upgrade', 'websocket') && hasToken(headers, 'connection', 'upgrade')
  if (!upgrades || key === undefined || !KEY.test(key) || !headers.has('host')) return refused('400 Bad Request')
  if (headers.get('sec-websocket-version') !== '13') {
    return refused('426 Upgrade Required', 'Sec-WebSocket-Version: 13\r\n')
  }
  const offers = headers.has('sec-websocket-protocol')
  if (offers && !hasToken(headers, 'sec-websocket-protocol', NG_SUBPROTOCOL)) return refused('400 Bad Request')
  const protocol = offers ? `Sec-WebSocket-Protocol: ${NG_SUBPROTOCOL}\r\n` : ''
  const text = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n${protocol}\r\n`
  return { text, accepted: true }
}

function refused(status: string, extra = ''): { readonly text: string; readonly accepted: boolean } {
  return { text: `HTTP/1.1 ${status}\r\n${extra}Connection: close\r\nContent-Length: 0\r\n\r\n`, accepted: false }
}

function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + ACCEPT_SUFFIX)
    .digest('base64')
}

/** The first line, and the headers by lower-case name; those that stand twice are joined (RFC 9110 §5.3). */
function headOf(text: string): { readonly line: string; readonly headers: ReadonlyMap<string, string> } {
  const lines = text.split('\r\n')
  const headers = new Map<string, string>()
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':')
    if (colon > 0) {
      const name = line.slice(0, colon).toLowerCase()
      const value = line.slice(colon + 1).trim()
      const before = headers.get(name)
      headers.set(name, before === undefined ? value : `${before}, ${value}`)
    }
  }
  return { line: lines[0] ?? '', headers }
}

function hasToken(headers: ReadonlyMap<string, string>, name: string, token: string): boolean {
  const value = headers.get(name)
  return value?.split(',').some((item) => item.trim().toLowerCase() === token) ?? false
}
