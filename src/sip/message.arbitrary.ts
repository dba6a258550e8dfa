// Random legal messages with what they mean, by the grammar of RFC 3261 §25.1. For tests and the fuzzer only.

import * as fc from 'fast-check'

/** A generated message, and what a parser must find in it. */
export interface GeneratedMessage {
  readonly text: string
  /** '' in a response. */
  readonly method: string
  readonly uri: GeneratedUri | null
  /** 0 in a request. */
  readonly status: number
  readonly reason: string
  readonly vias: readonly GeneratedVia[]
  readonly from: GeneratedAddress
  readonly to: GeneratedAddress
  readonly contacts: readonly GeneratedAddress[]
  readonly routes: readonly GeneratedAddress[]
  readonly callId: string
  readonly cseq: number
  readonly cseqMethod: string
  readonly maxForwards: number
  readonly supported: readonly string[]
  /** A header field that nobody knows. */
  readonly extension: string
  readonly body: string
}

export interface GeneratedUri {
  readonly text: string
  readonly scheme: string
  readonly user: string
  readonly password: string
  /** As written, in brackets when IPv6. */
  readonly host: string
  readonly port: number | null
  readonly params: string
  readonly headers: string
}

export interface GeneratedVia {
  readonly text: string
  readonly transport: string
  readonly host: string
  readonly port: number | null
  readonly branch: string
}

export interface GeneratedAddress {
  readonly text: string
  readonly displayName: string
  readonly uri: GeneratedUri
  readonly tag: string | null
}

const ALPHANUM = 'ABCXYZabcxyz0189'
const chars = (set: string): fc.Arbitrary<string> => fc.constantFrom(...set)
const some = (set: string, maxLength = 10): fc.Arbitrary<string> =>
  fc.string({ unit: chars(set), minLength: 1, maxLength })
const escapes = fc.constantFrom('%00', '%20', '%25', '%3b', '%40', '%C3%A9', '%41')
const withEscapes = (set: string, minLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.oneof({ weight: 8, arbitrary: chars(set) }, escapes), minLength, maxLength: 12 })

const token = some(`${ALPHANUM}-.!%*_+\`'~`)
/** A tag that is never empty and no parameter name of ours. */
const word = some(`${ALPHANUM}-.!%*_+\`'~()<>:\\"/[]?{}`, 16)
/** LWS and SWS: between separators anything of it may stand. */
const lws = fc.constantFrom(' ', '  ', '\t', '\r\n ', ' \r\n\t', ' \r\n  \t')
const sws = fc.oneof({ weight: 4, arbitrary: fc.constant('') }, lws)
const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { freq: 2 })

const label = fc
  .tuple(some('abzABZ09', 4), fc.constantFrom('', '-', '--'), some('abzABZ09', 4))
  .map(([a, hyphen, b]) => a + hyphen + b)
const hostname = fc
  .tuple(fc.array(label, { maxLength: 3 }), some('abzABZ', 5), fc.constantFrom('', '.'))
  .map(([labels, top, dot]) => [...labels, top].join('.') + dot)
const host = fc.oneof(
  { weight: 3, arbitrary: hostname },
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
)

const UNRESERVED = `${ALPHANUM}-_.!~*'()`
const uriParam = fc
  .tuple(
    fc.oneof(
      fc.constantFrom('transport', 'lr', 'user', 'Method', 'maddr', 'x'),
      withEscapes(`${UNRESERVED}[]/:&+$`, 1),
    ),
    fc.option(withEscapes(`${UNRESERVED}[]/:&+$`, 1)),
  )
  .map(([name, value]) => (value === null ? `;${name}` : `;${name}=${value}`))
const uriHeader = fc
  .tuple(withEscapes(`${UNRESERVED}[]/?:+$`, 1), withEscapes(`${UNRESERVED}[]/?:+$`, 0))
  .map(([name, value]) => `${name}=${value}`)

function sipUri(bare: boolean): fc.Arbitrary<GeneratedUri> {
  return fc
    .record({
      scheme: fc.constantFrom('sip', 'sips', 'SIP', 'Sips'),
      // Outside brackets a URI cannot have ';', '?' or ',' (§20).
      user: fc.option(withEscapes(`${UNRESERVED}&=+$${bare ? '' : ',;?'}/`, 1), { freq: 4 }),
      password: fc.option(withEscapes(`${UNRESERVED}&=+$${bare ? '' : ','}`, 0), { freq: 1 }),
      host,
      port,
      params: bare ? fc.constant('') : fc.array(uriParam, { maxLength: 3 }).map((params) => params.join('')),
      headers: bare ? fc.constant('') : fc.array(uriHeader, { maxLength: 2 }).map((headers) => headers.join('&')),
    })
    .map((parts) => {
      const userInfo = parts.user === null ? '' : `${parts.user}${parts.password === null ? '' : `:${parts.password}`}@`
      const hostPort = parts.port === null ? parts.host : `${parts.host}:${parts.port}`
      const headers = parts.headers === '' ? '' : `?${parts.headers}`
      return {
        ...parts,
        text: `${parts.scheme}:${userInfo}${hostPort}${parts.params}${headers}`,
        scheme: parts.scheme.toLowerCase(),
        user: parts.user ?? '',
        password: parts.user === null ? '' : (parts.password ?? ''),
      }
    })
}

