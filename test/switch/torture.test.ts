// The torture tests of RFC 4475 sent into the running switch: it answers as its sections say, once, and forwards nothing.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { configText, SwitchRig } from '#test/switch/rig.ts'

const FOLDER =
  process.env['CARILLON_RFC4475'] ?? fileURLToPath(new URL('../../../shared/corpus/rfc4475', import.meta.url))
const STRANGER = '198.51.100.99'

/** The domain of the RFC's messages is ours. */
function rig(): SwitchRig {
  const sip =
    'sip: {listen: ["udp:203.0.113.1:5060", "tcp:203.0.113.1:5060"], aliases: [biloxi.example.com, "192.0.2.1"]}'
  const subscribers = `subscribers:
  - {user: "watson", password: "elementary"}
  - {user: "user", password: "secret"}
  - {user: "j.user", password: "secret"}`
  return new SwitchRig(configText({ domain: 'domain: example.com', sip, subscribers, trunkGroups: '', routes: '' }))
}

/** Status of the one answer over UDP; 0: no answer. */
const UDP: Readonly<Record<string, number>> = {
  // A To tag that we never gave: there is no such dialog (RFC 3261 §12.2.2).
  'wsinv.dat': 481,
  'intmeth.dat': 501,
  'esc01.dat': 407,
  'escnull.dat': 401,
  'esc02.dat': 501,
  'lwsdisp.dat': 200,
  'longreq.dat': 407,
  'dblreq.dat': 401,
  'semiuri.dat': 200,
  'transports.dat': 200,
  'mpart01.dat': 407,
  'unreason.dat': 0,
  'noreason.dat': 0,
  'badinv01.dat': 400,
  'clerr.dat': 400,
  'ncl.dat': 400,
  'scalar02.dat': 400,
  'scalarlg.dat': 0,
  'quotbal.dat': 400,
  'ltgtruri.dat': 400,
  'lwsruri.dat': 400,
  'lwsstart.dat': 400,
  'trws.dat': 400,
  'escruri.dat': 400,
  // Date is no business of ours.
  'baddate.dat': 407,
  'regbadct.dat': 400,
  'badaspec.dat': 400,
  'baddn.dat': 400,
  'badvers.dat': 505,
  'mismatch01.dat': 400,
  'mismatch02.dat': 501,
  'bigcode.dat': 0,
  'badbranch.dat': 200,
  'insuf.dat': 400,
  'unkscm.dat': 416,
  'novelsc.dat': 416,
  'unksm2.dat': 401,
  'bext01.dat': 420,
  'invut.dat': 415,
  'regaut01.dat': 401,
  'multi01.dat': 400,
  'mcl01.dat': 400,
  'bcast.dat': 0,
  'zeromf.dat': 200,
  'cparam01.dat': 401,
  'cparam02.dat': 401,
  'regescrt.dat': 401,
  'sdp01.dat': 406,
  'inv2543.dat': 407,
}

/** Over TCP, where it differs: the answers, and whether the connection is closed at once. */
const TCP: Readonly<Record<string, { statuses: number[]; closed: boolean }>> = {
  // The tail is an INVITE without Contact, and more behind its body that is no SIP.
  'dblreq.dat': { statuses: [401, 400], closed: true },
  // It waits for the rest.
  'clerr.dat': { statuses: [], closed: false },
  'ncl.dat': { statuses: [400], closed: true },
  'mcl01.dat': { statuses: [400], closed: true },
  'inv2543.dat': { statuses: [400], closed: true },
}

const present = existsSync(join(FOLDER, 'verdicts.tsv'))
const read = (file: string): string => readFileSync(join(FOLDER, file), 'latin1')

test('RFC 4475 over UDP: each message has the answer of its section, and none is forwarded', {
  skip: !present,
}, async (t) => {
  const rows = read('verdicts.tsv').trim().split('\n').slice(1)
  assert.equal(rows.length, 49)
  for (const row of rows) {
    const [file = '', section = ''] = row.split('\t')
    await t.test(`§${section} ${file}`, () => assert.deepEqual(answers(read(file)), expected(UDP[file])))
  }
})

