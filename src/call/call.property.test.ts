// Whatever both sides of a call do in whatever order: one final response, one record, nothing left, nothing leaked.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CallRig, type Far } from '#call/_rig.test.ts'
import { unreachable } from '#core/assert.ts'
import { nameOf, parseRequest, parseResponse, SDP, SDP_2 } from '#sip/_rig.test.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Request } from '#sip/message.ts'

const IN_DIALOG = [
  'INVITE',
  'empty INVITE',
  'UPDATE',
  'empty UPDATE',
  'INFO',
  'MESSAGE',
  'PRACK',
  'BYE',
  'REFER',
  'OPTIONS',
] as const
const REPLIES = [100, 180, 183, 199, 200, 200, 202, 302, 401, 408, 422, 481, 486, 488, 491, 500, 503, 603] as const

const callerStep = fc.record({
  who: fc.constant('caller' as const),
  what: fc.constantFrom('cancel', 'ack', 'ack with answer', 'ack refusal', 'prack', ...IN_DIALOG),
})
const calleeStep = fc.record({
  who: fc.constant('callee' as const),
  index: fc.nat({ max: 2 }),
  what: fc.oneof(
    fc.record({
      kind: fc.constant('reply' as const),
      status: fc.constantFrom(...REPLIES),
      tag: fc.constantFrom('fork-a', 'fork-a', 'fork-b'),
      sdp: fc.boolean(),
      rseq: fc.constantFrom(0, 0, 0, 1, 2),
    }),
    fc.record({ kind: fc.constant('ask' as const), method: fc.constantFrom(...IN_DIALOG) }),
  ),
})
const replyStep = fc.record({
  who: fc.constant('reply' as const),
  side: fc.nat({ max: 3 }),
  status: fc.constantFrom(...REPLIES),
  sdp: fc.boolean(),
})
const timeStep = fc.record({
  who: fc.constant('time' as const),
  ms: fc.constantFrom(0, 100, 400, 600, 600, 600, 5_000, 33_000, 61_000, 300_000),
})
const step = fc.oneof(callerStep, calleeStep, calleeStep, replyStep, timeStep)
const world = fc.record({
  stages: fc.constantFrom<readonly (readonly number[])[]>([[0]], [[0, 1, 2]], [[0], [1], [2]], [[0, 1], [2]]),
  trunks: fc.boolean(),
  up: fc.boolean(),
  redirects: fc.constantFrom<'follow' | 'pass' | 'refuse'>('follow', 'refuse'),
  delayed: fc.boolean(),
  headers: fc.constantFrom('', 'Supported: 100rel, timer\r\nAllow: INVITE, UPDATE\r\n', 'Require: 100rel\r\n'),
  seed: fc.nat({ max: 1_000 }),
  steps: fc.array(step, { maxLength: 45, size: 'max' }),
})

/** A BYE of ours, or our 200 to one of the far side. */
function isBye(text: string): boolean {
  return text.startsWith('BYE ') || (text.startsWith('SIP/2.0 200 ') && / BYE\r\n/.test(text))
}

