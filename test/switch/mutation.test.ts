// Damaged messages from those who are let in: no octet of a carrier's or telephone's makes the switch break an invariant, and
// nothing is held when all have gone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SipText } from '#sim/sip-text.ts'
import { configText, type RawAgent, SDP, SwitchRig } from '#test/switch/rig.ts'

/** Values that have a meaning somewhere. */
const VALUES = [
  '',
  ',',
  ';',
  '0',
  '1',
  '4294967296',
  '-1',
  '<>',
  '<sip:>',
  '<sip:@>',
  'sip:',
  '*',
  '"',
  '""',
  '<sip:a@b>;tag=',
  '<sip:a@b>;tag=x;tag=y',
  '<tel:+1>',
  '<urn:x:y>;tag=q',
  '100rel',
  'timer, 100rel, foo',
  '1 INVITE',
  '2147483647 BYE',
  '1 1 INVITE',
  'application/sdp',
  'multipart/mixed;boundary=x',
  '90;refresher=uac',
  '90;refresher=uas',
  '1;refresher=x',
  '86400',
  'SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK',
  'Q.850;cause=999',
  'SIP;cause=200',
  'id;none',
] as const

const NAMES = [
  'via',
  'from',
  'to',
  'call-id',
  'cseq',
  'contact',
  'max-forwards',
  'require',
  'supported',
  'session-expires',
  'min-se',
  'rseq',
  'rack',
  'route',
  'record-route',
  'content-type',
  'content-length',
  'allow',
  'reason',
  'privacy',
  'p-asserted-identity',
  'replaces',
  'retry-after',
  'accept',
  'content-encoding',
] as const

interface Damage {
  readonly at: number
  readonly kind: 'drop' | 'twice' | 'value' | 'add' | 'octet' | 'cut' | 'body'
  readonly name: (typeof NAMES)[number]
  readonly value: string
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.nat(2_000),
  kind: fc.constantFrom('drop', 'twice', 'value', 'add', 'octet', 'cut', 'body'),
  name: fc.constantFrom(...NAMES),
  value: fc.oneof(fc.constantFrom(...VALUES), fc.string({ unit: 'binary-ascii', maxLength: 12 })),
})

/** The message as text, with one thing wrong, or odd. */
function damaged(message: SipText, { at, kind, name, value }: Damage): string {
  const lines = message.toText().split('\r\n')
  const end = lines.indexOf('')
  const line = 1 + (at % Math.max(1, end - 1))
  switch (kind) {
    case 'drop':
      lines.splice(line, 1)
      break
    case 'twice':
      lines.splice(line, 0, lines[line] ?? '')
      break
    case 'value':
      lines[line] = `${(lines[line] ?? '').split(':')[0]}: ${value}`
      break
    case 'add':
      lines.splice(line, 0, `${name}: ${value}`)
      break
    case 'octet': {
      const text = lines.join('\r\n')
      const place = at % text.length
      return text.slice(0, place) + String.fromCharCode((value.charCodeAt(0) || 0) & 0xff) + text.slice(place + 1)
    }
    case 'cut':
      return lines.join('\r\n').slice(0, at)
    case 'body':
      return `${lines
        .slice(0, end)
        .join('\r\n')
        .replace(/content-length: \d+/i, `Content-Length: ${value.length}`)}\r\n\r\n${value}`
  }
  return lines.join('\r\n')
}

const step = fc.record({
  who: fc.constantFrom('carrier', 'bob'),
  what: fc.constantFrom(
    'INVITE',
    'UPDATE',
    'BYE',
    'INFO',
    'PRACK',
    'ACK',
    'CANCEL',
    'MESSAGE',
    'OPTIONS',
    'REGISTER',
    '180',
    '183',
    '200',
    '302',
    '422',
    '486',
    '491',
    '503',
  ),
  damage: fc.option(damage, { nil: null, freq: 3 }),
  waitMs: fc.constantFrom(1, 10, 100, 3_000),
})

test('a call in which anything comes damaged breaks no invariant, and leaves nothing behind', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 14 }), fc.boolean(), (steps, reliable) => {
      const rig = new SwitchRig(
        configText({ call: 'call: {noAnswerS: 20, durationMaxS: 60}', access: 'access: {noAnswerS: 20}' }),
      )
      const carrier = rig.agent('198.51.100.10')
      const bob = rig.phone(2)
      carrier.isStrict = false
      bob.isStrict = false
      const headers = reliable ? ([['supported', '100rel, timer']] as const) : []
      const invite = carrier.send(carrier.invite('sip:1002@203.0.113.1', { headers }))
      rig.run()
      for (const { who, what, damage: wrong, waitMs } of steps) {
        const message = messageOf(who === 'carrier' ? carrier : bob, who, what, invite, carrier, bob)
        if (message !== null) {
          const agent = who === 'carrier' ? carrier : bob
          agent.raw(wrong === null ? message.toText() : damaged(message, wrong))
        }
        rig.run(waitMs)
      }
      rig.settle()
      assert.equal(rig.node.log?.counts.get('INTERNAL') ?? 0, 0)
      const ends = rig.records().filter(({ type }) => type === 'STOP' || type === 'ATTEMPT')
      assert.equal(ends.length, rig.node.log?.counts.get('CALL_ENDED'))
    }),
    { numRuns: 300 },
  )
})

function messageOf(
  agent: RawAgent,
  who: 'carrier' | 'bob',
  what: string,
  invite: SipText,
  carrier: RawAgent,
  bob: RawAgent,
): SipText | null {
  const got = bob.requests('INVITE')[0]
  if (got === undefined) return null
  if (/^\d/.test(what)) {
    const request = agent.inbox.findLast((message) => message.isRequest && message.method !== 'ACK')
    if (request === undefined) return null
    return responseTo(agent, request, Number(what))
  }
  if (what === 'REGISTER') return agent.request('REGISTER', 'sip:example.net', { to: `<${agent.address}>` })
  if (what === 'MESSAGE' || what === 'OPTIONS')
    return agent.request(what, 'sip:1002@203.0.113.1', { body: 'x', type: 'text/plain' })
  const response = carrier.responses(invite).findLast(({ status, toTag }) => status > 100 && toTag !== '')
  if (what === 'CANCEL') {
    const cancel = agent.request('CANCEL', invite.uri, {
      callId: invite.callId,
      from: invite.get('from'),
      contact: null,
      body: '',
    })
    cancel.remove('via')
    cancel.headers.unshift(['via', invite.get('via')])
    return who === 'carrier' ? cancel : null
  }
  if (who === 'carrier' && (response === undefined || response.get('contact') === '')) return null
  const dialog =
    who === 'carrier' && response !== undefined ? carrier.callerDialog(invite, response) : bob.calleeDialog(got)
  // In order, and out of it.
  dialog.sequence += agent.inbox.length % 3
  const offers = what === 'INVITE' || what === 'UPDATE'
  const parts = offers ? { body: SDP, contact: agent.contact } : {}
  const rack = agent.inbox.findLast((message) => message.get('rseq') !== '')?.get('rseq') ?? '1'
  return agent.within(dialog, what, { ...parts, headers: what === 'PRACK' ? [['rack', `${rack} 1 INVITE`]] : [] })
}

function responseTo(agent: RawAgent, request: SipText, status: number): SipText {
  const body = request.method === 'INVITE' && status < 300 ? SDP : ''
  const reliable = [
    ['require', '100rel'],
    ['rseq', '1'],
  ] as const
  const headers = status === 183 ? reliable : status === 302 ? ([['contact', '<sip:1003@example.net>']] as const) : []
  return agent.response(request, status, { headers, body })
}
