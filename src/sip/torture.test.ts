// A case of our own for each section of RFC 4475 §3 and RFC 5118 §4, so that a clone without their messages tests the same.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRequest, checkResponse } from '#sip/check.ts'
import { HeaderId } from '#sip/header-id.ts'
import { type Message, ParseProblem, parseMessage, Request, type Response } from '#sip/message.ts'
import { unescapeUri } from '#sip/uri.ts'
import { aorOf } from '#sip/uri-equal.ts'
import { parseVia } from '#sip/via.ts'

const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

/** A request that is well-formed but for what `fields` (lines that replace those of the same name) and `start` say. */
function request(method: string, fields: readonly string[] = [], body = '', start = ''): string {
  const own = new Map<string, string>([
    ['via', 'Via: SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bK-c1'],
    ['max-forwards', 'Max-Forwards: 70'],
    ['from', 'From: <sip:clara@example.com>;tag=f1'],
    ['to', 'To: <sip:dora@example.net>'],
    ['call-id', 'Call-ID: torture-own-1'],
    ['cseq', `CSeq: 17 ${method}`],
    ['contact', 'Contact: <sip:clara@203.0.113.7>'],
    ['content-length', `Content-Length: ${body.length}`],
  ])
  for (const field of fields) own.delete(field.slice(0, field.indexOf(':')).trim().toLowerCase())
  const lines = [start === '' ? `${method} sip:dora@example.net SIP/2.0` : start, ...own.values(), ...fields]
  // A field that is given as '' after its colon is left out.
  return `${lines.filter((line) => !/^[\w-]+:$/.test(line)).join('\r\n')}\r\n\r\n${body}`
}

function response(start: string, fields: readonly string[] = []): string {
  return request('INVITE', fields, '', start)
}

function problemOf(text: string): ParseProblem | null {
  const message = parseMessage(text)
  if (message instanceof ParseProblem) return message
  return message instanceof Request ? checkRequest(message) : checkResponse(message as Response)
}

function accepted(text: string): Message {
  const problem = problemOf(text)
  assert.equal(problem?.reason, undefined)
  return parseMessage(text) as Message
}

/** The refusal in one line; it can be answered when it has a status. */
function refused(text: string): string {
  const problem = problemOf(text)
  assert.ok(problem !== null, 'refused')
  assert.equal(problem.status === 0, problem.request === null)
  if (problem.request !== null) assert.ok(problem.request.parseTopmostVia() !== null || /Via/.test(problem.reason))
  return `${problem.status} ${problem.reason}`
}

test('§3.1.1.1: white space, folding, compact names and letter case wherever the grammar allows them', () => {
  const message = accepted(
    [
      'INVITE sip:dora@example.net;oddparam SIP/2.0',
      'TO :',
      ' sip:dora@example.net ;  tag   = to77',
      'fRoM   : "C \\\\\\""      <sip:clara@example.com>',
      '  ;',
      '  tag = fr88',
      'MAX-forwards: 0042',
      'i: own.ws.1',
      'Content-Length   : 4',
      'cseq: 0012',
      '  INVITE',
      'Via  : SIP  /   2.0',
      ' /UDP',
      '    203.0.113.9;branch=old-branch',
      's :',
      'Oddity:   first',
      '   second',
      'Weird: ;;,,;;,;',
      'Route:',
      ' <sip:edge.example.net;lr;k=v;flag>',
      'v:  SIP  / 2.0  / TCP     hub.example.com   ;',
      '  branch  =   z9hG4bKhub  ,',
      ' SIP  /    2.0   / UDP  203.0.113.10   ; branch=',
      ' z9hG4bKlast',
      'm:"Q \\"\\"" <sip:clara@example.com> ; p =',
      '      value ;',
      '  second ; q = 0.33',
      '',
      'v=0\n',
    ].join('\r\n'),
  )
  assert.equal(message.to.tag, 'to77')
  assert.equal(message.from.tag, 'fr88')
  assert.equal(message.from.displayName, 'C \\"')
  assert.equal(message.header(HeaderId.maxForwards), '0042')
  assert.deepEqual(message.cseq, { number: 12, method: 'INVITE' })
  const vias = (message.list(HeaderId.via) ?? []).map(parseVia)
  assert.deepEqual(
    vias.map((via) => `${via?.transport} ${via?.host} ${via?.branch}`),
    ['UDP 203.0.113.9 old-branch', 'TCP hub.example.com z9hG4bKhub', 'UDP 203.0.113.10 z9hG4bKlast'],
  )
  assert.deepEqual(message.extension('oddity'), ['first second'])
  assert.deepEqual(message.extension('weird'), [';;,,;;,;'])
  assert.equal(message.header(HeaderId.subject), '')
  assert.equal(message.nameAddrs(HeaderId.contact)?.[0]?.param('q'), '0.33')
  assert.equal(message.nameAddrs(HeaderId.route)?.[0]?.uri.isLoose, true)
  assert.equal(message.body, 'v=0\n')
})

