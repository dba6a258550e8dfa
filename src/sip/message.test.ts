// Messages and their checks, where the torture tests do not reach: RFC 3261 §7, §8.1.1, §18.3, §20.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRequest, checkResponse } from '#sip/check.ts'
import { HeaderId, headerIdAt, headerName } from '#sip/header-id.ts'
import {
  HEADER_LINES_MAX,
  MESSAGE_OCTETS_MAX,
  ParseProblem,
  parseCSeq,
  parseMessage,
  Request,
  Response,
  VIAS_MAX,
  valueParam,
} from '#sip/message.ts'
import { knownMethod } from '#sip/method.ts'
import { parseNameAddr, readNameAddr } from '#sip/name-addr.ts'
import { escapeUser, parseHostPort, parseUri, readUri, unescapeUri } from '#sip/uri.ts'
import { readVia } from '#sip/via.ts'

const LINES = [
  'Via: SIP/2.0/UDP h;branch=z9hG4bK1',
  'From: <sip:a@h>;tag=1',
  'To: <sip:b@h>',
  'Call-ID: c',
  'CSeq: 1 OPTIONS',
]

function options(...lines: string[]): string {
  return `OPTIONS sip:b@h SIP/2.0\r\n${[...LINES, ...lines].join('\r\n')}\r\n\r\n`
}

function problem(text: string): string {
  const message = parseMessage(text)
  if (message instanceof ParseProblem) return `${message.status} ${message.code} ${message.reason}`
  const found = message instanceof Request ? checkRequest(message) : checkResponse(message as Response)
  return found === null ? '' : `${found.status} ${found.code} ${found.reason}`
}

test('each known field name is found in any letter case, and by its compact form', () => {
  for (const [key, id] of Object.entries(HeaderId)) {
    if (id === HeaderId.other) continue
    const name = headerName(id)
    assert.notEqual(name, '', key)
    for (const text of [name, name.toLowerCase(), name.toUpperCase()]) {
      assert.equal(headerIdAt(`x${text}:`, 1, 1 + text.length), id, text)
    }
  }
  const compact = 'vfticmlksexrboudyaj'
  const names = [...compact].map((c) => headerName(headerIdAt(c.toUpperCase(), 0, 1)))
  assert.deepEqual(names, [
    ...['Via', 'From', 'To', 'Call-ID', 'Content-Type', 'Contact', 'Content-Length', 'Supported', 'Subject'],
    ...['Content-Encoding', 'Session-Expires', 'Refer-To', 'Referred-By', 'Event', 'Allow-Events'],
    ...['Request-Disposition', 'Identity', 'Accept-Contact', 'Reject-Contact'],
  ])
})

test('names that look alike are other names', () => {
  for (const name of ['Vja', 'Fr0m', 'T', 'Contacu', 'Call_ID', 'CSeqq', 'z', '', 'Content-Lengtj']) {
    const id = headerIdAt(name, 0, name.length)
    assert.ok(id === HeaderId.other || headerName(id) === 'To', `${name} ${id}`)
  }
})

test('white space is trimmed, but not an octet of a UTF-8 character that looks like it', () => {
  const message = parseMessage(
    options('Subject: \t voil\xc3\xa0 \t', 'Contact: voil\xc3\xa0 <sip:x@h>, \xc3\xa0<sip:y@h>'),
  )
  assert.ok(message instanceof Request)
  assert.equal(message.header(HeaderId.subject), 'voil\xc3\xa0')
  assert.deepEqual(
    message.nameAddrs(HeaderId.contact)?.map((contact) => contact.displayName),
    ['voil\xc3\xa0', '\xc3\xa0'],
  )
})

test('line breaks that are none, and NUL, are refused with their place', () => {
  assert.equal(problem(options('X: a\rb')), '400 SIP_BARE_LINE_BREAK CR or LF alone in header line 6')
  assert.equal(problem(options('X: a\nVia: b')), '400 SIP_BARE_LINE_BREAK CR or LF alone in header line 6')
  assert.equal(problem(options('\rX: a')), '400 SIP_BARE_LINE_BREAK CR or LF alone in header line 6')
  assert.equal(problem(options('X: a\0b')), '400 SIP_NUL NUL in the header fields')
  assert.equal(problem(options('X: "a\\\0b"')), '')
  assert.equal(problem(`${options()}a\0\r\n\n`), '')
  assert.equal(problem(options().replaceAll('\r\n', '\n')), '0 SIP_START_LINE No start line')
})