test('whatever both sides do in whatever order, a call ends with one final response and one record, and leaves and leaks nothing', () => {
  fc.assert(
    fc.property(world, ({ stages, trunks, up, redirects, delayed, headers, seed, steps }) => {
      const rig: CallRig = new CallRig({
        stages,
        trunks,
        seed,
        channels: 2,
        facts: { redirects, sessionTimer: { sessionExpiresS: 600, minSeS: 90 }, intermediateMs: 400_000 },
        planRedirect: () => rig.plan([[2]]),
      })
      const invites = new Map<Far, Request>()
      const asked = new Map<Far, Request[]>()
      const look = (): void => {
        for (const far of [rig.caller, ...rig.callees]) {
          for (const text of far.texts()) {
            const name = nameOf(text)
            const isResponse = text.startsWith('SIP/')
            if (far === rig.caller && isResponse) {
              const response = parseResponse(text)
              if (response.cseq.method === 'INVITE' && response.to.tag !== null) far.joined(response)
            } else if (!isResponse) {
              const request = parseRequest(text)
              if (name === 'INVITE' && request.to.tag === null) invites.set(far, request)
              else if (name !== 'ACK') asked.set(far, [...(asked.get(far) ?? []), request])
            }
          }
        }
      }
      const ask = (far: Far, method: string): void => {
        if (far.callId === '') return
        const offers = method === 'INVITE' || method === 'UPDATE'
        far.ask(method.replace('empty ', ''), offers ? { sdp: SDP_2 } : {})
      }
      const prack = (): void => {
        const reliable = rig.caller.all.filter((text) => text.includes('RSeq: ')).at(-1)
        if (reliable === undefined) return
        const response = parseResponse(reliable)
        rig.caller.joined(response)
        rig.caller.ask('PRACK', { headers: `RAck: ${response.header(HeaderId.rseq)} 1 INVITE\r\n` })
      }
      rig.invite(delayed ? { headers } : { sdp: SDP, headers })
      look()
      if (up) {
        const far = rig.callee(0)
        far.reply(invites.get(far) ?? unreachable('the first callee is invited'), 200, {
          toTag: 'fork-a',
          sdp: SDP_2,
          headers: 'Allow: INVITE, UPDATE\r\nSession-Expires: 600;refresher=uac\r\n',
        })
        look()
        rig.caller.ask('ACK', { sequence: 1, sdp: delayed ? SDP : '' })
      }
      for (const event of steps) {
        if (event.who === 'time') rig.clock.pass(event.ms)
        else if (event.who === 'caller') {
          const { what } = event
          if (what === 'cancel') rig.cancel()
          else if (what === 'ack refusal') rig.ackRefusal()
          else if (what === 'prack') prack()
          else if (what.startsWith('ack')) {
            if (rig.caller.callId !== '') rig.caller.ask('ACK', { sequence: 1, sdp: what === 'ack' ? '' : SDP_2 })
          } else ask(rig.caller, what)
        } else if (event.who === 'callee') {
          const far = rig.callee(event.index)
          const invite = invites.get(far)
          const { what } = event
          if (invite === undefined) continue
          if (what.kind === 'ask') ask(far, what.method)
          else {
            const isReliable = what.rseq > 0 && what.status > 100 && what.status < 200
            far.reply(invite, what.status, {
              toTag: what.tag,
              sdp: what.sdp ? SDP_2 : '',
              headers:
                (isReliable ? `Require: 100rel\r\nRSeq: ${what.rseq}\r\n` : '') +
                (what.status === 422 ? 'Min-SE: 700\r\n' : '') +
                'Allow: INVITE, UPDATE\r\n',
            })
          }
        } else {
          const far = [rig.caller, ...rig.callees][event.side]
          const request = far === undefined ? undefined : asked.get(far)?.at(-1)
          if (request !== undefined) {
            far?.reply(request, event.status, {
              toTag: 'late',
              sdp: event.sdp && request.method !== 'CANCEL' ? SDP : '',
            })
          }
        }
        look()
        assert.deepEqual(rig.faults, [])
        assert.ok(
          rig.records.every(({ releaseCode }) => releaseCode !== 'INTERNAL'),
          'no invariant is broken',
        )
      }
      rig.call?.terminate('NODE_STOPPED')
      rig.assertOver()
      if (rig.last.type !== 'STOP') return
      // What was answered is acknowledged and hung up on each side, by it or by us.
      const callId = rig.last.legs.find(({ side }) => side === 'callee')?.callId
      const texts = rig.callees.flatMap(({ all }) => all.filter((text) => text.includes(`Call-ID: ${callId}\r\n`)))
      assert.ok(texts.some((text) => text.startsWith('ACK ')))
      assert.ok(texts.some(isBye), 'callee')
      if (rig.last.sipStatus === 200) assert.ok(rig.caller.all.some(isBye), 'caller')
    }),
    { numRuns: 400 },
  )
})