test('§3.1.1.2: the whole range of characters', () => {
  const method = "*odd-Method.9_+`%'~!"
  const message = accepted(
    request(
      method,
      [
        'To: "bell\\\x07 nul\\\0 del\\\x7f" <sip:3_odd~(x!y)&z*+w$/v?,;@example.net>',
        `From: tok1~\` tok2'+_ tok3*%!.- <sip:clara@example.com>;p''~+="${utf8('работа')}";tag=_t'+\`*%!-.`,
        'Call-ID: own.%ZZ-!.*_+\'@w`~)(><:\\/"][?}{',
        `xField-!.%*+_\`'~: ${utf8('字')}`,
        'Contact:',
      ],
      '',
      `${method} sip:3_odd~(x!y)&z*+w$/v?,;:&pw+,=$x@example.net SIP/2.0`,
    ),
  ) as Request
  assert.equal(message.method, method)
  assert.equal(message.to.displayName, 'bell\x07 nul\0 del\x7f')
  assert.equal(message.uri.user, '3_odd~(x!y)&z*+w$/v?,;')
  assert.equal(message.uri.password, '&pw+,=$x')
  assert.equal(message.from.tag, "_t'+`*%!-.")
  assert.equal(message.from.displayName, "tok1~` tok2'+_ tok3*%!.-")
})

test('§3.1.1.3: escapes in URIs are resolved once', () => {
  const message = accepted(
    request(
      'INVITE',
      ['To: <sip:%64ora@example.net>', 'From: <sip:I%20am%20%2540@example.com>;tag=1;n=v%41'],
      '',
      'INVITE sip:tips%3Auser@example.net SIP/2.0',
    ),
  ) as Request
  assert.equal(aorOf(message.to.uri), 'sip:dora@example.net')
  assert.equal(unescapeUri(message.from.uri.user), 'I am %40')
  assert.equal(message.from.param('n'), 'v%41')
  assert.equal(message.uri.user, 'tips%3Auser')
})

test('§3.1.1.4: an escaped NUL in a URI', () => {
  const message = accepted(
    request('REGISTER', ['To: sip:n%00l@example.net', 'Contact: <sip:%00@203.0.113.1>, <sip:%00%00@203.0.113.1>']),
  )
  assert.equal(aorOf(message.to.uri), 'sip:n\0l@example.net')
  const aors = message.nameAddrs(HeaderId.contact)?.map((contact) => aorOf(contact.uri))
  assert.equal(new Set(aors).size, 2)
})

test('§3.1.1.5: a % where nothing is escaped is a character', () => {
  const message = accepted(request('OPT%49ONS', ['Cont%61ct: <sip:x@h>', 'From: %Z%45 <sip:a@h>;tag=1'])) as Request
  assert.equal(message.method, 'OPT%49ONS')
  assert.equal(message.from.displayName, '%Z%45')
  assert.equal(message.headers(HeaderId.contact).length, 1)
})