test('malformed header lines are refused with their place, and the others are read all the same', () => {
  assert.equal(problem(options('no colon')), '400 SIP_NO_COLON No colon in header line 6')
  assert.equal(problem(options(': no name')), '400 SIP_HEADER_NAME Malformed name in header line 6')
  assert.equal(problem(options('a b: no name')), '400 SIP_HEADER_NAME Malformed name in header line 6')
  const folded = parseMessage(`OPTIONS sip:h SIP/2.0\r\n folded\r\n${LINES.join('\r\n')}\r\n\r\n`)
  assert.ok(folded instanceof ParseProblem)
  assert.equal(folded.code, 'SIP_FOLD_FIRST')
  assert.equal(folded.request?.topmostVia.branch, 'z9hG4bK1')
  assert.equal(folded.request?.callId, 'c')
})

test('sizes and counts have limits', () => {
  const lines = new Array<string>(HEADER_LINES_MAX).fill('Z: y')
  assert.match(problem(options(...lines)), /^400 SIP_HEADERS_MAX/)
  assert.equal(problem(options(...lines.slice(LINES.length))), '')
  assert.match(problem('x'.repeat(MESSAGE_OCTETS_MAX + 1)), /^0 SIP_MESSAGE_MAX/)
  const vias = new Array<string>(VIAS_MAX).fill('SIP/2.0/UDP h').join(',')
  assert.equal(
    problem(options(`Via: ${vias}`)),
    `400 SIP_HEADER_MALFORMED Malformed Via header field: more than ${VIAS_MAX}`,
  )
  assert.match(problem(options().replace('Call-ID: c', `Call-ID: ${'c'.repeat(257)}`)), /Malformed Call-ID/)
})

test('a datagram may end with its last header line', () => {
  for (const end of ['', '\r\n']) {
    const message = parseMessage(options().trimEnd() + end)
    assert.ok(message instanceof Request)
    assert.equal(message.cseq.method, 'OPTIONS')
    assert.equal(message.body, '')
  }
})

test('start lines that are none are not answered', () => {
  for (const start of [
    '',
    'OPTIONS',
    'OPTIONS ',
    'OPTIONS sip:h',
    'OP(TIONS sip:h SIP/2.0',
    ' OPTIONS sip:h SIP/2.0',
  ]) {
    assert.match(problem(`${start}\r\n${LINES.join('\r\n')}\r\n\r\n`), /^0 SIP_START_LINE/, start)
  }
  assert.equal(problem(`options sip:h sip/2.0\r\n${LINES.join('\r\n').replace('OPTIONS', 'options')}\r\n\r\n`), '')
})

test('a refusal says which element of which field is wrong, and how', () => {
  const via = (element: string): string => problem(options(`Via: SIP/2.0/UDP x, ${element}`)).replace(/^.* field /, '')
  assert.equal(via('SIP/2.0/UDP h:0'), '3: bad port')
  assert.equal(via('SIP/2.0/UDP h:65536'), '3: bad port')
  assert.equal(via('SIP/2.0/UDP -h'), '3: bad host')
  assert.equal(via('SIP/2.0 h'), '3: bad protocol')
  assert.equal(via('SIP/2.0/UDP ;branch=x'), '3: no sent-by')
  assert.equal(via('SIP/2.0/UDP h;br anch=x'), '3: bad parameter')
  assert.equal(via('SIP/2.0/UDP [::z]'), '3: bad host')
  assert.equal(via('SIP/2.0/UDP [1:2]'), '3: bad IPv6 address')
  assert.equal(
    problem(options('Record-Route: <sip:a>, <sip:b:port>')),
    '400 SIP_HEADER_MALFORMED Malformed Record-Route header field 2: bad URI: bad port',
  )
})

test('a URI says what is wrong with it', () => {
  const faults: Readonly<Record<string, string>> = {
    alice: 'no scheme',
    '1a:b': 'bad scheme',
    'sip:': 'no host',
    'sip:@h': 'bad user part',
    'sip:a[@h': 'bad user part',
    'sip:a@': 'no host',
    'sip:a%4@h': 'bad escape',
    'sip:a@h ': 'bad character',
    'sip:a@h..b': 'bad host',
    'sip:a@h:': 'bad port',
    'sip:a@h:123456': 'bad port',
    'sip:a@h;': 'bad parameter',
    'sip:a@h;=x': 'bad parameter',
    'sip:a@h?': 'bad headers',
    'sip:a@h?x': 'bad headers',
    'sip:a@b@c': 'bad host',
    'tel:+': 'bad telephone number',
    'tel:12 3': 'bad telephone number',
    'tel:+1;': 'bad parameter',
    'urn:': 'bad character',
    'urn:<x>': 'bad character',
  }
  for (const [text, fault] of Object.entries(faults)) assert.equal(readUri(text), fault, text)
})

