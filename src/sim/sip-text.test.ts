import assert from 'node:assert/strict'
import test from 'node:test'
import { SipText } from '#sim/sip-text.ts'

const GOOD = [
  'INVITE sip:+12025550101@example.net;user=phone SIP/2.0',
  'Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKa;rport, SIP/2.0/TCP pc33.example.com;branch=z9hG4bKb;received=192.0.2.1',
  'Max-Forwards: 70',
  'f: "A \\"quoted\\", name" <sip:alice@example.net>;tag=1',
  't: Bob <tel:+12025550101;phone-context=example.net>',
  'i: 1@example.net',
  'CSeq: 1 INVITE',
  'm: <sip:alice@[2001:db8::1]:5060;transport=tcp>;+sip.instance="<urn:uuid:1>"',
  'l: 0',
  '',
  '',
].join('\r\n')

test('a correct message has no problems, and reads as written', () => {
  const message = SipText.parse(GOOD)
  assert.ok(typeof message !== 'string')
  assert.deepEqual(message.problems(), [])
  assert.equal(message.all('via').length, 2)
  assert.equal(message.all('from').length, 1)
  assert.equal(message.branch, 'z9hG4bKa')
  assert.equal(message.fromTag, '1')
})

test('a strict reader names what is wrong', () => {
  const rows: [from: string | RegExp, to: string, problem: RegExp][] = [
    ['CSeq: 1 INVITE', 'CSeq: 1 BYE', /cseq of BYE/],
    ['l: 0', 'l: 5', /content-length/],
    ['Max-Forwards: 70\r\n', '', /max-forwards/],
    [';tag=1', '', /no tag in From/],
    ['i: 1@example.net', 'i: 1@example.net\r\nCall-ID: 2', /call-id 2 times/],
    ['z9hG4bKa', 'a', /branch/],
    ['<sip:alice@example.net>', 'sip:alice@exa mple.net', /from/],
    [/m: .*\r\n/, '', /0 Contacts/],
    ['[2001:db8::1]:5060;branch', '2001:db8::1;branch', /via/],
  ]
  for (const [from, to, problem] of rows) {
    const message = SipText.parse(GOOD.replace(from, to))
    assert.ok(typeof message !== 'string')
    assert.match(message.problems().join('; '), problem)
  }
})