test('§3.1.1.6: no white space between display name and <', () => {
  assert.equal(accepted(request('OPTIONS', ['From: clara<sip:c@example.com>;tag=1'])).from.displayName, 'clara')
})

test('§3.1.1.7: long values', () => {
  const long = 'long'.repeat(100)
  const vias = Array.from({ length: 60 }, (_, i) => `SIP/2.0/TCP h${i}.example.com;branch=z9hG4bK${i}`)
  const message = accepted(
    request('INVITE', [
      `To: "I have a ${long} name" <sip:dora@example.net:6000;unknown=${long}>`,
      `From: ${`${long} `.repeat(5)}<sip:${long}@example.com>;tag=12${long}424;p${long}=v${long};flag${long}`,
      `Call-ID: ${'c'.repeat(256)}`,
      `Via: ${vias.join(', ')}`,
      `Long-${long}-Name: ${long};${long}=${long}`,
    ]),
  )
  assert.equal(message.list(HeaderId.via)?.length, 60)
  assert.equal(message.from.tag, `12${long}424`)
})

test('§3.1.1.8: octets after the body of a datagram are no second message', () => {
  const message = accepted(request('REGISTER') + request('INVITE', [], 'v=0\r\n')) as Request
  assert.equal(message.method, 'REGISTER')
  assert.equal(message.hasBody, false)
})

test('§3.1.1.9: a semicolon in the user part', () => {
  const message = accepted(
    request('OPTIONS', [], '', 'OPTIONS sip:dora;k=v%40example.net@gw.example.com SIP/2.0'),
  ) as Request
  assert.equal(message.uri.user, 'dora;k=v%40example.net')
  assert.equal(message.uri.host, 'gw.example.com')
  assert.equal(message.uri.params, '')
})

test('§3.1.1.10: any transport in Via', () => {
  const message = accepted(
    request('OPTIONS', [
      'Via: SIP/2.0/UDP h1;branch=z9hG4bK1',
      'Via: SIP/2.0/SCTP h2;branch=z9hG4bK2, SIP/2.0/TLS h3;branch=z9hG4bK3',
      'Via: SIP/2.0/NOVEL h4;branch=z9hG4bK4',
    ]),
  )
  assert.deepEqual(
    message.list(HeaderId.via)?.map((via) => parseVia(via)?.transport),
    ['UDP', 'SCTP', 'TLS', 'NOVEL'],
  )
})

test('§3.1.1.11: a multipart body with binary parts', () => {
  const body = `--b7\r\nContent-Type: text/plain\r\n\r\nHi\r\n--b7\r\nContent-Type: application/x\r\n\r\n\0\xff\r\n\0--b7--`
  const message = accepted(request('MESSAGE', ['Content-Type: multipart/signed; boundary=b7'], body))
  assert.equal(message.body, body)
  assert.equal(message.contentType, 'multipart/signed')
})

test('§3.1.1.12 and §3.1.1.13: a reason phrase in UTF-8, and none', () => {
  assert.equal((accepted(response(utf8('SIP/2.0 200 = 2**3 пример'))) as Response).reason, utf8('= 2**3 пример'))
  assert.equal((accepted(response('SIP/2.0 100 ')) as Response).reason, '')
})

test('§3.1.2.1: extraneous separators', () => {
  assert.match(refused(request('INVITE', ['Via: SIP/2.0/UDP h;;,;,,'])), /^400 Malformed Via header field/)
  assert.equal(
    refused(request('INVITE', ['Contact: "Joe" <sip:joe@h>;;;;'])),
    '400 Malformed Contact header field 1: bad parameter',
  )
})

test('§3.1.2.2: Content-Length larger than the message', () => {
  assert.equal(
    refused(request('INVITE', ['Content-Length: 9999'], 'abc')),
    '400 Content-Length 9999 exceeds the message by 9996',
  )
})

test('§3.1.2.3: negative Content-Length', () => {
  assert.equal(refused(request('INVITE', ['Content-Length: -999'])), '400 Malformed Content-Length header field')
})