test('addresses and Vias say what is wrong with them', () => {
  assert.equal(readNameAddr('"a\x01" <sip:h>'), 'control character in quoted string')
  assert.equal(readNameAddr('"a" sip:h'), 'no "<" after the display name')
  assert.equal(readNameAddr('<sip:h'), 'missing ">"')
  assert.equal(readNameAddr('<sip:h>x'), 'bad parameter')
  assert.equal(readNameAddr(''), 'no URI')
  assert.equal(readNameAddr('sip:alice;x=y@h'), 'URI with ";" must be in <>')
  assert.equal(readVia('SIP/2.0/UDP h:5060 5061'), 'bad port')
})

test('parts of a URI are there or empty', () => {
  const uri = parseUri('sip:a:b@H.Example:5070;lr;x=%20?y=z')
  assert.equal(uri?.user, 'a')
  assert.equal(uri?.password, 'b')
  assert.equal(uri?.host, 'h.example')
  assert.equal(uri?.port, 5070)
  assert.equal(uri?.params, ';lr;x=%20')
  assert.equal(uri?.headers, 'y=z')
  assert.equal(uri?.isLoose, true)
  assert.deepEqual(parseHostPort('[2001:DB8::1]:5060'), { host: '2001:db8::1', port: 5060 })
  assert.equal(parseHostPort('h:99999'), null)
  assert.equal(unescapeUri('a%00%zz%C3%A9'), 'a\0%zz\xc3\xa9')
  assert.equal(escapeUser('a b@\u00e9\u{1f4de}#'), 'a%20b%40%E9%F0%9F%93%9E%23')
})

test('header parameters are found by name, quoted or not, and never within a quoted string', () => {
  const address = parseNameAddr('<sip:h> ; x="a;tag=no\\"" ; TAG = yes ;flag;q="v"')
  assert.equal(address?.tag, 'yes')
  assert.equal(address?.param('x'), 'a;tag=no"')
  assert.equal(address?.param('flag'), '')
  assert.equal(address?.param('q'), 'v')
  assert.equal(address?.param('none'), null)
  const quotes = parseNameAddr('<sip:h>;a="1;b=2";c="\\\\";tag=t;d="x";e')
  assert.deepEqual(
    ['a', 'b', 'c', 'tag', 'd', 'e'].map((name) => quotes?.param(name)),
    ['1;b=2', null, '\\', 't', 'x', ''],
  )
  assert.equal(valueParam('1800 ; refresher = uac', 'refresher'), 'uac')
  assert.equal(valueParam('1800', 'refresher'), null)
})

test('CSeq is a number below 2^31 and a method', () => {
  assert.deepEqual(parseCSeq('2147483647 \t ACK'), { number: 2147483647, method: 'ACK' })
  for (const bad of ['', '1', '1 ', ' 1 ACK', '1ACK', '-1 ACK', '2147483648 ACK', '1 A K', '1 A(K']) {
    assert.equal(parseCSeq(bad), null, bad)
  }
  assert.equal(knownMethod('invite'), null)
})

test('responses: a broken Contact or route of what makes a dialog drops them, that of a failure does not', () => {
  const response = (status: number, line: string): string =>
    problem(`SIP/2.0 ${status} X\r\n${LINES.join('\r\n')}\r\n${line}\r\n\r\n`)
  assert.match(response(200, 'Contact: <sip:'), /^0 SIP_HEADER_MALFORMED/)
  assert.match(response(183, 'Record-Route: sip:a b'), /^0 SIP_HEADER_MALFORMED/)
  assert.equal(response(302, 'Contact: <sip:'), '')
  assert.match(response(302, 'To: <sip:x>'), /^0 SIP_HEADER_REPEATED/)
  const lower = parseMessage(`sip/2.0 200 fine\r\n${LINES.join('\r\n')}\r\n\r\n`)
  assert.ok(lower instanceof Response)
  assert.equal(lower.reason, 'fine')
})

test('Contact: * is for REGISTER, and alone', () => {
  const register = (contact: string): string => problem(options(contact).replaceAll('OPTIONS', 'REGISTER'))
  assert.equal(register('Contact: *'), '')
  assert.match(register('Contact: *, <sip:x>'), /Malformed Contact/)
  assert.match(register('Contact: *\r\nContact: <sip:x>'), /Malformed Contact/)
  assert.match(problem(options('Contact: *')), /Malformed Contact/)
  const invite = (contact: string): string => problem(options(contact).replaceAll('OPTIONS', 'INVITE'))
  assert.match(invite('Contact: <sip:x>, <sip:y>'), /an INVITE has exactly one/)
  assert.match(invite('Contact: <tel:+1>'), /not a SIP URI/)
  assert.equal(invite('Contact: <sips:x>'), '')
})
