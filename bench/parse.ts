// Micro-benchmark of the message layer: nanoseconds to index, check and read one INVITE. `node bench/parse.ts [--profile]`.

import { checkRequest } from '#sip/check.ts'
import { HeaderId } from '#sip/header-id.ts'
import { type Message, ParseProblem, parseMessage, Request } from '#sip/message.ts'

const BODY = [
  'v=0',
  'o=alice 2890844526 2890844526 IN IP4 client.atlanta.example.com',
  's=-',
  'c=IN IP4 192.0.2.101',
  't=0 0',
  'm=audio 49172 RTP/AVP 0',
  'a=rtpmap:0 PCMU/8000',
  '',
].join('\r\n')

/** A 14-header INVITE of about 700 octets of start line and header fields, as a telephone behind one proxy sends it. */
const INVITE = Buffer.from(
  [
    'INVITE sip:+12025550101@example.net;user=phone SIP/2.0',
    'Via: SIP/2.0/UDP proxy.example.net:5060;branch=z9hG4bK2d4790.1;rport',
    'Via: SIP/2.0/UDP 192.0.2.101:5060;branch=z9hG4bK74b43;received=192.0.2.101;rport=5060',
    'Max-Forwards: 69',
    'Record-Route: <sip:proxy.example.net;lr>',
    'From: "Alice" <sip:alice@example.net>;tag=9fxced76sl',
    'To: <sip:+12025550101@example.net;user=phone>',
    'Call-ID: 3848276298220188511@client.example.net',
    'CSeq: 1 INVITE',
    'Contact: <sip:alice@192.0.2.101:5060;transport=udp>',
    'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO, UPDATE, PRACK',
    'Supported: replaces, timer, 100rel',
    'User-Agent: Example Telephone 1.2.3',
    'Content-Type: application/sdp',
    `Content-Length: ${BODY.length}`,
    '',
    BODY,
  ].join('\r\n'),
  'latin1',
)

const ROUNDS = 7
const ITERATIONS = 100_000

function parsed(): Message | ParseProblem {
  return parseMessage(INVITE.toString('latin1'))
}

function decode(): number {
  return INVITE.toString('latin1').length
}

function index(): number {
  const message = parsed()
  return message instanceof ParseProblem ? 0 : message.headerCount
}

function indexAndCheck(): number {
  const message = parsed()
  if (!(message instanceof Request) || checkRequest(message) !== null) throw new Error('not accepted')
  return message.headerCount
}

/** The eight values that a B2BUA cannot do without: Request-URI, branch, both tags, Call-ID, CSeq, Contact, the offer. */
function indexCheckRead(): number {
  const message = parsed()
  if (!(message instanceof Request) || checkRequest(message) !== null) throw new Error('not accepted')
  return (
    message.uri.user.length +
    message.topmostVia.branch.length +
    (message.from.tag ?? '').length +
    (message.to.tag ?? '').length +
    message.callId.length +
    message.cseq.number +
    (message.nameAddrs(HeaderId.contact)?.[0]?.uri.host.length ?? 0) +
    (message.hasSdp ? message.body.length : 0)
  )
}

function measure(name: string, work: () => number): void {
  let best = Number.POSITIVE_INFINITY
  let sum = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage()
    for (let i = 0; i < ITERATIONS; i += 1) sum += work()
    const used = process.cpuUsage(before)
    best = Math.min(best, ((used.user + used.system) * 1000) / ITERATIONS)
  }
  console.log(`${name.padEnd(34)} ${best.toFixed(0).padStart(6)} ns of CPU (best of ${ROUNDS}; ${sum % 7})`)
}

console.log(`INVITE of ${INVITE.length} octets, ${INVITE.length - BODY.length} of them start line and header fields`)
measure('decode latin1', decode)
measure('decode, index', index)
measure('decode, index, check', indexAndCheck)
measure('decode, index, check, 8 values', indexCheckRead)