test('§3.1.2.4: scalars out of range in a request', () => {
  assert.match(refused(request('REGISTER', ['CSeq: 36893488147419103232 REGISTER'])), /^400 Malformed CSeq/)
  assert.match(refused(request('REGISTER', ['CSeq: 2147483648 REGISTER'])), /^400 Malformed CSeq/)
  assert.match(refused(request('REGISTER', ['Max-Forwards: 300'])), /^400 Malformed Max-Forwards/)
  accepted(request('REGISTER', ['Expires: 10000000000000000000', 'Contact: <sip:c@h>;expires=280297596632815']))
})

test('§3.1.2.5: scalars out of range in a response', () => {
  assert.match(refused(response('SIP/2.0 503 No', ['CSeq: 9292394834772304023312 OPTIONS'])), /^0 Malformed CSeq/)
})

test('§3.1.2.6: an unterminated quoted string', () => {
  assert.equal(
    refused(request('INVITE', ['To: "Mr. D <sip:dora@example.net>'])),
    '400 Malformed To header field: unterminated quoted string',
  )
})

test('§3.1.2.7 and §3.1.2.11: brackets or headers around a Request-URI', () => {
  assert.match(refused(request('INVITE', [], '', 'INVITE <sip:d@h> SIP/2.0')), /^400 Malformed Request-URI/)
  assert.equal(
    refused(request('INVITE', [], '', 'INVITE sip:d@h?Route=%3Csip:x%3E SIP/2.0')),
    '400 Header parameters in Request-URI',
  )
})

test('§3.1.2.8 to §3.1.2.10: white space in the start line', () => {
  for (const start of [
    'INVITE sip:d@h; lr SIP/2.0',
    'INVITE  sip:d@h SIP/2.0',
    'INVITE sip:d@h  SIP/2.0',
    'INVITE sip:d@h\tx SIP/2.0',
    'INVITE sip:d@h SIP/2.0 ',
  ]) {
    assert.match(refused(request('INVITE', [], '', start)), /^400 Malformed start line: /, start)
  }
})

test('§3.1.2.12: a Date that is not GMT does not matter to us', () => {
  accepted(request('INVITE', ['Date: Fri, 01 Jan 2010 16:00:00 EST']))
})

test('§3.1.2.13: a URI with headers outside brackets', () => {
  assert.equal(
    refused(request('REGISTER', ['Contact: sip:c@h?Route=%3Csip:x%3E'])),
    '400 Malformed Contact header field 1: URI with "?" or "," must be in <>',
  )
})

test('§3.1.2.14: spaces within addr-spec', () => {
  assert.match(refused(request('OPTIONS', ['To: "W, T" < sip:t.w@example.org >'])), /^400 Malformed To .*bad URI/)
})

test('§3.1.2.15: a comma in a display name without quotes, and no CRLF at the end', () => {
  const text = request('OPTIONS', ['Content-Length:', 'To: Watt, J <sip:j@example.org>']).trimEnd()
  assert.equal(refused(text), '400 Malformed To header field: display name must be quoted')
})

test('§3.1.2.16: an unknown protocol version', () => {
  assert.equal(refused(request('OPTIONS', [], '', 'OPTIONS sip:d@h SIP/7.0')), '505 Version Not Supported')
  assert.match(refused(response('SIP/3.0 200 OK')), /^0 /)
})

test('§3.1.2.17 and §3.1.2.18: the method of CSeq is another', () => {
  assert.equal(refused(request('OPTIONS', ['CSeq: 8 INVITE'])), '400 CSeq method does not match the request')
  assert.equal(refused(request('NOVELTY', ['CSeq: 8 INVITE'])), '501 Not Implemented')
})

test('§3.1.2.19: a status code that is none', () => {
  for (const status of ['4294967301', '99', '700', '2000', '20', 'abc', '']) {
    assert.match(refused(response(`SIP/2.0 ${status} better not break the receiver`)), /^0 /, status)
  }
})

