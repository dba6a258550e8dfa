// Topology hiding: nothing that the switch says to one side tells it where or who the other side is (RFC 7092 §3.2, RFC 5853 §3.1).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SipText } from '#sim/sip-text.ts'
import { configText, type RawAgent, SDP, SwitchRig } from '#test/switch/rig.ts'

type Kind = 'phone' | 'trunk'

/** One call between two sides that mark everything they write with a word of their own. */
class Pair {
  readonly rig = new SwitchRig(
    configText({
      routes: 'routes:\n  - {prefix: "+44", trunkGroups: [west]}\n  - {prefix: "+1", trunkGroups: [west]}',
    }),
  )
  readonly caller: RawAgent
  readonly callee: RawAgent
  readonly invite: SipText
  readonly got: SipText
  readonly from: number

  constructor(from: Kind, to: Kind, more: readonly (readonly [string, string])[] = []) {
    const { rig } = this
    this.caller = from === 'phone' ? rig.phone(1) : rig.agent('198.51.100.10')
    this.callee = to === 'phone' ? rig.phone(2) : rig.agent('198.51.100.20')
    const uri = to === 'phone' ? 'sip:1002@203.0.113.1' : 'sip:+442012345678@203.0.113.1'
    this.from = rig.sent.length
    this.invite = this.caller.exchange(
      this.caller.invite(uri, {
        contact: `<sip:leakA@${this.caller.host}:5060;x=leakA>;+leakA`,
        from: `<sip:+493012345@leakA.example>;tag=leakAtag`,
        callId: `leakA-call@${this.caller.host}`,
        branch: 'z9hG4bKleakA',
        headers: [...headers('leakA', this.caller.host), ...more],
      }),
    )
    this.got = this.callee.last('INVITE')
  }

  respond(
    request: SipText,
    status: number,
    to = this.callee,
    more: readonly (readonly [string, string])[] = [],
  ): SipText {
    const word = to === this.callee ? 'leakB' : 'leakA'
    const parts = {
      tag: `${word}tag`,
      headers: [...headers(word, to.host), ...more],
      contact: `<sip:${word}@${to.host}:5060>`,
    }
    const response = to.respond(request, status, parts)
    this.rig.run()
    return response
  }

  /** Answers, acknowledges, and gives both dialogs. */
  answer(): { caller: ReturnType<RawAgent['callerDialog']>; callee: ReturnType<RawAgent['calleeDialog']> } {
    this.respond(this.got, 200)
    const caller = this.caller.callerDialog(this.invite, this.caller.final(this.invite))
    this.caller.send(
      this.caller.within(caller, 'ACK', { headers: headers('leakA', this.caller.host), branch: 'z9hG4bKleakAack' }),
    )
    this.rig.run()
    return { caller, callee: this.callee.calleeDialog(this.got, 'leakBtag') }
  }

  /** Neither side has been told a word of the other's. Bodies are end to end and not ours. */
  check(): void {
    const ends = [
      { end: this.caller, other: this.callee, word: 'leakB' },
      { end: this.callee, other: this.caller, word: 'leakA' },
    ]
    for (const { end, other, word } of ends) {
      const texts = this.rig.sentTo(end.host, this.from)
      assert.ok(texts.length > 0)
      for (const text of texts) {
        const head = text.slice(0, text.indexOf('\r\n\r\n'))
        assert.ok(!head.includes(word), `${word} told to ${end.host}:\n${head}`)
        assert.ok(!head.includes(other.host), `${other.host} told to ${end.host}:\n${head}`)
      }
    }
  }
}

/** Everything that people put addresses into, and what nobody knows. */
function headers(word: string, host: string): (readonly [string, string])[] {
  return [
    ['user-agent', `${word}/1.0`],
    ['server', `${word}/1.0`],
    ['organization', 'Example'],
    ['warning', `399 ${host} "${word}"`],
    ['call-info', `<http://${host}/${word}>`],
    ['error-info', `<sip:${word}@${host}>`],
    ['alert-info', `<http://${host}/${word}>`],
    ['reply-to', `<sip:${word}@${host}>`],
    ['in-reply-to', `${word}@${host}`],
    ['referred-by', `<sip:${word}@${host}>`],
    ['history-info', `<sip:${word}@${host}>;index=1`],
    ['diversion', `<sip:${word}@${host}>`],
    ['remote-party-id', `<sip:${word}@${host}>`],
    ['p-charging-vector', `icid-value=${word};icid-generated-at=${host}`],
    ['p-access-network-info', `${word}`],
    ['p-visited-network-id', `${word}`],
    ['p-called-party-id', `<sip:${word}@${host}>`],
    ['x-anything', `${word} ${host}`],
    ['timestamp', '54'],
    ['allow-events', word],
    ['accept-contact', `*;${word}`],
    ['identity', word],
    ['geolocation', `<http://${host}/${word}>`],
    ['supported', word],
  ]
}

const KINDS: readonly (readonly [Kind, Kind])[] = [
  ['phone', 'phone'],
  ['phone', 'trunk'],
  ['trunk', 'phone'],
  ['trunk', 'trunk'],
]