const telUri = fc
  .tuple(
    fc.constantFrom('tel', 'TEL'),
    some('0189-.()', 8),
    fc.constantFrom('', ';ext=12', ';phone-context=example.net'),
  )
  .map(([scheme, digits, params]) => {
    const user = `+${digits}7`
    return {
      text: `${scheme}:${user}${params}`,
      scheme: 'tel',
      user,
      password: '',
      host: '',
      port: null,
      params,
      headers: '',
    }
  })
const otherUri = fc
  .tuple(fc.constantFrom('http', 'urn', 'soap.beep', 'x-y+z'), some(`${UNRESERVED}/:@&=+$`))
  .map(([scheme, rest]) => {
    return { text: `${scheme}:${rest}`, scheme, user: '', password: '', host: '', port: null, params: '', headers: '' }
  })

const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')
const quotedText = fc.string({
  unit: fc.oneof(
    { weight: 4, arbitrary: chars(`${ALPHANUM} ,;<>@"\\`) },
    fc.constantFrom('é', 'à', '電', '\u{1f4de}', '\0', '\x07').map(utf8),
  ),
  maxLength: 12,
})
const quoted = (text: string): string => `"${text.replace(/["\\\x00-\x08\x0b-\x1f\x7f]/g, '\\$&')}"`

const params = fc.array(
  fc.tuple(sws, sws, token, fc.option(fc.tuple(sws, sws, fc.oneof(token, host, quotedText.map(quoted))))).map(
    ([before, after, name, value]) =>
      // The names that mean something are written apart.
      `${before};${after}p${name}${value === null ? '' : `${value[0]}=${value[1]}${value[2]}`}`,
  ),
  { maxLength: 2 },
)

function address(tag: fc.Arbitrary<string | null>, mayBeBare: boolean): fc.Arbitrary<GeneratedAddress> {
  const tagParam = fc.tuple(tag, fc.constantFrom('tag', 'TAG', 'Tag'), sws, sws, sws, sws, params)
  const bracketed = fc
    .tuple(
      fc.oneof(
        fc.tuple(quotedText, sws).map(([text, blank]) => [quoted(text) + blank, text] as const),
        fc.constant(['', ''] as const),
        fc
          .array(token, { minLength: 1, maxLength: 3 })
          .map((words) => [`${words.join(' ')} `, words.join(' ')] as const),
      ),
      fc.oneof({ weight: 4, arbitrary: sipUri(false) }, telUri, otherUri),
    )
    .map(([[written, displayName], uri]) => ({ text: `${written}<${uri.text}>`, displayName, uri }))
  const bare = sipUri(true).map((uri) => ({ text: uri.text, displayName: '', uri }))
  return fc
    .tuple(mayBeBare ? fc.oneof({ weight: 3, arbitrary: bracketed }, bare) : bracketed, tagParam)
    .map(([spec, [tagValue, name, a, b, c, d, rest]]) => ({
      ...spec,
      tag: tagValue,
      text: `${spec.text}${tagValue === null ? '' : `${a};${b}${name}${c}=${d}${tagValue}`}${rest.join('')}`,
    }))
}

const via: fc.Arbitrary<GeneratedVia> = fc
  .record({
    protocol: fc.constantFrom('SIP/2.0/', 'sip/2.0/', 'SIP / 2.0 / ', 'SIP\r\n /2.0\t/'),
    transport: fc.constantFrom('UDP', 'TCP', 'TLS', 'SCTP', 'udp', 'x-Y'),
    gap: lws,
    host,
    port,
    colon: fc.tuple(sws, sws),
    branch: token.map((text) => `z9hG4bK${text}`),
    around: fc.tuple(sws, sws, sws, sws),
    params,
  })
  .map((v) => ({
    transport: v.transport,
    host: v.host,
    port: v.port,
    branch: v.branch,
    text:
      `${v.protocol}${v.transport}${v.gap}${v.host}${v.port === null ? '' : `${v.colon[0]}:${v.colon[1]}${v.port}`}` +
      `${v.params.join('')}${v.around[0]};${v.around[1]}branch${v.around[2]}=${v.around[3]}${v.branch}`,
  }))

const method = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('INVITE', 'ACK', 'BYE', 'CANCEL', 'OPTIONS', 'REGISTER', 'PRACK', 'UPDATE') },
  token,
)
const octets = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const fieldText = fc
  .string({ unit: fc.oneof(chars(`${ALPHANUM}:;,<>"()@\\/=`), fc.constantFrom('é', ' x').map(utf8)), maxLength: 20 })
  .map((text) => text.trim())

const NAMES = {
  via: ['Via', 'v', 'VIA', 'via'],
  from: ['From', 'f', 'fROM'],
  to: ['To', 't', 'TO'],
  callId: ['Call-ID', 'i', 'CALL-id'],
  cseq: ['CSeq', 'cseq'],
  contact: ['Contact', 'm'],
  maxForwards: ['Max-Forwards', 'max-forwards'],
  route: ['Route', 'ROUTE'],
  supported: ['Supported', 'k'],
  contentLength: ['Content-Length', 'l'],
} as const