test('RFC 4475 over TCP: what cannot be framed is refused and closed, or waited for', { skip: !present }, async (t) => {
  for (const [file, wanted] of Object.entries(TCP)) {
    await t.test(file, () => assert.deepEqual(overTcp(read(file)), wanted))
  }
})

test('RFC 4475 over TCP: all others have the same answer as over UDP', { skip: !present }, async (t) => {
  for (const file of Object.keys(UDP)) {
    if (TCP[file] !== undefined) continue
    await t.test(file, () => {
      const { statuses } = overTcp(read(file))
      // On a stream what has no first line that can be read ends the connection without an answer.
      assert.deepEqual(statuses.length === 0 ? [UDP[file]] : statuses, [UDP[file]])
    })
  }
})

function expected(status: number | undefined): number[] {
  return status === undefined || status === 0 ? [] : [status]
}

/** Every different answer that a stranger's datagram draws in a minute. */
function answers(text: string): number[] {
  const world = rig()
  const stranger = world.agent(STRANGER)
  stranger.isStrict = false
  stranger.raw(text)
  world.run(60_000)
  // The RFC's Vias name other hosts and few ask for rport: answers go to the source address all the same.
  const texts = world.sent.map(({ to, text: answer }) => ({ to, line: answer.slice(0, answer.indexOf('\r\n')) }))
  for (const { to, line } of texts) {
    assert.equal(to, STRANGER, line)
    assert.ok(line.startsWith('SIP/2.0 '), line)
  }
  assert.equal(texts.length <= 1, true, `${texts.length} answers: ${texts.map(({ line }) => line).join()}`)
  world.settle()
  return [...new Set(texts.map(({ line }) => Number(line.slice(8, 11))))]
}

function overTcp(text: string): { statuses: number[]; closed: boolean } {
  const world = rig()
  const stream = world.agent(STRANGER).connect()
  stream.send(text)
  world.run(2_000)
  const result = { statuses: stream.statuses, closed: stream.closed !== '' }
  assert.deepEqual(world.sent, [], 'nothing goes over UDP')
  world.settle()
  return result
}

/** Cases of our own for the same sections. */
const VIA = `Via: SIP/2.0/UDP ${STRANGER}:5060;branch=z9hG4bKown;rport\r\n`
const HEAD = `${VIA}Max-Forwards: 70\r\nFrom: <sip:caller@example.net>;tag=1\r\nTo: <sip:user@example.com>\r\nCall-ID: own\r\n`
const CONTACT = `Contact: <sip:caller@${STRANGER}>\r\n`
const invite = (more: string, uri = 'sip:user@example.com', tail = 'Content-Length: 0\r\n\r\n'): string =>
  `INVITE ${uri} SIP/2.0\r\n${HEAD}CSeq: 1 INVITE\r\n${CONTACT}${more}${tail}`
const options = (more: string, uri = 'sip:user@example.com'): string =>
  `OPTIONS ${uri} SIP/2.0\r\n${HEAD}CSeq: 1 OPTIONS\r\n${more}Content-Length: 0\r\n\r\n`

