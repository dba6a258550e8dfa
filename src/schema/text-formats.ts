// The named formats of texts in the configuration: what each accepts, and how it is said to a person.

import {
  parseGatewayAddress,
  parseHost,
  parseHostPort,
  parseListenAddress,
  parsePeerAddress,
  parsePortRange,
} from '#schema/address.ts'

export interface TextFormat {
  readonly accepts: (text: string) => boolean
  /** Completes "expected …". */
  readonly expected: string
}

function numeric(text: string): boolean {
  const host = parseHost(text)
  return host !== null && host.numeric !== 0
}

const FORMATS: ReadonlyMap<string, TextFormat> = new Map<string, TextFormat>([
  ['path', { accepts: (text) => !text.includes('\0'), expected: 'a file name' }],
  ['address', { accepts: numeric, expected: 'a numeric address such as 192.0.2.10 or 2001:db8::10' }],
  [
    'host',
    {
      accepts: (text) => parseHost(text) !== null,
      expected: 'a host name or address such as example.net or 192.0.2.10',
    },
  ],
  ['hostPort', { accepts: (text) => parseHostPort(text) !== null, expected: 'address:port such as 127.0.0.1:8080' }],
  [
    'listenAddress',
    {
      accepts: (text) => parseListenAddress(text) !== null,
      expected: 'transport:address:port with a numeric address and a port up to 65535, such as udp:0.0.0.0:5060',
    },
  ],
  [
    'gatewayAddress',
    {
      accepts: (text) => parseGatewayAddress(text) !== null,
      expected:
        'udp or tcp:address:port with a numeric address, such as udp:192.0.2.20:2223 or udp:192.0.2.20:2223;weight=2',
    },
  ],
  [
    'codec',
    {
      accepts: (text) => /^[A-Za-z0-9][A-Za-z0-9-]*$/.test(text),
      expected: 'an encoding name such as PCMA, G722 or opus',
    },
  ],
  [
    'peerAddress',
    {
      accepts: (text) => parsePeerAddress(text) !== null,
      expected:
        'host, host:port or transport:host:port with a port from 1 to 65535, such as 192.0.2.30:5060 or tls:sbc.example.com',
    },
  ],
  [
    'portRange',
    {
      accepts: (text) => parsePortRange(text) !== null,
      expected: 'first-last such as 20000-29999, ports from 1 to 65535',
    },
  ],
  // No blank, colon, quote or URI delimiter: the name stands in digest headers, in the HA1 hash and in SIP URIs.
  [
    'user',
    {
      accepts: (text) => /^[^\s\x00-\x1f\x7f"'\\:@;?,<>()[\]{}/]+$/.test(text),
      expected: 'a user name without blanks, quotes or any of : @ ; ? , / \\ < > ( ) [ ] { }',
    },
  ],
  [
    'number',
    {
      accepts: (text) => /^(\+[0-9]{1,15}|[0-9*#]{1,32})$/.test(text),
      expected: '"+" and up to 15 digits, or up to 32 of the characters 0-9 * #, without separators',
    },
  ],
  [
    'prefix',
    {
      accepts: (text) => /^(\+[0-9]{0,15}|[0-9*#]{0,32})$/.test(text),
      expected: '"+" and up to 15 digits, or up to 32 of the characters 0-9 * #',
    },
  ],
  [
    'name',
    {
      accepts: (text) => /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text),
      expected: 'letters, digits, dot, hyphen and underscore, starting with a letter or digit',
    },
  ],
  ['displayName', { accepts: (text) => !/[\x00-\x1f\x7f]/.test(text), expected: 'text without control characters' }],
  ['headerText', { accepts: (text) => /^[\x20-\x7e]+$/.test(text), expected: 'printable ASCII text' }],
  ['md5Hex', { accepts: (text) => /^[0-9a-fA-F]{32}$/.test(text), expected: '32 hexadecimal digits' }],
  ['sha256Hex', { accepts: (text) => /^[0-9a-fA-F]{64}$/.test(text), expected: '64 hexadecimal digits' }],
  [
    'database',
    {
      accepts: (text) => text === 'embedded' || /^postgres(ql)?:\/\/\S+$/.test(text),
      expected: 'embedded or a postgres:// URL',
    },
  ],
  [
    'store',
    {
      accepts: (text) => text === 'embedded' || /^rediss?:\/\/\S+$/.test(text),
      expected: 'embedded or a redis:// URL',
    },
  ],
])

/** The format of that name, or null: every format that the schema names is here (tested). */
export function textFormat(name: string): TextFormat | null {
  return FORMATS.get(name) ?? null
}