test('§3.2.1: a branch of nothing but the cookie is one of RFC 2543', () => {
  const message = accepted(request('OPTIONS', ['Via: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bK']))
  assert.equal(message.topmostVia.hasCookie, false)
})

test('§3.3.1: mandatory fields are missing', () => {
  for (const name of ['From', 'To', 'Call-ID', 'CSeq', 'Contact']) {
    assert.equal(refused(request('INVITE', [`${name}:`])), `400 Missing ${name} header field`)
  }
  assert.equal(problemOf(request('INVITE', ['Via:']))?.request?.parseTopmostVia(), null)
})

test('§3.3.2 to §3.3.4: unknown schemes are well-formed', () => {
  const scheme = (text: string): string => (accepted(text) as Request).uri.scheme
  assert.equal(scheme(request('OPTIONS', [], '', 'OPTIONS noOneKnows:totallyopaque SIP/2.0')), 'nooneknows')
  assert.equal(scheme(request('OPTIONS', [], '', 'OPTIONS soap.beep://203.0.113.1:3002 SIP/2.0')), 'soap.beep')
  const fields = ['To: isbn:2983792873', 'From: <http://www.example.com>;tag=1', 'Contact: <name:J_Random>']
  assert.equal(accepted(request('REGISTER', fields)).to.uri.scheme, 'isbn')
})

test('§3.3.5: option tags that nobody knows', () => {
  const message = accepted(request('OPTIONS', ['Require: nothing, Never', 'Proxy-Require: noProxies']))
  assert.equal(message.hasOption(HeaderId.require, 'never'), true)
  assert.deepEqual(message.list(HeaderId.proxyRequire), ['noProxies'])
})

test('§3.3.6 and §3.3.15: bodies of unknown type, and answers nobody can give', () => {
  const message = accepted(request('INVITE', ['Content-Type: application/unknown', 'Accept: text/never'], '<audio/>'))
  assert.equal(message.contentType, 'application/unknown')
  assert.equal(message.hasSdp, false)
  assert.equal(message.header(HeaderId.accept), 'text/never')
})

test('§3.3.7: an unknown authorization scheme', () => {
  accepted(request('REGISTER', ['Authorization: NoOneKnows opaque-data=here']))
})

test('§3.3.8: a field that may stand once only stands twice', () => {
  for (const line of ['CSeq: 17 INVITE', 'Call-ID: other', 'Max-Forwards: 5', 'To: <sip:x@h>', 'f: <sip:y@h>;tag=2']) {
    const name = line.startsWith('f') ? 'From' : line.slice(0, line.indexOf(':'))
    const text = request('INVITE').replace('\r\n\r\n', `\r\n${line}\r\n\r\n`)
    assert.equal(refused(text), `400 More than one ${name} header field`)
  }
})

test('§3.3.9: two Content-Length values', () => {
  const text = request('OPTIONS', [], 'hello').replace('\r\n\r\n', '\r\nl: 3\r\n\r\n')
  assert.equal(refused(text), '400 More than one Content-Length header field')
})

test('§3.3.10: a response with the broadcast address below our Via is parsed like any other', () => {
  const fields = ['Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKa', 'Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKb']
  assert.equal(accepted(response('SIP/2.0 200 OK', fields)).topmostVia.host, '203.0.113.9')
})

test('§3.3.11: Max-Forwards of 0 is a number', () => {
  assert.equal(accepted(request('OPTIONS', ['Max-Forwards: 0'])).header(HeaderId.maxForwards), '0')
})

test('§3.3.12 to §3.3.14: parameters in and outside the brackets of a Contact', () => {
  const contact = (value: string) =>
    accepted(request('REGISTER', [`Contact: ${value}`])).nameAddrs(HeaderId.contact)?.[0]
  assert.equal(contact('sip:c@h;odd')?.uri.params, '')
  assert.equal(contact('sip:c@h;odd')?.param('odd'), '')
  assert.equal(contact('<sip:c@h;odd>')?.uri.param('odd'), '')
  assert.equal(contact('<sip:c@h?Route=%3Csip:sip.example.com%3E>')?.uri.headers, 'Route=%3Csip:sip.example.com%3E')
})