const OWN: readonly (readonly [section: string, what: string, text: string, status: number])[] = [
  [
    '3.1.1.1',
    'folded lines, compact names and odd white space',
    `INVITE sip:user@example.com SIP/2.0\r\nv:\r\n SIP / 2.0\r\n /UDP ${STRANGER}:5060 ; branch = z9hG4bKown;rport\r\nMAX-FORWARDS : 70\r\nf\t: <sip:a@example.net>;\r\n tag=1\r\nt : sip:user@example.com\r\nI: own\r\nCSEQ: 0009\r\n INVITE\r\nm: "" <sip:a@${STRANGER}>\r\nunknown: ;;,,;;,;\r\nl: 0\r\n\r\n`,
    407,
  ],
  [
    '3.1.1.2',
    'a method of every token character',
    `!interesting-Method0123456789_*+\`.%indeed'~ sip:user@example.com SIP/2.0\r\n${HEAD}CSeq: 1 !interesting-Method0123456789_*+\`.%indeed'~\r\nContent-Length: 0\r\n\r\n`,
    501,
  ],
  [
    '3.1.1.5',
    'an escaped method name is another method',
    `RE%47IST%45R sip:example.com SIP/2.0\r\n${HEAD}CSeq: 1 RE%47IST%45R\r\nContent-Length: 0\r\n\r\n`,
    501,
  ],
  ['3.1.1.8', 'octets after the body of a datagram are no message', options('') + invite(''), 200],
  [
    '3.1.1.12',
    'a response to nothing of ours',
    `SIP/2.0 200 = 2**3 * 5**2\r\n${VIA}From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n`,
    0,
  ],
  [
    '3.1.2.2',
    'a body that the datagram does not hold',
    invite('Content-Length: 9999\r\n\r\nshort', 'sip:user@example.com', ''),
    400,
  ],
  ['3.1.2.3', 'a negative Content-Length', invite('Content-Length: -999\r\n\r\n', 'sip:user@example.com', ''), 400],
  ['3.1.2.6', 'a quotation that does not end', invite('').replace('To: <sip:', 'To: "Mr. J. User <sip:'), 400],
  ['3.1.2.7', 'angle brackets around the Request-URI', invite('', '<sip:user@example.com>'), 400],
  ['3.1.2.11', 'header fields in the Request-URI', invite('', 'sip:user@example.com?Route=%3Csip:example.com%3E'), 400],
  ['3.1.2.16', 'another version', options('').replace('SIP/2.0\r\n', 'SIP/7.0\r\n'), 505],
  ['3.1.2.17', 'CSeq of another method', options('').replace('1 OPTIONS', '1 INVITE'), 400],
  ['3.3.1', 'no Call-ID', options('').replace('Call-ID: own\r\n', ''), 400],
  ['3.3.2', 'a scheme that nobody knows', options('', 'nobodyKnowsThisScheme:totallyopaquecontent'), 416],
  ['3.3.3', 'a scheme of another protocol', options('', 'soap.beep://192.0.2.103:3002'), 416],
  ['3.3.5', 'an extension that nobody has', options('Require: nothingSupportsThis\r\n'), 420],
  ['3.3.5', 'an extension that no proxy has', options('Proxy-Require: noProxiesSupportThis\r\n'), 420],
  [
    '3.3.6',
    'a body of an unknown type',
    invite('Content-Type: application/unknownformat\r\nContent-Length: 4\r\n\r\nabcd', 'sip:user@example.com', ''),
    415,
  ],
  [
    '3.3.7',
    'an authorization scheme that nobody knows',
    `REGISTER sip:example.com SIP/2.0\r\n${HEAD}CSeq: 1 REGISTER\r\n${CONTACT}Authorization: NoOneKnowsThisScheme opaque-data=here\r\nContent-Length: 0\r\n\r\n`,
    401,
  ],
  ['3.3.8', 'two of what may stand once', options('Call-ID: again\r\n'), 400],
  ['3.3.9', 'two lengths', options('Content-Length: 5\r\n'), 400],
  ['3.3.11', 'no forwards left, for ourselves', options('').replace('Max-Forwards: 70', 'Max-Forwards: 0'), 200],
  [
    '3.3.11',
    'no forwards left, for somebody else',
    options('', 'sip:user@elsewhere.example').replace('Max-Forwards: 70', 'Max-Forwards: 0'),
    483,
  ],
  ['3.3.11', 'no forwards left for a call', invite('').replace('Max-Forwards: 70', 'Max-Forwards: 0'), 483],
  ['3.3.15', 'an INVITE whose answer could not be SDP', invite('Accept: text/nobodyKnowsThis\r\n'), 406],
  [
    '3.4.1',
    'a client of RFC 2543',
    `INVITE sip:user@example.com SIP/2.0\r\nVia: SIP/2.0/UDP ${STRANGER}\r\nFrom: <sip:a@example.net>\r\nTo: <sip:user@example.com>\r\nCall-ID: own\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n`,
    407,
  ],
]

for (const [section, what, text, status] of OWN) {
  test(`RFC 4475 §${section}: ${what} is answered ${status === 0 ? 'by nothing' : `with ${status}`}, once`, () => {
    assert.deepEqual(answers(text), expected(status))
  })
}