for (const [from, to] of KINDS) {
  const flow = (what: string, run: (pair: Pair) => void, more: readonly (readonly [string, string])[] = []): void => {
    test(`${from} to ${to}: ${what} tells neither side of the other`, () => {
      const pair = new Pair(from, to, more)
      run(pair)
      pair.check()
      pair.rig.settle()
    })
  }
  const hangUp = (pair: Pair, end: RawAgent, dialog: ReturnType<RawAgent['callerDialog']>): void => {
    const word = end === pair.caller ? 'leakA' : 'leakB'
    const reason = ['reason', `Q.850;cause=16;text="${word} at ${end.host}"`] as const
    const bye = end.within(dialog, 'BYE', {
      headers: [...headers(word, end.host), reason],
      branch: `z9hG4bK${word}bye`,
    })
    end.send(bye)
    pair.rig.run()
    const other = end === pair.caller ? pair.callee : pair.caller
    assert.match(other.last('BYE').get('reason'), /^Q\.850;cause=16$/)
    pair.respond(other.last('BYE'), 200, other)
    assert.equal(end.final(bye).status, 200)
  }

  for (const status of [180, 183]) {
    flow(`${status}, the answer and the caller's BYE`, (pair) => {
      pair.respond(pair.got, status)
      const { caller } = pair.answer()
      hangUp(pair, pair.caller, caller)
    })
  }
  flow(
    "a reliable 183 with PRACK, the answer and the callee's BYE",
    (pair) => {
      pair.respond(pair.got, 183, pair.callee, [
        ['require', '100rel'],
        ['rseq', '4711'],
      ])
      const early = pair.caller.responses(pair.invite).find(({ status }) => status === 183)
      assert.ok(early !== undefined)
      const dialog = pair.caller.callerDialog(pair.invite, early)
      const rack = ['rack', `${early.get('rseq')} ${pair.invite.sequence} INVITE`] as const
      const prack = pair.caller.within(dialog, 'PRACK', {
        headers: [...headers('leakA', pair.caller.host), rack],
        branch: 'z9hG4bKleakAprack',
      })
      pair.caller.send(prack)
      pair.rig.run()
      pair.respond(pair.callee.last('PRACK'), 200)
      assert.equal(pair.caller.final(prack).status, 200)
      const { callee } = pair.answer()
      hangUp(pair, pair.callee, { ...callee, sequence: 10 })
    },
    [['supported', '100rel']],
  )
  for (const status of [302, 401, 404, 407, 415, 420, 480, 486, 488, 493, 500, 503, 603, 606]) {
    flow(`a ${status}`, (pair) => {
      pair.respond(pair.got, status, pair.callee, [
        ['contact', `<sip:leakB@${pair.callee.host}>`],
        ['reason', `Q.850;cause=17;text="leakB at ${pair.callee.host}"`],
        ['unsupported', 'leakB'],
        ['retry-after', '5 (leakB)'],
        ['www-authenticate', 'Digest realm="leakB", nonce="1"'],
        ['proxy-authenticate', 'Digest realm="leakB", nonce="1"'],
      ])
      pair.rig.run(40_000)
      pair.caller.ackFailure(pair.invite, pair.caller.final(pair.invite))
    })
  }
  flow('CANCEL with Reason', (pair) => {
    pair.respond(pair.got, 180)
    const cancel = pair.caller.request('CANCEL', pair.invite.uri, {
      callId: pair.invite.callId,
      from: pair.invite.get('from'),
      to: pair.invite.get('to'),
      sequence: pair.invite.sequence,
      contact: null,
      headers: [...headers('leakA', pair.caller.host), ['reason', `SIP;cause=200;text="leakA ${pair.caller.host}"`]],
    })
    cancel.remove('via')
    cancel.headers.unshift(['via', pair.invite.get('via')])
    pair.caller.send(cancel)
    pair.rig.run()
    assert.equal(pair.callee.last('CANCEL').get('reason'), 'SIP;cause=200')
    pair.respond(pair.callee.last('CANCEL'), 200)
    pair.respond(pair.got, 487)
    pair.caller.ackFailure(pair.invite, pair.caller.final(pair.invite))
  })
  for (const method of ['INVITE', 'UPDATE', 'INFO', 'MESSAGE']) {
    for (const side of ['caller', 'callee'] as const) {
      for (const status of [200, 488]) {
        flow(`${method} of the ${side} answered ${status}`, (pair) => {
          const dialogs = pair.answer()
          const [end, other] = side === 'caller' ? [pair.caller, pair.callee] : [pair.callee, pair.caller]
          const word = side === 'caller' ? 'leakA' : 'leakB'
          const offers = method === 'INVITE' || method === 'UPDATE'
          const request = end.within(dialogs[side], method, {
            headers: [...headers(word, end.host), ['allow', 'INVITE, UPDATE, INFO, BYE']],
            branch: `z9hG4bK${word}again`,
            contact: offers ? `<sip:${word}2@${end.host}:5060>` : null,
            body: offers ? SDP : 'leak',
            type: offers ? 'application/sdp' : 'text/plain',
          })
          end.send(request)
          pair.rig.run()
          const passed = other.inbox.filter((message) => message.isRequest).at(-1)
          assert.ok(passed !== undefined)
          pair.respond(
            passed,
            status,
            other,
            [['contact', `<sip:x@${other.host}>`]].slice(offers ? 1 : 0) as [string, string][],
          )
          const final = end.final(request)
          if (method === 'INVITE' && final.status >= 300) end.ackFailure(request, final)
          if (method === 'INVITE' && final.status < 300) {
            end.send(end.within(dialogs[side], 'ACK', { sequence: request.sequence, branch: `z9hG4bK${word}ack2` }))
          }
          pair.rig.run()
          hangUp(pair, pair.caller, dialogs.caller)
        })
      }
    }
  }
}