test('§3.4.1: an INVITE of RFC 2543', () => {
  const message = accepted(
    [
      'INVITE sip:dora@example.net SIP/2.0',
      'Via: SIP/2.0/UDP old.example.com:5060',
      'From: <sip:c@old.example.com>',
      'To: <sip:dora@example.net>',
      'Call-ID: 5@old.example.com',
      'CSeq: 1 INVITE',
      'Content-Type: application/sdp',
      '',
      'v=0\r\n',
    ].join('\r\n'),
  )
  assert.equal(message.topmostVia.branch, '')
  assert.equal(message.from.tag, null)
  assert.equal(message.body, 'v=0\r\n')
})

test('RFC 5118 §4.1, §4.3, §4.4: IPv6 references with and without a port', () => {
  const host = (uri: string): string => {
    const message = accepted(request('REGISTER', [], '', `REGISTER ${uri} SIP/2.0`)) as Request
    return `${message.uri.host} ${message.uri.port}`
  }
  assert.equal(host('sip:[2001:DB8::10]'), '2001:db8::10 null')
  assert.equal(host('sip:[2001:db8::10:5070]'), '2001:db8::10:5070 null')
  assert.equal(host('sip:[2001:db8::10]:5070'), '2001:db8::10 5070')
})

test('RFC 5118 §4.2: an IPv6 address without brackets', () => {
  assert.equal(
    refused(request('REGISTER', [], '', 'REGISTER sip:2001:db8::10 SIP/2.0')),
    '400 Malformed Request-URI: bad port',
  )
})

test('RFC 5118 §4.5: received with and without brackets', () => {
  for (const received of ['[2001:db8::9:255]', '2001:db8::9:255']) {
    const message = accepted(request('BYE', [`Via: SIP/2.0/UDP [2001:db8::9:1];received=${received};branch=z9hG4bKr`]))
    assert.equal(message.topmostVia.param('received'), received)
    assert.equal(message.topmostVia.branch, 'z9hG4bKr')
  }
})

test('RFC 5118 §4.6 to §4.8: addresses of both families beside each other', () => {
  const fields = ['Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKa', 'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb']
  const body = 'v=0\r\no=- 1 1 IN IP6 2001:db8::20\r\ns=-\r\nc=IN IP6 2001:db8::20\r\nt=0 0\r\n'
  const message = accepted(request('INVITE', [...fields, 'Content-Type: application/sdp'], body))
  assert.deepEqual(
    message.list(HeaderId.via)?.map((via) => `${parseVia(via)?.host} ${parseVia(via)?.port}`),
    ['2001:db8::9:1 6050', '192.0.2.1 null'],
  )
  assert.equal(message.hasSdp, true)
})

test('RFC 5118 §4.9 and §4.10: embedded IPv4 addresses, also with a colon too many', () => {
  const message = accepted(
    request(
      'OPTIONS',
      ['Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKm', 'To: <sip:x@[2001:db8::192.0.2.1]>'],
      '',
      'OPTIONS sip:x@[2001:db8:::192.0.2.1] SIP/2.0',
    ),
  ) as Request
  assert.equal(message.topmostVia.port, 19_823)
  assert.equal(message.topmostVia.host, '192.0.2.10')
  assert.equal(message.uri.host, message.to.uri.host)
})

test('what is no IPv6 address is refused', () => {
  for (const host of [
    '[]',
    '[:]',
    '[1:2:3]',
    '[::1',
    '[1::2::3]',
    '[12345::]',
    '[::1.2.3]',
    '[::g]',
    '[1.2.3.4]',
    '[::1]x',
  ]) {
    assert.match(refused(request('OPTIONS', [], '', `OPTIONS sip:${host} SIP/2.0`)), /^400 Malformed Request-URI/, host)
  }
})