/** One header line: a name in any spelling, white space where it may stand. */
function line(names: readonly string[], value: string): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...names), fc.constantFrom('', ' ', '\t'), sws, fc.constantFrom('', ' ', '\t '))
    .map(([name, before, after, end]) => `${name}${before}:${after}${value}${end}`)
}

/** A list over one line or several, as commas are or are not put. */
function listLines(names: readonly string[], elements: readonly string[]): fc.Arbitrary<string[]> {
  if (elements.length === 0) return fc.constant([])
  return fc.array(fc.boolean(), { minLength: elements.length, maxLength: elements.length }).chain((joined) => {
    const lines: string[] = []
    for (const [i, element] of elements.entries()) {
      if (i > 0 && joined[i] === true) lines[lines.length - 1] += ` ,\t${element}`
      else lines.push(element)
    }
    return fc.tuple(...lines.map((value) => line(names, value)))
  })
}

const parts = fc
  .record({
    isRequest: fc.boolean(),
    method,
    uri: fc.oneof({ weight: 4, arbitrary: sipUri(false) }, telUri).filter((uri) => uri.headers === ''),
    status: fc.integer({ min: 100, max: 699 }),
    reason: fieldText,
    vias: fc.array(via, { minLength: 1, maxLength: 4 }),
    from: address(fc.option(token, { nil: null }), true),
    to: address(fc.option(token, { nil: null }), true),
    contact: address(fc.constant(null), true),
    contacts: fc.array(address(fc.constant(null), false), { maxLength: 3 }),
    routes: fc.array(address(fc.constant(null), false), { maxLength: 3 }),
    callId: fc.tuple(word, fc.option(word)).map(([a, b]) => (b === null ? a : `${a}@${b}`)),
    cseq: fc.integer({ min: 0, max: 0x7fff_ffff }),
    maxForwards: fc.integer({ min: 0, max: 255 }),
    supported: fc.array(token, { maxLength: 3 }),
    extension: fieldText,
    body: octets,
    hasLength: fc.boolean(),
  })
  .map((p) => {
    // An INVITE has exactly one Contact, and it is a SIP URI.
    if (!p.isRequest || p.method !== 'INVITE') return p
    return { ...p, contacts: [p.contact].map((c) => (c.uri.scheme.startsWith('sip') ? c : SIMPLE_CONTACT)) }
  })

const SIMPLE_CONTACT: GeneratedAddress = {
  text: '<sip:h>',
  displayName: '',
  tag: null,
  uri: { text: 'sip:h', scheme: 'sip', user: '', password: '', host: 'h', port: null, params: '', headers: '' },
}

/** Legal requests and responses, all alike parsed by `parseMessage` and passed by the checks. */
export const legalMessage: fc.Arbitrary<GeneratedMessage> = parts.chain((p) => {
  const single = fc.tuple(
    line(NAMES.from, p.from.text),
    line(NAMES.to, p.to.text),
    line(NAMES.callId, p.callId),
    fc
      .tuple(fc.nat(2), lws)
      .chain(([zeros, gap]) => line(NAMES.cseq, `${'0'.repeat(zeros)}${p.cseq}${gap}${p.method}`)),
    line(NAMES.maxForwards, String(p.maxForwards)),
    line(['X-Unknown', 'x-unknown', 'X-UNKNOWN'], p.extension),
    line(NAMES.contentLength, String(p.body.length)),
  )
  return fc
    .tuple(
      single,
      listLines(
        NAMES.via,
        p.vias.map((v) => v.text),
      ),
      listLines(
        NAMES.contact,
        p.contacts.map((c) => c.text),
      ),
      listLines(
        NAMES.route,
        p.routes.map((r) => r.text),
      ),
      listLines(NAMES.supported, p.supported),
      fc.nat(6),
      fc.constantFrom('', '\r\n', '\r\n\r\n'),
    )
    .map(([singles, vias, contacts, routes, supported, turn, before]) => {
      const fields = p.hasLength ? [...singles] : singles.slice(0, -1)
      // Fields stand in any order, those of one name in theirs (§7.3.1).
      const lines = [...fields.slice(turn), ...vias, ...routes, ...supported, ...contacts, ...fields.slice(0, turn)]
      const start = p.isRequest ? `${p.method} ${p.uri.text} SIP/2.0` : `SIP/2.0 ${p.status} ${p.reason}`
      return {
        text: `${before}${start}\r\n${lines.join('\r\n')}\r\n\r\n${p.body}`,
        method: p.isRequest ? p.method : '',
        uri: p.isRequest ? p.uri : null,
        status: p.isRequest ? 0 : p.status,
        reason: p.isRequest ? '' : p.reason,
        vias: p.vias,
        from: p.from,
        to: p.to,
        contacts: p.contacts,
        routes: p.routes,
        callId: p.callId,
        cseq: p.cseq,
        cseqMethod: p.method,
        maxForwards: p.maxForwards,
        supported: p.supported,
        extension: p.extension,
        body: p.body,
      }
    })
})
